/*
 * An I2C bus as the drivers see it, with three implementations: Linux (/dev/i2c-N, libi2c),
 * simulated (src/sim) and one that injects faults into another (for tests).
 *
 * A bus belongs to one thread, which makes every call. Calls block for as long as the transfer
 * takes. Addresses are 7-bit. Results are 0 or more, or a negative errno:
 *   -ENXIO      nobody acknowledged the address or a byte
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
    void (*close)(i2c_bus *bus);
} i2c_bus_ops;

struct i2c_bus { /* the first member of each implementation's own struct */
    const i2c_bus_ops *ops;
    int label; /* the 0 in i2c0-48 */
};

/*
 * Opens "/dev/i2c-N", "sim" or "sim:FILE". 0, or a negative errno with a sentence in `why`: a Linux
 * bus is locked (flock) so that no second hub or bridge drives it.
 */
int i2c_bus_open(i2c_bus **bus, int label, const char *device, char *why, size_t why_size);
void i2c_bus_close(i2c_bus *bus);
/* Checks the form of a device string without opening anything: 0, or -EINVAL with a sentence. */
int i2c_bus_check(const char *device, char *why, size_t why_size);

/* The same calls as above, checked for their ranges (-EINVAL). */
int i2c_read_register(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *data, size_t length);
int i2c_write_register(i2c_bus *bus, uint8_t address, uint8_t reg, const uint8_t *data,
                       size_t length);
int i2c_transfer(i2c_bus *bus, uint8_t address, const uint8_t *write, size_t write_length,
                 uint8_t *read, size_t read_length);
int i2c_read8(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *value);
int i2c_write8(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t value);
int i2c_read16be(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t *value);
int i2c_write16be(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t value);
int i2c_read16le(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t *value);
int i2c_write16le(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t value);
/* Whether somebody acknowledges the address: a read of one byte, never a write. 0 or -errno. */
int i2c_probe(i2c_bus *bus, uint8_t address);

#endif
