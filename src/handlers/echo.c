#include "handlers.h"

#include "session/session.h"

static void echo_message(clowntalk_session *session, void *data, clowntalk_kind kind, char *bytes,
                         apr_size_t length)
{
    ws_outgoing *outgoing =
        ws_outgoing_create(kind == CLOWNTALK_TEXT ? WS_TEXT : WS_BINARY, bytes, length, NULL, 0);

    (void)data;
    ws_session_send(session, outgoing);
    ws_outgoing_release(outgoing);
}

const clowntalk_handler ct_echo_handler = {.message = echo_message};
