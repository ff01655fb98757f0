/* The relay module: its contact, and above all its coil, which nothing may leave energised. */
#include "driver.h"

#define ADDRESS 0x3b
#define OUTPUT  1
#define CONFIG  3

static bench *open_module(void)
{
    return bench_open("tca9534a", "relay-module", ADDRESS);
}

static const relay_ops *relay(const bench *b)
{
    return b->device.driver->relay;
}

static sim_relay_record record(const bench *b)
{
    sim_relay_record record;
    assert_true(sim_relay_read(b->sim, ADDRESS, &record));
    return record;
}

static void assert_neutral(const bench *b)
{
    uint8_t output, config;
    assert_int_equal(i2c_read8(b->sim, ADDRESS, OUTPUT, &output), 0);
    assert_int_equal(i2c_read8(b->sim, ADDRESS, CONFIG, &config), 0);
    assert_int_equal(output, 0x50);
    assert_int_equal(config, 0x00);
    assert_false(record(b).energised);
}

static void moves_the_contact_with_a_pulse_of_20_ms(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_int_equal(record(b).contact, -1);
    for (int i = 0; i < 4; i++) {
        bool on = i % 2 == 0;
        assert_int_equal(relay(b)->set(&b->device, on), 0);
        sim_relay_record r = record(b);
        assert_int_equal(r.contact, on);
        assert_int_equal(r.pulses, i + 1);
        assert_int_equal(r.shortest_pulse, 20000);
        assert_int_equal(r.longest_pulse, 20000);
        assert_int_equal(r.unsafe_starts, 0);
        assert_int_equal(r.shorts, 0);
        assert_neutral(b);
        bench_wait(b, relay(b)->min_gap);
    }
    bench_close(b);
}

static void pulses_are_at_least_100_ms_apart(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->min_gap, 100000);
    bench_close(b);
}

static void start_is_neutral_before_direction(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_int_equal(bench_start(b), 0);
    assert_neutral(b);
    assert_int_equal(record(b).pulses, 0);
    assert_int_equal(record(b).unsafe_starts, 0);
    bench_close(b);
}

static void direction_waits_until_neutral_is_confirmed(void **state)
{
    (void)state;
    bench *b = open_module();
    uint8_t config;
    inject(b, (fault_rule){FAULT_ERROR, .directions = FAULT_WRITES, .reg = OUTPUT, .error = -EIO});
    assert_int_equal(relay(b)->recover(&b->device), -EIO);
    assert_int_equal(i2c_read8(b->sim, ADDRESS, CONFIG, &config), 0);
    assert_int_equal(config, 0xff);
    bench_close(b);
}

static void recover_ends_a_pulse_that_a_crash_left(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    i2c_write8(b->sim, ADDRESS, OUTPUT, 0xc0);
    bench_wait(b, 3000);
    assert_true(record(b).energised);
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_neutral(b);
    assert_int_equal(record(b).last_pulse, 3000);
    bench_close(b);
}

static void a_failed_second_write_is_tried_again_at_once(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    inject(b, (fault_rule){FAULT_ERROR, .directions = FAULT_WRITES, .reg = OUTPUT, .skip = 1,
                           .count = 5, .error = -ENXIO});
    assert_int_equal(relay(b)->set(&b->device, true), 0);
    assert_neutral(b);
    assert_int_equal(record(b).contact, 1);
    assert_int_equal(record(b).longest_pulse, 20000);
    bench_close(b);
}

static void a_second_write_that_fails_for_30_ms_ends_below_100(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    inject(b, (fault_rule){FAULT_ERROR, .directions = FAULT_WRITES, .reg = OUTPUT, .skip = 1,
                           .count = 40, .error = -EIO});
    assert_int_equal(relay(b)->set(&b->device, true), 0);
    assert_neutral(b);
    assert_true(record(b).longest_pulse > 20000);
    assert_true(record(b).longest_pulse < 100000);
    bench_close(b);
}

static void a_dead_chip_is_an_error_in_bounded_time(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    inject(b, (fault_rule){FAULT_ERROR, .reg = -1, .skip = 1, .error = -ENXIO});
    int64_t begin = b->time;
    assert_int_equal(relay(b)->set(&b->device, true), -ENXIO);
    assert_true(b->time - begin < 150000);
    fault_bus_clear(b->bus); /* it is back: what comes next must end the pulse first */
    assert_true(record(b).energised);
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_neutral(b);
    bench_close(b);
}

static void a_stuck_bus_is_given_up_after_half_a_second(void **state)
{
    (void)state;
    bench *b = open_module();
    inject(b, (fault_rule){FAULT_DELAY, .reg = -1, .delay = 1000000});
    sim_set_fault(b->sim, ADDRESS, SIM_STUCK, 1);
    int64_t begin = b->time;
    assert_int_equal(relay(b)->recover(&b->device), -ETIMEDOUT);
    assert_true(b->time - begin <= 2000000);
    bench_close(b);
}

static void a_lost_reply_of_the_first_write_ends_neutral(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    inject(b, (fault_rule){FAULT_LOST_REPLY, .directions = FAULT_WRITES, .reg = OUTPUT, .count = 1,
                           .error = -EIO});
    assert_int_equal(relay(b)->set(&b->device, true), -EIO);
    assert_neutral(b);
    bench_close(b);
}

static void a_write_that_did_not_stick_is_no_success(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    /* set() reads the output that it has written, and once more where it is not right */
    inject(b, (fault_rule){FAULT_GARBAGE, .directions = FAULT_READS, .reg = OUTPUT, .count = 2,
                           .garbage = 0x50});
    assert_int_equal(relay(b)->set(&b->device, true), -EIO);
    assert_neutral(b);
    bench_close(b);
}

