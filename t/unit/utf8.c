/* UTF-8 (src/base/utf8.h) against an oracle that decodes, and RFC 3629's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/utf8.h"

#define LAST_CODE_POINT 0x10FFFFu

static bool is_surrogate(uint32_t point)
{
    return point >= 0xD800 && point <= 0xDFFF;
}

/*
 * Writes the number into the form of 2 to 4 bytes that is asked for, whether that is right or not.
 */
static size_t encode_as(uint8_t *out, uint32_t point, size_t length)
{
    static const uint8_t lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};

    for (size_t i = length; i-- > 1; point >>= 6) {
        out[i] = (uint8_t)(0x80 | (point & 0x3F));
    }
    out[0] = (uint8_t)(lead[length] | point);
    return length;
}

static size_t shortest(uint32_t point)
{
    return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

/* Every string that could be one character: byte count by lead, then decoding, then the rules. */
static bool oracle(const uint8_t *data, size_t length)
{
    while (length > 0) {
        size_t size = data[0] < 0x80   ? 1
                      : data[0] < 0xC0 ? 0
                      : data[0] < 0xE0 ? 2
                      : data[0] < 0xF0 ? 3
                      : data[0] < 0xF8 ? 4
                                       : 0;
        uint32_t point = size == 1 ? data[0] : data[0] & (0x7Fu >> size);

        if (size == 0 || size > length) {
            return false;
        }
        for (size_t i = 1; i < size; i++) {
            if ((data[i] & 0xC0) != 0x80) {
                return false;
            }
            point = point << 6 | (data[i] & 0x3Fu);
        }
        if (size != shortest(point) || is_surrogate(point) || point > LAST_CODE_POINT) {
            return false;
        }
        data += size;
        length -= size;
    }
    return true;
}

/* How many bytes it takes to be refused, fed one at a time; length + 1 where all are accepted. */
static size_t fails_at(const uint8_t *data, size_t length)
{
    base_utf8 utf8;

    base_utf8_init(&utf8);
    for (size_t i = 0; i < length; i++) {
        if (!base_utf8_feed(&utf8, data + i, 1)) {
            return i + 1;
        }
    }
    return length + 1;
}

static bool whole(const uint8_t *data, size_t length)
{
    base_utf8 utf8;

    base_utf8_init(&utf8);
    return base_utf8_feed(&utf8, data, length) && base_utf8_complete(&utf8);
}

static bool bytewise(const uint8_t *data, size_t length)
{
    base_utf8 utf8;

    base_utf8_init(&utf8);
    for (size_t i = 0; i < length; i++) {
        if (!base_utf8_feed(&utf8, data + i, 1)) {
            return false;
        }
    }
    return base_utf8_complete(&utf8);
}

static void every_code_point_in_its_shortest_form(void **state)
{
    uint8_t text[4];

    (void)state;
    for (uint32_t point = 0; point <= LAST_CODE_POINT; point++) {
        size_t length = encode_as(text, point, shortest(point));

        if (whole(text, length) != !is_surrogate(point) ||
            bytewise(text, length) != !is_surrogate(point)) {
            fail_msg("U+%04X", point);
        }
    }
}

static void overlong_forms_and_beyond_the_last(void **state)
{
    uint8_t text[4];

    (void)state;
    for (size_t length = 2; length <= 4; length++) {
        for (uint32_t point = 0; point <= 0x1FFFFF; point++) {
            if (shortest(point) == length && point <= LAST_CODE_POINT) {
                continue;
            }
            if (shortest(point) > length) {
                break;
            }
            encode_as(text, point, length);
            if (whole(text, length) || bytewise(text, length)) {
                fail_msg("%06X in %zu bytes", point, length);
            }
        }
    }
}

/* Whether anything at all can follow the prefix: brute force over continuations. */
static bool can_go_on(const uint8_t *prefix, size_t length)
{
    uint8_t text[6];

    memcpy(text, prefix, length);
    if (oracle(text, length)) {
        return true;
    }
    for (unsigned a = 0x80; a <= 0xBF; a++) {
        text[length] = (uint8_t)a;
        if (oracle(text, length + 1)) {
            return true;
        }
        /* The range of a second byte decides; what follows it may be any continuation byte. */
        text[length + 1] = 0x80;
        if (oracle(text, length + 2)) {
            return true;
        }
        text[length + 2] = 0x80;
        if (oracle(text, length + 3)) {
            return true;
        }
    }
    return false;
}

static void every_prefix_fails_at_its_first_wrong_byte(void **state)
{
    (void)state;
    for (unsigned value = 0; value <= 0xFFFF; value++) {
        uint8_t text[2] = {(uint8_t)(value >> 8), (uint8_t)value};
        size_t expected = !can_go_on(text, 1) ? 1 : !can_go_on(text, 2) ? 2 : 3;

        if (fails_at(text, 2) != expected || whole(text, 2) != oracle(text, 2)) {
            fail_msg("%02X %02X: expected %zu", text[0], text[1], expected);
        }
    }
    for (unsigned lead = 0xE0; lead <= 0xFF; lead++) {
        for (unsigned value = 0; value <= 0xFFFF; value++) {
            uint8_t text[3] = {(uint8_t)lead, (uint8_t)(value >> 8), (uint8_t)value};

            if (whole(text, 3) != oracle(text, 3) || bytewise(text, 3) != oracle(text, 3)) {
                fail_msg("%02X %02X %02X", text[0], text[1], text[2]);
            }
        }
    }
}

/* The fast path for ASCII: every wrong byte at every offset of buffers of every length to 80. */
static void ascii_runs_of_every_length(void **state)
{
    static const uint8_t odd[][4] = {
        {0x80}, {0xFF}, {0xC3, 0xA9}, {0xE2, 0x84, 0x83}, {0xC3, 0x41}};
    static const size_t size[] = {1, 1, 2, 3, 2};
    uint8_t buffer[96], *text;

    (void)state;
    for (size_t align = 0; align < 8; align++) {
        text = buffer + align;
        for (size_t length = 0; length <= 80; length++) {
            memset(text, 'a', length);
            assert_true(whole(text, length));
            for (size_t kind = 0; kind < sizeof(size) / sizeof(size[0]); kind++) {
                for (size_t at = 0; at + size[kind] <= length; at++) {
                    memset(text, 'a', length);
                    memcpy(text + at, odd[kind], size[kind]);
                    if (whole(text, length) != oracle(text, length)) {
                        fail_msg("kind %zu at %zu of %zu", kind, at, length);
                    }
                }
            }
        }
    }
}

static void random_texts_in_random_pieces(void **state)
{
    static const uint8_t alphabet[] = {'a',  0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2,
                                       0xDF, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5};
    uint8_t text[12];

    (void)state;
    srand(3629);
    for (int round = 0; round < 300000; round++) {
        size_t length = (size_t)rand() % sizeof(text), split;
        bool accepted;
        base_utf8 utf8;

        for (size_t i = 0; i < length; i++) {
            text[i] = alphabet[(size_t)rand() % sizeof(alphabet)];
        }
        split = length == 0 ? 0 : (size_t)rand() % length;
        base_utf8_init(&utf8);
        accepted = base_utf8_feed(&utf8, text, split) &&
                   base_utf8_feed(&utf8, text + split, length - split) && base_utf8_complete(&utf8);
        if (accepted != oracle(text, length)) {
            fail_msg("round %d", round);
        }
    }
}

static void an_open_character_is_not_complete(void **state)
{
    static const uint8_t celsius[] = {0xE2, 0x84, 0x83}; /* U+2103 */
    base_utf8 utf8;

    (void)state;
    base_utf8_init(&utf8);
    assert_true(base_utf8_complete(&utf8));
    assert_true(base_utf8_feed(&utf8, celsius, 1));
    assert_false(base_utf8_complete(&utf8));
    assert_true(base_utf8_feed(&utf8, celsius + 1, 0));
    assert_false(base_utf8_complete(&utf8));
    assert_true(base_utf8_feed(&utf8, celsius + 1, 2));
    assert_true(base_utf8_complete(&utf8));
}

/* ---- decoding ---- */

/* Decodes as much as is well-formed, one character at a time; how many bytes that are. */
static size_t decode_all(const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    size_t bytes;

    while ((bytes = base_utf8_decode(at, end, NULL)) > 0) {
        at += bytes;
    }
    return (size_t)(at - text);
}

static void every_code_point_is_decoded(void **state)
{
    uint8_t text[BASE_UTF8_MAX];

    (void)state;
    for (uint32_t point = 0; point <= LAST_CODE_POINT; point++) {
        const size_t length = encode_as(text, point, shortest(point));
        const size_t expected = is_surrogate(point) ? 0 : length;
        const char *start = (const char *)text;
        uint32_t decoded = 0xBAD;

        if (base_utf8_decode(start, start + length, &decoded) != expected ||
            decoded != (expected ? point : 0xBAD)) {
            fail_msg("U+%04X", point);
        }
        for (size_t cut = 0; cut < length; cut++) {
            if (base_utf8_decode(start, start + cut, NULL) != 0) {
                fail_msg("U+%04X in %zu bytes", point, cut);
            }
        }
    }
}

static void what_is_checked_is_decoded_and_nothing_else(void **state)
{
    static const char alphabet[] = "a\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xe0\xed\xf0\xf4\xf5";
    char text[6];

    (void)state;
    srand(3629);
    for (int round = 0; round < 300000; round++) {
        const size_t length = (size_t)rand() % sizeof(text);

        for (size_t i = 0; i < length; i++) {
            text[i] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
        }
        if ((decode_all(text, length) == length) != oracle((const uint8_t *)text, length)) {
            fail_msg("round %d", round);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_in_its_shortest_form),
        cmocka_unit_test(overlong_forms_and_beyond_the_last),
        cmocka_unit_test(every_prefix_fails_at_its_first_wrong_byte),
        cmocka_unit_test(ascii_runs_of_every_length),
        cmocka_unit_test(random_texts_in_random_pieces),
        cmocka_unit_test(an_open_character_is_not_complete),
        cmocka_unit_test(every_code_point_is_decoded),
        cmocka_unit_test(what_is_checked_is_decoded_and_nothing_else),
    };

    return cmocka_run_group_tests_name("UTF-8 (RFC 3629)", tests, NULL, NULL);
}
