/* The TMP112 driver against the data sheet's table and the simulated chip. */
#include "driver.h"

/* Data sheet SBOS473, section "Digital Temperature Output", table of 12-bit values. */
static const struct {
    uint16_t bits; /* the upper 12 of the register */
    double celsius;
} table[] = {
    {0x7ff, 127.9375}, {0x640, 100},    {0x500, 80}, {0x4b0, 75},    {0x320, 50},  {0x190, 25},
    {0x004, 0.25},     {0x001, 0.0625}, {0x000, 0},  {0xffc, -0.25}, {0xe70, -25}, {0xc90, -55},
};

static void conversion_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_true(tmp112_raw_to_celsius((uint16_t)(table[i].bits << 4)) == table[i].celsius);
    }
}

static void conversion_is_exact_everywhere(void **state)
{
    (void)state;
    for (int n = -2048; n < 2048; n++) {
        assert_true(tmp112_raw_to_celsius((uint16_t)(n * 16)) * 16 == n);
    }
}

static void measures_the_whole_range(void **state)
{
    (void)state;
    bench *b = bench_open("tmp112", "tmp112", 0x48);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    for (int n = -55 * 16; n <= 128 * 16; n++) {
        sim_set(b->sim, 0x48, "temperature", n / 16.0);
        assert_int_equal(bench_measure(b, values), 0);
        assert_true(values[0] == (n < 2048 ? n : 2047) / 16.0);
    }
    bench_close(b);
}

static void measures_now_and_not_earlier(void **state)
{
    (void)state;
    bench *b = bench_open("tmp112", "tmp112", 0x49);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    sim_set(b->sim, 0x49, "temperature", 20);
    assert_true(bench_value(b) == 20);
    sim_set(b->sim, 0x49, "temperature", -3.5);
    bench_wait(b, 5000000);
    assert_int_equal(bench_measure(b, values), 0);
    assert_true(values[0] == -3.5);
    bench_close(b);
}

static void never_sleeps_on_the_bus(void **state)
{
    (void)state;
    bench *b = bench_open("tmp112", "tmp112", 0x48);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    int64_t begin = b->time;
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    assert_int_equal(b->time, begin);
    bench_close(b);
}

static void probe_knows_it_in_every_configuration(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("tmp112", "tmp112", 0x48);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    i2c_write16be(b->sim, 0x48, 0x01, 0x0110); /* shut down, extended mode */
    i2c_write16be(b->sim, 0x48, 0x02, 0xc908);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    bench_close(b);
}

static void probe_says_what_it_found(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("tmp112", "tmp112", 0x48);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = -1, .garbage = 0x85});
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_non_null(strstr(why, "8585h"));
    fault_bus_clear(b->bus);
    sim_unplug(b->sim, 0x48);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

static void probe_writes_nothing(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("tmp112", "tmp112", 0x48);
    inject(b, (fault_rule){FAULT_ERROR, .directions = FAULT_WRITES, .reg = -1, .error = -EIO});
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    bench_close(b);
}

static void power_loss_while_converting_is_an_error(void **state)
{
    (void)state;
    bench *b = bench_open("tmp112", "tmp112", 0x48);
    double values[DEVICE_MAX_QUANTITIES] = {99, 99};
    assert_int_equal(bench_start(b), 0);
    device_step wait = b->device.driver->sensor->measure(&b->device, 0, values);
    sim_unplug(b->sim, 0x48);
    sim_plug(b->sim, 0x48);
    bench_wait(b, wait);
    assert_int_equal(b->device.driver->sensor->measure(&b->device, 1, values), -EIO);
    assert_true(values[0] == 99);
    bench_close(b);
}

static void a_conversion_that_never_ends_is_a_timeout(void **state)
{
    (void)state;
    bench *b = bench_open("tmp112", "tmp112", 0x48);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    for (unsigned step = 0; step < 10; step++) { /* time stands still for the chip */
        assert_true(b->device.driver->sensor->measure(&b->device, step, values) > 0);
    }
    assert_int_equal(b->device.driver->sensor->measure(&b->device, 10, values), -ETIMEDOUT);
    bench_close(b);
}

static void every_bus_error_comes_through(void **state)
{
    (void)state;
    bench *b = bench_open("tmp112", "tmp112", 0x48);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    for (unsigned transfer = 0; transfer < 3; transfer++) {
        inject(b,
               (fault_rule){FAULT_ERROR, .reg = -1, .skip = transfer, .count = 1, .error = -EIO});
        assert_int_equal(bench_measure(b, values), -EIO);
    }
    assert_int_equal(bench_measure(b, values), 0);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0, .garbage = 0x17});
    assert_int_equal(bench_measure(b, values), -EIO);
    bench_close(b);
}

/* A chip that takes the address of a register for something else: here, for a port's levels. */
static void a_plain_read_comes_first(void **state)
{
    (void)state;
    bench *b = bench_open("tmp112", "pcf8574", 0x48);
    sim_port_record port;
    char why[256];
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_string_equal(why, "no TMP112: a read gives FFFFh, expected bits 06h clear");
    assert_true(sim_port_read(b->sim, 0x48, &port));
    for (size_t pin = 0; pin < 8; pin++) {
        assert_int_equal(port.changes[pin], 0);
    }
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_read_comes_first),
        cmocka_unit_test(conversion_follows_the_table),
        cmocka_unit_test(conversion_is_exact_everywhere),
        cmocka_unit_test(measures_the_whole_range),
        cmocka_unit_test(measures_now_and_not_earlier),
        cmocka_unit_test(never_sleeps_on_the_bus),
        cmocka_unit_test(probe_knows_it_in_every_configuration),
        cmocka_unit_test(probe_says_what_it_found),
        cmocka_unit_test(probe_writes_nothing),
        cmocka_unit_test(power_loss_while_converting_is_an_error),
        cmocka_unit_test(a_conversion_that_never_ends_is_a_timeout),
        cmocka_unit_test(every_bus_error_comes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
