# Every sensor that SMBus can reach, and the relay, on the kernel's i2c-stub: from the registers of
# /dev/i2c-N through httpd to a WebSocket client, over TLS, with a password.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Node;
use ClownTalk::Stub;

# Topics, their chips, and raw results, one after the other, with what each is published as. The
# barometer's pressure and altitude have the same bits here (ClownTalk::Stub).
my %sensors = (
    'thermometer/i2c0-48' => [0x48, 'tmp112',
        [0x1580, '"temperature": [21.50, "℃"]'],  [0x7ff0, '"temperature": [127.94, "℃"]'],
        [0x0000, '"temperature": [0.00, "℃"]'],   [0xfff0, '"temperature": [-0.06, "℃"]'],
        [0xe700, '"temperature": [-25.00, "℃"]'], [0xc900, '"temperature": [-55.00, "℃"]'],
    ],
    'lux-meter/i2c0-44' => [0x44, 'opt3001',
        [0x1234, '"illuminance": [11.28, "lux"]'],
        [0x0001, '"illuminance": [0.01, "lux"]'],
        [0xbfff, '"illuminance": [83865.60, "lux"]'],
    ],
    'humidity-sensor/i2c0-40' => [0x40, 'hdc2080',
        [0x4d50, '"relative-humidity": [30.2, "%"]'],
        [0x0000, '"relative-humidity": [0.0, "%"]'],
        [0xffff, '"relative-humidity": [100.0, "%"]'],
    ],
    'humidity-sensor/i2c0-5f' => [0x5f, 'hts221',
        [0,      '"relative-humidity": [56.0, "%"]'], [8000,   '"relative-humidity": [40.0, "%"]'],
        [-12000, '"relative-humidity": [80.0, "%"]'], [-22001, '"relative-humidity": [100.0, "%"]'],
        [28001,  '"relative-humidity": [0.0, "%"]'],
    ],
    'barometer/i2c0-60' => [0x60, 'mpl3115a2',
        [0x62f38, '"pressure": [101.326, "kPa"], "altitude": [25331.5, "m"]'],
        [0xc3510, '"pressure": [200.004, "kPa"], "altitude": [-12000.0, "m"]'],
    ],
);

my $stub = ClownTalk::Stub->new(0x3b, map { $_->[0] } values %sensors)->plug(0x3b, 'tca9534a');
my (%address, %results);
for my $topic (keys %sensors) {
    ($address{$topic}, my $chip, my @results) = @{$sensors{$topic}};
    $stub->plug($address{$topic}, $chip, $results[0][0]);
    $results{$topic} = \@results;
}

my $server = ClownTalk::Node->new('ClownTalkBus 0 ' . $stub->device . ' modules=bigclown')->start;
my $client = ClownTalk::Client->connect($server->node_url);
$client->talk('clown.talk/-/config/set');
is $client->wait_topic('clown.talk/-/config/ok')->{payload}{device}, 'bridge',
    'the opening is answered';
is $client->wait_topic('relay/i2c0-3b')->{payload}{state}, undef,
    "the relay's position is not known yet";

$client->talk('-/-/config/list');
is_deeply $client->wait_topic('-/-/config/ok')->{payload},
    {sensors => [sort keys %results], actuators => ['relay/i2c0-3b'], notifications => ['boot']},
    'the list has every chip';

for my $round (0 .. 5) {
    my @topics = grep { $results{$_}[$round] } sort keys %results;
    $stub->result($address{$_}, $results{$_}[$round][0]) for @topics;
    for my $topic (@topics) {
        my $expected = $results{$topic}[$round][1];
        my $found = eval {
            $client->wait_topic($topic, sub { $_[0]{text} =~ /\Q$expected\E/ });
        };
        ok $found, "$topic: $expected" or diag substr $@, 0, 2000;
    }
    $client->forget;
}

is $client->request('thermometer/i2c0-48/get')->{topic}, 'thermometer/i2c0-48', 'get is answered';
$client->talk('relay/i2c0-3b/set', {state => JSON::PP::true});
ok $client->wait_topic('relay/i2c0-3b')->{payload}{state}, 'the relay is switched';
is $server->stop, 0, 'the server ends';

done_testing;
