/*
 * The hub with a house full of devices: intervals are kept, and what is plugged and unplugged at
 * any moment comes back, without a wrong value ever being published.
 */
#include "hub_bench.h"

typedef struct fitting {
    const char *chip, *topic;
    uint8_t address;
    const char *value; /* the only payload, but for null, that may be published; NULL: any */
} fitting;

#define LIST         "[\"-/-/config/list\", {}]"
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void fit(bench *b, const fitting *fittings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(sim_add(b->sim[0], fittings[i].chip, fittings[i].address));
    }
    b->time += 1000000; /* they have had power for a while */
}

/* ---- intervals ---- */

static const fitting eight[] = {
    {"tmp112", "thermometer/i2c0-48", 0x48, NULL},
    {"tmp112", "thermometer/i2c0-49", 0x49, NULL},
    {"opt3001", "lux-meter/i2c0-44", 0x44, NULL},
    {"opt3001", "lux-meter/i2c0-45", 0x45, NULL},
    {"hdc2080", "humidity-sensor/i2c0-40", 0x40, NULL},
    {"hdc2080", "humidity-sensor/i2c0-41", 0x41, NULL},
    {"hts221", "humidity-sensor/i2c0-5f", 0x5f, NULL},
    {"mpl3115a2", "barometer/i2c0-60", 0x60, NULL},
};

/* The greatest deviation of a topic's publications from one per second, in microseconds. */
static int64_t worst_interval(const bench *b, const char *topic, unsigned *count)
{
    char beginning[64];
    int64_t before = 0, worst = 0;

    snprintf(beginning, sizeof beginning, "[\"%s\"", topic);
    *count = 0;
    for (size_t i = 0; i < b->n_lines; i++) {
        const line *line = &b->lines[i];

        if (line->kind != LINE_PUBLICATION || strncmp(line->text, beginning, strlen(beginning))) {
            continue;
        }
        if ((*count)++ > 0 && llabs(line->time - before - 1000000) > worst) {
            worst = llabs(line->time - before - 1000000);
        }
        before = line->time;
    }
    return worst;
}

/*
 * Eight sensors at one second on one bus, where each transfer takes a millisecond, and a relay that
 * clicks.
 */
static void eight_sensors_keep_their_intervals(void **state)
{
    bench *b = *state;

    fit(b, eight, COUNT(eight));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    for (size_t i = 0; i < COUNT(eight); i++) {
        sim_set_fault(b->sim[0], eight[i].address, SIM_SLOW, 0.001);
    }
    b->node.rescan = 7;
    bench_start(b);
    bench_run(b, 10);
    bench_clear(b);
    for (int i = 0; i < 75; i++) {
        bench_request(b, ALL_RIGHTS,
                      i % 2 ? "[\"relay/i2c0-3b/set\", {\"state\": true}]"
                            : "[\"relay/i2c0-3b/set\", {\"state\": false}]");
        bench_run(b, 0.5 + 0.1 * (i % 7)); /* at another moment each time */
    }
    for (size_t i = 0; i < COUNT(eight); i++) {
        unsigned count;
        const int64_t worst = worst_interval(b, eight[i].topic, &count);

        print_message("# %s: %u publications, at most %.1f ms off\n", eight[i].topic, count,
                      (double)worst / 1000);
        assert_in_range(count, 59, 61);
        assert_true(worst <= 50000);
    }
}

/* ---- coming and going ---- */

static const fitting house[] = {
    {"tmp112", "thermometer/i2c0-48", 0x48, "{\"temperature\": [21.50, "},
    {"opt3001", "lux-meter/i2c0-44", 0x44, "{\"illuminance\": [600."},
    {"hts221", "humidity-sensor/i2c0-5f", 0x5f, "{\"relative-humidity\": [45.0, "},
    {"hdc2080", "humidity-sensor/i2c0-41", 0x41, "{\"relative-humidity\": [45.0, "},
    {"sht20", "humidity-sensor/i2c0-40", 0x40, "{\"relative-humidity\": [45.0, "},
    {"mpl3115a2", "barometer/i2c0-60", 0x60, "{\"pressure\": [101.325, "},
    {"co2-module", "co2-sensor/i2c0-38", 0x38, "{\"concentration\": [600, "},
    {"relay-module", "relay/i2c0-3b", 0x3b, "{\"state\": true}"},
    {"ssd1306", "display-oled/i2c0-3c", 0x3c, "{\"line-0\": \"hello\", "},
};

/* Whether a publication says what is true, or that nothing is known. */
static void assert_true_or_null(const char *text)
{
    for (size_t i = 0; i < COUNT(house); i++) {
        const size_t length = strlen(house[i].topic);

        if (strncmp(text + 2, house[i].topic, length) || text[2 + length] != '"') {
            continue;
        }
        if (!strstr(text, house[i].value) && !strstr(text, "null")) {
            fail_msg("a wrong value: %s", text);
        }
        return;
    }
}

/* A repeatable draw from 0 to `most` seconds. */
static double draw(uint32_t *seed, double most)
{
    *seed = *seed * 1664525u + 1013904223u;
    return most * (*seed >> 8) / (1u << 24);
}

static void a_hundred_pluggings_lose_nothing_and_show_nothing_wrong(void **state)
{
    bench *b = *state;
    uint32_t seed = 20260131;
    const char *list;

    fit(b, house, COUNT(house));
    b->node.rescan = 5;
    bench_start(b);
    assert_contains(bench_ask(b, "[\"relay/i2c0-3b/set\", {\"state\": true}]"), "true");
    assert_contains(bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"hello\"}]"),
                    "hello");
    bench_run(b, 100);
    bench_clear(b);
    for (int i = 0; i < 100 * (int)COUNT(house); i++) {
        const uint8_t address = house[(size_t)i % COUNT(house)].address;

        bench_run(b, draw(&seed, 1.5));
        sim_unplug(b->sim[0], address);
        bench_run(b, draw(&seed, 8));
        sim_plug(b->sim[0], address);
        bench_run(b, draw(&seed, 1.5));
        for (size_t k = 0; k < b->n_lines; k++) {
            if (b->lines[k].kind == LINE_PUBLICATION) {
                assert_true_or_null(b->lines[k].text);
            }
        }
        bench_clear(b);
    }
    bench_run(b, 120);
    list = bench_ask(b, LIST);
    for (size_t i = 0; i < COUNT(house); i++) {
        assert_contains(list, house[i].topic);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(eight_sensors_keep_their_intervals),
        BENCH_TEST(a_hundred_pluggings_lose_nothing_and_show_nothing_wrong),
    };

    return cmocka_run_group_tests_name("hub_house", tests, NULL, NULL);
}
