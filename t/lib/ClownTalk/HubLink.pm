# A link to a server's hub, as a child process has one (src/link/envelope.h): what is asked there no child takes part in.
package ClownTalk::HubLink;

use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use IO::Socket::UNIX;

use constant NODE    => 'nodes/bridge/0';
use constant TIMEOUT => 15;                 # seconds

sub new {
    my ($class, $server) = @_;
    my $socket = $server->dir . '/logs/clowntalk-hub.sock';

    $server->wait_for_hub;
    my $link = IO::Socket::UNIX->new(Peer => $socket) or croak "$socket: $!";
    return bless {link => $link, requests => 0, in => ''}, $class;
}

# Makes a request, a line of Clown.Talk. Returns when it is answered, and what it has published is written to every
# child's link: the hub answers a second request behind that.
sub ask {
    my ($self, $message) = @_;

    $self->ask_once($_) for $message, '["-/-/config/list", {}]';
}

sub ask_once {
    my ($self, $message) = @_;
    my $number = ++$self->{requests};

    syswrite $self->{link}, "$number c ${\NODE} $message\n" or croak "the link to the hub: $!";
    until ($self->{in} =~ s/\A(?:.*\n)*?\. $number .*\n//) {
        IO::Select->new($self->{link})->can_read(TIMEOUT) or croak "the hub does not answer $message";
        sysread $self->{link}, $self->{in}, 65536, length $self->{in} or croak 'the hub has closed the link';
    }
}

1;
