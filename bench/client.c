#include "client.h"

#include "samples.h"
#include "websocket/handshake.h"

#include <openssl/err.h>
#include <openssl/rand.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_PER_POLL 512
#define READ_BYTES      65536
#define MAX_RESPONSE    4096 /* bytes of the 101's head */
#define MAX_PARTIAL     (1 << 20)
/* Handshakes under way at once: as many as keep the server busy, less than its listen queue. */
#define OPENINGS_AT_ONCE 64
/* A port range has 28,000 ports by default: one source address for at most this many clients. */
#define CLIENTS_PER_ADDRESS 10000
#define FIRST_ADDRESS       0x7F000002u /* 127.0.0.2 */

struct crowd {
    crowd_target target;
    crowd_events events;
    void *scenario;
    SSL_CTX *tls;
    int epoll;
    int extra_fd;
    uint64_t random; /* xorshift64*: masking keys */
    client **clients;
    unsigned size, capacity;
    unsigned opening, losses;
    bool failed; /* a client was lost before it was open */
    char key[25], accept[WS_ACCEPT_LENGTH + 1];
    uint8_t in[READ_BYTES];
    uint8_t out[READ_BYTES];
};

static void on_bytes(client *c, uint8_t *data, size_t length);

/* ---- the crowd ---- */

static SSL_CTX *create_tls(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    if (!tls) {
        return NULL;
    }
    /* Only the server is measured: checking certificates would take half of the time. */
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls, 1); /* a record per read(), not its header and then its body */
    return tls;
}

/* One key for all: what matters here is that the answer belongs to it. */
static bool make_key(crowd *crowd)
{
    unsigned char bytes[16];

    return RAND_bytes(bytes, sizeof(bytes)) == 1 &&
           RAND_bytes((unsigned char *)&crowd->random, sizeof(crowd->random)) == 1 &&
           EVP_EncodeBlock((unsigned char *)crowd->key, bytes, sizeof(bytes)) == 24 &&
           ws_accept_key(crowd->key, crowd->accept);
}

crowd *crowd_create(const crowd_target *target, const crowd_events *events, void *scenario)
{
    crowd *new = calloc(1, sizeof(*new));

    if (!new) {
        return NULL;
    }
    new->target = *target;
    new->events = *events;
    new->scenario = scenario;
    new->extra_fd = -1;
    new->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (new->epoll < 0 || !make_key(new) || (target->tls && !(new->tls = create_tls()))) {
        fprintf(stderr, "epoll or OpenSSL refuses: %s\n", strerror(errno));
        crowd_destroy(new);
        return NULL;
    }
    new->random |= 1;
    return new;
}

static void close_socket(client *c)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    SSL_free(c->ssl);
    c->ssl = NULL;
    ERR_clear_error(); /* or the next client's SSL_get_error() would see this one's errors */
    if (c->fd >= 0) {
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(c->fd);
    }
    c->fd = -1;
    free(c->unsent);
    free(c->partial);
    c->unsent = c->partial = NULL;
    c->unsent_length = c->unsent_at = c->partial_length = 0;
}

void crowd_destroy(crowd *crowd)
{
    for (unsigned i = 0; i < crowd->size; i++) {
        close_socket(crowd->clients[i]);
        free(crowd->clients[i]);
    }
    free(crowd->clients);
    SSL_CTX_free(crowd->tls);
    if (crowd->epoll >= 0) {
        close(crowd->epoll);
    }
    free(crowd);
}

void *crowd_scenario(const crowd *crowd)
{
    return crowd->scenario;
}

unsigned crowd_size(const crowd *crowd)
{
    return crowd->size;
}

client *crowd_client(crowd *crowd, unsigned index)
{
    return crowd->clients[index];
}

unsigned crowd_losses(const crowd *crowd)
{
    return crowd->losses;
}

