#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_session.h"

#include "base/clock.h"
#include "session/census.h"
#include "session/husk.h"
#include "session/options.h"

#include <apr_strings.h>

#include <errno.h>
#include <http_config.h>
#include <http_log.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_ROUNDS 20000
#define PATIENCE   100 /* times that nothing happens; then all clients hang up */
#define DAY        INT64_C(86400000000)

peer peers[MAX_PEERS];
unsigned n_peers;
ws_reactor *reactor;
ws_audience *audience;

static const scenario *running;
static unsigned next_step;
static unsigned rounds, idles;
static unsigned calls, fault_at;
static fault fault_kind;
static int64_t fake_now;
static peer *being_made; /* whose session ws_session_create() makes */
static unsigned census;

/* ---- httpd ---- */

static server_rec server = {.log = {.level = APLOG_DEBUG}};

void ws_census_leave(const ws_payer *payer)
{
    (void)payer;
    assert_true(census > 0);
    census--;
}

void ws_census_release(size_t bytes)
{
    (void)bytes;
}

void ws_husk_bury(ws_loop *loop, conn_rec *c)
{
    peer *p = (peer *)c->base_server; /* any member that is a pointer */

    assert_ptr_equal(loop, reactor->loop);
    p->buried++;
}

/* ---- memory ---- */

unsigned trims;

int __wrap_malloc_trim(size_t pad);

int __wrap_malloc_trim(size_t pad)
{
    (void)pad;
    trims++;
    return 1;
}

/* ---- time, and what happens when there is nothing to do ---- */

int64_t __wrap_base_monotonic_us(void);
int __real_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);

int64_t __wrap_base_monotonic_us(void)
{
    return fake_now;
}

int64_t fake_time(void)
{
    return fake_now;
}

static void idle(int timeout)
{
    if (running->steps[next_step]) {
        running->steps[next_step++]();
    } else if (timeout > 0 && ++idles < PATIENCE) {
        fake_now += timeout * INT64_C(1000);
    } else {
        for (unsigned i = 0; i < n_peers; i++) {
            hang_up_peer(i);
        }
    }
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    int n;

    for (unsigned i = 0; i < n_peers; i++) {
        listen_to(&peers[i]);
    }
    assert_true(++rounds < MAX_ROUNDS); /* otherwise it goes on for ever */
    n = __real_epoll_wait(epoll, events, most, 0);
    if (n == 0 && timeout != 0) {
        idle(timeout);
        n = __real_epoll_wait(epoll, events, most, 0);
    }
    fake_now++;
    return n;
}

/* ---- the client ---- */

