/*
 * The Linux bus without a kernel's: this program brings its own open(), flock(), ioctl() and clock,
 * which stand for the i2c-dev driver of one adapter and lead to simulated chips. libi2c's calls end
 * up here as well, so that what goes over the wire is what a real adapter would see.
 */
#include "driver.h"

#include "i2c/linux.h"

#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define PATH "/dev/i2c-77"
#define LINK "/dev/i2c-usb" /* to PATH */
#define SMBUS_ONLY                                                                                 \
    (I2C_FUNC_SMBUS_BYTE | I2C_FUNC_SMBUS_BYTE_DATA | I2C_FUNC_SMBUS_WORD_DATA |                   \
     I2C_FUNC_SMBUS_I2C_BLOCK)
#define EVERYTHING   (I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL)
#define PLAIN_I2C    I2C_FUNC_I2C
#define HELD_ADDRESS 0x50 /* a kernel driver holds it */

static const i2c_bus_kind *const kinds[] = {&linux_bus_kind, NULL};

/* The adapter. */
static struct {
    int fd;
    unsigned long functions;
    i2c_bus *chips;
    uint8_t address; /* of I2C_SLAVE */
    int error;       /* that the next transfers fail with */
    int lock_error;
    int64_t locked_until; /* µs; a predecessor holds the lock until then */
    unsigned rdwr, smbus, forced;
    bool no_device; /* what is opened is none of i2c-dev */
} adapter = {.fd = -1};

/* The clock of this bus and of the chips behind it, which only sleeps move. */
static _Atomic int64_t microseconds = 5000000;

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock != CLOCK_MONOTONIC) {
        return (int)syscall(SYS_clock_gettime, clock, t);
    }
    int64_t now = microseconds;
    *t = (struct timespec){now / 1000000, now % 1000000 * 1000};
    return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *rest)
{
    (void)rest;
    assert_int_equal(clock, CLOCK_MONOTONIC);
    assert_int_equal(flags, 0);
    microseconds += t->tv_sec * 1000000 + t->tv_nsec / 1000;
    return 0;
}

static int failed(int error)
{
    errno = error;
    return -1;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if (strcmp(path, PATH) != 0 && strcmp(path, LINK) != 0) {
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    }
    assert_true(flags & O_CLOEXEC);
    return adapter.fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", flags, 0);
}

int fstat(int fd, struct stat *status)
{
    if (fd != adapter.fd) {
        return (int)syscall(SYS_newfstatat, fd, "", status, AT_EMPTY_PATH);
    }
    *status = (struct stat){.st_mode = S_IFCHR,
                            .st_rdev = adapter.no_device ? makedev(4, 64) : makedev(89, 77)};
    return 0;
}

int flock(int fd, int operation)
{
    if (fd != adapter.fd) {
        return (int)syscall(SYS_flock, fd, operation);
    }
    assert_int_equal(operation, LOCK_EX | LOCK_NB);
    if (adapter.lock_error) {
        return failed(adapter.lock_error);
    }
    return microseconds < adapter.locked_until ? failed(EWOULDBLOCK) : 0;
}

static int rdwr(const struct i2c_rdwr_ioctl_data *data)
{
    const struct i2c_msg *first = &data->msgs[0];
    const struct i2c_msg *last = &data->msgs[data->nmsgs - 1];
    const struct i2c_msg *write = first->flags & I2C_M_RD ? NULL : first;
    const struct i2c_msg *read = last->flags & I2C_M_RD ? last : NULL;
    assert_in_range(data->nmsgs, 1, 2);
    adapter.rdwr++;
    int result =
        i2c_transfer(adapter.chips, (uint8_t)first->addr, write ? write->buf : NULL,
                     write ? write->len : 0, read ? read->buf : NULL, read ? read->len : 0);
    return result < 0 ? failed(-result) : (int)data->nmsgs;
}

