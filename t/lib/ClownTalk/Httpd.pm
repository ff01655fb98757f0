# What every httpd of the test suite has in common, the one of t/TEST and those that tests start
# themselves (ClownTalk::Server): modules, certificate, users, directories, finding its processes.
package ClownTalk::Httpd;

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Fcntl qw(:flock);
use File::Path qw(make_path);
use File::Spec;
use File::Temp ();
use IO::Socket::INET;
use POSIX ();

use ClownTalk::Settings;

use constant MPMS => qw(event worker prefork);

use constant {
    USER     => 'clown',
    PASSWORD => 'bigclown',
    REALM    => 'Clown.Hub',
};

# Loaded into every server. Nothing of /etc/apache2 is read.
my @MODULES = qw(
    alias auth_basic auth_digest authn_core authn_file authz_core authz_host authz_user dir env
    headers log_config mime reqtimeout rewrite setenvif socache_shmcb ssl status unixd version
);

my $static;

# Modules that are compiled into httpd need no LoadModule, and allow none.
sub is_static {
    my ($name) = @_;

    unless ($static) {
        my $httpd = ClownTalk::Settings->get('httpd');
        $static = {map { /^\s+(?:mod_)?(\w+)\.c$/ ? ($1 => 1) : () } `'$httpd' -l`};
    }
    return $static->{$name};
}

# LoadModule lines: the MPM, the common modules, @more of httpd's own (a name that is not there is an
# error), and the module under test.
sub load_modules {
    my ($mpm, @more) = @_;

    die "the MPM must be one of @{[MPMS]}, not '$mpm'\n" unless grep { $_ eq $mpm } MPMS;
    my $dir = ClownTalk::Settings->get('modulesdir');
    my %seen;
    my $conf = '';
    for my $name (grep { !$seen{$_}++ } @MODULES, @more) {
        next if is_static($name);
        my $file = "$dir/mod_$name.so";
        die "httpd has no module $file\n" unless -e $file;
        $conf .= "LoadModule ${name}_module \"$file\"\n";
    }
    $conf = "LoadModule mpm_${mpm}_module \"$dir/mod_mpm_$mpm.so\"\n$conf" unless is_static($mpm);
    return $conf . 'LoadModule clowntalk_module "' . ClownTalk::Settings->module . "\"\n";
}

# The program to start: httpd itself, or where the module was built with sanitizers, a script around it
# in $dir, since their runtime has to be loaded first. What they find goes to stderr, the error log.
sub program {
    my ($dir) = @_;
    my $httpd = ClownTalk::Settings->get('httpd');

    my $sanitizers = ClownTalk::Settings->get('sanitizers') or return $httpd;
    my @runtime = run_quietly('ldd', ClownTalk::Settings->module)
        =~ m{=> (\S+/lib(?:asan|tsan|ubsan)\.so\S*)}g;
    unless (@runtime) {    # clang links it into programs, not into modules
        my ($machine) = (POSIX::uname())[4];
        my ($kind) = $sanitizers =~ /\b(address|thread)\b/ or die "no runtime for $sanitizers\n";
        my $library = 'libclang_rt.' . ($kind eq 'thread' ? 'tsan' : 'asan') . "-$machine.so";
        @runtime = run_quietly(ClownTalk::Settings->get('cc'), "-print-file-name=$library");
        chomp @runtime;
        die "the compiler has no shared runtime for $sanitizers\n" unless -e $runtime[0];
    }
    if ($sanitizers =~ /\bthread\b/) {
        # What httpd and APR do is none of its business, but that their threads wait for each other.
        my $atomics = ClownTalk::Settings->get('builddir') . '/t/modules/apr_atomics.so';
        my $output  = run_quietly($ENV{MAKE} || 'make', '-C', ClownTalk::Settings->get('builddir'),
            't/modules/apr_atomics.so');
        die "$atomics cannot be built:\n$output" if $?;
        push @runtime, $atomics;
    }
    # httpd itself frees little when it ends, so leaks cannot be recognized. ThreadSanitizer's shadow memory does
    # not fit every randomised address space.
    write_file("$dir/httpd", <<"END");
#!/bin/sh
ASAN_OPTIONS="detect_leaks=0:\$ASAN_OPTIONS"
TSAN_OPTIONS="ignore_noninstrumented_modules=1:\$TSAN_OPTIONS"
export ASAN_OPTIONS TSAN_OPTIONS
exec setarch -R env LD_PRELOAD='@runtime' '$httpd' "\$@"
END
    chmod 0755, "$dir/httpd" or die "$dir/httpd: $!";
    return "$dir/httpd";
}

