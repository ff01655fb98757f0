# The link between a child and the hub: a healthy one is never cut, whatever is asked at once; a hub that hangs is replaced,
# unless it is being debugged; and whatever becomes of the hub, each request is answered with what is true.
use strict;
use warnings;

use IO::Socket::UNIX;
use POSIX ();
use Test::More;

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Suite;

use constant DASHBOARDS => ($ENV{CLOWNTALK_MPM} || 'event') eq 'prefork' ? 20 : 50;
use constant HISTORIES  => 8;      # of each
use constant RELAY      => 'relay/i2c0-3f';

my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my $has_one_link = ($ENV{CLOWNTALK_MPM} || 'event') eq 'event';    # a child; with the others each session has one

my $server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<'END');
ClownTalkBus      0 sim
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkControl  On
<IfModule mpm_worker_module>
    ThreadsPerChild      100
    MaxSpareThreads      100
    MaxRequestWorkers    100
</IfModule>
<Location "/">
    SetHandler    clowntalk
</Location>
END
$server->start;
my $socket = $server->dir . '/logs/clowntalk-hub.sock';
my $log = $server->log;

sub client {
    my $client = ClownTalk::Client->connect($server->url('ws', '/' . ClownTalk::Suite::NODE), timeout => 60);
    $client->open_talk;
    return $client;
}

# What answers the request with this id.
sub answer {
    my ($client, $id) = @_;
    return $client->wait_topic(qr/./, sub { ($_[0]{parameters} || {id => ''})->{id} eq $id }, 60);
}

sub new_hub { my ($old) = @_; return $server->next_hub($old, 60) }

sub wait_until_remembered { $server->remembered($server->dir . '/state/clowntalk') }

my $client = client();
my ($hub) = $server->hub;

# ---- many answers at once ----

{
    my @sensors = @{$client->request('-/-/config/list')->{payload}{sensors}};
    my @dashboards = map { client() } 1 .. DASHBOARDS;
    kill STOP => $hub;    # so that it finds much at once: what it owes a client by far, that is not read any further
    for my $dashboard (@dashboards) {
        $dashboard->talk("$sensors[$_ % @sensors]/history/get", {seconds => 3600, points => 1000}, {id => "h$_"})
            for 1 .. HISTORIES;
    }
    kill CONT => $hub;
    is_deeply $client->request(RELAY . '/set', {state => $true})->{payload}, {state => $true},
        'while ' . DASHBOARDS . ' dashboards ask for their histories, a relay is switched';
    my %answers;
    for my $dashboard (@dashboards) {
        $answers{answer($dashboard, "h$_")->{topic} =~ m{/(history|error)$} ? $1 : 'another'}++ for 1 .. HISTORIES;
    }
    is_deeply \%answers, {history => DASHBOARDS * HISTORIES}, 'and each of them gets all that it asked for';
    is_deeply [$log->fresh(qr/CT0042/)], [], 'no link was cut';
}

# A link that asks for as much at once, and reads when it has time.
{
    my $link = IO::Socket::UNIX->new(Peer => $socket) or die "$socket: $!";
    my $all = DASHBOARDS * HISTORIES;
    my $asked = join '', map {
        qq($_ - nodes/bridge/0 ["thermometer/i2c0-48/history/get", {"seconds": 3600, "points": 1000}]\n) } 1 .. $all;
    syswrite($link, $asked) == length $asked or die "$socket: $!";
    is_deeply $client->request(RELAY . '/get')->{payload}, {state => $true}, 'a link that does not read holds up no other';
    my $answers = 0;
    while (my $line = <$link>) {
        last if $line =~ /^\. / && ++$answers == $all;
    }
    is $answers, $all, 'and gets all its answers when it reads';
}

# More than the link keeps for a hub that is busy: who asks waits, and none is refused.
{
    my @clients = map { client() } 1 .. DASHBOARDS;
    my $burst = 60;    # each of a kilobyte; 100 are within the rate
    kill STOP => $hub;
    for my $one (@clients) {
        $one->talk(RELAY . '/get', {}, {id => "$_ " . 'x' x 1000}) for 1 .. $burst;
    }
    my $full = $clients[-1];    # when it is not listened to any longer, the link is full
    $server->wait_until('the link to be full', sub { !eval { $full->barrier(0.5) } }) if $has_one_link;
    $client->talk(RELAY . '/get', {}, {id => 'short'});
    ok eval { $client->barrier(5); 1 }, 'a client that asks for little is listened to meanwhile';
    kill CONT => $hub;
    my %answers;
    for my $one (@clients) {
        for my $n (1 .. $burst) {
            my $payload = answer($one, "$n " . 'x' x 1000)->{payload};
            $answers{$payload->{error} || 'state'}++;
        }
    }
    is_deeply \%answers, {state => DASHBOARDS * $burst}, 'requests that the link has no room for wait, and are answered';
}

# The same of requests for much, which wait for their turn: more than all of them may come to.
if ($has_one_link) {
    my @clients = map { client() } 1 .. 130;
    my $each = 3;    # of 16 KB: what is not read from a client at once has to wait in its socket
    kill STOP => $hub;
    for my $one (@clients) {
        $one->talk('-/-/config/list', {}, {id => "$_ " . 'x' x 16_000}) for 1 .. $each;
    }
    $client->barrier for 1 .. 20;    # by then the child has read what it reads
    kill CONT => $hub;
    my %answers;
    for my $one (@clients) {
        $answers{answer($one, "$_ " . 'x' x 16_000)->{payload}{error} || 'list'}++ for 1 .. $each;
    }
    is_deeply \%answers, {list => @clients * $each}, 'requests for much that there is no room for wait, and are answered';
}

