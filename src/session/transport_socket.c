/* Plain TCP: the socket itself, as soon as httpd's filters have given all that they had read. */
#include "transport_kind.h"

#include <errno.h>
#include <sys/socket.h>

/* Messages in one system call. */
#define VECTORS 64

static void on_filters_empty(ws_transport *t)
{
    t->drained = true;
}

static ws_read socket_read(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    ssize_t n;

    if (!t->drained) {
        return ws_filters_read_rest(t, scratch, feed, baton, on_filters_empty);
    }
    n = recv(t->fd, scratch, WS_SCRATCH_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        feed(baton, scratch, (size_t)n);
        return WS_READ_ALL; /* epoll shows whatever is left */
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? WS_READ_ALL : WS_READ_ENDED;
}

/* The queue's next messages: how many. */
static int socket_offer(ws_transport *t, ws_queue *queue, struct iovec *pieces, int most)
{
    size_t offset = queue->offset, length = 0;
    int n = 0;

    (void)t;
    for (ws_waiting *at = queue->first; at && n < most && length < WS_BYTES_PER_ROUND;
         at = at->next, offset = 0) {
        pieces[n++] = (struct iovec){
            .iov_base = at->outgoing->frame + offset,
            .iov_len = at->outgoing->length - offset,
        };
        length += at->outgoing->length - offset;
    }
    return n;
}

static bool socket_taken(ws_transport *t, ws_queue *queue, size_t offered, ssize_t n)
{
    t->blocked = (size_t)n < offered;
    t->written += n;
    ws_queue_advance(queue, (size_t)n);
    return true;
}

static ssize_t socket_write(ws_transport *t, ws_queue *queue)
{
    struct iovec pieces[VECTORS];
    struct msghdr message = {.msg_iov = pieces};
    const int count = socket_offer(t, queue, pieces, VECTORS);
    size_t offered = 0;
    ssize_t n;

    for (int i = 0; i < count; i++) {
        offered += pieces[i].iov_len;
    }
    message.msg_iovlen = (size_t)count;
    do { /* one message, as most are alone, is cheaper for the kernel than a list of them */
        n = count == 1 ? send(t->fd, pieces[0].iov_base, offered, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : sendmsg(t->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) {
        return -1;
    }
    n = n > 0 ? n : 0;
    socket_taken(t, queue, offered, n);
    return n;
}

/* The socket has room again. */
static bool socket_push(ws_transport *t)
{
    t->blocked = false;
    return true;
}

static bool socket_can_leave(const ws_transport *t)
{
    return t->drained;
}

const ws_transport_kind ws_transport_socket = {
    .name = "socket",
    .read = socket_read,
    .write = socket_write,
    .offer = socket_offer,
    .taken = socket_taken,
    .push = socket_push,
    .can_leave = socket_can_leave,
};
