# Processes that are stopped (SIGSTOP: a debugger, a frozen container, a machine that slept) and go on: a child's sessions wait
# for it, and those of another child notice nothing; nothing is answered twice, and no state that was answered is lost. No process
# takes its own stop for another's silence: a guardian that goes on leaves a healthy hub alone, and replaces one that died or hangs.
# A hub that is stopped is in t/105_link.t.
use strict;
use warnings;

use JSON::PP ();
use IO::Socket::UNIX;
use MIME::Base64 qw(decode_base64 encode_base64);
use Test::More;

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Suite;

plan skip_all => 'with other MPMs a child has no link of its own, or no other sessions' if ClownTalk::Suite->mpm ne 'event';

use constant {
    PINGS    => 12,     # a second apart: longer than the guardian waits for a hub that hangs
    VALUES   => 30,     # of the display, between two of these: 1400 bytes each
    FITTING  => 250,    # more than the socket of a link and what waits in front of it hold: about 150
    LOOKS    => 3,      # of the guardian, a second apart: far fewer than it waits
    PATIENCE => 6,      # seconds: longer than the parent waits for its guardian to end
};
use constant {DISPLAY => 'display-oled/i2c0-3c', FIRST => 'relay/i2c0-3b', SECOND => 'relay/i2c0-3f'};

my ($true, $false) = (JSON::PP::true, JSON::PP::false);

my $scenario = <<'END';
{"trace": "trace", "memory": "memory",
 "chips": [{"chip": "relay-module", "address": "3b"}, {"chip": "relay-module", "address": "3f"},
           {"chip": "ssd1306", "address": "3c"}]}
END
my $server = ClownTalk::Server->new(config => ClownTalk::Process::TWO_CHILDREN . <<'END');
ClownTalkBus      0 "sim:@t_state@/scenario.json"
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkControl  On
ClownTalkPing     0
ClownTalkRate     1000000/s 1000000
<Location "/">
    SetHandler    clowntalk
</Location>
# Taken for dead after ten seconds.
<Location "/pinged">
    ClownTalkPing 5
</Location>
<Location "/ticks">
    ClownTalkPing 1
</Location>
END
my $state = $server->vars->{t_state};
ClownTalk::Httpd::write_file("$state/scenario.json", $scenario);
$server->start;
my $log = $server->log;

