/*
 * Random publications to many sessions, on real sockets and over real TLS, once through io_uring
 * and once through send(): every client gets the right bytes in the right order, whatever the
 * sizes, however slowly it reads, and whoever resets its connection in the middle. The session,
 * audience, batch and transports are the real ones; the linker leads some calls through this file.
 *
 * CLOWNTALK_SEED=N repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls_pair.h"

#include "session/batch.h"
#include "session/census.h"
#include "session/husk.h"
#include "session/options.h"
#include "session/reactor.h"
#include "session/session.h"

#include <apr_strings.h>
#include <errno.h>
#include <http_config.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define CLIENTS      80 /* more than a batch's group */
#define ROUNDS       400
#define MAX_MESSAGES 4096
#define TOPICS       4
#define LARGE        200000
#define BUFFERS      8192
#define MOST_ROUNDS  60000 /* of about a millisecond: then something was lost */

/* What was sent: its payload is its number and then bytes that follow from that. */
typedef struct sent {
    int topic; /* -1: it must arrive */
    int to;    /* a client, or -1: all that live */
    size_t length;
} sent;

typedef struct client {
    connection connection;
    clowntalk_session *session; /* NULL: ended */
    bool reset;
    unsigned reads_one_in; /* how often it reads: a slow one seldom */
    unsigned joined_at;    /* messages before were not for it */
    unsigned last;         /* the number of the last message that it got whole */
    unsigned last_of[TOPICS];
    uint8_t frame[LARGE + 16]; /* of the message that is arriving */
    size_t frame_length;
} client;

static client clients[CLIENTS];
static sent messages[MAX_MESSAGES];
static unsigned n_messages;
static unsigned round_number;
static bool winding_up;
static ws_reactor *reactor;
static ws_audience *audience;
static unsigned being_opened;
static uint64_t random_state;
static unsigned seed;
static bool injects; /* send() takes less than it could, at random */

static unsigned random_below(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

/* ---- httpd, and the calls that are led here ---- */

static server_rec server;

void ws_census_leave(const ws_payer *payer)
{
    (void)payer;
}

void ws_census_release(size_t bytes)
{
    (void)bytes;
}

void ws_husk_bury(ws_loop *loop, conn_rec *c)
{
    (void)loop, (void)c;
}

bool __wrap_ws_transport_open(ws_transport *transport);
ssize_t __real_send(int fd, const void *data, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);
int __real_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);

/* Every second client has TLS. */
bool __wrap_ws_transport_open(ws_transport *transport)
{
    connection_open(&clients[being_opened].connection, transport, being_opened % 2, BUFFERS);
    return true;
}

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags)
{
    const unsigned luck = injects ? random_below(20) : 20;

    if (luck == 0) {
        errno = EAGAIN;
        return -1;
    }
    return __real_send(fd, data, luck == 1 ? (length + 1) / 2 : length, flags);
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    return __real_epoll_wait(epoll, events, most, timeout < 0 || timeout > 1 ? 1 : timeout);
}

/* ---- sending ---- */

static void fill(uint8_t *payload, unsigned number, size_t length)
{
    memcpy(payload, &number, sizeof number);
    for (size_t i = sizeof number; i < length; i++) {
        payload[i] = (uint8_t)(number * 31 + i);
    }
}

static size_t random_length(void)
{
    return sizeof(unsigned) + (random_below(300) == 0  ? random_below(LARGE - 8)
                               : random_below(10) == 0 ? random_below(5000)
                                                       : random_below(120));
}

static void send_one(int topic, int to)
{
    static uint8_t payload[LARGE];
    const char *const names[TOPICS] = {"a", "b", "c", "d"};
    const sent m = {topic, to, random_length()};
    ws_outgoing *outgoing;

    if (n_messages == MAX_MESSAGES || (to >= 0 && !clients[to].session)) {
        return;
    }
    fill(payload, n_messages, m.length);
    outgoing = ws_outgoing_create(WS_BINARY, payload, m.length, topic >= 0 ? names[topic] : NULL,
                                  topic >= 0);
    messages[n_messages++] = m;
    if (to >= 0) {
        ws_session_send(clients[to].session, outgoing);
    } else {
        ws_session_publish(audience, outgoing, NULL);
    }
    ws_outgoing_release(outgoing);
}