static void a_module_that_lost_power_is_set_up_again_before_it_moves(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_int_equal(b->device.driver->present(&b->device), 0);
    sim_unplug(b->sim, ADDRESS);
    sim_plug(b->sim, ADDRESS);
    assert_int_equal(b->device.driver->present(&b->device), DEVICE_LOST_POWER);
    assert_int_equal(relay(b)->set(&b->device, true), DEVICE_LOST_POWER); /* not looked at before */
    assert_int_equal(record(b).pulses, 0);
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_int_equal(b->device.driver->present(&b->device), 0);
    assert_int_equal(relay(b)->set(&b->device, true), 0);
    assert_int_equal(record(b).contact, 1);
    assert_int_equal(record(b).unsafe_starts, 0);
    assert_neutral(b);
    bench_close(b);
}

/* Read once, it may say anything; twice, it is true. */
static void one_garbled_read_is_no_loss_of_power(void **state)
{
    static const uint8_t garbage[] = {0xff, 0x00, 0x30};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        bench *b = open_module();
        assert_int_equal(relay(b)->recover(&b->device), 0);
        inject(b, (fault_rule){FAULT_GARBAGE, .directions = FAULT_READS, .reg = -1, .skip = i % 2,
                               .count = 1, .garbage = garbage[i / 2]});
        assert_int_equal(b->device.driver->present(&b->device), 0);
        assert_int_equal(relay(b)->set(&b->device, true), 0);
        bench_close(b);
    }
}

static void one_garbled_read_hides_no_loss_of_power(void **state)
{
    static const uint8_t garbage[] = {0x00, 0x1c, 0x50};
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        bench *b = open_module();
        assert_int_equal(relay(b)->recover(&b->device), 0);
        sim_unplug(b->sim, ADDRESS);
        sim_plug(b->sim, ADDRESS);
        inject(b, (fault_rule){FAULT_GARBAGE, .directions = FAULT_READS, .reg = -1, .skip = i % 4,
                               .count = 1, .garbage = garbage[i / 4]});
        assert_int_equal(b->device.driver->present(&b->device), DEVICE_LOST_POWER);
        bench_close(b);
    }
}

/* A coil that something else has energised is noticed, and that is no loss of power. */
static void current_through_the_coil_is_noticed(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_int_equal(i2c_write8(b->sim, ADDRESS, OUTPUT, 0x30), 0);
    assert_int_equal(b->device.driver->present(&b->device), DEVICE_NOT_AS_LEFT);
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_neutral(b);
    bench_close(b);
}

/* The coil is seen to first; whether power was lost is looked at after that. */
static void what_releases_the_coil_hides_no_loss_of_power(void **state)
{
    (void)state;
    bench *b = open_module();
    assert_int_equal(relay(b)->recover(&b->device), 0);
    sim_unplug(b->sim, ADDRESS);
    sim_plug(b->sim, ADDRESS);
    assert_int_equal(relay(b)->release(&b->device), 0);
    assert_int_equal(b->device.driver->present(&b->device), DEVICE_LOST_POWER);
    bench_close(b);
}

static void every_single_fault_ends_neutral(void **state)
{
    (void)state;
    for (fault_kind kind = FAULT_ERROR; kind <= FAULT_GARBAGE; kind++) {
        for (unsigned transfer = 0; transfer < 8; transfer++) {
            bench *b = open_module();
            assert_int_equal(relay(b)->recover(&b->device), 0);
            inject(b, (fault_rule){kind, .reg = -1, .skip = transfer, .count = 1, .error = -EIO,
                                   .delay = 5000, .garbage = 0xa5});
            int result = relay(b)->set(&b->device, true);
            assert_neutral(b);
            assert_true(record(b).longest_pulse < 100000);
            if (result == 0) {
                assert_int_equal(record(b).contact, 1);
            }
            bench_close(b);
        }
    }
}

static void probe_only_reads(void **state)
{
    (void)state;
    char why[256];
    bench *b = open_module();
    inject(b, (fault_rule){FAULT_ERROR, .directions = FAULT_WRITES, .reg = -1, .error = -EIO});
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    sim_unplug(b->sim, ADDRESS);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_the_contact_with_a_pulse_of_20_ms),
        cmocka_unit_test(pulses_are_at_least_100_ms_apart),
        cmocka_unit_test(start_is_neutral_before_direction),
        cmocka_unit_test(direction_waits_until_neutral_is_confirmed),
        cmocka_unit_test(recover_ends_a_pulse_that_a_crash_left),
        cmocka_unit_test(a_failed_second_write_is_tried_again_at_once),
        cmocka_unit_test(a_second_write_that_fails_for_30_ms_ends_below_100),
        cmocka_unit_test(a_dead_chip_is_an_error_in_bounded_time),
        cmocka_unit_test(a_stuck_bus_is_given_up_after_half_a_second),
        cmocka_unit_test(a_lost_reply_of_the_first_write_ends_neutral),
        cmocka_unit_test(a_write_that_did_not_stick_is_no_success),
        cmocka_unit_test(a_module_that_lost_power_is_set_up_again_before_it_moves),
        cmocka_unit_test(one_garbled_read_is_no_loss_of_power),
        cmocka_unit_test(one_garbled_read_hides_no_loss_of_power),
        cmocka_unit_test(current_through_the_coil_is_noticed),
        cmocka_unit_test(what_releases_the_coil_hides_no_loss_of_power),
        cmocka_unit_test(every_single_fault_ends_neutral),
        cmocka_unit_test(probe_only_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
