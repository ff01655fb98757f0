# An httpd of a test's own, for what the suite's common server cannot be asked to do: other
# configuration, restarts, kills. It lives in a directory of its own and is gone, with all that it has
# started, when the object is.
#
#   my $server = ClownTalk::Server->new(config => 'ClownTalkBus 0 sim ...');
#   $server->start;
#   my $client = ClownTalk::Client->connect($server->url('wss', '/auth/...'));
#   $server->graceful;
package ClownTalk::Server;

use strict;
use warnings;

use Carp qw(croak);
use File::Path qw(remove_tree);
use IO::Socket::INET;
use POSIX qw(:sys_wait_h setsid);
use Scalar::Util qw(weaken);
use Test::Builder;
use Time::HiRes qw(time);

use ClownTalk::Httpd;
use ClownTalk::Log;
use ClownTalk::Process;
use ClownTalk::Settings;

use constant TIMEOUT => 30;    # seconds, for start and stop

# Servers that exist, by directory: a test that is interrupted ends them too.
my %alive;
$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);
END {
    local $?;
    $_->destroy for grep { defined } values %alive;
}

# new(mpm => NAME, modules => [more of httpd's own], config => TEXT, vhost => TEXT, descriptors => N)
#
# config stands at the end of the server's configuration, vhost in both of its hosts: the plain one
# (port) and the one with TLS (tls_port). In both texts @name@ stands for what vars() lists. With
# descriptors, each of its processes may open that many and no more.
sub new {
    my ($class, %arg) = @_;

    my $self = bless {
        mpm     => $arg{mpm} || $ENV{CLOWNTALK_MPM} || 'event',
        modules => $arg{modules} || [],
        config  => defined $arg{config} ? $arg{config} : '',
        vhost   => defined $arg{vhost} ? $arg{vhost} : '',
        descriptors => $arg{descriptors},
        dir     => ClownTalk::Httpd::scratch_dir('private'),
    }, $class;
    $self->{mark} = join ':', $ENV{ClownTalk::Httpd::MARK()} || 'test', $self->{dir};
    @$self{qw(port tls_port)} = do { my $first = ClownTalk::Httpd::free_ports(2); ($first, $first + 1) };
    weaken($alive{$self->{dir}} = $self);
    mkdir "$self->{dir}/$_" or croak "$self->{dir}/$_: $!" for qw(conf htdocs logs);
    ClownTalk::Httpd::make_writable_dir("$self->{dir}/$_") for qw(state state/clowntalk);
    ClownTalk::Httpd::write_file("$self->{dir}/htdocs/index.html", "welcome\n");
    ClownTalk::Httpd::write_file("$self->{dir}/conf/mime.types", "text/html html\n");
    ClownTalk::Httpd::write_passwords("$self->{dir}/conf");
    $self->{program} = ClownTalk::Httpd::program($self->{dir});
    $self->configure;
    return $self;
}

# What @name@ in a configuration stands for; the names are Apache::Test's where it has one.
sub vars {
    my ($self) = @_;
    my $dir = $self->{dir};
    my ($certificate, $key) = ClownTalk::Httpd::certificate();

    return {
        port         => $self->{port},
        tls_port     => $self->{tls_port},
        serverroot   => $dir,
        documentroot => "$dir/htdocs",
        t_conf       => "$dir/conf",
        t_logs       => "$dir/logs",
        t_state      => "$dir/state",
        t_pid_file   => "$dir/logs/httpd.pid",
        realm        => ClownTalk::Httpd::REALM,
        certificate  => $certificate,
        certificate_key => $key,
    };
}

# Writes the configuration: the suite's own base (t/conf/httpd.conf.in), then the test's. With
# arguments (config, vhost) it is changed, for the next start or restart.
sub configure {
    my ($self, %arg) = @_;
    my ($user, $group) = ClownTalk::Httpd::run_as();

    $self->{$_} = $arg{$_} for keys %arg;
    my $base = ClownTalk::Httpd::read_file(ClownTalk::Settings->get('srcdir') . '/t/conf/httpd.conf.in');
    my $text = ClownTalk::Httpd::load_modules($self->{mpm}, @{$self->{modules}}) . <<"END";
User       $user
Group      $group
ServerName localhost
$base
<VirtualHost 127.0.0.1:\@port\@>
$self->{vhost}
</VirtualHost>
Listen 127.0.0.1:\@tls_port\@
<VirtualHost 127.0.0.1:\@tls_port\@>
    SSLEngine             on
    SSLCertificateFile    "\@certificate\@"
    SSLCertificateKeyFile "\@certificate_key\@"
$self->{vhost}
</VirtualHost>
$self->{config}
END
    my $vars = $self->vars;
    $text =~ s/\@(\w+)\@/exists $vars->{lc $1} ? $vars->{lc $1} : croak "no variable \@$1\@"/ge;
    ClownTalk::Httpd::write_file("$self->{dir}/conf/httpd.conf", $text);
    return $self;
}

