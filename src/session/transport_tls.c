/* TLS that mod_ssl has set up: its SSL object itself, with a network end of our own. */
#include "transport_kind.h"

#include <errno.h>

/*
 * Reads once from the socket, and decrypts what came. OpenSSL is asked until it has taken
 * everything: mod_ssl has it return behind a record without data (a key update) even if more lies
 * there.
 */
static ws_read tls_read(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    uint8_t raw[WS_SCRATCH_BYTES];
    bool goes_on = true;
    size_t before;
    int n;

    if (!ws_wire_receive(&t->wire, raw, sizeof raw)) {
        return WS_READ_ALL;
    }
    do {
        before = t->wire.received_length;
        n = ws_tls_read(&t->tls, scratch, WS_SCRATCH_BYTES);
        if (n > 0) {
            goes_on = feed(baton, scratch, (size_t)n);
        } else if (n == 0) {
            goes_on = t->wire.received_length < before;
        }
    } while (n >= 0 && goes_on);
    ws_wire_forget(&t->wire);
    t->blocked = ws_wire_holds(&t->wire); /* OpenSSL may have answered, a key update for example */
    return n < 0 ? WS_READ_ENDED : WS_READ_ALL;
}

/* Encrypts the queue's next bytes for the wire: how many; -1 where the connection broke. */
static ssize_t encrypt_some(ws_transport *t, ws_queue *queue)
{
    char room[WS_RECORD_BYTES];
    size_t length;
    const void *bytes = ws_queue_next_bytes(queue, room, sizeof room, &length);

    if (!ws_tls_write(&t->tls, bytes, (int)length)) {
        return -1;
    }
    ws_queue_advance(queue, length);
    return (ssize_t)length;
}

static ssize_t tls_write(ws_transport *t, ws_queue *queue)
{
    const ssize_t n = encrypt_some(t, queue);

    t->blocked = ws_wire_holds(&t->wire);
    return n;
}

/* A record of the queue's next bytes, which the wire keeps until the socket has taken it. */
static int tls_offer(ws_transport *t, ws_queue *queue, struct iovec *pieces, int most)
{
    ssize_t n = 0;

    (void)most;
    if (!ws_wire_holds(&t->wire) && queue->first) {
        ws_wire_cork(&t->wire, true);
        n = encrypt_some(t, queue);
        ws_wire_cork(&t->wire, false);
    }
    return n < 0 ? -EPIPE : ws_wire_offer(&t->wire, pieces);
}

static bool tls_taken(ws_transport *t, ws_queue *queue, size_t offered, ssize_t n)
{
    (void)queue;
    (void)offered;
    ws_wire_taken(&t->wire, (size_t)n);
    t->blocked = ws_wire_holds(&t->wire);
    return true;
}

static bool tls_push(ws_transport *t)
{
    const bool good = ws_wire_push(&t->wire);

    t->blocked = ws_wire_holds(&t->wire);
    return good;
}

static bool tls_can_leave(const ws_transport *t)
{
    (void)t;
    return true;
}

static void tls_leave(ws_transport *t, int fd)
{
    ws_tls_keep(&t->tls);
    ws_wire_leave(&t->wire, fd);
}

static void tls_say_goodbye(ws_transport *t)
{
    ws_tls_shut_down(&t->tls);
}

const ws_transport_kind ws_transport_tls = {
    .name = "tls",
    .read = tls_read,
    .write = tls_write,
    .offer = tls_offer,
    .taken = tls_taken,
    .push = tls_push,
    .can_leave = tls_can_leave,
    .leave = tls_leave,
    .say_goodbye = tls_say_goodbye,
};
