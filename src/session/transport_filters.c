/* Whatever filters httpd has on the connection, with a network end of our own below them. */
#include "transport_kind.h"

#include <http_connection.h>
#include <util_filter.h>

/* The filters hold nothing now: where the SSL object can do without them, it does. */
static void on_filters_empty(ws_transport *t)
{
    if (t->tls.ssl && t->wire.reads && t->wire.writes && !t->wire.ended &&
        ws_tls_take(&t->tls, &t->wire)) {
        t->kind = &ws_transport_tls;
    }
}

/*
 * Reads once from the socket, and has the filters make of it what they can. A short answer does not
 * mean that they want more: a TLS record may carry no data (a key update).
 */
static ws_read read_wire(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    uint8_t raw[WS_SCRATCH_BYTES];
    ws_read result;
    size_t before;

    if (!ws_wire_receive(&t->wire, raw, sizeof raw)) {
        return WS_READ_ALL;
    }
    do {
        before = t->wire.received_length;
        result = ws_filters_read(t, scratch, feed, baton);
    } while (result != WS_READ_ENDED &&
             (t->wire.received_length > 0 ? t->got > 0 || t->wire.received_length < before
                                          : t->got >= APR_BUCKET_BUFF_SIZE));
    ws_wire_forget(&t->wire);
    if (result == WS_READ_ENDED) {
        return WS_READ_ENDED;
    }
    on_filters_empty(t);
    return WS_READ_ALL;
}

static ws_read filters_read(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    return t->wire.reads ? read_wire(t, scratch, feed, baton)
                         : ws_filters_read_rest(t, scratch, feed, baton, on_filters_empty);
}

/* Makes the core filter write what the socket takes, until it holds nothing and the wire can. */
static bool push_core(ws_transport *t)
{
    ap_filter_t *last = t->c->output_filters;

    while (last->next) {
        last = last->next;
    }
    if (last->frec->filter_func.out_func(last, NULL) != APR_SUCCESS || t->c->aborted) {
        return false;
    }
    t->blocked = t->c->data_in_output_filters;
    t->wire.writes = !t->blocked;
    return true;
}

static bool filters_push(ws_transport *t)
{
    bool good;

    if (!t->wire.writes) {
        t->blocked = false;
        return push_core(t);
    }
    good = ws_wire_push(&t->wire);
    t->blocked = ws_wire_holds(&t->wire);
    return good;
}

static ssize_t filters_write(ws_transport *t, ws_queue *queue)
{
    char room[WS_RECORD_BYTES];
    size_t length;
    const void *bytes = ws_queue_next_bytes(queue, room, sizeof room, &length);
    apr_bucket_alloc_t *list = t->c->bucket_alloc;
    apr_status_t status;

    APR_BRIGADE_INSERT_TAIL(
        t->out, bytes == room
                    ? apr_bucket_transient_create(room, length, list)
                    : ws_outgoing_bucket(queue->first->outgoing, queue->offset, length, list));
    APR_BRIGADE_INSERT_TAIL(t->out, ws_push_bucket(list));
    ws_queue_advance(queue, length);
    status = ap_pass_brigade(t->c->output_filters, t->out);
    apr_brigade_cleanup(t->out);
    return status == APR_SUCCESS && filters_push(t) ? (ssize_t)length : -1;
}

static void filters_say_goodbye(ws_transport *t)
{
    APR_BRIGADE_INSERT_TAIL(t->out, ap_bucket_eoc_create(t->c->bucket_alloc)); /* close_notify */
    if (ap_pass_brigade(t->c->output_filters, t->out) == APR_SUCCESS) {
        filters_push(t);
    }
    apr_brigade_cleanup(t->out);
}

const ws_transport_kind ws_transport_filters = {
    .name = "filters",
    .read = filters_read,
    .write = filters_write,
    .push = filters_push,
    .say_goodbye = filters_say_goodbye,
};
