# What all sessions of one user, or of one address, may ask for together, and how many there may be: over all child
# processes. Who asks for more is answered later; others notice nothing of it.
use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Suite;

my $node  = ClownTalk::Suite::NODE;
my $event = ClownTalk::Suite->mpm eq 'event';

use constant {
    RATE  => 400,    # ClownTalkAddressRate: units a second, and at once
    BURST => 200,
    LISTS => 10,     # that each session of the flood asks for: within its own rate
    COST  => 4,      # units of a list, and of an opening
    TICK  => 0.25,   # seconds: who has to wait for less goes on
};
use constant BASIC => <<'END';
<Location "/">
    SetHandler clowntalk
</Location>
<Location "/auth">
    AuthType          Basic
    AuthName          "Clown.Hub"
    AuthBasicProvider file
    AuthUserFile      "@t_conf@/htpasswd"
    Require           valid-user
</Location>
<Location "/other">
    AuthType          Basic
    AuthName          "Another realm"
    AuthBasicProvider file
    AuthUserFile      "@t_conf@/htpasswd"
    Require           valid-user
</Location>
END
my $sessions = $event ? 50 : 20;

my $server = ClownTalk::Server->new(modules => ['remoteip'], config => <<"END" . BASIC);
<IfModule mpm_event_module>
    StartServers      3
    ServerLimit       3
    ThreadsPerChild   8
    MinSpareThreads   24
    MaxSpareThreads   24
    MaxRequestWorkers 24
</IfModule>
<IfModule !mpm_event_module>
    StartServers      @{[ClownTalk::Suite->mpm eq 'prefork' ? 30 : 2]}
</IfModule>
ClownTalkBus         0 sim
ClownTalkLED         sim
ClownTalkStateDir    "\@t_state\@/clowntalk"
ClownTalkAddressRate @{[RATE]}/s @{[BURST]}
END

sub connect_to {
    my ($path, %arg) = @_;

    return ClownTalk::Client->new($server->url('ws', "$path/$node", delete $arg{user}), %arg);
}

sub restart_with {
    $server->stop;
    $server->configure(config => $_[0])->start;
}

# ---- ClownTalkAddressRate ----

my @flood;

# How many lists the flood has got by now, which stay to be read.
sub answered {
    my $lists = 0;

    for my $connection (map { $_->connection } @flood) {
        1 while $connection->read_some(65_536);
        $lists += () = $connection->{in} =~ m{"id": ?"list"}g;
    }
    return $lists;
}

