#include "transport.h"

#include <http_connection.h>
#include <http_core.h>
#include <util_filter.h>

#include <apr_portable.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What one read through the filters takes at most: the size of httpd's own socket buckets. */
#define READ_BYTES APR_BUCKET_BUFF_SIZE
/*
 * What the filters are given at once: what fits into one TLS record (RFC 8446 section 5.1). As long
 * as core's own end is in use it blocks when it holds more than FlushMaxThreshold (64 KiB).
 */
#define FILTER_BYTES 16384
/* How often an empty answer is asked again for what the core filter may hold. */
#define ASK_AGAIN 4
/* What is read of it before others have their turn. */
#define REST_BYTES 65536
/* What one session may write before others have their turn. */
#define BYTES_PER_ROUND 262144
/*
 * The least that H2StreamMaxMemSize can be, which nobody tells us. As long as mod_http2 holds less
 * than this of a stream's output it takes one more bucket, of any size, without waiting.
 */
#define STREAM_ROOM 1024
/*
 * How soon mod_http2 is asked whether it has sent something, in milliseconds: at first, and at
 * last.
 */
#define STREAM_ASK_FIRST 1
#define STREAM_ASK_LAST  64
/*
 * Over TLS, the longest message that is worth a copy into a batch; and what a few records add to
 * it.
 */
#define POSTED_BYTES 4096
#define TLS_OVERHEAD 1024
/* Messages in one system call. */
#define VECTORS 64

