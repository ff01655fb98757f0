# ClownTalkHandler: another module's handler, built as its author would build it, with apxs and the
# header that `make install` installs (t/modules/mod_ctchat.c; and the example of docs/handlers.md).
use strict;
use warnings;

use File::Path qw(remove_tree);
use Test::More;

use ClownTalk::Apxs;
use ClownTalk::Client;
use ClownTalk::Deflate;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

my $srcdir   = ClownTalk::Settings->get('srcdir');
my $builddir = ClownTalk::Settings->get('builddir');
my $dir      = ClownTalk::Httpd::scratch_dir('modules');
END { remove_tree($dir) if defined $dir }

# ---- the header, as it is installed ----

{
    my $output = ClownTalk::Httpd::run_quietly($ENV{MAKE} || 'make', '-C', $builddir,
        'install-clowntalkincludeHEADERS', "DESTDIR=$dir/root", 'includedir=/include');
    is $?, 0, 'make installs the header' or diag $output;
    ok -e "$dir/root/include/clowntalk/mod_clowntalk.h", 'as clowntalk/mod_clowntalk.h';
}

sub build { return ClownTalk::Apxs::build($dir, $_[0], "-I$dir/root/include") }

my $chat = build('mod_ctchat');

my ($example) = ClownTalk::Httpd::read_file("$srcdir/docs/handlers.md") =~ /^```c\n(.*?)^```$/ms;
ClownTalk::Httpd::write_file("$dir/mod_shout.c", "$example\nAP_DECLARE_MODULE(shout) = {\n"
    . "    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE,\n};\n");
my $shout = build('mod_shout');

# ---- without the module ----

