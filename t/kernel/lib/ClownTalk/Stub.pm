# A bus of the kernel's i2c-stub: chips that are plain memories of 256 registers, SMBus only. What is
# written to a register stays there and nothing moves by itself; "ready" bits have to be preset.
#
# i2c-stub keeps a word of 16 bits for each register; byte and block transfers see its lower half.
package ClownTalk::Stub;

use strict;
use warnings;

use Carp qw(croak);
use Fcntl qw(O_RDWR);

use ClownTalk::Kernel qw(write_sysfs load_module unload_module find_adapter);

# <linux/i2c-dev.h>, <linux/i2c.h>. The registers of a chip that a driver holds are set as well: this
# is the chip's side, not a user of the bus.
use constant {
    I2C_SLAVE_FORCE     => 0x0706,
    I2C_SMBUS           => 0x0720,
    I2C_SMBUS_READ      => 1,
    I2C_SMBUS_WRITE     => 0,
    I2C_SMBUS_BYTE_DATA => 2,
    I2C_SMBUS_WORD_DATA => 3,
};

# new(0x48, 0x3b ...): a bus with chips at these addresses (ten at most), all registers 0. One bus
# exists at a time.
sub new {
    my ($class, @addresses) = @_;

    unload_module('i2c-stub');
    load_module('i2c-stub', 'chip_addr=' . join ',', map { sprintf '0x%02x', $_ } @addresses);
    my $number = find_adapter(qr/^SMBus stub driver/);
    sysopen my $fh, "/dev/i2c-$number", O_RDWR or croak "/dev/i2c-$number: $!";
    return bless {number => $number, fh => $fh}, $class;
}

sub number { return $_[0]{number} }
sub device { return "/dev/i2c-$_[0]{number}" }

# One SMBus transfer (struct i2c_smbus_ioctl_data); returns the lower 16 bits of what was read.
sub smbus {
    my ($self, $address, $read_write, $register, $size, $value) = @_;

    my $data = pack 'S x32', $value || 0;
    my $request = pack 'C C x2 L P', $read_write, $register, $size, $data;
    ioctl $self->{fh}, I2C_SLAVE_FORCE, $address or croak sprintf 'I2C_SLAVE_FORCE %02x: %s', $address, $!;
    ioctl $self->{fh}, I2C_SMBUS, $request or croak sprintf 'SMBus, %02x: %s', $address, $!;
    return unpack 'S', $data;
}

sub byte {
    my ($self, $address, $register) = @_;

    return $self->smbus($address, I2C_SMBUS_READ, $register, I2C_SMBUS_BYTE_DATA) & 0xff;
}

# Bytes of registers in a row.
sub set_bytes {
    my ($self, $address, $register, @values) = @_;

    $self->smbus($address, I2C_SMBUS_WRITE, $register++, I2C_SMBUS_BYTE_DATA, $_) for @values;
    return $self;
}

# A register of 16 bits, most significant byte first on the wire (SMBus has it the other way round).
sub set_word {
    my ($self, $address, $register, $value) = @_;

    $self->smbus($address, I2C_SMBUS_WRITE, $register, I2C_SMBUS_WORD_DATA, unpack 'v', pack 'n', $value);
    return $self;
}

# All 256 words, in hexadecimal.
sub dump {
    my ($self, $address) = @_;

    return join ' ', map {
        sprintf '%04x', $self->smbus($address, I2C_SMBUS_READ, $_, I2C_SMBUS_WORD_DATA)
    } 0 .. 255;
}

# Has a kernel driver take an address, or let it go.
sub bind_driver {
    my ($self, $type, $address) = @_;

    write_sysfs("/sys/bus/i2c/devices/i2c-$self->{number}/new_device", sprintf '%s 0x%02x', $type, $address);
}

sub unbind_driver {
    my ($self, $address) = @_;

    write_sysfs("/sys/bus/i2c/devices/i2c-$self->{number}/delete_device", sprintf '0x%02x', $address);
}

# ---- chips ----

# plug(ADDRESS, CHIP, RAW): a chip as it is after power-up, but ready with a result.
sub plug {
    my ($self, $address, $chip, $raw) = @_;

    $self->{chips}{$address} = $chip;
    $self->can("power_up_$chip")->($self, $address);
    $self->result($address, $raw) if defined $raw;
    return $self;
}

# Gives a chip another raw result, and touches nothing else of it.
sub result {
    my ($self, $address, $raw) = @_;

    $self->can("result_$self->{chips}{$address}")->($self, $address, $raw);
    return $self;
}

# SBOS473: configuration 60A0h, limits 80 and 75 ℃.
sub power_up_tmp112 {
    my ($self, $address) = @_;

    $self->set_word($address, 1, 0x60a0)->set_word($address, 2, 0x4b00)->set_word($address, 3, 0x5000);
}

sub result_tmp112 { my ($self, $address, $raw) = @_; $self->set_word($address, 0, $raw) }

# SBOS681: configuration C810h, limits, identity. "Ready" the driver sets by itself: in a real chip
# that bit cannot be written.
sub power_up_opt3001 {
    my ($self, $address) = @_;

    $self->set_word($address, 1, 0xc810)->set_word($address, 2, 0xc000)->set_word($address, 3, 0xbfff)
        ->set_word($address, 0x7e, 0x5449)->set_word($address, 0x7f, 0x3001);
}

sub result_opt3001 { my ($self, $address, $raw) = @_; $self->set_word($address, 0, $raw) }

# SNAS678: DRDY in 04, identity in FC to FF; low bytes first.
sub power_up_hdc2080 {
    my ($self, $address) = @_;

    $self->set_bytes($address, 0x04, 0x80)->set_bytes($address, 0xfc, 0x49, 0x54, 0xd0, 0x07);
}

sub result_hdc2080 {
    my ($self, $address, $raw) = @_;

    $self->set_bytes($address, 0x02, unpack 'C2', pack 'v', $raw);
}

# DocID026333: identity, H_DA and T_DA in 27, humidity in 28, calibration in 30 to 3F: 40 % at 8000,
# 80 % at -12000. Bit 7 of an address makes a real chip advance within a block; here it means
# another register.
sub power_up_hts221 {
    my ($self, $address) = @_;

    my @calibration = unpack 'C*', pack 'C2 x4 s< x2 s< x4', 2 * 40, 2 * 80, 8000, -12000;
    $self->set_bytes($address, 0x0f, 0xbc)->set_bytes($address, 0x27, 0x03)
        ->set_bytes($address, 0xa7, 0x03)->set_bytes($address, 0xb0, @calibration);
}

sub result_hts221 {
    my ($self, $address, $raw) = @_;

    $self->set_bytes($address, 0xa8, unpack 'C2', pack 's<', $raw);
}

# MPL3115A2, revision 5: PTDR and PDR in 00, identity in 0C, 20 bits of result from 01 on. Pressure
# and altitude come out of the same registers; here they are the same bits.
sub power_up_mpl3115a2 {
    my ($self, $address) = @_;

    $self->set_bytes($address, 0x00, 0x0c)->set_bytes($address, 0x0c, 0xc4);
}

sub result_mpl3115a2 {
    my ($self, $address, $raw) = @_;

    $self->set_bytes($address, 0x01, unpack 'x C3', pack 'N', $raw << 4);
}

# SCPS197: output and configuration FFh.
sub power_up_tca9534a {
    my ($self, $address) = @_;

    $self->set_bytes($address, 0, 0xff, 0xff, 0x00, 0xff);
}

1;
