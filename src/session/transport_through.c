/* Reading through httpd's input filters: what the kinds of transport that do so share. */
#include "transport_kind.h"

#include <string.h>

#include <util_filter.h>

/* What one read through the filters takes at most: the size of httpd's own socket buckets. */
#define READ_BYTES APR_BUCKET_BUFF_SIZE
/* How often an empty answer is asked again for what the core filter may hold. */
#define ASK_AGAIN 4
/* What is read of it before others have their turn. */
#define REST_BYTES 65536

/* Copied, since `feed` writes to it and the bucket's memory may not be ours. */
static bool feed_copy(uint8_t *scratch, const char *data, size_t length, ws_feed *feed, void *baton)
{
    while (length > 0) {
        const size_t part = length < WS_SCRATCH_BYTES ? length : WS_SCRATCH_BYTES;

        memcpy(scratch, data, part);
        if (!feed(baton, scratch, part)) {
            return false;
        }
        data += part;
        length -= part;
    }
    return true;
}

/* Feeds what the filters have given. False at the end of the stream. */
static bool feed_brigade(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    for (apr_bucket *bucket = APR_BRIGADE_FIRST(t->in); bucket != APR_BRIGADE_SENTINEL(t->in);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t length;

        if (APR_BUCKET_IS_EOS(bucket)) {
            if (!t->begun) {
                t->begun = true; /* mod_http2's end of the handshake's empty body */
                continue;
            }
            return false;
        }
        if (APR_BUCKET_IS_METADATA(bucket)) {
            continue;
        }
        if (apr_bucket_read(bucket, &data, &length, APR_NONBLOCK_READ) != APR_SUCCESS) {
            return false;
        }
        t->got += length;
        if (!feed_copy(scratch, data, length, feed, baton)) {
            break;
        }
    }
    return true;
}

ws_read ws_filters_read(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    const apr_status_t status = ap_get_brigade(t->c->input_filters, t->in, AP_MODE_READBYTES,
                                               APR_NONBLOCK_READ, READ_BYTES);
    const bool empty = APR_BRIGADE_EMPTY(t->in);
    bool goes_on = true;

    t->got = 0;
    if (status == APR_SUCCESS && !empty) {
        goes_on = feed_brigade(t, scratch, feed, baton);
    }
    apr_brigade_cleanup(t->in);
    if (!goes_on || (status != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(status))) {
        return WS_READ_ENDED;
    }
    /*
     * Filters may keep back what they have read from the socket: only an empty answer says that
     * they do not.
     */
    return status == APR_SUCCESS && !empty ? WS_READ_MORE : WS_READ_ALL;
}

/*
 * Filters give as little at a time as a TLS record: unless they are asked again, a client that
 * writes steadily is never done with.
 */
ws_read ws_filters_read_rest(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton,
                             void (*empty)(ws_transport *t))
{
    const bool has_wire = t->wire.input != NULL; /* which sees when the core filter is empty */
    ws_read result;
    size_t got = 0;
    int empties = 0;

    do {
        result = ws_filters_read(t, scratch, feed, baton);
        got += t->got;
        empties += result == WS_READ_ALL;
    } while (result == WS_READ_MORE
                 ? got < REST_BYTES
                 : result == WS_READ_ALL && empties <= ASK_AGAIN && has_wire && !t->wire.reads);
    if (result == WS_READ_ALL) {
        empty(t);
    }
    return result;
}
