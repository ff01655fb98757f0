#include "session_private.h"

#include "../log.h"

#include <http_connection.h>
#include <http_core.h>
#include <util_filter.h>

#include <apr_portable.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* What one read takes at most: the size of httpd's own socket buckets. */
#define READ_BYTES APR_BUCKET_BUFF_SIZE
/* What the filters are given at once. They block when they hold more than FlushMaxThreshold (64 KiB). */
#define WRITE_BYTES 32768
/* What one session may write before others have their turn. */
#define WRITE_BYTES_PER_ROUND (8 * WRITE_BYTES)
/* What a message that comes in pieces is given at first, in bytes. It doubles as they arrive. */
#define FIRST_ROOM 512
/* How long the peer may take to answer our Close, and then to close its side. */
#define CLOSE_PATIENCE_MS 2000
#define LINGER_PATIENCE_MS 2000
/* How long the MPM may still touch a connection that it was seen to let go of. */
#define RELEASE_GRACE_MS 500
/* Pings without any sign of life after which a peer is taken for dead. */
#define MAX_UNANSWERED_PINGS 2
/* A pool keeps this much for reuse: a read's bucket and little more. Without it each message pays malloc. */
#define POOL_KEEPS_BYTES 16384

static const char *const state_names[] = {"open", "closing", "lingering", "dead"};

#define LOG_SESSION(s, level, status, number, format, ...)                                         \
    CT_LOG_CONNECTION((s)->c, level, status, number, format " [user %s, %s]", ##__VA_ARGS__,       \
                      (s)->user ? (s)->user : "-", state_names[(s)->state])

static void on_socket(ws_watch *watch, uint32_t events);
static void on_timer(ws_timer *timer);
static void on_flush(ws_task *task);
static void on_read_again(ws_task *task);
static bool push_core_filter(clowntalk_session *s);

#define SESSION_OF(pointer, member)                                                                \
    ((clowntalk_session *)((char *)(pointer)-offsetof(clowntalk_session, member)))

clowntalk_session *ws_session_create(conn_rec *c, const ws_settings *settings,
                                     const clowntalk_handler *handler, void *data, const char *user)
{
    clowntalk_session *s = apr_pcalloc(c->pool, sizeof *s);

    s->watch.fd = -1;
    s->watch.ready = on_socket;
    s->timer.expired = on_timer;
    s->flush.run = on_flush;
    s->read_again.run = on_read_again;
    s->c = c;
    s->stream = c->master != NULL;
    s->socket = s->stream ? NULL : ap_get_conn_socket(c);
    s->settings = settings;
    s->handler = handler;
    s->data = data;
    s->user = user;
    s->in = apr_brigade_create(c->pool, c->bucket_alloc);
    s->out = apr_brigade_create(c->pool, c->bucket_alloc);
    s->waiting_last = &s->waiting_first;
    ws_parser_init(&s->parser, settings->max_message, true, settings->deflate.agreed);
    ws_inflate_init(&s->inflate, &settings->deflate, settings->max_message);
    return s;
}

