/* The MPL3115A2 driver: 20-bit values at the top of 24, and the simulated chip with its traps. */
#include "driver.h"

static void pressure_is_quarter_pascals(void **state)
{
    (void)state;
    assert_published(mpl3115a2_raw_to_kilopascals((const uint8_t[]){0, 0, 0}), 3, "0.000");
    assert_published(mpl3115a2_raw_to_kilopascals((const uint8_t[]){0x62, 0xf3, 0x40}), 3,
                     "101.325");
    assert_published(mpl3115a2_raw_to_kilopascals((const uint8_t[]){0xff, 0xff, 0xf0}), 3,
                     "262.144");
    for (uint32_t quarters = 0; quarters < 1 << 20; quarters++) {
        const uint8_t raw[] = {(uint8_t)(quarters >> 12), (uint8_t)(quarters >> 4),
                               (uint8_t)(quarters << 4)};
        assert_true(mpl3115a2_raw_to_kilopascals(raw) == quarters / 4.0 / 1000);
    }
}

static void altitude_is_signed_sixteenths(void **state)
{
    (void)state;
    assert_published(mpl3115a2_raw_to_meters((const uint8_t[]){0, 0, 0}), 1, "0.0");
    assert_published(mpl3115a2_raw_to_meters((const uint8_t[]){0x02, 0x47, 0x80}), 1, "583.5");
    assert_published(mpl3115a2_raw_to_meters((const uint8_t[]){0xff, 0xff, 0x80}), 1, "-0.5");
    assert_published(mpl3115a2_raw_to_meters((const uint8_t[]){0xfd, 0x46, 0x00}), 1, "-698.0");
    for (int32_t sixteenths = -(1 << 19); sixteenths < 1 << 19; sixteenths++) {
        const uint8_t raw[] = {(uint8_t)(sixteenths >> 12), (uint8_t)(sixteenths >> 4),
                               (uint8_t)((uint32_t)sixteenths << 4)};
        assert_true(mpl3115a2_raw_to_meters(raw) * 16 == sixteenths);
    }
}

/* Data sheet, section on the altimeter mode. */
static double altitude_at(double kilopascals)
{
    return 44330.77 * (1 - pow(kilopascals * 1000 / 101326, 0.1902632));
}

static void measures_the_whole_range(void **state)
{
    (void)state;
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    for (double pressure = 20; pressure <= 110; pressure += 0.217) {
        sim_set(b->sim, 0x60, "pressure", pressure);
        assert_int_equal(bench_measure(b, values), 0);
        assert_true(fabs(values[0] - pressure) <= 0.0002);
        assert_true(fabs(values[1] - altitude_at(pressure)) <= 0.04);
    }
    bench_close(b);
}

static void both_fit_a_second(void **state)
{
    (void)state;
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    int64_t begin = b->time;
    assert_int_equal(bench_measure(b, values), 0);
    assert_in_range(b->time - begin, 500000, 600000);
    bench_close(b);
}

static void drops_the_first_conversion(void **state)
{
    (void)state;
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
    sim_set(b->sim, 0x60, "pressure", 99.5);
    assert_published(bench_value(b), 3, "99.500");
    bench_close(b);
}

static void an_abandoned_measurement_does_not_mix_up_the_next(void **state)
{
    (void)state;
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    sim_set(b->sim, 0x60, "pressure", 99.5);
    assert_int_equal(bench_start(b), 0);
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    bench_wait(b, 5000000); /* an old "ready" is no new one */
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    assert_true(b->device.driver->sensor->measure(&b->device, 1, values) > 0);
    for (unsigned steps = 1; steps < 3; steps++) {
        for (unsigned step = 0; step < steps; step++) {
            bench_wait(b, b->device.driver->sensor->measure(&b->device, step, values));
        }
        assert_int_equal(bench_measure(b, values), 0);
        assert_published(values[0], 3, "99.500");
        assert_true(fabs(values[1] - altitude_at(99.5)) < 0.04);
    }
    bench_close(b);
}

/* A hub that was killed leaves it like this; it keeps the mode until the conversion is over. */
static void can_be_started_during_a_conversion_of_altitude(void **state)
{
    (void)state;
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    bench_wait(b, b->device.driver->sensor->measure(&b->device, 0, values));
    assert_true(b->device.driver->sensor->measure(&b->device, 1, values) > 0);
    bench_wait(b, 10000);
    sim_set(b->sim, 0x60, "pressure", 99.5);
    assert_int_equal(bench_start(b), 0);
    assert_int_equal(bench_measure(b, values), 0);
    assert_published(values[0], 3, "99.500");
    assert_true(fabs(values[1] - altitude_at(99.5)) < 0.04);
    bench_close(b);
}

static void probe_compares_the_identity(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    assert_int_equal(sim_written(b->sim, 0x60), 0);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0x0c, .garbage = 0x1a});
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_string_equal(why, "no MPL3115A2: identity 1Ah, expected C4h");
    sim_unplug(b->sim, 0x60);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

static void faults_give_no_value(void **state)
{
    (void)state;
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
    assert_every_transfer_counts(b);
    assert_every_start_transfer_counts(b);
    bench_close(b);
}

static void power_loss_gives_no_wrong_value(void **state)
{
    (void)state;
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
    sim_set(b->sim, 0x60, "pressure", 99.5);
    assert_never_wrong(b, 99.5, 0.001);
    assert_power_loss_is_noticed(b);
    bench_close(b);
}

static void a_conversion_that_never_ends_is_a_timeout(void **state)
{
    (void)state;
    bench *b = bench_open("mpl3115a2", "mpl3115a2", 0x60);
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
        cmocka_unit_test(pressure_is_quarter_pascals),
        cmocka_unit_test(altitude_is_signed_sixteenths),
        cmocka_unit_test(measures_the_whole_range),
        cmocka_unit_test(both_fit_a_second),
        cmocka_unit_test(drops_the_first_conversion),
        cmocka_unit_test(an_abandoned_measurement_does_not_mix_up_the_next),
        cmocka_unit_test(can_be_started_during_a_conversion_of_altitude),
        cmocka_unit_test(probe_compares_the_identity),
        cmocka_unit_test(faults_give_no_value),
        cmocka_unit_test(power_loss_gives_no_wrong_value),
        cmocka_unit_test(a_conversion_that_never_ends_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
