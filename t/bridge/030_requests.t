#!/usr/bin/perl
# Requests as lines: what counts as one, and that whatever comes in has one answer.
use strict;
use warnings;

use FindBin qw($RealBin);
use lib $RealBin;
use Test::More;

use Bridge;

my $bridge = Bridge->opened('--bus', '0=sim', '--led', 'sim');

# bc-bridge's own examples.
$bridge->send('["led/-/set", {"state": "2-dot"}]');
is_deeply($bridge->wait_for('led/-')->[1], {state => '2-dot'}, 'the LED');
$bridge->send('["relay/i2c0-3b/set", {"state": true}]');
is_deeply($bridge->wait_for('relay/i2c0-3b')->[1], {state => JSON::PP::true}, 'a relay');
$bridge->send('["thermometer/i2c0-48/config/update", {"publish-interval": 5}]');
is_deeply($bridge->wait_for('thermometer/i2c0-48/config/ok')->[1], {'publish-interval' => 5}, 'an interval');
$bridge->send('["i2c/0/config/scan", {}]');
my %slaves = map { @$_ } @{$bridge->wait_for('i2c/0/config/ok')->[1]{slaves}};
is($slaves{'3B'}, 'relay/i2c0-3b', 'a scan');
$bridge->send('["display-oled/i2c0-3c/set", {"line-0": "Hello"}]');
is($bridge->wait_for('display-oled/i2c0-3c')->[1]{'line-0'}, 'Hello', 'a display');

# What a line is.
$bridge->send_bytes("\n \t \r\n" . qq(["relay/i2c0-3f/get", {}, {"id": "crlf"}]\r\n));
ok($bridge->wait_for('relay/i2c0-3f', 'crlf'), 'blank lines are skipped, and a carriage return is none of it');
my $request = '["relay/i2c0-3f/get", {}, {"id": "slow"}]';
for my $byte (split //, "$request\n") { $bridge->send_bytes($byte) }
ok($bridge->wait_for('relay/i2c0-3f', 'slow'), 'a line may come a byte at a time');
my @ids = 1 .. 500;
$bridge->send_bytes(join '', map { qq(["led/-/get", {}, {"id": $_}]\n) } @ids);
for my $id (@ids) { $bridge->wait_for('led/-', $id) }
pass('five hundred at once are answered in order');

# Lines that are too long are answered and skipped, whatever their length.
my %longest = (65536 => 'unknown-device', 65537 => 'malformed', 200_000 => 'malformed', 5_000_000 => 'malformed');
for my $length (sort { $a <=> $b } keys %longest) {
    my $head = '["relay/i2c0-77/get", {"x": "';
    $bridge->send($head . ('x' x ($length - length($head) - 3)) . '"}]');
    my $message;
    do { $message = $bridge->message } until $message->[0] =~ m{/error$};
    is($message->[1]{error}, $longest{$length}, "a line of $length bytes: $longest{$length}");
}
$bridge->send('["led/-/get", {}, {"id": "after"}]');
ok($bridge->wait_for('led/-', 'after'), '... and the next one counts again');

# Bytes that are no text.
for my $case (
    ["\xff\xfe", 'no UTF-8'], ["[\"led/-/get\", {}]\0", 'a NUL'], ['[' x 1000, 'deep nesting'],
    ['["led/-/get"]', 'one element'], ['["led/-/get", {}, {}, {}]', 'four elements'],
    ['{"led/-/get": {}}', 'an object'], ['["", {}]', 'an empty topic'],
    ) {
    my ($bytes, $name) = @$case;
    $bridge->send($bytes);
    my $message;
    do { $message = $bridge->message } until $message->[0] =~ m{error$};
    like($message->[1]{error}, qr/^(malformed|unknown-topic)$/, "$name is refused");
}

# The last line feed may be missing.
$bridge->send_bytes('["relay/i2c0-3f/get", {}, {"id": "last"}]');
my @rest = $bridge->drain;
is((grep { $_->[2] && $_->[2]{id} eq 'last' } @rest), 1, 'the last line needs no line feed');
is($bridge->status, 0, 'the end');

done_testing();
