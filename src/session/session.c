#include "session_private.h"

#include "log.h"
#include "census.h"
#include "husk.h"

#include <apr_strings.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* What a message that comes in pieces is given at first, in bytes. It doubles as they arrive. */
#define FIRST_ROOM 512
/* An audience of so many is sent to in batches: a house does not need them. */
#define BATCH_MEMBERS 16
/* What a session begins with lies on as few of these as possible. */
#define CACHE_LINE 64
/*
 * How long the peer may take to answer our Close, and then to close its side. With the MPM's own
 * part (a second in which its parent process looks at none of its children, or two in which it
 * drains the socket) a process that is to end is gone within five seconds, whatever the peer does.
 */
#define CLOSE_PATIENCE_MS  1000
#define LINGER_PATIENCE_MS 500
/*
 * The same for one that does not read, while the process does not end: it shall hear why, when it
 * reads again.
 */
#define SLOW_PATIENCE_MS 10000
/*
 * Pings without any sign of life after which a peer is taken for dead. The second follows half an
 * interval after the first and is given as long: so a dead peer is found within two intervals of
 * its last word.
 */
#define MAX_UNANSWERED_PINGS 2
static const char *const state_names[] = {"open", "closing", "lingering", "dead"};

#define LOG_SESSION(s, level, status, number, format, ...)                                         \
    CT_LOG_CLIENT((s)->server, (s)->client, level, status, number, format " [user %s, %s]",        \
                  ##__VA_ARGS__, (s)->user ? (s)->user : "-", state_names[(s)->state])

static void on_socket(ws_watch *watch, uint32_t events);
static void on_timer(ws_timer *timer);
static void on_flush(ws_task *task);
static void on_push(ws_task *task);
static void on_read_again(ws_task *task);
static void on_release(ws_task *task);

#define SESSION_OF(pointer, member)                                                                \
    ((clowntalk_session *)((char *)(pointer)-offsetof(clowntalk_session, member)))

/* Puts a copy of a string at *at, and *at behind it. */
static const char *keep(char **at, const char *string)
{
    const size_t size = strlen(string) + 1;
    const char *copy = memcpy(*at, string, size);

    *at += size;
    return copy;
}

clowntalk_session *ws_session_create(request_rec *r, SSL *ssl, const ws_settings *settings,
                                     const clowntalk_handler *handler, void *data)
{
    conn_rec *c = r->connection;
    const char *client = apr_psprintf(r->pool, "%s:%d", c->client_ip, (int)c->client_addr->port);
    const size_t texts =
        strlen(client) + strlen(c->client_ip) + (r->user ? strlen(r->user) : 0) + 3;
    void *memory = NULL;
    clowntalk_session *s;
    char *at;

    if (posix_memalign(&memory, CACHE_LINE, sizeof *s + texts) != 0) {
        abort(); /* as APR's pools do when memory is out */
    }
    s = memset(memory, 0, sizeof *s + texts);
    at = s->text;
    s->watch.fd = -1;
    s->watch.ready = on_socket;
    s->timer.expired = on_timer;
    s->flush.run = on_flush;
    s->push.run = on_push;
    s->read_again.run = on_read_again;
    s->release.run = on_release;
    s->c = c;
    s->server = r->server;
    s->settings = *settings;
    s->compresses = settings->deflate.agreed;
    s->handler = handler;
    s->data = data;
    s->client = keep(&at, client);
    s->client_ip = keep(&at, c->client_ip);
    s->user = r->user ? keep(&at, r->user) : NULL;
    ws_transport_init(&s->transport, c, ssl);
    ws_queue_init(&s->queue);
    ws_parser_init(&s->parser, settings->max_message, true, settings->deflate.agreed);
    ws_inflate_init(&s->inflate, &s->settings.deflate, settings->max_message);
    return s;
}

void ws_session_free(clowntalk_session *s)
{
    if (s->handler->release) {
        s->handler->release(s->data);
    }
    ws_census_leave();
    free(s);
}

server_rec *ws_session_server(clowntalk_session *s)
{
    return s->server;
}

const char *ws_session_client_ip(clowntalk_session *s)
{
    return s->client_ip;
}

const char *ws_session_user(clowntalk_session *s)
{
    return s->user;
}

apr_uint64_t ws_session_id(clowntalk_session *s)
{
    return s->id;
}

ws_reactor *ws_session_reactor(clowntalk_session *s)
{
    return s->reactor;
}

/* ---- the end ---- */

static void forget_message(clowntalk_session *s)
{
    free(s->message);
    s->message = NULL;
    s->message_length = s->message_capacity = 0;
}

static void tell_handler_end(clowntalk_session *s)
{
    if (s->handler_open) {
        s->handler_open = false;
        ws_audience_leave(&s->seat);
        if (s->handler->close) {
            s->handler->close(s, s->data);
        }
    }
}

static void on_release(ws_task *task)
{
    clowntalk_session *s = SESSION_OF(task, release);

    ws_reactor_leave(s->reactor, s);
    ws_session_free(s);
}

/* The reactor owns the connection: frees it as soon as the MPM allows that. */
static void bury_connection(clowntalk_session *s)
{
    conn_rec *c = s->c;

    s->c = NULL;
    if (c) {
        ws_husk_bury(s->reactor->loop, c);
    }
}

static void send_batched(clowntalk_session *s)
{
    if (s->batched) {
        ws_batch_send(s->reactor->batch);
    }
}

/* Ends the session now. In the MPM's ownership the loop quits and the MPM closes the connection. */
static void end_session(clowntalk_session *s)
{
    ws_loop *loop = s->reactor->loop;

    send_batched(s);
    if (s->state == WS_STATE_DEAD) {
        return;
    }
    s->state = WS_STATE_DEAD;
    tell_handler_end(s);
    ws_loop_unwatch(loop, &s->watch);
    ws_loop_cancel(loop, &s->flush);
    ws_loop_cancel(loop, &s->push);
    ws_loop_cancel(loop, &s->read_again);
    ws_timer_clear(loop, &s->timer);
    ws_queue_clear(&s->queue);
    forget_message(s);
    ws_inflate_end(&s->inflate);
    if (s->owns_connection) {
        ws_transport_close(&s->transport);
        bury_connection(s);
        ws_loop_defer(loop, &s->release);
    } else {
        ws_transport_give_back(&s->transport);
        ws_reactor_leave(s->reactor, s);
        ws_loop_quit(loop);
    }
}

/* Ends the session without a Close frame: there is nobody left to read one. */
static void abort_session(clowntalk_session *s, apr_status_t status, const char *why)
{
    LOG_SESSION(s, APLOG_DEBUG, status, "CT0030", "the connection ends: %s", why);
    end_session(s);
}

/* Everything is written: says goodbye below WebSocket and waits for the peer to do so too. */
static void hang_up(clowntalk_session *s)
{
    s->hung_up = true;
    if (!s->owns_connection || !ws_transport_hang_up(&s->transport)) {
        end_session(s);
        return;
    }
    ws_loop_change(s->reactor->loop, &s->watch, EPOLLIN);
    ws_timer_set(s->reactor->loop, &s->timer, LINGER_PATIENCE_MS);
}

static void begin_linger(clowntalk_session *s)
{
    s->state = WS_STATE_LINGER;
    tell_handler_end(s);
    forget_message(s);
    ws_loop_cancel(s->reactor->loop, &s->read_again);
    ws_timer_set(s->reactor->loop, &s->timer, CLOSE_PATIENCE_MS);
    ws_loop_defer(s->reactor->loop, &s->flush); /* which hangs up when nothing is left */
}

/* ---- writing ---- */

static bool is_blocked(const clowntalk_session *s)
{
    return s->transport.blocked;
}

/* Waits until the peer takes more. Meanwhile nothing is read from it. */
static void wait_for_room(clowntalk_session *s)
{
    ws_loop_change(s->reactor->loop, &s->watch, EPOLLOUT);
    if (s->transport.push_ms) {
        ws_loop_delay(s->reactor->loop, &s->push, s->transport.push_ms);
    }
}

/*
 * Writes what waits, as far as the socket takes it and other sessions do not wait too long. While
 * the socket is full nothing is read from this client either: it gets no answers to what it has not
 * yet asked.
 */
static void on_flush(ws_task *task)
{
    clowntalk_session *s = SESSION_OF(task, flush);
    ws_loop *loop = s->reactor->loop;

    if (!ws_transport_write(&s->transport, &s->queue)) {
        abort_session(s, APR_SUCCESS, "it cannot be written to");
        return;
    }
    if (is_blocked(s)) {
        wait_for_room(s);
    } else if (s->queue.first) {
        ws_loop_defer_late(loop, &s->flush);
    } else if (s->state == WS_STATE_LINGER && !s->hung_up) {
        hang_up(s);
    } else if (s->watch.events != EPOLLIN) {
        ws_loop_change(loop, &s->watch, EPOLLIN);
        ws_loop_defer(loop, &s->read_again);
    }
}

/* A message in the form that was agreed. */
static ws_outgoing *form_of(const clowntalk_session *s, ws_outgoing *message)
{
    return s->compresses ? ws_outgoing_for(message, &s->settings.deflate, s->reactor->compressor)
                         : message;
}

/* Puts a message behind what waits. */
static void put(clowntalk_session *s, ws_outgoing *message)
{
    ws_outgoing *outgoing = form_of(s, message);

    if (is_blocked(s) && outgoing->topic) {
        ws_queue_drop_topic(&s->queue, outgoing->topic);
    }
    ws_queue_add(&s->queue, outgoing);
}

/*
 * The same, and has it written at the end of the round, or when the client takes more. What one
 * client's message sends to others may go to thousands: answers come first.
 */
static void enqueue(clowntalk_session *s, ws_outgoing *message)
{
    const clowntalk_session *reading = s->reactor->reading;

    send_batched(s);
    if (s->state == WS_STATE_DEAD) {
        return;
    }
    put(s, message);
    if (!is_blocked(s)) {
        (reading && reading != s ? ws_loop_defer_late : ws_loop_defer)(s->reactor->loop, &s->flush);
    }
}

static void enqueue_frame(clowntalk_session *s, enum ws_opcode opcode, const void *payload,
                          size_t length, const char *topic)
{
    ws_outgoing *outgoing =
        ws_outgoing_create(opcode, payload, length, topic, topic ? strlen(topic) : 0);

    enqueue(s, outgoing);
    ws_outgoing_release(outgoing);
}

static void enqueue_close(clowntalk_session *s, uint16_t code, const char *reason)
{
    uint8_t payload[WS_MAX_CONTROL];

    if (!s->close_sent) {
        s->close_sent = true;
        enqueue_frame(s, WS_CLOSE, payload, ws_close_payload(payload, code, reason), NULL);
    }
}

/* Closes the session of a client that does not read what it asks for. False where it did. */
static bool is_patient(clowntalk_session *s)
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

bool ws_session_send(clowntalk_session *s, ws_outgoing *outgoing)
{
    ws_audience_catch_up(&s->seat);
    if (s->state != WS_STATE_OPEN) {
        return false;
    }
    enqueue(s, outgoing);
    return is_patient(s);
}

/* ---- publications ---- */

/* Writes at once what waits, unless that is too much. */
static void flush_now(clowntalk_session *s)
{
    if (is_patient(s) && !is_blocked(s)) {
        ws_loop_cancel(s->reactor->loop, &s->flush);
        on_flush(&s->flush);
    }
}

/* So many bytes of a message are on their way: the rest waits for what the socket takes. */
static void put_rest(clowntalk_session *s, ws_outgoing *outgoing, size_t sent)
{
    ws_queue_add(&s->queue, outgoing);
    ws_queue_advance(&s->queue, sent);
    flush_now(s);
}

static void on_sent(const ws_parcel *parcel)
{
    clowntalk_session *s = parcel->owner;
    size_t sent;

    s->batched = false;
    if (s->state == WS_STATE_DEAD) {
        return; /* it broke while it was put into the batch */
    }
    sent = ws_transport_posted(&s->transport, parcel);
    if (sent < parcel->length) {
        put_rest(s, parcel->outgoing, sent);
    } else if (is_blocked(s)) {
        wait_for_room(s);
    }
}

/* The reactor's batch, where it is worth while for so many. */
static ws_batch *batch_for(ws_reactor *reactor, unsigned members)
{
    if (members < BATCH_MEMBERS) {
        return NULL;
    }
    if (!reactor->batch_tried) {
        reactor->batch_tried = true;
        reactor->batch = ws_batch_create(on_sent);
    }
    return reactor->batch;
}

/* Most clients have taken everything that went before. */
static void on_publication(ws_seat *seat, ws_outgoing *publication, bool last)
{
    clowntalk_session *s = SESSION_OF(seat, seat);
    ws_batch *batch = batch_for(s->reactor, ws_audience_size(seat->audience));
    ws_outgoing *outgoing = form_of(s, publication);
    size_t sent;

    send_batched(s);
    if (s->state != WS_STATE_OPEN) {
        return;
    }
    if (!last || s->queue.first || is_blocked(s)) {
        put(s, publication);
        if (last) {
            flush_now(s);
        }
        return;
    }
    if (batch && ws_transport_post(&s->transport, batch, s, outgoing)) {
        s->batched = true;
        return;
    }
    sent = ws_transport_send(&s->transport, outgoing);
    if (sent < outgoing->length) {
        put_rest(s, outgoing, sent);
    } else if (is_blocked(s)) {
        wait_for_room(s);
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

/* ---- closing ---- */

void ws_session_close(clowntalk_session *s, int code, const char *reason)
{
    const bool has_time = ws_transport_is_slow(&s->transport) && !s->reactor->stop_code;

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
    forget_message(s);
    tell_handler_end(s);
    ws_timer_set(s->reactor->loop, &s->timer, has_time ? SLOW_PATIENCE_MS : CLOSE_PATIENCE_MS);
}

void ws_session_stop(clowntalk_session *s, int code)
{
    if (s->state == WS_STATE_CLOSING) {
        ws_timer_set(s->reactor->loop, &s->timer, CLOSE_PATIENCE_MS);
    } else {
        ws_session_close(s, code, "the server ends");
    }
}

/* ---- reading ---- */

/*
 * The peer broke the protocol: it is told why, and nothing that it still sends counts (section
 * 7.1.7).
 */
static void fail_session(clowntalk_session *s, uint16_t code, const char *reason)
{
    LOG_SESSION(s, APLOG_INFO, 0, "CT0033", "the client broke the protocol, closing with %d: %s",
                code, reason);
    enqueue_close(s, code, reason);
    begin_linger(s);
}

static void on_close_frame(clowntalk_session *s, const ws_event *event)
{
    LOG_SESSION(s, APLOG_DEBUG, 0, "CT0034", "the client closed with %d", event->close_code);
    enqueue_close(s, event->close_code, NULL); /* section 5.5.1: the code is echoed */
    begin_linger(s);
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
        fail_session(s, event->close_code, event->reason);
        return;
    }
    if (last) {
        char *message = s->message;
        const size_t length = s->message_length;

        s->message = NULL; /* the handler may close the session */
        forget_message(s);
        s->handler->message(s, s->data, kind, message, length);
        free(message);
    }
}

static void feed(clowntalk_session *s, uint8_t *data, size_t length)
{
    uint8_t *end = data + length;
    ws_event event;

    while (s->state <= WS_STATE_CLOSING && ws_parser_next(&s->parser, &data, end, &event)) {
        switch (event.kind) {
        case WS_EVENT_DATA:
            on_data(s, &event);
            break;
        case WS_EVENT_PING:
            /*
             * Also behind our Close, until the peer's has come (section 5.5.2). Conflated like a
             * publication: section 5.5.3 lets us answer the latest ping only.
             */
            enqueue_frame(s, WS_PONG, event.data, event.length, "\npong");
            break;
        case WS_EVENT_PONG:
            break;
        case WS_EVENT_CLOSE:
            on_close_frame(s, &event);
            break;
        case WS_EVENT_FAIL:
            fail_session(s, event.close_code, event.reason);
            break;
        }
    }
}

static void on_bytes(void *baton, uint8_t *data, size_t length)
{
    clowntalk_session *s = baton;

    s->pings = 0;
    feed(s, data, length);
}

/*
 * Takes the socket over, and what mod_ssl has set up, and gives the rest back: httpd's pools,
 * buckets and filters are most of what a connection costs, and the MPM counts it no more.
 */
static void leave_connection(clowntalk_session *s)
{
    ws_loop *loop = s->reactor->loop;

    if (!ws_transport_leave(&s->transport)) {
        s->stays = true; /* it can do without, where descriptors are short for a moment */
        LOG_SESSION(s, APLOG_DEBUG, errno, "CT0038", "it stays on its connection");
        return;
    }
    LOG_SESSION(s, APLOG_DEBUG, 0, "CT0036", "it has left its connection");
    ws_loop_unwatch(loop, &s->watch);
    bury_connection(s);
    if (!ws_loop_watch(loop, &s->watch, s->transport.fd, EPOLLIN)) {
        abort_session(s, errno, "epoll refuses its descriptor");
    }
}

/* One read, so that a fast client does not starve the others. */
static void read_some(clowntalk_session *s)
{
    ws_read result;

    s->reactor->reading = s;
    result = ws_transport_read(&s->transport, s->reactor->scratch, on_bytes, s);
    s->reactor->reading = NULL;
    if (s->state > WS_STATE_CLOSING) {
        return; /* our Close goes out first, also where the peer's came with the stream's end */
    }
    if (result == WS_READ_ENDED) {
        abort_session(s, APR_SUCCESS, "the client is gone without a Close");
    } else if (result == WS_READ_MORE) {
        ws_loop_defer(s->reactor->loop, &s->read_again);
    } else if (s->owns_connection && !s->stays && ws_transport_can_leave(&s->transport)) {
        leave_connection(s);
    }
}

static void on_read_again(ws_task *task)
{
    clowntalk_session *s = SESSION_OF(task, read_again);

    if (!is_blocked(s) && s->state <= WS_STATE_CLOSING) {
        read_some(s);
    }
}

/* The peer may take more now. `gone`: or never again. */
static void push(clowntalk_session *s, bool gone)
{
    if (!ws_transport_push(&s->transport)) {
        abort_session(s, APR_SUCCESS, "it cannot be written to");
    } else if (!is_blocked(s)) {
        s->pings = 0; /* slow, but it reads; what it says is not read before it has caught up */
        ws_loop_defer(s->reactor->loop, &s->flush);
    } else if (gone) {
        abort_session(s, APR_SUCCESS, "the client is gone");
    } else {
        wait_for_room(s);
    }
}

static void on_push(ws_task *task)
{
    clowntalk_session *s = SESSION_OF(task, push);

    if (is_blocked(s)) {
        push(s, false);
    }
}

static void on_socket(ws_watch *watch, uint32_t events)
{
    clowntalk_session *s = SESSION_OF(watch, watch);

    if (s->hung_up) {
        if (ws_transport_drain(&s->transport, s->reactor->scratch)) {
            end_session(s);
        }
        return;
    }
    if (is_blocked(s)) {
        if (events & EPOLLOUT) {
            s->pings = 0; /* also where it takes less than the filters have kept */
        }
        push(s, events & (EPOLLERR | EPOLLHUP));
        return;
    }
    if (s->state == WS_STATE_LINGER) {
        /* The last frames are about to be written; what the peer says is of no interest. */
        if (events & (EPOLLERR | EPOLLHUP)) {
            abort_session(s, APR_SUCCESS, "the client is gone");
        }
        return;
    }
    read_some(s);
}

/* ---- time ---- */

/* Sets the timer of an open session to what comes next: a ping or the end of its time. */
static void set_open_timer(clowntalk_session *s)
{
    const int64_t next = s->ping_at < s->too_old_at ? s->ping_at : s->too_old_at;
    const int64_t left = next - ws_loop_now(s->reactor->loop);

    if (next != INT64_MAX) {
        ws_timer_set(s->reactor->loop, &s->timer, left > 0 ? left / 1000 : 0);
    }
}

static void start_clock(clowntalk_session *s)
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
    if (ws_transport_catches_up(&s->transport)) {
        s->pings = 0; /* they lie behind what it has not read yet, but it reads */
    }
    if (s->pings >= MAX_UNANSWERED_PINGS) {
        LOG_SESSION(s, APLOG_INFO, 0, "CT0035",
                    "the client has answered neither of %d pings: taken for dead",
                    MAX_UNANSWERED_PINGS);
        end_session(s);
        return false;
    }
    if (s->pings > 0 || !s->mid_interval) {
        s->pings++;
        enqueue_frame(s, WS_PING, NULL, 0, "\nping");
    }
    s->mid_interval = !s->mid_interval;
    /* From now on: after a stop of the whole process the client has its full time to answer. */
    s->ping_at = ws_loop_now(s->reactor->loop) + s->settings.ping * INT64_C(500000);
    return true;
}

static void on_open_timer(clowntalk_session *s)
{
    const int64_t now = ws_loop_now(s->reactor->loop);

    if (now >= s->too_old_at) {
        ws_session_close(s, WS_CLOSE_GOING_AWAY, "too old: connect anew");
    } else if (now < s->ping_at || on_ping_time(s)) {
        set_open_timer(s);
    }
}

static void on_timer(ws_timer *timer)
{
    clowntalk_session *s = SESSION_OF(timer, timer);

    switch (s->state) {
    case WS_STATE_OPEN:
        on_open_timer(s);
        break;
    case WS_STATE_CLOSING:
        if (is_blocked(s) || s->queue.first) {
            abort_session(s, APR_SUCCESS, "the client did not take our Close in time");
        } else {
            begin_linger(s); /* it did not answer: hang up all the same */
        }
        break;
    case WS_STATE_LINGER:
        abort_session(s, APR_SUCCESS, "the client did not close its side in time");
        break;
    case WS_STATE_DEAD:
        break; /* its timer is cleared */
    }
}

/* ---- the beginning ---- */

void ws_session_begin(clowntalk_session *s, ws_reactor *reactor, bool owns_connection)
{
    s->reactor = reactor;
    s->owns_connection = owns_connection;
    ws_reactor_enter(reactor, s);
    if (!ws_transport_open(&s->transport) ||
        !ws_loop_watch(reactor->loop, &s->watch, s->transport.fd, EPOLLIN)) {
        abort_session(s, errno, "it was lost before it began");
        return;
    }
    if (owns_connection && s->transport.kind == WS_TRANSPORT_FILTERS && !s->transport.tls.ssl) {
        LOG_SESSION(s, APLOG_DEBUG, 0, "CT0037",
                    "it stays on its connection, whose filters are in use");
    }
    start_clock(s);
    s->handler_open = true;
    if (s->handler->open) {
        s->handler->open(s, s->data); /* which may close the session */
    }
    if (reactor->stop_code) {
        ws_session_close(s, reactor->stop_code, NULL);
    }
    if (is_blocked(s)) {
        ws_loop_change(reactor->loop, &s->watch, EPOLLOUT);
    } else {
        /* The client's first bytes may lie in a filter already, where epoll does not see them. */
        ws_loop_defer(reactor->loop, &s->read_again);
    }
}
