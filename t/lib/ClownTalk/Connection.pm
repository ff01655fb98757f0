# A TCP connection, plain or with TLS, for tests: bytes out, bytes in, and a limit on every wait.
#
# Nothing here knows WebSocket. A wait that takes too long dies with a sentence that says what was
# waited for, so that a test that hangs becomes a test that fails.
package ClownTalk::Connection;

use strict;
use warnings;

use Carp qw(croak);
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::SSL;
use Socket qw(
    IPPROTO_TCP PF_INET SO_LINGER SO_RCVBUF SO_SNDBUF SOCK_STREAM SOL_SOCKET TCP_MAXSEG TCP_NODELAY
    inet_aton pack_sockaddr_in
);
use Time::HiRes qw(time);

use ClownTalk::Httpd;

use constant FIONREAD => 0x541B;    # ioctl_tty(2)
use constant {SO_ATTACH_FILTER => 26, BPF_RET => 0x06};    # socket(7), linux/filter.h
use constant TIMEOUT => 15;    # seconds, unless the caller says otherwise

# new(host => 'localhost', port => N, tls => 0|1, timeout => SECONDS, from => ADDRESS of ours,
#     receive_buffer => BYTES, send_buffer => BYTES, max_segment => BYTES,
#     tls_options => {SSL_...})
# new(socket => SOCKET): one that is connected already
sub new {
    my ($class, %arg) = @_;

    my $self = bless {
        timeout => $arg{timeout} || TIMEOUT,
        in      => '',
        eof     => 0,
    }, $class;
    if ($self->{socket} = $arg{socket}) {
        $self->{socket}->blocking(0);
        return $self;
    }
    my $host = $arg{host} || 'localhost';
    $self->{socket} = IO::Socket::INET->new;
    $self->{socket}->timeout($self->{timeout});
    $self->{socket}->socket(PF_INET, SOCK_STREAM, IPPROTO_TCP) or croak "socket: $!";
    # What the handshake tells the server: how large segments may be, and how many bytes may be on their way. A buffer
    # that is made smaller later has no room for what is on its way: the kernel drops it, and when it comes again the longer
    # after the first try the longer the receiver has not read (RFC 6298 section 5.5).
    setsockopt $self->{socket}, SOL_SOCKET, SO_RCVBUF, $arg{receive_buffer} if $arg{receive_buffer};
    setsockopt $self->{socket}, IPPROTO_TCP, TCP_MAXSEG, $arg{max_segment} if $arg{max_segment};
    if ($arg{from}) {
        $self->{socket}->bind(pack_sockaddr_in(0, inet_aton($arg{from}))) or croak "cannot connect from $arg{from}: $!";
    }
    my $address = inet_aton($host eq 'localhost' ? '127.0.0.1' : $host) or croak "no such host: $host";
    $self->{socket}->connect(pack_sockaddr_in($arg{port}, $address))
        or croak "cannot connect to $host:$arg{port}: $!";
    setsockopt $self->{socket}, IPPROTO_TCP, TCP_NODELAY, 1;
    setsockopt $self->{socket}, SOL_SOCKET, SO_SNDBUF, $arg{send_buffer} if $arg{send_buffer};
    $self->start_tls($host, $arg{tls_options}) if $arg{tls};
    $self->{socket}->blocking(0);
    return $self;
}

# The server's certificate is the suite's own, and verified.
sub start_tls {
    my ($self, $host, $options) = @_;
    my ($certificate) = ClownTalk::Httpd::certificate();

    IO::Socket::SSL->start_SSL(
        $self->{socket},
        SSL_hostname        => $host,
        SSL_verifycn_name   => $host,
        SSL_verifycn_scheme => 'http',
        SSL_verify_mode     => SSL_VERIFY_PEER,
        SSL_ca_file         => $certificate,
        Timeout             => $self->{timeout},
        %{$options || {}},
    ) or croak "TLS with $host: $IO::Socket::SSL::SSL_ERROR";
    $self->{tls} = 1;
}

sub socket { return $_[0]{socket} }

# Waits for the socket; dies when $deadline has passed.
sub wait_for {
    my ($self, $direction, $deadline, $what) = @_;

    my $left = $deadline - time;
    my $select = IO::Select->new($self->{socket});
    my @ready = $left > 0
        ? ($direction eq 'read' ? $select->can_read($left) : $select->can_write($left))
        : ();
    croak "nothing happened in time while waiting for $what" unless @ready || time < $deadline;
}

# What to wait for after a call that could not go on: TLS may read to write and write to read.
sub retry_direction {
    my ($self, $direction) = @_;

    return $direction if $!{EINTR};
    return unless $!{EAGAIN} || $!{EWOULDBLOCK};
    return $direction unless $self->{tls};
    return 'read'  if $IO::Socket::SSL::SSL_ERROR == SSL_WANT_READ;
    return 'write' if $IO::Socket::SSL::SSL_ERROR == SSL_WANT_WRITE;
    return;
}

# Writes all of it, or dies.
sub write {
    my ($self, $bytes, $timeout) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $deadline = time + ($timeout || $self->{timeout});
    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes, 16384;
        if (defined $n) {
            substr $bytes, 0, $n, '';
            next;
        }
        my $direction = $self->retry_direction('write') or croak "cannot write: $!";
        $self->wait_for($direction, $deadline, 'the server to read');
    }
    return $self;
}

