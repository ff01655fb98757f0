/*
 * The floor of the benchmark: what WebSocket costs where there is nothing but epoll, sockets and
 * OpenSSL. One thread, no HTTP beyond the handshake, no limits, no timeouts, no log.
 *
 *   epoll_echo --port=N [--tls-port=N --certificate=FILE --key=FILE]
 *
 * It listens on 127.0.0.1, echoes every message, and sends one that begins with '!' to all clients.
 */
#include "websocket/frame.h"
#include "websocket/handshake.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_PER_ROUND 256
#define BUFFER_BYTES     65536
#define MAX_MESSAGE      (BUFFER_BYTES - WS_MAX_HEADER)
#define MAX_REQUEST      4096
#define BACKLOG          4096

typedef struct peer {
    int fd;
    bool listens, tls; /* a listener, and of which kind */
    bool open;         /* the 101 is sent */
    bool wants_out;
    SSL *ssl;
    ws_parser parser;
    uint8_t *kept; /* an unfinished request or message, on the heap */
    size_t kept_length;
    uint8_t *unsent;
    size_t unsent_length;
    struct peer *next, *previous; /* among those that are open */
} peer;

static int epoll;
static SSL_CTX *tls;
static peer open_peers = {.next = &open_peers, .previous = &open_peers};
static peer *closed; /* in this round: freed behind it */
static uint8_t in[BUFFER_BYTES], out[BUFFER_BYTES];

static void close_peer(peer *p)
{
    if (p->fd < 0) {
        return;
    }
    if (p->open) {
        p->previous->next = p->next;
        p->next->previous = p->previous;
    }
    SSL_free(p->ssl);
    ERR_clear_error();
    close(p->fd);
    free(p->kept);
    free(p->unsent);
    p->fd = -1;
    p->next = closed;
    closed = p;
}

/* ---- writing ---- */

static ssize_t write_some(peer *p, const uint8_t *data, size_t length)
{
    if (p->ssl) {
        int n = SSL_write(p->ssl, data, (int)length), error;

        if (n > 0) {
            return n;
        }
        error = SSL_get_error(p->ssl, n);
        return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -1;
    } else {
        ssize_t n = send(p->fd, data, length, MSG_NOSIGNAL);

        return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
}

static void want_out(peer *p, bool wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0),
                                .data.ptr = p};

    if (p->wants_out != wanted) {
        p->wants_out = wanted;
        epoll_ctl(epoll, EPOLL_CTL_MOD, p->fd, &event);
    }
}

static void write_bytes(peer *p, const uint8_t *data, size_t length)
{
    ssize_t n = p->unsent ? 0 : write_some(p, data, length);
    uint8_t *grown;

    if (n == (ssize_t)length) {
        return;
    }
    grown = n < 0 ? NULL : realloc(p->unsent, p->unsent_length + length - (size_t)n);
    if (!grown) {
        close_peer(p);
        return;
    }
    memcpy(grown + p->unsent_length, data + n, length - (size_t)n);
    p->unsent = grown;
    p->unsent_length += length - (size_t)n;
    want_out(p, true);
}

static void write_unsent(peer *p)
{
    ssize_t n = write_some(p, p->unsent, p->unsent_length);

    if (n < 0) {
        close_peer(p);
        return;
    }
    p->unsent_length -= (size_t)n;
    memmove(p->unsent, p->unsent + n, p->unsent_length);
    if (p->unsent_length == 0) {
        free(p->unsent);
        p->unsent = NULL;
        want_out(p, false);
    }
}

static size_t make_frame(enum ws_opcode opcode, const uint8_t *data, size_t length)
{
    size_t header = ws_frame_header(out, opcode, true, false, length);

    if (length > 0) {
        memcpy(out + header, data, length);
    }
    return header + length;
}

/* ---- messages ---- */

static void on_message(peer *p, bool text, const uint8_t *data, size_t length)
{
    size_t frame = make_frame(text ? WS_TEXT : WS_BINARY, data, length);

    if (length > 0 && data[0] == '!') {
        for (peer *to = open_peers.next, *next; to != &open_peers; to = next) {
            next = to->next;
            write_bytes(to, out, frame);
        }
    } else {
        write_bytes(p, out, frame);
    }
}

static bool keep(peer *p, const uint8_t *data, size_t length, size_t most)
{
    uint8_t *grown;

    if (p->kept_length + length > most ||
        !(grown = realloc(p->kept, p->kept_length + length + 1))) {
        return false;
    }
    memcpy(grown + p->kept_length, data, length);
    p->kept = grown;
    p->kept_length += length;
    grown[p->kept_length] = '\0';
    return true;
}

static void forget_kept(peer *p)
{
    free(p->kept);
    p->kept = NULL;
    p->kept_length = 0;
}

static void on_piece(peer *p, const ws_event *event)
{
    if (event->first && event->last) {
        on_message(p, event->text, event->data, event->length);
    } else if (!keep(p, event->data, event->length, MAX_MESSAGE)) {
        close_peer(p);
    } else if (event->last) {
        on_message(p, event->text, p->kept, p->kept_length);
        forget_kept(p);
    }
}

static void on_frames(peer *p, uint8_t *data, size_t length)
{
    uint8_t *end = data + length;
    ws_event event;

    while (p->fd >= 0 && ws_parser_next(&p->parser, &data, end, &event)) {
        switch (event.kind) {
        case WS_EVENT_DATA:
            on_piece(p, &event);
            break;
        case WS_EVENT_PING:
            write_bytes(p, out, make_frame(WS_PONG, event.data, event.length));
            break;
        case WS_EVENT_PONG:
            break;
        case WS_EVENT_CLOSE:
            write_bytes(p, out, make_frame(WS_CLOSE, event.data, event.length));
            close_peer(p);
            break;
        case WS_EVENT_FAIL:
            close_peer(p);
            break;
        }
    }
}

