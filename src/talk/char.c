/* Characters: UTF-8 and hexadecimal digits. */
#include "internal.h"

int talk_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

size_t talk_utf8_length(const char *text, const char *end)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t left = (size_t)(end - text), length;
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */

    if (left == 0) {
        return 0;
    }
    if (c[0] < 0x80) {
        return 1;
    }
    if (c[0] < 0xc2 || c[0] > 0xf4) {
        return 0;
    }
    length = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    if (c[0] == 0xe0) {
        low = 0xa0; /* below: overlong */
    } else if (c[0] == 0xed) {
        high = 0x9f; /* above: surrogates */
    } else if (c[0] == 0xf0) {
        low = 0x90; /* below: overlong */
    } else if (c[0] == 0xf4) {
        high = 0x8f; /* above: beyond U+10FFFF */
    }
    if (left < length || c[1] < low || c[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}
