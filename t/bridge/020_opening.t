#!/usr/bin/perl
# The opening, and what comes before it.
use strict;
use warnings;

use FindBin qw($RealBin);
use lib $RealBin;
use Test::More;

use Bridge;

my $bridge = Bridge->start('--bus', '0=sim', '--led', 'sim');
$bridge->send('["-/-/config/list", {}, {"id": "early"}]');
is_deeply(
    $bridge->message,
    [
        '-/-/config/error',
        {
            error   => 'not-initialized',
            message => 'the first message must be ["clown.talk/-/config/set", {}]'
        },
        {id => 'early'}
    ],
    'a request before the opening is an error, and the first thing that is said'
);
$bridge->send('what is this');
is($bridge->message->[1]{error}, 'malformed', 'nonsense is malformed even then');

$bridge->send('["clown.talk/-/config/set", {}, {"id": 1}]', '["-/-/config/list", {}, {"id": 2}]');
my $opening = $bridge->message;
is($opening->[0], 'clown.talk/-/config/ok', 'the opening is answered');
is($opening->[1]{device}, 'bridge', '... device');
is($opening->[1]{capabilities}, 1, '... capabilities');
ok(!$opening->[1]{ack}, '... ack');
like($opening->[1]{'firmware-datetime'}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, '... firmware-datetime');
like($opening->[1]{'firmware-release'}, qr/^\d+\.\d+\.\d+/, '... firmware-release');
is($opening->[2]{id}, 1, '... with its id');

# Then the last values at once, and what was asked next.
my %values;
my $message;
while (($message = $bridge->message)->[0] ne '-/-/config/ok') {
    $values{$message->[0]} = $message->[1];
}
is($message->[2]{id}, 2, 'the next request is answered after it');
is_deeply($values{'led/-'}, {state => 'off'}, 'the LED is among the last values');
is_deeply($values{'relay/i2c0-3b'}, {state => undef}, 'so is a relay with an unknown state');
is_deeply($message->[1]{notifications}, ['boot'], 'the list');
is_deeply([sort keys %values], [sort grep { $values{$_} } @{$message->[1]{sensors}}, @{$message->[1]{actuators}}],
    'every value belongs to a device of the list');

my $live = $bridge->wait_for('thermometer/i2c0-48');
is($live->[2], undef, 'live messages have no third element');
is($live->[1]{temperature}[1], "\x{2103}", 'a quantity has its unit');
like((grep { /thermometer/ } @{$bridge->{read}})[-1], qr/\[-?\d+\.\d\d, /, '... and two decimals');

$bridge->send('["clown.talk/-/config/set", {}, {"id": 3}]');
$bridge->wait_for('clown.talk/-/config/ok', 3);
$bridge->wait_for('thermometer/i2c0-48', 3);
pass('a second opening is answered again, with the values');
is($bridge->finish, 0, 'the end');

$bridge = Bridge->start('--bus', '0=sim', '--furious');
is_deeply($bridge->message, ['boot', {'reason-for-reset' => 'power-on'}], 'furious: it notifies its boot');
$bridge->send('["relay/i2c0-3b/get", {}, {"id": 1}]');
is_deeply($bridge->wait_for('relay/i2c0-3b', 1)->[1], {state => undef}, '... and needs no opening');
is($bridge->finish, 0, 'the end');

$bridge = Bridge->start('--bus', '0=sim', '-f');
$bridge->send('["relay/i2c0-3b/get", {}, {"id": 1}]');
is_deeply($bridge->wait_for('relay/i2c0-3b', 1)->[1], {state => undef}, '-f is --furious');
is($bridge->finish, 0, 'the end');

# Some editors put a byte order mark in front of a text.
$bridge = Bridge->start('--bus', '0=sim');
$bridge->send_bytes("\xef\xbb\xbf" . qq(["clown.talk/-/config/set", {}, {"id": 1}]\n));
is($bridge->wait_for('clown.talk/-/config/ok', 1)->[1]{device}, 'bridge', 'a mark in front of the first line is skipped');
$bridge->send_bytes("\xef\xbb\xbf" . qq(["-/-/config/list", {}, {"id": 2}]\n));
is($bridge->wait_for('-/-/error')->[1]{error}, 'malformed', '... and nowhere else');
is($bridge->finish, 0, 'the end');

done_testing();
