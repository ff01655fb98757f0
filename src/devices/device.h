/*
 * What a chip driver is: a const table of operations. One file per chip; the tables are listed in
 * registry.c, where a comment says how to add one.
 *
 * Drivers run on their bus's thread. They never sleep through a conversion: an operation that has
 * to wait returns the time until it wants to be called again, and the bus serves other chips
 * meanwhile. (A relay's 20 ms pulse is the exception: nothing may come between its two writes.)
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "i2c/bus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_MAX_QUANTITIES 4
#define DEVICE_MAX_STATE      512 /* bytes of a driver's own state */

typedef struct device device;
typedef struct device_driver device_driver;

/* What a sensor measures, as it is published: {"temperature": [21.50, "℃"]} */
typedef struct device_quantity {
    const char *name; /* "temperature" */
    const char *unit; /* "℃", UTF-8 */
    int decimals;     /* digits behind the point in publications */
} device_quantity;

/*
 * A step of an operation: 0 when it is finished, more than 0 for the microseconds until the next
 * step is due, or a negative errno. `step` counts up from 0 and starts again with each operation.
 */
typedef int64_t device_step;

typedef struct sensor_ops {
    const device_quantity *quantities;
    size_t n_quantities;
    double default_interval; /* seconds between publications */
    /*
     * Measures. On the step that returns 0 each value is set (NAN: this quantity cannot be read).
     */
    device_step (*measure)(device *device, unsigned step, double values[DEVICE_MAX_QUANTITIES]);
} sensor_ops;

typedef struct relay_ops {
    unsigned channels; /* 1: topics end in the chip's address; more: in -0, -1 ... */
    /*
     * Moves a contact and returns when it has moved (at most 30 ms) and the writes have succeeded.
     * `recover` is called first after every start of the hub and every return of the chip: it
     * leaves no coil energised and moves no contact.
     */
    int (*recover)(device *device);
    int (*set)(device *device, bool on);
    /*
     * Reads the contact's state where the chip can tell: 0, or -EOPNOTSUPP (bistable relays). NULL:
     * cannot.
     */
    int (*get)(device *device, bool *on);
    int64_t min_gap; /* microseconds between the starts of two clicks */
} relay_ops;

typedef struct display_ops {
    unsigned pages;   /* rows of 8 pixels */
    unsigned columns; /* bytes in a page */
    /* Clears and switches on; then writes one page. Steps, as above. */
    device_step (*init)(device *device, unsigned step);
    int (*write_page)(device *device, unsigned page, const uint8_t *bytes);
} display_ops;

struct device_driver {
    const char *name; /* the chip: "tmp112"; ClownTalkDevice's DRIVER */
    const char *type; /* topic's first level: "thermometer" */
    const uint8_t
        *addresses;    /* where it is looked for unasked, ended by 0; none: only where pinned */
    uint8_t companion; /* a further address that belongs to the same device, or 0 */
    size_t state_size; /* bytes of device->state, zeroed when the device appears */
    /*
     * Identifies the chip without writing to it. 0: it is this one. -ENODEV: somebody else answers,
     * and `why` says what was found and what was expected. Else the bus's error (-ENXIO: nobody
     * there).
     */
    int (*probe)(i2c_bus *bus, uint8_t address, char *why, size_t why_size);
    /*
     * Reads one option of ClownTalkDevice ("pin=0"); `state` is the driver's, or NULL to check
     * only. NULL where it is right, else what is allowed. The table entry is NULL for a driver
     * without options.
     */
    const char *(*option)(void *state, const char *name, const char *value);
    /* Configures the chip after it was identified and after each recovery. Steps. */
    device_step (*start)(device *device, unsigned step);
    /* Exactly one of these is set. */
    const sensor_ops *sensor;
    const relay_ops *relay;
    const display_ops *display;
};

struct device {
    const device_driver *driver;
    i2c_bus *bus;
    uint8_t address;
    int channel; /* of a chip with several relays, or -1 */
    void *state; /* state_size bytes */
    /*
     * Given from outside, read by those who need it: the air pressure on this node in kPa, NAN if
     * unknown.
     */
    double air_pressure;
};

/* registry.c */
extern const device_driver *const device_drivers[]; /* NULL-terminated, in order of probing */
/* By chip name, or the first of a type; NULL where there is none. */
const device_driver *device_driver_by_name(const char *name);
const device_driver *device_driver_by_type(const char *type);

#endif
