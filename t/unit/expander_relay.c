/* Plain relay boards on PCF8574, PCA9554 and MCP23017. Each test runs on all three. */
#include "driver.h"

#define ADDRESS 0x20

static const struct {
    const char *driver, *chip;
    int pins;
    bool has_directions;
} boards[] = {
    {"pcf8574", "pcf8574", 8, false},
    {"pca9554", "pca9554", 8, true},
    {"tca9534", "pca9554", 8, true},
    {"mcp23017", "mcp23017", 16, true},
};
#define N_BOARDS (sizeof boards / sizeof *boards)

static const relay_ops *relay(const bench *b)
{
    return b->device.driver->relay;
}

static sim_port_record record(const bench *b)
{
    sim_port_record record;
    assert_true(sim_port_read(b->sim, ADDRESS, &record));
    return record;
}

/* As the bus does: the chip knows all its channels before the first of them works on it. */
static void claim(bench *b, int channel)
{
    b->device.channel = channel;
    assert_int_equal(relay(b)->claim(&b->device), 0);
}

static void option(bench *b, const char *name, const char *value)
{
    assert_null(b->device.driver->option(b->device.state, name, value));
}

static bench *open_board(size_t i, int channel)
{
    bench *b = bench_open(boards[i].driver, boards[i].chip, ADDRESS);
    b->device.channel = channel;
    if (channel >= 0) {
        claim(b, channel);
    }
    return b;
}

/* The level of a pin that an output drives; -1 where it is an input. */
static int level(const bench *b, int pin)
{
    sim_port_record r = record(b);
    return r.driven >> pin & 1 ? r.levels >> pin & 1 : -1;
}

static void every_channel_switches_its_own_pin(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, 0);
        for (int channel = 0; channel < boards[i].pins; channel++) {
            claim(b, channel);
        }
        assert_int_equal(relay(b)->recover(&b->device), 0);
        for (int channel = 0; channel < boards[i].pins; channel++) {
            assert_int_equal(level(b, channel), 1); /* active low: off */
        }
        for (int channel = 0; channel < boards[i].pins; channel++) {
            bool on;
            sim_port_record before = record(b);
            b->device.channel = channel;
            assert_int_equal(relay(b)->set(&b->device, true), 0);
            assert_int_equal(before.levels ^ record(b).levels, 1 << channel);
            assert_int_equal(relay(b)->get(&b->device, &on), 0);
            assert_true(on);
            assert_int_equal(relay(b)->set(&b->device, false), 0);
            assert_int_equal(before.levels, record(b).levels);
            assert_int_equal(relay(b)->get(&b->device, &on), 0);
            assert_false(on);
        }
        bench_close(b);
    }
}

static void options_move_the_pin_and_turn_the_level(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, -1);
        bool on;
        option(b, "pin", "5");
        option(b, "active", "high");
        claim(b, 0);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(relay(b)->set(&b->device, true), 0);
        assert_int_equal(level(b, 5), 1);
        assert_int_equal(relay(b)->get(&b->device, &on), 0);
        assert_true(on);
        assert_int_equal(relay(b)->set(&b->device, false), 0);
        assert_int_equal(level(b, 5), 0);
        option(b, "active", "low");
        assert_int_equal(relay(b)->get(&b->device, &on), 0);
        assert_true(on);
        bench_close(b);
    }
}

static void options_say_what_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        const device_driver *driver = device_driver_by_name(boards[i].driver);
        const char *allowed = boards[i].pins == 8 ? "0 to 7" : "0 to 15";
        static const char *const wrong[] = {"8x", "-1", "+1", "", "16", "0x1", "99999999999"};
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
            assert_non_null(strstr(driver->option(NULL, "pin", wrong[j]), allowed));
        }
        assert_null(driver->option(NULL, "pin", "7"));
        assert_int_equal(driver->option(NULL, "pin", "8") == NULL, boards[i].pins == 16);
        assert_non_null(strstr(driver->option(NULL, "active", "on"), "low or high"));
        assert_non_null(strstr(driver->option(NULL, "pins", "1"), "pin=0"));
    }
}

