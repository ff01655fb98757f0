# conf/clowntalk.conf as it is installed, but for its paths and its bus: the page by Alias and the node,
# behind one authentication, over TLS only.
use strict;
use warnings;

use FindBin qw($RealBin);
use Test::More;

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Server;

my $sample = ClownTalk::Httpd::read_file("$RealBin/../conf/clowntalk.conf.in");
$sample =~ s{\@dashboarddir\@}{\@documentroot\@/page}g;
$sample =~ s{\@sysconfdir\@/clowntalk\.passwd}{\@t_conf\@/htpasswd}g;
is $sample =~ s{^\s*ClownTalkBus 0 \K/dev/i2c-1$}{sim}m, 1, 'the sample opens the bus of a Raspberry Pi';

my $server = ClownTalk::Server->new(config => $sample);
mkdir $server->dir . '/htdocs/page' or die $!;
ClownTalk::Httpd::write_file($server->dir . '/htdocs/page/index.html', "the page\n");
$server->start;

my $user = ClownTalk::Httpd::USER . ':' . ClownTalk::Httpd::PASSWORD;
my $node = '/auth/clown-talk-server_nodes_bridge_0';

sub answer {
    my ($scheme, $path, $who) = @_;
    return ClownTalk::Client->new($server->url($scheme, $path, $who), headers => {Upgrade => undef});
}

# ---- the page ----

for my $path ('/clowntalk/', '/clowntalk/index.html', $node) {
    is answer('wss', $path)->status, 401, "$path asks for a password";
    is answer('wss', $path)->header('WWW-Authenticate'), 'Basic realm="Clown.Hub"', 'in the realm of all';
    is answer('wss', $path, 'clown:wrong')->status, 401, 'and takes no other';
    is answer('ws', $path, $user)->status, 403, 'without TLS there is nothing';
}
my $page = answer('wss', '/clowntalk/', $user);
is $page->status, 200, 'with the password the page comes';
is $page->body, "the page\n", 'by Alias';
my $policy = $page->header('Content-Security-Policy');
like $policy, qr/\bdefault-src 'self'/, 'its policy: nothing from elsewhere';
like $policy, qr/\bframe-ancestors 'none'/, 'no frame around it';
unlike $policy, qr/unsafe|\*|https?:/, 'no exceptions';
is $page->header('X-Content-Type-Options'), 'nosniff', 'types are what they are said to be';
is $page->header('Referrer-Policy'), 'no-referrer', 'no other server learns its address';
is $page->header('Cache-Control'), 'no-cache', 'and browsers ask whether it has changed';

# ---- the node ----

is answer('wss', $node, $user)->status, 426, 'the node: a WebSocket lives there';
my $client = ClownTalk::Client->connect($server->url('wss', $node, $user));
is $client->open_talk->{device}, 'bridge', 'which opens with the same name and password';
is $client->request('relay/i2c0-3b/set', {state => JSON::PP::true})->{topic}, 'relay/i2c0-3b', 'and switches';

done_testing;
