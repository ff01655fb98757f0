/*
 * The directory of states is removed, moved away and replaced while a hub remembers in it. What the
 * next hub reads is true, wherever the one before was killed.
 */
#include "hub_bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ON      "[\"relay/i2c0-3b/set\", {\"state\": true}]"
#define OFF     "[\"relay/i2c0-3b/set\", {\"state\": false}]"
#define GET     "[\"relay/i2c0-3b/get\", {}]"
#define IS_ON   "[\"relay/i2c0-3b\", {\"state\": true}]"
#define IS_OFF  "[\"relay/i2c0-3b\", {\"state\": false}]"
#define UNKNOWN "[\"relay/i2c0-3b\", {\"state\": null}]"
#define SET     "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 77}]"
#define GET_SET "[\"thermometer/i2c0-48/config/get\", {}]"
#define IS_SET  "\"publish-interval\": 77"
#define LIST    "[\"-/-/config/list\", {}]"
#define FORGETS "\"remembers\": false"
#define STATES  "nodes_bridge_0.json"
#define NOTES   "nodes_bridge_0.moving"
#define CLAIM_ON                                                                                   \
    "{\"version\": 1, \"boot\": \"%s\", \"devices\": {\"relay/i2c0-3b\": {\"state\": true}}}"

/* A relay that is off and a setting of a thermometer, both remembered. */
static bench *remembering(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    bench_ask(b, SET);
    assert_string_equal(bench_ask(b, OFF), IS_OFF);
    bench_run(b, 2);
    assert_null(strstr(bench_ask(b, LIST), "remembers"));
    bench_clear(b);
    return b;
}

/* The number of files, at most one of which is removed: this one, if it is not NULL. */
static int files(const char *path, bool removed)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != '.') {
            n++;
            assert_true(!removed || unlinkat(dirfd(dir), entry->d_name, 0) == 0);
        }
    }
    closedir(dir);
    return n;
}

/* rm -r */
static void remove_all(const char *path)
{
    files(path, true);
    assert_int_equal(rmdir(path), 0);
}

static void make(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

/* mv; the path where it is from now on. */
static const char *move_away(const bench *b)
{
    static char path[96];

    snprintf(path, sizeof path, "%s.away", b->dir);
    assert_int_equal(rename(b->dir, path), 0);
    return path;
}

/* A hub that follows one that was killed knows these. */
static void assert_remembered(bench *b, const char *relay)
{
    bench_restart(b, "crash");
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), relay);
    assert_contains(bench_ask(b, GET_SET), IS_SET);
    assert_null(strstr(bench_ask(b, LIST), "remembers"));
}

/* ---- another one, at once ---- */

static void all_is_written_to_a_directory_that_was_made_again(void **state)
{
    bench *b = remembering(state);

    remove_all(b->dir);
    make(b->dir);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(bench_logged(b, CT_STATE_DIR_NEW), 1);
    assert_int_equal(bench_logged(b, CT_STATE_DIR_LOST), 0);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_WRITTEN), 0);
    assert_int_equal(bench_published(b, "[\"-/-/config/ok\""), 0);
    assert_remembered(b, IS_ON);
}

/* Nothing moves, something is set; or nothing happens at all before the end. */
static void so_it_is_without_a_move(void **state)
{
    bench *b = remembering(state);

    for (int i = 0; i < 2; i++) {
        remove_all(b->dir);
        make(b->dir);
        if (i == 0) {
            bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": 1}]");
            bench_run(b, 2);
            assert_int_equal(bench_logged(b, CT_STATE_DIR_NEW), 1);
        } else {
            bench_stop(b);
            bench_start(b);
        }
        assert_remembered(b, IS_OFF);
    }
}

/* Its states, that is: a note that a relay has moved is true there, too. */
static void no_state_is_written_to_one_that_was_moved_away(void **state)
{
    bench *b = remembering(state);
    const char *away = move_away(b);
    char path[128];
    struct stat was, is;

    snprintf(path, sizeof path, "%s/" STATES, away);
    assert_int_equal(stat(path, &was), 0);
    make(b->dir);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(stat(path, &is), 0);
    assert_int_equal(is.st_ino, was.st_ino);
    remove_all(away);
    assert_remembered(b, IS_ON);
}

/* The note of a relay's move is in the new directory before the contact moves. */
static void a_move_is_noted_in_the_new_one(void **state)
{
    bench *b = remembering(state);

    remove_all(b->dir);
    make(b->dir);
    bench_request(b, ALL_RIGHTS, ON);
    bench_kill(b);
    bench_clear(b);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_STATE_INTERRUPTED), 1);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
}

/* An old copy, say, claims what is not so; and what is so cannot be written. */
static void what_a_new_one_claims_is_not_believed(void **state)
{
    bench *b = remembering(state);
    FILE *file;

    remove_all(b->dir);
    make(b->dir);
    assert_non_null(file = fopen(bench_file(b, STATES), "w"));
    fprintf(file, CLAIM_ON, b->boot_id);
    fclose(file);
    make(bench_file(b, STATES ".new"));
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": 1}]");
    bench_run(b, 2);
    assert_int_equal(bench_logged(b, CT_STATE_DIR_NEW), 1);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_WRITTEN), 1);
    bench_kill(b);
    assert_int_equal(rmdir(bench_file(b, STATES ".new")), 0);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
}

