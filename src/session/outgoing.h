/*
 * A message on its way out: framed once, however many sessions it goes to, and counted. It belongs
 * to one loop's thread, as do the sessions that hold references to it.
 */
#ifndef WS_OUTGOING_H
#define WS_OUTGOING_H

#include "websocket/deflate.h"
#include "websocket/frame.h"

#include <apr_buckets.h>

#define WS_DEFLATE_WINDOWS 3 /* of 9, 12 and 15 bits: deflate.h */

typedef struct ws_outgoing {
    apr_bucket_refcount references; /* first: what apr_bucket_shared_*() expects */
    const char *topic;              /* publications: what a newer one replaces; NULL: must arrive */
    /*
     * Compressed for each window, made when the first client wants it; itself where that saves
     * nothing.
     */
    struct ws_outgoing *compressed[WS_DEFLATE_WINDOWS];
    struct ws_outgoing *stored; /* for clients that take compressed messages only: the same */
    size_t length;              /* bytes of `frame` */
    size_t header_length;       /* of which the header has this many */
    unsigned char frame[];      /* header and payload; the topic behind it */
} ws_outgoing;

/* One reference, the caller's. `topic` is copied; NULL for everything that must not be replaced. */
ws_outgoing *ws_outgoing_create(enum ws_opcode opcode, const void *payload, size_t length,
                                const char *topic, size_t topic_length);
/*
 * The form of a message that a session with these parameters gets: compressed, or as it is.
 * Borrowed from `outgoing`. The compressor is the loop's.
 */
ws_outgoing *ws_outgoing_for(ws_outgoing *outgoing, const ws_deflate_params *params,
                             ws_deflate *compressor);
void ws_outgoing_hold(ws_outgoing *outgoing);
void ws_outgoing_release(ws_outgoing *outgoing);

/* A bucket of `length` bytes of the frame from `offset`, with a reference of its own. */
apr_bucket *ws_outgoing_bucket(ws_outgoing *outgoing, size_t offset, size_t length,
                               apr_bucket_alloc_t *list);
/*
 * A metadata bucket that carries nothing. At the end of a brigade it makes mod_ssl's coalescing
 * filter pass on what it holds, and, unlike a FLUSH bucket, lets no filter block.
 */
apr_bucket *ws_push_bucket(apr_bucket_alloc_t *list);

#endif