# ---- a hub dies that has requests ----

{
    wait_until_remembered();
    kill STOP => $hub;
    $client->talk(RELAY . '/set',       {state => $true},  {id => 'as it is'});
    $client->talk(RELAY . '/set',       {state => $false}, {id => 'as it is not'});
    $client->talk(RELAY . '/pulse/set', {duration => 1},   {id => 'pulse'});
    $client->talk('lux-meter/i2c0-44/config/get', {}, {id => 'reads'});
    $client->talk('clown.talk/-/config/set',      {}, {id => 'opening'});
    $client->barrier for 1 .. 2;    # the child has passed them on
    kill KILL => $hub;
    is_deeply answer($client, 'as it is')->{payload}, {state => $true},
        'a relay that is as it was to be: the next hub has said so';
    is answer($client, 'as it is not')->{payload}{error}, 'unavailable', 'one that is not: try again';
    my $pulse = answer($client, 'pulse')->{payload};
    is $pulse->{error}, 'unavailable', 'a pulse is not begun by a second hub';
    like $pulse->{message}, qr/it is not known whether this was done/, 'and what is not known is said so';
    is answer($client, 'reads')->{topic}, 'lux-meter/i2c0-44/config/ok', 'what only reads is asked again';
    is answer($client, 'opening')->{topic}, 'clown.talk/-/config/ok', 'so is an opening';
    $hub = new_hub($hub);
    is_deeply $client->request(RELAY . '/get')->{payload}, {state => $true}, 'nothing was carried out twice, or late';
}

# ---- a hub hangs ----

{
    $log->fresh;
    wait_until_remembered();
    kill STOP => $hub;
    $client->talk(RELAY . '/set', {state => $true}, {id => 'late'});
    like $log->wait_line(qr/CT1071/, 60), qr/\(process $hub\)/, 'a hub that hangs is noticed, and killed';
    is_deeply answer($client, 'late')->{payload}, {state => $true}, 'the next one answers what was asked meanwhile';
    $hub = new_hub($hub);
}

SKIP: {
    my %ptrace = (x86_64 => 101, aarch64 => 117);
    my ($attach, $detach) = (16, 17);    # linux/ptrace.h
    my $call = $ptrace{(POSIX::uname())[4]};
    skip 'nothing can be debugged here', 3 if !$call || syscall($call, $attach, $hub, 0, 0) != 0;
    waitpid $hub, 0x40000000;            # __WALL: it has stopped
    like $log->wait_line(qr/CT1072/, 60), qr/\(process $hub\)/, 'one that is being debugged is left alone';
    is_deeply [$server->hub], [$hub], 'it is still there';
    syscall($call, $detach, $hub, 0, 0);
    is_deeply $client->request(RELAY . '/get')->{payload}, {state => $true}, 'and goes on when it is let go';
}

# ---- a hub has no descriptors left ----

{
    my ($free) = grep { !defined readlink "/proc/$hub/fd/$_" } 0 .. 1000;    # the lowest: the next to be used
    my $limit = sub { ClownTalk::Process::limit($hub, "--nofile=$_[0]:") };
    my ($waiting, $late);

    $limit->($free);
    $waiting = IO::Socket::UNIX->new(Peer => $socket) or die "$socket: $!";
    like $log->wait_line(qr/CT1070/), qr/no descriptor/, 'a hub without descriptors says so';
    is_deeply $client->request(RELAY . '/get')->{payload}, {state => $true}, 'and serves the links that it has';
    if (!$has_one_link) {
        $late = ClownTalk::Client->connect($server->url('ws', '/' . ClownTalk::Suite::NODE), timeout => 60);
        is $late->request('clown.talk/-/config/set')->{payload}{error}, 'unavailable', 'a session without a link is told';
    }
    $limit->($free + 10);
    like scalar <$waiting>, qr/^! /, 'it takes another one as soon as it can';
    if ($late) {
        $server->wait_until('the link', sub {
            $late->request('clown.talk/-/config/set')->{topic} eq 'clown.talk/-/config/ok' });
    }
}

# ---- the server's parent dies ----

{
    # The socket on which links are taken, by its inode.
    my $inode;
    my $holds = sub { scalar grep { (readlink($_) // '') eq "socket:[$inode]" } glob "/proc/$_[0]/fd/*" };
    for my $named (map { m{^\S+: \S+ \S+ 00010000 \S+ \S+\s+(\d+) (?:\Q$socket\E|clowntalk-hub\.sock)$} ? $1 : () }
        split /\n/, ClownTalk::Httpd::read_file('/proc/net/unix')) {
        $inode = $named;
        last if $holds->($server->pid);
    }
    ok $holds->(($server->guardian)[0]), 'the guardian holds the socket on which the hub takes links';
    is_deeply [grep { $holds->($_) } $server->workers], [], 'and no child does';

    my @hardware = ($server->guardian, $server->hub);
    kill KILL => $server->pid;
    $server->wait_until('guardian and hub to end',
        sub { !grep { ClownTalk::Process::name($_) =~ /^clowntalk-/ } @hardware });
    is $client->request(RELAY . '/get', {}, 60)->{payload}{error}, 'unavailable',
        'when the hub has gone for good, requests are answered all the same';
    kill KILL => $server->processes;    # no parent is left that would end them
}

done_testing;
