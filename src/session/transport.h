/*
 * How a session's bytes get to its peer and back. Four kinds of connection, one way to use them:
 *
 *   socket   plain TCP, where httpd's filters would do nothing but copy: the socket itself
 *   filters  where another module has a filter on the connection, or sessions are to stay on it:
 *            through httpd's filters, with a network end of our own (wire.h), never waiting
 *   tls      mod_ssl's filters and no others, as soon as they hold nothing: its SSL object
 *            itself, with the same network end (tls.h)
 *   stream   of an HTTP/2 connection: through the filters, handing mod_http2 what it takes without
 *            waiting
 *
 * Each kind is a const table of operations in a file of its own (transport_kind.h). The socket and
 * tls kinds need nothing of httpd's, so a session of theirs can leave its connection.
 *
 * No function here calls the session, but for `feed` while it reads; none ends it. The transport
 * stays usable, though broken, until its session closes it.
 *
 * It belongs to a session and its thread.
 */
#ifndef WS_TRANSPORT_H
#define WS_TRANSPORT_H

#include "queue.h"
#include "tls.h"
#include "wire.h"

#include <httpd.h>

#include <stdbool.h>
#include <sys/uio.h>

#define WS_SCRATCH_BYTES 16384 /* for one read: what `scratch` has room for */

typedef struct ws_transport_kind ws_transport_kind;

typedef struct ws_transport {
    const ws_transport_kind *kind;
    int fd;          /* readable when there is input; a socket is writable, too: for epoll */
    bool blocked;    /* the peer does not take more: wait until `fd` is writable ... */
    bool offered;    /* bytes were offered to a batch: nothing is written until it has answered */
    bool detaches;   /* it may do without httpd's connection, where the kind can */
    bool drained;    /* socket: the filters have given all that they held */
    bool begun;      /* stream: the request's own end has been read */
    bool hung_up;    /* our side is closed */
    bool behind;     /* when last asked: bytes waited for the peer to make room for them */
    int push_ms;     /* ... or push after this many milliseconds, where it is not 0 */
    int64_t written; /* socket: bytes that the socket has taken */
    ws_wire wire;    /* filters, tls: the network end */
    ws_tls tls;      /* filters, tls: mod_ssl's object, where that can do without the filters */
    conn_rec *c;     /* NULL: left */
    size_t got;      /* bytes that the last read through the filters has brought */
    int64_t acknowledged;     /* when last asked: bytes of `written` that have arrived */
    apr_socket_t *socket;     /* NULL: a stream, or left */
    apr_bucket_brigade *held; /* stream: copies of the buckets that mod_http2 has not sent yet */
    apr_bucket_brigade *in, *out;
    apr_interval_time_t timeout; /* the MPM's, of the socket */
} ws_transport;

typedef enum ws_read {
    WS_READ_ALL,   /* that there was: wait until `fd` is readable */
    WS_READ_MORE,  /* may be there, though `fd` does not say so: call again after the others */
    WS_READ_ENDED, /* the peer has closed its side, or the connection broke */
} ws_read;

/* Takes bytes, which it may write to. False: no more of them are wanted. */
typedef bool ws_feed(void *baton, uint8_t *data, size_t length);

/*
 * On the worker thread, while the request is being handled. `ssl` as ws_tls_register() has found
 * it, or NULL. `detaches`: the transport may do without httpd's filters and connection.
 */
void ws_transport_init(ws_transport *transport, conn_rec *c, SSL *ssl, bool detaches);
/* On the session's thread. False where the connection is gone. */
bool ws_transport_open(ws_transport *transport);
/* "socket" ...: for the log. */
const char *ws_transport_kind_name(const ws_transport *transport);
/* Whether the session stays on its connection for good. */
bool ws_transport_stays(const ws_transport *transport);

/*
 * Reads once, and gives what came to `feed`, several times or not at all, until that wants no more.
 * `scratch` has WS_SCRATCH_BYTES, for the time of the call.
 */
ws_read ws_transport_read(ws_transport *transport, uint8_t *scratch, ws_feed *feed, void *baton);

/*
 * Writes some of the queue: until it is empty, the peer takes no more (`blocked`), or others should
 * have their turn. False where the connection broke.
 */
bool ws_transport_write(ws_transport *transport, ws_queue *queue);
/*
 * For a batch (batch.h, whose contract this is): the queue's next bytes. 0 where there are none, or
 * this kind is not written to by batches: ws_transport_write() is the way then.
 */
int ws_transport_offer(ws_transport *transport, ws_queue *queue, int *fd, struct iovec *pieces,
                       int most);
/* What the socket took of them. False where the connection broke. */
bool ws_transport_taken(ws_transport *transport, ws_queue *queue, size_t offered, ssize_t n);
/* Whether this kind is written to by batches. */
bool ws_transport_offers(const ws_transport *transport);
/*
 * `fd` has become writable, or `push_ms` are over: writes what the filters have kept. False where
 * the connection broke.
 */
bool ws_transport_push(ws_transport *transport);
/*
 * Whether the peer is to blame for what waits: mod_http2 too takes a moment to pass something on.
 */
bool ws_transport_is_slow(const ws_transport *transport);
/*
 * Whether bytes waited in this machine when this was last asked, since the peer had no room for
 * them, and some have reached it since then: it reads, however slowly. False of a stream, whose
 * connection is not ours.
 */
bool ws_transport_catches_up(ws_transport *transport);

/* Whether nothing of the connection is in use but its socket, and what mod_ssl has set up. */
bool ws_transport_can_leave(const ws_transport *transport);
/*
 * Takes over those: from now on they are the transport's own, `fd` is another one, and the
 * connection can be freed. False where descriptors have run out, and nothing has changed.
 */
bool ws_transport_leave(ws_transport *transport);

/*
 * Says goodbye below WebSocket: TLS's close_notify and FIN. False where the connection broke, and
 * of a stream, which mod_http2 ends.
 */
bool ws_transport_hang_up(ws_transport *transport);
/*
 * After that: drops some of what the peer still sends: how many bytes; -1 when it has closed its
 * side, or the connection broke.
 */
ssize_t ws_transport_drain(ws_transport *transport, uint8_t *scratch);

/*
 * Gives up everything: closes the socket, or leaves that to the one that frees the connection. For
 * a session that owns its connection.
 */
void ws_transport_close(ws_transport *transport);
/* The connection is the MPM's again, with its socket open. */
void ws_transport_give_back(ws_transport *transport);

#endif
