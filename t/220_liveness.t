# A client that is alive stays, whatever httpd's Timeout and mod_reqtimeout are, and whatever pings wait behind what it has
# not read yet. One that is dead goes, within two intervals of ClownTalkPing, in whatever way it died. And one that has
# reached ClownTalkMaxAge, or comes beyond ClownTalkMaxConnections, gets the reason.
#
# All this takes time, so all clients live at once, in one loop.
use strict;
use warnings;

use IO::Select;
use Test::More;
use Time::HiRes qw(time);

use ClownTalk::Client;
use ClownTalk::Server;
use ClownTalk::Suite;

use constant {
    CONTINUATION => ClownTalk::Client::CONTINUATION, TEXT => ClownTalk::Client::TEXT,
    BINARY => ClownTalk::Client::BINARY, CLOSE => ClownTalk::Client::CLOSE,
    PING => ClownTalk::Client::PING, PONG => ClownTalk::Client::PONG,
};
use constant {
    PATIENCE => 60,       # seconds, for everything; on an idle machine it takes about 12
    USER     => 'clown:bigclown',
    AGE      => 2,        # ClownTalkMaxAge below
    PINGS    => 4,        # of two seconds each, that the living clients see
    WHOLE    => 16_000,   # bytes of a message of which many fill a socket
    MANY     => 400,      # messages: more than a socket holds
    FEW      => 16,       # fewer: what it holds, and takes twelve seconds to read at the
    RATE     => 20_000,   # of bytes that a slow client reads in a second
};

# Limits of one second wherever httpd has some. A client that has to die is pinged every second, one that has to live every other, so
# that a busy machine does not take too long over an answer.
my $server = ClownTalk::Server->new(config => <<'END')->start;
Timeout           1
KeepAliveTimeout  1
RequestReadTimeout handshake=1 header=1 body=1
ReceiveBufferSize 65536
SendBufferSize    212992
<IfModule mpm_prefork_module>
    StartServers    40
    MaxSpareServers 40
</IfModule>
# One process, so that one clock ticks for all sessions.
<IfModule mpm_event_module>
    StartServers       1
    ServerLimit        1
    MinSpareThreads    1
    MaxSpareThreads   25
    MaxRequestWorkers 25
    AsyncRequestWorkerFactor 200
</IfModule>
<Location "/">
    SetHandler       clowntalk
    ClownTalkHandler echo
    ClownTalkPing    1
    ClownTalkBacklog 10000000
</Location>
<Location "/lives">
    ClownTalkPing    2
</Location>
<Location "/lives/unpinged">
    ClownTalkPing    0
</Location>
<Location "/age">
    ClownTalkPing    0
    ClownTalkMaxAge  2
</Location>
<Location "/age/pinged">
    ClownTalkPing    1
</Location>
<Location "/age/later">
    ClownTalkMaxAge  3
</Location>
END
my $log = $server->log;

# ---- ClownTalkMaxConnections: said in HTTP, before the upgrade and behind authentication ----

my $limited = ClownTalk::Server->new(config => <<'END')->start;
MaxKeepAliveRequests    0
ClownTalkMaxConnections 2
<Location "/">
    SetHandler        clowntalk
    ClownTalkHandler  echo
    ClownTalkPing     1
    AuthType          Basic
    AuthName          "@realm@"
    AuthBasicProvider file
    AuthUserFile      "@t_conf@/htpasswd"
    Require           valid-user
</Location>
<Location "/unpinged">
    ClownTalkPing     0
</Location>
END

sub try_limited {
    my ($scheme, $path, $user) = @_;

    return ClownTalk::Client->new($limited->url($scheme, $path, $user));
}

sub wait_for_place {
    my ($scheme, $path) = @_;
    my $client;

    $limited->wait_until('a place', sub { ($client = try_limited($scheme, $path, USER))->status == 101 });
    return $client;
}

{
    my @held = map { try_limited($_, '/unpinged', USER) } qw(ws wss);
    is_deeply [map { $_->status } @held], [101, 101], 'as many as ClownTalkMaxConnections';
    my @refused = map { try_limited($_, '/unpinged', USER) } qw(ws wss ws);
    for my $client (@refused) {
        is $client->status, 503, 'one more: 503';
        is $client->header($_), undef, "and no $_" for qw(Upgrade Sec-WebSocket-Accept Sec-WebSocket-Protocol);
        $client->body;
    }
    is try_limited('ws', '/unpinged')->status, 401, 'a client without a password does not learn it';
    $_->close(1000) for @held;
    # Those that were refused have taken no place.
    @held = map { my $scheme = $_; wait_for_place($scheme, '/unpinged') } qw(ws wss);
    is $_->send_text('at last')->read_message->{payload}, 'at last', 'when they have left, there is a place for each of two others'
        for @held;
    $_->close(1000) for @held;
}
# Dead clients send no Close: their places are free when they have been found.
my @vanished = map {
    my $client = wait_for_place($_, '/');
    $client->connection->vanish;
    $client;
} qw(ws wss);