# Whether httpd has a module at all, for tests that would use it.
sub has_module {
    my ($name) = @_;

    return is_static($name) || -e ClownTalk::Settings->get('modulesdir') . "/mod_$name.so";
}

# User and group that httpd's children run as: Debian's www-data (or nobody) where root starts them.
sub run_as {
    return (scalar getpwuid($>), scalar getgrgid($) + 0)) if $>;
    for my $user (qw(www-data nobody)) {
        my @pw = getpwnam $user or next;
        return ($user, scalar getgrgid $pw[3]);
    }
    die "neither www-data nor nobody exists: no user for httpd's children\n";
}

# Whether the build directory is a place for servers: httpd's children can go there (not so in root's
# home), and the names of UNIX sockets below it stay shorter than 108 bytes (unix(7)).
sub builddir_suits {
    my $dir = ClownTalk::Settings->get('builddir');

    return 0 if length $dir > 55;
    return 1 if $>;
    my @parts = File::Spec->splitdir($dir);
    for my $n (0 .. $#parts) {
        my @stat = stat(File::Spec->catdir(@parts[0 .. $n]) || '/') or return 0;
        return 0 unless $stat[2] & 0001;
    }
    return 1;
}

# A fresh directory for a server, below the build directory or else below /tmp. The caller removes it.
sub scratch_dir {
    my ($name) = @_;

    my $parent = File::Spec->tmpdir;
    if (builddir_suits()) {
        $parent = ClownTalk::Settings->get('builddir') . '/t/server';
        make_path($parent);
    }
    my $dir = File::Temp::tempdir("$name-XXXXXX", DIR => $parent);
    chmod 0755, $dir or die "$dir: $!";
    return $dir;
}

sub write_file {
    my ($file, $text) = @_;

    open my $fh, '>', $file or die "$file: $!";
    print $fh $text;
    close $fh or die "$file: $!";
    return $file;
}

sub read_file {
    my ($file) = @_;

    open my $fh, '<', $file or die "$file: $!";
    local $/;
    return scalar <$fh>;
}

# A directory of our own that the children may write to.
sub make_writable_dir {
    my ($dir) = @_;

    make_path($dir);
    my ($user) = run_as();
    chown((getpwnam $user)[2, 3], $dir) or die "$dir: $!" unless $>;
    return $dir;
}

# Password files for clown/bigclown, Basic and Digest, and a second user who is called reader.
sub write_passwords {
    my ($dir) = @_;

    my (@basic, @digest);
    for my $user ([USER, PASSWORD], ['reader', 'readonly']) {
        my ($name, $password) = @$user;
        open my $pipe, '-|', ClownTalk::Settings->get('openssl'), 'passwd', '-apr1', $password
            or die "openssl passwd: $!";
        chomp(my $hash = <$pipe>);
        close $pipe or die 'openssl passwd failed';
        push @basic,  "$name:$hash\n";
        push @digest, "$name:${\REALM}:" . md5_hex("$name:${\REALM}:$password") . "\n";
    }
    write_file("$dir/htpasswd", join '', @basic);
    write_file("$dir/htdigest", join '', @digest);
}