# Writes what the socket takes at once; returns how many bytes that were.
sub write_some {
    my ($self, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $n = syswrite $self->{socket}, $bytes;
    return $n if defined $n;
    return 0  if $self->retry_direction('write');
    croak "cannot write: $!";
}

# Reads what there is into the buffer, waiting until there is something; false at the end.
sub fill {
    my ($self, $deadline, $what) = @_;

    return 0 if $self->{eof};
    local $SIG{PIPE} = 'IGNORE';    # TLS writes too
    while (1) {
        my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
        return 1 if $n;
        my $direction = defined $n ? undef : $self->retry_direction('read');
        unless ($direction) {    # the end, or a reset, which is one as well
            $self->{eof} = 1;
            $self->{broke} = !defined $n;
            return 0;
        }
        $self->wait_for($direction, $deadline, $what);
    }
}

# Reads at most $most bytes of what there is into the buffer, without waiting; returns how many that were,
# undef at the end.
sub read_some {
    my ($self, $most) = @_;

    return if $self->{eof};
    local $SIG{PIPE} = 'IGNORE';    # TLS writes too
    my $n = sysread $self->{socket}, $self->{in}, $most, length $self->{in};
    return $n if $n;
    return 0  if !defined $n && $self->retry_direction('read');
    $self->{eof} = 1;
    Net::SSLeay::ERR_clear_error() if $self->{tls};    # or another connection's next call would find it
    return;
}

# Exactly $count bytes, or undef where the connection ends before the first of them.
sub read_exactly {
    my ($self, $count, $timeout, $what) = @_;

    $what ||= "$count bytes";
    my $deadline = time + ($timeout || $self->{timeout});
    while (length $self->{in} < $count) {
        next if $self->fill($deadline, $what);
        return if $self->{in} eq '';
        croak "the connection ended after " . length($self->{in}) . " bytes of $what";
    }
    return substr $self->{in}, 0, $count, '';
}

# Everything up to and with $mark, or undef where the connection ends before the first byte.
sub read_until {
    my ($self, $mark, $timeout, $what) = @_;

    my $deadline = time + ($timeout || $self->{timeout});
    my $at;
    while (($at = index $self->{in}, $mark) < 0) {
        next if $self->fill($deadline, $what);
        return if $self->{in} eq '';
        croak "the connection ended in the middle of $what";
    }
    return substr $self->{in}, 0, $at + length $mark, '';
}

# Everything until the server closes.
sub read_to_end {
    my ($self, $timeout) = @_;

    my $deadline = time + ($timeout || $self->{timeout});
    1 while $self->fill($deadline, 'the server to close');
    return delete($self->{in}) . ($self->{in} = '');
}

# Whether something is there to read now, or comes within $seconds.
sub readable {
    my ($self, $seconds) = @_;

    return 1 if length $self->{in};
    return 1 if $self->{tls} && $self->{socket}->pending;
    return IO::Select->new($self->{socket})->can_read($seconds || 0) ? 1 : 0;
}

# Whether the socket takes something now, or does within $seconds.
sub writable {
    my ($self, $seconds) = @_;

    return IO::Select->new($self->{socket})->can_write($seconds || 0) ? 1 : 0;
}

# How many bytes have come and were not read yet, as the kernel sees it.
sub unread {
    my ($self) = @_;

    my $count = pack 'i', 0;
    ioctl $self->{socket}, FIONREAD, $count or croak "FIONREAD: $!";
    return unpack 'i', $count;
}

# Says that nothing more will be written, and goes on reading (plain connections only).
sub shutdown_write {
    my ($self) = @_;

    shutdown $self->{socket}, 1 or croak "shutdown: $!";
}

sub close {
    my ($self) = @_;

    my $socket = delete $self->{socket} or return;
    local $SIG{PIPE} = 'IGNORE';    # TLS sends close_notify, maybe to a peer that has gone
    $self->{eof} = 1;
    $self->{tls} ? $socket->close(SSL_fast_shutdown => 1) : CORE::close $socket;
}

# Vanishes with a reset, as a client that lost power and came back.
sub reset {
    my ($self) = @_;

    my $socket = delete $self->{socket} or return;
    $self->{eof} = 1;
    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $self->{tls} ? $socket->close(SSL_no_shutdown => 1) : CORE::close $socket;
}

# Vanishes as a machine does that lost its network: from now on nothing that the server sends comes through, not even
# for the kernel to acknowledge. A packet filter on the socket does it, which needs no root.
sub vanish {
    my ($self) = @_;

    my $drop = pack 'S C C L', BPF_RET, 0, 0, 0;    # a program of one instruction: keep 0 bytes
    setsockopt $self->{socket}, SOL_SOCKET, SO_ATTACH_FILTER, pack 'S x![J] P', 1, $drop
        or croak "SO_ATTACH_FILTER: $!";
}

sub port { return $_[0]{socket}->sockport }

sub DESTROY {
    my ($self) = @_;

    local ($@, $!);
    eval { $self->close };
}

1;
