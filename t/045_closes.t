# RFC 6455 section 7.1.1: a client that the server closes gets the Close with its code, and then the end of the connection, however much
# it sends behind what broke the rules. A socket that is closed with unread bytes resets the connection: a client that writes hears of
# that before it reads the Close.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Server;
use ClownTalk::Suite;

use constant {
    TIMES => 20,
    PIECE => 16_384,
    BUSY  => 0.01,         # seconds in which a socket takes nothing: the client turns to reading
    MOST  => 1 << 30,      # bytes; there is a pause before
    MUCH  => 1 << 20,
};

my $node = ClownTalk::Suite::NODE;

my $server = ClownTalk::Server->new(config => <<'END')->start;
ClownTalkBus      0 sim
ClownTalkStateDir "@t_state@/clowntalk"
<Location "/">
    SetHandler clowntalk
</Location>
END

# What ends a session, and with which code.
my @ends = (
    ['text that is no UTF-8', 1007, ClownTalk::Client::frame(payload => "\xff")],
    ['a flood beyond the rate', 1008, ClownTalk::Client::frame(payload => "x\n" x 2000)],
);

# Writes as long as the socket takes something, as a program does that writes whenever it may.
sub write_while_possible {
    my ($connection) = @_;
    my $piece = 'x' x PIECE;
    my $sent  = 0;

    while ($sent < MOST && $connection->writable(BUSY)) {
        $sent += $connection->write_some($piece);
    }
    return $sent;
}

# The code of the Close that comes, and how the connection ends.
sub read_close {
    my ($client) = @_;

    while (my $frame = $client->read_frame) {
        next unless $frame->{opcode} == ClownTalk::Client::CLOSE;
        my $rest = $client->connection->read_to_end;
        return unpack('n', $frame->{payload}) . (length $rest ? ' and more' : '') . ($client->connection->{broke} ? ', reset' : '');
    }
    return 'none';
}

sub closes {
    my ($scheme, $bytes, $more) = @_;
    my %seen;

    for (1 .. TIMES) {
        my $client = ClownTalk::Client->connect($server->url($scheme, "/$node"));
        my $saw = eval {
            $client->send_raw($bytes);
            $more->($client->connection);
            read_close($client);
        } // $@;
        $seen{$saw}++;
    }
    return \%seen;
}

for my $scheme (qw(ws wss)) {
    for my $end (@ends) {
        my ($what, $code, $bytes) = @$end;
        is_deeply closes($scheme, $bytes, \&write_while_possible), {$code => TIMES},
            "$scheme: $what, and more as long as the socket takes it: Close $code and the end";
        is_deeply closes($scheme, $bytes, sub { $_[0]->write('x' x MUCH) }), {$code => TIMES},
            "$scheme: $what, and a mebibyte: Close $code and the end";
    }
}

done_testing;