# ---- one loop for all clients ----

my ($events, @all, %taken_for_dead, %closed_for_age, %closes_heard);

# A client for each scheme. What it does:
#   frame  called with each frame that comes
#   tick   called often
#   over   whether the loop may end as far as this client is concerned
#   mute   it reads nothing by itself
sub add {
    my ($name, $path, %does) = @_;

    for my $scheme (qw(ws wss)) {
        my $since = time;
        my $client;
        # The opening has to be fast with these limits; a busy machine may need another try, while the others go on.
        for my $try (1 .. 5) {
            go_round(0);
            last if $client = eval {
                ClownTalk::Client->connect($server->url($scheme, $path), auto_pong => 0,
                    receive_buffer => 65536, send_buffer => 65536, %{$does{socket} || {}})
            };
        }
        die $@ unless $client;
        push @all, {%does, name => "$scheme: $name", client => $client, since => $since, scheme => $scheme,
            connection => $client->connection, port => $client->connection->port, frames => [], pings => 0};
        $does{begin}->($all[-1]) if $does{begin};
    }
}

# The next frame, if it is there: {opcode, payload, bytes}.
sub next_frame {
    my ($connection) = @_;

    my $in = \$connection->{in};
    return if length $$in < 2;
    my ($first, $size, $head) = (unpack('C2', substr $$in, 0, 2), 2);
    if ($size == 126) {
        return if length $$in < 4;
        ($size, $head) = (unpack('n', substr $$in, 2, 2), 4);
    }
    return if length $$in < $head + $size;
    my $bytes = substr $$in, 0, $head + $size, '';
    return {opcode => $first & 0xF, payload => substr($bytes, $head), bytes => $bytes};
}

# What has come, frame by frame.
sub take_frames {
    my ($c) = @_;

    while (my $frame = next_frame($c->{connection})) {
        push @{$c->{frames}}, {%$frame, order => ++$events};
        $c->{pings}++ if $frame->{opcode} == PING;
        $c->{frame}->($c, $frame) if $c->{frame};
    }
    if ($c->{connection}{eof} && !$c->{ended}) {
        $c->{ended} = time;
        $c->{end_order} = ++$events;
    }
}

sub hear {
    my ($c) = @_;

    1 while $c->{connection}->read_some(65536);
    take_frames($c);
}

