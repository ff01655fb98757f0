/* From bytes to messages: reading, frames, pieces of messages, and leaving the connection. */
#include "session_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a message that comes in pieces is given at first, in bytes. It doubles as they arrive. */
#define FIRST_ROOM 512

/* ---- messages ---- */

/*
 * The peer broke the protocol: it is told why, and nothing that it still sends counts (section
 * 7.1.7).
 */
static void on_violation(clowntalk_session *s, const ws_event *event)
{
    LOG_SESSION(s, APLOG_INFO, 0, "CT0033", "the client broke the protocol, closing with %d: %s",
                event->close_code, event->reason);
    session_linger(s, event->close_code, event->reason);
}

/* Makes room for `more` bytes behind the message's pieces. False without memory. */
static bool make_room(clowntalk_session *s, size_t more)
{
    const size_t needed = s->message_length + more;
    size_t capacity = s->message_capacity ? s->message_capacity : FIRST_ROOM;
    char *grown;

    if (s->message && needed <= s->message_capacity) {
        return true; /* an empty message too is somewhere */
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    grown = realloc(s->message, capacity);
    if (!grown) {
        return false;
    }
    s->message = grown;
    s->message_capacity = capacity;
    return true;
}

/*
 * Adds a piece to the message, inflating it where it is compressed. False: the piece is a
 * WS_EVENT_FAIL.
 */
static bool add_piece(clowntalk_session *s, ws_event *piece)
{
    const bool compressed = piece->compressed; /* a failure overwrites it */
    size_t room = compressed ? 2 * piece->length + FIRST_ROOM : piece->length;

    while (make_room(s, room)) {
        char *end = s->message + s->message_length;
        ws_inflate_status status = WS_INFLATE_DONE;
        size_t written = piece->length;

        if (compressed) {
            status = ws_inflate_next(&s->inflate, piece, (uint8_t *)end,
                                     s->message_capacity - s->message_length, &written);
        } else if (written > 0) {
            memcpy(end, piece->data, written);
        }
        s->message_length += written;
        if (status != WS_INFLATE_FULL) {
            return status == WS_INFLATE_DONE;
        }
        room = s->message_capacity; /* twice as much */
    }
    piece->close_code = WS_CLOSE_INTERNAL_ERROR;
    piece->reason = "out of memory";
    return false;
}

static void on_data(clowntalk_session *s, ws_event *event)
{
    const clowntalk_kind kind = event->text ? CLOWNTALK_TEXT : CLOWNTALK_BINARY;
    const bool last = event->last;

    if (s->state != WS_STATE_OPEN) {
        return; /* we have said Close: section 1.4 lets us ignore what comes */
    }
    if (event->first && last && !event->compressed) {
        s->handler->message(s, s->data, kind, (char *)event->data, event->length);
        return;
    }
    if (!add_piece(s, event)) {
        on_violation(s, event);
        return;
    }
    if (last) {
        char *message = s->message;
        const size_t length = s->message_length;

        s->message = NULL; /* the handler may close the session, which forgets the message */
        session_forget_message(s);
        s->handler->message(s, s->data, kind, message, length);
        free(message);
    }
}

static void on_close(clowntalk_session *s, const ws_event *event)
{
    LOG_SESSION(s, APLOG_DEBUG, 0, "CT0034", "the client closed with %d", event->close_code);
    session_linger(s, event->close_code, NULL); /* section 5.5.1: the code is echoed */
}

/* ---- bytes ---- */

static void on_event(clowntalk_session *s, ws_event *event)
{
    switch (event->kind) {
    case WS_EVENT_DATA:
        on_data(s, event);
        break;
    case WS_EVENT_PING:
        /*
         * Also behind our Close, until the peer's has come (section 5.5.2). Conflated like a
         * publication: section 5.5.3 lets us answer the latest ping only.
         */
        session_enqueue_frame(s, WS_PONG, event->data, event->length, "\npong");
        break;
    case WS_EVENT_PONG:
        break;
    case WS_EVENT_CLOSE:
        on_close(s, event);
        break;
    case WS_EVENT_FAIL:
        on_violation(s, event);
        break;
    }
}

/* Whether anything that the client says is still of interest. */
static bool is_listening(const clowntalk_session *s)
{
    return s->state <= WS_STATE_CLOSING;
}

static bool on_bytes(void *baton, uint8_t *data, size_t length)
{
    clowntalk_session *s = baton;
    uint8_t *end = data + length;
    ws_event event;

    s->pings = 0;
    while (is_listening(s) && ws_parser_next(&s->parser, &data, end, &event)) {
        on_event(s, &event);
    }
    return is_listening(s);
}

/*
 * Takes the socket over, and what mod_ssl has set up, and gives the rest back: httpd's pools,
 * buckets and filters are most of what a connection costs, and the MPM does not count it from now
 * on.
 */
static void leave_connection(clowntalk_session *s)
{
    ws_loop *loop = s->reactor->loop;

    if (!ws_transport_leave(&s->transport)) {
        s->stays = true; /* it can do without, where descriptors are short for a moment */
        LOG_SESSION(s, APLOG_DEBUG, errno, "CT0038", "session stays on its connection");
        return;
    }
    LOG_SESSION(s, APLOG_DEBUG, 0, "CT0036", "session has left its connection");
    ws_loop_unwatch(loop, &s->watch);
    session_bury_connection(s);
    if (!ws_loop_watch(loop, &s->watch, s->transport.fd, EPOLLIN)) {
        session_abort(s, errno, "epoll refuses its descriptor");
    }
}

void session_read(clowntalk_session *s)
{
    ws_read result;

    s->reactor->reading = s;
    result = ws_transport_read(&s->transport, s->reactor->scratch, on_bytes, s);
    s->reactor->reading = NULL;
    if (!is_listening(s)) {
        return; /* our Close goes out first, also where the peer's came with the stream's end */
    }
    if (result == WS_READ_ENDED) {
        session_abort(s, APR_SUCCESS, "the client is gone without a Close");
    } else if (session_is_blocked(s)) {
        session_wait_for_room(s);
    } else if (result == WS_READ_MORE) {
        ws_loop_defer(s->reactor->loop, &s->read_again);
    } else if (s->owns_connection && !s->stays && ws_transport_can_leave(&s->transport)) {
        leave_connection(s);
    }
}

void session_on_read_again(ws_task *task)
{
    clowntalk_session *s = container_of(task, clowntalk_session, read_again);

    if (!session_is_blocked(s) && is_listening(s)) {
        session_read(s);
    }
}