/* ---- the handshake ---- */

static bool answer(peer *p, const char *request)
{
    static const char name[] = "\r\nSec-WebSocket-Key: ";
    const char *at = strcasestr(request, name);
    char key[25] = "", accept[WS_ACCEPT_LENGTH + 1], response[256];
    int length;

    if (at) {
        snprintf(key, sizeof(key), "%s", at + sizeof(name) - 1);
    }
    if (!ws_accept_key(key, accept)) {
        return false;
    }
    length = snprintf(response, sizeof(response),
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                      accept);
    p->open = true;
    p->next = open_peers.next;
    p->previous = &open_peers;
    p->next->previous = open_peers.next = p;
    write_bytes(p, (const uint8_t *)response, (size_t)length);
    return true;
}

static void on_request(peer *p, uint8_t *data, size_t length)
{
    size_t before = p->kept_length, head;
    const char *end;

    if (!keep(p, data, length, MAX_REQUEST)) {
        close_peer(p);
        return;
    }
    end = strstr((const char *)p->kept, "\r\n\r\n");
    if (!end) {
        return;
    }
    head = (size_t)(end - (const char *)p->kept) + 4;
    if (!answer(p, (const char *)p->kept)) {
        close_peer(p);
        return;
    }
    forget_kept(p);
    on_frames(p, data + (head - before), before + length - head);
}

/* ---- reading ---- */

static void on_bytes(peer *p, size_t length)
{
    if (p->open) {
        on_frames(p, in, length);
    } else {
        on_request(p, in, length);
    }
}

static void read_tls(peer *p)
{
    do { /* SSL_read() does the handshake, too */
        int n = SSL_read(p->ssl, in, sizeof(in)), error;

        if (n > 0) {
            on_bytes(p, (size_t)n);
            continue;
        }
        error = SSL_get_error(p->ssl, n);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            close_peer(p);
        }
        return;
    } while (p->fd >= 0 && SSL_has_pending(p->ssl));
}

static void read_plain(peer *p)
{
    ssize_t n = recv(p->fd, in, sizeof(in), 0);

    if (n > 0) {
        on_bytes(p, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_peer(p);
    }
}

static void accept_peers(const peer *listener)
{
    struct epoll_event event = {.events = EPOLLIN};
    const int on = 1;
    int fd;

    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        peer *p = calloc(1, sizeof(*p));

        if (!p || (listener->tls && !(p->ssl = SSL_new(tls)))) {
            free(p);
            close(fd);
            continue;
        }
        p->fd = fd;
        ws_parser_init(&p->parser, MAX_MESSAGE, true, false);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (p->ssl) {
            SSL_set_fd(p->ssl, fd);
            SSL_set_accept_state(p->ssl);
        }
        event.data.ptr = p;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            close_peer(p);
        }
    }
}

static void on_ready(peer *p, uint32_t events)
{
    if (p->fd < 0) {
        return; /* closed by an earlier event of this round */
    }
    if (p->listens) {
        accept_peers(p);
        return;
    }
    if (p->unsent && (events & EPOLLOUT)) {
        write_unsent(p);
    }
    if (p->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        if (p->ssl) {
            read_tls(p);
        } else {
            read_plain(p);
        }
    }
}

/* ---- the process ---- */

static void fail(const char *what)
{
    fprintf(stderr, "epoll_echo: %s: %s\n", what, errno ? strerror(errno) : "refused");
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void listen_on(peer *listener, unsigned port, bool secure)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    const int on = 1;

    listener->listens = true;
    listener->tls = secure;
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0 ||
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener->fd, BACKLOG) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener->fd, &event) != 0) {
        fail("listening");
    }
}

static void prepare_tls(const char *certificate, const char *key)
{
    tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1) {
        fail(certificate);
    }
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
}

static void run(void)
{
    struct epoll_event events[EVENTS_PER_ROUND];

    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_PER_ROUND, -1);

        for (int i = 0; i < n; i++) {
            on_ready(events[i].data.ptr, events[i].events);
        }
        while (closed) {
            peer *next = closed->next;

            free(closed);
            closed = next;
        }
    }
}

typedef struct settings {
    unsigned port, tls_port;
    const char *certificate, *key;
} settings;

static settings read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},
        {"tls-port", required_argument, NULL, 't'},
        {"certificate", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {0},
    };
    settings s = {0};
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 'p') {
            s.port = (unsigned)atoi(optarg);
        } else if (c == 't') {
            s.tls_port = (unsigned)atoi(optarg);
        } else if (c == 'c') {
            s.certificate = optarg;
        } else if (c == 'k') {
            s.key = optarg;
        }
    }
    if (s.port == 0 || s.port > 65535 || s.tls_port > 65535 ||
        (s.tls_port && (!s.certificate || !s.key))) {
        fputs("usage: epoll_echo --port=N [--tls-port=N --certificate=FILE --key=FILE]\n", stderr);
        exit(2);
    }
    return s;
}

int main(int argc, char **argv)
{
    static peer plain, secure;
    const settings s = read_options(argc, argv);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if ((epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        fail("epoll");
    }
    listen_on(&plain, s.port, false);
    if (s.tls_port) {
        prepare_tls(s.certificate, s.key);
        listen_on(&secure, s.tls_port, true);
    }
    run();
}