/* smbus-protocol.rst: what each transfer looks like on the wire. */
static int smbus(const struct i2c_smbus_ioctl_data *data)
{
    uint8_t write[34] = {data->command}, read[32], n = 0;
    size_t to_write = 1, to_read = 0;
    bool reads = data->read_write == I2C_SMBUS_READ;
    adapter.smbus++;
    switch (data->size) {
    case I2C_SMBUS_BYTE:
        to_write = reads ? 0 : 1;
        to_read = reads ? 1 : 0;
        break;
    case I2C_SMBUS_BYTE_DATA:
        n = 1;
        write[1] = reads ? 0 : data->data->byte;
        break;
    case I2C_SMBUS_WORD_DATA:
        n = 2;
        if (!reads) {
            write[1] = (uint8_t)data->data->word;
            write[2] = (uint8_t)(data->data->word >> 8);
        }
        break;
    case I2C_SMBUS_I2C_BLOCK_BROKEN: /* libi2c's for a write, and for a read of 32 bytes */
    case I2C_SMBUS_I2C_BLOCK_DATA:
        n = reads && data->size == I2C_SMBUS_I2C_BLOCK_BROKEN ? 32 : data->data->block[0];
        assert_in_range(n, 1, I2C_SMBUS_BLOCK_MAX);
        if (!reads) {
            memcpy(write + 1, data->data->block + 1, n);
        }
        break;
    default:
        return failed(EOPNOTSUPP);
    }
    if (data->size != I2C_SMBUS_BYTE) {
        to_write = reads ? 1 : 1 + n;
        to_read = reads ? n : 0;
    }
    int result = i2c_transfer(adapter.chips, adapter.address, write, to_write, read, to_read);
    if (result < 0) {
        return failed(-result);
    }
    if (reads && data->size == I2C_SMBUS_WORD_DATA) {
        data->data->word = (uint16_t)(read[0] | read[1] << 8);
    } else if (reads && data->size <= I2C_SMBUS_BYTE_DATA) {
        data->data->byte = read[0];
    } else if (reads) {
        memcpy(data->data->block + 1, read, n);
    }
    if (reads && data->size > I2C_SMBUS_WORD_DATA) {
        data->data->block[0] = n;
    }
    return 0;
}

/* Visible to libi2c as well. */
__attribute__((visibility("default"))) int ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (fd != adapter.fd) {
        return (int)syscall(SYS_ioctl, fd, request, argument);
    }
    switch (request) {
    case I2C_FUNCS:
        if (adapter.functions == 0) {
            return failed(ENOTTY);
        }
        *(unsigned long *)argument = adapter.functions;
        return 0;
    case I2C_SLAVE_FORCE:
        adapter.forced++;
        return 0;
    case I2C_SLAVE:
        if ((uintptr_t)argument == HELD_ADDRESS) {
            return failed(EBUSY);
        }
        adapter.address = (uint8_t)(uintptr_t)argument;
        return 0;
    case I2C_RDWR:
        if (!(adapter.functions & I2C_FUNC_I2C)) {
            return failed(EOPNOTSUPP);
        }
        return adapter.error ? failed(adapter.error) : rdwr(argument);
    case I2C_SMBUS:
        return adapter.error ? failed(adapter.error) : smbus(argument);
    default:
        return failed(ENOTTY);
    }
}

/* ---- the tests ---- */

static i2c_bus *open_adapter(unsigned long functions)
{
    char why[256];
    i2c_bus *bus;
    sim_clock clock = sim_fake_clock(&microseconds);
    memset(&adapter, 0, sizeof adapter);
    adapter.fd = -1;
    adapter.functions = functions;
    assert_int_equal(sim_bus_open(&adapter.chips, NULL, &clock, why, sizeof why), 0);
    assert_int_equal(i2c_bus_open(kinds, &bus, PATH, why, sizeof why), 0);
    assert_string_equal(bus->ops->name, "linux");
    microseconds += 1000000; /* everything has started up */
    return bus;
}

static void close_adapter(i2c_bus *bus)
{
    i2c_bus_close(bus);
    i2c_bus_close(adapter.chips);
    assert_int_equal(adapter.forced, 0);
    adapter.fd = -1;
}

static const unsigned long adapters[] = {SMBUS_ONLY, EVERYTHING, PLAIN_I2C};
#define N_ADAPTERS (sizeof adapters / sizeof *adapters)

