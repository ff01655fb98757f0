# An error log from some moment on: what a test looks at is what it has caused.
package ClownTalk::Log;

use strict;
use warnings;

use Carp qw(croak);
use Time::HiRes qw(time);

use constant TIMEOUT => 15;    # seconds

# From the present end of the file.
sub new {
    my ($class, $file) = @_;

    return bless {file => $file, at => -s $file || 0}, $class;
}

# The lines since the last call (since new()) that fit the pattern.
sub fresh {
    my ($self, $pattern) = @_;

    open my $fh, '<', $self->{file} or return;
    seek $fh, $self->{at}, 0;
    my @lines = <$fh>;
    # A line that is being written is left for the next call.
    pop @lines if @lines && $lines[-1] !~ /\n\z/;
    $self->{at} += length for @lines;
    return grep { !defined $pattern || $_ =~ $pattern } @lines;
}

# Waits for a line that fits; returns it.
sub wait_line {
    my ($self, $pattern, $timeout) = @_;

    my $deadline = time + ($timeout || TIMEOUT);
    while (1) {
        my @lines = $self->fresh($pattern);
        return $lines[0] if @lines;
        croak "$self->{file} does not say $pattern" if time > $deadline;
        select undef, undef, undef, 0.02;
    }
}

1;
