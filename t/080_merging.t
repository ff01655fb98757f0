# Each directory directive in nested sections: an inner one that says nothing of it inherits it, an
# inner one that does overrides it, whatever the values, and leaves the outer one as it was.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Server;
use ClownTalk::Stalled;
use ClownTalk::Suite;

my $node = ClownTalk::Suite::NODE;
my $server;

sub open_at { my ($path, %arg) = @_; return ClownTalk::Client->new($server->url('ws', "$path/$node"), %arg) }

# The error in the answer to a request, or 'none'.
sub error_of {
    my ($client, $topic, $payload) = @_;
    return $client->request($topic, $payload)->{payload}{error} // 'none';
}

sub after_opening {
    my ($path, @request) = @_;
    my $client = open_at($path);
    $client->open_talk;
    return error_of($client, @request);
}

# Each directive: two values, and how the difference shows: what a client at a path sees, for both. A
# function is called later, when two seconds have passed for all of them together.
my %directives = (
    ClownTalkHandler => ['i2c', 'echo', 'not-initialized', 'echoed', sub {
        my $client = open_at($_[0]);
        $client->talk('-/-/config/list');
        my $talk = $client->read_talk;
        return $talk->{topic} eq '-/-/config/list' ? 'echoed' : $talk->{payload}{error};
    }],
    ClownTalkControl => ['On', 'Off', 'none', 'forbidden', sub {
        return after_opening($_[0], 'thermometer/i2c0-48/config/set', {'publish-interval' => 1});
    }],
    ClownTalkRawI2C => ['On', 'Off', 'none', 'forbidden', sub {
        return after_opening($_[0], 'i2c/0/config/scan');
    }],
    ClownTalkOrigin => ['https://a.example', 'same', 101, 403, sub {
        return open_at($_[0], headers => {Origin => 'https://a.example'})->status;
    }],
    ClownTalkRequireOpening => ['On', 'Off', 'not-initialized', 'none', sub {
        return error_of(open_at($_[0]), '-/-/config/list');
    }],
    ClownTalkMaxMessage => [200, 2000, 1009, 'open', sub {
        my $client = open_at($_[0]);
        $client->send_frame(payload => ' ' x 201);
        return eval { $client->barrier; 1 } ? 'open' : $client->{closed}{code};
    }],
    ClownTalkRate => ['0.1/s 2', '0.1/s 4', 2, 4, sub {    # how many of six are answered
        my $client = open_at($_[0]);
        return scalar grep { error_of($client, '-/-/config/list') ne 'rate-limited' } 1 .. 6;
    }],
    ClownTalkPing => [1, 86400, 'pings', 'none', sub {
        my $client = open_at($_[0], auto_pong => 0);
        return $client->read_frame->{opcode} == ClownTalk::Client::PING ? 'pings' : 'none' if $_[1] eq 'pings';
        return sub { $client->barrier; return $client->{pings} ? 'pings' : 'none' };
    }],
    ClownTalkMaxAge => [1, 86400, 1001, 'open', sub {
        my $client = open_at($_[0]);
        return sub { return eval { $client->barrier; 1 } ? 'open' : $client->{closed}{code} };
    }],
    ClownTalkDeflate => ['On', 'Off', 'permessage-deflate', 'none', sub {
        my $agreed = open_at($_[0], extensions => 'permessage-deflate')->header('Sec-WebSocket-Extensions');
        return $agreed ? $agreed =~ s/;.*//r : 'none';
    }],
    ClownTalkBacklog => [1024, 10000000, 1008, 'all', sub {
        my $how = $_[1] eq '1008' ? 'dropped' : 'new';
        my ($client) = ClownTalk::Stalled->$how($server, 'ws', $_[0]);
        my $last = ClownTalk::Stalled::id(ClownTalk::Stalled::COMMANDS);
        while (my $message = $client->read_message) {
            return $message->{code} if $message->{opcode} == ClownTalk::Client::CLOSE;
            return 'all' if $message->{payload} =~ /"$last"/;
        }
        return 'ended without a Close';
    }],
);
# So that each merge is one of two sections of this module: a directive that shows in none of the above.
my $neutral = "ClownTalkOrigin same https://neutral.example\n";

sub section {
    my ($path, @lines) = @_;
    return join "\n", "<Location \"$path\">", @lines, "</Location>\n";
}

my $config = ClownTalk::Stalled::CONFIG . <<'END';
ClownTalkBus      0 sim
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkControl  On
ClownTalkPing     3600
<Location "/">
    SetHandler    clowntalk
</Location>
<Location "/clock">
    ClownTalkPing 1
</Location>
END
for my $directive (sort keys %directives) {
    my ($one, $other) = @{$directives{$directive}};
    # The observers of these need it.
    my $also = $directive =~ /Rate/ ? 'ClownTalkRequireOpening Off' : '';
    for my $pair ([$one, $other, 'one'], [$other, $one, 'other']) {
        my ($outer, $inner, $name) = @$pair;
        my $path = "/$directive/$name";
        $config .= section($path, "$directive $outer", $also)
            . section("$path/inherits", $directive eq 'ClownTalkOrigin' ? 'ClownTalkMaxAge 86399' : $neutral)
            . section("$path/overrides", "$directive $inner");
    }
}
$server = ClownTalk::Server->new(config => $config)->start;

for my $directive (sort keys %directives) {
    my ($one, $other, $seen_one, $seen_other, $look) = @{$directives{$directive}};
    my @looks;
    for my $pair ([$one, $other, 'one', $seen_one, $seen_other], [$other, $one, 'other', $seen_other, $seen_one]) {
        my ($outer, $inner, $name, $outer_seen, $inner_seen) = @$pair;
        my $path = "/$directive/$name";
        push @looks, map { [$_->[0], $look->(@$_[1, 0]), $_->[2]] }
            [$outer_seen, $path, "$directive $outer: $outer_seen"],
            [$outer_seen, "$path/inherits", "a section within $directive $outer that is silent inherits it"],
            [$inner_seen, "$path/overrides", "one with $inner overrides it: $inner_seen"];
    }
    if (grep { ref $_->[1] } @looks) {    # the pings of another session tell that time has passed
        my $clock = open_at('/clock', auto_pong => 0);
        $clock->read_frame for 1 .. 2;
    }
    is ref $_->[1] ? $_->[1]->() : $_->[1], $_->[0], $_->[2] for @looks;
}

done_testing;
