# A client that resets its connection while the server answers it, or publishes to it, ends its own session only: the
# child process lives on, with all its other sessions. The child is stopped for that moment, so that it finds everything
# at once when it goes on: what is to be published, what the client has said, and the reset, which lets every write fail.
use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(remove_tree);
use Test::More;

use ClownTalk::Apxs;
use ClownTalk::Client;
use ClownTalk::HubLink;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

use constant {
    CROWD    => 20,    # members of an audience: it is sent to in batches from 16 on
    PATIENCE => 15,    # seconds
};

my $event     = ClownTalk::Suite->mpm eq 'event';
my $sanitized = ClownTalk::Settings->get('sanitizers');

# ---- modules: a handler with audiences, and filters that keep sessions on httpd's connections ----

my $modules = ClownTalk::Httpd::scratch_dir('modules');
END { remove_tree($modules) if defined $modules }

mkdir "$modules/clowntalk" or die "$modules/clowntalk: $!";
copy(ClownTalk::Settings->get('srcdir') . '/src/session/mod_clowntalk.h', "$modules/clowntalk") or die "mod_clowntalk.h: $!";
my $chat = ClownTalk::Apxs::build($modules, 'mod_ctchat', '-S', 'CC=' . ClownTalk::Settings->get('cc'), "-I$modules", '-Wc,-g',
    $sanitized ? ("-Wc,-fsanitize=$sanitized", "-Wl,-fsanitize=$sanitized") : ());
my $filter = ClownTalk::Apxs::build($modules, 'mod_ctfilter');

my $config = ClownTalk::Process::ONE_CHILD . <<"END";
# Processes that are there from the beginning to the end, one for each session.
<IfModule mpm_prefork_module>
    StartServers       30
    MinSpareServers     1
    MaxSpareServers    40
</IfModule>
LogLevel clowntalk:debug
LoadModule ctchat_module "$chat"
ClownTalkBus      0 sim
ClownTalkStateDir "\@t_state\@/clowntalk"
<Location "/echo">
    SetHandler       clowntalk
    ClownTalkHandler echo
</Location>
<Location "/chat">
    SetHandler       clowntalk
    ClownTalkHandler chat
</Location>
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END

# ---- the server, stopped for a moment ----

my ($server, $stays);    # $stays: sessions stay on httpd's connections

sub serving { return sort { $a <=> $b } $server->workers }

sub is_stopped {
    my ($pid) = @_;
    return ClownTalk::Httpd::read_file("/proc/$pid/stat") =~ /\) T /;
}

# Stops the processes that serve, does something, and lets them go on.
sub while_stopped {
    my ($run) = @_;
    my @pids = serving();

    kill STOP => @pids;
    my $done = eval {
        for my $pid (@pids) {
            $server->wait_until("process $pid to stop", sub { is_stopped($pid) });
        }
        $run->();
        1;
    };
    my $error = $@;
    kill CONT => @pids;
    die $error unless $done;
}

# ---- clients ----

sub frame { return ClownTalk::Client::frame(@_) }

my $names = 0;

# A session that has left its connection, where it can.
sub session {
    my ($scheme, $path) = @_;
    my $log    = $server->log;
    my $client = ClownTalk::Client->connect($server->url($scheme, $path));
    my $port   = $client->connection->port;

    $log->wait_line(qr/127\.0\.0\.1:$port\] CT0036/) if $event && !$stays;
    return $client;
}

sub echo { return session($_[0], '/echo') }

sub guest {
    my ($scheme) = @_;
    my $client = session($scheme, '/chat?name=guest' . ++$names);

    $client->read_message;    # the welcome
    $client->send_text('/enter hall')->read_message;
    return $client;
}

sub talker {
    my ($scheme) = @_;
    my $client = session($scheme, '/talk/' . ClownTalk::Suite::NODE);

    $client->open_talk;
    return $client;
}

sub crowd { my ($scheme) = @_; return map { talker($scheme) } 1 .. CROWD }

my ($hub, $switched);

# The hub publishes.
sub publish {
    my $state = $switched++ % 2 ? 'false' : 'true';

    $hub->ask(qq(["relay/i2c0-3b/set", {"state": $state}]));
}

# ---- what is tried ----

my $malformed = frame(payload => 'this is no Clown.Talk');
my $close     = frame(opcode => ClownTalk::Client::CLOSE, payload => pack 'n', 1000);
my $ping      = frame(opcode => ClownTalk::Client::PING, payload => 'ping');
my $half      = substr $ping, 0, 1;    # nothing is answered to that

sub texts { return map { frame(payload => $_) } @_ }