/* ---- none for a while ---- */

/* Whatever stands at the path, it is not used: a relay moves, and the list says what that means. */
static void move_without(bench *b)
{
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_contains(bench_ask(b, LIST), FORGETS);
    assert_contains(bench_last(b, "[\"-/-/config/ok\""), FORGETS);
    assert_string_equal(bench_ask(b, OFF), IS_OFF);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(bench_logged(b, CT_STATE_DIR_LOST), 1);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_WRITTEN), 1);
    assert_int_equal(bench_logged(b, CT_STATE_DIR_NEW), 0);
}

/* There is one again, and it is remembered what was switched meanwhile. */
static void assert_back(bench *b)
{
    bench_clear(b);
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"delta\": 1}]");
    bench_run(b, 2);
    assert_null(strstr(bench_ask(b, LIST), "remembers"));
    assert_int_equal(bench_logged(b, CT_STATE_DIR_NEW), 1);
    assert_int_equal(bench_logged(b, CT_STATE_WRITTEN), 1);
    assert_remembered(b, IS_ON);
}

static void one_that_was_removed_is_waited_for(void **state)
{
    bench *b = remembering(state);

    remove_all(b->dir);
    move_without(b);
    make(b->dir);
    assert_back(b);
}

/* What it says was true when it was moved away, and is no more. */
static void one_that_comes_back_is_written_anew(void **state)
{
    bench *b = remembering(state);
    const char *away = move_away(b);

    move_without(b);
    assert_int_equal(rename(away, b->dir), 0);
    bench_restart(b, "crash");
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);

    bench_clear(b);
    assert_int_equal(rename(b->dir, away), 0);
    move_without(b);
    assert_int_equal(rename(away, b->dir), 0);
    assert_back(b);
}

static void a_link_is_not_followed(void **state)
{
    bench *b = remembering(state);
    const char *away = move_away(b);

    files(away, true);
    assert_int_equal(symlink(away, b->dir), 0);
    move_without(b);
    assert_int_equal(files(away, false), 0);
    assert_int_equal(unlink(b->dir), 0);
    make(b->dir);
    assert_back(b);
    assert_int_equal(rmdir(away), 0);
}

static void one_of_another_user_is_left_alone(void **state)
{
    bench *b = *state;

    if (geteuid() != 0) {
        skip();
    }
    b->config.state_user = 1234;
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    bench_remember(b);
    assert_int_equal(chown(b->dir, 1234, 1234), 0);
    bench_start(b);
    bench_run(b, 1);
    bench_ask(b, SET);
    bench_ask(b, OFF);
    bench_clear(b);
    remove_all(b->dir);
    make(b->dir);
    move_without(b);
    assert_int_equal(files(b->dir, false), 0);
    assert_int_equal(chown(b->dir, 1234, 1234), 0);
    assert_back(b);
}

static void one_that_another_hub_has_locked_is_left_alone(void **state)
{
    bench *b = remembering(state), *other = bench_new();

    remove_all(b->dir);
    make(b->dir);
    other->config.state_dir = b->dir;
    bench_start(other);
    move_without(b);
    bench_free(other);
    assert_back(b);
}

/* ---- at the start ---- */

static void assert_refused(bench *b, const char *dir)
{
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_READ), 1);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_contains(bench_ask(b, LIST), FORGETS);
    bench_stop(b);
    assert_int_equal(files(dir, false), 0);
    bench_clear(b);
}

static void a_link_is_refused_at_the_start(void **state)
{
    bench *b = *state;
    char link[96], slash[98];

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    snprintf(link, sizeof link, "%s.link", b->dir);
    snprintf(slash, sizeof slash, "%s/", link);
    assert_int_equal(symlink(b->dir, link), 0);
    b->config.state_dir = link;
    assert_refused(b, b->dir);
    b->config.state_dir = slash;
    assert_refused(b, b->dir);
    assert_int_equal(unlink(link), 0);
}

static void one_of_another_user_is_refused_at_the_start(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    b->config.state_user = geteuid() + 1;
    assert_refused(b, b->dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(all_is_written_to_a_directory_that_was_made_again),
        BENCH_TEST(so_it_is_without_a_move),
        BENCH_TEST(no_state_is_written_to_one_that_was_moved_away),
        BENCH_TEST(a_move_is_noted_in_the_new_one),
        BENCH_TEST(what_a_new_one_claims_is_not_believed),
        BENCH_TEST(one_that_was_removed_is_waited_for),
        BENCH_TEST(one_that_comes_back_is_written_anew),
        BENCH_TEST(a_link_is_not_followed),
        BENCH_TEST(one_of_another_user_is_left_alone),
        BENCH_TEST(one_that_another_hub_has_locked_is_left_alone),
        BENCH_TEST(a_link_is_refused_at_the_start),
        BENCH_TEST(one_of_another_user_is_refused_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
