# What a stop, a start, a restart and a crash do to contacts: a pulse ends with the server, and goes on where a successor
# takes over; nothing else moves. Only a start of the machine is a power-on.
use strict;
use warnings;

use JSON::PP;
use Test::More;

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Suite;

my ($true, $false) = (JSON::PP::true, JSON::PP::false);

# The chips outlive their hubs in a file; how their contacts stand is seen in the trace.
my $scenario = <<'END';
{"trace": "trace", "memory": "memory",
 "chips": [{"chip": "relay-module", "address": "3b"}, {"chip": "relay-module", "address": "3f"}]}
END

my $config = <<'END';
ClownTalkBus      0 "sim:@t_state@/scenario.json"
ClownTalkDevice   relay/i2c0-3f power-on=on
ClownTalkStateDir "@t_state@/clowntalk"
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END
my $server = ClownTalk::Server->new(config => $config);
my $state = $server->vars->{t_state};
ClownTalk::Httpd::write_file("$state/scenario.json", $scenario);

# The clicks of a relay so far, "on" or "off" each.
sub clicks {
    my ($address) = @_;

    my @clicks = ClownTalk::Httpd::read_file("$state/trace") =~ /\b$address coil (on|off)$/mg;
    return @clicks;
}

sub client {
    my $client;

    $server->wait_until('the server to serve', sub {
        $client = eval { ClownTalk::Client->connect($server->url('ws', '/talk/' . ClownTalk::Suite::NODE)) };
    });
    $client->open_talk;
    return $client;
}

# A pulse that nobody here waits for, which is on disk; returns the clicks until then.
sub pulse {
    my ($client) = @_;

    $client->request('relay/i2c0-3b/pulse/set', {duration => 600});
    $server->wait_until('the pulse to be recorded',
        sub { eval { ClownTalk::Httpd::read_file("$state/clowntalk/nodes_bridge_0.json") } =~ /pulse-end/ });
    my @clicks = clicks('3b');
    is $clicks[-1], 'on', 'a pulse begins';
    return scalar @clicks;
}

sub ends_within {
    my ($what, $before) = @_;

    $server->wait_until("the contact to go off after $what", sub { clicks('3b') > $before });
    my @clicks = clicks('3b');
    is scalar @clicks, $before + 1, "$what: one click";
    is $clicks[-1], 'off', "$what: the contact is off";
}

# ---- a successor takes over ----

$server->start;
my $before = pulse(client());
for my $how (qw(graceful restart)) {
    my ($hub) = $server->hub;
    $server->$how;
    $server->next_hub($hub);
    is client()->request('relay/i2c0-3b/get')->{payload}{state}, $true, "$how: the relay is on";
    is scalar(clicks('3b')), $before, "$how: it was not moved";
}
kill KILL => $server->hub;
is client()->request('relay/i2c0-3b/get')->{payload}{state}, $true, 'a hub is killed: the relay is on';
is scalar(clicks('3b')), $before, 'it was not moved';

# ---- the end of the server ----

$server->stop;
ends_within('stop', $before);

$server->start;
is client()->request('relay/i2c0-3b/get')->{payload}{state}, $false, 'the next server knows that';
$before = pulse(client());
$server->graceful_stop->wait_exit;
ends_within('graceful-stop', $before);

# A restart into a configuration that is wrong is an end, too.
for my $how (qw(graceful restart)) {
    $server->start;
    $before = pulse(client());
    $server->configure(config => "${config}ClownTalkNoSuchDirective\n");
    $server->$how;
    ends_within("$how into a wrong configuration", $before);
    $server->wait_exit;
    $server->configure(config => $config);
}

# And one into a configuration without any hardware.
$server->start;
$before = pulse(client());
$server->configure(config => "<Location /echo>\nSetHandler clowntalk\nClownTalkHandler echo\n</Location>\n");
$server->graceful;
ends_within('a restart without any bus', $before);
$server->stop;
$server->configure(config => $config);

# Nobody says that it ends.
for my $killed (qw(parent guardian)) {
    $server->start;
    $before = pulse(client());
    kill KILL => $killed eq 'parent' ? $server->pid : $server->guardian;
    ends_within("the $killed is killed", $before);
    if ($killed eq 'parent') {
        kill KILL => $server->processes;    # httpd's children, which do not notice
        $server->wait_exit;
    } else {
        $server->stop;
    }
}

# ---- starts ----

my @power = clicks('3f');
is "@power", 'on', 'its power-on state was applied at the first start, and at none of those above';
$server->start;
is client()->request('relay/i2c0-3f/set', {state => $false})->{payload}{state}, $false, 'it is switched off';
$server->stop;
$server->start;
is client()->request('relay/i2c0-3f/get')->{payload}{state}, $false, 'stopped and started: it is off';
is scalar(clicks('3f')), 2, 'and was not moved';
$server->stop;

# As if the machine had been started since.
my $file = "$state/clowntalk/nodes_bridge_0.json";
my $text = ClownTalk::Httpd::read_file($file);
like $text, qr/"boot"/, 'the memory names the start of the machine';
$text =~ s/("boot":\s*")[^"]*/$1another/;
open my $out, '>', $file or die "$file: $!";
print {$out} $text;
close $out;
$server->start;
$server->wait_until('the power-on state', sub { clicks('3f') == 3 });
is +(clicks('3f'))[-1], 'on', 'after a start of the machine it is on';
is $server->stop, 0, 'the end';

done_testing;