{
    my ($right, $output) = ClownTalk::Server->new(config => 'ClownTalkHandler chat')->configtest;
    ok !$right, 'a handler that no module provides: an error';
    like $output, qr/must be one of (?:echo, i2c|i2c, echo), not 'chat'/, 'which names those that there are';
    ($right, $output) = ClownTalk::Server->new(config => <<"END")->configtest;
LoadModule ctchat_module "$chat"
LoadModule shout_module "$shout"
ClownTalkHandler cat
END
    ok !$right, 'one that is misspelt too';
    is join(' ', sort $output =~ /\b(chat|echo|i2c|shout)\b(?=[^']*, not 'cat')/g), 'chat echo i2c shout',
        'and now there are four' or diag $output;
}

# ---- with it: one child process, so that all its clients are together (but for prefork) ----

my $server = ClownTalk::Server->new(config => <<"END")->start;
LoadModule ctchat_module "$chat"
LoadModule shout_module "$shout"
<IfModule !mpm_prefork_module>
    StartServers      1
    ServerLimit       1
    MinSpareThreads   1
    MaxSpareThreads   25
    MaxRequestWorkers 25
</IfModule>
SendBufferSize 8192
<Location "/">
    SetHandler       clowntalk
    ClownTalkHandler chat
    # The test reads one client after the other.
    ClownTalkBacklog 10000000
</Location>
<Location "/impatient">
    ClownTalkBacklog 20000
</Location>
<Location "/auth">
    AuthType          Basic
    AuthName          "\@realm\@"
    AuthBasicProvider file
    AuthUserFile      "\@t_conf\@/htpasswd"
    Require           valid-user
</Location>
<Location "/shout">
    ClownTalkHandler shout
</Location>
END
my $alone = ClownTalk::Suite->mpm eq 'prefork';    # each session has a process of its own
my $log   = $server->log;

sub guest {
    my ($name, %arg) = @_;

    my $client = ClownTalk::Client->connect(
        $server->url(delete $arg{scheme} || 'ws', (delete $arg{path} || '/') . "?name=$name", delete $arg{user}), %arg);
    is $client->read_message->{payload}, "welcome, $name", "$name: what open() sends comes first";
    return $client;
}

sub ask {
    my ($client, $text) = @_;
    return $client->send_text($text)->read_message->{payload};
}

# accept()
{
    my $refused = ClownTalk::Client->new($server->url('ws', '/'));
    is $refused->status, 403, 'accept() refuses with its status';
    like $log->wait_line(qr/CT0010/), qr/refused with 403: the chat wants a name/, 'and its reason is in the log';
    $refused = ClownTalk::Client->new($server->url('ws', '/?name=hasty'), key => 'short');
    is $refused->status, 400, 'a handshake that accept() has accepted may be refused all the same';
    ok $log->wait_line(qr/ctchat: hasty is released/), 'what it has made is released then';
}

my $one = guest('one', scheme => 'wss', path => '/auth/', user => 'clown:bigclown');
my $two = guest('two');
is ask($one, '/user'), 'one is clown from 127.0.0.1 at localhost', 'clowntalk_user(), clowntalk_client_ip(), clowntalk_server()';
is ask($two, '/user'), 'two is nobody from 127.0.0.1 at localhost', 'without a user: NULL';
my ($id_one, $id_two) = map { ask($_, '/id') } $one, $two;
ok $id_one > 0 && $id_two > 0, 'clowntalk_id() is not 0';

is $one->send_binary("\x00\xff\x0f")->read_message->{payload}, "\xff\x00\xf0", "a message's bytes may be changed";
is $two->send_frame(fin => 0, payload => '/us')->send_frame(opcode => 0, payload => 'er')->read_message->{payload},
    'two is nobody from 127.0.0.1 at localhost', 'a message in fragments comes whole';

# clowntalk_audience_create(), clowntalk_join(), clowntalk_publish(), clowntalk_leave(), clowntalk_audience_destroy()
{
    my $speaker  = guest('speaker');
    my @squeezed = map { guest("squeezed$_", path => '/squeezed', extensions => 'permessage-deflate') } 1, 2;
    my $text = 'so much of the same ' x 20;

    is ask($speaker, '/enter hall'), 'entered', 'clowntalk_join()';
    is ask($speaker, '/all hello'), 'hello', 'clowntalk_publish() reaches the sessions that have joined';
    is $speaker->read_message->{payload}, 'said', 'and what is sent behind it comes behind it';
    is ask($speaker, '/others hello'), 'said', 'but not the one that it leaves out';
    is ask($squeezed[0], '/intrude cellar'), 'there is none', 'an audience is what its maker makes it';
    if (ClownTalk::Suite->mpm eq 'event') {
        ask($_, '/enter hall') for @squeezed;
        $speaker->send_text("/others $text");
        is $speaker->read_message->{payload}, 'said', 'clowntalk_publish() to others, for whom it is compressed';
        is ClownTalk::Deflate::read_inflated($_)->{text}, $text, 'they have it' for @squeezed;
        is ask($squeezed[0], '/exit'), 'left', 'clowntalk_leave()';
        $squeezed[1]->drop;    # leaves, too
        $squeezed[0]->send_text('/enter attic');
        is $squeezed[0]->read_message->{payload}, 'entered', 'and another clowntalk_join()';
        is ask($speaker, '/all again'), 'again', 'clowntalk_publish() reaches the sessions that are left';
        is $speaker->read_message->{payload}, 'said', 'only';
        is ask($squeezed[0], '/id') =~ /^\d+$/, 1, 'and no other';
        is ask($speaker, '/intrude attic'), 'joined', 'clowntalk_join() to any audience of the thread';
    } elsif (!$alone) {
        is ask($squeezed[0], '/intrude hall'), "another thread's", "clowntalk_join() to another thread's audience: APR_EINVAL";
    }
    is_deeply [$speaker->send_text('/close 1000')->wait_close], [1000, ''], 'it closes, and joins no more: APR_ECONNABORTED';
    $_->drop for @squeezed;
}

# clowntalk_post()
$one->send_text('hello, everybody');
is $one->read_message->{payload}, 'hello, everybody', 'clowntalk_post() from a thread of the module: to one';
SKIP: {
    skip 'with prefork each session has its own process', 6 if $alone;
    is $two->read_message->{payload}, 'hello, everybody', 'to the other';
    isnt $id_one, $id_two, 'each has its own id';
    is ask($one, '/guests'), 2, 'two are there';
    is $one->send_text("/tell $id_two psst")->barrier, 0, 'to one of them only';
    is $two->read_message->{payload}, 'psst', 'who hears it';
    is ask($one, '/tell 99999999999999999 boo'), 'its thread has ended', 'to a thread that is none: APR_EOF';
}

# clowntalk_close()
{
    my $leaving = guest('three');
    my $id = ask($leaving, '/id');
    # The message behind the command must not reach message().
    $leaving->send_raw(join '', map { ClownTalk::Client::frame(payload => $_) } '/close 4001 so long', '/user', '/user');
    is_deeply [$leaving->wait_close], [4001, 'so long'], 'clowntalk_close() with its code and reason, and nothing behind it';
    ok $log->wait_line(qr/ctchat: three has left/), 'close() is called';
    if (!$alone) {
        my $answer = ask($one, "/tell $id boo");
        is $answer, ClownTalk::Suite->mpm eq 'event' ? 'it has left' : 'its thread has ended',
            'a post to a session that has ended: NULL, or APR_EOF with its thread';
        is ask($one, '/guests'), 2, 'two are left';
    }
    for my $code (0, 1005, 1006, 1015, 2000, 5000) {
        my $client = guest('four');
        $client->send_text("/close $code");
        is_deeply [$client->wait_close], [1011, ''], "a code that must not be sent, $code: 1011";
    }
}

# Each end of a session is one call of close().
{
    my %ends = (
        'a Close'     => sub { $_[0]->close(1000) },
        'a FIN'       => sub { $_[0]->connection->shutdown_write; $_[0]->connection->read_to_end },
        'a reset'     => sub { $_[0]->reset },
        'a violation' => sub { $_[0]->send_raw("\xff"); $_[0]->wait_close },
    );
    for my $how (sort keys %ends) {
        my $name = 'end-' . $how =~ tr/a-zA-Z//cdr;
        my $client = guest($name);
        $client->barrier;
        my $all = $server->log;
        $ends{$how}->($client);
        $log->wait_line(qr/ctchat: \Q$name\E is released/);
        is_deeply [map { /ctchat: \Q$name\E (has left|is released)/ } $all->fresh], ['has left', 'is released'],
            "ended by $how: close() is called, and then release(), once each";
    }
    is ask($one, '/guests'), $alone ? 1 : 2, 'all of them have left';
}

# Sending to a client that does not read
SKIP: {
    skip 'with prefork each session has its own process', 6 if $alone;
    my $reader = guest('reader');
    my $stalled = guest('stalled', path => '/impatient', receive_buffer => 4096);
    $one->send_text('/flood');
    for my $client ($one, $two, $reader) {
        my $message;
        do { $message = $client->read_message } until $message->{payload} eq 'flooded' || $message->{code};
        is $message->{payload}, 'flooded', 'a client that reads gets a flood whole';
    }
    ok $log->wait_line(qr/CT0031/), 'one that does not is dropped: clowntalk_send() has a bound';
    $_->close(1000) for $reader;
}

is ask(ClownTalk::Client->connect($server->url('wss', '/shout')), 'hello'), 'HELLO', 'the example of docs/handlers.md works';
is_deeply [$_->close(1000)], [1000, ''], 'the others close' for $one, $two;
is $server->stop, 0, 'the server ends, and the thread of the module with it';

done_testing;