sub command {
    my ($self, @more) = @_;

    return ($self->{program}, '-d', $self->{dir}, '-f', "$self->{dir}/conf/httpd.conf", @more);
}

# `httpd -t`: (whether the configuration is right, what it said).
sub configtest {
    my ($self) = @_;

    my $output = ClownTalk::Httpd::run_quietly($self->command('-t'));
    return ($? == 0, $output);
}

# Starts it and waits until it accepts connections, and signals as well (before it says that it is
# ready, SIGTERM just kills it); dies with the error log's end where it does not.
sub start {
    my ($self) = @_;

    croak 'the server runs already' if $self->{pid};
    my $log = $self->log;
    my $pid = fork;
    croak "fork: $!" unless defined $pid;
    unless ($pid) {
        setsid();
        $ENV{ClownTalk::Httpd::MARK()} = $self->{mark};
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$self->{dir}/logs/output";
        open STDERR, '>&', \*STDOUT;
        my @command = $self->command('-DFOREGROUND');
        unshift @command, 'sh', '-c', "ulimit -n $self->{descriptors} && exec \"\$\@\"", 'sh' if $self->{descriptors};
        exec {$command[0]} @command or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    my ($ended, $ready);
    $self->wait_until('the server to listen', sub {
        $ended = waitpid($pid, WNOHANG) == $pid and return 1;
        $ready ||= $log->fresh(qr/resuming normal operations/);
        return $ready && $self->listens;
    });
    if ($ended) {
        delete $self->{pid};
        croak "httpd did not start:\n" . $self->log_end;
    }
    return $self;
}

sub listens {
    my ($self) = @_;

    for my $port (@$self{qw(port tls_port)}) {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 2) or return 0;
    }
    return 1;
}

# url('wss', '/path'), url('wss', '/path', 'clown:bigclown')
sub url {
    my ($self, $scheme, $path, $user) = @_;

    my $port = $scheme =~ /^(?:https|wss)$/ ? $self->{tls_port} : $self->{port};
    return "$scheme://" . (defined $user ? "$user\@" : '') . "localhost:$port$path";
}

sub dir { return $_[0]{dir} }
sub pid { return $_[0]{pid} }

# ---- signals ----

sub signal {
    my ($self, $signal) = @_;

    croak 'the server does not run' unless $self->{pid};
    kill $signal => $self->{pid} or croak "kill $signal $self->{pid}: $!";
    return $self;
}

sub graceful      { return $_[0]->signal('USR1') }
sub restart       { return $_[0]->let_go->signal('HUP') }
sub graceful_stop { return $_[0]->signal('WINCH') }

# Stops it, and waits until the parent and all that it has started are gone.
sub stop {
    my ($self) = @_;

    return unless $self->{pid};
    $self->let_go->signal('TERM');
    return $self->wait_exit;
}

# Waits, two seconds at most, until httpd has ended the connections whose clients are gone. The event MPM
# may crash where it is told to stop ungracefully at the moment in which a worker ends a connection: it
# closes the sockets that its workers are busy with, one of which is freed already.
# docs/testing.md tells how to recognize that.
sub let_go {
    my ($self) = @_;

    my $deadline = time + 2;
    while (time < $deadline && ClownTalk::Httpd::abandoned_connections(@$self{qw(port tls_port)})) {
        select undef, undef, undef, 0.01;
    }
    return $self;
}

# Waits for the end after a signal that asks for it; returns the parent's status ($?).
sub wait_exit {
    my ($self, $timeout) = @_;
    my $status;

    $self->wait_until('httpd to end', sub {
        waitpid($self->{pid}, WNOHANG) == $self->{pid} or return 0;
        $status = $?;
        return 1;
    }, $timeout);
    delete $self->{pid};
    my @left = ClownTalk::Httpd::wait_for_end($self->{mark}, $timeout || TIMEOUT);
    croak "httpd ended but left @left:\n" . join '', map { process_line($_) } @left if @left;
    return $status;
}

# ---- processes and logs ----

# All processes of the server, whichever process started them.
sub processes { return ClownTalk::Httpd::marked_processes($_[0]{mark}) }

