/* What becomes of a request whose hub has gone (src/handlers/repeat.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/repeat.h"

#include <json-c/json.h>

static void what_only_reads_is_asked_again(void **state)
{
    static const struct {
        talk_form form;
        ct_repetition repetition;
    } rows[] = {
        {TALK_OPENING, CT_REPEAT},    {TALK_LIST, CT_REPEAT},        {TALK_GET, CT_REPEAT},
        {TALK_CONFIG_GET, CT_REPEAT}, {TALK_HISTORY_GET, CT_REPEAT}, {TALK_I2C_SCAN, CT_REPEAT},
        {TALK_SET, CT_VERIFY},        {TALK_CONFIG_SET, CT_VERIFY},  {TALK_PULSE_SET, CT_NEVER},
        {TALK_I2C_GET, CT_NEVER},     {TALK_I2C_SET, CT_NEVER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(ct_repetition_of(rows[i].form), rows[i].repetition);
    }
}

static void what_was_set_is_asked_for(void **state)
{
    char topic[TALK_MAX_TOPIC + 1];

    (void)state;
    ct_topic_that_verifies("relay/i2c0-3b/set", topic);
    assert_string_equal(topic, "relay/i2c0-3b/get");
    ct_topic_that_verifies("lux-meter/i2c0-44/config/update", topic);
    assert_string_equal(topic, "lux-meter/i2c0-44/config/get");
}

static bool has_succeeded(const char *asked, const char *answer)
{
    json_object *payload = json_tokener_parse(asked);
    const bool succeeded = ct_set_has_succeeded(payload, answer, strlen(answer));

    json_object_put(payload);
    return succeeded;
}

static void it_has_succeeded_where_the_state_is_as_asked(void **state)
{
    (void)state;
    assert_true(has_succeeded("{\"state\": true}", "[\"relay/i2c0-3b\", {\"state\": true}]\n"));
    assert_false(has_succeeded("{\"state\": true}", "[\"relay/i2c0-3b\", {\"state\": false}]\n"));
    assert_false(has_succeeded("{\"state\": true}", "[\"relay/i2c0-3b\", {\"state\": null}]\n"));
    assert_true(has_succeeded("{\"line-0\": \"a\"}",
                              "[\"display-oled/i2c0-3c\", {\"line-0\": \"a\", \"line-1\": \"\"}, "
                              "{\"id\": 1}]\n"));
    assert_true(has_succeeded("{\"publish-interval\": 5, \"delta\": null}",
                              "[\"lux-meter/i2c0-44/config/ok\", {\"publish-interval\": 5.0}]\n"));
    assert_true(has_succeeded("{}", "[\"relay/i2c0-3b\", {\"state\": true}]\n"));
    assert_true(ct_set_has_succeeded(NULL, "[\"led/-\", {}]\n", 14));
    assert_false(has_succeeded("{\"delta\": null}",
                               "[\"lux-meter/i2c0-44/config/ok\", {\"delta\": 0.5}]\n"));
}

static void an_error_is_no_success(void **state)
{
    (void)state;
    assert_false(has_succeeded("{\"state\": true}",
                               "[\"relay/i2c0-3b/error\", {\"error\": \"unknown-device\", "
                               "\"message\": \"no relay\"}]\n"));
    assert_false(has_succeeded("{\"state\": true}", "garbled\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_reads_is_asked_again),
        cmocka_unit_test(what_was_set_is_asked_for),
        cmocka_unit_test(it_has_succeeded_where_the_state_is_as_asked),
        cmocka_unit_test(an_error_is_no_success),
    };

    return cmocka_run_group_tests_name("requests whose hub has gone", tests, NULL, NULL);
}