/* ---- receiving ---- */

static bool is_for(const client *c, unsigned number)
{
    const sent *m = &messages[number];

    return number >= c->joined_at && (m->to < 0 || m->to == (int)(c - clients));
}

/* Nothing that must arrive lies between the last message and this one. */
static void check_gap(const client *c, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        if (is_for(c, i) && messages[i].topic < 0) {
            fail_msg("client %u never got message %u to %d of %zu bytes, but %u (seed %u)",
                     (unsigned)(c - clients), i, messages[i].to, messages[i].length, to, seed);
        }
    }
}

static void on_message(client *c, const uint8_t *payload, size_t length)
{
    static uint8_t expected[LARGE];
    unsigned number;

    assert_true(length >= sizeof number);
    memcpy(&number, payload, sizeof number);
    if (number >= n_messages || !is_for(c, number) || (c->last && number < c->last)) {
        fail_msg("client %u got message %u out of turn (seed %u)", (unsigned)(c - clients), number,
                 seed);
    }
    check_gap(c, c->last ? c->last : c->joined_at, number);
    fill(expected, number, messages[number].length);
    assert_int_equal(length, messages[number].length);
    assert_memory_equal(payload, expected, length);
    c->last = number + 1;
    if (messages[number].topic >= 0) {
        c->last_of[messages[number].topic] = number;
    }
}

/* Takes whole frames out of what has arrived (RFC 6455 section 5.2; the server masks nothing). */
static void take_frames(client *c)
{
    uint8_t *at = c->frame, *end = c->frame + c->frame_length;

    while (end - at >= 2) {
        size_t header = 2, length = at[1];

        if (length >= 126) {
            const size_t bytes = length == 126 ? 2 : 8;

            header += bytes;
            if ((size_t)(end - at) < header) {
                break;
            }
            length = 0;
            for (size_t i = 0; i < bytes; i++) {
                length = length << 8 | at[2 + i];
            }
        }
        assert_true(header + length <= sizeof c->frame);
        if ((size_t)(end - at) < header + length) {
            break;
        }
        if ((at[0] & 0x0f) == WS_BINARY) {
            on_message(c, at + header, length);
        }
        at += header + length;
    }
    c->frame_length = (size_t)(end - at);
    memmove(c->frame, at, c->frame_length);
}

static void read_some(client *c)
{
    ssize_t n;

    if (c->connection.far < 0) {
        return;
    }
    n = client_read(&c->connection, c->frame + c->frame_length, sizeof c->frame - c->frame_length);
    if (n < 0) {
        assert_null(c->session); /* the server ends no connection by itself, and breaks none */
    }
    if (n > 0) {
        c->frame_length += (size_t)n;
        take_frames(c);
    }
}

/* Whether the last message for it has arrived: it is never replaced by a newer one. */
static bool has_all(const client *c)
{
    for (unsigned i = n_messages; i-- > c->joined_at;) {
        if (is_for(c, i)) {
            return c->last == i + 1;
        }
    }
    return true;
}

static void check_end(const client *c)
{
    check_gap(c, c->last ? c->last : c->joined_at, n_messages);
    for (int topic = 0; topic < TOPICS; topic++) {
        for (unsigned i = n_messages; i-- > 0 && i >= c->joined_at;) {
            if (messages[i].topic == topic && is_for(c, i)) {
                assert_int_equal(c->last_of[topic], i); /* the newest value of each topic */
                break;
            }
        }
    }
}

/* ---- a run ---- */

static void on_open(clowntalk_session *session, void *data)
{
    client *c = data;

    c->session = session;
    if (!audience) {
        audience = ws_session_audience(session);
    }
    assert_int_equal(ws_session_join(session, audience), APR_SUCCESS);
}

static void on_client_message(clowntalk_session *session, void *data, clowntalk_kind kind,
                              char *bytes, apr_size_t length)
{
    (void)session, (void)data, (void)kind, (void)bytes, (void)length;
}

static void on_close(clowntalk_session *session, void *data)
{
    client *c = data;

    (void)session;
    assert_true(c->reset);
    c->session = NULL;
}

static const clowntalk_handler handler = {
    .open = on_open, .message = on_client_message, .close = on_close};