{
    $server->start;
    my $log = $server->log;
    my $start = time;
    my $lines = join "\n", '["clown.talk/-/config/set", {}]', ('["-/-/config/list", {}, {"id": "list"}]') x LISTS;
    @flood = map { connect_to('') } 1 .. $sessions;
    $_->send_text($lines) for @flood;
    $server->wait_until('the flood to use its burst up', sub { answered() * COST >= BURST });

    my $other = connect_to('', from => '127.0.0.2');
    $other->open_talk;
    my @errors = grep { $_ } map { $other->request('-/-/config/list')->{payload}{error} } 1 .. 20;
    is_deeply \@errors, [], "while $sessions sessions of an address wait, one of another is answered";
    my $fresh = connect_to('');
    $fresh->open_talk;
    pass 'and so is the opening of a new one of the same';

    # A session that has to wait has been charged for a line more, and goes on where that is less than a tick.
    my $most = BURST + RATE * (TICK + time - $start) + $sessions * COST;
    my $units = answered() * COST;
    cmp_ok $units, '<=', $most, "their requests are carried out at the address's rate";
    note "at most $most units, and had $units, of ", $sessions * LISTS * COST, ' that they ask for';
    like $log->wait_line(qr/CT0040/), qr/one address ask for more.*\(ClownTalkAddressRate\)/, 'the log names the directive';

    $server->wait_until('all answers', sub { answered() == $sessions * LISTS });
    is scalar(grep { $_->connection->{in} =~ m{/error"} } @flood), 0, 'in the end they have all answers, and no error';
    $_->barrier for @flood, $fresh;
    pass 'and all sessions go on';
}

# ---- ClownTalkUserRate: one who goes on is refused at last, and another user is not ----

# An opening has used up what half a minute brings, and more.
restart_with(<<'END' . BASIC);
ClownTalkBus      0 sim
ClownTalkLED      sim
ClownTalkStateDir "@t_state@/clowntalk"
ClownTalkUserRate 0.1/s 1
END
my @before;
sub refused {
    my ($client, $why) = @_;

    $client->talk('clown.talk/-/config/set');
    my $error = $client->wait_topic('clown.talk/-/config/error')->{payload};
    is $error->{error}, 'rate-limited', $why;
    like $error->{message}, qr/user.*ClownTalkUserRate/, 'and the answer names the directive';
}
for my $path ('/auth', '/other') {
    my ($one, $again) = map { connect_to($path, user => 'clown:bigclown', from => "127.0.0.$_") } 1 .. 2;
    $one->open_talk;
    refused($again, "$path: a user has one account, from two addresses");
    $again->barrier;
    pass "$path: the session goes on";
    push @before, $one, $again;
}
connect_to('/auth', user => 'reader:readonly')->open_talk;
pass 'another user is answered';
connect_to('')->open_talk;
pass 'and so is who has not authenticated';
$server->graceful;
is_deeply [map { ($_->wait_close)[0] } @before], [(1012) x @before], 'a graceful restart ends sessions, also those that have to wait';
refused(connect_to('/other', user => 'clown:bigclown'), 'but what is owed is owed');

# ---- how many sessions ----

sub config_of { return "ClownTalkBus 0 sim\nClownTalkStateDir \"\@t_state\@/clowntalk\"\n" . join("\n", @_, '') . BASIC }

restart_with(config_of('ClownTalkMaxUserConnections 2'));
{
    my $log = $server->log;
    my @open = map { connect_to('/auth', user => 'clown:bigclown', from => "127.0.0.$_") } 1 .. 2;
    is_deeply [map { $_->status } @open], [101, 101], 'ClownTalkMaxUserConnections: two sessions of a user';
    my $refused = connect_to('/auth', user => 'clown:bigclown');
    is $refused->status, 503, 'the third: 503';
    like $refused->header('Retry-After'), qr/^[1-9]\d*$/, 'with Retry-After';
    like $log->wait_line(qr/CT0010/), qr/this user.*ClownTalkMaxUserConnections/, 'and a line in the log';
    is connect_to('/auth', user => 'reader:readonly')->status, 101, 'another user';
    is connect_to('/other', user => 'clown:bigclown')->status, 101, 'the same name in another realm';
    my @anonymous = map { connect_to('') } 1 .. 3;
    is_deeply [map { $_->status } @anonymous], [101, 101, 101], 'and who has not authenticated is not counted';
    (shift @open)->close(1000);
    $server->wait_until('a place for another', sub { connect_to('/auth', user => 'clown:bigclown')->status == 101 });
    pass 'one has left, one has come';
}

restart_with(config_of('ClownTalkMaxAddressConnections 2', 'RemoteIPHeader X-Forwarded-For'));
{
    my $log = $server->log;
    my $from = sub { return connect_to('', headers => {'X-Forwarded-For' => $_[0]}) };
    my @open = map { $from->($_) } '198.51.100.7', '::ffff:198.51.100.7';
    is_deeply [map { $_->status } @open], [101, 101], 'ClownTalkMaxAddressConnections: two sessions of an address';
    is $from->('198.51.100.7')->status, 503, 'the third: 503';
    like $log->wait_line(qr/CT0010/), qr/this address.*ClownTalkMaxAddressConnections/, 'and a line in the log';
    is $from->('198.51.100.8')->status, 101, 'another address';
    push @open, map { $from->("2001:db8:0:1::$_") } 1 .. 2;
    is_deeply [map { $_->status } @open[2, 3]], [101, 101], 'two of IPv6';
    is $from->('2001:db8:0:1:ffff::3')->status, 503, 'a third of the same network: 503';
    is $from->('2001:db8:0:2::1')->status, 101, 'one of the next network';
    kill KILL => $_ for $server->workers;
    $server->wait_until('sessions of dead processes to be forgotten', sub {
        my $client = eval { $from->('198.51.100.7') } or return 0;
        return $client->status == 101;
    });
    pass 'what died with its process does not count';
}
is $server->stop, 0, 'the server ends';

done_testing;
