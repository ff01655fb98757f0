/*
 * The end of a session. It is marked where the reason shows, and torn down by a task at the end of
 * the loop's round, when none of its functions is running.
 */
#include "session_private.h"

#include "census.h"
#include "husk.h"

#include <stdlib.h>

const char *session_state_name(const clowntalk_session *s)
{
    static const char *const names[] = {"open", "closing", "lingering", "dead"};

    return names[s->state];
}

void session_forget_message(clowntalk_session *s)
{
    free(s->message);
    s->message = NULL;
    s->message_length = s->message_capacity = s->message_at = 0;
    s->unfinished = 0;
}

void session_bury_connection(clowntalk_session *s)
{
    conn_rec *c = s->c;

    s->c = NULL;
    if (c) {
        ws_husk_bury(s->reactor->loop, c);
    }
}

/* ---- marking: nothing here calls back ---- */

void session_end_handler(clowntalk_session *s)
{
    ws_loop_defer(s->reactor->loop, &s->ending);
}

/* The loop calls the session for nothing any longer, but for its ending. */
static void leave_loop(clowntalk_session *s)
{
    ws_loop *loop = s->reactor->loop;

    ws_loop_unwatch(loop, &s->watch);
    ws_loop_cancel(loop, &s->flush);
    ws_loop_cancel(loop, &s->push);
    ws_loop_cancel(loop, &s->read_again);
    ws_timer_clear(loop, &s->timer);
}

void session_die(clowntalk_session *s)
{
    if (s->state != WS_STATE_DEAD) {
        s->state = WS_STATE_DEAD;
        leave_loop(s);
        ws_loop_defer(s->reactor->loop, &s->ending);
    }
}

void session_abort(clowntalk_session *s, apr_status_t status, const char *why)
{
    if (s->state != WS_STATE_DEAD) {
        LOG_SESSION(s, APLOG_DEBUG, status, "CT0030", "the connection ends: %s", why);
        session_die(s);
    }
}

/* ---- tearing down: from the loop alone ---- */

static void tell_handler(clowntalk_session *s)
{
    if (s->handler_open) {
        s->handler_open = false;
        if (s->handler->close) {
            s->handler->close(s, s->data);
        }
    }
}

/* With the MPM's connection the loop quits, and the MPM ends the connection. */
static void tear_down(clowntalk_session *s)
{
    ws_reactor *reactor = s->reactor;

    leave_loop(s); /* again: what ran since it was marked may have queued something */
    ws_loop_cancel(reactor->loop, &s->ending);
    ws_batch_remove(&s->source);
    ws_queue_clear(&s->queue);
    session_forget_message(s);
    free(s->piece);
    free(s->rest);
    ws_inflate_end(&s->inflate);
    ws_reactor_leave(reactor, &s->place);
    if (s->owns_connection) {
        ws_transport_close(&s->transport);
        session_bury_connection(s);
        ws_session_free(s);
    } else {
        ws_transport_give_back(&s->transport);
        ws_loop_quit(reactor->loop);
    }
}

void session_on_ending(ws_task *task)
{
    clowntalk_session *s = container_of(task, clowntalk_session, ending);

    ws_audience_leave(&s->seat);
    tell_handler(s);
    if (s->state == WS_STATE_DEAD) {
        tear_down(s);
    }
}

void ws_session_free(clowntalk_session *s)
{
    if (s->handler->release) {
        s->handler->release(s->data);
    }
    ws_census_release(ws_deflate_kept(&s->settings.deflate));
    ws_census_leave(&s->settings.payer);
    free(s);
}
