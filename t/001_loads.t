# The server starts with the module and serves pages, over TLS and with authentication.
use strict;
use warnings;

use Test::More tests => 8;

use Apache::Test ();
use Apache::TestRequest qw(GET);
use LWP::UserAgent;

use ClownTalk::Httpd;

my $vars = Apache::Test::vars();
my $tls  = "https://localhost:$vars->{tls_port}";
my ($certificate) = ClownTalk::Httpd::certificate();
my $agent = LWP::UserAgent->new(
    timeout  => 20,
    ssl_opts => {SSL_ca_file => $certificate, verify_hostname => 1},
);

is GET('/index.html')->code, 200, 'a page over HTTP';
is $agent->get("$tls/index.html")->code, 200, 'a page over TLS, its certificate verified';

is $agent->get("$tls/basic/index.html")->code, 401, 'without a password 401';
for my $scheme (qw(Basic Digest)) {
    my $with = $agent->clone;
    $with->credentials("localhost:$vars->{tls_port}", ClownTalk::Httpd::REALM,
        ClownTalk::Httpd::USER, ClownTalk::Httpd::PASSWORD);
    is $with->get("$tls/\L$scheme\E/index.html")->code, 200, "with $scheme authentication 200";
}

my $status = GET('/server-status')->content;
like $status, qr/Server MPM: \Q$ENV{CLOWNTALK_MPM}\E/i, "the MPM is $ENV{CLOWNTALK_MPM}";

my $log = ClownTalk::Httpd::read_file("$vars->{t_logs}/error_log");
like $log, qr/resuming normal operations/, 'the error log says that it runs';
is scalar(grep { /\[(?:emerg|alert|crit|error)\]/ } split /\n/, $log =~ s/.*AH01617.*\n//gr), 0,
    'and of no error';
