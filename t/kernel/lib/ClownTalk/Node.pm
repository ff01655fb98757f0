# A server with nodes/bridge/0 behind TLS and a password, as the manual's first example has it.
package ClownTalk::Node;

use strict;
use warnings;

use parent 'ClownTalk::Server';

use ClownTalk::Httpd;

# new(CONFIGURATION): more lines, ClownTalkBus among them.
sub new {
    my ($class, $config) = @_;

    return $class->SUPER::new(config => <<"END");
ClownTalkStateDir "\@t_state\@"
$config
<Location "/auth">
    SetHandler clowntalk
    AuthType Basic
    AuthName "\@realm\@"
    AuthBasicProvider file
    AuthUserFile "\@t_conf\@/htpasswd"
    Require valid-user
</Location>
END
}

sub node_url {
    my ($self) = @_;

    return $self->url('wss', '/auth/clown-talk-server_nodes_bridge_0',
        ClownTalk::Httpd::USER . ':' . ClownTalk::Httpd::PASSWORD);
}

# The hub's process.
sub hub {
    my ($self) = @_;

    for my $pid ($self->processes) {
        my $comm = eval { ClownTalk::Httpd::read_file("/proc/$pid/comm") };
        return $pid if defined $comm && $comm eq "clowntalk-hub\n";
    }
    return;
}

1;
