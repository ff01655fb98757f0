#include "server.h"

#include "base/container.h"
#include "envelope.h"
#include "outbox.h"
#include "tidy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Without a descriptor for one more link the hub stops listening until one of its own is free, or
 * for this time, since the system's may be free. It says so once in a while.
 */
#define PAUSE_MS     1000
#define SAY_AGAIN_US INT64_C(600000000)
/*
 * Bytes of a request from which on it counts as much: the objects that are made of it may take
 * twenty times as many.
 */
#define LONG_REQUEST 4096
#define READ_BYTES   (HUB_MAX_LINE + ENVELOPE_MAX_HEAD + 1)
/*
 * A request's number for the hub: the link's number in the upper bits, the child's number in the
 * lower.
 */
#define REQUEST_BITS 40
#define REQUEST_MASK ((UINT64_C(1) << REQUEST_BITS) - 1)

/* One child's link. */
typedef struct peer {
    ws_watch watch;
    ws_task carry_on; /* queued when something is to be written, or may be read again */
    ws_task release;  /* queued when it is closed: frees it after the events of this round */
    hub_server *server;
    struct peer *next;
    uint64_t number; /* never used again */
    bool too_long;   /* the rest of an over-long line is skipped */
    outbox out;
    size_t in_length; /* lines that are not carried out yet, and an unfinished one */
    char in[READ_BYTES];
} peer;

struct hub_server {
    ws_loop *loop;
    ws_watch listener; /* not watched: there is no descriptor for another link */
    int listener_fd;
    ws_timer pause;        /* until it is watched again */
    int64_t said_short_at; /* microseconds of the loop's clock; 0: never */
    ws_watch hub_watch;
    hub *hub;
    const char *instance, *reason;
    void (*log)(hub_level level, int code, const char *text);
    peer *peers;
    uint64_t next_number;
    talk_text envelope; /* scratch */
    tidy tidy;
};

static void close_peer(peer *p);

/* ---- to the children ---- */

/*
 * A link is read only while its outbox is not full: requests wait with the child that makes them
 * until it takes the answers to those before.
 */
static void write_peer(peer *p)
{
    const outbox_result result = outbox_write(&p->out, p->watch.fd);

    if (result == OUTBOX_BROKEN) {
        close_peer(p);
        return;
    }
    if (outbox_is_full(&p->out)) {
        tidy_later(&p->server->tidy);
    }
    ws_loop_change(p->server->loop, &p->watch,
                   (result == OUTBOX_WAITS ? EPOLLOUT : 0u) |
                       (outbox_is_full(&p->out) ? 0u : EPOLLIN));
}

/* To be called after each line that was added to p->out. */
static void want_flush(peer *p)
{
    if (!(p->watch.events & EPOLLOUT)) {
        ws_loop_defer(p->server->loop, &p->carry_on);
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
        talk_text_clear(&p->server->envelope);
        envelope_write_reply(&p->server->envelope, asker & REQUEST_MASK, last);
        outbox_add(&p->out, &p->server->envelope, line, length);
        want_flush(p);
    }
}

static void on_hub_publish(void *baton, const char *node, uint64_t except, const char *line,
                           size_t length)
{
    hub_server *server = baton;

    for (peer *p = server->peers; p; p = p->next) {
        if (p->watch.fd < 0) {
            continue;
        }
        talk_text_clear(&server->envelope);
        envelope_write_publication(&server->envelope,
                                   p->number == except >> REQUEST_BITS ? except & REQUEST_MASK : 0,
                                   node);
        outbox_publish(&p->out, &server->envelope, line, length);
        want_flush(p);
    }
}

static void on_hub_log(void *baton, hub_level level, int code, const char *text)
{
    ((hub_server *)baton)->log(level, code, text);
}

static bool on_hub_takes(void *baton, uint64_t asker)
{
    const peer *p = find_peer(baton, asker >> REQUEST_BITS);

    return !p || !outbox_is_full(&p->out);
}

hub_output hub_server_output(hub_server *server)
{
    return (hub_output){on_hub_reply, on_hub_publish, on_hub_log, server, on_hub_takes};
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
    if (length >= LONG_REQUEST) {
        tidy_later(&p->server->tidy);
    }
    hub_request(p->server->hub, request.node, request.rights,
                p->number << REQUEST_BITS | request.request, request.message, request.length);
}

/*
 * Whether the link takes answers: what waits is written first. Requests of this link that the hub
 * has held so far are older than those that wait here: their turn comes first.
 */
static bool has_room(peer *p)
{
    while (p->watch.fd >= 0 && outbox_is_full(&p->out)) {
        write_peer(p);
        if (p->watch.fd >= 0 && outbox_is_full(&p->out)) {
            return false;
        }
        hub_dispatch(p->server->hub);
    }
    return p->watch.fd >= 0;
}

