# Which folder may include which, and which libraries, is what the table "Folders" of docs/architecture.md says. Nothing goes
# round in a circle: no folder needs itself by way of others, and inside a folder no file does, but for those that the table
# "Circles" gives a reason for.
#
# Folders and headers need what they include. A .c file needs those that define the symbols which it uses: a header that it
# includes for a type only leads to no other .c file. The symbols are those of the build, by nm.
use strict;
use warnings;

use File::Glob qw(:bsd_glob);
use FindBin qw($RealBin);
use List::Util qw(any uniq);
use Test::More;

my $top = "$RealBin/..";
chdir $top or die "$top: $!";

# May be included from everywhere.
use constant COMMON => 'base';

# Headers by what they are of; the first that fits. Every folder may use those of "libc".
my @LIBRARIES = (
    [httpd     => qr/^(?:httpd|http_\w+|ap_\w+|mod_\w+|mpm_common|scoreboard|unixd|util_\w+)\.h$/],
    [APR       => qr/^apr_\w+\.h$/],
    [OpenSSL   => qr{^openssl/(?:ssl|err|bio|x509)\.h$}],
    [libcrypto => qr{^openssl/}],
    [zlib      => qr/^zlib\.h$/],
    ['json-c'  => qr{^json-c/}],
    [liburing  => qr/^liburing\.h$/],
    [libi2c    => qr{^(?:i2c|linux/i2c)}],
    [threads   => qr/^pthread\.h$/],
    [libc      => qr{^config\.h$
        | ^(?:sys|arpa|netinet|net|linux)/
        | ^(?:assert|complex|ctype|dirent|dlfcn|endian|errno|fcntl|float|getopt|grp|inttypes|limits|locale|malloc|math|poll|pwd|sched
            |signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|syslog|termios|time
            |unistd)\.h$}x],
);

