# A disk that can be full, or become read-only: a small file system in memory, mounted on a directory. Only
# the test and its servers see it, and it is gone with the last of them, however they end.
#
#   my $cannot = ClownTalk::Disk->own_mounts;    # first of all: it starts the test once more
#   my $disk = ClownTalk::Disk->new("$state/clowntalk") unless $cannot;
#   $disk->fill;
package ClownTalk::Disk;

use strict;
use warnings;

use Carp qw(croak);

use ClownTalk::Httpd;

use constant SIZE => '64k';
use constant MARK => 'CLOWNTALK_TEST_MOUNTS';

# Starts the test once more, where no other process sees what it mounts. Returns only there, or with the
# reason why it cannot be done.
sub own_mounts {
    return if $ENV{MARK()};
    return 'only root can mount a disk' if $>;
    my @command = qw(unshare --mount --propagation private);
    my $said = ClownTalk::Httpd::run_quietly(@command, qw(mount -t tmpfs tmpfs /mnt));
    return "no disk can be mounted here: $said" =~ s/\s+\z//r if $?;
    local $ENV{MARK()} = 1;
    exec @command, $^X, (map { "-I$_" } @INC), $0, @ARGV or return "unshare: $!";
}

# A disk on a directory that is made for it, the property of the server's user.
sub new {
    my ($class, $dir) = @_;
    my ($user) = ClownTalk::Httpd::run_as();
    my ($uid, $gid) = (getpwnam $user)[2, 3];

    ClownTalk::Httpd::make_writable_dir($dir);
    run('mount', '-t', 'tmpfs', '-o', "size=${\SIZE},mode=0700,uid=$uid,gid=$gid", 'tmpfs', $dir);
    return bless {dir => $dir, test => $$}, $class;
}

sub run {
    my (@command) = @_;

    my $said = ClownTalk::Httpd::run_quietly(@command);
    croak "@command: $said" if $?;
    return 1;
}

# Leaves no room for a single byte; and gives it back.
sub fill {
    my ($self) = @_;

    open my $filler, '>', "$self->{dir}/filler" or croak "$self->{dir}/filler: $!";
    1 while syswrite $filler, 'x' x 4096;
    croak "$self->{dir} is not full: $!" unless $!{ENOSPC};
    close $filler;
}

sub empty { return unlink "$_[0]{dir}/filler" }

# Waits for a file that is being written: as long as there is one, the kernel says that the disk is busy.
sub remount {
    my ($self, $how) = @_;

    for (1 .. 100) {
        ClownTalk::Httpd::run_quietly('mount', '-o', "remount,$how", $self->{dir});
        return unless $?;
        select undef, undef, undef, 0.05;
    }
    croak "$self->{dir} cannot be remounted, $how";
}

sub read_only { return $_[0]->remount('ro') }
sub writable  { return $_[0]->remount('rw') }

# Takes it away; processes that use it may do so to their ends.
sub DESTROY {
    my ($self) = @_;

    local ($@, $!, $?);
    ClownTalk::Httpd::run_quietly('umount', '--lazy', $self->{dir}) if $$ == $self->{test};
}

1;
