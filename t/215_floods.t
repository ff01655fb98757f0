# A client that sends far more than it should, and reads all answers: what it says is carried out in portions, others
# are answered meanwhile, and no more memory is taken than a few messages need. One that goes on beyond its rate is
# dropped. Then the memory is given back. Plain and over TLS, with and without permessage-deflate, and on a stream of HTTP/2.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Deflate;
use ClownTalk::HTTP2;
use ClownTalk::Httpd;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

use constant {
    MESSAGE  => 16_384,     # bytes: ClownTalkMaxMessage
    LONG     => 262_144,    # the same of /long
    MESSAGES => 200,        # compressed, of 42 bytes each: the server reads all of them at once
    BURST    => 100,        # ClownTalkRate
    REFUSED  => 1000,       # requests that are rate-limited before the session ends
    MANY     => 18,         # clients at once, where each takes a thread, too
    ALL      => 8,          # messages to /fast, each line of which is answered
    PINGS    => 10_000,
    MEMORY   => 8 * 1024,   # KiB that the server may grow by
};
use constant PIECES => 20_000;

my $node = ClownTalk::Suite::NODE;
my $mpm  = ClownTalk::Suite->mpm;
# In a process with ten times the memory, some of which is never given back, no such figure means anything.
my $measures = !ClownTalk::Settings->get('sanitizers');
my $has_http2 = $mpm ne 'prefork' && ClownTalk::Httpd::has_module('http2') && ClownTalk::Settings->get('node');

my $server = ClownTalk::Server->new($has_http2 ? (modules => ['http2'], vhost => <<'END') : (), config => ClownTalk::Process::ONE_CHILD . <<'END')->start;
Protocols    h2 h2c http/1.1
H2WebSockets on
END
SendBufferSize    32768
ClownTalkBus      0 sim
ClownTalkAddressRate 0
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkPing     0
<Location "/">
    SetHandler clowntalk
</Location>
<Location "/fast">
    ClownTalkRate 1000000/s 1000000
</Location>
<Location "/long">
    ClownTalkRate       1000000/s 1000000
    ClownTalkMaxMessage 262144
</Location>
END

# ---- clients ----

my ($transport, $deflate, $other, @stay);

sub connect_to {
    my ($path) = @_;

    return ClownTalk::HTTP2->new($server->url('https', ''))->connect("$path/$node") if $transport eq 'h2';
    my $client = ClownTalk::Client->connect($server->url($transport, "$path/$node"),
        $deflate ? (extensions => 'permessage-deflate') : ());
    is !!$client->header('Sec-WebSocket-Extensions'), !!1, 'compression is agreed' if $deflate;
    return $client;
}

sub message {
    my ($text) = @_;

    return ClownTalk::Client::frame($deflate
        ? (rsv => ClownTalk::Deflate::RSV1, payload => ClownTalk::Deflate::compress($text))
        : (payload => $text));
}

sub lines { my ($size) = @_; return "x\n" x ($size / 2) }

# Writes all of it, and reads on meanwhile, as far as that is possible without waiting.
sub flood {
    my ($client, $bytes) = @_;
    my $connection = $client->connection;
    my $socket = IO::Select->new($connection->socket);

    while (length $bytes) {
        my $taken = eval { $connection->write_some(substr $bytes, 0, 65536) };
        last unless defined $taken;    # it is dropped by now
        substr $bytes, 0, $taken, '';
        my $got = $connection->read_some(65536);
        last unless defined $got;
        IO::Select::select($socket, $socket, undef, 1) unless $taken || $got;
    }
}

# Reads to the answer whose number is $most, or to a Close: (answers, code, reason).
sub read_answers {
    my ($client, $most) = @_;
    my $answers = 0;

    while ($answers < $most) {
        my $frame = $client->read_frame or return ($answers);
        return ($answers, unpack 'n a*', $frame->{payload}) if $frame->{opcode} == ClownTalk::Client::CLOSE;
        $answers++;
    }
    return ($answers);
}

# ---- memory ----

sub memory {
    my ($field) = @_;
    my $sum = 0;

    for my $pid ($server->workers) {
        local $_;
        $sum += eval { ClownTalk::Process::status($pid, $field) } // 0;
    }
    return $sum;
}

# What $flood->() makes the server grow by, and whether that is given back when the client has gone.
sub measure {
    my ($name, $flood) = @_;
    my $can = $measures && $mpm ne 'prefork';

    ClownTalk::Process::reset_peak($_) for $can ? $server->workers : ();
    my $before = memory('VmRSS');
    $flood->();
    return unless $can;
    my $grown = memory('VmHWM') - $before;
    cmp_ok $grown, '<', MEMORY, "$name: the server has grown by less than ${\(MEMORY / 1024)} MiB" or diag "$grown KiB";
    ok eval { $server->wait_until('memory to come back', sub { memory('VmRSS') < $before * 1.1 }) },
        'and it has given that back' or diag memory('VmRSS') - $before . ' KiB';
}