/*
 * Carries out each whole line for whose answers there is room, and keeps the rest. A line that is
 * too long, which none of our children sends, is skipped.
 */
static void carry_out(peer *p)
{
    char *at = p->in, *end = p->in + p->in_length, *feed;

    while (has_room(p) && (feed = memchr(at, '\n', (size_t)(end - at)))) {
        if (!p->too_long) {
            on_line(p, at, (size_t)(feed - at));
        }
        p->too_long = false;
        at = feed + 1;
    }
    p->in_length = (size_t)(end - at);
    memmove(p->in, at, p->in_length);
    if (p->in_length == sizeof p->in && !memchr(p->in, '\n', p->in_length)) {
        p->server->log(HUB_WARNING, CT_LINK_TOO_LONG,
                       "a link sent a line that is too long: skipped");
        p->too_long = true;
        p->in_length = 0;
    }
}

static void read_peer(peer *p)
{
    const ssize_t n =
        recv(p->watch.fd, p->in + p->in_length, sizeof p->in - p->in_length, MSG_DONTWAIT);

    if (n > 0) {
        p->in_length += (size_t)n;
        carry_out(p);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_peer(p);
    }
}

static void on_carry_on(ws_task *task)
{
    peer *p = container_of(task, peer, carry_on);
    const bool was_full = outbox_is_full(&p->out);

    write_peer(p);
    if (was_full && p->watch.fd >= 0 && !outbox_is_full(&p->out)) {
        hub_dispatch(p->server->hub);
        carry_out(p);
    }
}

static void on_peer(ws_watch *watch, uint32_t events)
{
    peer *p = container_of(watch, peer, watch);

    if (events & EPOLLIN && watch->events & EPOLLIN) {
        read_peer(p);
    }
    /* Of a link that is not read only writing tells that its other end has gone. */
    if (p->watch.fd >= 0 && events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        ws_loop_defer(p->server->loop, &p->carry_on);
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
    outbox_clear(&p->out);
    free(p);
}

static void listen_again(hub_server *server)
{
    ws_timer_clear(server->loop, &server->pause);
    if (server->listener.fd < 0) {
        ws_loop_watch(server->loop, &server->listener, server->listener_fd, EPOLLIN);
    }
}

static void on_pause_over(ws_timer *timer)
{
    listen_again(container_of(timer, hub_server, pause));
}

static void pause_listening(hub_server *server)
{
    const int64_t now = ws_loop_now(server->loop);

    if (!server->said_short_at || now - server->said_short_at >= SAY_AGAIN_US) {
        server->said_short_at = now;
        server->log(HUB_WARNING, CT_LINK_NO_DESCRIPTORS,
                    "the hub has no descriptor for another link: children wait for one");
    }
    ws_loop_unwatch(server->loop, &server->listener);
    ws_timer_set(server->loop, &server->pause, PAUSE_MS);
}

static void close_peer(peer *p)
{
    const int fd = p->watch.fd;

    if (fd >= 0) {
        ws_loop_cancel(p->server->loop, &p->carry_on);
        ws_loop_unwatch(p->server->loop, &p->watch);
        close(fd);
        listen_again(p->server);
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
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_listening(server);
        }
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
    p->carry_on.run = on_carry_on;
    p->release.run = on_release;
    if (!ws_loop_watch(server->loop, &p->watch, fd, EPOLLIN)) {
        close(fd);
        free(p);
        return;
    }
    p->next = server->peers;
    server->peers = p;
    talk_text_clear(&server->envelope);
    talk_text_addf(&server->envelope, "%c %s %s", ENVELOPE_HELLO, server->instance, server->reason);
    outbox_add(&p->out, &server->envelope, "\n", 1);
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
    server->listener_fd = listener;
    server->listener.fd = -1;
    server->listener.ready = on_listener;
    server->pause.expired = on_pause_over;
    tidy_create(&server->tidy, loop);
    return server;
}

void hub_server_attach(hub_server *server, hub *hub)
{
    server->hub = hub;
    ws_loop_watch(server->loop, &server->hub_watch, hub_fd(hub), EPOLLIN);
    listen_again(server);
}

void hub_server_destroy(hub_server *server)
{
    ws_loop_unwatch(server->loop, &server->hub_watch);
    while (server->peers) {
        peer *p = server->peers;

        if (p->watch.fd >= 0) {
            outbox_write(&p->out, p->watch.fd);
        }
        close_peer(p);
        ws_loop_cancel(server->loop, &p->release);
        on_release(&p->release);
    }
    ws_loop_unwatch(server->loop, &server->listener);
    ws_timer_clear(server->loop, &server->pause);
    talk_text_free(&server->envelope);
    tidy_destroy(&server->tidy);
    free(server);
}
