/*
 * UTF-8 (RFC 3629): a text checked piece by piece, failing at the first byte that no continuation
 * could make right, and characters decoded one by one. No state but the struct; any thread.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BASE_UTF8_MAX 4 /* bytes in a character */

typedef struct base_utf8 {
    uint8_t need;  /* continuation bytes that are to come */
    uint8_t lower; /* smallest and largest value of the next one */
    uint8_t upper;
} base_utf8;

void base_utf8_init(base_utf8 *utf8);
/* False as soon as the text cannot be UTF-8. Fast on ASCII. */
bool base_utf8_feed(base_utf8 *utf8, const uint8_t *data, size_t length);
/* True where the text may end here: no character is open. */
bool base_utf8_complete(const base_utf8 *utf8);

/*
 * Decodes the well-formed character at `text`: its length in bytes, and in `*point` (which may be
 * NULL) its code point. 0 where there is none before `end`; then `*point` is left alone.
 */
size_t base_utf8_decode(const char *text, const char *end, uint32_t *point);

#endif
