/*
 * Relay: BigClown Relay Module, a TI TCA9534A (data sheet SCPS198) that drives the coil of a
 * bistable relay through two half bridges. A pulse moves the contact, nothing holds it.
 *
 * One rule stands above all others: the coil must not stay energised. Whatever goes wrong, the
 * neutral port value is written again until the chip confirms it, or long past the time in which a
 * chip that is there at all would have answered.
 */
#include "device.h"

#include <errno.h>
#include <stdio.h>

/* Section "Register Descriptions". */
#define REG_OUTPUT     0x01
#define REG_CONFIG     0x03
#define CONFIG_OUTPUTS 0x00 /* all pins; 1 makes a pin an input */
#define POWER_UP       0xff /* both registers */

/* Port values: P4, P5 and P6, P7 are the inputs of the half bridges. */
#define PORT_NEUTRAL 0x50 /* no current */
#define PORT_ON      0x30
#define PORT_OFF     0xc0

#define PULSE         20000  /* µs that move the contact for certain */
#define MIN_GAP       100000 /* µs between the starts of two clicks: the coil must cool down */
#define NEUTRAL_TRIES 50     /* the first ten at once, then one per millisecond ... */
#define PROMPT_TRIES  10
#define NEUTRAL_TIME  500000 /* ... unless each takes long: µs after which no other one begins */

/*
 * Whether the chip is as it was left; what is not so is believed when it is seen twice. Only
 * power-up makes the pins inputs; what the outputs were to be may have been written since.
 */
static int relay_module_present(device *device)
{
    int as_powered_up = 0, otherwise = 0;
    while (as_powered_up < 2 && otherwise < 2) {
        uint8_t output, config;
        int result = i2c_read8(device->bus, device->address, REG_OUTPUT, &output);
        if (result >= 0) {
            result = i2c_read8(device->bus, device->address, REG_CONFIG, &config);
        }
        if (result < 0) {
            return result;
        }
        if (output == PORT_NEUTRAL && config == CONFIG_OUTPUTS) {
            return 0;
        }
        config == POWER_UP ? as_powered_up++ : otherwise++;
    }
    return as_powered_up == 2 ? DEVICE_LOST_POWER : DEVICE_NOT_AS_LEFT;
}

/* Ends any current through the coil, hard. 0 once the chip has confirmed it. */
static int neutralise(device *device)
{
    int64_t begin = device->bus->ops->now(device->bus);
    int result = i2c_write8_verified(device->bus, device->address, REG_OUTPUT, PORT_NEUTRAL);
    for (int tries = 1; result != 0 && tries < NEUTRAL_TRIES; tries++) {
        if (device->bus->ops->now(device->bus) - begin > NEUTRAL_TIME) {
            break;
        }
        if (tries >= PROMPT_TRIES) {
            device->bus->ops->sleep(device->bus, 1000);
        }
        result = i2c_write8_verified(device->bus, device->address, REG_OUTPUT, PORT_NEUTRAL);
    }
    return result;
}

/*
 * The output register first: at power-up it holds FFh, and after a crash it may hold a pulse that
 * did not end. Only then may the pins be outputs.
 */
static int relay_module_recover(device *device)
{
    int result = neutralise(device);
    if (result == 0) {
        result = i2c_write8_verified(device->bus, device->address, REG_CONFIG, CONFIG_OUTPUTS);
    }
    return result;
}

/* Writes a pulse's beginning; what comes of it, the caller must neutralise. */
static int pulse(device *device, uint8_t port)
{
    uint8_t found = PORT_NEUTRAL;
    int64_t begin = device->bus->ops->now(device->bus);
    int result = i2c_write8(device->bus, device->address, REG_OUTPUT, port);
    for (int look = 0; look < 2 && result >= 0 && found != port; look++) {
        result = i2c_read8(device->bus, device->address, REG_OUTPUT, &found);
    }
    if (result < 0) {
        return result;
    }
    if (found != port) {
        return -EIO;
    }
    int64_t rest = begin + PULSE - device->bus->ops->now(device->bus);
    if (rest > 0) {
        device->bus->ops->sleep(device->bus, rest);
    }
    return 0;
}

/* Whether the pins were outputs to the end: then current has flowed. */
static int see_directions(device *device)
{
    uint8_t config = CONFIG_OUTPUTS;
    int result = 0;
    for (int look = 0; look < 2; look++) {
        result = i2c_read8(device->bus, device->address, REG_CONFIG, &config);
        if (result < 0 || config == CONFIG_OUTPUTS) {
            return result;
        }
    }
    return config == POWER_UP ? DEVICE_LOST_POWER : -EIO;
}

static int relay_module_set(device *device, bool on)
{
    int result = pulse(device, on ? PORT_ON : PORT_OFF);
    int ended = neutralise(device);
    if (result == 0) {
        result = ended;
    }
    return result == 0 ? see_directions(device) : result;
}

static device_step relay_module_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                      size_t why_size)
{
    (void)step;
    (void)why; /* the chip has no identity: a chip with a register 3 here is taken for it */
    (void)why_size;
    uint8_t config;
    int result = i2c_read8(bus, address, REG_CONFIG, &config);
    return result < 0 ? result : 0;
}

static device_step relay_module_start(device *device, unsigned step)
{
    (void)step;
    return relay_module_recover(device);
}

static const relay_ops relay_module_relay = {
    .channels = 1,
    .release = neutralise,
    .recover = relay_module_recover,
    .set = relay_module_set,
    .get = NULL, /* the contact's position cannot be read */
    .min_gap = MIN_GAP,
};

const device_driver relay_module_driver = {
    .name = "tca9534a",
    .type = "relay",
    .addresses = (const uint8_t[]){0x3b, 0x3f, 0},
    .probe = relay_module_probe,
    .present = relay_module_present,
    .start = relay_module_start,
    .relay = &relay_module_relay,
};
