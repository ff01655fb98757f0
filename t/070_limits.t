# What one client may take: requests, bytes that wait for it, connections, and silence.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Server;
use ClownTalk::Stalled;
use ClownTalk::Suite;

my $node = ClownTalk::Suite::NODE;

# One child process (event): what one client does could disturb the others.
my $server = ClownTalk::Server->new(config => ClownTalk::Stalled::CONFIG . <<'END')->start;
<IfModule mpm_event_module>
    StartServers      1
    ServerLimit       1
    MinSpareThreads   1
    MaxSpareThreads   25
    MaxRequestWorkers 25
</IfModule>
ClownTalkBus      0 sim
ClownTalkLED      sim
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkControl  On
<Location "/">
    SetHandler    clowntalk
</Location>
<Location "/rate">
    ClownTalkRate 0.1 5
</Location>
<Location "/refill">
    ClownTalkRate 20/s 2
</Location>
<Location "/backlog">
    ClownTalkBacklog 1024
</Location>
<Location "/patient">
    ClownTalkBacklog 10000000
</Location>
<Location "/ping">
    ClownTalkPing 1
</Location>
<Location "/age">
    ClownTalkMaxAge 1
</Location>
END

sub connect_to { my ($scheme, $path, @arg) = @_; return ClownTalk::Client->connect($server->url($scheme, "$path/$node"), @arg) }

# ---- ClownTalkRate ----

