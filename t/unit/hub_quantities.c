/*
 * A sensor with the greatest number of quantities: what is published, configured and kept follows
 * the driver's own number and names. No chip has that many, so the test itself sends what the bus's
 * thread would send.
 */
#include "hub_bench.h"

#include "hub/node.h"

#include <errno.h>

#define DEVICE "meter/i2c0-10"
#define UNIT   999 /* no unit of the worker, which leaves its messages alone */
#define N      DEVICE_MAX_QUANTITIES

static const device_quantity quantities[] = {
    {"first", "a", 1}, {"second", "b", 2}, {"third", "c", 3},   {"fourth", "d", 3},
    {"fifth", "e", 3}, {"sixth", "f", 3},  {"seventh", "g", 3}, {"eighth", "h", 3},
};
_Static_assert(N <= sizeof(quantities) / sizeof(*quantities), "a name for each");

static const sensor_ops sensor = {
    .quantities = quantities,
    .n_quantities = N,
    .default_interval = 1,
};
static const device_driver meter = {.name = "meter", .type = "meter", .sensor = &sensor};

/* ---- what the bus says ---- */

static void say(bench *b, message *said)
{
    said->bus = 0;
    said->unit = UNIT;
    queue_push(&b->hub->inbox, said);
    hub_dispatch(b->hub);
}

static void find(bench *b)
{
    message *found = message_new(MESSAGE_FOUND, strlen(DEVICE));

    memcpy(found->data, DEVICE, strlen(DEVICE));
    found->driver = &meter;
    say(b, found);
}

/* Measures 1, 2, 3 ..., but `missing` (a number from 0) cannot be read. */
static void measure(bench *b, int missing)
{
    message *sample = message_new(MESSAGE_SAMPLE, 0);

    for (int i = 0; i < N; i++) {
        sample->values[i] = i == missing ? NAN : i + 1;
    }
    say(b, sample);
}

static bench *with_meter(void **state)
{
    bench *b = *state;

    bench_start(b);
    bench_run(b, 1);
    find(b);
    bench_clear(b);
    return b;
}

/* ---- what is expected ---- */

/* The publication, with null for each quantity that has no bit set in `known`. */
static const char *published(unsigned known)
{
    static char text[1024];
    size_t length = (size_t)snprintf(text, sizeof(text), "[\"%s\", {", DEVICE);

    for (int i = 0; i < N; i++) {
        char value[32] = "null";
        if (known >> i & 1) {
            snprintf(value, sizeof(value), "%.*f", quantities[i].decimals, i + 1.0);
        }
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\"%s\": [%s, \"%s\"]",
                                   i ? ", " : "", quantities[i].name, value, quantities[i].unit);
    }
    snprintf(text + length, sizeof(text) - length, "}]");
    return text;
}

#define ALL  ((1u << N) - 1)
#define LAST quantities[N - 1].name

static const char *ask(bench *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An answer that needs no bus. */
static const char *ask(bench *b, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return bench_reply(b, bench_request(b, ALL_RIGHTS, text), 0);
}

/* ---- tests ---- */

static void every_quantity_is_published(void **state)
{
    bench *b = with_meter(state);

    measure(b, -1);
    assert_string_equal(bench_last(b, "[\"" DEVICE), published(ALL));
    measure(b, N - 1);
    assert_string_equal(bench_last(b, "[\"" DEVICE), published(ALL >> 1));
}

static void a_failure_takes_back_every_quantity(void **state)
{
    bench *b = with_meter(state);

    measure(b, -1);
    say(b, message_new(MESSAGE_FAILED, 0));
    assert_string_equal(bench_last(b, "[\"" DEVICE), published(0));
    measure(b, -1);
    say(b, message_new(MESSAGE_LOST, 0));
    assert_string_equal(bench_last(b, "[\"" DEVICE), published(0));
}

static void settings_go_by_the_quantities(void **state)
{
    bench *b = with_meter(state);
    char part[64];

    assert_contains(
        ask(b, "[\"" DEVICE "/config/set\", {\"offset\": {\"%s\": 10}, \"delta\": 2}]", LAST),
        "\"delta\": {\"first\": 2");
    snprintf(part, sizeof(part), "\"%s\": 10}", LAST);
    assert_contains(ask(b, "[\"" DEVICE "/config/get\", {}]"), part);
    measure(b, -1);
    snprintf(part, sizeof(part), "\"%s\": [%.*f, ", LAST, quantities[N - 1].decimals, N + 10.0);
    assert_contains(bench_last(b, "[\"" DEVICE), part);
    /* Only the first has a delta, and it has not moved. */
    measure(b, -1);
    assert_int_equal(bench_published(b, "[\"" DEVICE), 1);
}

static void a_wrong_offset_is_answered_with_all_names(void **state)
{
    bench *b = with_meter(state);
    const char *answer = ask(b, "[\"" DEVICE "/config/set\", {\"offset\": {\"none\": 1}}]");

    for (int i = 0; i < N; i++) {
        assert_contains(answer, quantities[i].name);
    }
}

static void every_quantity_has_a_history(void **state)
{
    bench *b = with_meter(state);
    char part[64];

    measure(b, -1);
    const char *answer = ask(b, "[\"" DEVICE "/history/get\", {\"seconds\": 2, \"points\": 1}]");
    for (int i = 0; i < N; i++) {
        snprintf(part, sizeof(part), "\"%s\": {\"min\": [%d", quantities[i].name, i + 1);
        assert_contains(answer, part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(every_quantity_is_published),
        BENCH_TEST(a_failure_takes_back_every_quantity),
        BENCH_TEST(settings_go_by_the_quantities),
        BENCH_TEST(a_wrong_offset_is_answered_with_all_names),
        BENCH_TEST(every_quantity_has_a_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
