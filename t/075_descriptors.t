# A child process that runs out of descriptors would be ended by httpd, with all of its sessions. Before that, handshakes are
# refused, then connections; every session goes on, and there are new ones as soon as there are descriptors.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Connection;
use ClownTalk::Server;
use ClownTalk::Suite;

use constant {
    LIMIT   => 256,    # descriptors of the child
    THREADS => 25,
    RESERVE => 100,    # of these, four for each thread
    AGAIN   => 20,     # handshakes that are refused, to see how often the log says so
    FLOOD   => 400,    # connections that are never closed: more than there are descriptors
};

plan skip_all => 'with other MPMs there are fewer sessions than descriptors: each takes a thread' if ClownTalk::Suite->mpm ne 'event';

my $server = ClownTalk::Server->new(descriptors => LIMIT, config => <<"END")->start;
StartServers      1
ServerLimit       1
ThreadsPerChild   @{[THREADS]}
MaxRequestWorkers @{[THREADS]}
MinSpareThreads   1
MaxSpareThreads   @{[THREADS]}
<Location "/echo">
    SetHandler       clowntalk
    ClownTalkHandler echo
</Location>
END
my ($child) = $server->workers;

sub handshake { return ClownTalk::Client->new($server->url('ws', '/echo')) }

# A page, on a connection that stays open here; undef where it was closed without an answer.
my @kept;
sub page {
    my $connection = ClownTalk::Connection->new(port => $server->{port});
    my $page = eval {
        $connection->write("GET /index.html HTTP/1.0\r\n\r\n");
        $connection->read_to_end;
    };

    push @kept, $connection;
    return $page;
}

# How many sessions answer.
sub alive {
    return scalar grep { eval { $_->barrier; 1 } } @_;
}

sub descriptors { my @open = glob "/proc/$child/fd/*"; return scalar @open }

my (@sessions, $client);
while (@sessions < LIMIT) {
    $client = eval { handshake() } or last;
    last if $client->status != 101;
    push @sessions, $client;
}
is $client && $client->status, 503, 'a handshake is refused before there is no descriptor left';
is $client && $client->header('Retry-After'), 10, 'with Retry-After';
cmp_ok scalar @sessions, '>', LIMIT / 2 - RESERVE / 2, scalar(@sessions) . ' sessions before it';
cmp_ok descriptors(), '<=', LIMIT - RESERVE + THREADS, 'and the reserve is left';
is alive(@sessions), scalar @sessions, 'each of them goes on';
like page(), qr/welcome/, 'a page is served';

my $refused = grep { handshake()->status == 503 } 1 .. AGAIN;
is $refused, AGAIN, 'more handshakes are refused';
my $lines = () = $server->error_log =~ /CT0080/g;
cmp_ok $lines, '>', 0, 'the log says so';
cmp_ok $lines, '<', AGAIN, 'and not for each of them';

# httpd waits for each of these clients to close, for up to half a minute.
my $unanswered = grep { (page() // '') !~ /welcome/ } 1 .. FLOOD;
cmp_ok $unanswered, '>', 0, "$unanswered of @{[FLOOD]} connections that stay open are closed unanswered";
like $server->error_log, qr/CT0081/, 'the log says so';
is alive(@sessions), scalar @sessions, 'each session goes on';
is_deeply [$server->workers], [$child], 'in the same process';

@kept = ();
$server->wait_until('pages to be served', sub { (page() // '') =~ /welcome/ });
$_->drop for splice @sessions, 0, @sessions / 2;
$server->wait_until('a new session', sub { handshake()->status == 101 });
is alive(@sessions), scalar @sessions, 'there are new ones when others have ended';
is_deeply [$server->workers], [$child], 'in the same process';
unlike $server->error_log, qr/Too many open files|AH00485/, 'it never ran out of descriptors';

done_testing;
