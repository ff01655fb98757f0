/* Messages that go out: their look, and that they are JSON and UTF-8 whatever goes in. */
#include "talk/talk.h"

#include <json-c/json.h>

#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Checks the text and releases it. */
static void assert_text(talk_text *text, const char *expected)
{
    assert_non_null(text->data);
    assert_string_equal(text->data, expected);
    assert_int_equal(text->length, strlen(expected));
    assert_true(text->capacity > text->length);
    talk_text_free(text);
    assert_null(text->data);
}

static void assert_written(struct json_object *payload, const char *expected)
{
    talk_text out = {0};
    char line[1024];

    talk_write(&out, "t", payload, NULL);
    json_object_put(payload);
    snprintf(line, sizeof line, "[\"t\", %s]\n", expected);
    assert_text(&out, line);
}

static void a_message_looks_like_the_protocol(void **state)
{
    struct json_object *payload =
        json_tokener_parse("{\"state\":true,\"a\":[1,-2,[],{}],\"n\":null,\"f\":false,\"s\":\"a/"
                           "b\",\"o\":{\"x\":1.50}}");
    struct json_object *id = json_object_new_int(7);
    talk_text out = {0};
    (void)state;

    talk_write(&out, "relay/i2c0-3b", payload, id);
    talk_write(&out, "boot", NULL, NULL);
    talk_write_text(&out, "led/-", "{\"state\": \"on\"}", id);
    talk_write_text(&out, "led/-", "{\"state\": \"on\"}", NULL);
    json_object_put(payload);
    json_object_put(id);
    assert_text(&out, "[\"relay/i2c0-3b\", {\"state\": true, \"a\": [1, -2, [], {}], \"n\": null, "
                      "\"f\": false, \"s\": \"a/b\", \"o\": {\"x\": 1.50}}, {\"id\": 7}]\n"
                      "[\"boot\", {}]\n"
                      "[\"led/-\", {\"state\": \"on\"}, {\"id\": 7}]\n"
                      "[\"led/-\", {\"state\": \"on\"}]\n");
}

static void integers_are_written_whole(void **state)
{
    (void)state;
    assert_written(json_object_new_int64(0), "0");
    assert_written(json_object_new_int64(INT64_MIN), "-9223372036854775808");
    assert_written(json_object_new_int64(INT64_MAX), "9223372036854775807");
    assert_written(json_object_new_uint64(UINT64_MAX), "18446744073709551615");
}

static void doubles_are_written_short_and_exact(void **state)
{
    (void)state;
    assert_written(json_object_new_double(0.1), "0.1");
    assert_written(json_object_new_double(5), "5");
    assert_written(json_object_new_double(86400), "86400");
    assert_written(json_object_new_double(-0.25), "-0.25");
    assert_written(json_object_new_double(1e300), "1e+300");
    assert_written(json_object_new_double(1e-7), "1e-07");
    assert_written(json_object_new_double(0.1 + 0.2), "0.30000000000000004");
    assert_written(json_object_new_double(DBL_MAX), "1.7976931348623157e+308");
    assert_written(json_object_new_double(DBL_TRUE_MIN), "4.94065645841247e-324");
    assert_written(json_object_new_double(NAN), "null");
    assert_written(json_object_new_double(INFINITY), "null");
    assert_written(json_object_new_double(-INFINITY), "null");
    assert_written(json_object_new_double_s(0.1, "1.0e-1"), "1.0e-1");
}

static void assert_string_written(const char *bytes, const char *expected)
{
    assert_written(json_object_new_string(bytes), expected);
}

