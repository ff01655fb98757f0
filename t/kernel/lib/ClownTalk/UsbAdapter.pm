# The I2C adapter of usb_adapter.c, plugged in; unplugged when the object goes.
package ClownTalk::UsbAdapter;

use strict;
use warnings;

use Carp qw(croak);
use IPC::Open2 qw(open2);

use ClownTalk::Kernel qw(find_adapter wait_for);
use ClownTalk::Settings;

# new(SCENARIO): a file of chips, which is a simulated bus's; without one all kinds of devices are there.
sub new {
    my ($class, @scenario) = @_;

    my $self = bless {}, $class;
    my $program = ClownTalk::Settings->get('builddir') . '/t/kernel/usb_adapter';
    $self->{pid} = open2($self->{from}, $self->{to}, $program, @scenario);
    my $line = readline $self->{from};
    croak 'the adapter cannot be plugged in' unless defined $line && $line eq "ready\n";
    $self->{number} = find_adapter(qr/^i2c-tiny-usb/);
    return $self;
}

sub number { return $_[0]{number} }
sub device { return "/dev/i2c-$_[0]{number}" }

# A command of usb_adapter.c; returns its answer. "no" is an error.
sub command {
    my ($self, $command) = @_;

    syswrite $self->{to}, "$command\n" or croak "the adapter: $!";
    chomp(my $answer = readline $self->{from});
    croak "the adapter refuses '$command'" if $answer eq 'no';
    return $answer;
}

sub set { my ($self, $address, $input, $value) = @_; return $self->command(sprintf 'set %02x %s %s', $address, $input, $value) }

# Pulls it.
sub unplug {
    my ($self) = @_;

    return unless $self->{pid};
    close $self->{to};
    waitpid delete $self->{pid}, 0;
    close $self->{from};
}

sub DESTROY { my ($self) = @_; local ($?, $!); $self->unplug }

1;
