# The hub, the one process that owns the hardware: it may die, its guardian may die, and no client loses
# its connection; there are never two; it ends with the server; and no other process touches the hardware.
use strict;
use warnings;

use IO::Socket::UNIX;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Suite;

my ($true, $false) = (JSON::PP::true, JSON::PP::false);

# An LED as the kernel shows one, for a descriptor that only the hub may hold.
my $server = ClownTalk::Server->new(config => <<'END');
ClownTalkBus      0 sim
ClownTalkLED      "@serverroot@/led"
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkControl  On
<Location "/">
    SetHandler    clowntalk
</Location>
END
my $led = $server->dir . '/led';
ClownTalk::Httpd::make_writable_dir($led);
for my $file (['brightness', "0\n"], ['max_brightness', "255\n"], ['trigger', "[none] timer\n"]) {
    ClownTalk::Httpd::write_file("$led/$file->[0]", $file->[1]);
    chmod 0666, "$led/$file->[0]" or die "$led: $!";
}
$server->start;

sub client {
    my ($opened) = @_;
    my $client = ClownTalk::Client->connect($server->url('wss', '/' . ClownTalk::Suite::NODE), timeout => 30);
    $client->open_talk if $opened;
    return $client;
}

sub works {
    my ($name, @clients) = @_;
    for my $n (1 .. @clients) {
        my $state = $n % 2 ? $true : $false;
        my $answer;
        # A client that asks while it starts may get the answer to try again.
        $server->wait_until('an answer from the new hub', sub {
            $answer = $clients[$n - 1]->request('relay/i2c0-3b/set', {state => $state});
            return ($answer->{payload}{error} // '') ne 'unavailable';
        });
        is $answer->{payload}{state}, $state, "$name: client $n switches a relay" or diag $answer->{text};
    }
}

# Waits for a hub that is none of those, and watches that there are never two.
sub new_hub {
    my (@old) = @_;
    my %old = map { $_ => 1 } @old;
    my ($most, $new) = (0);

    $server->wait_until('a new hub', sub {
        my @hubs = $server->hub;
        $most = @hubs if @hubs > $most;
        ($new) = grep { !$old{$_} } @hubs;
        return $new;
    });
    is $most, 1, 'there were never two hubs';
    return $new;
}

# The descriptors of a process, as links.
sub descriptors { return map { readlink($_) // () } glob "/proc/$_[0]/fd/*" }

sub user_of {
    my ($pid) = @_;
    my ($uid) = ClownTalk::Httpd::read_file("/proc/$pid/status") =~ /^Uid:\s+(\d+)/m;
    return scalar getpwuid $uid;
}

# ---- as it starts ----

my @clients = map { client(1) } 1 .. 3;
my ($guardian) = $server->guardian;
my ($hub) = $server->hub;
is scalar(() = $server->guardian), 1, 'there is one guardian';
is scalar(() = $server->hub), 1, 'and one hub';
is ClownTalk::Server::parent_of($hub), $guardian, "the hub is the guardian's child";
is ClownTalk::Server::parent_of($guardian), $server->pid, "and the guardian httpd's";
is user_of($hub), (ClownTalk::Httpd::run_as())[0], "the hub runs as the server's User";
works('at first', @clients);
$clients[0]->request('led/-/set', {state => 'on'});
is ClownTalk::Httpd::read_file("$led/brightness"), "255\n", 'the hub drives the LED';

# ---- no other process has the hardware open ----

ok grep({ $_ eq "$led/brightness" } descriptors($hub)), 'the hub has the LED open';
for my $pid ($server->pid, $guardian, $server->workers) {
    is join(' ', grep { m{^/dev/i2c|^\Q$led\E|^/sys/} } descriptors($pid)), '',
        'no descriptor of hardware in ' . ClownTalk::Process::name($pid) . " $pid";
}

# ---- its socket ----

my $socket = $server->dir . '/logs/clowntalk-hub.sock';
{
    my @stat = stat $socket;
    is sprintf('%04o', $stat[2] & 07777), '0600', "the hub's socket: mode 0600";
    is scalar getpwuid $stat[4], (ClownTalk::Httpd::run_as())[0], "it is the server's User's";
    my $link = IO::Socket::UNIX->new(Peer => $socket) or die "$socket: $!";
    like scalar <$link>, qr/^! \S+ power-on$/, 'a process that may connect is greeted';
}
SKIP: {
    skip 'only root can become another user', 3 if $>;
    my $log = $server->log;
    # Says in a foreign user's name what came of connecting.
    my $as_nobody = sub {
        my $pid = open(my $pipe, '-|') // die "fork: $!";
        if (!$pid) {
            my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
            POSIX::setgid($gid);
            POSIX::setuid($uid);
            my $link = IO::Socket::UNIX->new(Peer => $socket);
            my $line = $link && <$link>;
            print !$link ? 'no connection' : defined $line ? 'greeted' : 'sent away';
            close STDOUT;
            POSIX::_exit(0);
        }
        local $/;
        my $text = <$pipe>;
        close $pipe;
        return $text;
    };
    is $as_nobody->(), 'no connection', 'a foreign user cannot connect';
    chmod 0666, $socket;
    is $as_nobody->(), 'sent away', 'where he can, he is sent away';
    like $log->wait_line(qr/CT1903/), qr/may not link to the hub/, 'and the log says which process it was';
    chmod 0600, $socket;
}

# ---- kill -9 of the hub ----

for my $round (1 .. 2) {
    # Answers of the commands that wait will never come; each of them is answered all the same.
    my $log = $server->log;
    $_->request('-/-/config/list') && $_->forget for @clients;
    my $asker = $clients[0];
    $asker->send_text(join "\n", map { qq(["relay/i2c0-3b/set", {"state": true}, {"id": "w$_"}]) } 1 .. 15);
    $asker->wait_topic('relay/i2c0-3b', sub { ($_[0]{parameters} || {id => ''})->{id} eq 'w1' });
    my $died = time;
    kill KILL => $hub;
    my @answers = map {
        my $id = "w$_";
        $asker->wait_topic(qr/./, sub { ($_[0]{parameters} || {id => ''})->{id} eq $id });
    } 2 .. 15;
    is scalar(grep { ($_->{payload}{error} // '') eq 'unavailable' || $_->{topic} eq 'relay/i2c0-3b' } @answers), 14,
        'what waited is answered, or is unavailable';
    # A hub that dies between two pulses leaves no contact unknown: then all of them are true.
    is_deeply [grep { $_->{payload}{error} ? $_->{payload}{message} !~ /try again/ : !$_->{payload}{state} } @answers],
        [], 'as the error "unavailable" where the contact is not known to be as it was to be';

    for my $n (1 .. @clients) {
        is_deeply $clients[$n - 1]->wait_topic('boot')->{payload}, {'reason-for-reset' => 'crash'},
            "client $n hears: boot, crash";
    }
    works('after the hub was killed', @clients);
    note sprintf 'everything worked %.2f s after the kill, %d clients', time - $died, scalar @clients;
    $clients[0]->request('relay/i2c0-3f/set', {state => $round == 1 ? $true : $false});
    my $new = new_hub($hub);
    is ClownTalk::Server::parent_of($new), $guardian, 'the same guardian has started it';
    like $log->wait_line(qr/CT0054/), qr/\(process $hub\) was ended by signal 9/, 'and said so in the log';
    $hub = $new;
}
is_deeply $clients[1]->request('relay/i2c0-3f/get')->{payload}, {state => $false}, 'the relay is as it was commanded';
$server->remembered($server->dir . '/state/clowntalk');
kill KILL => $hub;
$hub = new_hub($hub);
is_deeply $clients[1]->forget->wait_topic('relay/i2c0-3f')->{payload}, {state => $false},
    'and a new hub, which remembers that, publishes it to every client';

# A hub that hangs: a client that comes meanwhile waits for the next one.
{
    kill STOP => $hub;
    my $waiting = client();
    $waiting->talk('clown.talk/-/config/set', {}, {id => 'late'});
    is_deeply [$waiting->barrier], [], 'while the hub hangs: a session begins, and lives';
    kill KILL => $hub;
    is_deeply $waiting->wait_topic('clown.talk/-/config/ok')->{parameters}, {id => 'late'},
        'its opening is answered by the next hub';
    ok $waiting->wait_topic('thermometer/i2c0-48'), 'with the values';
    $hub = new_hub($hub);
}

# One that dies again and again
for (1 .. 3) {
    kill KILL => $hub;
    $hub = $server->next_hub($hub);
}
works('after three deaths in a row', @clients);

# ---- kill -9 of the guardian ----

{
    my $log = $server->log;
    kill KILL => $guardian;
    my $new = new_hub($hub);
    my $old = $guardian;
    ($guardian) = $server->guardian;
    isnt $guardian, $old, 'a guardian that was killed is replaced, and the hub with it';
    ok $log->wait_line(qr/CT0056/), 'and the log says so';
    works('after the guardian was killed', @clients);
    ($hub) = $server->hub;
}

# ---- restarts ----

for my $how (qw(graceful restart)) {
    my @before = ($guardian, $hub);
    $server->$how;
    $hub = new_hub($hub);
    ($guardian) = $server->guardian;
    ok !grep({ kill 0 => $_ } @before), "$how: the old guardian and the old hub are gone";
    my $client = client(1);
    works("after $how", $client);
    # The next one asks why the hub has started.
    my $link = IO::Socket::UNIX->new(Peer => $socket) or die "$socket: $!";
    like scalar <$link>, qr/^! \S+ restart$/, "$how: the reason is restart";
}

# ---- the end ----

is $server->stop, 0, 'the server ends, and leaves no process';
ok !-e $socket, 'nor the socket';

$server->start;
client(1);
my @hardware = ($server->guardian, $server->hub);
kill KILL => $server->pid;
$server->wait_until('guardian and hub to end', sub { !grep { ClownTalk::Process::name($_) =~ /^clowntalk-/ } @hardware });
pass 'when httpd is killed, guardian and hub end too';

done_testing;