sub slurp {
    my ($file) = @_;
    open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

# The rows of the table below a heading of docs/architecture.md: lists of cells, without the table's own head.
sub table {
    my ($heading) = @_;

    my ($section) = slurp('docs/architecture.md') =~ /^#+ \Q$heading\E\n(.*?)(?:^#+ |\z)/ms
        or die "docs/architecture.md has no section '$heading'\n";
    my @rows = map { [map { s/^\s+|\s+$//gr } split /\|/, s/^\|//r] } $section =~ /^(\|.*)\|$/mg;
    return splice @rows, 2;
}

# What a cell names: `a`, `b`.
sub names { return $_[0] =~ /`([^`]+)`/g }

# ---- the table ----

# A place is a folder below src, or one of the files that have a row of their own: mod_clowntalk.c, log.h.
my (%places, %included, %used);
for my $row (table('Folders')) {
    my ($name, undef, $may_include, $may_use) = @$row;
    my ($place) = names($name);
    $place =~ s{^src/}{};
    $places{$place} = {
        include => {map { $_ => 1 } names($may_include)},
        use     => {map { $_ => 1 } grep { /\w/ } split /,\s*/, $may_use},
    };
}

# The place of a file, by its name below src.
sub place_of {
    my ($file) = @_;

    return $file if $places{$file};
    return $file =~ m{^([^/]+)/} ? $1 : $file;
}

# ---- the files: [FILE, LINE, INCLUDED FILE or HEADER] ----

my @files = sort('mod_clowntalk.c', map { s{^src/}{}r } glob 'src/{,*/,*/*/}*.{c,h,def}');
my (@inner, @system);
my %exists = map { $_ => 1 } @files;
for my $file (@files) {
    my ($dir) = $file =~ m{^(.*/)};
    open my $in, '<', $file eq 'mod_clowntalk.c' ? $file : "src/$file" or die "$file: $!";
    while (<$in>) {
        if (/^\s*#\s*include\s+"([^"]+)"/) {
            my ($found) = grep { $exists{$_} } defined $dir ? "$dir$1" : (), $1;
            push @inner, [$file, $., $found // $1];
        } elsif (/^\s*#\s*include\s+<([^>]+)>/) {
            push @system, [$file, $., $1];
        }
    }
}

# "src/bus/worker.c:7", for a message.
sub where { return ($_[0][0] eq 'mod_clowntalk.c' ? '' : 'src/') . "$_[0][0]:$_[0][1]" }

sub is_none {
    my ($wrong, $what) = @_;
    ok(!@$wrong, $what) or diag map { "$_\n" } @$wrong;
}

is_none([grep { !$places{$_} } uniq map { place_of($_) } @files], 'every folder is in the table');
is_none([grep { !-e && !-e "src/$_" } sort keys %places], 'and all that is in the table is there');

# ---- what may include what ----

subtest 'every include is one that the table allows' => sub {
    my @wrong;

    for my $include (@inner) {
        my ($file, undef, $header) = @$include;
        my ($from, $to) = map { place_of($_) } $file, $header;
        if (!$exists{$header}) {
            push @wrong, where($include) . ": there is no src/$header";
        } elsif ($from eq $to) {
            next;
        } elsif ($to ne COMMON) {
            my $allowed = $places{$from}{include} || {};
            my ($by) = grep { $allowed->{$_} } $header, $to;
            if (defined $by) {
                $included{$from}{$by} = 1;
            } else {
                push @wrong, where($include) . ": $from may not include $header, only of "
                    . (join(', ', sort keys %$allowed) || 'nothing') . ' and ' . COMMON;
            }
        }
    }
    is_none(\@wrong, 'includes');
    is_none([unneeded('include', \%included)], 'none is allowed in vain');
};

subtest 'every folder uses those libraries that the table allows, and libc' => sub {
    my @wrong;

    for my $include (@system) {
        my ($file, undef, $header) = @$include;
        my $place = place_of($file);
        my ($library) = map { $_->[0] } grep { $header =~ $_->[1] } @LIBRARIES;
        if (!defined $library) {
            push @wrong, where($include) . ": <$header>, of which library? See the list at the top of $0";
        } elsif ($library eq 'libc' || $places{$place}{use}{$library}) {
            $used{$place}{$library} = 1;
        } else {
            push @wrong, where($include) . ": $place may not use $library (<$header>), only "
                . join(', ', sort(keys %{$places{$place}{use}}), 'libc');
        }
    }
    is_none(\@wrong, 'headers');
    is_none([unneeded('use', \%used)], 'none is allowed in vain');
};

# Permissions that nothing makes use of.
sub unneeded {
    my ($kind, $needed) = @_;

    return map {
        my $place = $_;
        map { "$place need not $kind $_" } grep { !$needed->{$place}{$_} } sort keys %{$places{$place}{$kind}};
    } sort keys %places;
}

subtest 'a folder\'s own files are included by their names, others by folder and name' => sub {
    my @wrong;

    for my $file (@files) {
        my ($dir) = $file =~ m{^(.*/)} or next;
        my $text = slurp("src/$file");
        push @wrong, "src/$file includes \"$1\"" while $text =~ /^#include "(\Q$dir\E[^"]+)"/mg;
    }
    is_none(\@wrong, 'includes');
};

# ---- circles ----

# {NAME => {NAME => 1}}, which needs which: the same with what it needs by way of others.
sub reached {
    my ($needs) = @_;
    my %reached;

    for my $start (keys %$needs) {
        my @next = $start;
        while (defined(my $name = shift @next)) {
            push @next, grep { !$reached{$start}{$_}++ } keys %{$needs->{$name} || {}};
        }
    }
    return \%reached;
}

# The groups of names that need each other, each as "a b c".
sub circles {
    my ($needs) = @_;
    my $reached = reached($needs);
    my %seen;

    for my $name (keys %$reached) {
        my @circle = sort grep { $reached->{$name}{$_} && $reached->{$_}{$name} } keys %$reached;
        $seen{"@circle"} = 1 if @circle > 1;
    }
    return sort keys %seen;
}

# A circle, and what in it needs what.
sub described {
    my ($circle, $needs) = @_;
    my @names = split ' ', $circle;

    return "$circle:", map { my $from = $_; "    $from needs @{[grep { $needs->{$from}{$_} } @names]}" } @names;
}

# What the table's rows allow.
sub allowed_needs {
    my %needs;

    for my $place (keys %places) {
        $needs{$place}{place_of($_)} = 1 for keys %{$places{$place}{include}};
    }
    return \%needs;
}

subtest 'no folder needs itself' => sub {
    my %needs = %{allowed_needs()};

    for my $include (@inner) {
        my ($from, $to) = map { place_of($_) } @$include[0, 2];
        $needs{$from}{$to} = 1 if $from ne $to;
    }
    is_none([map { described($_, \%needs) } circles(\%needs)], 'circles of folders');
};

# Which files use symbols of which: {"hub/request" => {"hub/devices" => 1}}, by nm; empty where there are no objects.
sub symbol_needs {
    my ($builddir) = grep { -e "$_/config.status" } $ENV{CLOWNTALK_BUILDDIR} || (), '.', 'build' or return;
    # An object that an earlier build has left under another name is older.
    my @objects = sort { -M $b <=> -M $a } glob "$builddir/src/*/.libs/*.o" or return;
    my (%defines, %wants);

    for my $object (@objects) {
        my ($dir, $name) = $object =~ m{src/([^/]+)/\.libs/(?:\w+_la-)?(\w+)\.o$} or next;
        next unless $exists{"$dir/$name.c"};    # of a file that has been removed
        $wants{"$dir/$name"} = {};
        open my $nm, '-|', 'nm', '-P', '-g', $object or return;
        while (<$nm>) {
            my ($symbol, $type) = split ' ';
            if ($type eq 'U') { $wants{"$dir/$name"}{$symbol} = 1 }
            else              { $defines{$symbol} = "$dir/$name" }
        }
        close $nm or return;
    }
    my %needs;
    for my $file (keys %wants) {
        $needs{$file}{$_} = 1 for grep { defined && $_ ne $file } map { $defines{$_} } keys %{$wants{$file}};
    }
    return \%needs;
}

my $symbols = symbol_needs();

subtest 'no header includes itself' => sub {
    my %needs;

    for my $include (grep { $_->[0] =~ /\.h$/ } @inner) {
        $needs{$include->[0]}{$include->[2]} = 1;
    }
    is_none([map { described($_, \%needs) } circles(\%needs)], 'circles of headers');
};

SKIP: {
    skip 'the module has not been built, or there is no nm', 2 unless $symbols;

    subtest 'inside a folder no file needs itself, but for the circles of docs/architecture.md' => sub {
        my %needs;

        for my $from (keys %$symbols) {
            $needs{$from}{$_} = 1 for grep { place_of("$_.c") eq place_of("$from.c") } keys %{$symbols->{$from}};
        }
        my %found  = map { $_ => 1 } circles(\%needs);
        my %listed = map {
            my ($folder) = map { s{^src/}{}r } names($_->[0]);
            (join(' ', sort map { s/\.c$//; "$folder/$_" } names($_->[1])) => $_->[2]);
        } table('Circles');

        is_none([map { described($_, \%needs) } grep { !exists $listed{$_} } sort keys %found], 'circles that are not listed');
        is_none([grep { !$found{$_} } sort keys %listed], 'circles that are listed, but are none');
        is_none([grep { $listed{$_} !~ /\w/ } sort keys %listed], 'circles that are listed without a reason');
    };
    subtest 'no file uses a symbol of a folder to which no arrow leads from its own' => sub {
        my $reached = reached(allowed_needs());
        my @wrong;

        for my $from (sort keys %$symbols) {
            for my $to (sort keys %{$symbols->{$from}}) {
                my ($user, $owner) = map { place_of("$_.c") } $from, $to;
                push @wrong, "src/$from.c uses a symbol of src/$to.c"
                    unless $user eq $owner || $owner eq COMMON || $reached->{$user}{$owner};
            }
        }
        is_none(\@wrong, 'symbols');
    };
}

done_testing;
