# RFC 8441: WebSockets on the streams of an HTTP/2 connection, where mod_http2 offers them (H2WebSockets). What holds over
# HTTP/1.1 holds over them too; sessions do not disturb each other, nor the requests beside them; and whatever a
# client does, the thread that serves its session is free again soon.
#
# With the prefork MPM mod_http2 offers no HTTP/2: browsers come by HTTP/1.1, and get their WebSockets.
use strict;
use warnings;

use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);
use Test::More;
use Time::HiRes qw(time);

use ClownTalk::Client;
use ClownTalk::Deflate;
use ClownTalk::HTTP2;
use ClownTalk::Httpd;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

plan skip_all => 'httpd has no mod_http2' unless ClownTalk::Httpd::has_module('http2');
plan skip_all => 'no Node.js, whose HTTP/2 client this needs' unless ClownTalk::Settings->get('node');

use constant {
    LARGE    => 1_000_000,    # bytes in a message: many times a stream's window of 64 KiB
    MANY     => 2000,         # messages at once
    VALUES   => 200,          # of the display, 1400 bytes each: more than the buffers before a closed window hold
    COMMANDS => 20,           # to a relay, which carries out ten a second
    LISTS    => 600,          # in a message, each answered at once, by 300 bytes
    TIMEOUT  => 2,            # seconds: httpd's
    WITHIN   => 5,            # seconds: an old process has to be gone
};
use constant {NO_ERROR => 0, PROTOCOL_ERROR => 1, CANCEL => 8};    # RFC 9113 section 7
use constant {DISPLAY => 'display-oled/i2c0-3c', RELAY => 'relay/i2c0-3b'};

my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my $node  = ClownTalk::Suite::NODE;
my $clown = 'clown:bigclown';
my $vhost = <<'END';
Protocols    h2 h2c http/1.1
H2WebSockets on
END

my $server = ClownTalk::Server->new(
    modules => ['http2'], vhost => $vhost, config => ClownTalk::Process::ONE_CHILD . <<'END')->start;
ClownTalkBus      0 sim
ClownTalkAddressRate 0
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkRate     1000000/s 1000000
# What lasts longer is no matter of a session, and the longest that an old process may have to wait for a client.
Timeout           2
KeepAliveTimeout  1
<Location "/auth">
    SetHandler        clowntalk
    AuthType          Basic
    AuthName          "@realm@"
    AuthBasicProvider file
    AuthUserFile      "@t_conf@/htpasswd"
    Require           valid-user
</Location>
<Location "/auth/denied">
    Require           user somebody-else
    AuthzSendForbiddenOnFailure On
</Location>
<Location "/talk">
    SetHandler        clowntalk
    ClownTalkControl  On
</Location>
<Location "/backlog">
    SetHandler        clowntalk
    ClownTalkControl  On
    ClownTalkBacklog  2048
</Location>
<Location "/echo">
    SetHandler        clowntalk
    ClownTalkHandler  echo
    ClownTalkMaxMessage 4194304
</Location>
<Location "/ping">
    SetHandler        clowntalk
    ClownTalkHandler  echo
    ClownTalkPing     1
</Location>
<Location "/age">
    SetHandler        clowntalk
    ClownTalkHandler  echo
    ClownTalkMaxAge   1
</Location>
END

sub http2 { my ($scheme, @arg) = @_; return ClownTalk::HTTP2->new($server->url($scheme, ''), @arg) }

# Whether a session answers.
sub echoes {
    my ($client, $text) = @_;

    $client->send_text($text);
    return $client->read_message->{payload} eq $text;
}

