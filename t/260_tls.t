# Sessions over TLS 1.2 and 1.3: once the handshake is over they read and write mod_ssl's connection without
# mod_ssl's filters, however frames and records are cut, and whatever the two ends of TLS say to each other besides.
use strict;
use warnings;

use IO::Select;
use IPC::Open3;
use Test::More;

use ClownTalk::Client;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

use constant {MIB => 1 << 20, PATIENCE => 15};

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

# ---- what IO::Socket::SSL cannot do, openssl's own client can: it takes a line K for a command ----

# Starts it and opens a WebSocket with it; returns ($write, $read): a function that has it send something, or
# do something, and one that reads what it says until a pattern fits.
sub s_client {
    my (@options) = @_;
    my $pid = open3(my $in, my $out, undef, ClownTalk::Settings->get('openssl'), 's_client', '-connect',
        "127.0.0.1:$server->{tls_port}", @options);
    my $said = '';
    my $read = sub {
        my ($pattern, $what) = @_;
        my $select = IO::Select->new($out);

        while ($said !~ $pattern) {
            unless ($select->can_read(PATIENCE) && sysread $out, $said, 65536, length $said) {
                fail $what;
                diag $said;
                return;
            }
        }
        $said =~ s/.*?$pattern//s;
        pass $what;
    };
    my $write = sub { syswrite $in, $_[0] };

    $read->(qr/---\n.*---\n/s, 'openssl has shaken hands');
    $write->(join "\r\n", 'GET / HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
        'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '');
    $read->(qr/101 Switching Protocols.*?\r\n\r\n/s, 'and opened a WebSocket');
    return ($write, $read, sub { kill TERM => $pid; close $_ for $in, $out; waitpid $pid, 0 });
}

subtest 'TLS 1.3: keys are changed in the middle (RFC 8446 section 4.6.3)' => sub {
    my ($write, $read, $end) = s_client('-tls1_3');

    for my $round (1 .. 3) {
        $write->(frame(payload => "before $round"));
        $read->(qr/before $round/, "round $round: a message comes back");
        $write->("K\n");
        $read->(qr/KEYUPDATE/, 'the client changes its key and asks the server to');
        $write->(frame(payload => "after $round"));
        $read->(qr/after $round/, 'and messages come back as before');
    }
    $end->();
};

subtest 'TLS 1.2: a client that renegotiates is refused, and harms nobody' => sub {
    my ($write, $read, $end) = s_client('-tls1_2');
    my $other = ClownTalk::Client->connect($server->url('wss', '/'));

    $write->(frame(payload => 'before'));
    $read->(qr/before/, 'a message comes back');
    $write->("R\n");
    $read->(qr/RENEGOTIATING/, 'the client wants to negotiate anew');
    $read->(qr/no renegotiation/i, 'and is told that there is none');
    $other->send_text('here');
    echoes($other, 'another session', 'here');
    $other->close(1000);
    $end->();
};

is $server->stop, 0, 'the server ends';

done_testing;
