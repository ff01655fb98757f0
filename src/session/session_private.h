/*
 * What the files of the session share: the session itself, and what each file does for those above
 * it. Everything else uses session.h.
 *
 *   session.c           the beginning, and what the descriptor says
 *   session_clock.c     pings, pauses, and the end of a session's time
 *   session_turn.c      reading, a portion at a time
 *   session_input.c     from bytes to messages
 *   session_publish.c   publications, and the batch that sends them
 *   session_output.c    messages and Close frames on their way out
 *   session_linger.c    the time between our last word and the end
 *   session_flow.c      when a client is listened to
 *   session_end.c       the end
 *
 * Each file uses those below it in this list, and no other: session_clock.c and session_turn.c know
 * nothing of each other, nor does session_publish.c of them.
 *
 * A session that must end is only *marked*, by session_abort(), which calls nothing that could call
 * back. A task at the end of the loop's round tears it down (session_end.c). So whatever a function
 * here calls, its session, the transport and their memory are there when it returns; only `state`
 * may have changed.
 */
#ifndef WS_SESSION_PRIVATE_H
#define WS_SESSION_PRIVATE_H

#include "base/container.h"
#include "log.h"
#include "queue.h"
#include "reactor.h"
#include "session.h"
#include "transport.h"

#include <sys/epoll.h>

/* Where a session stands. The names are in session_end.c, for the log. */
typedef enum ws_state {
    WS_STATE_OPEN = 0, /* messages go both ways */
    WS_STATE_CLOSING,  /* our Close is on its way, the peer's has not come */
    WS_STATE_LINGER,   /* nothing more to say: the rest is written, then the peer's FIN awaited */
    WS_STATE_DEAD,     /* marked: nothing is read or written; torn down when the round ends */
} ws_state;

typedef struct session_rest session_rest;

struct clowntalk_session {
    /* What a publication to thousands touches comes first, on as few cache lines as it takes. */
    ws_seat seat; /* in the audience whose publications it gets */
    ws_reactor *reactor;
    ws_queue queue; /* what the transport has not taken */
    ws_state state;
    bool compresses;      /* settings.deflate.agreed */
    bool owns_connection; /* the reactor ends the connection, not the MPM */
    bool handler_open;    /* open() was called and close() was not */
    bool close_sent;
    bool held;        /* nothing is carried out until answers have gone out, and come from others */
    bool ended;       /* nothing more comes from the client than what was read */
    ws_source source; /* in the reactor's batch */
    ws_transport transport;

    ws_settings settings;
    bool stays;        /* on its connection, since it could not leave it */
    bool hung_up;      /* LINGER: our FIN is sent */
    size_t drained;    /* bytes that were dropped since, and since the last pause */
    bool mid_interval; /* at ping_at only an unanswered ping is repeated */
    unsigned pings;    /* sent and not answered by anything */
    ws_watch watch;    /* the transport's descriptor */
    ws_task flush;     /* queued while something is to be written */
    ws_timer timer;    /* OPEN: pings; CLOSING, LINGER: patience */
    ws_task push;      /* delayed while no descriptor shows that the peer takes more, or it waits */
    ws_task read_again; /* queued while there is more to carry out, or to read, than shows */
    ws_task ending;     /* tells the handler that it is over; DEAD: tears the session down */
    conn_rec *c;        /* NULL: it has left its connection */
    server_rec *server;
    const clowntalk_handler *handler;
    void *data;           /* the handler's */
    size_t owed;          /* bytes of answers that are still to come */
    int64_t paused_until; /* nothing is carried out before: the loop's clock; 0: no pause */
    /* What was read and waits for the session's next turn. */
    session_rest *rest;        /* for the parser */
    ws_event *piece;           /* which is not all inflated: its bytes are the rest's first */
    clowntalk_kind unfinished; /* of `message`, which is whole; 0: none is */
    const char *user;          /* NULL: anonymous */
    const char *client;        /* "address:port", and the address alone */
    const char *client_ip;
    ws_place place;     /* in the reactor */
    int64_t ping_at;    /* when to think of the next one: microseconds of the loop's clock */
    int64_t too_old_at; /* when the session is too old; INT64_MAX: never */

