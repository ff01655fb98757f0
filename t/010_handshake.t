# RFC 6455 section 4: the opening handshake. What is accepted, what is refused and how, and that each
# refusal leaves one line in the log that says why.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Suite;

my $node = '/auth/' . ClownTalk::Suite::NODE;
my $user = 'clown:bigclown';
my $log  = ClownTalk::Suite->log;

sub url  { return ClownTalk::Suite->url('ws', $_[0] // $node, $user) }
sub open_with { return ClownTalk::Client->new(url(), @_) }

sub accepted {
    my ($name, %arg) = @_;

    my $client = open_with(%arg);
    is $client->status, 101, "$name: 101" or diag $client->body;
    return $client;
}

# A refusal: its status, and its one line in the log.
sub refused {
    my ($status, $reason, $name, %arg) = @_;

    my $client = ClownTalk::Client->new(url(delete $arg{path}), %arg);
    my @lines = $log->fresh(qr/CT001[01]:/);
    is $client->status, $status, "$name: $status";
    is scalar @lines, 1, "$name: one line in the log" or diag @lines;
    like $lines[0] // '', $reason, "$name: which says why";
    return $client;
}

# ---- section 1.3 and 4.2.2: the answer ----

{
    my $client = ClownTalk::Client->new(ClownTalk::Suite->url('ws', '/echo'), request => join "\r\n",
        'GET /echo HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', '', '');
    is $client->status, 101, "the RFC's own example: 101";
    is $client->header('Sec-WebSocket-Accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'its Sec-WebSocket-Accept';
    is $client->header('Upgrade'), 'websocket', 'Upgrade';
    is $client->header('Connection'), 'Upgrade', 'Connection';
    is $client->header($_), undef, "no $_"
        for qw(Sec-WebSocket-Protocol Sec-WebSocket-Extensions Content-Length Transfer-Encoding
               Content-Type);
    $client->send_text('x');
    is $client->read_message->{payload}, 'x', 'and it is a WebSocket';
}

# ---- section 4.2.1: Upgrade and Connection are lists of tokens, in any case ----

accepted "Connection: $_", headers => {Connection => $_}
    for 'Upgrade', 'upgrade', 'UPGRADE', 'keep-alive, Upgrade', 'Upgrade,keep-alive',
        "keep-alive ,\t upgrade", ', , Upgrade';
accepted 'two Connection headers', headers => {Connection => ['keep-alive', 'Upgrade']};
accepted "Upgrade: $_", headers => {Upgrade => $_}
    for 'websocket', 'WebSocket', 'WEBSOCKET', 'h2c, websocket';

refused 400, qr/Connection header does not name Upgrade/, "Connection: $_", headers => {Connection => $_}
    for 'keep-alive', 'Upgraded', 'keep-alive Upgrade', '"Upgrade"', 'close';
refused 400, qr/Connection header does not name Upgrade/, 'no Connection', headers => {Connection => undef};
refused 426, qr/plain request/, "Upgrade: $_", headers => {Upgrade => $_}
    for 'websockets', 'web socket', 'h2c';

# ---- section 4.2.1: the key is base64 of 16 bytes ----

accepted 'a key with + and /', key => '+/+/+/+/+/+/+/+/+/+/+w==';
for my $key (
    [undef,                              'none'],
    ['',                                 'empty'],
    ['dGhlIHNhbXBsZSBub25j',             'of 15 bytes'],
    ['dGhlIHNhbXBsZSBub25jZSE=',         'of 17 bytes'],
    ['dGhlIHNhbXBsZSBub25jZQ',           'without its padding'],
    ['dGhlIHNhbXBsZSBub25jZ===',         'with padding in place of a digit'],
    ['dGhl!HNhbXBsZSBub25jZQ==',         'with a character that base64 does not have'],
    ['dGhlIHNhbXBs ZSBub25jZQ==',        'with a space within'],
    ['dGhlIHNhbXBsZSBub25jZQ==dGhlIHNh', 'with more behind it'],
) {
    refused 400, qr/Sec-WebSocket-Key must be base64 of 16 bytes/, "a key $key->[1]",
        headers => {'Sec-WebSocket-Key' => $key->[0]};
}
refused 400, qr/Sec-WebSocket-Key/, 'two keys',
    headers => {'Sec-WebSocket-Key' => [('dGhlIHNhbXBsZSBub25jZQ==') x 2]};

# ---- section 4.4: version 13, and 426 that names it for any other ----

for my $version (undef, '', '0', '8', '12', '14', '013', '13, 8', '13.0', 'x') {
    my $name = 'version ' . (defined $version ? "'$version'" : 'none');
    my $client = refused 426, qr/Sec-WebSocket-Version must be 13/, $name,
        headers => {'Sec-WebSocket-Version' => $version};
    is $client->header('Sec-WebSocket-Version'), '13', "$name: the answer names 13";
    is $client->header('Upgrade'), 'websocket', "$name: and Upgrade, as RFC 9110 section 15.5.22 asks";
}

# ---- section 4.1: GET and HTTP/1.1 ----

for my $method (qw(POST PUT DELETE OPTIONS PATCH)) {
    my $client = refused 405, qr/opened by GET/, $method, method => $method, headers => {'Content-Length' => 0};
    like $client->header('Allow'), qr/\bGET\b/, "$method: Allow names GET";
}
refused 426, qr/takes a GET, not a HEAD/, 'HEAD', method => 'HEAD';
refused 426, qr{HTTP/1\.1}, 'HTTP/1.0', http => '1.0';

# ---- a plain GET is answered for the person who made it ----

for my $scheme (qw(ws wss)) {
    my $client = ClownTalk::Client->new(ClownTalk::Suite->url($scheme, "$node?x=1", $user),
        headers => {map { $_ => undef } qw(Upgrade Connection Sec-WebSocket-Key Sec-WebSocket-Version)});
    my $port = ClownTalk::Suite->vars->{$scheme eq 'wss' ? 'tls_port' : 'port'};
    is $client->status, 426, "$scheme: a plain GET: 426";
    is $client->header('Upgrade'), 'websocket', "$scheme: Upgrade";
    like $client->header('Connection'), qr/\bUpgrade\b/, "$scheme: Connection";
    is $client->header('Sec-WebSocket-Version'), '13', "$scheme: Sec-WebSocket-Version";
    like $client->header('Content-Type'), qr{^text/plain; *charset=utf-8}i, "$scheme: text";
    is $client->header('X-Content-Type-Options'), 'nosniff', "$scheme: and nothing but text";
    like $client->body, qr{new WebSocket\("$scheme://localhost:$port\Q$node\E\?x=1"\)},
        "$scheme: which shows how to connect";
}
$log->fresh;

# ---- section 4.2.2: the subprotocol is chosen only where it was offered ----

for my $offer (
    ['clown.talk',             'clown.talk', 'offered alone'],
    ['chat, clown.talk',       'clown.talk', 'offered with another'],
    [['chat', 'clown.talk'],   'clown.talk', 'offered in a second header'],
    ['chat',                   undef,        'not offered'],
    ['Clown.Talk',             undef,        'in another case'],
    ['clown.talk.v2',          undef,        'as a part of another'],
) {
    my ($header, $chosen, $name) = @$offer;
    my $client = ClownTalk::Client->new(url(), headers => {'Sec-WebSocket-Protocol' => $header});
    is $client->status, 101, "subprotocol $name: 101";
    is $client->header('Sec-WebSocket-Protocol'), $chosen, "subprotocol $name: " . ($chosen // 'none');
}

# ---- section 9.1: an extension that is not known is left out ----

is accepted('an unknown extension', extensions => 'x-unknown; a=1, y')->header('Sec-WebSocket-Extensions'),
    undef, 'an unknown extension is not accepted';

# ---- a handshake has no body ----

accepted 'Content-Length: 0', headers => {'Content-Length' => 0};
refused 400, qr/must not have a body/, 'Content-Length: 5', headers => {'Content-Length' => 5},
    more => 'hello';
refused 400, qr/must not have a body/, 'Transfer-Encoding', headers => {'Transfer-Encoding' => 'chunked'},
    more => "0\r\n\r\n";

# ---- a node that does not exist is not found, with and without a user, however the request is made ----

for my $path (
    '/auth/clown-talk-server_nodes_bridge_1', '/auth/clown-talk-server_nodes_bridge',
    '/auth/clown-talk-server_', '/auth/nodes_bridge_0', '/auth/', '/auth',
    "$node/", "$node/more", '/auth/clown-talk-server_NODES_bridge_0', "${node}0", "$node%0a",
) {
    refused 404, qr/there is no node|does not end in/, $path, path => $path;
}
refused 404, qr/there is no node/, 'a plain GET of an unknown node',
    path => '/auth/clown-talk-server_x', headers => {Upgrade => undef, Connection => undef};
accepted 'an escaped letter in the path', path => '/auth/clown%2Dtalk-server_nodes_bridge_0';

# ---- a refusal leaves the connection as it was ----

{
    my $keep = {Connection => 'keep-alive, Upgrade'};
    my $client = ClownTalk::Client->new(url('/auth/clown-talk-server_x'), headers => $keep);
    is $client->status, 404, 'on one connection: 404';
    $client->body;
    for my $step (
        [401, {Authorization           => undef}],
        [426, {'Sec-WebSocket-Version' => 8}],
        [403, {Origin                  => 'https://a.example'}],
        [101, {}],
    ) {
        my ($status, $change) = @$step;
        $client->again(url(), headers => {%$keep, %$change});
        is $client->status, $status, "then $status";
        $client->body unless $status == 101;
    }
    is scalar($client->barrier), 0, 'which is a WebSocket';
    is scalar($log->fresh(qr/CT001[01]:/)), 3, 'the module refused three times, with three lines in the log';
}

done_testing;
