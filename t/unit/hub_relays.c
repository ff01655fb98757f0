/* Relays: clicks, pulses, memory, power-on states, interlocks, failure. */
#include "hub_bench.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define ON      "[\"relay/i2c0-3b/set\", {\"state\": true}]"
#define OFF     "[\"relay/i2c0-3b/set\", {\"state\": false}]"
#define GET     "[\"relay/i2c0-3b/get\", {}]"
#define IS_ON   "[\"relay/i2c0-3b\", {\"state\": true}]"
#define IS_OFF  "[\"relay/i2c0-3b\", {\"state\": false}]"
#define UNKNOWN "[\"relay/i2c0-3b\", {\"state\": null}]"
#define TOPIC   "[\"relay/i2c0-3b\""

static sim_relay_record record(const bench *b, uint8_t address)
{
    sim_relay_record relay;

    assert_true(sim_relay_read(b->sim[0], address, &relay));
    /* Whatever a test does, this must hold. */
    assert_false(relay.energised);
    assert_int_equal(relay.unsafe_starts, 0);
    assert_int_equal(relay.shorts, 0);
    if (relay.pulses) {
        assert_in_range(relay.shortest_pulse, 19000, 100000);
        assert_in_range(relay.longest_pulse, 19000, 100000);
    }
    return relay;
}

static bench *with_relays(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3f));
    return b;
}

static bench *ready(void **state)
{
    bench *b = with_relays(state);

    bench_start(b);
    bench_run(b, 0.5);
    bench_clear(b);
    return b;
}

/* ---- clicks ---- */

static void starting_moves_no_contact(void **state)
{
    bench *b = ready(state);

    bench_run(b, 10);
    assert_int_equal(record(b, 0x3b).pulses, 0);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
}

static void a_set_moves_the_contact(void **state)
{
    bench *b = ready(state);

    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_string_equal(bench_ask(b, OFF), IS_OFF);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_int_equal(record(b, 0x3f).pulses, 0);
}

/* The position cannot be read: the same state again is a click again. */
static void the_same_state_clicks_again(void **state)
{
    bench *b = ready(state);

    for (int i = 0; i < 3; i++) {
        assert_string_equal(bench_ask(b, ON), IS_ON);
    }
    assert_int_equal(record(b, 0x3b).pulses, 3);
    assert_int_equal(bench_published(b, IS_ON), 3);
}

static void clicks_are_a_tenth_of_a_second_apart(void **state)
{
    bench *b = ready(state);

    for (int i = 0; i < 10; i++) {
        bench_request(b, ALL_RIGHTS, i % 2 ? OFF : ON);
    }
    bench_run(b, 0.95);
    assert_int_equal(record(b, 0x3b).pulses, 10);
    assert_true(record(b, 0x3b).shortest_gap >= 100000);
}

/* A relay that waits for its gap does not hold up the other one. */
static void a_relay_that_waits_blocks_no_other(void **state)
{
    bench *b = ready(state);
    int64_t begin = b->time;

    bench_request(b, ALL_RIGHTS, ON);
    bench_request(b, ALL_RIGHTS, OFF);
    bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": true}]");
    assert_true(b->time - begin < 60000);
}

static void a_click_just_after_the_start_waits_its_gap(void **state)
{
    bench *b = with_relays(state);

    /* The hub that went before may have clicked a moment ago. */
    bench_start(b);
    int64_t begin = b->time;
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_true(b->time - begin >= 100000);
}

/* ---- pulses ---- */

static void a_pulse_ends_by_itself(void **state)
{
    bench *b = ready(state);

    assert_string_equal(
        bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 2.5}, {\"id\": 4}]"),
        "[\"relay/i2c0-3b\", {\"state\": true}, {\"id\": 4}]");
    bench_run(b, 2.4);
    assert_int_equal(record(b, 0x3b).contact, 1);
    bench_run(b, 0.2);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_string_equal(bench_last(b, TOPIC), IS_OFF);
    assert_int_equal(bench_published(b, TOPIC), 2);
}

static void a_short_pulse_lasts_the_gap(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 0.05}]");
    bench_run(b, 0.3);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_true(record(b, 0x3b).shortest_gap >= 100000);
}

