# A disk that is full, becomes read-only, or no longer belongs to the server's user: relays work all the
# same, and it is said that nothing is remembered. A hub that was killed then is followed by one that does
# not claim to know what was never written down.
use strict;
use warnings;

use JSON::PP;
use Test::More;

use ClownTalk::Client;
use ClownTalk::Disk;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Suite;

my $cannot_mount = ClownTalk::Disk->own_mounts;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my $relay = 'relay/i2c0-3b';

# The relay outlives its hubs; that it moves is seen in the trace.
my $scenario = <<'END';
{"trace": "trace", "memory": "memory", "chips": [{"chip": "relay-module", "address": "3b"}]}
END

my $server = ClownTalk::Server->new(config => <<'END');
ClownTalkBus      0 "sim:@t_state@/scenario.json"
ClownTalkStateDir "@t_state@/clowntalk"
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END
my $state = $server->vars->{t_state};
my $dir = "$state/clowntalk";
ClownTalk::Httpd::write_file("$state/scenario.json", $scenario);

sub contact {
    my @clicks = ClownTalk::Httpd::read_file("$state/trace") =~ /\b3b coil (on|off)$/mg;
    return ($clicks[-1], scalar @clicks);
}

sub client {
    my $client = ClownTalk::Client->connect($server->url('ws', '/talk/' . ClownTalk::Suite::NODE));

    $client->open_talk;
    return $client;
}

# A hub that starts may say that it is not there yet.
sub ask {
    my ($client, @request) = @_;
    my $answer;

    $server->wait_until('an answer', sub {
        $answer = $client->request(@request)->{payload};
        return ($answer->{error} // '') ne 'unavailable';
    });
    return $answer;
}

sub switch { my ($client, $to) = @_; return ask($client, "$relay/set", {state => $to})->{state} }

sub forgets { my ($list) = @_; return exists $list->{remembers} && !$list->{remembers} }

# What the disk says of the relay.
sub recorded {
    my ($said) = $server->remembered($dir) =~ /"state":\s*(\w+)/;
    return $said;
}

# Another hub, after this one was killed; what is published of the relay first.
sub next_hub {
    my ($other) = @_;

    $other->barrier;
    $other->forget;
    kill KILL => $server->wait_for_hub;
    $other->wait_topic('boot');
    return $other->wait_topic($relay)->{payload}{state};
}

# Three moves that cannot be recorded, and a kill. $said is the line of the hub that follows.
sub drill {
    my ($what, $break, $mend, $said) = @_;

    $server->start;
    my ($asker, $other) = (client(), client());
    switch($asker, $_) for $true, $false;
    is recorded(), 'false', "$what: before, the relay is off, which is recorded";
    my (undef, $before) = contact();

    my $log = $server->log;
    $break->();
    is switch($asker, $_), $_, "$what: the relay moves all the same" for $true, $false, $true;
    is_deeply [contact()], ['on', $before + 3], "$what: three times, and is on";
    like $log->wait_line(qr/CT1022/), qr/cannot be remembered/, "$what: the log says that this is not remembered";
    ok forgets($other->wait_topic('-/-/config/ok', sub { exists $_[0]{payload}{remembers} })->{payload}),
        "$what: so does the list, which is published";
    like ClownTalk::Httpd::read_file("$dir/nodes_bridge_0.json"), qr/"state":\s*false/,
        "$what: the disk still says that it is off";

    $log = $server->log;
    is next_hub($other), undef, "$what: the next hub does not believe that: null";
    is ask($asker, "$relay/get")->{state}, undef, "$what: which it answers, too";
    ok $log->wait_line($said), "$what: it says so in the log";
    $server->wait_until('the list', sub { forgets(ask($asker, '-/-/config/list')) });
    pass "$what: the list says that nothing is remembered";

    $mend->();
    ok $log->wait_line(qr/CT1023/), "$what is over: the log says that states are remembered";
    is next_hub($other), undef, "$what is over: what nobody knows stays null";
    is_deeply [contact()], ['on', $before + 3], "$what: nothing has moved meanwhile";
    is switch($asker, $_), $_, "$what is over: the relay moves" for $true, $false, $true;
    is recorded(), 'true', "$what is over: its state is recorded";
    $server->wait_until('the list', sub { !exists ask($asker, '-/-/config/list')->{remembers} });
    is next_hub($other), $true, "$what is over: the next hub knows it";
    $_->close(1000) for $asker, $other;
    is $server->stop, 0, "$what: the end";
}

my $disk;

SKIP: {
    skip $cannot_mount, 1 if $cannot_mount;

    $disk = ClownTalk::Disk->new($dir);
    drill('a full disk', sub { $disk->fill }, sub { $disk->empty }, qr/CT1024.*\Q$relay\E/);
    undef $disk;
}
SKIP: {
    skip $cannot_mount, 1 if $cannot_mount;

    $disk = ClownTalk::Disk->new($dir);
    drill('a read-only disk', sub { $disk->read_only }, sub { $disk->writable }, qr/CT1022/);
    undef $disk;
}
ClownTalk::Httpd::make_writable_dir($dir);
drill('a directory without the right to write', sub { chmod 0500, $dir }, sub { chmod 0700, $dir }, qr/CT1024.*\Q$relay\E/);

# Before the server's directory is removed, also where a test has failed.
END { undef $disk }

done_testing;
