/* Sensors: the schedule, what is published of what was measured, failure and return. */
#include "hub_bench.h"

#include <errno.h>

#define TOPIC "[\"thermometer/i2c0-48\""

static bench *with_thermometer(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    assert_true(sim_set(b->sim[0], 0x48, "temperature", 20));
    return b;
}

static bench *ready(void **state)
{
    bench *b = with_thermometer(state);

    bench_start(b);
    bench_run(b, 0.5);
    bench_clear(b);
    return b;
}

/* The times at which a topic was published, at most `size` of them. */
static size_t times_of(const bench *b, const char *topic, int64_t *times, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_lines && n < size; i++) {
        if (b->lines[i].kind == LINE_PUBLICATION &&
            strncmp(b->lines[i].text, topic, strlen(topic)) == 0) {
            times[n++] = b->lines[i].time;
        }
    }
    return n;
}

/* ---- the schedule ---- */

/*
 * Eight thermometers at a second each, on a bus where every transfer takes half a millisecond, with
 * a relay that clicks among them: no interval is off by more than 50 ms, and none drifts.
 */
static void eight_sensors_keep_their_intervals(void **state)
{
    bench *b = *state;
    char topic[32];
    int64_t times[128];

    for (uint8_t i = 0; i < 8; i++) {
        static char names[8][32];
        snprintf(names[i], sizeof(names[i]), "thermometer/i2c0-%02x", 0x48 + i);
        assert_true(sim_add(b->sim[0], "tmp112", 0x48 + i));
        sim_set_fault(b->sim[0], 0x48 + i, SIM_SLOW, 0.0005);
        bench_pin(b, names[i], "tmp112", NULL);
    }
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_start(b);
    bench_run(b, 1);
    bench_clear(b);
    for (int i = 0; i < 100; i++) {
        bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/set\", {\"state\": true}]");
        bench_run(b, 1);
    }
    for (int i = 0; i < 8; i++) {
        snprintf(topic, sizeof(topic), "[\"thermometer/i2c0-%02x\"", 0x48 + i);
        size_t n = times_of(b, topic, times, 128);
        assert_in_range(n, 99, 101);
        for (size_t j = 1; j < n; j++) {
            assert_in_range(times[j] - times[j - 1], 950000, 1050000);
        }
        assert_in_range(times[n - 1] - times[0], (n - 1) * 1000000 - 50000,
                        (n - 1) * 1000000 + 50000);
    }
}

static void slots_that_were_missed_are_left_out(void **state)
{
    bench *b = ready(state);
    int64_t times[8];

    /* The bus is held for 3.3 s. */
    b->time += 3300000;
    bench_run(b, 3);
    size_t n = times_of(b, TOPIC, times, 8);
    assert_in_range(n, 3, 5);
    assert_in_range(times[1] - times[0], 100000, 950000); /* back to the old rhythm */
    assert_in_range(times[2] - times[1], 999000, 1001000);
}

static void the_interval_of_the_type_counts(void **state)
{
    bench *b = with_thermometer(state);

    b->intervals[0] = (hub_interval_config){"thermometer", 5};
    b->node.n_intervals = 1;
    bench_start(b);
    bench_run(b, 20.5);
    assert_int_equal(bench_published(b, TOPIC), 5);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/config/get\", {}]"),
                    "{\"publish-interval\": 5}");
}

static void config_set_changes_the_interval(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 0.1}]");
    bench_clear(b);
    bench_run(b, 10);
    assert_in_range(bench_published(b, TOPIC), 99, 101);
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": null}]");
    bench_clear(b);
    bench_run(b, 100);
    assert_int_equal(bench_published(b, TOPIC), 0);
    /* It can still be asked, and what it says then is what the next opening gets. */
    sim_set(b->sim[0], 0x48, "temperature", 25);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/get\", {}]"), "[25.00, ");
    bench_ask(b, "[\"clown.talk/-/config/set\", {}]");
    assert_contains(bench_reply(b, b->asked, 1), "[25.00, ");
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 2}]");
    bench_clear(b);
    bench_run(b, 10.5);
    assert_int_equal(bench_published(b, TOPIC), 5);
}

