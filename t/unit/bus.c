/* The bus interface: device strings, ranges, byte order, and the bus that injects faults. */
#include "driver.h"

#include "i2c/linux.h"

static const i2c_bus_kind *const kinds[] = {&linux_bus_kind, &sim_bus_kind, NULL};

static i2c_bus *open_sim(_Atomic int64_t *time)
{
    sim_clock clock = sim_fake_clock(time);
    i2c_bus *bus = sim_bus_create(&clock);
    assert_non_null(bus);
    assert_true(sim_add(bus, "tmp112", 0x48));
    assert_true(sim_add(bus, "hdc2080", 0x40));
    return bus;
}

static void device_strings_are_checked(void **state)
{
    (void)state;
    static const char *const right[] = {"/dev/i2c-0", "/dev/i2c-1", "/dev/i2c-22", "/dev/i2c-usb",
                                        "sim"};
    static const char *const wrong[] = {
        "",      "/dev/i2c-", "/dev/i2c-1x", "/dev/i2c-01", "/dev/i2c--1",       "/dev/i2c1",
        "i2c-1", "sim:",      "simulated",   "/dev/ttyS0",  "/dev/i2c-99999999", "/dev/i2c-a/b"};
    char why[256];
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(i2c_bus_check(kinds, right[i], why, sizeof why), 0);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        i2c_bus *bus = (i2c_bus *)&why;
        why[0] = '\0';
        assert_int_equal(i2c_bus_check(kinds, wrong[i], why, sizeof why), -EINVAL);
        assert_non_null(strstr(why, "/dev/i2c-N, sim or sim:FILE"));
        assert_int_equal(i2c_bus_open(kinds, &bus, wrong[i], why, sizeof why), -EINVAL);
        assert_null(bus);
    }
    assert_int_equal(i2c_bus_check(kinds, "sim:/no/scenario", why, sizeof why), -EINVAL);
    assert_non_null(strstr(why, "/no/scenario: No such file"));
}

static bool is_lamp(const char *device)
{
    return strcmp(device, "lamp") == 0;
}

static int open_lamp(i2c_bus **bus, const char *device, char *why, size_t why_size)
{
    (void)bus;
    (void)device;
    snprintf(why, why_size, "the lamp is broken");
    return -EIO;
}

static const i2c_bus_kind lamp = {
    .forms = (const char *const[]){"lamp", NULL},
    .recognises = is_lamp,
    .open = open_lamp,
};

/* A program that has other kinds of bus: each is found, and an error names exactly these. */
static void kinds_are_the_programs_choice(void **state)
{
    (void)state;
    static const i2c_bus_kind *const only[] = {&lamp, NULL};
    static const i2c_bus_kind *const all[] = {&linux_bus_kind, &sim_bus_kind, &lamp, NULL};
    char why[256];
    i2c_bus *bus;
    assert_int_equal(i2c_bus_check(only, "lamp", why, sizeof why), 0);
    assert_int_equal(i2c_bus_check(only, "sim", why, sizeof why), -EINVAL);
    assert_string_equal(why, "a bus must be lamp, not 'sim'");
    assert_int_equal(i2c_bus_open(all, &bus, "lamp", why, sizeof why), -EIO);
    assert_string_equal(why, "the lamp is broken");
    assert_null(bus);
    assert_int_equal(i2c_bus_check(all, "fan", why, sizeof why), -EINVAL);
    assert_string_equal(why, "a bus must be /dev/i2c-N, sim, sim:FILE (a scenario of simulated "
                             "chips) or lamp, not 'fan'");
}

static void opens_the_simulated_bus(void **state)
{
    (void)state;
    char why[256];
    i2c_bus *bus;
    assert_int_equal(i2c_bus_open(kinds, &bus, "sim", why, sizeof why), 0);
    assert_string_equal(bus->ops->name, "sim");
    int64_t before = bus->ops->now(bus);
    bus->ops->sleep(bus, 1000);
    assert_true(bus->ops->now(bus) >= before + 1000);
    assert_int_equal(i2c_probe(bus, 0x48), 0);
    i2c_bus_close(bus);
    i2c_bus_close(NULL);
}

static void a_missing_bus_is_explained(void **state)
{
    (void)state;
    char why[256] = "";
    i2c_bus *bus;
    assert_int_equal(i2c_bus_open(kinds, &bus, "/dev/i2c-9999999", why, sizeof why), -ENOENT);
    assert_null(bus);
    assert_non_null(strstr(why, "/dev/i2c-9999999"));
    assert_non_null(strstr(why, "i2c-dev"));
}

static void ranges_are_checked_before_the_bus_sees_them(void **state)
{
    (void)state;
    _Atomic int64_t time = 1;
    uint8_t data[64] = {0};
    i2c_bus *bus = fault_bus_create(open_sim(&time));
    assert_int_equal(i2c_read_register(bus, 0x48, 0, data, 0), -EINVAL);
    assert_int_equal(i2c_read_register(bus, 0x48, 0, data, 33), -EINVAL);
    assert_int_equal(i2c_read_register(bus, 0x80, 0, data, 1), -EINVAL);
    assert_int_equal(i2c_write_register(bus, 0x48, 0, data, 33), -EINVAL);
    assert_int_equal(i2c_write_register(bus, 0x80, 0, data, 1), -EINVAL);
    assert_int_equal(i2c_transfer(bus, 0x48, data, 0, data, 0), -EINVAL);
    assert_int_equal(i2c_transfer(bus, 0x48, data, 8193, data, 0), -EINVAL);
    assert_int_equal(i2c_transfer(bus, 0x48, data, 1, data, 8193), -EINVAL);
    assert_int_equal(i2c_transfer(bus, 0x80, data, 1, data, 1), -EINVAL);
    assert_int_equal(i2c_probe(bus, 0x80), -EINVAL);
    assert_int_equal(fault_bus_transfers(bus), 0);
    assert_int_equal(i2c_read_register(bus, 0x40, 0, data, 32), 0);
    assert_int_equal(i2c_write_register(bus, 0x40, 0, data, 32), 0);
    assert_int_equal(i2c_write_register(bus, 0x40, 0, NULL, 0), 0);
    i2c_bus_close(bus);
}

