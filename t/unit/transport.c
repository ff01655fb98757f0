/*
 * The transports socket and tls (src/session/transport.h) on real sockets, TLS with a real client:
 * every byte arrives, in order, whatever send() and recv() say in turn, and a reader that wants no
 * more gets no more. What goes through httpd's filters the tests of a server look at, but for how
 * much one read takes of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls_pair.h"

#include "session/batch.h"
#include "session/transport_kind.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGE 200000

/* ---- the system's calls: each can fail in turn ---- */

typedef enum fault { NO_FAULT, AGAIN, INTERRUPTED, RESET, PART } fault;

static unsigned calls, fault_at;
static fault fault_kind;
static bool counting; /* the server's calls only */

ssize_t __real_send(int fd, const void *data, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_recv(int fd, void *room, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *room, size_t size, int flags);

static fault next_fault(void)
{
    return counting && ++calls == fault_at ? fault_kind : NO_FAULT;
}

static ssize_t refuse(fault kind)
{
    errno = kind == AGAIN ? EAGAIN : kind == INTERRUPTED ? EINTR : ECONNRESET;
    return -1;
}

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags)
{
    const fault kind = next_fault();

    if (kind == NO_FAULT || kind == PART) {
        return __real_send(fd, data, kind == PART ? (length + 1) / 2 : length, flags);
    }
    return refuse(kind);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    const fault kind = next_fault();

    if (kind == PART) {
        return __real_send(fd, message->msg_iov->iov_base, message->msg_iov->iov_len / 2, flags);
    }
    return kind == NO_FAULT ? __real_sendmsg(fd, message, flags) : refuse(kind);
}

ssize_t __wrap_recv(int fd, void *room, size_t size, int flags)
{
    const fault kind = next_fault();

    if (kind == NO_FAULT || kind == PART) {
        return __real_recv(fd, room, kind == PART ? 1 : size, flags);
    }
    return refuse(kind);
}

/* ---- writing ---- */

static uint8_t expected[2 * LARGE];
static size_t expected_length, got_length;
static bool is_over; /* the connection broke */
static ws_transport server_end;

static void put(ws_queue *queue, uint8_t fill, size_t length)
{
    uint8_t *payload = malloc(length + 1);
    ws_outgoing *outgoing;

    assert_non_null(payload);
    memset(payload, fill, length);
    outgoing = ws_outgoing_create(WS_BINARY, payload, length, NULL, 0);
    memcpy(expected + expected_length, outgoing->frame, outgoing->length);
    expected_length += outgoing->length;
    ws_queue_add(queue, outgoing);
    ws_outgoing_release(outgoing);
    free(payload);
}

/* What the client gets is what was put, as far as it goes. */
static void receive(connection *c)
{
    uint8_t room[16384];
    ssize_t n;

    counting = false;
    while (c->far >= 0 && (n = client_read(c, room, sizeof room)) > 0) {
        assert_true(got_length + (size_t)n <= expected_length);
        assert_memory_equal(room, expected + got_length, (size_t)n);
        got_length += (size_t)n;
    }
    counting = true;
}

/* Writes until all has arrived, or the connection breaks; as a session does. */
static void write_all(connection *c, ws_queue *queue)
{
    ws_transport *t = c->transport;

    is_over = false;
    for (int i = 0; i < 10000 && !is_over && got_length < expected_length; i++) {
        if (t->blocked) {
            is_over = !ws_transport_push(t);
        } else if (queue->first) {
            is_over = !ws_transport_write(t, queue);
        }
        receive(c);
        if (got_length < expected_length && (t->blocked || !queue->first)) {
            struct pollfd p = {.fd = c->far, .events = POLLIN};

            poll(&p, 1, 10);
        }
    }
}

static void begin(connection *c, ws_queue *queue, bool tls)
{
    counting = false;
    expected_length = got_length = 0;
    /* small, so that it blocks by itself; faults need no help, and time */
    connection_open(c, &server_end, tls, fault_at ? 0 : 8192);
    ws_queue_init(queue);
    calls = 0;
    counting = true;
}