# A certificate for localhost that is made once per build. Returns its file and the key's.
sub certificate {
    my $dir = ClownTalk::Settings->get('builddir') . '/t/tls';
    my ($cert, $key) = ("$dir/localhost.crt", "$dir/localhost.key");

    make_path($dir);
    open my $lock, '>', "$dir/lock" or die "$dir/lock: $!";
    flock $lock, LOCK_EX or die "$dir/lock: $!";
    unless (-s $cert && -s $key && -M $cert < 300) {
        my @command = (
            ClownTalk::Settings->get('openssl'),
            qw(req -x509 -nodes -days 365 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1),
            '-subj' => '/CN=localhost', '-addext' => 'basicConstraints=critical,CA:FALSE',
            '-addext' => 'subjectAltName=DNS:localhost,IP:127.0.0.1',
            '-keyout' => "$key.new", '-out' => "$cert.new",
        );
        my $output = run_quietly(@command);
        die "@command failed:\n$output" if $?;
        rename "$key.new", $key and rename "$cert.new", $cert or die "$dir: $!";
    }
    return ($cert, $key);
}

# Runs a command without a shell, returns stdout and stderr together; $? is its status.
sub run_quietly {
    my (@command) = @_;

    my $pid = open my $pipe, '-|';
    die "fork: $!" unless defined $pid;
    unless ($pid) {
        open STDERR, '>&', \*STDOUT;
        open STDIN, '<', File::Spec->devnull;
        exec {$command[0]} @command or die "$command[0]: $!\n";
    }
    local $/;
    my $output = <$pipe>;
    close $pipe;
    return $output;
}

# A socket's state in /proc/net/tcp: its peer has closed its side.
use constant CLOSE_WAIT => '08';

# The first of $count ports in a row that are free on the loopback interface, below the range that
# the kernel takes for outgoing connections. Random, since several suites may run at once.
sub free_ports {
    my ($count) = @_;

    for (1 .. 100) {
        my $first = 12000 + int rand(18000);
        my @bound = grep { defined } map {
            IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_, Listen => 1, ReuseAddr => 1)
        } $first .. $first + $count - 1;
        return $first if @bound == $count;
    }
    die "no $count free ports in a row on 127.0.0.1\n";
}

# A server and all that it starts carry this in their environment, so that none is overlooked,
# whatever it is a child of. A test's own server has the suite's mark, a colon, and its directory.
use constant MARK => 'CLOWNTALK_TEST_SERVER';

# Processes (ids, oldest first) that carry the mark; a zombie has no environment left.
sub marked_processes {
    my ($mark) = @_;

    my @pids;
    opendir my $proc, '/proc' or die "/proc: $!";
    for my $pid (grep { /^\d+$/ && $_ != $$ } readdir $proc) {
        open my $fh, '<', "/proc/$pid/environ" or next;
        local $/;
        my $environ = <$fh>;
        push @pids, $pid if defined $environ && "\0$environ" =~ /\0\Q${\MARK}=$mark\E[\0:]/;
    }
    return sort { $a <=> $b } @pids;
}

# Waits up to $seconds for all of them to be gone; returns those that are not.
sub wait_for_end {
    my ($mark, $seconds) = @_;

    my $deadline = time + $seconds;
    while (my @pids = marked_processes($mark)) {
        return @pids if time > $deadline;
        select undef, undef, undef, 0.02;
    }
    return;
}

# How many connections to these ports of the loopback interface have been closed by the client and not yet
# by the server.
sub abandoned_connections {
    my (@ports) = @_;

    my %local = map { sprintf('0100007F:%04X', $_) => 1 } @ports;
    open my $fh, '<', '/proc/net/tcp' or return 0;
    return scalar grep { my (undef, $from, undef, $state) = split; $local{$from} && $state eq CLOSE_WAIT } <$fh>;
}

# Lines of an error log that no test may cause: a crash, or a sanitizer's finding.
sub crashes {
    my ($log) = @_;

    open my $fh, '<', $log or return;
    return grep {
        /exit signal (?:Segm|Abort|Bus|Illegal|Floating|Trace)|AH00060|ERROR: \w+Sanitizer/
            || /WARNING: ThreadSanitizer|runtime error: |corrupted|double free/
    } <$fh>;
}

1;