static void words_have_the_byte_order_of_their_name(void **state)
{
    (void)state;
    _Atomic int64_t time = 1;
    i2c_bus *bus = open_sim(&time);
    uint8_t bytes[2];
    uint16_t word;
    assert_int_equal(i2c_write16be(bus, 0x48, 2, 0x1230), 0);
    assert_int_equal(i2c_read_register(bus, 0x48, 2, bytes, 2), 0);
    assert_int_equal(bytes[0], 0x12);
    assert_int_equal(bytes[1], 0x30);
    assert_int_equal(i2c_read16be(bus, 0x48, 2, &word), 0);
    assert_int_equal(word, 0x1230);
    i2c_bus_close(bus);
}

static void errors_leave_the_value_alone(void **state)
{
    (void)state;
    _Atomic int64_t time = 1;
    i2c_bus *bus = open_sim(&time);
    uint16_t word = 0xbeef;
    uint8_t byte = 0xaa;
    assert_int_equal(i2c_read16be(bus, 0x11, 0, &word), -ENXIO);
    assert_int_equal(i2c_read8(bus, 0x11, 0, &byte), -ENXIO);
    assert_int_equal(word, 0xbeef);
    assert_int_equal(byte, 0xaa);
    assert_int_equal(i2c_probe(bus, 0x11), -ENXIO);
    i2c_bus_close(bus);
}

static void faults_hit_what_they_are_meant_for(void **state)
{
    (void)state;
    _Atomic int64_t time = 1;
    i2c_bus *bus = fault_bus_create(open_sim(&time));
    uint16_t word;
    /* the second write to register 2 of 48, once */
    const fault_rule rule = {FAULT_ERROR,  .address = 0x48, .directions = FAULT_WRITES,
                             .reg = 2,     .skip = 1,       .count = 1,
                             .error = -EIO};
    assert_true(fault_bus_add(bus, &rule));
    assert_int_equal(i2c_write16be(bus, 0x48, 3, 0x1000), 0);
    assert_int_equal(i2c_write16be(bus, 0x48, 2, 0x2000), 0);
    assert_int_equal(i2c_read16be(bus, 0x48, 2, &word), 0);
    assert_int_equal(i2c_write16be(bus, 0x48, 2, 0x3000), -EIO);
    assert_int_equal(i2c_read16be(bus, 0x48, 2, &word), 0);
    assert_int_equal(word, 0x2000); /* it was not carried out */
    assert_int_equal(i2c_write16be(bus, 0x48, 2, 0x4000), 0);
    assert_int_equal(fault_bus_transfers(bus), 6);
    i2c_bus_close(bus);
}

static void faults_are_of_four_kinds(void **state)
{
    (void)state;
    _Atomic int64_t time = 1;
    i2c_bus *bus = fault_bus_create(open_sim(&time));
    uint16_t word;
    const fault_rule lost = {FAULT_LOST_REPLY, .reg = -1, .count = 1, .error = -ETIMEDOUT};
    const fault_rule delay = {FAULT_DELAY, .reg = -1, .count = 1, .delay = 12345};
    const fault_rule garbage = {FAULT_GARBAGE, .reg = -1, .garbage = 0x5a};
    assert_true(fault_bus_add(bus, &lost));
    assert_int_equal(i2c_write16be(bus, 0x48, 2, 0x7770), -ETIMEDOUT);
    assert_int_equal(i2c_read16be(bus, 0x48, 2, &word), 0);
    assert_int_equal(word, 0x7770); /* it was carried out */

    assert_true(fault_bus_add(bus, &delay));
    int64_t before = time;
    assert_int_equal(i2c_read16be(bus, 0x48, 2, &word), 0);
    assert_int_equal(time - before, 12345);
    assert_int_equal(word, 0x7770);

    assert_true(fault_bus_add(bus, &garbage));
    assert_int_equal(i2c_read16be(bus, 0x48, 2, &word), 0);
    assert_int_equal(word, 0x5a5a);
    fault_bus_clear(bus);
    assert_int_equal(i2c_read16be(bus, 0x48, 2, &word), 0);
    assert_int_equal(word, 0x7770);
    for (int i = 0; i < 16; i++) {
        assert_true(fault_bus_add(bus, &garbage));
    }
    assert_false(fault_bus_add(bus, &garbage));
    i2c_bus_close(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_strings_are_checked),
        cmocka_unit_test(kinds_are_the_programs_choice),
        cmocka_unit_test(opens_the_simulated_bus),
        cmocka_unit_test(a_missing_bus_is_explained),
        cmocka_unit_test(ranges_are_checked_before_the_bus_sees_them),
        cmocka_unit_test(words_have_the_byte_order_of_their_name),
        cmocka_unit_test(errors_leave_the_value_alone),
        cmocka_unit_test(faults_hit_what_they_are_meant_for),
        cmocka_unit_test(faults_are_of_four_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
