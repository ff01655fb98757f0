/* What session.c and reactor.c share: the session itself. Everybody else uses session.h. */
#ifndef WS_SESSION_PRIVATE_H
#define WS_SESSION_PRIVATE_H

#include "reactor.h"

/* A message that waits for the socket. Replies keep their order; see enqueue() for publications. */
typedef struct ws_waiting {
    struct ws_waiting *next;
    ws_outgoing *outgoing;
} ws_waiting;

struct clowntalk_session {
    ws_watch watch;      /* the connection's socket */
    ws_timer timer;      /* OPEN: pings; CLOSING, LINGER: patience; DEAD: the MPM's grace */
    ws_task flush;       /* queued while something is to be written */
    ws_task read_again;  /* queued while input filters may hold more than the socket shows */
    conn_rec *c;
    apr_socket_t *socket;
    ws_reactor *reactor;
    const ws_settings *settings;
    const clowntalk_handler *handler;
    void *data;          /* the handler's */
    const char *user;    /* NULL: anonymous */
    apr_uint64_t id;
    clowntalk_session *table_next; /* in the reactor's table */
    apr_bucket_brigade *in, *out;

    ws_state state;
    bool owns_connection; /* the reactor ends the connection, not the MPM */
    bool stream;          /* a stream of an HTTP/2 connection: no socket, but a pipe that tells of input */
    bool stream_begun;    /* its request's own end of stream has been read */
    bool plain;           /* input filters hold nothing back: epoll alone tells when to read */
    bool handler_open;    /* open() was called and close() was not */
    bool close_sent;
    bool hung_up;         /* LINGER: our FIN is sent */
    unsigned pings;       /* sent and not answered by anything */
    int64_t ping_at;      /* when the next one is due, and when the session is too old: microseconds */
    int64_t too_old_at;   /* of the loop's clock; INT64_MAX: never */
    int64_t released_at;  /* tick at which the MPM was seen to have let go of c, 0: not yet */
    apr_interval_time_t socket_timeout; /* the MPM's, to be put back */

    ws_parser parser;
    ws_inflate inflate;
    char *message;        /* pieces of an unfinished message, on the heap */
    size_t message_length, message_capacity;

    ws_waiting *waiting_first, **waiting_last;
    size_t waiting_offset; /* bytes of the first one that the filters have taken */
    size_t waiting_bytes;  /* that the filters have not taken */
};

#endif