static void a_set_cancels_a_pulse(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 1}]");
    bench_ask(b, ON);
    bench_run(b, 5);
    assert_int_equal(record(b, 0x3b).contact, 1);
    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 1}]");
    bench_ask(b, OFF);
    bench_run(b, 5);
    assert_int_equal(record(b, 0x3b).pulses, 4);
}

static void a_pulse_begins_anew_with_another(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 1}]");
    bench_run(b, 0.8);
    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 1}]");
    bench_run(b, 0.8);
    assert_int_equal(record(b, 0x3b).contact, 1);
    bench_run(b, 0.4);
    assert_int_equal(record(b, 0x3b).contact, 0);
}

/* The chip is away when the pulse ends: it is switched off as soon as it is back. */
static void a_pulse_outlives_the_absence_of_its_relay(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 10}]");
    sim_unplug(b->sim[0], 0x3b);
    bench_run(b, 20);
    assert_int_equal(record(b, 0x3b).contact, 1);
    sim_plug(b->sim[0], 0x3b);
    bench_run(b, 5);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_string_equal(bench_last(b, TOPIC), IS_OFF);
}

static void a_pulse_goes_on_after_a_restart(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    bench_start(b);
    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 10}]");
    bench_run(b, 4);
    bench_restart(b, "crash");
    bench_run(b, 5);
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_string_equal(bench_last(b, TOPIC), IS_ON);
    bench_run(b, 2);
    assert_int_equal(record(b, 0x3b).contact, 0);
    /* And one that ended meanwhile ends at the start. */
    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 10}]");
    bench_stop(b);
    b->time += 60000000;
    bench_start(b);
    bench_run(b, 0.2);
    assert_int_equal(record(b, 0x3b).contact, 0);
    /* It is over and stays so. */
    bench_ask(b, ON);
    bench_restart(b, "restart");
    bench_run(b, 100);
    assert_int_equal(record(b, 0x3b).contact, 1);
}

/* A clock that was set back must not make it last for years. */
static void a_pulse_is_never_longer_than_it_was(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    bench_start(b);
    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 10}]");
    bench_stop(b);
    b->wall -= INT64_C(1000000000000);
    bench_start(b);
    bench_run(b, 10.5);
    assert_int_equal(record(b, 0x3b).contact, 0);
}

/* It would not be remembered: it ends with the hub. */
static void without_memory_a_pulse_ends_with_the_hub(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 10}]");
    bench_stop(b);
    assert_int_equal(record(b, 0x3b).contact, 0);
}

/* ---- memory ---- */

static void the_state_is_remembered(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    bench_start(b);
    bench_ask(b, ON);
    bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": false}]");
    for (int i = 0; i < 3; i++) {
        bench_restart(b, i ? "crash" : "restart");
        bench_run(b, 1);
        assert_string_equal(bench_ask(b, GET), IS_ON);
        assert_contains(bench_ask(b, "[\"relay/i2c0-3f/get\", {}]"), "false");
        assert_int_equal(record(b, 0x3b).pulses, 1);
    }
}

static void write_file(bench *b, const char *name, const char *text)
{
    FILE *file = fopen(bench_file(b, name), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static char *read_file(bench *b, const char *name)
{
    FILE *file = fopen(bench_file(b, name), "r");
    char *text = calloc(1, 65536);

    assert_non_null(text);
    if (file) {
        assert_true(fread(text, 1, 65535, file) < 65535);
        fclose(file);
    }
    return text;
}

/* Whether no relay is noted as moving. */
static bool nothing_moves(bench *b)
{
    char *text = read_file(b, "nodes_bridge_0.moving");
    bool right = text[0] && !strchr(text, '/');

    free(text);
    return right;
}

static void a_damaged_memory_is_reported_and_starts_anew(void **state)
{
    static const char *const damaged[] = {
        "",
        "{\"version\": 1, \"devices\": {\"relay/i2c0-3b\": {\"sta",
        "[]",
        "{\"version\": 2, \"devices\": {}}",
        "{\"version\": 1, \"devices\": []}",
        "{\"version\": 1, \"devices\": {\"relay/i2c0-3b\": true}}",
        "\x01\x02\x03",
    };
    bench *b = with_relays(state);

    bench_remember(b);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
        write_file(b, "nodes_bridge_0.json", damaged[i]);
        bench_start(b);
        bench_run(b, 1);
        assert_int_equal(bench_logged(b, CT_STATE_CORRUPT), 1);
        assert_string_equal(bench_ask(b, GET), UNKNOWN);
        assert_string_equal(bench_ask(b, ON), IS_ON);
        bench_restart(b, "restart");
        assert_int_equal(bench_logged(b, CT_STATE_CORRUPT), 0);
        assert_string_equal(bench_ask(b, GET), IS_ON);
        bench_stop(b);
        bench_clear(b);
    }
}

/* What is right in the file counts, and what is not does no harm. */
static void odd_members_are_ignored(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    write_file(
        b, "nodes_bridge_0.json",
        "{\"version\": 1, \"devices\": {\"relay/i2c0-3b\": {\"state\": \"on\", \"pulse-until\": "
        "[], \"pulse-duration\": {}, \"config\": 7}, \"relay/i2c0-3f\": {\"state\": true}, "
        "\"kettle/i2c0-11\": {\"state\": true}}}");
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, "[\"relay/i2c0-3f/get\", {}]"),
                        "[\"relay/i2c0-3f\", {\"state\": true}]");
    bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": false}]");
    char *text = read_file(b, "nodes_bridge_0.json");
    assert_contains(text, "kettle");
    free(text);
}

