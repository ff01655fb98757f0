# What the server makes as root, it makes where only root decides what is there: of ClownTalkStateDir and ClownTalkHubSocket nothing that
# exists is given away or removed, and no link of the server's User is followed. `httpd -t` finds what is wrong; what is found at a
# restart ends no server.
use strict;
use warnings;

use Cwd qw(realpath);
use File::Path qw(remove_tree);
use IO::Socket::UNIX;
use JSON::PP;
use Socket qw(SOL_SOCKET);
use Test::More;

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Suite;

use constant SO_PEERCRED => 17;

my $server = ClownTalk::Server->new;
my $dir = $server->dir;
my $others = "$dir/state";    # where the server's User can write
my ($user) = ClownTalk::Httpd::run_as();
my $number = getpwnam $user;

sub config {
    my (@lines) = @_;

    return join "\n", 'ClownTalkBus 0 sim', @lines, '<Location "/talk">', 'SetHandler clowntalk', 'ClownTalkControl On', '</Location>';
}

# What a path is: its kind, owner and permissions, and the file that it is.
sub what { return join ' ', (lstat $_[0])[0 .. 5] }

sub refused {
    my ($directive, $path, $pattern, $what) = @_;

    my $before = what($path);
    my ($right, $output) = $server->configure(config => config(qq($directive "$path")))->configtest;
    ok !$right, "$directive: $what is refused";
    like $output, qr/\Q$directive $path\E: .*$pattern/, 'and it is said why' or diag $output;
    is what($path), $before, 'nothing has changed';
}

sub accepted {
    my ($directive, $path, $what) = @_;

    my ($right, $output) = $server->configure(config => config(qq($directive "$path")))->configtest;
    ok $right, "$directive: $what is accepted" or diag $output;
}

sub client {
    my $client;

    $server->wait_until('the server to serve', sub {
        $client = eval { ClownTalk::Client->connect($server->url('ws', '/talk/' . ClownTalk::Suite::NODE)) };
    });
    return $client;
}

# ---- what is found by `httpd -t` ----

ClownTalk::Httpd::write_file("$dir/file", "precious\n");
mkdir "$dir/directory" or die "$dir/directory: $!";
symlink "$dir/directory", "$dir/link" or die "$dir/link: $!";
symlink 'file', "$dir/link-to-file" or die "$dir/link-to-file: $!";
chown $number, -1, "$dir/directory" unless $>;

refused('ClownTalkStateDir', "$dir/file", qr/it is no directory: name a directory/, 'a file');
refused('ClownTalkStateDir', "$dir/link", qr/it is a symbolic link: name the directory itself/, 'a link to a directory');
refused('ClownTalkStateDir', "$dir/link-to-file", qr/it is a symbolic link/, 'a link to a file');
refused('ClownTalkStateDir', "$dir/none/below", qr/No such file or directory/, 'a path in a directory that does not exist');
refused('ClownTalkStateDir', "$dir/file/below", qr/Not a directory/, 'a path in a file');
accepted('ClownTalkStateDir', "$dir/new", 'what does not exist');
accepted('ClownTalkStateDir', "$dir/directory/", "a directory of the server's User");

refused('ClownTalkHubSocket', "$dir/file", qr/is no socket, and is left as it is/, 'a file');
refused('ClownTalkHubSocket', "$dir/directory", qr/is no socket/, 'a directory');
refused('ClownTalkHubSocket', "$dir/link-to-file", qr/is no socket/, 'a link');
refused('ClownTalkHubSocket', "$dir/none/x.sock", qr/No such file or directory/, 'a path in a directory that does not exist');
accepted('ClownTalkHubSocket', "$dir/x.sock", 'what does not exist');

