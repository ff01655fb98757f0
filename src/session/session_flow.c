/*
 * When a client is listened to: in its turn, and not while answers to it wait.
 */
#include "session_private.h"

bool session_must_wait(const clowntalk_session *s)
{
    const bool is_open = s->state == WS_STATE_OPEN;
    const size_t owed = is_open ? s->owed : 0;

    return session_is_blocked(s) || (is_open && s->paused_until) ||
           s->queue.bytes + owed >= WS_MAX_ANSWERS;
}

void session_go_on(clowntalk_session *s)
{
    if ((s->held || s->watch.events != EPOLLIN) && session_is_listening(s) &&
        !session_must_wait(s)) {
        s->held = false;
        ws_loop_change(s->reactor->loop, &s->watch, EPOLLIN);
        ws_loop_defer_late(s->reactor->loop, &s->read_again);
    }
}

bool ws_session_goes_on(clowntalk_session *s, unsigned cost)
{
    if (s->state != WS_STATE_OPEN || s->reactor->portion <= 0 || session_must_wait(s)) {
        return false;
    }
    s->reactor->portion -= (int64_t)cost;
    return true;
}

void ws_session_put_back(clowntalk_session *s, size_t length)
{
    s->reactor->put_back = length;
}

void ws_session_owe(clowntalk_session *s, size_t bytes)
{
    s->owed += bytes;
}

void ws_session_settle(clowntalk_session *s, size_t bytes)
{
    s->owed -= bytes;
    session_go_on(s);
}
