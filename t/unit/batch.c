/*
 * Batches (src/session/batch.h): what arrives, and what each source is told. Each test runs twice:
 * with io_uring, where the build and the kernel have it, and with send(). The linker leads the
 * calls of liburing, send() and sendmsg() here, so that the kernel refuses when a test wants it.
 */
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/container.h"
#include "session/batch.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define WRITERS    200
#define GROUP      64 /* what batch.c sends together at most */
#define MOST_BYTES (4 << 20)

/* ---- the kernel, which may refuse ---- */

static unsigned submitted; /* calls of io_uring that went well */
static unsigned sent;      /* calls of send() and sendmsg() */
static int interrupt;      /* calls of these that a signal interrupts */

ssize_t __real_send(int fd, const void *data, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

static bool is_interrupted(void)
{
    sent++;
    if (interrupt > 0) {
        interrupt--;
        errno = EINTR;
        return true;
    }
    return false;
}

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags)
{
    return is_interrupted() ? -1 : __real_send(fd, data, length, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return is_interrupted() ? -1 : __real_sendmsg(fd, message, flags);
}

#ifdef HAVE_LIBURING
#include <liburing.h>

static bool no_ring;     /* as where kernel.io_uring_disabled is set */
static int refuse_after; /* calls that still go well; -1: all do */
static int refuse_with;  /* a negative errno */
static bool refuse_late; /* the call does its work and reports an error all the same */
static int refusals;     /* calls that are refused; -1: all later ones */

int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr);

int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    return no_ring ? -EPERM : __real_io_uring_queue_init(entries, ring, flags);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
    if (refuse_after == 0 && refusals != 0) {
        refusals -= refusals > 0;
        if (refuse_late) {
            __real_io_uring_submit_and_wait(ring, wait_nr);
        }
        return refuse_with;
    }
    refuse_after -= refuse_after > 0;
    submitted++;
    return __real_io_uring_submit_and_wait(ring, wait_nr);
}

static void allow_all(void)
{
    no_ring = refuse_late = false;
    refuse_after = refusals = -1;
    refuse_with = -EBUSY;
}

#else

static void allow_all(void)
{
}

#endif

/* ---- sources ---- */

#define MOST_PIECES 16

typedef struct writer {
    ws_source source;
    int near, far;
    struct iovec pieces[MOST_PIECES]; /* what it has */
    int count;                        /* of them, or a negative errno */
    unsigned asked, told;
    size_t offered; /* when last told */
    ssize_t taken;
} writer;

static ws_batch *batch;
static writer writers[WRITERS];
static unsigned asked, told; /* in all */
static bool telling;         /* a group is being told: none of it may be asked then */
static unsigned in_group;    /* asked and not told */

static int offer(ws_source *source, int *fd, struct iovec *pieces, int most)
{
    writer *w = container_of(source, writer, source);

    assert_in_range(most, 1, INT16_MAX);
    assert_null(source->next); /* it is out of the batch, and may be added again afterwards */
    assert_true(in_group == 0 || !telling);
    telling = false;
    w->asked++;
    asked++;
    *fd = w->near;
    if (w->count <= 0) {
        in_group += w->count < 0;
        return w->count;
    }
    in_group++;
    assert_true(w->count <= most);
    memcpy(pieces, w->pieces, (size_t)w->count * sizeof *pieces);
    return w->count;
}

static void taken(ws_source *source, size_t offered, ssize_t n)
{
    writer *w = container_of(source, writer, source);

    assert_int_equal(w->asked, w->told + 1); /* each question is answered once */
    telling = true;
    in_group--;
    w->told++;
    told++;
    w->offered = offered;
    w->taken = n;
}

static const ws_batch_operations operations = {.offer = offer, .taken = taken};

static void open_writers(bool io_uring)
{
    allow_all();
    submitted = sent = asked = told = in_group = 0;
    telling = false;
    interrupt = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        writers[i] = (writer){.near = pair[0], .far = pair[1]};
    }
    batch = ws_batch_create(&operations, io_uring);
    assert_non_null(batch);
}

static int open_with_io_uring(void **state)
{
    (void)state;
    open_writers(true);
    return 0;
}

static int open_with_send(void **state)
{
    (void)state;
    open_writers(false);
    assert_false(ws_batch_uses_io_uring(batch));
    return 0;
}

