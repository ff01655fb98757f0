/*
 * Plain relay boards as a whole: what the world does to them, what their contacts do, and what is
 * published. Each test runs on every chip that it can happen to.
 */
#include "hub_bench.h"

#include <errno.h>

#define BOARD 0x20

static const struct {
    const char *driver, *chip;
    bool has_directions;
} boards[] = {
    {"pcf8574", "pcf8574", false},
    {"pca9554", "pca9554", true},
    {"tca9534", "pca9554", true},
    {"mcp23017", "mcp23017", true},
};
#define N_BOARDS (sizeof(boards) / sizeof(*boards))

/* A bench with a board, and no channels yet. */
static bench *with_board(size_t i)
{
    bench *b = bench_new();

    assert_true(sim_add(b->sim[0], boards[i].chip, BOARD));
    return b;
}

static void start(bench *b)
{
    bench_start(b);
    bench_run(b, 0.5);
    bench_clear(b);
}

static void add_channels(bench *b, const char *driver, int n)
{
    static const char *const topics[] = {"relay/i2c0-20-0", "relay/i2c0-20-1", "relay/i2c0-20-2",
                                         "relay/i2c0-20-3", "relay/i2c0-20-4", "relay/i2c0-20-5",
                                         "relay/i2c0-20-6", "relay/i2c0-20-7"};

    for (int channel = 0; channel < n; channel++) {
        bench_pin(b, topics[channel], driver, NULL);
    }
}

static sim_port_record port(const bench *b)
{
    sim_port_record record;

    assert_true(sim_port_read(b->sim[0], BOARD, &record));
    return record;
}

/* The lower eight pins: as an output drives them, or high. */
static uint8_t levels(const bench *b)
{
    return (uint8_t)port(b).levels;
}

/* Switches a channel and waits for the answer. */
static const char *ask(bench *b, int channel, bool on)
{
    char request[64];

    snprintf(request, sizeof(request), "[\"relay/i2c0-20-%d/set\", {\"state\": %s}]", channel,
             on ? "true" : "false");
    return bench_ask(b, request);
}

static const char *get(bench *b, int channel)
{
    char request[64];

    snprintf(request, sizeof(request), "[\"relay/i2c0-20-%d/get\", {}]", channel);
    return bench_ask(b, request);
}

/* What was published last about a channel, or NULL. */
static const char *published(const bench *b, int channel)
{
    char beginning[32];

    snprintf(beginning, sizeof(beginning), "[\"relay/i2c0-20-%d\"", channel);
    return bench_last(b, beginning);
}

/* The n-th read from now on gives this value. */
static void garble(bench *b, unsigned n, uint8_t value)
{
    assert_true(fault_bus_add(b->fault[0], &(fault_rule){.kind = FAULT_GARBAGE,
                                                         .address = BOARD,
                                                         .directions = FAULT_READS,
                                                         .reg = -1,
                                                         .skip = n,
                                                         .count = 1,
                                                         .garbage = value}));
}

/* Configuration checks refuse it; a hub that was given it all the same ignores the later line. */
static void two_relays_on_one_pin_are_refused(void **state)
{
    bench *b = with_board(0);

    (void)state;
    bench_pin(b, "relay/i2c0-20-0", "pcf8574", "pin=3", NULL);
    bench_pin(b, "relay/i2c0-20-3", "pcf8574", NULL);
    bench_start(b);
    bench_run(b, 0.5);
    assert_int_equal(bench_logged(b, CT_DEVICE_CONFIG), 1);
    assert_contains(ask(b, 3, true), "unknown-device");
    assert_contains(ask(b, 0, true), "true");
    assert_int_equal(levels(b), 0xf7);
    bench_free(b);
}

/* ---- what is written comes from what is known ---- */

static void a_button_on_a_free_pin_stays_a_button(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = with_board(i);
        add_channels(b, boards[i].driver, 2);
        assert_true(sim_port_hold(b->sim[0], BOARD, 1 << 5));
        start(b);
        assert_contains(ask(b, 0, true), "true");
        assert_contains(ask(b, 1, true), "true");
        assert_contains(ask(b, 0, false), "false");
        assert_true(sim_port_hold(b->sim[0], BOARD, 0));
        assert_int_equal(levels(b), 0xfd);
        bench_free(b);
    }
}

static void a_garbled_read_switches_no_other_relay(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (unsigned read = 0; read < 8; read++) {
            bench *b = with_board(i);
            add_channels(b, boards[i].driver, 8);
            start(b);
            garble(b, read, 0xff ^ 0x3c);
            assert_contains(ask(b, 0, true), "true");
            assert_int_equal(levels(b), 0xfe);
            bench_run(b, 5);
            assert_int_equal(levels(b), 0xfe);
            for (int pin = 1; pin < 8; pin++) {
                assert_int_equal(port(b).changes[pin], 0);
                assert_contains(get(b, pin), "false");
            }
            bench_free(b);
        }
    }
}

