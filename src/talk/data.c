/* DATA: bytes as hexadecimal text, as ASCII in parentheses or as base64. */
#include "internal.h"

#include <string.h>

static const char base64_digits[] = /* RFC 4648 section 4, table 1 */
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_digit(char c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;

    return at ? (int)(at - base64_digits) : -1;
}

/* Whether this is "", "01" or "01,FF" ... It holds (length + 1) / 3 bytes. */
static bool is_hex(const char *text, size_t length)
{
    if (length % 3 != 2) {
        return length == 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (i % 3 == 2 ? text[i] != ',' : talk_hex_digit(text[i]) < 0) {
            return false;
        }
    }
    return true;
}

static void decode_hex(const char *text, uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)(talk_hex_digit(text[3 * i]) << 4 | talk_hex_digit(text[3 * i + 1]));
    }
}

/* The number of bytes in base64 text, which is not empty, or -1 where it is none. */
static int base64_count(const char *text, size_t length)
{
    size_t padding = 0;

    if (length % 4 != 0) {
        return -1;
    }
    while (padding < 2 && text[length - 1 - padding] == '=') {
        padding++;
    }
    for (size_t i = 0; i < length - padding; i++) {
        if (base64_digit(text[i]) < 0) {
            return -1;
        }
    }
    /* section 3.5: the bits that no byte takes are zero */
    if (padding > 0 && base64_digit(text[length - 1 - padding]) & (padding == 1 ? 0x03 : 0x0f)) {
        return -1;
    }
    return (int)(length / 4 * 3 - padding);
}

static void decode_base64(const char *text, uint8_t *out, size_t count)
{
    uint32_t bits = 0;

    for (size_t i = 0, n = 0; n < count; i++) {
        bits = bits << 6 | (uint32_t)base64_digit(text[i]);
        if (i % 4 > 0) { /* digits 1, 2, 3 of four complete a byte each */
            out[n++] = (uint8_t)(bits >> (2 * (3 - i % 4)));
        }
    }
}

int talk_data_decode(const char *text, uint8_t *out, size_t size, talk_encoding *encoding,
                     char *why, size_t why_size)
{
    size_t length = strlen(text);
    int count;

    if (is_hex(text, length)) {
        *encoding = TALK_HEX;
        count = (int)((length + 1) / 3);
    } else if (text[0] == '(' && text[length - 1] == ')') {
        *encoding = TALK_ASCII;
        count = (int)(length - 2);
        for (int i = 0; i < count; i++) {
            if ((unsigned char)text[1 + i] > 0x7f) {
                talk_why(why, why_size, "text in parentheses must be ASCII");
                return -1;
            }
        }
    } else {
        *encoding = TALK_BASE64;
        count = base64_count(text, length);
        if (count < 0) {
            talk_why(why, why_size,
                     "data must be hex bytes as \"01,FF\", text in parentheses as "
                     "\"(text)\" or base64 with padding");
            return -1;
        }
    }
    if ((size_t)count > size) {
        talk_why(why, why_size, "data must be at most %zu bytes, not %d", size, count);
        return -1;
    }
    if (*encoding == TALK_HEX) {
        decode_hex(text, out, (size_t)count);
    } else if (*encoding == TALK_BASE64) {
        decode_base64(text, out, (size_t)count);
    } else if (count > 0) {
        memcpy(out, text + 1, (size_t)count);
    }
    return count;
}

static bool is_printable(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (data[i] < 0x20 || data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static void encode_base64(talk_text *out, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i += 3) {
        size_t bytes = length - i < 3 ? length - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16 | (bytes > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (bytes > 2 ? (uint32_t)data[i + 2] : 0);
        char four[4];

        for (size_t j = 0; j < 4; j++) {
            four[j] = j <= bytes ? base64_digits[bits >> (6 * (3 - j)) & 0x3f] : '=';
        }
        talk_text_add(out, four, sizeof four);
    }
}

void talk_data_encode(talk_text *out, const uint8_t *data, size_t length, talk_encoding encoding)
{
    talk_text_add(out, "", 0); /* so that no bytes are an empty text, not none */
    if (encoding == TALK_BASE64) {
        encode_base64(out, data, length);
    } else if (encoding == TALK_ASCII && is_printable(data, length)) {
        talk_text_add(out, "(", 1);
        talk_text_add(out, (const char *)data, length);
        talk_text_add(out, ")", 1);
    } else {
        for (size_t i = 0; i < length; i++) {
            talk_text_addf(out, i ? ",%02X" : "%02X", data[i]);
        }
    }
}