static void end(connection *c, ws_queue *queue)
{
    counting = false;
    ws_queue_clear(queue);
    ws_transport_close(c->transport);
    connection_close(c);
}

static void write_with(bool tls, fault kind, unsigned at)
{
    connection c;
    ws_queue queue;

    fault_kind = kind;
    fault_at = at;
    begin(&c, &queue, tls);
    for (uint8_t i = 0; i < 10; i++) {
        put(&queue, i, i * 10);
    }
    put(&queue, 'L', LARGE);
    put(&queue, 'm', 0);
    write_all(&c, &queue);
    if (kind == RESET) {
        assert_true(is_over || calls < at); /* and until then, every byte was right */
    } else {
        assert_false(is_over);
        assert_int_equal(got_length, expected_length);
        assert_null(queue.first);
    }
    end(&c, &queue);
}

static void every_write_fails_in_turn(bool tls)
{
    unsigned n;

    write_with(tls, NO_FAULT, 0);
    n = calls < 60 ? calls : 60;
    assert_true(n > 3);
    for (fault kind = AGAIN; kind <= PART; kind++) {
        for (unsigned at = 1; at <= n; at++) {
            write_with(tls, kind, at);
        }
    }
}

static void writing_to_a_socket(void **state)
{
    (void)state;
    every_write_fails_in_turn(false);
}

static void writing_tls(void **state)
{
    (void)state;
    every_write_fails_in_turn(true);
}

/* ---- reading ---- */

static uint8_t scratch[WS_SCRATCH_BYTES];
static unsigned feeds, wanted; /* calls of feed(), and how many of them it wants */
static char heard[1024];
static size_t heard_length;
static connection *answering;
static ws_queue *answers;

static bool feed(void *baton, uint8_t *data, size_t length)
{
    assert_ptr_equal(baton, &feeds);
    assert_true(feeds < wanted); /* nothing after it has said that it wants no more */
    assert_true(heard_length + length <= sizeof heard);
    memcpy(heard + heard_length, data, length);
    heard_length += length;
    feeds++;
    if (answering) { /* as a session whose answer cannot be written: it stays, though broken */
        ws_transport_write(answering->transport, answers);
    }
    return feeds < wanted;
}

/* A second at most: until what the client has sent is there. */
static void await_input(const connection *c)
{
    struct pollfd p = {.fd = c->transport->fd, .events = POLLIN};

    poll(&p, 1, 1000);
}

static ws_read read_once(connection *c)
{
    await_input(c);
    return ws_transport_read(c->transport, scratch, feed, &feeds);
}

static void reset_reading(unsigned most)
{
    feeds = 0;
    wanted = most;
    heard_length = 0;
    answering = NULL;
}

static void read_with(bool tls, fault kind, unsigned at)
{
    static const char *const words[] = {"one ", "two ", "three"};
    connection c;
    ws_queue queue;
    ws_read result = WS_READ_ALL;

    fault_kind = kind;
    fault_at = at;
    begin(&c, &queue, tls);
    reset_reading(100);
    counting = false;
    for (int i = 0; i < 3; i++) {
        client_write(&c, words[i], strlen(words[i]));
    }
    counting = true;
    for (int i = 0; i < 20 && result != WS_READ_ENDED && heard_length < 13; i++) {
        result = read_once(&c);
    }
    if (kind == RESET) {
        assert_true(result == WS_READ_ENDED || calls < at);
    } else {
        assert_int_equal(heard_length, 13);
    }
    assert_memory_equal(heard, "one two three", heard_length);
    end(&c, &queue);
}

static void every_read_fails_in_turn(void **state)
{
    (void)state;
    for (int tls = 0; tls <= 1; tls++) {
        read_with(tls, NO_FAULT, 0);
        for (fault kind = AGAIN; kind <= PART; kind++) {
            for (unsigned at = 1; at <= 5; at++) {
                read_with(tls, kind, at);
            }
        }
    }
}