static void a_garbled_read_is_not_off_already(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (unsigned read = 0; read < 8; read++) {
            bench *b = with_board(i);
            add_channels(b, boards[i].driver, 2);
            start(b);
            assert_contains(ask(b, 0, true), "true");
            bench_run(b, 0.2);
            garble(b, read, 0xff);
            assert_contains(ask(b, 0, false), "false");
            assert_int_equal(levels(b), 0xff);
            assert_contains(published(b, 0), "false");
            bench_free(b);
        }
    }
}

/* The same at a pulse's end. */
static void a_garbled_read_prolongs_no_pulse(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (unsigned read = 0; read < 4; read++) {
            bench *b = with_board(i);
            add_channels(b, boards[i].driver, 1);
            start(b);
            bench_ask(b, "[\"relay/i2c0-20-0/pulse/set\", {\"duration\": 1}]");
            assert_int_equal(levels(b), 0xfe);
            garble(b, read, 0xff);
            bench_run(b, 1.2);
            assert_int_equal(levels(b), 0xff);
            assert_contains(published(b, 0), "false");
            bench_free(b);
        }
    }
}

/* Reads that never agree: that is no state at all, and an error. */
static void what_cannot_be_made_sure_is_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = with_board(i);
        add_channels(b, boards[i].driver, 8);
        start(b);
        assert_contains(ask(b, 0, true), "true");
        sim_set_fault(b->sim[0], BOARD, SIM_GARBAGE, 1);
        assert_contains(ask(b, 1, true), "io-error");
        bench_run(b, 3);
        assert_contains(published(b, 0), "null");
        assert_int_equal(levels(b) & 0x01, 0);
        sim_set_fault(b->sim[0], BOARD, SIM_GARBAGE, 0);
        bench_run(b, 3);
        assert_contains(published(b, 0), "true");
        assert_int_equal(levels(b) & 0x01, 0);
        bench_free(b);
    }
}

/* A failed command's state is null until the chip has been asked; then it is what is true. */
static void after_a_failure_the_truth_is_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (int arrives = 0; arrives < 2; arrives++) {
            bench *b = with_board(i);
            add_channels(b, boards[i].driver, 2);
            start(b);
            assert_true(fault_bus_add(
                b->fault[0], &(fault_rule){.kind = arrives ? FAULT_LOST_REPLY : FAULT_ERROR,
                                           .address = BOARD,
                                           .directions = FAULT_WRITES,
                                           .reg = -1,
                                           .count = 1,
                                           .error = -EIO}));
            assert_contains(ask(b, 0, true), "io-error");
            assert_contains(published(b, 0), "null");
            bench_run(b, 1);
            assert_contains(published(b, 0), arrives ? "true" : "false");
            assert_int_equal(levels(b), arrives ? 0xfe : 0xff);
            bench_free(b);
        }
    }
}

/* Whatever holds it from outside, a relay that is on is published as on. */
static void a_pin_that_is_held_is_published(void **state)
{
    bench *b = with_board(0);

    (void)state;
    add_channels(b, "pcf8574", 2);
    start(b);
    assert_true(sim_port_hold(b->sim[0], BOARD, 1 << 1));
    bench_run(b, 3);
    assert_contains(published(b, 1), "true");
    assert_contains(ask(b, 1, false), "io-error");
    assert_contains(ask(b, 0, true), "true");
    bench_run(b, 3);
    assert_contains(published(b, 1), "true");
    assert_true(sim_port_hold(b->sim[0], BOARD, 0));
    bench_run(b, 3);
    assert_contains(published(b, 1), "false");
    assert_int_equal(levels(b), 0xfe);
    bench_free(b);
}

/* ---- loss of power ---- */

static void cut_power(bench *b, double seconds)
{
    sim_unplug(b->sim[0], BOARD);
    bench_run(b, seconds);
    sim_plug(b->sim[0], BOARD);
}

/* Channel 0 keeps, 1 comes on, 2 goes off when power comes on. */
static bench *with_power_on(size_t i)
{
    bench *b = with_board(i);

    bench_pin(b, "relay/i2c0-20-0", boards[i].driver, NULL);
    bench_pin(b, "relay/i2c0-20-1", boards[i].driver, "power-on=on", NULL);
    bench_pin(b, "relay/i2c0-20-2", boards[i].driver, "power-on=off", NULL);
    bench_remember(b);
    b->config.reason_for_reset = "restart";
    return b;
}

static void a_loss_of_power_is_seen_however_short(void **state)
{
    static const double lengths[] = {0, 0.3, 1, 4, 9, 60};

    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = with_power_on(i);
        start(b);
        for (size_t j = 0; j < sizeof(lengths) / sizeof(*lengths); j++) {
            ask(b, 0, true);
            ask(b, 1, false);
            ask(b, 2, true);
            bench_clear(b);
            cut_power(b, lengths[j]);
            bench_run(b, 5);
            assert_int_equal(bench_logged(b, CT_POWER_LOST), 1);
            assert_int_equal(bench_logged(b, CT_POWER_ON), 2);
            assert_int_equal(levels(b) & 7, 5);
            assert_contains(published(b, 0), "false"); /* keep: what is true */
            assert_contains(published(b, 1), "true");
            assert_contains(published(b, 2), "false");
            assert_contains(get(b, 0), "false");
        }
        bench_free(b);
    }
}

