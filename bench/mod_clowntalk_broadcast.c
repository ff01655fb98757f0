/*
 * For the benchmark: a handler "broadcast", which does what the servers beside which this one is
 * measured do. It echoes a message, and sends one that begins with '!' to all sessions.
 *
 * A message reaches the sessions of one child process only: the benchmark runs one child.
 */
#include "session/mod_clowntalk.h"

#include <ap_provider.h>
#include <http_config.h>

static clowntalk_audience *audience; /* of the process; on the reactor's thread */
static APR_OPTIONAL_FN_TYPE(clowntalk_send) * send_message;
static APR_OPTIONAL_FN_TYPE(clowntalk_audience_create) * create_audience;
static APR_OPTIONAL_FN_TYPE(clowntalk_join) * join;
static APR_OPTIONAL_FN_TYPE(clowntalk_publish) * publish;

static void on_open(clowntalk_session *session, void *data)
{
    (void)data;
    if (!audience) {
        audience = create_audience(session);
    }
    join(session, audience);
}

static void on_message(clowntalk_session *session, void *data, clowntalk_kind kind, char *bytes,
                       apr_size_t length)
{
    (void)data;
    if (length > 0 && bytes[0] == '!') {
        publish(audience, NULL, kind, bytes, length, NULL);
    } else {
        send_message(session, kind, bytes, length);
    }
}

static const clowntalk_handler broadcast = {.open = on_open, .message = on_message};

static void retrieve_functions(void)
{
    send_message = APR_RETRIEVE_OPTIONAL_FN(clowntalk_send);
    create_audience = APR_RETRIEVE_OPTIONAL_FN(clowntalk_audience_create);
    join = APR_RETRIEVE_OPTIONAL_FN(clowntalk_join);
    publish = APR_RETRIEVE_OPTIONAL_FN(clowntalk_publish);
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
