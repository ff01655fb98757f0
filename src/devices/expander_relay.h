/*
 * Plain (monostable) relay boards on port expanders: a pin holds its relay for as long as it is
 * active. One device is one channel; the chips' files say how a port is read and written, the rest
 * is common. Threads as for drivers.
 *
 * All channels of a chip share what is known of its registers (device->chip), and every write comes
 * from there, never from what was read just before: one garbled read, or a pin that is held from
 * outside, changes no other relay. The pins of no channel stay inputs.
 *
 * Options: pin=N (default: the channel's number), active=low (default, as most boards are made: a
 * pin at low level switches the relay on) or active=high.
 */
#ifndef EXPANDER_RELAY_H
#define EXPANDER_RELAY_H

#include "device.h"

#define EXPANDER_MAX_BANKS 2

typedef struct expander_relay_state {
    int8_t pin; /* plus 1; 0: the channel's number */
    bool active_high;
} expander_relay_state;

/* Eight pins of a chip, as far as they are known. A bit per pin. */
typedef struct expander_bank {
    uint8_t ours;     /* there is a channel for it */
    uint8_t released; /* the level that lets go of its relay */
    uint8_t output;   /* what the output register holds: what was written, or read at first */
    uint8_t doubtful; /* a write to change it has failed: the register may hold either level */
} expander_bank;

/* A chip, shared by its channels. */
typedef struct expander_chip {
    bool taken; /* `output` was learned once */
    bool known; /* ... and no transfer has failed since: the chip holds it */
    expander_bank banks[EXPANDER_MAX_BANKS];
} expander_chip;

/*
 * How to reach a chip's port of eight pins (bank 0, or 1 for pins 8 to 15): the driver's `variant`.
 * Results as in bus.h.
 */
typedef struct expander_port {
    int pins;
    uint8_t power_up; /* what the output register holds then; all pins are inputs */
    int (*read_output)(const device *device, unsigned bank, uint8_t *value);
    int (*write_output)(const device *device, unsigned bank, uint8_t value);
    /*
     * Bits of pins that are inputs. Both NULL: the chip knows no directions. There a pin with high
     * level is an input as well, and `read_output` gives the pins' levels.
     */
    int (*read_inputs)(const device *device, unsigned bank, uint8_t *value);
    int (*write_inputs)(const device *device, unsigned bank, uint8_t value);
} expander_port;

/* Operations of drivers and relays, as device.h has them. */
int expander_relay_pin(const void *state, int channel);
int expander_relay_claim(device *device);
int expander_relay_present(device *device);
int expander_relay_recover(device *device);
int expander_relay_set(device *device, bool on);
int expander_relay_get(device *device, bool *on);
device_step expander_relay_start(device *device, unsigned step);
const char *expander_relay_option(void *state, const char *name, const char *value, int pins);

#define EXPANDER_RELAY_MIN_GAP 100000 /* µs between two clicks, as for every relay */

/* The relay_ops of a chip with this number of pins. */
#define EXPANDER_RELAY_OPS(PINS)                                                                   \
    {                                                                                              \
        .channels = (PINS), .pin = expander_relay_pin, .claim = expander_relay_claim,              \
        .recover = expander_relay_recover, .set = expander_relay_set, .get = expander_relay_get,   \
        .min_gap = EXPANDER_RELAY_MIN_GAP,                                                         \
    }

#endif
