/* Topics of requests and the addresses in them. */
#include "talk/talk.h"

#include <json-c/json.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static talk_error parse_topic(const char *text, talk_topic *topic, char *why)
{
    talk_message message;
    char line[256];
    talk_error error;
    int length = snprintf(line, sizeof line, "[\"%s\", {}]", text);

    error = talk_message_parse(&message, line, (size_t)length, why, TALK_MAX_WHY);
    *topic = message.topic;
    talk_message_clear(&message);
    return error;
}

static const struct {
    const char *text;
    talk_form form;
    const char *device, *type, *address;
} known[] = {
    {"clown.talk/-/config/set", TALK_OPENING, "clown.talk/-", "clown.talk", "-"},
    {"-/-/config/list", TALK_LIST, "-/-", "-", "-"},
    {"-/-/config/get", TALK_LIST, "-/-", "-", "-"},
    {"thermometer/i2c0-48/get", TALK_GET, "thermometer/i2c0-48", "thermometer", "i2c0-48"},
    {"led/-/get", TALK_GET, "led/-", "led", "-"},
    {"co2-sensor/i2c1-38/get", TALK_GET, "co2-sensor/i2c1-38", "co2-sensor", "i2c1-38"},
    {"relay/i2c0-3b/set", TALK_SET, "relay/i2c0-3b", "relay", "i2c0-3b"},
    {"relay/i2c0-3B/set", TALK_SET, "relay/i2c0-3b", "relay", "i2c0-3b"},
    {"relay/i2c12-5F-10/set", TALK_SET, "relay/i2c12-5f-10", "relay", "i2c12-5f-10"},
    {"x/i2c99-7f-99/get", TALK_GET, "x/i2c99-7f-99", "x", "i2c99-7f-99"},
    {"a-1/i2c0-00-0/get", TALK_GET, "a-1/i2c0-00-0", "a-1", "i2c0-00-0"},
    {"relay/i2c0-3b/config/get", TALK_CONFIG_GET, "relay/i2c0-3b", "relay", "i2c0-3b"},
    {"relay/i2c0-3b/config/list", TALK_CONFIG_GET, "relay/i2c0-3b", "relay", "i2c0-3b"},
    {"relay/i2c0-3b/config/set", TALK_CONFIG_SET, "relay/i2c0-3b", "relay", "i2c0-3b"},
    {"relay/i2c0-3b/config/update", TALK_CONFIG_SET, "relay/i2c0-3b", "relay", "i2c0-3b"},
    {"relay/i2c0-20-7/pulse/set", TALK_PULSE_SET, "relay/i2c0-20-7", "relay", "i2c0-20-7"},
    {"barometer/i2c0-60/history/get", TALK_HISTORY_GET, "barometer/i2c0-60", "barometer",
     "i2c0-60"},
    {"i2c/0/config/scan", TALK_I2C_SCAN, "i2c/0", "i2c", "0"},
    {"i2c/1/get", TALK_I2C_GET, "i2c/1", "i2c", "1"},
    {"i2c/99/set", TALK_I2C_SET, "i2c/99", "i2c", "99"},
};

static void known_forms_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        talk_topic topic;
        char why[TALK_MAX_WHY];

        print_message("# %s\n", known[i].text);
        assert_int_equal(parse_topic(known[i].text, &topic, why), TALK_OK);
        assert_int_equal(topic.form, known[i].form);
        assert_string_equal(topic.text, known[i].text);
        assert_string_equal(topic.device, known[i].device);
        assert_string_equal(topic.type, known[i].type);
        assert_string_equal(topic.address, known[i].address);
    }
}

static const struct {
    const char *text, *why;
} unknown[] = {
    /* the number of levels */
    {"", "3 to 4 levels"},
    {"/", "3 to 4 levels"},
    {"boot", "3 to 4 levels"},
    {"led/-", "3 to 4 levels"},
    {"relay/i2c0-3b/config/set/now", "3 to 4 levels"},
    {"////", "3 to 4 levels"},
    /* TYPE */
    {"//", "first level must be of a-z"},
    {"/-/get", "first level must be of a-z"},
    {"Relay/i2c0-3b/get", "first level must be of a-z"},
    {"+/i2c0-3b/get", "first level must be of a-z"},
    {"#/-/get", "first level must be of a-z"},
    {" led/-/get", "first level must be of a-z"},
    {"led /-/get", "first level must be of a-z"},
    {"led\\n/-/get", "first level must be of a-z"},
    {"l\xc3\xa9"
     "d/-/get",
     "first level must be of a-z"},
    {"clown.talks/-/config/set", "first level must be of a-z"},
    /* ADDR */
    {"led//get", "led/ must be followed by - or an address like i2c0-3b"},
    {"led/+/get", "led/ must be followed by"},
    {"led/--/get", "led/ must be followed by"},
    {"relay/i2c0-80/get", "relay/ must be followed by"},
    {"relay/i2c0-3/get", "relay/ must be followed by"},
    {"relay/I2C0-3b/get", "relay/ must be followed by"},
    {"clown.talk/i2c0-3b/config/set", "clown.talk/ must be followed by -"},
    {"-/i2c0-3b/config/list", "-/ must be followed by -"},
    {"i2c/-/config/scan", "label of a bus, 0 to 99"},
    {"i2c//config/scan", "label of a bus, 0 to 99"},
    {"i2c/100/config/scan", "label of a bus, 0 to 99"},
    {"i2c/00/config/scan", "label of a bus, 0 to 99"},
    {"i2c/0x/config/scan", "label of a bus, 0 to 99"},
    {"i2c/i2c0-3b/get", "label of a bus, 0 to 99"},
    /* what is asked for */
    {"led/-/", "led/-/ must be followed by one of get, set, config/get"},
    {"led/-/Set", "led/-/ must be followed by one of get, set, config/get"},
    {"led/-/set ", "led/-/ must be"},
    {"led/-/set/", "led/-/ must be"},
    {"led/-/error", "led/-/ must be"},
    {"led/-/config", "led/-/ must be"},
    {"led/-/config/ok", "led/-/ must be"},
    {"led/-/config/scan", "led/-/ must be"},
    {"led/-/config/+", "led/-/ must be"},
    {"relay/i2c0-3B/pulse/get", "relay/i2c0-3b/ must be"},
    {"relay/i2c0-3b/history/set", "relay/i2c0-3b/ must be"},
    {"clown.talk/-/config/get", "clown.talk/-/ must be followed by one of config/set"},
    {"clown.talk/-/set", "clown.talk/-/ must be"},
    {"-/-/config/set", "-/-/ must be followed by one of config/list, config/get"},
    {"-/-/get", "-/-/ must be"},
    {"i2c/0/config/get", "i2c/0/ must be followed by one of config/scan, get, set"},
    {"i2c/0/pulse/set", "i2c/0/ must be"},
};

