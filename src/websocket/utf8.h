/*
 * UTF-8 checked piece by piece (RFC 3629), failing at the first byte that no continuation could
 * make right. No state but the struct; any thread.
 */
#ifndef WS_UTF8_H
#define WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ws_utf8 {
    uint8_t need;  /* continuation bytes that are to come */
    uint8_t lower; /* smallest and largest value of the next one */
    uint8_t upper;
} ws_utf8;

void ws_utf8_init(ws_utf8 *utf8);
/* False as soon as the text cannot be UTF-8 any more. Fast on ASCII. */
bool ws_utf8_feed(ws_utf8 *utf8, const uint8_t *data, size_t length);
/* True where the text may end here: no character is open. */
bool ws_utf8_complete(const ws_utf8 *utf8);

#endif
