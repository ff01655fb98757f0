/*
 * The kernel's documents: Documentation/i2c/dev-interface.rst, smbus-protocol.rst, fault-codes.rst.
 *
 * A lock (flock) keeps a second hub off the bus, I2C_SLAVE keeps us off chips that a kernel driver
 * holds: it is asked before every transfer, since I2C_RDWR alone does not ask and drivers come and
 * go.
 */
#include "linux.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <i2c/smbus.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define I2C_MAJOR 89 /* <linux/major.h> has none of it */

#define LOCK_PATIENCE                                                                              \
    3000000              /* µs: a predecessor that is ending releases the lock within this time */
#define LOCK_RETRY 20000 /* µs between tries */

typedef struct linux_bus {
    i2c_bus bus;
    int fd;
    int number;              /* the N of /dev/i2c-N */
    bool listed;             /* in sysfs, when it was opened */
    unsigned long functions; /* I2C_FUNC_... of the adapter */
} linux_bus;

static int64_t linux_now(i2c_bus *bus)
{
    (void)bus;
    return base_monotonic_us();
}

static void linux_sleep(i2c_bus *bus, int64_t microseconds)
{
    (void)bus;
    if (microseconds <= 0) {
        return;
    }
    struct timespec t = {microseconds / 1000000, microseconds % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        ;
}

/* ---- results ---- */

static bool adapter_is_present(const linux_bus *bus)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/class/i2c-dev/i2c-%d", bus->number);
    return access(path, F_OK) == 0;
}

/*
 * Brings what adapters' drivers answer (fault-codes.rst, and what they do besides) to bus.h's few.
 * A USB adapter that was pulled answers ENODEV, or with i2c-tiny-usb EIO, for as long as it is
 * open.
 */
static int translate(const linux_bus *bus, int result)
{
    switch (-result) {
    case ENXIO:
    case EREMOTEIO: /* no acknowledge, from about half of the drivers */
        return -ENXIO;
    case ENODEV: /* i2c-stub: no such chip */
        return adapter_is_present(bus) ? -ENXIO : -ENODEV;
    case ETIMEDOUT:
    case EBUSY:
        return result;
    case EOPNOTSUPP:
    case ENOSYS:
        return -EOPNOTSUPP;
    default:
        if (result >= 0) {
            return result;
        }
        return bus->listed && !adapter_is_present(bus) ? -ENODEV : -EIO;
    }
}

/* Directs SMBus transfers to an address. -EBUSY where a kernel driver holds it. */
static int select_chip(const linux_bus *bus, uint8_t address)
{
    if (ioctl(bus->fd, I2C_SLAVE, (unsigned long)address) == 0) {
        return 0;
    }
    return errno == EINVAL ? -EINVAL : translate(bus, -errno);
}

static bool can(const linux_bus *bus, unsigned long functions)
{
    return (bus->functions & functions) == functions;
}

/* ---- transfers ---- */

static int read_write(const linux_bus *bus, uint8_t address, const uint8_t *write,
                      size_t write_length, uint8_t *read, size_t read_length)
{
    struct i2c_msg messages[2];
    struct i2c_rdwr_ioctl_data data = {messages, 0};
    if (write_length) {
        messages[data.nmsgs++] =
            (struct i2c_msg){address, 0, (uint16_t)write_length, (uint8_t *)write};
    }
    if (read_length) {
        messages[data.nmsgs++] = (struct i2c_msg){address, I2C_M_RD, (uint16_t)read_length, read};
    }
    int done = ioctl(bus->fd, I2C_RDWR, &data);
    if (done < 0) {
        return translate(bus, -errno);
    }
    return done == (int)data.nmsgs ? 0 : -EIO;
}

static int smbus_read(const linux_bus *bus, uint8_t reg, uint8_t *data, size_t length)
{
    int result;
    if (length == 1 && can(bus, I2C_FUNC_SMBUS_READ_BYTE_DATA)) {
        result = i2c_smbus_read_byte_data(bus->fd, reg);
        if (result >= 0) {
            data[0] = (uint8_t)result;
        }
    } else if (length == 2 && can(bus, I2C_FUNC_SMBUS_READ_WORD_DATA)) {
        result = i2c_smbus_read_word_data(bus->fd, reg);
        if (result >= 0) { /* the low byte is the first on the wire */
            data[0] = (uint8_t)result;
            data[1] = (uint8_t)(result >> 8);
        }
    } else if (can(bus, I2C_FUNC_SMBUS_READ_I2C_BLOCK)) {
        uint8_t block[I2C_SMBUS_BLOCK_MAX];
        result = i2c_smbus_read_i2c_block_data(bus->fd, reg, (uint8_t)length, block);
        if (result >= 0 && (size_t)result != length) {
            return -EIO;
        }
        if (result >= 0) {
            memcpy(data, block, length);
        }
    } else {
        return -EOPNOTSUPP;
    }
    return result < 0 ? translate(bus, result) : 0;
}

