/* What session.c and reactor.c share: the session itself. Everybody else uses session.h. */
#ifndef WS_SESSION_PRIVATE_H
#define WS_SESSION_PRIVATE_H

#include "audience.h"
#include "queue.h"
#include "reactor.h"
#include "transport.h"

struct clowntalk_session {
    /*
     * What a publication to thousands touches of each comes first, on as few cache lines as it
     * takes.
     */
    ws_seat seat; /* in the audience whose publications it gets */
    ws_reactor *reactor;
    ws_queue queue; /* what the transport has not taken */
    ws_state state;
    bool compresses;      /* settings.deflate.agreed */
    bool owns_connection; /* the reactor ends the connection, not the MPM */
    bool batched;         /* bytes of it are in the reactor's batch: they go before anything else */
    bool handler_open;    /* open() was called and close() was not */
    ws_transport transport;

    ws_settings settings;
    bool stays; /* on its connection, since it could not leave it */
    bool close_sent;
    bool hung_up;       /* LINGER: our FIN is sent */
    bool mid_interval;  /* at ping_at only an unanswered ping is repeated */
    unsigned pings;     /* sent and not answered by anything */
    ws_watch watch;     /* the transport's descriptor */
    ws_task flush;      /* queued while something is to be written */
    ws_timer timer;     /* OPEN: pings; CLOSING, LINGER: patience */
    ws_task push;       /* delayed while no descriptor tells that the peer takes more */
    ws_task read_again; /* queued while input filters may hold more than the socket shows */
    ws_task release;    /* DEAD: frees it behind the round's events */
    conn_rec *c;        /* NULL: it has left its connection */
    server_rec *server;
    const clowntalk_handler *handler;
    void *data;         /* the handler's */
    const char *user;   /* NULL: anonymous */
    const char *client; /* "address:port", and the address alone */
    const char *client_ip;
    apr_uint64_t id;
    clowntalk_session *table_next; /* in the reactor's table */
    int64_t
        ping_at; /* when to think of the next one, and when the session is too old: microseconds */
    int64_t too_old_at; /* of the loop's clock; INT64_MAX: never */

    ws_parser parser;
    ws_inflate inflate;
    char *message; /* pieces of an unfinished message, on the heap */
    size_t message_length, message_capacity;

    char text[]; /* user, client and client_ip */
};

#endif