/* A PCF8574 that is active high has all its relays on then. */
static void what_power_up_switches_on_is_published(void **state)
{
    bench *b = with_board(0);

    (void)state;
    bench_pin(b, "relay/i2c0-20-0", "pcf8574", "active=high", NULL);
    bench_pin(b, "relay/i2c0-20-1", "pcf8574", "active=high", "power-on=off", NULL);
    b->config.reason_for_reset = "restart";
    start(b);
    ask(b, 0, false);
    ask(b, 1, false);
    cut_power(b, 1);
    bench_run(b, 5);
    assert_contains(published(b, 0), "true");
    assert_contains(published(b, 1), "false");
    assert_int_equal(levels(b) & 3, 1);
    bench_free(b);
}

static void absence_is_no_loss_of_power(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = with_power_on(i);
        start(b);
        ask(b, 0, true);
        ask(b, 1, false);
        ask(b, 2, true);
        bench_clear(b);
        sim_set_fault(b->sim[0], BOARD, SIM_NO_ACKNOWLEDGE, 1);
        bench_run(b, 60);
        sim_set_fault(b->sim[0], BOARD, SIM_NO_ACKNOWLEDGE, 0);
        bench_run(b, 40);
        assert_int_equal(bench_logged(b, CT_POWER_LOST), 0);
        assert_int_equal(bench_logged(b, CT_POWER_ON), 0);
        assert_int_equal(levels(b) & 7, 2);
        assert_contains(published(b, 0), "true");
        assert_contains(published(b, 2), "true");
        bench_free(b);
    }
}

/* FFh is what all these chips have at power-up, or nearly. */
static void a_garbled_read_is_no_loss_of_power(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (unsigned read = 0; read < 6; read++) {
            bench *b = with_power_on(i);
            start(b);
            ask(b, 0, true);
            ask(b, 1, false);
            bench_clear(b);
            garble(b, read, 0xff);
            bench_run(b, 10);
            assert_int_equal(bench_logged(b, CT_POWER_LOST), 0);
            assert_int_equal(levels(b) & 7, 6);
            bench_free(b);
        }
    }
}

/* Stop, cut the power, start: the memory knows what the registers do not. */
/* It reads as the chip was left, just before another channel is switched. */
static void one_garbled_read_hides_no_loss_of_power(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (unsigned read = 0; read < 6; read++) {
            bench *b = with_board(i);
            add_channels(b, boards[i].driver, 2);
            start(b);
            ask(b, 0, true);
            sim_unplug(b->sim[0], BOARD);
            sim_plug(b->sim[0], BOARD);
            garble(b, read, 0xfe);
            ask(b, 1, true);
            bench_run(b, 10);
            assert_int_equal(levels(b) & 1, 1);
            bench_free(b);
        }
    }
}

/* With all relays off only the directions show it (a PCF8574 has none). */
static void nor_while_all_are_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        for (unsigned read = 0; boards[i].has_directions && read < 6; read++) {
            bench *b = with_board(i);
            bench_pin(b, "relay/i2c0-20-0", boards[i].driver, "power-on=on", NULL);
            bench_pin(b, "relay/i2c0-20-1", boards[i].driver, NULL);
            start(b);
            ask(b, 0, false);
            sim_unplug(b->sim[0], BOARD);
            bench_run(b, 5); /* both have failed */
            sim_plug(b->sim[0], BOARD);
            garble(b, read, 0xfc); /* the directions that are ours */
            ask(b, 1, false);
            bench_run(b, 10);
            assert_int_equal(levels(b) & 1, 0);
            bench_free(b);
        }
    }
}

static void a_loss_of_power_without_a_hub_is_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        bench *b = with_board(i);
        bench_pin(b, "relay/i2c0-20-0", boards[i].driver, "power-on=on", NULL);
        bench_remember(b);
        b->config.reason_for_reset = "restart";
        start(b);
        ask(b, 0, true);
        bench_stop(b);
        sim_unplug(b->sim[0], BOARD);
        sim_plug(b->sim[0], BOARD);
        bench_start(b);
        bench_run(b, 1);
        assert_int_equal(bench_logged(b, CT_POWER_ON), 1);
        assert_int_equal(levels(b) & 1, 0);
        assert_contains(published(b, 0), "true");
        bench_free(b);
    }
}

/* ---- interlocks hold for what is seen ---- */

/* A board whose relays are on when its pins are high, as a PCF8574's are at power-up. */
static bench *with_motor(int n)
{
    static const char *const topics[] = {"relay/i2c0-20-0", "relay/i2c0-20-1", "relay/i2c0-20-2"};
    bench *b = with_board(0);

    bench_remember(b);
    for (int channel = 0; channel < n; channel++) {
        bench_pin(b, topics[channel], "pcf8574", "active=high", "interlock=motor", NULL);
    }
    return b;
}

