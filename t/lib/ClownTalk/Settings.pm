# Where the tree, the build and its tools are: what configure wrote into t/settings.pl.
package ClownTalk::Settings;

use strict;
use warnings;

use Cwd qw(abs_path getcwd);
use File::Basename qw(dirname);
use File::Spec;

my $settings;

# The build directory: CLOWNTALK_BUILDDIR, the working directory, build/ in the tree, or the tree.
sub find_builddir {
    my $top = dirname(dirname(dirname(dirname(abs_path(__FILE__)))));
    for my $dir ($ENV{CLOWNTALK_BUILDDIR}, getcwd(), "$top/build", $top) {
        return abs_path($dir) if defined $dir && -e "$dir/t/settings.pl";
    }
    die "no build directory: run configure first, or set CLOWNTALK_BUILDDIR\n";
}

# Reads the settings of the build in $dir (of the one that find_builddir() finds).
sub load {
    my ($class, $dir) = @_;

    $dir = defined $dir ? abs_path($dir) : find_builddir();
    my $file = "$dir/t/settings.pl";
    die "$file: $!; run configure first\n" unless -e $file;
    $settings = do $file or die "$file: " . ($@ || $!);
    $ENV{CLOWNTALK_BUILDDIR} = $settings->{builddir};
    return $settings;
}

sub get {
    my ($class, $name) = @_;

    $class->load unless $settings;
    die "no setting '$name' in t/settings.pl" unless exists $settings->{$name};
    return $settings->{$name};
}

sub module { my ($class) = @_; return $class->get('builddir') . '/.libs/mod_clowntalk.so' }

1;
