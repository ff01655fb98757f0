# What the kernel says of a server's processes: memory, descriptors; and what it allows this one.
package ClownTalk::Process;

use strict;
use warnings;

use POSIX ();

use ClownTalk::Httpd;

# For a server's configuration: one child process, which has all the sessions, where the MPM has threads.
use constant ONE_CHILD => <<'END';
<IfModule !mpm_prefork_module>
    StartServers        1
    ServerLimit         1
    ThreadsPerChild    25
    MinSpareThreads     1
    MaxSpareThreads    25
    MaxRequestWorkers  25
</IfModule>
<IfModule mpm_event_module>
    AsyncRequestWorkerFactor 200
</IfModule>
END

# The same with two of them, which stay (event).
use constant TWO_CHILDREN => <<'END';
StartServers        2
ServerLimit         2
ThreadsPerChild    10
MinSpareThreads     1
MaxSpareThreads    20
MaxRequestWorkers  20
AsyncRequestWorkerFactor 100
END

# A process's name for itself; empty where it is gone.
sub name {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/comm" or return '';
    my $name = <$fh>;
    return ($name // '') =~ s/\n//r;
}

# Sets a limit of a running process, by an option of prlimit(1) as --nofile=100:, with that process's own user, who alone may
# do so where root has not all rights.
sub limit {
    my ($pid, $option) = @_;
    my ($uid, $gid) = map { ClownTalk::Httpd::read_file("/proc/$pid/status") =~ /^$_:\s+(\d+)/m } qw(Uid Gid);

    my $child = fork // die "fork: $!";
    if (!$child) {
        POSIX::setgid($gid);
        POSIX::setuid($uid);
        exec 'prlimit', "--pid=$pid", $option or POSIX::_exit(127);
    }
    waitpid $child, 0;
    die "prlimit $option: $?" if $?;
    return;
}

# Stops processes, and returns when they have stopped.
sub stop {
    my (@pids) = @_;

    kill STOP => @pids;
    for my $pid (@pids) {
        select undef, undef, undef, 0.001 until ClownTalk::Httpd::read_file("/proc/$pid/status") =~ /^State:\s+T/m;
    }
    return;
}

# What $make returns that connects to the server: the child $pid alone takes connections meanwhile.
sub with_child {
    my ($server, $pid, $make) = @_;
    my @others = grep { $_ != $pid } $server->workers;

    stop(@others);
    my $made = eval { $make->() };
    my $error = $@;
    kill CONT => @others;
    die $error if $error;
    return $made;
}

# A field of /proc/PID/status, as VmRSS, in KiB.
sub status {
    my ($pid, $field) = @_;
    local $_;

    open my $fh, '<', "/proc/$pid/status" or die "process $pid: $!";
    while (<$fh>) {
        return $1 if /^\Q$field\E:\s+(\d+)/;
    }
    die "process $pid has no $field";
}

# Has VmHWM, the most that was ever resident, start anew.
sub reset_peak {
    my ($pid) = @_;

    open my $fh, '>', "/proc/$pid/clear_refs" or die "process $pid: $!";
    print $fh "5\n";
    close $fh or die "process $pid: $!";
}

# How many descriptors are open, but for the io_uring through which publications to many go: a process has one from the
# first of those on, and never two.
sub descriptors {
    my ($pid) = @_;

    opendir my $dir, "/proc/$pid/fd" or die "process $pid: $!";
    my @open = map { readlink("/proc/$pid/fd/$_") // '' } grep { !/^\./ } readdir $dir;
    my $rings = grep { $_ eq 'anon_inode:[io_uring]' } @open;
    die "process $pid has $rings io_urings" if $rings > 1;
    return @open - $rings;
}

# Raises this process's limit, and so that of the server which it starts.
sub may_open {
    my ($count) = @_;

    return 1 if POSIX::sysconf(POSIX::_SC_OPEN_MAX()) >= $count;
    for my $limit ("$count:", "$count:$count") {    # the second is for root
        ClownTalk::Httpd::run_quietly('prlimit', "--nofile=$limit", '--pid', $$);
        return 1 if $? == 0;
    }
    return 0;
}

1;
