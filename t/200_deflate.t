# RFC 7692: permessage-deflate on the wire. What a handshake agrees on; messages both ways, against zlib's own
# code on the client's side; what must not be; what it costs the server.
use strict;
use warnings;
use utf8;

use Encode qw(encode);
use Test::More;

use ClownTalk::Client;
use ClownTalk::Deflate;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

use constant {
    CONTINUATION => ClownTalk::Client::CONTINUATION, TEXT => ClownTalk::Client::TEXT,
    BINARY => ClownTalk::Client::BINARY, PING => ClownTalk::Client::PING,
    PONG => ClownTalk::Client::PONG, CLOSE => ClownTalk::Client::CLOSE,
};
use constant RSV1      => ClownTalk::Deflate::RSV1;
use constant THRESHOLD => 128;    # bytes; a shorter message is sent plain

my $server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<'END')->start;
ClownTalkBus      0 sim
ClownTalkStateDir "@t_state@/clowntalk"
<Location "/">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
<Location "/echo">
    ClownTalkHandler echo
</Location>
<Location "/echo/large">
    ClownTalkMaxMessage 1048576
    ClownTalkBacklog    4194304
</Location>
<Location "/echo/huge">
    ClownTalkMaxMessage 16777216
</Location>
<Location "/off">
    ClownTalkHandler echo
    ClownTalkDeflate Off
</Location>
<Location "/off/on">
    ClownTalkDeflate On
</Location>
<Location "/echo/off">
    ClownTalkDeflate Off
</Location>
END

my $scheme = 'ws';