static void registers_of_every_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ADAPTERS; i++) {
        i2c_bus *bus = open_adapter(adapters[i]);
        for (size_t length = 1; length <= 32; length++) {
            uint8_t found[33], expected[33];
            memset(found, 0xee, sizeof found);
            memset(expected, 0xee, sizeof expected);
            assert_int_equal(i2c_read_register(adapter.chips, 0x5f, 0xa8, expected, length), 0);
            assert_int_equal(i2c_read_register(bus, 0x5f, 0xa8, found, length), 0);
            assert_memory_equal(found, expected, sizeof found);
        }
        for (size_t length = 0; length <= 32; length++) { /* three, and beyond them read only */
            uint8_t written[32], found;
            memset(written, 0x80 | (int)length, sizeof written);
            unsigned before = sim_written(adapter.chips, 0x5f);
            assert_int_equal(i2c_write_register(bus, 0x5f, 0xa2, written, length), 0);
            assert_int_equal(sim_written(adapter.chips, 0x5f) - before, length);
            assert_int_equal(i2c_read8(adapter.chips, 0x5f, 0x22, &found), 0);
            if (length > 0) {
                assert_int_equal(found, 0x80 | length);
            }
        }
        close_adapter(bus);
    }
}

static void register_access_prefers_smbus(void **state)
{
    (void)state;
    uint8_t data[4];
    i2c_bus *bus = open_adapter(EVERYTHING);
    assert_int_equal(i2c_read_register(bus, 0x5f, 0xa8, data, 4), 0);
    assert_int_equal(i2c_write8(bus, 0x5f, 0x22, 0), 0);
    assert_int_equal(adapter.smbus, 2);
    assert_int_equal(adapter.rdwr, 0);
    close_adapter(bus);
    bus = open_adapter(PLAIN_I2C);
    assert_int_equal(i2c_read_register(bus, 0x5f, 0xa8, data, 4), 0);
    assert_int_equal(i2c_write8(bus, 0x5f, 0x22, 0), 0);
    assert_int_equal(adapter.smbus, 0);
    assert_int_equal(adapter.rdwr, 2);
    close_adapter(bus);
}

static void transfers_that_are_smbus_as_well_work_without_i2c(void **state)
{
    (void)state;
    i2c_bus *bus = open_adapter(SMBUS_ONLY);
    uint8_t data[64] = {0x0f};
    assert_int_equal(i2c_transfer(bus, 0x5f, data, 1, data + 1, 1), 0);
    assert_int_equal(data[1], 0xbc);
    assert_int_equal(i2c_transfer(bus, 0x5f, data, 1, NULL, 0), 0);
    assert_int_equal(i2c_transfer(bus, 0x5f, NULL, 0, data, 1), 0);
    assert_int_equal(data[0], 0xbc);
    assert_int_equal(i2c_transfer(bus, 0x5f, data, 33, NULL, 0), 0);
    assert_int_equal(i2c_transfer(bus, 0x5f, data, 34, NULL, 0), -EOPNOTSUPP);
    assert_int_equal(i2c_transfer(bus, 0x5f, NULL, 0, data, 2), -EOPNOTSUPP);
    assert_int_equal(i2c_transfer(bus, 0x5f, data, 2, data, 1), -EOPNOTSUPP);
    assert_int_equal(i2c_transfer(bus, 0x5f, data, 1, data, 33), -EOPNOTSUPP);
    close_adapter(bus);
}

static void an_adapter_without_blocks_says_so(void **state)
{
    (void)state;
    uint8_t data[4] = {0};
    i2c_bus *bus = open_adapter(I2C_FUNC_SMBUS_BYTE_DATA);
    assert_int_equal(i2c_read_register(bus, 0x5f, 0x0f, data, 1), 0);
    assert_int_equal(i2c_read_register(bus, 0x5f, 0xa8, data, 4), -EOPNOTSUPP);
    assert_int_equal(i2c_write_register(bus, 0x5f, 0xa2, data, 4), -EOPNOTSUPP);
    assert_int_equal(i2c_probe(bus, 0x5f), -EOPNOTSUPP);
    close_adapter(bus);
}

static void long_transfers_are_one_message(void **state)
{
    (void)state;
    uint8_t image[SIM_DISPLAY_SIZE], message[1025] = {0x40};
    i2c_bus *bus = open_adapter(EVERYTHING);
    const uint8_t on[] = {0x8d, 0x14, 0x20, 0x00, 0x21, 0, 127, 0x22, 0, 7, 0xaf};
    assert_int_equal(i2c_write_register(bus, 0x3c, 0x00, on, sizeof on), 0);
    for (size_t i = 1; i < sizeof message; i++) {
        message[i] = (uint8_t)(i * 3);
    }
    assert_int_equal(i2c_transfer(bus, 0x3c, message, sizeof message, NULL, 0), 0);
    assert_int_equal(adapter.rdwr, 1);
    assert_true(sim_display_read(adapter.chips, 0x3c, image));
    assert_memory_equal(image, message + 1, sizeof image);
    close_adapter(bus);
}