static void strings_are_json_and_utf8_whatever_they_hold(void **state)
{
    char every[129], expected[1024] = "\"";
    (void)state;

    assert_string_written("", "\"\"");
    assert_string_written("\xe2\x84\x83 \xf0\x9f\x98\x80", "\"\xe2\x84\x83 \xf0\x9f\x98\x80\"");
    assert_string_written("a\"b\\c/d\n\r\t\b\x1f\x7f",
                          "\"a\\\"b\\\\c/d\\n\\r\\t\\u0008\\u001f\x7f\"");
    assert_string_written("\xff", "\"\xef\xbf\xbd\"");
    assert_string_written("a\xc3", "\"a\xef\xbf\xbd\"");
    assert_string_written("\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string_written("\xed\xa0\x80!", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\"");
    assert_string_written("\xe2\x84", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_written(json_object_new_string_len("a\0b", 3), "\"a\\u0000b\"");
    for (int i = 0; i < 128; i++) { /* none of these stands alone in UTF-8 */
        every[i] = (char)(0xff - i);
        strcat(expected, "\xef\xbf\xbd");
    }
    every[128] = '\0';
    assert_string_written(every, strcat(expected, "\""));
}

static void names_and_topics_are_escaped_too(void **state)
{
    struct json_object *payload = json_object_new_object();
    talk_text out = {0};
    (void)state;

    json_object_object_add(payload, "a\"\n\xff", NULL);
    talk_write(&out, "t\"\n\xff", payload, NULL);
    json_object_put(payload);
    assert_text(&out, "[\"t\\\"\\n\xef\xbf\xbd\", {\"a\\\"\\n\xef\xbf\xbd\": null}]\n");
}

static void errors_are_named_after_the_request(void **state)
{
    static const char *const topics[][2] = {
        {"relay/i2c0-77/set", "relay/i2c0-77/error"},
        {"thermometer/i2c0-48/config/set", "thermometer/i2c0-48/config/error"},
        {"boot", "error"},
        {"/", "/error"},
        {"a//", "a//error"},
        {"", "-/-/error"},
        {NULL, "-/-/error"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        talk_text out = {0};
        char expected[256];

        talk_write_error(&out, topics[i][0], NULL, TALK_BUSY, "%d requests wait", 16);
        snprintf(expected, sizeof expected,
                 "[\"%s\", {\"error\": \"busy\", \"message\": \"16 requests wait\"}]\n",
                 topics[i][1]);
        assert_text(&out, expected);
    }
}

static void an_error_carries_the_id(void **state)
{
    struct json_object *id = json_object_new_string("x");
    talk_text out = {0};
    (void)state;

    talk_write_error(&out, "relay/i2c0-77/set", id, TALK_UNKNOWN_DEVICE,
                     "no relay at %s; see -/-/config/list", "i2c0-77");
    json_object_put(id);
    assert_text(&out, "[\"relay/i2c0-77/error\", {\"error\": \"unknown-device\", \"message\": "
                      "\"no relay at i2c0-77; see -/-/config/list\"}, {\"id\": \"x\"}]\n");
}

static void every_error_has_its_name(void **state)
{
    static const char *const names[] = {
        NULL,
        "malformed",
        "not-initialized",
        "unknown-topic",
        "unknown-device",
        "bad-payload",
        "forbidden",
        "busy",
        "rate-limited",
        "io-error",
        "timeout",
        "unavailable",
    };
    (void)state;

    assert_int_equal(TALK_UNAVAILABLE + 1, sizeof names / sizeof *names);
    assert_null(talk_error_name(TALK_OK));
    for (talk_error error = TALK_MALFORMED; error <= TALK_UNAVAILABLE; error++) {
        assert_string_equal(talk_error_name(error), names[error]);
    }
}

/* The "message" of an error that was made from `text`. */
static void assert_error_message(const char *text, const char *expected)
{
    talk_text out = {0};
    struct json_object *message;
    const char *said;

    talk_write_error(&out, "a/b", NULL, TALK_IO_ERROR, "%s", text);
    message = json_tokener_parse(out.data);
    said = json_object_get_string(
        json_object_object_get(json_object_array_get_idx(message, 1), "message"));
    assert_string_equal(said, expected);
    json_object_put(message);
    talk_text_free(&out);
}

static void an_error_message_is_clean_and_cut_between_characters(void **state)
{
    char text[TALK_MAX_MESSAGE + 32], expected[TALK_MAX_MESSAGE];
    (void)state;

    assert_error_message("a\nb\x1b[1m\x7f", "a?b?[1m?");
    assert_error_message("a\xff"
                         "b\xe2\x84 \xc3",
                         "a?b?? ?");
    for (int bytes = 0; bytes < 4; bytes++) { /* the last character begins before the bound */
        size_t fits = TALK_MAX_MESSAGE - 1 - (size_t)bytes;

        memset(text, 'a', fits);
        strcpy(text + fits, "\xf0\x9f\x98\x80 and more");
        memset(expected, 'a', fits);
        expected[fits] = '\0';
        assert_error_message(text, expected);
    }
    memset(text, 'a', TALK_MAX_MESSAGE - 5);
    strcpy(text + TALK_MAX_MESSAGE - 5, "\xf0\x9f\x98\x80");
    assert_error_message(text, text); /* just fits */
}

static const struct {
    double value;
    int decimals;
    const char *text;
} quantities[] = {
    {21.5, 2, "21.50"},
    {600.1, 2, "600.10"},
    {30.2, 1, "30.2"},
    {101.325, 3, "101.325"},
    {412, 0, "412"},
    {412.5, 0, "412"}, /* the nearest, and of two the even one, as printf does */
    {-0.0, 2, "0.00"},
    {-0.004, 2, "0.00"},
    {-0.005001, 2, "-0.01"},
    {-0.4, 0, "0"},
    {-40.0625, 2, "-40.06"},
    {-10, 0, "-10"},
    {1e15, 2, "1000000000000000.00"},
    {1.0 / 3, 9, "0.333333333"},
    {0.999, 2, "1.00"},
    {1.26, -1, "1"}, /* as 0 decimals */
    {NAN, 2, "null"},
    {-NAN, 2, "null"},
    {INFINITY, 2, "null"},
    {-INFINITY, 2, "null"},
};

static void quantities_have_exactly_their_decimals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof quantities / sizeof *quantities; i++) {
        char expected[64];

        snprintf(expected, sizeof expected, "[%s, \"\xe2\x84\x83\"]", quantities[i].text);
        assert_written(talk_quantity(quantities[i].value, quantities[i].decimals, "\xe2\x84\x83"),
                       expected);
    }
}

