# A client that does not read costs itself only: the others are served, of publications the newest of each
# topic waits for it, of replies no more than ClownTalkBacklog, and the server's memory stays what it was. Plain, over TLS,
# and with permessage-deflate over it; and once more where the filters of another module keep sessions on httpd's connections.
use strict;
use warnings;

use File::Path qw(remove_tree);
use MIME::Base64 qw(decode_base64 encode_base64);
use Test::More;

use ClownTalk::Apxs;
use ClownTalk::Client;
use ClownTalk::Deflate;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

use constant {
    VALUES   => 300,       # of the display, 1400 bytes each: much more than all buffers below hold
    FITTING  => 200,       # more than they hold
    SLOW     => 3,         # clients that do not read
    COMMANDS => 20,        # to a relay, which carries out ten a second: 450 bytes each
    LISTS    => 600,       # in a message, of which there are two: each answered at once, by 300 bytes
    ECHO     => 16_000,    # bytes in a message
    ECHOES   => 400,       # messages: 6.4 MB
    MIB      => 1024,      # KiB
};
use constant {DISPLAY => 'display-oled/i2c0-3c', RELAY => 'relay/i2c0-3b'};

# Of publications. With the event MPM these clients are one audience, large enough to be sent to in batches (16 or more).
my $MANY_SLOW = ClownTalk::Suite->mpm eq 'event' ? 14 : SLOW;

# One child process, in which a slow client could disturb the others; small buffers, which are soon full.
my $config = ClownTalk::Process::ONE_CHILD . <<'END';
SendBufferSize    32768
ReceiveBufferSize 65536
ClownTalkBus      0 sim
ClownTalkAddressRate 0
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkRate     1000000/s 1000000
# On a busy machine those that do not read could be taken for dead.
ClownTalkPing     0
<Location "/">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
<Location "/backlog">
    ClownTalkBacklog 2048
</Location>
<Location "/echo">
    ClownTalkHandler echo
</Location>
END
my $server;
my $node = ClownTalk::Suite::NODE;
# What a receiver had no room for is sent again, and the longer it has not read the longer that takes (RFC 6298 section 5.5).
my %small = (receive_buffer => 65536, timeout => 100);

# ---- clients, some of which compress ----

my ($scheme, $deflate);

sub connect_to {
    my ($path, @arg) = @_;

    my $client = ClownTalk::Client->connect($server->url($scheme, $path), @arg,
        $deflate ? (extensions => 'permessage-deflate') : ());
    is !!$client->header('Sec-WebSocket-Extensions'), !!1, 'compression is agreed' if $deflate;
    return $client;
}

# The bytes of a message from a client.
sub message {
    my ($text) = @_;

    return ClownTalk::Client::frame($deflate
        ? (rsv => ClownTalk::Deflate::RSV1, payload => ClownTalk::Deflate::compress($text))
        : (payload => $text));
}

sub say_to { my ($client, $text) = @_; $client->send_raw(message($text)) }

sub noise { my ($n) = @_; return join '', map { chr int rand 256 } 1 .. $n }

# Messages as the client gets them, until $last says that one is the last.
sub read_until {
    my ($client, $last) = @_;
    my @texts;

    do {
        push @texts, ClownTalk::Deflate::read_inflated($client)->{text};
    } until $last->($texts[-1]);
    return @texts;
}

