/*
 * The wire contract as the hub keeps it: opening, list, get, set, config, errors, ids, rights,
 * order.
 */
#include "hub_bench.h"

#define OPENING "[\"clown.talk/-/config/set\", {}, {\"id\": 1}]"

/* A thermometer and a relay module, looked at and ready. */
static bench *ready(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_set(b->sim[0], 0x48, "temperature", 21.5));
    bench_start(b);
    bench_run(b, 0.5);
    return b;
}

static void the_boot_is_notified(void **state)
{
    bench *b = *state;

    b->config.reason_for_reset = "crash";
    bench_start(b);
    assert_string_equal(b->lines[0].text, "[\"boot\", {\"reason-for-reset\": \"crash\"}]");
    assert_int_equal(b->lines[0].kind, LINE_PUBLICATION);
}

static void the_opening_is_answered_with_the_last_values(void **state)
{
    bench *b = ready(state);
    uint64_t asker = bench_request(b, HUB_MAY_CONTROL, OPENING);

    assert_int_equal(bench_replies(b, asker), 3);
    assert_string_equal(bench_reply(b, asker, 0),
                        "[\"clown.talk/-/config/ok\", {\"ack\": false, \"device\": \"bridge\", "
                        "\"capabilities\": 1, \"firmware-datetime\": \"2024-01-02T03:04:05Z\", "
                        "\"firmware-release\": \"1.2.3\"}, {\"id\": 1}]");
    assert_string_equal(bench_reply(b, asker, 1),
                        "[\"relay/i2c0-3b\", {\"state\": null}, {\"id\": 1}]");
    assert_string_equal(
        bench_reply(b, asker, 2),
        "[\"thermometer/i2c0-48\", {\"temperature\": [21.50, \"℃\"]}, {\"id\": 1}]");
    /* Only the last one is final. */
    assert_true(b->lines[b->n_lines - 1].last);
    assert_false(b->lines[b->n_lines - 2].last);
    assert_false(b->lines[b->n_lines - 3].last);
}

static void the_opening_says_that_a_client_may_only_look(void **state)
{
    bench *b = ready(state);
    uint64_t asker = bench_request(b, HUB_MAY_RAW_I2C, OPENING);

    assert_contains(bench_reply(b, asker, 0), "\"control\": false}");
}

static void an_opening_without_devices_is_answered_alone(void **state)
{
    bench *b = *state;

    bench_start(b);
    assert_contains(bench_ask(b, OPENING), "clown.talk/-/config/ok");
    assert_int_equal(bench_replies(b, b->asked), 1);
}

static void the_list_names_every_device(void **state)
{
    bench *b = ready(state);

    assert_string_equal(
        bench_ask(b, "[\"-/-/config/list\", {}, {\"id\": \"x\"}]"),
        "[\"-/-/config/ok\", {\"sensors\": [\"thermometer/i2c0-48\"], \"actuators\": "
        "[\"relay/i2c0-3b\"], \"notifications\": [\"boot\"], \"remembers\": false}, {\"id\": "
        "\"x\"}]");
}

static void a_get_measures_now_for_the_asker_alone(void **state)
{
    bench *b = ready(state);
    size_t published = bench_published(b, "[\"thermometer");

    sim_set(b->sim[0], 0x48, "temperature", -3.25);
    assert_string_equal(
        bench_ask(b, "[\"thermometer/i2c0-48/get\", {}, {\"id\": 7}]"),
        "[\"thermometer/i2c0-48\", {\"temperature\": [-3.25, \"℃\"]}, {\"id\": 7}]");
    assert_int_equal(bench_published(b, "[\"thermometer"), published);
    assert_string_equal(bench_ask(b, "[\"relay/i2c0-3b/get\", {}]"),
                        "[\"relay/i2c0-3b\", {\"state\": null}]");
}

