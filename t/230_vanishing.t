# Connections that vanish, at every stage of a session's life: half a handshake, half a frame, half a
# message, in the middle of an answer that is being written, with a request on its way to the hub, around the Close; with a
# FIN and with a reset, plain and over TLS. Ten thousand of them, then during a graceful restart and while the hub
# is killed. No process may die of it, no session be left, and no memory.
use strict;
use warnings;

use IO::Socket::SSL;
use List::Util qw(min);
use LWP::UserAgent;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(time);

use ClownTalk::Client;
use ClownTalk::Connection;
use ClownTalk::Deflate;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

my $mpm       = ClownTalk::Suite->mpm;
my $event     = $mpm eq 'event';
my $sanitized = ClownTalk::Settings->get('sanitizers');

# With the event MPM hundreds are there at a time. With the others each session takes a thread or a process, of which
# there are 25, until the MPM has closed its connection: fewer at a time, and fewer of them. ThreadSanitizer takes
# its time, and what it looks for it finds among some hundreds.
my ($ROUNDS, $PER_ROUND, $AT_ONCE) =
    !$event ? (3, 200, 20) : $sanitized =~ /\bthread\b/ ? (2, 1000, 200) : (5, 2000, 200);
use constant {
    HALF_HANDSHAKES => 10,      # at a time: each holds one of the 25 threads
    LIMIT           => 800,     # sessions, in the end
    PATIENCE        => 30,      # seconds
    KIB_PER_SESSION => 2,       # that memory may grow by; a connection's pool has 14 and more
};

my $config = ClownTalk::Process::ONE_CHILD . <<'END';
<IfModule !mpm_prefork_module>
    ServerLimit 4
</IfModule>
<IfModule mpm_prefork_module>
    StartServers       25
    MinSpareServers     1
    MaxSpareServers    25
    ServerLimit        50
    MaxRequestWorkers  25
</IfModule>
KeepAliveTimeout  100ms
SendBufferSize    8192
ClownTalkBus      0 sim
ClownTalkAddressRate 0
ClownTalkPublishInterval thermometer 0.1
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
    ClownTalkRate    1000000/s 1000000
</Location>
<Location "/echo">
    SetHandler       clowntalk
    ClownTalkHandler echo
</Location>
<Location "/server-status">
    SetHandler server-status
</Location>
END
my $server = ClownTalk::Server->new(config => $config)->start;

# ---- what they say before they vanish ----

sub frame { return ClownTalk::Client::frame(mask => 'mask', @_) }

sub request {
    my ($path, @more) = @_;

    return join "\r\n", "GET $path HTTP/1.1", 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
        'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        @more, '', '';
}

my $talk    = request('/talk/' . ClownTalk::Suite::NODE);
my $packing = request('/talk/' . ClownTalk::Suite::NODE, 'Sec-WebSocket-Extensions: permessage-deflate');
my $echo    = request('/echo');
my $line    = length +(split /(?<=\r\n)/, $talk)[0];
my $opening = frame(payload => '["clown.talk/-/config/set", {}]');
my $close   = frame(opcode => ClownTalk::Client::CLOSE, payload => pack 'n', 1000);
my $hello   = client_hello();
my $packed  = ClownTalk::Deflate::compress('["relay/i2c0-3b/get", {}]' x 20);
my $lists   = frame(payload => join "\n", ('["-/-/config/list", {}]') x 100);
my @state   = qw(true false);
# A header of each form, of which the last four bytes are the mask.
my @headers = map { substr frame(payload => 'x' x $_), 0, -$_ } 5, 300, 70000;

# A ClientHello, as a TLS client begins.
sub client_hello {
    my $context = Net::SSLeay::CTX_new() or die 'no context';
    my $ssl = Net::SSLeay::new($context);
    my ($in, $out) = map { Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem()) } 1 .. 2;
    Net::SSLeay::set_bio($ssl, $in, $out);
    Net::SSLeay::set_connect_state($ssl);
    Net::SSLeay::do_handshake($ssl);
    my $bytes = Net::SSLeay::BIO_read($out);
    Net::SSLeay::free($ssl);
    Net::SSLeay::CTX_free($context);
    return $bytes;
}

# The first bytes of a text, at least one and not all: another length for each number.
sub cut {
    my ($text, $n) = @_;

    return substr $text, 0, 1 + $n % (length($text) - 1);
}

