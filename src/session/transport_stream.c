/*
 * A stream of an HTTP/2 connection, on a thread of mod_http2.
 *
 * A write that waits for a client which does not open its window would hold up all that the
 * session's thread has to do, up to its end, and mod_http2 knows no other kind of write. So we look
 * at what it holds, and call it with nothing, so that it looks, too.
 */
#include "transport_kind.h"

#include <util_filter.h>

/*
 * The least that H2StreamMaxMemSize can be, whose value is unknown here. As long as mod_http2 holds
 * less than this of a stream's output it takes one more bucket, of any size, without waiting.
 */
#define STREAM_ROOM 1024
/* Milliseconds until mod_http2 is first called again to see whether it has sent something. */
#define FIRST_PUSH_MS 1

static void on_filters_empty(ws_transport *t)
{
    (void)t;
}

static ws_read stream_read(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    return ws_filters_read_rest(t, scratch, feed, baton, on_filters_empty);
}

/*
 * How many bytes mod_http2 holds. It deletes a bucket that it has sent when it is called the next
 * time; then the memory below is ours alone.
 */
static size_t count_held(ws_transport *t)
{
    size_t length = 0;

    for (apr_bucket *bucket = APR_BRIGADE_FIRST(t->held), *next;
         bucket != APR_BRIGADE_SENTINEL(t->held); bucket = next) {
        next = APR_BUCKET_NEXT(bucket);
        if (((apr_bucket_refcount *)bucket->data)->refcount == 1) {
            apr_bucket_delete(bucket);
        } else {
            length += bucket->length;
        }
    }
    return length;
}

static bool stream_push(ws_transport *t)
{
    const apr_status_t status = ap_pass_brigade(t->c->output_filters, t->out);
    const bool was_blocked = t->blocked;

    t->blocked = count_held(t) >= STREAM_ROOM;
    t->push_ms = !was_blocked || !t->push_ms    ? FIRST_PUSH_MS
                 : t->push_ms < WS_LAST_PUSH_MS ? 2 * t->push_ms
                                                : WS_LAST_PUSH_MS;
    return status == APR_SUCCESS && !t->c->aborted;
}

/* A bucket of these bytes; a copy of it shows when mod_http2 has done with it. */
static apr_bucket *held_bucket(ws_transport *t, const void *bytes, size_t length)
{
    apr_bucket *bucket = apr_bucket_heap_create(bytes, length, NULL, t->c->bucket_alloc), *copy;

    apr_bucket_copy(bucket, &copy);
    APR_BRIGADE_INSERT_TAIL(t->held, copy);
    return bucket;
}

static ssize_t stream_write(ws_transport *t, ws_queue *queue)
{
    char room[WS_RECORD_BYTES];
    size_t length;
    const void *bytes = ws_queue_next_bytes(queue, room, sizeof room, &length);
    apr_status_t status;

    APR_BRIGADE_INSERT_TAIL(t->out, held_bucket(t, bytes, length));
    APR_BRIGADE_INSERT_TAIL(t->out, apr_bucket_flush_create(t->c->bucket_alloc));
    ws_queue_advance(queue, length);
    status = ap_pass_brigade(t->c->output_filters, t->out);
    apr_brigade_cleanup(t->out);
    return status == APR_SUCCESS && stream_push(t) ? (ssize_t)length : -1;
}

const ws_transport_kind ws_transport_stream = {
    .name = "stream",
    .read = stream_read,
    .write = stream_write,
    .push = stream_push,
};