static void a_set_is_published_to_the_others(void **state)
{
    bench *b = ready(state);
    sim_relay_record relay;

    assert_string_equal(bench_ask(b, "[\"relay/i2c0-3B/set\", {\"state\": true}, {\"id\": 9}]"),
                        "[\"relay/i2c0-3b\", {\"state\": true}, {\"id\": 9}]");
    assert_string_equal(bench_last(b, "[\"relay/i2c0-3b\""),
                        "[\"relay/i2c0-3b\", {\"state\": true}]");
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].kind == LINE_PUBLICATION && strstr(b->lines[i].text, "true")) {
            assert_int_equal(b->lines[i].asker, b->asked);
        }
    }
    assert_true(sim_relay_read(b->sim[0], 0x3b, &relay));
    assert_int_equal(relay.contact, 1);
}

static void config_is_shown_and_changed(void **state)
{
    bench *b = ready(state);

    assert_string_equal(
        bench_ask(b, "[\"thermometer/i2c0-48/config/get\", {}, {\"id\": 1}]"),
        "[\"thermometer/i2c0-48/config/ok\", {\"publish-interval\": 1}, {\"id\": 1}]");
    assert_string_equal(
        bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 0.5}]"),
        "[\"thermometer/i2c0-48/config/ok\", {\"publish-interval\": 0.5}]");
    assert_string_equal(
        bench_ask(b, "[\"thermometer/i2c0-48/config/update\", {\"publish-interval\": null}]"),
        "[\"thermometer/i2c0-48/config/ok\", {\"publish-interval\": null}]");
    assert_string_equal(bench_ask(b, "[\"relay/i2c0-3b/config/list\", {}]"),
                        "[\"relay/i2c0-3b/config/ok\", {\"publish-interval\": null}]");
}

typedef struct refused {
    const char *request, *topic, *error, *why;
} refused;

static void wrong_requests_are_answered_with_their_error(void **state)
{
    static const refused cases[] = {
        {"nonsense", "-/-/error", "malformed", ""},
        {"[\"relay/i2c0-3b/set\", 1]", "relay/i2c0-3b/error", "malformed", ""},
        {"[\"no/such/form/of/topic\", {}]", "no/such/form/of/error", "unknown-topic", ""},
        {"[\"relay/i2c0-77/set\", {\"state\": true}]", "relay/i2c0-77/error", "unknown-device",
         "no relay at i2c0-77; see -/-/config/list"},
        {"[\"relay/i2c0-48/get\", {}]", "relay/i2c0-48/error", "unknown-device", "no relay at"},
        {"[\"kettle/i2c0-48/get\", {}]", "kettle/i2c0-48/error", "unknown-device", "no kettle at"},
        {"[\"thermometer/i2c0-48/set\", {\"state\": true}]", "thermometer/i2c0-48/error",
         "unknown-topic", "a thermometer does not take set"},
        {"[\"thermometer/i2c0-48/pulse/set\", {\"duration\": 1}]",
         "thermometer/i2c0-48/pulse/error", "unknown-topic",
         "a thermometer does not take pulse/set"},
        {"[\"relay/i2c0-3b/history/get\", {}]", "relay/i2c0-3b/history/error", "unknown-topic",
         "a relay does not take history/get"},
        {"[\"relay/i2c0-3b/set\", {}]", "relay/i2c0-3b/error", "bad-payload", "true or false"},
        {"[\"relay/i2c0-3b/set\", {\"state\": \"true\"}]", "relay/i2c0-3b/error", "bad-payload",
         "true or false"},
        {"[\"relay/i2c0-3b/set\", {\"state\": null}]", "relay/i2c0-3b/error", "bad-payload",
         "true or false"},
        {"[\"relay/i2c0-3b/pulse/set\", {\"duration\": 0.04}]", "relay/i2c0-3b/pulse/error",
         "bad-payload", "0.05 to 86400 seconds"},
        {"[\"relay/i2c0-3b/pulse/set\", {\"duration\": 86401}]", "relay/i2c0-3b/pulse/error",
         "bad-payload", "0.05 to 86400 seconds"},
        {"[\"relay/i2c0-3b/pulse/set\", {\"duration\": true}]", "relay/i2c0-3b/pulse/error",
         "bad-payload", "0.05 to 86400 seconds"},
        {"[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 0.09}]",
         "thermometer/i2c0-48/config/error", "bad-payload", "0.1 to 86400 seconds, or null"},
        {"[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 86400.5}]",
         "thermometer/i2c0-48/config/error", "bad-payload", "0.1 to 86400 seconds, or null"},
        {"[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 1e400}]",
         "thermometer/i2c0-48/config/error", "bad-payload", "0.1 to 86400 seconds, or null"},
        {"[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": \"1\"}]",
         "thermometer/i2c0-48/config/error", "bad-payload", "0.1 to 86400 seconds, or null"},
        {"[\"thermometer/i2c0-48/config/set\", {}]", "thermometer/i2c0-48/config/error",
         "bad-payload", "publish-interval, delta, heartbeat or offset is needed"},
        {"[\"thermometer/i2c0-48/config/set\", {\"delta\": -1}]",
         "thermometer/i2c0-48/config/error", "bad-payload",
         "delta must be a number from 0 to 1000000"},
        {"[\"thermometer/i2c0-48/config/set\", {\"offset\": {\"pressure\": 1}}]",
         "thermometer/i2c0-48/config/error", "bad-payload", "temperature"},
        {"[\"relay/i2c0-3b/config/set\", {\"delta\": 1}]", "relay/i2c0-3b/config/error",
         "bad-payload", "publish-interval is needed"},
        {"[\"i2c/7/get\", {\"address\": \"48\", \"read-length\": 1}]", "i2c/7/error",
         "unknown-device", "no bus 7"},
    };
    bench *b = ready(state);
    char expected[256];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *answer = bench_ask(b, cases[i].request);
        snprintf(expected, sizeof(expected), "[\"%s\", {\"error\": \"%s\", \"message\": \"",
                 cases[i].topic, cases[i].error);
        assert_contains(answer, expected);
        assert_contains(answer, cases[i].why);
        assert_int_equal(bench_replies(b, b->asked), 1);
    }
}

