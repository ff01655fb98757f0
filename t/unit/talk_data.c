/* DATA: bytes as hexadecimal text, as ASCII in parentheses or as base64. */
#include "talk/talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    talk_encoding encoding;
    int count;
    const char *bytes;
    const char *again; /* as it is encoded, NULL: as it came */
} good[] = {
    {"", TALK_HEX, 0, "", NULL},
    {"00", TALK_HEX, 1, "\x00", NULL},
    {"AB", TALK_HEX, 1, "\xab", NULL},
    {"ab", TALK_HEX, 1, "\xab", "AB"},
    {"01,FF", TALK_HEX, 2, "\x01\xff", NULL},
    {"01,ff,aB,Cd", TALK_HEX, 4, "\x01\xff\xab\xcd", "01,FF,AB,CD"},
    {"()", TALK_ASCII, 0, "", NULL},
    {"(text)", TALK_ASCII, 4, "text", NULL},
    {"(01,FF)", TALK_ASCII, 5, "01,FF", NULL},
    {"(()", TALK_ASCII, 1, "(", NULL},
    {"(a) and (b)", TALK_ASCII, 9, "a) and (b", NULL},
    {"( ~)", TALK_ASCII, 2, " ~", NULL},
    {"(a\r\n)", TALK_ASCII, 3, "a\r\n", "61,0D,0A"},
    {"(\x7f)", TALK_ASCII, 1, "\x7f", "7F"},
    /* RFC 4648 section 10 */
    {"Zg==", TALK_BASE64, 1, "f", NULL},
    {"Zm8=", TALK_BASE64, 2, "fo", NULL},
    {"Zm9v", TALK_BASE64, 3, "foo", NULL},
    {"Zm9vYg==", TALK_BASE64, 4, "foob", NULL},
    {"Zm9vYmE=", TALK_BASE64, 5, "fooba", NULL},
    {"Zm9vYmFy", TALK_BASE64, 6, "foobar", NULL},
    {"Af8=", TALK_BASE64, 2, "\x01\xff", NULL},
    {"+/+/", TALK_BASE64, 3, "\xfb\xff\xbf", NULL},
    {"0000", TALK_BASE64, 3, "\xd3\x4d\x34", NULL},
    {"AAAA", TALK_BASE64, 3, "\0\0\0", NULL},
};

static void good_data_is_read_and_written_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        talk_encoding encoding = (talk_encoding)-1;
        uint8_t *out = malloc(good[i].count ? (size_t)good[i].count : 1); /* its very size */
        talk_text text = {0};

        print_message("# case %zu\n", i);
        assert_int_equal(
            talk_data_decode(good[i].text, out, (size_t)good[i].count, &encoding, NULL, 0),
            good[i].count);
        assert_int_equal(encoding, good[i].encoding);
        if (good[i].count > 0) {
            assert_memory_equal(out, good[i].bytes, (size_t)good[i].count);
        }
        talk_data_encode(&text, out, (size_t)good[i].count, encoding);
        assert_string_equal(text.data, good[i].again ? good[i].again : good[i].text);
        talk_text_free(&text);
        free(out);
    }
}

static const char *const bad[] = {
    "0",      "1",      "G0",       "0G",     ",",       "01,",     ",01",
    "01,F",   "01,,FF", "01 FF",    "01, FF", "01;FF",   "01,FF,",  "1,2",
    "(",      ")",      "(text",    "text)",  " (text)", "(text) ", "(\xc3\xa9)",
    "(\xff)", "A===",   "====",     "=AAA",   "A=AA",    "AA=A",    "Zg=",
    "Zg",     "Z",      "Zg==Zg==", "Zg===",  "Zh==",    "ZE==",    "ZI==",
    "Zm9=",   "Zm9v\n", "Zm 9v",    "Zm9-",   "Zm9_",    "Zm9vY",   "\xe2\x84\x83=",
};

static void bad_data_is_refused_with_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        talk_encoding encoding;
        uint8_t out[64];
        char why[TALK_MAX_WHY] = "";

        print_message("# case %zu\n", i);
        assert_int_equal(talk_data_decode(bad[i], out, sizeof out, &encoding, why, sizeof why), -1);
        assert_non_null(strstr(why, bad[i][0] == '(' && (bad[i][1] & 0x80)
                                        ? "must be ASCII"
                                        : "must be hex bytes as \"01,FF\", text in parentheses"));
    }
}

static void too_much_data_is_refused_with_the_bound(void **state)
{
    static const char *const three[] = {"01,02,03", "(abc)", "Zm9v"};
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        uint8_t *out = malloc(2);
        talk_encoding encoding;
        char why[TALK_MAX_WHY] = "";

        assert_int_equal(talk_data_decode(three[i], out, 2, &encoding, why, sizeof why), -1);
        assert_string_equal(why, "data must be at most 2 bytes, not 3");
        assert_int_equal(talk_data_decode("", NULL, 0, &encoding, why, sizeof why), 0);
        free(out);
    }
}

/* Every byte, in messages of one to four bytes, survives every encoding. */
static void every_byte_survives(void **state)
{
    (void)state;
    for (talk_encoding encoding = TALK_HEX; encoding <= TALK_BASE64; encoding++) {
        for (int byte = 0; byte < 256; byte++) {
            for (size_t length = 1; length <= 4; length++) {
                uint8_t in[4] = {0x20, 0x41, 0x7e, 0x28}, out[4];
                bool printable = byte >= 0x20 && byte <= 0x7e;
                talk_encoding read;
                talk_text text = {0};

                in[length - 1] = (uint8_t)byte;
                talk_data_encode(&text, in, length, encoding);
                assert_int_equal(talk_data_decode(text.data, out, sizeof out, &read, NULL, 0),
                                 length);
                assert_int_equal(read, encoding == TALK_ASCII && !printable ? TALK_HEX : encoding);
                assert_memory_equal(out, in, length);
                talk_text_free(&text);
            }
        }
    }
}

static void encoding_adds_to_what_is_there(void **state)
{
    talk_text text = {0};
    (void)state;

    talk_text_add(&text, "x", 1);
    talk_data_encode(&text, (const uint8_t *)"ab", 2, TALK_HEX);
    talk_data_encode(&text, (const uint8_t *)"ab", 2, TALK_ASCII);
    talk_data_encode(&text, (const uint8_t *)"ab", 2, TALK_BASE64);
    assert_string_equal(text.data, "x61,62(ab)YWI=");
    talk_text_free(&text);
}

static void no_bytes_are_an_empty_text(void **state)
{
    talk_text text = {0};
    (void)state;

    talk_data_encode(&text, NULL, 0, TALK_BASE64);
    assert_string_equal(text.data, "");
    talk_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_data_is_read_and_written_again),
        cmocka_unit_test(bad_data_is_refused_with_a_sentence),
        cmocka_unit_test(too_much_data_is_refused_with_the_bound),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(encoding_adds_to_what_is_there),
        cmocka_unit_test(no_bytes_are_an_empty_text),
    };

    return cmocka_run_group_tests_name("talk_data", tests, NULL, NULL);
}
