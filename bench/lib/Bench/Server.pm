# The servers that the benchmark compares, and how each is started, looked at and ended.
#
#   my $server = Bench::Server->new('clowntalk', %context);
#   $server->start;
#   ... $server->port('wss'), $server->path('echo'), $server->memory ...
#   $server->stop;
#
# Each gets all it needs in a directory of its own, which is gone, with every process that it has
# started, when the object is. Processes are found by a mark in their environment, as in the tests.
package Bench::Server;

use strict;
use warnings;

use File::Path qw(remove_tree);
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(:sys_wait_h setsid);
use Scalar::Util qw(weaken);
use Time::HiRes qw(time sleep);

use ClownTalk::Httpd;
use ClownTalk::Settings;

use constant PATIENCE => 30;      # seconds, for start and stop
use constant PINS => 16;          # of a board of relays
use constant DESCRIPTORS => 25000;    # a proxied connection takes two

# Worker threads that proxied connections take, one each: as children of this many threads.
use constant PROXY_THREADS => 512;

# In the order in which they run. `what` is how tables name them.
my %KINDS = (
    clowntalk => {what => 'mod_clowntalk',                  programs => \&clowntalk},
    proxy     => {what => 'mod_proxy to Node `ws`',         programs => \&proxy},
    ws        => {what => 'Node `ws`',                      programs => \&ws},
    epoll     => {what => 'bare epoll in C',                programs => \&epoll},
);
use constant NAMES => qw(clowntalk proxy ws epoll);

sub what { return $KINDS{$_[1]}{what} }

my %alive;
END {
    local $?;
    $_->destroy for grep { defined } values %alive;
}

# new(NAME, connections => how many it will have to take, bench => the build's bench directory,
#     sources => the tree's, modules => {clowntalk => FILE, clowntalk_broadcast => FILE},
#     relays => how many plain relays there are on a second bus, for mod_clowntalk)
sub new {
    my ($class, $name, %context) = @_;

    die "a server must be one of @{[NAMES]}, not '$name'\n" unless $KINDS{$name};
    my $dir  = ClownTalk::Httpd::scratch_dir('bench');
    my $port = ClownTalk::Httpd::free_ports(4);
    my %ports = (ws => $port, wss => $port + 1, backend => $port + 2, unused => $port + 3);
    my $self = bless {%context, name => $name, dir => $dir, mark => "bench:$dir", pids => [],
        ports => \%ports}, $class;
    weaken($alive{$dir} = $self);
    return $self;
}

sub port { return $_[0]{ports}{$_[1]} }

# Where it echoes, where it echoes or sends to all, and where it speaks Clown.Talk: with those who may switch ('relay'), and with
# those who may not ('reader').
sub path {
    my ($self, $what) = @_;

    return '/' unless $self->{name} eq 'clowntalk';
    return {
        relay  => '/clown-talk-server_nodes_bridge_0',
        reader => '/reader/clown-talk-server_nodes_bridge_0',
    }->{$what} || "/$what";
}

# ---- what each consists of: commands, and ports that show that they are up ----

sub epoll {
    my ($self) = @_;
    my ($certificate, $key) = ClownTalk::Httpd::certificate();

    return {
        command => [
            "$self->{bench}/epoll_echo", "--port=$self->{ports}{ws}",
            "--tls-port=$self->{ports}{wss}", "--certificate=$certificate", "--key=$key",
        ],
        ports => [@{$self->{ports}}{qw(ws wss)}],
    };
}

sub node {
    my ($self, @ports) = @_;
    my ($certificate, $key) = ClownTalk::Httpd::certificate();

    return {
        command => [ClownTalk::Settings->get('node'), "$self->{sources}/ws_server.js", @ports,
            $certificate, $key],
        ports       => \@ports,
        environment => {NODE_PATH => "$self->{bench}/node/node_modules"},
    };
}

sub ws { my ($self) = @_; return $self->node(@{$self->{ports}}{qw(ws wss)}) }