bool crowd_watch(crowd *crowd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    crowd->extra_fd = fd;
    return epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- the end of a client ---- */

static void lose(client *c, const char *why)
{
    if (c->state == CLIENT_LOST) {
        return;
    }
    if (c->state != CLIENT_OPEN) {
        c->crowd->opening--;
        c->crowd->failed = true;
    }
    if (c->crowd->losses++ == 0) {
        fprintf(stderr, "connection %u: %s\n", c->index, why);
    }
    c->state = CLIENT_LOST;
    close_socket(c);
}

/* ---- writing ---- */

static void want_events(client *c, bool out)
{
    struct epoll_event event = {.events = EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};

    if (c->wants_out != out) {
        c->wants_out = out;
        epoll_ctl(c->crowd->epoll, EPOLL_CTL_MOD, c->fd, &event);
    }
}

/* Writes what the socket takes: how much that was, or -1 where the connection is broken. */
static ssize_t write_some(client *c, const uint8_t *data, size_t length)
{
    if (c->ssl) {
        int n = SSL_write(c->ssl, data, (int)length), error;

        if (n > 0) {
            return n;
        }
        error = SSL_get_error(c->ssl, n);
        return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -1;
    } else {
        ssize_t n = send(c->fd, data, length, MSG_NOSIGNAL);

        return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
}

static bool keep_unsent(client *c, const uint8_t *data, size_t length)
{
    uint8_t *grown = realloc(c->unsent, c->unsent_length + length);

    if (!grown) {
        return false;
    }
    memcpy(grown + c->unsent_length, data, length);
    c->unsent = grown;
    c->unsent_length += length;
    want_events(c, true);
    return true;
}

static bool write_bytes(client *c, const uint8_t *data, size_t length)
{
    ssize_t n = c->unsent ? 0 : write_some(c, data, length);

    if (n < 0 || ((size_t)n < length && !keep_unsent(c, data + n, length - (size_t)n))) {
        lose(c, "it cannot be written to");
        return false;
    }
    return true;
}

static void write_unsent(client *c)
{
    ssize_t n = write_some(c, c->unsent + c->unsent_at, c->unsent_length - c->unsent_at);

    if (n < 0) {
        lose(c, "it cannot be written to");
        return;
    }
    c->unsent_at += (size_t)n;
    if (c->unsent_at == c->unsent_length) {
        free(c->unsent);
        c->unsent = NULL;
        c->unsent_length = c->unsent_at = 0;
        want_events(c, false);
    }
}

static uint32_t next_mask(crowd *crowd)
{
    crowd->random ^= crowd->random >> 12;
    crowd->random ^= crowd->random << 25;
    crowd->random ^= crowd->random >> 27;
    return (uint32_t)(crowd->random * UINT64_C(0x2545F4914F6CDD1D) >> 32);
}

bool client_send(client *c, enum ws_opcode opcode, const void *data, size_t length)
{
    uint8_t *frame = c->crowd->out;
    const uint32_t mask = next_mask(c->crowd);
    size_t header;

    if (c->state != CLIENT_OPEN || length > READ_BYTES - WS_MAX_HEADER - sizeof(mask)) {
        return false;
    }
    header = ws_frame_header(frame, opcode, true, false, length);
    frame[1] |= 0x80; /* MASK, RFC 6455 section 5.2 */
    memcpy(frame + header, &mask, sizeof(mask));
    header += sizeof(mask);
    memcpy(frame + header, data, length);
    ws_mask(frame + header, length, frame + header - sizeof(mask), 0);
    return write_bytes(c, frame, header + length);
}

/* ---- opening ---- */

static bool make_socket(client *c)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, to = from;
    const int on = 1;

    from.sin_addr.s_addr = htonl(FIRST_ADDRESS + c->index / CLIENTS_PER_ADDRESS);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)c->crowd->target.port);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return c->fd >= 0 &&
           /* The port is chosen at connect(): only the pair of both ends must be unique. */
           setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0 &&
           setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
           bind(c->fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
           (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
}

static client *add_client(crowd *crowd)
{
    client *c = calloc(1, sizeof(*c));

    if (!c) {
        return NULL;
    }
    if (crowd->size == crowd->capacity) {
        unsigned capacity = crowd->capacity ? 2 * crowd->capacity : 64;
        client **grown = realloc(crowd->clients, capacity * sizeof(client *));

        if (!grown) {
            free(c);
            return NULL;
        }
        crowd->clients = grown;
        crowd->capacity = capacity;
    }
    c->crowd = crowd;
    c->index = crowd->size;
    c->fd = -1;
    crowd->clients[crowd->size++] = c;
    return c;
}

static bool begin_opening(crowd *crowd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
    client *c = add_client(crowd);

    if (!c) {
        return false;
    }
    crowd->opening++;
    c->state = CLIENT_CONNECTING;
    c->wants_out = true;
    ws_parser_init(&c->parser, MAX_PARTIAL, false, false);
    event.data.ptr = c;
    if (!make_socket(c) || epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        lose(c, strerror(errno));
        return false;
    }
    return true;
}

static void ask(client *c)
{
    char request[1024];
    int length = snprintf(request, sizeof(request),
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: %s\r\n\r\n",
                          c->crowd->target.path, c->crowd->target.port, c->crowd->key);

    c->state = CLIENT_ASKING;
    want_events(c, false);
    if (length >= (int)sizeof(request)) {
        lose(c, "the path is too long");
    } else {
        write_bytes(c, (const uint8_t *)request, (size_t)length);
    }
}

static void secure(client *c)
{
    int result = SSL_do_handshake(c->ssl), error;

    if (result == 1) {
        ask(c);
        return;
    }
    error = SSL_get_error(c->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        want_events(c, error == SSL_ERROR_WANT_WRITE);
    } else {
        lose(c, "the TLS handshake failed");
    }
}

static void on_connected(client *c)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) {
        lose(c, strerror(error));
        return;
    }
    if (!c->crowd->target.tls) {
        ask(c);
        return;
    }
    c->ssl = SSL_new(c->crowd->tls);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1) {
        lose(c, "OpenSSL has no memory");
        return;
    }
    SSL_set_connect_state(c->ssl);
    c->state = CLIENT_SECURING;
    secure(c);
}

