/* The CO2 module's cycle against the simulated expander, UART and LP8. */
#include "driver.h"

#define EXPANDER 0x38
#define UART     0x4d

static bench *open_module(void)
{
    return bench_open("co2-module", "co2-module", EXPANDER);
}

static sim_co2_record record(const bench *b)
{
    sim_co2_record record;
    assert_true(sim_co2_read(b->sim, EXPANDER, &record));
    return record;
}

static void assert_off(const bench *b)
{
    assert_false(record(b).charging);
    assert_false(record(b).powered);
}

/* A measurement's duration in microseconds; the value goes to *value. */
static int64_t measure(bench *b, double *value)
{
    double values[DEVICE_MAX_QUANTITIES];
    fill_values(values, NAN);
    int64_t begin = b->time;
    assert_int_equal(bench_measure(b, values), 0);
    *value = values[0];
    return b->time - begin;
}

static void checksum_follows_the_lp8s_own_example(void **state)
{
    (void)state;
    /* the first command as SenseAir prints it: FE 41 00 80 01 10 28 7E */
    assert_int_equal(modbus_crc((const uint8_t[]){0xfe, 0x41, 0x00, 0x80, 0x01, 0x10}, 6), 0x7e28);
    /* the check value of CRC-16/MODBUS */
    assert_int_equal(modbus_crc((const uint8_t *)"123456789", 9), 0x4b37);
}

static void pressure_is_in_units_of_10_pa(void **state)
{
    (void)state;
    assert_int_equal(lp8_pressure(98.76), 9876);
    assert_int_equal(lp8_pressure(101.3), 10130);
    assert_int_equal(lp8_pressure(NAN), lp8_pressure(101.325));
    assert_int_equal(lp8_pressure(0), lp8_pressure(101.325));
    assert_int_equal(lp8_pressure(1e9), lp8_pressure(101.325));
}

static void charges_60_s_first_and_then_5_s_every_16(void **state)
{
    (void)state;
    bench *b = open_module();
    double value;
    sim_set(b->sim, EXPANDER, "concentration", 412);
    assert_int_equal(bench_start(b), 0);
    assert_off(b);
    assert_in_range(measure(b, &value), 60000000, 61000000);
    assert_published(value, 0, "412");
    assert_off(b);
    for (int ppm = 0; ppm <= 10000; ppm += 500) {
        sim_set(b->sim, EXPANDER, "concentration", ppm);
        assert_in_range(measure(b, &value), 15000000, 16000000); /* 10 idle, 5 charge */
        assert_true(value == ppm);
        assert_off(b);
    }
    bench_wait(b, 60000000);
    assert_in_range(measure(b, &value), 5000000, 6000000);
    bench_close(b);
}

static void gives_state_and_pressure_back(void **state)
{
    (void)state;
    bench *b = open_module();
    double value;
    assert_int_equal(bench_start(b), 0);
    measure(b, &value);
    assert_int_equal(record(b).control, 0x10);
    b->device.air_pressure = 98.76;
    sim_set(b->sim, EXPANDER, "pressure", 98.76);
    sim_set(b->sim, EXPANDER, "concentration", 1234);
    measure(b, &value); /* the simulated LP8 reports an error unless its state is right */
    assert_int_equal(record(b).control, 0x20);
    assert_int_equal(record(b).pressure, 9876);
    assert_published(value, 0, "1234"); /* uncorrected it would be 1203 */
    b->device.air_pressure = NAN;
    measure(b, &value);
    assert_int_equal(record(b).pressure, 10133);
    assert_int_equal(record(b).measurements, 3);
    bench_close(b);
}

