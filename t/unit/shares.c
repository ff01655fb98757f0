/* What users and addresses have asked for lately (src/session/shares.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "session/shares.h"

#include <apr_general.h>

#include <sys/wait.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)
#define NOW    (1000 * SECOND)

static ws_shares *shares;

static int map(void **state)
{
    (void)state;
    shares = ws_shares_map(1); /* all keys are in one set */
    return shares ? 0 : -1;
}

static int unmap(void **state)
{
    (void)state;
    ws_shares_unmap(shares);
    return 0;
}

static int64_t charge(uint64_t key, unsigned cost, int64_t now)
{
    return ws_shares_charge(shares, key, ws_share_of(10, 20), cost, now);
}

static void a_burst_is_free_and_then_the_rate_holds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(charge(7, 1, NOW), 0);
    }
    assert_int_equal(charge(7, 1, NOW), SECOND / 10);
    assert_int_equal(charge(7, 3, NOW), 4 * SECOND / 10);
    assert_int_equal(charge(7, 1, NOW + SECOND / 2),
                     0); /* as much was paid as it had to wait for */
    assert_int_equal(charge(7, 1, NOW + SECOND / 2), SECOND / 10);
    assert_int_equal(charge(7, 20, NOW + 10 * SECOND), 0); /* and no more is ever saved up */
    assert_int_equal(charge(7, 1, NOW + 10 * SECOND), SECOND / 10);
}

static void keys_do_not_know_each_other(void **state)
{
    (void)state;
    assert_int_equal(charge(7, 25, NOW), SECOND / 2);
    assert_int_equal(charge(8, 1, NOW), 0);
    assert_int_equal(charge(0, 1000, NOW), 0); /* nobody's */
    assert_int_equal(charge(7, 1, NOW), 6 * SECOND / 10);
}

static void where_there_is_no_limit_nobody_waits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(ws_shares_charge(shares, 7, ws_share_of(0, 0), 1000, NOW), 0);
    }
}

/* 30 seconds beyond the burst; who owes no more than a burst is charged all the same. */
static void who_goes_on_and_on_is_refused_until_time_has_passed(void **state)
{
    (void)state;
    assert_int_equal(charge(7, 320, NOW), WS_SHARES_PATIENCE * SECOND);
    assert_int_equal(charge(7, 1, NOW), WS_SHARES_FAR);
    assert_int_equal(charge(7, 1, NOW + SECOND / 20), WS_SHARES_FAR);
    assert_int_equal(charge(7, 1, NOW + SECOND / 10), WS_SHARES_PATIENCE * SECOND);
    assert_int_equal(charge(8, 100000, NOW), WS_SHARES_PATIENCE * SECOND);
    assert_int_equal(charge(8, 1, NOW), WS_SHARES_FAR);
}

/* The one that owes least makes room; the others owe what they owe, and the new one nothing. */
static void a_key_without_a_slot_takes_that_of_the_one_that_owes_least(void **state)
{
    (void)state;
    for (unsigned key = 1; key <= WS_SHARES_WAYS; key++) {
        assert_int_equal(charge(key, 100 - key, NOW), (80 - key) * SECOND / 10);
    }
    assert_int_equal(charge(100, 1, NOW), 0);
    for (unsigned key = 1; key < WS_SHARES_WAYS; key++) {
        assert_int_equal(charge(key, 1, NOW), (81 - key) * SECOND / 10);
    }
    assert_int_equal(charge(WS_SHARES_WAYS, 1, NOW), 0); /* it begins anew, and 100 makes room */
    assert_int_equal(charge(100, 20, NOW), 0);
}

static void one_whose_time_has_passed_is_the_first_to_make_room(void **state)
{
    (void)state;
    assert_int_equal(charge(1, 15, NOW), 0);
    for (unsigned key = 2; key <= WS_SHARES_WAYS; key++) {
        assert_int_equal(charge(key, 30, NOW + SECOND), SECOND);
    }
    assert_int_equal(charge(100, 30, NOW + 2 * SECOND), SECOND);
    for (unsigned key = 2; key <= WS_SHARES_WAYS; key++) {
        assert_int_equal(charge(key, 1, NOW + 2 * SECOND), SECOND / 10);
    }
}