SKIP: {
    skip 'only root has something to give away', 1 if $>;
    my $one = "of the server's User";

    mkdir "$dir/roots", 0755 or die "$dir/roots: $!";
    refused('ClownTalkStateDir', "$dir/roots", qr/it belongs to the user root, and must be the server's User's, who is \Q$user\E:/, "root's directory");
    refused('ClownTalkStateDir', "$others/new", qr/others than root can write to the directory that it lies in, \Q$others\E:/,
        "what does not exist in a directory $one");
    refused('ClownTalkHubSocket', "$others/x.sock", qr/others than root can write to the directory that it lies in/, "a path in a directory $one");
    chmod 0775, "$dir/roots";
    refused('ClownTalkHubSocket', "$dir/roots/x.sock", qr/others than root can write/, 'a path in a directory that a group can write to');
    chmod 01777, "$dir/roots";
    accepted('ClownTalkHubSocket', "$dir/roots/x.sock", 'a path in one with the sticky bit');
    chmod 0755, "$dir/roots";

    mkdir "$dir/directory/below" or die "$dir/directory/below: $!";
    refused('ClownTalkStateDir', "$dir/directory/below", qr/belongs to the user root/, "root's directory in one $one");
    chown $number, -1, "$dir/directory/below";
    accepted('ClownTalkStateDir', "$dir/directory/below", 'one of that User there');

    # Links on the way.
    symlink "$dir/roots", "$others/way" or die "$others/way: $!";
    refused($_, "$others/way/new", qr/way on the way is a symbolic link that others than root can have made/, "a way by a link $one")
        for 'ClownTalkStateDir', 'ClownTalkHubSocket';
    system(qw(chown -h), $user, "$dir/link") == 0 or die 'chown -h';
    refused('ClownTalkStateDir', "$dir/link/below", qr/link on the way is a symbolic link/, "a way by a link $one, in root's directory");

    my @above = map { join '/', (split m{/}, realpath($dir))[0 .. $_] } 1 .. (() = realpath($dir) =~ m{/}g);
    skip 'not all directories above are root\'s', 1 if grep { my @s = stat; $s[4] || ($s[2] & 0022 && !($s[2] & 01000)) } @above;
    symlink 'roots', "$dir/roots-link" or die "$dir/roots-link: $!";
    accepted($_, "$dir/roots-link/new", "a way by a link of root's") for 'ClownTalkStateDir', 'ClownTalkHubSocket';
}

# ---- at the start ----

my ($states, $socket) = ("$dir/states", "$dir/hub.sock");
my $lamp = "$dir/led";        # of which a file is a link, as only a directory has that is no LED's
mkdir $lamp or die "$lamp: $!";
ClownTalk::Httpd::write_file("$lamp/max_brightness", "255\n");
symlink '../file', "$lamp/$_" or die "$lamp: $!" for 'trigger', 'brightness';
my $config = config(qq(ClownTalkLED "$lamp"), qq(ClownTalkStateDir "$states"), qq(ClownTalkHubSocket "$socket"));
my $old = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $socket, Listen => 1) or die "$socket: $!";
my $inode = (lstat $socket)[1];
$old->close;
ok -S $socket, 'a socket is there that a server has left';
$server->configure(config => $config)->start;
my $client = client();
ok $client->open_talk, 'it starts, and has a hub';
isnt $client->request('led/-/set', {state => 'on'})->{payload}{error}, undef, 'an LED whose files are links cannot be switched';
is ClownTalk::Httpd::read_file("$dir/file"), "precious\n", 'and nothing is written to where they lead';
is((lstat $states)[4], $> ? $> : $number, "the directory of states is the server's User's");
is sprintf('%o', (lstat _)[2]), '40700', 'and nobody else can look into it';
is sprintf('%o', (lstat $socket)[2] & 07777), '600', "the socket is for the server's User";
is((lstat _)[4], $> ? $> : $number, 'which it belongs to');

# ---- what the processes keep ----

# The users (real, effective, saved, of the file system) that a process's threads run as.
sub users {
    my ($pid) = @_;
    my %users;

    for my $status (glob "/proc/$pid/task/*/status") {
        ClownTalk::Httpd::read_file($status) =~ /^Uid:\s+(.*)$/m and $users{$1 =~ s/\s+/ /gr}++;
    }
    return [keys %users];
}