sub open_with {
    my ($offer, $path, @arg) = @_;

    return ClownTalk::Client->new($server->url($scheme, $path // '/echo'),
        headers => {'Sec-WebSocket-Extensions' => $offer}, auto_pong => 0, @arg);
}

sub client { return open_with('permessage-deflate', @_) }

sub frame { return ClownTalk::Client::frame(@_) }

sub expect_close {
    my ($client, $code, $name) = @_;

    is(($client->wait_close)[0], $code, "$name: Close $code");
}

# A text that deflate makes small, and one of which it makes nothing.
sub plain_text { my ($n) = @_; return substr join(' ', map { "value $_" } 1 .. $n / 7 + 1), 0, $n }
sub noise      { my ($n) = @_; return join '', map { chr int rand 256 } 1 .. $n }

# ---- section 7.1: negotiation ----

sub test_negotiation {
    my $base = 'permessage-deflate; server_no_context_takeover';
    my $anew = "$base; client_no_context_takeover";
    for my $case (
        ['permessage-deflate',                                                  $base],
        ['permessage-deflate; client_max_window_bits',                          "$base; client_max_window_bits=10"],
        ['permessage-deflate; client_max_window_bits=15',                       "$base; client_max_window_bits=10"],
        ['permessage-deflate; client_max_window_bits=9',                        "$base; client_max_window_bits=9"],
        ['permessage-deflate; client_max_window_bits=8',                        "$base; client_max_window_bits=8"],
        ['permessage-deflate; server_max_window_bits=10',                       "$base; server_max_window_bits=10"],
        ['permessage-deflate;server_max_window_bits="8"',                       "$base; server_max_window_bits=8"],
        ['permessage-deflate; server_no_context_takeover',                      $base],
        # Section 7.1.1.2: answered where it was offered; some clients do not look at it otherwise.
        ['permessage-deflate; client_no_context_takeover',                      $anew],
        ['permessage-deflate; client_no_context_takeover; client_max_window_bits', $anew],
        ['permessage-deflate; server_no_context_takeover; client_no_context_takeover;'
            . ' server_max_window_bits=9; client_max_window_bits=11',
            "$anew; server_max_window_bits=9; client_max_window_bits=11"],
        ['x-webkit-deflate-frame, permessage-deflate',                          $base],
        # Section 7: an offer with a parameter that is not known, not valid or twice there is declined.
        ['permessage-deflate; server_max_window_bits=7',                        undef],
        ['permessage-deflate; server_max_window_bits=16',                       undef],
        ['permessage-deflate; server_max_window_bits=010',                      undef],
        ['permessage-deflate; server_max_window_bits',                          undef],
        ['permessage-deflate; client_max_window_bits=1',                        undef],
        ['permessage-deflate; server_no_context_takeover=1',                    undef],
        ['permessage-deflate; client_no_context_takeover; client_no_context_takeover', undef],
        ['permessage-deflate; whatever',                                        undef],
        ['Permessage-Deflate',                                                  undef],
        ['permessage-deflate2',                                                 undef],
        # Section 5: the first that can be accepted, of one header or several.
        ['permessage-deflate; whatever, permessage-deflate; client_max_window_bits=12',
            "$base; client_max_window_bits=10"],
        ['permessage-deflate; server_max_window_bits=9, permessage-deflate', "$base; server_max_window_bits=9"],
        [['x-other', 'permessage-deflate; server_max_window_bits=12'],       "$base; server_max_window_bits=12"],
    ) {
        my ($offer, $answer) = @$case;
        my $name = ref $offer ? join ' and ', @$offer : $offer;
        my $client = open_with($offer);
        is $client->status, 101, "$name: 101";
        is $client->header('Sec-WebSocket-Extensions'), $answer, $answer ? 'accepted' : 'declined';
    }
    is open_with($_)->status, 400, "$_: against the grammar, 400"
        for 'permessage-deflate;', 'permessage-deflate; a=', 'permessage-deflate; a="', '; x', 'a b';

    for my $case (['/off', 0], ['/off/on', 1], ['/echo/off', 0], ['/echo', 1]) {
        my ($path, $on) = @$case;
        my $client = client($path);
        is !!$client->header('Sec-WebSocket-Extensions'), !!$on, "ClownTalkDeflate, $path: " . ($on ? 'On' : 'Off');
        $client->send_frame(payload => plain_text(500));
        is $client->read_frame->{rsv}, $on ? RSV1 : 0, 'and so are the messages';
        next if $on;
        $client->send_frame(payload => ClownTalk::Deflate::compress('x'), rsv => RSV1);
        expect_close $client, 1002, 'RSV1 where nothing was agreed';
    }
}

# ---- sections 7.2.1 and 7.2.2: messages, both ways, with every window ----

sub test_messages {
    my $client = client('/echo/large');
    for my $case (
        ['',                                    0],
        ['x' x (THRESHOLD - 1),                 0],
        ['x' x THRESHOLD,                       1],
        [plain_text(500),                       1],
        [plain_text(5_000),                     1],
        [plain_text(300_000),                   1],
        [encode('UTF-8', '21.50 ℃ ' x 1000),    1],
        ["\0" x 1_048_576,                      1],
    ) {
        my ($text, $compressed) = @$case;
        my $size = length $text;
        $client->send_frame(payload => ClownTalk::Deflate::compress($text), rsv => RSV1);
        my $answer = ClownTalk::Deflate::read_inflated($client);
        ok $answer->{text} eq $text, "a text of $size bytes comes back";
        is $answer->{rsv}, $compressed ? RSV1 : 0, $compressed ? 'compressed' : 'plain: it is short';
        ok $answer->{length} < $size, "$answer->{length} bytes" if $compressed;
    }
    my $noise = noise(5000);
    $client->send_frame(opcode => BINARY, payload => ClownTalk::Deflate::compress($noise), rsv => RSV1);
    my $answer = ClownTalk::Deflate::read_inflated($client);
    ok $answer->{text} eq $noise && $answer->{opcode} == BINARY, 'noise comes back';
    is $answer->{rsv}, 0, 'plain: nothing is gained';
    $client->send_frame(payload => plain_text(1000));
    is ClownTalk::Deflate::read_inflated($client)->{text}, plain_text(1000), 'a client need not compress (section 6)';

    for my $bits (8 .. 15) {
        my $narrow = open_with("permessage-deflate; server_max_window_bits=$bits; client_max_window_bits=$bits",
            '/echo/large');
        for my $text (plain_text(200), plain_text(3_000), plain_text(100_000)) {
            # zlib cannot compress with a window of 8 bits, and no server has to; it asks for 10 at most.
            $narrow->send_frame($bits > 8
                ? (payload => ClownTalk::Deflate::compress($text, $bits < 10 ? $bits : 10), rsv => RSV1)
                : (payload => $text));
            my $back = ClownTalk::Deflate::read_inflated($narrow, $bits);
            ok $back->{text} eq $text && $back->{rsv} == RSV1, "a window of $bits bits, " . length $text;
        }
    }
}

# ---- section 7.2.3: the RFC's examples, and what else zlib may say ----

sub test_examples {
    my $client = client();
    my $hello = sub {
        my ($name, @frames) = @_;
        $client->send_raw(join '', @frames);
        is $client->read_frame->{payload}, 'Hello', $name;
    };
    my $whole = sub { return frame(payload => pack('H*', $_[0]), rsv => RSV1) };

    $hello->('section 7.2.3.1: one block', $whole->('f248cdc9c90700'));
    $hello->('section 7.2.3.1: in two frames, RSV1 in the first', frame(fin => 0, rsv => RSV1, payload => pack 'H*', 'f248cd'),
        frame(opcode => CONTINUATION, payload => pack 'H*', 'c9c90700'));
    $hello->('section 7.2.3.3: a block without compression', $whole->('000500faff48656c6c6f00'));
    $hello->('section 7.2.3.4: a block with BFINAL', $whole->('f348cdc9c9070000'));
    $hello->('section 7.2.3.5: two blocks', $whole->('f248050000 00ffffcac9c90700' =~ s/ //gr));
    $hello->('empty blocks before, between and behind', $whole->('000000ffff' . 'f248050000' . '00ffff'
            . '000000ffff' x 3 . 'cac9c90700' . '0000ffff' . '00'));

    # A byte a frame, with a Ping between each two.
    my $text    = plain_text(400);
    my @bytes   = split //, ClownTalk::Deflate::compress($text);
    $client->send_raw(join '', map {
        frame(opcode => $_ ? CONTINUATION : TEXT, rsv => $_ ? 0 : RSV1, fin => $_ == $#bytes, payload => $bytes[$_])
            . ($_ < $#bytes ? frame(opcode => PING, payload => "$_") : '')
    } 0 .. $#bytes);
    for my $n (0 .. $#bytes - 1) {
        my $pong = $client->read_frame;
        next if $pong->{opcode} == PONG && $pong->{payload} eq $n;
        fail "Pong $n among the fragments";
        last;
    }
    is ClownTalk::Deflate::read_inflated($client)->{text}, $text, @bytes . ' frames of a byte, with Pings between them';

    $client->send_frame(fin => 0, payload => ClownTalk::Deflate::compress($text), rsv => RSV1);
    $client->send_frame(opcode => CONTINUATION, fin => 0);
    $client->send_frame(opcode => CONTINUATION);
    is ClownTalk::Deflate::read_inflated($client)->{text}, $text, 'empty fragments at the end';

    $client->send_raw($_) for split //, frame(payload => ClownTalk::Deflate::compress($text), rsv => RSV1);
    is ClownTalk::Deflate::read_inflated($client)->{text}, $text, 'a frame that comes a byte at a time';

    $client->send_frame(payload => "\0", rsv => RSV1);
    is $client->read_frame->{payload}, '', 'section 7.2.3.6: an empty message';

    # What comes uncompressed in between does not matter.
    for my $rsv (RSV1, 0, RSV1) {
        $client->send_frame(rsv => $rsv, payload => $rsv ? ClownTalk::Deflate::compress($text) : 'plain');
        is ClownTalk::Deflate::read_inflated($client)->{text}, $rsv ? $text : 'plain', 'compressed and plain in turn';
    }
}

# ---- section 7.1.1: what a message may refer to ----

sub test_context {
    my $text  = noise(100);
    my $twice = sub {
        my ($client, $bits) = @_;
        my $deflater = ClownTalk::Deflate::deflater($bits);
        my @payloads = map { ClownTalk::Deflate::compress($text, $bits, $deflater) } 1 .. 2;
        cmp_ok length $payloads[1], '<', 20, 'a second message that refers to the first';
        $client->send_frame(opcode => BINARY, payload => $payloads[0], rsv => RSV1);
        ok ClownTalk::Deflate::read_inflated($client)->{text} eq $text, 'the first comes back';
        $client->send_frame(opcode => BINARY, payload => $payloads[1], rsv => RSV1);
    };

    my $anew = open_with('permessage-deflate; client_no_context_takeover');
    $twice->($anew, 15);
    expect_close $anew, 1007, 'the second, against client_no_context_takeover';
    for my $case (['permessage-deflate', 15], ['permessage-deflate; client_max_window_bits', 10]) {
        my ($offer, $bits) = @$case;
        my $client = open_with($offer, '/echo/large');
        $twice->($client, $bits);
        ok $client->read_frame->{payload} eq $text, "$offer: the second, too";

        # What goes on for long refers to all that the window holds, and to what came before what comes plain.
        my $deflater = ClownTalk::Deflate::deflater($bits);
        $client = open_with($offer, '/echo/large');
        for my $n (1 .. 40) {
            my $message = $text . noise(3 * $n) . ($n % 7 ? '' : plain_text(40_000));
            $client->send_frame(opcode => BINARY, payload => ClownTalk::Deflate::compress($message, $bits, $deflater), rsv => RSV1);
            $client->send_frame(payload => 'plain') if $n % 3 == 0;
            my $back = ClownTalk::Deflate::read_inflated($client);
            ok $back->{text} eq $message, "$offer: message $n" or last;
            $n % 3 or is $client->read_frame->{payload}, 'plain', 'and a plain one';
        }
    }

    # And the server does so itself: read_inflated() knows nothing of the message before.
    my $client = client();
    for (1 .. 3) {
        $client->send_frame(payload => plain_text(1000));
        is ClownTalk::Deflate::read_inflated($client)->{text}, plain_text(1000), "answer $_ refers to nothing before it";
    }
}

# ---- clients that take compressed messages only: libwebsockets before 4.3.3 ----

sub test_all_compressed {
    my $client = open_with('permessage-deflate; client_no_context_takeover; client_max_window_bits', '/echo/large');

    for my $text ('', 'x', plain_text(127), plain_text(128), noise(1000), noise(70_000)) {
        $client->send_frame(opcode => BINARY, payload => $text);
        my $answer = ClownTalk::Deflate::read_inflated($client);
        ok $answer->{text} eq $text && $answer->{rsv} == RSV1, length($text) . ' bytes come back in a frame with RSV1';
    }
    $client->send_frame(opcode => PING, payload => 'x');
    is $client->read_frame->{rsv}, 0, 'but no control frame has it';
}

# ---- section 6 and 7.2.2: what must not be ----

sub test_violations {
    my $bad = sub {
        my ($code, $name, @frames) = @_;
        my $client = client();
        $client->send_raw(join '', @frames, frame(payload => 'not to be answered'));
        expect_close $client, $code, $name;
    };
    my $hello = pack 'H*', 'f248cdc9c90700';
    $bad->(1002, 'RSV1 in a Ping', frame(opcode => PING, rsv => RSV1));
    $bad->(1002, 'RSV1 in a Close', frame(opcode => CLOSE, rsv => RSV1, payload => "\x03\xe8"));
    $bad->(1002, 'RSV1 in a continuation', frame(fin => 0, rsv => RSV1, payload => substr $hello, 0, 3),
        frame(opcode => CONTINUATION, rsv => RSV1, payload => substr $hello, 3));
    $bad->(1002, 'RSV1 in the continuation of a plain message', frame(fin => 0, payload => 'x'),
        frame(opcode => CONTINUATION, rsv => RSV1, payload => $hello));
    $bad->(1002, 'RSV2', frame(rsv => 2, payload => 'x'));
    $bad->(1002, 'RSV1 and RSV3', frame(rsv => RSV1 | 1, payload => $hello));
    $bad->(1007, 'no DEFLATE data', frame(rsv => RSV1, payload => "\xff\xff\xff"));
    $bad->(1007, 'a message that is cut off', frame(rsv => RSV1, payload => substr $hello, 0, 3));
    $bad->(1007, 'a stored block whose lengths contradict', frame(rsv => RSV1, payload => "\0\5\0\5\0Hello\0"));
    $bad->(1007, 'a text that is no UTF-8 when inflated',
        frame(rsv => RSV1, payload => ClownTalk::Deflate::compress("abc\xff")));
    $bad->(1007, 'a text that ends within a character',
        frame(rsv => RSV1, payload => ClownTalk::Deflate::compress("\xe2\x84")));
    # Section 8.1 of RFC 6455, failing fast: the rest of the message does not have to come.
    my $client = client();
    $client->send_frame(fin => 0, rsv => RSV1, payload => ClownTalk::Deflate::compress("\xc0" . 'x' x 100));
    expect_close $client, 1007, 'bad UTF-8 in the first fragment';
}

# ---- 16 MiB where the limit allows it ----

sub test_sixteen_mebibytes {
    my $most   = 16 << 20;
    my $text   = plain_text($most);
    my $client = client('/echo/huge');
    my $small  = ClownTalk::Deflate::compress($text);

    cmp_ok length $small, '<', $most / 2, length($small) . " bytes for $most";
    $client->send_frame(rsv => RSV1, payload => $small);
    my $back = ClownTalk::Deflate::read_inflated($client);
    ok $back->{text} eq $text && $back->{rsv} == RSV1, '16 MiB of text in a compressed frame come back compressed';
    my @parts = unpack '(a1048576)*', $small;
    $client->send_frame(opcode => $_ ? CONTINUATION : TEXT, rsv => $_ ? 0 : RSV1, fin => $_ == $#parts, payload => $parts[$_])
        for 0 .. $#parts;
    ok ClownTalk::Deflate::read_inflated($client)->{text} eq $text, 'in ' . @parts . ' compressed fragments, too';
    $client->send_frame(payload => $text);
    ok ClownTalk::Deflate::read_inflated($client)->{text} eq $text, 'and plain ones are answered compressed';
    eval { $client->send_frame(rsv => RSV1, payload => ClownTalk::Deflate::compress("$text!")) };
    expect_close $client, 1009, 'a byte more';
}

# ---- a bomb: ClownTalkMaxMessage holds for what comes out ----

sub test_bombs {
    my ($child) = $server->workers;
    my $bomb = ClownTalk::Deflate::compress("\0" x 100_000_000);    # about 97,000 bytes
    my $large = $server->url($scheme, '/echo/large');

    my $exact = client();
    $exact->send_frame(opcode => BINARY, rsv => RSV1, payload => ClownTalk::Deflate::compress('y' x 16384));
    is length ClownTalk::Deflate::read_inflated($exact)->{text}, 16384, 'just ClownTalkMaxMessage comes back';
    $exact->send_frame(opcode => BINARY, rsv => RSV1, payload => ClownTalk::Deflate::compress('y' x 16385));
    expect_close $exact, 1009, 'a byte more';

    ClownTalk::Process::reset_peak($child);
    my $before = ClownTalk::Process::status($child, 'VmHWM');
    my $client = client('/echo/large');
    eval { $client->send_frame(opcode => BINARY, rsv => RSV1, payload => $bomb) };
    expect_close $client, 1009, length($bomb) . ' bytes that would be 100,000,000';
    # In fragments of which none is large.
    $client = client('/echo/large');
    $client->send_frame(opcode => BINARY, rsv => RSV1, fin => 0, payload => substr $bomb, 0, 1000, '');
    expect_close_after($client, $bomb);
    return if $ENV{CLOWNTALK_MPM} eq 'prefork';    # another process each time
    my $grown = ClownTalk::Process::status($child, 'VmHWM') - $before;
    my $most = ClownTalk::Settings->get('sanitizers') ? 65_536 : 8_192;
    cmp_ok $grown, '<', $most, 'memory for two messages of 1 MiB, not of 95: at most ' . $most / 1024 . ' MiB'
        or diag "$grown KiB";
}

sub expect_close_after {
    my ($client, $rest) = @_;

    eval {
        while (length $rest) {
            $client->send_frame(opcode => CONTINUATION, fin => 0, payload => substr $rest, 0, 1000, '');
        }
    };
    expect_close $client, 1009, 'the same in fragments';
}

# ---- a publication, to those that agreed on compression and to those that did not ----

sub test_publications {
    my $node = '/' . ClownTalk::Suite::NODE;
    my %client = (
        plain  => open_with(undef, $node),
        wide   => open_with('permessage-deflate', $node),
        narrow => open_with('permessage-deflate; server_max_window_bits=9', $node),
        also   => open_with('permessage-deflate; client_max_window_bits', $node),
        always => open_with('permessage-deflate; client_no_context_takeover', $node),
    );
    # All that comes until the display shows the text.
    my $wait = sub {
        my ($name, $mark) = @_;
        while (1) {
            my $got = ClownTalk::Deflate::read_inflated($client{$name}, $name eq 'narrow' ? 9 : 15);
            return $got if $got->{text} =~ $mark;
        }
    };
    for my $name (sort keys %client) {
        $client{$name}->send_frame(payload => ClownTalk::Deflate::compress('["clown.talk/-/config/set", {}]'), rsv => RSV1)
            unless $name eq 'plain';
        $client{plain}->send_frame(payload => '["clown.talk/-/config/set", {}]') if $name eq 'plain';
        my $ok = $wait->($name, qr{^\["clown.talk/-/config/ok"});
        is $ok->{rsv} == RSV1, $name ne 'plain', "$name: the opening";
    }
    my $lines = join ', ', map { qq("line-$_": "line number $_ of 8") } 0 .. 7;
    $client{wide}->send_frame(payload => ClownTalk::Deflate::compress(qq(["display-oled/i2c0-3c/set", {$lines}])), rsv => RSV1);
    my %got = map { $_ => $wait->($_, qr/line number 7 of 8/) } keys %client;
    is $got{$_}{text}, $got{plain}{text}, "$_: the same publication" for qw(wide narrow also always);
    is $got{plain}{rsv}, 0, 'plain for the one that did not agree';
    is $got{$_}{rsv}, RSV1, "$_: compressed" for qw(wide narrow also always);
    cmp_ok $got{wide}{length}, '<', $got{plain}{length} / 2, "$got{wide}{length} bytes of $got{plain}{length}";
    $client{plain}->send_frame(payload => '["relay/i2c0-3b/set", {"state": true}]');
    for my $name (sort keys %client) {
        my ($rsv, $how) = $name eq 'always' ? (RSV1, 'compressed as all are') : (0, 'plain');
        is $wait->($name, qr{^\["relay/i2c0-3b"})->{rsv}, $rsv, "$name: a short one is $how";
    }
}

for my $each (qw(ws wss)) {
    $scheme = $each;
    subtest "$scheme: section 7.1, negotiation"          => \&test_negotiation;
    subtest "$scheme: section 7.2, messages"             => \&test_messages;
    subtest "$scheme: section 7.2.3, examples"           => \&test_examples;
    subtest "$scheme: section 7.1.1, context takeover"   => \&test_context;
    subtest "$scheme: compressed messages only"          => \&test_all_compressed;
    subtest "$scheme: sections 6 and 7.2.2, violations"  => \&test_violations;
    subtest "$scheme: sections 6 and 7.2, 16 MiB"        => \&test_sixteen_mebibytes;
    subtest "$scheme: bombs: 1009"                       => \&test_bombs;
    subtest "$scheme: publications"                      => \&test_publications;
}
is $server->stop, 0, 'the server ends';

done_testing;