sub open_node {
    my ($path, @arg) = @_;

    my $client = connect_to("$path/$node", @arg);
    say_to($client, '["clown.talk/-/config/set", {}]');
    read_until($client, sub { $_[0] =~ m{^\["clown.talk/-/config/ok"} });
    return $client;
}

# ---- what the display shows: a number, and 1020 bytes that cannot be compressed ----

my $shown = 0;

# Returns when it is answered.
sub show {
    my ($client) = @_;
    my $n = ++$shown;

    say_to($client, sprintf '["%s/set", {"raw": "%s"}, {"id": %d}]', DISPLAY,
        encode_base64(pack('N a*', $n, noise(1020)), ''), $n);
    read_until($client, sub { $_[0] =~ /\{"id": $n\}/ });
}

# The numbers among messages.
sub numbers {
    return map { m{^\["\Q${\DISPLAY}\E", .*"raw": "([^"]+)"} ? unpack 'N', decode_base64($1) : () } @_;
}

# ---- the test ----

sub test_publications {
    my @slow = map { open_node('', %small) } 1 .. $MANY_SLOW;
    my ($active, $watcher) = map { open_node('') } 1 .. 2;
    my $log = $server->log;

    my ($before, $last, @seen) = ($shown, $shown + VALUES);
    while ($shown < $last) {
        show($active);
        push @seen, numbers(read_until($watcher, sub { grep { $_ == $shown } numbers($_[0]) }));
    }
    pass VALUES . ' requests of another client are answered meanwhile';
    is_deeply [grep { $_ > $before } @seen], [$before + 1 .. $last], 'and a third sees all that they cause';

    for my $i (0 .. $#slow) {
        my @got = numbers(read_until($slow[$i], sub { grep { $_ == $last } numbers($_[0]) }));
        is $got[-1], $last, "slow client $i: when it reads on, it gets the newest value";
        is scalar(grep { $got[$_] <= $got[$_ - 1] } 1 .. $#got), 0, 'in order';
        cmp_ok scalar @got, '<', FITTING, 'behind those that fitted into its socket (' . $#got . '): the others were dropped';
    }
    is scalar(my @lines = $log->fresh(qr/CT0031/)), 0, 'a slow reader of publications is not dropped itself';

    # They are as good as any other.
    for my $client (@slow) {
        say_to($client, '["relay/i2c0-3b/get", {}, {"id": "still"}]');
        ok scalar(read_until($client, sub { $_[0] =~ /"still"/ })), 'and goes on';
    }
}

# Answers that come while the socket is full: commands to a relay are carried out a tenth of a second apart, and lists
# have filled it by then.
sub test_replies {
    my $active = open_node('');

    my $log  = $server->log;
    my $slow = open_node('/backlog', %small);
    # In one write: with a full buffer on its side the kernel takes its time over a second one.
    $slow->send_raw(join '', map { message($_) }
        join("\n", map { sprintf '["%s/set", {"state": true}, {"id": "%s"}]', RELAY, unpack 'H*', noise(200) } 1 .. COMMANDS),
        (join "\n", ('["-/-/config/list", {}]') x LISTS) x 2);
    my ($n, @lines) = 0;
    $server->wait_until('more than ClownTalkBacklog to wait', sub {
        show($active);
        $n++;
        return @lines = $log->fresh(qr/CT0031/);
    });
    pass "another client has made $n requests meanwhile";
    like $lines[0], qr/2048 bytes \(ClownTalkBacklog\)/, 'the log names the directive';
    my $close;
    while (my $frame = $slow->read_frame) {
        next unless $frame->{opcode} == ClownTalk::Client::CLOSE;
        $close = $frame;
        $slow->send_frame(opcode => ClownTalk::Client::CLOSE, payload => $close->{payload});
    }
    is $close && unpack('n', $close->{payload}), 1008, 'too slow for its replies: Close 1008';
    show($active);
    push @lines, $log->fresh(qr/CT0031/);
    is scalar @lines, 1, 'one line in the log';
}

# The server reads no more than it can answer: nothing is lost, and nothing piles up.
sub test_echo {
    my $limit = (ClownTalk::Settings->get('sanitizers') ? 64 : 12) * MIB;
    my @clients = map { connect_to('/echo', %small) } 1 .. SLOW;
    my $other = connect_to('/echo');
    my $memory = sub {
        my $sum = 0;
        $sum += eval { ClownTalk::Process::status($_, 'VmRSS') } // 0 for $server->workers;
        return $sum;
    };
    my $before = $memory->();
    my $noise = join '', map { chr 32 + int rand 95 } 1 .. ECHO;
    my @rest;

    for my $client (@clients) {
        my $bytes = join '', map { message(sprintf '%06d%s', $_, substr $noise, 6) } 1 .. ECHOES;
        # Until it takes no more, for as long as a busy machine may look as if it did not.
        my $patience = IO::Select->new($client->connection->socket);
        while (length $bytes) {
            my $taken = $client->connection->write_some(substr $bytes, 0, 65536);
            substr $bytes, 0, $taken, '';
            last unless $taken || $patience->can_write(0.5);
        }
        ok length $bytes, 'a client that does not read is no longer read from';
        push @rest, $bytes;
    }
    my $grown = $memory->() - $before;
    cmp_ok $grown, '<', $limit, sprintf '%d MB are not read, and the server has grown by less than %d MiB',
        SLOW * ECHO * ECHOES / 1e6, $limit / MIB or diag "$grown KiB";
    say_to($other, 'here');
    is ClownTalk::Deflate::read_inflated($other)->{text}, 'here', 'another client is served';

    my $client = shift @clients;
    my $bytes  = shift @rest;
    $_->reset for @clients;    # the others vanish with all that waits
    my $right = 0;
    for my $n (1 .. ECHOES) {
        my $text = ClownTalk::Deflate::read_inflated($client)->{text};
        $right++ if $text eq sprintf '%06d%s', $n, substr $noise, 6;
        substr $bytes, 0, $client->connection->write_some(substr $bytes, 0, 65536), '' if length $bytes;
    }
    is $right, ECHOES, 'when it reads on, everything is there, in order';
    is_deeply [$client->close(1000)], [1000, ''], 'and it closes';
}

sub test_kind {
    my ($how, @kind) = @_;

    ($scheme, $deflate) = @kind;
    my $name = join ' and ', $scheme, $deflate ? 'permessage-deflate' : (), $how // ();
    subtest "$name: publications are conflated"    => \&test_publications;
    subtest "$name: replies are bounded"           => \&test_replies;
    subtest "$name: what is not read is not asked" => \&test_echo;
}

$server = ClownTalk::Server->new(config => $config)->start;
test_kind(undef, @$_) for ['ws', 0], ['wss', 0], ['wss', 1];
is $server->stop, 0, 'the server ends';

my $modules = ClownTalk::Httpd::scratch_dir('modules');
END { remove_tree($modules) if defined $modules }
my $filter = ClownTalk::Apxs::build($modules, 'mod_ctfilter');
$server = ClownTalk::Server->new(config => <<"END")->start;
LoadModule ctfilter_module "$filter"
LogLevel   clowntalk:debug
$config
END
test_kind("another module's filters", @$_) for ['ws', 0], ['wss', 0];
is $server->stop, 0, 'the server ends';
SKIP: {
    skip 'sessions leave their connections with the event MPM', 1 if ClownTalk::Suite->mpm ne 'event';
    my %said;
    $said{$1}++ for $server->error_log =~ /(CT003[678])/g;
    is_deeply [keys %said], ['CT0037'], 'and all sessions have stayed on their connections' or diag explain \%said;
}

done_testing;
