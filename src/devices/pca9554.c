/*
 * Relay board on an NXP PCA9554 or TI TCA9534, each with or without an A (data sheets PCA9554,
 * SCPS197): one port with directions. Only where ClownTalkDevice names it, by either name.
 */
#include "expander_relay.h"

/* Section "Register descriptions". Power-up: output FFh, configuration FFh. */
#define REG_OUTPUT 0x01
#define REG_CONFIG 0x03 /* 1: input */

static int read_output(const device *device, unsigned bank, uint8_t *value)
{
    (void)bank;
    return i2c_read8(device->bus, device->address, REG_OUTPUT, value);
}

static int write_output(const device *device, unsigned bank, uint8_t value)
{
    (void)bank;
    return i2c_write8(device->bus, device->address, REG_OUTPUT, value);
}

static int read_inputs(const device *device, unsigned bank, uint8_t *value)
{
    (void)bank;
    return i2c_read8(device->bus, device->address, REG_CONFIG, value);
}

static int write_inputs(const device *device, unsigned bank, uint8_t value)
{
    (void)bank;
    return i2c_write8(device->bus, device->address, REG_CONFIG, value);
}

static const expander_port port = {
    .pins = 8,
    .power_up = 0xff,
    .read_output = read_output,
    .write_output = write_output,
    .read_inputs = read_inputs,
    .write_inputs = write_inputs,
};

static device_step pca9554_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                 size_t why_size)
{
    (void)step;
    (void)why; /* it has no identity: a chip that has a register 3 is taken for it */
    (void)why_size;
    uint8_t config;
    int result = i2c_read8(bus, address, REG_CONFIG, &config);
    return result < 0 ? result : 0;
}

static const char *pca9554_option(void *state, const char *name, const char *value)
{
    return expander_relay_option(state, name, value, port.pins);
}

static const relay_ops pca9554_relay = EXPANDER_RELAY_OPS(8);

#define PCA9554(NAME)                                                                              \
    ((device_driver){                                                                              \
        .name = NAME,                                                                              \
        .type = "relay",                                                                           \
        .addresses = (const uint8_t[]){0},                                                         \
        .state_size = sizeof(expander_relay_state),                                                \
        .chip_size = sizeof(expander_chip),                                                        \
        .variant = &port,                                                                          \
        .probe = pca9554_probe,                                                                    \
        .present = expander_relay_present,                                                         \
        .option = pca9554_option,                                                                  \
        .start = expander_relay_start,                                                             \
        .relay = &pca9554_relay,                                                                   \
    })

const device_driver pca9554_driver = PCA9554("pca9554");
const device_driver tca9534_driver = PCA9554("tca9534");