static int close_writers(void **state)
{
    (void)state;
    ws_batch_destroy(batch);
    assert_int_equal(in_group, 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_null(writers[i].source.next);
        close(writers[i].near);
        if (writers[i].far >= 0) {
            close(writers[i].far);
        }
    }
    return 0;
}

/* Gives a writer one piece, which must stay where it is. */
static void give(unsigned i, const char *text)
{
    writers[i].pieces[0] = (struct iovec){.iov_base = (char *)text, .iov_len = strlen(text)};
    writers[i].count = 1;
}

static void add(unsigned i, const char *text)
{
    give(i, text);
    ws_batch_add(batch, &writers[i].source);
}

static void add_range(unsigned from, unsigned to, const char *text)
{
    for (unsigned i = from; i < to; i++) {
        add(i, text);
    }
}

static void expect_arrived(unsigned i, const char *text)
{
    char room[4096];

    assert_int_equal(recv(writers[i].far, room, sizeof room, MSG_DONTWAIT), strlen(text));
    assert_memory_equal(room, text, strlen(text));
}

static void expect_nothing(unsigned i)
{
    char room[16];

    assert_int_equal(recv(writers[i].far, room, sizeof room, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* A writer was told that the socket took all that it had, and it has arrived. */
static void expect_sent(unsigned i, const char *text)
{
    assert_int_equal(writers[i].told, 1);
    assert_int_equal(writers[i].offered, strlen(text));
    assert_int_equal(writers[i].taken, strlen(text));
    expect_arrived(i, text);
}

/* Until the socket takes no more. */
static void fill(unsigned i)
{
    static char much[65536];

    while (__real_send(writers[i].near, much, sizeof much, MSG_DONTWAIT) > 0) {
    }
}

static void gone(unsigned i)
{
    close(writers[i].far);
    writers[i].far = -1;
}

/* ---- what arrives ---- */

static void each_socket_gets_its_bytes(void **state)
{
    static char texts[WRITERS][16];

    (void)state;
    for (unsigned i = 0; i < WRITERS; i++) {
        snprintf(texts[i], sizeof texts[i], "for %u", i);
        add(i, texts[i]);
    }
    assert_int_equal(asked, 0); /* not before it is sent */
    ws_batch_send(batch);
    assert_int_equal(told, WRITERS);
    for (unsigned i = 0; i < WRITERS; i++) {
        expect_sent(i, texts[i]);
        expect_nothing(i);
    }
    if (ws_batch_uses_io_uring(batch)) {
        assert_int_equal(submitted, (WRITERS + GROUP - 1) / GROUP); /* system calls */
        assert_int_equal(sent, 0);
    } else {
        assert_int_equal(sent, WRITERS);
    }
    ws_batch_send(batch); /* an empty one */
    assert_int_equal(told, WRITERS);
}

static void pieces_arrive_in_order(void **state)
{
    static char bytes[WRITERS][MOST_PIECES * MOST_PIECES];
    char room[sizeof bytes[0]];

    (void)state;
    for (unsigned i = 0; i < WRITERS; i++) {
        const int count = (int)i % MOST_PIECES + 1;
        char *at = bytes[i];

        for (int j = 0; j < count; j++) {
            const size_t length = (i + (unsigned)j) % MOST_PIECES + 1;

            memset(at, 'a' + j, length);
            writers[i].pieces[j] = (struct iovec){.iov_base = at, .iov_len = length};
            at += length;
        }
        writers[i].count = count;
        writers[i].offered = (size_t)(at - bytes[i]); /* which taken() overwrites */
        ws_batch_add(batch, &writers[i].source);
    }
    ws_batch_send(batch);
    for (unsigned i = 0; i < WRITERS; i++) {
        const size_t length = writers[i].offered;

        assert_int_equal(writers[i].taken, length);
        assert_int_equal(recv(writers[i].far, room, sizeof room, MSG_DONTWAIT), length);
        assert_memory_equal(room, bytes[i], length);
    }
    assert_int_equal(told, WRITERS);
}

static void a_full_socket_holds_up_no_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WRITERS; i += 3) {
        fill(i);
    }
    add_range(0, WRITERS, "hello");
    ws_batch_send(batch);
    for (unsigned i = 0; i < WRITERS; i++) {
        if (i % 3 == 0) {
            assert_int_equal(writers[i].told, 1);
            assert_int_equal(writers[i].taken, -EAGAIN);
        } else {
            expect_sent(i, "hello");
        }
    }
}

static void a_part_is_told_as_a_part(void **state)
{
    static char much[MOST_BYTES];
    static char room[sizeof much];
    size_t arrived = 0;
    ssize_t n;

    (void)state;
    for (size_t i = 0; i < sizeof much; i++) {
        much[i] = (char)(i * 31 + i / 256);
    }
    writers[0].pieces[0] = (struct iovec){.iov_base = much, .iov_len = 5};
    writers[0].pieces[1] = (struct iovec){.iov_base = much + 5, .iov_len = sizeof much - 5};
    writers[0].count = 2;
    ws_batch_add(batch, &writers[0].source);
    add(1, "hello");
    ws_batch_send(batch);
    assert_int_equal(writers[0].offered, sizeof much);
    assert_in_range(writers[0].taken, 1, sizeof much - 1);
    while ((n = recv(writers[0].far, room + arrived, sizeof room - arrived, MSG_DONTWAIT)) > 0) {
        arrived += (size_t)n;
    }
    assert_int_equal(arrived, writers[0].taken);
    assert_memory_equal(room, much, arrived);
    expect_sent(1, "hello");
}

static void a_peer_that_has_gone_kills_no_one(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WRITERS; i += 7) {
        gone(i);
    }
    add_range(0, WRITERS, "hello");
    ws_batch_send(batch); /* no SIGPIPE */
    for (unsigned i = 0; i < WRITERS; i++) {
        if (i % 7 == 0) {
            assert_int_equal(writers[i].told, 1);
            assert_int_equal(writers[i].taken, -EPIPE);
        } else {
            expect_sent(i, "hello");
        }
    }
}

