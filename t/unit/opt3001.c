/* The OPT3001 driver against the data sheet's tables and the simulated chip. */
#include "driver.h"

/* Data sheet SBOS681, section "Result Register": examples of decoding. */
static const struct {
    uint16_t raw;
    const char *lux;
} table[] = {
    {0x0000, "0.00"},    {0x0001, "0.01"},    {0x0fff, "40.95"},    {0x3456, "88.80"},
    {0x789a, "2818.56"}, {0x8800, "5242.88"}, {0x9400, "5242.88"},  {0xa200, "5242.88"},
    {0xb100, "5242.88"}, {0xb001, "20.48"},   {0xbfff, "83865.60"},
};

static void conversion_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_published(opt3001_raw_to_lux(table[i].raw), 2, table[i].lux);
    }
}

static void conversion_is_exact_everywhere(void **state)
{
    (void)state;
    char text[32];
    for (uint32_t exponent = 0; exponent <= 11; exponent++) {
        for (uint32_t r = 0; r < 4096; r++) {
            uint32_t hundredths = r << exponent;
            snprintf(text, sizeof text, "%u.%02u", hundredths / 100, hundredths % 100);
            assert_published(opt3001_raw_to_lux((uint16_t)(exponent << 12 | r)), 2, text);
        }
    }
}

static void measures_the_whole_range(void **state)
{
    (void)state;
    bench *b = bench_open("opt3001", "opt3001", 0x44);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    for (double lux = 0; lux < 83865; lux = lux * 1.07 + 0.01) {
        sim_set(b->sim, 0x44, "illuminance", lux);
        assert_int_equal(bench_measure(b, values), 0);
        assert_true(fabs(values[0] - lux) <= 0.006 + lux / 4000);
    }
    bench_close(b);
}

static void too_bright_is_full_scale(void **state)
{
    (void)state;
    bench *b = bench_open("opt3001", "opt3001", 0x45);
    sim_set(b->sim, 0x45, "illuminance", 120000);
    assert_published(bench_value(b), 2, "83865.60");
    /* whatever the result says, where the overflow bit is set */
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0, .garbage = 0x11});
    assert_published(bench_value(b), 2, "83865.60");
    bench_close(b);
}

static void takes_800_ms_or_100_where_asked(void **state)
{
    (void)state;
    bench *b = bench_open("opt3001", "opt3001", 0x44);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    const device_driver *driver = b->device.driver;
    assert_int_equal(bench_start(b), 0);
    int64_t begin = b->time;
    assert_int_equal(bench_measure(b, values), 0);
    assert_in_range(b->time - begin, 800000, 900000);

    assert_null(driver->option(b->device.state, "conversion", "100"));
    assert_int_equal(bench_start(b), 0);
    begin = b->time;
    assert_int_equal(bench_measure(b, values), 0);
    assert_in_range(b->time - begin, 100000, 130000);
    bench_close(b);
}

static void options_say_what_is_allowed(void **state)
{
    (void)state;
    const device_driver *driver = device_driver_by_name("opt3001");
    assert_null(driver->option(NULL, "conversion", "800"));
    assert_non_null(strstr(driver->option(NULL, "conversion", "200"), "800 or 100"));
    assert_non_null(strstr(driver->option(NULL, "speed", "100"), "conversion="));
}

static void probe_compares_the_identity(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("opt3001", "opt3001", 0x44);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0x7f, .garbage = 0x12});
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_string_equal(why, "no OPT3001: identity 5449h 1212h, expected 5449h 3001h");
    sim_unplug(b->sim, 0x44);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

static void faults_give_no_value(void **state)
{
    (void)state;
    bench *b = bench_open("opt3001", "opt3001", 0x44);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_every_transfer_counts(b);
    assert_every_start_transfer_counts(b);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0, .garbage = 0xff}); /* exponent 15 */
    assert_int_equal(bench_measure(b, values), -EIO);
    fault_bus_clear(b->bus);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 1, .garbage = 0xff}); /* no settings of ours */
    assert_int_equal(bench_measure(b, values), -EIO);
    bench_close(b);
}

static void power_loss_gives_no_wrong_value(void **state)
{
    (void)state;
    bench *b = bench_open("opt3001", "opt3001", 0x44);
    sim_set(b->sim, 0x44, "illuminance", 500);
    assert_never_wrong(b, 500, 1);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    device_step wait = b->device.driver->sensor->measure(&b->device, 0, values);
    sim_unplug(b->sim, 0x44);
    sim_plug(b->sim, 0x44);
    bench_wait(b, wait);
    assert_int_equal(b->device.driver->sensor->measure(&b->device, 1, values), -EIO);
    bench_close(b);
}

static void a_conversion_that_never_ends_is_a_timeout(void **state)
{
    (void)state;
    bench *b = bench_open("opt3001", "opt3001", 0x44);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    device_step result = 1;
    assert_int_equal(bench_start(b), 0);
    for (unsigned step = 0; step < MAX_STEPS && result > 0; step++) { /* time stands still */
        result = b->device.driver->sensor->measure(&b->device, step, values);
    }
    assert_int_equal(result, -ETIMEDOUT);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversion_follows_the_table),
        cmocka_unit_test(conversion_is_exact_everywhere),
        cmocka_unit_test(measures_the_whole_range),
        cmocka_unit_test(too_bright_is_full_scale),
        cmocka_unit_test(takes_800_ms_or_100_where_asked),
        cmocka_unit_test(options_say_what_is_allowed),
        cmocka_unit_test(probe_compares_the_identity),
        cmocka_unit_test(faults_give_no_value),
        cmocka_unit_test(power_loss_gives_no_wrong_value),
        cmocka_unit_test(a_conversion_that_never_ends_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
