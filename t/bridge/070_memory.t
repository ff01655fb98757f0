#!/usr/bin/perl
# What cannot be written, because files may not grow, is not known afterwards. This needs no rights; a full
# disk is t/116_failing_disk.t's.
use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin qw($RealBin);
use lib $RealBin;
use Test::More;

use Bridge;

my $relay = 'relay/i2c0-3b';
my $dir = tempdir(CLEANUP => 1);
open my $scenario, '>', "$dir/scenario.json" or die $!;
print {$scenario} '{"memory": "memory", "chips": [{"chip": "relay-module", "address": "3b"}]}';
close $scenario;
my @arguments = ('--bus', "0=sim:$dir/scenario.json", '--state-dir', "$dir/states");

sub switch {
    my ($bridge, $to) = @_;
    $bridge->send(qq(["$relay/set", {"state": $to}, {"id": "set"}]));
    return $bridge->wait_for($relay, 'set')->[1]{state} ? 'true' : 'false';
}

sub list {
    my ($bridge) = @_;
    $bridge->send('["-/-/config/list", {}, {"id": "list"}]');
    return $bridge->wait_for('-/-/config/ok', 'list')->[1];
}

sub slurp {
    my ($name) = @_;
    open my $file, '<', "$dir/states/nodes_bridge_0.$name" or return '';
    local $/;
    return scalar <$file>;
}

# Bytes that the bridge's files may have: none; or as many as the first place for a note.
for my $limit (0, 128) {
    my $bridge = Bridge->opened(@arguments);
    is switch($bridge, $_), $_, "$limit bytes: before, it is switched" for 'true', 'false';
    for (1 .. 200) {
        last if slurp('json') =~ /"state":\s*false/ && slurp('moving') !~ m{^\S+(?: pulse)? *$}m;
        select undef, undef, undef, 0.02;
    }
    system('prlimit', '--pid', $bridge->{pid}, "--fsize=$limit") == 0 or die 'prlimit';
    is switch($bridge, $_), $_, "$limit bytes: it moves all the same" for 'true', 'false', 'true';
    my $list = list($bridge);
    # What is written last may not have failed yet.
    $list = $bridge->wait_for('-/-/config/ok')->[1] until exists $list->{remembers};
    ok !$list->{remembers}, "$limit bytes: it says that nothing is remembered";
    like slurp('json'), qr/"state":\s*false/, "$limit bytes: the file still says that it is off";
    if ($limit) { like slurp('moving'), qr{^\Q$relay\E }, "$limit bytes: the move is noted" }
    else        { is slurp('moving'), '', "$limit bytes: the notes say nothing of any relay" }
    kill 'KILL', $bridge->{pid};
    is $bridge->status, 128 + 9, "$limit bytes: it is killed";
    like $bridge->{log}, qr/CT1022/, "$limit bytes: it had said so";

    $bridge = Bridge->opened(@arguments);
    is_deeply $bridge->{values}{$relay}, {state => undef}, "$limit bytes: the next one does not know";
    is_deeply list($bridge)->{remembers}, undef, "$limit bytes: and remembers";
    is $bridge->finish, 0, 'the end';
    like $bridge->{log}, $limit ? qr/CT1024/ : qr/CT1052/, "$limit bytes: it has said why";

    $bridge = Bridge->opened(@arguments);
    is_deeply $bridge->{values}{$relay}, {state => undef}, "$limit bytes: nor does the one after that";
    is $bridge->finish, 0, 'the end';
    unlike $bridge->{log}, qr/CT1024|CT1052/, "$limit bytes: for which that is written down";
}

done_testing();
