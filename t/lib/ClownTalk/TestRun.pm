# Apache::Test's runner for this suite: one server per MPM, in a directory of its own below the build
# directory, with nothing of /etc/apache2, on loopback ports that are free.
package ClownTalk::TestRun;

use strict;
use warnings;

use parent 'Apache::TestRun';

use Cwd qw(abs_path);
use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);

use ClownTalk::Harness;
use ClownTalk::Httpd;
use ClownTalk::Settings;

# The longest that one test file may take, in seconds.
use constant TEST_TIMEOUT => 300;

# How many ports the server may use: http, and one per virtual host of t/conf/*.conf.in.
use constant PORTS => 8;

# A complete run: set up and start the server, run the tests, stop it, look for crashes.
sub main {
    my ($class, @argv) = @_;

    my $mpm = take_option(\@argv, 'mpm') || $ENV{CLOWNTALK_MPM} || 'event';
    my $builddir = take_option(\@argv, 'builddir');
    ClownTalk::Settings->load($builddir);
    die "-mpm must be one of @{[ClownTalk::Httpd::MPMS]}, not '$mpm'\n"
        unless grep { $_ eq $mpm } ClownTalk::Httpd::MPMS;

    my $sanitizers = ClownTalk::Settings->get('sanitizers');
    my $self = $class->new(
        mpm   => $mpm,
        label => $sanitizers ? "$mpm MPM, $sanitizers" : "$mpm MPM",
        dir   => ClownTalk::Settings->get('builddir') . "/t/server/$mpm",
    );
    # A configuration is made for a new server, and kept for one that runs already.
    my $attach = !grep({ /^-+start/ } @argv)
        && grep { /^-+(?:run|stop|ping|help|clean)/ } @argv;
    unshift @argv, $self->prepare unless $attach;
    $self->{attach} = $attach;

    $self->{dir} = readlink $self->{dir} if -l $self->{dir};
    chdir $self->{dir} or die "$self->{dir}: no server of the $mpm MPM has been started: $!\n";
    $ENV{CLOWNTALK_MPM}          = $mpm;
    $ENV{APACHE_TEST_ULIMIT_SET} = 1;    # do not start again under a shell for the sake of core files
    $ENV{ClownTalk::Httpd::MARK()} = $self->{dir};
    $0 = "$self->{dir}/TEST";            # where Apache::Test believes that the suite lies
    $self->run(@argv);
    exit($self->{failed} ? 1 : 0);
}

# "-NAME VALUE" or "--NAME=VALUE", taken out of the list.
sub take_option {
    my ($argv, $name) = @_;

    for my $i (0 .. $#$argv) {
        if ($argv->[$i] =~ /^--?\Q$name\E(?:=(.*))?$/) {
            my $value = $1;
            ($value) = splice @$argv, $i + 1, 1 unless defined $value;
            splice @$argv, $i, 1;
            return $value;
        }
    }
    return;
}

# Makes the server's directory anew and returns the options that tell Apache::Test about it.
sub prepare {
    my ($self) = @_;

    $self->remove_directory;
    if (ClownTalk::Httpd::builddir_suits()) {
        make_path($self->{dir});
    } else {
        my $elsewhere = ClownTalk::Httpd::scratch_dir("clowntalk-$self->{mpm}");
        make_path(ClownTalk::Settings->get('builddir') . '/t/server');
        symlink $elsewhere, $self->{dir} or die "$self->{dir}: $!";
        $self->{dir} = $elsewhere;
    }
    my $dir = $self->{dir};
    make_path("$dir/conf", "$dir/htdocs", "$dir/logs");
    ClownTalk::Httpd::make_writable_dir("$dir/$_") for qw(state state/clowntalk);

    my @more = $self->{mpm} eq 'prefork' ? () : ('http2');
    ClownTalk::Httpd::write_file("$dir/conf/modules.conf",
        ClownTalk::Httpd::load_modules($self->{mpm}, @more));
    ClownTalk::Httpd::write_passwords("$dir/conf");
    for my $file (glob ClownTalk::Settings->get('srcdir') . '/t/conf/*.in') {
        copy($file, "$dir/conf/" . basename($file)) or die "$file: $!";
    }
    for my $file (glob ClownTalk::Settings->get('srcdir') . '/t/htdocs/*') {
        copy($file, "$dir/htdocs/" . basename($file)) or die "$file: $!";
    }

    my ($user, $group) = ClownTalk::Httpd::run_as();
    return (
        -httpd      => ClownTalk::Httpd::program($dir),
        -apxs       => ClownTalk::Settings->get('apxs'),
        -httpd_conf => "$dir/conf/modules.conf",
        -top_dir    => $dir,
        -t_dir      => $dir,
        -serverroot => $dir,
        -servername => 'localhost',
        -user       => $user,
        -group      => $group,
        -port       => ClownTalk::Httpd::free_ports(PORTS),
        -startup_timeout => 30,
    );
}

