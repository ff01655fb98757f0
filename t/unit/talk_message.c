/*
 * Messages that come in: what is JSON, what is Clown.Talk, and what is still known after a refusal.
 */
#include "talk/talk.h"

#include <json-c/json.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads a message out of memory of its very size, so that a sanitizer sees a byte too many. */
static talk_error parse(talk_message *message, const char *text, size_t length, char *why)
{
    char *copy = malloc(length ? length : 1);
    talk_error error;

    assert_non_null(copy);
    memcpy(copy, text, length);
    strcpy(why, "untouched");
    error = talk_message_parse(message, copy, length, why, TALK_MAX_WHY);
    free(copy);
    if (error == TALK_OK) {
        assert_string_equal(why, "untouched");
    }
    return error;
}

static talk_error parse_text(talk_message *message, const char *text, char *why)
{
    return parse(message, text, strlen(text), why);
}

/* The id as it is sent again; "" where there is none. */
static void assert_id(struct json_object *id, const char *expected)
{
    talk_text out = {0};
    char line[256];

    talk_write(&out, "x", NULL, id);
    snprintf(line, sizeof line, "[\"x\", {}%s%s%s]\n", *expected ? ", {\"id\": " : "", expected,
             *expected ? "}" : "");
    assert_string_equal(out.data, line);
    talk_text_free(&out);
}

static void a_message_is_taken_apart(void **state)
{
    static const char text[] = "[\"relay/i2c0-3B/set\", {\"state\": true}, {\"id\": 7}]";
    talk_message message;
    char why[TALK_MAX_WHY];
    (void)state;

    assert_int_equal(parse_text(&message, text, why), TALK_OK);
    assert_int_equal(message.topic.form, TALK_SET);
    assert_string_equal(message.topic.text, "relay/i2c0-3B/set");
    assert_string_equal(message.topic.device, "relay/i2c0-3b");
    assert_true(json_object_get_boolean(json_object_object_get(message.payload, "state")));
    assert_int_equal(json_object_get_int(message.id), 7);
    talk_message_clear(&message);
    assert_null(message.payload);
    assert_null(message.id);
    talk_message_clear(&message); /* twice does no harm */
}

static void white_space_is_allowed_around_everything(void **state)
{
    static const char text[] =
        " \t\r\n[ \"led/-/set\"\t,\r{ \"state\" : \"on\" , \"x\" : [ 1 , 2 ] }\n"
        ", { \"id\" : \"a\" } ] \r\n\t ";
    talk_message message;
    char why[TALK_MAX_WHY];
    (void)state;

    assert_int_equal(parse_text(&message, text, why), TALK_OK);
    assert_int_equal(json_object_object_length(message.payload), 2);
    assert_id(message.id, "\"a\"");
    talk_message_clear(&message);
}

typedef struct refusal {
    const char *text;
    talk_error error;
    const char *topic; /* what the answer is named after */
    const char *id;    /* what it carries */
    const char *why;   /* a part of the sentence */
} refusal;

