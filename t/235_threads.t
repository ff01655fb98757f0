# Threads that meet: sessions that talk, come and go on their own thread, a module's thread that posts to all of
# them (mod_ctchat), the hub's link that publishes to them, breaks and comes back, and the process's main thread
# that ends them all. Nothing is lost and nothing crashes; built with ThreadSanitizer it says more.
use strict;
use warnings;

use File::Copy qw(copy);
use File::Path qw(remove_tree);
use MIME::Base64 qw(encode_base64);
use Test::More;

use ClownTalk::Apxs;
use ClownTalk::Client;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

my $mpm       = ClownTalk::Suite->mpm;
my $sanitized = ClownTalk::Settings->get('sanitizers');

plan skip_all => 'with prefork no session shares its process with another thread' if $mpm eq 'prefork';

# With the worker MPM each session takes one of 25 threads.
my ($GUESTS, $TALKERS) = $mpm eq 'event' ? (40, 40) : (10, 8);
use constant {
    ROUNDS   => 6,
    PATIENCE => 30,    # seconds
};

# ---- the other module, built as this one is ----

my $srcdir = ClownTalk::Settings->get('srcdir');
my $dir    = ClownTalk::Httpd::scratch_dir('threads');
END { remove_tree($dir) if defined $dir }

mkdir "$dir/clowntalk" or die "$dir/clowntalk: $!";
copy("$srcdir/src/session/mod_clowntalk.h", "$dir/clowntalk") or die "mod_clowntalk.h: $!";
my $chat = ClownTalk::Apxs::build($dir, 'mod_ctchat', '-S', 'CC=' . ClownTalk::Settings->get('cc'), "-I$dir", '-Wc,-g',
    $sanitized ? ("-Wc,-fsanitize=$sanitized", "-Wl,-fsanitize=$sanitized") : ());

my $server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<"END")->start;
<IfModule !mpm_prefork_module>
    ServerLimit 4
</IfModule>
LoadModule ctchat_module "$chat"
ClownTalkBus 0 sim
ClownTalkAddressRate 0
ClownTalkRate 1000000/s 1000000
<Location "/chat">
    SetHandler       clowntalk
    ClownTalkHandler chat
    ClownTalkBacklog 10000000
</Location>
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END

if ($sanitized =~ /\bthread\b/) {
    my ($child) = $server->workers;
    my $maps = ClownTalk::Httpd::read_file("/proc/$child/maps");
    like $maps, qr/\Q$_\E/, "the child has $_ loaded" for 'tsan', 'apr_atomics.so', 'mod_ctchat.so';
}

# ---- the sessions ----

my $names = 0;

sub scheme { return $_[0] % 3 ? 'ws' : 'wss' }

sub guest {
    my $name   = 'guest' . ++$names;
    my $client = ClownTalk::Client->connect($server->url(scheme($names), "/chat?name=$name"));

    $client->read_message(PATIENCE);    # the welcome
    $client->{name} = $name;
    return $client;
}

sub talker {
    my $client = ClownTalk::Client->connect(
        $server->url(scheme(++$names), '/talk/' . ClownTalk::Suite::NODE));

    $client->talk('clown.talk/-/config/set');
    return $client;
}

# Each says something, which a thread of the module passes on to all; meanwhile something else is done. Those that got
# everything, in each speaker's order, are counted.
sub chat {
    my ($round, $meanwhile, @guests) = @_;
    my $complete = 0;

    for my $part (1 .. 3) {
        $_->send_text("$_->{name} $round $part") for @guests;
    }
    $meanwhile->();
    for my $guest (@guests) {
        my %next = map { $_->{name} => 1 } @guests;
        my $wanted = 3 * @guests;
        while ($wanted > 0) {
            my $message = $guest->read_message(PATIENCE) or last;
            my ($name, $when, $part) = $message->{payload} =~ /^(\w+) (\d+) (\d)$/ or next;
            next if $when != $round;
            last if $next{$name}++ != $part;
            $wanted--;
        }
        $complete++ if !$wanted;
    }
    return $complete;
}

# They ask for what is published to all others.
sub show {
    my ($round, @talkers) = @_;

    $talkers[$_]->talk('display-oled/i2c0-3c/set', {raw => encode_base64(chr($round) . chr($_) . 'x' x 1022, '')})
        for 0 .. $#talkers;
}

# A third of them leaves, in one way or another; as many come.
sub change {
    my ($clients, $new) = @_;

    for my $i (grep { $_ % 3 == 0 } 0 .. $#$clients) {
        $i % 2 ? $clients->[$i]->reset : $clients->[$i]->drop;
        $clients->[$i] = $new->();
    }
}

# ---- what happens ----

for my $generation (1 .. 2) {
    my @guests  = map { guest() } 1 .. $GUESTS;
    my @talkers = map { talker() } 1 .. $TALKERS;

    for my $round (1 .. ROUNDS) {
        my $hub = $server->wait_for_hub;
        show($round, @talkers);
        # Posts to some that have left, and to some that were never there.
        my $id = $guests[1]->send_text('/id')->read_message(PATIENCE)->{payload};
        $guests[2]->send_text("/tell $_ hello") for $id + 1 .. $id + 10;
        kill KILL => $hub if $round % 3 == 0;
        change(\@guests, \&guest);
        my @passing = map { guest() } 1 .. $GUESTS / 4;
        my $meanwhile = sub {
            $_->reset for @passing;    # while they are posted to
            change(\@talkers, \&talker);
        };
        is chat($round, $meanwhile, @guests), @guests,
            "generation $generation, round $round: every session gets everything";
    }
    my $answer = eval { (my $client = talker())->request('relay/i2c0-3b/get', {}, PATIENCE) };
    is $answer && $answer->{topic}, 'relay/i2c0-3b', 'the hub answers' or diag $@;

    # The main thread ends them, while they talk.
    my @old = $server->workers;
    $server->graceful;
    for my $round (1 .. 20) {
        eval { $_->send_text("$_->{name} $round 1") } for @guests;
        eval { show($round, $talkers[0]) };
    }
    my @codes = map { (eval { $_->wait_close(PATIENCE) })[0] // 'none' } @guests;
    is_deeply [grep { $_ ne '1012' } @codes], [], 'a graceful restart: every session gets the Close code';
    $_->drop for @guests, @talkers;
    ok eval {
        $server->wait_until('the old process to end', sub { !grep { kill 0 => $_ } @old }, PATIENCE);
    }, 'and the old process ends' or diag $@;
}
is $server->stop, 0, 'the server ends';

done_testing;
