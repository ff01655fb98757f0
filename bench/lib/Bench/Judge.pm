# What a simulated relay did, compared with what its client asked for and was answered.
#
#   my $judge = Bench::Judge->new;
#   $judge->trace('i2c1', $file);         # the trace of a bus (docs/simulation.md)
#   $judge->journal($file);               # bench/soak.mjs says what is in it
#   my $verdict = $judge->verdict;        # {lost => [TEXT, ...], twice => [TEXT, ...], and numbers}
#
# A relay has one client at a time, which waits for each answer. So each click of a contact has one request that it was made
# for, and each state that was answered is one that the contact had between request and answer.
package Bench::Judge;

use strict;
use warnings;

use JSON::PP;
use List::Util qw(max min);

use constant {
    NEVER => 9e99,
    LATER => 60,      # seconds after which a request that was not answered is no longer carried out
    GRACE => 0.05,    # seconds in which the hub may not yet have seen what a coil has done
};

sub new { return bless {clicks => {}, requests => {}}, $_[0] }

# The clicks of each relay, in their order: when the coil is energised, until when, and what for.
sub trace {
    my ($self, $bus, $file) = @_;

    open my $fh, '<', $file or die "$file: $!\n";
    while (<$fh>) {
        my ($time, $address, $coil) = /^([\d.]+) (\w+) coil (on|off|released)/ or next;
        my $clicks = $self->{clicks}{"$bus-$address"} //= [];
        if ($coil ne 'released') {
            push @$clicks, {began => $time, ended => NEVER, state => $coil eq 'on'};
        } elsif (@$clicks) {
            $clicks->[-1]{ended} = $time;
        }
    }
}

sub journal {
    my ($self, $file) = @_;

    open my $fh, '<', $file or die "$file: $!\n";
    while (my $line = <$fh>) {
        my $request = decode_json($line);
        push @{$self->{requests}{$request->{relay}}}, $request;
    }
    @$_ = sort { $a->{sent} <=> $b->{sent} } @$_ for values %{$self->{requests}};
}

sub verdict {
    my ($self) = @_;
    my %verdict = (lost => [], twice => [], clicks => 0, switched => 0, unknown => 0, confirmed => 0, repeated => 0, overrun => 0);

    for my $relay (sort keys %{{%{$self->{clicks}}, %{$self->{requests}}}}) {
        my ($clicks, $requests) = ($self->{clicks}{$relay} || [], $self->{requests}{$relay} || []);
        $verdict{clicks} += @$clicks;
        match($relay, $clicks, $requests, \%verdict);
        compare($relay, $clicks, $requests, \%verdict);
        $verdict{overrun} = max($verdict{overrun}, overruns($clicks, $requests));
    }
    my @took = sort { $a <=> $b } map { $_->{answered} - $_->{sent} } grep { defined $_->{answered} } map { @$_ } values %{$self->{requests}};
    @verdict{qw(median most longest)} = map { $took[$_ * $#took] // 0 } 0.5, 0.99, 1;
    return \%verdict;
}

sub is_state { return JSON::PP::is_bool($_[0]) }

# What a request allows: clicks to a state, from a time until another. A pulse allows its end, too, until another request
# was carried out.
sub allowances {
    my ($requests, $verdict) = @_;
    my (@allowed, @ends);

    for my $request (grep { $_->{request} ne 'get' } @$requests) {
        next if defined $request->{result} && $request->{result} =~ /^(?:busy|rate-limited|not-initialized|unknown-device)$/;
        my $done = is_state($request->{result});
        $verdict->{$done ? 'switched' : 'unknown'}++;
        my $until = $done ? $request->{answered} : $request->{sent} + LATER;
        if ($done) {
            $_->{until} > $until and $_->{until} = $until for splice @ends;
        }
        my $pulse = $request->{request} eq 'pulse';
        push @allowed, {state => $pulse || $request->{state}, from => $request->{sent}, until => $until};
        push @allowed, $ends[@ends] = {state => 0, end => 1, from => $request->{sent}, until => NEVER} if $pulse;
    }
    return sort { $a->{from} <=> $b->{from} } @allowed;
}

# Each click takes the one allowance that ends first; one that finds none was not asked for, or carried out again. The end of
# a pulse may be repeated, which moves nothing: a hub that is killed meanwhile has not said whether it was finished.
sub match {
    my ($relay, $clicks, $requests, $verdict) = @_;
    my @to_come = allowances($requests, $verdict);
    my (@open, $last);

    for my $click (@$clicks) {
        push @open, shift @to_come while @to_come && $to_come[0]{from} <= $click->{began};
        @open = sort { $a->{until} <=> $b->{until} } grep { $_->{until} >= $click->{began} } @open;
        my ($taken) = grep { !$open[$_]{state} == !$click->{state} } 0 .. $#open;
        if (defined $taken) {
            $last = splice @open, $taken, 1;
        } elsif ($last && $last->{end} && !$click->{state}) {
            $verdict->{repeated}++;
        } else {
            undef $last;
            push @{$verdict->{twice}}, sprintf '%s: at %.3f it went %s, which nobody had asked for', $relay, $click->{began},
                $click->{state} ? 'on' : 'off';
        }
    }
}

# Each state that was answered has to be one that the contact had in the meantime, and the one that was asked for.
sub compare {
    my ($relay, $clicks, $requests, $verdict) = @_;
    my $next = 0;    # the first click that had not ended when the request was sent

    for my $request (grep { is_state($_->{result}) } @$requests) {
        $next++ while $next < @$clicks && $clicks->[$next]{ended} < $request->{sent} - GRACE;
        my $last = $next;
        $last++ while $last < @$clicks && $clicks->[$last]{began} <= $request->{answered};
        my @had = @$clicks[max(0, $next - 1) .. $last - 1];
        next unless @had;    # as it was switched on with
        my $wanted = $request->{request} eq 'get' ? $request->{result} : $request->{request} eq 'pulse' || $request->{state};
        my $true = grep { !$_->{state} == !$request->{result} } @had;
        if ($true && !$wanted == !$request->{result}) {
            $verdict->{confirmed}++;
        } else {
            push @{$verdict->{lost}}, sprintf '%s: %s %s, sent at %.3f and answered %s after %.3f s; the contact was %s', $relay,
                $request->{request}, $wanted ? 'on' : 'off', $request->{sent}, $request->{result} ? 'on' : 'off',
                $request->{answered} - $request->{sent}, join ', ', map { $_->{state} ? 'on' : 'off' } @had;
        }
    }
}

# By how many seconds pulses were too long, each until its end or the next request.
sub overruns {
    my ($clicks, $requests) = @_;
    my @orders = grep { $_->{request} ne 'get' } @$requests;
    my @ends   = grep { !$_->{state} } @$clicks;
    my @overruns;

    for my $i (grep { $orders[$_]{request} eq 'pulse' && is_state($orders[$_]{result}) } 0 .. $#orders) {
        my $pulse = $orders[$i];
        shift @ends while @ends && $ends[0]{began} < $pulse->{answered};
        my $until = min grep { defined } @ends ? $ends[0]{began} : undef, $i < $#orders ? $orders[$i + 1]{sent} : undef;
        push @overruns, ($until // NEVER) - $pulse->{answered} - $pulse->{duration};
    }
    return @overruns;
}

1;
