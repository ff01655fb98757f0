# What was measured: a number per server, transport, figure and round. Ratios are taken within a
# round, where both servers had the same neighbours, and then their median.
package Bench::Results;

use strict;
use warnings;

sub new {
    my ($class) = @_;

    return bless {values => {}, failures => []}, $class;
}

sub add {
    my ($self, $server, $transport, $round, %figures) = @_;

    $self->{values}{$server}{$transport}{$_}[$round] = $figures{$_} for keys %figures;
}

sub fail {
    my ($self, $server, $transport, $round, $what, $why) = @_;

    push @{$self->{failures}}, {server => $server, transport => $transport, round => $round + 1,
        what => $what, why => $why};
}

sub failures { return @{$_[0]{failures}} }
sub data     { my ($self) = @_; return {%$self} }

# In a list, too, one value: undef where there are none.
sub median {
    my @sorted = sort { $a <=> $b } grep { defined } @_;

    return undef unless @sorted;
    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

sub rounds {
    my ($self, $server, $transport, $figure) = @_;

    return @{$self->{values}{$server}{$transport}{$figure} || []};
}

# The median over the rounds, or undef.
sub value {
    my ($self, @which) = @_;

    return median($self->rounds(@which));
}

# The worst round, for what must never happen.
sub maximum {
    my ($self, @which) = @_;
    my $most;

    for (grep { defined } $self->rounds(@which)) {
        $most = $_ if !defined $most || $_ > $most;
    }
    return $most;
}

# How many times another server's figure one server's is, round by round: the median, or undef.
sub ratio {
    my ($self, $server, $other, $transport, $figure) = @_;
    my @own    = $self->rounds($server, $transport, $figure);
    my @theirs = $self->rounds($other, $transport, $figure);
    my @both   = grep { defined $own[$_] && $theirs[$_] } 0 .. $#own;

    return median(map { $own[$_] / $theirs[$_] } @both);
}

1;