/* The largest double with the most decimals fits, and both its ends are right. */
static void the_largest_quantity_fits(void **state)
{
    struct json_object *quantity = talk_quantity(-DBL_MAX, 12, "m");
    const char *text = json_object_to_json_string(json_object_array_get_idx(quantity, 0));
    (void)state;

    assert_int_equal(strlen(text), 1 + 309 + 1 + 9);
    assert_memory_equal(text, "-179769313486231570", 19);
    assert_string_equal(text + 310, ".000000000");
    json_object_put(quantity);
}

/* A quantity's value is a number to whoever reads the object, not only text. */
static void a_quantity_is_a_number(void **state)
{
    struct json_object *quantity = talk_quantity(21.5, 2, "%");
    (void)state;

    assert_true(json_object_get_double(json_object_array_get_idx(quantity, 0)) == 21.5);
    json_object_put(quantity);
}

/*
 * Makes glibc print another decimal point, of one or two bytes, whatever locales are installed:
 * writes a locale that holds LC_NUMERIC alone, in the format of glibc's locale files
 * (locale/localeinfo.h), and takes it.
 */
static void take_decimal_point(const char *point, uint32_t wide_point)
{
    const uint32_t length = (uint32_t)strlen(point);
    const uint32_t head[] = {
        0x20031115 ^ LC_NUMERIC, /* magic */
        6,                       /* elements; where they begin: */
        32,                      /* decimal_point */
        32 + length + 1,         /* thousands_sep, empty */
        36,                      /* grouping, none */
        40,                      /* decimal_point as a wide character */
        44,                      /* thousands_sep as a wide character */
        48,                      /* character set */
    };
    char body[22] = "", directory[] = "/tmp/talk-write-XXXXXX", locale[64], file[96];
    FILE *out;

    memcpy(body, point, length);
    memcpy(body + 8, &wide_point, sizeof wide_point);
    memcpy(body + 16, "UTF-8", 6);
    assert_non_null(mkdtemp(directory));
    snprintf(locale, sizeof locale, "%s/test", directory);
    snprintf(file, sizeof file, "%s/LC_NUMERIC", locale);
    assert_int_equal(mkdir(locale, 0700), 0);
    out = fopen(file, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(head, sizeof head, 1, out), 1);
    assert_int_equal(fwrite(body, sizeof body, 1, out), 1);
    assert_int_equal(fclose(out), 0);
    setenv("LOCPATH", directory, 1);
    setlocale(LC_NUMERIC, "test");
    unsetenv("LOCPATH"); /* or glibc's newlocale(), which json-c calls, would leak (glibc 2.36) */
    unlink(file);
    rmdir(locale);
    rmdir(directory);
    assert_string_equal(localeconv()->decimal_point, point);
}