/* A measurement on request neither delays nor replaces the periodic ones. */
static void a_get_leaves_the_rhythm_alone(void **state)
{
    bench *b = ready(state);
    int64_t times[16];

    for (int i = 0; i < 10; i++) {
        bench_run(b, 0.37);
        bench_ask(b, "[\"thermometer/i2c0-48/get\", {}]");
    }
    bench_run(b, 1);
    size_t n = times_of(b, TOPIC, times, 16);
    assert_true(n >= 4);
    for (size_t i = 1; i < n; i++) {
        assert_in_range(times[i] - times[i - 1], 950000, 1050000);
    }
}

/* ---- publishing on change ---- */

static void delta_holds_back_what_has_not_moved(void **state)
{
    bench *b = ready(state);

    assert_string_equal(
        bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": 0.2}]"),
        "[\"thermometer/i2c0-48/config/ok\", {\"publish-interval\": 1, \"delta\": 0.2}]");
    bench_clear(b);
    bench_run(b, 10);
    assert_int_equal(bench_published(b, TOPIC), 0);
    sim_set(b->sim[0], 0x48, "temperature", 20.1875);
    bench_run(b, 5);
    assert_int_equal(bench_published(b, TOPIC), 0);
    sim_set(b->sim[0], 0x48, "temperature", 19.75);
    bench_run(b, 5);
    assert_int_equal(bench_published(b, TOPIC), 1);
    assert_contains(bench_last(b, TOPIC), "[19.75, ");
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": null}]");
    bench_clear(b);
    bench_run(b, 5);
    assert_int_equal(bench_published(b, TOPIC), 5);
}

static void the_heartbeat_publishes_all_the_same(void **state)
{
    bench *b = ready(state);
    int64_t times[16];

    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": 5, \"heartbeat\": 10}]");
    bench_clear(b);
    bench_run(b, 100);
    size_t n = times_of(b, TOPIC, times, 16);
    assert_in_range(n, 9, 11);
    for (size_t i = 1; i < n; i++) {
        assert_in_range(times[i] - times[i - 1], 9900000, 10100000);
    }
}

static void an_offset_is_added_everywhere(void **state)
{
    bench *b = ready(state);

    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"offset\": -0.5}]"),
                    "\"offset\": -0.5}");
    bench_run(b, 1);
    assert_contains(bench_last(b, TOPIC), "[19.50, ");
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/get\", {}]"), "[19.50, ");
    assert_contains(
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 2, \"points\": 1}]"),
        "19.5");
    assert_contains(
        bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"offset\": {\"temperature\": 2}}]"),
        "\"offset\": 2}");
    bench_run(b, 1);
    assert_contains(bench_last(b, TOPIC), "[22.00, ");
}

/* What no value can be is refused, and what a value can be is said. */
static void an_offset_leads_to_what_can_be(void **state)
{
    bench *b = ready(state);

    assert_true(sim_add(b->sim[0], "hdc2080", 0x41));
    sim_set(b->sim[0], 0x41, "relative-humidity", 48);
    assert_true(sim_add(b->sim[0], "opt3001", 0x44));
    sim_set(b->sim[0], 0x44, "illuminance", 600);
    bench_run(b, 40);
    assert_contains(
        bench_ask(b, "[\"humidity-sensor/i2c0-41/config/set\", {\"offset\": 70}]"),
        "\"bad-payload\", \"message\": \"offset must leave relative-humidity within 0 to 100 %: it "
        "may be -48.0 to 52.0, since 48.0 is measured\"");
    assert_contains(bench_ask(b, "[\"lux-meter/i2c0-44/config/set\", {\"offset\": -50000}]"),
                    "offset must leave illuminance within 0 to 200000 lux");
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"offset\": -300}]"),
                    "within -273.15 to 1000 ℃: it may be -293.15 to 980.00");
    /* Nothing of a request that is refused is done. */
    assert_null(strstr(bench_ask(b, "[\"humidity-sensor/i2c0-41/config/get\", {}]"), "offset"));
    /* One that was right when it was set keeps its values within what can be. */
    assert_contains(bench_ask(b, "[\"humidity-sensor/i2c0-41/config/set\", {\"offset\": 50}]"),
                    "50}");
    assert_contains(bench_ask(b, "[\"lux-meter/i2c0-44/config/set\", {\"offset\": -20}]"), "-20}");
    sim_set(b->sim[0], 0x41, "relative-humidity", 60);
    sim_set(b->sim[0], 0x44, "illuminance", 5);
    bench_run(b, 5);
    assert_contains(bench_last(b, "[\"humidity-sensor/i2c0-41\""), "[100.0, ");
    assert_contains(bench_last(b, "[\"lux-meter/i2c0-44\""), "[0.00, ");
}

