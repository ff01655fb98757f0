/*
 * The network end of httpd's filters, for sessions whose bytes go through them (TLS).
 *
 * httpd's own end, the core filters, reads into a fresh bucket of 8,000 bytes per connection, looks
 * a second time whether there is more, waits for the socket where a brigade asks for a flush or is
 * large, and keeps small writes back. A session's loop knows when there is something to read, and
 * must never wait. So a pair of filters right above the core filters takes their place as soon as
 * those hold nothing: what the socket has is read once, into memory of the caller's, and handed up
 * as mod_ssl asks for it; what comes down is written at once, and what the socket does not take is
 * kept until it does.
 *
 * It belongs to a session's transport and its thread.
 */
#ifndef WS_WIRE_H
#define WS_WIRE_H

#include <stdbool.h>
#include <stddef.h> /* before APR's headers, which make their offsets of it */
#include <stdint.h>
#include <sys/uio.h>

#include <httpd.h>
#include <util_filter.h>

typedef struct ws_wire {
    int fd;
    ap_filter_t *input, *output;
    bool reads, writes; /* in this direction the core filters hold nothing: the socket is ours */
    bool ended;         /* the peer has closed its side, or the connection broke */
    const uint8_t *received; /* what ws_wire_receive() has read and was not taken yet */
    size_t received_length;
    uint8_t *unsent; /* what the socket has not taken, on the heap; NULL: nothing */
    size_t unsent_length, unsent_at;
    int64_t written; /* bytes that the socket has taken */
    bool corked;     /* nothing is written: what is sent is kept */
} ws_wire;

/* When hooks are registered. */
void ws_wire_register(void);
/* Puts the filters into the connection's chains. */
void ws_wire_insert(ws_wire *wire, conn_rec *c, int fd);
/*
 * Takes them out again: the connection is about to be freed. The wire goes on, with this
 * descriptor.
 */
void ws_wire_leave(ws_wire *wire, int fd);
/* Takes them out again, and drops what is unsent. */
void ws_wire_remove(ws_wire *wire);

/*
 * Reads once from the socket into `room`; the filters above get it from there until
 * ws_wire_forget(). False where there was nothing. Only where `reads` is true.
 */
bool ws_wire_receive(ws_wire *wire, uint8_t *room, size_t size);
void ws_wire_forget(ws_wire *wire);
/*
 * Writes at once what the socket takes, and keeps the rest, behind what is kept already. False
 * where the connection broke. Only where `writes` is true.
 */
bool ws_wire_send(ws_wire *wire, const void *data, size_t length);
/* Writes what is kept. False where the connection broke. Only where `writes` is true. */
bool ws_wire_push(ws_wire *wire);
/* Whether something is kept. */
bool ws_wire_holds(const ws_wire *wire);

/* Corked, ws_wire_send() keeps everything, for ws_wire_offer(). */
void ws_wire_cork(ws_wire *wire, bool corked);
/* What is kept, as one piece: 1; 0 where there is nothing. It stays where it is until taken. */
int ws_wire_offer(const ws_wire *wire, struct iovec *piece);
/* The socket has taken this many bytes of it. */
void ws_wire_taken(ws_wire *wire, size_t n);

#endif
