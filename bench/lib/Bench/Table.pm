# The table that the benchmark prints: what each server reached, and for this module what it must
# reach. The same rows go to the terminal and, as Markdown, into docs/performance.md.
package Bench::Table;

use strict;
use warnings;

use Bench::Server;

use constant OURS    => 'clowntalk';
use constant SERVERS => Bench::Server::NAMES;
use constant KIB     => 1024;

# Rows for what was measured, with the numbers of connections that bench/run was told. A row: {what,
# cells => [one per server], required, reached, good => 1, 0 or undef where nothing is required}
sub rows {
    my ($results, $size) = @_;
    my @rows;

    for my $transport (qw(ws wss)) {
        my $name = sub { "$_[0], $transport" };
        push @rows, map { echo_row($results, $name, $transport, $_, $size) } @{$size->{echo}};
        push @rows, cpu_row($results, $name, $transport, $size->{echo}[-1]);
        push @rows, round_trip_row($results, $name, $transport);
        push @rows, fairness_row($results, $name, $transport, $size->{echo}[-1]);
        push @rows, memory_rows($results, $name, $transport, $size->{idle});
        push @rows, map { fan_out_row($results, $name, $transport, $_, $size) } @{$size->{fan_out}};
        push @rows, row($name->("100 bytes to $size->{busy}: processor time, ms"),
            cells($results, $transport, "fan_out_cpu.$size->{busy}", \&digits), '', '');
        push @rows, busy_row($results, $name, $transport, $size->{busy});
        push @rows, relay_rows($results, $name, $transport, $size->{busy});
    }
    return grep { grep { $_ ne '' } @{$_->{cells}} } @rows;
}

# ---- cells ----

sub cells {
    my ($results, $transport, $figure, $format) = @_;

    return [map {
        my $value = $results->value($_, $transport, $figure);
        defined $value ? $format->($value) : '';
    } SERVERS];
}

sub digits {
    my ($value) = @_;

    return sprintf $value >= 100 ? '%.0f' : $value >= 10 ? '%.1f' : '%.2f', $value;
}

sub thousands {
    my $text = sprintf '%.0f', $_[0];

    1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
    return $text;
}

# A row whose value must be a multiple of another server's: at least where the number is positive, at
# most where it is negative.
sub ratio_row {
    my ($results, $what, $transport, $figure, $cells, %factors) = @_;
    my (@required, @reached, $good);

    for my $other (grep { $factors{$_} } SERVERS) {
        my $ratio = $results->ratio(OURS, $other, $transport, $figure);
        my $bound = abs $factors{$other};
        my $least = $factors{$other} > 0;
        push @required, sprintf '%s %.3g x %s', $least ? '>=' : '<=', $bound, $other;
        next unless defined $ratio;
        $ratio = sprintf '%.2f', $ratio;
        push @reached, "$ratio x $other";
        $good = 1 unless defined $good;
        $good = 0 if $least ? $ratio < $bound : $ratio > $bound;
    }
    return row($what, $cells, join(', ', @required), join(', ', @reached), $good);
}

sub row {
    my %row;

    @row{qw(what cells required reached good)} = @_;
    return \%row;
}

sub bound_row {
    my ($what, $cells, $value, $bound, $unit) = @_;

    return row($what, $cells, "<= $bound $unit", defined $value ? digits($value) . " $unit" : '',
        defined $value ? ($value <= $bound ? 1 : 0) : undef);
}

# ---- the rows ----

sub echo_row {
    my ($results, $name, $transport, $n, $size) = @_;
    my %factors = $n != $size->{echo}[-1] ? ()
        : $transport eq 'ws' ? (proxy => 4.5, ws => 1.5) : (proxy => 3.5, ws => 1.3);

    my $connections = $n > 1 ? "$n connections" : '1 connection';
    return ratio_row($results, $name->("echo, $connections: messages/s"), $transport, "rate.$n",
        cells($results, $transport, "rate.$n", \&thousands), %factors);
}

# The server's processor time: without a bound, but on a busy machine it varies less than elapsed time.
sub cpu_row {
    my ($results, $name, $transport, $n) = @_;

    return row($name->("echo, $n connections: processor time per message, us"),
        cells($results, $transport, "cpu.$n", \&digits), '', '');
}

