# Relay boards that nobody has declared, on a bus that is not said to carry BigClown's modules: to a
# PCF8574A the address of a register is a value for its pins, so it gets plain reads and nothing
# else. The kernel's trace events are the witness. With the modules declared, they are recognized.
use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Kernel qw(wait_for);
use ClownTalk::Node;
use ClownTalk::Trace;
use ClownTalk::UsbAdapter;

my @boards   = (0x20, 0x38, 0x3b, 0x3d, 0x3f);
my $scenario = tempdir(CLEANUP => 1) . '/boards.json';
ClownTalk::Httpd::write_file($scenario, sprintf '{"chips": [%s]}', join ', ',
    (map { sprintf '{"chip": "pcf8574", "address": "%02x"}', $_ } @boards),
    '{"chip": "ssd1306", "address": "3c"}', '{"chip": "tmp112", "address": "48"}');

my $adapter = ClownTalk::UsbAdapter->new($scenario);
my $device  = $adapter->device;
my $trace   = ClownTalk::Trace->new;
my $server  = ClownTalk::Node->new(<<"END")->start;
ClownTalkBus 0 $device
ClownTalkRescan 1
END
my $client = ClownTalk::Client->connect($server->node_url);
$client->talk('clown.talk/-/config/set');
ok $client->wait_topic('thermometer/i2c0-48'), 'the hub has looked at all addresses';

# Each is watched when the bus has been opened, and then every second.
wait_for('further looks', sub {
    my %looks;
    $looks{$_->{address}}{int $_->{time}} = 1 for grep { $_->{name} eq 'i2c_read' } $trace->hub;
    return !grep { keys %{$looks{$_} || {}} < 4 } @boards;
});
$client->talk('-/-/config/list');
is_deeply $client->wait_topic('-/-/config/ok')->{payload}{actuators}, [], 'nothing is taken for a module';
for my $address (0x20 .. 0x27, 0x38 .. 0x3f) {
    my @sent = grep { $_->{name} !~ /^i2c_(?:read|reply|result)$/ } $trace->hub($address);
    is join(', ', map { "$_->{name} $_->{text}" } @sent), '', sprintf '%02x: plain reads only', $address;
}
for my $address (@boards) {
    my $hex = sprintf '%02x', $address;
    is $adapter->command("port $hex"), 'ff 0', "$hex: no pin has moved";
    like $server->wait_log(qr/CT1060: i2c0-$hex: [^\n]*/), qr{\bClownTalkDevice relay/i2c0-$hex pcf8574\b},
        "$hex: the log has the line to add";
}
like $server->wait_log(qr/CT1060: i2c0-3c: [^\n]*/), qr/\bClownTalkBus 0 \Q$device\E modules=bigclown\b/,
    '3c: a module, whose bus is to be declared';
is $server->stop, 0, 'the server ends';

done_testing;