static void an_unwritable_memory_is_reported_once(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    /* A directory in the way of the new file: even root cannot write it. */
    assert_int_equal(mkdir(bench_file(b, "nodes_bridge_0.json.new"), 0700), 0);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_string_equal(bench_ask(b, OFF), IS_OFF);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_WRITTEN), 1);
    assert_int_equal(rmdir(bench_file(b, "nodes_bridge_0.json.new")), 0);
    bench_ask(b, OFF);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_STATE_WRITTEN), 1);
    bench_restart(b, "restart");
    assert_string_equal(bench_ask(b, GET), IS_OFF);
}

static void without_the_directory_relays_work_all_the_same(void **state)
{
    bench *b = with_relays(state);

    b->config.state_dir = "/nonexistent/clowntalk";
    bench_start(b);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_READ), 1);
}

/* The file is always a whole one: it is replaced, never written into. */
static void the_file_is_replaced_as_a_whole(void **state)
{
    bench *b = with_relays(state);
    struct stat before, after;
    FILE *old;
    char text[4096] = "";

    bench_remember(b);
    bench_start(b);
    bench_ask(b, ON);
    assert_int_equal(stat(bench_file(b, "nodes_bridge_0.json"), &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_non_null(old = fopen(bench_file(b, "nodes_bridge_0.json"), "r"));
    bench_ask(b, OFF);
    assert_int_equal(stat(bench_file(b, "nodes_bridge_0.json"), &after), 0);
    assert_true(before.st_ino != after.st_ino);
    /* A process that has the old one open still reads all of it. */
    assert_true(fread(text, 1, sizeof(text) - 1, old) > 0);
    assert_contains(text, "true");
    fclose(old);
    assert_int_equal(access(bench_file(b, "nodes_bridge_0.json.new"), F_OK), -1);
}

/* A hub that died between asking and recording leaves the name of the relay behind. */
static void a_move_that_was_interrupted_makes_the_state_unknown(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    bench_start(b);
    bench_ask(b, ON);
    bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": true}]");
    assert_true(nothing_moves(b));
    bench_stop(b);
    write_file(b, "nodes_bridge_0.moving", "relay/i2c0-3b\nrelay/i2c0-3b\n");
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
    assert_contains(bench_ask(b, "[\"relay/i2c0-3f/get\", {}]"), "true");
    assert_true(bench_logged(b, CT_STATE_INTERRUPTED) > 0);
    /* The next command settles it. */
    bench_ask(b, OFF);
    assert_true(nothing_moves(b));
    bench_restart(b, "restart");
    assert_string_equal(bench_ask(b, GET), IS_OFF);
}

/* It is there while the relay moves. */
static void the_move_is_noted_before_it_begins(void **state)
{
    bench *b = with_relays(state);
    char *text;

    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    bench_request(b, ALL_RIGHTS, ON);
    text = read_file(b, "nodes_bridge_0.moving");
    assert_contains(text, "relay/i2c0-3b ");
    free(text);
    assert_int_equal(record(b, 0x3b).pulses, 0);
    /* What was not begun did not move anything. */
    bench_stop(b);
    assert_true(nothing_moves(b));
}

/* One relay's record must not take another's note away. */
static void each_move_is_noted_for_itself(void **state)
{
    bench *b = with_relays(state);
    char *text;

    bench_remember(b);
    bench_start(b);
    bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": true}]");
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3f/set\", {\"state\": false}]"); /* waits its gap */
    bench_ask(b, ON);
    text = read_file(b, "nodes_bridge_0.moving");
    assert_contains(text, "relay/i2c0-3f ");
    free(text);
    bench_run(b, 1);
    assert_true(nothing_moves(b));
}