/* Several TLS records lie there; the reader has had enough after the first. */
static void a_reader_that_wants_no_more_gets_no_more(void **state)
{
    connection c;
    ws_queue queue;

    (void)state;
    fault_at = 0;
    begin(&c, &queue, true);
    counting = false;
    client_write(&c, "one", 3);
    client_write(&c, "two", 3);
    client_write(&c, "three", 5);
    reset_reading(1);
    assert_int_equal(read_once(&c), WS_READ_ALL);
    assert_int_equal(feeds, 1);
    assert_memory_equal(heard, "one", 3);
    end(&c, &queue);
}

static bool count_bytes(void *baton, uint8_t *data, size_t length)
{
    (void)data;
    *(size_t *)baton += length;
    return true;
}

/* However much the filters have, others have their turn. */
static void a_read_through_filters_is_bounded(void **state)
{
    ws_transport filtered;
    size_t got = 0;

    (void)state;
    filtered_open(&filtered);
    filters_give = true;
    assert_int_equal(ws_filters_read_rest(&filtered, scratch, count_bytes, &got, NULL),
                     WS_READ_MORE);
    filters_give = false;
    assert_in_range(got, 1, 80 * 1024);
}

/*
 * Two messages come in one read, and the client has reset the connection: the answer to the first
 * finds it broken while the second is still to be read. The transport stays, though broken, until
 * its session closes it.
 */
static void a_connection_that_breaks_under_its_reader_stays_usable(void **state)
{
    (void)state;
    for (int tls = 0; tls <= 1; tls++) {
        connection c;
        ws_queue queue;

        fault_kind = RESET;
        begin(&c, &queue, tls);
        counting = false;
        client_write(&c, "malformed", 9);
        client_write(&c, "malformed", 9);
        reset_reading(100);
        answering = &c;
        answers = &queue;
        put(&queue, 'p', 100);
        put(&queue, 'a', 10);
        counting = true;
        calls = 0;
        fault_at = 2; /* recv(), then the answer's send() */
        read_once(&c);
        assert_true(feeds >= 1);
        assert_false(ws_transport_write(c.transport, &queue) && ws_transport_push(c.transport) &&
                     calls < 2);
        end(&c, &queue);
    }
}

static void leaving_and_the_end_of_a_connection(void **state)
{
    (void)state;
    for (int tls = 0; tls <= 1; tls++) {
        connection c;
        ws_queue queue;
        char room[16];

        fault_at = 0;
        begin(&c, &queue, tls);
        counting = false;
        assert_true(ws_transport_hang_up(c.transport));
        assert_int_equal(client_read(&c, room, sizeof room), -1); /* close_notify, or FIN */
        assert_int_equal(ws_transport_drain(c.transport, scratch), 0);
        client_reset(&c);
        await_input(&c);
        assert_int_equal(ws_transport_drain(c.transport, scratch), -1);
        end(&c, &queue);
    }
}

/* ---- through a batch ---- */

static connection *in_batch;
static ws_queue *queue_in_batch;
static bool batch_broke;

static int offer(ws_source *source, int *fd, struct iovec *pieces, int most)
{
    (void)source;
    return ws_transport_offer(in_batch->transport, queue_in_batch, fd, pieces, most);
}

static void taken(ws_source *source, size_t offered, ssize_t n)
{
    (void)source;
    batch_broke |= !ws_transport_taken(in_batch->transport, queue_in_batch, offered, n);
}

/* While bytes are on offer nothing is written by another way. */
static void what_is_offered_is_not_overtaken(void **state)
{
    (void)state;
    for (int tls = 0; tls <= 1; tls++) {
        connection c;
        ws_queue queue;
        struct iovec pieces[4];
        int fd, n;

        fault_at = 0;
        begin(&c, &queue, tls);
        put(&queue, '1', 10);
        n = ws_transport_offer(c.transport, &queue, &fd, pieces, 4);
        assert_int_equal(n, 1);
        put(&queue, '2', 10);
        assert_true(ws_transport_write(c.transport, &queue)); /* waits */
        assert_true(ws_transport_push(c.transport));
        receive(&c);
        assert_int_equal(got_length, 0);
        assert_int_equal(__real_send(fd, pieces[0].iov_base, pieces[0].iov_len, 0),
                         pieces[0].iov_len);
        assert_true(
            ws_transport_taken(c.transport, &queue, pieces[0].iov_len, (ssize_t)pieces[0].iov_len));
        write_all(&c, &queue);
        assert_int_equal(got_length, expected_length);
        end(&c, &queue);
    }
}

