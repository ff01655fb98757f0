/* How many sessions there are, and whose (src/session/census.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "session/census.h"

#include <apr_general.h>

#include <sys/wait.h>
#include <unistd.h>

#define KEY(n) ((uint64_t)(n) << 32 | 5) /* all in one set */

static apr_pool_t *pool;
static const ws_payer_limits limits = {.user_sessions = 2, .address_sessions = 4};

static int make(void **state)
{
    (void)state;
    apr_pool_create(&pool, NULL);
    return ws_census_create(pool, 3, 8) == APR_SUCCESS ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    return 0;
}

static ws_census_answer enter(uint64_t user, uint64_t address)
{
    return ws_census_enter(0, &(ws_payer){user, address}, &limits);
}

static void leave(uint64_t user, uint64_t address)
{
    ws_census_leave(&(ws_payer){user, address});
}

static void users_and_addresses_have_limits_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(enter(KEY(1), KEY(9)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(1), KEY(9)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(1), KEY(8)), WS_CENSUS_FULL_USER);
    assert_int_equal(enter(KEY(2), KEY(9)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(0, KEY(9)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(0, KEY(9)), WS_CENSUS_FULL_ADDRESS);
    assert_int_equal(ws_census_total(), 4); /* who was refused is not counted */
    leave(KEY(1), KEY(9));
    assert_int_equal(enter(KEY(1), KEY(9)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(2), KEY(9)), WS_CENSUS_FULL_ADDRESS);
    assert_int_equal(enter(KEY(2), KEY(7)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(2), 0), WS_CENSUS_FULL_USER);
}

static void sessions_of_nobody_are_not_limited(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(enter(0, 0), WS_CENSUS_ENTERED);
    }
    assert_int_equal(ws_census_total(), 100);
}

/* Who has no place is let in; places that are given up are used again. */
static void where_there_is_no_room_to_count_nobody_is_refused(void **state)
{
    (void)state;
    for (unsigned user = 1; user <= 8; user++) {
        assert_int_equal(enter(KEY(user), 0), WS_CENSUS_ENTERED);
        assert_int_equal(enter(KEY(user), 0), WS_CENSUS_ENTERED);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(enter(KEY(9), 0), WS_CENSUS_ENTERED);
    }
    assert_int_equal(enter(KEY(8), 0), WS_CENSUS_FULL_USER);
    leave(KEY(9), 0);
    assert_int_equal(enter(KEY(8), 0), WS_CENSUS_FULL_USER);
    leave(KEY(3), 0);
    leave(KEY(3), 0);
    assert_int_equal(enter(KEY(10), 0), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(10), 0), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(10), 0), WS_CENSUS_FULL_USER);
}

/* A child has two sessions of a user, and ends without a word. */
static void what_a_process_has_counts_until_it_is_buried(void **state)
{
    const pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        _exit(enter(KEY(1), KEY(2)) || enter(KEY(1), KEY(2)));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(enter(KEY(1), KEY(2)), WS_CENSUS_FULL_USER);
    assert_int_equal(enter(KEY(3), KEY(2)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(3), KEY(2)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(4), KEY(2)), WS_CENSUS_FULL_ADDRESS);
    ws_census_bury(child);
    assert_int_equal(enter(KEY(1), KEY(2)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(1), KEY(2)), WS_CENSUS_ENTERED);
    assert_int_equal(enter(KEY(1), KEY(2)), WS_CENSUS_FULL_USER);
    assert_int_equal(ws_census_total(), 4);
}

static void all_together_have_a_limit(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(ws_census_enter(3, &(ws_payer){KEY(i), 0}, &limits), WS_CENSUS_ENTERED);
    }
    assert_int_equal(ws_census_enter(3, &(ws_payer){KEY(4), 0}, &limits), WS_CENSUS_FULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, end)
    const struct CMUnitTest tests[] = {
        TEST(users_and_addresses_have_limits_of_their_own),
        TEST(sessions_of_nobody_are_not_limited),
        TEST(where_there_is_no_room_to_count_nobody_is_refused),
        TEST(what_a_process_has_counts_until_it_is_buried),
        TEST(all_together_have_a_limit),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
