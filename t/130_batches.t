# A publication to at least 16 sessions of one reactor goes out in batches, by io_uring; where that is forbidden, by send();
# where sessions stay on httpd's connections (ClownTalkDetach Off), through their filters. In each case each session hears
# everything, in order. Which way it was shows in the child's descriptors and in the log, so that no run of the suite takes
# one for the other: t/run's part no-uring sets CLOWNTALK_WITHOUT_URING.
use strict;
use warnings;

use JSON::PP ();
use Test::More;

use ClownTalk::Client;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;
use ClownTalk::Suite;

use constant {
    EVENT   => ClownTalk::Suite->mpm eq 'event',
    CHANGES => 10,
    RELAY   => 'relay/i2c0-3b',
};
# More than a batch's group; or, where each session takes a thread, what one child has threads for.
use constant CLIENTS => EVENT ? 80 : 10;

my $builddir = ClownTalk::Settings->get('builddir');

sub io_uring_is_allowed { return system("$builddir/t/without_uring", '--is-allowed') == 0 }

# Whether a process has a ring.
sub has_ring {
    my ($pid) = @_;

    return scalar grep { (readlink($_) // '') eq 'anon_inode:[io_uring]' } glob "/proc/$pid/fd/*";
}

# Whether a process has a filter of system calls: "Seccomp: 2" in proc(5).
sub is_filtered { return ClownTalk::Httpd::read_file("/proc/$_[0]/status") =~ /^Seccomp:\s+2$/m }

# A server with these directives, after it has published to all clients, and what its log said: (server, clients, lines).
sub publish {
    my ($directives) = @_;

    my $server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<"END")->start;
ClownTalkBus      0 sim
ClownTalkStateDir "\@t_state\@/clowntalk"
ClownTalkRate     1000/s 1000
$directives
<Location "/">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END
    my $log     = $server->log;
    my @clients = map {
        ClownTalk::Client->connect($server->url($_ % 2 ? 'wss' : 'ws', '/' . ClownTalk::Suite::NODE))
    } 1 .. CLIENTS;
    $_->open_talk for @clients;
    $_->barrier for @clients;
    $_->forget for @clients;

    my @expected = map { $_ % 2 } 1 .. CHANGES;
    $clients[0]->talk(RELAY . '/set', {state => $_ ? JSON::PP::true : JSON::PP::false}) for @expected;
    # Of many publications of one topic a client whose socket is full gets the newest only; these sockets are not.
    my @wrong = grep {
        my $client = $_;
        join(' ', map { $client->wait_topic(RELAY)->{payload}{state} ? 1 : 0 } @expected) ne "@expected";
    } @clients;
    is scalar @wrong, 0, 'each client hears each change, in order';
    return ($server, \@clients, [$log->fresh]);
}

sub rings_of { return [grep { has_ring($_) } $_[0]->workers] }
sub lines_with { my ($lines, $number) = @_; return scalar grep { /\b$number\b/ } @$lines }

ok !io_uring_is_allowed(), 'io_uring is forbidden here' if $ENV{CLOWNTALK_WITHOUT_URING};

subtest 'as the server comes' => sub {
    my ($server, $clients, $lines) = publish('');
    my $rings = rings_of($server);

    if ($ENV{CLOWNTALK_WITHOUT_URING}) {
        is_deeply [grep { !is_filtered($_) } $server->workers], [], 'every child of this server is forbidden to use io_uring';
        is_deeply $rings, [], 'and none has it';
    } elsif (EVENT && io_uring_is_allowed()) {
        is scalar @$rings, 1, 'the child has sent them by io_uring';
    } else {
        is_deeply $rings, [], 'not by io_uring: it is forbidden on this machine, or each session has a thread to itself';
    }
    is lines_with($lines, 'CT0037'), 0, 'no session says that it stays on its connection';
};

subtest 'ClownTalkIOUring Off' => sub {
    my ($server) = publish('ClownTalkIOUring Off');

    is_deeply rings_of($server), [], 'no child asks the kernel for io_uring';
};

subtest 'ClownTalkDetach Off' => sub {
    my ($server, $clients, $lines) = publish('ClownTalkDetach Off');

    is lines_with($lines, 'CT0036'), 0, 'no session leaves its connection';
    is lines_with($lines, 'CT0037'), EVENT ? CLIENTS : 0, 'each says so, where it could have left';
    is_deeply rings_of($server), [], 'what goes through filters needs no io_uring';
};

done_testing;
