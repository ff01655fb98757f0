/*
 * A message on its way out: framed once, however many sessions it goes to, and counted. It belongs to one
 * loop's thread, as do the sessions that hold references to it.
 */
#ifndef WS_OUTGOING_H
#define WS_OUTGOING_H

#include "frame.h"

#include <apr_buckets.h>

typedef struct ws_outgoing {
    apr_bucket_refcount references; /* first: what apr_bucket_shared_*() expects */
    const char *topic;              /* publications: what a newer one replaces; NULL: must arrive */
    size_t length;                  /* bytes of `frame` */
    unsigned char frame[];          /* header and payload; the topic behind it */
} ws_outgoing;

/* One reference, the caller's. `topic` is copied; NULL for everything that must not be replaced. */
ws_outgoing *ws_outgoing_create(enum ws_opcode opcode, const void *payload, size_t length,
                                const char *topic, size_t topic_length);
void ws_outgoing_hold(ws_outgoing *outgoing);
void ws_outgoing_release(ws_outgoing *outgoing);

/* A bucket of `length` bytes of the frame from `offset`, with a reference of its own. */
apr_bucket *ws_outgoing_bucket(ws_outgoing *outgoing, size_t offset, size_t length,
                               apr_bucket_alloc_t *list);
/*
 * A metadata bucket that carries nothing. At the end of a brigade it makes mod_ssl's coalescing filter
 * pass on what it holds, and, unlike a FLUSH bucket, lets no filter block.
 */
apr_bucket *ws_push_bucket(apr_bucket_alloc_t *list);

#endif
