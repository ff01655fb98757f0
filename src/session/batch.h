/*
 * Sends to many sockets in one system call, by io_uring, where the kernel and the build have it
 * (Linux 5.6, liburing).
 *
 * Nine tenths of a publication to thousands is the kernel's work for each socket, and a good part
 * of that is the way into the kernel and back. A batch collects what is to be sent, and hands it
 * over at once. It waits for no socket: what one does not take its owner is told, as send() would
 * tell it.
 *
 * It belongs to one thread, the one that has created it.
 */
#ifndef WS_BATCH_H
#define WS_BATCH_H

#include "outgoing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct ws_batch ws_batch;

/* Bytes for a socket. */
typedef struct ws_parcel {
    void *owner;
    int fd;
    ws_outgoing *outgoing; /* whose frame it is, a reference; NULL: a copy */
    const uint8_t *data;
    size_t length;
    ssize_t sent; /* how many the socket has taken; negative: an errno value, EAGAIN among them */
} ws_parcel;

/*
 * Told of each parcel when it was sent, or not, in the order in which they were added. It may send
 * the batch: then the others are told before that returns. Until all are told there is no room for
 * more.
 */
typedef void ws_sent(const ws_parcel *parcel);

/* NULL where there is no io_uring: use send(). */
ws_batch *ws_batch_create(ws_sent *sent);
/* Nothing may be in it. */
void ws_batch_destroy(ws_batch *batch);

/* Whether there is room for one more parcel, with a copy of that many bytes. */
bool ws_batch_has_room(const ws_batch *batch, size_t length);
/*
 * Adds a message, for which there must be room. No socket may have two parcels: the second might
 * overtake the first.
 */
void ws_batch_add(ws_batch *batch, void *owner, int fd, ws_outgoing *outgoing);
/*
 * Adds a copy of other bytes, for which there must be room: to the last parcel, where that is the
 * same owner's.
 */
void ws_batch_add_copy(ws_batch *batch, void *owner, int fd, const void *data, size_t length);
/* Sends everything, and tells. */
void ws_batch_send(ws_batch *batch);

#endif
