# RFC 6455 section 10.2: which web pages may connect (ClownTalkOrigin). Compared are scheme, host and
# port, each whole: a page of https://a.example.evil is none of https://a.example.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Server;

my $server = ClownTalk::Server->new(config => <<'END')->start;
SetHandler clowntalk
ClownTalkHandler echo

<Location "/listed">
    ClownTalkOrigin https://a.example http://b.example:8080 https://[2001:db8::1]
</Location>
<Location "/listed/inherits">
    ClownTalkMaxMessage 1000
</Location>
<Location "/listed/narrow">
    ClownTalkOrigin https://c.example
</Location>
<Location "/listed/same">
    ClownTalkOrigin same
</Location>
<Location "/and-same">
    ClownTalkOrigin SAME https://a.example
</Location>
<Location "/any">
    ClownTalkOrigin *
</Location>
<Location "/any/same">
    ClownTalkOrigin same
</Location>
END
my ($port, $tls_port) = map { $server->url($_, '') =~ /:(\d+)$/ } qw(ws wss);
my $log = $server->log;

sub origin_is {
    my ($allowed, $scheme, $path, $origin, $host) = @_;

    my $name = "$path"
        . ($host ? " of " . ($scheme eq 'wss' ? 'https' : 'http') . "://$host" : " ($scheme)")
        . ', ' . (defined $origin ? ref $origin ? "Origins @$origin" : "Origin $origin" : 'no Origin');
    my $client = ClownTalk::Client->new($server->url($scheme, $path),
        headers => {Origin => $origin, $host ? (Host => $host) : ()});
    my @lines = $log->fresh(qr/CT001[01]:/);
    if ($allowed) {
        is $client->status, 101, "$name: allowed";
    } else {
        is $client->status, 403, "$name: refused";
        is scalar(grep { /Origin ".*" is not allowed \(ClownTalkOrigin\)/ } @lines), 1,
            "$name: and the log says so" or diag @lines;
    }
}
sub allowed { origin_is(1, @_) }
sub refused { origin_is(0, @_) }

# ---- the default: pages of this server itself ----

for my $pair (['ws', "http://localhost:$port"], ['wss', "https://localhost:$tls_port"]) {
    my ($scheme, $own) = @$pair;
    allowed $scheme, '/', $own;
    allowed $scheme, '/', $own =~ s/localhost/LocalHost/r;
    allowed $scheme, '/', undef;
    refused $scheme, '/', $_ for
        "$own/", "$own.evil", "$own\@evil.example", "http://evil.example", 'null', '', 'localhost',
        $own =~ s/:\d+$//r, $own =~ s/\d+$/1/r, $own =~ s/localhost/127.0.0.1/r,
        $own =~ s/^(http)(s?)/$1 . ($2 ? '' : 's')/er, "http://a.$own", "$own $own";
    refused $scheme, '/', [$own, $own];
}
refused 'ws',  '/', "http://localhost:$tls_port";
refused 'wss', '/', "https://localhost:$port";

# Libraries that write the scheme of the WebSocket's URL there; no page has such an origin.
allowed 'ws',  '/', "ws://localhost:$port";
allowed 'wss', '/', "wss://localhost:$tls_port";
allowed 'wss', '/', 'wss://hub.example', 'hub.example:443';
refused 'ws',  '/', $_ for "wss://localhost:$port", 'ws://evil.example', "ws://localhost:$tls_port";
refused 'wss', '/', $_ for "ws://localhost:$tls_port", 'wss://evil.example', "wss://localhost:$port";

# Default ports stand for themselves on both sides.
allowed 'ws',  '/', $_, 'hub.example'     for 'http://hub.example', 'http://hub.example:80';
allowed 'ws',  '/', $_, 'hub.example:80'  for 'http://hub.example', 'http://hub.example:80';
allowed 'wss', '/', $_, 'hub.example'     for 'https://hub.example', 'https://hub.example:443';
allowed 'wss', '/', $_, 'hub.example:443' for 'https://hub.example';
refused 'ws',  '/', $_, 'hub.example'     for 'http://hub.example:443', 'https://hub.example',
    'http://hub.example:8080', 'http://hub.example.evil', 'http://hub.example.', 'http://evilhub.example';
refused 'wss', '/', $_, 'hub.example'     for 'http://hub.example', 'https://hub.example:80';
allowed 'ws',  '/', 'http://[::1]', '[0:0:0:0:0:0:0:1]';
refused 'ws',  '/', 'http://[::2]', '[::1]';

# ---- a list ----

for my $scheme (qw(ws wss)) {
    allowed $scheme, '/listed', $_ for undef, 'https://a.example', 'HTTPS://A.EXAMPLE', 'https://a.example:443',
        'http://b.example:8080', 'https://[2001:DB8:0::1]', 'wss://a.example', 'ws://b.example:8080';
    refused $scheme, '/listed', $_ for 'https://a.example.evil', 'https://a.example:8443', 'http://a.example',
        'https://a.examplf', 'https://xa.example', 'https://b.example:8080', 'http://b.example',
        'https://a.example@evil', 'https://a.example/', 'ws://a.example', 'wss://a.example.evil', 'null', '*',
        ($scheme eq 'ws' ? "http://localhost:$port" : "https://localhost:$tls_port");
}
allowed 'wss', '/and-same', $_ for "https://localhost:$tls_port", 'https://a.example';
refused 'wss', '/and-same', 'https://a.example.evil';

# ---- every page ----

allowed 'wss', '/any', $_ for undef, 'https://a.example.evil', 'null', "https://localhost:$tls_port";

# ---- inner sections ----

allowed 'wss', '/listed/inherits', 'https://a.example';
refused 'wss', '/listed/inherits', 'https://c.example';
allowed 'wss', '/listed/narrow',   'https://c.example';
refused 'wss', '/listed/narrow',   'https://a.example';
allowed 'wss', '/listed/same',     "https://localhost:$tls_port";
refused 'wss', '/listed/same',     'https://a.example';
allowed 'wss', '/any/same',        "https://localhost:$tls_port";
refused 'wss', '/any/same',        'https://a.example';

done_testing;
