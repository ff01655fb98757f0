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

static int pca9554_recover(device *device)
{
    return expander_relay_recover(device, &port);
}

static int pca9554_set(device *device, bool on)
{
    return expander_relay_set(device, &port, on);
}

static int pca9554_get(device *device, bool *on)
{
    return expander_relay_get(device, &port, on);
}

static const char *pca9554_option(void *state, const char *name, const char *value)
{
    return expander_relay_option(state, name, value, port.pins);
}

static device_step pca9554_start(device *device, unsigned step)
{
    (void)step;
    return pca9554_recover(device);
}

static const relay_ops pca9554_relay = {
    .channels = 8,
    .recover = pca9554_recover,
    .set = pca9554_set,
    .get = pca9554_get,
    .min_gap = EXPANDER_RELAY_MIN_GAP,
};

#define PCA9554(NAME)                                                                              \
    ((device_driver){                                                                              \
        .name = NAME,                                                                              \
        .type = "relay",                                                                           \
        .addresses = (const uint8_t[]){0},                                                         \
        .state_size = sizeof(expander_relay_state),                                                \
        .probe = pca9554_probe,                                                                    \
        .option = pca9554_option,                                                                  \
        .start = pca9554_start,                                                                    \
        .relay = &pca9554_relay,                                                                   \
    })

const device_driver pca9554_driver = PCA9554("pca9554");
const device_driver tca9534_driver = PCA9554("tca9534");
