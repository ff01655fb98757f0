/*
 * Relay board on an NXP or TI PCF8574 or PCF8574A (data sheet SCPS068): one port without registers
 * and directions. A pin is pulled low strongly and high weakly, so such boards are active low as a
 * rule, and a pin at high level is an input at the same time. At power-up all pins are high. Only
 * where ClownTalkDevice names it: its addresses are many chips'.
 */
#include "expander_relay.h"

/*
 * Section "Device Functional Modes": a read gives the levels of the pins, which are what was
 * written unless something pulls them low.
 */
static int read_output(const device *device, unsigned bank, uint8_t *value)
{
    (void)bank;
    return i2c_transfer(device->bus, device->address, NULL, 0, value, 1);
}

static int write_output(const device *device, unsigned bank, uint8_t value)
{
    (void)bank;
    return i2c_transfer(device->bus, device->address, &value, 1, NULL, 0);
}

static const expander_port port = {
    .pins = 8, .power_up = 0xff, .read_output = read_output, .write_output = write_output};

static device_step pcf8574_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                 size_t why_size)
{
    (void)step;
    (void)why; /* it has no identity, only an acknowledge */
    (void)why_size;
    return i2c_probe(bus, address);
}

static const char *pcf8574_option(void *state, const char *name, const char *value)
{
    return expander_relay_option(state, name, value, port.pins);
}

static const relay_ops pcf8574_relay = EXPANDER_RELAY_OPS(8);

const device_driver pcf8574_driver = {
    .name = "pcf8574",
    .type = "relay",
    .addresses = (const uint8_t[]){0},
    .state_size = sizeof(expander_relay_state),
    .chip_size = sizeof(expander_chip),
    .variant = &port,
    .probe = pcf8574_probe,
    .present = expander_relay_present,
    .option = pcf8574_option,
    .start = expander_relay_start,
    .relay = &pcf8574_relay,
};
