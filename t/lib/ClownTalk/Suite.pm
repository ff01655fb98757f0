# The suite's common server, the one that t/TEST has started, as tests see it: its URLs, and what its
# error log says from some moment on. t/conf/extra.conf.in is its configuration.
package ClownTalk::Suite;

use strict;
use warnings;

use Apache::Test ();

use ClownTalk::Httpd;
use ClownTalk::Log;

# The node, as every client knows it.
use constant NODE => 'clown-talk-server_nodes_bridge_0';

# Apache::Test writes to $_ when it reads its configuration.
sub vars { local $_; return Apache::Test::vars() }

# url('wss', '/path'), url('wss', '/path', 'clown:bigclown')
sub url {
    my ($class, $scheme, $path, $user) = @_;

    my $port = $scheme =~ /^(?:https|wss)$/ ? vars()->{tls_port} : vars()->{port};
    return "$scheme://" . (defined $user ? "$user\@" : '') . "localhost:$port$path";
}

sub mpm { return $ENV{CLOWNTALK_MPM} }

# The error log from here on.
sub log { return ClownTalk::Log->new(vars()->{t_logs} . '/error_log') }

1;
