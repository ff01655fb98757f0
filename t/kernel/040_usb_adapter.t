# Every device, on an adapter for any I2C transfer: the kernel's i2c-tiny-usb, plugged in over
# USB/IP, with simulated chips at the other end. Here is what i2c-stub cannot do: plain reads
# (SHT20), long writes (displays), chips and an adapter that vanish and return.
#
# A CO2 module charges for a minute before it measures: it is recognized here, and no more.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Kernel qw(wait_for);
use ClownTalk::Node;
use ClownTalk::Trace;
use ClownTalk::UsbAdapter;

# Sensors whose input is given, and what they publish then; and all the others.
my %input = (
    'barometer/i2c0-60'       => [0x60, 'pressure', 101.325, '"pressure": [101.325, '],
    'humidity-sensor/i2c0-40' => [0x40, 'relative-humidity', 55, '"relative-humidity": [55.0, '],
    'humidity-sensor/i2c0-41' => [0x41, 'relative-humidity', 44, '"relative-humidity": [44.0, '],
    'humidity-sensor/i2c0-5f' => [0x5f, 'relative-humidity', 33, '"relative-humidity": [33.0, '],
    'lux-meter/i2c0-44'       => [0x44, 'illuminance', 40.96, '"illuminance": [40.96, '],
    'thermometer/i2c0-48'     => [0x48, 'temperature', -12.25, '"temperature": [-12.25, '],
);
my @sensors = sort keys %input,
    qw(co2-sensor/i2c0-38 lux-meter/i2c0-45 thermometer/i2c0-49);
my @actuators = qw(display-oled/i2c0-3c relay/i2c0-3b relay/i2c0-3f);

my $adapter = ClownTalk::UsbAdapter->new;
$adapter->set(@{$input{$_}}[0 .. 2]) for keys %input;
my $trace  = ClownTalk::Trace->new;
my $server = ClownTalk::Node->new(<<"END")->start;
ClownTalkBus 0 ${\$adapter->device} modules=bigclown
ClownTalkRescan 1
END
my $client = ClownTalk::Client->connect($server->node_url);
$client->talk('clown.talk/-/config/set');

# Waits for a message that fits; a test of its own.
sub comes {
    my ($topic, $fits, $what) = @_;

    my $found = eval { $client->wait_topic($topic, $fits, 30) };
    ok $found, $what or diag substr $@, 0, 2000;
}

# The list has these, at once or when devices have come or gone.
sub list_is {
    my ($sensors, $actuators, $what) = @_;

    $client->talk('-/-/config/list');
    comes('-/-/config/ok', sub {
        my ($list) = $_[0]{payload};
        return "@{$list->{sensors}}" eq "@$sensors" && "@{$list->{actuators}}" eq "@$actuators";
    }, $what);
    $client->forget;
}

# ---- what each device says ----

list_is(\@sensors, \@actuators, 'every chip is found');
for my $topic (sort keys %input) {
    my $expected = $input{$topic}[3];
    comes($topic, sub { $_[0]{text} =~ /\Q$expected/ }, "$topic: $expected");
}

# SHT20: the command, then plain reads, which it refuses while it measures.
my @sht20 = $trace->hub(0x40);
my %commands;
$commands{sprintf '%02x', $_->{data}[0]}++ for grep { $_->{name} eq 'i2c_write' } @sht20;
ok $commands{f5}, 'SHT20: commanded to measure without holding the clock';
ok !$commands{e5}, 'SHT20: and never otherwise';
ok scalar(grep { $_->{name} eq 'i2c_read' && $_->{length} == 3 } @sht20),
    'SHT20: its answer is read without a register';

# A display: a page of 128 columns is one message, and only what has changed is sent.
my $dark = $adapter->command('display 3c');
$trace->forget;
$client->talk('display-oled/i2c0-3c/set', {'line-1' => 'Clown.Hub'});
comes('display-oled/i2c0-3c', sub { $_[0]{payload}{'line-1'} eq 'Clown.Hub' },
    'display: the line is published');
wait_for('the line to be drawn', sub { $adapter->command('display 3c') ne $dark });
my @pages = unpack '(a256)8', $adapter->command('display 3c');
is join('', map { /[^0]/ ? 1 : 0 } @pages), '01000000', 'display: it is on the second page';
my @long = grep { $_->{name} eq 'i2c_write' && $_->{length} > 33 } $trace->hub(0x3c);
is join(' ', map { $_->{length} } @long), '129', 'display: one page was sent, in one message';

$client->talk('relay/i2c0-3f/set', {state => JSON::PP::true});
comes('relay/i2c0-3f', sub { $_[0]{payload}{state} }, 'relay: switched');
is $adapter->command('relay 3f'), '1 1', 'relay: the contact has moved, once';
is $adapter->command('relay 3b'), '-1 0', 'relay: the other one has not';

# ---- a chip goes, and returns ----

$adapter->command('unplug 40');
comes('humidity-sensor/i2c0-40', sub { !defined $_[0]{payload}{'relative-humidity'}[0] },
    'a chip is unplugged: null');
list_is([grep { !/-40$/ } @sensors], \@actuators, 'a chip is unplugged: it leaves the list');
$adapter->command('plug 40');
list_is(\@sensors, \@actuators, 'a chip is plugged in: it is there again');

# ---- the adapter goes, and returns ----

# The kernel is rid of it only when the hub has let go of /dev/i2c-N.
my $device = $adapter->device;
$adapter->unplug;
comes('thermometer/i2c0-48', sub { !defined $_[0]{payload}{temperature}[0] },
    'the adapter is pulled: null');
list_is([], [], 'the adapter is pulled: the list is empty');
ok $server->wait_log(qr/CT1005: i2c0 \(\Q$device\E\): the bus is gone/),
    'the adapter is pulled: the log says so';
wait_for('the adapter to be gone', sub { !-e $device });

# By now the hub is no longer root.
$adapter = ClownTalk::UsbAdapter->new;
is $adapter->device, $device, 'another adapter is plugged in';
ok $server->wait_log(qr/CT1002: [^\n]*Permission denied; its owner is root/),
    'the hub may not open it: the log says so';
chmod 0666, $device;    # which udev would do for the group i2c, and the group would have the user
list_is(\@sensors, \@actuators, 'it may: all devices return');

is $server->stop, 0, 'the server ends';
$adapter->unplug;
done_testing;