    ws_parser parser;
    ws_inflate inflate;
    char *message; /* pieces of an unfinished message, on the heap */
    size_t message_length, message_capacity;
    size_t message_at; /* how much of an unfinished one the handler has taken */

    char text[]; /* user, client and client_ip */
};

/* A log line about a session, with its client, its user and where it stands. */
#define LOG_SESSION(s, level, status, number, format, ...)                                         \
    CT_LOG_CLIENT((s)->server, (s)->client, level, status, number, format " [user %s, %s]",        \
                  ##__VA_ARGS__, (s)->user ? (s)->user : "-", session_state_name(s))

/* ---- session_end.c ---- */

const char *session_state_name(const clowntalk_session *s);
/* Marks the session as dead, without a Close frame, and says why in the log. */
void session_abort(clowntalk_session *s, apr_status_t status, const char *why);
/* The same without a word. */
void session_die(clowntalk_session *s);
/* Nothing more is to be said to the handler than that it is over: it hears it in this round. */
void session_end_handler(clowntalk_session *s);
void session_forget_message(clowntalk_session *s);
/* Frees the connection of a session that has left it, as soon as the MPM allows that. */
void session_bury_connection(clowntalk_session *s);
void session_on_ending(ws_task *task);

/* ---- session_flow.c ---- */

static inline bool session_is_blocked(const clowntalk_session *s)
{
    return s->transport.blocked;
}
/* Whether anything that the client says is still of interest. */
static inline bool session_is_listening(const clowntalk_session *s)
{
    return s->state <= WS_STATE_CLOSING;
}
/* Whether the client has to wait: for room, for answers to what it has asked, or for time. */
bool session_must_wait(const clowntalk_session *s);
/* Listens again to a client that has waited, where it need not wait any longer. */
void session_go_on(clowntalk_session *s);

/* ---- session_linger.c ---- */

/* Nothing more is to be said: what waits is written, then the connection ends. */
void session_hang_up_soon(clowntalk_session *s);
/* Everything is written: says goodbye below WebSocket, and waits for the peer to do so too. */
void session_hang_up(clowntalk_session *s);
/* Hung up, and the descriptor shows something: drops it, or ends with the peer's side. */
void session_drain(clowntalk_session *s);
/* After a pause. */
void session_drain_on(clowntalk_session *s);
/* LINGER: sets the timer to the end of the patience, which is less where the process ends. */
void session_limit_linger(clowntalk_session *s);

/* ---- session_output.c ---- */

/* Puts a message behind what waits, in the form that was agreed. */
void session_put(clowntalk_session *s, ws_outgoing *message);
/* The same, and has it written at the end of the round, or when the client takes more. */
void session_enqueue(clowntalk_session *s, ws_outgoing *message);
void session_enqueue_frame(clowntalk_session *s, enum ws_opcode opcode, const void *payload,
                           size_t length, const char *topic);
/* Says Close, once, and nothing more after it. */
void session_linger(clowntalk_session *s, uint16_t code, const char *reason);
/* Closes the session of a client that does not read what it asks for. False where it did. */
bool session_is_patient(clowntalk_session *s);
/* Waits until the peer takes more. Meanwhile nothing is read from it. */
void session_wait_for_room(clowntalk_session *s);
/* Writes now what waits, as far as the peer takes it. */
void session_flush(clowntalk_session *s);
/* Goes on when something was written: waits, writes more, hangs up, or reads again. */
void session_wrote(clowntalk_session *s);
/* The peer may take more now. `gone`: or never again. */
void session_push(clowntalk_session *s, bool gone);
void session_on_flush(ws_task *task);
void session_on_push(ws_task *task);

/* ---- session_input.c ---- */

/*
 * Carries out what lies in [at, end), and what waits before it, until the turn is over or the
 * client has to wait: returns how far it came.
 */
uint8_t *session_carry_out(clowntalk_session *s, uint8_t *at, uint8_t *end);

/* ---- session_turn.c ---- */

/* The descriptor shows input: reads once, so that a fast client does not starve the others. */
void session_read(clowntalk_session *s);
void session_on_read_again(ws_task *task);

/* ---- session_clock.c ---- */

void session_start_clock(clowntalk_session *s);
void session_on_timer(ws_timer *timer);

#endif
