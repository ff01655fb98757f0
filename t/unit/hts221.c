/* The HTS221 driver: its calibration line, either slope, and the simulated chip. */
#include "driver.h"

static const struct {
    hts221_calibration calibration;
    int16_t raw;
    const char *humidity;
} table[] = {
    /* rising: 20 % at -1000, 80 % at 9000 */
    {{20, 80, -1000, 9000}, -1000, "20.0"},
    {{20, 80, -1000, 9000}, 9000, "80.0"},
    {{20, 80, -1000, 9000}, 4000, "50.0"},
    {{20, 80, -1000, 9000}, -4333, "0.0"},
    {{20, 80, -1000, 9000}, -32768, "0.0"},
    {{20, 80, -1000, 9000}, 32767, "100.0"},
    /* falling, as most parts are */
    {{33.5, 76, 4, -9762}, 4, "33.5"},
    {{33.5, 76, 4, -9762}, -9762, "76.0"},
    {{33.5, 76, 4, -9762}, -4879, "54.8"},
    {{33.5, 76, 4, -9762}, 32767, "0.0"},
    {{33.5, 76, 4, -9762}, -32768, "100.0"},
};

static void conversion_follows_the_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_published(hts221_raw_to_humidity(&table[i].calibration, table[i].raw), 1,
                         table[i].humidity);
    }
}

static void conversion_is_right_everywhere(void **state)
{
    (void)state;
    const hts221_calibration falling = {33.5, 76, 4, -9762};
    for (long raw = -32768; raw < 32768; raw++) {
        double exact = (33.5 * 9766 + (4 - raw) * 42.5) / 9766;
        exact = fmin(fmax(exact, 0), 100);
        assert_true(fabs(hts221_raw_to_humidity(&falling, (int16_t)raw) - exact) < 1e-9);
    }
}

static void calibration_registers_are_signed_and_checked(void **state)
{
    (void)state;
    hts221_calibration c;
    uint8_t registers[16] = {67, 152, [6] = 0x04, [7] = 0x00, [10] = 0xde, [11] = 0xd9};
    assert_true(hts221_read_calibration(&c, registers));
    assert_true(c.h0 == 33.5 && c.h1 == 76 && c.out0 == 4 && c.out1 == -9762);
    registers[6] = 0x18; /* -1000 */
    registers[7] = 0xfc;
    assert_true(hts221_read_calibration(&c, registers));
    assert_int_equal(c.out0, -1000);
    registers[0] = 201; /* more than 100 % */
    assert_false(hts221_read_calibration(&c, registers));
    memset(registers, 0, sizeof registers);
    assert_false(hts221_read_calibration(&c, registers));
    memset(registers, 0xff, sizeof registers);
    assert_false(hts221_read_calibration(&c, registers));
}

static void measures_the_whole_range(void **state)
{
    (void)state;
    bench *b = bench_open("hts221", "hts221", 0x5f);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    for (double humidity = 0; humidity <= 100; humidity += 0.13) {
        sim_set(b->sim, 0x5f, "relative-humidity", humidity);
        assert_int_equal(bench_measure(b, values), 0);
        assert_true(fabs(values[0] - humidity) < 0.01);
    }
    bench_close(b);
}

static void an_old_ready_is_no_new_one(void **state)
{
    (void)state;
    bench *b = bench_open("hts221", "hts221", 0x5f);
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    bench_wait(b, 5000000);
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    assert_true(b->device.driver->sensor->measure(&b->device, 1, values) > 0);
    bench_close(b);
}

static void waits_for_the_calibration_and_drops_the_first_conversion(void **state)
{
    (void)state;
    bench *b = bench_open("hts221", "hts221", 0x5f); /* just powered up: it reads 0 */
    sim_set(b->sim, 0x5f, "relative-humidity", 40);
    int64_t begin = b->time;
    assert_published(bench_value(b), 1, "40.0");
    assert_true(b->time - begin >= 100000);
    bench_close(b);
}

static void a_calibration_that_never_comes_is_an_error(void **state)
{
    (void)state;
    bench *b = bench_open("hts221", "hts221", 0x5f);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0xb0, .garbage = 0});
    assert_int_equal(bench_start(b), -EIO);
    bench_close(b);
}

static void probe_compares_the_identity(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("hts221", "hts221", 0x5f);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    assert_int_equal(sim_written(b->sim, 0x5f), 0);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0x0f, .garbage = 0xbd});
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_string_equal(why, "no HTS221: identity BDh, expected BCh");
    sim_unplug(b->sim, 0x5f);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

static void faults_give_no_value(void **state)
{
    (void)state;
    bench *b = bench_open("hts221", "hts221", 0x5f);
    bench_wait(b, 200000);
    assert_every_transfer_counts(b);
    assert_every_start_transfer_counts(b);
    bench_close(b);
}

static void power_loss_gives_no_wrong_value(void **state)
{
    (void)state;
    bench *b = bench_open("hts221", "hts221", 0x5f);
    sim_set(b->sim, 0x5f, "relative-humidity", 40);
    assert_never_wrong(b, 40, 0.05);
    assert_power_loss_is_noticed(b);
    bench_close(b);
}

static void a_conversion_that_never_ends_is_a_timeout(void **state)
{
    (void)state;
    bench *b = bench_open("hts221", "hts221", 0x5f);
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
        cmocka_unit_test(conversion_follows_the_line),
        cmocka_unit_test(conversion_is_right_everywhere),
        cmocka_unit_test(calibration_registers_are_signed_and_checked),
        cmocka_unit_test(measures_the_whole_range),
        cmocka_unit_test(an_old_ready_is_no_new_one),
        cmocka_unit_test(waits_for_the_calibration_and_drops_the_first_conversion),
        cmocka_unit_test(a_calibration_that_never_comes_is_an_error),
        cmocka_unit_test(probe_compares_the_identity),
        cmocka_unit_test(faults_give_no_value),
        cmocka_unit_test(power_loss_gives_no_wrong_value),
        cmocka_unit_test(a_conversion_that_never_ends_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
