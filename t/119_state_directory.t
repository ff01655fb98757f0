# The directory of states is removed, replaced and made unusable while the server runs, whose hub has become the server's User by
# then. What it knows is in the directory that the path names as soon as there is one that it may use, and nowhere else.
use strict;
use warnings;

use File::Path qw(remove_tree);
use JSON::PP;
use Test::More;

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Suite;

my ($true, $false) = (JSON::PP::true, JSON::PP::false);

my $scenario = <<'END';
{"memory": "memory", "chips": [{"chip": "relay-module", "address": "3b"}]}
END

my $config = <<'END';
ClownTalkBus      0 "sim:@t_state@/scenario.json"
ClownTalkStateDir "@serverroot@/clowntalk"
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END
my $server = ClownTalk::Server->new(config => $config);
my $state = $server->vars->{t_state};
my $dir = $server->dir . '/clowntalk';    # which the server makes: only who starts it can write above it
my $elsewhere = "$state/elsewhere";
ClownTalk::Httpd::write_file("$state/scenario.json", $scenario);

sub client {
    my $client;

    $server->wait_until('the server to serve', sub {
        $client = eval { ClownTalk::Client->connect($server->url('ws', '/talk/' . ClownTalk::Suite::NODE)) };
    });
    $client->open_talk;
    return $client;
}

sub files { my ($path) = @_; return map { s|.*/||r } glob "$path/*" }

# What the file says about the relay; undef where it says nothing.
sub recorded {
    my $file = eval { decode_json($server->remembered($dir)) } or return;

    return $file->{devices}{'relay/i2c0-3b'}{state};
}

# The hub is killed; the next one says this about the relay.
sub next_hub_says {
    my ($expected, $what) = @_;
    my ($hub) = $server->hub;

    kill KILL => $hub;
    $server->next_hub($hub);
    is client()->request('relay/i2c0-3b/get')->{payload}{state}, $expected, $what;
}

$server->start;
is client()->request('relay/i2c0-3b/set', {state => $true})->{payload}{state}, $true, 'a relay is on';
$server->wait_until('that to be recorded', sub { recorded() });

# ---- removed, and made again ----

my $log = $server->log;
remove_tree($dir);
ClownTalk::Httpd::make_writable_dir($dir);
$server->wait_until('it to be recorded again, with nothing to cause that', sub { recorded() });
is_deeply [files($dir)], ['nodes_bridge_0.json', 'nodes_bridge_0.moving'], 'all is in the new directory';
ok $log->fresh(qr/CT1081/), 'and the log says so';
next_hub_says($true, 'the next hub knows it');

# ---- a symbolic link ----

my $client = client();
$log = $server->log;
remove_tree($dir);
mkdir $elsewhere or die "$elsewhere: $!";
my @before = (stat $elsewhere)[2, 4, 5];
symlink $elsewhere, $dir or die "$dir: $!";
$server->wait_until('the link to be seen', sub { $log->fresh(qr/CT1080.*symbolic link/) });
is $client->request('relay/i2c0-3b/set', {state => $false})->{payload}{state}, $false, 'a link: the relay works';
is $client->request('-/-/config/list')->{payload}{remembers}, $false, 'the list says that nothing is remembered';
is_deeply [files($elsewhere)], [], 'nothing is written to where it leads';

my ($hub) = $server->hub;
$log = $server->log;
$server->graceful;
$server->next_hub($hub);
$client = client();
ok $log->fresh(qr/CT1020.*symbolic link/), 'a restart: it is refused at the start, too';
is_deeply [(stat $elsewhere)[2, 4, 5]], \@before, 'where it leads belongs to whom it did';
is_deeply [files($elsewhere)], [], 'and stays empty';

# ---- another user's ----

SKIP: {
    skip 'only root can give a directory to another user', 6 if $>;
    my $server_user = getpwnam((ClownTalk::Httpd::run_as())[0]);

    unlink $dir or die "$dir: $!";
    ($hub) = $server->hub;
    $server->graceful;
    $server->next_hub($hub);
    $client = client();
    $client->request('relay/i2c0-3b/set', {state => $true});
    $server->wait_until('the state to be recorded', sub { recorded() });
    $log = $server->log;
    remove_tree($dir);
    mkdir $dir, 0777 or die "$dir: $!";
    chmod 0777, $dir;
    $server->wait_until('it to be seen', sub { $log->fresh(qr/CT1080.*another user/) });
    is $client->request('relay/i2c0-3b/set', {state => $false})->{payload}{state}, $false, "root's: the relay works";
    is_deeply [files($dir)], [], 'and nothing is written';
    chown $server_user, -1, $dir or die "$dir: $!";
    $server->wait_until('the state to be recorded', sub { defined recorded() });
    is recorded(), $false, "the server's: it is written again";
    next_hub_says($false, 'and read');

    # Where the server's User may not look at the path, as below root's home, the directory is used as long as it exists.
    $server->stop;
    $dir = $server->dir . '/closed/clowntalk';
    mkdir $server->dir . '/closed', 0700 or die "closed: $!";
    $server->configure(config => $config =~ s/\@serverroot\@\/clowntalk/$dir/r);
    $log = $server->log;
    $server->start;
    client()->request('relay/i2c0-3b/set', {state => $true});
    $server->wait_until('the state to be recorded', sub { recorded() });
    next_hub_says($true, 'where the path is closed to the server, all is remembered as usual');
    ok !$log->fresh(qr/CT1080|CT1022/), 'and the log says nothing else';
}

done_testing;