# What an Apache user does without this module. A proxied WebSocket holds a worker thread, so there
# must be one per connection; children of many threads take less memory than many small children.
sub proxy {
    my ($self) = @_;

    my $children = 1 + int(($self->{connections} + 100) / PROXY_THREADS);
    return (
        $self->node(@{$self->{ports}}{qw(backend unused)}),
        $self->httpd(
            ['proxy', 'proxy_http'],
            <<"END", <<"END"),
ThreadLimit         ${\PROXY_THREADS}
ServerLimit         $children
StartServers        1
ThreadsPerChild     ${\PROXY_THREADS}
MinSpareThreads     ${\(PROXY_THREADS / 4)}
MaxSpareThreads     ${\($children * PROXY_THREADS)}
MaxRequestWorkers   ${\($children * PROXY_THREADS)}
END
ProxyPass "/" "http://127.0.0.1:$self->{ports}{backend}/" upgrade=websocket
ProxyTimeout 600
END
    );
}

# One child, and in it one thread that carries all sessions: as many threads at work as in the
# servers beside it.
sub clowntalk {
    my ($self) = @_;

    ClownTalk::Httpd::make_writable_dir("$self->{dir}/state");
    my $relays = $self->relays;
    return $self->httpd([qw(clowntalk clowntalk_broadcast)], <<"END", <<"END");
ServerLimit              1
StartServers             1
ThreadsPerChild         25
MinSpareThreads          1
MaxRequestWorkers       25
AsyncRequestWorkerFactor 1000
ClownTalkBus 0 sim
ClownTalkStateDir "$self->{dir}/state"
$relays
END
<Location "/echo">
    SetHandler clowntalk
    ClownTalkHandler echo
</Location>
<Location "/broadcast">
    SetHandler clowntalk
    ClownTalkHandler broadcast
</Location>
<LocationMatch "^/clown-talk-server_">
    SetHandler clowntalk
    ClownTalkControl On
</LocationMatch>
<Location "/reader">
    SetHandler clowntalk
</Location>
END
}

# A bus of relay boards, and the directives for it.
sub relays {
    my ($self) = @_;
    my $count = $self->{relays} or return '';
    my @chips = map { sprintf '%x', 0x20 + $_ } 0 .. ($count - 1) / PINS;

    ClownTalk::Httpd::write_file("$self->{dir}/relays.json", encode_json(
        {chips => [map { {chip => 'mcp23017', address => $_} } @chips]}));
    return join "\n", qq(ClownTalkBus 1 "sim:$self->{dir}/relays.json"), map {
        my $pin = $_ % PINS;
        "ClownTalkDevice relay/i2c1-$chips[$_ / PINS]-$pin mcp23017 pin=$pin"
    } 0 .. $count - 1;
}

sub load_module {
    my ($self, $name) = @_;

    return '' if ClownTalk::Httpd::is_static($name);
    my $file = $self->{modules}{$name} || ClownTalk::Settings->get('modulesdir') . "/mod_$name.so";
    die "there is no module $file\n" unless -e $file;
    return "LoadModule ${name}_module \"$file\"\n";
}

# $server: directives of the whole server, $hosts: of both its hosts, plain and TLS.
sub httpd {
    my ($self, $modules, $server, $hosts) = @_;
    my $dir = $self->{dir};
    my ($user, $group) = ClownTalk::Httpd::run_as();
    my ($certificate, $key) = ClownTalk::Httpd::certificate();
    my $load = join '', map { $self->load_module($_) }
        qw(mpm_event authn_core authz_core log_config reqtimeout ssl unixd), @$modules;

    ClownTalk::Httpd::write_file("$dir/httpd.conf", <<"END");
$load
ServerRoot "$dir"
ServerName localhost
User  $user
Group $group
PidFile httpd.pid
DefaultRuntimeDir "$dir"
Mutex file:$dir default
ErrorLog error_log
CustomLog access_log "%h %l %u %t \\"%r\\" %>s %b"
ListenBacklog 4096
$server
Listen 127.0.0.1:$self->{ports}{ws}
Listen 127.0.0.1:$self->{ports}{wss}
<Directory />
    Require all granted
</Directory>
<VirtualHost 127.0.0.1:$self->{ports}{ws}>
$hosts
</VirtualHost>
<VirtualHost 127.0.0.1:$self->{ports}{wss}>
$hosts
SSLEngine on
SSLCertificateFile "$certificate"
SSLCertificateKeyFile "$key"
</VirtualHost>
END
    return {
        command => [ClownTalk::Httpd::program($dir), '-f', "$dir/httpd.conf", '-DFOREGROUND'],
        ports   => [@{$self->{ports}}{qw(ws wss)}],
    };
}

