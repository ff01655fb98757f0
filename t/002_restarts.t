# The server with the module restarts, gracefully and not, and ends without leaving a process behind.
use strict;
use warnings;

use Test::More tests => 12;

use LWP::UserAgent;

use ClownTalk::Httpd;
use ClownTalk::Server;

my $server = ClownTalk::Server->new(config => <<'END');
ClownTalkBus 0 sim
<Location "/basic">
    AuthType          Basic
    AuthName          "@realm@"
    AuthBasicProvider file
    AuthUserFile      "@t_conf@/htpasswd"
    Require           valid-user
</Location>
Alias "/basic" "@documentroot@"
END

my ($right, $output) = $server->configtest;
ok $right, 'configtest finds the configuration right' or diag $output;
($right, $output) = ClownTalk::Server->new(config => 'ClownTalkNoSuchDirective x')->configtest;
ok !$right, 'configtest finds a wrong one';
like $output, qr/Invalid command 'ClownTalkNoSuchDirective'/, 'and says why';

my ($certificate) = ClownTalk::Httpd::certificate();
my $agent = LWP::UserAgent->new(timeout => 20, ssl_opts => {SSL_ca_file => $certificate});
sub page { return $agent->get($server->url('https', '/basic/index.html', $_[0]))->code }

$server->start;
is page(), 401, 'without a password 401';
is page(ClownTalk::Httpd::USER . ':' . ClownTalk::Httpd::PASSWORD), 200, 'with one 200';

for my $signal (qw(graceful restart)) {
    my %before = map { $_ => 1 } $server->children;
    ok keys %before, "there are children before: $signal";
    $server->$signal;
    $server->wait_until('new children in place of all the old ones', sub {
        my @now = $server->children;
        return @now && !grep { $before{$_} } @now;
    });
    is page('reader:readonly'), 200, "$signal: the new ones serve";
}

is $server->graceful_stop->wait_exit, 0, 'graceful-stop: status 0 and no process left';
$server->start;
is page('reader:readonly'), 200, 'started again';
is $server->stop, 0, 'stop: status 0 and no process left';