static const refusal refusals[] = {
    /* no array of two or three */
    {"", TALK_MALFORMED, "", "", "must be [topic, payload]"},
    {" ", TALK_MALFORMED, "", "", "must be [topic, payload]"},
    {"hello", TALK_MALFORMED, "", "", "must be [topic, payload]"},
    {"{}", TALK_MALFORMED, "", "", "must be [topic, payload]"},
    {"\"led/-/get\"", TALK_MALFORMED, "", "", "must be [topic, payload]"},
    {"\xef\xbb\xbf[\"led/-/get\", {}]", TALK_MALFORMED, "", "", "must be [topic, payload]"},
    {"[]", TALK_MALFORMED, "", "", "must be [topic, payload]"},
    {"[\"led/-/get\"]", TALK_MALFORMED, "led/-/get", "", "must be [topic, payload]"},
    {"[\"led/-/get\", {}, {\"id\": 7}, {}]", TALK_MALFORMED, "led/-/get", "7", "must be [topic, p"},
    /* elements of the wrong type */
    {"[7, {}, {\"id\": 7}]", TALK_MALFORMED, "", "7", "topic, must be a string"},
    {"[null, {}]", TALK_MALFORMED, "", "", "topic, must be a string"},
    {"[\"led/-/get\", [], {\"id\": 7}]", TALK_MALFORMED, "led/-/get", "7", "payload, must be"},
    {"[\"led/-/get\", null]", TALK_MALFORMED, "led/-/get", "", "payload, must be an object"},
    {"[\"led/-/get\", \"on\"]", TALK_MALFORMED, "led/-/get", "", "payload, must be an object"},
    {"[\"led/-/get\", {}, null]", TALK_MALFORMED, "led/-/get", "", "parameters, must be an object"},
    {"[\"led/-/get\", {}, 7]", TALK_MALFORMED, "led/-/get", "", "parameters, must be an object"},
    {"[\"led/-/get\", {}, [{\"id\": 7}]]", TALK_MALFORMED, "led/-/get", "", "parameters, must be"},
    /* ids that are none */
    {"[\"led/-/get\", {}, {\"id\": null}]", TALK_MALFORMED, "led/-/get", "", "id must be a string"},
    {"[\"led/-/get\", {}, {\"id\": true}]", TALK_MALFORMED, "led/-/get", "", "id must be a string"},
    {"[\"led/-/get\", {}, {\"id\": {}}]", TALK_MALFORMED, "led/-/get", "", "id must be a string"},
    {"[\"led/-/get\", {}, {\"id\": [7]}]", TALK_MALFORMED, "led/-/get", "", "id must be a string"},
    {"[\"led/-/get\", {}, {\"id\": 7, \"id\": false}]", TALK_MALFORMED, "led/-/get", "", "id must"},
    /* no JSON: what came before the mistake is still known */
    {"[\"led/-/get\", {}", TALK_MALFORMED, "led/-/get", "",
     "at byte 17: a comma or ] was expected"},
    {"[\"led/-/get\", {\"state\": tru}]", TALK_MALFORMED, "led/-/get", "", "at byte 25: a value"},
    {"[\"led/-/get\", {}, {\"id\": 7}", TALK_MALFORMED, "led/-/get", "7", "a comma or ] was exp"},
    {"[\"led/-/get\", {}, {\"id\": 7}] x", TALK_MALFORMED, "led/-/get", "7", "something follows"},
    {"[\"led/-/get\", {}][\"led/-/get\", {}]", TALK_MALFORMED, "led/-/get", "",
     "something follows"},
    {"[\"led/-/get", TALK_MALFORMED, "", "", "at byte 12: a string has no end"},
    {"[\"led/-/get\" {}]", TALK_MALFORMED, "led/-/get", "",
     "at byte 14: a comma or ] was expected"},
    /* topics */
    {"[\"\", {}, {\"id\": 7}]", TALK_UNKNOWN_TOPIC, "", "7", "3 to 4 levels"},
    {"[\"boot\", {}, {\"id\": 7}]", TALK_UNKNOWN_TOPIC, "boot", "7", "3 to 4 levels"},
    {"[\"led/-/sett\", {}]", TALK_UNKNOWN_TOPIC, "led/-/sett", "", "one of get, set, config/get"},
    {"[\"led/-/set\\n\", {}]", TALK_UNKNOWN_TOPIC, "led/-/set\n", "", "one of get, set"},
    {"[\"led/\xe2\x84\x83/set\", {}]", TALK_UNKNOWN_TOPIC, "led/\xe2\x84\x83/set", "",
     "an address"},
    {"[\"led/-/get\\u0000\", {}, {\"id\": 7}]", TALK_MALFORMED, "", "", "U+0000"},
};

