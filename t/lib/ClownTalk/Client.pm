# A WebSocket client for tests, in three layers:
#
#   opening   new() and connect(): the request is made by Protocol::WebSocket, any header of it can be
#             changed or left out; status(), header() and body() tell what came back
#   frames    send_frame() and send_raw(): byte-exact, also what no library would send;
#             read_frame(): what the server sent, bit by bit
#   messages  send_text(), read_message(): with Protocol::WebSocket::Frame as the second opinion;
#             talk(), wait_topic(), request(): Clown.Talk
#
# A URL carries name and password: wss://clown:bigclown@localhost:8443/auth/...
# Every wait has a limit (ClownTalk::Connection).
package ClownTalk::Client;

use strict;
use warnings;

use Carp qw(croak);
use Digest::SHA qw(sha1);
use Encode qw(decode encode);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Protocol::WebSocket::Frame;
use Protocol::WebSocket::Handshake::Client;

use ClownTalk::Connection;

use constant {
    CONTINUATION => 0x0,
    TEXT         => 0x1,
    BINARY       => 0x2,
    CLOSE        => 0x8,
    PING         => 0x9,
    PONG         => 0xA,
};
use constant GUID => '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';    # RFC 6455 section 1.3

my $json = JSON::PP->new->utf8->allow_nonref->canonical;

# ---- opening ----