static void recovery_moves_no_contact(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, 3);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(relay(b)->set(&b->device, true), 0);
        unsigned changes = record(b).changes[3];
        assert_int_equal(relay(b)->recover(&b->device), 0); /* a hub that was restarted */
        assert_int_equal(bench_start(b), 0);
        assert_int_equal(record(b).changes[3], changes);
        assert_int_equal(level(b, 3), 0);
        bench_close(b);
    }
}

static void level_comes_before_direction(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        if (!boards[i].has_directions) {
            continue;
        }
        bench *b = open_board(i, 2);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(level(b, 2), 1);
        assert_int_equal(record(b).changes[2], 0); /* the pin never went low in between */
        assert_int_equal(record(b).driven, 1 << 2);
        bench_close(b);
    }
}

/* A relay that was on is released, and that is not taken for its state without a word. */
static void a_loss_of_power_is_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, 1);
        bool on;
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(relay(b)->set(&b->device, true), 0);
        assert_int_equal(b->device.driver->present(&b->device), 0);
        sim_unplug(b->sim, ADDRESS);
        sim_plug(b->sim, ADDRESS);
        assert_int_equal(relay(b)->get(&b->device, &on), DEVICE_LOST_POWER);
        assert_int_equal(b->device.driver->present(&b->device), DEVICE_LOST_POWER);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(b->device.driver->present(&b->device), 0);
        assert_int_equal(relay(b)->get(&b->device, &on), 0);
        assert_false(on);
        assert_int_equal(relay(b)->set(&b->device, true), 0);
        assert_int_equal(level(b, 1), 0);
        assert_int_equal(relay(b)->get(&b->device, &on), 0);
        assert_true(on);
        bench_close(b);
    }
}

/* In between `present` and `set` nothing looks: the channels that were on must not come back. */
static void a_loss_of_power_is_seen_while_switching(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        if (!boards[i].has_directions) {
            continue;
        }
        bench *b = open_board(i, 1);
        claim(b, 2);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(relay(b)->set(&b->device, true), 0);
        sim_unplug(b->sim, ADDRESS);
        sim_plug(b->sim, ADDRESS);
        b->device.channel = 1;
        assert_int_equal(relay(b)->set(&b->device, true), DEVICE_LOST_POWER);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(level(b, 1), 1);
        assert_int_equal(level(b, 2), 1);
        bench_close(b);
    }
}

/* Read twice, the chip says what it says; read once, it may be anything. */
static void one_garbled_read_is_no_loss_of_power(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (unsigned read = 0; read < 2; read++) {
            bench *b = open_board(i, 0);
            bool on;
            assert_int_equal(relay(b)->recover(&b->device), 0);
            assert_int_equal(relay(b)->set(&b->device, true), 0);
            inject(b, (fault_rule){FAULT_GARBAGE, .directions = FAULT_READS, .reg = -1,
                                   .skip = read, .count = 1, .garbage = 0xff});
            assert_int_equal(relay(b)->get(&b->device, &on), 0);
            assert_true(on);
            bench_close(b);
        }
    }
}

static void a_new_board_says_that_it_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, 0);
        assert_int_equal(b->device.driver->present(&b->device),
                         boards[i].has_directions ? DEVICE_LOST_POWER : DEVICE_MAY_HAVE_LOST_POWER);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(b->device.driver->present(&b->device), 0);
        bench_close(b);
    }
}

/* Whatever one read says, at any moment of a switching: no other pin moves, and this one does. */
static void a_garbled_read_moves_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (unsigned read = 0; read < 12; read++) {
            bench *b = open_board(i, 0);
            bool on;
            for (int channel = 1; channel < 8; channel++) {
                claim(b, channel);
            }
            b->device.channel = 7;
            assert_int_equal(relay(b)->recover(&b->device), 0);
            assert_int_equal(relay(b)->set(&b->device, true), 0);
            unsigned changes = record(b).changes[7];
            inject(b, (fault_rule){FAULT_GARBAGE, .directions = FAULT_READS, .reg = -1,
                                   .skip = read, .count = 1, .garbage = 0x42});
            b->device.channel = 0;
            for (int round = 0; round < 3; round++) {
                assert_int_equal(b->device.driver->present(&b->device), 0);
                assert_int_equal(relay(b)->set(&b->device, round != 1), 0);
                assert_int_equal(record(b).levels & 0xff, round != 1 ? 0x7e : 0x7f);
            }
            assert_int_equal(relay(b)->get(&b->device, &on), 0);
            assert_true(on);
            for (int pin = 1; pin < 7; pin++) {
                assert_int_equal(record(b).changes[pin], 0);
            }
            assert_int_equal(record(b).changes[7], changes);
            bench_close(b);
        }
    }
}

