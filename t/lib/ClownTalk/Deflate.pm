# permessage-deflate (RFC 7692) for tests: what a client's half of it does, with zlib's own code by way
# of Compress::Raw::Zlib.
package ClownTalk::Deflate;

use strict;
use warnings;

use Carp qw(croak);
use Compress::Raw::Zlib;

use ClownTalk::Client;

use constant {
    RSV1 => 4,                    # in ClownTalk::Client's rsv
    TAIL => "\x00\x00\xff\xff",   # section 7.2.1: what is not sent
};

# The payload for one message. $bits: the window, 9 to 15. With a deflater of deflater(), in the context of
# what it has compressed before.
sub compress {
    my ($message, $bits, $deflater) = @_;

    $deflater ||= deflater($bits);
    my $out = '';
    $deflater->deflate($message, $out) == Z_OK && $deflater->flush($out, Z_SYNC_FLUSH) == Z_OK
        or croak 'zlib cannot deflate';
    $out =~ s/\Q${\TAIL}\E\z// or croak 'zlib has flushed without an empty block';
    return $out;
}

sub deflater {
    my ($bits) = @_;

    my ($deflater, $status) = Compress::Raw::Zlib::Deflate->new(
        -WindowBits => -($bits || 15), -Level => 9, -AppendOutput => 1);
    croak "deflateInit2: $status" unless $deflater;
    return $deflater;
}

# A message out of one frame or of the payloads of all its frames, as an inflater that has seen nothing
# before and has a window of $bits (8 to 15) understands it. Dies where it does not.
sub inflate {
    my ($payload, $bits) = @_;

    my ($inflater) = Compress::Raw::Zlib::Inflate->new(
        -WindowBits => -($bits || 15), -AppendOutput => 1, -ConsumeInput => 1);
    my ($in, $out) = ($payload . TAIL, '');
    my $status = $inflater->inflate($in, $out);
    croak "zlib cannot inflate: $status" unless $status == Z_OK || $status == Z_BUF_ERROR;
    croak length($in) . ' bytes behind the end' if length $in;
    return $out;
}

# The next message as it was before it was compressed: {opcode, text, rsv, length of what was sent}. Pings are answered.
sub read_inflated {
    my ($client, $bits) = @_;

    my $frame;
    while (1) {
        $frame = $client->read_frame or croak 'the server closed while a message was waited for';
        last unless $frame->{opcode} == ClownTalk::Client::PING;
        $client->send_frame(opcode => ClownTalk::Client::PONG, payload => $frame->{payload});
    }
    croak "opcode $frame->{opcode}, not a message: " . unpack 'H*', $frame->{payload} if $frame->{opcode} > 2;
    croak 'the server fragments' unless $frame->{fin};
    return {
        opcode => $frame->{opcode},
        rsv    => $frame->{rsv},
        length => length $frame->{payload},
        text   => $frame->{rsv} == RSV1 ? inflate($frame->{payload}, $bits) : $frame->{payload},
    };
}

1;