void say(unsigned number, const void *bytes, size_t length)
{
    if (peers[number].far >= 0) {
        send(peers[number].far, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

void say_frame(unsigned number, uint8_t first, const void *payload, size_t length)
{
    uint8_t frame[256] = {first, (uint8_t)(0x80 | length)}; /* masked with zeros */

    assert_true(length < 126);
    memcpy(frame + 6, payload, length);
    say(number, frame, 6 + length);
}

void hang_up_peer(unsigned number)
{
    if (peers[number].far >= 0) {
        close(peers[number].far);
        peers[number].far = -1;
    }
}

void listen_to(peer *p)
{
    char room[65536];
    ssize_t n;

    while (p->far >= 0 && !p->reads_nothing &&
           (n = recv(p->far, room, sizeof room, MSG_DONTWAIT)) > 0) {
        p->got = realloc(p->got, p->got_length + (size_t)n);
        assert_non_null(p->got);
        memcpy(p->got + p->got_length, room, (size_t)n);
        p->got_length += (size_t)n;
    }
}

void publish_text(const char *text, const char *topic)
{
    ws_outgoing *outgoing =
        ws_outgoing_create(WS_TEXT, text, strlen(text), topic, topic ? strlen(topic) : 0);

    if (audience) {
        ws_session_publish(audience, outgoing, NULL);
    }
    ws_outgoing_release(outgoing);
}

/* ---- the handler ---- */

static void enter(peer *p)
{
    assert_false(p->in_handler); /* never from within another function of the handler */
    assert_int_equal(p->closed, 0);
    assert_int_equal(p->released, 0);
    p->in_handler = true;
}

static void on_open(clowntalk_session *session, void *data)
{
    peer *p = data;

    enter(p);
    assert_int_equal(p->opened++, 0);
    if (!audience) {
        audience = ws_session_audience(session);
    }
    if (running->on_open) {
        running->on_open(p);
    }
    p->in_handler = false;
}

static void on_message(clowntalk_session *session, void *data, clowntalk_kind kind, char *bytes,
                       apr_size_t length)
{
    peer *p = data;

    (void)kind;
    enter(p);
    assert_true(ws_session_is_open(session));
    p->messages++;
    if (running->on_message) {
        running->on_message(p, bytes, length);
    }
    p->in_handler = false;
}

static void on_close(clowntalk_session *session, void *data)
{
    peer *p = data;

    enter(p);
    assert_false(ws_session_is_open(session));
    assert_int_equal(p->opened, 1);
    p->closed++;
    p->in_handler = false;
}

static void on_release(void *data)
{
    peer *p = data;

    assert_false(p->in_handler);
    assert_int_equal(p->closed, p->opened);
    assert_int_equal(p->released++, 0);
    p->session = NULL;
}

static const clowntalk_handler handler = {
    .open = on_open, .message = on_message, .close = on_close, .release = on_release};

/* ---- the transport ---- */

static peer *peer_of(const ws_transport *t)
{
    peer *p = (peer *)t->socket;

    assert_int_equal(p->gave_up, 0); /* nothing is asked of it after its end */
    return p;
}

/* One more call: which fault it is to have. */
static fault next_fault(void)
{
    return ++calls == fault_at ? fault_kind : FAULT_NONE;
}

void ws_transport_init(ws_transport *t, conn_rec *c, SSL *ssl, bool detaches)
{
    (void)ssl;
    *t = (ws_transport){.c = c, .fd = -1, .detaches = detaches};
    t->socket = (apr_socket_t *)being_made;
}

bool ws_transport_open(ws_transport *t)
{
    t->fd = peer_of(t)->near;
    return next_fault() == FAULT_NONE;
}

bool ws_transport_stays(const ws_transport *t)
{
    (void)t;
    return false;
}

ws_read ws_transport_read(ws_transport *t, uint8_t *scratch, ws_feed *feed, void *baton)
{
    peer *p = peer_of(t);
    const fault kind = next_fault();
    ssize_t n;

    if (kind == FAULT_FAIL || kind == FAULT_BLOCK) {
        return kind == FAULT_FAIL ? WS_READ_ENDED : WS_READ_ALL;
    }
    n = recv(p->near, scratch, WS_SCRATCH_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        feed(baton, scratch, (size_t)n);
        return kind == FAULT_HALF || p->ends ? WS_READ_ENDED : WS_READ_ALL;
    }
    return n < 0 && errno == EAGAIN && kind == FAULT_NONE ? WS_READ_ALL : WS_READ_ENDED;
}

bool ws_transport_write(ws_transport *t, ws_queue *queue)
{
    const peer *p = peer_of(t);

    while (queue->first && !t->blocked) {
        const fault kind = next_fault();
        size_t length = queue->first->outgoing->length - queue->offset;
        ssize_t n = 0;

        if (kind == FAULT_FAIL) {
            return false;
        }
        length = kind == FAULT_HALF ? (length + 1) / 2 : length;
        if (kind != FAULT_BLOCK) {
            n = send(p->near, queue->first->outgoing->frame + queue->offset, length,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN) {
                return false;
            }
            n = n > 0 ? n : 0;
        }
        t->blocked = (size_t)n < length || kind == FAULT_BLOCK;
        ws_queue_advance(queue, (size_t)n);
        if (kind == FAULT_HALF) {
            return false;
        }
    }
    return true;
}

int ws_transport_offer(ws_transport *t, ws_queue *queue, int *fd, struct iovec *pieces, int most)
{
    const fault kind = next_fault();

    *fd = peer_of(t)->near;
    if (kind == FAULT_FAIL || kind == FAULT_HALF) {
        return -EPIPE;
    }
    if (!queue->first || t->blocked || kind == FAULT_BLOCK || most < 1) {
        return 0;
    }
    pieces[0] = (struct iovec){queue->first->outgoing->frame + queue->offset,
                               queue->first->outgoing->length - queue->offset};
    return 1;
}

bool ws_transport_taken(ws_transport *t, ws_queue *queue, size_t offered, ssize_t n)
{
    const fault kind = next_fault();

    peer_of(t);
    if ((n < 0 && n != -EAGAIN) || kind == FAULT_FAIL) {
        return false;
    }
    n = n > 0 ? n : 0;
    t->blocked = (size_t)n < offered || kind == FAULT_BLOCK;
    ws_queue_advance(queue, (size_t)n);
    return kind != FAULT_HALF;
}

bool ws_transport_offers(const ws_transport *t)
{
    peer_of(t);
    return true;
}

bool ws_transport_push(ws_transport *t)
{
    const fault kind = next_fault();

    peer_of(t);
    t->blocked = kind == FAULT_BLOCK;
    return kind != FAULT_FAIL && kind != FAULT_HALF;
}

bool ws_transport_is_slow(const ws_transport *t)
{
    peer_of(t);
    return t->blocked;
}

bool ws_transport_catches_up(ws_transport *t)
{
    peer_of(t);
    return next_fault() == FAULT_HALF;
}

bool ws_transport_can_leave(const ws_transport *t)
{
    peer_of(t);
    return t->c && t->detaches && !t->blocked;
}

bool ws_transport_leave(ws_transport *t)
{
    peer_of(t);
    if (next_fault() != FAULT_NONE) {
        return false;
    }
    t->c = NULL;
    return true;
}

bool ws_transport_hang_up(ws_transport *t)
{
    const peer *p = peer_of(t);

    return next_fault() == FAULT_NONE && shutdown(p->near, SHUT_WR) == 0;
}

ssize_t ws_transport_drain(ws_transport *t, uint8_t *scratch)
{
    peer *p = peer_of(t);
    const fault kind = next_fault();
    const ssize_t n = recv(p->near, scratch, WS_SCRATCH_BYTES, MSG_DONTWAIT);

    if (kind == FAULT_FAIL || kind == FAULT_HALF || n == 0 || (n < 0 && errno != EAGAIN)) {
        return -1;
    }
    if (n > 0) {
        p->drained += (size_t)n;
        p->drained_at = fake_now;
    }
    return n > 0 ? n : 0;
}

void ws_transport_close(ws_transport *t)
{
    peer *p = peer_of(t);

    p->gave_up++;
    p->gave_up_at = fake_now;
    close(p->near);
}

void ws_transport_give_back(ws_transport *t)
{
    ws_transport_close(t);
}

/* ---- a run ---- */

static void open_peer(apr_pool_t *pool, unsigned number)
{
    peer *p = &peers[number];
    apr_sockaddr_t *address = apr_pcalloc(pool, sizeof *address);
    conn_rec *c = apr_pcalloc(pool, sizeof *c);
    request_rec *r = apr_pcalloc(pool, sizeof *r);
    ws_settings settings = running->settings;
    const int small = 4096;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    free(p->got);
    *p = (peer){.near = pair[0], .far = pair[1]};
    c->client_ip = apr_pstrdup(pool, "127.0.0.1");
    c->client_addr = address;
    c->base_server = (server_rec *)p;
    r->pool = c->pool = pool;
    r->connection = c;
    r->server = &server;
    if (!settings.max_message) {
        settings.max_message = 65536;
        settings.backlog = 65536;
    }
    being_made = p;
    census++;
    p->session = ws_session_create(r, NULL, &settings, &handler, p);
    ws_session_begin(p->session, reactor, true);
}

/* Every round: the last session gone, the loop ends. */
static void look(void *unused)
{
    (void)unused;
    if (reactor->sessions == 0 && !running->steps[next_step]) {
        ws_loop_quit(reactor->loop);
    }
}

void run_scenario(const scenario *s, fault kind, unsigned at)
{
    apr_pool_t *pool;

    running = s;
    next_step = rounds = idles = calls = trims = 0;
    fault_kind = kind;
    fault_at = at;
    fake_now = DAY;
    census = 0;
    audience = NULL;
    n_peers = s->peers;
    assert_int_equal(apr_pool_create(&pool, NULL), APR_SUCCESS);
    reactor = ws_reactor_create();
    assert_non_null(reactor);
    reactor->number = 1;
    for (unsigned i = 0; i < n_peers; i++) {
        open_peer(pool, i);
    }
    ws_loop_run(reactor->loop, look, NULL);
    assert_int_equal(reactor->sessions, 0);
    assert_int_equal(census, 0);
    for (unsigned i = 0; i < n_peers; i++) {
        assert_null(peers[i].session);
        assert_int_equal(peers[i].released, 1);
        assert_int_equal(peers[i].gave_up, 1);
        assert_int_equal(peers[i].buried, 1);
        hang_up_peer(i);
    }
    if (audience) {
        assert_int_equal(ws_audience_size(audience), 0);
        ws_audience_destroy(audience);
    }
    ws_reactor_destroy(reactor);
    apr_pool_destroy(pool);
}

unsigned transport_calls(void)
{
    return calls;
}