static void calibrates_only_where_asked_and_after_8_days(void **state)
{
    (void)state;
    for (int abc = 0; abc < 2; abc++) {
        bench *b = open_module();
        double value;
        if (abc) {
            assert_null(b->device.driver->option(b->device.state, "calibration", "abc"));
        }
        assert_int_equal(bench_start(b), 0);
        measure(b, &value);
        measure(b, &value);
        assert_int_equal(record(b).control, 0x20);
        bench_wait(b, INT64_C(8) * 24 * 3600 * 1000000);
        measure(b, &value);
        assert_int_equal(record(b).control, abc ? 0x70 : 0x20);
        measure(b, &value);
        assert_int_equal(record(b).control, 0x20);
        bench_close(b);
    }
}

static void options_say_what_is_allowed(void **state)
{
    (void)state;
    const device_driver *driver = device_driver_by_name("co2-module");
    assert_null(driver->option(NULL, "calibration", "off"));
    assert_non_null(strstr(driver->option(NULL, "calibration", "on"), "off or abc"));
    assert_non_null(strstr(driver->option(NULL, "abc", "on"), "calibration="));
}

static void gives_the_bus_back_while_it_waits(void **state)
{
    (void)state;
    bench *b = open_module();
    double values[DEVICE_MAX_QUANTITIES] = {0};
    device_step result = 1;
    assert_int_equal(bench_start(b), 0);
    for (unsigned step = 0; step < MAX_STEPS && result > 0; step++) {
        int64_t begin = b->time;
        result = b->device.driver->sensor->measure(&b->device, step, values);
        assert_int_equal(b->time, begin);
        bench_wait(b, result > 0 ? result : 0);
    }
    assert_int_equal(result, 0);
    bench_close(b);
}

static void a_wrong_checksum_gives_no_value_and_all_is_off(void **state)
{
    (void)state;
    bench *b = open_module();
    double values[DEVICE_MAX_QUANTITIES] = {-1, -1}, value;
    assert_int_equal(bench_start(b), 0);
    sim_set_fault(b->sim, EXPANDER, SIM_WRONG_CRC, 1);
    assert_int_equal(bench_measure(b, values), -EIO);
    assert_true(values[0] == -1);
    assert_off(b);
    sim_set_fault(b->sim, EXPANDER, SIM_WRONG_CRC, 0);
    measure(b, &value);
    bench_close(b);
}

static void a_capacitor_that_is_empty_is_charged_anew(void **state)
{
    (void)state;
    bench *b = open_module();
    double values[DEVICE_MAX_QUANTITIES] = {-1, -1}, value;
    assert_int_equal(bench_start(b), 0);
    measure(b, &value);
    /* the module loses power for a moment, and with it the capacitor its charge */
    sim_unplug(b->sim, EXPANDER);
    sim_plug(b->sim, EXPANDER);
    assert_true(bench_measure(b, values) < 0);
    assert_true(values[0] == -1);
    assert_int_equal(bench_start(b), 0);
    assert_true(measure(b, &value) >= 60000000);
    bench_close(b);
}

static void an_lp8_that_never_gets_ready_is_a_timeout(void **state)
{
    (void)state;
    bench *b = open_module();
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    inject(b, (fault_rule){FAULT_GARBAGE, .address = EXPANDER, .reg = 0, .garbage = 0xff});
    assert_int_equal(bench_measure(b, values), -ETIMEDOUT);
    assert_off(b);
    fault_bus_clear(b->bus);
    inject(b, (fault_rule){FAULT_GARBAGE, .address = EXPANDER, .reg = 0, .skip = 0,
                           .garbage = 0x00}); /* ready at once, and never done */
    assert_int_equal(bench_measure(b, values), -ETIMEDOUT);
    assert_off(b);
    bench_close(b);
}

static void an_lp8_that_keeps_silent_is_a_timeout(void **state)
{
    (void)state;
    bench *b = open_module();
    double values[DEVICE_MAX_QUANTITIES] = {0};
    assert_int_equal(bench_start(b), 0);
    i2c_write8(b->sim, UART, 0x3 << 3, 0x03); /* one stop bit: the LP8 does not understand */
    assert_int_equal(bench_measure(b, values), -ETIMEDOUT);
    assert_off(b);
    bench_close(b);
}