static void a_descriptor_that_is_none_is_told_as_such(void **state)
{
    (void)state;
    add_range(0, 3, "hello");
    close(writers[1].near);
    ws_batch_send(batch);
    assert_int_equal(writers[1].taken, -EBADF);
    expect_sent(0, "hello");
    expect_sent(2, "hello");
    writers[1].near = dup(writers[0].near); /* which close_writers() closes */
}

/* ---- what is asked ---- */

static unsigned expected[WRITERS], n_expected;

static int offer_in_order(ws_source *source, int *fd, struct iovec *pieces, int most)
{
    const writer *w = container_of(source, writer, source);

    assert_in_range(asked, 0, n_expected - 1);
    assert_ptr_equal(w, &writers[expected[asked]]);
    return offer(source, fd, pieces, most);
}

static void taken_in_order(ws_source *source, size_t offered, ssize_t n)
{
    const writer *w = container_of(source, writer, source);

    assert_ptr_equal(w, &writers[expected[told]]);
    taken(source, offered, n);
}

static void in_the_order_in_which_they_were_added(void **state)
{
    static const ws_batch_operations in_order = {.offer = offer_in_order, .taken = taken_in_order};
    const bool io_uring = ws_batch_uses_io_uring(batch);

    (void)state;
    ws_batch_destroy(batch);
    batch = ws_batch_create(&in_order, io_uring);
    n_expected = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        const unsigned number = (i * 77) % WRITERS; /* each once */

        add(number, "hello");
        ws_batch_add(batch, &writers[number / 2].source); /* perhaps again, perhaps already */
        for (unsigned j = 0; j < 2; j++) {
            const unsigned added = j == 0 ? number : number / 2;
            bool known = false;

            for (unsigned k = 0; k < n_expected; k++) {
                known = known || expected[k] == added;
            }
            if (!known) {
                give(added, "hello");
                expected[n_expected++] = added;
            }
        }
    }
    ws_batch_send(batch);
    assert_int_equal(told, WRITERS);
    assert_int_equal(n_expected, WRITERS);
}

