# clowntalk-bridge on a real bus; and a bus has one owner.
use strict;
use warnings;

use IPC::Open3 qw(open3);
use Symbol qw(gensym);
use Test::More;

use ClownTalk::Settings;
use ClownTalk::Stub;

my $stub = ClownTalk::Stub->new(0x48, 0x3b)->plug(0x48, 'tmp112', 0xe700)->plug(0x3b, 'tca9534a');

# Starts a bridge on the bus and says the opening: {pid, to, from, errors}.
sub start_bridge {
    my @command = (
        ClownTalk::Settings->get('builddir') . '/clowntalk-bridge', '--bus', '0=' . $stub->device . ',modules=bigclown');
    my %bridge = (errors => gensym);

    $bridge{pid} = open3($bridge{to}, $bridge{from}, $bridge{errors}, @command);
    tell_bridge(\%bridge, '["clown.talk/-/config/set", {}]');
    return \%bridge;
}

sub tell_bridge {
    my ($bridge, $line) = @_;

    syswrite $bridge->{to}, "$line\n";
}

# The next line that fits; '' at the end.
sub read_until {
    my ($fh, $pattern) = @_;

    while (defined(my $line = readline $fh)) {
        return $line if $line =~ $pattern;
    }
    return '';
}

# Ends it by its input's end; its status.
sub end_bridge {
    my ($bridge) = @_;

    close $bridge->{to};
    waitpid $bridge->{pid}, 0;
    return $?;
}

$SIG{ALRM} = sub { die "a bridge said nothing for too long\n" };
alarm 60;

my $first = start_bridge();
like read_until($first->{from}, qr/config/), qr/"device": "bridge"/, 'the opening is answered';
like read_until($first->{from}, qr/^\["thermometer/), qr/^\["thermometer\/i2c0-48", .*\[-25\.00, /,
    'the thermometer is read';
tell_bridge($first, '["relay/i2c0-3b/set", {"state": true}, {"id": 1}]');
like read_until($first->{from}, qr/relay.*true/), qr/^\["relay\/i2c0-3b", /,
    'the relay is switched';

my $second = start_bridge();
like read_until($second->{errors}, qr/CT1002/), qr/is in use by another hub or clowntalk-bridge/,
    'a second one is refused the bus, and says why';
is end_bridge($first), 0, 'the first one ends with its input';
like read_until($second->{from}, qr/^\["thermometer/), qr/-25\.00/, 'the second one takes over';
is end_bridge($second), 0, 'and ends';

done_testing;
