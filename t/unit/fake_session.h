/*
 * Sessions for unit tests: the real session, reactor, audience, batch and loop on a transport, a
 * clock and an httpd of the test's own. The transport (fake_session.c) is a plain socket, of which
 * each call can be made to fail in turn.
 */
#ifndef FAKE_SESSION_H
#define FAKE_SESSION_H

#include "session/reactor.h"
#include "session/session.h"

#define MAX_PEERS 128

typedef enum fault {
    FAULT_NONE,
    FAULT_FAIL,  /* the call says that the connection broke */
    FAULT_BLOCK, /* it does nothing, as where the peer gives nothing and takes nothing */
    FAULT_HALF,  /* it does its work, or half of it, and then the connection breaks */
} fault;

/* What is counted about a session's handler, which must see it live and end once. */
typedef struct peer {
    int far; /* the client's end of the connection; -1: closed */
    int near;
    clowntalk_session *session; /* NULL: freed */
    bool reads_nothing;         /* the client */
    bool ends;                  /* what is read next is followed by the end, in the same read */
    unsigned opened, messages, closed, released, buried, gave_up;
    bool in_handler;
    char *got; /* what the client has read */
    size_t got_length;
    size_t drained;     /* bytes that were dropped after the session had hung up */
    int64_t drained_at; /* when the last of them were, in microseconds of the test's clock */
    int64_t gave_up_at;
} peer;

typedef struct scenario {
    const char *name;
    unsigned peers;
    ws_settings settings; /* all zero: those that suit most */
    void (*on_open)(peer *p);
    void (*on_message)(peer *p, const char *bytes, size_t length);
    /* Called one after the other, each when the loop has nothing to do; ended by NULL. */
    void (*steps[8])(void);
} scenario;

extern peer peers[MAX_PEERS];
extern unsigned n_peers;
extern ws_reactor *reactor;
extern ws_audience *audience; /* of the first peer's thread, made when it is opened */

/* Microseconds of the test's clock. */
int64_t fake_time(void);

/* How often the last run has asked malloc to give memory back. */
extern unsigned trims;

/* Runs a scenario to its end, where all sessions are gone, with a fault in call `at` (from 1). */
void run_scenario(const scenario *s, fault kind, unsigned at);
/* How many calls of the transport the last run made. */
unsigned transport_calls(void);

/* The client says something: frames of its own, as bytes. */
void say(unsigned number, const void *bytes, size_t length);
/* A masked frame; the first byte of its header is `first`. */
void say_frame(unsigned number, uint8_t first, const void *payload, size_t length);
void hang_up_peer(unsigned number);
/* Reads what the client's socket holds. */
void listen_to(peer *p);
void publish_text(const char *text, const char *topic);

#endif