sub round_trip_row {
    my ($results, $name, $transport) = @_;

    return ratio_row($results, $name->('echo, 1 connection: median round trip, us'), $transport,
        'round_trip.1', cells($results, $transport, 'round_trip.1', \&digits),
        $transport eq 'ws' ? (epoll => -1.1) : ());
}

# Fewest and most replies of any connection; the worst round counts.
sub fairness_row {
    my ($results, $name, $transport, $n) = @_;
    my $cells  = cells($results, $transport, "spread.$n", sub { '1:' . digits($_[0]) });
    my $spread = $results->maximum(OURS, $transport, "spread.$n");
    my $silent = $results->maximum(OURS, $transport, "silent.$n");
    my $known  = defined $spread && defined $silent;

    return row($name->("fairness, $n connections: fewest to most replies"), $cells,
        'none silent, within 1:2', $known ? "$silent silent, 1:" . digits($spread) : '',
        $known ? (!$silent && $spread <= 2 ? 1 : 0) : undef);
}

sub memory_rows {
    my ($results, $name, $transport, $n) = @_;
    my $kib = sub { digits($_[0] / KIB) };
    my $own = $results->value(OURS, $transport, "memory.$n");

    return (
        bound_row($name->("memory per idle connection of $n, KiB"),
            cells($results, $transport, "memory.$n", $kib), defined $own ? $own / KIB : undef,
            $transport eq 'ws' ? 12 : 32, 'KiB'),
        row($name->("the same after a message on each, KiB"),
            cells($results, $transport, "memory_used.$n", $kib), '', ''),
        row($name->("handshakes/s, up to $n connections"),
            cells($results, $transport, "handshakes.$n", \&thousands), '', ''),
    );
}

sub fan_out_row {
    my ($results, $name, $transport, $n, $size) = @_;

    return ratio_row($results, $name->("100 bytes to $n: until the last has it, ms"), $transport,
        "fan_out.$n", cells($results, $transport, "fan_out.$n", \&digits),
        $n == $size->{busy} ? (epoll => -1) : ());
}

sub busy_row {
    my ($results, $name, $transport, $n) = @_;

    return bound_row($name->("a request while publications go to $n: 99th percentile, ms"),
        cells($results, $transport, "busy.$n", \&digits),
        $results->value(OURS, $transport, "busy.$n"), 20, 'ms');
}

sub relay_rows {
    my ($results, $name, $transport, $n) = @_;

    return (
        bound_row($name->('relay, request to publication beyond the pulse: median, ms'),
            cells($results, $transport, 'relay', \&digits),
            $results->value(OURS, $transport, 'relay'), 1, 'ms'),
        row($name->("the same until the last of $n has it, ms"),
            cells($results, $transport, "relay_last.$n", \&digits), '', ''),
    );
}

# ---- rendering ----

sub verdict {
    my ($row) = @_;

    return !defined $row->{good} ? '' : $row->{good} ? 'yes' : 'NO';
}

sub as_lists {
    my ($rows) = @_;

    return (
        ['', (map { Bench::Server->what($_) } SERVERS), 'required of mod_clowntalk', 'reached', ''],
        map { [$_->{what}, @{$_->{cells}}, $_->{required}, $_->{reached}, verdict($_)] } @$rows,
    );
}

sub as_text {
    my (@rows) = @_;
    my @lists = as_lists(\@rows);
    my @width;

    for my $list (@lists) {
        for my $i (0 .. $#$list) {
            my $length = length $list->[$i];
            $width[$i] = $length if !defined $width[$i] || $length > $width[$i];
        }
    }
    return join '', map {
        my $list = $_;
        my $line = join '  ', map {
            sprintf $_ > 0 && $_ <= SERVERS ? "%$width[$_]s" : "%-$width[$_]s", $list->[$_]
        } 0 .. $#$list;
        $line =~ s/ +$//r . "\n";
    } @lists;
}

sub as_markdown {
    my (@rows) = @_;
    my ($head, @lists) = as_lists(\@rows);
    my $line = sub { '| ' . join(' | ', @_) . " |\n" };
    my $text = $line->(@$head) . $line->('---', ('---:') x SERVERS, ('---') x 3);

    for my $list (@lists) {
        s/>=/at least/g, s/<=/at most/g, s/ x / × /g, s/\bus\b/µs/ for @$list;
        $text .= $line->(@$list);
    }
    return $text;
}

1;
