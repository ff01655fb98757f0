# A WebSocket is opened behind Apache's own authentication and authorization: 401 or 403 comes before
# any 101, whatever the scheme, the provider and the rule.
use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Test::More;

use ClownTalk::Client;
use ClownTalk::Server;
use ClownTalk::Suite;

my $node = ClownTalk::Suite::NODE;

# ---- the address that the documentation gives, as it gives it ----

{
    my $port = ClownTalk::Suite->vars->{tls_port};
    my $client = ClownTalk::Client->connect(
        "wss://clown:bigclown\@localhost:$port/auth/clown-talk-server_nodes_bridge_0");
    is $client->open_talk->{ack}, JSON::PP::false, "wss://clown:bigclown\@localhost:$port/auth/$node opens";
    is_deeply [$client->close(1000)], [1000, ''], 'and closes';
}

# ---- Basic, RFC 7617 ----

sub is_status {
    my ($status, $path, $name, %arg) = @_;

    my $client = ClownTalk::Client->new(ClownTalk::Suite->url('wss', $path, delete $arg{user}), %arg);
    is $client->status, $status, "$name: $status";
    return $client;
}

for my $scheme (qw(ws wss)) {
    for my $try (
        [undef,             'without a password'],
        ['clown:wrong',     'with a wrong password'],
        ['nobody:bigclown', 'with a wrong name'],
        ['clown:',          'with an empty password'],
        [':',               'with an empty name'],
    ) {
        my ($user, $name) = @$try;
        my $client = ClownTalk::Client->new(ClownTalk::Suite->url($scheme, "/auth/$node", $user),
            more => ClownTalk::Client::frame(payload => '["clown.talk/-/config/set", {}]') . "\r\n\r\n");
        is $client->status, 401, "$scheme, Basic, $name: 401";
        is $client->header('WWW-Authenticate'), 'Basic realm="Clown.Hub"', "$scheme, $name: and how to do it";
        unlike $client->body . $client->connection->read_to_end, qr/^HTTP\S+ 101|clown\.talk/m,
            "$scheme, $name: nothing of a WebSocket follows";
    }
}
is_status(401, "/auth/$node", 'with an Authorization that is none',
    headers => {Authorization => 'Basic !!!'});
is_status(401, "/auth/$node", 'with another scheme', headers => {Authorization => 'Bearer bigclown'});
is_status(101, "/auth/$node", 'with a right password', user => 'reader:readonly');
is_status(401, '/auth/clown-talk-server_x', 'an unknown node, for a client that has not authenticated');

# ---- Digest, RFC 7616 ----

# The Authorization header that answers a challenge.
sub digest {
    my ($challenge, $path, $user, $password) = @_;

    my %of = $challenge =~ /(\w+)="?([^",]*)"?/g;
    my ($count, $cnonce) = ('00000001', 'c0ffee');
    my $response = md5_hex(join ':', md5_hex("$user:$of{realm}:$password"), $of{nonce}, $count, $cnonce,
        'auth', md5_hex("GET:$path"));
    return qq(Digest username="$user", realm="$of{realm}", nonce="$of{nonce}", uri="$path", )
        . qq(qop=auth, nc=$count, cnonce="$cnonce", response="$response", algorithm=MD5);
}

{
    my $path = "/auth-digest/$node";
    my $challenge = is_status(401, $path, 'Digest, without a password')->header('WWW-Authenticate');
    like $challenge, qr/^Digest realm="Clown\.Hub"/, 'Digest: the challenge';
    my $with = sub { return {Authorization => digest($challenge, $path, @_)} };
    is_status(401, $path, 'Digest, with a wrong password', headers => $with->('clown', 'wrong'));
    is_status(401, $path, 'Digest, with Basic', user => 'clown:bigclown');
    my $client = is_status(101, $path, 'Digest, with the right one', headers => $with->('clown', 'bigclown'));
    is $client->open_talk->{ack}, JSON::PP::false, 'Digest: which opens';
}

# ---- other providers, and authorization ----

my $server = ClownTalk::Server->new(modules => ['authn_anon'], config => <<'END')->start;
<AuthnProviderAlias file house>
    AuthUserFile "@t_conf@/htpasswd"
</AuthnProviderAlias>
<AuthzProviderAlias user tenant reader>
</AuthzProviderAlias>

ClownTalkBus      0 sim
ClownTalkStateDir "@t_state@/clowntalk"
<Location "/">
    SetHandler        clowntalk
    AuthType          Basic
    AuthName          "@realm@"
    AuthBasicProvider house
</Location>

<Location "/alias">
    Require valid-user
</Location>
<Location "/anon">
    AuthBasicProvider anon
    Anonymous guest
    Require valid-user
</Location>
<Location "/both">
    AuthBasicProvider house anon
    Anonymous guest
    Require valid-user
</Location>
<Location "/user">
    Require user clown
</Location>
<Location "/not">
    <RequireAll>
        Require valid-user
        Require not user reader
    </RequireAll>
</Location>
<Location "/any">
    <RequireAny>
        Require user nobody
        Require expr "%{QUERY_STRING} == 'let-me-in'"
        Require tenant
    </RequireAny>
</Location>
<Location "/denied">
    Require all denied
</Location>
<Location "/local">
    Require local
</Location>
<Location "/remote">
    <RequireAll>
        Require all granted
        Require not ip 127.0.0.0/8
    </RequireAll>
</Location>
END

my %password = (clown => 'bigclown', reader => 'readonly', guest => 'anything');
for my $case (
    # path           who        query         status
    ['/alias',  undef,    '',          401],
    ['/alias',  'clown',  '',          101],
    ['/anon',   'clown',  '',          401],
    ['/anon',   'guest',  '',          101],
    ['/both',   'clown',  '',          101],
    ['/both',   'guest',  '',          101],
    ['/user',   undef,    '',          401],
    ['/user',   'clown',  '',          101],
    ['/user',   'reader', '',          401],    # another user might be allowed
    ['/not',    'clown',  '',          101],
    ['/not',    'reader', '',          401],
    ['/any',    undef,    '',          401],
    ['/any',    undef,    'let-me-in', 101],
    ['/any',    'reader', '',          101],
    ['/any',    'clown',  '',          401],
    ['/denied', 'clown',  '',          403],
    ['/denied', undef,    '',          403],
    ['/local',  undef,    '',          101],
    ['/remote', 'clown',  '',          403],
) {
    my ($path, $user, $query, $status) = @$case;
    my $url = $server->url('wss', "$path/$node" . ($query && "?$query"),
        defined $user ? "$user:$password{$user}" : undef);
    is(ClownTalk::Client->new($url)->status, $status,
        "$path" . ($query && "?$query") . ', ' . ($user // 'nobody') . ": $status");
}
is $server->stop, 0, 'the server ends';

done_testing;