/* Filters that only count, or that have nothing more to do once the request is over. */
static bool is_transparent(const char *name)
{
    static const char *const names[] = {"core", "core_in", "log_input_output", "reqtimeout",
                                        "clowntalk_wire"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether nothing is lost without these filters: they are transparent, or `replaced`. */
static bool can_do_without(const ap_filter_t *filters, bool (*replaced)(const char *name))
{
    while (filters &&
           (is_transparent(filters->frec->name) || (replaced && replaced(filters->frec->name)))) {
        filters = filters->next;
    }
    return filters == NULL;
}

static bool only_these(const conn_rec *c, bool (*replaced)(const char *name))
{
    return can_do_without(c->input_filters, replaced) &&
           can_do_without(c->output_filters, replaced);
}

void ws_transport_init(ws_transport *t, conn_rec *c, SSL *ssl)
{
    *t = (ws_transport){.c = c, .fd = -1};
    t->in = apr_brigade_create(c->pool, c->bucket_alloc);
    t->out = apr_brigade_create(c->pool, c->bucket_alloc);
    if (c->master) {
        t->kind = WS_TRANSPORT_STREAM;
        t->held = apr_brigade_create(c->pool, c->bucket_alloc);
        return;
    }
    t->socket = ap_get_conn_socket(c);
    t->kind = only_these(c, NULL) ? WS_TRANSPORT_SOCKET : WS_TRANSPORT_FILTERS;
    if (ssl && only_these(c, ws_tls_replaces)) {
        t->tls.ssl = ssl;
    }
}

/* The descriptor that tells of input: the socket, or a stream's pipe. -1 where there is none. */
static int find_descriptor(const ws_transport *t)
{
    apr_os_sock_t fd = -1;

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 129)
    if (t->kind == WS_TRANSPORT_STREAM) {
        apr_pollfd_t pollfd = {.desc_type = APR_NO_DESC};

        if (ap_get_pollfd_from_conn(t->c, &pollfd, NULL) != APR_SUCCESS ||
            pollfd.desc_type != APR_POLL_FILE ||
            apr_os_file_get(&fd, pollfd.desc.f) != APR_SUCCESS) {
            return -1;
        }
        return fd;
    }
#endif
    return t->socket && apr_os_sock_get(&fd, t->socket) == APR_SUCCESS ? fd : -1;
}

bool ws_transport_open(ws_transport *t)
{
    t->fd = find_descriptor(t);
    if (t->c->aborted || t->fd < 0) {
        return false;
    }
    if (t->socket) {
        /* A filter that insists on a blocking write fails instead of holding up all sessions. */
        apr_socket_timeout_get(t->socket, &t->timeout);
        apr_socket_timeout_set(t->socket, 0);
    }
    t->blocked = t->kind != WS_TRANSPORT_STREAM && t->c->data_in_output_filters;
    if (t->blocked) {
        t->kind =
            WS_TRANSPORT_FILTERS; /* they hold the end of the handshake: all goes through them */
    }
    if (t->kind == WS_TRANSPORT_FILTERS) {
        ws_wire_insert(&t->wire, t->c, t->fd);
    }
    return true;
}

/* ---- reading ---- */

/* Feeds what the filters have given. False at the end of the stream. */
static bool feed_brigade(ws_transport *t, uint8_t *scratch,
                         void (*feed)(void *baton, uint8_t *data, size_t length), void *baton)
{
    for (apr_bucket *bucket = APR_BRIGADE_FIRST(t->in); bucket != APR_BRIGADE_SENTINEL(t->in);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t length;

        if (APR_BUCKET_IS_EOS(bucket)) {
            if (t->kind == WS_TRANSPORT_STREAM && !t->stream_begun) {
                t->stream_begun = true; /* mod_http2's end of the handshake's empty body */
                continue;
            }
            return false;
        }
        if (APR_BUCKET_IS_METADATA(bucket)) {
            continue;
        }
        if (apr_bucket_read(bucket, &data, &length, APR_NONBLOCK_READ) != APR_SUCCESS) {
            return false;
        }
        t->got += length;
        /* Copied, since `feed` writes to it and the bucket may be somebody else's memory. */
        while (length > 0) {
            const size_t part = length < WS_SCRATCH_BYTES ? length : WS_SCRATCH_BYTES;

            memcpy(scratch, data, part);
            feed(baton, scratch, part);
            data += part;
            length -= part;
        }
    }
    return true;
}

static ws_read read_filters(ws_transport *t, uint8_t *scratch,
                            void (*feed)(void *baton, uint8_t *data, size_t length), void *baton)
{
    const apr_status_t status = ap_get_brigade(t->c->input_filters, t->in, AP_MODE_READBYTES,
                                               APR_NONBLOCK_READ, READ_BYTES);
    const bool empty = APR_BRIGADE_EMPTY(t->in);
    bool going_on = true;

    t->got = 0;
    if (status == APR_SUCCESS && !empty) {
        going_on = feed_brigade(t, scratch, feed, baton);
    }
    apr_brigade_cleanup(t->in);
    if (!going_on || (status != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(status))) {
        return WS_READ_ENDED;
    }
    /*
     * Filters may keep back what they have read from the socket: only an empty answer says that
     * they do not.
     */
    return status == APR_SUCCESS && !empty ? WS_READ_MORE : WS_READ_ALL;
}

/* The filters hold nothing any more: where they can be done without, they are. */
static void leave_filters(ws_transport *t)
{
    if (t->kind == WS_TRANSPORT_SOCKET) {
        t->input_direct = true;
    } else if (t->kind == WS_TRANSPORT_FILTERS && t->tls.ssl && t->wire.reads && t->wire.writes &&
               !t->wire.ended && ws_tls_take(&t->tls, &t->wire)) {
        t->kind = WS_TRANSPORT_TLS;
    }
}

/*
 * Reads once from the socket, and has the filters make of it what they can. A short answer does not
 * mean that they want more: a TLS record may carry no data (a key update).
 */
static ws_read read_wire(ws_transport *t, uint8_t *scratch,
                         void (*feed)(void *baton, uint8_t *data, size_t length), void *baton)
{
    uint8_t raw[WS_SCRATCH_BYTES];
    ws_read result;
    size_t before;

    if (!ws_wire_receive(&t->wire, raw, sizeof raw)) {
        return WS_READ_ALL;
    }
    do {
        before = t->wire.received_length;
        result = read_filters(t, scratch, feed, baton);
    } while (result != WS_READ_ENDED &&
             (t->wire.received_length > 0 ? t->got > 0 || t->wire.received_length < before
                                          : t->got >= READ_BYTES));
    ws_wire_forget(&t->wire);
    if (result == WS_READ_ENDED) {
        return WS_READ_ENDED;
    }
    leave_filters(t);
    return WS_READ_ALL;
}

/*
 * Reads once from the socket, and decrypts what came. OpenSSL is asked until it has taken
 * everything: mod_ssl has it return behind a record without data (a key update) even if more lies
 * there.
 */
static ws_read read_tls(ws_transport *t, uint8_t *scratch,
                        void (*feed)(void *baton, uint8_t *data, size_t length), void *baton)
{
    uint8_t raw[WS_SCRATCH_BYTES];
    size_t before;
    int n;

    if (!ws_wire_receive(&t->wire, raw, sizeof raw)) {
        return WS_READ_ALL;
    }
    do {
        before = t->wire.received_length;
        n = ws_tls_read(&t->tls, scratch, WS_SCRATCH_BYTES);
        if (n > 0) {
            feed(baton, scratch, (size_t)n);
        }
    } while (n > 0 || (n == 0 && t->wire.received_length < before));
    ws_wire_forget(&t->wire);
    return n < 0 ? WS_READ_ENDED : WS_READ_ALL;
}

/*
 * Reads what httpd has read before the session began. Filters give as little at a time as a TLS
 * record: unless they are asked again, a client that writes steadily is never done with.
 */
static ws_read read_rest(ws_transport *t, uint8_t *scratch,
                         void (*feed)(void *baton, uint8_t *data, size_t length), void *baton)
{
    ws_read result;
    size_t got = 0;
    int empty = 0;

    do {
        result = read_filters(t, scratch, feed, baton);
        got += t->got;
        empty += result == WS_READ_ALL;
    } while (result == WS_READ_MORE ? got < REST_BYTES
                                    : result == WS_READ_ALL && empty <= ASK_AGAIN &&
                                          t->kind == WS_TRANSPORT_FILTERS && !t->wire.reads);
    if (result == WS_READ_ALL) {
        leave_filters(t);
    }
    return result;
}

ws_read ws_transport_read(ws_transport *t, uint8_t *scratch,
                          void (*feed)(void *baton, uint8_t *data, size_t length), void *baton)
{
    ssize_t n;

    if (t->kind == WS_TRANSPORT_TLS) {
        return read_tls(t, scratch, feed, baton);
    }
    if (t->kind == WS_TRANSPORT_FILTERS && t->wire.reads) {
        return read_wire(t, scratch, feed, baton);
    }
    if (!t->input_direct) {
        return read_rest(t, scratch, feed, baton);
    }
    n = recv(t->fd, scratch, WS_SCRATCH_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        feed(baton, scratch, (size_t)n);
        return WS_READ_ALL; /* whatever is left, epoll tells of */
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? WS_READ_ALL : WS_READ_ENDED;
}

/* ---- writing ---- */

/*
 * Makes core's own end write what the socket takes, until it holds nothing and the wire takes over.
 */
static bool push_core(ws_transport *t)
{
    ap_filter_t *last = t->c->output_filters;

    while (last->next) {
        last = last->next;
    }
    if (last->frec->filter_func.out_func(last, NULL) != APR_SUCCESS || t->c->aborted) {
        return false;
    }
    t->blocked = t->c->data_in_output_filters;
    t->wire.writes = !t->blocked;
    return true;
}

/*
 * How many bytes mod_http2 holds. It deletes a bucket that it has sent when it is called the next
 * time; then nobody but us uses the memory below.
 */
static size_t count_held(ws_transport *t)
{
    size_t length = 0;

    for (apr_bucket *bucket = APR_BRIGADE_FIRST(t->held), *next;
         bucket != APR_BRIGADE_SENTINEL(t->held); bucket = next) {
        next = APR_BUCKET_NEXT(bucket);
        if (((apr_bucket_refcount *)bucket->data)->refcount == 1) {
            apr_bucket_delete(bucket);
        } else {
            length += bucket->length;
        }
    }
    return length;
}

/*
 * A write that waits for a client which does not open its window would hold up all that the
 * session's thread has to do, up to its end, and mod_http2 knows no other. So we look at what it
 * holds, and call it with nothing to have it look too.
 */
static bool push_stream(ws_transport *t)
{
    const apr_status_t status = ap_pass_brigade(t->c->output_filters, t->out);
    const bool was_blocked = t->blocked;

    t->blocked = count_held(t) >= STREAM_ROOM;
    t->push_ms = !was_blocked || !t->push_ms    ? STREAM_ASK_FIRST
                 : t->push_ms < STREAM_ASK_LAST ? 2 * t->push_ms
                                                : STREAM_ASK_LAST;
    return status == APR_SUCCESS && !t->c->aborted;
}

bool ws_transport_push(ws_transport *t)
{
    if (t->kind == WS_TRANSPORT_STREAM) {
        return push_stream(t);
    }
    t->blocked = false;
    if (t->kind == WS_TRANSPORT_SOCKET) {
        return true;
    }
    if (!t->wire.writes) {
        return push_core(t);
    }
    if (!ws_wire_push(&t->wire)) {
        return false;
    }
    t->blocked = t->wire.unsent != NULL;
    return true;
}

bool ws_transport_is_slow(const ws_transport *t)
{
    return t->blocked && (t->kind != WS_TRANSPORT_STREAM || t->push_ms >= STREAM_ASK_LAST);
}

/*
 * The queue's next bytes, up to FILTER_BYTES: of the first message where that is all, otherwise a
 * copy of several in `room`, for one TLS record. mod_ssl would put them together, too, but in a
 * buffer that the connection keeps.
 */
static const void *next_bytes(const ws_queue *queue, char *room, size_t *length)
{
    size_t offset = queue->offset, left = queue->first->outgoing->length - offset;

    *length = 0;
    if (!queue->first->next || left >= FILTER_BYTES) {
        *length = left < FILTER_BYTES ? left : FILTER_BYTES;
        return queue->first->outgoing->frame + offset;
    }
    for (ws_waiting *at = queue->first; at && *length < FILTER_BYTES; at = at->next, offset = 0) {
        const size_t rest = at->outgoing->length - offset;
        const size_t part = rest < FILTER_BYTES - *length ? rest : FILTER_BYTES - *length;

        memcpy(room + *length, at->outgoing->frame + offset, part);
        *length += part;
    }
    return room;
}

/* Encrypts the next FILTER_BYTES. Returns how many; -1 where the connection broke. */
static ssize_t encrypt_some(ws_transport *t, ws_queue *queue)
{
    char room[FILTER_BYTES];
    size_t length;
    const void *bytes = next_bytes(queue, room, &length);

    if (!ws_tls_write(&t->tls, bytes, (int)length)) {
        return -1;
    }
    t->blocked = t->wire.unsent != NULL;
    ws_queue_advance(queue, length);
    return (ssize_t)length;
}

/* A bucket of these bytes; a copy of it tells when mod_http2 has done with it. */
static apr_bucket *held_bucket(ws_transport *t, const void *bytes, size_t length)
{
    apr_bucket *bucket = apr_bucket_heap_create(bytes, length, NULL, t->c->bucket_alloc), *copy;

    apr_bucket_copy(bucket, &copy);
    APR_BRIGADE_INSERT_TAIL(t->held, copy);
    return bucket;
}

/* Hands the filters the next FILTER_BYTES. Returns how many; -1 where the connection broke. */
static ssize_t pass_some(ws_transport *t, ws_queue *queue)
{
    char room[FILTER_BYTES];
    size_t length;
    const void *bytes = next_bytes(queue, room, &length);
    apr_status_t status;

    if (t->kind == WS_TRANSPORT_STREAM) {
        APR_BRIGADE_INSERT_TAIL(t->out, held_bucket(t, bytes, length));
        APR_BRIGADE_INSERT_TAIL(t->out, apr_bucket_flush_create(t->c->bucket_alloc));
    } else {
        APR_BRIGADE_INSERT_TAIL(
            t->out, bytes == room ? apr_bucket_transient_create(room, length, t->c->bucket_alloc)
                                  : ws_outgoing_bucket(queue->first->outgoing, queue->offset,
                                                       length, t->c->bucket_alloc));
        APR_BRIGADE_INSERT_TAIL(t->out, ws_push_bucket(t->c->bucket_alloc));
    }
    ws_queue_advance(queue, length);
    status = ap_pass_brigade(t->c->output_filters, t->out);
    apr_brigade_cleanup(t->out);
    return status == APR_SUCCESS && ws_transport_push(t) ? (ssize_t)length : -1;
}

/* One message of the queue, as most are alone: cheaper for the kernel than a list of them. */
static ssize_t send_first(const ws_transport *t, const ws_queue *queue, size_t *wanted)
{
    const ws_outgoing *outgoing = queue->first->outgoing;

    *wanted = outgoing->length - queue->offset;
    return send(t->fd, outgoing->frame + queue->offset, *wanted, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t send_several(const ws_transport *t, const ws_queue *queue, size_t *wanted)
{
    struct iovec vectors[VECTORS];
    struct msghdr message = {.msg_iov = vectors};
    size_t offset = queue->offset;

    *wanted = 0;
    for (ws_waiting *at = queue->first;
         at && message.msg_iovlen < VECTORS && *wanted < BYTES_PER_ROUND;
         at = at->next, offset = 0) {
        vectors[message.msg_iovlen++] = (struct iovec){
            .iov_base = at->outgoing->frame + offset,
            .iov_len = at->outgoing->length - offset,
        };
        *wanted += at->outgoing->length - offset;
    }
    return sendmsg(t->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Writes to the socket. Returns how many bytes; -1 where the connection broke. */
static ssize_t send_some(ws_transport *t, ws_queue *queue)
{
    size_t wanted;
    ssize_t n;

    do {
        n = queue->first->next ? send_several(t, queue, &wanted) : send_first(t, queue, &wanted);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) {
        return -1;
    }
    t->blocked = n < (ssize_t)wanted;
    t->written += n > 0 ? n : 0;
    ws_queue_advance(queue, n > 0 ? (size_t)n : 0);
    return n > 0 ? n : 0;
}

bool ws_transport_write(ws_transport *t, ws_queue *queue)
{
    size_t budget = BYTES_PER_ROUND;

    while (queue->first && !t->blocked) {
        const ssize_t n = t->kind == WS_TRANSPORT_SOCKET ? send_some(t, queue)
                          : t->kind == WS_TRANSPORT_TLS  ? encrypt_some(t, queue)
                                                         : pass_some(t, queue);

        if (n < 0) {
            return false;
        }
        if ((size_t)n >= budget) {
            break;
        }
        budget -= (size_t)n;
    }
    return true;
}

size_t ws_transport_send(ws_transport *t, const ws_outgoing *outgoing)
{
    if (t->kind == WS_TRANSPORT_SOCKET) {
        const ssize_t n =
            send(t->fd, outgoing->frame, outgoing->length, MSG_DONTWAIT | MSG_NOSIGNAL);

        t->written += n > 0 ? n : 0;
        return n > 0 ? (size_t)n : 0;
    }
    if (t->kind != WS_TRANSPORT_TLS || outgoing->length > FILTER_BYTES ||
        !ws_tls_write(&t->tls, outgoing->frame, (int)outgoing->length)) {
        return 0;
    }
    t->blocked = t->wire.unsent != NULL;
    return outgoing->length;
}

bool ws_transport_post(ws_transport *t, ws_batch *batch, void *owner, ws_outgoing *outgoing)
{
    bool good;

    if (t->kind == WS_TRANSPORT_SOCKET && ws_batch_has_room(batch, 0)) {
        ws_batch_add(batch, owner, t->fd, outgoing);
        return true;
    }
    if (t->kind != WS_TRANSPORT_TLS || outgoing->length > POSTED_BYTES ||
        !ws_batch_has_room(batch, POSTED_BYTES + TLS_OVERHEAD)) {
        return false;
    }
    t->wire.batch = batch;
    t->wire.owner = owner;
    good = ws_tls_write(&t->tls, outgoing->frame, (int)outgoing->length);
    t->wire.batch = NULL;
    return good;
}

size_t ws_transport_posted(ws_transport *t, const ws_parcel *parcel)
{
    if (t->kind == WS_TRANSPORT_TLS) {
        ws_wire_sent(&t->wire, parcel);
        t->blocked = t->wire.unsent != NULL;
        return parcel->length;
    }
    t->written += parcel->sent > 0 ? parcel->sent : 0;
    return parcel->sent > 0 ? (size_t)parcel->sent : 0;
}

/*
 * What is unsent, the kernel cannot send: the peer's window is full. What is not, is on its way, or
 * there.
 */
bool ws_transport_catches_up(ws_transport *t)
{
    const int64_t before = t->acknowledged;
    const bool was_behind = t->behind;
    int on_the_way, unsent;

    if (t->kind == WS_TRANSPORT_STREAM || ioctl(t->fd, SIOCOUTQ, &on_the_way) != 0 ||
        ioctl(t->fd, SIOCOUTQNSD, &unsent) != 0) {
        return false;
    }
    t->acknowledged = t->written + t->wire.written - on_the_way;
    t->behind = t->blocked || unsent > 0;
    return was_behind && t->acknowledged > before;
}

/* ---- leaving the connection ---- */

bool ws_transport_can_leave(const ws_transport *t)
{
    return t->c && !t->blocked &&
           (t->kind == WS_TRANSPORT_TLS || (t->kind == WS_TRANSPORT_SOCKET && t->input_direct));
}

bool ws_transport_leave(ws_transport *t)
{
    const int fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        return false;
    }
    if (t->kind == WS_TRANSPORT_TLS) {
        ws_tls_keep(&t->tls);
        ws_wire_leave(&t->wire, fd);
    }
    t->fd = fd;
    t->c = NULL;
    t->socket = NULL;
    t->in = t->out = NULL;
    return true;
}

/* ---- the end ---- */

bool ws_transport_hang_up(ws_transport *t)
{
    if (t->kind == WS_TRANSPORT_FILTERS) {
        APR_BRIGADE_INSERT_TAIL(t->out,
                                ap_bucket_eoc_create(t->c->bucket_alloc)); /* close_notify */
        if (ap_pass_brigade(t->c->output_filters, t->out) == APR_SUCCESS) {
            ws_transport_push(t);
        }
        apr_brigade_cleanup(t->out);
    } else if (t->kind == WS_TRANSPORT_TLS) {
        ws_tls_shut_down(&t->tls);
    }
    return !(t->c && t->c->aborted) && shutdown(t->fd, SHUT_WR) == 0;
}

bool ws_transport_drain(ws_transport *t, uint8_t *scratch)
{
    const ssize_t n = recv(t->fd, scratch, WS_SCRATCH_BYTES, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void ws_transport_close(ws_transport *t)
{
    if (t->c) {
        t->c->aborted = 1; /* whatever a cleanup may think of writing */
        ws_tls_give_back(&t->tls);
        ws_wire_remove(&t->wire);
        return;
    }
    ws_tls_free(&t->tls);
    ws_wire_remove(&t->wire);
    close(t->fd);
}

void ws_transport_give_back(ws_transport *t)
{
    if (t->blocked) {
        t->c->aborted = 1; /* or the MPM would wait for a peer that does not read */
    }
    ws_tls_give_back(&t->tls);
    if (t->held) {
        apr_brigade_cleanup(t->held);
    }
    ws_wire_remove(&t->wire);
    t->c->keepalive = AP_CONN_CLOSE;
    /*
     * What has waited for the peer's Close need not wait for its FIN half a minute, if it talks on.
     */
    apr_table_setn(t->c->notes, "short-lingering-close", "1");
    if (t->socket && t->fd >= 0) {
        apr_socket_timeout_set(t->socket, t->timeout);
    }
}
