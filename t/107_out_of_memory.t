# A process that runs out of memory ends, which its log line says, and another takes its place: states and pulses are what they
# were, the sessions of other children notice nothing but a new hub, and where each hub ends at its start, that is tried less
# and less often.
use strict;
use warnings;

use IO::Socket::UNIX;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

plan skip_all => 'sanitizers have an allocator of their own' if ClownTalk::Settings->get('sanitizers');
plan skip_all => 'with other MPMs a child has no link of its own, or no other sessions' if ClownTalk::Suite->mpm ne 'event';

use constant {FIRST => 'relay/i2c0-3b', SECOND => 'relay/i2c0-3f', SENSOR => 'thermometer/i2c0-48'};
use constant {
    LINKS     => 40,     # that ask and do not read: the hub keeps 64 KiB for each
    HISTORIES => 100,    # of each
    CLIENTS   => 60,     # that make small requests, which wait in the child
    REQUESTS  => 100,    # of each
    DEATHS    => 6,      # hubs in a row that end when they start
    KIB       => 1024,
};

my ($true, $false) = (JSON::PP::true, JSON::PP::false);

my $scenario = <<'END';
{"trace": "trace", "memory": "memory",
 "chips": [{"chip": "relay-module", "address": "3b"}, {"chip": "relay-module", "address": "3f"},
           {"chip": "tmp112", "address": "48"}]}
END
my $server = ClownTalk::Server->new(config => ClownTalk::Process::TWO_CHILDREN . <<'END');
ClownTalkBus      0 "sim:@t_state@/scenario.json"
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkControl  On
ClownTalkPing     0
ClownTalkRate     1000000/s 1000000
<Location "/">
    SetHandler clowntalk
</Location>
END
my $state = $server->vars->{t_state};
ClownTalk::Httpd::write_file("$state/scenario.json", $scenario);
$server->start;
my $log = $server->log;

sub connect_anywhere {
    my $client = ClownTalk::Client->connect($server->url('ws', '/' . ClownTalk::Suite::NODE), timeout => 60);

    $client->open_talk;
    return $client;
}

sub client_of { my ($child) = @_; return ClownTalk::Process::with_child($server, $child, \&connect_anywhere) }

sub clicks {
    my ($address) = @_;

    return join ' ', ClownTalk::Httpd::read_file("$state/trace") =~ /\b$address coil (on|off)$/mg;
}

# No more memory for data than a process has now, and this many KiB; or as much as it likes.
sub limit {
    my ($pid, $more) = @_;
    my $bytes = defined $more ? KIB * (ClownTalk::Process::status($pid, 'VmData') + $more) : 'unlimited';

    ClownTalk::Process::limit($pid, "--data=$bytes:");
    return;
}

sub new_hub { my ($old) = @_; return $server->next_hub($old, 60) }

my @children = sort { $a <=> $b } $server->workers;
my ($here, $there) = map { client_of($_) } @children;
my $hub = $server->wait_for_hub;

# ---- the hub ----

{
    is_deeply $here->request(SECOND . '/set', {state => $true})->{payload}, {state => $true}, 'a relay is on';
    is_deeply $here->request(FIRST . '/pulse/set', {duration => 3})->{payload}, {state => $true}, 'another one pulses';
    $server->remembered("$state/clowntalk");
    limit($hub, 0);
    my $path = $server->dir . '/logs/clowntalk-hub.sock';
    my $ask = join '', map { qq($_ c ${\ClownTalk::Suite::NODE} ["${\SENSOR}/history/get", {"seconds": 86400, "points": 1000}]\n) }
        1 .. HISTORIES;
    my @links = map {
        my $link = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!";
        syswrite $link, $ask;
        $link;
    } 1 .. LINKS;
    ok $server->wait_log(qr/^CT0064: out of memory: process $hub \(.*\) ends$/m), 'a hub without memory says so';
    ok $server->wait_log(qr/CT0054: the hub \(process $hub\) was ended by signal 6/), 'and ends';
    $_->close for @links;
    $hub = new_hub($hub);
    for my $client ($here, $there) {
        is_deeply $client->wait_topic('boot', undef, 60)->{payload}, {'reason-for-reset' => 'crash'}, 'the next one greets';
        is_deeply $client->request(SECOND . '/get')->{payload}, {state => $true}, 'and knows the relay that is on';
    }
    $server->wait_until('the pulse to end', sub { clicks('3b') eq 'on off' });
    ok $there->wait_topic(FIRST, sub { !$_[0]{payload}{state} }), 'it ends the pulse';
    is clicks('3f'), 'on', 'and moves nothing else';
}

# ---- each hub, at its start ----

{
    my ($guardian) = $server->guardian;

    limit($guardian, 0);
    $log->fresh;
    my $since = time;
    kill KILL => $hub;
    my $deaths = 0;
    $server->wait_until('hubs that end', sub { ($deaths += () = $log->fresh(qr/CT005[45]/)) > DEATHS }, 60);
    cmp_ok time - $since, '>=', 0.05 * (2**(DEATHS - 1) - 1), "the pauses between hubs that end at once grow ($deaths)";
    limit($guardian);
    $hub = new_hub(0);
    is_deeply $here->wait_topic('boot', undef, 60)->{payload}, {'reason-for-reset' => 'crash'}, 'with memory, one stays';
    is_deeply $here->request(SECOND . '/get')->{payload}, {state => $true}, 'and knows the state';
}

# ---- a child ----

{
    my $clients = ClownTalk::Process::with_child($server, $children[0], sub { [map { connect_anywhere() } 1 .. CLIENTS] });
    limit($children[0], 0);
    ClownTalk::Process::stop($hub);    # so that requests wait in the child
    my $lists = ClownTalk::Client::frame(payload => sprintf '["-/-/config/list", {}, {"id": "%s"}]', 'x' x 200) x REQUESTS;
    eval { $_->connection->write($lists) } for @$clients;    # the last ones find no server
    ok $server->wait_log(qr/^CT0064: out of memory: process $children[0] \(.*\) ends$/m), 'a child without memory says so';
    kill CONT => $hub;
    ok $server->wait_log(qr/AH00052: child pid $children[0] exit signal Abort/), 'and ends';
    is $there->request(SECOND . '/get')->{payload}{state}, $true, 'the other one\'s sessions go on';
    $server->wait_until('another child', sub { $server->workers == 2 });
    my ($new) = grep { $_ != $children[1] } $server->workers;
    is client_of($new)->request(SECOND . '/get')->{payload}{state}, $true, 'clients come back';
    is_deeply [$server->hub], [$hub], 'to the same hub';
    is clicks('3f'), 'on', 'which has moved nothing';
    $_->connection->reset for $here, @$clients;
}

is $server->stop, 0, 'the server ends';
$server->forgive(qr/child pid $children[0] exit signal Abort/);
done_testing;