/* A write that arrives with other bits is seen, and written again. */
static void a_write_that_went_wrong_is_repeated(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, 0);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        inject(b, (fault_rule){FAULT_GARBAGE, .directions = FAULT_READS, .reg = -1, .count = 2,
                               .garbage = 0x00});
        assert_int_equal(relay(b)->set(&b->device, false), 0);
        assert_int_equal(level(b, 0), 1);
        bench_close(b);
    }
}

static void pins_of_no_channel_are_never_driven(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, 0);
        claim(b, 1);
        assert_true(sim_port_hold(b->sim, ADDRESS, 1 << 5)); /* a button */
        assert_int_equal(relay(b)->recover(&b->device), 0);
        for (int channel = 0; channel < 2; channel++) {
            b->device.channel = channel;
            assert_int_equal(b->device.driver->present(&b->device), 0);
            assert_int_equal(relay(b)->set(&b->device, true), 0);
            assert_int_equal(b->device.driver->present(&b->device), 0);
            assert_int_equal(relay(b)->set(&b->device, false), 0);
        }
        assert_true(sim_port_hold(b->sim, ADDRESS, 0));
        assert_int_equal(record(b).levels & 0xff, 0xff);
        if (boards[i].has_directions) {
            assert_int_equal(record(b).driven, 0x03);
        }
        bench_close(b);
    }
}

/* A channel that is no longer configured lets go of its relay. */
static void a_pin_that_lost_its_channel_is_released(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, 0);
        claim(b, 1);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(relay(b)->set(&b->device, true), 0);
        memset(b->device.chip, 0, DEVICE_MAX_CHIP); /* the next hub */
        claim(b, 0);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        assert_int_equal(record(b).levels & 0xff, 0xff);
        bench_close(b);
    }
}

/* Held low from outside, a relay is on; that is not what we drive. */
static void a_pin_that_is_held_is_on_and_not_driven(void **state)
{
    (void)state;
    bench *b = open_board(0, 0);
    bool on;
    claim(b, 1);
    b->device.channel = 0;
    assert_int_equal(relay(b)->recover(&b->device), 0);
    assert_true(sim_port_hold(b->sim, ADDRESS, 1 << 0));
    assert_int_equal(relay(b)->get(&b->device, &on), 0);
    assert_true(on);
    assert_int_equal(relay(b)->set(&b->device, false), -EIO);
    b->device.channel = 1; /* the other channel works all the same */
    assert_int_equal(b->device.driver->present(&b->device), 0);
    assert_int_equal(relay(b)->set(&b->device, true), 0);
    assert_true(sim_port_hold(b->sim, ADDRESS, 0));
    assert_int_equal(record(b).levels & 0xff, 0xfd);
    b->device.channel = 0;
    assert_int_equal(relay(b)->get(&b->device, &on), 0);
    assert_false(on);
    bench_close(b);
}

/* What a failed write has done is looked at before anything is written again. */
static void after_a_failed_write_the_chip_is_asked(void **state)
{
    static const fault_kind kinds[] = {FAULT_ERROR, FAULT_LOST_REPLY};
    (void)state;
    for (size_t i = 0; i < 2 * N_BOARDS; i++) {
        bench *b = open_board(i / 2, 0);
        bool on, arrived = kinds[i % 2] == FAULT_LOST_REPLY;
        claim(b, 1);
        assert_int_equal(relay(b)->recover(&b->device), 0);
        b->device.channel = 0;
        inject(b, (fault_rule){kinds[i % 2], .directions = FAULT_WRITES, .reg = -1, .count = 1,
                               .error = -EIO});
        assert_int_equal(relay(b)->set(&b->device, true), -EIO);
        b->device.channel = 1;
        assert_int_equal(relay(b)->set(&b->device, true), 0);
        assert_int_equal(record(b).levels & 0xff, arrived ? 0xfc : 0xfd);
        b->device.channel = 0;
        assert_int_equal(relay(b)->get(&b->device, &on), 0);
        assert_int_equal(on, arrived);
        bench_close(b);
    }
}