# Each stage:
#
#   plain     1: a TCP connection, whether the server expects TLS or not
#   half      what is said of a handshake; then it vanishes, or waits for the others to do so
#   request   the handshake: $talk unless it says otherwise
#   blind     1: nothing is read, not even the 101
#   open      1: the opening is answered first
#   says      what is said then
#   until     what the server says to that: it is read up to there
#
# Texts may be functions of a number, which differs each time.
my @stages = (
    {name => 'a connection', half => sub { '' }, plain => 1},
    {name => 'half a ClientHello', half => sub { cut($hello, $_[0] * 7) }, plain => 1, tls => 1},
    {name => 'a ClientHello', half => sub { $hello }, plain => 1, tls => 1},
    {name => 'half a request line', half => sub { cut(substr($talk, 0, $line), $_[0]) }},
    {name => 'half of the headers', half => sub { cut(substr($talk, 0, -2), $line + $_[0] * 11) }},
    {name => 'headers without an end', half => sub { substr $talk, 0, -2 }},
    {name => 'a request', blind => 1},
    {name => 'a request and the opening', blind => 1, says => $opening},
    {name => 'the 101'},
    {name => "a frame's header", says => sub { cut($headers[$_[0] % 3], int $_[0] / 3) }},
    {name => "a frame's payload", says => sub { cut(frame(payload => 'x' x 300), 8 + $_[0] * 3) }},
    {name => 'fragments', says => frame(fin => 0, payload => '["relay') . frame(fin => 0, opcode => 0, payload => '/i2c')},
    {name => 'a compressed fragment', request => $packing, says => frame(fin => 0, rsv => 4, payload => substr $packed, 0, 20)},
    {name => 'half a compressed frame', request => $packing, says => substr frame(rsv => 4, payload => $packed), 0, -5},
    {name => 'half an echo', request => $echo, says => frame(payload => 'y' x 9000), until => 'y' x 100},
    {name => 'an opening', says => $opening},
    {name => 'publications', open => 1},
    {name => 'a request to the hub', open => 1, says => sub { frame(payload => qq(["relay/i2c0-3b/set", {"state": $state[$_[0] / 2 % 2]}])) }},
    {name => 'several', open => 1, says => frame(payload => join "\n", ('["thermometer/i2c0-48/get", {}]') x 5)},
    {name => 'an unread answer', open => 1, says => $lists x 4, receive_buffer => 4096},
    {name => 'a Close', says => $close},
    {name => 'a Close in both directions', says => $close, until => "\x88\x02\x03\xe8"},
    {name => 'a violation', says => "\xff\xff"},
    {name => 'a violation that was answered', says => "\xff\xff", until => "\x88"},
);
use constant {RESET => 0, FIN => 1, GOODBYE => 2};

# [stage, over TLS or not, how it vanishes]: each in each way, a third of them over TLS.
my @visits = map {
    my $stage = $_;
    map { my $tls = $_; map { [$stage, $tls, $_] } RESET, FIN, GOODBYE } 0, 0, 1;
} @stages;

# ---- connections ----

my $context = IO::Socket::SSL::SSL_Context->new(SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE())
    or die $IO::Socket::SSL::SSL_ERROR;
my ($count, %seen) = 0;