# Those whose parent is httpd's.
sub children {
    my ($self) = @_;

    return grep { parent_of($_) == $self->{pid} } $self->processes;
}

# Of these, the ones that serve requests, and the processes around the hub: its guardian, and itself.
sub workers  { my ($self) = @_; return grep { ClownTalk::Process::name($_) !~ /^clowntalk-/ } $self->children }
sub guardian { my ($self) = @_; return grep { ClownTalk::Process::name($_) eq 'clowntalk-guard' } $self->processes }
sub hub      { my ($self) = @_; return grep { ClownTalk::Process::name($_) eq 'clowntalk-hub' } $self->processes }

sub parent_of {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return 0;
    my $stat = <$fh>;
    return defined $stat && $stat =~ /\) \S (\d+)/ ? $1 : 0;
}

sub process_line {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/cmdline" or return '';
    local $/;
    return "$pid " . (<$fh> // '') =~ tr/\0/ /r . "\n";
}

# The error log from here on.
sub log { return ClownTalk::Log->new("$_[0]{dir}/logs/error_log") }

sub error_log {
    my ($self) = @_;

    my $file = "$self->{dir}/logs/error_log";
    return -e $file ? ClownTalk::Httpd::read_file($file) : '';
}

# The end of both logs, for a message about a failure.
sub log_end {
    my ($self) = @_;

    my $output = -e "$self->{dir}/logs/output" ? ClownTalk::Httpd::read_file("$self->{dir}/logs/output") : '';
    my @lines = split /^/, $output . $self->error_log;
    splice @lines, 0, @lines - 20 if @lines > 20;
    return join '', @lines;
}

# Waits until the error log says something; returns the match.
sub wait_log {
    my ($self, $pattern, $timeout) = @_;
    my $found;

    $self->wait_until("the error log to say $pattern", sub {
        $self->error_log =~ /($pattern)/ or return 0;
        $found = $1;
        return 1;
    }, $timeout);
    return $found;
}

# Asks a condition, often, until it is true; dies when that takes too long.
sub wait_until {
    my ($self, $what, $condition, $timeout) = @_;

    my $deadline = time + ($timeout || TIMEOUT);
    until ($condition->()) {
        croak "waited in vain for $what:\n" . $self->log_end if time > $deadline;
        select undef, undef, undef, 0.02;
    }
    return 1;
}

# What is remembered in a state directory of a test's own, as soon as that is all: until then a relay is noted as moving, and
# a hub that dies does not know where its contact is. '' where there is no file.
sub remembered {
    my ($self, $dir) = @_;
    my ($notes, $states) = map { "$dir/nodes_bridge_0.$_" } 'moving', 'json';

    $self->wait_until('the states to be recorded',
        sub { -e $notes && ClownTalk::Httpd::read_file($notes) !~ m{^\S+(?: pulse)? *$}m });
    return -e $states ? ClownTalk::Httpd::read_file($states) : '';
}

# The hub, when there is one and no other: a killed one's successor takes a moment.
sub wait_for_hub {
    my ($self) = @_;
    my @hubs;

    $self->wait_until('a hub', sub { (@hubs = $self->hub) == 1 });
    return $hubs[0];
}

# Another hub than that one.
sub next_hub {
    my ($self, $old, $timeout) = @_;
    my $new;

    $self->wait_until('another hub', sub { ($new) = grep { $_ != $old } $self->hub; $new }, $timeout);
    return $new;
}

# What is no failed test if the log says it: a crash that a test has caused.
sub forgive { $_[0]{forgiven} = $_[1]; return $_[0] }

# Ends all of it at once and removes the directory. A crash in the log is a failed test, and keeps it.
sub destroy {
    my ($self) = @_;

    return if $self->{destroyed}++;
    delete $alive{$self->{dir}};
    eval { $self->stop };
    kill KILL => $_ for $self->processes;
    waitpid $self->{pid}, 0 if $self->{pid};
    my @crashes = ClownTalk::Httpd::crashes("$self->{dir}/logs/error_log");
    @crashes = grep { $_ !~ $self->{forgiven} } @crashes if $self->{forgiven};
    if (@crashes) {
        my $builder = Test::Builder->new;
        $builder->ok(0, "no crash is in the error log of $self->{dir}");
        $builder->diag(@crashes);
    } else {
        remove_tree($self->{dir});
    }
}

sub DESTROY {
    my ($self) = @_;

    local ($@, $!, $?);
    $self->destroy;
}

1;