static int smbus_write(const linux_bus *bus, uint8_t reg, const uint8_t *data, size_t length)
{
    int result;
    if (length == 0 && can(bus, I2C_FUNC_SMBUS_WRITE_BYTE)) {
        result = i2c_smbus_write_byte(bus->fd, reg);
    } else if (length == 1 && can(bus, I2C_FUNC_SMBUS_WRITE_BYTE_DATA)) {
        result = i2c_smbus_write_byte_data(bus->fd, reg, data[0]);
    } else if (length == 2 && can(bus, I2C_FUNC_SMBUS_WRITE_WORD_DATA)) {
        result = i2c_smbus_write_word_data(bus->fd, reg, (uint16_t)(data[1] << 8 | data[0]));
    } else if (length > 0 && can(bus, I2C_FUNC_SMBUS_WRITE_I2C_BLOCK)) {
        result = i2c_smbus_write_i2c_block_data(bus->fd, reg, (uint8_t)length, data);
    } else {
        return -EOPNOTSUPP;
    }
    return result < 0 ? translate(bus, result) : 0;
}

static int linux_read_register(i2c_bus *base, uint8_t address, uint8_t reg, uint8_t *data,
                               size_t length)
{
    linux_bus *bus = (linux_bus *)base;
    int result = select_chip(bus, address);
    if (result < 0) {
        return result;
    }
    result = smbus_read(bus, reg, data, length);
    if (result == -EOPNOTSUPP && can(bus, I2C_FUNC_I2C)) {
        result = read_write(bus, address, &reg, 1, data, length);
    }
    return result;
}

static int linux_write_register(i2c_bus *base, uint8_t address, uint8_t reg, const uint8_t *data,
                                size_t length)
{
    linux_bus *bus = (linux_bus *)base;
    int result = select_chip(bus, address);
    if (result < 0) {
        return result;
    }
    result = smbus_write(bus, reg, data, length);
    if (result == -EOPNOTSUPP && can(bus, I2C_FUNC_I2C)) {
        uint8_t message[1 + I2C_MAX_REGISTER_BLOCK] = {reg};
        if (length) {
            memcpy(message + 1, data, length);
        }
        result = read_write(bus, address, message, 1 + length, NULL, 0);
    }
    return result;
}

/* A transfer on an adapter that knows SMBus only: those forms that are SMBus transfers as well. */
static int transfer_as_smbus(const linux_bus *bus, const uint8_t *write, size_t write_length,
                             uint8_t *read, size_t read_length)
{
    if (write_length == 0 && read_length == 1 && can(bus, I2C_FUNC_SMBUS_READ_BYTE)) {
        int result = i2c_smbus_read_byte(bus->fd);
        if (result >= 0) {
            read[0] = (uint8_t)result;
        }
        return result < 0 ? translate(bus, result) : 0;
    }
    if (write_length == 1 && read_length >= 1 && read_length <= I2C_MAX_REGISTER_BLOCK) {
        return smbus_read(bus, write[0], read, read_length);
    }
    if (write_length >= 1 && write_length <= 1 + I2C_MAX_REGISTER_BLOCK && read_length == 0) {
        return smbus_write(bus, write[0], write + 1, write_length - 1);
    }
    return -EOPNOTSUPP;
}

static int linux_transfer(i2c_bus *base, uint8_t address, const uint8_t *write, size_t write_length,
                          uint8_t *read, size_t read_length)
{
    linux_bus *bus = (linux_bus *)base;
    int result = select_chip(bus, address);
    if (result < 0) {
        return result;
    }
    if (can(bus, I2C_FUNC_I2C)) {
        return read_write(bus, address, write, write_length, read, read_length);
    }
    return transfer_as_smbus(bus, write, write_length, read, read_length);
}

/* ---- opening and closing ---- */

