/*
 * For the benchmark: a handler "broadcast", which does what the servers beside which this one is
 * measured do. It echoes a message, and sends one that begins with '!' to all sessions.
 *
 * Sessions of one child process know each other, no more: the benchmark runs one child. All of it
 * is on the reactor's thread, so nothing is locked.
 */
#include "websocket/mod_clowntalk.h"

#include <ap_provider.h>
#include <http_config.h>

#include <stdlib.h>

typedef struct member {
    clowntalk_session *session;
    struct member *next, *previous;
} member;

static member everybody = {NULL, &everybody, &everybody};
static APR_OPTIONAL_FN_TYPE(clowntalk_send) *send_message;
static APR_OPTIONAL_FN_TYPE(clowntalk_prepare) *prepare;
static APR_OPTIONAL_FN_TYPE(clowntalk_send_prepared) *send_prepared;
static APR_OPTIONAL_FN_TYPE(clowntalk_discard) *discard;

static int on_accept(request_rec *r, void **data, const char **why)
{
    (void)r;
    (void)why;
    *data = calloc(1, sizeof(member));
    return *data ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

static void on_open(clowntalk_session *session, void *data)
{
    member *m = data;

    m->session = session;
    m->next = everybody.next;
    m->previous = &everybody;
    m->next->previous = everybody.next = m;
}

static void on_close(clowntalk_session *session, void *data)
{
    member *m = data;

    (void)session;
    m->previous->next = m->next;
    m->next->previous = m->previous;
}

static void on_message(clowntalk_session *session, void *data, clowntalk_kind kind, char *bytes,
                       apr_size_t length)
{
    clowntalk_message *message;

    (void)data;
    if (length == 0 || bytes[0] != '!') {
        send_message(session, kind, bytes, length);
        return;
    }
    message = prepare(kind, bytes, length, NULL);
    for (member *m = everybody.next, *next; m != &everybody; m = next) {
        next = m->next; /* a session that cannot take it may end */
        send_prepared(m->session, message);
    }
    discard(message);
}

static const clowntalk_handler broadcast = {
    .accept = on_accept, .open = on_open, .message = on_message, .close = on_close};

static void retrieve_functions(void)
{
    send_message = APR_RETRIEVE_OPTIONAL_FN(clowntalk_send);
    prepare = APR_RETRIEVE_OPTIONAL_FN(clowntalk_prepare);
    send_prepared = APR_RETRIEVE_OPTIONAL_FN(clowntalk_send_prepared);
    discard = APR_RETRIEVE_OPTIONAL_FN(clowntalk_discard);
}

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, CLOWNTALK_HANDLER_GROUP, "broadcast", CLOWNTALK_HANDLER_VERSION,
                         &broadcast);
    ap_hook_optional_fn_retrieve(retrieve_functions, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA clowntalk_broadcast_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE,
};
