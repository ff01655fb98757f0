/*
 * Messages that wait for a slow connection, in order. It belongs to a session and its thread.
 *
 * Replies keep their place. A publication (a message with a topic) makes an older one of the same
 * topic superfluous: only the newest value of each is of interest to a client that is behind.
 */
#ifndef WS_QUEUE_H
#define WS_QUEUE_H

#include "outgoing.h"

typedef struct ws_waiting {
    struct ws_waiting *next;
    ws_outgoing *outgoing; /* a reference of its own */
} ws_waiting;

typedef struct ws_queue {
    ws_waiting *first, **last;
    size_t offset; /* bytes of the first one that are on their way */
    size_t bytes;  /* of all, less those */
} ws_queue;

void ws_queue_init(ws_queue *queue);
void ws_queue_add(ws_queue *queue, ws_outgoing *outgoing);
/* Takes the messages of this topic out, but one of which some bytes are on their way. */
void ws_queue_drop_topic(ws_queue *queue, const char *topic);
/* Takes everything out but the rest of a message that is on its way. */
void ws_queue_drop_rest(ws_queue *queue);
/* The socket has taken this number of bytes: they leave the queue. */
void ws_queue_advance(ws_queue *queue, size_t bytes);
void ws_queue_clear(ws_queue *queue);
/*
 * The next bytes of a queue that is not empty, at most `size`: of the first message where that is
 * all, otherwise a copy of several in `room`, which has that size.
 */
const void *ws_queue_next_bytes(const ws_queue *queue, char *room, size_t size, size_t *length);

#endif