static void relays_that_are_found_on_together_go_off(void **state)
{
    bench *b = with_motor(2);

    (void)state;
    bench_start(b);
    int64_t begin = b->time;
    bench_run(b, 0.5);
    assert_int_equal(levels(b) & 3, 0);
    assert_true(b->time - begin <= 500000);
    assert_int_equal(bench_logged(b, CT_INTERLOCK_VIOLATED), 1);
    assert_contains(published(b, 0), "false");
    assert_contains(published(b, 1), "false");
    assert_contains(ask(b, 1, true), "true");
    assert_int_equal(levels(b) & 3, 2);
    bench_run(b, 10);
    assert_int_equal(bench_logged(b, CT_INTERLOCK_VIOLATED), 1);
    bench_free(b);
}

/* Another program has switched them on, or the power of the board has come back. */
static void of_relays_that_come_on_the_last_commanded_stays(void **state)
{
    const uint8_t all_on = 0xff;

    (void)state;
    for (int last = 0; last < 3; last++) {
        for (int power = 0; power < 2; power++) {
            bench *b = with_motor(3);
            bench_start(b);
            bench_run(b, 1);
            ask(b, (last + 1) % 3, true);
            ask(b, last, true);
            bench_clear(b);
            if (power) {
                sim_unplug(b->sim[0], BOARD);
                sim_plug(b->sim[0], BOARD);
            } else {
                assert_int_equal(i2c_transfer(b->sim[0], BOARD, &all_on, 1, NULL, 0), 0);
            }
            bench_run(b, 3);
            assert_int_equal(levels(b) & 7, 1 << last);
            assert_int_equal(bench_logged(b, CT_INTERLOCK_VIOLATED), 1);
            assert_contains(get(b, last), "true");
            assert_contains(get(b, (last + 1) % 3), "false");
            bench_free(b);
        }
    }
}

/* The one that was commanded last was switched off again: none has a right to be on. */
static void where_the_last_command_was_off_none_stays(void **state)
{
    const uint8_t all_on = 0xff;
    bench *b = with_motor(2);

    (void)state;
    bench_start(b);
    bench_run(b, 1);
    ask(b, 0, true);
    ask(b, 0, false);
    assert_int_equal(i2c_transfer(b->sim[0], BOARD, &all_on, 1, NULL, 0), 0);
    bench_run(b, 3);
    assert_int_equal(levels(b) & 3, 0);
    bench_free(b);
}

/* Both were on before they became an interlock. */
static void relays_that_become_members_while_on_obey(void **state)
{
    (void)state;
    for (int last = 0; last < 2; last++) {
        bench *b = with_board(0);
        bench_remember(b);
        add_channels(b, "pcf8574", 2);
        assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
        assert_true(sim_add(b->sim[0], "relay-module", 0x3f));
        start(b);
        ask(b, !last, true);
        ask(b, last, true);
        bench_ask(b, last ? "[\"relay/i2c0-3b/set\", {\"state\": true}]"
                          : "[\"relay/i2c0-3f/set\", {\"state\": true}]");
        bench_ask(b, last ? "[\"relay/i2c0-3f/set\", {\"state\": true}]"
                          : "[\"relay/i2c0-3b/set\", {\"state\": true}]");
        const char *motor[] = {"interlock=motor", NULL}, *blind[] = {"interlock=blind", NULL};
        const char *const *kept[2] = {b->devices[0].options, b->devices[1].options};
        b->devices[0].options = b->devices[1].options = motor;
        b->devices[2] = (hub_device_config){"relay/i2c0-3b", NULL, blind};
        b->devices[3] = (hub_device_config){"relay/i2c0-3f", NULL, blind};
        b->node.n_devices = 4;
        bench_restart(b, "restart");
        bench_run(b, 1);
        assert_int_equal(bench_logged(b, CT_INTERLOCK_VIOLATED), 2);
        assert_int_equal(levels(b) & 3, last ? 1 : 2); /* active low */
        sim_relay_record relay[2];
        assert_true(sim_relay_read(b->sim[0], 0x3b, &relay[0]));
        assert_true(sim_relay_read(b->sim[0], 0x3f, &relay[1]));
        assert_int_equal(relay[0].contact, !last);
        assert_int_equal(relay[1].contact, last);
        bench_stop(b);
        b->node.n_devices = 2;
        b->devices[0].options = kept[0];
        b->devices[1].options = kept[1];
        bench_free(b);
    }
}

/* Nobody knows how the bistable one stands; the other is on, and stays so. */
static void a_member_that_may_be_on_obeys(void **state)
{
    const char *blind = "interlock=blind";
    bench *b = *state;
    sim_relay_record module;

    assert_true(sim_add(b->sim[0], "pcf8574", BOARD));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    add_channels(b, "pcf8574", 1);
    bench_remember(b);
    start(b);
    ask(b, 0, true);
    assert_contains(bench_ask(b, "[\"relay/i2c0-3b/get\", {}]"), "{\"state\": null}");
    free((void *)b->devices[--b->node.n_devices].options);
    bench_pin(b, "relay/i2c0-20-0", "pcf8574", blind, NULL);
    bench_pin(b, "relay/i2c0-3b", NULL, blind, NULL);
    bench_restart(b, "restart");
    bench_run(b, 3);
    assert_int_equal(bench_logged(b, CT_INTERLOCK_VIOLATED), 1);
    assert_true(sim_relay_read(b->sim[0], 0x3b, &module));
    assert_int_equal(module.contact, 0);
    assert_contains(bench_last(b, "[\"relay/i2c0-3b\""), "{\"state\": false}");
    assert_int_equal(levels(b) & 1, 0);
}