# ---- life ----

sub start {
    my ($self) = @_;

    for my $program ($KINDS{$self->{name}}{programs}->($self)) {
        push @{$self->{pids}}, $self->spawn($program);
        $self->wait_until('an answer', sub { $self->check_running; answers(@{$program->{ports}}) });
    }
    return $self;
}

# Starts a program in a session of its own, allowed more descriptors where that is possible.
sub spawn {
    my ($self, $program) = @_;

    my $pid = fork;
    die "fork: $!\n" unless defined $pid;
    return $pid if $pid;
    setsid();
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
    %ENV = (%ENV, %{$program->{environment} || {}}, ClownTalk::Httpd::MARK() => $self->{mark});
    open STDIN,  '<',  '/dev/null';
    open STDOUT, '>>', "$self->{dir}/output";
    open STDERR, '>&', \*STDOUT;
    my $raise = sprintf 'ulimit -n %d 2>/dev/null || ulimit -n $(ulimit -H -n); exec "$@"',
        DESCRIPTORS;
    exec '/bin/sh', '-c', $raise, 'sh', @{$program->{command}} or POSIX::_exit(127);
}

# Whether a request on the first port gets an answer, if only the end of the connection, and the
# others can be connected to. Listening is not enough: httpd does that before it has children.
sub answers {
    my ($first, @others) = @_;

    for my $port (@others) {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 2) or return 0;
    }
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $first, Timeout => 2)
        or return 0;
    syswrite $socket, "GET / HTTP/1.0\r\n\r\n";
    return IO::Select->new($socket)->can_read(PATIENCE) ? 1 : 0;
}

sub check_running {
    my ($self) = @_;

    for my $pid (@{$self->{pids}}) {
        die "$self->{name} has ended:\n" . $self->log_end if waitpid($pid, WNOHANG) == $pid;
    }
}

sub wait_until {
    my ($self, $what, $condition) = @_;

    my $deadline = time + PATIENCE;
    until ($condition->()) {
        die "$self->{name}: waited in vain for $what:\n" . $self->log_end if time > $deadline;
        sleep 0.02;
    }
}

sub log_end {
    my ($self) = @_;

    my @lines = map { split /^/, ClownTalk::Httpd::read_file($_) }
        grep { -e $_ } map { "$self->{dir}/$_" } qw(output error_log);
    splice @lines, 0, @lines - 20 if @lines > 20;
    return join '', @lines;
}

sub processes { return ClownTalk::Httpd::marked_processes($_[0]{mark}) }

# Bytes that all its processes together take, shared pages divided among those that share them.
sub memory {
    my ($self) = @_;

    my $total = 0;
    for my $pid ($self->processes) {
        open my $fh, '<', "/proc/$pid/smaps_rollup" or die "/proc/$pid/smaps_rollup: $!\n";
        my ($pss) = map { /^Pss:\s+(\d+) kB/ ? $1 : () } <$fh>
            or die "/proc/$pid/smaps_rollup has no Pss\n";
        $total += 1024 * $pss;
    }
    return $total;
}

# Crashes and whatever else ended a process before its time: lines of the error log.
sub complaints {
    my ($self) = @_;

    return ClownTalk::Httpd::crashes("$self->{dir}/error_log");
}

sub stop {
    my ($self) = @_;

    kill TERM => $_ for @{$self->{pids}};
    my @left = ClownTalk::Httpd::wait_for_end($self->{mark}, PATIENCE);
    kill KILL => $_ for @left;
    waitpid $_, 0 for splice @{$self->{pids}};
    die "$self->{name} did not end: killed @left\n" if @left;
}

sub destroy {
    my ($self) = @_;

    return if $self->{destroyed}++;
    delete $alive{$self->{dir}};
    local $@;
    eval { $self->stop };
    remove_tree($self->{dir});
}

sub DESTROY {
    my ($self) = @_;

    local ($@, $!, $?);
    $self->destroy;
}

1;