conn_rec *ws_session_connection(clowntalk_session *s)
{
    return s->c;
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

static void drop_first_waiting(clowntalk_session *s)
{
    ws_waiting *first = s->waiting_first;

    s->waiting_first = first->next;
    if (!s->waiting_first) {
        s->waiting_last = &s->waiting_first;
    }
    s->waiting_bytes -= first->outgoing->length - s->waiting_offset;
    s->waiting_offset = 0;
    ws_outgoing_release(first->outgoing);
    free(first);
}

static void tell_handler_end(clowntalk_session *s)
{
    if (s->handler_open) {
        s->handler_open = false;
        if (s->handler->close) {
            s->handler->close(s, s->data);
        }
    }
}

/* Frees the session with its connection. It must not be touched any more. */
static void free_session(clowntalk_session *s)
{
    ws_reactor_leave(s->reactor, s);
    apr_pool_destroy(s->c->pool);
}

/*
 * After the suspend hook has returned, the MPM still writes c->sbh = NULL and a flag of its own.
 * Only when that was seen, and a grace has passed for the flag, may the connection be freed.
 */
static void look_for_release(clowntalk_session *s)
{
    if (s->released_at == 0 &&
        __atomic_load_n((void *volatile *)&s->c->sbh, __ATOMIC_ACQUIRE) == NULL) {
        s->released_at = ws_loop_ticks(s->reactor->loop);
    }
}

static void free_when_released(clowntalk_session *s)
{
    const int64_t grace = RELEASE_GRACE_MS / WS_TICK_MS + 1;

    look_for_release(s);
    if (s->released_at != 0 && ws_loop_ticks(s->reactor->loop) - s->released_at >= grace) {
        free_session(s);
    } else {
        ws_timer_set(s->reactor->loop, &s->timer, 0);
    }
}

/* Ends the session now. In the MPM's ownership the loop quits and the MPM closes the connection. */
static void end_session(clowntalk_session *s)
{
    ws_loop *loop = s->reactor->loop;

    if (s->state == WS_STATE_DEAD) {
        return;
    }
    s->state = WS_STATE_DEAD;
    tell_handler_end(s);
    ws_loop_unwatch(loop, &s->watch);
    ws_loop_cancel(loop, &s->flush);
    ws_loop_cancel(loop, &s->read_again);
    ws_timer_clear(loop, &s->timer);
    while (s->waiting_first) {
        drop_first_waiting(s);
    }
    forget_message(s);
    ws_inflate_end(&s->inflate);
    if (s->owns_connection) {
        s->c->aborted = 1; /* whatever a cleanup may think of writing */
        apr_socket_close(s->socket);
        ws_timer_set(loop, &s->timer, 0);
    } else {
        if (s->c->data_in_output_filters) {
            s->c->aborted = 1; /* or the MPM would wait for a peer that does not read */
        }
        s->c->keepalive = AP_CONN_CLOSE;
        if (s->socket) {
            apr_socket_timeout_set(s->socket, s->socket_timeout);
        }
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
    if (!s->owns_connection) {
        end_session(s);
        return;
    }
    s->hung_up = true;
    APR_BRIGADE_INSERT_TAIL(s->out, ap_bucket_eoc_create(s->c->bucket_alloc)); /* TLS close_notify */
    if (ap_pass_brigade(s->c->output_filters, s->out) == APR_SUCCESS) {
        push_core_filter(s);
    }
    apr_brigade_cleanup(s->out);
    if (s->c->aborted || apr_socket_shutdown(s->socket, APR_SHUTDOWN_WRITE) != APR_SUCCESS) {
        end_session(s);
        return;
    }
    ws_loop_change(s->reactor->loop, &s->watch, EPOLLIN);
    ws_timer_set(s->reactor->loop, &s->timer, LINGER_PATIENCE_MS);
}

/* After our FIN: what the peer still sends is read from the socket and dropped. */
static void drain_until_fin(clowntalk_session *s)
{
    char nothing[4096];
    const ssize_t n = recv(s->watch.fd, nothing, sizeof nothing, MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        end_session(s);
    }
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
    return s->c->data_in_output_filters != 0 && !s->stream;
}

/* Makes the core output filter write what the socket takes. */
static bool push_core_filter(clowntalk_session *s)
{
    ap_filter_t *last = s->c->output_filters;

    if (s->stream) {
        return !s->c->aborted; /* it was flushed: see pass_some() */
    }
    while (last->next) {
        last = last->next;
    }
    return last->frec->filter_func.out_func(last, NULL) == APR_SUCCESS && !s->c->aborted;
}

/* Hands the filters the next WRITE_BYTES that wait. False where the connection broke. */
static bool pass_some(clowntalk_session *s)
{
    size_t room = WRITE_BYTES;
    apr_status_t status;

    while (s->waiting_first && room > 0) {
        ws_outgoing *outgoing = s->waiting_first->outgoing;
        const size_t left = outgoing->length - s->waiting_offset;
        const size_t part = left < room ? left : room;

        APR_BRIGADE_INSERT_TAIL(s->out, ws_outgoing_bucket(outgoing, s->waiting_offset, part,
                                                           s->c->bucket_alloc));
        room -= part;
        if (part == left) {
            drop_first_waiting(s);
        } else {
            s->waiting_offset += part;
            s->waiting_bytes -= part;
        }
    }
    /* A stream has a thread of its own, which may wait for the HTTP/2 connection to take what it writes. */
    APR_BRIGADE_INSERT_TAIL(s->out, s->stream ? apr_bucket_flush_create(s->c->bucket_alloc)
                                              : ws_push_bucket(s->c->bucket_alloc));
    status = ap_pass_brigade(s->c->output_filters, s->out);
    apr_brigade_cleanup(s->out);
    return status == APR_SUCCESS && push_core_filter(s);
}

/*
 * Writes what waits, as far as the socket takes it and other sessions do not wait too long. While
 * the socket is full nothing is read from this client either: it gets no answers to what it has not yet asked.
 */
static void on_flush(ws_task *task)
{
    clowntalk_session *s = SESSION_OF(task, flush);
    ws_loop *loop = s->reactor->loop;
    int budget = WRITE_BYTES_PER_ROUND / WRITE_BYTES;

    while (s->waiting_first && !is_blocked(s) && budget-- > 0) {
        if (!pass_some(s)) {
            abort_session(s, APR_SUCCESS, "it cannot be written to");
            return;
        }
    }
    if (is_blocked(s)) {
        ws_loop_change(loop, &s->watch, EPOLLOUT);
    } else if (s->waiting_first) {
        ws_loop_defer(loop, &s->flush);
    } else if (s->state == WS_STATE_LINGER && !s->hung_up) {
        hang_up(s);
    } else if (s->watch.events != EPOLLIN) {
        ws_loop_change(loop, &s->watch, EPOLLIN);
        ws_loop_defer(loop, &s->read_again);
    }
}

/* Takes a waiting publication of the same topic out of the queue, if the filters have none of it yet. */
static void drop_older(clowntalk_session *s, const char *topic)
{
    for (ws_waiting **at = &s->waiting_first; *at; at = &(*at)->next) {
        ws_waiting *older = *at;
        const bool begun = older == s->waiting_first && s->waiting_offset > 0;

        if (begun || !older->outgoing->topic || strcmp(older->outgoing->topic, topic) != 0) {
            continue;
        }
        *at = older->next;
        if (s->waiting_last == &older->next) {
            s->waiting_last = at;
        }
        s->waiting_bytes -= older->outgoing->length;
        ws_outgoing_release(older->outgoing);
        free(older);
        return;
    }
}

static void enqueue(clowntalk_session *s, ws_outgoing *message)
{
    ws_outgoing *outgoing =
        ws_outgoing_for(message, &s->settings->deflate, s->reactor->compressor);
    ws_waiting *waiting = malloc(sizeof *waiting);

    if (!waiting) {
        abort();
    }
    if (outgoing->topic && is_blocked(s)) {
        drop_older(s, outgoing->topic);
    }
    *waiting = (ws_waiting){.outgoing = outgoing};
    ws_outgoing_hold(outgoing);
    *s->waiting_last = waiting;
    s->waiting_last = &waiting->next;
    s->waiting_bytes += outgoing->length;
    if (!is_blocked(s)) {
        ws_loop_defer(s->reactor->loop, &s->flush);
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

/* A slow client: what it has not been sent is dropped, but for the rest of a frame that has begun. */
static void drop_waiting(clowntalk_session *s)
{
    ws_waiting **keep = &s->waiting_first;

    if (s->waiting_first && s->waiting_offset > 0) {
        keep = &s->waiting_first->next;
    }
    while (*keep) {
        ws_waiting *drop = *keep;

        *keep = drop->next;
        s->waiting_bytes -= drop->outgoing->length;
        ws_outgoing_release(drop->outgoing);
        free(drop);
    }
    s->waiting_last = keep;
}

bool ws_session_send(clowntalk_session *s, ws_outgoing *outgoing)
{
    if (s->state != WS_STATE_OPEN) {
        return false;
    }
    enqueue(s, outgoing);
    if (is_blocked(s) && s->waiting_bytes > s->settings->backlog) {
        LOG_SESSION(s, APLOG_WARNING, 0, "CT0031",
                    "the client does not read: more than %" APR_SIZE_T_FMT
                    " bytes (ClownTalkBacklog) wait for it",
                    s->settings->backlog);
        drop_waiting(s);
        ws_session_close(s, WS_CLOSE_POLICY, "too slow: replies wait");
        return false;
    }
    return true;
}

void ws_session_close(clowntalk_session *s, int code, const char *reason)
{
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
    ws_timer_set(s->reactor->loop, &s->timer, CLOSE_PATIENCE_MS);
}

/* ---- reading ---- */

/* The peer broke the protocol: it is told why, and nothing that it still sends counts (section 7.1.7). */
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

    if (needed <= s->message_capacity) {
        return true;
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

/* Adds a piece to the message, inflating it where it is compressed. False: the piece is a WS_EVENT_FAIL. */
static bool add_piece(clowntalk_session *s, ws_event *piece)
{
    ws_inflate_status status = WS_INFLATE_FULL;
    size_t room = piece->compressed ? 2 * piece->length + FIRST_ROOM : piece->length;

    while (make_room(s, room)) {
        size_t written = piece->length;

        if (piece->compressed) {
            status = ws_inflate_next(&s->inflate, piece, (uint8_t *)s->message + s->message_length,
                                     s->message_capacity - s->message_length, &written);
        } else if (written > 0) {
            memcpy(s->message + s->message_length, piece->data, written);
        }
        s->message_length += written;
        if (!piece->compressed || status != WS_INFLATE_FULL) {
            return !piece->compressed || status == WS_INFLATE_DONE;
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
            if (s->state == WS_STATE_OPEN) {
                /* Conflated like a publication: section 5.5.3 lets us answer the latest ping only. */
                enqueue_frame(s, WS_PONG, event.data, event.length, "\npong");
            }
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

/* The parser unmasks in place, which it may: all of these are private memory but for the last resort. */
static void feed_bucket(clowntalk_session *s, apr_bucket *bucket, const char *data, size_t length)
{
    if (APR_BUCKET_IS_HEAP(bucket) || APR_BUCKET_IS_TRANSIENT(bucket) ||
        APR_BUCKET_IS_POOL(bucket)) {
        feed(s, (uint8_t *)data, length);
    } else {
        uint8_t *copy = malloc(length);

        if (!copy) {
            abort();
        }
        memcpy(copy, data, length);
        feed(s, copy, length);
        free(copy);
    }
}

/* Feeds what a read has brought. False at the end of the stream. */
static bool feed_brigade(clowntalk_session *s)
{
    for (apr_bucket *bucket = APR_BRIGADE_FIRST(s->in); bucket != APR_BRIGADE_SENTINEL(s->in);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t length;

        if (APR_BUCKET_IS_EOS(bucket)) {
            if (s->stream && !s->stream_begun) {
                s->stream_begun = true; /* mod_http2's end of the handshake's empty body */
                continue;
            }
            return false;
        }
        if (APR_BUCKET_IS_METADATA(bucket)) {
            continue;
        }
        if (apr_bucket_read(bucket, &data, &length, APR_NONBLOCK_READ) != APR_SUCCESS) {
            return false;
        }
        if (length > 0) {
            s->pings = 0;
            feed_bucket(s, bucket, data, length);
        }
    }
    return true;
}

/* One read, so that a fast client does not starve the others. */
static void read_some(clowntalk_session *s)
{
    apr_status_t status = ap_get_brigade(s->c->input_filters, s->in, AP_MODE_READBYTES,
                                         APR_NONBLOCK_READ, READ_BYTES);
    bool empty = APR_BRIGADE_EMPTY(s->in);
    bool ended = false;

    if (status == APR_SUCCESS && !empty) {
        ended = !feed_brigade(s);
    }
    apr_brigade_cleanup(s->in);
    if (s->state > WS_STATE_CLOSING) {
        return; /* our Close goes out first, also where the peer's came with the end of the stream */
    }
    if (ended || (status != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(status))) {
        abort_session(s, status, "the client is gone without a Close");
    } else if (status == APR_SUCCESS && !empty && !s->plain) {
        ws_loop_defer(s->reactor->loop, &s->read_again);
    }
}

static void on_read_again(ws_task *task)
{
    clowntalk_session *s = SESSION_OF(task, read_again);

    if (!is_blocked(s) && s->state <= WS_STATE_CLOSING) {
        read_some(s);
    }
}

static void on_socket(ws_watch *watch, uint32_t events)
{
    clowntalk_session *s = SESSION_OF(watch, watch);

    look_for_release(s);
    if (s->hung_up) {
        drain_until_fin(s);
        return;
    }
    if (is_blocked(s)) {
        if (!push_core_filter(s)) {
            abort_session(s, APR_SUCCESS, "it cannot be written to");
        } else if (!is_blocked(s)) {
            ws_loop_defer(s->reactor->loop, &s->flush);
        } else if (events & (EPOLLERR | EPOLLHUP)) {
            abort_session(s, APR_SUCCESS, "the client is gone");
        }
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
    const ws_settings *settings = s->settings;

    s->ping_at = settings->ping > 0 ? now + settings->ping * INT64_C(1000000) : INT64_MAX;
    s->too_old_at = settings->max_age > 0 ? now + settings->max_age * INT64_C(1000000) : INT64_MAX;
    set_open_timer(s);
}

static void on_open_timer(clowntalk_session *s)
{
    const int64_t now = ws_loop_now(s->reactor->loop);

    if (now >= s->too_old_at) {
        ws_session_close(s, WS_CLOSE_GOING_AWAY, "too old: connect anew");
        return;
    }
    if (now >= s->ping_at) {
        if (s->pings >= MAX_UNANSWERED_PINGS) {
            LOG_SESSION(s, APLOG_INFO, 0, "CT0035",
                        "the client has answered no ping for %d s: taken for dead",
                        s->settings->ping * MAX_UNANSWERED_PINGS);
            end_session(s);
            return;
        }
        s->pings++;
        s->ping_at += s->settings->ping * INT64_C(1000000);
        enqueue_frame(s, WS_PING, NULL, 0, "\nping");
    }
    set_open_timer(s);
}

static void on_timer(ws_timer *timer)
{
    clowntalk_session *s = SESSION_OF(timer, timer);

    switch (s->state) {
    case WS_STATE_OPEN:
        on_open_timer(s);
        break;
    case WS_STATE_CLOSING:
        if (is_blocked(s) || s->waiting_first) {
            abort_session(s, APR_SUCCESS, "the client did not take our Close in time");
        } else {
            begin_linger(s); /* it did not answer: hang up all the same */
        }
        break;
    case WS_STATE_LINGER:
        abort_session(s, APR_SUCCESS, "the client did not close its side in time");
        break;
    case WS_STATE_DEAD:
        free_when_released(s);
        break;
    }
}

/* ---- the beginning ---- */

/* Whether a read takes all that the input filters have: then epoll tells when there is more. */
static bool input_is_plain(const conn_rec *c)
{
    for (const ap_filter_t *f = c->input_filters; f; f = f->next) {
        if (strcmp(f->frec->name, "core_in") != 0 && strcmp(f->frec->name, "log_input_output") != 0) {
            return false;
        }
    }
    return true;
}

/* The descriptor that tells of input: the socket, or a stream's pipe. -1 where there is none. */
static int input_descriptor(clowntalk_session *s)
{
    apr_os_sock_t fd = -1;

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 129)
    if (s->stream) {
        apr_pollfd_t pollfd = {.desc_type = APR_NO_DESC};

        if (ap_get_pollfd_from_conn(s->c, &pollfd, NULL) != APR_SUCCESS ||
            pollfd.desc_type != APR_POLL_FILE || apr_os_file_get(&fd, pollfd.desc.f) != APR_SUCCESS) {
            return -1;
        }
        return fd;
    }
#endif
    return s->socket && apr_os_sock_get(&fd, s->socket) == APR_SUCCESS ? fd : -1;
}

void ws_session_begin(clowntalk_session *s, ws_reactor *reactor, bool owns_connection)
{
    const int fd = input_descriptor(s);

    s->reactor = reactor;
    s->owns_connection = owns_connection;
    s->plain = input_is_plain(s->c);
    ws_reactor_enter(reactor, s);
    if (owns_connection) {
        apr_allocator_max_free_set(apr_pool_allocator_get(s->c->pool), POOL_KEEPS_BYTES);
    }
    if (s->socket) {
        /* A filter that insists on a blocking write fails instead of holding up all sessions. */
        apr_socket_timeout_get(s->socket, &s->socket_timeout);
        apr_socket_timeout_set(s->socket, 0);
    }
    if (s->c->aborted || fd < 0 || !ws_loop_watch(reactor->loop, &s->watch, fd, EPOLLIN)) {
        abort_session(s, errno, "it was lost before it began");
        return;
    }
    s->handler_open = true;
    if (s->handler->open) {
        s->handler->open(s, s->data);
    }
    start_clock(s);
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
