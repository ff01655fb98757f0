# What `make soak` finds: Bench::Judge, with traces and journals that are made up.
use strict;
use warnings;

use FindBin qw($RealBin);
use lib "$RealBin/lib", "$RealBin/../bench/lib";

use File::Temp ();
use JSON::PP;
use Test::More;

use Bench::Judge;
use ClownTalk::Httpd;

my ($on, $off) = (JSON::PP::true, JSON::PP::false);
my $dir = File::Temp->newdir;
my $overrun;    # of the last verdict

# Clicks are [second, 'on' or 'off'], each of 0.02 s; requests are [second, 'set' ..., answer or nothing], answered 0.1 s later.
sub verdict {
    my ($clicks, @requests) = @_;

    ClownTalk::Httpd::write_file("$dir/trace", join '', map {
        sprintf "%.6f 3b coil %s\n%.6f 3b coil released after 0.020000 s, contact %s\n", @$_, $_->[0] + 0.02, $_->[1]
    } @$clicks);
    ClownTalk::Httpd::write_file("$dir/journal", join '', map {
        my ($sent, $request, $state, $result) = @$_;
        encode_json({relay => 'i2c1-3b', sent => $sent, request => $request, ($request eq 'set' ? (state => $state) : (duration => 4)),
            result => $result, answered => defined $result ? $sent + 0.1 : undef}) . "\n";
    } @requests);
    my $judge = Bench::Judge->new;
    $judge->trace('i2c1', "$dir/trace");
    $judge->journal("$dir/journal");
    my $verdict = $judge->verdict;
    $overrun = $verdict->{overrun};
    return map { scalar @{$verdict->{$_}} } qw(lost twice);
}

sub finds {
    my ($what, $lost, $twice, @run) = @_;

    is_deeply [verdict(@run)], [$lost, $twice], "$what: $lost lost, $twice carried out twice";
}

my @set = ([10, 'set', $on, $on], [11, 'get', undef, $on]);
finds('a request that is carried out', 0, 0, [[10.01, 'on']], @set);
finds('one that changes nothing', 0, 0, [[10.01, 'on']], @set, [20, 'set', $on, $on]);
finds('one that is carried out again', 0, 1, [[10.01, 'on'], [10.05, 'on'], [10.08, 'on']], @set, [10.02, 'set', $on, undef]);
finds('one that is carried out after its answer', 1, 1, [[5, 'off'], [10.2, 'on']], [5, 'set', $off, $off], [10, 'set', $on, $on]);
finds('one that is answered and not carried out', 1, 0, [[5, 'off']], [5, 'set', $off, $off], [10, 'set', $on, $on]);
finds('one that is answered with the other state', 1, 0, [[5, 'off']], [5, 'set', $off, $off], [10, 'set', $on, $off]);
finds('a state that is not true', 1, 0, [[10.01, 'on']], @set, [20, 'get', undef, $off]);
finds('a contact that goes off by itself', 0, 1, [[10.01, 'on'], [15, 'off']], @set);
finds('a request without an answer', 0, 0, [[10.01, 'on'], [15, 'off']], @set, [14, 'set', $off, undef], [16, 'get', undef, $off]);
finds('one without an answer, carried out a day later', 0, 1, [[10.01, 'on'], [86400, 'off']], @set, [14, 'set', $off, undef]);
finds('one that was refused and is carried out', 0, 1, [[10.01, 'on'], [15, 'off']], @set, [14.95, 'set', $off, 'busy']);
finds('a pulse', 0, 0, [[10.01, 'on'], [15, 'off']], [10, 'pulse', undef, $on]);
cmp_ok abs($overrun - 0.9), '<', 0.001, 'which ends 0.9 s too late';
finds('a pulse that another request has ended', 0, 0, [[10.01, 'on'], [12.01, 'off']], [10, 'pulse', undef, $on], [12, 'set', $off, $off]);
is $overrun, 0, 'which was not too long';
finds('a pulse without an end', 0, 0, [[10.01, 'on']], [10, 'pulse', undef, $on]);
cmp_ok $overrun, '>', 1e9, 'which was too long';
finds('a pulse whose end is repeated', 0, 0, [[10.01, 'on'], [15, 'off'], [16, 'off']], [10, 'pulse', undef, $on]);
finds('a pulse that begins again', 0, 2, [[10.01, 'on'], [15, 'off'], [16, 'on'], [17, 'off']], [10, 'pulse', undef, $on]);
finds('a set that is repeated', 0, 1, [[10.01, 'on'], [11, 'on']], [10, 'set', $on, $on]);
finds('a pulse that ends after another request', 0, 1, [[10.01, 'on'], [12.01, 'on'], [15, 'off']],
    [10, 'pulse', undef, $on], [12, 'set', $on, $on]);

done_testing;