static void a_source_that_was_removed_is_not_asked(void **state)
{
    static const unsigned removed[] = {0, 1, 63, 64, 100, WRITERS - 1};

    (void)state;
    add_range(0, WRITERS, "hello");
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        ws_batch_remove(&writers[removed[i]].source);
        ws_batch_remove(&writers[removed[i]].source); /* in no batch: nothing happens */
    }
    ws_batch_send(batch);
    assert_int_equal(asked, WRITERS - sizeof removed / sizeof *removed);
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        assert_int_equal(writers[removed[i]].asked, 0);
        expect_nothing(removed[i]);
    }
    expect_sent(2, "hello");
    add(0, "again");
    ws_batch_send(batch);
    expect_sent(0, "again");
}

static void a_source_that_was_removed_and_added_again_is_the_last(void **state)
{
    (void)state;
    add_range(0, 3, "hello");
    ws_batch_remove(&writers[0].source);
    ws_batch_add(batch, &writers[0].source);
    assert_ptr_equal(writers[2].source.next, &writers[0].source);
    ws_batch_send(batch);
    assert_int_equal(told, 3);
}

static void bytes_are_those_of_the_moment_of_sending(void **state)
{
    (void)state;
    add(0, "when it was added");
    add(1, "hello");
    give(0, "when it was sent");
    ws_batch_send(batch);
    expect_sent(0, "when it was sent");
}

static void a_source_that_has_nothing_is_told_nothing(void **state)
{
    (void)state;
    add_range(0, WRITERS, "hello");
    for (unsigned i = 0; i < WRITERS; i += 2) {
        writers[i].count = 0;
    }
    ws_batch_send(batch);
    assert_int_equal(asked, WRITERS);
    assert_int_equal(told, WRITERS / 2);
    for (unsigned i = 0; i < WRITERS; i++) {
        if (i % 2 == 0) {
            expect_nothing(i);
        } else {
            expect_sent(i, "hello");
        }
    }
    for (unsigned i = 0; i < WRITERS; i += 2) {
        ws_batch_add(batch, &writers[i].source); /* none of them has anything */
    }
    ws_batch_send(batch);
    assert_int_equal(told, WRITERS / 2);
}

static void an_error_of_a_source_is_told_and_nothing_sent(void **state)
{
    (void)state;
    add_range(0, WRITERS, "hello");
    for (unsigned i = 0; i < WRITERS; i += 5) {
        writers[i].count = -EPROTO;
    }
    ws_batch_send(batch);
    assert_int_equal(told, WRITERS);
    for (unsigned i = 0; i < WRITERS; i++) {
        if (i % 5 == 0) {
            assert_int_equal(writers[i].taken, -EPROTO);
            assert_int_equal(writers[i].offered, 0);
            expect_nothing(i);
        } else {
            expect_sent(i, "hello");
        }
    }
}

static void a_batch_that_ends_lets_its_sources_go(void **state)
{
    (void)state;
    add_range(0, WRITERS, "hello"); /* the rest is close_writers()'s */
    ws_batch_destroy(NULL);
}

static void one_batch_serves_again_and_again(void **state)
{
    (void)state;
    for (unsigned time = 0; time < 50; time++) {
        add_range(0, 70, "hello");
        ws_batch_send(batch);
        for (unsigned i = 0; i < 70; i++) {
            assert_int_equal(writers[i].told, time + 1);
            expect_arrived(i, "hello");
        }
    }
}

/* ---- where the kernel refuses ---- */

static void a_signal_makes_no_difference(void **state)
{
    (void)state;
    interrupt = 5;
    add_range(0, 3, "hello");
    writers[1].pieces[1] = writers[1].pieces[0];
    writers[1].count = 2;
    ws_batch_send(batch);
    expect_sent(0, "hello");
    expect_sent(1, "hellohello");
    expect_sent(2, "hello");
}

#ifdef HAVE_LIBURING

/* Skips the test where the kernel forbids io_uring, as a container's may; never returns then. */
static void needs_ring(void)
{
    if (!ws_batch_uses_io_uring(batch)) {
        skip();
    }
}

static void without_io_uring_it_sends_all_the_same(void **state)
{
    (void)state;
    ws_batch_destroy(batch);
    no_ring = true;
    batch = ws_batch_create(&operations, true);
    assert_false(ws_batch_uses_io_uring(batch));
    add_range(0, WRITERS, "hello");
    ws_batch_send(batch);
    for (unsigned i = 0; i < WRITERS; i++) {
        expect_sent(i, "hello");
    }
    assert_int_equal(submitted, 0);
    assert_int_equal(sent, WRITERS);
}

