# A WebSocket that a request reaches by an internal redirect: the session is the same, and no HTTP response
# follows it.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Server;

my $server = ClownTalk::Server->new(config => <<'END')->start;
<Directory "@documentroot@">
    RewriteEngine On
    RewriteRule   "^rewritten$" "/echo" [L]
</Directory>
<Location "/echo">
    SetHandler       clowntalk
    ClownTalkHandler echo
</Location>
END

for my $scheme (qw(ws wss)) {
    for my $path (qw(/rewritten /echo)) {
        my $client = ClownTalk::Client->connect($server->url($scheme, $path));
        $client->send_text('here');
        is $client->read_message->{payload}, 'here', "$scheme: $path leads to a session";
        is_deeply [$client->close(1000)], [1000, ''], 'which closes, with nothing behind the Close';
    }
    is(ClownTalk::Client->new($server->url($scheme, '/rewritten'), headers => {Upgrade => undef})->status, 426,
        "$scheme: a plain request that is redirected: 426");
}
is $server->graceful_stop->wait_exit, 0, 'and the server ends';

done_testing;
