/* The SHT20 driver: checksum, formula, and the simulated chip that does not stretch the clock. */
#include "driver.h"

/* Sensirion, "CRC Checksum Calculation for SHT2x": the examples. */
static void checksum_follows_the_examples(void **state)
{
    (void)state;
    assert_int_equal(sht20_crc((const uint8_t[]){0xdc}, 1), 0x79);
    assert_int_equal(sht20_crc((const uint8_t[]){0x68, 0x3a}, 2), 0x7c);
    assert_int_equal(sht20_crc((const uint8_t[]){0x4e, 0x85}, 2), 0x6b);
}

static void conversion_is_right_everywhere(void **state)
{
    (void)state;
    assert_published(sht20_raw_to_humidity(0x6352), 1, "42.5"); /* data sheet, section 5.4 */
    assert_published(sht20_raw_to_humidity(0x0002), 1, "0.0");
    assert_published(sht20_raw_to_humidity(0xfffe), 1, "100.0");
    for (long raw = 0; raw < 65536; raw++) {
        double exact = -6 + 125.0 * (raw / 4 * 4) / 65536;
        exact = fmin(fmax(exact, 0), 100);
        assert_true(sht20_raw_to_humidity((uint16_t)raw) == exact);
    }
}

static void measures_the_whole_range(void **state)
{
    (void)state;
    bench *b = bench_open("sht20", "sht20", 0x40);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    bench_wait(b, 20000);
    assert_int_equal(bench_start(b), 0);
    for (double humidity = 0; humidity <= 100; humidity += 0.13) {
        sim_set(b->sim, 0x40, "relative-humidity", humidity);
        assert_int_equal(bench_measure(b, values), 0);
        assert_true(fabs(values[0] - humidity) < 0.035);
    }
    bench_close(b);
}

static void a_wrong_checksum_gives_no_value(void **state)
{
    (void)state;
    bench *b = bench_open("sht20", "sht20", 0x40);
    double values[DEVICE_MAX_QUANTITIES] = {-1, -1};
    bench_wait(b, 20000);
    assert_int_equal(bench_start(b), 0);
    sim_set_fault(b->sim, 0x40, SIM_WRONG_CRC, 1);
    assert_int_equal(bench_measure(b, values), -EIO);
    sim_set_fault(b->sim, 0x40, SIM_WRONG_CRC, 0);
    sim_set_fault(b->sim, 0x40, SIM_GARBAGE, 1);
    assert_int_equal(bench_measure(b, values), -EIO);
    assert_true(values[0] == -1);
    bench_close(b);
}

static void a_temperature_is_no_humidity(void **state)
{
    (void)state;
    bench *b = bench_open("sht20", "sht20", 0x40);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    bench_wait(b, 20000);
    assert_int_equal(bench_start(b), 0);
    device_step wait = b->device.driver->sensor->measure(&b->device, 0, values);
    i2c_transfer(b->sim, 0x40, (const uint8_t[]){0xf3}, 1, NULL, 0); /* of another program */
    bench_wait(b, wait + 60000);
    assert_int_equal(b->device.driver->sensor->measure(&b->device, 1, values), -EIO);
    bench_close(b);
}

static void waits_while_it_is_not_acknowledged(void **state)
{
    (void)state;
    bench *b = bench_open("sht20", "sht20", 0x40);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    bench_wait(b, 20000);
    sim_set(b->sim, 0x40, "relative-humidity", 60);
    assert_int_equal(bench_start(b), 0);
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    assert_true(b->device.driver->sensor->measure(&b->device, 1, values) > 0); /* too early */
    bench_wait(b, 25000);
    assert_int_equal(b->device.driver->sensor->measure(&b->device, 2, values), 0);
    assert_published(values[0], 1, "60.0");
    bench_close(b);
}

static void one_that_went_away_is_missed(void **state)
{
    (void)state;
    bench *b = bench_open("sht20", "sht20", 0x40);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    bench_wait(b, 20000);
    assert_int_equal(bench_start(b), 0);
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    sim_unplug(b->sim, 0x40);
    device_step result = 1;
    for (unsigned step = 1; step < MAX_STEPS && result > 0; step++) {
        result = b->device.driver->sensor->measure(&b->device, step, values);
    }
    assert_int_equal(result, -ENXIO);
    bench_close(b);
}

static void probe_knows_it_by_what_it_does(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("sht20", "sht20", 0x40);
    bench_wait(b, 20000);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    assert_int_equal(sim_written(b->sim, 0x40), 0);
    sim_set_fault(b->sim, 0x40, SIM_WRONG_CRC, 1);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_non_null(strstr(why, "checksum"));
    sim_unplug(b->sim, 0x40);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

/* No conversion: what it measured before is still there to be read. */
static void presence_takes_no_conversion(void **state)
{
    (void)state;
    bench *b = bench_open("sht20", "sht20", 0x40);
    bench_wait(b, 20000);
    assert_int_equal(bench_start(b), 0);
    int64_t begin = b->time;
    assert_int_equal(b->device.driver->present(&b->device), 0);
    assert_int_equal(b->time, begin);
    assert_int_equal(fault_bus_transfers(b->bus), 2); /* the reset, and one read */
    assert_int_equal(i2c_probe(b->bus, 0x40), 0);     /* converting, it would not acknowledge */
    sim_unplug(b->sim, 0x40);
    assert_int_equal(b->device.driver->present(&b->device), -ENXIO);
    bench_close(b);
}

static void probe_does_not_wait_for_strangers(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("sht20", "hdc2080", 0x40);
    int64_t begin = b->time;
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_int_equal(b->time, begin);
    assert_int_equal(sim_written(b->sim, 0x40), 0);
    bench_close(b);
}

static void faults_give_no_value(void **state)
{
    (void)state;
    bench *b = bench_open("sht20", "sht20", 0x40);
    bench_wait(b, 20000);
    assert_every_transfer_counts(b);
    assert_every_start_transfer_counts(b);
    bench_close(b);
}

static void power_loss_gives_no_wrong_value(void **state)
{
    (void)state;
    bench *b = bench_open("sht20", "sht20", 0x40);
    bench_wait(b, 20000);
    sim_set(b->sim, 0x40, "relative-humidity", 40);
    assert_never_wrong(b, 40, 0.05);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_follows_the_examples),
        cmocka_unit_test(conversion_is_right_everywhere),
        cmocka_unit_test(measures_the_whole_range),
        cmocka_unit_test(a_wrong_checksum_gives_no_value),
        cmocka_unit_test(a_temperature_is_no_humidity),
        cmocka_unit_test(waits_while_it_is_not_acknowledged),
        cmocka_unit_test(one_that_went_away_is_missed),
        cmocka_unit_test(probe_knows_it_by_what_it_does),
        cmocka_unit_test(presence_takes_no_conversion),
        cmocka_unit_test(probe_does_not_wait_for_strangers),
        cmocka_unit_test(faults_give_no_value),
        cmocka_unit_test(power_loss_gives_no_wrong_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
