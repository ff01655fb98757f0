# Restarts and stops with open sessions, on whatever MPM: each client gets the Close that says why, also
# one that waits for an answer; the old processes are gone within seconds, whatever the clients do; there
# is never a second hub, no relay moves, and the next generation serves.
use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use ClownTalk::Client;
use ClownTalk::Connection;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Stalled;
use ClownTalk::Suite;

use constant {
    WITHIN   => 8,     # seconds: the old processes have to be gone, and the Close read; on an idle machine it takes four
    PATIENCE => 30,    # for what has no promise
    RACERS   => 10,    # handshakes that begin with the restart
};
use constant {GOING_AWAY => 1001, SERVICE_RESTART => 1012};

my $mpm = ClownTalk::Suite->mpm;

# The thermometer takes its time for each transfer: a request to it lasts, and so does the end of the
# hub, which two hubs at a time could be seen by.
my $scenario = <<'END';
{"trace": "trace",
 "memory": "memory",
 "chips": [{"chip": "relay-module", "address": "3b"}, {"chip": "relay-module", "address": "3f"},
           {"chip": "tmp112", "address": "48", "events": [{"event": "slow", "delay": 0.25}]}]}
END

my $server = ClownTalk::Server->new(config => ClownTalk::Stalled::CONFIG . <<'END');
ClownTalkBus 0 "sim:@t_state@/scenario.json"
ClownTalkPublishInterval thermometer 86400
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
<Location "/talk/small">
    ClownTalkBacklog 1024
</Location>
<Location "/echo">
    SetHandler       clowntalk
    ClownTalkHandler echo
</Location>
END
ClownTalk::Httpd::write_file($server->vars->{t_state} . '/scenario.json', $scenario);

# ---- looking at the server ----

my $most_hubs = 0;

sub hubs {
    my @hubs = $server->hub;

    $most_hubs = @hubs if @hubs > $most_hubs;
    return @hubs;
}

sub clicks {
    my $trace = ClownTalk::Httpd::read_file($server->vars->{t_state} . '/trace');

    return scalar(() = $trace =~ /3b coil \w+$/mg);
}

# ---- clients ----

sub talker {
    my ($scheme) = @_;
    my $client = ClownTalk::Client->connect($server->url($scheme, '/talk/' . ClownTalk::Suite::NODE));

    $client->open_talk;
    return $client;
}

# Waits for answers that take a while.
sub busy {
    my $client = talker('ws');

    $client->talk('thermometer/i2c0-48/get') for 1 .. 4;
    $client->barrier;    # the session has seen them
    return $client;
}

# Sends and does not read, until the server cannot write to it either: no Close can reach it.
sub stalled {
    my $client = ClownTalk::Client->connect($server->url('ws', '/echo'), receive_buffer => 4096);
    my $message = ClownTalk::Client::frame(payload => 'x' x 16000);
    my $bytes = $message x 1000;

    while (length $bytes) {
        my $taken = $client->connection->write_some($bytes);
        last unless $taken || $client->connection->writable(0.3);
        substr $bytes, 0, $taken, '';
    }
    return $client;
}

