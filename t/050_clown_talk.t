# Clown.Talk over WebSocket: opening, list, get, set, config, errors, ids, and which client gets what.
use strict;
use warnings;
use utf8;

use Encode qw(encode);
use Test::More;

use ClownTalk::Client;
use ClownTalk::Server;
use ClownTalk::Suite;

my $node = ClownTalk::Suite::NODE;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);

sub client  { return ClownTalk::Client->connect(ClownTalk::Suite->url('wss', "$_[0]/$node", $_[1])) }

# Forgets what has come, and what was on its way: the answer to a request comes behind it.
sub settle {
    my ($client) = @_;

    $client->request('-/-/config/list');
    return $client->forget;
}

sub opened {
    my $client = client(@_ ? @_ : '/switch');
    $client->open_talk;
    return settle($client);
}

# One request as it stands there, and its answer: the first message with such a topic.
sub answer_to {
    my ($client, $line, $topic) = @_;

    $client->forget;
    $client->send_text($line);
    return $client->wait_topic($topic);
}

# ---- the opening ----

my $watcher = opened();

{
    my $client = client('/auth', 'clown:bigclown');
    $watcher->forget->wait_topic('thermometer/i2c0-48');
    is_deeply [$client->barrier], [], 'before the opening the server says nothing, though a value came';

    $client->send_text('["clown.talk/-/config/set", {}]' . "\n");
    my $ok = $client->read_talk;
    is $ok->{topic}, 'clown.talk/-/config/ok', 'the opening is answered first';
    is $ok->{parameters}, undef, 'without an id, as it had none';
    my $payload = $ok->{payload};
    is $payload->{ack}, $false, 'ack';
    is $payload->{device}, 'bridge', 'device';
    is $payload->{capabilities}, 1, 'capabilities';
    like $payload->{'firmware-datetime'}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'firmware-datetime: ISO 8601, UTC';
    is $payload->{'firmware-release'}, ClownTalk::Settings->get('version'), 'firmware-release';

    # The values of all devices follow, though relays publish no more than changes.
    my @devices = qw(thermometer/i2c0-48 thermometer/i2c0-49 relay/i2c0-3b relay/i2c0-3f led/-);
    my %values;
    for (1 .. 50) {
        my $message = $client->read_talk;
        $values{$message->{topic}} //= $message;
        last unless grep { !$values{$_} } @devices;
    }
    ok $values{$_}, "then the last value of $_" for @devices;
    my $temperature = $values{'thermometer/i2c0-48'};
    like $temperature->{text}, qr/"temperature": \[-?\d+\.\d\d, "\xe2\x84\x83"\]/,
        'a temperature has two decimals and its unit, U+2103';
    is_deeply $temperature->{payload}{temperature}[1], '℃', 'which JSON.parse reads';

    is $client->wait_topic('thermometer/i2c0-49')->{parameters}, undef, 'then live messages';

    my $again = $client->forget->request('clown.talk/-/config/set');
    is $again->{topic}, 'clown.talk/-/config/ok', 'a second opening is answered again';
    $client->wait_topic($_) for qw(relay/i2c0-3b relay/i2c0-3f);
    pass 'with the values again';
}

for my $line (
    ['["-/-/config/list", {}]',                         '-/-/config/error'],
    ['["thermometer/i2c0-48/get", {}, {"id": 1}]',      'thermometer/i2c0-48/error'],
    ['["relay/i2c0-3b/set", {"state": true}]',          'relay/i2c0-3b/error'],
    ['["thermometer/i2c0-48/config/get", {}]',          'thermometer/i2c0-48/config/error'],
) {
    my ($request, $topic) = @$line;
    my $client = client('/switch');
    my $error = answer_to($client, $request, $topic);
    is $error->{payload}{error}, 'not-initialized', "before the opening: $request";
    is_deeply $error->{parameters}, $request =~ /"id"/ ? {id => 1} : undef, 'with its id, if it had one';
    is $client->request('clown.talk/-/config/set')->{topic}, 'clown.talk/-/config/ok', 'it can still open';
}
{
    my $client = client('/switch/at-once');
    is $client->request('thermometer/i2c0-48/get')->{topic}, 'thermometer/i2c0-48',
        'ClownTalkRequireOpening Off: a request without the opening';
    ok $client->wait_topic('thermometer/i2c0-49'), 'and publications too';
}

# ---- list ----

my $client = opened();
{
    my $list = $client->request('-/-/config/list')->{payload};
    is_deeply [sort keys %$list], [qw(actuators notifications sensors)], 'the list has three kinds';
    my %has = map { my $kind = $_; map { ("$kind $_" => 1) } @{$list->{$kind}} } keys %$list;
    ok $has{$_}, "the list has $_"
        for 'sensors thermometer/i2c0-48', 'sensors thermometer/i2c0-49', 'actuators relay/i2c0-3b',
            'actuators relay/i2c0-3f', 'actuators led/-', 'notifications boot';
}

