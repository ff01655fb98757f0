/*
 * Batches (src/session/batch.h): what arrives, and what the owner of each parcel is told, whether
 * io_uring sends or, where the kernel refuses that in the middle, send(). The linker leads the
 * calls of liburing here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/batch.h"

#include <errno.h>
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#define PARCELS 64

int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);

static bool no_ring;       /* as where kernel.io_uring_disabled is set */
static int refuse_after;   /* calls that still go well; -1: all do */
static unsigned submitted; /* calls that went well */

int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    return no_ring ? -EPERM : __real_io_uring_queue_init(entries, ring, flags);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
    if (refuse_after == 0) {
        return -EBUSY;
    }
    if (refuse_after > 0) {
        refuse_after--;
    }
    submitted++;
    return __real_io_uring_submit_and_wait(ring, wait_nr);
}

/* ---- sockets and their owners ---- */

typedef struct owner {
    int near, far;
    unsigned told;
    ssize_t sent;
} owner;

static ws_batch *batch;
static owner owners[PARCELS];
static unsigned told; /* in all */
static owner *last_told;
static void (*on_told)(owner *o);

static void sent(const ws_parcel *parcel)
{
    owner *o = parcel->owner;

    assert_int_equal(parcel->fd, o->near);
    o->told++;
    o->sent = parcel->sent;
    told++;
    last_told = o;
    if (on_told) {
        on_told(o);
    }
}

static int open_sockets(void **state)
{
    (void)state;
    no_ring = false;
    refuse_after = -1;
    submitted = told = 0;
    on_told = NULL;
    for (unsigned i = 0; i < PARCELS; i++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        owners[i] = (owner){.near = pair[0], .far = pair[1]};
    }
    batch = ws_batch_create(sent);
    return 0;
}

static int close_sockets(void **state)
{
    (void)state;
    ws_batch_destroy(batch);
    for (unsigned i = 0; i < PARCELS; i++) {
        close(owners[i].near);
        if (owners[i].far >= 0) {
            close(owners[i].far);
        }
    }
    return 0;
}

/* A container may refuse io_uring: then there is nothing to test here but that. */
static void need_ring(void)
{
    if (!batch) {
        skip();
    }
}

static ws_outgoing *message(const char *text)
{
    return ws_outgoing_create(WS_TEXT, text, strlen(text), NULL, 0);
}

static void add(unsigned i, const char *text)
{
    ws_outgoing *outgoing = message(text);

    ws_batch_add(batch, &owners[i], owners[i].near, outgoing);
    ws_outgoing_release(outgoing); /* the batch has its own reference */
}

static void expect_bytes(unsigned i, const char *bytes, size_t length)
{
    char room[256];

    assert_int_equal(recv(owners[i].far, room, sizeof(room), MSG_DONTWAIT), length);
    assert_memory_equal(room, bytes, length);
}

static void expect_frame(unsigned i, const char *text)
{
    char frame[256] = {(char)0x81, (char)strlen(text)};

    strcpy(frame + 2, text);
    expect_bytes(i, frame, 2 + strlen(text));
}

/* Until the socket takes no more. */
static void fill(unsigned i)
{
    static char much[65536];

    while (send(owners[i].near, much, sizeof(much), MSG_DONTWAIT) > 0) {
    }
}

/* ---- tests ---- */

static void each_socket_gets_its_message(void **state)
{
    char text[16];

    (void)state;
    need_ring();
    for (unsigned i = 0; i < PARCELS; i++) {
        assert_true(ws_batch_has_room(batch, 0));
        snprintf(text, sizeof(text), "for %u", i);
        add(i, text);
    }
    assert_false(ws_batch_has_room(batch, 0));
    assert_int_equal(told, 0);
    ws_batch_send(batch);
    assert_int_equal(submitted, 1); /* one system call */
    assert_int_equal(told, PARCELS);
    for (unsigned i = 0; i < PARCELS; i++) {
        snprintf(text, sizeof(text), "for %u", i);
        assert_int_equal(owners[i].sent, 2 + strlen(text));
        expect_frame(i, text);
    }
    assert_true(ws_batch_has_room(batch, 0));
    ws_batch_send(batch); /* an empty one */
    assert_int_equal(told, PARCELS);
}

static owner *expected;

static void expect_next(owner *o)
{
    assert_ptr_equal(o, expected);
    expected++;
}

static void owners_are_told_in_order(void **state)
{
    (void)state;
    need_ring();
    expected = owners;
    on_told = expect_next;
    for (unsigned i = 0; i < PARCELS; i++) {
        add(i, "x");
    }
    ws_batch_send(batch);
    assert_ptr_equal(expected, owners + PARCELS);
}