static void a_kernel_drivers_address_is_respected(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ADAPTERS; i++) {
        uint8_t data[2];
        i2c_bus *bus = open_adapter(adapters[i]);
        assert_int_equal(i2c_read_register(bus, HELD_ADDRESS, 0, data, 1), -EBUSY);
        assert_int_equal(i2c_write8(bus, HELD_ADDRESS, 0, 1), -EBUSY);
        assert_int_equal(i2c_transfer(bus, HELD_ADDRESS, data, 1, data, 1), -EBUSY);
        assert_int_equal(i2c_probe(bus, HELD_ADDRESS), -EBUSY);
        assert_int_equal(adapter.smbus + adapter.rdwr, 0);
        close_adapter(bus);
    }
}

static void errors_are_brought_to_a_few(void **state)
{
    (void)state;
    static const struct {
        int kernel, ours;
    } table[] = {
        {ENXIO, -ENXIO},   {EREMOTEIO, -ENXIO},     {EIO, -EIO},     {EAGAIN, -EIO},
        {EPROTO, -EIO},    {ETIMEDOUT, -ETIMEDOUT}, {EBUSY, -EBUSY}, {EOPNOTSUPP, -EOPNOTSUPP},
        {ENODEV, -ENODEV}, /* there is no /sys/class/i2c-dev/i2c-77: the adapter is gone */
    };
    for (size_t i = 0; i < N_ADAPTERS; i++) {
        uint8_t data[2] = {0};
        i2c_bus *bus = open_adapter(adapters[i]);
        for (size_t j = 0; j < sizeof table / sizeof *table; j++) {
            adapter.error = table[j].kernel;
            assert_int_equal(i2c_read8(bus, 0x5f, 0x0f, data), table[j].ours);
            assert_int_equal(i2c_write8(bus, 0x5f, 0x22, 0), table[j].ours);
            assert_int_equal(i2c_transfer(bus, 0x5f, data, 1, data, 1), table[j].ours);
        }
        close_adapter(bus);
    }
}

static void the_lock_is_waited_for(void **state)
{
    (void)state;
    char why[256] = "";
    i2c_bus *bus;
    memset(&adapter, 0, sizeof adapter);
    adapter.functions = EVERYTHING;
    adapter.locked_until = microseconds + 2500000;
    assert_int_equal(i2c_bus_open(kinds, &bus, PATH, why, sizeof why), 0);
    i2c_bus_close(bus);

    adapter.lock_error = EWOULDBLOCK; /* for good: given up after three seconds */
    int64_t begin = microseconds;
    assert_int_equal(i2c_bus_open(kinds, &bus, PATH, why, sizeof why), -EBUSY);
    assert_in_range(microseconds - begin, 3000000, 3100000);
    assert_non_null(strstr(why, PATH " is in use by another"));

    adapter.lock_error = ENOLCK;
    assert_int_equal(i2c_bus_open(kinds, &bus, PATH, why, sizeof why), -ENOLCK);
    adapter.fd = -1;
}

/* A rule of udev gives an adapter a name that stays. */
static void a_link_is_opened_by_its_name(void **state)
{
    (void)state;
    char why[256] = "";
    i2c_bus *bus;
    memset(&adapter, 0, sizeof adapter);
    adapter.functions = EVERYTHING;
    assert_int_equal(i2c_bus_open(kinds, &bus, LINK, why, sizeof why), 0);
    i2c_bus_close(bus);
    /* The lock is the adapter's, so the error names that. */
    adapter.lock_error = EWOULDBLOCK;
    assert_int_equal(i2c_bus_open(kinds, &bus, LINK, why, sizeof why), -EBUSY);
    assert_non_null(strstr(why, PATH " is in use by another"));
    adapter.lock_error = 0;
    adapter.no_device = true;
    assert_int_equal(i2c_bus_open(kinds, &bus, LINK, why, sizeof why), -ENOTTY);
    assert_string_equal(why, LINK " is no I2C adapter");
    adapter.fd = -1;
}

