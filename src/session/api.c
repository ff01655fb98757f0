#include "api.h"

#include "reactors.h"
#include "session.h"

#include <string.h>

static ws_outgoing *outgoing_of(clowntalk_kind kind, const char *bytes, apr_size_t length,
                                const char *topic)
{
    return ws_outgoing_create(kind == CLOWNTALK_TEXT ? WS_TEXT : WS_BINARY, bytes, length, topic,
                              topic ? strlen(topic) : 0);
}

static apr_status_t clowntalk_send(clowntalk_session *session, clowntalk_kind kind,
                                   const char *bytes, apr_size_t length)
{
    ws_outgoing *outgoing = outgoing_of(kind, bytes, length, NULL);
    const bool taken = ws_session_send(session, outgoing);

    ws_outgoing_release(outgoing);
    return taken ? APR_SUCCESS : APR_ECONNABORTED;
}

static clowntalk_audience *clowntalk_audience_create(clowntalk_session *session)
{
    return (clowntalk_audience *)ws_session_audience(session);
}

static void clowntalk_audience_destroy(clowntalk_audience *audience)
{
    ws_audience_destroy((ws_audience *)audience);
}

static apr_status_t clowntalk_join(clowntalk_session *session, clowntalk_audience *audience)
{
    return ws_session_join(session, (ws_audience *)audience);
}

static void clowntalk_leave(clowntalk_session *session)
{
    ws_session_leave(session);
}

static void clowntalk_publish(clowntalk_audience *audience, clowntalk_session *except,
                              clowntalk_kind kind, const char *bytes, apr_size_t length,
                              const char *topic)
{
    ws_outgoing *outgoing = outgoing_of(kind, bytes, length, topic);

    ws_session_publish((ws_audience *)audience, outgoing, except);
    ws_outgoing_release(outgoing);
}

static void clowntalk_close(clowntalk_session *session, int code, const char *reason)
{
    ws_session_close(session, code, reason);
}

static const char *clowntalk_client_ip(clowntalk_session *session)
{
    return ws_session_client_ip(session);
}

static server_rec *clowntalk_server(clowntalk_session *session)
{
    return ws_session_server(session);
}

static const char *clowntalk_user(clowntalk_session *session)
{
    return ws_session_user(session);
}

static apr_uint64_t clowntalk_id(clowntalk_session *session)
{
    return ws_session_id(session);
}

static apr_status_t clowntalk_post(apr_uint64_t id, void (*run)(clowntalk_session *, void *),
                                   void *baton)
{
    return ws_reactor_post(id, run, baton);
}

void ws_api_register(void)
{
    APR_REGISTER_OPTIONAL_FN(clowntalk_send);
    APR_REGISTER_OPTIONAL_FN(clowntalk_audience_create);
    APR_REGISTER_OPTIONAL_FN(clowntalk_audience_destroy);
    APR_REGISTER_OPTIONAL_FN(clowntalk_join);
    APR_REGISTER_OPTIONAL_FN(clowntalk_leave);
    APR_REGISTER_OPTIONAL_FN(clowntalk_publish);
    APR_REGISTER_OPTIONAL_FN(clowntalk_close);
    APR_REGISTER_OPTIONAL_FN(clowntalk_client_ip);
    APR_REGISTER_OPTIONAL_FN(clowntalk_server);
    APR_REGISTER_OPTIONAL_FN(clowntalk_user);
    APR_REGISTER_OPTIONAL_FN(clowntalk_id);
    APR_REGISTER_OPTIONAL_FN(clowntalk_post);
}
