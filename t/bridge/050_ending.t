#!/usr/bin/perl
# How it ends: with its input, with its reader, with a signal; and a reader that pauses.
use strict;
use warnings;

use FindBin qw($RealBin);
use lib $RealBin;
use POSIX ();
use Test::More;

use Bridge;

# What was asked is answered before the end.
my $bridge = Bridge->start('--bus', '0=sim');
$bridge->send('["clown.talk/-/config/set", {}]');
$bridge->send(map { qq(["relay/i2c0-3b/set", {"state": ) . ($_ % 2 ? 'true' : 'false') . qq(}, {"id": $_}]) } 1 .. 8);
my @messages = $bridge->drain;
is($bridge->status, 0, 'the end of its input ends it');
is_deeply([map { $_->[2]{id} } grep { $_->[0] eq 'relay/i2c0-3b' && $_->[2] } @messages], [1 .. 8],
    '... after every answer');

is((Bridge::run('--bus', '0=sim'))[0], 0, 'so does an input without anything');

for my $signal (qw(TERM INT HUP)) {
    $bridge = Bridge->opened('--bus', '0=sim');
    kill $signal, $bridge->{pid};
    1 while defined $bridge->line;
    is($bridge->status, 0, "SIG$signal ends it cleanly");
}

# The reader has gone.
$bridge = Bridge->opened('--bus', '0=sim', '--interval', 'thermometer=0.1');
close $bridge->{out};
is($bridge->status, 0, 'the end of its reader ends it');

# A reader that pauses misses nothing: nothing is read before all is asked, and that is more than
# a pipe holds.
$bridge = Bridge->opened('--bus', '0=sim', '--interval', 'thermometer=0.1', '--led', 'sim');
my $n = 3000;
my $pid = fork // die $!;
if (!$pid) {
    $bridge->{pid} = 0;
    $bridge->send(map { qq(["led/-/get", {}, {"id": $_}]) } 1 .. $n);
    POSIX::_exit(0);
}
waitpid $pid, 0;
my $next = 1;
while ($next <= $n) {
    my $message = $bridge->wait_for('led/-');
    $next++ if $message->[2] && $message->[2]{id} eq $next;
}
pass('every answer comes after a pause, in order');
is($bridge->finish, 0, 'the end');

done_testing();
