# What it costs the server that clients may refer back to their earlier messages (RFC 7692 section 7.1.1.2): as much as
# they have said, not zlib's whole state; and where all of them could refer to more than 32 MiB, the next ones get no compression.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Deflate;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

use constant {
    MOST        => 1024,    # sessions that may refer to 32 KiB
    DESCRIPTORS => 2000,
};

plan skip_all => 'that many sessions are for the event MPM: with others each takes a thread'
    if ClownTalk::Suite->mpm ne 'event';
plan skip_all => 'needs ' . DESCRIPTORS . ' descriptors, which ulimit -Hn does not allow'
    unless ClownTalk::Process::may_open(DESCRIPTORS);

my $server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<'END')->start;
<Location "/">
    SetHandler       clowntalk
    ClownTalkHandler echo
    ClownTalkPing    0
</Location>
END

sub client {
    my ($offer) = @_;

    return ClownTalk::Client->new($server->url('ws', '/'), headers => {'Sec-WebSocket-Extensions' => $offer});
}

sub agreed { my ($client) = @_; return $client->header('Sec-WebSocket-Extensions') }

# Sends a compressed message on each session and reads what comes back.
sub speak {
    my ($message, @clients) = @_;

    my $payload = ClownTalk::Deflate::compress($message);
    $_->send_frame(payload => $payload, rsv => ClownTalk::Deflate::RSV1) for @clients;
    return grep { ClownTalk::Deflate::read_inflated($_)->{text} eq $message } @clients;
}

my @clients = map { client('permessage-deflate') } 1 .. MOST;
is scalar(grep { agreed($_) } @clients), MOST, MOST . ' sessions that may refer to 32 KiB each';

my ($child) = $server->workers;
is speak('hello', @clients[0 .. 9]), 10, 'the first compressed messages come back';    # what the process itself takes
my $before = ClownTalk::Process::status($child, 'VmRSS');
is speak('["clown.talk/-/config/set", {}]', @clients), MOST, 'a compressed message on each comes back';
my $grown = ClownTalk::Process::status($child, 'VmRSS') - $before;
SKIP: {
    skip 'a sanitizer keeps what was freed', 1 if ClownTalk::Settings->get('sanitizers');
    cmp_ok $grown, '<', 1024, 'for that the server keeps less than a megabyte' or diag "$grown KiB";
    note "$grown KiB";
}

is agreed(client('permessage-deflate')), undef, 'one more: no compression';
is agreed(client('permessage-deflate; client_max_window_bits')), undef, 'nor for one that would do with 1 KiB';
ok agreed(client('permessage-deflate; client_no_context_takeover')), 'but for one that refers to nothing';
is client(undef)->status, 101, 'and all get in';
is speak('hello', @clients), MOST, 'those that had agreed go on';
pop(@clients)->drop;
$server->wait_until('one that has left to make room', sub { agreed(client('permessage-deflate')) });
pass 'one that has left makes room';
undef $_ for @clients, $server;

# Handshakes that agree and are refused then, since there are too many sessions, take nothing.
$server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<'END')->start;
ClownTalkMaxConnections 1
<Location "/">
    SetHandler       clowntalk
    ClownTalkHandler echo
</Location>
END
my $only = client(undef);
is scalar(grep { client('permessage-deflate')->status == 503 } 1 .. MOST), MOST, MOST . ' handshakes are refused';
$only->drop;
$server->wait_until('the next one', sub { ($only = client('permessage-deflate'))->status == 101 });
ok agreed($only), 'the next one gets its compression';

done_testing;
