/* A session's beginning, and what its descriptor says. */
#include "session_private.h"

#include "options.h"

#include "base/memory.h"

#include <apr_strings.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a session begins with lies on as few of these as possible. */
#define CACHE_LINE 64

static void on_socket(ws_watch *watch, uint32_t events)
{
    clowntalk_session *s = container_of(watch, clowntalk_session, watch);

    if (s->hung_up) {
        session_drain(s);
        return;
    }
    if (session_is_blocked(s)) {
        if (events & EPOLLOUT) {
            s->pings = 0; /* also where it takes less than the filters have kept */
        }
        session_push(s, events & (EPOLLERR | EPOLLHUP));
        return;
    }
    if (s->state == WS_STATE_LINGER) {
        /* The last frames are about to be written; what the peer says is of no interest. */
        if (events & (EPOLLERR | EPOLLHUP)) {
            session_abort(s, APR_SUCCESS, "the client is gone");
        }
        return;
    }
    if (s->held && events & (EPOLLERR | EPOLLHUP)) {
        session_abort(s, APR_SUCCESS, "the client is gone");
        return;
    }
    session_read(s);
}

/* Puts a copy of a string at *at, and *at behind it. */
static const char *keep(char **at, const char *string)
{
    const size_t size = strlen(string) + 1;
    const char *copy = memcpy(*at, string, size);

    *at += size;
    return copy;
}

clowntalk_session *ws_session_create(request_rec *r, SSL *ssl, const ws_settings *settings,
                                     const clowntalk_handler *handler, void *data)
{
    conn_rec *c = r->connection;
    const char *client = apr_psprintf(r->pool, "%s:%d", c->client_ip, (int)c->client_addr->port);
    const size_t texts =
        strlen(client) + strlen(c->client_ip) + (r->user ? strlen(r->user) : 0) + 3;
    void *memory = NULL;
    clowntalk_session *s;
    char *at;

    if (posix_memalign(&memory, CACHE_LINE, sizeof *s + texts) != 0) {
        base_out_of_memory();
    }
    s = memset(memory, 0, sizeof *s + texts);
    at = s->text;
    s->watch.fd = -1;
    s->watch.ready = on_socket;
    s->timer.expired = session_on_timer;
    s->flush.run = session_on_flush;
    s->push.run = session_on_push;
    s->read_again.run = session_on_read_again;
    s->ending.run = session_on_ending;
    s->c = c;
    s->server = r->server;
    s->settings = *settings;
    s->compresses = settings->deflate.agreed;
    s->handler = handler;
    s->data = data;
    s->client = keep(&at, client);
    s->client_ip = keep(&at, c->client_ip);
    s->user = r->user ? keep(&at, r->user) : NULL;
    ws_transport_init(&s->transport, c, ssl, ws_options_detach());
    ws_queue_init(&s->queue);
    ws_parser_init(&s->parser, settings->max_message, true, settings->deflate.agreed);
    ws_inflate_init(&s->inflate, &s->settings.deflate, settings->max_message);
    return s;
}

bool ws_session_is_open(const clowntalk_session *s)
{
    return s->state == WS_STATE_OPEN;
}

bool ws_session_is_alive(const clowntalk_session *s)
{
    return s->state != WS_STATE_DEAD;
}

server_rec *ws_session_server(clowntalk_session *s)
{
    return s->server;
}

const char *ws_session_client_ip(clowntalk_session *s)
{
    return s->client_ip;
}

const char *ws_session_user(clowntalk_session *s)
{
    return s->user;
}

const ws_payer *ws_session_payer(const clowntalk_session *s)
{
    return &s->settings.payer;
}

apr_uint64_t ws_session_id(clowntalk_session *s)
{
    return s->place.id;
}

ws_reactor *ws_session_reactor(clowntalk_session *s)
{
    return s->reactor;
}

void ws_session_begin(clowntalk_session *s, ws_reactor *reactor, bool owns_connection)
{
    s->reactor = reactor;
    s->owns_connection = owns_connection;
    ws_reactor_enter(reactor, &s->place, s);
    if (!ws_transport_open(&s->transport) ||
        !ws_loop_watch(reactor->loop, &s->watch, s->transport.fd, EPOLLIN)) {
        session_abort(s, errno, "it was lost before it began");
        return;
    }
    if (owns_connection && ws_transport_stays(&s->transport)) {
        LOG_SESSION(s, APLOG_DEBUG, 0, "CT0037",
                    "session stays on its connection: it needs its filters, or may not leave");
    }
    session_start_clock(s);
    s->handler_open = true;
    if (s->handler->open) {
        s->handler->open(s, s->data); /* which may close the session */
    }
    if (reactor->stop_code) {
        ws_session_close(s, reactor->stop_code, NULL);
    }
    if (session_is_blocked(s)) {
        ws_loop_change(reactor->loop, &s->watch, EPOLLOUT);
    } else {
        /* The client's first bytes may lie in a filter already, where epoll does not see them. */
        ws_loop_defer(reactor->loop, &s->read_again);
    }
}
