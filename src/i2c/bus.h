/*
 * An I2C bus as the drivers see it, with three implementations: Linux (linux.h, /dev/i2c-N), a
 * simulated one (src/sim) and one that injects faults into another (fault.h, for tests). This
 * folder knows no implementation outside itself: a program names the kinds of bus that it has.
 *
 * A bus belongs to one thread, which makes every call. Calls block for as long as the transfer
 * takes. Addresses are 7-bit. Results are 0 or more, or a negative errno:
 *   -ENXIO      no chip acknowledged the address or a byte
 *   -EIO        the transfer failed otherwise
 *   -ETIMEDOUT  the bus is stuck or a chip stretched the clock too long
 *   -EBUSY      a kernel driver holds the address; it is never taken by force
 *   -EOPNOTSUPP the adapter cannot do this kind of transfer
 *   -ENODEV     the bus itself is gone
 */
#ifndef I2C_BUS_H
#define I2C_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define I2C_FIRST_ADDRESS      0x08 /* 00-07 and 78-7f are reserved: I2C specification 3.1.12 */
#define I2C_LAST_ADDRESS       0x77
#define I2C_MAX_REGISTER_BLOCK 32 /* bytes in one register access: SMBus's limit */

typedef struct i2c_bus i2c_bus;

typedef struct i2c_bus_ops {
    const char *name; /* "linux", "sim", "fault" */
    /*
     * Reads `length` (1 to 32) bytes beginning at a register: write of `reg`, repeated start, read.
     */
    int (*read_register)(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *data, size_t length);
    /* Writes `reg` and then `length` (0 to 32) bytes. */
    int (*write_register)(i2c_bus *bus, uint8_t address, uint8_t reg, const uint8_t *data,
                          size_t length);
    /*
     * Writes, then with a repeated start reads; either length may be 0, not both. Up to 8192 bytes
     * each.
     */
    int (*transfer)(i2c_bus *bus, uint8_t address, const uint8_t *write, size_t write_length,
                    uint8_t *read, size_t read_length);
    /* Monotonic time in microseconds, and a sleep on the same clock. */
    int64_t (*now)(i2c_bus *bus);
    void (*sleep)(i2c_bus *bus, int64_t microseconds);
    /*
     * From now on the bus hands `report` a sentence about what it notices by itself, such as a
     * scenario file that was changed and is wrong. It does so from within a transfer, and `report`
     * may call nothing of the bus. NULL: this implementation never notices anything.
     */
    void (*on_report)(i2c_bus *bus, void (*report)(void *baton, const char *text), void *baton);
    void (*close)(i2c_bus *bus);
} i2c_bus_ops;

struct i2c_bus { /* the first member of each implementation's own struct */
    const i2c_bus_ops *ops;
};

/*
 * A kind of bus: which device strings name one, and how it is opened. A program passes the kinds
 * that it has as an array that ends with NULL; the first that recognises a device string has it.
 * Each implementation defines a const one (linux_bus_kind, sim_bus_kind).
 */
typedef struct i2c_bus_kind {
    /* Its chips are simulated ones: no question that is asked can do any harm. */
    bool simulated;
    /* What its device strings look like, for errors: "/dev/i2c-N". Ends with NULL. */
    const char *const *forms;
    /* Whether the string has one of these forms. */
    bool (*recognises)(const char *device);
    /*
     * Checks a string that it recognises without opening the bus: 0, or -EINVAL with a sentence.
     * NULL: the form is all that can be checked.
     */
    int (*check)(const char *device, char *why, size_t why_size);
    /* Opens a bus that was checked: 0, or a negative errno with a sentence. */
    int (*open)(i2c_bus **bus, const char *device, char *why, size_t why_size);
} i2c_bus_kind;

/*
 * Checks a device string without opening the bus: 0, or -EINVAL with a sentence in `why` that says
 * what is allowed. Any thread.
 */
int i2c_bus_check(const i2c_bus_kind *const *kinds, const char *device, char *why, size_t why_size);
/* Whether a device string names a bus of simulated chips. Any thread. */
bool i2c_bus_is_simulated(const i2c_bus_kind *const *kinds, const char *device);
/* Checks and opens. 0, or a negative errno with a sentence in `why`; then *bus is NULL. */
int i2c_bus_open(const i2c_bus_kind *const *kinds, i2c_bus **bus, const char *device, char *why,
                 size_t why_size);
void i2c_bus_close(i2c_bus *bus);

/* The same calls as above, checked for their ranges (-EINVAL). */
int i2c_read_register(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *data, size_t length);
int i2c_write_register(i2c_bus *bus, uint8_t address, uint8_t reg, const uint8_t *data,
                       size_t length);
int i2c_transfer(i2c_bus *bus, uint8_t address, const uint8_t *write, size_t write_length,
                 uint8_t *read, size_t read_length);
int i2c_read8(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *value);
/*
 * Reads registers that do not change meanwhile, such as a result, until two reads agree: long wires
 * garble bytes, and most chips have no checksum. At most three reads; -EIO where no two agree.
 */
int i2c_read_agreed(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *data, size_t length);
int i2c_write8(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t value);
/* Writes a register that gives back what was written, and compares: -EIO where it does not. */
int i2c_write8_verified(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t value);
int i2c_read16be(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t *value);
int i2c_write16be(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t value);
/* Whether a chip acknowledges the address: a read of one byte, never a write. 0 or -errno. */
int i2c_probe(i2c_bus *bus, uint8_t address);

#endif
