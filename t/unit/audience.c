/*
 * Audiences (src/session/audience.h): what each member is given, in which order, and how much in
 * one round of the loop. The loop is the test's own, so that it can look between two rounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/audience.h"

#define MANY         1000
#define IN_ONE_ROUND 64
#define OPERATIONS   200000

/* ---- a loop: one task at most ---- */

struct ws_loop {
    ws_task *task;
};

static ws_loop loop, other_loop;

void ws_loop_defer_late(ws_loop *l, ws_task *task)
{
    assert_true(l->task == NULL || l->task == task);
    l->task = task;
}

void ws_loop_cancel(ws_loop *l, ws_task *task)
{
    if (l->task == task) {
        l->task = NULL;
    }
}

/* False where there is nothing to do. */
static bool run_round(void)
{
    ws_task *task = loop.task;

    loop.task = NULL;
    if (task) {
        task->run(task);
    }
    return task != NULL;
}

static void run_all(void)
{
    unsigned rounds = 0;

    while (run_round()) {
        assert_true(++rounds < 10 * MANY); /* otherwise it goes round for ever */
    }
}

/* ---- members: each keeps the numbers that it was given ---- */

typedef struct reader {
    ws_seat seat;
    unsigned got, flushed; /* publications, and those behind which nothing followed */
    unsigned last;         /* the number of the last one */
    void (*on_delivery)(struct reader *reader);
} reader;

static ws_audience *audience;
static reader readers[MANY];
static unsigned given;     /* in all */
static unsigned published; /* the number of the last one */

static void deliver(ws_seat *seat, ws_outgoing *publication, bool last)
{
    reader *r = (reader *)seat;
    unsigned number;

    memcpy(&number, publication->frame + publication->header_length, sizeof(number));
    assert_true(number > r->last); /* in order, and never twice */
    r->last = number;
    r->got++;
    r->flushed += last;
    given++;
    if (r->on_delivery) {
        r->on_delivery(r);
    }
}

static unsigned pauses; /* of which one follows each time that something is given */

static void on_pause(void *baton)
{
    assert_ptr_equal(baton, &pauses);
    pauses++;
}

static void publish(const char *topic, reader *except)
{
    ws_outgoing *outgoing;

    published++;
    outgoing = ws_outgoing_create(WS_BINARY, &published, sizeof(published), topic,
                                  topic ? strlen(topic) : 0);
    ws_audience_publish(audience, outgoing, except ? &except->seat : NULL);
    ws_outgoing_release(outgoing);
}

static int open_audience(void **state)
{
    (void)state;
    memset(readers, 0, sizeof(readers));
    loop.task = NULL;
    given = published = 0;
    pauses = 0;
    audience = ws_audience_create(&loop, deliver, on_pause, &pauses);
    return 0;
}

static int close_audience(void **state)
{
    (void)state;
    ws_audience_destroy(audience);
    assert_null(loop.task);
    for (unsigned i = 0; i < MANY; i++) {
        assert_null(readers[i].seat.audience);
    }
    return 0;
}

static void join(unsigned readers_from, unsigned readers_to)
{
    for (unsigned i = readers_from; i < readers_to; i++) {
        ws_audience_join(audience, &readers[i].seat);
    }
}

static void expect_all(unsigned got, unsigned flushed)
{
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(readers[i].got, got);
        assert_int_equal(readers[i].flushed, flushed);
    }
}

/* ---- tests ---- */

static void some_in_each_round_until_all_have_it(void **state)
{
    (void)state;
    join(0, MANY);
    assert_int_equal(ws_audience_size(audience), MANY);
    publish(NULL, NULL);
    assert_int_equal(given, 0);
    for (unsigned had = 0; had < MANY; had = given) {
        assert_true(run_round());
        assert_in_range(given - had, 1, IN_ONE_ROUND);
    }
    assert_int_equal(pauses, (MANY + IN_ONE_ROUND - 1) / IN_ONE_ROUND);
    run_all();
    expect_all(1, 1);
    publish(NULL, NULL); /* and from a new start */
    run_all();
    expect_all(2, 2);
}

