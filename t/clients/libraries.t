# Client libraries as their users call them: connect over TLS, open, switch a relay, and get back texts of 0 bytes to 16 MiB;
# with their defaults, and with compression where they have it. The programs are beside this file; docs/clients.md has the line
# that connects.
use strict;
use warnings;

use FindBin qw($RealBin);
use Test::More;

use ClownTalk::Httpd;
use ClownTalk::Process;
use ClownTalk::Server;
use ClownTalk::Settings;

use constant TIMEOUT => 20;                  # seconds for a program
use constant PYTHON  => '/usr/bin/python3';  # Debian's, whose packages these are

my @SAYS = ('ok opening', 'ok relay', map { "ok echo $_" } 0, 125, 126, 65_536, 1_048_576, 16_777_216);

my $node    = ClownTalk::Settings->get('node');
my $scratch = ClownTalk::Httpd::scratch_dir('clients');
END { ClownTalk::Httpd::run_quietly('rm', '-rf', $scratch) if defined $scratch }

# The library's name, the command, whether it can compress only when asked to ("ask"), does so by default ("always") or
# cannot; and for one that is left out where it is not installed, a program that it needs.
my @CLIENTS = (
    ['Mojo::UserAgent',  [$^X, 'with_mojolicious.pl'],          'ask'],
    ['tornado',          [PYTHON, 'with_tornado.py'],           'ask'],
    ['aiohttp',          [PYTHON, 'with_aiohttp.py'],           'ask'],
    ['websockets',       [PYTHON, 'with_websockets.py'],        'always'],
    ['websocket-client', [PYTHON, 'with_websocket_client.py'],  'never'],
    ['ws4py',            [PYTHON, 'with_ws4py.py'],             'never'],
    ['Qt',               [PYTHON, 'with_qt.py'],                'never'],
    ['libwebsockets',    [\&compile_libwebsockets],             'ask'],
    ['ws',               [$node, 'with_ws.mjs'],                'always'],
    ['undici',           [$node, 'with_undici.mjs'],            'always'],
    ['java.net.http',    ['java', 'WithJava.java'],             'never', 'javac'],
);

my $server = ClownTalk::Server->new(config => ClownTalk::Process::ONE_CHILD . <<'END')->start;
ClownTalkBus      0 sim
LogFormat         "%{Origin}i, %{Sec-WebSocket-Extensions}i" handshake
CustomLog         "@t_logs@/handshakes" handshake
<Location "/">
    SetHandler        clowntalk
    ClownTalkControl  On
    AuthType          Basic
    AuthName          "@realm@"
    AuthBasicProvider file
    AuthUserFile      "@t_conf@/htpasswd"
    Require           valid-user
</Location>
<Location "/echo">
    ClownTalkHandler    echo
    ClownTalkMaxMessage 16777216
</Location>
END
my $url = $server->url('wss', '', join ':', ClownTalk::Httpd::USER, ClownTalk::Httpd::PASSWORD);
my ($certificate) = ClownTalk::Httpd::certificate();
$ENV{PYTHONDONTWRITEBYTECODE} = 1;    # the tree may be read-only
chdir $RealBin or die "$RealBin: $!";

sub compile_libwebsockets {
    my $program = "$scratch/with_libwebsockets";
    my $said    = ClownTalk::Httpd::run_quietly(ClownTalk::Settings->get('cc'), '-o', $program, 'with_libwebsockets.c', '-lwebsockets');

    return $? ? ('echo', $said) : $program;
}

sub is_installed {
    my ($program) = @_;

    return grep { -x "$_/$program" } split /:/, $ENV{PATH};
}

# What the last client has said of itself in the handshake.
sub handshake {
    my @lines = split /\n/, ClownTalk::Httpd::read_file($server->dir . '/logs/handshakes');
    return $lines[-1];
}

sub try_client {
    my ($name, $command, @more) = @_;

    my $output = ClownTalk::Httpd::run_quietly('timeout', TIMEOUT, @$command, $url, $certificate, @more);
    my $status = $?;
    my ($version) = $output =~ /^version (.*)$/m;
    my @said = $output =~ /^(ok .*?)\s*$/mg;
    ok !$status && "@said" eq "@SAYS", "$name " . ($version // '') . (@more ? ', compressing' : '')
        or diag $status >> 8 == 124 ? 'no answer in ' . TIMEOUT . " seconds\n" : '', $output;
    note handshake();
}

for my $client (@CLIENTS) {
    my ($name, $command, $compresses, $needs) = @$client;
    SKIP: {
        skip "$name: no $needs", 1 if defined $needs && !is_installed($needs);
        my @command = map { ref ? $_->() : $_ } @$command;
        try_client($name, \@command);
        is handshake() =~ /permessage-deflate/, $compresses eq 'always', "$name: whether it compresses by default";
        next if $compresses ne 'ask';
        try_client($name, \@command, 'deflate');
        like handshake(), qr/permessage-deflate/, "$name: it has offered compression";
    }
}
is $server->stop, 0, 'the server ends';

done_testing;