static void linux_close(i2c_bus *base)
{
    linux_bus *bus = (linux_bus *)base;
    close(bus->fd); /* releases the lock as well */
    free(bus);
}

static const i2c_bus_ops linux_ops = {
    .name = "linux",
    .read_register = linux_read_register,
    .write_register = linux_write_register,
    .transfer = linux_transfer,
    .now = linux_now,
    .sleep = linux_sleep,
    .close = linux_close,
};

/* "/dev/i2c-N", or "/dev/i2c-NAME": a link to one, which begins with a letter. */
static bool recognises(const char *device)
{
    static const char prefix[] = "/dev/i2c-", digits[] = "0123456789",
                      letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                      others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789._:-";
    if (strncmp(device, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    const char *name = device + sizeof prefix - 1;
    if (*name && strchr(letters, *name)) {
        return name[strspn(name, others)] == '\0';
    }
    size_t n = strspn(name, digits);
    return n >= 1 && n <= 7 && name[n] == '\0' && (name[0] != '0' || n == 1);
}

/*
 * The N of the bus that is open, whatever name led to it, or -1: it is no device of i2c-dev.
 * Documentation/admin-guide/devices.txt: these are character devices with the major number 89.
 */
static int bus_number(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISCHR(status.st_mode) || major(status.st_rdev) != I2C_MAJOR) {
        return -1;
    }
    return (int)minor(status.st_rdev);
}

/* The adapter's name for messages: "i2c-1 (bcm2835 (i2c@7e804000))", or just "i2c-1". */
static void describe(int number, char *text, size_t size)
{
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/sys/class/i2c-dev/i2c-%d/name", number);
    FILE *file = fopen(path, "re");
    if (file) {
        if (!fgets(name, sizeof name, file)) {
            name[0] = '\0';
        }
        fclose(file);
    }
    name[strcspn(name, "\n")] = '\0';
    snprintf(text, size, name[0] ? "/dev/i2c-%d (%s)" : "/dev/i2c-%d", number, name);
}

static int lock(int fd, const char *adapter, char *why, size_t why_size)
{
    int64_t deadline = linux_now(NULL) + LOCK_PATIENCE;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        if (error != EINTR && error != EWOULDBLOCK) {
            snprintf(why, why_size, "cannot lock %s: %s", adapter, strerror(error));
            return -error;
        }
        if (linux_now(NULL) >= deadline) {
            snprintf(why, why_size,
                     "%s is in use by another hub or clowntalk-bridge, which holds its lock; a bus "
                     "has one owner",
                     adapter);
            return -EBUSY;
        }
        linux_sleep(NULL, LOCK_RETRY);
    }
    return 0;
}

/* What to do about an error of open(2). */
static const char *open_advice(int error)
{
    switch (error) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        return "; is the adapter there and switched on, and the i2c-dev driver loaded?";
    case EACCES:
    case EPERM:
        return "; its owner is root and its group usually i2c";
    default:
        return "";
    }
}

static int linux_open(i2c_bus **result, const char *device, char *why, size_t why_size)
{
    char adapter[128];
    int fd = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int error = errno;
        snprintf(why, why_size, "cannot open %s: %s%s", device, strerror(error),
                 open_advice(error));
        return -error;
    }
    int number = bus_number(fd);
    if (number < 0) {
        snprintf(why, why_size, "%s is no I2C adapter", device);
        close(fd);
        return -ENOTTY;
    }
    describe(number, adapter, sizeof adapter);
    int error = lock(fd, adapter, why, why_size);
    linux_bus *bus = NULL;
    if (error == 0 && !(bus = calloc(1, sizeof *bus))) {
        snprintf(why, why_size, "out of memory");
        error = -ENOMEM;
    }
    if (error == 0 && ioctl(fd, I2C_FUNCS, &bus->functions) != 0) {
        error = -errno;
        snprintf(why, why_size, "%s is no I2C adapter: %s", adapter, strerror(-error));
    }
    if (error != 0) {
        free(bus);
        close(fd);
        return error;
    }
    bus->bus.ops = &linux_ops;
    bus->fd = fd;
    bus->number = number;
    bus->listed = adapter_is_present(bus);
    *result = &bus->bus;
    return 0;
}

const i2c_bus_kind linux_bus_kind = {
    .forms = (const char *const[]){"/dev/i2c-N", NULL},
    .recognises = recognises,
    .open = linux_open,
};