# Removes the directory of an earlier run, with the processes that it left if it was interrupted.
sub remove_directory {
    my ($self) = @_;

    my $dir = abs_path($self->{dir});
    return unless defined $dir && -e $dir;
    kill KILL => $_ for ClownTalk::Httpd::marked_processes($dir);
    remove_tree($dir);
    unlink $self->{dir};
}

# Removes a directory below /tmp after a run without failures.
sub remove_link {
    my ($self) = @_;

    my $link = ClownTalk::Settings->get('builddir') . "/t/server/$self->{mpm}";
    return unless -l $link;
    chdir '/';
    remove_tree($self->{dir});
    unlink $link;
}

# ---- what Apache::TestRun lets a suite decide ----

sub getopts {
    my ($self, $argv) = @_;

    $self->SUPER::getopts($argv);
    return unless $self->{attach};
    delete $self->{conf_opts}{save};
    $self->{conf_opts}{thaw} = 1;
}

sub new_test_config {
    my ($self) = @_;

    return ClownTalk::TestRun::Config->new({%{$self->{conf_opts}}, certificate_vars()});
}

# Apache::Test replaces @name@ in t/conf/*.in by these, besides its own.
sub certificate_vars {
    my ($certificate, $key) = ClownTalk::Httpd::certificate();
    return (certificate => $certificate, certificate_key => $key, realm => ClownTalk::Httpd::REALM);
}

# Root may run the suite: the children run as another user then.
sub check_runtime_user { return 1 }

# Tests are files of the source tree, while the suite runs in the server's directory.
sub split_test_args {
    my ($self) = @_;
    my $srcdir = ClownTalk::Settings->get('srcdir');
    my (@tests, @rest);

    for my $arg (@{$self->{argv}}) {
        (my $name = $arg) =~ s{^(?:.*/)?t/}{};
        $name =~ s/\.t$//;
        my @found = glob "$srcdir/t/$name*.t";
        if ($arg !~ /^-/ && @found) {
            push @tests, @found;
        } else {
            push @rest, $arg;
        }
    }
    $self->{tests} = \@tests;
    $self->{argv}  = \@rest;
}

sub run_tests {
    my ($self) = @_;

    return unless $self->{opts}{'run-tests'};
    my @tests = @{$self->{tests}};
    @tests = sort glob ClownTalk::Settings->get('srcdir') . '/t/*.t' unless @tests;
    my $lib = ClownTalk::Settings->get('srcdir') . '/t/lib';
    my $result = ClownTalk::Harness::run(
        name    => "server ($self->{label})",
        tests   => \@tests,
        exec    => [$^X, "-I$lib"],
        timeout => TEST_TIMEOUT,
        verbose => $self->{opts}{verbose},
    );
    $self->{failed} ||= $result->{failed};
}

sub stop {
    my ($self) = @_;

    return unless $self->{opts}{'stop-httpd'};
    $self->SUPER::stop;
    $self->check_aftermath;
}

# After its end a server has left no process behind, and its log has no crash.
sub check_aftermath {
    my ($self) = @_;
    my $log = "$self->{dir}/logs/error_log";
    my @left = ClownTalk::Httpd::wait_for_end($self->{dir}, 10);
    my @crashes = ClownTalk::Httpd::crashes($log);

    my @checks = (
        ['the server left no process behind', @left    ? "processes @left"  : undef],
        ['no crash is in the error log',      @crashes ? "$log:\n@crashes" : undef],
    );
    my $result = ClownTalk::Harness::report("aftermath ($self->{label})", @checks);
    $self->{failed} ||= $result->{failed};
    kill KILL => $_ for @left;
    # Below the build directory it stays, to be looked at, and `make clean` removes it.
    $self->remove_link unless $self->{failed};
}

# ---- the configuration's one difference: the loopback interface only ----

package ClownTalk::TestRun::Config;

use parent -norequire, 'Apache::TestConfig';

sub parse_vhost {
    my ($self, $line) = @_;

    my $vhost = $self->SUPER::parse_vhost($line);
    $vhost->{out_string} =~ s/\b0\.0\.0\.0:/127.0.0.1:/ if $vhost;
    return $vhost;
}

1;