static void a_batch_sends_what_a_transport_would(void **state)
{
    static const ws_batch_operations operations = {.offer = offer, .taken = taken};

    (void)state;
    for (int which = 0; which < 4; which++) {
        ws_batch *batch = ws_batch_create(&operations, which & 1);
        ws_source source = {0};
        connection c;
        ws_queue queue;

        fault_at = 0;
        begin(&c, &queue, which & 2);
        in_batch = &c;
        queue_in_batch = &queue;
        batch_broke = false;
        put(&queue, '1', 100);
        put(&queue, 'L', LARGE);
        put(&queue, '2', 100);
        for (int i = 0; i < 10000 && got_length < expected_length; i++) {
            if (c.transport->blocked) {
                assert_true(ws_transport_push(c.transport));
            }
            ws_batch_add(batch, &source);
            ws_batch_send(batch);
            receive(&c);
        }
        assert_false(batch_broke);
        assert_int_equal(got_length, expected_length);
        end(&c, &queue);
        ws_batch_destroy(batch);
    }
}

/*
 * mod_ssl keeps its reference until the connection is freed, long after the session: whatever it
 * does with the SSL object then, the wire's memory is not looked at.
 */
static void what_mod_ssl_keeps_does_not_reach_the_wire(void **state)
{
    int ends[2];
    connection c;
    ws_queue queue;
    SSL *kept;
    char byte;

    (void)state;
    fault_at = 0;
    begin(&c, &queue, true);
    kept = c.transport->tls.ssl;
    SSL_up_ref(kept);
    end(&c, &queue);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    c.transport->wire = (ws_wire){.fd = ends[0], .reads = true, .writes = true};
    assert_true(SSL_shutdown(kept) < 0);
    assert_true(SSL_read(kept, &byte, 1) <= 0);
    assert_int_equal(BIO_eof(SSL_get_rbio(kept)), 1);
    assert_true(__real_recv(ends[1], &byte, 1, 0) < 0);
    assert_int_equal(errno, EAGAIN);
    SSL_free(kept);
    close(ends[0]);
    close(ends[1]);
}

/* Of a long message the wire keeps a record at a time, however much of it waits. */
static void what_the_socket_has_not_taken_is_bounded(void **state)
{
    connection c;
    ws_queue queue;
    size_t most = 0;

    (void)state;
    fault_at = 0;
    begin(&c, &queue, true);
    put(&queue, 'L', LARGE);
    for (int i = 0; i < 10; i++) {
        assert_true(ws_transport_write(c.transport, &queue)); /* and nobody reads */
        most = c.transport->wire.unsent_length > most ? c.transport->wire.unsent_length : most;
    }
    assert_true(c.transport->blocked);
    assert_in_range(most, 1, 16384 + 256); /* a record, with what is around it */
    assert_true(queue.bytes > LARGE / 2);
    write_all(&c, &queue);
    assert_int_equal(got_length, expected_length);
    end(&c, &queue);
}

static int setup(void **state)
{
    (void)state;
    tls_pair_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_to_a_socket),
        cmocka_unit_test(writing_tls),
        cmocka_unit_test(every_read_fails_in_turn),
        cmocka_unit_test(a_reader_that_wants_no_more_gets_no_more),
        cmocka_unit_test(a_read_through_filters_is_bounded),
        cmocka_unit_test(a_connection_that_breaks_under_its_reader_stays_usable),
        cmocka_unit_test(leaving_and_the_end_of_a_connection),
        cmocka_unit_test(what_is_offered_is_not_overtaken),
        cmocka_unit_test(a_batch_sends_what_a_transport_would),
        cmocka_unit_test(what_mod_ssl_keeps_does_not_reach_the_wire),
        cmocka_unit_test(what_the_socket_has_not_taken_is_bounded),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