static void expect_hello_once(void)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        if (i % 9 == 0) {
            assert_int_equal(writers[i].taken, -EAGAIN);
        } else {
            assert_int_equal(writers[i].taken, 5);
            expect_arrived(i, "hello");
            expect_nothing(i);
        }
    }
}

/* It refuses from its first, second ... call on: nothing is lost, nothing arrives twice. */
static void where_io_uring_fails_in_the_middle_nothing_is_lost(void **state)
{
    (void)state;
    needs_ring();
    for (unsigned i = 0; i < WRITERS; i += 9) {
        fill(i);
    }
    for (int after = 0; after < 6; after++) {
        submitted = sent = told = 0;
        refuse_after = after;
        for (int time = 0; time < 2; time++) {
            add_range(0, WRITERS, "hello");
            ws_batch_send(batch);
            expect_hello_once();
        }
        assert_int_equal(told, 2 * WRITERS);
        assert_int_equal(submitted, after);
        assert_true(sent > 0);
        assert_false(ws_batch_uses_io_uring(batch)); /* given up for good */
        ws_batch_destroy(batch);
        batch = ws_batch_create(&operations, true);
    }
}

static void an_error_after_the_work_sends_nothing_twice(void **state)
{
    (void)state;
    needs_ring();
    refuse_after = 1;
    refuse_late = true;
    add_range(0, WRITERS, "hello");
    ws_batch_send(batch);
    for (unsigned i = 0; i < WRITERS; i++) {
        expect_sent(i, "hello");
        expect_nothing(i);
    }
    assert_int_equal(told, WRITERS);
}

static void io_uring_survives_a_signal(void **state)
{
    (void)state;
    needs_ring();
    refuse_after = 0;
    refuse_with = -EINTR;
    refusals = 3;
    add_range(0, WRITERS, "hello");
    ws_batch_send(batch);
    for (unsigned i = 0; i < WRITERS; i++) {
        expect_sent(i, "hello");
        expect_nothing(i);
    }
    assert_true(ws_batch_uses_io_uring(batch));
    assert_int_equal(sent, 0);
}

#define RING_TEST(name)                                                                            \
    {                                                                                              \
        #name, name, open_with_io_uring, close_writers, NULL                                       \
    }
#define RING_TESTS                                                                                 \
    RING_TEST(where_io_uring_fails_in_the_middle_nothing_is_lost),                                 \
        RING_TEST(an_error_after_the_work_sends_nothing_twice),                                    \
        RING_TEST(io_uring_survives_a_signal)

#else

static void without_io_uring_it_sends_all_the_same(void **state)
{
    (void)state;
    ws_batch_destroy(batch);
    batch = ws_batch_create(&operations, true);
    assert_false(ws_batch_uses_io_uring(batch));
    add_range(0, WRITERS, "hello");
    ws_batch_send(batch);
    assert_int_equal(sent, WRITERS);
}

#define RING_TESTS

#endif

#define TEST(name)                                                                                 \
    {#name ", io_uring", name, open_with_io_uring, close_writers, NULL},                           \
    {                                                                                              \
        #name ", send", name, open_with_send, close_writers, NULL                                  \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(each_socket_gets_its_bytes),
                                       TEST(pieces_arrive_in_order),
                                       TEST(a_full_socket_holds_up_no_other),
                                       TEST(a_part_is_told_as_a_part),
                                       TEST(a_peer_that_has_gone_kills_no_one),
                                       TEST(a_descriptor_that_is_none_is_told_as_such),
                                       TEST(in_the_order_in_which_they_were_added),
                                       TEST(a_source_that_was_removed_is_not_asked),
                                       TEST(a_source_that_was_removed_and_added_again_is_the_last),
                                       TEST(bytes_are_those_of_the_moment_of_sending),
                                       TEST(a_source_that_has_nothing_is_told_nothing),
                                       TEST(an_error_of_a_source_is_told_and_nothing_sent),
                                       TEST(a_batch_that_ends_lets_its_sources_go),
                                       TEST(one_batch_serves_again_and_again),
                                       TEST(a_signal_makes_no_difference),
                                       TEST(without_io_uring_it_sends_all_the_same),
                                       RING_TESTS};

    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
