/* Publications: what an audience gives its members, and the batch that sends it to many. */
#include "session_private.h"

#include "options.h"

/* Batches are used only for audiences of at least this size; a household never reaches it. */
#define BATCH_MEMBERS 16

/* ---- the batch: a session is a source ---- */

static int offer(ws_source *source, int *fd, struct iovec *pieces, int most)
{
    clowntalk_session *s = container_of(source, clowntalk_session, source);

    if (s->state == WS_STATE_DEAD) {
        return 0;
    }
    return ws_transport_offer(&s->transport, &s->queue, fd, pieces, most);
}

static void taken(ws_source *source, size_t offered, ssize_t n)
{
    clowntalk_session *s = container_of(source, clowntalk_session, source);

    if (ws_transport_taken(&s->transport, &s->queue, offered, n)) {
        session_wrote(s);
    } else {
        session_abort(s, APR_FROM_OS_ERROR((int)-n), "it cannot be written to");
    }
}

static const ws_batch_operations batch_operations = {.offer = offer, .taken = taken};

/* The batch that a session's bytes go out with; NULL where they go out alone. */
static ws_batch *batch_for(clowntalk_session *s)
{
    ws_reactor *reactor = s->reactor;

    if (!ws_transport_offers(&s->transport) || ws_audience_size(s->seat.audience) < BATCH_MEMBERS) {
        return NULL;
    }
    if (!reactor->batch) {
        reactor->batch = ws_batch_create(&batch_operations, ws_options_io_uring());
    }
    return reactor->batch;
}

/* ---- the audience: a session has a seat ---- */

static void on_publication(ws_seat *seat, ws_outgoing *publication, bool last)
{
    clowntalk_session *s = container_of(seat, clowntalk_session, seat);
    ws_batch *batch;

    if (s->state != WS_STATE_OPEN) {
        return;
    }
    session_put(s, publication);
    if (!last || !session_is_patient(s) || session_is_blocked(s)) {
        return;
    }
    batch = batch_for(s);
    if (batch) {
        ws_batch_add(batch, &s->source);
    } else {
        session_flush(s);
    }
}

/* The members of an audience have had their turn. */
static void on_pause(void *baton)
{
    ws_reactor *reactor = baton;

    if (reactor->batch) {
        ws_batch_send(reactor->batch);
    }
}

ws_audience *ws_session_audience(clowntalk_session *s)
{
    return ws_audience_create(s->reactor->loop, on_publication, on_pause, s->reactor);
}

apr_status_t ws_session_join(clowntalk_session *s, ws_audience *audience)
{
    if (!ws_audience_is_of(audience, s->reactor->loop)) {
        return APR_EINVAL;
    }
    if (s->state != WS_STATE_OPEN) {
        return APR_ECONNABORTED;
    }
    ws_audience_join(audience, &s->seat);
    return APR_SUCCESS;
}

void ws_session_leave(clowntalk_session *s)
{
    ws_audience_leave(&s->seat);
}

void ws_session_publish(ws_audience *audience, ws_outgoing *publication, clowntalk_session *except)
{
    ws_audience_publish(audience, publication, except ? &except->seat : NULL);
}
