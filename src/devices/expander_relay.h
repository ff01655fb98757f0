/*
 * Plain (monostable) relay boards on port expanders: a pin holds its relay for as long as it is
 * active. One device is one channel; the chips' files say how a port is read and written, the rest
 * is common. Threads as for drivers.
 *
 * Options: pin=N (default: the channel's number), active=low (default, as most boards are made: a
 * pin at low level switches the relay on) or active=high.
 */
#ifndef EXPANDER_RELAY_H
#define EXPANDER_RELAY_H

#include "device.h"

typedef struct expander_relay_state {
    int8_t pin; /* plus 1; 0: the channel's number */
    bool active_high;
} expander_relay_state;

/* How to reach a chip's port of eight pins (bank 0, or 1 for pins 8 to 15). Results as in bus.h. */
typedef struct expander_port {
    int pins;
    int (*read_output)(const device *device, unsigned bank, uint8_t *value);
    int (*write_output)(const device *device, unsigned bank, uint8_t value);
    /* Bits of pins that are inputs. Both NULL: the chip knows no directions. */
    int (*read_inputs)(const device *device, unsigned bank, uint8_t *value);
    int (*write_inputs)(const device *device, unsigned bank, uint8_t value);
} expander_port;

int expander_relay_recover(device *device, const expander_port *port);
int expander_relay_set(device *device, const expander_port *port, bool on);
int expander_relay_get(device *device, const expander_port *port, bool *on);
const char *expander_relay_option(void *state, const char *name, const char *value, int pins);

#define EXPANDER_RELAY_MIN_GAP 100000 /* µs between two clicks, as for every relay */

#endif
