# A client that asks and does not read: what is sent to it fills the socket, then the server's queue.
#
# First it gives commands to a relay that are carried out one by one, a tenth of a second apart; then it
# asks for lists until the server can no longer write, and so does not read either. The answers to
# the commands come one after the other, and have to wait: 450 bytes each.
package ClownTalk::Stalled;

use strict;
use warnings;

use Time::HiRes qw(time);

use ClownTalk::Client;
use ClownTalk::Suite;

use constant {
    COMMANDS => 20,      # the hub's queue for one device takes 32
    ID       => 400,     # bytes
    STEP     => 20,      # requests, each answered by 150 bytes and more
    REST     => 20000,   # requests: more than fits into all buffers
    PATIENCE => 0.3,     # seconds without any progress
};
use constant RELAY => 'relay/i2c0-3f';

# What the server's configuration needs for it: small buffers are soon full, and it asks a lot.
use constant CONFIG => <<'END';
SendBufferSize    8192
ReceiveBufferSize 8192
ClownTalkRate     1000000/s 1000000
END

# new($server, $scheme, $path): a ClownTalk::Client at $path's node that has sent all that. {stalled} of it
# is true where the server no longer reads. It stops earlier when $enough->() is true.
sub new {
    my ($class, $server, $scheme, $path, $enough) = @_;

    $enough ||= sub { return 0 };
    my $client = ClownTalk::Client->connect($server->url($scheme, "$path/" . ClownTalk::Suite::NODE),
        receive_buffer => 4096, send_buffer => 4096);
    $client->open_talk;
    $client->request(RELAY . '/get');    # answered behind what an earlier one has left in the queue
    $client->send_text(join "\n", map {
        sprintf '["%s/set", {"state": true}, {"id": "%s"}]', RELAY, id($_)
    } 1 .. COMMANDS);
    my $connection = $client->connection;
    my $list = ClownTalk::Client::frame(payload => '["-/-/config/list",{}]');
    # Step by step, so that not more than this is on its way when the server can write no more.
    my ($there, $deadline) = (0, 0);
    do {
        return $client if $enough->();
        $connection->write($list x STEP);
        $there = $connection->unread;
        $deadline = time + PATIENCE;
        select undef, undef, undef, 0.005 until $connection->unread > $there || time > $deadline;
    } while $connection->unread > $there;
    # Then until it no longer reads.
    my $rest = $list x REST;
    while (length $rest && !$enough->()) {
        my $taken = $connection->write_some($rest);
        substr $rest, 0, $taken, '';
        last unless $taken || $connection->writable(PATIENCE) || $enough->();
    }
    $client->{stalled} = length $rest;
    return $client;
}

# The same, until the server has had enough of it: (client, what the log says).
sub dropped {
    my ($class, $server, $scheme, $path) = @_;
    my $log = $server->log;
    my $line;

    my $client = $class->new($server, $scheme, $path, sub { $line ||= ($log->fresh(qr/CT0031/))[0] });
    return ($client, $line || $log->wait_line(qr/CT0031/));
}

# The id of the command with this number.
sub id { return sprintf '%0' . ID . 'd', $_[0] }

1;
