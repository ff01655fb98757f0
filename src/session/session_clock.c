/*
 * A session's clock: pings, the patience with a client that does not answer, pauses, and its
 * greatest age.
 */
#include "session_private.h"

/*
 * Pings without any sign of life after which a peer is taken for dead. The second follows half an
 * interval after the first and is given as long: so a dead peer is found within two intervals of
 * its last word.
 */
#define MAX_UNANSWERED_PINGS 2

/* Sets the timer of an open session to what comes next: a ping, the end of a pause or its time. */
static void set_open_timer(clowntalk_session *s)
{
    int64_t next = s->ping_at < s->too_old_at ? s->ping_at : s->too_old_at;
    int64_t left;

    if (s->paused_until && s->paused_until < next) {
        next = s->paused_until;
    }
    left = next - ws_loop_now(s->reactor->loop);
    if (next != INT64_MAX) {
        ws_timer_set(s->reactor->loop, &s->timer, left > 0 ? left / 1000 : 0);
    }
}

void session_start_clock(clowntalk_session *s)
{
    const int64_t now = ws_loop_now(s->reactor->loop);
    const ws_settings *settings = &s->settings;

    s->ping_at = settings->ping > 0 ? now + settings->ping * INT64_C(1000000) : INT64_MAX;
    s->too_old_at = settings->max_age > 0 ? now + settings->max_age * INT64_C(1000000) : INT64_MAX;
    set_open_timer(s);
}

/* Half an interval has passed. False where the client is dead, and the session ended. */
static bool on_ping_time(clowntalk_session *s)
{
    if ((s->held && s->queue.bytes == 0) || ws_transport_catches_up(&s->transport)) {
        /* Others owe it answers; or the pings lie behind what it has not read yet, but it reads. */
        s->pings = 0;
    }
    if (s->pings >= MAX_UNANSWERED_PINGS) {
        LOG_SESSION(s, APLOG_INFO, 0, "CT0035",
                    "the client has answered neither of %d pings: taken for dead",
                    MAX_UNANSWERED_PINGS);
        session_die(s);
        return false;
    }
    if (s->pings > 0 || !s->mid_interval) {
        s->pings++;
        session_enqueue_frame(s, WS_PING, NULL, 0, "\nping");
    }
    s->mid_interval = !s->mid_interval;
    /* From now on: after a stop of the whole process the client has its full time to answer. */
    s->ping_at = ws_loop_now(s->reactor->loop) + s->settings.ping * INT64_C(500000);
    return true;
}

bool ws_session_pause(clowntalk_session *s, int64_t microseconds)
{
    if (s->state != WS_STATE_OPEN || microseconds < WS_TICK_MS * INT64_C(1000)) {
        return false;
    }
    s->paused_until = ws_loop_now(s->reactor->loop) + microseconds;
    set_open_timer(s);
    return true;
}

static void on_open_timer(clowntalk_session *s)
{
    const int64_t now = ws_loop_now(s->reactor->loop);

    if (s->paused_until && now >= s->paused_until) {
        s->paused_until = 0;
        session_go_on(s);
    }
    if (now >= s->too_old_at) {
        ws_session_close(s, WS_CLOSE_GOING_AWAY, "too old: connect anew");
    } else if (now < s->ping_at || on_ping_time(s)) {
        set_open_timer(s);
    }
}

void session_on_timer(ws_timer *timer)
{
    clowntalk_session *s = container_of(timer, clowntalk_session, timer);

    switch (s->state) {
    case WS_STATE_OPEN:
        on_open_timer(s);
        break;
    case WS_STATE_CLOSING:
        if (session_is_blocked(s) || s->queue.first) {
            session_abort(s, APR_SUCCESS, "the client did not take our Close in time");
        } else {
            session_hang_up_soon(s); /* it did not answer: hang up all the same */
        }
        break;
    case WS_STATE_LINGER:
        session_abort(s, APR_SUCCESS, "the client did not close its side in time");
        break;
    case WS_STATE_DEAD:
        break; /* its timer is cleared */
    }
}
