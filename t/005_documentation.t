# What the code says and what the documentation says are the same: directives, their defaults and merge
# rules, numbers of log lines, names of errors.
use strict;
use warnings;

use FindBin qw($RealBin);
use Test::More;

my $top = "$RealBin/..";

sub slurp {
    my ($file) = @_;
    open my $in, '<:encoding(UTF-8)', "$top/$file" or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

# Names that stand in only one of two lists.
sub is_same_set {
    my ($one, $other, $what) = @_;
    my %one   = map { $_ => 1 } @$one;
    my %other = map { $_ => 1 } @$other;

    is_deeply([sort keys %one], [sort keys %other], $what);
    ok(scalar keys %one, "$what: there are some");
}

my $module     = slurp('mod_clowntalk.c');
my $settings   = slurp('src/session/settings.c');
my $directives = slurp('docs/directives.md');

subtest 'every directive has a section in docs/directives.md, and no other' => sub {
    my @table    = $module =~ /^\s+AP_INIT_\w+\("<?(\w+)"/mg;
    my @sections = $directives =~ /^### (?:&lt;)?(\w+)/mg;

    is_same_set(\@table, \@sections, 'directives');
};

subtest 'every setting of a directory is created unset, has a default and a merge rule' => sub {
    my ($struct) = slurp('src/session/settings.h') =~ /typedef struct ct_dir_settings \{(.*?)\}/s;
    my @members  = $struct =~ /(\w+);/g;
    my ($merge)    = $settings =~ /^static ct_dir_settings merge\(.*?^\}/ms ? $& : '';
    my ($defaults) = $settings =~ /^const ct_dir_settings ct_dir_defaults = \{(.*?)^\};/ms;

    is_same_set(\@members, [$merge =~ /^\s+\.(\w+) =/mg],    'merge rules');
    is_same_set(\@members, [$defaults =~ /^\s+\.(\w+) =/mg], 'defaults');
};

subtest 'defaults are those of the manual' => sub {
    my %manual;
    for my $section (split /^### /m, $directives) {
        my ($name) = $section =~ /^(\w+)/ or next;
        ($manual{$name}) = $section =~ /Default:\s+`?([^`.,\s]+)/;
    }
    my ($text)  = $settings =~ /^const ct_dir_settings ct_dir_defaults = \{(.*?)^\};/ms;
    my %default = $text =~ /\.(\w+) = "?(-?\w+)"?,/g;
    my %same    = (
        ClownTalkHandler    => $default{handler},
        ClownTalkMaxMessage => $default{max_message},
        ClownTalkBacklog    => $default{backlog},
        ClownTalkMaxAge     => $default{max_age},
        ClownTalkRate       => "$default{rate}/s",
        ClownTalkDeflate    => $default{deflate} ? 'On' : 'Off',
        ClownTalkRequireOpening => $default{require_opening} ? 'On' : 'Off',
    );
    is($manual{$_}, $same{$_}, $_) for sort keys %same;
    my %shared = slurp('src/link/house.c') =~ /^#define CT_SHARED_(\w+)\s+(\d+)/mg;
    my $both   = () = $directives =~ m{Default: `$shared{RATE}/s $shared{BURST}`}g;
    is($both, 2, 'ClownTalkUserRate and ClownTalkAddressRate');
    like($directives, qr/Default: `auto`, which is $default{ping}\./, 'ClownTalkPing');
};

subtest 'every number in the log is used once and explained in docs/log-messages.md' => sub {
    my @explained = slurp('docs/log-messages.md') =~ /^\| CT(\d{4}) /mg;
    my %used;

    for my $file ('mod_clowntalk.c', map { substr $_, 1 + length $top } glob "$top/src/*/*.c") {
        my $text = slurp($file);
        $used{$_}++ for $text =~ /"CT(\d{4})"/g, $text =~ /->log\(\w+, (\d{4}),/g;
    }
    $used{$_}++ for slurp('src/bus/log.h') =~ /^\s+CT_\w+\s+= (\d{4})/mg;
    is_same_set([keys %used], \@explained, 'numbers');
    is_deeply([grep { $used{$_} > 1 } sort keys %used], [], 'none is used twice');
};

subtest 'every error of Clown.Talk is in docs/protocol.md, and no other' => sub {
    my @names = slurp("src/talk/error.c") =~ /return "([a-z-]+)";/g;
    my ($section) = slurp('docs/protocol.md') =~ /^## Errors(.*?)^## /ms;

    is_same_set(\@names, [$section =~ /^\| `([a-z-]+)`/mg], 'errors');
};

subtest 'every client library that is tried is in docs/clients.md, and no other' => sub {
    my @tried = slurp('t/clients/libraries.t') =~ /^    \['([^']+)',\s+\[/mg;
    my ($table) = slurp('docs/clients.md') =~ /^(\| library \| tried .*?)\n\n/ms;

    is_same_set(\@tried, [$table =~ /^\| ([^,|]+), /mg], 'libraries');
};

subtest 'every load of bench/floods is in docs/security.md, and no other, and so are the tests that it names' => sub {
    my @names = map { my ($table) = slurp($_) =~ /^export const (?:KINDS|LOADS) = \{\n(.*?)^\};/ms; $table =~ /^  '([^']+)': \{/mg }
        'bench/flood_kinds.mjs', 'bench/flood_loads.mjs';
    my $page = slurp('docs/security.md');
    my @rows = map { /^\| ([^|]+) \| [^|]+ \| [^|]+ \| [^|]*\|$/mg } map { s/^\|.*\n\| ---.*\n//mr }
        $page =~ /^## (?:Floods|Honest loads)\n(.*?)(?=^## )/msg;

    is_same_set(\@names, \@rows, 'loads');
    ok(-e "$top/$_", "$_ is there") for $page =~ m{`(t/[^`]+)`}g;
};

done_testing;