sub talker {
    my ($http2, $path) = @_;
    my $client = $http2->connect(($path // '/talk') . "/$node");

    $client->open_talk;
    return $client;
}

# How a stream ends in order: END_STREAM, and no RST_STREAM.
my $in_order = {reset => NO_ERROR, ended => $true};

# ---- prefork ----

if (ClownTalk::Suite->mpm eq 'prefork') {
    my $client = ClownTalk::Client->connect($server->url('wss', "/auth/$node", $clown),
        tls_options => {SSL_alpn_protocols => ['h2', 'http/1.1']});
    is $client->connection->socket->alpn_selected, 'http/1.1', 'prefork: a client that could speak HTTP/2 is offered HTTP/1.1';
    $client->open_talk;
    is_deeply [$client->close(1000)], [1000, ''], 'and has its WebSocket by that';
    ok !eval { http2('https'); 1 }, 'one that insists on HTTP/2 gets nothing';
    # Where nothing is negotiated mod_http2 speaks it all the same, though it says that it is not meant to.
    my $http2 = http2('http');
    is_deeply [talker($http2)->close(1000)], [1000, ''], 'without TLS there is HTTP/2, and a session';
    $http2->end;
    is $server->stop, 0, 'the server ends';
    done_testing;
    exit;
}

# Says nothing until the end of this test.
my $quiet = http2('https')->connect('/echo');
my $since = time;

# ---- section 3: the server offers it; section 5: how one is opened ----

for my $scheme (qw(https http)) {
    my $http2 = http2($scheme);
    is $http2->alpn, $scheme eq 'https' ? 'h2' : 'h2c', "$scheme: HTTP/2, " . ($scheme eq 'https' ? 'by ALPN' : 'at once');
    is $http2->setting('enableConnectProtocol'), $true, "$scheme: SETTINGS_ENABLE_CONNECT_PROTOCOL";
    is $http2->get('/index.html')->{body}, "welcome\n", "$scheme: and it serves pages";

    my $client = $http2->connect("/auth/$node", user => $clown,
        headers => {'sec-websocket-protocol' => 'chat, clown.talk', origin => $server->url($scheme, '')});
    is $client->status, 200, "$scheme: an extended CONNECT: 200";
    is join(' ', grep { !/^(?::status|date|server)$/ } sort keys %{$client->{headers}}), 'sec-websocket-protocol',
        "$scheme: with no header of HTTP/1.1's handshake";
    is $client->header('Sec-WebSocket-Protocol'), 'clown.talk', "$scheme: the subprotocol";
    is $client->open_talk->{device}, 'bridge', "$scheme: the opening is answered";
    like $client->wait_topic('thermometer/i2c0-48')->{payload}{temperature}[0], qr/^\d+(?:\.\d+)?$/, "$scheme: values are published";

    # Beside one of HTTP/1.1
    my $other = ClownTalk::Client->connect($server->url($scheme eq 'https' ? 'wss' : 'ws', "/talk/$node"));
    $other->open_talk;
    for my $state ($true, $false) {
        is $client->request(RELAY . '/set', {state => $state})->{payload}{state}, $state, "$scheme: a request, and its reply";
        ok $other->wait_topic(RELAY, sub { ($_[0]{payload}{state} // '') eq $state }), "$scheme: which is published to HTTP/1.1";
    }
    $client->forget;
    $other->talk(RELAY . '/set', {state => $true});
    ok $client->wait_topic(RELAY, sub { $_[0]{payload}{state} }), "$scheme: and the other way round";
    is_deeply [$client->close(1000)], [1000, ''], "$scheme: Close is answered";
    is_deeply $client->outcome, $in_order, "$scheme: and ends the stream";
    is $http2->get('/index.html')->{status}, 200, "$scheme: but not the connection";
    $http2->end;
}

# ---- permessage-deflate ----

{
    my $http2 = http2('https');
    my $client = $http2->connect('/echo', headers => {'sec-websocket-extensions' => 'permessage-deflate; client_max_window_bits'});
    like $client->header('Sec-WebSocket-Extensions'), qr/^permessage-deflate/, 'permessage-deflate is agreed';
    my $text = 'over and over ' x 1000;
    my %frame = (rsv => ClownTalk::Deflate::RSV1, payload => ClownTalk::Deflate::compress($text));
    $client->send_frame(%frame);
    my $frame = $client->read_frame;
    is $frame->{rsv}, ClownTalk::Deflate::RSV1, 'a message comes compressed';
    cmp_ok length $frame->{payload}, '<', length($text) / 10, 'and is small';
    is $http2->websocket('/echo')->header('Sec-WebSocket-Extensions'), undef, 'a client that does not offer it gets none';
}

# ---- what is refused, each with a line in the log ----

for my $scheme (qw(https http)) {
    my $http2 = http2($scheme);
    my $log = $server->log;
    for my $case (
        [401, 'no credentials', "/auth/$node"],
        [401, 'a wrong password', "/auth/$node", user => 'clown:wrong'],
        [403, 'a user who is not authorized', "/auth/denied/$node", user => $clown],
        [404, 'an unknown node', '/auth/clown-talk-server_x', user => $clown, line => qr/there is no node/],
        [403, 'a foreign Origin', '/echo', headers => {origin => 'https://a.example'}, line => qr/Origin .* is not allowed/],
        [403, "the other scheme's Origin", '/echo', line => qr/Origin .* is not allowed/,
            headers => {origin => $server->url($scheme eq 'https' ? 'http' : 'https', '')}],
        [426, 'version 8', '/echo', headers => {'sec-websocket-version' => 8}, line => qr/Sec-WebSocket-Version must be 13/],
        [426, 'no version', '/echo', headers => {'sec-websocket-version' => undef}, line => qr/Sec-WebSocket-Version must be 13/],
        [400, 'extensions that are none', '/echo', headers => {'sec-websocket-extensions' => '"'},
            line => qr/Sec-WebSocket-Extensions is not a list/],
        [501, 'another :protocol', '/echo', headers => {':protocol' => 'mqtt'}],
        [502, 'a page that is no WebSocket', '/index.html'],
    ) {
        my ($status, $name, $path, %arg) = @$case;
        my $client = $http2->websocket($path, %arg);
        is $client->status, $status, "$scheme, $name: $status";
        is join(' ', grep { defined $client->header($_) } qw(upgrade connection sec-websocket-accept)), '',
            "$scheme, $name: no header of HTTP/1.1";
        is $client->header('Sec-WebSocket-Version'), $status == 426 ? '13' : undef, "$scheme, $name: Sec-WebSocket-Version";
        like $client->header('WWW-Authenticate'), qr/^Basic realm=/, "$scheme, $name: WWW-Authenticate" if $status == 401;
        my @lines = $log->fresh(qr/CT001[01]:/);
        is scalar @lines, $arg{line} ? 1 : 0, "$scheme, $name: " . @lines . ' lines in the log' or diag @lines;
        like $lines[0] // '', $arg{line}, "$scheme, $name: which says why" if $arg{line};
        $client->connection->read_to_end;
        is_deeply $client->end->outcome, $in_order, "$scheme, $name: and the stream ends";
    }
    my ($answer) = $http2->request(1, ':method' => 'CONNECT', ':scheme' => undef);
    is $answer->{headers}{':status'}, 405, "$scheme: a CONNECT without :protocol: 405";
    my $plain = $http2->get('/echo');
    is $plain->{status}, 426, "$scheme: a plain GET: 426";
    like $plain->{body}, qr/new WebSocket\("ws/, "$scheme: which shows how to connect";
    ok echoes($http2->connect('/echo'), 'still here'), "$scheme: and the connection is as good as before";
}

# ---- several sessions on one connection, beside requests ----

{
    my $http2 = http2('https');
    my @clients = map { $http2->connect('/echo') } 1 .. 4;
    my $talker = talker($http2);
    for my $round (1 .. 3) {
        ok echoes($clients[$_], "$round of $_"), "session $_ of one connection" for 0 .. $#clients;
        is $http2->get('/index.html')->{body}, "welcome\n", 'a page on the same connection';
        ok !$talker->request(RELAY . '/get')->{payload}{error}, 'and a session with the hub';
    }
    is_deeply [(pop @clients)->close(1000)], [1000, ''], 'one closes';
    ok echoes($_, 'still here'), 'the others do not' for @clients;
}

# ---- flow control: more than a window, both ways ----

{
    my $http2 = http2('https');
    my $client = $http2->connect('/echo');
    my $text = join '', map { chr 32 + int rand 95 } 1 .. LARGE;
    ok echoes($client, $text), 'a message of ' . LARGE . ' bytes, and back';
    $client->send_raw(join '', map { ClownTalk::Client::frame(payload => "message $_") } 1 .. MANY);
    is scalar(grep { $client->read_message->{payload} eq "message $_" } 1 .. MANY), MANY, MANY . ' messages at once';
    is_deeply [$client->close(1000)], [1000, ''], 'and it closes';

    my $narrow = http2('http', settings => {initialWindowSize => 1000})->connect('/echo');
    ok echoes($narrow, substr $text, 0, 50_000), 'through a window of 1000 bytes';
}

# ---- a stream whose window the client does not open ----

my $shown = 0;

# Has the display show something new, and returns when that is answered.
sub show {
    my ($client) = @_;
    my $bytes = pack('N', ++$shown) . join '', map { chr int rand 256 } 1 .. 1020;

    $client->request(DISPLAY . '/set', {raw => encode_base64($bytes, '')});
    $client->forget;
}

sub number_of {
    my ($talk) = @_;

    return $talk->{topic} eq DISPLAY && unpack('N', decode_base64($talk->{payload}{raw} // '')) || 0;
}

# A session on a connection with small windows, whose own stays closed from now on.
sub narrow { return http2('https', settings => {initialWindowSize => 4096}) }

sub stalled {
    my ($http2, $path) = @_;
    my $client = talker($http2, $path);

    $client->pause;
    return $client;
}

# What it has asked for, until more than ClownTalkBacklog waits for it: answers to commands, which come one after the other, while
# lists fill what lies between.
my $asked = join '', map { ClownTalk::Client::frame(payload => $_) }
    join("\n", map { sprintf '["%s/set", {"state": true}, {"id": "%0400d"}]', RELAY, $_ } 1 .. COMMANDS),
    (join "\n", ('["-/-/config/list", {}]') x LISTS) x 2;

{
    my $http2   = narrow();
    my $stalled = stalled($http2);
    my ($beside, $other) = (talker($http2), talker(http2('https')));
    my $begun = time;
    show($_ % 2 ? $beside : $other) for 1 .. VALUES;
    pass sprintf '%d requests are answered beside a stream that is not read, on its connection and on another (%.2f s)',
        VALUES, time - $begun;
    is $http2->get('/index.html')->{status}, 200, 'and a page on its connection';
    $stalled->resume;
    my @got;
    do { push @got, number_of($stalled->read_talk) || () } until @got && $got[-1] == $shown;
    is scalar(grep { $got[$_] <= $got[$_ - 1] } 1 .. $#got), 0, 'when it reads on, it gets the newest value, in order';
    cmp_ok scalar @got, '<', VALUES / 2, 'behind those that fitted into buffers (' . $#got . '): the others were dropped';
    ok !$stalled->request(RELAY . '/get')->{payload}{error}, 'and it is as good as any other';
}
for my $reads_on (1, 0) {
    my $name    = 'too slow for its replies, ' . ($reads_on ? 'one that reads on' : 'one that does not');
    my $http2   = narrow();
    my $stalled = stalled($http2, '/backlog');
    my ($beside, $other) = (talker($http2), talker(http2('https')));
    my $log = $server->log;
    my @lines;
    $stalled->send_raw($asked);
    $server->wait_until('more than ClownTalkBacklog to wait', sub {
        return 1 if @lines = $log->fresh(qr/CT0031/);
        show($_) for $beside, $other;
        return 0;
    });
    like $lines[0], qr/2048 bytes \(ClownTalkBacklog\)/, "$name: the log names the directive";
    if ($reads_on) {
        $stalled->resume;
        is_deeply [$stalled->wait_close], [1008, 'too slow: replies wait'], "$name: Close 1008";
    } else {
        ok $server->wait_log(qr{CT0030.* did not take our Close in time}), "$name: the session ends without it";
        is $http2->get('/index.html')->{status}, 200, "$name: but not the connection";
    }
    show($_) for $beside, $other;
    pass "$name: the others are served";
}

# ---- the end, by the client ----

for my $how (qw(end reset lose)) {
    my $http2 = http2('https');
    my $log = $server->log;
    my ($client, $beside) = map { $http2->connect('/echo') } 1 .. 2;
    ok echoes($client, 'here'), "$how: a session";
    $how eq 'lose' ? $http2->lose : $client->$how;
    ok $log->wait_line(qr/CT0030.* gone without a Close/), "$how: its end is noticed";
    next if $how eq 'lose';
    $client->connection->read_to_end;
    is $client->outcome->{reset}, $how eq 'reset' ? CANCEL : NO_ERROR, "$how: the stream ends";
    ok echoes($beside, 'still here'), "$how: another one of the same connection goes on";
}

# ---- the end, by the server ----

{
    my $http2 = http2('https');
    my $client = $http2->connect('/age');
    is_deeply [$client->wait_close], [1001, 'too old: connect anew'], 'ClownTalkMaxAge: Close 1001';
    is_deeply $client->outcome, $in_order, 'and the stream ends';

    my ($dead, $answers) = map { $http2->connect('/ping', auto_pong => 0) } 1 .. 2;
    my $log = $server->log;
    for my $round (1 .. 2) {
        is $_->read_frame->{bytes}, "\x89\x00", "ping $round" for $dead, $answers;
        $answers->send_frame(opcode => ClownTalk::Client::PONG);
    }
    is $dead->connection->read_to_end, '', 'a client that answers neither ends, without a word';
    like $log->wait_line(qr/CT0035/), qr/answered neither of 2 pings/, 'and the log says so';
    is_deeply $dead->end->outcome, $in_order, 'and the stream ends';
    is $answers->read_frame->{bytes}, "\x89\x00", 'one that answers is pinged on';
}

# ---- the hub ----

{
    my $client = talker(http2('https'));
    my $hub = $server->wait_for_hub;
    kill KILL => $hub;
    is_deeply $client->wait_topic('boot')->{payload}, {'reason-for-reset' => 'crash'}, 'the hub is killed: the session lives, and hears of it';
    my $answer;
    $server->wait_until('an answer from the new hub', sub {
        $answer = $client->request(RELAY . '/get');
        return ($answer->{payload}{error} // '') ne 'unavailable';
    });
    ok !$answer->{payload}{error}, 'and asks the next one' or diag $answer->{text};
}

# ---- restarts and stops: within Timeout and some seconds, since the client above that reads nothing is still there ----

cmp_ok time - $since, '>', TIMEOUT, 'a session that was quiet for longer than Timeout';
ok echoes($quiet, 'still here'), 'is there';

for my $end (['graceful', 1012], ['graceful_stop', 1001]) {
    my ($how, $code) = @$end;
    my @connections = map { http2($_) } qw(https http);
    my @clients = (map({ talker($_) } @connections), map { $_->connect('/echo') } @connections);
    my @old = $server->workers;
    my $begun = time;
    $server->$how;
    is_deeply [$_->wait_close], [$code, 'the server ends'], "$how: Close $code" for @clients;
    is_deeply $_->outcome, $in_order, "$how: and the stream ends" for @clients;
    is $_->over->{code}, NO_ERROR, "$how: GOAWAY, and the connection ends" for @connections;
    $server->wait_until('the old processes to end', sub { !grep { kill 0 => $_ } @old });
    cmp_ok time - $begun, '<', TIMEOUT + WITHIN, "$how: the old process is gone within Timeout and some seconds";
    note sprintf '%s: %.2f s', $how, time - $begun;
    $how eq 'graceful_stop' ? is($server->wait_exit, 0, 'the server ends') : ok(talker(http2('https')), 'the next one serves');
}

# ---- few threads and little memory of mod_http2, and few sessions ----

my $small = ClownTalk::Server->new(
    modules => ['http2'], vhost => $vhost, config => ClownTalk::Process::ONE_CHILD . <<'END')->start;
H2MinWorkers 4
H2MaxWorkers 4
# The least that it may be
H2StreamMaxMemSize 1024
ClownTalkMaxConnections 3
<Location "/echo">
    SetHandler        clowntalk
    ClownTalkHandler  echo
</Location>
<Location "/echo/ping">
    ClownTalkPing     1
</Location>
END

# The next sessions, as many as asked for, as soon as there is a place for each.
sub places {
    my ($http2, $count, $path) = @_;
    my @clients;

    $small->wait_until("$count places", sub {
        my $client = $http2->websocket($path // '/echo');
        push @clients, $client if $client->status == 200;
        return @clients == $count;
    });
    return @clients;
}

for my $how (qw(close reset end lose stall), 'stall and reset', 'stall and lose') {
    my ($others, $http2) = map { ClownTalk::HTTP2->new($small->url('https', '')) } 1 .. 2;
    my @others = places($others, 2);
    my $log = $small->log;
    my ($client) = places($how =~ /lose/ ? $http2 : $others, 1, $how eq 'stall' ? '/echo/ping' : undef);
    for my $from ($others, $http2) {
        my $refused = $from->websocket('/echo');
        is $refused->status, 503, "$how: more than ClownTalkMaxConnections: 503";
        like $refused->header('Retry-After'), qr/^[1-9]\d*$/, "$how: with Retry-After";
        like $log->wait_line(qr/CT0010/), qr/ClownTalkMaxConnections/, "$how: and a line in the log";
    }
    ok echoes($client, 'here'), "$how: a session";
    if ($how =~ /stall/) {
        $client->pause;
        my $bytes = ClownTalk::Client::frame(payload => 'x' x 10_000) x 100;
        substr $bytes, 0, $client->connection->write_some($bytes), '' while length $bytes && $client->connection->writable(0.3);
        ok length $bytes, "$how: a client that does not read is no longer read from";
    }
    if ($how eq 'stall') {
        ok $log->wait_line(qr/CT0035/), "$how: one that does not answer either is taken for dead";
    } elsif ($how =~ /lose/) {
        $http2->lose;
    } elsif ($how =~ /(\w+)$/) {
        $client->$1(1000);
    }
    # While nothing happens on the connection
    my ($new) = places(ClownTalk::HTTP2->new($small->url('http', '')), 1);
    ok echoes($new, 'here'), "$how: it has gone, and there is a place for another";
    ok echoes($_, 'still here'), "$how: the others are not disturbed" for @others;
    $_->lose for $others, $http2;
    $new->close(1000);
}
{
    my $http2 = ClownTalk::HTTP2->new($small->url('https', ''));
    my @clients = places($http2, 3);
    pass 'all places are free again, and all threads';
    my $text = join '', map { chr 32 + int rand 95 } 1 .. 16_000;
    ok echoes($_, $text), 'a message that is larger than what mod_http2 may hold' for @clients;
    is $http2->get('/index.html')->{status}, 200, 'but for those three';
    my $begun = time;
    $small->stop;
    cmp_ok time - $begun, '<', WITHIN, 'a server that is stopped with open sessions ends at once';
    $http2->over;
    pass 'and the connection with it';
}

# ---- H2WebSockets Off, which is the default ----

$small->configure(vhost => "Protocols h2 h2c http/1.1\n")->start;
for my $scheme (qw(https http)) {
    my $http2 = ClownTalk::HTTP2->new($small->url($scheme, ''));
    is $http2->setting('enableConnectProtocol'), $false, "$scheme, H2WebSockets Off: nothing is announced";
    my $client = $http2->websocket('/echo');
    is $client->status // "reset $client->{reset}", 'reset ' . PROTOCOL_ERROR, "$scheme, H2WebSockets Off: an extended CONNECT is an error";
    is $http2->get('/echo')->{status}, 426, "$scheme, H2WebSockets Off: a plain GET: 426";
    my $other = ClownTalk::Client->connect($small->url($scheme eq 'https' ? 'wss' : 'ws', '/echo'));
    ok echoes($other, 'here'), "$scheme, H2WebSockets Off: by HTTP/1.1 there are sessions";
}
is $small->stop, 0, 'the server ends';

done_testing;
