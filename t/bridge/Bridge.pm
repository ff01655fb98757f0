package Bridge;

# A clowntalk-bridge under test: a process on three pipes. Every wait is a select with a limit.
#
#   my $bridge = Bridge->start('--bus', '0=sim');
#   $bridge->send('["clown.talk/-/config/set", {}]');
#   my $message = $bridge->wait_for('thermometer/i2c0-48');   # [topic, payload, parameters]
#   is($bridge->finish, 0);
#
# The program is $CLOWNTALK_BRIDGE, or ./clowntalk-bridge.
use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use IPC::Open3;
use JSON::PP;
use Symbol qw(gensym);
use Time::HiRes ();

use constant TIMEOUT => 20;    # seconds until a wait fails

$SIG{PIPE} = 'IGNORE';

sub program { return $ENV{CLOWNTALK_BRIDGE} || './clowntalk-bridge' }

sub start {
    my ($class, @arguments) = @_;
    my $self = bless {buffer => '', log => '', read => []}, $class;
    $self->{err} = gensym;
    $self->{pid} = open3($self->{in}, $self->{out}, $self->{err}, program(), @arguments);
    $self->{in}->autoflush(1);
    return $self;
}

# A bridge after its opening. The values that came with it are in {values}, by topic.
sub opened {
    my ($class, @arguments) = @_;
    my $self = $class->start(@arguments);
    $self->send('["clown.talk/-/config/set", {}, {"id": "opening"}]', '["-/-/config/list", {}, {"id": "opened"}]');
    $self->wait_for('clown.talk/-/config/ok', 'opening');
    while (my $message = $self->message) {
        next unless $message->[2];
        return $self if $message->[2]{id} eq 'opened';
        $self->{values}{$message->[0]} = $message->[1];
    }
    croak "the opening was not answered; log:\n$self->{log}";
}

sub send {
    my ($self, @lines) = @_;
    print {$self->{in}} map { "$_\n" } @lines;
    return;
}

sub send_bytes {
    my ($self, $bytes) = @_;
    print {$self->{in}} $bytes;
    return;
}

# The next line without its line feed, or undef at the end.
sub line {
    my ($self) = @_;
    my $end = Time::HiRes::time() + TIMEOUT;
    while ($self->{buffer} !~ /\n/) {
        return if $self->{eof};
        my @ready = IO::Select->new(grep { !$self->{"closed $_"} } $self->{out}, $self->{err})
            ->can_read($end - Time::HiRes::time());
        croak "nothing came within " . TIMEOUT . " s; log:\n$self->{log}" unless @ready;
        for my $handle (@ready) {
            my $is_out = $handle == $self->{out};
            my $length = sysread $handle, my $bytes, 65536;
            if (!$length) {
                $self->{"closed $handle"} = 1;
                $self->{eof} = 1 if $is_out;
            }
            elsif ($is_out) { $self->{buffer} .= $bytes }
            else            { $self->{log}    .= $bytes }
        }
    }
    $self->{buffer} =~ s/\A([^\n]*)\n//;
    return $1;
}

# The next message, or undef at the end. Dies where it is none.
sub message {
    my ($self) = @_;
    my $line = $self->line;
    return unless defined $line;
    my $message = JSON::PP->new->utf8->decode($line);
    croak "no Clown.Talk message: $line"
        unless ref $message eq 'ARRAY' && @$message >= 2 && @$message <= 3 && ref $message->[1] eq 'HASH';
    push @{$self->{read}}, $line;
    return $message;
}

# Reads until a message of this topic comes (and, where given, with this id).
sub wait_for {
    my ($self, $topic, $id) = @_;
    my $end = Time::HiRes::time() + TIMEOUT;
    while (my $message = $self->message) {
        croak "no $topic came within " . TIMEOUT . " s, but other messages; log:\n$self->{log}"
            if Time::HiRes::time() > $end;
        next unless $message->[0] eq $topic;
        next if defined $id && (!$message->[2] || $message->[2]{id} ne $id);
        return $message;
    }
    croak "no $topic came; log:\n$self->{log}";
}

# Ends its input and reads what is left. The messages.
sub drain {
    my ($self) = @_;
    close $self->{in};
    my @messages;
    while (my $message = $self->message) { push @messages, $message }
    return @messages;
}

# Ends its input, reads the rest; its exit status (signals as 128 and more).
sub finish {
    my ($self) = @_;
    close $self->{in} if $self->{in}->opened;
    1 while defined $self->line;
    return $self->status;
}

# Waits for its end, which must be under way.
sub status {
    my ($self) = @_;
    local $SIG{ALRM} = sub { kill 'KILL', $self->{pid}; croak "it does not end" };
    alarm TIMEOUT;
    waitpid $self->{pid}, 0;
    alarm 0;
    my $status = $?;
    $self->{pid} = 0;
    return $status & 127 ? 128 + ($status & 127) : $status >> 8;
}

# Reads the log to its end: for one that is ending.
sub log_text {
    my ($self) = @_;
    1 while defined $self->line;
    while (IO::Select->new($self->{err})->can_read(TIMEOUT)) {
        sysread $self->{err}, my $bytes, 65536 or last;
        $self->{log} .= $bytes;
    }
    return $self->{log};
}

# Runs it to its end without input: status, standard output, standard error.
sub run {
    my (@arguments) = @_;
    my $self = Bridge->start(@arguments);
    close $self->{in};
    my $out = '';
    while (defined(my $line = $self->line)) { $out .= "$line\n" }
    $out .= $self->{buffer};
    my $log = $self->log_text;
    return ($self->status, $out, $log);
}

sub DESTROY {
    my ($self) = @_;
    return unless $self->{pid};
    local $?;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

1;
