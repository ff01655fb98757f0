/* What a request costs (src/handlers/cost.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/cost.h"

static ct_cost cost_of(const char *line)
{
    talk_message message;
    char why[TALK_MAX_WHY];
    ct_cost cost;

    talk_message_parse(&message, line, strlen(line), why, sizeof why);
    cost = ct_cost_of(&message, strlen(line));
    talk_message_clear(&message);
    return cost;
}

static void what_asks_for_much_costs_more_than_a_get(void **state)
{
    static const struct {
        const char *line;
        unsigned units;
        bool bulk;
    } rows[] = {
        {"[\"relay/i2c0-3b/get\", {}]", 1, false},
        {"[\"relay/i2c0-3b/set\", {\"state\": true}]", 1, false},
        {"[\"thermometer/i2c0-48/config/get\", {}]", 1, false},
        {"[\"i2c/0/config/scan\", {}]", 4, false},
        {"[\"-/-/config/list\", {}]", 4, true},
        {"[\"clown.talk/-/config/set\", {}]", 4, true},
        {"[\"thermometer/i2c0-48/history/get\", {\"seconds\": 3600, \"points\": 1000}]", 16, true},
        {"[\"thermometer/i2c0-48/history/get\", {\"seconds\": 3600, \"points\": 200}]", 4, true},
        {"[\"thermometer/i2c0-48/history/get\", {\"seconds\": 60, \"points\": 1}]", 1, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(cost_of(rows[i].line).units, rows[i].units);
        assert_int_equal(cost_of(rows[i].line).bulk, rows[i].bulk);
    }
}

static void what_is_refused_costs_as_a_get_does(void **state)
{
    static const char *const lines[] = {
        "",
        "[",
        "[\"kettle/x/y/z\", {}]",
        "[\"thermometer/i2c0-48/history/get\", {}]",
        "[\"thermometer/i2c0-48/history/get\", {\"points\": 1001}]",
        "[\"thermometer/i2c0-48/history/get\", {\"points\": -1}]",
        "[\"thermometer/i2c0-48/history/get\", {\"points\": \"many\"}]",
        "[\"thermometer/i2c0-48/history/get\", {\"points\": 1e300}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(cost_of(lines[i]).units, 1);
    }
    assert_int_equal(ct_units_of_refusal(10), 1);
    assert_int_equal(ct_units_of_refusal(16384), 9);
}

/* The id of an opening comes back with each of its answers. */
static void bytes_count(void **state)
{
    char line[4096 + 64] = "[\"clown.talk/-/config/set\", {}, {\"id\": \"";
    const size_t head = strlen(line);
    size_t length;

    (void)state;
    memset(line + head, 'x', 4096);
    strcpy(line + head + 4096, "\"}]");
    length = strlen(line);
    assert_int_equal(cost_of(line).units, 4 + 16 * length / 2048);
    assert_int_equal(cost_of(line).bytes, 16 * (256 + length));
    memcpy(line, "[\"clown.talk/-/config/xxx", 25);
    assert_int_equal(cost_of(line).units, 1 + length / 2048);
    assert_int_equal(cost_of(line).bytes, 256 + length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_asks_for_much_costs_more_than_a_get),
        cmocka_unit_test(what_is_refused_costs_as_a_get_does),
        cmocka_unit_test(bytes_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
