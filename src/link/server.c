#include "server.h"

#include "base/container.h"
#include "envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Most bytes that wait for a child which does not read. Cut off, it connects again. */
#define MAX_UNSENT (4 * 1024 * 1024)
#define READ_BYTES (HUB_MAX_LINE + ENVELOPE_MAX_HEAD + 1)
/*
 * A request's number for the hub: the link's number in the upper bits, the child's number in the
 * lower.
 */
#define REQUEST_BITS 40
#define REQUEST_MASK ((UINT64_C(1) << REQUEST_BITS) - 1)

/* One child's link. */
typedef struct peer {
    ws_watch watch;
    ws_task flush;
    ws_task release; /* queued when it is closed: frees it after the events of this round */
    hub_server *server;
    struct peer *next;
    uint64_t number; /* never used again */
    bool too_long;   /* the rest of an over-long line is skipped */
    talk_text unsent;
    size_t sent;
    size_t in_length;
    char in[READ_BYTES];
} peer;

struct hub_server {
    ws_loop *loop;
    ws_watch listener;
    ws_watch hub_watch;
    hub *hub;
    const char *instance, *reason;
    void (*log)(hub_level level, int code, const char *text);
    peer *peers;
    uint64_t next_number;
};

static void close_peer(peer *p);

/* ---- to the children ---- */

static void on_flush(ws_task *task)
{
    peer *p = container_of(task, peer, flush);

    while (p->sent < p->unsent.length) {
        const ssize_t n = send(p->watch.fd, p->unsent.data + p->sent, p->unsent.length - p->sent,
                               MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            envelope_forget_sent(&p->unsent, &p->sent);
            ws_loop_change(p->server->loop, &p->watch, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0 && errno != EINTR) {
            close_peer(p);
            return;
        }
        p->sent += n > 0 ? (size_t)n : 0;
    }
    talk_text_clear(&p->unsent);
    p->sent = 0;
    ws_loop_change(p->server->loop, &p->watch, EPOLLIN);
}

/* To be called after each line that was added to p->unsent. */
static void want_flush(peer *p)
{
    if (p->unsent.length - p->sent > MAX_UNSENT) {
        p->server->log(HUB_WARNING, CT_LINK_UNREAD,
                       "a child process does not read its link: cut off");
        close_peer(p);
    } else if (!(p->watch.events & EPOLLOUT)) {
        ws_loop_defer(p->server->loop, &p->flush);
    }
}

static peer *find_peer(hub_server *server, uint64_t number)
{
    for (peer *p = server->peers; p; p = p->next) {
        if (p->number == number && p->watch.fd >= 0) {
            return p;
        }
    }
    return NULL;
}

static void on_hub_reply(void *baton, uint64_t asker, const char *line, size_t length, bool last)
{
    peer *p = find_peer(baton, asker >> REQUEST_BITS);

    if (p) {
        envelope_write_reply(&p->unsent, asker & REQUEST_MASK, last);
        talk_text_add(&p->unsent, line, length);
        want_flush(p);
    }
}

static void on_hub_publish(void *baton, const char *node, uint64_t except, const char *line,
                           size_t length)
{
    hub_server *server = baton;

    for (peer *p = server->peers, *next; p; p = next) {
        next = p->next;
        if (p->watch.fd < 0) {
            continue;
        }
        envelope_write_publication(
            &p->unsent, p->number == except >> REQUEST_BITS ? except & REQUEST_MASK : 0, node);
        talk_text_add(&p->unsent, line, length);
        want_flush(p);
    }
}

static void on_hub_log(void *baton, hub_level level, int code, const char *text)
{
    ((hub_server *)baton)->log(level, code, text);
}

hub_output hub_server_output(hub_server *server)
{
    return (hub_output){on_hub_reply, on_hub_publish, on_hub_log, server};
}

/* ---- from the children ---- */

static void on_line(peer *p, const char *line, size_t length)
{
    envelope_request request;

    if (!envelope_read_request(&request, line, length) || request.request > REQUEST_MASK) {
        p->server->log(HUB_WARNING, CT_LINK_GARBLED,
                       "a link sent a line without a proper envelope: cut off");
        close_peer(p);
        return;
    }
    hub_request(p->server->hub, request.node, request.rights,
                p->number << REQUEST_BITS | request.request, request.message, request.length);
}

/*
 * Handles each whole line and keeps the rest. A line that is too long, which none of our children
 * sends, is skipped.
 */
static void on_bytes(peer *p)
{
    char *at = p->in, *end = p->in + p->in_length, *feed;

    while (p->watch.fd >= 0 && (feed = memchr(at, '\n', (size_t)(end - at)))) {
        if (!p->too_long) {
            on_line(p, at, (size_t)(feed - at));
        }
        p->too_long = false;
        at = feed + 1;
    }
    p->in_length = (size_t)(end - at);
    memmove(p->in, at, p->in_length);
    if (p->in_length == sizeof p->in) {
        p->server->log(HUB_WARNING, CT_LINK_TOO_LONG,
                       "a link sent a line that is too long: skipped");
        p->too_long = true;
        p->in_length = 0;
    }
}

static void on_peer(ws_watch *watch, uint32_t events)
{
    peer *p = container_of(watch, peer, watch);

    if (events & EPOLLOUT) {
        ws_loop_defer(p->server->loop, &p->flush);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        const ssize_t n =
            recv(p->watch.fd, p->in + p->in_length, sizeof p->in - p->in_length, MSG_DONTWAIT);

        if (n > 0) {
            p->in_length += (size_t)n;
            on_bytes(p);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close_peer(p);
        }
    }
}

/* ---- links come and go ---- */

static void on_release(ws_task *task)
{
    peer *p = container_of(task, peer, release);

    for (peer **at = &p->server->peers; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    talk_text_free(&p->unsent);
    free(p);
}

static void close_peer(peer *p)
{
    const int fd = p->watch.fd;

    if (fd >= 0) {
        ws_loop_cancel(p->server->loop, &p->flush);
        ws_loop_unwatch(p->server->loop, &p->watch);
        close(fd);
        ws_loop_defer(p->server->loop, &p->release);
    }
}

static bool is_one_of_us(hub_server *server, int fd)
{
    struct ucred process;
    socklen_t length = sizeof process;
    char text[96];

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &length) != 0) {
        return false;
    }
    if (process.uid == geteuid() || process.uid == 0) {
        return true;
    }
    snprintf(text, sizeof text, "process %ld of user %ld may not link to the hub",
             (long)process.pid, (long)process.uid);
    server->log(HUB_WARNING, CT_LINK_STRANGER, text);
    return false;
}

