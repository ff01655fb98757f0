# Looking for devices disturbs no chip: nothing is written to a chip that was not identified, and an
# address that a kernel driver holds is left alone. The kernel's trace events are the witness.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Kernel qw(wait_for);
use ClownTalk::Node;
use ClownTalk::Stub;
use ClownTalk::Trace;

# Chips of other makers wherever sensors are looked for; a thermometer that the kernel's own lm75
# drives; and a relay, which shows that the hub is through.
my @unknown = (0x40, 0x41, 0x44, 0x45, 0x49, 0x5f, 0x60);
my $held    = 0x48;
my $stub    = ClownTalk::Stub->new(@unknown, $held, 0x3b);
$stub->plug(0x3b, 'tca9534a')->plug($held, 'tmp112', 0x1900);
for my $address (@unknown) {
    $stub->set_word($address, $_, $_ * 0x0101 ^ 0xa5c3) for 0 .. 255;
}
my %before = map { $_ => $stub->dump($_) } @unknown;

# What the kernel's driver reads from its chip, in 1/1000 degrees.
sub hwmon {
    my $device  = sprintf '%d-%04x', $stub->number, $held;
    my $pattern = "/sys/bus/i2c/devices/$device/hwmon/hwmon*/temp1_input";
    my $file    = wait_for('the thermometer in hwmon', sub { (glob $pattern)[0] });
    chomp(my $value = ClownTalk::Httpd::read_file($file));
    return $value;
}

$stub->bind_driver('tmp112', $held);
is hwmon(), 25000, "held: the kernel's driver reads its chip";

my $trace  = ClownTalk::Trace->new;
my $server = ClownTalk::Node->new(<<"END")->start;
ClownTalkBus 0 ${\$stub->device} modules=bigclown
ClownTalkRescan 1
END
my $client = ClownTalk::Client->connect($server->node_url);
$client->talk('clown.talk/-/config/set');
ok $client->wait_topic('relay/i2c0-3b'), 'the hub has looked at all addresses';
$client->talk('-/-/config/list');
is_deeply $client->wait_topic('-/-/config/ok')->{payload},
    {sensors => [], actuators => ['relay/i2c0-3b'], notifications => ['boot']},
    'and found nothing but the relay';

# Each address is looked at when the bus is opened, and then every second.
wait_for('further looks', sub {
    my %looks;
    for (grep { $_->{name} eq 'smbus_read' } $trace->hub) {
        $looks{$_->{address}}{int $_->{time}} = 1;
    }
    return !grep { keys %{$looks{$_} || {}} < 3 } @unknown;
});
for my $address (@unknown) {
    my $hex = sprintf '%02x', $address;
    is ClownTalk::Trace::describe($trace->hub_writes($address)), '', "$hex: nothing was written";
    is $stub->dump($address), $before{$address}, "$hex: its registers are as they were";
    like $server->wait_log(qr/CT1011: i2c0-$hex: [^\n]*/), qr/: no \w+/, "$hex: the log has a word";
}

# The address that a kernel driver holds.
sub traffic { return join '', map { "$_->{text}\n" } $trace->hub($held) }

is traffic(), '', 'held: the hub sent nothing there';
ok $server->wait_log(qr/CT1012: i2c0-48 is held by a kernel driver/), 'held: the log says so';
is hwmon(), 25000, "held: the kernel's driver still reads its chip";

$stub->unbind_driver($held);
is $client->wait_topic('thermometer/i2c0-48')->{payload}{temperature}[0], 25,
    'let go: the thermometer appears';

$stub->bind_driver('tmp112', $held);
ok $client->wait_topic(
    'thermometer/i2c0-48', sub { !defined $_[0]{payload}{temperature}[0] }
), 'taken: what can no longer be read is null';
ok $client->wait_topic('-/-/config/ok', sub { !@{$_[0]{payload}{sensors}} }),
    'taken: and it leaves the list';
$trace->forget;
is hwmon(), 25000, "taken: the kernel's driver reads its chip";
is traffic(), '', 'taken: the hub sends nothing there';

is $server->stop, 0, 'the server ends';
$stub->unbind_driver($held);
done_testing;
