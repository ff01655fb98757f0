# The TLS records of a session stay in order when a publication goes to many: one that the server writes at once is more
# than a record where the client has asked for small ones, or for new keys. A record that overtakes another cannot be
# decrypted, and ends the connection (RFC 8446 section 5.2: bad_record_mac).
use strict;
use warnings;

use MIME::Base64 qw(encode_base64);
use Test::More;

use ClownTalk::Client;
use ClownTalk::HubLink;
use ClownTalk::Process;
use ClownTalk::SClient;
use ClownTalk::Server;
use ClownTalk::Suite;

use constant {
    BATCH  => 64,    # members that are given a publication at once
    ROUNDS => 3,
};

plan skip_all => 'with the event MPM alone an audience has more than one member' if ClownTalk::Suite->mpm ne 'event';

my $node   = ClownTalk::Suite::NODE;
my $server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<'END', vhost => <<"END")->start;
ClownTalkBus      0 sim
ClownTalkStateDir "@t_state@/clowntalk"
<Location "/talk">
    SetHandler clowntalk
</Location>
END
RewriteEngine On
RewriteRule ^/\$ /talk/$node [PT]
END
my $hub = ClownTalk::HubLink->new($server);

# Others of the same audience, who are given everything before the next one that comes.
sub crowd {
    my ($size) = @_;

    return map {
        my $client = ClownTalk::Client->connect($server->url('ws', "/talk/$node"));
        $client->open_talk;
        $client;
    } 1 .. $size;
}

# openssl's client, with the options, in the audience.
sub talker {
    my $client = ClownTalk::SClient->new($server->{tls_port}, @_);

    $client->tell(ClownTalk::Client::frame(payload => '["clown.talk/-/config/set", {}]'));
    $client->wait_for(qr{clown\.talk/-/config/ok}, 'it is in the audience');
    return $client;
}

# What a display shows is published in 1400 bytes. Returns what they contain.
sub show {
    my ($what) = @_;
    my $raw = encode_base64($what . 'x' x (1024 - length $what), '');

    $hub->ask(qq(["display-oled/i2c0-3c/set", {"raw": "$raw"}]));
    return quotemeta $raw;
}

sub in_order {
    my ($before, @options) = @_;
    my $client = talker(@options);

    for my $round (1 .. ROUNDS) {
        $before->($client) if $before;
        my $shown = show("round $round of @options");
        $client->wait_for(qr/$shown/, "round $round: it is told what the display shows") or last;
    }
    $client->end;
}

# Has the server change its keys with the next record that it sends (RFC 8446 section 4.6.3). It has read that when it
# has answered another client.
sub ask_for_keys {
    my ($client, $witness) = @_;

    $client->keep;
    $client->tell("K\n");
    $client->wait_for(qr/KEYUPDATE/, 'it asks for new keys');
    $client->let_go(1);
    $witness->barrier;
}

# The client's place among those that are told together: the last one, and others.
for my $before (BATCH - 1, BATCH, BATCH / 2) {
    my @crowd = crowd($before);

    subtest "behind $before, TLS 1.2 in records of 512 bytes" => sub { in_order(undef, '-tls1_2', '-maxfraglen', 512) };
    subtest "behind $before, TLS 1.3 in records of 512 bytes" => sub { in_order(undef, '-tls1_3', '-maxfraglen', 512) };
    subtest "behind $before, TLS 1.3, and new keys"           => sub { in_order(sub { ask_for_keys($_[0], $crowd[0]) }, '-tls1_3') };
    $_->drop for @crowd;
}

is $server->stop, 0, 'the server ends';

done_testing;
