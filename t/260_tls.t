# Sessions over TLS 1.2 and 1.3: once the handshake is over they read and write mod_ssl's connection without
# mod_ssl's filters, however frames and records are cut, and whatever the two ends of TLS say to each other besides.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Process;
use ClownTalk::SClient;
use ClownTalk::Server;
use ClownTalk::Suite;

use constant MIB => 1 << 20;

my $server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<'END')->start;
LogLevel clowntalk:debug
ClownTalkMaxMessage 4194304
<Location "/">
    SetHandler       clowntalk
    ClownTalkHandler echo
</Location>
END
my $event = ClownTalk::Suite->mpm eq 'event';

sub frame { return ClownTalk::Client::frame(@_) }
sub noise { my ($n) = @_; return join '', map { chr int rand 256 } 1 .. $n }

# Each message in turn comes back.
sub echoes {
    my ($client, $what, @messages) = @_;
    my @got = map { $client->read_message->{payload} } @messages;

    is_deeply [map { length } @got], [map { length } @messages], "$what: their lengths";
    ok !(grep { $got[$_] ne $messages[$_] } 0 .. $#messages), "$what: they come back as they were";
}

sub test_version {
    my ($version) = @_;
    my $log = $server->log;
    my @hello = map { "message $_" } 1 .. 50;

    # The first messages lie in the record of the request: mod_ssl has decrypted them when the session begins.
    my $client = ClownTalk::Client->connect($server->url('wss', '/'), tls_options => {SSL_version => $version},
        more => join '', map { frame(payload => $_) } @hello);
    like $client->connection->socket->get_sslversion, qr/^\Q$version\E$/, "it is $version";
    echoes($client, 'fifty messages in one record with the request', @hello);
    SKIP: {
        skip 'a session leaves its connection with the event MPM', 1 unless $event;
        ok $log->wait_line(qr/CT0036/), 'the session has left its connection';
    }
    my $bytes = frame(payload => 'a byte a record');
    $client->send_raw($_) for split //, $bytes;
    echoes($client, 'a byte a record', 'a byte a record');
    $client->send_raw(join '', map { frame(payload => $_) } @hello);
    echoes($client, 'fifty messages in one record', @hello);
    my @large = map { noise($_) } 16384, 16385, MIB, 3 * MIB;
    for my $large (@large) {
        $client->send_raw(frame(opcode => ClownTalk::Client::BINARY, payload => $large));
        echoes($client, length($large) . ' bytes', $large);
    }
    is_deeply [$client->close(1000)], [1000, ''], 'it closes';
    is $client->connection->read_to_end, '', 'and says so in TLS, too: the end is no truncation';

    # TLS's own goodbye, without WebSocket's
    $client = ClownTalk::Client->connect($server->url('wss', '/'), tls_options => {SSL_version => $version});
    $client->barrier;
    $log = $server->log;
    $client->connection->socket->stop_SSL(SSL_fast_shutdown => 1, SSL_no_shutdown => 0, SSL_ctx_free => 0);
    like $log->wait_line(qr/CT0030/), qr/gone without a Close/, 'close_notify without a Close: the client is gone';

    # What is no TLS in the middle of it
    $client = ClownTalk::Client->connect($server->url('wss', '/'), tls_options => {SSL_version => $version});
    my $other = ClownTalk::Client->connect($server->url('wss', '/'), tls_options => {SSL_version => $version});
    $_->barrier for $client, $other;
    $log = $server->log;
    open my $raw, '>&=', fileno $client->connection->socket or die "fdopen: $!";
    syswrite $raw, 'this is no TLS record';
    like $log->wait_line(qr/CT0030/), qr/gone without a Close/, 'bytes that are no TLS: the connection ends';
    $other->send_text('here');
    echoes($other, 'another session', 'here');
    $other->close(1000);
}

for my $version (qw(TLSv1_2 TLSv1_3)) {
    subtest $version => sub { test_version($version) };
}

# ---- what IO::Socket::SSL cannot do, openssl's own client can ----

subtest 'TLS 1.3: keys are changed in the middle (RFC 8446 section 4.6.3)' => sub {
    my $client = ClownTalk::SClient->new($server->{tls_port}, '-tls1_3');

    for my $round (1 .. 3) {
        $client->tell(frame(payload => "before $round"));
        $client->wait_for(qr/before $round/, "round $round: a message comes back");
        $client->tell("K\n");
        $client->wait_for(qr/KEYUPDATE/, 'the client changes its key and asks the server to');
        $client->tell(frame(payload => "after $round"));
        $client->wait_for(qr/after $round/, 'and messages come back as before');
        $client->keep;
        $client->tell("K\n");
        $client->wait_for(qr/KEYUPDATE/, 'the same again, but');
        $client->tell(frame(payload => "behind $round"));
        $client->let_go(2);
        $client->wait_for(qr/behind $round/, 'the message comes with the change in one piece');
    }
    $client->end;
};

subtest 'TLS 1.2: a client that renegotiates is refused, and harms no other' => sub {
    my $client = ClownTalk::SClient->new($server->{tls_port}, '-tls1_2');
    my $other = ClownTalk::Client->connect($server->url('wss', '/'));

    $client->tell(frame(payload => 'before'));
    $client->wait_for(qr/before/, 'a message comes back');
    $client->tell("R\n");
    $client->wait_for(qr/RENEGOTIATING/, 'the client wants to negotiate anew');
    $client->wait_for(qr/no renegotiation/i, 'and gets the alert that there is none');
    $other->send_text('here');
    echoes($other, 'another session', 'here');
    $other->close(1000);
    $client->end;
};

is $server->stop, 0, 'the server ends';

done_testing;
