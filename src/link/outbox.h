/*
 * What waits to be written to one end of a link: lines, in order. Each end has one; it belongs to
 * its loop's thread.
 *
 * Up to OUTBOX_BOUND bytes wait as they are. Behind them lines wait one by one, and there a
 * publication takes the place of an older one of the same node and topic: an end that does not read
 * gets the newest of each when it reads again. Everything else stays, so whoever fills an outbox
 * stops where outbox_is_full() says so.
 */
#ifndef LINK_OUTBOX_H
#define LINK_OUTBOX_H

#include "talk/talk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_BOUND 65536 /* bytes: with more than this an outbox is full */

struct outbox_line;

typedef struct outbox {
    talk_text bytes;                  /* are written next */
    size_t sent;                      /* of them */
    uint64_t passed;                  /* bytes that were ever written */
    struct outbox_line *first, *last; /* wait behind them */
    size_t behind;                    /* bytes of these */
} outbox;

typedef enum outbox_result {
    OUTBOX_EMPTY,  /* all is written */
    OUTBOX_WAITS,  /* the socket takes no more at the moment */
    OUTBOX_BROKEN, /* the other end is gone; errno says why */
} outbox_result;

/* Adds a line, made of an envelope and the message with its '\n'. All zero is an empty outbox. */
void outbox_add(outbox *box, const talk_text *envelope, const char *message, size_t length);
/* The same for a publication. */
void outbox_publish(outbox *box, const talk_text *envelope, const char *message, size_t length);
/* Bytes that are not written yet. */
size_t outbox_unsent(const outbox *box);
static inline bool outbox_is_full(const outbox *box)
{
    return outbox_unsent(box) > OUTBOX_BOUND;
}
/* Writes what a stream socket takes without waiting. */
outbox_result outbox_write(outbox *box, int socket);
/* Drops what waits, and frees its memory. */
void outbox_clear(outbox *box);

#endif
