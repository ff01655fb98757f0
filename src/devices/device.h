/*
 * What a chip driver is: a const table of operations. One file per chip, named in i2c/chips.def.
 *
 * Drivers run on their bus's thread. They never sleep through a conversion: an operation that has
 * to wait returns the time until it wants to be called again, and the bus serves other chips
 * meanwhile. (A relay's 20 ms pulse is the exception: nothing may come between its two writes.)
 *
 * What a probe may send. It is sent to addresses where any chip may be, so it must harm none of
 * those that are known to use the address (docs/devices.md lists them):
 *
 * 1. A plain read, or one byte followed by a repeated start and a read. To a chip with registers
 *    the byte is the address of a register that is read, to others it is a command; it must not be
 *    one that resets, writes or erases. To a chip without registers (PCF8574, at 20 to 27 and 38
 *    to 3f) even this byte is a value that is written. At these addresses only BigClown's modules
 *    are looked for (38, 3b, 3c, 3d, 3f), and only on a bus that is said to carry them
 *    (bus/port.h); other chips are used where ClownTalkDevice names them.
 * 2. A chip with 16-bit commands (SHT3x, SCD4x) cannot be identified like this: its second byte is
 *    written into a register of any other chip. Its driver sets `probe_command` to the one command
 *    that its probe sends. That command
 *    - reads an identity, a serial number or a status. It starts no measurement, resets nothing,
 *      changes no setting;
 *    - does nothing to any chip that is known to use one of the driver's `addresses`: its first
 *      byte is the address of no register that such a chip lets write, and no command of such a
 *      chip. Where one would be harmed, the driver has no such address, and the chip is used where
 *      ClownTalkDevice names it. (Example: F32Dh, the SHT3x's status, is harmless at 44 and 45.
 *      SCD4x's 3682h at 62 is not: an MCP4725 would take any two bytes as a value to put out.)
 *    - is sent only when every other driver of the address has been tried: such drivers stand
 *      behind all others that share an address (in i2c/chips.def; t/unit/registry.c checks it).
 *    Its answer counts only if every checksum in it is right; anything else is a mismatch. (A byte
 *    that is not acknowledged is -ENXIO, as if no chip were there.)
 * 3. A mismatch is -ENODEV with a sentence in `why` that says what was found and what was expected.
 *    The first driver's sentence is logged (CT1011), once per address until the process ends. Where
 *    the adapter cannot do a transfer that the chip needs: -EOPNOTSUPP, with a sentence as well.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "i2c/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_MAX_QUANTITIES 4
#define DEVICE_MAX_STATE      512 /* bytes of a driver's own state */
#define DEVICE_MAX_CHIP       64  /* bytes of what a chip's devices share */

/*
 * A result of operations, beside those of bus.h: the chip has lost its power since it was
 * configured. Its registers are as power-up leaves them and not as they were left, which was seen
 * twice: one garbled read is no loss of power. It is recovered and configured again.
 */
#define DEVICE_LOST_POWER (-ECONNRESET)
/* It answers, but its registers are neither as they were left nor as power-up leaves them. */
#define DEVICE_NOT_AS_LEFT (-EUCLEAN)
/* A result of `present`: it looks as power-up leaves it, which may also be how it was left. */
#define DEVICE_MAY_HAVE_LOST_POWER 1

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
     * The pin of the chip that a channel's relay hangs on, with these options (`state` is the
     * driver's). NULL: channels have no pins of their own.
     */
    int (*pin)(const void *state, int channel);
    /*
     * Tells the chip, in device->chip, that this channel exists: called once for each of its
     * devices before any transfer, so that the first which works on the chip knows all of them. 0,
     * or -EINVAL: the chip has no such pin. NULL: it has one relay.
     */
    int (*claim)(device *device);
    /*
     * Called first after every start of the hub and every return of the chip: no coil stays
     * energised. It moves no contact, and what shows a loss of power is left. NULL: no coil does.
     */
    int (*release)(device *device);
    /*
     * Called next, when it is known whether the chip has lost its power: what was written to it
     * holds again. It moves no contact.
     */
    int (*recover)(device *device);
    /*
     * Moves a contact and returns when it has moved (at most 30 ms) and the writes have succeeded.
     * `present` was asked just before. It writes in any case, whatever the chip seems to hold.
     */
    int (*set)(device *device, bool on);
    /*
     * Reads the contact's state where the chip can tell, as `present` does and with its results.
     * NULL: cannot (bistable relays).
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
    size_t chip_size;  /* bytes of device->chip */
    /* What tells drivers apart that share their operations, or NULL. */
    const void *variant;
    /* The 16-bit command that `probe` sends, 0: none. See "What a probe may send". */
    uint16_t probe_command;
    /*
     * Identifies the chip. Steps, as above; nothing is kept between them but what the chip keeps.
     * 0: it is this one. -ENODEV: a different chip answers, and `why` says what was found and what
     * was expected. Else the bus's error (-ENXIO: no chip acknowledges).
     */
    device_step (*probe)(i2c_bus *bus, uint8_t address, unsigned step, char *why, size_t why_size);
    /*
     * Whether a chip that was identified and configured is still there: called every two seconds
     * while there is nothing else to do, so it takes a transfer or two (more only where something
     * is not as expected), no wait, and changes nothing. Also called before `recover`. 0, one of
     * the results above, or a negative errno: it is identified again. NULL: the first step of
     * `probe`, which is right for a chip with an identity register: it also notices a different
     * chip. To be set where `probe` takes several steps, and where a loss of power can be seen.
     */
    int (*present)(device *device);
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
     * Given from outside, for drivers that need it: the air pressure on this node in kPa, NAN if
     * unknown.
     */
    double air_pressure;
    /*
     * chip_size bytes that all devices at one address share. Zeroed when the chip is seen for the
     * first time, and kept while it is away.
     */
    void *chip;
};

/* registry.c */
extern const device_driver *const device_drivers[]; /* NULL-terminated, in order of probing */
/* By chip name, or the first of a type; NULL where there is none. */
const device_driver *device_driver_by_name(const char *name);
const device_driver *device_driver_by_type(const char *type);

#endif