static bool append_partial(client *c, const uint8_t *data, size_t length, size_t most)
{
    uint8_t *grown;

    if (c->partial_length + length > most ||
        !(grown = realloc(c->partial, c->partial_length + length + 1))) {
        return false;
    }
    if (length > 0) {
        memcpy(grown + c->partial_length, data, length);
    }
    c->partial = grown;
    c->partial_length += length;
    grown[c->partial_length] = '\0';
    return true;
}

static void drop_partial(client *c)
{
    free(c->partial);
    c->partial = NULL;
    c->partial_length = 0;
}

/* Collects the response's head; what follows it are frames already. */
static void on_response(client *c, uint8_t *data, size_t length)
{
    char *head, *end, line[64];
    size_t before = c->partial_length, head_length;

    if (!append_partial(c, data, length, MAX_RESPONSE)) {
        lose(c, "the response is too long");
        return;
    }
    head = (char *)c->partial;
    end = strstr(head, "\r\n\r\n");
    if (!end) {
        return;
    }
    end[2] = '\0';
    head_length = (size_t)(end - head) + 4;
    snprintf(line, sizeof(line), "Sec-WebSocket-Accept: %s\r\n", c->crowd->accept);
    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0 || !strcasestr(head, line)) {
        fprintf(stderr, "%.*s\n", (int)strcspn(head, "\r\n"), head);
        lose(c, "the upgrade was refused");
        return;
    }
    drop_partial(c);
    c->state = CLIENT_OPEN;
    c->crowd->opening--;
    if (c->crowd->events.opened) {
        c->crowd->events.opened(c);
    }
    if (c->state == CLIENT_OPEN && before + length > head_length) {
        on_bytes(c, data + (head_length - before), before + length - head_length);
    }
}