{
    my ($client, $other) = map { connect_to('wss', '/rate') } 1 .. 2;
    $client->open_talk;
    my @answers = map { $client->request('relay/i2c0-3b/get') } 1 .. 6;
    is join(' ', map { $_->{payload}{error} // 'ok' } @answers), 'ok ok ok ok rate-limited rate-limited',
        'five requests at once (the opening is one), then rate-limited';
    is $answers[4]{topic}, 'relay/i2c0-3b/error', "as the request's error";
    like $answers[4]{payload}{message}, qr/ClownTalkRate/, 'and the answer names the directive';
    $client->send_text('rubbish');
    is $client->wait_topic('-/-/error')->{payload}{error}, 'rate-limited', 'rubbish counts too';
    $client->send_text(join "\n", ('["relay/i2c0-3b/get", {}]') x 3);
    is $client->wait_topic('relay/i2c0-3b/error')->{payload}{error}, 'rate-limited', 'and each line of a message'
        for 1 .. 3;
    $other->open_talk;
    ok !$other->request('relay/i2c0-3b/get')->{payload}{error}, 'another client has requests of its own';
}
{
    my $client = connect_to('ws', '/refill');
    $client->open_talk;
    my $limited = 0;
    $server->wait_until('a request that is answered after some that were not', sub {
        my $error = $client->request('relay/i2c0-3b/get')->{payload}{error} // '';
        $limited ||= $error eq 'rate-limited';
        return $limited && !$error;
    });
    pass 'with time there are requests again';
}

# ---- ClownTalkBacklog: a client that does not read ----

for my $scheme (qw(ws wss)) {
    my $other = connect_to($scheme, '');
    $other->open_talk;
    my ($stalled, $line) = ClownTalk::Stalled->dropped($server, $scheme, '/backlog');
    like $line, qr/does not read.*1024.*ClownTalkBacklog/, "$scheme: a client that does not read: the log names the directive";
    is $other->request('relay/i2c0-3b/set', {state => JSON::PP::true})->{payload}{state}, JSON::PP::true,
        "$scheme: another one of the same process is served";
    # Some seconds, in which a temperature is published each.
    $other->forget->wait_topic('thermometer/i2c0-48') for 1 .. 4;
    my $close;
    while (my $message = $stalled->read_message) {
        $close = $message if $message->{opcode} == ClownTalk::Client::CLOSE;
    }
    is $close->{code}, 1008, "$scheme: when it reads at last, its session has ended with 1008";
    like $close->{reason}, qr/slow/, "$scheme: and says why";
    is scalar(grep { $_->{opcode} == ClownTalk::Client::CLOSE } $other->barrier), 0, "$scheme: the other one's has not";
}

# While it does not read, only the newest value of each topic waits for it.
{
    my $watcher = connect_to('ws', '');
    $watcher->open_talk;
    $watcher->request('thermometer/i2c0-48/config/set', {'publish-interval' => 0.1});
    $watcher->request('-/-/config/list');
    $watcher->forget;
    my $stalled = ClownTalk::Stalled->new($server, 'ws', '/patient');
    ok $stalled->{stalled}, 'a client that does not read is not read from either';
    # The watcher sees all of them: as many as it has seen by now, and twenty more.
    my $is_temperature = sub { $_[0]{topic} eq 'thermometer/i2c0-48' };
    $watcher->request('-/-/config/list');
    my $published = grep { $is_temperature->($_) } @{$watcher->{inbox}};
    $watcher->forget->wait_topic('thermometer/i2c0-48') for 1 .. 20;
    $watcher->request('led/-/set', {state => '3-dot'});
    my ($received, $talk) = (0);
    do {
        $talk = $stalled->read_talk;
        $received++ if $is_temperature->($talk);
    } until $talk->{topic} eq 'led/-' && $talk->{payload}{state} eq '3-dot';
    cmp_ok $received, '<=', $published + 3,
        'of twenty values that were published meanwhile, only the newest have waited for it';
    $watcher->request('thermometer/i2c0-48/config/set', {'publish-interval' => 1});
}

# ---- ClownTalkPing: a client that does not answer is taken for dead ----

{
    my ($dead, $answers, $talks) = map { connect_to('ws', '/ping', auto_pong => 0) } 1 .. 3;
    my $log = $server->log;
    for my $round (1 .. 2) {
        for my $client ($dead, $answers, $talks) {
            is $client->read_frame->{bytes}, "\x89\x00", "ping $round";
        }
        $answers->send_frame(opcode => ClownTalk::Client::PONG);
        $talks->send_frame(payload => "\n");
    }
    is $dead->connection->read_to_end, '', 'a client that answers neither ends, without a word';
    like $log->wait_line(qr/CT0035/), qr/answered neither of 2 pings/, 'and the log says so';
    for my $client ($answers, $talks) {
        is $client->read_frame->{bytes}, "\x89\x00", 'one that answers, or sends something, is pinged on';
        $client->barrier;
    }
}

# ---- ClownTalkMaxAge ----

is_deeply [connect_to('wss', '/age')->wait_close], [1001, 'too old: connect anew'], 'ClownTalkMaxAge: Close 1001';

# ---- ClownTalkMaxConnections: 503 before the upgrade ----

{
    my $limited = ClownTalk::Server->new(config => <<'END')->start;
ClownTalkMaxConnections 3
<Location "/">
    SetHandler       clowntalk
    ClownTalkHandler echo
</Location>
END
    my $try = sub { return ClownTalk::Client->new($limited->url($_[0] // 'ws', '/')) };
    my @open = map { $try->($_) } qw(ws wss ws);
    is_deeply [map { $_->status } @open], [101, 101, 101], 'three sessions';
    my $log = $limited->log;
    for my $scheme (qw(ws wss)) {
        my $refused = $try->($scheme);
        is $refused->status, 503, "$scheme: the fourth: 503";
        like $refused->header('Retry-After'), qr/^[1-9]\d*$/, "$scheme: with Retry-After";
        like $log->wait_line(qr/CT0010/), qr/ClownTalkMaxConnections/, "$scheme: and a line in the log";
    }
    $_->send_text('still here'), is $_->read_message->{payload}, 'still here', 'the others are not disturbed' for @open;
    (shift @open)->close(1000);
    $limited->wait_until('a place for another', sub {
        push @open, grep { $_->status == 101 } $try->();
        return @open == 3;
    });
    is $try->()->status, 503, 'one has left, one has come, and no more';
    kill KILL => $_ for $limited->workers;
    $limited->wait_until('sessions of dead processes to be forgotten', sub {
        my $client = eval { $try->() } or return 0;
        return $client->status == 101;
    });
    pass 'what died with its process does not count';
    is $limited->stop, 0, 'the server ends';
}

done_testing;