static void unknown_forms_say_what_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        talk_topic topic;
        char why[TALK_MAX_WHY];

        print_message("# %s\n", unknown[i].text);
        assert_int_equal(parse_topic(unknown[i].text, &topic, why), TALK_UNKNOWN_TOPIC);
        assert_int_equal(topic.form, TALK_FORM_UNKNOWN);
        if (strchr(unknown[i].text, '\\') == NULL) {
            assert_string_equal(topic.text, unknown[i].text);
        }
        assert_string_equal(topic.device, "");
        assert_string_equal(topic.type, "");
        assert_string_equal(topic.address, "");
        if (strstr(why, unknown[i].why) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", why, unknown[i].why);
        }
    }
}

/* Every address there is, in both cases, is read and written again. */
static void every_address_has_one_name(void **state)
{
    (void)state;
    for (int bus = 0; bus <= 99; bus++) {
        for (int chip = 0; chip <= 0x7f; chip++) {
            for (int channel = -1; channel <= 99; channel += channel < 10 ? 1 : 89) {
                talk_address address;
                char lower[32], upper[32], out[TALK_MAX_ADDRESS];
                char suffix[8] = "";

                if (channel >= 0) {
                    snprintf(suffix, sizeof suffix, "-%d", channel);
                }
                snprintf(lower, sizeof lower, "i2c%d-%02x%s", bus, chip, suffix);
                snprintf(upper, sizeof upper, "i2c%d-%02X%s", bus, chip, suffix);
                assert_true(talk_address_parse(upper, &address));
                assert_true(talk_address_parse(lower, &address));
                assert_true(address.on_bus);
                assert_int_equal(address.bus, bus);
                assert_int_equal(address.chip, chip);
                assert_int_equal(address.channel, channel);
                talk_address_format(&address, out);
                assert_string_equal(out, lower);
            }
        }
    }
}

static void a_dash_is_no_bus(void **state)
{
    talk_address address = {.on_bus = true};
    char out[TALK_MAX_ADDRESS];
    (void)state;

    assert_true(talk_address_parse("-", &address));
    assert_false(address.on_bus);
    talk_address_format(&address, out);
    assert_string_equal(out, "-");
}

static const char *const no_addresses[] = {
    "",           " ",          "--",          "0",          "i",
    "i2",         "i2c",        "i2c0",        "i2c0-",      "i2c0-3",
    "i2c-3b",     "i2c0 -3b",   " i2c0-3b",    "i2c0-3b ",   "i2c0-3bx",
    "i2c0-3g",    "i2c0-g3",    "i2c0-80",     "i2c0-ff",    "i2c0-03b",
    "i2c0-0x3b",  "i2c00-3b",   "i2c01-3b",    "i2c100-3b",  "i2c4294967296-3b",
    "i2c-1-3b",   "i2c+0-3b",   "i2c0-3b-",    "i2c0-3b--1", "i2c0-3b-x",
    "i2c0-3b-00", "i2c0-3b-01", "i2c0-3b-100", "i2c0-3b-7-", "i2c0-3b-7-7",
    "I2c0-3b",    "i2C0-3b",    "spi0-3b",     "i2c0_3b",    "i2c0--3",
    "i2c0-+3",    "i2c0- 3",
};

static void nothing_else_is_an_address(void **state)
{
    talk_address address;
    (void)state;

    for (size_t i = 0; i < sizeof no_addresses / sizeof *no_addresses; i++) {
        if (talk_address_parse(no_addresses[i], &address)) {
            fail_msg("\"%s\" was taken", no_addresses[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_forms_are_taken_apart),
        cmocka_unit_test(unknown_forms_say_what_is_allowed),
        cmocka_unit_test(every_address_has_one_name),
        cmocka_unit_test(a_dash_is_no_bus),
        cmocka_unit_test(nothing_else_is_an_address),
    };

    return cmocka_run_group_tests_name("talk_topic", tests, NULL, NULL);
}
