#!/usr/bin/perl
# What the command line may say, and the sentences for what it may not.
use strict;
use warnings;

use FindBin qw($RealBin);
use lib $RealBin;
use Test::More;

use Bridge;

my ($status, $out, $log) = Bridge::run('--help');
is($status, 0, '--help succeeds');
like($out, qr/^Usage: clowntalk-bridge /, '... and says how to use it');
for my $option (qw(bus node device interval led state-dir rescan furious)) {
    like($out, qr/--$option\b/, "... names --$option");
}

($status, $out) = Bridge::run('--version');
is($status, 0, '--version succeeds');
like($out, qr/^clowntalk-bridge \d+\.\d+\.\d+ \(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\)\n\z/, '... and says which one it is');

my @wrong = (
    [[], qr/--bus: at least one is needed/],
    [['--bus', 'sim'], qr/--bus: must be LABEL=DEVICE/],
    [['--bus', '100=sim'], qr/--bus: a bus's label must be 0 to 99/],
    [['--bus', '0=i2c-1'], qr{--bus: .*must be /dev/i2c-N, sim or sim:FILE}],
    [['--bus', '0=sim,modules=grove'], qr/--bus: a bus's option must be modules=bigclown or modules=none, not/],
    [['--bus', '0=sim,bigclown'], qr{--bus: .*must be /dev/i2c-N, sim or sim:FILE}],
    [['--bus', '0=sim', '--bus', '0=sim'], qr/--bus: each must have a label of its own/],
    [['--bus', '0=sim', '--device', ''], qr/--device: must be "TOPIC/],
    [['--bus', '0=sim', '--device', 'relay/i2c0-20 nosuch'], qr/--device: .*must be one of .*pcf8574/],
    [['--bus', '0=sim', '--device', 'relay/i2c0-20-0 pcf8574 pin=9'], qr/--device: .*pin must be 0 to 7/],
    [['--bus', '0=sim', '--interval', 'thermometer'], qr/--interval: must be TYPE=SECONDS/],
    [['--bus', '0=sim', '--interval', 'kettle=1'], qr/--interval: .*must be one of .*thermometer/],
    [['--bus', '0=sim', '--interval', 'thermometer=0.01'], qr/--interval: .*0.1 to 86400/],
    [['--bus', '0=sim', '--rescan', '-1'], qr/--rescan: must be 0 to 86400/],
    [['--bus', '0=sim', '--node', ''], qr/--node: must not be empty/],
    [['--bus', '0=sim', '--state-dir', '/nonexistent/dir'], qr/--state-dir: .*No such file/],
    [['--bus', '0=sim', 'what'], qr/'what' is not an option/],
    [['--what'], qr/unrecognized option.*Try clowntalk-bridge --help/s],
);
for my $case (@wrong) {
    my ($arguments, $sentence) = @$case;
    ($status, $out, $log) = Bridge::run(@$arguments);
    is($status, 1, "refused: @$arguments");
    is($out, '', '... with nothing on standard output');
    like($log, $sentence, '... and a sentence that says what is allowed');
}

my $bridge = Bridge->opened('--bus', '0=sim', '--bus', '7=sim', '--interval', 'thermometer=0.1',
    '--device', '  relay/i2c0-3b   power-on=off ', '--device', 'thermometer/i2c7-48 none');
my $list = do { $bridge->send('["-/-/config/list", {}, {"id": 1}]'); $bridge->wait_for('-/-/config/ok', 1) };
ok((grep { $_ eq 'relay/i2c7-3b' } @{$list->[1]{actuators}}), 'several buses');
ok(!(grep { $_ eq 'thermometer/i2c7-48' } @{$list->[1]{sensors}}), 'an address that is left alone');
$bridge->send('["thermometer/i2c0-48/config/get", {}]');
is($bridge->wait_for('thermometer/i2c0-48/config/ok')->[1]{'publish-interval'}, 0.1, 'an interval by type');
is($bridge->finish, 0, 'the end');

done_testing();