static void an_error_carries_the_id(void **state)
{
    bench *b = ready(state);

    assert_contains(bench_ask(b, "[\"relay/i2c0-3b/set\", {\"state\": 1}, {\"id\": \"q\"}]"),
                    ", {\"id\": \"q\"}]");
    assert_contains(bench_ask(b, "[\"relay/i2c0-77/get\", {}, {\"id\": 0.1}]"), ", {\"id\": 0.1}]");
}

static void an_unknown_node_is_unavailable(void **state)
{
    bench *b = ready(state);

    hub_request(b->hub, "nodes/bridge/9", ALL_RIGHTS, 99, OPENING, strlen(OPENING));
    assert_contains(bench_reply(b, 99, 0),
                    "[\"clown.talk/-/config/error\", {\"error\": \"unavailable\"");
    assert_contains(bench_reply(b, 99, 0), "{\"id\": 1}");
}

static void a_line_that_is_too_long_is_malformed(void **state)
{
    static const char get[] = "[\"thermometer/i2c0-48/get\", {}]";
    bench *b = ready(state);
    char *text = calloc(1, HUB_MAX_LINE + 1);

    memset(text, ' ', HUB_MAX_LINE + 1);
    memcpy(text, get, sizeof(get) - 1);
    hub_request(b->hub, BENCH_NODE, ALL_RIGHTS, 99, text, HUB_MAX_LINE + 1);
    assert_contains(bench_reply(b, 99, 0), "\"malformed\"");
    hub_request(b->hub, BENCH_NODE, ALL_RIGHTS, 100, text, HUB_MAX_LINE);
    bench_run(b, 1);
    assert_null(strstr(bench_reply(b, 100, 0), "error"));
    free(text);
}