static void on_listener(ws_watch *watch, uint32_t events)
{
    hub_server *server = container_of(watch, hub_server, listener);
    const int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    peer *p;

    (void)events;
    if (fd < 0) {
        return;
    }
    p = is_one_of_us(server, fd) ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        close(fd);
        return;
    }
    p->server = server;
    p->number = ++server->next_number;
    p->watch.ready = on_peer;
    p->watch.fd = -1;
    p->flush.run = on_flush;
    p->release.run = on_release;
    if (!ws_loop_watch(server->loop, &p->watch, fd, EPOLLIN)) {
        close(fd);
        free(p);
        return;
    }
    p->next = server->peers;
    server->peers = p;
    talk_text_addf(&p->unsent, "%c %s %s\n", ENVELOPE_HELLO, server->instance, server->reason);
    want_flush(p);
}

static void on_hub(ws_watch *watch, uint32_t events)
{
    (void)events;
    hub_dispatch(container_of(watch, hub_server, hub_watch)->hub);
}

/* ---- life ---- */

hub_server *hub_server_create(ws_loop *loop, int listener, const char *instance, const char *reason,
                              void (*log)(hub_level level, int code, const char *text))
{
    hub_server *server = calloc(1, sizeof *server);

    if (!server) {
        return NULL;
    }
    server->loop = loop;
    server->instance = instance;
    server->reason = reason;
    server->log = log;
    server->hub_watch.fd = -1;
    server->hub_watch.ready = on_hub;
    server->listener.fd = listener;
    server->listener.ready = on_listener;
    return server;
}

void hub_server_attach(hub_server *server, hub *hub)
{
    const int listener = server->listener.fd;

    server->hub = hub;
    ws_loop_watch(server->loop, &server->hub_watch, hub_fd(hub), EPOLLIN);
    ws_loop_watch(server->loop, &server->listener, listener, EPOLLIN);
}

void hub_server_destroy(hub_server *server)
{
    ws_loop_unwatch(server->loop, &server->listener);
    ws_loop_unwatch(server->loop, &server->hub_watch);
    while (server->peers) {
        peer *p = server->peers;

        if (p->watch.fd >= 0 && p->sent < p->unsent.length) {
            send(p->watch.fd, p->unsent.data + p->sent, p->unsent.length - p->sent,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        close_peer(p);
        ws_loop_cancel(server->loop, &p->release);
        on_release(&p->release);
    }
    free(server);
}
