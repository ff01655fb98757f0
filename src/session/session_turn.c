/*
 * Reading: a session has a turn in a round of the loop, in which a portion of what its client says
 * is carried out. The rest of what was read waits for its next turns, and until then nothing more
 * is read. And leaving the connection.
 */
#include "session_private.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * What is carried out in a turn, counted as session_input.c and handlers do: about the price of
 * copying bytes. All of what one read brings, unless that is very many very small frames, or much
 * when inflated.
 */
#define PORTION 32768

/* What was read and not yet taken by the parser: of one read. */
struct session_rest {
    size_t at, length;
    uint8_t bytes[];
};

/* Whether something that was read has not been carried out. */
static bool is_behind(const clowntalk_session *s)
{
    return s->rest || s->piece || s->unfinished;
}

static void keep(clowntalk_session *s, const uint8_t *bytes, size_t length)
{
    const size_t have = s->rest ? s->rest->length : 0;
    session_rest *rest = realloc(s->rest, sizeof *rest + have + length);

    if (!rest) {
        base_out_of_memory();
    }
    if (!s->rest) {
        *rest = (session_rest){0};
    }
    memcpy(rest->bytes + have, bytes, length);
    rest->length = have + length;
    s->rest = rest;
    s->reactor->untidy = true;
}

static void carry_rest(clowntalk_session *s)
{
    session_rest *rest = s->rest;
    uint8_t none;

    if (!rest) {
        session_carry_out(s, &none, &none);
        return;
    }
    rest->at = (size_t)(session_carry_out(s, rest->bytes + rest->at, rest->bytes + rest->length) -
                        rest->bytes);
    if (rest->at == rest->length) {
        free(rest);
        s->rest = NULL;
    }
}

static bool on_bytes(void *baton, uint8_t *data, size_t length)
{
    clowntalk_session *s = baton;
    uint8_t *end = data + length;

    s->pings = 0;
    if (!is_behind(s)) {
        data = session_carry_out(s, data, end);
    }
    if (data < end && session_is_listening(s)) {
        keep(s, data, (size_t)(end - data));
    }
    return session_is_listening(s);
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

/* Carries out what waits; where nothing does, reads once, so that others have their turn. */
static ws_read carry_and_read(clowntalk_session *s)
{
    ws_read result = WS_READ_MORE;

    s->reactor->portion = PORTION;
    s->reactor->reading = s;
    if (is_behind(s)) {
        carry_rest(s);
    }
    if (s->ended) {
        result = WS_READ_ENDED;
    } else if (!is_behind(s) && s->reactor->portion > 0 && session_is_listening(s) &&
               !session_must_wait(s)) {
        ws_loop_change(s->reactor->loop, &s->watch, EPOLLIN);
        result = ws_transport_read(&s->transport, s->reactor->scratch, on_bytes, s);
    }
    s->reactor->reading = NULL;
    return result;
}

static void take_turn(clowntalk_session *s)
{
    const ws_read result = carry_and_read(s);

    s->ended = result == WS_READ_ENDED;
    s->held = false;
    if (!session_is_listening(s)) {
        return; /* our Close goes out first, also where the peer's came with the stream's end */
    }
    if (s->ended && !is_behind(s)) {
        session_abort(s, APR_SUCCESS, "the client is gone without a Close");
    } else if (session_is_blocked(s)) {
        session_wait_for_room(s);
    } else if (session_must_wait(s)) {
        s->held = true;
    } else if (is_behind(s) || result == WS_READ_MORE) {
        ws_loop_defer_late(s->reactor->loop, &s->read_again);
    } else if (s->owns_connection && !s->stays && ws_transport_can_leave(&s->transport)) {
        leave_connection(s);
    }
}

void session_read(clowntalk_session *s)
{
    if (s->held || is_behind(s)) {
        ws_loop_change(s->reactor->loop, &s->watch, 0); /* not before its turn */
    } else {
        take_turn(s);
    }
}

void session_on_read_again(ws_task *task)
{
    clowntalk_session *s = container_of(task, clowntalk_session, read_again);

    if (!session_is_blocked(s) && session_is_listening(s)) {
        take_turn(s);
    }
}