static void several_at_once_are_flushed_once(void **state)
{
    (void)state;
    join(0, MANY);
    for (int i = 0; i < 3; i++) {
        publish("temperature", NULL);
    }
    run_all();
    expect_all(3, 1);
}

static void publications_on_the_way_reach_everybody(void **state)
{
    (void)state;
    join(0, MANY);
    publish(NULL, NULL);
    for (int i = 0; i < 5; i++) {
        run_round();
        publish(NULL, NULL);
    }
    run_all();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(readers[i].got, 6);
    }
    assert_int_equal(readers[0].flushed,
                     2); /* it was first: the rest came with the next time round */
    assert_int_equal(readers[MANY - 1].flushed, 1); /* it waited for all of them */
}

static void who_joins_gets_what_comes_then(void **state)
{
    (void)state;
    join(0, MANY - 1);
    publish(NULL, NULL);
    run_round();
    join(MANY - 1, MANY);
    run_round();
    publish(NULL, NULL);
    run_all();
    assert_int_equal(readers[MANY - 1].got, 1);
    assert_int_equal(readers[MANY - 1].last, 2);
    assert_int_equal(readers[MANY - 2].got, 2);
    join(0, 1); /* who is in it already stays where it is */
    assert_int_equal(ws_audience_size(audience), MANY);
}

static void who_leaves_gets_no_more(void **state)
{
    (void)state;
    join(0, MANY);
    publish(NULL, NULL);
    run_round();
    for (unsigned i = 0; i < MANY; i += 2) {
        ws_audience_leave(&readers[i].seat);
    }
    assert_int_equal(ws_audience_size(audience), MANY / 2);
    run_all();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(readers[i].got, i % 2 == 1 || i < IN_ONE_ROUND);
    }
    for (unsigned i = 0; i < MANY; i++) {
        ws_audience_leave(&readers[i].seat); /* also who has left */
    }
    assert_int_equal(ws_audience_size(audience), 0);
    publish(NULL, NULL);
    assert_false(run_round());
    join(0, MANY);
    publish(NULL, NULL);
    run_all();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(readers[i].last, 3);
    }
}

static void all_but_one_get_it(void **state)
{
    reader stranger = {.got = 0};

    (void)state;
    join(0, MANY);
    publish(NULL, NULL);
    publish(NULL, &readers[500]);
    assert_int_equal(readers[500].got, 1); /* what was before comes first */
    assert_int_equal(readers[500].flushed, 1);
    publish(NULL, &stranger);
    run_all();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(readers[i].got, i == 500 ? 2 : 3);
    }
    assert_int_equal(stranger.got, 0);
    ws_audience_leave(&readers[7].seat); /* it has gone meanwhile */
    publish(NULL, &readers[7]);
    run_all();
    assert_int_equal(readers[7].got, 3);
}

static void one_catches_up_before_its_turn(void **state)
{
    reader stranger = {.got = 0};

    (void)state;
    ws_audience_catch_up(&stranger.seat);
    join(0, MANY);
    publish(NULL, NULL);
    publish(NULL, NULL);
    ws_audience_catch_up(&readers[900].seat);
    assert_int_equal(given, 2);
    assert_int_equal(pauses, 1);
    ws_audience_catch_up(&readers[900].seat);
    assert_int_equal(given, 2);
    assert_int_equal(pauses, 1);
    run_all();
    expect_all(2, 1);
}

static void a_newer_value_replaces_an_older_one_where_very_many_wait(void **state)
{
    (void)state;
    join(0, MANY);
    for (int i = 0; i < 500; i++) {
        publish("temperature", NULL);
        publish("humidity", NULL);
        if (i % 100 == 0) {
            publish(NULL, NULL);
        }
    }
    run_all();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(readers[i].last, published);
        assert_in_range(readers[i].got, 5 + 2, 100); /* all five that no topic replaces */
    }
}

static void few_that_wait_all_arrive(void **state)
{
    (void)state;
    join(0, MANY);
    for (int i = 0; i < 60; i++) {
        publish("push-button", NULL);
    }
    run_all();
    expect_all(60, 1);
}

