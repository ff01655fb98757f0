# Apache modules that the tests bring along, built as their authors would build them.
package ClownTalk::Apxs;

use strict;
use warnings;

use File::Copy qw(copy);
use Test::More;

use ClownTalk::Httpd;
use ClownTalk::Settings;

# Builds $dir/$name.c, or a copy of t/modules/$name.c where that is not there; returns the module's
# file. A test of its own: it must build without a warning.
sub build {
    my ($dir, $name, @options) = @_;
    my $source = ClownTalk::Settings->get('srcdir') . "/t/modules/$name.c";

    -e "$dir/$name.c" || copy($source, "$dir/$name.c") or die "$source: $!";
    my $output = ClownTalk::Httpd::run_quietly(ClownTalk::Settings->get('apxs'), '-c', @options,
        '-Wc,-Wall -Wextra -Wno-unused-parameter -Werror', '-o', "$dir/$name.la", "$dir/$name.c");
    is $?, 0, "apxs builds $name, without a warning" or diag $output;
    return "$dir/.libs/$name.so";
}

1;
