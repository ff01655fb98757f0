/*
 * WebSocket clients for the load generator: a crowd of connections to one server on 127.0.0.1,
 * plain or over TLS, carried by one epoll descriptor.
 *
 * A crowd and its clients belong to the thread that created it. Only crowd_poll() blocks, and only
 * until the time that it is given.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "websocket/frame.h"

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct client client;
typedef struct crowd crowd;

typedef struct crowd_target {
    unsigned port;
    bool tls;
    const char *path;
} crowd_target;

/* The scenario's callbacks. They must not free a client. */
typedef struct crowd_events {
    void (*opened)(client *c); /* the 101 has come and is right; may be NULL */
    /* A whole text or binary message. */
    void (*message)(client *c, const uint8_t *data, size_t length);
} crowd_events;

typedef enum client_state {
    CLIENT_CONNECTING, /* TCP */
    CLIENT_SECURING,   /* TLS handshake */
    CLIENT_ASKING,     /* the request is sent, the 101 is awaited */
    CLIENT_OPEN,
    CLIENT_LOST, /* refused, closed or broken */
} client_state;

struct client {
    crowd *crowd;
    unsigned index; /* in the crowd */
    /* The scenario's own. */
    int64_t sent_at;   /* of the message in flight, nanoseconds */
    uint64_t sequence; /* of the last message */
    uint64_t replies;
    /* The rest is client.c's. */
    client_state state;
    int fd;
    SSL *ssl;       /* NULL: plain */
    bool wants_out; /* epoll reports EPOLLOUT */
    ws_parser parser;
    uint8_t *unsent; /* what the socket has not taken, on the heap */
    size_t unsent_length, unsent_at;
    uint8_t *partial; /* the response's head, then pieces of a message; on the heap */
    size_t partial_length;
};

/*
 * NULL with a message on stderr where the system refuses. `target` is copied, except for its path.
 */
crowd *crowd_create(const crowd_target *target, const crowd_events *events, void *scenario);
/* Resets every connection: no TIME-WAIT is left behind to use up ports for the next run. */
void crowd_destroy(crowd *crowd);
void *crowd_scenario(const crowd *crowd);

/*
 * Opens clients until there are `count`, a few dozen handshakes at a time, within `seconds`. False,
 * with a message on stderr, where one fails or time runs out.
 */
bool crowd_open(crowd *crowd, unsigned count, double seconds);
unsigned crowd_size(const crowd *crowd);
client *crowd_client(crowd *crowd, unsigned index);
/* Clients that were open and are lost. */
unsigned crowd_losses(const crowd *crowd);

/*
 * Waits until something happens, at most until `until` (clock_ns()), and deals with it. `extra_fd`
 * of crowd_watch() is reported by its return value: true where that became readable.
 */
bool crowd_poll(crowd *crowd, int64_t until);
/* A further descriptor to wake up for; it stays the caller's. */
bool crowd_watch(crowd *crowd, int fd);

/* Sends one message, masked. False where the client is lost. */
bool client_send(client *c, enum ws_opcode opcode, const void *data, size_t length);

#endif