static void leave_on_delivery(reader *r)
{
    ws_audience_leave(&r->seat);
    ws_audience_leave(&readers[(unsigned)(r - readers) ^ 1].seat);
    if (published < 20) {
        publish("gone", NULL);
    }
}

static void a_member_that_is_given_something_may_leave_and_publish(void **state)
{
    (void)state;
    join(0, MANY);
    for (unsigned i = 0; i < 10; i++) {
        readers[i].on_delivery = leave_on_delivery;
    }
    publish(NULL, NULL);
    publish(NULL, NULL);
    run_all();
    assert_int_equal(ws_audience_size(audience), MANY - 10);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(readers[i].got, i % 2 == 0); /* each of a pair takes the other along */
    }
    for (unsigned i = 10; i < MANY; i++) {
        assert_int_equal(readers[i].got, 7);
    }
}

static void an_audience_is_of_one_loop(void **state)
{
    ws_audience *other = ws_audience_create(&other_loop, deliver, on_pause, &pauses);

    (void)state;
    assert_true(ws_audience_is_of(audience, &loop));
    assert_false(ws_audience_is_of(other, &loop));
    join(0, 2);
    ws_audience_join(other, &readers[0].seat); /* a member of one at a time */
    assert_int_equal(ws_audience_size(audience), 1);
    ws_audience_destroy(other);
    assert_null(readers[0].seat.audience);
}

static void nothing_is_kept_when_it_ends(void **state)
{
    (void)state;
    join(0, MANY);
    publish("temperature", NULL);
    run_round();
    publish(NULL, NULL); /* the rest is AddressSanitizer's, which looks for leaks */
    assert_non_null(loop.task);
}

/* ---- members come and go at random: each gets what was published while it was there ---- */

static unsigned random_below(unsigned n)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)((x >> 32) % n);
}

static void random_members_miss_nothing(void **state)
{
    static unsigned due[MANY]; /* what each must have had, when everything has arrived */

    (void)state;
    memset(due, 0, sizeof(due));
    for (unsigned i = 0; i < OPERATIONS; i++) {
        const unsigned n = random_below(MANY);
        reader *r = &readers[n];

        switch (random_below(8)) {
        case 0:
        case 1:
            ws_audience_join(audience, &r->seat);
            break;
        case 2:
            if (r->seat.audience) {
                ws_audience_catch_up(&r->seat);
                assert_int_equal(r->got, due[n]);
            }
            ws_audience_leave(&r->seat);
            break;
        case 3:
            if (random_below(4) == 0) {
                reader *except = random_below(2) ? r : NULL;

                publish(NULL, except);
                for (unsigned j = 0; j < MANY; j++) {
                    due[j] += readers[j].seat.audience && &readers[j] != except;
                }
            }
            break;
        case 4:
            ws_audience_catch_up(&r->seat);
            break;
        default:
            run_round();
            break;
        }
        if (random_below(1000) == 0) {
            run_all();
        }
    }
    run_all();
    for (unsigned j = 0; j < MANY; j++) {
        if (readers[j].seat.audience) {
            assert_int_equal(readers[j].got, due[j]);
        }
    }
    assert_true(given > OPERATIONS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_audience, close_audience)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(some_in_each_round_until_all_have_it),
        TEST(several_at_once_are_flushed_once),
        TEST(publications_on_the_way_reach_everybody),
        TEST(who_joins_gets_what_comes_then),
        TEST(who_leaves_gets_no_more),
        TEST(all_but_one_get_it),
        TEST(one_catches_up_before_its_turn),
        TEST(a_newer_value_replaces_an_older_one_where_very_many_wait),
        TEST(few_that_wait_all_arrive),
        TEST(a_member_that_is_given_something_may_leave_and_publish),
        TEST(an_audience_is_of_one_loop),
        TEST(nothing_is_kept_when_it_ends),
        TEST(random_members_miss_nothing),
    };

    return cmocka_run_group_tests_name("audiences", tests, NULL, NULL);
}
