# Runs TAP programs, shows them as prove does, and keeps count.
#
# Counts go into the file that CLOWNTALK_TALLY names, a line per run, so that t/run can add up what
# several processes have run: "NAME<tab>PASSED<tab>FAILED<tab>SKIPPED". Lines about the failures follow
# it; each begins with a tab.
package ClownTalk::Harness;

use strict;
use warnings;

use Fcntl qw(:flock);
use File::Temp ();
use TAP::Harness;

# Lines of a failed program's output that are printed; and of those, how many of the first and of the last the
# sum repeats: what went wrong, and how it ended.
use constant {
    NOTES => 100,
    FIRST => 8,
    LAST  => 7,
};

# run(name, tests => [FILE ...], exec => [COMMAND ...], timeout => SECONDS, verbose => 0|1)
# returns {passed, failed, skipped}. A program that ends badly without a failed test counts as one.
sub run {
    my (%arg) = @_;

    print "\n# $arg{name}\n";
    # What a program says on standard error belongs to its notes; it is shown when the program ends.
    my $stderr = File::Temp->new;
    my @keep = $arg{verbose} ? () : ('sh', '-c', 'exec "$@" 2>"$0"', "$stderr");
    my $harness = TAP::Harness->new({
        parser_class => 'ClownTalk::Harness::Parser',
        verbosity    => $arg{verbose} ? 1 : 0,
        merge        => 0,
        failures     => 1,
        exec         => [@keep, 'timeout', '--kill-after=10', $arg{timeout}, @{$arg{exec} || []}],
    });
    my (%said, %complained);
    $harness->callback(made_parser => sub {
        my ($parser) = @_;
        my $notes = $said{$parser} = [];
        $parser->callback($_ => sub { note($notes, $_[0]) }) for qw(test comment yaml unknown);
    });
    $harness->callback(after_test => sub {
        my (undef, $parser) = @_;
        my @lines = take_lines("$stderr");
        print STDERR @lines;
        add_notes($said{$parser}, @lines);
        chomp(@lines);
        $complained{$parser} = \@lines;
    });
    my $cut = common_prefix(@{$arg{tests}});
    my $aggregator = $harness->runtests(map { [$_, substr $_, $cut] } @{$arg{tests}});

    my %count = (passed => 0, failed => 0, skipped => 0);
    my @failures;
    for my $name ($aggregator->descriptions) {
        my ($parser) = $aggregator->parsers($name);
        my $skipped = $parser->skipped;
        my $failed  = $parser->failed;
        if ($parser->has_problems) {
            my @notes = @{$said{$parser}};
            print "\n# $name said last:\n", map { "    $_\n" } @notes unless $arg{verbose};
            push @failures, join ', ', $name, problems($parser);
            push @failures, map { "    $_" } excerpt(@{$complained{$parser}} ? @{$complained{$parser}} : @notes);
        }
        $count{skipped} += $skipped || ($parser->skip_all ? 1 : 0);
        $count{passed}  += $parser->passed - $skipped;
        $count{failed}  += $failed || ($parser->has_problems && !$failed ? 1 : 0);
    }
    return tally($arg{name}, \%count, @failures);
}

# What a program's end, its plan and its results have against it.
sub problems {
    my ($parser) = @_;
    my @failed = $parser->failed;

    return (
        @failed ? "failed: @failed" : (),
        $parser->wait ? $parser->exit ? 'exit status ' . $parser->exit : 'signal ' . ($parser->wait & 127) : (),
        $parser->parse_errors,
    );
}

# The first and the last of many lines.
sub excerpt {
    my (@lines) = @_;

    splice @lines, FIRST, @lines - FIRST - LAST, '...' if @lines > FIRST + LAST;
    return @lines;
}

# The lines of a file, which is emptied.
sub take_lines {
    my ($file) = @_;

    open my $fh, '+<', $file or die "$file: $!";
    my @lines = <$fh>;
    truncate $fh, 0 or die "$file: $!";
    return @lines;
}

# Keeps what a program says beside its results: for one that fails, it is printed.
sub note {
    my ($notes, $result) = @_;

    add_notes($notes, $result->raw) unless $result->is_test && $result->is_ok;
}

sub add_notes {
    my ($notes, @text) = @_;

    for my $line (map { split /\n/ } @text) {
        utf8::encode($line) if utf8::is_utf8($line);    # TAP comes decoded
        push @$notes, $line;
    }
    splice @$notes, 0, @$notes - NOTES if @$notes > NOTES;
}

# Results of checks that no program made: ([NAME, undef or what is wrong] ...).
sub report {
    my ($name, @checks) = @_;
    my %count = (passed => 0, failed => 0, skipped => 0);
    my @failures;

    print "\n# $name\n";
    for my $check (@checks) {
        my ($what, $wrong) = @$check;
        $count{defined $wrong ? 'failed' : 'passed'}++;
        print defined $wrong ? "not ok - $what: $wrong\n" : "ok - $what\n";
        push @failures, "$what: $wrong" if defined $wrong;
    }
    return tally($name, \%count, @failures);
}

sub tally {
    my ($name, $count, @failures) = @_;

    if (my $file = $ENV{CLOWNTALK_TALLY}) {
        open my $fh, '>>', $file or die "$file: $!";
        flock $fh, LOCK_EX or die "$file: $!";
        print $fh join("\t", $name, @$count{qw(passed failed skipped)}), "\n",
            map { "\t$_\n" } map { split /\n/ } @failures;
        close $fh or die "$file: $!";
    }
    return $count;
}

# Length of the directory part that all names share, so that the display begins where they differ.
sub common_prefix {
    my ($first, @rest) = @_;

    return 0 unless defined $first;
    my $cut = rindex($first, '/') + 1;
    for my $name (@rest) {
        $cut = rindex($first, '/', $cut - 2) + 1
            while $cut > 0 && substr($name, 0, $cut) ne substr($first, 0, $cut);
    }
    return $cut;
}

# ---- the parser's one difference: a skipped test has not failed ----

package ClownTalk::Harness::Parser;

use parent 'TAP::Parser';

# cmocka writes it as "not ok 1 - name # SKIP".
sub make_result {
    my ($self, $token) = @_;

    $token->{ok} = 'ok' if $token->{type} eq 'test' && ($token->{directive} // '') eq 'SKIP';
    return $self->SUPER::make_result($token);
}

1;