static void a_refusal_says_what_was_wrong_and_what_could_be_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *expected = &refusals[i];
        talk_message message;
        char why[TALK_MAX_WHY];

        print_message("# %s\n", expected->text);
        assert_int_equal(parse_text(&message, expected->text, why), expected->error);
        assert_string_equal(message.topic.text, expected->topic);
        assert_id(message.id, expected->id);
        if (strstr(why, expected->why) == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", why, expected->why);
        }
        if (expected->error == TALK_MALFORMED) {
            assert_null(message.payload);
        } else {
            assert_non_null(message.payload);
        }
        talk_message_clear(&message);
    }
}

/* RFC 8259: values that are JSON, with the value that json-c has built. */
static const struct {
    const char *json, *built;
} values[] = {
    {"null", NULL},
    {"true", "true"},
    {"false", "false"},
    {"0", "0"},
    {"-0", "0"},
    {"-1", "-1"},
    {"1e5", "1e5"},
    {"1E+5", "1E+5"},
    {"0.5e-3", "0.5e-3"},
    {"-0.0", "-0.0"},
    {"9007199254740993", "9007199254740993"},
    {"18446744073709551615", "18446744073709551615"},
    {"\"\"", "\"\""},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
    {"\"\\u00e9\\u20AC\\ud83d\\ude00\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {"\"\\ud7ff\\ue000\\uffff\"", "\"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""},
    {"\"\x7f'/*\"", "\"\x7f'/*\""},
    {"[]", "[]"},
    {"[[],{}]", "[[],{}]"},
    {"{\"\":{\"a\":[]}}", "{\"\":{\"a\":[]}}"},
    {"{\"a\":1,\"a\":2}", "{\"a\":2}"}, /* duplicate keys: the last wins */
};

static void what_json_is_reaches_the_payload(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        talk_message message;
        char text[256], why[TALK_MAX_WHY];
        struct json_object *built;

        snprintf(text, sizeof text, "[\"led/-/set\", {\"x\": %s}]", values[i].json);
        print_message("# %s\n", text);
        assert_int_equal(parse_text(&message, text, why), TALK_OK);
        assert_true(json_object_object_get_ex(message.payload, "x", &built));
        if (values[i].built) {
            assert_string_equal(json_object_to_json_string_ext(
                                    built, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                                values[i].built);
        } else {
            assert_null(built);
        }
        talk_message_clear(&message);
    }
}

/* RFC 8259: values that are no JSON, many of which json-c's strict tokener takes. */
static const char *const no_values[] = {
    "",
    "NaN",
    "nan",
    "-NaN",
    "Infinity",
    "-Infinity",
    "inf",
    "undefined",
    "True",
    "TRUE",
    "False",
    "Null",
    "nul",
    "nulll",
    "truee",
    "00",
    "01",
    "-01",
    "-",
    "+1",
    "--1",
    "1.",
    ".5",
    "-.5",
    "1.e5",
    "1e",
    "1e+",
    "1e+-5",
    "0x10",
    "1_000",
    "1,000",
    "1.2.3",
    "1 2",
    "1-2",
    "1a",
    "'a'",
    "a",
    "\"a",
    "\"a\nb\"",
    "\"a\tb\"",
    "\"\x01\"",
    "\"\x1f\"",
    "\"\\x41\"",
    "\"\\'\"",
    "\"\\",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\U0041\"",
    "\"\\\n\"",
    "/* */ 1",
    "1 /* */",
    "// \n1",
    "1 # x",
    "\v1",
    "\f1",
    "1\xc2\xa0",
    "\xe2\x80\xa8",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1;2]",
    "[1}",
    "[1 2]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\"=1}",
    "{\"a\":1;\"b\":2}",
    "{'a':1}",
    "{a:1}",
    "{1:1}",
    "{null:1}",
    "{\"a\":1]",
    "{[]:1}",
    /* not written by anything but mischief, and cut short or changed by what comes after */
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "{\"state\\u0000\":1}",
    "\"\\ud800\"",
    "\"\\ud800\\ue000\"",
    "\"\\ud800\\uffff\"",
    "\"\\udfff\"",
    "\"\\ud800x\"",
    "\"\\ud800\\n\"",
    "\"\\ud800\\u0041\"",
    "\"\\ud800\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\u\"",
    "\"\\ud83d\\",
    "\"\\ud83d\\u12\"",
    "{\"\\ud800\":1}",
};

