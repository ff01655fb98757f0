/*
 * The last of a session's life. Our Close is written, and the write side is shut down. What the
 * peer still sends is read and dropped until it has closed its side: a socket that is closed with
 * unread bytes makes the kernel reset the connection, and the peer may see that before our Close
 * (RFC 6455 section 7.1.1; RFC 9112 section 9.6). The bounds are a time, and bytes per time.
 */
#include "session_private.h"

#include <stdlib.h>

/*
 * What is dropped before the peer has to wait, in bytes, and for how long, in milliseconds. A peer
 * that only writes, as long as it can, gets to reading when it no longer can.
 */
#define DRAIN_BYTES    65536
#define DRAIN_PAUSE_MS 20
/* How long the peer may take for both: to take what is left, and to close its side. */
#define LINGER_PATIENCE_MS 5000
/*
 * How long for each where the process is to end. With the MPM's own part (a second in which its
 * parent process looks at none of its children, or two in which it drains the socket) the process
 * is gone within five seconds, whatever the peer does.
 */
#define STOP_PATIENCE_MS     1000
#define STOP_FIN_PATIENCE_MS 500

void session_limit_linger(clowntalk_session *s)
{
    const int last = s->hung_up ? STOP_FIN_PATIENCE_MS : STOP_PATIENCE_MS;

    ws_timer_set(s->reactor->loop, &s->timer, s->reactor->stop_code ? last : LINGER_PATIENCE_MS);
}

/* What is not carried out any more. */
static void forget_rest(clowntalk_session *s)
{
    free(s->rest);
    free(s->piece);
    s->rest = NULL;
    s->piece = NULL;
}

void session_hang_up(clowntalk_session *s)
{
    s->hung_up = true;
    forget_rest(s);
    if (!ws_transport_hang_up(&s->transport)) {
        session_die(s);
        return;
    }
    ws_loop_change(s->reactor->loop, &s->watch, EPOLLIN);
    if (s->reactor->stop_code) {
        session_limit_linger(s);
    }
}

void session_hang_up_soon(clowntalk_session *s)
{
    if (s->state == WS_STATE_DEAD) {
        return;
    }
    s->state = WS_STATE_LINGER;
    session_end_handler(s);
    session_forget_message(s);
    ws_loop_cancel(s->reactor->loop, &s->read_again);
    session_limit_linger(s);
    ws_loop_defer(s->reactor->loop, &s->flush); /* which hangs up when nothing is left */
}

void session_drain(clowntalk_session *s)
{
    const ssize_t n = ws_transport_drain(&s->transport, s->reactor->scratch);

    if (n < 0) {
        session_die(s);
        return;
    }
    s->drained += (size_t)n;
    if (s->drained >= DRAIN_BYTES) {
        s->drained = 0;
        s->reactor->untidy = true; /* such clients are many, before they have read our Close */
        ws_loop_change(s->reactor->loop, &s->watch, 0);
        ws_loop_delay(s->reactor->loop, &s->push, DRAIN_PAUSE_MS);
    }
}

void session_drain_on(clowntalk_session *s)
{
    ws_loop_change(s->reactor->loop, &s->watch, EPOLLIN);
}
