# A memory has one owner: a second server with the same ClownTalkStateDir, or a clowntalk-bridge, says that
# it remembers nothing, and leaves what the first one remembers as it is. What a bridge has written as root
# the server's user can read, and write again.
use strict;
use warnings;

use FindBin qw($RealBin);
use lib "$RealBin/bridge";

use JSON::PP;
use Test::More;

use Bridge;
use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my ($relay, $thermometer) = ('relay/i2c0-3b', 'thermometer/i2c0-48');

$ENV{CLOWNTALK_BRIDGE} = ClownTalk::Settings->get('builddir') . '/clowntalk-bridge';

# Each house has chips of its own, which outlive their hubs.
my $scenario = <<'END';
{"trace": "trace", "memory": "memory",
 "chips": [{"chip": "relay-module", "address": "3b"}, {"chip": "tmp112", "address": "48"}]}
END

# A server that remembers in this directory; or in the usual one.
sub config {
    my ($dir) = @_;

    return <<"END";
ClownTalkBus      0 "sim:\@t_state\@/scenario.json"
ClownTalkStateDir "@{[$dir // '@t_state@/clowntalk']}"
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END
}

sub new_server {
    my ($dir) = @_;

    my $server = ClownTalk::Server->new(config => config($dir));
    ClownTalk::Httpd::write_file($server->vars->{t_state} . '/scenario.json', $scenario);
    return $server;
}

sub client {
    my ($server) = @_;
    my $client = ClownTalk::Client->connect($server->url('ws', '/talk/' . ClownTalk::Suite::NODE));

    $client->open_talk;
    return $client;
}

# Calibrates a thermometer, and switches a relay: both are recorded then.
sub change {
    my ($client, $state, $offset) = @_;

    is $client->request("$thermometer/config/set", {offset => $offset})->{payload}{offset}, $offset,
        '... its thermometer is calibrated';
    is $client->request("$relay/set", {state => $state})->{payload}{state}, $state, '... and its relay switched';
}

sub is_known {
    my ($what, $client, $state, $offset) = @_;

    is $client->request("$relay/get")->{payload}{state}, $state, "$what: the relay's state is known";
    is $client->request("$thermometer/config/get")->{payload}{offset}, $offset, "$what: the calibration, too";
    ok !exists $client->request('-/-/config/list')->{payload}{remembers}, "$what: it remembers";
}

my $first = new_server();
my $state = $first->vars->{t_state};
my $dir = "$state/clowntalk";
my @house = ('--bus', "0=sim:$state/scenario.json");

# ---- two at a time ----

$first->start;
note 'the first server';
my $client = client($first);
change($client, $true, 1.5);
my $before = $first->remembered($dir);

note 'the second server';
my $second = new_server($dir);
$second->start;
my $guest = client($second);
like $second->wait_log(qr/CT1051.*/), qr/\Q$dir\E is in use by another/, 'a second server says that the memory is another one\'s';
is $guest->request('-/-/config/list')->{payload}{remembers}, $false, '... and in the list that it remembers nothing';
is $guest->request("$relay/get")->{payload}{state}, undef, '... and believes nothing of it';
change($guest, $false, -3);
$guest->close(1000);
is $second->stop, 0, '... its end';

note 'a bridge';
my $bridge = Bridge->opened('--bus', '0=sim', '--state-dir', $dir);
ok exists $bridge->{values}{$relay}, 'a bridge that has waited for the memory looks for its chips before it answers';
$bridge->send('["-/-/config/list", {}, {"id": 1}]', qq(["$relay/set", {"state": false}, {"id": 2}]));
is $bridge->wait_for('-/-/config/ok', 1)->[1]{remembers}, $false, '... it remembers nothing either';
is $bridge->wait_for($relay, 2)->[1]{state}, $false, '... its relay is switched';
is $bridge->finish, 0, '... its end';
like $bridge->{log}, qr/CT1051/, '... and it has said so';

is $first->remembered($dir), $before, 'what the first server remembers is as it was';
kill KILL => $first->wait_for_hub;
$client->wait_topic('boot');
$client->wait_topic($relay);
is_known('its next hub', $client, $true, 1.5);
$client->close(1000);
$first->stop;

# ---- one after the other ----

# Files belong to the owner of their directory, whoever has written them.
sub owned_with {
    my ($dir, $what) = @_;

    for my $file ('json', 'moving') {
        is +(stat "$dir/nodes_bridge_0.$file")[4], (stat $dir)[4], "$what .$file belongs to the directory's owner";
    }
}

# Runs a bridge once, which may be root's.
sub run_bridge {
    my ($dir, $state) = @_;

    my $bridge = Bridge->opened(@house, '--state-dir', $dir);
    $bridge->send(qq(["$thermometer/config/set", {"offset": 0.5}, {"id": 1}]));
    $bridge->wait_for("$thermometer/config/ok", 1);
    $bridge->send(qq(["$relay/set", {"state": ) . ($state ? 'true' : 'false') . '}, {"id": 2}]');
    is $bridge->wait_for($relay, 2)->[1]{state}, $state, 'a bridge switches a relay';
    is $bridge->finish, 0, '... and ends';
    owned_with($dir, '...');
    return $bridge->{values}{$relay}{state};
}

# A server after that: it can read what is there, and write it.
sub server_goes_on {
    my ($what, $dir, $state) = @_;

    my $log = $first->log;
    $first->configure(config => config($dir))->start;
    my $client = client($first);
    is_known($what, $client, $state, 0.5);
    change($client, $state ? $false : $true, 2);
    $first->remembered($dir);
    owned_with($dir, "$what:");
    kill KILL => $first->wait_for_hub;
    $client->wait_topic('boot');
    $client->wait_topic($relay);
    is_known("$what: the next hub", $client, $state ? $false : $true, 2);
    is join('', $log->fresh(qr/CT102\d|CT105\d/)), '', "$what: nothing is wrong with the memory";
    $client->close(1000);
    is $first->stop, 0, "$what: the end";
}

is run_bridge($dir, $false), $true, "... whose state it knows from the server's memory";
server_goes_on('after a bridge', $dir, $false);

SKIP: {
    skip 'only root can leave files that another user cannot read', 1 if $>;
    run_bridge("$state/made", $true);
    chown +(stat $state)[4, 5], "$state/made" or die "$state/made: $!";
    server_goes_on("in a directory that root's bridge has made, and that was given away", "$state/made", $true);
}

done_testing;