# A member of the same audience publishes, and leaves it.
sub publish_and_leave { $_[0]->send_text($_) for '/all 1', '/all 2', '/exit' }

# Each case:
#
#   client  makes the client that resets
#   others  makes more clients, of the same audience
#   first   what happens before the client says anything, while the child is stopped; it is given the others
#   says    what it says then: over TLS each is a record
my @cases = (
    ['echo: two messages', client => \&echo, says => [texts('one', 'two')]],
    ['echo: two messages and a Close', client => \&echo, says => [texts('one', 'two'), $close]],
    ['i2c: two malformed messages', client => \&talker, says => [$malformed, $malformed]],
    ['i2c: a publication, and two malformed messages',
        client => \&talker, first => \&publish, says => [$malformed, $malformed]],
    ['i2c: a publication, and two malformed messages in one record',
        client => \&talker, first => \&publish, says => [$malformed . $malformed]],
    ['i2c: a publication, a malformed message and a Close',
        client => \&talker, first => \&publish, says => [$malformed, $close]],
    ['i2c: a publication, a Close and a malformed message',
        client => \&talker, first => \&publish, says => [$close, $malformed]],
    ['i2c: a publication, two malformed messages and a Close in one record',
        client => \&talker, first => \&publish, says => [$malformed . $malformed . $close]],
    ['i2c: two publications, a ping and what is against the protocol',
        client => \&talker, first => sub { publish() for 1 .. 2 }, says => [$ping, "\xff\xff"]],
    ['i2c: a publication, and nothing to answer', client => \&talker, first => \&publish, says => [$half]],
    ['i2c: a publication to many, and two malformed messages',
        client => \&talker, others => \&crowd, first => \&publish, says => [$malformed, $malformed]],
    ['i2c: a publication to many, and nothing to answer',
        client => \&talker, others => \&crowd, first => \&publish, says => [$half]],
    ['its own publications', client => \&guest, others => \&guest, says => [texts('/all 1', '/all 2')]],
    ['its own publications to the others, and a Close',
        client => \&guest, others => \&guest, says => [texts('/others 1', '/others 2'), $close]],
    ['its own publication, and the handler closes',
        client => \&guest, others => \&guest, says => [texts('/all 1', '/close 1000 bye')]],
    # The handler destroys an audience when its last member leaves: it may hear that while the audience publishes.
    ["an audience's only member: its own publications", client => \&guest, says => [texts('/all 1', '/all 2')]],
    ["an audience's last member: two requests",
        client => \&guest, others => \&guest, first => \&publish_and_leave, says => [texts('/id', '/id')]],
    ["an audience's last member: its own publications",
        client => \&guest, others => \&guest, first => \&publish_and_leave, says => [texts('/others 1', '/others 2')]],
    ["an audience's last member: nothing to answer",
        client => \&guest, others => \&guest, first => \&publish_and_leave, says => [$half]],
);

# Waits for the session of this port to end, unless a process does: which has crashed.
sub wait_for_end {
    my ($log, $port, @pids) = @_;

    $server->wait_until('the session to end', sub {
        return $log->fresh(qr/127\.0\.0\.1:$port\] CT0030/) || "@pids" ne join ' ', serving();
    }, PATIENCE);
}

sub test_case {
    my ($scheme, %case) = @_;
    my $witness = session('ws', '/echo');
    my @others  = $case{others} ? $case{others}->($scheme) : ();
    my $client  = $case{client}->($scheme);
    my $port    = $client->connection->port;
    my $log     = $server->log;
    my @pids    = serving();

    while_stopped(sub {
        $case{first}->(@others) if $case{first};
        $client->send_raw($_) for @{$case{says}};
        $client->reset;
    });
    ok eval { wait_for_end($log, $port, @pids) }, "the client's session ends" or diag $@;
    for my $session ($witness, @others) {
        ok eval { $session->barrier; 1 }, 'another session of the same process lives on' or diag $@;
        $session->drop;
    }
    is_deeply [serving()], \@pids, 'no process has died';
}

sub test_all {
    my ($how) = @_;

    $hub = ClownTalk::HubLink->new($server);
    for my $scheme (qw(ws wss)) {
        for my $case (@cases) {
            my ($name, %case) = @$case;
            subtest "$scheme$how: $name" => sub { test_case($scheme, %case) };
        }
    }
    is $server->stop, 0, 'the server ends';
    undef $server;
}

$server = ClownTalk::Server->new(config => $config)->start;
test_all('');

$stays  = 1;
$server = ClownTalk::Server->new(config => qq(LoadModule ctfilter_module "$filter"\n$config))->start;
test_all(", another module's filters");

done_testing;