/* Of two that may be on neither is known to be on, and still they may be so together. */
static void members_that_may_both_be_on_go_off(void **state)
{
    const uint8_t addresses[] = {0x3b, 0x3f};
    bench *b = *state;
    sim_relay_record module;

    for (size_t i = 0; i < 2; i++) {
        assert_true(sim_add(b->sim[0], "relay-module", addresses[i]));
    }
    bench_pin(b, "relay/i2c0-3b", NULL, "interlock=blind", NULL);
    bench_pin(b, "relay/i2c0-3f", NULL, "interlock=blind", NULL);
    bench_start(b);
    bench_run(b, 3);
    assert_int_equal(bench_logged(b, CT_INTERLOCK_VIOLATED), 1);
    assert_contains(bench_last(b, "[\"relay/i2c0-3b\""), "{\"state\": false}");
    assert_contains(bench_last(b, "[\"relay/i2c0-3f\""), "{\"state\": false}");
    for (size_t i = 0; i < 2; i++) {
        assert_true(sim_relay_read(b->sim[0], addresses[i], &module));
        assert_int_equal(module.contact, 0);
        assert_int_equal(module.pulses, 1);
    }
}

/* One whose state is not known for a moment, and then read, has none of them go off. */
static void a_moment_of_doubt_moves_nothing(void **state)
{
    bench *b = *state;
    sim_relay_record module;

    assert_true(sim_add(b->sim[0], "pca9554", BOARD));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_pin(b, "relay/i2c0-20-0", "pca9554", "interlock=half", NULL);
    bench_pin(b, "relay/i2c0-3b", NULL, "interlock=half", NULL);
    start(b);
    assert_true(fault_bus_add(b->fault[0], &(fault_rule){.kind = FAULT_ERROR,
                                                         .address = BOARD,
                                                         .directions = FAULT_WRITES,
                                                         .reg = 1,
                                                         .count = 1,
                                                         .error = -EIO}));
    ask(b, 0, false);
    bench_run(b, 5);
    assert_int_equal(bench_published(b, "[\"relay/i2c0-20-0\", {\"state\": null}"), 1);
    assert_true(sim_relay_read(b->sim[0], 0x3b, &module));
    assert_int_equal(module.pulses, 0);
}

/* A bistable contact stays where it is without its power, and cannot be switched off. */
static void a_contact_that_is_on_without_power_counts(void **state)
{
    const uint8_t all_on = 0xff;
    bench *b = with_motor(1);
    sim_relay_record module;

    (void)state;
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_pin(b, "relay/i2c0-3b", NULL, "interlock=motor", NULL);
    bench_start(b);
    bench_run(b, 1);
    ask(b, 0, false);
    assert_contains(bench_ask(b, "[\"relay/i2c0-3b/set\", {\"state\": true}]"), "true");
    sim_unplug(b->sim[0], 0x3b);
    bench_run(b, 20);
    for (int i = 0; i < 2; i++) { /* it has left; and a hub that has never found it */
        bench_clear(b);
        assert_int_equal(i2c_transfer(b->sim[0], BOARD, &all_on, 1, NULL, 0), 0);
        if (i == 1) {
            bench_restart(b, "crash");
        }
        bench_run(b, 3);
        assert_int_equal(levels(b) & 1, 0);
        assert_contains(published(b, 0), "false");
        assert_int_equal(bench_logged(b, CT_INTERLOCK_VIOLATED), 1);
        bench_run(b, 60);
        assert_int_equal(bench_logged(b, CT_INTERLOCK_VIOLATED), 1);
    }
    sim_plug(b->sim[0], 0x3b);
    bench_run(b, 40);
    assert_true(sim_relay_read(b->sim[0], 0x3b, &module));
    assert_int_equal(module.contact, 1);
    assert_contains(bench_last(b, "[\"relay/i2c0-3b\""), "true");
    bench_free(b);
}

/* It cannot be switched off now: that is tried again, and not more than once a second. */
static void what_cannot_be_switched_off_is_tried_again(void **state)
{
    const uint8_t all_on = 0xff;
    bench *b = with_motor(2);

    (void)state;
    bench_start(b);
    bench_run(b, 1);
    ask(b, 0, true);
    bench_clear(b);
    assert_true(fault_bus_add(b->fault[0], &(fault_rule){.kind = FAULT_ERROR,
                                                         .address = BOARD,
                                                         .directions = FAULT_WRITES,
                                                         .reg = -1,
                                                         .error = -EIO}));
    assert_int_equal(i2c_transfer(b->sim[0], BOARD, &all_on, 1, NULL, 0), 0);
    bench_run(b, 4);
    unsigned transfers = sim_transfers(b->sim[0], BOARD);
    assert_int_equal(levels(b) & 3, 3);
    bench_run(b, 10);
    assert_true(sim_transfers(b->sim[0], BOARD) - transfers < 500);
    fault_bus_clear(b->fault[0]);
    bench_run(b, 5);
    assert_int_equal(levels(b) & 3, 1);
    assert_contains(published(b, 1), "false");
    bench_free(b);
}