# The TCP sockets on which a process listens.
sub listeners {
    my ($pid) = @_;

    open my $tcp, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";
    my %listens = map { my @word = split; $word[3] eq '0A' ? ("socket:[$word[9]]" => 1) : () } <$tcp>;
    return grep { $listens{readlink($_) // ''} } glob "/proc/$pid/fd/*";
}

my ($hub, $guardian) = ($server->wait_for_hub, $server->guardian);
is_deeply users($hub), [join ' ', ($> || $number) x 4], "all threads of the hub are the server's User's";
is_deeply users($guardian), [join ' ', ($>) x 4], 'its guardian has the rights of who started the server';
is scalar(listeners($server->pid)), 2, "httpd's parent listens on its ports";
is scalar(listeners($_)), 0, 'the ' . ClownTalk::Process::name($_) . ' does not' for $hub, $guardian;

# ---- what is found at a restart ----

# The next hub, or none where there is to be none.
sub restart_into {
    my ($log, $pattern, $what) = @_;

    $server->graceful;
    $server->wait_until($what, sub { $log->fresh($pattern) });
    $server->wait_until('the old processes to end', sub { !$client || !eval { $client->request('-/-/config/list'); 1 } });
}

my $log = $server->log;
remove_tree($states);
link "$dir/file", $states or die "$states: $!";
my $before = what($states);
restart_into($log, qr/CT0059.*\Q$states\E: it is no directory/, 'it to be said that there is a file where states are remembered');
$client = client();
$client->open_talk;
is $client->request('-/-/config/list')->{payload}{remembers}, JSON::PP::false(), 'a file in place of the directory: the server goes on, without a memory';
is what($states), $before, 'and the file is as it was';
unlink $states;

# A file where the socket is to be; then one of another process.
$log = $server->log;
unlink $socket or die "$socket: $!";
link "$dir/file", $socket or die "$socket: $!";
$before = what($socket);
restart_into($log, qr/CT0058.*\Q$socket\E: what is there is no socket/, 'it to be said that there is a file where the socket is to be');
is what($socket), $before, 'the file is as it was';

sub is_unavailable {
    my ($what) = @_;
    my $answer;

    $client = client();
    $answer = $client->request('clown.talk/-/config/set', {});
    is $answer->{payload}{error}, 'unavailable', "$what: the server goes on, and says that the hardware is not there";
    like $answer->{payload}{message}, qr/ClownTalkHubSocket.*log says why/, 'and why';
}

is_unavailable('a file in place of the socket');
is_deeply [$server->hub], [], 'there is no hub';
unlink $socket or die "$socket: $!";
my $other = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $socket, Listen => 5, Blocking => 0) or die "$socket: $!";
chmod 0777, $socket;
$before = what($socket);
$server->wait_until('it to be tried again', sub { $log->fresh(qr/CT0058.*\Q$socket\E: another process listens there/) });
is_unavailable("another's socket");
is what($socket), $before, 'the socket is as it was';
is $client->request('clown.talk/-/config/set', {})->{payload}{error}, 'unavailable', 'another request';
my %peers;
while (my $peer = $other->accept) {
    $peers{(unpack 'i3', getsockopt($peer, SOL_SOCKET, SO_PEERCRED))[0]}++;
}
is_deeply [keys %peers], [$server->pid], "only httpd's parent has connected to it, to see that it is another's";
close $other;
$server->wait_until('it to be tried again', sub { $log->fresh(qr/CT0065/) });
$client = client();
$server->wait_until('the hub to answer', sub { ($client->request('clown.talk/-/config/set', {})->{payload}{error} // '') ne 'unavailable' });
pass 'when it is gone, there is a hub again';
is $server->stop, 0, 'the end';
ok !-e $socket, 'and no socket is left';

done_testing;