# ---- get and set ----

{
    my $relay = 'relay/i2c0-3b';
    my $answer = $client->request("$relay/set", {state => $true});
    is_deeply [@$answer{qw(topic payload)}], [$relay, {state => $true}], 'set is answered by the publication';
    is_deeply $client->request("$relay/get")->{payload}, {state => $true}, 'get answers with the state';
    is_deeply $client->request("$relay/set", {state => $false})->{payload}, {state => $false}, 'off again';
    is_deeply $client->request("$relay/get")->{payload}, {state => $false}, 'as get says';
    is_deeply answer_to($client, qq(["relay/i2c0-3B/set", {"state": true}]), $relay)->{payload},
        {state => $true}, 'an address in upper case is answered in lower case';

    like $client->request('thermometer/i2c0-48/get')->{text},
        qr/^\["thermometer\/i2c0-48", \{"temperature": \[-?\d+\.\d\d, /, 'get measures';
    is_deeply $client->request('led/-/set', {state => $_})->{payload}, {state => $_}, "the LED: $_"
        for qw(on 1-dot 2-dot 3-dot off);
    is_deeply $client->request('led/-/get')->{payload}, {state => 'off'}, 'get answers with it';
}

# ---- two clients, and a third without a password ----

{
    my ($one, $two) = map { opened('/auth', $_) } 'clown:bigclown', 'reader:readonly';
    my @each = ([$one, $two, 'one'], [$two, $one, 'the other']);
    for my $pair (@each) {
        my ($asker, $other, $who) = @$pair;
        for my $state ($true, $false) {
            settle($_) for $one, $two;
            my $answer = $asker->request('relay/i2c0-3f/set', {state => $state});
            my $news = $other->wait_topic('relay/i2c0-3f');
            is $answer->{payload}{state}, $state, "$who switches and gets the answer";
            is $news->{payload}{state}, $state, 'the other one sees it';
            is $news->{parameters}, undef, "without the asker's id";
            # What either has been sent by now can hold no second one.
            $_->request('-/-/config/list') for $one, $two;
            is scalar(grep { $_->{topic} eq 'relay/i2c0-3f' } @{$one->{inbox}}, @{$two->{inbox}}), 0,
                'and each of them once';
        }
    }
    is(ClownTalk::Client->new(ClownTalk::Suite->url('wss', "/auth/$node"))->status, 401,
        'a third without a password: 401');

    # Replies are for the asker.
    settle($two);
    $one->request($_) for 'thermometer/i2c0-48/get', '-/-/config/list', 'thermometer/i2c0-48/config/get',
        'relay/i2c0-77/get';
    $two->request('-/-/config/list');
    is scalar(grep { $_->{parameters} || $_->{topic} !~ m{^[a-z0-9-]+/i2c0-[0-9a-f]{2}$} } @{$two->{inbox}}), 0,
        'replies of one do not reach the other';
}

# ---- several messages in one, binary ones, order ----

{
    my @lines = map { qq(["relay/i2c0-3b/get", {}, {"id": "$_"}]) } 1 .. 4;
    for my $case (
        ['in one text message',               'send_text',   join("\n", @lines) . "\n"],
        ['the last without its newline',      'send_text',   join "\n", @lines],
        ['with blank lines between',          'send_text',   "\n\n" . join("\n\n", @lines) . "\n\n"],
        ['in one binary message',             'send_binary', join("\n", @lines) . "\n"],
    ) {
        my ($name, $send, $bytes) = @$case;
        $client->forget->$send($bytes);
        my @ids = map { $client->wait_topic('relay/i2c0-3b', sub { $_[0]{parameters} })->{parameters}{id} } @lines;
        is_deeply \@ids, [1 .. 4], "four messages $name: all answered, in order";
    }
    $client->forget;
    $client->send_binary("\n");
    $client->send_text('');
    is_deeply [grep { $_->{payload} =~ /error/ } $client->barrier], [], 'nothing is no error';

    # Requests to one device are carried out in the order sent.
    my @states = map { $_ % 3 ? 'true' : 'false' } 1 .. 8;
    settle($watcher);
    $client->send_text(join "\n", map { qq(["relay/i2c0-3f/set", {"state": $states[$_]}, {"id": $_}]) } 0 .. $#states);
    my @answers = map { $client->wait_topic('relay/i2c0-3f', sub { $_[0]{parameters} }) } @states;
    is_deeply [map { $_->{parameters}{id} } @answers], [0 .. $#states], 'eight commands: answered in order';
    is_deeply [map { $_->{payload}{state} ? 'true' : 'false' } @answers], \@states, 'and carried out in order';
    is_deeply [map { $watcher->wait_topic('relay/i2c0-3f')->{payload}{state} ? 'true' : 'false' } @states], \@states,
        'as the other client sees too';
}

# ---- ids come back as they went ----

for my $id ('7', '-1', '0', '"seven"', '""', '"℃ \u0041"', '9007199254740993', '0.1', '"x' . 'y' x 100 . '"') {
    my $answer = answer_to($client, qq(["-/-/config/list", {}, {"id": $id, "other": [1]}]), '-/-/config/ok');
    my $expected = encode('UTF-8', $id =~ s/\\u0041/A/r);
    like $answer->{text}, qr/, \{"id": \Q$expected\E\}\]\n$/, "id $expected";
}
is answer_to($client, '["-/-/config/list", {}, {}]', '-/-/config/ok')->{parameters}, undef,
    'parameters without an id: none comes back';
is_deeply answer_to($client, '["relay/i2c0-77/get", {}, {"id": "e"}]', 'relay/i2c0-77/error')->{parameters},
    {id => 'e'}, 'an error carries it too';

# ---- config ----

{
    my $config = 'thermometer/i2c0-49/config';
    is_deeply $client->request("$config/$_")->{payload}{'publish-interval'}, 1, "config/$_: a second by default"
        for qw(get list);
    for my $verb (qw(set update)) {
        my $answer = $client->request("$config/$verb", {'publish-interval' => 0.1});
        is $answer->{topic}, "$config/ok", "config/$verb: ok";
        is $answer->{payload}{'publish-interval'}, 0.1, 'with what was set';
    }
    is $client->request("$config/set", {'publish-interval' => undef})->{payload}{'publish-interval'}, undef,
        'null: no periodic publication';
    $client->request('thermometer/i2c0-48/config/set', {'publish-interval' => 0.1});
    $client->forget;
    $client->wait_topic('thermometer/i2c0-48') for 1 .. 5;
    is scalar(grep { $_->{topic} eq 'thermometer/i2c0-49' } @{$client->{inbox}}), 0,
        'one is silent while the other publishes five times';
    is $client->request('thermometer/i2c0-49/get')->{topic}, 'thermometer/i2c0-49', 'but answers a get';
    $client->request("thermometer/i2c0-$_/config/set", {'publish-interval' => 1}) for 48, 49;
}

# ---- errors: a bad message is answered, and ends nothing ----

my $none = '-/-/error';
for my $case (
    # error, topic of the answer, request
    ['malformed',      $none, 'not JSON'],
    ['malformed',      $none, '{"relay/i2c0-3b/set": {}}'],
    ['malformed',      $none, '"relay/i2c0-3b/set"'],
    ['malformed',      $none, '[]'],
    ['malformed',      $none, '[1, {}]'],
    ['malformed',      $none, '[null, {}]'],
    ['malformed',      'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {"state": tru}]'],
    ['malformed',      $none, "['relay/i2c0-3b/get', {}]"],
    ['malformed',      'relay/i2c0-3b/error', '["relay/i2c0-3b/get", {}] x'],
    ['malformed',      'relay/i2c0-3b/error', '["relay/i2c0-3b/get", {}'],
    ['malformed',      $none, '[' x 5000],
    ['malformed',      'relay/i2c0-3b/error', '["relay/i2c0-3b/set"]'],
    ['malformed',      'relay/i2c0-3b/error', '["relay/i2c0-3b/set", true]'],
    ['malformed',      'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {}, 1]'],
    ['malformed',      'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {}, {}, {}]'],
    ['malformed',      'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {}, {"id": []}]'],
    ['unknown-topic',  'relay/i2c0-3b/error', '["relay/i2c0-3b/frobnicate", {}]'],
    ['unknown-topic',  'thermometer/i2c0-48/error', '["thermometer/i2c0-48/set", {}]'],
    ['unknown-device', 'relay/i2c0-77/error', '["relay/i2c0-77/set", {"state": true}]'],
    ['unknown-device', 'relay/i2c0-48/error', '["relay/i2c0-48/get", {}]'],
    ['unknown-device', 'relay/i2c9-3b/error', '["relay/i2c9-3b/get", {}]'],
    ['unknown-device', 'barometer/i2c0-61/config/error', '["barometer/i2c0-61/config/get", {}]'],
    ['bad-payload',    'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {}]'],
    ['bad-payload',    'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {"state": 1}]'],
    ['bad-payload',    'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {"state": "on"}]'],
    ['bad-payload',    'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {"state": null}]'],
    ['bad-payload',    'relay/i2c0-3b/error', '["relay/i2c0-3b/set", {"State": true}]'],
    ['bad-payload',    'led/-/error',         '["led/-/set", {"state": "blue"}]'],
    ['bad-payload',    'thermometer/i2c0-48/config/error', '["thermometer/i2c0-48/config/set", {"publish-interval": 0.01}]'],
    ['bad-payload',    'thermometer/i2c0-48/config/error', '["thermometer/i2c0-48/config/set", {"publish-interval": "1"}]'],
    ['bad-payload',    'thermometer/i2c0-48/config/error', '["thermometer/i2c0-48/config/set", {"publish-interval": 86401}]'],
) {
    my ($error, $topic, $request) = @$case;
    my $short = length $request > 70 ? substr($request, 0, 20) . '...' : $request;
    my $answer = answer_to($client, $request, qr/error$/);
    is $answer->{payload}{error}, $error, "$short: $error";
    is $answer->{topic}, $topic, "as $topic";
    like $answer->{payload}{message}, qr/^\S.*\S.*\S$/, 'with a sentence';
    is_deeply [sort keys %{$answer->{payload}}], [qw(error message)], 'and nothing else';
}
{
    $client->send_binary(qq(["relay/i2c0-3b/set", {"state": "\xe2\x84"}]));
    is $client->wait_topic('relay/i2c0-3b/error')->{payload}{error}, 'malformed', 'a binary message that is no UTF-8: malformed';

    # A bad line among good ones
    $client->forget->send_text(qq(["relay/i2c0-3b/get", {}, {"id": 1}]\nrubbish\n["relay/i2c0-3b/get", {}, {"id": 2}]));
    my @got = map { $client->wait_topic(qr/./, sub { $_[0]{parameters} || $_[0]{topic} eq $none }) } 1 .. 3;
    is_deeply [sort map { $_->{parameters} ? $_->{parameters}{id} : 'error' } @got], [1, 2, 'error'],
        'a bad line between two good ones: each is answered';

    # More commands than wait for one device
    $client->forget->send_text(join "\n", map { qq(["relay/i2c0-3b/set", {"state": true}, {"id": $_}]) } 1 .. 45);
    my @answers = map { $client->wait_topic(qr/^relay\/i2c0-3b/, sub { $_[0]{parameters} }) } 1 .. 45;
    my @busy = grep { ($_->{payload}{error} // '') eq 'busy' } @answers;
    my @done = grep { $_->{topic} eq 'relay/i2c0-3b' } @answers;
    ok @busy > 0 && @done >= 32 && @busy + @done == 45,
        'forty-five commands to one relay at once: some are answered with busy, the others carried out'
        or diag map { $_->{text} } @answers;
    is_deeply [map { $_->{parameters}{id} } @done], [sort { $a <=> $b } map { $_->{parameters}{id} } @done], 'in order';
}
is_deeply answer_to($client, '["relay/i2c0-3b/set", {"state": true, "state": false, "extra": [1, {}]}]', 'relay/i2c0-3b')
    ->{payload}, {state => $false}, 'unknown members are ignored, and of two with one name the last wins';

# Nothing of all this has reached the other client but publications.
$watcher->request('-/-/config/list');
is scalar(grep { $_->{parameters} || $_->{topic} =~ /error|config/ } @{$watcher->{inbox}}), 0,
    'another client has seen nothing of it but publications';
is_deeply [$_->close(1000)], [1000, ''], 'the sessions close' for $client, $watcher;

# ---- two nodes are two houses ----

{
    my $server = ClownTalk::Server->new(config => <<'END')->start;
ClownTalkBus      0 sim
ClownTalkStateDir "@t_state@/clowntalk"
<ClownTalkNode garden/shed.1>
    ClownTalkBus  5 sim
</ClownTalkNode>
<Location "/">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END
    my ($house, $garden) = map {
        my $client = ClownTalk::Client->connect($server->url('ws', "/clown-talk-server_$_"));
        $client->open_talk;
        $client;
    } 'nodes_bridge_0', 'garden_shed.1';
    ok grep({ $_ eq 'relay/i2c5-3b' } @{$garden->request('-/-/config/list')->{payload}{actuators}}),
        'a second node has a bus of its own';
    is $garden->request('relay/i2c0-3b/get')->{payload}{error}, 'unknown-device', 'and not that of the first';
    $house->forget;
    $garden->request('relay/i2c5-3b/set', {state => $true});
    is_deeply $house->request('relay/i2c0-3b/get')->{payload}, {state => undef}, 'what one switches leaves the other';
    $house->wait_topic('thermometer/i2c0-48');
    is scalar(grep { $_->{topic} =~ /i2c5/ } @{$house->{inbox}}), 0, 'whose clients get none of it';
}

done_testing;