static void rights_decide(void **state)
{
    static const char *const control[] = {
        "[\"relay/i2c0-3b/set\", {\"state\": true}]",
        "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 1}]",
        "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 5}]",
    };
    static const char *const raw[] = {
        "[\"i2c/0/config/scan\", {}]",
        "[\"i2c/0/get\", {\"address\": \"50\", \"read-length\": 1}]",
        "[\"i2c/0/set\", {\"address\": \"50\", \"write\": \"00\"}]",
    };
    static const char *const nothing[] = {
        "[\"-/-/config/list\", {}]",
        "[\"relay/i2c0-3b/get\", {}]",
        "[\"thermometer/i2c0-48/config/get\", {}]",
    };
    bench *b = ready(state);

    for (size_t i = 0; i < 3; i++) {
        const char *answer = bench_reply(b, bench_request(b, HUB_MAY_RAW_I2C, control[i]), 0);
        assert_contains(answer, "\"forbidden\"");
        assert_contains(answer, "ClownTalkControl");
        answer = bench_reply(b, bench_request(b, HUB_MAY_CONTROL, raw[i]), 0);
        assert_contains(answer, "\"forbidden\"");
        assert_contains(answer, "ClownTalkRawI2C");
        assert_null(strstr(bench_reply(b, bench_request(b, 0, nothing[i]), 0), "error"));
    }
    bench_run(b, 1);
    assert_null(strstr(bench_last(b, "[\"relay/i2c0-3b\""), "true"));
}

/* Thirty-two that switch may wait for a device; the next is refused, the others are carried out. */
static void too_many_requests_are_busy(void **state)
{
    bench *b = ready(state);
    uint64_t first = 0, last = 0;

    for (int i = 0; i < 32; i++) {
        last = bench_request(b, ALL_RIGHTS,
                             i % 2 ? "[\"relay/i2c0-3b/set\", {\"state\": false}]"
                                   : "[\"relay/i2c0-3b/set\", {\"state\": true}]");
        if (!first) {
            first = last;
        }
    }
    assert_contains(bench_ask(b, "[\"relay/i2c0-3b/set\", {\"state\": true}, {\"id\": 5}]"),
                    "[\"relay/i2c0-3b/error\", {\"error\": \"busy\"");
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/get\", {}]"), "temperature");
    bench_run(b, 5);
    for (uint64_t asker = first; asker <= last; asker++) {
        assert_int_equal(bench_replies(b, asker), 1);
    }
}

#define LUX_GET "[\"lux-meter/i2c0-44/get\", {}]"

/* One measurement is for all who waited when it began, and whoever asks next gets the next one. */
static void who_only_reads_keeps_nobody_waiting(void **state)
{
    bench *b = *state;
    uint64_t first, last = 0;
    int64_t begin;

    assert_true(sim_add(b->sim[0], "opt3001", 0x44));
    ready(state);
    begin = b->time;
    first = bench_request(b, 0, LUX_GET);
    for (int i = 1; i < 300; i++) {
        last = bench_request(b, 0, i % 2 ? LUX_GET : "[\"lux-meter/i2c0-44/config/get\", {}]");
    }
    assert_contains(bench_ask(b, LUX_GET), "illuminance");
    assert_true(b->time - begin < 4000000);
    for (uint64_t asker = first; asker <= last; asker++) {
        assert_int_equal(bench_replies(b, asker), 1);
        assert_null(strstr(bench_reply(b, asker, 0), "error"));
    }
}

/* Nor does it take anybody's place who wants more. */
static void reads_take_no_place_of_commands(void **state)
{
    bench *b = ready(state);

    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/set\", {\"state\": true}]");
    for (int i = 0; i < 300; i++) {
        bench_request(b, 0, "[\"relay/i2c0-3b/get\", {}]");
    }
    assert_contains(bench_ask(b, "[\"relay/i2c0-3b/set\", {\"state\": false}]"), "false");
}

/* A value from before a command is no answer to who asked after it. */
static void a_read_behind_a_command_is_made_after_it(void **state)
{
    bench *b = *state;
    uint64_t first, second;

    assert_true(sim_add(b->sim[0], "pca9554", 0x20));
    bench_pin(b, "relay/i2c0-20-0", "pca9554", NULL);
    ready(state);
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-0/set\", {\"state\": false}]");
    first = bench_request(b, 0, "[\"relay/i2c0-20-0/get\", {}]");
    bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-20-0/set\", {\"state\": true}]");
    second = bench_request(b, 0, "[\"relay/i2c0-20-0/get\", {}]");
    bench_run(b, 1);
    assert_contains(bench_reply(b, first, 0), "false");
    assert_contains(bench_reply(b, second, 0), "true");
}

