# A client that asks and does not read: what is sent to it fills the socket, then the server's queue.
#
# First it gives commands to a relay that are carried out one by one, a tenth of a second apart; then it
# asks for lists until the server cannot write any more, and so does not read either. The answers to
# the commands then come one after the other, and have to wait: some of 450 bytes each.
package ClownTalk::Stalled;

use strict;
use warnings;

use ClownTalk::Client;
use ClownTalk::Suite;

use constant {
    COMMANDS => 16,      # the hub's queue for one device takes 32
    LISTS    => 2000,    # each answered by 150 bytes and more
    ID       => 400,     # bytes
};

# What the server's configuration needs for it: clients fill a small buffer sooner, and may ask a lot.
use constant CONFIG => "SendBufferSize 8192\nClownTalkRate 1000000/s 1000000\n";

# new($server, $scheme, $path, $relay): a ClownTalk::Client at $path's node that has sent all that.
sub new {
    my ($class, $server, $scheme, $path, $relay) = @_;

    my $client = ClownTalk::Client->connect($server->url($scheme, "$path/" . ClownTalk::Suite::NODE),
        receive_buffer => 4096);
    $client->open_talk;
    $client->request("$relay/get");    # answered behind what an earlier one has left in the queue
    $client->send_text(join "\n", map {
        sprintf '["%s/set", {"state": true}, {"id": "%s"}]', $relay, sprintf '%0' . ID . 'd', $_
    } 1 .. COMMANDS);
    my $lists = ClownTalk::Client::frame(payload => '["-/-/config/list",{}]') x LISTS;
    while (length $lists) {
        my $taken = $client->connection->write_some($lists);
        last unless $taken || $client->connection->writable(0.2);
        substr $lists, 0, $taken, '';
    }
    return $client;
}

1;
