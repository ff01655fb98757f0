/* What waits for one end of a link (src/link/outbox.h): in order; of publications, the newest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "link/envelope.h"
#include "link/outbox.h"

#include <sys/socket.h>
#include <unistd.h>

typedef struct bench {
    outbox box;
    int fds[2];
    talk_text envelope;
    talk_text got; /* what has been read so far */
} bench;

static int make(void **state)
{
    static bench b;

    b = (bench){0};
    *state = &b;
    return socketpair(AF_UNIX, SOCK_STREAM, 0, b.fds);
}

static int destroy(void **state)
{
    bench *b = *state;

    outbox_clear(&b->box);
    talk_text_free(&b->envelope);
    talk_text_free(&b->got);
    close(b->fds[0]);
    close(b->fds[1]);
    return 0;
}

static void reply(bench *b, unsigned number, const char *message)
{
    talk_text_clear(&b->envelope);
    envelope_write_reply(&b->envelope, number, true);
    outbox_add(&b->box, &b->envelope, message, strlen(message));
}

static void publish(bench *b, const char *node, const char *message)
{
    talk_text_clear(&b->envelope);
    envelope_write_publication(&b->envelope, 0, node);
    outbox_publish(&b->box, &b->envelope, message, strlen(message));
}

/* Replies until it is full. */
static unsigned fill(bench *b)
{
    unsigned n = 0;

    while (!outbox_is_full(&b->box)) {
        reply(b, ++n, "[\"thermometer/i2c0-48\", {\"temperature\": [21.50, \"C\"]}]\n");
    }
    return n;
}

/* Writes and reads until nothing waits; what came. */
static const char *drain(bench *b)
{
    outbox_result result;

    talk_text_clear(&b->got);
    talk_text_add(&b->got, "", 0);
    do {
        char bytes[4096];
        ssize_t n;

        result = outbox_write(&b->box, b->fds[0]);
        assert_int_not_equal(result, OUTBOX_BROKEN);
        while ((n = recv(b->fds[1], bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
            talk_text_add(&b->got, bytes, (size_t)n);
        }
    } while (result != OUTBOX_EMPTY);
    assert_int_equal(outbox_unsent(&b->box), 0);
    return b->got.data;
}

static void lines_go_in_order(void **state)
{
    bench *b = *state;

    reply(b, 1, "one\n");
    publish(b, "nodes/bridge/0", "[\"boot\", {}]\n");
    reply(b, 2, "two\n");
    assert_string_equal(drain(b), ". 1 one\n* 0 nodes/bridge/0 [\"boot\", {}]\n. 2 two\n");
    assert_true(b->box.passed == b->got.length);
}

static void of_publications_that_wait_the_newest_stays(void **state)
{
    bench *b = *state;
    const unsigned n = fill(b);
    char text[64];
    const char *tail;

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "[\"relay/i2c0-3b\", {\"n\": %u}]\n", i);
        publish(b, "nodes/bridge/0", text);
        publish(b, "nodes/bridge/1", text);
        publish(b, "nodes/bridge/0", "[\"relay/i2c0-3f\", {\"n\": 7}]\n");
        if (i == 500) {
            reply(b, n + 1, "[\"relay/i2c0-3b\", {\"n\": 500}]\n");
        }
    }
    assert_true(outbox_unsent(&b->box) < OUTBOX_BOUND + 1024);
    snprintf(text, sizeof text, ". %u [\"relay/i2c0-3b\", {\"n\": 500}]\n", n + 1);
    tail = strstr(drain(b), text);
    assert_non_null(tail);
    assert_string_equal(tail + strlen(text),
                        "* 0 nodes/bridge/0 [\"relay/i2c0-3b\", {\"n\": 999}]\n"
                        "* 0 nodes/bridge/1 [\"relay/i2c0-3b\", {\"n\": 999}]\n"
                        "* 0 nodes/bridge/0 [\"relay/i2c0-3f\", {\"n\": 7}]\n");
    /* Nothing else of the publications: before that reply is another. */
    assert_null(strstr(b->got.data, "* 0 nodes/bridge/0 [\"relay/i2c0-3b\", {\"n\": 998}]"));
    assert_true(tail > b->got.data && strchr(b->got.data, '*') > tail);
}

static void a_burst_leaves_no_memory_behind(void **state)
{
    bench *b = *state;
    static char message[1 << 20];

    memset(message, 'x', sizeof message - 2);
    message[sizeof message - 2] = '\n';
    reply(b, 1, message);
    assert_true(outbox_is_full(&b->box));
    drain(b);
    assert_true(b->box.bytes.capacity <= 2 * OUTBOX_BOUND);
}

static void a_lost_end_is_noticed(void **state)
{
    bench *b = *state;

    close(b->fds[1]);
    b->fds[1] = dup(b->fds[0]);
    reply(b, 1, "one\n");
    assert_int_equal(outbox_write(&b->box, b->fds[0]), OUTBOX_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_go_in_order, make, destroy),
        cmocka_unit_test_setup_teardown(of_publications_that_wait_the_newest_stays, make, destroy),
        cmocka_unit_test_setup_teardown(a_burst_leaves_no_memory_behind, make, destroy),
        cmocka_unit_test_setup_teardown(a_lost_end_is_noticed, make, destroy),
    };

    return cmocka_run_group_tests_name("what waits for one end of a link", tests, NULL, NULL);
}