/* Memory for those that only read is bounded, too. */
static void far_too_many_reads_are_busy(void **state)
{
    static char request[HUB_MAX_LINE];
    bench *b = *state;
    uint64_t first, last = 0;
    size_t n_busy = 0;

    assert_true(sim_add(b->sim[0], "opt3001", 0x44));
    ready(state);
    snprintf(request, sizeof(request), "[\"lux-meter/i2c0-44/get\", {}, {\"id\": \"%016000d\"}]",
             0);
    first = bench_request(b, 0, LUX_GET);
    for (int i = 0; i < 300; i++) {
        last = bench_request(b, 0, request);
    }
    bench_run(b, 5);
    for (uint64_t asker = first; asker <= last; asker++) {
        assert_int_equal(bench_replies(b, asker), 1);
        n_busy += strstr(bench_reply(b, asker, 0), "\"busy\"") != NULL;
    }
    assert_in_range(n_busy, 30, 50); /* of 4.8 MB 4 MiB fit */
    assert_contains(bench_ask(b, LUX_GET), "illuminance");
}

static void answers_come_in_the_order_of_the_requests(void **state)
{
    bench *b = ready(state);
    uint64_t first = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/set\", {\"state\": true}]");
    uint64_t order[6] = {first};
    size_t n = 0;

    order[1] = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/get\", {}]");
    order[2] = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/set\", {\"state\": \"wrong\"}]");
    order[3] = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/set\", {\"state\": false}]");
    order[4] = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/config/get\", {}]");
    order[5] = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/get\", {}]");
    bench_run(b, 2);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].kind == LINE_REPLY && b->lines[i].asker >= first) {
            assert_true(n < 6);
            assert_int_equal(b->lines[i].asker, order[n++]);
        }
    }
    assert_int_equal(n, 6);
    assert_contains(bench_reply(b, order[1], 0), "true");
    assert_contains(bench_reply(b, order[5], 0), "false");
}

static void a_request_before_the_first_look_waits_for_it(void **state)
{
    bench *b = *state;
    uint64_t set, opening;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_start(b);
    opening = bench_request(b, ALL_RIGHTS, OPENING);
    set = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/set\", {\"state\": true}]");
    assert_int_equal(bench_replies(b, opening) + bench_replies(b, set), 0);
    bench_run(b, 1);
    assert_contains(bench_reply(b, opening, 0), "clown.talk/-/config/ok");
    assert_contains(bench_reply(b, set, 0), "true");
}

/* Memory for them is bounded, and what is beyond is answered at once. */
static void requests_before_the_first_look_are_not_held_without_end(void **state)
{
    static char request[HUB_MAX_LINE];
    bench *b = *state;
    uint64_t first, last;
    size_t n_refused = 0;

    snprintf(request, sizeof(request), "[\"thermometer/i2c0-48/get\", {\"a\": \"%060000d\"}]", 0);
    bench_start(b);
    first = last = bench_request(b, ALL_RIGHTS, request);
    for (int i = 0; i < 100; i++) {
        last = bench_request(b, ALL_RIGHTS, request);
    }
    for (uint64_t asker = first; asker <= last; asker++) {
        if (bench_replies(b, asker)) {
            assert_contains(bench_reply(b, asker, 0), "\"unavailable\"");
            n_refused++;
        }
    }
    assert_in_range(n_refused, 28, 32); /* of 6.1 MB 4 MiB fit */
    bench_run(b, 3);
    for (uint64_t asker = first; asker <= last; asker++) {
        assert_int_equal(bench_replies(b, asker), 1);
    }
}

/* It is not carried out for an asker that does not take answers: memory for them is bounded. */
static void what_was_held_waits_until_its_answer_is_taken(void **state)
{
    bench *b = *state;
    uint64_t first, second;

    bench_start(b);
    first = bench_request(b, ALL_RIGHTS, OPENING);
    second = bench_request(b, ALL_RIGHTS, OPENING);
    b->not_taken = first;
    bench_run(b, 3);
    assert_int_equal(bench_replies(b, first), 0);
    assert_int_equal(bench_replies(b, second), 1);
    b->not_taken = 0;
    hub_dispatch(b->hub);
    assert_contains(bench_reply(b, first, 0), "clown.talk/-/config/ok");
    /* Nor does it outlive the hub unanswered. */
    bench_stop(b);
    bench_start(b);
    b->not_taken = bench_request(b, ALL_RIGHTS, OPENING);
    bench_run(b, 3);
    bench_stop(b);
    assert_int_equal(bench_replies(b, b->not_taken), 1);
}

