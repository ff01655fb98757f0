#!/usr/bin/perl
# A scenario file: what it says is there, and it may change while the bridge runs.
use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin qw($RealBin);
use lib $RealBin;
use Test::More;

use Bridge;

my $dir = tempdir(CLEANUP => 1);
my $thermometer = '{"chip": "tmp112", "address": "4%d", "temperature": %s}';

sub scenario {
    my (@chips) = @_;
    open my $file, '>', "$dir/new" or die $!;
    print {$file} @chips ? '{"chips": [' . join(', ', @chips) . ']}' : '{"chips": [';
    close $file;
    rename "$dir/new", "$dir/house.json" or die $!;
    return;
}

my ($status, $out, $log) = Bridge::run('--bus', "0=sim:$dir/house.json");
is($status, 1, 'a scenario that is not there is refused');
like($log, qr{--bus: .*house\.json}, '... by its name');

scenario(sprintf $thermometer, 8, '-12.5');
my $bridge = Bridge->opened('--bus', "0=sim:$dir/house.json", '--rescan', '0.5');
is_deeply($bridge->wait_for('thermometer/i2c0-48')->[1], {temperature => [-12.5, "\x{2103}"]}, 'a value of the scenario');

scenario();
$bridge->wait_for('thermometer/i2c0-48') until $bridge->{log} =~ /warning: CT1006: i2c0: /;
pass('a file that is wrong is reported');
is($bridge->wait_for('thermometer/i2c0-48')->[1]{temperature}[0], -12.5, '... and changes nothing');

scenario(sprintf($thermometer, 8, 30), sprintf $thermometer, 9, 40);
is($bridge->wait_for('thermometer/i2c0-49')->[1]{temperature}[0], 40, 'a chip that was added appears');

scenario(sprintf $thermometer, 9, 40);
my $value;
do { $value = $bridge->wait_for('thermometer/i2c0-48')->[1]{temperature}[0] } while defined $value;
is($value, undef, 'a chip that was taken away becomes null');
my $list;
do { $list = $bridge->wait_for('-/-/config/ok')->[1]{sensors} } while grep { /-48/ } @$list;
is_deeply($list, ['thermometer/i2c0-49'], '... and leaves the list');
is($bridge->finish, 0, 'the end');

done_testing();
