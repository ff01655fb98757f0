# A value that is not allowed is an error of the configuration: `httpd -t` finds it, and a sentence says
# what is allowed.
use strict;
use warnings;

use LWP::UserAgent;
use Test::More;

use ClownTalk::Httpd;
use ClownTalk::Server;
use ClownTalk::Settings;

my $server = ClownTalk::Server->new;

sub wrong {
    my ($directive, $pattern, $section) = @_;

    my $line = $section ? "<Location \"/x\">\n$directive\n</Location>" : $directive;
    my ($right, $output) = $server->configure(config => $line)->configtest;
    $directive =~ s/\n/ /g;
    $directive =~ s/(.{70}).+/$1.../;
    ok !$right, "wrong: $directive" . ($section ? ' (in a Location)' : '');
    like $output, $pattern, 'and what is allowed' or diag $output;
}

sub right {
    my (@lines) = @_;

    my ($right, $output) = $server->configure(config => join "\n", @lines)->configtest;
    ok $right, "right: " . join('; ', map { s/\n/ /gr } @lines) or diag $output;
}

# ---- the house ----

wrong 'ClownTalkBus 0', qr/ClownTalkBus takes two or three arguments, an I2C bus: its label, its device/;
wrong 'ClownTalkBus x sim', qr/ClownTalkBus must be a whole number of a bus's label from 0 to 99, not 'x'/;
wrong "ClownTalkBus $_ sim", qr/ from 0 to 99, not '$_'/ for -1, 100, '1.5', '0x1';
wrong "ClownTalkBus 0 $_", qr{ClownTalkBus: .*/dev/i2c-N.*sim.*not '\Q$_\E'}
    for 'i2c-1', '/dev/ttyS0', 'simulated', '/dev/i2c-', '/dev/i2c-1x', '/dev/i2c-../x';
wrong "ClownTalkBus 0 sim $_", qr/ClownTalkBus: a bus's option must be modules=bigclown or modules=none, not '$_'/
    for 'modules', 'modules=', 'modules=grove', 'bigclown';