/* A chip that had no power yet, or was busy, at the first look has its second one first. */
static void a_device_that_comes_late_is_waited_for(void **state)
{
    bench *b = *state;
    uint64_t get, other;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    assert_true(sim_set(b->sim[0], 0x48, "temperature", 21.5));
    sim_unplug(b->sim[0], 0x48);
    bench_start(b);
    bench_run(b, 0.3);
    assert_contains(bench_ask(b, OPENING), "clown.talk/-/config/ok");
    get = bench_request(b, ALL_RIGHTS, "[\"thermometer/i2c0-48/get\", {}]");
    other = bench_request(b, ALL_RIGHTS, "[\"thermometer/i2c0-49/get\", {}]");
    sim_plug(b->sim[0], 0x48);
    bench_run(b, 1.5);
    assert_contains(bench_reply(b, get, 0), "21.5");
    assert_int_equal(bench_replies(b, other), 0);
    bench_run(b, 0.3);
    assert_contains(bench_reply(b, other, 0), "unknown-device");
    /* After that the answer comes at once. */
    other = bench_request(b, ALL_RIGHTS, "[\"thermometer/i2c0-49/get\", {}]");
    assert_contains(bench_reply(b, other, 0), "unknown-device");
}

/* 64 KiB of requests wait for such devices, and more of them are answered at once. */
static void what_waits_for_a_device_that_may_come_is_bounded(void **state)
{
    static char request[20000];
    bench *b = *state;
    uint64_t first, last;
    size_t n_refused = 0;

    snprintf(request, sizeof(request), "[\"thermometer/i2c0-49/get\", {\"a\": \"%010000d\"}]", 0);
    bench_start(b);
    bench_run(b, 0.3);
    assert_contains(bench_ask(b, OPENING), "clown.talk/-/config/ok"); /* the first look is over */
    first = last = bench_request(b, ALL_RIGHTS, request);
    for (int i = 1; i < 20; i++) {
        last = bench_request(b, ALL_RIGHTS, request);
    }
    for (uint64_t asker = first; asker <= last; asker++) {
        n_refused += bench_replies(b, asker);
    }
    assert_in_range(n_refused, 13, 14); /* of 200 KB 64 KiB wait, and one */
    bench_run(b, 3);
    for (uint64_t asker = first; asker <= last; asker++) {
        assert_contains(bench_reply(b, asker, 0), "unknown-device");
    }
}

/* A relay need not wait for what is slower than it. */
static void a_device_that_is_there_need_not_wait_for_the_others(void **state)
{
    bench *b = *state;
    int64_t begin;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_add(b->sim[0], "mpl3115a2", 0x60));
    /* An address that takes long to look at. */
    b->first_rule = &(fault_rule){.kind = FAULT_DELAY, .address = 0x48, .reg = -1, .delay = 500000};
    bench_start(b);
    begin = b->time;
    assert_contains(bench_ask(b, "[\"relay/i2c0-3b/get\", {}]"), "null");
    assert_true(b->time - begin < 100000);
    fault_bus_clear(b->fault[0]);
    assert_contains(bench_ask(b, "[\"relay/i2c0-3b/set\", {\"state\": true}]"), "true");
    assert_true(b->time - begin < 200000);
    bench_ask(b, "[\"-/-/config/list\", {}]");
    assert_true(b->time - begin >= 250000);
}

/* A bus that hangs must not hold up all requests: after two seconds the list is what was found. */
static void a_request_waits_two_seconds_at_most(void **state)
{
    bench *b = *state;
    uint64_t list;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    sim_set_fault(b->sim[0], 0x48, SIM_SLOW, 1.5);
    bench_start(b);
    list = bench_request(b, 0, "[\"-/-/config/list\", {}]");
    hub_dispatch(b->hub);
    assert_int_equal(bench_replies(b, list), 0);
    b->time += 2100000;
    hub_dispatch(b->hub);
    assert_contains(bench_reply(b, list, 0), "\"sensors\": []");
}

