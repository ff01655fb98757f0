#include <config.h>

#include "batch.h"

#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

/* Sources whose bytes go into the kernel together. */
#define GROUP 64
/* Pieces of one source, and of all in a group. */
#define PIECES       16
#define GROUP_PIECES 256

/* What one source of the group offers, and what came of it. */
typedef struct parcel {
    ws_source *source;
    int fd;
    size_t offered;
    ssize_t taken;         /* UNKNOWN until the socket, or the source, has said */
    struct msghdr message; /* its pieces */
} parcel;

#define UNKNOWN (-SSIZE_MAX)

struct ws_batch {
    const ws_batch_operations *operations;
    ws_source head; /* of a ring */
    parcel group[GROUP];
    struct iovec pieces[GROUP_PIECES];
#ifdef HAVE_LIBURING
    struct io_uring ring;
#endif
    bool has_ring; /* false: send() */
};

/* ---- the two ways into the kernel ---- */

static void send_one(parcel *p)
{
    const struct iovec *first = p->message.msg_iov;
    ssize_t n;

    do { /* one piece, as most are, is cheaper for the kernel than a list of them */
        n = p->message.msg_iovlen == 1
                ? send(p->fd, first->iov_base, first->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                : sendmsg(p->fd, &p->message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    p->taken = n < 0 ? -errno : n;
}

#ifdef HAVE_LIBURING

static bool open_ring(ws_batch *batch)
{
    return io_uring_queue_init(GROUP, &batch->ring, 0) == 0;
}

static void close_ring(ws_batch *batch)
{
    if (batch->has_ring) {
        io_uring_queue_exit(&batch->ring);
        batch->has_ring = false;
    }
}

static void prepare(ws_batch *batch, parcel *p)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&batch->ring);
    const struct iovec *first = p->message.msg_iov;

    if (p->message.msg_iovlen == 1) {
        io_uring_prep_send(sqe, p->fd, first->iov_base, first->iov_len,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        io_uring_prep_sendmsg(sqe, p->fd, &p->message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    sqe->user_data = (uint64_t)(p - batch->group);
}

/* Takes what has come back: how many results. */
static unsigned reap(ws_batch *batch)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;

    io_uring_for_each_cqe(&batch->ring, head, cqe)
    {
        batch->group[cqe->user_data].taken = cqe->res;
        n++;
    }
    io_uring_cq_advance(&batch->ring, n);
    return n;
}

/*
 * Sends the group by io_uring, and waits until the kernel has looked at each socket, which with
 * MSG_DONTWAIT it does at once. Where the kernel refuses, io_uring is given up; parcels that did
 * not come back then were not handed over.
 */
static void send_by_ring(ws_batch *batch, unsigned count)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < count; i++) {
        if (batch->group[i].taken == UNKNOWN) {
            prepare(batch, &batch->group[i]);
            missing++;
        }
    }
    while (missing > 0) {
        const int n = io_uring_submit_and_wait(&batch->ring, missing);

        missing -= reap(batch);
        if (n < 0 && n != -EINTR && missing > 0) {
            close_ring(batch);
            return;
        }
    }
}

#else

static bool open_ring(ws_batch *batch)
{
    (void)batch;
    return false;
}

static void close_ring(ws_batch *batch)
{
    (void)batch;
}

static void send_by_ring(ws_batch *batch, unsigned count)
{
    (void)batch;
    (void)count;
}

#endif

/* ---- groups ---- */

static bool is_empty(const ws_batch *batch)
{
    return batch->head.next == &batch->head;
}

static size_t length_of(const struct iovec *pieces, int count)
{
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        length += pieces[i].iov_len;
    }
    return length;
}

/* Asks the next sources, as many as a group has room for: how many have something, or an error. */
static unsigned collect(ws_batch *batch)
{
    unsigned count = 0;
    int used = 0;

    while (count < GROUP && used + PIECES <= GROUP_PIECES && !is_empty(batch)) {
        ws_source *source = batch->head.next;
        parcel *p = &batch->group[count];
        struct iovec *pieces = &batch->pieces[used];
        int n;

        ws_batch_remove(source);
        *p = (parcel){.source = source, .taken = UNKNOWN};
        n = batch->operations->offer(source, &p->fd, pieces, PIECES);
        if (n > 0) {
            p->message.msg_iov = pieces;
            p->message.msg_iovlen = (size_t)n;
            p->offered = length_of(pieces, n);
            used += n;
        } else if (n < 0) {
            p->taken = n;
        }
        count += n != 0;
    }
    return count;
}

void ws_batch_send(ws_batch *batch)
{
    while (!is_empty(batch)) {
        const unsigned count = collect(batch);

        if (batch->has_ring) {
            send_by_ring(batch, count);
        }
        for (unsigned i = 0; i < count; i++) {
            if (batch->group[i].taken == UNKNOWN) {
                send_one(&batch->group[i]);
            }
        }
        for (unsigned i = 0; i < count; i++) {
            const parcel *p = &batch->group[i];

            batch->operations->taken(p->source, p->offered, p->taken);
        }
    }
}

/* ---- sources ---- */

void ws_batch_add(ws_batch *batch, ws_source *source)
{
    if (source->next) {
        return;
    }
    source->next = &batch->head;
    source->previous = batch->head.previous;
    source->previous->next = source;
    batch->head.previous = source;
}

void ws_batch_remove(ws_source *source)
{
    if (source->next) {
        source->previous->next = source->next;
        source->next->previous = source->previous;
        source->next = source->previous = NULL;
    }
}

/* ---- life ---- */

ws_batch *ws_batch_create(const ws_batch_operations *operations, bool io_uring)
{
    ws_batch *batch = calloc(1, sizeof *batch);

    if (!batch) {
        base_out_of_memory();
    }
    batch->operations = operations;
    batch->head.next = batch->head.previous = &batch->head;
    batch->has_ring = io_uring && open_ring(batch);
    return batch;
}

void ws_batch_destroy(ws_batch *batch)
{
    if (!batch) {
        return;
    }
    while (!is_empty(batch)) {
        ws_batch_remove(batch->head.next);
    }
    close_ring(batch);
    free(batch);
}

bool ws_batch_uses_io_uring(const ws_batch *batch)
{
    return batch->has_ring;
}