wrong "ClownTalkBus 0 sim\nClownTalkDevice relay/i2c0-20-0 pcf8574 pin=3\nClownTalkDevice relay/i2c0-20-3 pcf8574",
    qr{pin 3 of this pcf8574 is relay/i2c0-20-0's already; a pin has one relay};
wrong "ClownTalkBus 0 sim\nClownTalkBus 0 /dev/i2c-1", qr{ClownTalkBus 0 stands twice for node nodes/bridge/0};
wrong 'ClownTalkBus 0 sim', qr/ClownTalkBus not allowed in (?:Location|<Location> context)|cannot occur within/i, 1;

wrong "<ClownTalkNode $_>\n</ClownTalkNode>", qr{<ClownTalkNode NAME> takes one name of letters.*as in nodes/bridge/1}
    for 'UPPER', 'a//b', '/a', 'a/', 'a b', '', 'a_b', 'x' x 65;
wrong "<ClownTalkNode a>\n<ClownTalkNode b>\n</ClownTalkNode>\n</ClownTalkNode>", qr/<ClownTalkNode> \(line \d+\) cannot stand in <ClownTalkNode>/;

# What describes no node would hold for every node, and cannot stand in the section of one: of ours, what docs/directives.md does not
# call "Server, node", and all of other modules.
{
    my $docs = ClownTalk::Httpd::read_file(ClownTalk::Settings->get('srcdir') . '/docs/directives.md');
    my %kind = $docs =~ /^### (\w+)\n\n(?:    .*\n)+\n([\w, ]+)\./mg;
    my %value = (ClownTalkHandler => 'echo', ClownTalkOrigin => '*', ClownTalkStateDir => '/nonexistent', ClownTalkHubSocket => 'x.sock',
        ClownTalkBus => '0 sim', ClownTalkDevice => 'relay/i2c0-3b', ClownTalkLED => 'sim', ClownTalkPublishInterval => 'relay 60',
        ClownTalkDetach => 'On', ClownTalkIOUring => 'On', ClownTalkControl => 'On', ClownTalkRawI2C => 'On', ClownTalkDeflate => 'On',
        ClownTalkRequireOpening => 'On', ClownTalkMaxMessage => 16384, ClownTalkBacklog => 65536);
    is grep({ $_ eq 'Server, node' } values %kind), 5, 'five directives describe a node';
    for my $directive (sort keys %kind) {
        my $line = $directive . ' ' . ($value{$directive} // 60);
        if ($kind{$directive} eq 'Server, node') {
            right '<ClownTalkNode b>', $line, '</ClownTalkNode>';
        } else {
            wrong "<ClownTalkNode b>\n$line\n</ClownTalkNode>", qr/$directive \(line \d+\) cannot stand in <ClownTalkNode>, where only /;
            right $line;
        }
    }
    wrong "<ClownTalkNode b>\n$_\n</ClownTalkNode>", qr/cannot stand in <ClownTalkNode>/
        for 'ServerAdmin a@b.example', "<Location \"/x\">\nClownTalkControl On\n</Location>";
    right '<ClownTalkNode b>', '<IfModule clowntalk_module>', 'ClownTalkBus 0 sim', '</IfModule>', '</ClownTalkNode>';
}

wrong 'ClownTalkDevice', qr/ClownTalkDevice takes TOPIC \[DRIVER\] \[OPTION=VALUE \.\.\.\]/;
wrong 'ClownTalkDevice nonsense', qr{ClownTalkDevice: a device must be named TYPE/i2cBUS-ADDRESS, such as relay/i2c0-20};
wrong 'ClownTalkDevice relay/i2c0-78', qr/an address must be 08 to 77, not 78/;
wrong 'ClownTalkDevice relay/i2c0-20 nosuchchip', qr/a relay's driver must be one of .*tca9534a.*, or none, not 'nosuchchip'/;
wrong 'ClownTalkDevice kettle/i2c0-20', qr/a device's type must be one of .*relay.*thermometer.*not 'kettle'/;
wrong 'ClownTalkDevice relay/i2c0-3b tca9534a flavour=vanilla', qr/ClownTalkDevice: .*flavour/;

wrong 'ClownTalkLED led0', qr{ClownTalkLED must be a directory such as /sys/class/leds/ACT, or sim, not 'led0'};

wrong 'ClownTalkPublishInterval thermometer', qr/ClownTalkPublishInterval takes two arguments/;
wrong "ClownTalkPublishInterval thermometer $_", qr/ClownTalkPublishInterval.*(?:must be 0\.1 to 86400 seconds|a number of seconds)/
    for '0', '0.09', '86401', '-1', 'often', 'nan', '1s', 'inf';
wrong 'ClownTalkPublishInterval kettle 1', qr/the type must be one of .*thermometer.*not 'kettle'/;

wrong "ClownTalkRescan $_", qr/ClownTalkRescan must be a whole number of seconds from 0 to 86400, not '$_'/
    for '-1', '86401', '1.5', 'never';
wrong 'ClownTalkHubSocket ' . 'x' x 120, qr/ClownTalkHubSocket must be a path of less than 108 bytes/;
wrong "ClownTalkMaxConnections $_", qr/ClownTalkMaxConnections must be a whole number of connections .* from 0 to 1000000, not '$_'/
    for '-1', '1000001', 'many', '10x';
for my $directive (qw(ClownTalkMaxUserConnections ClownTalkMaxAddressConnections)) {
    wrong "$directive $_", qr/$directive must be a whole number of connections .* from 0 to 65535, not '$_'/
        for '-1', '65536', 'many', '10x';
    wrong "$directive 1", qr/ not allowed in | cannot occur within /, 1;
}
for my $directive (qw(ClownTalkUserRate ClownTalkAddressRate)) {
    wrong "$directive $_", qr/$directive must be a number of requests \(0: no limit\) a second from 0\.1 to 1000000, as in 50\/s, not '\Q$_\E'/
        for '0/s', '0.09', '1000001', '50/min', '-1', 'fast', '/s', 'nan', '50/s/s';
    wrong "$directive 50/s $_", qr/$directive must be a whole number of requests at once from 1 to 100000000, not '$_'/
        for 0, -1, 100000001, 'x', '1.5';
    wrong "$directive 1", qr/ not allowed in | cannot occur within /, 1;
}
wrong $_, qr/ not allowed in | cannot occur within /, 1
    for 'ClownTalkLED sim', 'ClownTalkPublishInterval thermometer 1', 'ClownTalkRescan 1', 'ClownTalkStateDir /tmp',
        'ClownTalkHubSocket x', 'ClownTalkMaxConnections 1', 'ClownTalkDevice relay/i2c0-3b';

for my $directive (qw(ClownTalkDetach ClownTalkIOUring)) {
    wrong "$directive perhaps", qr/$directive must be On or Off/;
    wrong "$directive Off", qr/ not allowed in | cannot occur within /, 1;
}

# ---- the clients of a location ----

for my $in_location (0, 1) {
    wrong 'ClownTalkHandler', qr/ClownTalkHandler takes one argument, what handles the messages: i2c, echo/, $in_location;
    wrong 'ClownTalkHandler teapot', qr/ClownTalkHandler must be one of (?:i2c, echo|echo, i2c), not 'teapot'/, $in_location;
    for my $directive (qw(ClownTalkControl ClownTalkRawI2C)) {
        wrong qq($directive $_), qr/$directive must be On, Off or an expression in quotation marks/, $in_location
            for 'perhaps', '"%{REMOTE_USER"', '"a == "';
    }
    wrong "ClownTalkOrigin $_", qr/ClownTalkOrigin must be same, \* or a list of origins/, $in_location
        for '', 'example.com', 'https://', 'https://a.example/', 'https://a.example:0', 'https://a.example:65536',
            'https://*.example.com', 'null', '"* same"', '* https://a.example', 'same *', 'https://u@a.example';
    wrong 'ClownTalkRequireOpening maybe', qr/ClownTalkRequireOpening must be On or Off/, $in_location;
    wrong 'ClownTalkDeflate 9', qr/ClownTalkDeflate must be On or Off/, $in_location;
    wrong "ClownTalkMaxMessage $_", qr/ClownTalkMaxMessage must be a whole number of bytes from 125 to 1073741824, not '$_'/,
        $in_location for 0, 124, 1073741825, '16k', '1.5e1', '99999999999999999999', '-1';
    wrong "ClownTalkRate $_", qr/ClownTalkRate must be .* from 0\.1 to 1000000, as in 50\/s, not '\Q$_\E'/, $in_location
        for 0, '0/s', '0.09', '1000001', '50/min', '-1', 'fast', '/s', 'nan', '50/s/s';
    wrong "ClownTalkRate 50/s $_", qr/ClownTalkRate must be a whole number of requests at once from 1 to 1000000, not '$_'/,
        $in_location for 0, -1, 1000001, 'x', '1.5';
    wrong "ClownTalkBacklog $_", qr/ClownTalkBacklog must be a whole number of bytes from 1024 to 1073741824, not '$_'/,
        $in_location for 0, 1023, 1073741825, '1M';
    wrong "ClownTalkPing $_", qr/ClownTalkPing must be a whole number of seconds \(or auto\) from 0 to 86400, not '$_'/,
        $in_location for -1, 86401, '30s', 'never', '0.5';
    wrong "ClownTalkMaxAge $_", qr/ClownTalkMaxAge must be a whole number of seconds .* from 0 to 31536000, not '$_'/,
        $in_location for -1, 31536001, '1h';
}

# ---- what is right: the bounds, and every form ----

right 'ClownTalkBus 0 /dev/i2c-1 modules=bigclown', 'ClownTalkBus 2 /dev/i2c-usb', 'ClownTalkBus 1 sim modules=none';
right 'ClownTalkBus 0 sim', 'ClownTalkBus 99 /dev/i2c-0', "<ClownTalkNode a/b-c.9>\nClownTalkBus 0 sim\n</ClownTalkNode>";
right '<VirtualHost *:80>', 'ClownTalkBus 0 sim', 'ClownTalkLED sim', '</VirtualHost>';
right 'ClownTalkLED /sys/class/leds/ACT', 'ClownTalkPublishInterval thermometer 0.1',
    'ClownTalkPublishInterval relay 86400', 'ClownTalkRescan 0', 'ClownTalkRescan 86400', 'ClownTalkRescan 60.0', 'ClownTalkRescan 6e1', 'ClownTalkMaxConnections 0',
    'ClownTalkMaxConnections 1000000', 'ClownTalkMaxUserConnections 0', 'ClownTalkMaxAddressConnections 65535',
    'ClownTalkUserRate 0', 'ClownTalkUserRate 0.1', 'ClownTalkAddressRate 1000000/s 100000000', 'ClownTalkAddressRate 50/s 1', 'ClownTalkHubSocket x.sock', 'ClownTalkStateDir /nonexistent',
    'ClownTalkDetach on', 'ClownTalkIOUring OFF';
right 'ClownTalkDevice relay/i2c0-3b', 'ClownTalkDevice relay/i2c0-3f tca9534a', 'ClownTalkDevice thermometer/i2c0-49 none';
right 'ClownTalkHandler i2c', 'ClownTalkHandler echo', 'ClownTalkControl on', 'ClownTalkControl OFF',
    q(ClownTalkControl "%{REMOTE_USER} == 'clown'"), q(ClownTalkRawI2C "-R '10.0.0.0/8'"),
    'ClownTalkOrigin same', 'ClownTalkOrigin *', 'ClownTalkOrigin https://a.example http://b:8080 Same https://[::1]:8443',
    'ClownTalkRequireOpening on', 'ClownTalkDeflate off', 'ClownTalkMaxMessage 125', 'ClownTalkMaxMessage 1073741824',
    'ClownTalkRate 0.1', 'ClownTalkRate 1000000/s 1000000', 'ClownTalkRate 50/s 1', 'ClownTalkBacklog 1024',
    'ClownTalkBacklog 1073741824', 'ClownTalkPing 0', 'ClownTalkPing auto', 'ClownTalkPing 86400', 'ClownTalkMaxAge 0',
    'ClownTalkMaxAge 31536000';

# ---- .htaccess may not say any of it ----

mkdir $server->dir . '/htdocs/sub';
ClownTalk::Httpd::write_file($server->dir . '/htdocs/sub/.htaccess', "SetHandler clowntalk\nClownTalkControl On\n");
$server->configure(config => "<Directory \"\@documentroot\@\">\nAllowOverride All\n</Directory>\n")->start;
my $log = $server->log;
LWP::UserAgent->new(timeout => 20)->get($server->url('http', '/sub/'));
like $log->wait_line(qr/\.htaccess/), qr/ClownTalkControl not allowed here/, 'in .htaccess: not allowed';

done_testing;