/* 60, 60.0 and 6e1 are the same number. */
static void whole_numbers_have_three_spellings(void **state)
{
    static const char *const spellings[] = {"60", "60.0", "6e1"};
    bench *b = ready(state);

    for (size_t i = 0; i < 3; i++) {
        char text[128];
        snprintf(text, sizeof(text),
                 "[\"thermometer/i2c0-48/history/get\", {\"seconds\": %s, \"points\": %s}]",
                 spellings[i], spellings[i]);
        assert_contains(bench_ask(b, text), "\"seconds\": 60, \"step\": 2, ");
        snprintf(text, sizeof(text),
                 "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": %s}]", spellings[i]);
        assert_contains(bench_ask(b, text), "{\"publish-interval\": 60}");
    }
    assert_contains(
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 60.5, \"points\": 1}]"),
        "bad-payload");
    assert_contains(
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 1e99, \"points\": 1}]"),
        "bad-payload");
}

static void zero_has_no_sign(void **state)
{
    bench *b = ready(state);

    sim_set(b->sim[0], 0x48, "temperature", -0.0625);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"offset\": 0.06}]"),
                    "0.06}");
    bench_run(b, 10);
    assert_contains(bench_last(b, TOPIC), "[0.00, ");
    assert_contains(
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 2, \"points\": 1}]"),
        "{\"min\": [0], \"mean\": [0], \"max\": [0]}");
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"offset\": -0.0}]"),
                    "{\"publish-interval\": 1}");
}

/* One garbled read of a result, by bytes that may well be a result, is never published. */
static void one_garbled_read_is_no_value(void **state)
{
    static const struct {
        const char *chip, *topic, *value;
        uint8_t address, reg;
    } sensors[] = {
        {"tmp112", "thermometer/i2c0-49", "[21.50, ", 0x49, 0x00},
        {"opt3001", "lux-meter/i2c0-44", "[600.", 0x44, 0x00},
        {"hdc2080", "humidity-sensor/i2c0-41", "[45.0, ", 0x41, 0x00},
        {"hts221", "humidity-sensor/i2c0-5f", "[45.0, ", 0x5f, 0xa8},
        {"mpl3115a2", "barometer/i2c0-60", "[101.325, ", 0x60, 0x01},
    };
    bench *b = *state;

    for (size_t i = 0; i < sizeof(sensors) / sizeof(*sensors); i++) {
        assert_true(sim_add(b->sim[0], sensors[i].chip, sensors[i].address));
    }
    b->time += 1000000; /* they have had power for a while */
    bench_start(b);
    bench_run(b, 10);
    for (unsigned skip = 0; skip < 8; skip++) {
        for (size_t i = 0; i < sizeof(sensors) / sizeof(*sensors); i++) {
            assert_true(fault_bus_add(b->fault[0], &(fault_rule){.kind = FAULT_GARBAGE,
                                                                 .address = sensors[i].address,
                                                                 .directions = FAULT_READS,
                                                                 .reg = sensors[i].reg,
                                                                 .skip = skip,
                                                                 .count = 1,
                                                                 .garbage = 0x40}));
        }
        bench_clear(b);
        bench_run(b, 6);
        for (size_t i = 0; i < sizeof(sensors) / sizeof(*sensors); i++) {
            char topic[64];
            snprintf(topic, sizeof(topic), "[\"%s\"", sensors[i].topic);
            assert_in_range(bench_published(b, topic), 5, 7);
            for (size_t k = 0; k < b->n_lines; k++) {
                if (b->lines[k].kind == LINE_PUBLICATION &&
                    strncmp(b->lines[k].text, topic, strlen(topic)) == 0) {
                    assert_contains(b->lines[k].text, sensors[i].value);
                }
            }
        }
        fault_bus_clear(b->fault[0]);
    }
}

