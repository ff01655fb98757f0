# openssl's own client with a WebSocket open: a line K has it change its keys, a line R negotiate anew (openssl-s_client(1)).
#
# It talks through a relay, which passes on what comes, or keeps what the client sends until it is released, all at once.
package ClownTalk::SClient;

use strict;
use warnings;

use IO::Select;
use IO::Socket::IP;
use IPC::Open3;
use Test::More;

use ClownTalk::Settings;

# Seconds that it may say nothing while something is waited for.
use constant PATIENCE => 15;

# ClownTalk::SClient->new($port, OPTION ...): options of openssl's.
sub new {
    my ($class, $port, @options) = @_;
    my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1, Timeout => PATIENCE) or die "listening: $@";
    my $pid = open3(my $in, my $out, undef, ClownTalk::Settings->get('openssl'), 's_client', '-connect',
        '127.0.0.1:' . $listener->sockport, @options);
    my $near = $listener->accept or die "accept: $!";
    my $far = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or die "port $port: $@";
    my $self = bless {pid => $pid, in => $in, out => $out, near => $near, far => $far, said => '', kept => '',
        open => [$out, $near, $far]}, $class;

    $self->wait_for(qr/---\n.*---\n/s, 'openssl has shaken hands');
    $self->tell(join "\r\n", 'GET / HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade',
        'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '');
    $self->wait_for(qr/101 Switching Protocols.*?\r\n\r\n/s, 'and opened a WebSocket');
    return $self;
}

# Has it send something, or do something.
sub tell {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';    # the next wait_for() shows that it has ended, and why
    syswrite $self->{in}, $bytes;
}

# Moves what has come. False where nothing does.
sub pump {
    my ($self) = @_;
    my ($out, $near, $far) = @$self{qw(out near far)};
    my @ready = IO::Select->new(@{$self->{open}})->can_read(PATIENCE) or return;

    for my $from (@ready) {
        my $n = sysread $from, my $bytes, 65536;
        if (!$n) {
            $self->{open} = [grep { $_ != $from } @{$self->{open}}];
            shutdown $from == $near ? $far : $near, 1 unless $from == $out;
        } elsif ($from == $out) {
            $self->{said} .= $bytes;
        } elsif ($from == $far) {
            syswrite $near, $bytes;
        } elsif ($self->{keeps}) {
            $self->{kept} .= $bytes;
        } else {
            syswrite $far, $bytes;
        }
    }
    return 1;
}

# Whether it says what fits.
sub wait_for {
    my ($self, $pattern, $what) = @_;

    while ($self->{said} !~ $pattern) {
        next if $self->pump;
        fail $what;
        diag $self->{said};
        return;
    }
    $self->{said} =~ s/.*?$pattern//s;
    return pass $what;
}

sub keep { $_[0]{keeps} = 1 }

# Lets what was kept go when it is that many TLS records.
sub let_go {
    my ($self, $records) = @_;

    while (count_records($self->{kept}) < $records) {
        die "openssl has not sent $records records" unless $self->pump;
    }
    syswrite $self->{far}, $self->{kept};
    @$self{qw(keeps kept)} = (0, '');
}

sub end {
    my ($self) = @_;
    kill TERM => $self->{pid};
    close $_ for @$self{qw(in out near far)};
    waitpid $self->{pid}, 0;
}

# Whole TLS records: type, version, length (RFC 8446 section 5.1).
sub count_records {
    my ($bytes) = @_;
    my $n = 0;

    while (length $bytes >= 5) {
        my $length = 5 + unpack 'x3 n', $bytes;
        last if length $bytes < $length;
        substr $bytes, 0, $length, '';
        $n++;
    }
    return $n;
}

1;