static void what_json_is_not_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof no_values / sizeof *no_values; i++) {
        talk_message message;
        char text[256], why[TALK_MAX_WHY];

        snprintf(text, sizeof text, "[\"led/-/set\", {\"x\": %s}, {\"id\": 7}]", no_values[i]);
        print_message("# case %zu\n", i);
        assert_int_equal(parse_text(&message, text, why), TALK_MALFORMED);
        assert_string_equal(message.topic.text, "led/-/set");
        assert_non_null(strstr(why, "not JSON at byte "));
        talk_message_clear(&message);
    }
}

static void a_nul_byte_is_malformed(void **state)
{
    static const char text[] = "[\"led/-/get\", {\"x\": \"a\"}]";
    (void)state;

    for (size_t i = 0; i <= sizeof text - 1; i++) {
        talk_message message;
        char with_nul[sizeof text], why[TALK_MAX_WHY];

        memcpy(with_nul, text, i);
        with_nul[i] = '\0';
        memcpy(with_nul + i + 1, text + i, sizeof text - 1 - i);
        assert_int_equal(parse(&message, with_nul, sizeof text, why), TALK_MALFORMED);
        talk_message_clear(&message);
    }
}

/* RFC 3629 section 4: are these n bytes one character? Written from its table, one line a row. */
static bool is_character(const unsigned char *c, size_t n)
{
#define IN(i, low, high) (c[i] >= (low) && c[i] <= (high))
    switch (n) {
    case 1:
        return IN(0, 0x00, 0x7f);
    case 2:
        return IN(0, 0xc2, 0xdf) && IN(1, 0x80, 0xbf);
    case 3:
        return (IN(0, 0xe0, 0xe0) && IN(1, 0xa0, 0xbf) && IN(2, 0x80, 0xbf)) ||
               (IN(0, 0xe1, 0xec) && IN(1, 0x80, 0xbf) && IN(2, 0x80, 0xbf)) ||
               (IN(0, 0xed, 0xed) && IN(1, 0x80, 0x9f) && IN(2, 0x80, 0xbf)) ||
               (IN(0, 0xee, 0xef) && IN(1, 0x80, 0xbf) && IN(2, 0x80, 0xbf));
    default:
        return (IN(0, 0xf0, 0xf0) && IN(1, 0x90, 0xbf) && IN(2, 0x80, 0xbf) && IN(3, 0x80, 0xbf)) ||
               (IN(0, 0xf1, 0xf3) && IN(1, 0x80, 0xbf) && IN(2, 0x80, 0xbf) && IN(3, 0x80, 0xbf)) ||
               (IN(0, 0xf4, 0xf4) && IN(1, 0x80, 0x8f) && IN(2, 0x80, 0xbf) && IN(3, 0x80, 0xbf));
    }
#undef IN
}

static bool is_utf8(const unsigned char *c, size_t n)
{
    for (size_t first = 1; first <= n; first++) {
        if (is_character(c, first) && is_utf8(c + first, n - first)) {
            return true;
        }
    }
    return n == 0;
}

static void check_utf8(const unsigned char *bytes, size_t n)
{
    char text[64], why[TALK_MAX_WHY];
    talk_message message;
    int length = snprintf(text, sizeof text, "[\"led/-/set\",{\"x\":\"%.*s\"}]", (int)n, bytes);
    bool good = is_utf8(bytes, n);

    if (talk_message_parse(&message, text, (size_t)length, why, sizeof why) !=
        (good ? TALK_OK : TALK_MALFORMED)) {
        fail_msg("%zu bytes %02x %02x %02x %02x are %s", n, bytes[0], bytes[1],
                 n > 2 ? bytes[2] : 0, n > 3 ? bytes[3] : 0, good ? "good" : "bad");
    }
    if (good) {
        const char *x = json_object_get_string(json_object_object_get(message.payload, "x"));
        assert_int_equal(strlen(x), n);
        assert_memory_equal(x, bytes, n);
    }
    talk_message_clear(&message);
}

