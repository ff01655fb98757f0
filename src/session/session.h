/*
 * A WebSocket session on an Apache connection (RFC 6455).
 *
 * A session belongs to one thread, its reactor's, from ws_session_begin() on: that thread alone
 * reads, writes and frees it, so no lock guards it. It lives on the heap, since it leaves its
 * connection where that is possible: most of what a connection costs is httpd's, and no session
 * needs it.
 */
#ifndef WS_SESSION_H
#define WS_SESSION_H

#include "audience.h"
#include "websocket/deflate.h"
#include "websocket/frame.h"
#include "loop/loop.h"
#include "mod_clowntalk.h"
#include "outgoing.h"
#include "payer.h"

#include <openssl/ssl.h>

typedef struct ws_reactor ws_reactor;

/* What the configuration says about a session, resolved at its handshake. */
typedef struct ws_settings {
    apr_uint64_t max_message;  /* bytes */
    apr_size_t backlog;        /* unsent bytes before the client is dropped */
    int ping;                  /* seconds, 0: no pings */
    int max_age;               /* seconds, 0: no end */
    ws_deflate_params deflate; /* as agreed in the handshake */
    ws_payer payer;            /* whose limits hold for it */
} ws_settings;

/*
 * Makes a session for a request whose handshake has succeeded and which ws_census_enter() has
 * counted. `ssl` as ws_tls_register() has found it, or NULL; `data` is released with the session.
 * On the worker thread.
 */
clowntalk_session *ws_session_create(request_rec *r, SSL *ssl, const ws_settings *settings,
                                     const clowntalk_handler *handler, void *data);
/* Frees one that has not begun, or that was served by ws_reactor_serve(). */
void ws_session_free(clowntalk_session *session);
/*
 * Hands the session to its reactor's thread, on which this is called. `owns_connection`: the
 * reactor closes the socket and frees the connection, and in the end the session (event MPM);
 * otherwise the loop quits and the MPM does it.
 */
void ws_session_begin(clowntalk_session *session, ws_reactor *reactor, bool owns_connection);

/*
 * Queues a message; written at the end of the loop's round. False where the session takes no more.
 */
bool ws_session_send(clowntalk_session *session, ws_outgoing *outgoing);

/* ---- for handlers that do much for one message ---- */

/*
 * Bytes of answers, unsent and still to come, from which on nothing more is carried out for the
 * client. One answer may be longer.
 */
#define WS_MAX_ANSWERS 65536

/*
 * Whether to go on with the message, with a step that costs about as much as copying `cost` bytes,
 * which is counted. False where the session's turn is over, answers wait for the client, or it has
 * closed: then put back what is left.
 */
bool ws_session_goes_on(clowntalk_session *session, unsigned cost);
/*
 * In message(): the last `length` bytes of the message have not been dealt with; message() is
 * called again with them, before any other message, unless the session has closed by then.
 */
void ws_session_put_back(clowntalk_session *session, size_t length);
/*
 * About this many bytes of answers will come for the client, from the hub for example. While too
 * many are owed, or not sent yet, nothing more is carried out for it, or read from it.
 */
void ws_session_owe(clowntalk_session *session, size_t bytes);
/* They have come, or never will. */
void ws_session_settle(clowntalk_session *session, size_t bytes);
/*
 * Nothing more is carried out for the client, or read from it, for so long: at least, and at most
 * two ticks of the loop longer. Pings go on, and what is published is sent. Less than a tick is not
 * waited for (false), so that who is charged a little at a time is not slower than it may be.
 */
bool ws_session_pause(clowntalk_session *session, int64_t microseconds);
/* Whose limits hold for the session. */
const ws_payer *ws_session_payer(const clowntalk_session *session);

/* ---- publications ---- */

/* An audience for sessions of this one's thread: audience.h. */
ws_audience *ws_session_audience(clowntalk_session *session);
/* clowntalk_join() of mod_clowntalk.h, whose errors it returns. */
apr_status_t ws_session_join(clowntalk_session *session, ws_audience *audience);
/* As it does by itself when it closes. */
void ws_session_leave(clowntalk_session *session);
/*
 * For all that have joined, but for `except` (or NULL). A publication (one with a topic) that a
 * slow client has not been sent yet is replaced by a newer one of the same topic.
 */
void ws_session_publish(ws_audience *audience, ws_outgoing *publication, clowntalk_session *except);

/* ---- the rest ---- */

/* Begins the closing handshake. */
void ws_session_close(clowntalk_session *session, int code, const char *reason);
/*
 * The same where the process ends: a client that was given time to take an earlier Close has no
 * more of it than others.
 */
void ws_session_stop(clowntalk_session *session, int code);

/* Whether messages go both ways: neither has said Close, nor is the connection gone. */
bool ws_session_is_open(const clowntalk_session *session);
/* Whether there is a connection at all, though it may be closing. */
bool ws_session_is_alive(const clowntalk_session *session);
server_rec *ws_session_server(clowntalk_session *session);
const char *ws_session_client_ip(clowntalk_session *session);
const char *ws_session_user(clowntalk_session *session);
apr_uint64_t ws_session_id(clowntalk_session *session);
ws_reactor *ws_session_reactor(clowntalk_session *session);

#endif
