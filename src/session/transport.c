#include "transport_kind.h"

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
#include <unistd.h>

/* ---- which kind it is ---- */

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

void ws_transport_init(ws_transport *t, conn_rec *c, SSL *ssl, bool detaches)
{
    *t = (ws_transport){.c = c, .fd = -1, .detaches = detaches};
    t->in = apr_brigade_create(c->pool, c->bucket_alloc);
    t->out = apr_brigade_create(c->pool, c->bucket_alloc);
    if (c->master) {
        t->kind = &ws_transport_stream;
        t->held = apr_brigade_create(c->pool, c->bucket_alloc);
        return;
    }
    t->begun = true;
    t->socket = ap_get_conn_socket(c);
    t->kind = detaches && only_these(c, NULL) ? &ws_transport_socket : &ws_transport_filters;
    if (detaches && ssl && only_these(c, ws_tls_replaces)) {
        t->tls.ssl = ssl;
    }
}

const char *ws_transport_kind_name(const ws_transport *t)
{
    return t->kind->name;
}

bool ws_transport_stays(const ws_transport *t)
{
    return t->kind == &ws_transport_filters && !t->tls.ssl;
}

/* The descriptor that shows input: the socket, or a stream's pipe. -1 where there is none. */
static int find_descriptor(const ws_transport *t)
{
    apr_os_sock_t fd = -1;

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 129)
    if (t->kind == &ws_transport_stream) {
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
    t->blocked = t->kind != &ws_transport_stream && t->c->data_in_output_filters;
    if (t->blocked) {
        t->kind = &ws_transport_filters; /* they hold the handshake's end: all goes through them */
    }
    if (t->kind == &ws_transport_filters) {
        ws_wire_insert(&t->wire, t->c, t->fd);
    }
    return true;
}

/* ---- reading and writing ---- */

ws_read ws_transport_read(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    return t->kind->read(t, scratch, feed, baton);
}

bool ws_transport_write(ws_transport *t, ws_queue *queue)
{
    size_t budget = WS_BYTES_PER_ROUND;

    while (queue->first && !t->blocked && !t->offered) {
        const ssize_t n = t->kind->write(t, queue);

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

bool ws_transport_offers(const ws_transport *t)
{
    return t->kind->offer != NULL;
}

int ws_transport_offer(ws_transport *t, ws_queue *queue, int *fd, struct iovec *pieces, int most)
{
    int n = 0;

    if (t->kind->offer && !t->blocked) {
        n = t->kind->offer(t, queue, pieces, most);
    }
    t->offered = n != 0;
    *fd = t->fd;
    return n;
}

bool ws_transport_taken(ws_transport *t, ws_queue *queue, size_t offered, ssize_t n)
{
    t->offered = false;
    if (n < 0 && n != -EAGAIN && n != -EINTR) {
        return false;
    }
    return t->kind->taken(t, queue, offered, n > 0 ? n : 0);
}

bool ws_transport_push(ws_transport *t)
{
    return t->offered || t->kind->push(t);
}

bool ws_transport_is_slow(const ws_transport *t)
{
    return t->blocked && (t->push_ms == 0 || t->push_ms >= WS_LAST_PUSH_MS);
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

    if (t->kind == &ws_transport_stream || ioctl(t->fd, SIOCOUTQ, &on_the_way) != 0 ||
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
    return t->c && t->detaches && !t->blocked && t->kind->can_leave && t->kind->can_leave(t);
}

bool ws_transport_leave(ws_transport *t)
{
    const int fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        return false;
    }
    if (t->kind->leave) {
        t->kind->leave(t, fd);
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
    if (t->kind == &ws_transport_stream) {
        return false;
    }
    if (t->kind->say_goodbye) {
        t->kind->say_goodbye(t);
    }
    t->hung_up = true;
    return !(t->c && t->c->aborted) && shutdown(t->fd, SHUT_WR) == 0;
}

ssize_t ws_transport_drain(ws_transport *t, uint8_t *scratch)
{
    const ssize_t n = recv(t->fd, scratch, WS_SCRATCH_BYTES, MSG_DONTWAIT);

    if (n > 0) {
        return n;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
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
    t->fd = -1;
}

void ws_transport_give_back(ws_transport *t)
{
    if (t->blocked || t->hung_up) {
        t->c->aborted = 1; /* or the MPM would wait, for a peer that does not read, or again */
    }
    ws_tls_give_back(&t->tls);
    if (t->held) {
        apr_brigade_cleanup(t->held);
    }
    ws_wire_remove(&t->wire);
    t->c->keepalive = AP_CONN_CLOSE;
    /* What has waited for the peer's Close need not wait for its FIN half a minute, if it talks. */
    apr_table_setn(t->c->notes, "short-lingering-close", "1");
    if (t->socket && t->fd >= 0) {
        apr_socket_timeout_set(t->socket, t->timeout);
    }
}