static void settings_are_remembered(void **state)
{
    bench *b = with_thermometer(state);

    bench_remember(b);
    bench_start(b);
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": 1, \"heartbeat\": 60, "
                 "\"offset\": 0.25}]");
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 3}]");
    bench_restart(b, "restart");
    assert_string_equal(
        bench_ask(b, "[\"thermometer/i2c0-48/config/get\", {}]"),
        "[\"thermometer/i2c0-48/config/ok\", {\"publish-interval\": 3, \"delta\": 1, "
        "\"heartbeat\": 60, \"offset\": 0.25}]");
    /* What is undone stays undone, and "none" is remembered, too. */
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": null, \"heartbeat\": null, "
                 "\"offset\": null, \"publish-interval\": null}]");
    bench_restart(b, "restart");
    assert_string_equal(bench_ask(b, "[\"thermometer/i2c0-48/config/get\", {}]"),
                        "[\"thermometer/i2c0-48/config/ok\", {\"publish-interval\": null}]");
}

/* Only what was set is remembered: the directive's interval still counts when it changes. */
static void an_interval_that_was_never_set_is_not_remembered(void **state)
{
    bench *b = with_thermometer(state);

    bench_remember(b);
    bench_start(b);
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": 1}]");
    bench_stop(b);
    b->intervals[0] = (hub_interval_config){"thermometer", 7};
    b->node.n_intervals = 1;
    bench_start(b);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/config/get\", {}]"),
                    "{\"publish-interval\": 7, \"delta\": 1}");
}

/* ---- failure ---- */

/* Publications of a topic: numbers, then null once, then nothing. */
static void assert_null_once(const bench *b, const char *topic, int64_t since)
{
    size_t nulls = 0;

    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].kind != LINE_PUBLICATION ||
            strncmp(b->lines[i].text, topic, strlen(topic)) != 0) {
            continue;
        }
        if (isnan(bench_value(b->lines[i].text))) {
            nulls++;
            assert_in_range(b->lines[i].time - since, 0, 3000000);
        } else {
            assert_int_equal(nulls, 0);
        }
    }
    assert_int_equal(nulls, 1);
}

static void a_sensor_that_fails_becomes_null_once_and_leaves(void **state)
{
    bench *b = ready(state);
    int64_t since = b->time, left = 0;

    sim_unplug(b->sim[0], 0x48);
    bench_run(b, 60);
    assert_null_once(b, TOPIC, since);
    assert_string_equal(bench_last(b, TOPIC), TOPIC ", {\"temperature\": [null, \"℃\"]}]");
    for (size_t i = 0; i < b->n_lines; i++) {
        if (strstr(b->lines[i].text, "\"sensors\": []")) {
            left = b->lines[i].time;
        }
    }
    assert_in_range(left - since, 5000000, 8000000);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/get\", {}]"), "unknown-device");
    bench_ask(b, "[\"clown.talk/-/config/set\", {}]");
    assert_int_equal(bench_replies(b, b->asked), 1);
    assert_int_equal(bench_logged(b, CT_DEVICE_FAILED), 1);
    assert_int_equal(bench_logged(b, CT_DEVICE_LEFT), 1);
}

static void it_returns_by_itself(void **state)
{
    bench *b = ready(state);

    sim_unplug(b->sim[0], 0x48);
    bench_run(b, 20);
    bench_clear(b);
    sim_set(b->sim[0], 0x48, "temperature", -7.5);
    sim_plug(b->sim[0], 0x48);
    bench_run(b, 5);
    assert_contains(bench_last(b, "[\"-/-/config/ok\""), "thermometer/i2c0-48");
    assert_contains(bench_last(b, TOPIC), "[-7.50, ");
    bench_clear(b);
    bench_run(b, 10);
    assert_in_range(bench_published(b, TOPIC), 9, 11);
}

/* It has no time to publish at, but what was taken back must not stay so. */
static void a_sensor_without_interval_says_when_it_is_back(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": null}]");
    bench_clear(b);
    sim_set_fault(b->sim[0], 0x48, SIM_NO_ACKNOWLEDGE, 1);
    bench_run(b, 4);
    assert_true(isnan(bench_value(bench_last(b, TOPIC))));
    sim_set_fault(b->sim[0], 0x48, SIM_NO_ACKNOWLEDGE, 0);
    bench_run(b, 100);
    assert_int_equal(bench_published(b, TOPIC), 2);
    assert_true(bench_value(bench_last(b, TOPIC)) == 20);
}