static void a_full_socket_holds_up_nobody(void **state)
{
    (void)state;
    need_ring();
    fill(1);
    for (unsigned i = 0; i < 3; i++) {
        add(i, "hello");
    }
    ws_batch_send(batch);
    assert_int_equal(owners[1].sent, -EAGAIN);
    expect_frame(0, "hello");
    expect_frame(2, "hello");
}

static void a_part_is_told_as_a_part(void **state)
{
    static char much[4 << 20];
    ws_outgoing *outgoing = ws_outgoing_create(WS_BINARY, much, sizeof(much), NULL, 0);

    (void)state;
    if (batch) {
        ws_batch_add(batch, &owners[0], owners[0].near, outgoing);
        ws_batch_send(batch);
        assert_in_range(owners[0].sent, 1, sizeof(much) - 1);
    }
    ws_outgoing_release(outgoing);
    need_ring();
}

static void a_peer_that_has_gone_kills_nobody(void **state)
{
    (void)state;
    need_ring();
    close(owners[1].far);
    owners[1].far = -1;
    for (unsigned i = 0; i < 3; i++) {
        add(i, "hello");
    }
    ws_batch_send(batch); /* no SIGPIPE */
    assert_int_equal(owners[1].sent, -EPIPE);
    expect_frame(2, "hello");
}

static void copies_of_one_owner_go_together(void **state)
{
    char text[] = "abc";

    (void)state;
    need_ring();
    ws_batch_add_copy(batch, &owners[0], owners[0].near, text, 3);
    memset(text, 'x', 3);
    ws_batch_add_copy(batch, &owners[0], owners[0].near, "def", 3);
    ws_batch_add_copy(batch, &owners[1], owners[1].near, "ghi", 3);
    ws_batch_send(batch);
    assert_int_equal(told, 2);
    assert_int_equal(owners[0].sent, 6);
    expect_bytes(0, "abcdef", 6);
    expect_bytes(1, "ghi", 3);
}

static void copies_have_bounded_room(void **state)
{
    static char much[4096];
    unsigned n = 0;

    (void)state;
    need_ring();
    for (; n < PARCELS && ws_batch_has_room(batch, sizeof(much)); n++) {
        ws_batch_add_copy(batch, &owners[n], owners[n].near, much, sizeof(much));
    }
    assert_in_range(n, 8, PARCELS - 1);
    ws_batch_send(batch);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(owners[i].sent, sizeof(much));
    }
    assert_true(ws_batch_has_room(batch, sizeof(much)));
}

static void send_on_third(owner *o)
{
    if (o == &owners[2]) {
        on_told = NULL;
        assert_false(ws_batch_has_room(batch, 0));
        ws_batch_send(batch); /* as one that another has to do with */
        assert_ptr_equal(last_told, &owners[9]);
        assert_true(ws_batch_has_room(batch, 0));
        add(10, "from within");
    }
}

static void who_is_told_may_send_the_batch(void **state)
{
    (void)state;
    need_ring();
    on_told = send_on_third;
    for (unsigned i = 0; i < 10; i++) {
        add(i, "x");
    }
    ws_batch_send(batch);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(owners[i].told, 1);
    }
    assert_int_equal(owners[10].told, 0);
    ws_batch_send(batch);
    assert_int_equal(owners[10].told, 1);
    expect_frame(10, "from within");
}

static void where_the_kernel_refuses_it_is_sent_all_the_same(void **state)
{
    (void)state;
    need_ring();
    refuse_after = 1;
    for (int time = 0; time < 3; time++) {
        fill(1);
        for (unsigned i = 0; i < 3; i++) {
            add(i, "hello");
        }
        ws_batch_send(batch);
        assert_int_equal(owners[0].sent, 7);
        assert_int_equal(owners[1].sent, -EAGAIN);
        expect_frame(0, "hello");
        expect_frame(2, "hello");
    }
    assert_int_equal(told, 9);
    assert_int_equal(submitted, 1);
}

static void without_io_uring_there_is_no_batch(void **state)
{
    (void)state;
    no_ring = true;
    assert_null(ws_batch_create(sent));
    ws_batch_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_sockets, close_sockets)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_socket_gets_its_message),
        TEST(owners_are_told_in_order),
        TEST(a_full_socket_holds_up_nobody),
        TEST(a_part_is_told_as_a_part),
        TEST(a_peer_that_has_gone_kills_nobody),
        TEST(copies_of_one_owner_go_together),
        TEST(copies_have_bounded_room),
        TEST(who_is_told_may_send_the_batch),
        TEST(where_the_kernel_refuses_it_is_sent_all_the_same),
        TEST(without_io_uring_there_is_no_batch),
    };

    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