/* ---- failure ---- */

static void a_relay_that_vanishes_becomes_null_and_returns_as_it_was(void **state)
{
    bench *b = ready(state);

    bench_ask(b, ON);
    bench_clear(b);
    sim_unplug(b->sim[0], 0x3b);
    bench_run(b, 20);
    assert_int_equal(bench_published(b, TOPIC), 1);
    assert_string_equal(bench_last(b, TOPIC), UNKNOWN);
    assert_contains(bench_last(b, "[\"-/-/config/ok\""), "\"actuators\": [\"relay/i2c0-3f\"]");
    assert_contains(bench_ask(b, ON), "unknown-device");
    sim_plug(b->sim[0], 0x3b);
    bench_run(b, 5);
    assert_string_equal(bench_last(b, TOPIC), IS_ON);
    assert_int_equal(record(b, 0x3b).pulses, 1);
    assert_string_equal(bench_ask(b, OFF), IS_OFF);
}

static void a_relay_that_answers_again_soon_stays_in_the_list(void **state)
{
    bench *b = ready(state);

    bench_ask(b, ON);
    bench_clear(b);
    sim_set_fault(b->sim[0], 0x3b, SIM_NO_ACKNOWLEDGE, 1);
    bench_run(b, 4);
    assert_string_equal(bench_last(b, TOPIC), UNKNOWN);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
    sim_set_fault(b->sim[0], 0x3b, SIM_NO_ACKNOWLEDGE, 0);
    bench_run(b, 2);
    assert_string_equal(bench_last(b, TOPIC), IS_ON);
    assert_string_equal(bench_ask(b, GET), IS_ON);
    assert_int_equal(bench_published(b, "[\"-/-/config/ok\""), 0);
}

static void what_was_unknown_need_not_become_unknown(void **state)
{
    bench *b = ready(state);

    sim_unplug(b->sim[0], 0x3b);
    bench_run(b, 20);
    assert_int_equal(bench_published(b, TOPIC), 0);
}

/* A command that is too late is not carried out: its request has been answered. */
static void a_set_that_waited_too_long_moves_nothing(void **state)
{
    bench *b = ready(state);
    uint64_t asker = bench_request(b, ALL_RIGHTS, ON);

    b->time += 5500000; /* the bus is held */
    bench_run(b, 10);
    assert_contains(bench_reply(b, asker, 0), "[\"relay/i2c0-3b/error\", {\"error\": \"timeout\"");
    assert_int_equal(record(b, 0x3b).pulses, 0);
    /* Even when the bus gives no answer. */
    asker = bench_request(b, ALL_RIGHTS, ON);
    b->time += 7000000;
    hub_dispatch(b->hub);
    assert_contains(bench_reply(b, asker, 0), "\"timeout\"");
    bench_run(b, 10);
    assert_int_equal(bench_replies(b, asker), 1);
    assert_int_equal(record(b, 0x3b).pulses, 0);
}

/* A request at the moment when the bus has given up the device and the owner does not know yet. */
static void a_set_that_crosses_the_loss_is_answered_once(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    bench_start(b);
    bench_ask(b, ON);
    sim_unplug(b->sim[0], 0x3b);
    for (int i = 0; i < 200; i++) {
        b->time += 100000;
        hub_run_buses(b->hub);
    }
    assert_contains(bench_ask(b, OFF), "\"error\"");
    bench_run(b, 1);
    assert_int_equal(bench_replies(b, b->asked), 1);
    bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": true}]");
    assert_true(nothing_moves(b));
}

