/*
 * mod_clowntalk for other Apache modules: how to handle the messages of a WebSocket session.
 *
 * A handler is a provider. A module registers it in its register_hooks function
 *
 *     ap_register_provider(p, CLOWNTALK_HANDLER_GROUP, "chat", CLOWNTALK_HANDLER_VERSION, &chat);
 *
 * and the configuration chooses it where `SetHandler clowntalk` is in force:
 *
 *     ClownTalkHandler chat
 *
 * mod_clowntalk does the rest: the opening handshake behind Apache's own authentication, frames,
 * fragments, UTF-8, pings, limits, the closing handshake. The functions that a handler calls are
 * optional functions (apr_optional.h): fetch them once, in an optional_fn_retrieve or post_config
 * hook.
 *
 * Threads: a session belongs to one thread for its whole life. open(), message() and close() are
 * called on it, and only on it may clowntalk_send() and the others be called; clowntalk_post() is
 * for all others. The thread may serve thousands of sessions: a handler must not block.
 */
#ifndef MOD_CLOWNTALK_H
#define MOD_CLOWNTALK_H

#include <httpd.h>
#include <apr_optional.h>

#define CLOWNTALK_HANDLER_GROUP   "clowntalk-handler"
#define CLOWNTALK_HANDLER_VERSION "1" /* changes when this header changes incompatibly */

typedef struct clowntalk_session clowntalk_session;

typedef enum clowntalk_kind {
    CLOWNTALK_TEXT = 1, /* valid UTF-8 */
    CLOWNTALK_BINARY = 2,
} clowntalk_kind;

typedef struct clowntalk_handler {
    /*
     * Asked on the worker thread, after authentication and authorization and before the 101: OK
     * accepts, an HTTP status refuses (`*why` then says why, for the log). *data is the handler's
     * own for this session; what it needs of the request must be copied to memory that release()
     * frees, since request and connection, with their pools, are gone when the session begins.
     * Called for plain requests too, so that an unknown resource is a 404 before it is a 426. NULL:
     * everything is accepted.
     */
    int (*accept)(request_rec *r, void **data, const char **why);
    /* The session begins: the 101 has been sent. May be NULL. */
    void (*open)(clowntalk_session *session, void *data);
    /* A whole message. `bytes` may be written to, and lives until the function returns. */
    void (*message)(clowntalk_session *session, void *data, clowntalk_kind kind, char *bytes,
                    apr_size_t length);
    /*
     * The session has ended, for whatever reason; nothing more can be sent. It is called at the end
     * of the loop's round, never from within another function of the handler. May be NULL.
     */
    void (*close)(clowntalk_session *session, void *data);
    /*
     * The last use of what accept() has made, once, on whichever thread: after close(), or where
     * the handshake came to nothing. May be NULL.
     */
    void (*release)(void *data);
} clowntalk_handler;

/*
 * Sends one message to the session's client; `bytes` is copied. Text must be UTF-8 (section 5.6 of
 * RFC 6455; not checked). APR_SUCCESS also where it had to be queued; APR_ECONNABORTED where the
 * session is closing, or is closed for this (1008) because more than ClownTalkBacklog bytes wait.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, clowntalk_send,
                        (clowntalk_session * session, clowntalk_kind kind, const char *bytes,
                         apr_size_t length));
/*
 * An audience: sessions that get the same publications, in the same order. They are of one thread,
 * `session`'s: with the event MPM all of a process, with the others that one alone. All of it on
 * that thread; whoever makes an audience destroys it.
 */
typedef struct clowntalk_audience clowntalk_audience;
APR_DECLARE_OPTIONAL_FN(clowntalk_audience *, clowntalk_audience_create,
                        (clowntalk_session * session));
APR_DECLARE_OPTIONAL_FN(void, clowntalk_audience_destroy, (clowntalk_audience * audience));
/*
 * The session gets what is published from now on. It is in one audience at a time, so it leaves
 * another, and leaves this one when it closes, or before. APR_EINVAL: the audience is another
 * thread's; APR_ECONNABORTED: the session is closing.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, clowntalk_join,
                        (clowntalk_session * session, clowntalk_audience *audience));
APR_DECLARE_OPTIONAL_FN(void, clowntalk_leave, (clowntalk_session * session));
/*
 * A message for an audience, but for the session `except` (or NULL): framed once, and compressed
 * once, however many it goes to. Answers to clients do not wait until all have it; to each member
 * everything goes in the order in which it was sent and published. With a topic it takes the place
 * of an older one of the same topic where a client that does not keep up has not been sent that
 * yet; NULL: each must arrive. `bytes` and `topic` are copied.
 */
APR_DECLARE_OPTIONAL_FN(void, clowntalk_publish,
                        (clowntalk_audience * audience, clowntalk_session *except,
                         clowntalk_kind kind, const char *bytes, apr_size_t length,
                         const char *topic));
/*
 * Begins the closing handshake: code 1000 to 1003, 1007 to 1014 or 3000 to 4999 (anything else
 * becomes 1011), and a reason of at most 123 bytes of UTF-8, or NULL. message() is not called
 * again.
 */
APR_DECLARE_OPTIONAL_FN(void, clowntalk_close,
                        (clowntalk_session * session, int code, const char *reason));
/* The peer's address. */
APR_DECLARE_OPTIONAL_FN(const char *, clowntalk_client_ip, (clowntalk_session * session));
/* The virtual host that took the handshake: for ap_log_error(). */
APR_DECLARE_OPTIONAL_FN(server_rec *, clowntalk_server, (clowntalk_session * session));
/* The authenticated user, or NULL. */
APR_DECLARE_OPTIONAL_FN(const char *, clowntalk_user, (clowntalk_session * session));
/* A number that names the session within this process, never 0 and never used again. */
APR_DECLARE_OPTIONAL_FN(apr_uint64_t, clowntalk_id, (clowntalk_session * session));
/*
 * From any thread of the process: has `run` called on the session's own thread, with NULL where the
 * session has ended meanwhile. APR_EOF where the thread itself has ended: `run` is not called then.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, clowntalk_post,
                        (apr_uint64_t id, void (*run)(clowntalk_session *session, void *baton),
                         void *baton));

#endif
