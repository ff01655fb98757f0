# Who may do what: authenticated users may switch, and no user may use raw I2C, unless
# ClownTalkControl and ClownTalkRawI2C say otherwise. What is not allowed is answered with "forbidden".
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Server;

my $server = ClownTalk::Server->new(config => <<'END')->start;
ClownTalkBus      0 sim
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkLED      sim
# For raw I2C: what a driver holds is not to be had.
ClownTalkDevice   thermometer/i2c0-49 none

<Location "/">
    SetHandler clowntalk
</Location>
<LocationMatch "^/(auth|off|expr|raw)/">
    AuthType          Basic
    AuthName          "@realm@"
    AuthBasicProvider file
    AuthUserFile      "@t_conf@/htpasswd"
    Require           valid-user
</LocationMatch>
<Location "/open-on">
    ClownTalkControl On
</Location>
<Location "/off">
    ClownTalkControl Off
</Location>
<Location "/expr">
    ClownTalkControl "%{REMOTE_USER} in { 'clown', 'another' }"
    ClownTalkRawI2C  "%{REMOTE_USER} == 'reader' && %{HTTPS} == 'on'"
</Location>
<Location "/raw">
    ClownTalkRawI2C On
</Location>
<Location "/open-raw">
    ClownTalkRawI2C On
</Location>
END

my %password = (clown => 'bigclown', reader => 'readonly');
my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my %request = (
    control => [
        ['relay/i2c0-3b/set',              {state => $true}],
        ['relay/i2c0-3b/pulse/set',        {duration => 0.1}],
        ['led/-/set',                      {state => 'on'}],
        ['thermometer/i2c0-48/config/set', {'publish-interval' => 1}],
        ['thermometer/i2c0-48/config/update', {'publish-interval' => 1}],
    ],
    raw => [
        ['i2c/0/config/scan', {}],
        ['i2c/0/get',         {address => '49', write => '01', 'read-length' => 2}],
        ['i2c/0/set',         {address => '49', write => '01,60,A0'}],
    ],
    look => [
        ['relay/i2c0-3b/get',              {}],
        ['thermometer/i2c0-48/get',        {}],
        ['thermometer/i2c0-48/config/get', {}],
        ['-/-/config/list',                {}],
    ],
);

# The location, the user, and whether control and raw I2C are allowed.
for my $case (
    ['wss', '/anybody',  undef,    0, 0],
    ['wss', '/auth/',    'clown',  1, 0],
    ['wss', '/auth/',    'reader', 1, 0],
    ['wss', '/open-on',  undef,    1, 0],
    ['wss', '/off',      'clown',  0, 0],
    ['wss', '/expr',     'clown',  1, 0],
    ['wss', '/expr',     'reader', 0, 1],
    ['ws',  '/expr',     'reader', 0, 0],
    ['wss', '/raw',      'clown',  1, 1],
    ['wss', '/open-raw', undef,    0, 1],
) {
    my ($scheme, $path, $user, %may) = (@$case[0 .. 2], control => $case->[3], raw => $case->[4], look => 1);
    my $client = ClownTalk::Client->connect($server->url($scheme, "$path/clown-talk-server_nodes_bridge_0",
        $user && "$user:$password{$user}"));
    my $name = "$scheme $path, " . ($user // 'nobody');
    is_deeply $client->open_talk->{control}, $may{control} ? undef : $false,
        "$name: the opening says who may only look";
    for my $kind (qw(look control raw)) {
        for my $request (@{$request{$kind}}) {
            my ($topic, $payload) = @$request;
            my $answer = $client->request($topic, $payload);
            if ($may{$kind}) {
                ok !$answer->{payload}{error}, "$name: $topic is allowed" or diag $answer->{text};
            } else {
                my $directive = $kind eq 'raw' ? 'ClownTalkRawI2C' : 'ClownTalkControl';
                is $answer->{topic}, $topic =~ s{[^/]+$}{error}r, "$name: $topic is an error";
                is $answer->{payload}{error}, 'forbidden', "$name: $topic is forbidden";
                like $answer->{payload}{message}, qr/\b$directive\b/, 'and the answer names what decides it';
            }
        }
    }
}

# ---- raw I2C itself ----

{
    my $client = ClownTalk::Client->connect(
        $server->url('wss', '/raw/clown-talk-server_nodes_bridge_0', 'clown:bigclown'));
    my $other = ClownTalk::Client->connect(
        $server->url('wss', '/auth/clown-talk-server_nodes_bridge_0', 'clown:bigclown'));
    $_->open_talk for $client, $other;
    my %slave = map { @$_ } @{$client->request('i2c/0/config/scan')->{payload}{slaves}};
    is $slave{48}, 'thermometer/i2c0-48', 'a scan finds a device with its driver';
    ok exists $slave{49} && !defined $slave{49}, 'and a chip without one';
    is_deeply $client->request('i2c/0/get', {address => '49', write => '01', 'read-length' => 2})->{payload},
        {address => '49', write => '01', read => '60,A0'}, "the chip's register after power-up";
    is $client->request('i2c/0/get', {address => '10', 'read-length' => 1})->{payload}{error}, 'io-error',
        'an address where no chip answers: io-error';
    is $client->request('i2c/0/get', {address => $_, 'read-length' => 1})->{payload}{error}, 'bad-payload',
        "an address that is none, $_: bad-payload" for '80', 'x', '';
    is $client->request('i2c/7/get', {address => '49', 'read-length' => 1})->{payload}{error}, 'unknown-device',
        'a bus that is none';
    $other->request('-/-/config/list');
    is scalar(grep { $_->{topic} =~ /^i2c/ } @{$other->{inbox}}), 0, 'others hear nothing of it';
}

done_testing;
