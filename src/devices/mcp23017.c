/*
 * Relay board on a Microchip MCP23017 (data sheet DS20001952): two ports with directions, pins 0 to
 * 7 are GPA0 to GPA7, 8 to 15 GPB0 to GPB7. Only where ClownTalkDevice names it.
 */
#include "expander_relay.h"

#include <errno.h>
#include <stdio.h>

/* Section 3.5, table 3-5: register addresses with IOCON.BANK = 0, as at power-up; B follows A. */
#define REG_IODIR 0x00 /* 1: input; power-up FFh */
#define REG_IOCON 0x0a
#define REG_OLAT  0x14 /* the output latch; power-up 00h */

#define IOCON_BANK 0x80 /* section 3.5.6 */
#define IOCON_ZERO 0x01 /* reads 0 */

static int read_output(const device *device, unsigned bank, uint8_t *value)
{
    return i2c_read8(device->bus, device->address, (uint8_t)(REG_OLAT + bank), value);
}

static int write_output(const device *device, unsigned bank, uint8_t value)
{
    return i2c_write8(device->bus, device->address, (uint8_t)(REG_OLAT + bank), value);
}

static int read_inputs(const device *device, unsigned bank, uint8_t *value)
{
    return i2c_read8(device->bus, device->address, (uint8_t)(REG_IODIR + bank), value);
}

static int write_inputs(const device *device, unsigned bank, uint8_t value)
{
    return i2c_write8(device->bus, device->address, (uint8_t)(REG_IODIR + bank), value);
}

static const expander_port port = {
    .pins = 16,
    .power_up = 0x00,
    .read_output = read_output,
    .write_output = write_output,
    .read_inputs = read_inputs,
    .write_inputs = write_inputs,
};

/* The control register has two addresses, and both must show the same. */
static device_step mcp23017_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                  size_t why_size)
{
    (void)step;
    uint8_t a, b;
    int result = i2c_read8(bus, address, REG_IOCON, &a);
    if (result >= 0) {
        result = i2c_read8(bus, address, REG_IOCON + 1, &b);
    }
    if (result < 0) {
        return result;
    }
    if (a == b && !(a & (IOCON_BANK | IOCON_ZERO))) {
        return 0;
    }
    snprintf(why, why_size,
             "no MCP23017: IOCON is %02Xh and %02Xh, expected the same twice, with 81h clear", a,
             b);
    return -ENODEV;
}

static const char *mcp23017_option(void *state, const char *name, const char *value)
{
    return expander_relay_option(state, name, value, port.pins);
}

static const relay_ops mcp23017_relay = EXPANDER_RELAY_OPS(16);

const device_driver mcp23017_driver = {
    .name = "mcp23017",
    .type = "relay",
    .addresses = (const uint8_t[]){0},
    .state_size = sizeof(expander_relay_state),
    .chip_size = sizeof(expander_chip),
    .variant = &port,
    .probe = mcp23017_probe,
    .present = expander_relay_present,
    .option = mcp23017_option,
    .start = expander_relay_start,
    .relay = &mcp23017_relay,
};