static void what_is_no_adapter_is_refused(void **state)
{
    (void)state;
    char why[256] = "";
    i2c_bus *bus;
    memset(&adapter, 0, sizeof adapter);
    assert_int_equal(i2c_bus_open(kinds, &bus, PATH, why, sizeof why), -ENOTTY);
    assert_null(bus);
    assert_non_null(strstr(why, "no I2C adapter"));
    adapter.fd = -1;
}

/* Starts a device that was identified, and has it do what it is for. */
static void exercise(device *device)
{
    const device_driver *driver = device->driver;
    double values[DEVICE_MAX_QUANTITIES];
    fill_values(values, NAN);
    device_step step = 1;
    for (unsigned n = 0; n < MAX_STEPS && step > 0; n++) {
        step = driver->start(device, n);
        microseconds += step > 0 ? step : 0;
    }
    assert_int_equal(step, 0);
    step = driver->sensor ? 1 : 0;
    for (unsigned n = 0; n < MAX_STEPS && step > 0; n++) {
        step = driver->sensor->measure(device, n, values);
        microseconds += step > 0 ? step : 0;
    }
    assert_int_equal(step, 0);
    assert_int_equal(isnan(values[0]), driver->sensor == NULL);
    if (driver->relay) {
        assert_int_equal(driver->relay->set(device, true), 0);
    }
    if (driver->display) {
        assert_int_equal(driver->display->write_page(device, 3, (uint8_t[128]){1}), 0);
    }
}

/* Puts the driver's chip behind the adapter, and nothing else. Returns its address. */
static uint8_t plug_chip_of(const device_driver *driver)
{
    bool is_relay = strcmp(driver->name, "tca9534a") == 0; /* named after its expander */
    sim_clock clock = sim_fake_clock(&microseconds);
    i2c_bus_close(adapter.chips);
    assert_non_null(adapter.chips = sim_bus_create(&clock));
    assert_true(
        sim_add(adapter.chips, is_relay ? "relay-module" : driver->name, driver->addresses[0]));
    microseconds += 1000000; /* it has started up */
    return driver->addresses[0];
}

static int identify(const device *device, char *why, size_t why_size)
{
    device_step result = 1;
    for (unsigned n = 0; n < MAX_STEPS && result > 0; n++) {
        result = device->driver->probe(device->bus, device->address, n, why, why_size);
        microseconds += result > 0 ? result : 0;
    }
    return (int)result;
}

static void try_driver(const device_driver *driver, unsigned long functions)
{
    char why[256] = "";
    uint8_t memory[DEVICE_MAX_STATE] = {0};
    i2c_bus *bus = open_adapter(functions);
    device device = {driver, bus, plug_chip_of(driver), -1, memory, NAN, NULL};
    int result = identify(&device, why, sizeof why);
    if (functions == SMBUS_ONLY && result == -EOPNOTSUPP) {
        assert_non_null(strstr(why, "adapter")); /* it says why */
    } else {
        assert_int_equal(result, 0);
        exercise(&device);
    }
    sim_relay_record record;
    if (sim_relay_read(adapter.chips, device.address, &record)) {
        assert_int_equal(record.contact, 1);
        assert_int_equal(record.unsafe_starts, 0);
        assert_false(record.energised);
    }
    close_adapter(bus);
}

/* Every chip that is looked for unasked, through its driver, on each kind of adapter. */
static void every_driver_works_on_every_adapter(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ADAPTERS; i++) {
        for (size_t j = 0; device_drivers[j]; j++) {
            if (device_drivers[j]->addresses[0]) {
                try_driver(device_drivers[j], adapters[i]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_of_every_length),
        cmocka_unit_test(register_access_prefers_smbus),
        cmocka_unit_test(transfers_that_are_smbus_as_well_work_without_i2c),
        cmocka_unit_test(an_adapter_without_blocks_says_so),
        cmocka_unit_test(long_transfers_are_one_message),
        cmocka_unit_test(a_kernel_drivers_address_is_respected),
        cmocka_unit_test(errors_are_brought_to_a_few),
        cmocka_unit_test(the_lock_is_waited_for),
        cmocka_unit_test(a_link_is_opened_by_its_name),
        cmocka_unit_test(what_is_no_adapter_is_refused),
        cmocka_unit_test(every_driver_works_on_every_adapter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