bool crowd_open(crowd *crowd, unsigned count, double seconds)
{
    const int64_t until = clock_ns() + (int64_t)(seconds * 1e9);

    while (!crowd->failed && (crowd->size < count || crowd->opening > 0)) {
        while (crowd->size < count && crowd->opening < OPENINGS_AT_ONCE) {
            if (!begin_opening(crowd)) {
                return false;
            }
        }
        if (clock_ns() >= until) {
            fprintf(stderr, "%u of %u connections are open after %g s\n",
                    crowd->size - crowd->opening, count, seconds);
            return false;
        }
        crowd_poll(crowd, until);
    }
    return !crowd->failed;
}

/* ---- reading ---- */

static void on_data(client *c, const ws_event *event)
{
    if (event->first && event->last) {
        c->crowd->events.message(c, event->data, event->length);
        return;
    }
    if (!append_partial(c, event->data, event->length, MAX_PARTIAL)) {
        lose(c, "out of memory for a message");
        return;
    }
    if (event->last) {
        c->crowd->events.message(c, c->partial, c->partial_length);
        drop_partial(c);
    }
}

static void on_frames(client *c, uint8_t *data, size_t length)
{
    uint8_t *end = data + length;
    ws_event event;

    while (c->state == CLIENT_OPEN && ws_parser_next(&c->parser, &data, end, &event)) {
        switch (event.kind) {
        case WS_EVENT_DATA:
            on_data(c, &event);
            break;
        case WS_EVENT_PING:
            client_send(c, WS_PONG, event.data, event.length);
            break;
        case WS_EVENT_PONG:
            break;
        case WS_EVENT_CLOSE:
            lose(c, "the server has closed it");
            break;
        case WS_EVENT_FAIL:
            lose(c, event.reason);
            break;
        }
    }
}

static void on_bytes(client *c, uint8_t *data, size_t length)
{
    if (c->state == CLIENT_ASKING) {
        on_response(c, data, length);
    } else {
        on_frames(c, data, length);
    }
}

static void read_tls(client *c)
{
    do {
        int n = SSL_read(c->ssl, c->crowd->in, READ_BYTES), error;

        if (n > 0) {
            on_bytes(c, c->crowd->in, (size_t)n);
            continue;
        }
        error = SSL_get_error(c->ssl, n);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            lose(c, "the server is gone");
        }
        return;
    } while (c->ssl && SSL_has_pending(c->ssl));
}

static void read_plain(client *c)
{
    ssize_t n = recv(c->fd, c->crowd->in, READ_BYTES, 0);

    if (n > 0) {
        on_bytes(c, c->crowd->in, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        lose(c, "the server is gone");
    }
}

static void on_ready(client *c, uint32_t events)
{
    switch (c->state) {
    case CLIENT_CONNECTING:
        on_connected(c);
        return;
    case CLIENT_SECURING:
        secure(c);
        return;
    case CLIENT_ASKING:
    case CLIENT_OPEN:
        if (c->unsent && (events & EPOLLOUT)) {
            write_unsent(c);
        }
        if (c->state != CLIENT_LOST && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
            if (c->ssl) {
                read_tls(c);
            } else {
                read_plain(c);
            }
        }
        return;
    case CLIENT_LOST:
        return;
    }
}

bool crowd_poll(crowd *crowd, int64_t until)
{
    struct epoll_event events[EVENTS_PER_POLL];
    int64_t left = until - clock_ns();
    int patience = left <= 0 ? 0 : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
    int n = epoll_wait(crowd->epoll, events, EVENTS_PER_POLL, patience);
    bool extra = false;

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr) {
            on_ready(events[i].data.ptr, events[i].events);
        } else {
            extra = true;
        }
    }
    return extra;
}