/* Even if a request has come meanwhile, which is refused since they are on. */
static void a_request_that_is_refused_leaves_no_two_on(void **state)
{
    const uint8_t all_on = 0xff;
    bench *b = with_motor(2);

    (void)state;
    bench_start(b);
    bench_run(b, 1);
    ask(b, 1, true);
    assert_int_equal(i2c_transfer(b->sim[0], BOARD, &all_on, 1, NULL, 0), 0);
    bench_restart(b, "restart");
    while (!bench_logged(b, CT_INTERLOCK_VIOLATED)) {
        bench_run(b, 0.001);
    }
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-1/set\", {\"state\": true}]");
    assert_true(fault_bus_add(
        b->fault[0],
        &(fault_rule){
            .kind = FAULT_ERROR, .address = BOARD, .reg = -1, .count = 1, .error = -EIO}));
    bench_run(b, 10);
    assert_contains(bench_reply(b, b->asked, 0), "could not be switched off");
    assert_int_equal(levels(b) & 3, 2);
    bench_free(b);
}

/* Others of its chip stay: it comes back all the same, and hears what it has missed. */
static void a_channel_that_left_alone_returns(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "pca9554", BOARD));
    bench_pin(b, "relay/i2c0-20-0", "pca9554", "power-on=on", NULL);
    bench_pin(b, "relay/i2c0-20-1", "pca9554", "power-on=on", NULL);
    bench_start(b);
    bench_run(b, 1.5);
    assert_int_equal(levels(b) & 3, 0);
    sim_unplug(b->sim[0], BOARD);
    assert_contains(get(b, 0), "io-error"); /* so that it is the first to leave */
    while (!bench_logged(b, CT_DEVICE_LEFT)) {
        bench_run(b, 0.01);
    }
    sim_plug(b->sim[0], BOARD);
    bench_run(b, 10);
    assert_int_equal(bench_logged(b, CT_DEVICE_LEFT), 1);
    assert_int_equal(levels(b) & 3, 0);
    assert_contains(get(b, 0), "{\"state\": true}");
    assert_contains(get(b, 1), "{\"state\": true}");
}

static void a_channel_that_could_not_be_configured_is_tried_again(void **state)
{
    const fault_rule once = {.kind = FAULT_ERROR,
                             .address = BOARD,
                             .reg = 3,
                             .directions = FAULT_WRITES,
                             .count = 1,
                             .error = -EIO};
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "pca9554", BOARD));
    add_channels(b, "pca9554", 2);
    b->first_rule = &once;
    bench_start(b);
    bench_run(b, 5);
    assert_int_equal(bench_logged(b, CT_DEVICE_NOT_STARTED), 1);
    assert_contains(get(b, 0), "{\"state\": false}");
    assert_contains(get(b, 1), "{\"state\": false}");
}

/* A channel that is to be on when power has come on, and a memory; the hub is not started yet. */
static bench *with_memory_of_power_on(bench *b)
{
    assert_true(sim_add(b->sim[0], "pca9554", BOARD));
    bench_pin(b, "relay/i2c0-20-0", "pca9554", "power-on=on", NULL);
    bench_remember(b);
    return b;
}

/* The hub ends when it has configured the chip again, and before the relay was switched. */
static void a_loss_of_power_is_known_to_the_next_hub(void **state)
{
    bench *b = with_memory_of_power_on(*state);

    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(levels(b) & 1, 0);
    sim_unplug(b->sim[0], BOARD);
    sim_plug(b->sim[0], BOARD);
    while (!bench_logged(b, CT_POWER_LOST)) {
        bench_run(b, 0.001);
    }
    bench_run(b, 0.01);
    assert_int_equal(levels(b) & 1, 1);
    bench_restart(b, "crash");
    bench_run(b, 1);
    assert_int_equal(levels(b) & 1, 0);
}

/* Or it ends before it has noted anything: then the chip shows the loss still. */
static void a_chip_shows_its_loss_until_that_is_noted(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BOARDS; i++) {
        if (!boards[i].has_directions) {
            continue;
        }
        bench *b = with_board(i);
        bench_pin(b, "relay/i2c0-20-0", boards[i].driver, "power-on=on", NULL);
        bench_remember(b);
        bench_start(b);
        bench_run(b, 1);
        sim_unplug(b->sim[0], BOARD);
        sim_plug(b->sim[0], BOARD);
        b->time += 10000000;
        for (int step = 0; step < 50; step++) {
            hub_run_buses(b->hub);
        }
        assert_int_equal(port(b).driven, 0);
        bench_restart(b, "crash");
        bench_run(b, 1);
        assert_int_equal(levels(b) & 1, 0);
        bench_free(b);
    }
}

/* Nor does a stop hide it, which ends the relay's pulse. */
static void a_stop_hides_no_loss_of_power(void **state)
{
    bench *b = with_memory_of_power_on(*state);

    bench_start(b);
    bench_run(b, 1);
    bench_ask(b, "[\"relay/i2c0-20-0/pulse/set\", {\"duration\": 9}]");
    sim_unplug(b->sim[0], BOARD);
    sim_plug(b->sim[0], BOARD);
    bench_restart(b, "stop");
    bench_run(b, 1);
    assert_int_equal(levels(b) & 1, 0);
}