my $handshake = join("\r\n", 'GET /talk/' . ClownTalk::Suite::NODE . ' HTTP/1.1', 'Host: localhost',
    'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '')
    . ClownTalk::Client::frame(payload => '["clown.talk/-/config/set", {}]');

# Sends a handshake and the opening to a server that is about to end.
sub racer {
    my $connection = eval { ClownTalk::Connection->new(port => $server->{port}) } or return;

    eval { $connection->write($handshake) };
    return $connection;
}

# What came of it: "served", "closed" with the code, or "not accepted".
sub outcome {
    my ($connection, $code) = @_;
    my $close = quotemeta pack 'n', $code;
    my $said = '';

    while ($connection->fill(time + PATIENCE, 'an answer or the end')) {
        $said .= delete($connection->{in});
        $connection->{in} = '';
        return 'served' if $said =~ m{clown\.talk/-/config/ok};
        return 'closed' if $said =~ /\r\n\r\n.*\x88.$close/s;
    }
    return length $said ? "neither served nor closed: $said" : 'not accepted';
}

# ---- one end with all sorts of clients ----

# Waits for processes to end, with a client that goes on talking meanwhile; returns those that do not.
sub wait_for_end_of {
    my ($pids, $deadline, $chatty) = @_;
    my %old = map { $_ => 1 } @$pids;
    my @left;

    do {
        eval { $chatty->send_text('still there?') };
        hubs();
        select undef, undef, undef, 0.02;
        @left = grep { $old{$_} } $server->processes;
    } while @left && time < $deadline;
    return map { "$_ " . ClownTalk::Process::name($_) } @left;
}

sub end_with_clients {
    my ($signal, $code) = @_;
    my ($mute, $stalled) = (talker('wss'), stalled());
    my $chatty = ClownTalk::Client->connect($server->url('ws', '/echo'));
    my %reading = (
        'a client'          => talker('ws'),
        'a client with TLS' => talker('wss'),
        'a client without the opening' =>
            ClownTalk::Client->connect($server->url('ws', '/talk/' . ClownTalk::Suite::NODE)),
        'a client that waits for answers' => busy(),
    );
    # Its Close is there and cannot reach it; it would have ten seconds for it otherwise.
    my ($dropped) = ClownTalk::Stalled->dropped($server, 'ws', '/talk/small');
    my @before = grep { $_ != $server->pid } $server->processes;

    $most_hubs = 0;
    is scalar(hubs()), 1, "$signal: there is a hub before";
    my $deadline = time + WITHIN;
    $server->$signal;
    my @racers = map { racer() } 1 .. RACERS;
    for my $name (sort keys %reading) {
        my ($got, $reason) = eval { $reading{$name}->wait_close(WITHIN) };
        diag $@ if $@;
        is $got, $code, "$signal: $name: " . ($code ? "Close $code" : 'the connection ends');
    }
    is_deeply [wait_for_end_of(\@before, $deadline, $chatty)], [],
        "$signal: the old processes are gone within seconds, whatever clients do";
    # The others cut, too, what the MPM is busy with at that moment.
    is_deeply [grep { !/^(?:served|closed|not accepted)$/ } map { outcome($_, $code) } @racers], [],
        "$signal: a handshake at that moment is served, or closed, or not accepted" if $signal =~ /graceful/;
    my ($got) = eval { $mute->wait_close(PATIENCE) };
    is $got, $code, "$signal: one that did not answer its Close had it" if $code;
    $_->drop for $stalled, $dropped, $chatty;
}

# ---- restarts ----

# Where a session has a worker to itself, `restart` and `stop` cut the connections: docs/operation.md.
my %code = (graceful => SERVICE_RESTART, graceful_stop => GOING_AWAY,
    $mpm eq 'event' ? (restart => SERVICE_RESTART, terminate => GOING_AWAY) : ());

sub ClownTalk::Server::terminate { return $_[0]->signal('TERM') }

$server->start;
is talker('ws')->request('relay/i2c0-3b/set', {state => JSON::PP::true})->{payload}{state}, 1,
    'a relay is switched on';
my $clicks = clicks();
is $clicks, 1, 'which is seen in the trace';

for my $signal (qw(graceful restart graceful)) {
    my ($hub) = hubs();
    end_with_clients($signal, $code{$signal});
    my $client;
    $server->wait_until('the next generation to serve', sub { $client = eval { talker('ws') } });
    is $client->request('relay/i2c0-3b/get')->{payload}{state}, 1, "$signal: the relay is still on";
    my @now = hubs();
    is scalar(@now), 1, "$signal: there is one hub";
    isnt $now[0], $hub, "$signal: and it is another";
    is $most_hubs, 1, "$signal: there were never two";
    $client->close(1000);
}

# ---- stops ----

for my $signal (qw(graceful_stop terminate)) {
    $server->start unless $server->pid;
    end_with_clients($signal, $code{$signal});
    is $most_hubs, 1, "$signal: no other hub was started";
    is $server->wait_exit(PATIENCE), 0, "$signal: the server ends with status 0 and leaves no process";
    ok !-e $server->vars->{t_logs} . '/clowntalk-hub.sock', "$signal: nor its socket";
}
is clicks(), $clicks, 'and at all that no relay has moved';
unlike $server->error_log, qr/CT0054|CT0055|CT0056/, 'and no hub or guardian had to be started again';

done_testing;