sub connect_anywhere {
    my ($path) = @_;
    my $client = ClownTalk::Client->connect($server->url('ws', ($path // '') . '/' . ClownTalk::Suite::NODE), timeout => 60);

    $client->open_talk;
    return $client;
}

sub client_of {
    my ($child, $path) = @_;

    return ClownTalk::Process::with_child($server, $child, sub { connect_anywhere($path) });
}

# The clicks of a relay so far, "on" or "off" each.
sub clicks {
    my ($address) = @_;

    return join ' ', ClownTalk::Httpd::read_file("$state/trace") =~ /\b$address coil (on|off)$/mg;
}

sub remembered { return $server->remembered("$state/clowntalk") }

# A number is shown on the display, which every other client is told.
sub show {
    my ($client, $number) = @_;

    return $client->request(DISPLAY . '/set', {raw => encode_base64(pack('N a*', $number, "\0" x 1020), '')});
}

# Seconds, by the pings of a session that has one a second.
sub wait_for_pings {
    my ($client, $number, $after_each) = @_;

    local $client->{auto_pong} = 0;
    while ($number > 0) {
        my $message = $client->read_message(30) or die 'no ping comes';
        next if $message->{opcode} != ClownTalk::Client::PING;
        $client->send_frame(opcode => ClownTalk::Client::PONG, payload => $message->{payload});
        $after_each->();
        $number--;
    }
    return;
}

sub id_of { return ($_[0]{parameters} || {})->{id} // '' }

# The number that the display shows, in a message.
sub shown { my ($text) = @_; return $text =~ m{"${\DISPLAY}".*"raw": "([^"]+)"} ? unpack 'N', decode_base64($1) : () }

# How often a process has gone to sleep.
sub sleeps { my ($pid) = @_; return ClownTalk::Process::status($pid, 'voluntary_ctxt_switches') }

sub new_hub { my ($old) = @_; return $server->next_hub($old, 60) }

my @children = sort { $a <=> $b } $server->workers;
is scalar @children, 2, 'two children';
my ($here, $there) = map { client_of($_) } @children;
my ($guardian, $hub) = ($server->guardian, $server->hub);

# ---- a child and the guardian are stopped, for longer than anything waits ----

{
    is_deeply $there->request(FIRST . '/set', {state => $true})->{payload}, {state => $true}, 'a child: a relay is switched on';
    $here->wait_topic(FIRST, sub { $_[0]{payload}{state} });
    my $silent = client_of($children[1], '/pinged');    # hears, and says nothing
    my $memory = ClownTalk::Process::status($hub, 'VmRSS');
    my $path = $server->dir . '/logs/clowntalk-hub.sock';
    my $link = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!";    # as a child's, and is not read
    my $greeting = <$link>;
    ClownTalk::Process::stop($children[1], $guardian);
    $there->talk(FIRST . '/set',       {state => $false},  {id => 'set'});
    $there->talk(FIRST . '/get',       {},                 {id => 'get'});
    $there->talk(SECOND . '/pulse/set', {duration => 600}, {id => 'pulse'});

    my ($asked, $answered) = (0, 0);
    wait_for_pings(connect_anywhere('/ticks'), PINGS, sub {
        my @answers = ($here->request(FIRST . '/set', {state => $asked++ % 2 ? $true : $false}),
            map { show($here, ($asked - 1) * VALUES + $_) } 1 .. VALUES);
        $answered += grep { !$_->{payload}{error} } @answers;
    });
    is $answered, PINGS * (1 + VALUES), 'it is stopped: the requests of another child\'s sessions are answered, each, all the time';
    SKIP: {
        skip 'a sanitizer keeps what was freed', 1 if ClownTalk::Settings->get('sanitizers');
        cmp_ok ClownTalk::Process::status($hub, 'VmRSS') - $memory, '<', 4096, 'the hub keeps little for a child that does not read';
    }
    is clicks('3f'), '', 'what was asked of the stopped one is not carried out';

    my $slept = sleeps($guardian);
    my $had = clicks('3b');
    kill CONT => $children[1], $guardian;
    wait_for_pings(client_of($children[0], '/ticks'), 2, sub { });
    is eval { $silent->request(FIRST . '/get')->{topic} }, FIRST, 'it goes on: a session has its time to answer pings';
    my (%answers, @values);
    until (keys %answers == 3) {
        my $talk = $there->read_talk(30);
        $answers{id_of($talk)}++ if id_of($talk);
        push @values, shown($talk->{text});
    }
    is $values[-1], PINGS * VALUES, 'of what was published meanwhile there is the newest';
    is_deeply [grep { $values[$_] <= $values[$_ - 1] } 1 .. $#values], [], 'in order';
    my @linked;
    while (!@linked || $linked[-1] != PINGS * VALUES) {
        push @linked, shown(scalar(<$link>) // last);
    }
    is $linked[-1], PINGS * VALUES, 'and on a link that nobody has read';
    cmp_ok scalar @linked, '<', FITTING, 'behind what fitted into it (' . $#linked . ' values): the others were dropped';
    is_deeply $there->request(FIRST . '/get')->{payload}, {state => $false}, 'the state is what was asked for last';
    $answers{id_of($_)}++ for grep { id_of($_) } @{$there->{inbox}};
    is_deeply \%answers, {map { $_ => 1 } qw(set get pulse)}, 'each request is answered once';
    is clicks('3f'), 'on', 'the pulse has begun, and once';
    $silent->close(1000);

    $server->wait_until('the guardian to look', sub { sleeps($guardian) >= $slept + LOOKS });
    is_deeply [$server->hub], [$hub], 'the guardian does not take its own stop for the hub\'s';
    is_deeply [$log->fresh(qr/CT1071/)], [], 'nor says so';
}

# ---- a hub dies while the guardian is stopped ----

{
    remembered();
    ClownTalk::Process::stop($guardian);
    kill KILL => $hub;
    is $here->request(FIRST . '/set', {state => $true}, 30)->{payload}{error}, 'unavailable',
        'a hub dies and its guardian is stopped: requests are answered, with an error';
    kill CONT => $guardian;
    $hub = new_hub($hub);
    is_deeply $_->wait_topic('boot', undef, 30)->{payload}, {'reason-for-reset' => 'crash'}, 'it is replaced when that goes on'
        for $here, $there;
    is_deeply $here->request(FIRST . '/get')->{payload}, {state => $false}, 'and what could not be done was not done later';
    is_deeply $there->request(SECOND . '/get')->{payload}, {state => $true}, 'while a pulse goes on';
}

# ---- guardian and hub are stopped together, as by a container that is frozen; the guardian goes on first, and the hub never ----

{
    remembered();
    $log->fresh;
    my $ticks = connect_anywhere('/ticks');
    ClownTalk::Process::stop($guardian, $hub);
    $here->talk(FIRST . '/set', {state => $false}, {id => 'late'});
    wait_for_pings($ticks, PINGS, sub { });
    my $slept = sleeps($guardian);
    kill CONT => $guardian;
    $server->wait_until('the guardian to look', sub { sleeps($guardian) >= $slept + LOOKS });
    is_deeply [$log->fresh(qr/CT1071/)], [], 'both are stopped: the guardian does not count the time in which it was';
    like $log->wait_line(qr/CT1071/, 60), qr/\(process $hub\)/, 'a hub that hangs on is replaced';
    is_deeply $here->wait_topic(qr/./, sub { id_of($_[0]) eq 'late' }, 60)->{payload}, {state => $false},
        'and the next one answers';
    $hub = new_hub($hub);
    $_->wait_topic('boot', undef, 30) for $here, $there;
}

# ---- httpd's parent is stopped ----

{
    remembered();
    ClownTalk::Process::stop($server->pid);
    kill KILL => $hub;
    $hub = new_hub($hub);
    is_deeply $_->wait_topic('boot', undef, 30)->{payload}, {'reason-for-reset' => 'crash'},
        'httpd\'s parent is stopped: a hub that dies is replaced' for $here, $there;
    is_deeply connect_anywhere()->request(SECOND . '/get')->{payload}, {state => $true}, 'and new clients are served';
    kill KILL => $guardian;
    $server->wait_until('the hub to end with its guardian', sub { !$server->hub });
    is $here->request(FIRST . '/get', {}, 30)->{payload}{error}, 'unavailable', 'a guardian that dies is not replaced yet';
    kill CONT => $server->pid;
    $log->wait_line(qr/CT0056/, 30);
    is_deeply $there->wait_topic('boot', undef, 30)->{payload}, {'reason-for-reset' => 'crash'},
        'it is, and its hub, as soon as the parent goes on';
    is_deeply $there->request(FIRST . '/get')->{payload}, {state => $false}, 'states are what they were';
    is_deeply [sort { $a <=> $b } $server->workers], \@children, 'the children have stayed all the time';
    is clicks('3b'), join(' ', 'on', (map { $_ % 2 ? 'on' : 'off' } 0 .. PINGS - 1), 'off'),
        'and its contact was moved by each request that said so, once';
}

# ---- a restart is under way, and all are stopped but the hub; the parent goes on first ----

{
    is clicks('3f'), 'on off', 'a pulse has ended with the guardian';
    $here->request(SECOND . '/pulse/set', {duration => 600});
    remembered();
    ($guardian) = $server->guardian;
    ClownTalk::Process::stop($guardian);
    my $slept = sleeps($server->pid);
    $server->graceful;
    $server->wait_until('the parent to wait for the guardian', sub { sleeps($server->pid) >= $slept + 100 });
    ClownTalk::Process::stop($server->pid);
    sleep PATIENCE;    # no session is left that could tell the time
    kill CONT => $server->pid;
    $slept = sleeps($server->pid);
    $server->wait_until('the parent to look', sub { sleeps($server->pid) >= $slept + 10 });
    kill CONT => $guardian;
    $server->wait_until('another guardian', sub { grep { $_ != $guardian } $server->guardian });
    is_deeply connect_anywhere()->request(SECOND . '/get')->{payload}, {state => $true},
        'a restart during which all are stopped hands over: the pulse goes on';
    is clicks('3f'), 'on off on', 'and has not ended in between';
}

is $server->stop, 0, 'the server ends';
done_testing;
