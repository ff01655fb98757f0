# RFC 6455 sections 5 to 8: frames as they are on the wire, plain and over TLS. The bytes that a test
# sends, and those that it expects, stand there as they are.
use strict;
use warnings;
use utf8;

use Encode qw(encode);
use Test::More;

use ClownTalk::Client;
use ClownTalk::Suite;

use constant {
    CONTINUATION => ClownTalk::Client::CONTINUATION, TEXT => ClownTalk::Client::TEXT,
    BINARY => ClownTalk::Client::BINARY, CLOSE => ClownTalk::Client::CLOSE,
    PING => ClownTalk::Client::PING, PONG => ClownTalk::Client::PONG,
};
use constant MAX_MESSAGE => 16384;    # ClownTalkMaxMessage's default
use constant MIB         => 1 << 20;

my $scheme;
my $large;    # a client whose messages may be large, used again and again

sub url     { return ClownTalk::Suite->url($scheme, $_[0] // '/echo') }
sub fresh   { return ClownTalk::Client->connect(url(), auto_pong => 0, @_) }
sub fresh_at { return ClownTalk::Client->connect(url($_[0]), auto_pong => 0) }
sub frame   { return ClownTalk::Client::frame(@_) }
sub hex_of  { return join ' ', unpack '(H2)*', $_[0] }
sub close_payload { my ($code, $reason) = @_; return pack('n', $code) . encode('UTF-8', $reason // '') }

# The next bytes from the server are exactly these.
sub expect_bytes {
    my ($client, $bytes, $name) = @_;

    my $got = $client->connection->read_exactly(length $bytes);
    is hex_of($got // ''), hex_of($bytes), $name;
}

# The server ends the session: with this Close and nothing behind it.
sub expect_close {
    my ($client, $code, $reason, $name) = @_;

    my @close = $client->wait_close;
    is $close[0], $code, "$name: Close $code";
    like $close[1], $reason, "$name: with a reason" if $reason;
    is $client->connection->{eof}, 1, "$name: then the connection ends";
}

# What breaks the protocol ends the session with this code, whatever comes behind it.
sub violation {
    my ($code, $name, @frames) = @_;

    my $client = fresh();
    $client->send_raw(join '', @frames, frame(payload => 'not to be answered'));
    expect_close $client, $code, qr/./, $name;
}

# Sent in one session after the other, they all come back.
sub echoes {
    my ($name, $send, $expected, $path) = @_;

    my $client = $path ? ($large ||= ClownTalk::Client->connect(url($path), auto_pong => 0)) : fresh();
    $client->send_raw($send);
    expect_bytes $client, $expected, $name;
}

# ---- section 5.7: the RFC's examples ----

sub test_examples {
    my $client = fresh();

    $client->send_raw(pack 'H*', '818537fa213d7f9f4d5158');
    expect_bytes $client, pack('H*', '810548656c6c6f'), 'a masked text message, and its echo unmasked';
    $client->send_raw(pack 'H*', '898537fa213d7f9f4d5158');
    expect_bytes $client, pack('H*', '8a0548656c6c6f'), 'a Ping, and its Pong';
    $client->send_frame(fin => 0, payload => 'Hel');
    $client->send_frame(opcode => CONTINUATION, payload => 'lo');
    expect_bytes $client, pack('H*', '810548656c6c6f'), 'a message in two fragments comes back in one';
}

# ---- section 5.2: lengths, in the form that each needs ----

sub test_lengths {
    for my $case (
        [0, '00'], [1, '01'], [125, '7d'],
        [126, '7e007e'], [127, '7e007f'], [255, '7e00ff'], [65535, '7effff'],
        [65536, '7f0000000000010000'], [300001, '7f00000000000493e1'], [1048576, '7f0000000000100000'],
    ) {
        my ($size, $length) = @$case;
        my $payload = substr join('', map { chr } 0 .. 255) x ($size / 256 + 1), 0, $size;
        echoes "a binary message of $size bytes", frame(opcode => BINARY, payload => $payload),
            pack('H*', "82$length") . $payload, '/echo/large';
    }
    echoes 'an empty text message', frame(payload => ''), "\x81\x00", '/echo/large';
    echoes 'a text message of 65536 characters', frame(payload => "℃" x 65536),
        pack('H*', '817f0000000000030000') . encode('UTF-8', "℃" x 65536), '/echo/large';
}

# ---- section 5.3: any mask, that of zeros too ----

sub test_masks {
    echoes "masked with $_", frame(payload => 'unmask me', mask => pack 'H*', $_), "\x81\x09unmask me"
        for '00000000', 'ffffffff', '00ff00ff', '75001234';
    for my $size (1 .. 9) {
        my $payload = substr '123456789', 0, $size;
        echoes "$size bytes in single ones", join('', map {
                frame(opcode => $_ ? CONTINUATION : TEXT, fin => $_ == $size - 1,
                    payload => substr $payload, $_, 1)
            } 0 .. $size - 1), pack('C2', 0x81, $size) . $payload;
    }
}

# ---- sections 5.4 and 5.5: fragments, and control frames between them ----

sub test_fragments {
    my $client = fresh();

    $client->send_frame(fin => 0, payload => "one \xe2\x84");    # the first two bytes of ℃
    $client->send_frame(opcode => PING, payload => 'a');
    expect_bytes $client, "\x8a\x01a", 'a Ping between fragments is answered at once';
    $client->send_frame(opcode => CONTINUATION, fin => 0, payload => "\x83 two ");
    $client->send_frame(opcode => CONTINUATION, fin => 0, payload => '');
    $client->send_frame(opcode => PONG, payload => 'nobody asked');
    $client->send_frame(opcode => PING, payload => '');
    expect_bytes $client, "\x8a\x00", 'and another';
    $client->send_frame(opcode => CONTINUATION, payload => 'three');
    expect_bytes $client, "\x81\x11one \xe2\x84\x83 two three",
        'then the whole message, a character divided between its fragments';

    $client->send_frame(opcode => BINARY, fin => 0, payload => '');
    $client->send_frame(opcode => CONTINUATION, fin => 0, payload => '');
    $client->send_frame(opcode => CONTINUATION, payload => '');
    expect_bytes $client, "\x82\x00", 'three empty fragments are an empty message';

    $client->send_frame(opcode => BINARY, fin => 0, payload => "\xff\xfe");
    $client->send_frame(opcode => CONTINUATION, payload => "\xfd");
    expect_bytes $client, "\x82\x03\xff\xfe\xfd", 'binary fragments need not be UTF-8';

    $client->send_frame(fin => 0, payload => 'unfinished');
    $client->send_frame(opcode => CLOSE, payload => close_payload(1000));
    expect_close $client, 1000, undef, 'a Close between fragments';
}

sub test_control_frames {
    my $client = fresh();
    my $most = join '', map { chr } 0 .. 124;

    $client->send_frame(opcode => PING, payload => $most);
    expect_bytes $client, "\x8a\x7d$most", 'a Ping of 125 bytes';
    $client->send_frame(opcode => PONG, payload => $most);
    $client->send_frame(payload => 'x');
    expect_bytes $client, "\x81\x01x", 'a Pong without a Ping is ignored';
}

# ---- section 5.5.1 and 7: the closing handshake ----

sub test_closing {
    for my $code (1000 .. 1003, 1007 .. 1014, 3000, 3999, 4000, 4999) {
        my $client = fresh();
        $client->send_frame(opcode => CLOSE, payload => close_payload($code, "because ℃"));
        expect_bytes $client, pack('C2 n', 0x88, 2, $code), "Close $code is answered with the same code";
        is $client->connection->read_to_end, '', "$code: and the connection ends";
    }
    {
        my $client = fresh();
        $client->send_frame(opcode => CLOSE);
        expect_bytes $client, "\x88\x00", 'an empty Close is answered with an empty one';
        is $client->connection->read_to_end, '', 'and the connection ends';
    }
    {
        my $client = fresh();
        $client->send_raw(frame(payload => 'before') . frame(opcode => CLOSE, payload => close_payload(1000))
                . frame(payload => 'behind') . frame(opcode => PING) . "\xff" x 100);
        expect_bytes $client, "\x81\x06before\x88\x02\x03\xe8",
            'what comes before the Close is answered, what comes behind is ignored';
        is $client->connection->read_to_end, '', 'and the connection ends';
    }
    violation 1002, "Close $_", frame(opcode => CLOSE, payload => close_payload($_))
        for 0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535;
    violation 1002, 'a Close of one byte', frame(opcode => CLOSE, payload => "\x03");
    violation 1007, 'a Close whose reason is no UTF-8', frame(opcode => CLOSE, payload => "\x03\xe8\xe2\x84");
    {
        my $client = fresh();
        $client->send_frame(opcode => CLOSE, payload => close_payload(1000, 'x' x 123));
        expect_bytes $client, "\x88\x02\x03\xe8", 'a Close of 125 bytes';
    }
    {
        my $log = ClownTalk::Suite->log;
        my $client = fresh();
        $client->barrier;
        $client->send_raw(frame(fin => 0, payload => 'unfinished') . "\x80");
        $client->reset;
        ok $log->wait_line(qr/CT0030.*the client is gone/), 'a client that vanishes within a frame: noticed';
    }
    return unless $scheme eq 'ws';
    my $client = fresh();
    $client->connection->shutdown_write;
    is $client->connection->read_to_end, '', 'a client that ends without a Close: so does the server';
}

# ---- section 5.1, 5.2, 5.4, 5.5: what must not be ----

sub test_violations {
    violation 1002, 'an unmasked text frame', frame(payload => 'x', mask => '');
    violation 1002, 'an unmasked Ping', frame(opcode => PING, mask => '');
    violation 1002, 'an unmasked Close', frame(opcode => CLOSE, payload => "\x03\xe8", mask => '');
    violation 1002, "RSV$_->[0]", frame(payload => 'x', rsv => $_->[1])
        for [1, 4], [2, 2], [3, 1], ['1 to 3', 7];
    violation 1002, 'RSV1 in a Ping', frame(opcode => PING, rsv => 4);
    violation 1002, sprintf('opcode %X', $_), frame(opcode => $_, payload => 'x') for 3 .. 7, 0xB .. 0xF;
    violation 1002, "a fragmented $_->[0]", frame(opcode => $_->[1], fin => 0)
        for ['Ping', PING], ['Pong', PONG], ['Close', CLOSE];
    violation 1002, "a $_->[0] of 126 bytes", frame(opcode => $_->[1], payload => 'x' x 126)
        for ['Ping', PING], ['Pong', PONG], ['Close', CLOSE];
    violation 1002, "$_->[0] bytes with a length of $_->[1] bits",
        frame(payload => 'x' x $_->[0], length => $_->[1])
        for [0, 16], [125, 16], [0, 64], [125, 64], [126, 64], [65535, 64];
    violation 1002, 'a length with its highest bit', frame(length => 64, announce => 2**63);
    violation 1002, 'a continuation of nothing', frame(opcode => CONTINUATION, payload => 'x');
    violation 1002, "a new $_->[0] message within another", frame(fin => 0, payload => 'x'),
        frame(opcode => $_->[1], payload => 'y') for ['text', TEXT], ['binary', BINARY];

    my $client = fresh();
    $client->send_raw(frame(payload => 'first') . frame(opcode => CONTINUATION, payload => 'x'));
    expect_bytes $client, "\x81\x05first", 'what was whole is answered';
    expect_close $client, 1002, qr/./, 'before a continuation of nothing';
}

# ---- section 8.1: text is UTF-8, and what is not fails at once ----

sub test_utf8 {
    for my $bad (
        ['c0af', 'overlong'], ['e080af', 'overlong, of three bytes'], ['f08080af', 'overlong, of four'],
        ['eda080', 'a surrogate'], ['f4908080', 'beyond U+10FFFF'], ['80', 'a continuation byte alone'],
        ['ff', 'no UTF-8 byte'], ['e28441', 'a character that is cut off'],
    ) {
        my ($bytes, $name) = @$bad;
        violation 1007, "$name, whole", frame(payload => pack 'H*', $bytes);
        # No more than the first bad byte has to come: neither the frame's rest nor the last fragment.
        my $client = fresh();
        $client->send_raw(substr frame(fin => 0, payload => pack('H*', $bytes) . 'x' x 1000), 0,
            8 + length($bytes) / 2);
        expect_close $client, 1007, qr/./, "$name, before the frame is complete";
    }
    violation 1007, 'a text that ends within a character', frame(payload => "\xe2\x84");
    violation 1007, 'the same in fragments', frame(fin => 0, payload => "\xe2"),
        frame(opcode => CONTINUATION, payload => "\x84");
    violation 1007, 'a character that the next fragment does not go on with', frame(fin => 0, payload => "\xe2"),
        frame(opcode => CONTINUATION, fin => 0, payload => "x");
    for my $good ("\0", "\x{7f}", "\x{80}", "\x{7ff}", "\x{800}", "\x{d7ff}", "\x{e000}", "\x{fffd}",
        "\x{ffff}", "\x{10000}", "\x{10ffff}", "\x{feff}℃") {
        my $bytes = encode('utf8', $good);
        echoes sprintf('U+%04X', ord $good), frame(payload => $bytes), pack('C2', 0x81, length $bytes) . $bytes;
    }
}

# ---- section 7.4.1: 1009, from the header on ----

sub test_size {
    echoes 'a message of just ClownTalkMaxMessage', frame(payload => 'x' x MAX_MESSAGE),
        pack('H*', '817e4000') . 'x' x MAX_MESSAGE;
    echoes 'the same in fragments',
        frame(fin => 0, payload => 'x' x (MAX_MESSAGE - 1)) . frame(opcode => CONTINUATION, payload => 'x'),
        pack('H*', '817e4000') . 'x' x MAX_MESSAGE;
    my $client = fresh();
    $client->send_raw(substr frame(announce => MAX_MESSAGE + 1), 0, 8);
    expect_close $client, 1009, qr/./, 'one byte more, as soon as it is announced';
    $client = fresh();
    $client->send_raw(substr frame(announce => 2**62), 0, 14);
    expect_close $client, 1009, qr/./, 'and two to the power of 62, without taking memory for it';
    violation 1009, 'fragments that are too long together', frame(fin => 0, payload => 'x' x MAX_MESSAGE),
        frame(opcode => CONTINUATION, payload => 'x');
}

# ---- sections 5.2 and 5.4: 16 MiB, where the limit allows it, a mebibyte at a time ----

# Sends what it is given in writes of a mebibyte, and nothing else is sent meanwhile.
sub send_in_mebibytes {
    my ($client, $bytes) = @_;

    for (my $at = 0; $at < length $bytes; $at += MIB) {
        $client->send_raw(substr $bytes, $at, MIB);
    }
}

sub test_sixteen_mebibytes {
    my $most   = 16 * MIB;
    my $bytes  = substr join('', map { pack 'N', $_ * 2654435761 % 2**32 } 1 .. MIB / 4) x 16, 0, $most;
    my $text   = encode('UTF-8', '21.5 ℃, ') x ($most / 10) . '!' x ($most % 10);
    my $client = fresh_at('/echo/huge');

    # What comes back, compared without printing it.
    my $comes_back = sub {
        my ($name, $payload, $opcode) = @_;
        my $frame = $client->read_frame(60);
        ok $frame && $frame->{opcode} == $opcode && $frame->{fin} && $frame->{payload} eq $payload, $name
            or diag 'got ' . ($frame ? "opcode $frame->{opcode}, " . length($frame->{payload}) . ' bytes' : 'the end');
    };
    send_in_mebibytes($client, frame(opcode => BINARY, payload => $bytes));
    $comes_back->('16 MiB in a frame', $bytes, BINARY);
    send_in_mebibytes($client, join '', map {
        frame(opcode => $_ ? CONTINUATION : BINARY, fin => $_ == 15, payload => substr $bytes, $_ * MIB, MIB)
    } 0 .. 15);
    $comes_back->('16 MiB in fragments of one', $bytes, BINARY);
    send_in_mebibytes($client, frame(payload => $text));
    $comes_back->('16 MiB of text', $text, TEXT);

    # A mebibyte that is many frames: each is answered, in order.
    my @small = map { substr $bytes, $_ * 997, 90 + $_ % 36 } 0 .. 9000;
    $client->send_raw(join '', map { frame(opcode => BINARY, payload => $_) } @small);
    my @back = map { ($client->read_frame || {payload => 'none'})->{payload} } @small;
    ok join('|', @back) eq join('|', @small), 'more than a mebibyte of small frames in one write: all come back, in order';

    $client->send_raw(substr frame(opcode => BINARY, announce => $most + 1), 0, 14);
    expect_close $client, 1009, qr/./, 'a byte more is refused as soon as it is announced';
    $client = fresh_at('/echo/huge');
    $client->send_frame(fin => 0, opcode => BINARY, payload => substr $bytes, 0, MIB);
    $client->send_raw(substr frame(opcode => CONTINUATION, announce => 15 * MIB + 1), 0, 14);
    expect_close $client, 1009, qr/./, 'the same as a fragment';
    $client = fresh_at('/echo/huge');
    substr $text, 5 * MIB, 1, "\xff";
    eval { send_in_mebibytes($client, frame(payload => $text)) };    # it is not read to its end
    expect_close $client, 1007, qr/8\.1/, 'and a text that is wrong in its sixth mebibyte: section 8.1';
}

# ---- how the bytes arrive makes no difference ----

sub test_arrival {
    my $frames = frame(payload => 'first') . frame(opcode => PING, payload => 'p')
        . frame(opcode => BINARY, payload => 'b' x 200) . frame(opcode => CLOSE, payload => close_payload(4321, 'bye'));
    my $answers = "\x81\x05first\x8a\x01p\x82\x7e\x00\xc8" . 'b' x 200 . pack('C2 n', 0x88, 2, 4321);

    my $client = fresh(more => $frames);
    expect_bytes $client, $answers, 'all of it with the handshake, in one packet';
    is $client->connection->read_to_end, '', 'and the connection ends';

    $client = fresh();
    $client->send_raw($_) for split //, $frames;
    expect_bytes $client, $answers, 'a byte at a time';
    is $client->connection->read_to_end, '', 'and the connection ends';

    # The request's end in one packet with the first frame, the rest later.
    my $request = $client->build_request(ClownTalk::Client::parse_url(url()), {});
    for my $cut (1, 2, 6, 11) {
        my $late = ClownTalk::Client->connect(url(), request => $request . substr($frames, 0, $cut));
        $late->send_raw(substr $frames, $cut);
        expect_bytes $late, $answers, "$cut bytes of the first frame with the handshake, the rest later";
    }
    $client = fresh(more => join '', map { frame(payload => "number $_") } 1 .. 1000);
    my @got = map { $client->read_message->{payload} } 1 .. 1000;
    is_deeply \@got, [map { "number $_" } 1 .. 1000], 'a thousand messages with the handshake: all answered, in order';
}

for my $each (qw(ws wss)) {
    $scheme = $each;
    subtest "$scheme: section 5.7, examples"          => \&test_examples;
    subtest "$scheme: section 5.2, lengths"           => \&test_lengths;
    subtest "$scheme: section 5.3, masks"             => \&test_masks;
    subtest "$scheme: section 5.4, fragments"         => \&test_fragments;
    subtest "$scheme: section 5.5, control frames"    => \&test_control_frames;
    subtest "$scheme: section 7, closing"             => \&test_closing;
    subtest "$scheme: section 5, violations: 1002"    => \&test_violations;
    subtest "$scheme: section 8.1, UTF-8: 1007"       => \&test_utf8;
    subtest "$scheme: section 7.4.1, size: 1009"      => \&test_size;
    subtest "$scheme: sections 5.2 and 5.4, 16 MiB"    => \&test_sixteen_mebibytes;
    subtest "$scheme: however the bytes arrive"       => \&test_arrival;
    undef $large;
}

done_testing;