# It may have ended meanwhile, as the loop is about to see.
sub write_some { my ($c, $bytes) = @_; return eval { $c->{connection}->write_some($bytes) } // 0 }
sub send_raw   { my ($c, $bytes) = @_; eval { $c->{client}->send_raw($bytes) } }
sub send_frame { my ($c, @frame) = @_; send_raw($c, ClownTalk::Client::frame(@frame)) }

sub answer_ping {
    my ($c, $frame) = @_;

    send_frame($c, opcode => PONG, payload => $frame->{payload}) if $frame->{opcode} == PING;
}

sub answer_close {
    my ($c, $frame) = @_;

    send_frame($c, opcode => CLOSE, payload => substr $frame->{payload}, 0, 2) if $frame->{opcode} == CLOSE;
}

# Whether this number of seconds has passed since the last time that this was true for the client.
sub has_passed {
    my ($c, $seconds) = @_;

    return 0 if time < ($c->{next} // 0);
    $c->{next} = time + $seconds;
    return 1;
}

sub look_at_log {
    for my $line ($log->fresh(qr/CT003[245]/)) {
        my ($port) = $line =~ /\[(?:client|remote) 127\.0\.0\.1:(\d+)\]/ or next;
        $taken_for_dead{$port}++ if $line =~ /CT0035/;
        $closes_heard{$port}++   if $line =~ /CT0034/;
        $closed_for_age{$port}++ if $line =~ /CT0032.*closing with 1001: too old/;
    }
}

# What has come, and what each does now; waits up to this number of seconds for something to come.
sub go_round {
    my ($seconds) = @_;
    my @readers = grep { !$_->{mute} && !$_->{connection}{eof} } @all;

    IO::Select->new(map { $_->{connection}->socket } @readers)->can_read($seconds);
    hear($_) for @readers;
    $_->{tick}->($_) for grep { $_->{tick} && !$_->{ended} } @all;
    look_at_log();
}

sub run_all {
    my $deadline = time + PATIENCE;

    while (my @waiting = grep { !$_->{over}->($_) } @all) {
        if (time > $deadline) {
            diag 'these are not as far as they should be: ', join ', ', map { $_->{name} } @waiting;
            last;
        }
        go_round(0.05);
    }
}

sub clients { my ($name) = @_; return grep { $_->{name} =~ /^wss?: \Q$name\E$/ } @all }

my $is_dead  = sub { return $taken_for_dead{$_[0]{port}} };
my $is_ended = sub { return $_[0]{ended} };

# ---- those that die ----

# Sends messages that come back, and reads none of them, until the server can no longer write nor read.
sub stuff {
    my ($c) = @_;

    $c->{rest} //= ClownTalk::Client::frame(opcode => BINARY, payload => 'x' x WHOLE) x $c->{messages};
    while (my $taken = write_some($c, substr $c->{rest}, 0, 65536)) {
        substr $c->{rest}, 0, $taken, '';
        $c->{stuck_at} = time;
    }
    return $c->{stuffed} ||= time > ($c->{stuck_at} //= time) + 0.5;
}

add 'answers no ping', '/', over => $is_ended;
add 'vanishes', '/', mute => 1, over => $is_dead, begin => sub { $_[0]{connection}->vanish };
add 'vanishes while it is written to', '/', mute => 1, over => $is_dead, begin => sub {
    my ($c) = @_;
    $c->{connection}->vanish;
    my $message = ClownTalk::Client::frame(opcode => BINARY, payload => 'x' x 1000);
    1 while $c->{connection}->write_some($message);
};
add 'stops reading', '/', mute => 1, messages => MANY, over => $is_dead, tick => sub { stuff($_[0]) if !$_[0]{stuffed} };

# ---- those that live ----

# A Pong is sent for each Ping, and nothing else: that is more than the Timeout of a second four times over.
my $has_lived = sub { return $_[0]{ended} || $_[0]{pings} >= PINGS };
add 'answers pings only', '/lives', frame => \&answer_ping, over => $has_lived;

# Section 5.5.3: a Pong need not have been asked for; that it is none of the server's payload does not matter.
add 'sends unsolicited Pongs (section 5.5.3)', '/lives', over => $has_lived, tick => sub {
    my ($c) = @_;
    send_frame($c, opcode => PONG, payload => 'nobody asked') if has_passed($c, 0.5);
};

# A frame that comes a byte at a time: no ping is answered, and no limit of mod_reqtimeout holds.
use constant SLOWLY => 'a frame of some bytes';
my $has_echo = sub { return grep { $_->{opcode} == TEXT } @{$_[0]{frames}} };
add 'sends a frame slowly', '/lives', frame => sub { answer_ping(@_) if $has_echo->($_[0]) }, tick => sub {
    my ($c) = @_;
    $c->{rest} //= ClownTalk::Client::frame(payload => SLOWLY);
    send_raw($c, substr $c->{rest}, 0, 1, '') if length $c->{rest} && has_passed($c, 0.3);
}, over => sub { return $_[0]{ended} || $has_echo->($_[0]) };

# Without pings nothing is said to it, nor need it say anything.
add 'is not pinged', '/lives/unpinged', over => sub { return 1 };

# Reads slowly what it has asked for. Pings come to it when it has read all that is before them; until then it
# answers none. Then it reads on, and closes. With few messages all of them are in the kernel's hands, which sends no more
# than the client has room for; with many the server has to wait, and does not read either.
sub read_slowly {
    my ($c) = @_;

    return unless stuff($c);
    $c->{unsent} //= length $c->{rest};
    $c->{read_at} //= time;
    if (grep { !$has_lived->($_) } clients('answers pings only')) {
        my $most = int((time - $c->{read_at}) * RATE);
        return if $most < 1024;
        $c->{read_at} = time;
        while ($most > 0) {    # with TLS it comes in records
            my $read = $c->{connection}->read_some($most) or last;
            $most -= $read;
        }
        $c->{ended} ||= time if $c->{connection}{eof};
        return;
    }
    unless ($c->{hurries}++) {
        $c->{still_there} = !$taken_for_dead{$c->{port}};
        # The rest of the message that has begun, and a few more: TLS wants to go on with what it has been given.
        my $size = length ClownTalk::Client::frame(opcode => BINARY, payload => 'x' x WHOLE);
        my $left = int(length($c->{rest}) / $size);
        my $more = $left < 5 ? $left : 5;
        $c->{sent} = $c->{messages} - $left + $more;
        $c->{rest} = substr $c->{rest}, 0, length($c->{rest}) - ($left - $more) * $size;
    }
    substr $c->{rest}, 0, write_some($c, $c->{rest}), '' if length $c->{rest};
    hear($c);
    my $answered = grep { $_->{opcode} == BINARY } @{$c->{frames}};
    send_frame($c, opcode => CLOSE, payload => pack 'n', 1000)
        if !length $c->{rest} && $answered == $c->{sent} && !$c->{closing}++;
}

# Segments as a network has them, and few of them on their way: what has been read shows soon then. Those of the loopback
# interface fill a socket's buffer, and the kernel takes seconds over the next try when there was no room for one.
my %network = (max_segment => 1400, receive_buffer => 4096);

my $between = sub { answer_ping(@_) if !length $_[0]{rest} };    # not within a message
add 'reads slowly', '/lives', mute => 1, socket => \%network, messages => MANY, frame => $between, tick => \&read_slowly,
    over => $is_ended;
add 'reads slowly what is sent', '/lives', mute => 1, socket => \%network, messages => FEW, frame => $between, tick => \&read_slowly,
    over => $is_ended;

# ---- those whose time is up ----

add 'too old: answers no Close', '/age', over => $is_ended;
add 'too old: talks all the time', '/age', frame => \&answer_close, over => $is_ended, tick => sub {
    my ($c) = @_;
    send_frame($c, payload => 'and another') if has_passed($c, 0.2) && !grep { $_->{opcode} == CLOSE } @{$c->{frames}};
};
# Its message has begun when the Close comes; the rest of it is no longer answered (section 1.4), but a Ping is, until its
# own Close (section 5.5.2).
add 'too old: within a message', '/age', over => $is_ended, begin => sub {
    my ($c) = @_;
    my $half = ClownTalk::Client::frame(opcode => CONTINUATION, payload => 'and what came late');
    $c->{rest} = substr $half, 10, length $half, '';
    $c->{client}->send_raw(ClownTalk::Client::frame(fin => 0, payload => 'what came early, ') . $half);
}, frame => sub {
    my ($c, $frame) = @_;
    return unless $frame->{opcode} == CLOSE;
    send_raw($c, $c->{rest} . ClownTalk::Client::frame(opcode => PING, payload => 'anybody there?')
            . ClownTalk::Client::frame(payload => 'hello?'));
    answer_close($c, $frame);
};
# Its answers have been sent, and not been read: they come before the Close.
add 'too old: has not read', '/age', mute => 1, over => $is_ended, begin => sub {
    $_[0]{connection}->write(join '', map { ClownTalk::Client::frame(payload => "number $_" . '.' x 1000) } 1 .. 100);
}, tick => sub { hear($_[0]) if !grep { !$_->{ended} } clients('too old: within a message') };
add 'too old: pinged', '/age/pinged', over => $is_ended, frame => sub { answer_ping(@_); answer_close(@_) };
add 'too old: later', '/age/later', over => $is_ended, frame => \&answer_close;
add 'too old: vanishes', '/age', mute => 1, begin => sub { $_[0]{connection}->vanish },
    over => sub { return $closed_for_age{$_[0]{port}} };

# ---- a request that is none: what the limits are for ----

my $unfinished = ClownTalk::Connection->new(port => $server->{port});
$unfinished->write("GET /index.html HTTP/1.1\r\nHost:");

run_all();

# ---- what has become of them ----

sub opcodes { my ($c) = @_; return join ' ', map { $_->{opcode} } @{$c->{frames}} }
sub last_bytes { my ($c) = @_; return @{$c->{frames}} ? $c->{frames}[-1]{bytes} : '' }

like $unfinished->read_to_end, qr{\A(?:HTTP/1\.1 408 |\z)}, 'the limits of a second hold: an unfinished request is ended';

for my $c (clients('answers no ping')) {
    is_deeply [map { $_->{bytes} } @{$c->{frames}}], [("\x89\x00") x 2], "$c->{name}: two Pings, empty, then the end without a word";
    ok $taken_for_dead{$c->{port}}, "$c->{name}: and the log says why";
    next if ClownTalk::Suite->mpm ne 'event';    # otherwise each session has a clock
    my ($later) = map { @{$_->{frames}} } grep { $_->{scheme} eq $c->{scheme} } clients('too old: later');
    ok $c->{end_order} && $later && $c->{end_order} < $later->{order},
        "$c->{name}: the end comes before one that may be three intervals old has reached that age";
    cmp_ok $c->{ended} - $c->{since}, '>=', 2, "$c->{name}: not before two intervals have passed";
}
for my $name ('vanishes', 'vanishes while it is written to') {
    is $taken_for_dead{$_->{port}}, 1, "$_->{name}: found" for clients($name);
}
for my $c (clients('stops reading')) {
    ok $c->{stuffed}, "$c->{name}: the server could neither write nor read";
    is $taken_for_dead{$c->{port}}, 1, "$c->{name}: found";
}
for my $c (map { clients($_) } 'answers pings only', 'sends unsolicited Pongs (section 5.5.3)', 'is not pinged', 'sends a frame slowly') {
    my $silent = $c->{name} =~ /is not pinged/;
    ok !$c->{ended} && !$taken_for_dead{$c->{port}}, "$c->{name}: lives";
    is_deeply [grep { $_->{opcode} == PING && $_->{bytes} ne "\x89\x00" } @{$c->{frames}}], [], "$c->{name}: Pings have no payload";
    is opcodes($c), '', "$c->{name}: and hears nothing, in " . int(time - $c->{since}) . ' s' if $silent;
    next if $c->{ended};
    $c->{client}->barrier if !$silent;
    $c->{client}{auto_pong} = 1;
    is $c->{client}->send_text('still here')->read_message->{payload}, 'still here', "$c->{name}: and is served";
}
for my $c (clients('sends a frame slowly')) {
    is_deeply [map { $_->{payload} } grep { $_->{opcode} == TEXT } @{$c->{frames}}], [SLOWLY], "$c->{name}: which is answered";
    cmp_ok $c->{pings}, '>=', 2, "$c->{name}: after as many unanswered Pings as another is dead of";
}
for my $c (map { clients($_) } 'reads slowly', 'reads slowly what is sent') {
    my $many = $c->{messages} == MANY;
    is !!$c->{unsent}, $many, "$c->{name}: the server " . ($many ? 'could not write, and so did not read' : 'could write');
    ok $c->{still_there}, "$c->{name}: was not taken for dead";
    my @echoes = grep { $_->{opcode} == BINARY } @{$c->{frames}};
    is scalar(@echoes), $c->{sent} // 'all', "$c->{name}: gets all its answers";
    is scalar(grep { $_->{payload} ne 'x' x WHOLE } @echoes), 0, "$c->{name}: whole";
    is last_bytes($c), "\x88\x02\x03\xe8", "$c->{name}: and closes";
}

my $too_old = pack('C2 n', 0x88, 2 + length 'too old: connect anew', 1001) . 'too old: connect anew';
for my $c (grep { $_->{name} =~ /: too old: / && $_->{name} !~ /vanishes/ } @all) {
    my ($close) = grep { $_->{opcode} == CLOSE } @{$c->{frames}};
    is $close && $close->{bytes}, $too_old, "$c->{name}: ends with 1001";
    cmp_ok(($c->{ended} // 0) - $c->{since}, '>=', AGE, "$c->{name}: not before its time");
    is $c->{connection}{in}, '', "$c->{name}: and nothing behind it";
}
is opcodes($_), '8', "$_->{name}: nothing else was said" for clients('too old: answers no Close');
for my $c (clients('too old: within a message')) {
    # Where a busy machine has taken longer than the server waits for a Close, there is no answer.
    my @expected = $closes_heard{$c->{port}} ? "\x8a\x0eanybody there?" : ();
    is_deeply [map { $_->{bytes} } @{$c->{frames}}], [$too_old, @expected], "$c->{name}: then a Ping was answered, and nothing else";
}
like opcodes($_), qr/\A(?:1 )+8\z/, "$_->{name}: its messages were answered until then" for clients('too old: talks all the time');
is opcodes($_), '1 ' x 100 . '8', "$_->{name}: all of its answers are there before" for clients('too old: has not read');
like opcodes($_), qr/\A(?:9 )+8\z/, "$_->{name}: which does not depend on its answers to pings" for clients('too old: pinged');
ok $closed_for_age{$_->{port}}, "$_->{name}: ends as well" for clients('too old: vanishes');
is scalar(grep { $taken_for_dead{$_->{port}} && $_->{name} !~ /answers no ping|: vanishes|stops reading/ } @all), 0,
    'no other client was taken for dead';

my @next = map { try_limited($_, '/', USER) } qw(ws wss);
is_deeply [map { $_->status } @next], [101, 101], 'two that vanished have left their places under ClownTalkMaxConnections';

$_->connection->reset for @vanished, map { $_->{client} } @all;
is $_->stop, 0, 'the server ends' for $server, $limited;

done_testing;
