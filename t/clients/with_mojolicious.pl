#!/usr/bin/perl
# The steps of steps.py with Mojo::UserAgent: perl with_mojolicious.pl wss://USER:PASSWORD@HOST:PORT CA.pem [deflate]
use strict;
use warnings;

use Mojo::JSON qw(from_json);
use Mojo::UserAgent;
use Mojolicious;

use constant {
    NODE    => '/clown-talk-server_nodes_bridge_0',
    RELAY   => 'relay/i2c0-3b',
    SIZES   => [0, 125, 126, 65_536, 1_048_576, 16_777_216],
    TIMEOUT => 20,    # seconds a step may take
};

$| = 1;
my ($url, $ca, $deflate) = @ARGV;
my $ua = Mojo::UserAgent->new(ca => $ca, inactivity_timeout => TIMEOUT);
my %headers = $deflate ? ('Sec-WebSocket-Extensions' => 'permessage-deflate') : ();
my $done;

sub text { my ($size) = @_; return substr 'temperature 21.50, humidity 41.2; ' x ($size / 34 + 1), 0, $size }

# Connects, has begin($socket) speak first and each message given to message($socket, $text) until that says true.
sub converse {
    my ($path, $begin, $message) = @_;

    $done = 0;
    $ua->websocket("$url$path" => \%headers => sub {
        my (undef, $socket) = @_;
        die 'no WebSocket: ' . ($socket->res->code // $socket->error->{message}) . "\n" unless $socket->is_websocket;
        $socket->max_websocket_size(SIZES->[-1]);
        $socket->on(message => sub { $message->(@_) and $done = 1 and $_[0]->finish });
        $socket->on(finish => sub { my (undef, $code) = @_; warn "closed with $code\n" unless $done; Mojo::IOLoop->stop });
        $begin->($socket);
    });
    Mojo::IOLoop->start;
    exit 1 unless $done;
}

print "version $Mojolicious::VERSION\n";
converse(NODE, sub { $_[0]->send('["clown.talk/-/config/set", {}]') }, sub {
    my ($socket, $text) = @_;
    for my $line (split /\n/, $text) {
        my ($topic, $payload) = @{from_json($line)};
        if ($topic eq 'clown.talk/-/config/ok') {
            print "ok opening\n";
            $socket->send('["' . RELAY . '/set", {"state": true}]');
        } elsif ($topic eq RELAY && $payload->{state}) {
            print "ok relay\n";
            return 1;
        }
    }
    return 0;
});
my @sizes = @{+SIZES};
converse('/echo', sub { $_[0]->send(text($sizes[0])) }, sub {
    my ($socket, $text) = @_;
    my $size = shift @sizes;
    die "echo $size: " . length($text) . " other characters came back\n" if $text ne text($size);
    print "ok echo $size\n";
    $socket->send(text($sizes[0])) if @sizes;
    return !@sizes;
});
