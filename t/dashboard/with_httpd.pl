#!/usr/bin/perl
# Runs a command with a real httpd beside it: the dashboard over TLS, a simulated bus, and the
# variables of target.js, so that the browser tests use it instead of mock.js.
#
#   eval "$(node t/dashboard/prepare.js)"
#   perl t/dashboard/with_httpd.pl node --test t/dashboard/1*.test.js
#
# The command can ask for more through the socket CLOWNTALK_CONTROL: stop, start, restart, kill-hub.
# The exit status is the command's.
use strict;
use warnings;

use FindBin qw($RealBin);
use lib "$RealBin/../lib";

use IO::Select;
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);

use ClownTalk::Httpd;
use ClownTalk::Server;

my $page = $ENV{CLOWNTALK_DASHBOARD} or die "CLOWNTALK_DASHBOARD is not set: see prepare.js\n";

# Documents are copied: the server's user may not be able to read the build directory.
sub copy_page {
    my ($to) = @_;

    for my $file (glob "$page/*") {
        my ($name) = $file =~ m{([^/]+)$};
        ClownTalk::Httpd::write_file("$to/$name", ClownTalk::Httpd::read_file($file));
    }
}

my $server = ClownTalk::Server->new(modules => [qw(dir)], config => <<'END', vhost => <<'END');
ClownTalkBus 0 sim
ClownTalkLED sim
ClownTalkStateDir "@t_state@/clowntalk"
AddType text/javascript js
AddType text/css css
AddType image/svg+xml svg
AddType application/json json
AddType application/manifest+json webmanifest
DirectoryIndex index.html
END
<Location "/">
    AuthType          Basic
    AuthName          "@realm@"
    AuthBasicProvider file
    AuthUserFile      "@t_conf@/htpasswd"
    Require           valid-user
</Location>
<Location "/auth">
    SetHandler clowntalk
    ClownTalkControl "%{REMOTE_USER} == 'clown'"
</Location>
END

# ---- what the command may ask for ----

sub hub {
    for my $pid ($server->processes) {
        open my $fh, '<', "/proc/$pid/comm" or next;
        return $pid if <$fh> eq "clowntalk-hub\n";
    }
    return;
}

sub kill_hub {
    my $old;

    $server->wait_until('a hub', sub { $old = hub() });
    kill KILL => $old or die "kill $old: $!";
}

sub restart {
    my %before = map { $_ => 1 } $server->children;

    $server->graceful;
    $server->wait_until('new children in place of all the old ones', sub {
        my @now = $server->children;
        return @now && !grep { $before{$_} } @now;
    });
}

my %verbs = (
    'stop'     => sub { $server->stop },
    'start'    => sub { $server->start },
    'restart'  => \&restart,
    'kill-hub' => \&kill_hub,
);

sub answer {
    my ($peer) = @_;

    chomp(my $word = <$peer> // '');
    my $verb = $verbs{$word};
    my $ok = $verb && eval { $verb->(); 1 };
    print $peer $ok ? "ok\n" : 'failed: ' . ($verb ? $@ : "no such word, '$word'") . "\n";
}

# ---- the command ----

copy_page($server->dir . '/htdocs');
$server->start;
my $path = $server->dir . '/control';
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die "$path: $!";

$ENV{CLOWNTALK_URL}     = $server->url('https', '/');
$ENV{CLOWNTALK_USER}    = 'clown:bigclown';
$ENV{CLOWNTALK_GUEST}   = 'reader:readonly';
$ENV{CLOWNTALK_CONTROL} = $path;

my $command = fork;
die "fork: $!" unless defined $command;
unless ($command) {
    exec {$ARGV[0]} @ARGV or POSIX::_exit(127);
}
my $ready = IO::Select->new($listener);
until (waitpid($command, WNOHANG) == $command) {
    for ($ready->can_read(0.2)) {
        my $peer = $listener->accept or next;
        answer($peer);
    }
}
my $status = $? & 127 ? 1 : $? >> 8;
$server->destroy;
exit $status;