static void every_transfer_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, 0);
        bool on;
        unsigned before = fault_bus_transfers(b->bus);
        assert_int_equal(relay(b)->set(&b->device, true), 0); /* from power-up: all of it */
        unsigned transfers = fault_bus_transfers(b->bus) - before;
        for (unsigned j = 0; j < transfers; j++) {
            sim_unplug(b->sim, ADDRESS);
            sim_plug(b->sim, ADDRESS);
            memset(b->device.chip, 0, DEVICE_MAX_CHIP);
            claim(b, 0);
            inject(b, (fault_rule){FAULT_ERROR, .reg = -1, .skip = j, .count = 1, .error = -EIO});
            assert_int_equal(relay(b)->set(&b->device, true), -EIO);
        }
        inject(b, (fault_rule){FAULT_ERROR, .reg = -1, .count = 1, .error = -EIO});
        assert_int_equal(relay(b)->get(&b->device, &on), -EIO);
        bench_close(b);
    }
}

static void a_level_that_did_not_stick_is_no_success(void **state)
{
    (void)state;
    bench *b = open_board(0, 0); /* a PCF8574 whose pin cannot go high: it is shorted to ground */
    assert_int_equal(relay(b)->set(&b->device, true), 0);
    inject(b, (fault_rule){FAULT_GARBAGE, .directions = FAULT_READS, .reg = -1, .garbage = 0xfe});
    assert_int_equal(relay(b)->set(&b->device, false), -EIO);
    bench_close(b);
}

static void a_channel_beyond_the_pins_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = open_board(i, -1);
        b->device.channel = boards[i].pins;
        assert_int_equal(relay(b)->claim(&b->device), -EINVAL);
        assert_int_equal(sim_written(b->sim, ADDRESS), 0);
        bench_close(b);
    }
}

static void they_are_never_looked_for_unasked(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        char why[256];
        const device_driver *driver = device_driver_by_name(boards[i].driver);
        bench *b = open_board(i, 0);
        assert_int_equal(driver->addresses[0], 0);
        assert_int_equal(driver->relay->channels, boards[i].pins);
        assert_int_equal(bench_probe(b, why, sizeof why), 0);
        assert_int_equal(sim_written(b->sim, ADDRESS), 0);
        sim_unplug(b->sim, ADDRESS);
        assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
        bench_close(b);
    }
}

static void probe_knows_an_mcp23017_by_its_mirrored_register(void **state)
{
    (void)state;
    char why[256];
    bench *b = open_board(3, 0);
    inject(b, (fault_rule){FAULT_GARBAGE, .reg = 0x0b, .garbage = 0x20});
    assert_int_equal(bench_probe(b, why, sizeof why), -ENODEV);
    assert_non_null(strstr(why, "00h and 20h"));
    bench_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_channel_switches_its_own_pin),
        cmocka_unit_test(options_move_the_pin_and_turn_the_level),
        cmocka_unit_test(options_say_what_is_allowed),
        cmocka_unit_test(recovery_moves_no_contact),
        cmocka_unit_test(level_comes_before_direction),
        cmocka_unit_test(a_loss_of_power_is_seen),
        cmocka_unit_test(a_loss_of_power_is_seen_while_switching),
        cmocka_unit_test(one_garbled_read_is_no_loss_of_power),
        cmocka_unit_test(a_new_board_says_that_it_is_one),
        cmocka_unit_test(a_garbled_read_moves_nothing_else),
        cmocka_unit_test(a_write_that_went_wrong_is_repeated),
        cmocka_unit_test(pins_of_no_channel_are_never_driven),
        cmocka_unit_test(a_pin_that_lost_its_channel_is_released),
        cmocka_unit_test(a_pin_that_is_held_is_on_and_not_driven),
        cmocka_unit_test(after_a_failed_write_the_chip_is_asked),
        cmocka_unit_test(every_transfer_counts),
        cmocka_unit_test(a_level_that_did_not_stick_is_no_success),
        cmocka_unit_test(a_channel_beyond_the_pins_is_refused),
        cmocka_unit_test(they_are_never_looked_for_unasked),
        cmocka_unit_test(probe_knows_an_mcp23017_by_its_mirrored_register),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
