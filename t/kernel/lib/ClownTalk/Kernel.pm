# The virtual machine's kernel: its modules, sysfs, I2C adapters.
package ClownTalk::Kernel;

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use Time::HiRes qw(time);

use ClownTalk::Httpd;

our @EXPORT_OK = qw(write_sysfs load_module unload_module find_adapter wait_for);

use constant DIR => '/run/kernel';    # where `init` has put the modules

# Tests that run anywhere else would take the machine's own buses.
croak 'this runs in the virtual machine of t/kernel/run only' unless -d DIR . '/modules';

sub write_sysfs {
    my ($file, $text) = @_;

    open my $fh, '>', $file or croak "$file: $!";
    syswrite $fh, $text or croak "$file: cannot write '$text': $!";
    close $fh or croak "$file: $!";
}

sub busybox {
    my (@command) = @_;

    my $output = ClownTalk::Httpd::run_quietly(DIR . '/busybox', @command);
    croak "@command: $output" if $?;
}

# load_module('i2c-stub', 'chip_addr=0x48')
sub load_module {
    my ($name, @parameters) = @_;

    busybox('insmod', DIR . "/modules/$name.ko", @parameters);
}

sub unload_module {
    my ($name) = @_;

    busybox('rmmod', $name) if -d '/sys/module/' . $name =~ tr/-/_/r;
}

# Waits until a condition is true; returns what it gave.
sub wait_for {
    my ($what, $condition, $timeout) = @_;
    my $found;

    my $deadline = time + ($timeout || 30);
    until ($found = $condition->()) {
        croak "waited in vain for $what" if time > $deadline;
        select undef, undef, undef, 0.02;
    }
    return $found;
}

# The N of the /dev/i2c-N whose adapter has such a name; waits for it.
sub find_adapter {
    my ($name) = @_;

    my $found = wait_for("an I2C adapter $name", sub {
        for my $file (glob '/sys/class/i2c-dev/i2c-*/name') {
            my $found = eval { ClownTalk::Httpd::read_file($file) };
            return $file if defined $found && $found =~ $name;
        }
        return;
    });
    my ($number) = $found =~ /i2c-(\d+)/;
    wait_for("/dev/i2c-$number", sub { -c "/dev/i2c-$number" });
    return $number;
}

1;