/* Nothing was written: the contact is where it was, and that stays known. */
static void a_set_without_an_answer_forgets_nothing(void **state)
{
    bench *b = ready(state);

    bench_ask(b, ON);
    sim_set_fault(b->sim[0], 0x3b, SIM_NO_ACKNOWLEDGE, 1);
    assert_contains(bench_ask(b, OFF), "[\"relay/i2c0-3b/error\", {\"error\": \"io-error\"");
    sim_set_fault(b->sim[0], 0x3b, SIM_NO_ACKNOWLEDGE, 0);
    bench_run(b, 5);
    assert_string_equal(bench_ask(b, GET), IS_ON);
    assert_int_equal(bench_published(b, UNKNOWN), 0);
}

/* A write failed half-way: the position of the contact is not known. */
static void a_set_that_fails_half_way_makes_the_state_unknown(void **state)
{
    bench *b = ready(state);

    bench_ask(b, ON);
    bench_clear(b);
    assert_true(fault_bus_add(b->fault[0], &(fault_rule){.kind = FAULT_LOST_REPLY,
                                                         .address = 0x3b,
                                                         .directions = FAULT_WRITES,
                                                         .reg = 1,
                                                         .count = 1,
                                                         .error = -EIO}));
    assert_contains(bench_ask(b, OFF), "io-error");
    assert_string_equal(bench_last(b, TOPIC), UNKNOWN);
    bench_run(b, 5);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
    assert_string_equal(bench_ask(b, OFF), IS_OFF);
}

/*
 * An earlier owner died in the middle of a pulse: the coil is switched off before any transfer to
 * another chip.
 */
static void an_energised_coil_comes_before_everything(void **state)
{
    bench *b = with_relays(state);
    i2c_bus *bus = b->sim[0];

    /* A transfer to the thermometer, which has a lower address, finds the bus gone. */
    assert_true(sim_add(bus, "tmp112", 0x10));
    bench_pin(b, "thermometer/i2c0-10", "tmp112", NULL);
    assert_int_equal(i2c_write8(bus, 0x3f, 1, 0x50), 0);
    assert_int_equal(i2c_write8(bus, 0x3f, 3, 0x00), 0);
    assert_int_equal(i2c_write8(bus, 0x3f, 1, 0x30), 0);
    sim_relay_record relay;
    assert_true(sim_relay_read(bus, 0x3f, &relay));
    assert_true(relay.energised);
    b->first_rule =
        &(fault_rule){.kind = FAULT_ERROR, .address = 0x10, .reg = -1, .error = -ENODEV};
    bench_start(b);
    for (int step = 0; step < 10 && relay.energised; step++) {
        hub_run_buses(b->hub);
        assert_true(sim_relay_read(bus, 0x3f, &relay));
    }
    assert_false(relay.energised);
    assert_int_equal(sim_transfers(bus, 0x10), 0);
}

/* ---- power-on states ---- */

static void a_power_on_state_is_for_when_power_came_on(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    bench_pin(b, "relay/i2c0-3b", NULL, "power-on=on", NULL);
    bench_pin(b, "relay/i2c0-3f", NULL, "power-on=off", NULL);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_int_equal(record(b, 0x3f).contact, 0);
    bench_ask(b, OFF);
    /* Not for a crash or a restart of the server. */
    bench_restart(b, "crash");
    bench_run(b, 1);
    bench_restart(b, "restart");
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), IS_OFF);
    assert_int_equal(record(b, 0x3b).pulses, 2);
    /* But for a module that comes back. */
    sim_unplug(b->sim[0], 0x3b);
    bench_run(b, 20);
    sim_plug(b->sim[0], 0x3b);
    bench_run(b, 5);
    assert_string_equal(bench_ask(b, GET), IS_ON);
    assert_int_equal(record(b, 0x3b).contact, 1);
}

static void cut_power(bench *b, uint8_t address, double seconds)
{
    sim_unplug(b->sim[0], address);
    bench_run(b, seconds);
    sim_plug(b->sim[0], address);
}