/*
 * RFC 3629 section 4: every pair of lead and second byte, with third and fourth bytes at their
 * bounds.
 */
static void utf8_is_checked_to_its_bounds(void **state)
{
    static const unsigned char ends[] = {0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    unsigned char c[4];
    (void)state;

    for (unsigned lead = 0x80; lead <= 0xff; lead++) {
        for (unsigned second = 0x40; second <= 0xff; second++) {
            if (second == '\\') {
                continue; /* begins an escape */
            }
            c[0] = (unsigned char)lead;
            c[1] = (unsigned char)second;
            check_utf8(c, 2);
            for (size_t i = 0; i < sizeof ends; i++) {
                c[2] = ends[i];
                check_utf8(c, 3);
                for (size_t j = 0; j < sizeof ends; j++) {
                    c[3] = ends[j];
                    check_utf8(c, 4);
                }
            }
        }
    }
}

static const char whole[] =
    "[\"relay/i2c0-3b/set\",{\"a\":[1.5e3,\"\\ud83d\\ude00\xe2\x82\xac\",null,{\"b\":true}]},"
    "{\"id\":\"x\"}]";

static void a_message_cut_anywhere_is_malformed(void **state)
{
    (void)state;
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        talk_message message;
        char why[TALK_MAX_WHY];

        assert_int_equal(parse(&message, whole, length, why), TALK_MALFORMED);
        assert_string_equal(message.topic.text, length >= 20 ? "relay/i2c0-3b/set" : "");
        talk_message_clear(&message);
    }
}

/*
 * Whatever stands in the place of one byte, the scanner lets nothing pass that json-c would refuse.
 */
static void no_byte_makes_scanner_and_json_c_disagree(void **state)
{
    char text[sizeof whole];
    (void)state;

    for (size_t i = 0; i < sizeof whole - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            talk_message message;
            char why[TALK_MAX_WHY];

            memcpy(text, whole, sizeof whole);
            text[i] = (char)byte;
            if (parse(&message, text, sizeof whole - 1, why) != TALK_OK &&
                strstr(why, "json-c refuses")) {
                fail_msg("byte %zu as %02x: %s", i, byte, why);
            }
            talk_message_clear(&message);
        }
    }
}

/* Puts `depth` arrays into the payload, which is the message's second level. */
static talk_error parse_nested(size_t depth, char *why)
{
    talk_message message;
    char text[4096];
    size_t length = (size_t)sprintf(text, "[\"led/-/set\",{\"x\":");
    talk_error error;

    memset(text + length, '[', depth);
    memset(text + length + depth, ']', depth);
    length += 2 * depth;
    length += (size_t)sprintf(text + length, "}]");
    error = parse(&message, text, length, why);
    assert_string_equal(message.topic.text, "led/-/set");
    talk_message_clear(&message);
    return error;
}

static void nesting_is_bounded(void **state)
{
    char why[TALK_MAX_WHY];
    (void)state;

    assert_int_equal(parse_nested(TALK_MAX_DEPTH - 2, why), TALK_OK);
    assert_int_equal(parse_nested(TALK_MAX_DEPTH - 1, why), TALK_MALFORMED);
    assert_string_equal(why, "nested too deep: at most 8 arrays and objects");
    assert_int_equal(parse_nested(2000, why), TALK_MALFORMED);
}

/* Nesting is counted down again: many objects side by side are not deep. */
static void breadth_is_not_depth(void **state)
{
    char text[2048] = "[\"led/-/set\",{\"x\":[[]", why[TALK_MAX_WHY];
    talk_message message;
    (void)state;

    for (int i = 0; i < 100; i++) {
        strcat(text, i % 2 ? ",[]" : ",{\"a\":{}}");
    }
    strcat(text, "]}]");
    assert_int_equal(parse_text(&message, text, why), TALK_OK);
    talk_message_clear(&message);
}

