/*
 * Writes to many sockets in one system call, by io_uring, where the kernel and the build have it
 * (Linux 5.6, liburing), and by send() where they do not.
 *
 * Nine tenths of a publication to thousands is the kernel's work for each socket, and a good part
 * of that is the way into the kernel and back.
 *
 * A batch is a list of sources that have something for their sockets. It holds no bytes: each
 * source is asked for its next bytes when the batch is sent, and learns at once how many of them
 * the socket took. Between the question and the answer nothing else runs on the thread. So a
 * source's bytes leave in the order in which the source keeps them, whatever happened since it was
 * added: it may have written meanwhile, have got more bytes, or have none left.
 *
 * No socket is waited for. A batch belongs to one thread, the one that has created it.
 */
#ifndef WS_BATCH_H
#define WS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef struct ws_batch ws_batch;

/* Something that writes to a socket. Embedded in it; all zero: in no batch. */
typedef struct ws_source {
    struct ws_source *next, *previous;
} ws_source;

typedef struct ws_batch_operations {
    /*
     * The source's next bytes, as up to `most` pieces: how many pieces, 0 where there is nothing to
     * write now, or a negative errno, which taken() is given. The pieces stay where they are until
     * taken() is called for this source, which happens before any other source is asked again.
     */
    int (*offer)(ws_source *source, int *fd, struct iovec *pieces, int most);
    /*
     * How many of the `offered` bytes the socket has taken, or a negative errno (-EAGAIN: none
     * now). It may change the source alone: no other source's bytes, and not the batch.
     */
    void (*taken)(ws_source *source, size_t offered, ssize_t n);
} ws_batch_operations;

/* `io_uring`: to be used where there is one. Never NULL. */
ws_batch *ws_batch_create(const ws_batch_operations *operations, bool io_uring);
/* Sources that are still in it are in no batch afterwards. */
void ws_batch_destroy(ws_batch *batch);
/* Whether io_uring is in use: for tests and the log. */
bool ws_batch_uses_io_uring(const ws_batch *batch);

/* Adds a source at the end; one that is in the batch already stays where it is. */
void ws_batch_add(ws_batch *batch, ws_source *source);
/* Takes a source out, if it is in a batch. */
void ws_batch_remove(ws_source *source);
/* Offers what each source has to its socket, once; the batch is empty afterwards. */
void ws_batch_send(ws_batch *batch);

#endif
