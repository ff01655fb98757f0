/* Messages on their way out: what waits, when it is written, and Close frames. */
#include "session_private.h"

#include <string.h>

/* How long the peer may take to answer our Close; then we hang up (session_linger.c). */
#define CLOSE_PATIENCE_MS 1000
/* The same for one that does not read, while the process goes on: when it reads, it hears why. */
#define SLOW_PATIENCE_MS 10000

/*
 * What a message that goes out costs of the turn in which it was caused (session_turn.c), whoever
 * gets it: memory for it, and its part of a system call.
 */
#define ANSWER_COST 128

/* ---- putting ---- */

void session_put(clowntalk_session *s, ws_outgoing *message)
{
    ws_outgoing *outgoing =
        s->compresses ? ws_outgoing_for(message, &s->settings.deflate, s->reactor->compressor)
                      : message;

    if (session_is_blocked(s) && outgoing->topic) {
        ws_queue_drop_topic(&s->queue, outgoing->topic);
    }
    ws_queue_add(&s->queue, outgoing);
}

/* What one client's message sends to others may go to thousands: answers come first. */
void session_enqueue(clowntalk_session *s, ws_outgoing *message)
{
    const clowntalk_session *reading = s->reactor->reading;

    if (s->state == WS_STATE_DEAD) {
        return;
    }
    session_put(s, message);
    if (reading) {
        s->reactor->portion -= ANSWER_COST;
    }
    if (!session_is_blocked(s)) {
        (reading && reading != s ? ws_loop_defer_late : ws_loop_defer)(s->reactor->loop, &s->flush);
    }
}

void session_enqueue_frame(clowntalk_session *s, enum ws_opcode opcode, const void *payload,
                           size_t length, const char *topic)
{
    ws_outgoing *outgoing =
        ws_outgoing_create(opcode, payload, length, topic, topic ? strlen(topic) : 0);

    session_enqueue(s, outgoing);
    ws_outgoing_release(outgoing);
}

bool ws_session_send(clowntalk_session *s, ws_outgoing *outgoing)
{
    ws_audience_catch_up(&s->seat);
    if (s->state != WS_STATE_OPEN) {
        return false;
    }
    session_enqueue(s, outgoing);
    return session_is_patient(s);
}

/* ---- writing ---- */

void session_wait_for_room(clowntalk_session *s)
{
    s->reactor->untidy = true;
    ws_loop_change(s->reactor->loop, &s->watch, EPOLLOUT);
    if (s->transport.push_ms) {
        ws_loop_delay(s->reactor->loop, &s->push, s->transport.push_ms);
    }
}

void session_wrote(clowntalk_session *s)
{
    ws_loop *loop = s->reactor->loop;

    if (session_is_blocked(s)) {
        session_wait_for_room(s);
    } else if (s->queue.first) {
        ws_loop_defer_late(loop, &s->flush);
    } else if (s->state == WS_STATE_LINGER && !s->hung_up) {
        session_hang_up(s);
    } else {
        session_go_on(s);
    }
}

/*
 * Writes what waits, as far as the socket takes it and other sessions do not wait too long. While
 * the socket is full nothing is read from this client either: it gets no answers to what it has not
 * yet asked.
 */
void session_flush(clowntalk_session *s)
{
    ws_loop_cancel(s->reactor->loop, &s->flush);
    if (s->state == WS_STATE_DEAD) {
        return;
    }
    if (ws_transport_write(&s->transport, &s->queue)) {
        session_wrote(s);
    } else {
        session_abort(s, APR_SUCCESS, "it cannot be written to");
    }
}

void session_on_flush(ws_task *task)
{
    session_flush(container_of(task, clowntalk_session, flush));
}

void session_push(clowntalk_session *s, bool gone)
{
    if (!ws_transport_push(&s->transport)) {
        session_abort(s, APR_SUCCESS, "it cannot be written to");
    } else if (!session_is_blocked(s)) {
        s->pings = 0; /* slow, but it reads; what it says is not read before it has caught up */
        ws_loop_defer(s->reactor->loop, &s->flush);
    } else if (gone) {
        session_abort(s, APR_SUCCESS, "the client is gone");
    } else {
        session_wait_for_room(s);
    }
}

void session_on_push(ws_task *task)
{
    clowntalk_session *s = container_of(task, clowntalk_session, push);

    if (session_is_blocked(s)) {
        session_push(s, false);
    } else if (s->hung_up) {
        session_drain_on(s);
    }
}

/* ---- closing ---- */

static void enqueue_close(clowntalk_session *s, uint16_t code, const char *reason)
{
    uint8_t payload[WS_MAX_CONTROL];

    if (!s->close_sent) {
        s->close_sent = true;
        session_enqueue_frame(s, WS_CLOSE, payload, ws_close_payload(payload, code, reason), NULL);
    }
}

void session_linger(clowntalk_session *s, uint16_t code, const char *reason)
{
    enqueue_close(s, code, reason);
    session_hang_up_soon(s);
}

bool session_is_patient(clowntalk_session *s)
{
    if (!ws_transport_is_slow(&s->transport) || s->queue.bytes <= s->settings.backlog) {
        return true;
    }
    LOG_SESSION(s, APLOG_WARNING, 0, "CT0031",
                "the client does not read: more than %" APR_SIZE_T_FMT
                " bytes (ClownTalkBacklog) wait for it",
                s->settings.backlog);
    ws_queue_drop_rest(&s->queue);
    ws_audience_leave(&s->seat);
    ws_session_close(s, WS_CLOSE_POLICY, "too slow: replies wait");
    return false;
}

/* How long a client has to answer our Close, in milliseconds. */
static int close_patience(const clowntalk_session *s)
{
    const bool is_slow = ws_transport_is_slow(&s->transport);

    return is_slow && !s->reactor->stop_code ? SLOW_PATIENCE_MS : CLOSE_PATIENCE_MS;
}

void ws_session_close(clowntalk_session *s, int code, const char *reason)
{
    const int patience = close_patience(s);

    ws_audience_catch_up(&s->seat);
    if (s->state != WS_STATE_OPEN) {
        return;
    }
    if (!ws_close_code_is_valid((uint16_t)code)) {
        code = WS_CLOSE_INTERNAL_ERROR;
    }
    LOG_SESSION(s, APLOG_DEBUG, 0, "CT0032", "closing with %d: %s", code, reason ? reason : "-");
    s->state = WS_STATE_CLOSING;
    enqueue_close(s, (uint16_t)code, reason);
    session_forget_message(s);
    session_end_handler(s);
    ws_timer_set(s->reactor->loop, &s->timer, patience);
    session_go_on(s); /* what others owed it counts no longer */
}

void ws_session_stop(clowntalk_session *s, int code)
{
    if (s->state == WS_STATE_CLOSING) {
        ws_timer_set(s->reactor->loop, &s->timer, CLOSE_PATIENCE_MS);
    } else if (s->state == WS_STATE_LINGER) {
        session_limit_linger(s);
    } else {
        ws_session_close(s, code, "the server ends");
    }
}