/* The module was seen to have lost its power, however long that lasted, and whenever it is seen. */
static void a_loss_of_power_is_seen_however_short(void **state)
{
    static const double lengths[] = {0, 0.3, 1, 4, 9, 60};
    bench *b = with_relays(state);

    bench_pin(b, "relay/i2c0-3b", NULL, "power-on=off", NULL);
    bench_start(b);
    bench_run(b, 1);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        bench_ask(b, ON);
        bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": true}]");
        bench_clear(b);
        cut_power(b, 0x3b, lengths[i]);
        cut_power(b, 0x3f, lengths[i]);
        bench_run(b, 5);
        assert_int_equal(bench_logged(b, CT_POWER_LOST), 2);
        assert_int_equal(bench_logged(b, CT_POWER_ON), 1);
        assert_int_equal(record(b, 0x3b).contact, 0);
        assert_string_equal(bench_last(b, TOPIC), IS_OFF);
        /* keep: a bistable contact is where it was, and is published so. */
        assert_int_equal(record(b, 0x3f).contact, 1);
        assert_contains(bench_ask(b, "[\"relay/i2c0-3f/get\", {}]"), "true");
    }
    assert_int_equal(record(b, 0x3f).pulses, sizeof(lengths) / sizeof(*lengths));
}

/* However long it was away: it has kept its power, and nothing moves. */
static void absence_is_no_loss_of_power(void **state)
{
    bench *b = with_relays(state);

    bench_pin(b, "relay/i2c0-3b", NULL, "power-on=off", NULL);
    bench_start(b);
    bench_run(b, 1);
    bench_ask(b, ON);
    bench_clear(b);
    sim_set_fault(b->sim[0], 0x3b, SIM_NO_ACKNOWLEDGE, 1);
    bench_run(b, 60);
    sim_set_fault(b->sim[0], 0x3b, SIM_NO_ACKNOWLEDGE, 0);
    bench_run(b, 40);
    assert_int_equal(bench_logged(b, CT_POWER_LOST), 0);
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_string_equal(bench_last(b, TOPIC), IS_ON);
}

/* Seen by a request itself: that is newer than the power, and holds. */
static void a_command_is_newer_than_the_power(void **state)
{
    bench *b = with_relays(state);

    bench_pin(b, "relay/i2c0-3b", NULL, "power-on=off", NULL);
    bench_start(b);
    bench_run(b, 1);
    cut_power(b, 0x3b, 0);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    bench_run(b, 5);
    assert_int_equal(bench_logged(b, CT_POWER_LOST), 1);
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_string_equal(bench_last(b, TOPIC), IS_ON);
}

/* A module whose power was cut while no hub was there. */
static void a_loss_of_power_without_a_hub_is_seen(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    b->config.reason_for_reset = "restart";
    bench_pin(b, "relay/i2c0-3b", NULL, "power-on=off", NULL);
    bench_start(b);
    bench_ask(b, ON);
    bench_stop(b);
    sim_unplug(b->sim[0], 0x3b);
    sim_plug(b->sim[0], 0x3b);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_string_equal(bench_last(b, TOPIC), IS_OFF);
}

/* ---- interlocks ---- */

/* Two relays of a group, of which nothing is known; the hub has just been started. */
static bench *newly_interlocked(void **state)
{
    bench *b = with_relays(state);

    bench_remember(b);
    bench_pin(b, "relay/i2c0-3b", NULL, "interlock=motor", "dead-time=1", NULL);
    bench_pin(b, "relay/i2c0-3f", NULL, "interlock=motor", NULL);
    bench_start(b);
    return b;
}

/* The same a while later, when both are off. */
static bench *interlocked(void **state)
{
    bench *b = newly_interlocked(state);

    bench_run(b, 2);
    bench_clear(b);
    return b;
}

#define OTHER_ON "[\"relay/i2c0-3f/set\", {\"state\": true}]"

static void of_an_interlock_only_one_is_on(void **state)
{
    bench *b = newly_interlocked(state);

    /* Nothing is known about the other: it is switched off first. */
    int64_t begin = b->time;
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(record(b, 0x3f).contact, 0);
    assert_true(b->time - begin >= 1000000);
    /* The dead time counts from when the first is off, and is no longer than it must be. */
    begin = b->time;
    assert_contains(bench_ask(b, OTHER_ON), "true");
    assert_in_range(b->time - begin, 1000000, 1150000);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_int_equal(record(b, 0x3f).contact, 1);
    assert_string_equal(bench_last(b, TOPIC), IS_OFF);
}

static void switching_off_waits_for_nothing(void **state)
{
    bench *b = interlocked(state);

    bench_ask(b, ON);
    bench_request(b, ALL_RIGHTS, OTHER_ON);
    int64_t begin = b->time;
    bench_ask(b, OFF);
    assert_true(b->time - begin < 250000);
    bench_run(b, 3);
    assert_int_equal(record(b, 0x3f).contact, 1);
}