static void a_single_failure_is_not_noticed(void **state)
{
    bench *b = ready(state);

    assert_true(fault_bus_add(
        b->fault[0],
        &(fault_rule){.kind = FAULT_ERROR, .address = 0x48, .reg = -1, .count = 1, .error = -EIO}));
    bench_run(b, 10);
    assert_in_range(bench_published(b, TOPIC), 9, 11);
    for (size_t i = 0; i < b->n_lines; i++) {
        assert_null(strstr(b->lines[i].text, "null"));
    }
    assert_int_equal(bench_logged(b, CT_DEVICE_FAILED), 0);
}

/* Null, but still in the list: a get tries at once. */
static void a_get_of_a_failing_sensor_is_an_io_error(void **state)
{
    bench *b = ready(state);

    sim_set_fault(b->sim[0], 0x48, SIM_NO_ACKNOWLEDGE, 1);
    bench_run(b, 2.5);
    assert_true(isnan(bench_value(bench_last(b, TOPIC))));
    int64_t begin = b->time;
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/get\", {}, {\"id\": 3}]"),
                    "[\"thermometer/i2c0-48/error\", {\"error\": \"io-error\", \"message\": "
                    "\"thermometer/i2c0-48: No such device or address (ENXIO)\"}, {\"id\": 3}]");
    assert_true(b->time - begin < 50000);
    sim_set_fault(b->sim[0], 0x48, SIM_NO_ACKNOWLEDGE, 0);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/get\", {}]"), "[20.00, ");
    bench_run(b, 1);
    assert_contains(bench_last(b, TOPIC), "[20.00, ");
    assert_int_equal(bench_logged(b, CT_DEVICE_RECOVERED), 1);
    assert_int_equal(bench_logged(b, CT_DEVICE_LEFT), 0);
}

/*
 * Unplugged and plugged in again and again at odd moments: never a wrong value, and all is well in
 * the end.
 */
static void plugging_a_hundred_times_publishes_nothing_wrong(void **state)
{
    bench *b = ready(state);
    uint64_t random = 42;

    for (int i = 0; i < 100; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        sim_unplug(b->sim[0], 0x48);
        bench_run(b, (double)(random >> 44 & 0xfff) / 400);
        sim_plug(b->sim[0], 0x48);
        bench_run(b, (double)(random >> 32 & 0xfff) / 800);
    }
    bench_run(b, 40);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].kind == LINE_PUBLICATION &&
            strncmp(b->lines[i].text, TOPIC, strlen(TOPIC)) == 0) {
            double value = bench_value(b->lines[i].text);
            assert_true(isnan(value) || value == 20);
        }
    }
    assert_true(bench_value(bench_last(b, TOPIC)) == 20);
    assert_contains(bench_ask(b, "[\"-/-/config/list\", {}]"), "thermometer/i2c0-48");
}

/* ---- history ---- */

static void history_shows_the_last_hour(void **state)
{
    bench *b = ready(state);

    sim_set(b->sim[0], 0x48, "temperature", 10);
    bench_run(b, 60);
    sim_set(b->sim[0], 0x48, "temperature", 30);
    bench_run(b, 60);
    b->time -= b->time % 2000000; /* the beginning of a slot */
    b->wall = INT64_C(1700000000000000) - b->time;
    assert_string_equal(
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 120, \"points\": 3}, "
                     "{\"id\": 1}]"),
        "[\"thermometer/i2c0-48/history\", {\"seconds\": 120, \"step\": 40, \"end\": 1700000002, "
        "\"temperature\": {\"min\": [10, 10, 30], \"mean\": [10, 20.5, 30], \"max\": [10, 30, "
        "30]}}, "
        "{\"id\": 1}]");
}

static void history_has_gaps_where_nothing_was_measured(void **state)
{
    bench *b = ready(state);

    bench_run(b, 4);
    sim_unplug(b->sim[0], 0x48);
    bench_run(b, 10);
    sim_plug(b->sim[0], 0x48);
    bench_run(b, 20);
    const char *answer =
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 60, \"points\": 30}]");
    assert_contains(answer, "null, null, null, null"); /* before the start */
    assert_contains(answer, "20, null, null");         /* the gap */
    assert_contains(answer, "null, 20, 20, 20, 20");   /* and after it */
}

static void history_forgets_after_an_hour(void **state)
{
    bench *b = ready(state);

    bench_run(b, 10);
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": null}]");
    bench_run(b, 3700);
    const char *answer =
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 3600, \"points\": 2}]");
    assert_contains(answer, "\"mean\": [null, null]");
}

