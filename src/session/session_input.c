/* From bytes to messages: frames, pieces of messages, and messages for the handler. */
#include "session_private.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* What a message that comes in pieces is given at first, in bytes. It doubles as they arrive. */
#define FIRST_ROOM 512
/*
 * What a frame costs of a portion (session_turn.c), in bytes: as much as it takes to copy them. Its
 * own bytes come on top, and what they are inflated to.
 */
#define FRAME_COST 32

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
 * Adds a piece to the message, inflating it where it is compressed: WS_INFLATE_DONE; _FULL where
 * the portion is used up, and some of the piece is left; _FAIL: it has become a WS_EVENT_FAIL.
 */
static ws_inflate_status add_piece(clowntalk_session *s, ws_event *piece)
{
    const bool compressed = piece->compressed; /* a failure overwrites it */
    size_t room = compressed ? 2 * piece->length + FIRST_ROOM : piece->length;

    while (!compressed || s->reactor->portion > 0) {
        ws_inflate_status status = WS_INFLATE_DONE;
        size_t size, written = piece->length;

        if (!make_room(s, room)) {
            piece->close_code = WS_CLOSE_INTERNAL_ERROR;
            piece->reason = "out of memory";
            return WS_INFLATE_FAIL;
        }
        size = s->message_capacity - s->message_length;
        if (compressed) {
            size = (int64_t)size > s->reactor->portion ? (size_t)s->reactor->portion : size;
            status = ws_inflate_next(&s->inflate, piece, (uint8_t *)s->message + s->message_length,
                                     size, &written);
            s->reactor->portion -= (int64_t)written;
        } else if (written > 0) {
            memcpy(s->message + s->message_length, piece->data, written);
        }
        s->message_length += written;
        if (status != WS_INFLATE_FULL) {
            return status;
        }
        room = s->message_capacity; /* twice as much */
    }
    return WS_INFLATE_FULL;
}

/* Gives the handler a message, or what is left of it; returns how much of that is left now. */
static size_t give(clowntalk_session *s, clowntalk_kind kind, char *bytes, size_t length)
{
    s->reactor->put_back = 0;
    s->handler->message(s, s->data, kind, bytes, length);
    return s->state == WS_STATE_OPEN ? s->reactor->put_back : 0;
}

/* A message that lies where it was read: what the handler leaves of it is kept. */
static void give_in_place(clowntalk_session *s, clowntalk_kind kind, ws_event *event)
{
    const size_t left = give(s, kind, (char *)event->data, event->length);

    if (left == 0) {
        return;
    }
    if (!make_room(s, left)) {
        session_linger(s, WS_CLOSE_INTERNAL_ERROR, "out of memory");
        return;
    }
    memcpy(s->message, event->data + event->length - left, left);
    s->message_length = left;
    s->message_at = 0;
    s->unfinished = kind;
}

/* A message that was put together, or is unfinished. */
static void give_message(clowntalk_session *s)
{
    char *message = s->message;
    const size_t length = s->message_length;
    size_t left;

    s->message = NULL; /* the handler may close the session, which forgets the message */
    left = give(s, s->unfinished, message + s->message_at, length - s->message_at);
    if (left > 0) {
        s->message = message;
        s->message_at = length - left;
    } else {
        session_forget_message(s);
        free(message);
    }
}

/* The rest of this piece has to wait. */
static void leave_piece(clowntalk_session *s, const ws_event *piece)
{
    s->piece = malloc(sizeof *piece);
    if (!s->piece) {
        base_out_of_memory();
    }
    *s->piece = *piece;
}

static void on_data(clowntalk_session *s, ws_event *event)
{
    const clowntalk_kind kind = event->text ? CLOWNTALK_TEXT : CLOWNTALK_BINARY;
    const bool last = event->last; /* a failure overwrites it */

    if (s->state != WS_STATE_OPEN) {
        return; /* we have said Close: section 1.4 lets us ignore what comes */
    }
    if (event->first && last && !event->compressed) {
        give_in_place(s, kind, event);
        return;
    }
    switch (add_piece(s, event)) {
    case WS_INFLATE_FAIL:
        on_violation(s, event);
        break;
    case WS_INFLATE_FULL:
        leave_piece(s, event);
        break;
    case WS_INFLATE_DONE:
        if (last) {
            s->unfinished = kind;
            give_message(s);
        }
        break;
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

/* The rest of a piece that was left, which lies at `at`. */
static ws_event take_piece(clowntalk_session *s, uint8_t *at)
{
    ws_event piece = *s->piece;

    piece.data = at;
    free(s->piece);
    s->piece = NULL;
    return piece;
}

uint8_t *session_carry_out(clowntalk_session *s, uint8_t *at, uint8_t *end)
{
    ws_event event;

    while (session_is_listening(s) && s->reactor->portion > 0 && !session_must_wait(s)) {
        if (s->unfinished) {
            give_message(s);
            continue;
        }
        if (s->piece) {
            event = take_piece(s, at);
            at += event.length;
        } else if (ws_parser_next(&s->parser, &at, end, &event)) {
            s->reactor->portion -= FRAME_COST + (int64_t)event.length;
        } else {
            return end;
        }
        on_event(s, &event);
        if (s->piece) {
            at = s->piece->data;
        }
    }
    return session_is_listening(s) ? at : end;
}