sub text { my ($text, $n) = @_; return ref $text ? $text->($n) : $text // '' }

sub connection {
    my ($stage, $tls) = @_;

    return ClownTalk::Connection->new(
        port => $server->{$tls ? 'tls_port' : 'port'}, tls => $tls && !$stage->{plain}, timeout => PATIENCE,
        receive_buffer => $stage->{receive_buffer}, tls_options => {SSL_reuse_ctx => $context});
}

# A reset, a FIN, or (over TLS) a goodbye and a FIN.
sub vanish {
    my ($connection, $how) = @_;

    return $connection->reset if $how == RESET;
    eval { $connection->shutdown_write } if $how == FIN;
    $connection->close;
}

# Brings this number of connections to stages of all sorts: [connection, how it will vanish, stage, number]. A few of those
# with half a handshake are there yet, the others have vanished.
sub arrive {
    my ($wanted) = @_;
    my $holding = 0;
    my @arrived;

    while (@arrived < $wanted) {
        my $which = 7 * $count % @visits;    # a step without a common divisor: all in turn, well mixed
        my $n     = int($count++ / @visits) + $which;
        my ($stage, $tls, $how) = @{$visits[$which]};
        my $connection = connection($stage, $tls || $stage->{tls});
        $seen{$stage->{name}}++;
        $connection->write($stage->{half} ? text($stage->{half}, $n) : $stage->{request} || $talk);
        push @arrived, [$connection, $how, $stage, $n];
        vanish($connection, $how) if $stage->{half} && $holding++ >= HALF_HANDSHAKES;
    }
    go_on(@$_[0, 2, 3]) for grep { !$_->[2]{half} } @arrived;
    return @arrived;
}

# What follows the request.
sub go_on {
    my ($connection, $stage, $n) = @_;

    unless ($stage->{blind}) {
        my $head = $connection->read_until("\r\n\r\n", PATIENCE, "the answer to $stage->{name}");
        die "$stage->{name}: " . ($head // 'no answer') unless ($head // '') =~ m{^HTTP/1\.1 101 };
    }
    if ($stage->{open}) {
        $connection->write($opening);
        $connection->read_until('config/ok', PATIENCE, 'the opening');
    }
    $connection->write(text($stage->{says}, $n)) if defined $stage->{says};
    $connection->read_until($stage->{until}, PATIENCE, "the answer to $stage->{name}") if $stage->{until};
}

# ---- the server, seen from outside ----

my $browser = LWP::UserAgent->new(timeout => PATIENCE, keep_alive => 1);

# What mod_status says, but of the connection that asks: with the event MPM the connections, with the others the
# threads or processes that have one. The event MPM counts anew when a connection has been kept alive in vain.
sub connections {
    my $status = $browser->get($server->url('http', '/server-status?auto'))->decoded_content;

    select undef, undef, undef, 0.2;
    return $status =~ ($event ? qr/^ConnsTotal: (\d+)$/m : qr/^BusyWorkers: (\d+)$/m) ? $1 - 1 : PATIENCE;
}

sub child { return join ' ', sort { $a <=> $b } $server->workers }

sub descriptors { return {map { $_ => ClownTalk::Process::descriptors($_) } $server->hub, $server->workers} }

# Talks to the server as a client that stays: the server has read by then what was sent before.
sub witness { return ClownTalk::Client->connect($server->url($_[0], '/talk/' . ClownTalk::Suite::NODE)) }

my $shown = 0;

# Every client that has opened hears of this: 1400 bytes.
sub show {
    my ($client) = @_;

    $client->request('display-oled/i2c0-3c/set', {raw => encode_base64(pack('N', ++$shown) . "\xa5" x 1020, '')});
}

sub all_gone {
    my ($what) = @_;

    my $left;
    ok eval {
        $server->wait_until('the last connection to end', sub { ($left = connections()) <= 0 }, PATIENCE);
    }, "$what: no session is left" or diag "$left connections";
}

# A child makes a link to the hub with its first session, and keeps it.
sub no_descriptors_left {
    my ($before) = @_;

    my $after;
    ok eval {
        $server->wait_until('descriptors to be closed', sub {
            $after = descriptors();
            return !grep { $after->{$_} > ($before->{$_} // 0) } keys %$after;
        });
    }, 'no descriptor is left over' or diag explain {before => $before, after => $after};
}

sub is_served {
    my ($when) = @_;

    for my $scheme (qw(ws wss)) {
        my $client = witness($scheme);
        my $answer = eval {
            $client->open_talk(PATIENCE);
            $client->request('relay/i2c0-3b/get', {}, PATIENCE);
        };
        is $answer && $answer->{topic}, 'relay/i2c0-3b', "$when: a new client is served ($scheme)" or diag $@;
        $client->close(1000);
    }
}

# ---- ten thousand ----

sub vanish_in_turn {
    my ($wanted) = @_;
    my $witness = witness('wss');

    $witness->open_talk;
    while ($wanted > 0) {
        my @all = arrive($AT_ONCE < $wanted ? $AT_ONCE : $wanted);
        show($witness) for 1 .. 3;
        vanish(@$_[0, 1]) for @all;
        $wanted -= @all;
    }
    $witness->forget->close(1000);
}

{
    my ($child, $begin, $log) = (child(), time, $server->log);
    my (%memory, $before);

    for my $round (1 .. $ROUNDS) {
        vanish_in_turn($PER_ROUND);
        all_gone("after $count");
        $memory{$round} = ClownTalk::Process::status($child, 'VmRSS') if $event;
        $before ||= descriptors();
    }
    note sprintf '%d connections in %.1f s', $count, time - $begin;
    is child(), $child, "$count connections have vanished, and the processes are the same";
    no_descriptors_left($before);
    is scalar(grep { $seen{$_->{name}} < $count / @stages / 2 } @stages), 0, 'at each stage as many as at others'
        or diag explain \%seen;
    SKIP: {
        skip 'many processes share the sessions', 1 unless $event;
        skip 'with sanitizers memory is kept for a while', 1 if $sanitized;
        # What is free may be given back to the system a round later.
        my $more  = 2 * $PER_ROUND;
        my $grown = min(@memory{$ROUNDS - 1, $ROUNDS}) - min(@memory{2, 3});
        cmp_ok $grown, '<', $more * KIB_PER_SESSION,
            sprintf 'nor has their memory grown by %d KiB for each of %d', KIB_PER_SESSION, $more;
        note explain \%memory;
    }
    my %ends;
    /CT00(3\d): (?:the connection ends: (it cannot be written to|the client is gone))?/ and $ends{$2 // $1}++
        for $log->fresh;
    is scalar(grep { ($ends{$_} // 0) < $count / 100 } 'it cannot be written to', 'the client is gone', 33, 34), 0,
        'of some the server hears when it writes, of others when it reads, of others around a Close'
        or diag explain \%ends;
}

# ---- during a graceful restart ----

# Some vanish at once, some when the server has said Close to all of them.
for my $time (1 .. 2) {
    my @old     = $server->workers;
    my $witness = witness('ws');
    my @all     = arrive($event ? 2 * $AT_ONCE : $AT_ONCE);

    $server->configure(config => "$config\nClownTalkMaxConnections ${\LIMIT}") if $event;
    $server->graceful;
    vanish(@$_[0, 1]) for splice @all, 0, @all / 3;
    is +($witness->wait_close(PATIENCE))[0], 1012, 'a graceful restart: one that stays gets the Close code';
    vanish(@$_[0, 1]) for splice @all, 0, @all / 2;
    # Of those that stay, half a handshake is the MPM's business: it waits for the rest until its Timeout.
    vanish(@$_[0, 1]) for grep { $_->[2]{half} } @all;
    ok eval {
        $server->wait_until('the old processes to end', sub { !grep { kill 0 => $_ } @old }, PATIENCE);
    }, 'the old processes end, whatever clients are left' or diag $@;
    vanish(@$_[0, 1]) for grep { !$_->[2]{half} } @all;
    is_served("after restart $time");
}

# ---- while the hub is killed ----

{
    my $child  = child();
    my $before = descriptors();
    for my $time (1 .. 5) {
        my @all = arrive($AT_ONCE / 2);
        my $hub = $server->wait_for_hub;

        kill KILL => $hub;
        vanish(@$_[0, 1]) for splice @all, 0, @all / 2;
        push @all, arrive($AT_ONCE / 4);    # which wait for the next hub
        vanish(@$_[0, 1]) for @all;
        is_served("after hub $time");
        ok !kill(0 => $hub), 'by another hub';
    }
    all_gone('after the hubs');
    SKIP: {
        skip 'after a restart processes come and go', 2 if $mpm eq 'prefork';
        is child(), $child, 'the processes are the same';
        my $hub = $server->wait_for_hub;
        my ($old) = grep { !kill 0 => $_ } keys %$before;
        $before->{$hub} = delete $before->{$old};
        no_descriptors_left($before);
    }
}

# ---- and the module's own count ----

if ($event) {
    my @all = map { connection({}) } 1 .. LIMIT;
    $_->write($echo) for @all;
    my @heads = map { $_->read_until("\r\n\r\n", PATIENCE, 'the answer to a handshake') } @all;
    is scalar(grep { m{^HTTP/1\.1 101 } } @heads), LIMIT, 'as many sessions can begin as ClownTalkMaxConnections allows';
    is(ClownTalk::Client->new($server->url('ws', '/echo'))->status, 503, 'and not one more');
    $_->reset for @all;
    all_gone('after these');
}
is $server->stop, 0, "the server ends, after $count";
done_testing;