/* Steps may reach a little further back than the ring: what is not in it is not shown. */
static void history_does_not_mix_now_with_then(void **state)
{
    bench *b = ready(state);

    bench_run(b, 3700);
    sim_set(b->sim[0], 0x48, "temperature", 30);
    bench_run(b, 12);
    assert_contains(
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 3600, \"points\": 7}]"),
        "\"max\": [20, 20, 20, 20, 20, 20, 30]");
}

/* It is answered from memory, so any number of clients may ask at once, whatever the bus does. */
static void history_waits_for_no_measurement(void **state)
{
    bench *b = *state;
    uint64_t asked;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    bench_start(b);
    bench_run(b, 1);
    for (int i = 0; i < 32; i++) {
        bench_request(b, ALL_RIGHTS, "[\"thermometer/i2c0-48/get\", {}]");
    }
    asked = bench_request(b, ALL_RIGHTS,
                          "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 2, \"points\": 1}]");
    assert_contains(bench_reply(b, asked, 0), "[\"thermometer/i2c0-48/history\", ");
}

static void history_asks_for_whole_numbers(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "{\"seconds\": 0, \"points\": 1}",
        "{\"seconds\": 3601, \"points\": 1}",
        "{\"seconds\": 1, \"points\": 1001}",
        "{\"seconds\": 1, \"points\": 0}",
        "{\"seconds\": \"1\", \"points\": 1}",
        "{\"seconds\": 1.5, \"points\": 1}",
    };
    bench *b = ready(state);
    char request[128];

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        snprintf(request, sizeof(request), "[\"thermometer/i2c0-48/history/get\", %s]", wrong[i]);
        assert_contains(bench_ask(b, request),
                        "[\"thermometer/i2c0-48/history/error\", {\"error\": "
                        "\"bad-payload\"");
    }
    /* Every size within the bounds gives no more points than asked for, and covers the time. */
    for (int seconds = 1; seconds <= 3600; seconds += 97) {
        for (int points = 1; points <= 1000; points += 111) {
            int step, steps = 1;
            snprintf(request, sizeof(request),
                     "[\"thermometer/i2c0-48/history/get\", {\"seconds\": %d, \"points\": %d}]",
                     seconds, points);
            const char *answer = bench_ask(b, request);
            assert_int_equal(sscanf(strstr(answer, "\"step\""), "\"step\": %d", &step), 1);
            for (const char *at = strstr(answer, "\"min\""); *at != ']'; at++) {
                steps += *at == ',';
            }
            assert_in_range(steps, 1, points);
            assert_true(steps * step >= seconds);
            bench_clear(b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(eight_sensors_keep_their_intervals),
        BENCH_TEST(slots_that_were_missed_are_left_out),
        BENCH_TEST(the_interval_of_the_type_counts),
        BENCH_TEST(config_set_changes_the_interval),
        BENCH_TEST(a_get_leaves_the_rhythm_alone),
        BENCH_TEST(delta_holds_back_what_has_not_moved),
        BENCH_TEST(the_heartbeat_publishes_all_the_same),
        BENCH_TEST(an_offset_is_added_everywhere),
        BENCH_TEST(an_offset_leads_to_what_can_be),
        BENCH_TEST(whole_numbers_have_three_spellings),
        BENCH_TEST(zero_has_no_sign),
        BENCH_TEST(one_garbled_read_is_no_value),
        BENCH_TEST(settings_are_remembered),
        BENCH_TEST(an_interval_that_was_never_set_is_not_remembered),
        BENCH_TEST(a_sensor_that_fails_becomes_null_once_and_leaves),
        BENCH_TEST(it_returns_by_itself),
        BENCH_TEST(a_sensor_without_interval_says_when_it_is_back),
        BENCH_TEST(a_single_failure_is_not_noticed),
        BENCH_TEST(a_get_of_a_failing_sensor_is_an_io_error),
        BENCH_TEST(plugging_a_hundred_times_publishes_nothing_wrong),
        BENCH_TEST(history_shows_the_last_hour),
        BENCH_TEST(history_has_gaps_where_nothing_was_measured),
        BENCH_TEST(history_forgets_after_an_hour),
        BENCH_TEST(history_waits_for_no_measurement),
        BENCH_TEST(history_does_not_mix_now_with_then),
        BENCH_TEST(history_asks_for_whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
