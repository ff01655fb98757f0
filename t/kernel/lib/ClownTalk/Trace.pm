# The kernel's own record of what goes over its I2C buses: trace events of the groups smbus and i2c
# (Documentation/trace/events.rst; include/trace/events/smbus.h and i2c.h have their formats).
#
#   my $trace = ClownTalk::Trace->new;       # from now on
#   for ($trace->hub) { ... }                # events caused by the hub's threads, in order
#
# An event is {time (seconds), comm, pid, name, bus, address, text} and
#
#   smbus_write, smbus_reply   command, protocol, data [bytes]
#   smbus_read, smbus_result   command, protocol
#   i2c_write, i2c_reply       data [bytes]; i2c_read: length
package ClownTalk::Trace;

use strict;
use warnings;

use Carp qw(croak);

use ClownTalk::Kernel qw(write_sysfs);

use constant {
    DIR       => '/sys/kernel/tracing',
    KILOBYTES => 4096,    # per processor: some 40,000 events
};

# The record of all events; with a filter (events.rst, section "Event filtering") a further one, of
# smbus_write only, for watch().
sub new {
    my ($class, $filter) = @_;
    my $dir = DIR;

    if (defined $filter) {
        $dir .= '/instances/watch';
        rmdir $dir;
        mkdir $dir or croak "$dir: $!";
        write_sysfs("$dir/events/smbus/smbus_write/filter", $filter);
    }
    my $self = bless {dir => $dir}, $class;
    $self->set('tracing_on', 0);
    $self->set('trace_clock', 'mono');
    $self->set('buffer_size_kb', KILOBYTES);
    $self->set('trace', ' ');
    $self->set($_, 1) for defined $filter
        ? 'events/smbus/smbus_write/enable' : qw(events/smbus/enable events/i2c/enable);
    $self->set('tracing_on', 1);
    return $self;
}

sub set {
    my ($self, $file, $value) = @_;

    write_sysfs("$self->{dir}/$file", "$value\n");
}

# Forgets what was recorded so far.
sub forget { my ($self) = @_; $self->set('trace', ' '); return $self }

sub parse {
    my ($line) = @_;

    my ($comm, $pid, $time, $name, $text)
        = $line =~ /^\s*(.+)-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+): (.*)$/ or return;
    my %event = (comm => $comm, pid => $pid, time => $time, name => $name, text => $text);
    @event{qw(bus)} = $text =~ /^i2c-(\d+)/;
    $event{address}  = hex $1 if $text =~ / a=([0-9a-f]+)/;
    $event{command}  = hex $1 if $text =~ / c=([0-9a-f]+)/;
    $event{protocol} = $1 if $text =~ / c=[0-9a-f]+ (\w+)/;
    $event{length}   = $1 if $text =~ / l=(\d+)/;
    $event{data}     = [map { hex } split /[- ]/, $1] if $text =~ / \[([0-9a-f -]*)\]/;
    # A block's first byte is its length (smbus-protocol.rst).
    shift @{$event{data}} if $name =~ /^smbus/ && $event{data} && $event{protocol} =~ /BLOCK/;
    return \%event;
}

sub events {
    my ($self) = @_;

    open my $fh, '<', "$self->{dir}/trace" or croak "$self->{dir}/trace: $!";
    my @lines = <$fh>;
    croak 'the kernel has lost events' if grep { /LOST \d+ EVENTS/ } @lines;
    return map { /^#/ ? () : parse($_) } @lines;
}

# What the hub did; of its transfers to one address, where one is given.
sub hub {
    my ($self, $address) = @_;

    return grep {
        $_->{comm} =~ /^clowntalk-/ && (!defined $address || ($_->{address} // -1) == $address)
    } $self->events;
}

# The hub's SMBus writes that carry data. A byte that only says which register is to be read is none.
sub hub_writes {
    my ($self, $address) = @_;

    return grep { $_->{name} eq 'smbus_write' && @{$_->{data} || []} } $self->hub($address);
}

# "1=30 3=00": registers and what was written to them, for comparisons and messages.
sub describe {
    my (@writes) = @_;

    return join ' ', map {
        sprintf '%x=%s', $_->{command}, unpack 'H*', pack 'C*', @{$_->{data}}
    } @writes;
}

# The next event, as soon as the kernel has it.
sub watch {
    my ($self) = @_;

    unless ($self->{pipe}) {
        open $self->{pipe}, '<', "$self->{dir}/trace_pipe" or croak "trace_pipe: $!";
    }
    local $SIG{ALRM} = sub { croak 'the kernel saw no such event' };
    alarm 30;
    while (my $line = readline $self->{pipe}) {
        my $event = parse($line);
        next unless $event;
        alarm 0;
        return $event;
    }
    croak 'the trace has ended';
}

1;