static void check_numbers(void)
{
    static const char text[] = "[\"a/-/set\",{\"x\":0.25},{\"id\":1.50}]";
    talk_message message;
    double x;

    assert_written(talk_quantity(-1021.5, 2, "m"), "[-1021.50, \"m\"]");
    assert_written(talk_quantity(412, 0, "ppm"), "[412, \"ppm\"]");
    assert_written(json_object_new_double(0.1), "0.1");
    assert_written(json_object_new_double(1.5e300), "1.5e+300");
    assert_written(json_object_new_double(1e300), "1e+300");
    assert_int_equal(talk_message_parse(&message, text, strlen(text), NULL, 0), TALK_OK);
    x = json_object_get_double(json_object_object_get(message.payload, "x"));
    assert_true(x == 0.25);
    assert_written(json_object_get(message.id), "1.50");
    talk_message_clear(&message);
}

static void no_locale_changes_a_number(void **state)
{
    (void)state;
    check_numbers();
    take_decimal_point(",", ',');
    check_numbers();
    setlocale(LC_NUMERIC, "C");             /* or the same name would not be read again */
    take_decimal_point("\xd9\xab", 0x066b); /* ARABIC DECIMAL SEPARATOR */
    check_numbers();
    setlocale(LC_NUMERIC, "C");
}

static void text_grows(void **state)
{
    talk_text text = {0};
    char expected[20001] = "";
    (void)state;

    talk_text_clear(&text); /* nothing yet: no harm */
    assert_null(text.data);
    for (size_t i = 0; i < 1000; i++) {
        talk_text_add(&text, "0123456789", 10);
        memcpy(expected + 20 * i, "0123456789", 10);
        talk_text_addf(&text, "%010zu", i);
        snprintf(expected + 20 * i + 10, 11, "%010zu", i);
        assert_int_equal(text.length, 20 * (i + 1));
        assert_int_equal(text.data[text.length], '\0');
    }
    assert_text(&text, expected);
}

/* A piece that fills the memory to the last byte, and one that is longer than all of it. */
static void text_grows_at_its_bounds(void **state)
{
    char piece[1001];
    (void)state;

    memset(piece, 'x', 1000);
    for (size_t size = 1; size <= 1000; size++) {
        talk_text added = {0}, formatted = {0};

        piece[size] = '\0';
        talk_text_add(&added, piece, size);
        talk_text_addf(&formatted, "%s", piece);
        assert_text(&added, piece);
        assert_text(&formatted, piece);
        piece[size] = 'x';
    }
}

static void cleared_text_keeps_its_memory(void **state)
{
    talk_text text = {0};
    const char *data;
    (void)state;

    talk_text_add(&text, "abc", 3);
    data = text.data;
    talk_text_clear(&text);
    assert_int_equal(text.length, 0);
    assert_string_equal(text.data, "");
    talk_text_add(&text, "d", 1);
    assert_ptr_equal(text.data, data);
    assert_text(&text, "d");
}

static void text_may_hold_nul(void **state)
{
    talk_text text = {0};
    (void)state;

    talk_text_add(&text, "a\0b", 3);
    talk_text_add(&text, "", 0);
    assert_int_equal(text.length, 3);
    assert_memory_equal(text.data, "a\0b", 4);
    talk_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_looks_like_the_protocol),
        cmocka_unit_test(integers_are_written_whole),
        cmocka_unit_test(doubles_are_written_short_and_exact),
        cmocka_unit_test(strings_are_json_and_utf8_whatever_they_hold),
        cmocka_unit_test(names_and_topics_are_escaped_too),
        cmocka_unit_test(errors_are_named_after_the_request),
        cmocka_unit_test(an_error_carries_the_id),
        cmocka_unit_test(every_error_has_its_name),
        cmocka_unit_test(an_error_message_is_clean_and_cut_between_characters),
        cmocka_unit_test(quantities_have_exactly_their_decimals),
        cmocka_unit_test(the_largest_quantity_fits),
        cmocka_unit_test(a_quantity_is_a_number),
        cmocka_unit_test(no_locale_changes_a_number),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(text_grows_at_its_bounds),
        cmocka_unit_test(cleared_text_keeps_its_memory),
        cmocka_unit_test(text_may_hold_nul),
    };

    return cmocka_run_group_tests_name("talk_write", tests, NULL, NULL);
}
