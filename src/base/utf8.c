/* UTF-8 by RFC 3629 section 4, the table of well-formed byte sequences. */
#include "utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

void base_utf8_init(base_utf8 *utf8)
{
    utf8->need = 0;
    utf8->lower = 0x80;
    utf8->upper = 0xBF;
}

bool base_utf8_complete(const base_utf8 *utf8)
{
    return utf8->need == 0;
}

/* How many leading bytes are ASCII, in steps of 8 and then 1. memcpy() loads know no alignment. */
static size_t ascii_prefix(const uint8_t *data, size_t length)
{
    size_t at = 0;
    uint64_t word[4];

    for (; length - at >= sizeof(word); at += sizeof(word)) {
        memcpy(word, data + at, sizeof(word));
        if ((word[0] | word[1] | word[2] | word[3]) & HIGH_BITS) {
            break;
        }
    }
    for (; length - at >= sizeof(word[0]); at += sizeof(word[0])) {
        memcpy(word, data + at, sizeof(word[0]));
        if (word[0] & HIGH_BITS) {
            break;
        }
    }
    while (at < length && data[at] < 0x80) {
        at++;
    }
    return at;
}

/*
 * A character of several bytes begins. The range of its second byte excludes overlong forms (E0,
 * F0), surrogates (ED) and what lies beyond U+10FFFF (F4); C0, C1 and F5 to FF begin nothing.
 */
static bool begin_character(base_utf8 *utf8, uint8_t lead)
{
    if (lead < 0xC2 || lead > 0xF4) {
        return false;
    }
    utf8->need = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    utf8->lower = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    utf8->upper = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return true;
}

/* Takes a byte within a character. False where it cannot stand there. */
static inline bool continue_character(base_utf8 *utf8, uint8_t byte)
{
    if (byte < utf8->lower || byte > utf8->upper) {
        return false;
    }
    utf8->need--;
    utf8->lower = 0x80;
    utf8->upper = 0xBF;
    return true;
}

bool base_utf8_feed(base_utf8 *utf8, const uint8_t *data, size_t length)
{
    const uint8_t *end = data + length;

    while (data < end) {
        if (utf8->need > 0) {
            if (!continue_character(utf8, *data++)) {
                return false;
            }
        } else if (*data < 0x80) {
            data += ascii_prefix(data, (size_t)(end - data));
        } else if (!begin_character(utf8, *data++)) {
            return false;
        }
    }
    return true;
}

size_t base_utf8_decode(const char *text, const char *end, uint32_t *point)
{
    const uint8_t *at = (const uint8_t *)text, *stop = (const uint8_t *)end;
    uint32_t value;
    base_utf8 utf8 = {.need = 0};

    if (at == stop) {
        return 0;
    }
    value = *at;
    if (value >= 0x80) {
        if (!begin_character(&utf8, *at)) {
            return 0;
        }
        value &= 0x3Fu >> utf8.need; /* the lead byte's own bits */
    }
    at++;
    while (utf8.need > 0) {
        if (at == stop || !continue_character(&utf8, *at)) {
            return 0;
        }
        value = value << 6 | (*at++ & 0x3Fu);
    }
    if (point) {
        *point = value;
    }
    return (size_t)((const char *)at - text);
}
