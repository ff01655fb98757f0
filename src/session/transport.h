/*
 * How a session's bytes get to its peer and back. Four kinds of connection, one way to use them:
 *
 *   socket   plain TCP, where httpd's filters would do nothing but copy: the socket itself
 *   filters  whatever else has put a filter on the connection: through httpd's filters, with
 *            a network end of our own (wire.h), never waiting (see docs/architecture.md)
 *   tls      mod_ssl's filters and no others, as soon as they hold nothing any more: its SSL object
 *            itself, with the same network end (tls.h)
 *   stream   of an HTTP/2 connection: through the filters, handing mod_http2 what it takes without
 *            waiting
 *
 * The socket and tls kinds need nothing of httpd's any more: with them a session can leave its
 * connection.
 *
 * It belongs to a session and its thread.
 */
#ifndef WS_TRANSPORT_H
#define WS_TRANSPORT_H

#include "batch.h"
#include "queue.h"
#include "tls.h"
#include "wire.h"

#include <httpd.h>

#include <stdbool.h>

#define WS_SCRATCH_BYTES 16384 /* what a reactor keeps for reading, once for all its sessions */

typedef enum ws_transport_kind {
    WS_TRANSPORT_SOCKET,
    WS_TRANSPORT_FILTERS,
    WS_TRANSPORT_TLS,
    WS_TRANSPORT_STREAM,
} ws_transport_kind;

typedef struct ws_transport {
    int fd; /* readable when there is input, and where there is a socket writable: for epoll */
    ws_transport_kind kind;
    bool blocked;      /* the peer does not take more: wait until `fd` is writable ... */
    bool input_direct; /* SOCKET: the filters have given all that they held */
    bool stream_begun; /* STREAM: the request's own end has been read */
    bool behind;       /* when last asked: bytes waited for the peer to make room for them */
    int push_ms;       /* ... or push after so many milliseconds, where this is not 0 */
    int64_t written;   /* SOCKET: bytes that the socket has taken */
    ws_tls tls;        /* FILTERS, TLS: mod_ssl's object, where that can do without the filters */
    conn_rec *c;       /* NULL: left */
    apr_socket_t *socket;     /* NULL: a stream, or left */
    size_t got;               /* bytes that the last read through the filters has brought */
    ws_wire wire;             /* FILTERS, TLS: the network end */
    int64_t acknowledged;     /* when last asked: bytes of `written` that have arrived */
    apr_bucket_brigade *held; /* STREAM: copies of the buckets that mod_http2 has not sent yet */
    apr_bucket_brigade *in, *out;
    apr_interval_time_t timeout; /* the MPM's, of the socket */
} ws_transport;

typedef enum ws_read {
    WS_READ_ALL,   /* that there was: wait until `fd` is readable */
    WS_READ_MORE,  /* may be there, though `fd` does not say so: call again after the others */
    WS_READ_ENDED, /* the peer has closed its side, or the connection broke */
} ws_read;

/*
 * On the worker thread, while the request is being handled. `ssl` as ws_tls_register() has told, or
 * NULL.
 */
void ws_transport_init(ws_transport *transport, conn_rec *c, SSL *ssl);
/* On the session's thread. False where the connection is gone. */
bool ws_transport_open(ws_transport *transport);

/*
 * Reads once, and gives what came to `feed`, which may write to it. `scratch` has WS_SCRATCH_BYTES,
 * for the time of the call. `feed` may be called several times, and not at all.
 */
ws_read ws_transport_read(ws_transport *transport, uint8_t *scratch,
                          void (*feed)(void *baton, uint8_t *data, size_t length), void *baton);
/*
 * Writes some of the queue: until it is empty, the peer takes no more (`blocked`), or others should
 * have their turn. False where the connection broke.
 */
bool ws_transport_write(ws_transport *transport, ws_queue *queue);
/*
 * The short way of one message where no queue waits and nothing is `blocked`: how many of its bytes
 * are on their way. The rest belongs into the queue; writing that tells what is wrong, if anything
 * is.
 */
size_t ws_transport_send(ws_transport *transport, const ws_outgoing *outgoing);
/*
 * The same through a batch, whose parcel has this owner. False where the message does not go that
 * way. What came of it is to be given to ws_transport_posted() before anything else is written: how
 * many of the message's bytes are on their way.
 */
bool ws_transport_post(ws_transport *transport, ws_batch *batch, void *owner,
                       ws_outgoing *outgoing);
size_t ws_transport_posted(ws_transport *transport, const ws_parcel *parcel);
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

/* Says goodbye below WebSocket: TLS's close_notify and FIN. False where the connection broke. */
bool ws_transport_hang_up(ws_transport *transport);
/* After that: drops what the peer still sends. True when it has closed its side. */
bool ws_transport_drain(ws_transport *transport, uint8_t *scratch);
/*
 * Closes what is its own; a connection that was not left is ready to be closed. Nothing may be
 * called any more.
 */
void ws_transport_close(ws_transport *transport);
/* Leaves the connection to the MPM to close. Nothing may be called any more. */
void ws_transport_give_back(ws_transport *transport);

#endif
