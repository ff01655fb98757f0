/* The HDC2080 driver against the data sheet's formula and the simulated chip. */
#include "driver.h"

static void conversion_is_right_everywhere(void **state)
{
    (void)state;
    assert_published(hdc2080_raw_to_humidity(0x0000), 1, "0.0");
    assert_published(hdc2080_raw_to_humidity(0x8000), 1, "50.0");
    assert_published(hdc2080_raw_to_humidity(0xfffc), 1, "100.0");
    for (long raw = 0; raw < 65536; raw++) {
        assert_true(hdc2080_raw_to_humidity((uint16_t)raw) * 65536 == raw / 4 * 400.0);
    }
}

static void measures_the_whole_range(void **state)
{
    (void)state;
    bench *b = bench_open("hdc2080", "hdc2080", 0x41);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    for (double humidity = 0; humidity <= 100; humidity += 0.13) {
        sim_set(b->sim, 0x41, "relative-humidity", humidity);
        assert_int_equal(bench_measure(b, values), 0);
        assert_true(fabs(values[0] - humidity) < 0.01);
    }
    bench_close(b);
}

static void is_never_one_reading_behind(void **state)
{
    (void)state;
    bench *b = bench_open("hdc2080", "hdc2080", 0x40);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    sim_set(b->sim, 0x40, "relative-humidity", 20);
    assert_int_equal(bench_start(b), 0);
    /* another program's abandoned measurement leaves a "ready" behind */
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    bench_wait(b, 5000000);
    sim_set(b->sim, 0x40, "relative-humidity", 80);
    device_step wait = b->device.driver->sensor->measure(&b->device, 0, values);
    assert_true(b->device.driver->sensor->measure(&b->device, 1, values) > 0); /* too early */
    bench_wait(b, wait);
    assert_int_equal(b->device.driver->sensor->measure(&b->device, 2, values), 0);
    assert_published(values[0], 1, "80.0");
    bench_close(b);
}

static void drops_the_first_conversion(void **state)
{
    (void)state;
    bench *b = bench_open("hdc2080", "hdc2080", 0x40);
    sim_set(b->sim, 0x40, "relative-humidity", 35);
    assert_published(bench_value(b), 1, "35.0");
    bench_close(b);
}

static void probe_compares_the_identity(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("hdc2080", "hdc2080", 0x40);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    assert_int_equal(sim_written(b->sim, 0x40), 0);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0xfc, .garbage = 0x54});
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_string_equal(why, "no HDC2080: identity 5454h 5454h, expected 5449h 07D0h");
    sim_unplug(b->sim, 0x40);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

static void faults_give_no_value(void **state)
{
    (void)state;
    bench *b = bench_open("hdc2080", "hdc2080", 0x40);
    assert_every_transfer_counts(b);
    assert_every_start_transfer_counts(b);
    bench_close(b);
}

static void power_loss_gives_no_wrong_value(void **state)
{
    (void)state;
    bench *b = bench_open("hdc2080", "hdc2080", 0x40);
    sim_set(b->sim, 0x40, "relative-humidity", 35);
    assert_never_wrong(b, 35, 0.05);
    assert_power_loss_is_noticed(b);
    bench_close(b);
}

static void a_conversion_that_never_ends_is_a_timeout(void **state)
{
    (void)state;
    bench *b = bench_open("hdc2080", "hdc2080", 0x40);
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
        cmocka_unit_test(conversion_is_right_everywhere),
        cmocka_unit_test(measures_the_whole_range),
        cmocka_unit_test(is_never_one_reading_behind),
        cmocka_unit_test(drops_the_first_conversion),
        cmocka_unit_test(probe_compares_the_identity),
        cmocka_unit_test(faults_give_no_value),
        cmocka_unit_test(power_loss_gives_no_wrong_value),
        cmocka_unit_test(a_conversion_that_never_ends_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