static void requests_take_turns(void **state)
{
    bench *b = interlocked(state);
    uint64_t first, second, third;

    first = bench_request(b, ALL_RIGHTS, ON);
    second = bench_request(b, ALL_RIGHTS, OTHER_ON);
    third = bench_request(b, ALL_RIGHTS, ON);
    for (int i = 0; i < 1000; i++) {
        bench_run(b, 0.01);
        assert_false(record(b, 0x3b).contact == 1 && record(b, 0x3f).contact == 1);
    }
    assert_contains(bench_reply(b, first, 0), "true");
    assert_contains(bench_reply(b, second, 0), "true");
    assert_contains(bench_reply(b, third, 0), "true");
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_int_equal(record(b, 0x3f).contact, 0);
}

static void requests_that_wait_keep_their_order(void **state)
{
    bench *b = *state;
    size_t seen = 0;

    assert_true(sim_add(b->sim[0], "pcf8574", 0x20));
    bench_pin(b, "relay/i2c0-20", "pcf8574", "interlock=valves", "dead-time=0.2", NULL);
    bench_start(b);
    bench_run(b, 1);
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-0/set\", {\"state\": true}]");
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-5/set\", {\"state\": true}]");
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-7/set\", {\"state\": true}]");
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-2/set\", {\"state\": true}]");
    bench_run(b, 5);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].kind == LINE_REPLY) {
            assert_int_equal(b->lines[i].text[strlen("[\"relay/i2c0-20-")], "0572"[seen++]);
        }
    }
    assert_int_equal(seen, 4);
}

/* A relay that is being switched off already is not switched off once more. */
static void a_move_under_way_is_waited_for(void **state)
{
    bench *b = interlocked(state);

    bench_ask(b, OTHER_ON);
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3f/set\", {\"state\": false}]");
    unsigned before = record(b, 0x3f).pulses;
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(record(b, 0x3f).pulses, before + 1);
}

/* The hub that went before may have switched one off a moment ago. */
static void the_dead_time_counts_from_the_start(void **state)
{
    bench *b = interlocked(state);

    bench_ask(b, ON);
    bench_ask(b, OFF);
    bench_restart(b, "crash");
    int64_t begin = b->time;
    assert_contains(bench_ask(b, OTHER_ON), "true");
    assert_true(b->time - begin >= 1000000);
}

static void a_pulse_of_one_ends_for_the_other(void **state)
{
    bench *b = interlocked(state);

    bench_ask(b, "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 60}]");
    assert_contains(bench_ask(b, OTHER_ON), "true");
    assert_int_equal(record(b, 0x3b).contact, 0);
    bench_run(b, 100);
    assert_int_equal(record(b, 0x3f).contact, 1);
}

static void a_relay_that_may_be_on_somewhere_prevents_it(void **state)
{
    bench *b = interlocked(state);

    bench_ask(b, OTHER_ON);
    sim_unplug(b->sim[0], 0x3f);
    bench_run(b, 20);
    assert_contains(bench_ask(b, ON),
                    "[\"relay/i2c0-3b/error\", {\"error\": \"io-error\", "
                    "\"message\": \"interlock motor: relay/i2c0-3f does not answer "
                    "and may be on\"");
    assert_int_equal(record(b, 0x3b).pulses, 1); /* the one that switched it off before */
    /* Also when the hub was started without it. */
    bench_restart(b, "restart");
    bench_run(b, 1);
    assert_contains(bench_ask(b, ON), "may be on");
    sim_plug(b->sim[0], 0x3f);
    bench_run(b, 40);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(record(b, 0x3f).contact, 0);
}

static void a_relay_that_cannot_be_switched_off_prevents_it(void **state)
{
    bench *b = interlocked(state);

    bench_ask(b, OTHER_ON);
    sim_set_fault(b->sim[0], 0x3f, SIM_NO_ACKNOWLEDGE, 1);
    assert_contains(bench_ask(b, ON), "relay/i2c0-3f could not be switched off");
    sim_set_fault(b->sim[0], 0x3f, SIM_NO_ACKNOWLEDGE, 0);
    assert_string_equal(bench_ask(b, ON), IS_ON);
}

