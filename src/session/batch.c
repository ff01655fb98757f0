#include <config.h>

#include "batch.h"

#ifndef HAVE_LIBURING

ws_batch *ws_batch_create(ws_sent *sent)
{
    (void)sent;
    return NULL;
}

void ws_batch_destroy(ws_batch *batch)
{
    (void)batch;
}

bool ws_batch_has_room(const ws_batch *batch, size_t length)
{
    (void)batch;
    (void)length;
    return false;
}

void ws_batch_add(ws_batch *batch, void *owner, int fd, ws_outgoing *outgoing)
{
    (void)batch;
    (void)owner;
    (void)fd;
    (void)outgoing;
}

void ws_batch_add_copy(ws_batch *batch, void *owner, int fd, const void *data, size_t length)
{
    (void)batch;
    (void)owner;
    (void)fd;
    (void)data;
    (void)length;
}

void ws_batch_send(ws_batch *batch)
{
    (void)batch;
}

#else

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PARCELS      64
#define COPIES_BYTES 65536

struct ws_batch {
    ws_sent *sent;
    struct io_uring ring;
    bool broken;  /* the kernel has refused: send() */
    bool telling; /* all were sent; the owners of `told` have heard of it */
    unsigned count, told;
    ws_parcel parcels[PARCELS];
    size_t copied;
    uint8_t copies[COPIES_BYTES];
};

/* Set where a parcel was not handed over, or nothing came back. */
#define UNSENT       (-SSIZE_MAX)

ws_batch *ws_batch_create(ws_sent *sent)
{
    ws_batch *batch = calloc(1, sizeof *batch);

    if (!batch) {
        abort(); /* as APR's pools do when memory is out */
    }
    batch->sent = sent;
    if (io_uring_queue_init(PARCELS, &batch->ring, 0) != 0) {
        free(batch);
        return NULL;
    }
    return batch;
}

void ws_batch_destroy(ws_batch *batch)
{
    if (!batch) {
        return;
    }
    if (!batch->broken) {
        io_uring_queue_exit(&batch->ring);
    }
    free(batch);
}

bool ws_batch_has_room(const ws_batch *batch, size_t length)
{
    return !batch->telling && batch->count < PARCELS &&
           length <= sizeof batch->copies - batch->copied;
}

void ws_batch_add(ws_batch *batch, void *owner, int fd, ws_outgoing *outgoing)
{
    ws_outgoing_hold(outgoing);
    batch->parcels[batch->count++] =
        (ws_parcel){owner, fd, outgoing, outgoing->frame, outgoing->length, UNSENT};
}

void ws_batch_add_copy(ws_batch *batch, void *owner, int fd, const void *data, size_t length)
{
    ws_parcel *last = batch->count > 0 ? &batch->parcels[batch->count - 1] : NULL;
    uint8_t *copy = batch->copies + batch->copied;

    memcpy(copy, data, length);
    batch->copied += length;
    if (last && last->owner == owner) {
        last->length += length;
    } else {
        batch->parcels[batch->count++] = (ws_parcel){owner, fd, NULL, copy, length, UNSENT};
    }
}

/* Takes what has come back: how many. */
static unsigned reap(ws_batch *batch)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;

    io_uring_for_each_cqe(&batch->ring, head, cqe)
    {
        batch->parcels[cqe->user_data].sent = cqe->res;
        n++;
    }
    io_uring_cq_advance(&batch->ring, n);
    return n;
}

/* False where the kernel refuses: what has not come back then was not sent. */
static bool submit(ws_batch *batch)
{
    unsigned missing = batch->count;

    for (unsigned i = 0; i < batch->count; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&batch->ring);
        const ws_parcel *parcel = &batch->parcels[i];

        io_uring_prep_send(sqe, parcel->fd, parcel->data, parcel->length,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        sqe->user_data = i;
    }
    while (missing > 0) {
        const int n = io_uring_submit_and_wait(&batch->ring, missing);

        missing -= reap(batch);
        if (n < 0 && n != -EINTR) {
            return missing == 0;
        }
    }
    return true;
}

static void send_parcel(ws_parcel *parcel)
{
    ssize_t n;

    do {
        n = send(parcel->fd, parcel->data, parcel->length, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    parcel->sent = n < 0 ? -errno : n;
}

void ws_batch_send(ws_batch *batch)
{
    if (!batch->telling) {
        if (!batch->broken && !submit(batch)) {
            io_uring_queue_exit(&batch->ring);
            batch->broken = true;
        }
        batch->telling = true;
        batch->told = 0;
    }
    /*
     * Who is told may send the batch again: then the others are told first, and nothing is left to
     * do here.
     */
    while (batch->telling && batch->told < batch->count) {
        ws_parcel parcel = batch->parcels[batch->told++];

        if (parcel.sent == UNSENT) {
            send_parcel(&parcel);
        }
        batch->sent(&parcel);
        if (parcel.outgoing) {
            ws_outgoing_release(parcel.outgoing);
        }
    }
    if (batch->telling) {
        batch->telling = false;
        batch->count = 0;
        batch->copied = 0;
    }
}

#endif
