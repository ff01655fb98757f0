# An HTTP/2 connection for tests, and WebSockets on its streams (RFC 8441). Node.js speaks HTTP/2 (t/lib/http2.mjs); what
# goes through a stream is a ClownTalk::Client like any other, so that tests see every bit of every frame.
#
#   my $http2 = ClownTalk::HTTP2->new($server->url('https', ''));
#   my $client = $http2->connect('/auth/...', headers => {...});
#   my $page = $http2->get('/');    # {status, headers, body}
package ClownTalk::HTTP2;

use strict;
use warnings;

use Carp qw(croak);
use File::Path qw(remove_tree);
use IO::Socket::UNIX;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

use ClownTalk::Connection;
use ClownTalk::Httpd;
use ClownTalk::Settings;

my $json = JSON::PP->new->utf8->canonical;
my %helper;    # {pid, dir, input, process}: one for all connections of a test

END {
    if (%helper && $helper{process} == $$) {
        local $?;
        close $helper{input};    # by which it ends
        waitpid $helper{pid}, 0;
        remove_tree($helper{dir});
    }
}

sub start_helper {
    my $dir = ClownTalk::Httpd::scratch_dir('http2');
    pipe my $from_us, my $input or croak "pipe: $!";
    my $pid = open(my $output, '-|') // croak "fork: $!";
    unless ($pid) {
        open STDIN, '<&', $from_us;
        close $input;
        my $node = ClownTalk::Settings->get('node');
        exec {$node} $node, ClownTalk::Settings->get('srcdir') . '/t/lib/http2.mjs', "$dir/socket"
            or POSIX::_exit(127);
    }
    close $from_us;
    %helper = (pid => $pid, dir => $dir, input => $input, output => $output, process => $$);
    (<$output> // '') eq "ready\n" or croak 'Node.js does not start';
}

# Has the helper do something: what it answers, and the connection to it.
sub ask {
    my ($order, $timeout) = @_;

    start_helper() unless %helper;
    my $socket = IO::Socket::UNIX->new(Peer => "$helper{dir}/socket") or croak "$helper{dir}/socket: $!";
    my $connection = ClownTalk::Connection->new(socket => $socket, timeout => $timeout);
    $connection->write($json->encode($order) . "\n");
    my $line = $connection->read_until("\n", undef, "HTTP/2's $order->{do}");
    my $answer = $json->decode($line // '{"error":"Node.js has ended"}');
    croak "HTTP/2's $order->{do}: $answer->{error}" if exists $answer->{error};
    return ($answer, $connection);
}

# new('https://localhost:8443' or http://..., settings => {initialWindowSize => BYTES ...}): over TLS h2 is negotiated,
# otherwise it is spoken at once.
sub new {
    my ($class, $url, %arg) = @_;

    my ($answer) = ask({
        do => 'connect', url => $url, ca => (ClownTalk::Httpd::certificate())[0],
        settings => $arg{settings} || {},
    });
    my ($scheme, $authority) = $url =~ m{^(\w+)://([^/]+)};
    return bless {%$answer, scheme => $scheme, authority => $authority, timeout => $arg{timeout}}, $class;
}

# The server's settings, by their names in Node.js; and what TLS has negotiated (h2c: it has not).
sub setting { return $_[0]{settings}{$_[1]} }
sub alpn    { return $_[0]{alpn} }

# A request; headers may replace the pseudo headers too (undef: none).
sub request {
    my ($self, $end, %headers) = @_;

    my %all = (
        ':scheme' => $self->{scheme}, ':authority' => $self->{authority}, %headers);
    delete @all{grep { !defined $all{$_} } keys %all};
    return ask({do => 'request', connection => $self->{connection}, headers => \%all,
        end => $end ? JSON::PP::true : JSON::PP::false}, $self->{timeout});
}

sub get {
    my ($self, $path, %headers) = @_;

    my ($answer, $connection) = $self->request(1, ':method' => 'GET', ':path' => $path, %headers);
    return {
        status  => $answer->{headers}{':status'},
        headers => $answer->{headers},
        reset   => $answer->{reset},
        body    => $connection->read_to_end,
    };
}

# An extended CONNECT, whatever comes of it: status() tells, undef where the stream was reset.
#
#   headers      {name => value}, undef to leave one out; also :method, :protocol ...
#   user         NAME:PASSWORD
#   auto_pong    as with ClownTalk::Client
sub websocket {
    my ($self, $path, %arg) = @_;

    my ($answer, $connection) = $self->request(0,
        ':method' => 'CONNECT', ':protocol' => 'websocket', ':path' => $path,
        'sec-websocket-version' => 13,
        defined $arg{user} ? (authorization => 'Basic ' . encode_base64($arg{user}, '')) : (),
        %{$arg{headers} || {}},
    );
    return ClownTalk::HTTP2::Stream->new($answer, $connection, %arg);
}

# The same, but one that is not open then is an error.
sub connect {
    my ($self, $path, %arg) = @_;

    my $client = $self->websocket($path, %arg);
    croak "no WebSocket at $path: " . ($client->status // "the stream was reset ($client->{reset})")
        unless ($client->status // 0) == 200;
    return $client;
}

# Vanishes: the TCP connection is gone, with all streams.
sub lose { ask({do => 'lose', connection => $_[0]{connection}}) }
# Says goodbye, and waits for the end.
sub end { ask({do => 'end', connection => $_[0]{connection}}) }

# Waits until the connection has ended; returns the server's last GOAWAY {code, last}, or undef.
sub over {
    my ($self, $timeout) = @_;

    return (ask({do => 'over', connection => $self->{connection}}, $timeout))[0]{goaway};
}

package ClownTalk::HTTP2::Stream;

use parent 'ClownTalk::Client';

use Protocol::WebSocket::Frame;

sub new {
    my ($class, $answer, $connection, %arg) = @_;

    my $headers = $answer->{headers} || {};
    return bless {
        auto_pong  => exists $arg{auto_pong} ? $arg{auto_pong} : 1,
        library    => Protocol::WebSocket::Frame->new(max_payload_size => 0, max_fragments_amount => 1e6),
        inbox      => [],
        next_id    => 1,
        connection => $connection,
        stream     => $answer->{stream},
        status     => $headers->{':status'},
        reset      => $answer->{reset},
        headers    => {map { $_ => ref $headers->{$_} ? $headers->{$_} : [$headers->{$_}] } keys %$headers},
    }, $class;
}

# The client opens the stream's window no more; it does so again.
sub pause  { ClownTalk::HTTP2::ask({do => 'pause', stream => $_[0]{stream}}) }
sub resume { ClownTalk::HTTP2::ask({do => 'resume', stream => $_[0]{stream}}) }

# RST_STREAM, CANCEL.
sub reset { ClownTalk::HTTP2::ask({do => 'reset', stream => $_[0]{stream}, code => 8}) }

# END_STREAM.
sub end { my ($self) = @_; $self->{connection}->shutdown_write; return $self }

# Waits until the stream is closed: {reset => code, ended => whether the server's END_STREAM has come}.
sub outcome {
    my ($self, $timeout) = @_;

    return (ClownTalk::HTTP2::ask({do => 'outcome', stream => $self->{stream}}, $timeout))[0];
}

1;