/* The time in nanoseconds passes the end of 64 bits, and of 63. */
static void time_may_wrap(void **state)
{
    (void)state;
    for (uint64_t end = UINT64_MAX; end >= UINT64_MAX / 2; end /= 2) {
        const int64_t before = (int64_t)(end / 1000) - SECOND;

        assert_int_equal(charge(7, 40, before), 2 * SECOND);
        assert_int_equal(charge(7, 1, before + SECOND), SECOND + SECOND / 10);
        assert_int_equal(charge(7, 1, before + 2 * SECOND), 2 * SECOND / 10);
        assert_int_equal(charge(7, 1, before + 5 * SECOND), 0);
    }
}

static void what_an_earlier_configuration_left_is_bounded_by_this_one(void **state)
{
    (void)state;
    ws_shares_charge(shares, 7, ws_share_of(0.1, 100000000), 90000000, NOW);
    assert_int_equal(charge(7, 1, NOW), WS_SHARES_FAR);
    assert_int_equal(charge(7, 1, NOW + 10 * SECOND), 20 * SECOND + SECOND / 10);
    assert_int_equal(charge(7, 1, NOW + 62 * SECOND), 0);
}

static void the_extremes_fit(void **state)
{
    const ws_share slow = ws_share_of(0.1, 100000000), quick = ws_share_of(1e6, 1);

    (void)state;
    assert_int_equal(slow.unit, INT64_C(10000000000));
    assert_int_equal(slow.burst, INT64_C(1000000000000000000));
    for (unsigned i = 0; i < 8; i++) {
        assert_true(ws_shares_charge(shares, 7, slow, 100000000, NOW) >= WS_SHARES_FAR);
    }
    assert_int_equal(ws_shares_charge(shares, 8, quick, 2, NOW), 1);
}

static void keys_depend_on_kind_bytes_and_seed(void **state)
{
    ws_shares *other = ws_shares_map(1);
    const uint64_t key = ws_shares_key(shares, WS_SHARE_USER, "alice", 5);

    (void)state;
    assert_non_null(other);
    assert_true(key == ws_shares_key(shares, WS_SHARE_USER, "alice", 5));
    assert_false(key == ws_shares_key(shares, WS_SHARE_USER, "alicf", 5));
    assert_false(key == ws_shares_key(shares, WS_SHARE_ADDRESS, "alice", 5));
    assert_false(key == ws_shares_key(other, WS_SHARE_USER, "alice", 5));
    ws_shares_unmap(other);
}

/* Of four processes that charge one key at the same time, nothing is lost. */
static void all_processes_charge_the_same(void **state)
{
    enum { CHILDREN = 4, TIMES = 2000 };

    (void)state;
    for (unsigned i = 0; i < CHILDREN; i++) {
        const pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            for (unsigned k = 0; k < TIMES; k++) {
                ws_shares_charge(shares, 7, ws_share_of(1000, 1), 1, NOW);
            }
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    assert_int_equal(ws_shares_charge(shares, 7, ws_share_of(1000, 1), 1, NOW),
                     CHILDREN * TIMES * SECOND / 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, map, unmap)
    const struct CMUnitTest tests[] = {
        TEST(a_burst_is_free_and_then_the_rate_holds),
        TEST(keys_do_not_know_each_other),
        TEST(where_there_is_no_limit_nobody_waits),
        TEST(who_goes_on_and_on_is_refused_until_time_has_passed),
        TEST(a_key_without_a_slot_takes_that_of_the_one_that_owes_least),
        TEST(one_whose_time_has_passed_is_the_first_to_make_room),
        TEST(time_may_wrap),
        TEST(what_an_earlier_configuration_left_is_bounded_by_this_one),
        TEST(the_extremes_fit),
        TEST(keys_depend_on_kind_bytes_and_seed),
        TEST(all_processes_charge_the_same),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