/* Ids come back digit by digit. */
static const char *const ids[] = {
    "0",
    "7",
    "-7",
    "-0",
    "0.1",
    "-0.0",
    "1e3",
    "1E3",
    "1e+3",
    "1.50",
    "1e400",
    "-1e-400",
    "0.1000000000000000055511151231257827",
    "999999999999999999",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "-123456789012345678901234567890",
    "\"\"",
    "\"7\"",
    "\"a/b\"",
    "\"\\\\\\\"\\n\\r\\t\\u0001\"",
    "\"\xe2\x84\x83\xf0\x9f\x98\x80\"",
};

static void an_id_comes_back_as_it_came(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        talk_message message;
        char text[256], why[TALK_MAX_WHY];

        snprintf(text, sizeof text, "[\"led/-/get\", {}, {\"id\": %s}]", ids[i]);
        print_message("# %s\n", text);
        assert_int_equal(parse_text(&message, text, why), TALK_OK);
        assert_id(message.id, ids[i]);
        talk_message_clear(&message);
    }
}

static void escapes_in_an_id_are_read(void **state)
{
    talk_message message;
    char why[TALK_MAX_WHY];
    (void)state;

    assert_int_equal(
        parse_text(&message, "[\"led/-/get\",{},{\"id\":\"\\u0041\\/\\ud83d\\ude00\"}]", why),
        TALK_OK);
    assert_id(message.id, "\"A/\xf0\x9f\x98\x80\"");
    talk_message_clear(&message);
}

/* Of the parameters only the last member called "id" counts, however its name is written. */
static const struct {
    const char *parameters, *id;
} parameter_cases[] = {
    {"{}", ""},
    {"{\"ID\":1,\"i\":2,\"idd\":3,\"\":4}", ""},
    {"{\"a\":[{\"id\":1}],\"b\":{\"id\":2}}", ""},
    {"{\"a\":null,\"id\":7,\"b\":{\"id\":2}}", "7"},
    {"{\"id\":1,\"id\":\"b\"}", "\"b\""},
    {"{\"id\":null,\"id\":2}", "2"},
    {"{\"\\u0069d\":5}", "5"},
    {"{\"i\\u0064\":5}", "5"},
    {"{\"\\u0069\\u0064\":5}", "5"},
    {"{\"i\\u0065\":5,\"\\nd\":6,\"i\\u00c4\":7}", ""},
    {"{\"id\\u0020\":5}", ""},
    {"{\"\\n0069d\":5}", ""},
};

static void parameters_are_read_for_their_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parameter_cases / sizeof *parameter_cases; i++) {
        talk_message message;
        char text[256], why[TALK_MAX_WHY];

        snprintf(text, sizeof text, "[\"led/-/get\", {}, %s]", parameter_cases[i].parameters);
        print_message("# %s\n", text);
        assert_int_equal(parse_text(&message, text, why), TALK_OK);
        assert_id(message.id, parameter_cases[i].id);
        talk_message_clear(&message);
    }
}