/* The request that has the group ends with its relay, and the next one has its turn. */
static void a_relay_that_leaves_gives_its_group_back(void **state)
{
    bench *b = with_relays(state);

    bench_pin(b, "relay/i2c0-3b", NULL, "interlock=motor", "dead-time=60", NULL);
    bench_pin(b, "relay/i2c0-3f", NULL, "interlock=motor", NULL);
    bench_start(b);
    bench_run(b, 2);
    assert_contains(bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": false}]"), "false");
    bench_ask(b, OFF);
    uint64_t lost = bench_request(b, ALL_RIGHTS, OTHER_ON); /* waits for the dead time */
    uint64_t next = bench_request(b, ALL_RIGHTS, ON);       /* waits for that one */
    sim_unplug(b->sim[0], 0x3f);
    bench_run(b, 30);
    assert_contains(bench_reply(b, lost, 0), "relay/i2c0-3f has left");
    bench_run(b, 60);
    assert_string_equal(bench_reply(b, next, 0), IS_ON);
    assert_int_equal(record(b, 0x3b).contact, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(starting_moves_no_contact),
        BENCH_TEST(a_set_moves_the_contact),
        BENCH_TEST(the_same_state_clicks_again),
        BENCH_TEST(clicks_are_a_tenth_of_a_second_apart),
        BENCH_TEST(a_relay_that_waits_blocks_no_other),
        BENCH_TEST(a_click_just_after_the_start_waits_its_gap),
        BENCH_TEST(a_pulse_ends_by_itself),
        BENCH_TEST(a_short_pulse_lasts_the_gap),
        BENCH_TEST(a_set_cancels_a_pulse),
        BENCH_TEST(a_pulse_begins_anew_with_another),
        BENCH_TEST(a_pulse_outlives_the_absence_of_its_relay),
        BENCH_TEST(a_pulse_goes_on_after_a_restart),
        BENCH_TEST(a_pulse_is_never_longer_than_it_was),
        BENCH_TEST(without_memory_a_pulse_ends_with_the_hub),
        BENCH_TEST(the_state_is_remembered),
        BENCH_TEST(a_damaged_memory_is_reported_and_starts_anew),
        BENCH_TEST(odd_members_are_ignored),
        BENCH_TEST(an_unwritable_memory_is_reported_once),
        BENCH_TEST(without_the_directory_relays_work_all_the_same),
        BENCH_TEST(the_file_is_replaced_as_a_whole),
        BENCH_TEST(a_move_that_was_interrupted_makes_the_state_unknown),
        BENCH_TEST(the_move_is_noted_before_it_begins),
        BENCH_TEST(each_move_is_noted_for_itself),
        BENCH_TEST(a_relay_that_vanishes_becomes_null_and_returns_as_it_was),
        BENCH_TEST(a_relay_that_answers_again_soon_stays_in_the_list),
        BENCH_TEST(what_was_unknown_need_not_become_unknown),
        BENCH_TEST(a_set_that_waited_too_long_moves_nothing),
        BENCH_TEST(a_set_that_crosses_the_loss_is_answered_once),
        BENCH_TEST(a_set_without_an_answer_forgets_nothing),
        BENCH_TEST(a_set_that_fails_half_way_makes_the_state_unknown),
        BENCH_TEST(an_energised_coil_comes_before_everything),
        BENCH_TEST(a_power_on_state_is_for_when_power_came_on),
        BENCH_TEST(a_loss_of_power_is_seen_however_short),
        BENCH_TEST(absence_is_no_loss_of_power),
        BENCH_TEST(a_command_is_newer_than_the_power),
        BENCH_TEST(a_loss_of_power_without_a_hub_is_seen),
        BENCH_TEST(of_an_interlock_only_one_is_on),
        BENCH_TEST(switching_off_waits_for_nothing),
        BENCH_TEST(requests_take_turns),
        BENCH_TEST(requests_that_wait_keep_their_order),
        BENCH_TEST(a_move_under_way_is_waited_for),
        BENCH_TEST(the_dead_time_counts_from_the_start),
        BENCH_TEST(a_pulse_of_one_ends_for_the_other),
        BENCH_TEST(a_relay_that_may_be_on_somewhere_prevents_it),
        BENCH_TEST(a_relay_that_cannot_be_switched_off_prevents_it),
        BENCH_TEST(a_relay_that_leaves_gives_its_group_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
