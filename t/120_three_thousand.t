# Three thousand sessions on an event MPM with 25 threads a child: they stay open, each hears what is
# published, a request on one of them and a page beside them are answered, and when they have gone the
# server's children have given back what they took.
use strict;
use warnings;

use LWP::UserAgent;
use Test::More;

use ClownTalk::Client;
use ClownTalk::Connection;
use ClownTalk::Httpd;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Suite;

use constant {
    SESSIONS    => 3000,
    BATCH       => 100,     # handshakes at a time
    DESCRIPTORS => 4000,    # that the test needs, and a child if it gets all the sessions
    PATIENCE    => 30,      # seconds
};

plan skip_all => 'that many sessions are for the event MPM: with others each takes a thread'
    if ClownTalk::Suite->mpm ne 'event';
plan skip_all => 'needs ' . DESCRIPTORS . ' descriptors, which ulimit -Hn does not allow'
    unless ClownTalk::Process::may_open(DESCRIPTORS);

# One relay, and nothing that publishes by itself. The factor lets them in as fast as they come; processes
# neither come nor go, so that what each holds before and after can be compared.
my $server = ClownTalk::Server->new(config => <<'END');
ServerLimit                2
StartServers               2
MaxRequestWorkers         50
ThreadsPerChild           25
AsyncRequestWorkerFactor 200
ClownTalkBus 0 "sim:@serverroot@/scenario.json"
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
    # A client that does not read answers no pings either.
    ClownTalkPing    0
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
END
ClownTalk::Httpd::write_file($server->dir . '/scenario.json',
    '{"chips": [{"chip": "relay-module", "address": "3b"}]}');
$server->start;

my $path = '/talk/' . ClownTalk::Suite::NODE;
my $opening = join("\r\n", "GET $path HTTP/1.1", 'Host: localhost', 'Upgrade: websocket',
    'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '')
    . ClownTalk::Client::frame(payload => '["clown.talk/-/config/set", {}]');

# Whether the relay's next publication comes on the connection.
sub hears {
    my ($connection, $state) = @_;
    my $publication = qq(["relay/i2c0-3b", {"state": $state}]\n);

    return defined eval { $connection->read_until($publication, PATIENCE, "the relay: $state") };
}

sub is_websocket {
    my ($connection) = @_;
    my $head = eval { $connection->read_until("\r\n\r\n", PATIENCE, 'the answer to a handshake') };

    return defined $head && $head =~ m{^HTTP/1\.1 101 };
}

# The connections before the first for which the condition does not hold: only one is waited for in vain.
sub those_before_failure {
    my ($condition, @connections) = @_;
    my @good;

    for my $connection (@connections) {
        $condition->($connection) or last;
        push @good, $connection;
    }
    return @good;
}

# Opens as many as asked for at once; returns those whose handshake and opening were answered.
sub open_sessions {
    my ($count) = @_;

    my @connections = map { ClownTalk::Connection->new(port => $server->{port}) } 1 .. $count;
    $_->write($opening) for @connections;
    return those_before_failure(sub { is_websocket($_[0]) && hears($_[0], 'null') }, @connections);
}

# Each serving process's number of descriptors.
sub descriptors { return {map { $_ => ClownTalk::Process::descriptors($_) } $server->workers} }

# What mod_status says of this.
sub status {
    my ($what) = @_;

    return page('/server-status?auto')->decoded_content =~ /^\Q$what\E: (\d+)$/m ? $1 : undef;
}

sub page { return LWP::UserAgent->new(timeout => PATIENCE)->get($server->url('http', $_[0] // '/')) }

$server->wait_until('both children with their threads', sub {
    status('IdleWorkers') == 49;
});
my $before = descriptors();

my @sessions;
while (@sessions < SESSIONS) {
    my @more = open_sessions(BATCH);
    push @sessions, @more;
    last if @more < BATCH;
}
is scalar @sessions, SESSIONS, 'all sessions begin';

is status('ClownTalkSessions'), SESSIONS, 'mod_status knows how many';
ok eval { $server->wait_until('the MPM to forget them', sub { status('ConnsTotal') < 10 }, PATIENCE) },
    "and soon none of them is a connection of httpd's" or diag $@;

my $client = ClownTalk::Client->connect($server->url('ws', $path));
$client->open_talk;
is $client->request('relay/i2c0-3b/get')->{topic}, 'relay/i2c0-3b', 'a further one is answered';
is page()->code, 200, 'so is a page beside them';

$sessions[-1]->write(ClownTalk::Client::frame(payload => '["relay/i2c0-3b/set", {"state": true}]'));
ok hears($sessions[-1], 'true'), 'a request on one of them is answered';
my @hearing = those_before_failure(sub { hears($_[0], 'true') }, @sessions[0 .. $#sessions - 1]);
is scalar @hearing, SESSIONS - 1, 'and all the others hear of it: they are open still';
is_deeply [sort keys %{descriptors()}], [sort keys %$before], 'in the same processes as before';

# A third of them says goodbye, a third hangs up, a third vanishes.
for my $i (0 .. $#sessions) {
    $sessions[$i]->write(ClownTalk::Client::frame(
        opcode => ClownTalk::Client::CLOSE, payload => pack 'n', 1000)) if $i % 3 == 0;
    $i % 3 == 2 ? $sessions[$i]->reset : $sessions[$i]->close;
}
$client->close(1000);

# What each child has beside its sessions is one link to the hub, made with the first of them.
my $after;
ok eval {
    $server->wait_until('the children to give back their descriptors', sub {
        $after = descriptors();
        return !grep { ($after->{$_} // 0) > $before->{$_} + 1 } keys %$before;
    }, PATIENCE);
}, 'when they have gone, no descriptor is left over' or diag explain {before => $before, after => $after};

is status('ClownTalkSessions'), 0, 'and none is counted';
like page('/server-status')->decoded_content, qr/<p>0 WebSocket sessions/, 'nor on the page for people';

# A child that is to end does so when the MPM no longer counts a connection of it.
$server->graceful;
ok eval {
    $server->wait_until('the children to end', sub { !grep { $before->{$_} } $server->children }, PATIENCE);
}, 'and the MPM believes so too: nothing holds up a restart' or diag $@;
is $server->stop, 0, 'and the server ends as usual';

done_testing;
