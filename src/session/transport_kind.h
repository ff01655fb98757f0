/*
 * What a kind of connection does: a const table of operations, a file a kind. transport.c does what
 * is the same for all. To add a kind: a table here, and its choice in ws_transport_init() or where
 * another kind turns into it.
 */
#ifndef WS_TRANSPORT_KIND_H
#define WS_TRANSPORT_KIND_H

#include "transport.h"

/*
 * What one write takes of the queue at most, where the bytes are not the socket's yet: what fits
 * into one TLS record (RFC 8446 section 5.1). As long as the core filter is in use it blocks when
 * it holds more than FlushMaxThreshold (64 KiB).
 */
#define WS_RECORD_BYTES 16384
/* What one session may write before others have their turn. */
#define WS_BYTES_PER_ROUND 262144

/*
 * A kind that no descriptor tells when it can go on looks again after `push_ms`, up to this many
 * milliseconds. When it has waited that long it waits for its peer, and not for another thread.
 */
#define WS_LAST_PUSH_MS 64

struct ws_transport_kind {
    const char *name;
    /* ws_transport_read() */
    ws_read (*read)(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton);
    /* Writes the queue's next bytes: how many it took of them; -1 where the connection broke. */
    ssize_t (*write)(ws_transport *t, ws_queue *queue);
    /* ws_transport_offer(), _taken(); both NULL: not written to by batches */
    int (*offer)(ws_transport *t, ws_queue *queue, struct iovec *pieces, int most);
    bool (*taken)(ws_transport *t, ws_queue *queue, size_t offered, ssize_t n);
    /* ws_transport_push() */
    bool (*push)(ws_transport *t);
    /* Whether httpd's filters and connection are out of use; NULL: they never are. */
    bool (*can_leave)(const ws_transport *t);
    /* They are about to be freed; `fd` is the socket from now on. NULL: never called */
    void (*leave)(ws_transport *t, int fd);
    /* What is said before FIN: TLS's close_notify. NULL: nothing */
    void (*say_goodbye)(ws_transport *t);
};

extern const ws_transport_kind ws_transport_socket, ws_transport_filters, ws_transport_tls,
    ws_transport_stream;

/* ---- transport_through.c: what the kinds that go through httpd's filters share ---- */

/* Reads once through the filters, and feeds what they gave. */
ws_read ws_filters_read(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton);
/*
 * Reads what httpd has read before the session began, and calls `empty` when the filters have given
 * all of it.
 */
ws_read ws_filters_read_rest(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton,
                             void (*empty)(ws_transport *t));

#endif
