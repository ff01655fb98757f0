# What a display shows and how the LED blinks outlive a graceful restart, as each night's logrotate does
# one, a stop and a start, and a hub that is killed.
use strict;
use warnings;

use Test::More;

use ClownTalk::Client;
use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Suite;

my ($display, $led) = ('display-oled/i2c0-3c', 'led/-');

# The display keeps its power, and what it shows, whatever the server does. What it is sent is seen in the trace.
my $scenario = <<'END';
{"trace": "trace", "memory": "memory",
 "chips": [{"chip": "ssd1306", "address": "3c"}, {"chip": "relay-module", "address": "3b"}]}
END

my $server = ClownTalk::Server->new(config => <<'END');
ClownTalkBus      0 "sim:@t_state@/scenario.json"
ClownTalkLED      "@serverroot@/led"
ClownTalkStateDir "@t_state@/clowntalk"
<Location "/talk">
    SetHandler       clowntalk
    ClownTalkControl On
</Location>
END
my $state = $server->vars->{t_state};
my $lamp = $server->dir . '/led';
ClownTalk::Httpd::write_file("$state/scenario.json", $scenario);
ClownTalk::Httpd::make_writable_dir($lamp);
for my $file (['brightness', "0\n"], ['max_brightness', "255\n"], ['trigger', "[none] timer\n"]) {
    ClownTalk::Httpd::write_file("$lamp/$file->[0]", $file->[1]);
    chmod 0666, "$lamp/$file->[0]" or die "$lamp: $!";
}

# ---- what can be seen ----

# The beginnings of pages with something on them that were written to the display, from some place in the trace on.
sub drawn {
    my ($from) = @_;

    return substr(ClownTalk::Httpd::read_file("$state/trace"), $from) =~ /\b3c w 40 (?!(?:00 )+\.)(.*) \(129\)$/mg;
}

sub traced { return -s "$state/trace" }

# Waits for the LED to be lit, dark, and lit again: how often it flashes in between is for t/unit/hub_displays.c.
sub flashes {
    my $lit = sub { return ClownTalk::Httpd::read_file("$lamp/brightness") !~ /^0/ };

    $server->wait_until('the LED to flash', $lit);
    $server->wait_until('the LED to be dark', sub { !$lit->() });
    return $server->wait_until('the LED to flash again', $lit);
}

sub client {
    my $client;

    $server->wait_until('the server to serve', sub {
        $client = eval { ClownTalk::Client->connect($server->url('ws', '/talk/' . ClownTalk::Suite::NODE)) };
    });
    $client->open_talk;
    return $client;
}

# ---- shown ----

$server->start;
my $client = client();
my $blank = traced();
is $client->request("$display/set", {'line-0' => 'Mon 21:04', 'line-7' => 'pump: ready'})->{payload}{'line-7'},
    'pump: ready', 'a display shows a text';
my @pages = drawn($blank);
is scalar @pages, 2, '... two pages of it are drawn';
is $client->request("$led/set", {state => '3-dot'})->{payload}{state}, '3-dot', 'the LED has a pattern';

# ---- and shown again ----

sub shown_again {
    my ($how, $do) = @_;
    my ($hub) = $server->hub;
    my $from = traced();

    $do->();
    $server->next_hub($hub);
    my $client = client();
    my $text = $client->wait_topic($display)->{payload};
    is "$text->{'line-0'}|$text->{'line-7'}|$text->{'line-1'}", 'Mon 21:04|pump: ready|', "$how: the text is published";
    is $client->request("$display/get")->{payload}{'line-0'}, 'Mon 21:04', "$how: and answered";
    my %drawn;
    $server->wait_until('the text to be drawn', sub { @drawn{drawn($from)} = (); return !grep { !exists $drawn{$_} } @pages });
    pass "$how: it is drawn again";
    is $client->request("$led/get")->{payload}{state}, '3-dot', "$how: the LED's pattern is known";
    ok flashes(), "$how: and shown";
    $client->close(1000);
}

$client->close(1000);
shown_again('graceful', sub { $server->graceful });
shown_again('a hub that is killed', sub { kill KILL => $server->wait_for_hub });
shown_again('stop and start', sub { $server->stop; $server->start });
is $server->stop, 0, 'the end';
like ClownTalk::Httpd::read_file("$lamp/brightness"), qr/^0/, 'an LED without a hub is dark';

done_testing;