/* Reads a message whose topic has `length` bytes. */
static talk_error parse_long_topic(talk_message *message, size_t length, char *why)
{
    char text[256];
    int n = snprintf(
        text, sizeof text, "[\"%.*s/-/get\",{},{\"id\":7}]", (int)length - 6,
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");

    return parse(message, text, (size_t)n, why);
}

static void a_topic_is_bounded(void **state)
{
    talk_message message;
    char why[TALK_MAX_WHY];
    (void)state;

    assert_int_equal(parse_long_topic(&message, TALK_MAX_TOPIC, why), TALK_OK);
    assert_int_equal(strlen(message.topic.text), TALK_MAX_TOPIC);
    assert_int_equal(strlen(message.topic.device), TALK_MAX_TOPIC - 4);
    talk_message_clear(&message);

    assert_int_equal(parse_long_topic(&message, TALK_MAX_TOPIC + 1, why), TALK_MALFORMED);
    assert_string_equal(why, "a topic must be at most 64 bytes, not 65");
    assert_string_equal(message.topic.text, "");
    assert_id(message.id, "7");
    assert_null(message.payload);
    talk_message_clear(&message);
}

static void escapes_in_a_topic_are_read(void **state)
{
    talk_message message;
    char why[TALK_MAX_WHY];
    (void)state;

    assert_int_equal(parse_text(&message, "[\"relay\\/i2c0-3\\u0062\\/\\u0067et\", {}]", why),
                     TALK_OK);
    assert_string_equal(message.topic.text, "relay/i2c0-3b/get");
    assert_string_equal(message.topic.device, "relay/i2c0-3b");
    talk_message_clear(&message);
}

static void an_explanation_fits_its_place(void **state)
{
    static const char text[] = "[\"led/-/sett\", {}]";
    char whole_why[TALK_MAX_WHY], why[TALK_MAX_WHY];
    talk_message message;
    (void)state;

    assert_int_equal(talk_message_parse(&message, text, strlen(text), NULL, 0), TALK_UNKNOWN_TOPIC);
    talk_message_clear(&message);
    talk_message_parse(&message, text, strlen(text), whole_why, sizeof whole_why);
    talk_message_clear(&message);
    for (size_t size = 1; size <= 40; size++) {
        memset(why, 'x', sizeof why);
        talk_message_parse(&message, text, strlen(text), why, size);
        assert_int_equal(strlen(why), size - 1);
        assert_memory_equal(why, whole_why, size - 1);
        talk_message_clear(&message);
    }
}

static void check_lines(const char *text, size_t size, const char *const *lines)
{
    const char *at = text, *line;
    size_t length;

    for (; *lines; lines++) {
        assert_true(talk_next_line(&at, text + size, &line, &length));
        assert_int_equal(length, strlen(*lines));
        assert_memory_equal(line, *lines, length);
    }
    assert_false(talk_next_line(&at, text + size, &line, &length));
    assert_ptr_equal(at, text + size);
}

#define LINES(text, ...) check_lines(text, sizeof text - 1, (const char *const[]){__VA_ARGS__})

static void lines_are_taken_one_by_one(void **state)
{
    (void)state;
    LINES("", NULL);
    LINES("\n", NULL);
    LINES("\n\r\n \t\r\n  ", NULL);
    LINES("a", "a", NULL);
    LINES("a\n", "a", NULL);
    LINES("a\r\n", "a", NULL);
    LINES("a\r", "a", NULL);
    LINES("a\r\r\n", "a\r", NULL);
    LINES("a\nb\nc", "a", "b", "c", NULL);
    LINES("\n\na\n\n \nb\n\n", "a", "b", NULL);
    LINES(" a \n\tb", " a ", "\tb", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_taken_apart),
        cmocka_unit_test(white_space_is_allowed_around_everything),
        cmocka_unit_test(a_refusal_says_what_was_wrong_and_what_could_be_read),
        cmocka_unit_test(what_json_is_reaches_the_payload),
        cmocka_unit_test(what_json_is_not_is_malformed),
        cmocka_unit_test(a_nul_byte_is_malformed),
        cmocka_unit_test(utf8_is_checked_to_its_bounds),
        cmocka_unit_test(a_message_cut_anywhere_is_malformed),
        cmocka_unit_test(no_byte_makes_scanner_and_json_c_disagree),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(breadth_is_not_depth),
        cmocka_unit_test(an_id_comes_back_as_it_came),
        cmocka_unit_test(escapes_in_an_id_are_read),
        cmocka_unit_test(parameters_are_read_for_their_id),
        cmocka_unit_test(a_topic_is_bounded),
        cmocka_unit_test(escapes_in_a_topic_are_read),
        cmocka_unit_test(an_explanation_fits_its_place),
        cmocka_unit_test(lines_are_taken_one_by_one),
    };

    return cmocka_run_group_tests_name("talk_message", tests, NULL, NULL);
}