/* One channel has not been configured since the first loss when the second comes. */
static void a_second_loss_of_power_is_seen(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "mcp23017", BOARD));
    bench_pin(b, "relay/i2c0-20-0", "mcp23017", NULL);
    bench_pin(b, "relay/i2c0-20-3", "mcp23017", "power-on=on", NULL);
    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    sim_unplug(b->sim[0], BOARD);
    assert_contains(ask(b, 0, true), "io-error"); /* it is tried again after 250 ms */
    sim_plug(b->sim[0], BOARD);
    assert_contains(get(b, 3), "false");
    bench_run(b, 0.15);
    assert_int_equal(levels(b) & 8, 0);
    sim_unplug(b->sim[0], BOARD);
    bench_run(b, 0.3);
    sim_plug(b->sim[0], BOARD);
    bench_run(b, 10);
    assert_int_equal(levels(b) & 8, 0);
}

static void what_power_on_owes_is_tried_again(void **state)
{
    bench *b = with_memory_of_power_on(*state);

    bench_start(b);
    bench_run(b, 0.05); /* it waits for the gap between two clicks */
    assert_true(fault_bus_add(
        b->fault[0],
        &(fault_rule){
            .kind = FAULT_ERROR, .address = BOARD, .reg = -1, .count = 1, .error = -EIO}));
    bench_run(b, 0.5);
    assert_int_equal(levels(b) & 1, 1);
    bench_run(b, 5);
    assert_int_equal(levels(b) & 1, 0);
}

/* A command that waits would have held instead; it fails. */
static void what_power_on_owes_outlives_a_command_that_fails(void **state)
{
    bench *b = with_memory_of_power_on(*state);

    bench_start(b);
    bench_run(b, 1);
    sim_unplug(b->sim[0], BOARD);
    sim_plug(b->sim[0], BOARD);
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-0/set\", {\"state\": false}]");
    while (!bench_logged(b, CT_POWER_LOST)) {
        bench_run(b, 0.001);
    }
    bench_run(b, 0.09); /* it waits for the gap between two clicks */
    assert_true(fault_bus_add(
        b->fault[0],
        &(fault_rule){
            .kind = FAULT_ERROR, .address = BOARD, .reg = -1, .count = 1, .error = -EIO}));
    bench_run(b, 10);
    assert_contains(bench_reply(b, b->asked, 0), "io-error");
    assert_int_equal(levels(b) & 1, 0);
}

/* A pulse that waits when the power comes is what holds, even if the hub is killed in between. */
static void what_power_on_owes_ends_with_a_pulse(void **state)
{
    bench *b = with_memory_of_power_on(*state);

    bench_start(b);
    bench_run(b, 1);
    sim_unplug(b->sim[0], BOARD);
    sim_plug(b->sim[0], BOARD);
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-0/pulse/set\", {\"duration\": 6}]");
    while (!bench_logged(b, CT_POWER_LOST)) {
        bench_run(b, 0.001);
    }
    bench_run(b, 0.09); /* it waits for the gap between two clicks */
    for (int i = 0; i < 1000 && levels(b) & 1; i++) {
        b->time += 1000;
        hub_run_buses(b->hub); /* and its owner never hears of it */
    }
    assert_int_equal(levels(b) & 1, 0);
    bench_restart(b, "crash");
    bench_run(b, 10);
    assert_int_equal(levels(b) & 1, 1);
}

/* What was owed once is not paid much later, when `keep` has held since. */
static void what_power_on_owes_ends_with_its_configuration(void **state)
{
    bench *b = with_memory_of_power_on(*state);
    const char **options = (const char **)b->devices[0].options;

    sim_unplug(b->sim[0], BOARD);
    bench_start(b);
    bench_run(b, 1);
    options[0] = "power-on=keep";
    bench_restart(b, "restart");
    sim_plug(b->sim[0], BOARD);
    bench_run(b, 40);
    assert_int_equal(levels(b) & 1, 1);
    options[0] = "power-on=on";
    bench_restart(b, "restart");
    bench_run(b, 5);
    assert_int_equal(levels(b) & 1, 1);
}

/* With growing pauses: it neither clicks nor fills the log without end. */
static void what_power_on_never_gets_is_tried_less_and_less(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "pcf8574", BOARD));
    assert_true(sim_port_hold(b->sim[0], BOARD, 1 << 0)); /* it is on, whatever is written */
    bench_pin(b, "relay/i2c0-20-0", "pcf8574", "power-on=off", NULL);
    bench_remember(b);
    bench_start(b);
    bench_run(b, 600);
    assert_true(bench_logged(b, CT_POWER_ON) >= 4);
    assert_true(bench_logged(b, CT_POWER_ON) < 60);
}