static void outstanding_requests_are_unavailable_at_the_end(void **state)
{
    bench *b = ready(state);
    uint64_t first = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/set\", {\"state\": true}]");
    uint64_t second = bench_request(b, ALL_RIGHTS, "[\"relay/i2c0-3b/set\", {\"state\": false}]");

    bench_stop(b);
    assert_contains(bench_reply(b, first, 0), "\"unavailable\"");
    assert_contains(bench_reply(b, second, 0), "\"unavailable\"");
    assert_int_equal(bench_replies(b, first), 1);
}

static void the_list_is_published_when_it_changes(void **state)
{
    bench *b = ready(state);

    bench_clear(b);
    bench_run(b, 5);
    assert_int_equal(bench_published(b, "[\"-/-/config/ok\""), 0);
    sim_unplug(b->sim[0], 0x48);
    bench_run(b, 10);
    assert_int_equal(bench_published(b, "[\"-/-/config/ok\""), 1);
    assert_contains(bench_last(b, "[\"-/-/config/ok\""), "\"sensors\": []");
    sim_plug(b->sim[0], 0x48);
    bench_run(b, 10);
    assert_int_equal(bench_published(b, "[\"-/-/config/ok\""), 2);
    assert_contains(bench_last(b, "[\"-/-/config/ok\""), "thermometer/i2c0-48");
}

static void a_device_is_in_the_list_before_it_speaks(void **state)
{
    bench *b = ready(state);
    size_t list = 0, value = 0;

    bench_clear(b);
    assert_true(sim_add(b->sim[0], "relay-module", 0x3f));
    bench_run(b, 60);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (strstr(b->lines[i].text, "-/-/config/ok")) {
            list = i + 1;
        } else if (strstr(b->lines[i].text, "[\"relay/i2c0-3f\"")) {
            value = i + 1;
        }
    }
    assert_true(list > 0 && value > list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_boot_is_notified),
        BENCH_TEST(the_opening_is_answered_with_the_last_values),
        BENCH_TEST(the_opening_says_that_a_client_may_only_look),
        BENCH_TEST(an_opening_without_devices_is_answered_alone),
        BENCH_TEST(the_list_names_every_device),
        BENCH_TEST(a_get_measures_now_for_the_asker_alone),
        BENCH_TEST(a_set_is_published_to_the_others),
        BENCH_TEST(config_is_shown_and_changed),
        BENCH_TEST(wrong_requests_are_answered_with_their_error),
        BENCH_TEST(an_error_carries_the_id),
        BENCH_TEST(an_unknown_node_is_unavailable),
        BENCH_TEST(a_line_that_is_too_long_is_malformed),
        BENCH_TEST(rights_decide),
        BENCH_TEST(too_many_requests_are_busy),
        BENCH_TEST(who_only_reads_keeps_nobody_waiting),
        BENCH_TEST(reads_take_no_place_of_commands),
        BENCH_TEST(a_read_behind_a_command_is_made_after_it),
        BENCH_TEST(far_too_many_reads_are_busy),
        BENCH_TEST(answers_come_in_the_order_of_the_requests),
        BENCH_TEST(a_request_before_the_first_look_waits_for_it),
        BENCH_TEST(requests_before_the_first_look_are_not_held_without_end),
        BENCH_TEST(a_device_that_comes_late_is_waited_for),
        BENCH_TEST(what_was_held_waits_until_its_answer_is_taken),
        BENCH_TEST(what_waits_for_a_device_that_may_come_is_bounded),
        BENCH_TEST(a_device_that_is_there_need_not_wait_for_the_others),
        BENCH_TEST(a_request_waits_two_seconds_at_most),
        BENCH_TEST(outstanding_requests_are_unavailable_at_the_end),
        BENCH_TEST(the_list_is_published_when_it_changes),
        BENCH_TEST(a_device_is_in_the_list_before_it_speaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