# ---- the floods ----

sub is_served {
    my ($name) = @_;

    is $other->request('-/-/config/list')->{topic}, '-/-/config/ok', "$name: another client is served";
}

sub test_refusals {
    measure('a flood beyond the rate' => sub {
        my $log = $server->log;
        my $client = connect_to('');
        flood($client, message(lines(MESSAGE)) x MESSAGES);
        is_served('meanwhile');
        my ($answers, $code, $reason) = read_answers($client, 1e9);
        is $code, 1008, 'Close 1008';
        like $reason, qr/ClownTalkRate/, 'which names the directive';
        # Time makes some good: as many as the rate allows.
        cmp_ok $answers, '>=', BURST + REFUSED, 'not before a thousand were refused';
        cmp_ok $answers, '<', MESSAGE, 'and long before all are answered' or diag $answers;
        like $log->wait_line(qr/CT0039/), qr/ClownTalkRate/, 'and a line in the log';
    });
}

# Many at once, and one that stays: what each has needed lies between what others have.
sub test_many {
    { my @warm = map { connect_to('') } 1 .. MANY; $_->close(1000) for @warm }
    my $idle = connect_to('');
    measure('many floods' => sub {
        my @clients = map { connect_to('') } 1 .. MANY;
        my @after   = map { connect_to('') } 1 .. 2;
        flood($_, message(lines(MESSAGE)) x MESSAGES) for @clients;
        is_served('meanwhile');
        is((read_answers($_, 1e9))[1], 1008, 'Close 1008') for @clients;
        push @stay, @after;
    });
    is_deeply [$_->close(1000)], [1000, ''], 'and it closes' for $idle, splice @stay;
}

# Within the rate: all of it is answered, and what is not read is not asked for.
sub test_answers {
    for my $kind ([fast => ALL, MESSAGE], [long => 1, LONG]) {
        my ($path, $n, $size) = @$kind;
        measure("/$path" => sub {
            my $client = connect_to("/$path");
            flood($client, message(lines($size)) x $n);
            is_served("$n messages of $size bytes");
            my ($answers) = read_answers($client, $n * $size / 2);
            is $answers, $n * $size / 2, 'and each line of them is answered';
            is_deeply [$client->close(1000)], [1000, ''], 'and it closes';
        });
    }
}

# Frames that cost the client little.
sub test_frames {
    my $empty = message('');
    my $fragments = join '',
        ClownTalk::Client::frame(fin => 0, payload => ''),
        ClownTalk::Client::frame(opcode => 0, fin => 0, payload => '') x PIECES,
        ClownTalk::Client::frame(opcode => 0, fin => 0, payload => ' ') x (MESSAGE - 1),
        ClownTalk::Client::frame(opcode => 0, payload => "\n");
    my $last = ClownTalk::Client::frame(opcode => ClownTalk::Client::PING, payload => 'last');
    my $ping = ClownTalk::Client::frame(opcode => ClownTalk::Client::PING, payload => 'p' x 125);
    for my $kind (
        ['pings' => $ping x PINGS], ['empty messages' => $empty x PINGS], ['fragments' => $fragments x 2],
        ['blank lines' => message("\n" x MESSAGE) x MESSAGES],
    ) {
        my ($name, $bytes) = @$kind;
        measure($name => sub {
            my $client = connect_to('');
            flood($client, $bytes . $last);
            is_served($name);
            my $frame;
            do { $frame = $client->read_frame } until !$frame || $frame->{payload} eq 'last';
            ok $frame, 'and they are dealt with';
            is_deeply [$client->close(1000)], [1000, ''], 'and it closes';
        });
    }
}

for my $kind (['ws', 0], ['ws', 1], ['wss', 0], ['wss', 1], $has_http2 ? ['h2', 0] : ()) {
    ($transport, $deflate) = @$kind;
    subtest join(' and ', $transport, $deflate ? 'permessage-deflate' : ()) => sub {
        $other = ClownTalk::Client->connect($server->url('ws', "/fast/$node"));
        $other->open_talk;
        connect_to('')->close(1000);    # what a child has from its first client on, it keeps
        test_refusals();
        test_many() if $transport ne 'h2';    # whose connections stay
        test_answers();
        test_frames();
        is_deeply [$other->close(1000)], [1000, ''], 'the other client has seen nothing of it';
    };
}
is $server->stop, 0, 'the server ends';

done_testing;