static void act_at_random(void)
{
    const unsigned what = random_below(10);

    for (unsigned n = random_below(3); n > 0; n--) {
        send_one(random_below(3) ? (int)random_below(TOPICS) : -1, -1);
    }
    if (what < 3) {
        send_one(-1, (int)random_below(CLIENTS));
        send_one(-1, -1);
    } else if (what == 3 && random_below(4) == 0) {
        client *c = &clients[random_below(CLIENTS)];

        if (c->connection.far >= 0) {
            c->reset = true;
            client_reset(&c->connection);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (random_below(clients[i].reads_one_in) == 0) {
            read_some(&clients[i]);
        }
    }
}

/* All clients go, when what they got was looked at. */
static void wind_up(void)
{
    winding_up = true;
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (!clients[i].reset) {
            check_end(&clients[i]);
            clients[i].reset = true;
            client_reset(&clients[i].connection);
        }
    }
}

/* Every round of the loop. When all was sent, all is read; then the clients go. */
static void every_round(void *unused)
{
    bool all = true;

    (void)unused;
    if (round_number++ < ROUNDS) {
        act_at_random();
        return;
    }
    injects = false;
    assert_true(round_number < MOST_ROUNDS);
    for (unsigned i = 0; i < CLIENTS && !winding_up; i++) {
        read_some(&clients[i]);
        all &= clients[i].reset || has_all(&clients[i]);
    }
    if (all && !winding_up) {
        wind_up();
    }
    if (reactor->sessions == 0) {
        ws_loop_quit(reactor->loop);
    }
}

static void open_client(apr_pool_t *pool, unsigned number)
{
    const ws_settings settings = {.max_message = 65536, .backlog = 1u << 30};
    conn_rec *c = apr_pcalloc(pool, sizeof *c);
    request_rec *r = apr_pcalloc(pool, sizeof *r);

    clients[number] = (client){.joined_at = n_messages,
                               .reads_one_in = random_below(4) ? 1 : 1 + random_below(30)};
    c->client_ip = apr_pstrdup(pool, "127.0.0.1");
    c->client_addr = apr_pcalloc(pool, sizeof *c->client_addr);
    c->bucket_alloc = apr_bucket_alloc_create(pool);
    r->pool = c->pool = pool;
    r->connection = c;
    r->server = &server;
    being_opened = number;
    ws_session_begin(ws_session_create(r, NULL, &settings, &handler, &clients[number]), reactor,
                     true);
}

static void run(bool io_uring)
{
    apr_pool_t *pool;

    random_state = seed;
    n_messages = round_number = 0;
    winding_up = false;
    injects = true;
    audience = NULL;
    ws_options_set(true, io_uring);
    apr_pool_create(&pool, NULL);
    reactor = ws_reactor_create();
    assert_non_null(reactor);
    reactor->number = 1;
    for (unsigned i = 0; i < CLIENTS; i++) {
        open_client(pool, i);
    }
    n_messages = 1; /* 0 is "none yet" */
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].joined_at = 1;
    }
    ws_loop_run(reactor->loop, every_round, NULL);
    for (unsigned i = 0; i < CLIENTS; i++) {
        connection_close(&clients[i].connection);
    }
    ws_audience_destroy(audience);
    ws_reactor_destroy(reactor);
    apr_pool_destroy(pool);
}

static void by_send(void **state)
{
    (void)state;
    run(false);
}

/* Whether the build and the kernel have it: a batch that is allowed to use it does. */
static bool has_io_uring(void)
{
    static const ws_batch_operations none;
    ws_batch *batch = ws_batch_create(&none, true);
    const bool has = ws_batch_uses_io_uring(batch);

    ws_batch_destroy(batch);
    return has;
}

static void by_io_uring(void **state)
{
    (void)state;
    if (!has_io_uring()) {
        skip();
    }
    run(true);
}

static int setup(void **state)
{
    const char *wanted = getenv("CLOWNTALK_SEED");

    (void)state;
    seed = wanted ? (unsigned)strtoul(wanted, NULL, 10) : (unsigned)time(NULL);
    print_message("# CLOWNTALK_SEED=%u\n", seed);
    tls_pair_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_send),
        cmocka_unit_test(by_io_uring),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