static void every_single_fault_gives_no_wrong_value_and_ends_off(void **state)
{
    (void)state;
    for (unsigned transfer = 0; transfer < 110; transfer++) {
        bench *b = open_module();
        double values[DEVICE_MAX_QUANTITIES] = {-1, -1};
        sim_set(b->sim, EXPANDER, "concentration", 777);
        assert_int_equal(bench_start(b), 0);
        inject(b,
               (fault_rule){FAULT_ERROR, .reg = -1, .skip = transfer, .count = 1, .error = -EIO});
        int64_t result = bench_measure(b, values);
        if (result == 0) {
            assert_true(values[0] == 777);
        } else {
            assert_true(values[0] == -1);
        }
        assert_off(b);
        bench_close(b);
    }
}

static void an_abandoned_cycle_is_ended(void **state)
{
    (void)state;
    bench *b = open_module();
    double values[DEVICE_MAX_QUANTITIES] = {0}, value;
    assert_int_equal(bench_start(b), 0);
    measure(b, &value);
    for (unsigned step = 0; step < 3; step++) {
        bench_wait(b, b->device.driver->sensor->measure(&b->device, step, values));
    }
    assert_true(record(b).powered);
    assert_true(b->device.driver->sensor->measure(&b->device, 0, values) > 0);
    assert_off(b);
    bench_close(b);
}

static void start_releases_a_uart_that_was_held_in_reset(void **state)
{
    (void)state;
    char why[256];
    bench *b = open_module();
    double value;
    i2c_write8(b->sim, EXPANDER, 1, 0x00);
    i2c_write8(b->sim, EXPANDER, 3, (uint8_t)~0x51); /* we were stopped in the middle */
    assert_int_equal(i2c_probe(b->sim, UART), -ENXIO);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    assert_int_equal(bench_start(b), 0);
    measure(b, &value);
    bench_close(b);
}

static void start_reports_every_fault(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_every_start_transfer_counts(b);
    bench_close(b);
}

static void probe_wants_both_chips(void **state)
{
    (void)state;
    char why[256];
    bench *b = open_module();
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    assert_int_equal(sim_written(b->sim, EXPANDER) + sim_written(b->sim, UART), 0);
    inject(b, (fault_rule){FAULT_ERROR, .address = UART, .reg = -1, .error = -ENXIO});
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_non_null(strstr(why, "4d"));
    fault_bus_clear(b->bus);
    inject(b, (fault_rule){FAULT_GARBAGE, .address = UART, .reg = -1, .garbage = 0xff});
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_non_null(strstr(why, "255"));
    sim_unplug(b->sim, EXPANDER);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_follows_the_lp8s_own_example),
        cmocka_unit_test(pressure_is_in_units_of_10_pa),
        cmocka_unit_test(charges_60_s_first_and_then_5_s_every_16),
        cmocka_unit_test(gives_state_and_pressure_back),
        cmocka_unit_test(calibrates_only_where_asked_and_after_8_days),
        cmocka_unit_test(options_say_what_is_allowed),
        cmocka_unit_test(gives_the_bus_back_while_it_waits),
        cmocka_unit_test(a_wrong_checksum_gives_no_value_and_all_is_off),
        cmocka_unit_test(a_capacitor_that_is_empty_is_charged_anew),
        cmocka_unit_test(an_lp8_that_never_gets_ready_is_a_timeout),
        cmocka_unit_test(an_lp8_that_keeps_silent_is_a_timeout),
        cmocka_unit_test(every_single_fault_gives_no_wrong_value_and_ends_off),
        cmocka_unit_test(an_abandoned_cycle_is_ended),
        cmocka_unit_test(start_releases_a_uart_that_was_held_in_reset),
        cmocka_unit_test(start_reports_every_fault),
        cmocka_unit_test(probe_wants_both_chips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
