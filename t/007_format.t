# Every C file is as clang-format leaves it with the tree's .clang-format, and no line of it is longer than 100 columns.
# Versions 16 (Debian 12) and 19 (Debian 13) agree about this tree; about others nothing is known, and they are not asked.
use strict;
use warnings;

use File::Find qw(find);
use FindBin qw($RealBin);
use Test::More;

use constant {
    COLUMNS  => 100,
    VERSIONS => [16, 19],
};

chdir "$RealBin/.." or die "$RealBin/..: $!";

my @files = ('mod_clowntalk.c');
find({
    no_chdir => 1,
    wanted   => sub {
        $File::Find::prune = 1 if -d && m{/(?:node_modules|linux|sanitized|server|out)$};
        push @files, $_ if /\.[ch]$/ && -f;
    },
}, qw(src t bench));
@files = sort @files;

subtest 'no line is longer than ' . COLUMNS . ' columns' => sub {
    for my $file (@files) {
        open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
        while (<$in>) {
            chomp;
            fail "$file:$.: " . length() . ' columns' if length > COLUMNS;
        }
    }
    cmp_ok scalar @files, '>', 1, 'there are files';
};

# The program to ask, and its version.
sub find_program {
    for my $program ((map { "clang-format-$_" } @{VERSIONS()}), 'clang-format') {
        my ($version) = (`$program --version 2>/dev/null` // '') =~ /version (\d+)/ or next;
        return $program if grep { $_ == $version } @{VERSIONS()};
    }
    return;
}

SKIP: {
    my $program = find_program()
        or skip "neither clang-format 16 nor 19 is installed (Debian: clang-format-16 or clang-format-19)", 1;
    subtest "every file is as $program leaves it" => sub {
        open my $pipe, '-|', "$program --dry-run --style=file @files 2>&1" or die "$program: $!";
        my %wrong;    # FILE => the first line
        while (<$pipe>) {
            $wrong{$1} ||= $2 if /^(\S+?):(\d+):\d+: warning: /;
            fail $_ if /^\S*error/i;
        }
        close $pipe or fail "$program ended with status $?";
        fail "$_:$wrong{$_}: run $program -i $_" for sort keys %wrong;
        pass scalar(@files) . ' files were looked at';
    };
}

done_testing;