static void a_failed_read_hides_no_loss_of_power(void **state)
{
    bench *b = with_memory_of_power_on(*state);

    bench_start(b);
    bench_run(b, 1);
    sim_unplug(b->sim[0], BOARD);
    bench_run(b, 20);
    assert_true(fault_bus_add(b->fault[0], &(fault_rule){.kind = FAULT_ERROR,
                                                         .address = BOARD,
                                                         .reg = -1,
                                                         .skip = 1, /* the probe's */
                                                         .count = 1,
                                                         .error = -EIO}));
    sim_plug(b->sim[0], BOARD);
    bench_run(b, 10);
    assert_int_equal(levels(b) & 1, 0);
}

/* So many that one channel is given up: the other does not hide it, either. */
static void failed_reads_hide_no_loss_of_power(void **state)
{
    (void)state;
    for (unsigned failures = 2; failures < 12; failures++) {
        bench *b = with_board(1);
        bench_pin(b, "relay/i2c0-20-0", "pca9554", "power-on=on", NULL);
        bench_pin(b, "relay/i2c0-20-1", "pca9554", "power-on=on", NULL);
        bench_remember(b);
        bench_start(b);
        bench_run(b, 1);
        sim_unplug(b->sim[0], BOARD);
        bench_run(b, 20);
        assert_true(fault_bus_add(b->fault[0], &(fault_rule){.kind = FAULT_ERROR,
                                                             .address = BOARD,
                                                             .reg = -1,
                                                             .skip = 1, /* the probe's */
                                                             .count = failures,
                                                             .error = -EIO}));
        sim_plug(b->sim[0], BOARD);
        bench_run(b, 60);
        assert_int_equal(levels(b) & 3, 0);
        bench_free(b);
    }
}

/* The command was carried out, and its answer was lost. */
static void a_pulse_that_failed_ends_all_the_same(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "pcf8574", BOARD));
    add_channels(b, "pcf8574", 1);
    start(b);
    assert_true(fault_bus_add(b->fault[0], &(fault_rule){.kind = FAULT_LOST_REPLY,
                                                         .address = BOARD,
                                                         .directions = FAULT_WRITES,
                                                         .reg = -1,
                                                         .count = 3,
                                                         .error = -EIO}));
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-0/pulse/set\", {\"duration\": 3}]"), "io-error");
    assert_int_equal(levels(b) & 1, 0);
    bench_run(b, 4);
    assert_int_equal(levels(b) & 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_relays_on_one_pin_are_refused),
        cmocka_unit_test(a_button_on_a_free_pin_stays_a_button),
        cmocka_unit_test(a_garbled_read_switches_no_other_relay),
        cmocka_unit_test(a_garbled_read_is_not_off_already),
        cmocka_unit_test(a_garbled_read_prolongs_no_pulse),
        cmocka_unit_test(what_cannot_be_made_sure_is_an_error),
        cmocka_unit_test(after_a_failure_the_truth_is_published),
        cmocka_unit_test(a_pin_that_is_held_is_published),
        cmocka_unit_test(a_loss_of_power_is_seen_however_short),
        cmocka_unit_test(what_power_up_switches_on_is_published),
        cmocka_unit_test(absence_is_no_loss_of_power),
        cmocka_unit_test(a_garbled_read_is_no_loss_of_power),
        cmocka_unit_test(one_garbled_read_hides_no_loss_of_power),
        cmocka_unit_test(nor_while_all_are_off),
        cmocka_unit_test(a_loss_of_power_without_a_hub_is_seen),
        cmocka_unit_test(relays_that_are_found_on_together_go_off),
        cmocka_unit_test(of_relays_that_come_on_the_last_commanded_stays),
        cmocka_unit_test(where_the_last_command_was_off_none_stays),
        cmocka_unit_test(relays_that_become_members_while_on_obey),
        BENCH_TEST(a_member_that_may_be_on_obeys),
        BENCH_TEST(members_that_may_both_be_on_go_off),
        BENCH_TEST(a_moment_of_doubt_moves_nothing),
        cmocka_unit_test(a_contact_that_is_on_without_power_counts),
        cmocka_unit_test(what_cannot_be_switched_off_is_tried_again),
        cmocka_unit_test(a_request_that_is_refused_leaves_no_two_on),
        BENCH_TEST(a_channel_that_left_alone_returns),
        BENCH_TEST(a_channel_that_could_not_be_configured_is_tried_again),
        BENCH_TEST(a_loss_of_power_is_known_to_the_next_hub),
        cmocka_unit_test(a_chip_shows_its_loss_until_that_is_noted),
        BENCH_TEST(a_stop_hides_no_loss_of_power),
        BENCH_TEST(a_second_loss_of_power_is_seen),
        BENCH_TEST(what_power_on_owes_is_tried_again),
        BENCH_TEST(what_power_on_owes_outlives_a_command_that_fails),
        BENCH_TEST(what_power_on_owes_ends_with_a_pulse),
        BENCH_TEST(what_power_on_owes_ends_with_its_configuration),
        BENCH_TEST(what_power_on_never_gets_is_tried_less_and_less),
        BENCH_TEST(a_failed_read_hides_no_loss_of_power),
        cmocka_unit_test(failed_reads_hide_no_loss_of_power),
        BENCH_TEST(a_pulse_that_failed_ends_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
