/* The hub's heartbeat, and its guardian's looks at it (src/link/heartbeat.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/container.h"
#include "link/heartbeat.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

/* ---- the clock: the linker leads the loop here ---- */

static int64_t own_us = 3600 * INT64_C(1000000);

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    (void)id;
    t->tv_sec = (time_t)(own_us / 1000000);
    t->tv_nsec = (long)(own_us % 1000000) * 1000;
    return 0;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds)
{
    (void)epoll;
    (void)events;
    (void)most;
    assert_true(milliseconds >= 0);
    own_us += milliseconds * INT64_C(1000);
    return 0;
}

typedef struct bench {
    heartbeat heartbeat;
    heart heart;
    ws_loop *loop;
    ws_timer end;
} bench;

static void stop(ws_timer *timer)
{
    ws_loop_quit(container_of(timer, bench, end)->loop);
}

static int make(void **state)
{
    static bench b;

    b = (bench){.loop = ws_loop_create(), .end = {.expired = stop}};
    *state = &b;
    assert_true(heartbeat_create(&b.heartbeat));
    heartbeat_reset(&b.heartbeat);
    return b.loop ? 0 : -1;
}

static int destroy(void **state)
{
    bench *b = *state;

    ws_loop_destroy(b->loop);
    munmap(b->heartbeat.beats, sizeof *b->heartbeat.beats);
    return 0;
}

/* The hub's loop runs for this time. */
static void run(bench *b, int64_t milliseconds)
{
    ws_timer_set(b->loop, &b->end, milliseconds);
    ws_loop_run(b->loop, NULL, NULL);
}

static void a_loop_that_runs_is_heard(void **state)
{
    bench *b = *state;

    heart_start(&b->heart, b->loop, &b->heartbeat);
    for (int i = 0; i < 100; i++) {
        run(b, 1000);
        assert_int_equal(heartbeat_look(&b->heartbeat), 0);
    }
    assert_true(heartbeat_has_begun(&b->heartbeat));
    heart_stop(&b->heart);
    run(b, 5000);
    assert_int_equal(heartbeat_look(&b->heartbeat), 1);
}

static void a_loop_that_hangs_is_silent_look_by_look(void **state)
{
    bench *b = *state;

    heart_start(&b->heart, b->loop, &b->heartbeat);
    run(b, 1000);
    assert_int_equal(heartbeat_look(&b->heartbeat), 0);
    for (unsigned i = 1; i <= 9; i++) {
        own_us += 3600 * INT64_C(1000000); /* how long there was no look does not count */
        assert_int_equal(heartbeat_look(&b->heartbeat), i);
    }
    run(b, 1000);
    assert_int_equal(heartbeat_look(&b->heartbeat), 0);
    heart_stop(&b->heart);
}

static void a_hub_that_starts_has_not_begun(void **state)
{
    bench *b = *state;

    heart_start(&b->heart, b->loop, &b->heartbeat);
    run(b, 1000);
    heart_stop(&b->heart);
    heartbeat_look(&b->heartbeat);
    heartbeat_reset(&b->heartbeat); /* it died; the next one starts */
    assert_int_equal(heartbeat_look(&b->heartbeat), 1);
    assert_false(heartbeat_has_begun(&b->heartbeat));
}

#define HEARTBEAT_TEST(function) cmocka_unit_test_setup_teardown(function, make, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEARTBEAT_TEST(a_loop_that_runs_is_heard),
        HEARTBEAT_TEST(a_loop_that_hangs_is_silent_look_by_look),
        HEARTBEAT_TEST(a_hub_that_starts_has_not_begun),
    };

    return cmocka_run_group_tests_name("the hub's heartbeat", tests, NULL, NULL);
}