sub parse_url {
    my ($url) = @_;

    $url =~ m{^(wss?)://(?:([^:@/]*)(?::([^@/]*))?@)?([^:/]+)(?::(\d+))?(/.*)?$}
        or croak "not a WebSocket URL: $url";
    return {
        tls      => $1 eq 'wss',
        user     => $2,
        password => $3,
        host     => $4,
        port     => $5 || ($1 eq 'wss' ? 443 : 80),
        path     => $6 || '/',
    };
}

# Connects, sends the opening request and reads the answer, whatever it is.
#
#   headers   {Name => value, or undef to leave it out, or [value ...] for several lines}
#   protocol  Sec-WebSocket-Protocol          extensions  Sec-WebSocket-Extensions
#   key       Sec-WebSocket-Key, where a random one will not do
#   request   the whole request, as it is sent            method, http  of the request line
#   more      bytes to send in the same write as the request
#   auto_pong 0: pings are left to the test
#   timeout, from, receive_buffer, send_buffer, max_segment, tls_options: see ClownTalk::Connection
sub new {
    my ($class, $url, %arg) = @_;

    my $parts = parse_url($url);
    my $self = bless {
        key        => $arg{key} || encode_base64(join('', map { chr int rand 256 } 1 .. 16), ''),
        auto_pong  => exists $arg{auto_pong} ? $arg{auto_pong} : 1,
        library    => Protocol::WebSocket::Frame->new(max_payload_size => 0, max_fragments_amount => 1e6),
        inbox      => [],
        next_id    => 1,
        connection => ClownTalk::Connection->new(
            host => $parts->{host}, port => $parts->{port}, tls => $parts->{tls},
            map { $_ => $arg{$_} } qw(timeout from receive_buffer send_buffer max_segment tls_options),
        ),
    }, $class;
    return $self->ask($parts, \%arg);
}

# A further request on the connection, after an answer that was none of 101 and has been read.
sub again {
    my ($self, $url, %arg) = @_;

    delete @$self{qw(handshake head headers body)};
    return $self->ask(parse_url($url), \%arg);
}

sub ask {
    my ($self, $parts, $arg) = @_;

    my $request = defined $arg->{request} ? $arg->{request} : $self->build_request($parts, $arg);
    $self->{connection}->write($request . (defined $arg->{more} ? $arg->{more} : ''));
    $self->read_response;
    return $self;
}

# The same, but a connection that is not open then is an error.
sub connect {
    my ($class, $url, %arg) = @_;

    my $self = $class->new($url, %arg);
    croak "no WebSocket at $url: $self->{status} $self->{reason}\n" . $self->body
        unless $self->{status} == 101;
    return $self;
}

sub build_request {
    my ($self, $parts, $arg) = @_;
    my ($scheme, $port) = ($parts->{tls} ? 'wss' : 'ws', $parts->{port});

    my $handshake = Protocol::WebSocket::Handshake::Client->new(
        url => "$scheme://$parts->{host}:$port$parts->{path}");
    $handshake->req->key($self->{key});
    $self->{handshake} = $handshake;
    my ($line, @lines) = split /\r\n/, $handshake->to_string;
    $line =~ s/^GET/$arg->{method}/         if $arg->{method};
    $line =~ s{HTTP/1\.1$}{HTTP/$arg->{http}} if $arg->{http};

    my %change = %{$arg->{headers} || {}};
    $change{'Sec-WebSocket-Protocol'}   //= $arg->{protocol}   if defined $arg->{protocol};
    $change{'Sec-WebSocket-Extensions'} //= $arg->{extensions} if defined $arg->{extensions};
    $change{Authorization} = 'Basic ' . encode_base64("$parts->{user}:$parts->{password}", '')
        if defined $parts->{user} && !exists $change{Authorization};
    my %drop = map { lc $_ => 1 } keys %change;
    @lines = grep { /^([^:]+):/ && !$drop{lc $1} } @lines;
    for my $name (sort keys %change) {
        my $value = $change{$name};
        push @lines, map { "$name: $_" } ref $value ? @$value : defined $value ? $value : ();
    }
    return join "\r\n", $line, @lines, '', '';
}

sub read_response {
    my ($self) = @_;

    my $head = $self->{connection}->read_until("\r\n\r\n", undef, 'the answer to the opening');
    croak 'the server closed without an answer to the opening' unless defined $head;
    $self->{head} = $head;
    my ($line, @lines) = split /\r\n/, $head;
    $line =~ m{^HTTP/1\.[01] (\d{3})(?: (.*))?$} or croak "not a status line: $line";
    @$self{qw(status reason)} = ($1, $2);
    for (@lines) {
        /^([^\s:]+):\s*(.*?)\s*$/ or croak "not a header: $_";
        push @{$self->{headers}{lc $1}}, $2;
    }
    return unless $self->{status} == 101;

    # RFC 6455 section 4.1: what a client has to check
    my $accept = encode_base64(sha1($self->{key} . GUID), '');
    croak 'Sec-WebSocket-Accept is wrong: ' . ($self->header('Sec-WebSocket-Accept') || 'none')
        unless !$self->{handshake} || $self->header('Sec-WebSocket-Accept') eq $accept;
    croak 'Upgrade is not websocket'   unless lc $self->header('Upgrade') eq 'websocket';
    croak 'Connection has no upgrade'  unless $self->header('Connection') =~ /\bupgrade\b/i;
    if ($self->{handshake}) {
        my $copy = $head;
        $self->{handshake}->parse($copy) && $self->{handshake}->is_done
            or croak 'Protocol::WebSocket refuses the answer: ' . $self->{handshake}->error;
    }
}

sub status { return $_[0]{status} }

# The header's values, joined by commas; undef where it is absent.
sub header {
    my ($self, $name) = @_;

    my $values = $self->{headers}{lc $name} or return undef;
    return join ', ', @$values;
}

# The body of an answer that is none of 101.
sub body {
    my ($self) = @_;

    return $self->{body} if defined $self->{body};
    my $length = $self->header('Content-Length');
    return $self->{body} = defined $length
        ? $length ? $self->{connection}->read_exactly($length, undef, "the answer's body") : ''
        : $self->{connection}->read_to_end;
}

sub connection { return $_[0]{connection} }

# ---- frames (RFC 6455 section 5.2) ----

# The bytes of one frame.
#
#   opcode (TEXT), fin (1), rsv (0 to 7: RSV1 is 4), payload ('')
#   mask     four bytes; random by default; '' sends it unmasked
#   length   7, 16 or 64: the form of the length; the shortest by default
#   announce a length that is not the payload's
sub frame {
    my (%arg) = @_;

    my $payload = defined $arg{payload} ? $arg{payload} : '';
    utf8::encode($payload) if utf8::is_utf8($payload);
    my $mask = defined $arg{mask} ? $arg{mask} : join '', map { chr int rand 256 } 1 .. 4;
    my $size = defined $arg{announce} ? $arg{announce} : length $payload;
    my $form = $arg{length} || ($size < 126 ? 7 : $size < 65536 ? 16 : 64);
    my $fin  = defined $arg{fin} ? $arg{fin} : 1;

    my $masked = length $mask ? 0x80 : 0;
    return pack('C', ($fin ? 0x80 : 0) | ($arg{rsv} || 0) << 4
            | (defined $arg{opcode} ? $arg{opcode} : TEXT))
        . ($form == 7  ? pack('C',   $masked | $size)
         : $form == 16 ? pack('C n', $masked | 126, $size)
         :               pack('C Q>', $masked | 127, $size))
        . $mask
        . (length $mask ? mask($payload, $mask) : $payload);
}

# RFC 6455 section 5.3
sub mask {
    my ($payload, $mask) = @_;

    my $times = int(length($payload) / 4) + 1;
    return $payload ^ substr $mask x $times, 0, length $payload;
}

sub send_frame {
    my ($self, %arg) = @_;

    $self->{connection}->write(frame(%arg));
    return $self;
}

sub send_raw {
    my ($self, $bytes) = @_;

    $self->{connection}->write($bytes);
    return $self;
}

# The next frame: {fin, rsv, opcode, masked, payload, bytes}; undef where the server has closed.
sub read_frame {
    my ($self, $timeout) = @_;

    my $head = $self->{connection}->read_exactly(2, $timeout, 'a frame');
    return undef unless defined $head;
    my ($first, $second) = unpack 'C2', $head;
    my $size = $second & 0x7F;
    my $more = $size == 126 ? 2 : $size == 127 ? 8 : 0;
    if ($more) {
        my $bytes = $self->{connection}->read_exactly($more, $timeout, "a frame's length");
        $size = unpack $more == 2 ? 'n' : 'Q>', $bytes;
        $head .= $bytes;
    }
    my $masked = $second >> 7;
    my $mask = $masked ? $self->{connection}->read_exactly(4, $timeout, "a frame's mask") : '';
    my $payload = $size ? $self->{connection}->read_exactly($size, $timeout, "a frame's payload") : '';
    croak 'the connection ended in the middle of a frame' unless defined $payload;
    return {
        fin     => $first >> 7,
        rsv     => $first >> 4 & 7,
        opcode  => $first & 0xF,
        masked  => $masked,
        payload => $masked ? mask($payload, $mask) : $payload,
        bytes   => $head . $mask . $payload,
    };
}

# ---- messages ----

sub send_text {
    my ($self, $text) = @_;

    return $self->send_library('text', $text);
}

sub send_binary {
    my ($self, $bytes) = @_;

    return $self->send_library('binary', $bytes);
}

sub send_library {
    my ($self, $type, $buffer) = @_;

    $self->{connection}->write(Protocol::WebSocket::Frame->new(
        type => $type, buffer => $buffer, masked => 1, max_payload_size => 0)->to_bytes);
    return $self;
}

# The next message {opcode, payload}. A Close is one too, with code and reason. Pings are answered,
# pongs are counted in $client->{pongs}, unless auto_pong is 0: then they are messages as well.
# undef where the server has closed.
sub read_message {
    my ($self, $timeout) = @_;

    while (1) {
        my $frame = $self->read_frame($timeout) or return undef;
        croak 'the server masked a frame' if $frame->{masked};    # RFC 6455 section 5.1
        $self->{library}->append($frame->{bytes});
        my $payload = $self->{library}->next_bytes;
        next unless defined $payload;    # a fragment
        my $opcode = $self->{library}->opcode;
        if ($self->{auto_pong} && $opcode == PING) {
            $self->send_frame(opcode => PONG, payload => $payload);
            next;
        }
        if ($self->{auto_pong} && $opcode == PONG) {
            push @{$self->{pongs}}, $payload;
            next;
        }
        my $message = {opcode => $opcode, payload => $payload, rsv => $frame->{rsv}};
        if ($opcode == CLOSE) {
            @$message{qw(code reason)} = length $payload ? unpack 'n a*', $payload : (1005, '');
            $self->{closed} = $message;
        }
        return $message;
    }
}

# Everything that comes before the answer to a ping that is sent now: a list of messages. What the
# server had to say about earlier frames, it has said by then. Its own pings are answered, and counted
# in $client->{pings}.
sub barrier {
    my ($self, $timeout) = @_;
    my (@messages, $message);

    local $self->{auto_pong} = 0;
    my $mark = 'barrier ' . $self->{next_id}++;
    $self->send_frame(opcode => PING, payload => $mark);
    while ($message = $self->read_message($timeout)) {
        return @messages if $message->{opcode} == PONG && $message->{payload} eq $mark;
        if ($message->{opcode} == PING) {
            $self->{pings}++;
            $self->send_frame(opcode => PONG, payload => $message->{payload});
        } elsif ($message->{opcode} == CLOSE) {
            last;    # a Pong may follow it, which would say nothing of the session
        } else {
            push @messages, $message;
        }
    }
    croak 'the server closed instead of answering a ping';
}

# Reads on until the server's Close: (code, reason). With a code, sends one first.
sub close {
    my ($self, $code, $reason) = @_;

    $self->send_frame(opcode => CLOSE, payload => pack('n', $code) . (defined $reason ? $reason : ''))
        if $code;
    return $self->wait_close;
}

# Waits for the server's Close, answers it, and sees the connection end: (code, reason);
# an empty list where the connection ended without a Close.
sub wait_close {
    my ($self, $timeout) = @_;

    while (my $message = $self->read_message($timeout)) {
        next unless $message->{opcode} == CLOSE;
        # It may have closed already; then there is no peer to answer.
        eval { $self->send_frame(opcode => CLOSE, payload => substr $message->{payload}, 0, 2) };
        my $rest = $self->{connection}->read_to_end($timeout);
        croak 'bytes after the Close: ' . unpack 'H*', $rest if length $rest;
        $self->{connection}->close;
        return @$message{qw(code reason)};
    }
    return;
}

# Vanishes without a Close.
sub drop  { $_[0]{connection}->close }
sub reset { $_[0]{connection}->reset }

# ---- Clown.Talk ----

# Sends one message: a topic, a payload ({} by default) and parameters.
sub talk {
    my ($self, $topic, $payload, $parameters) = @_;

    my @message = ($topic, $payload || {}, $parameters ? $parameters : ());
    return $self->send_text(decode('UTF-8', $json->encode(\@message)) . "\n");
}

# The next message {topic, payload, parameters, text}. The server's promise is checked: one JSON array
# per text message, ending in a newline.
sub read_talk {
    my ($self, $timeout) = @_;

    my $message = $self->read_message($timeout);
    croak 'the server closed while a message was waited for' unless $message;
    croak "the server closed with $message->{code} $message->{reason}" if $message->{opcode} == CLOSE;
    croak "not a text message: opcode $message->{opcode}" unless $message->{opcode} == TEXT;
    my $text = $message->{payload};
    croak "not one line with its newline: $text" unless $text =~ /\A[^\n]+\n\z/;
    my $array = $json->decode($text);
    croak "not an array of two or three: $text"
        unless ref $array eq 'ARRAY' && (@$array == 2 || @$array == 3);
    my %talk;
    @talk{qw(topic payload parameters)} = @$array;
    $talk{text} = $text;
    return \%talk;
}

# Waits for a message and takes it out of those received; the others stay for later calls. $topic is a
# string or a pattern; $where, given the message, may ask for more.
sub wait_topic {
    my ($self, $topic, $where, $timeout) = @_;
    my $fits = sub {
        my ($talk) = @_;
        return 0 unless ref $topic ? $talk->{topic} =~ $topic : $talk->{topic} eq $topic;
        return !$where || $where->($talk);
    };

    for my $i (0 .. $#{$self->{inbox}}) {
        return splice @{$self->{inbox}}, $i, 1 if $fits->($self->{inbox}[$i]);
    }
    my $deadline = Time::HiRes::time() + ($timeout || ClownTalk::Connection::TIMEOUT);
    while (1) {
        my $left = $deadline - Time::HiRes::time();
        my $talk = $left > 0 ? eval { $self->read_talk($left) } : undef;
        croak "no $topic: " . ($@ || 'not in time') . $self->transcript unless $talk;
        return $talk if $fits->($talk);
        push @{$self->{inbox}}, $talk;
    }
}

# What has come and was not asked for yet, for a message about a failure.
sub transcript {
    my ($self) = @_;

    return "\nreceived: " . (join('', map { $_->{text} } @{$self->{inbox}}) || "nothing\n");
}

sub forget { my ($self) = @_; $self->{inbox} = []; return $self }

# A request with an id; returns the first message that carries it.
sub request {
    my ($self, $topic, $payload, $timeout) = @_;

    my $id = $self->{next_id}++;
    $self->talk($topic, $payload, {id => $id});
    return $self->wait_topic(
        qr//, sub { ref $_[0]{parameters} && $_[0]{parameters}{id} eq $id }, $timeout);
}

# The opening; returns the payload of its answer.
sub open_talk {
    my ($self, $timeout) = @_;

    $self->talk('clown.talk/-/config/set');
    return $self->wait_topic('clown.talk/-/config/ok', undef, $timeout)->{payload};
}

1;
