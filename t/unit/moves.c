/* Which relays may have moved: what the notes say after a hub's death, and after a power cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/moves.h"

#include <fcntl.h>
#include <unistd.h>

#define FILE_NAME "notes"
#define RELAY     "relay/i2c0-3b"

typedef struct bench {
    char path[32];
    int dir;
    moves *moves;
    unsigned found; /* relays that may have moved */
    unsigned pulses;
} bench;

static int setup(void **state)
{
    bench *b = calloc(1, sizeof(*b));

    strcpy(b->path, "/tmp/clowntalk-moves-XXXXXX");
    assert_non_null(mkdtemp(b->path));
    b->dir = open(b->path, O_RDONLY | O_DIRECTORY);
    b->moves = moves_create(b->dir, FILE_NAME);
    assert_int_equal(moves_prepare(b->moves, false), 0);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench *b = *state;

    moves_free(b->moves);
    unlinkat(b->dir, FILE_NAME, 0);
    close(b->dir);
    rmdir(b->path);
    free(b);
    return 0;
}

static void found(void *baton, const char *topic, bool pulse)
{
    bench *b = baton;

    assert_string_equal(topic, RELAY);
    b->found++;
    b->pulses += pulse;
}

/* The next hub reads them; `same_boot`: the machine did not start meanwhile. */
static unsigned next_hub(bench *b, bool same_boot)
{
    moves_free(b->moves);
    b->moves = moves_create(b->dir, FILE_NAME);
    b->found = b->pulses = 0;
    assert_int_equal(moves_read(b->moves, same_boot, found, b), 0);
    assert_int_equal(moves_prepare(b->moves, false), 0);
    return b->found;
}

static bool begin(bench *b, bool pulse)
{
    bool fresh;

    assert_int_equal(moves_begin(b->moves, RELAY, pulse, &fresh), 0);
    return fresh;
}

static void put_on_disk(bench *b)
{
    uint64_t written = moves_written(b->moves);

    assert_int_equal(moves_sync(b->moves), 0);
    moves_synced(b->moves, written);
}

/* A whole move, and its record at this time. */
static void record(bench *b, int64_t now)
{
    moves_end(b->moves, RELAY);
    moves_mark(b->moves);
    moves_settle(b->moves, now);
}

static void a_relay_that_moves_is_noted(void **state)
{
    bench *b = *state;

    assert_true(begin(b, false));
    assert_int_equal(next_hub(b, true), 1);
    assert_int_equal(b->pulses, 0);
    assert_true(begin(b, true));
    assert_int_equal(next_hub(b, true), 1);
    assert_int_equal(b->pulses, 1);
}

static void a_recorded_move_leaves_no_note(void **state)
{
    bench *b = *state;

    begin(b, false);
    record(b, 1000);
    assert_int_equal(next_hub(b, false), 0);
    assert_true(begin(b, false));
    put_on_disk(b);
    record(b, 0);
    assert_int_equal(next_hub(b, false), 0);
}

/* The disk is waited for once, as long as one move follows another. */
static void a_note_that_rests_need_not_be_written_again(void **state)
{
    bench *b = *state;

    assert_true(begin(b, false));
    put_on_disk(b);
    for (int64_t now = 1000; now < 5000; now += 1000) {
        record(b, now);
        assert_false(begin(b, false));
    }
    assert_int_equal(next_hub(b, true), 1);
}

static void one_that_began_while_another_was_put_on_disk_waits(void **state)
{
    bench *b = *state;
    uint64_t written = moves_written(b->moves);

    assert_true(begin(b, false));
    moves_synced(b->moves, written);
    moves_end(b->moves, RELAY);
    assert_true(begin(b, false));
}

/* What is on disk does not say that a pulse has begun. */
static void a_pulse_is_noted_anew(void **state)
{
    bench *b = *state;

    begin(b, false);
    put_on_disk(b);
    record(b, 1000);
    assert_true(begin(b, true));
    assert_int_equal(next_hub(b, true), 1);
    assert_int_equal(b->pulses, 1);
}

static void what_rests_is_unknown_only_after_a_power_cut(void **state)
{
    bench *b = *state;

    begin(b, false);
    put_on_disk(b);
    record(b, 1000);
    assert_int_equal(next_hub(b, true), 0);
    assert_false(begin(b, false)); /* still on disk */
    record(b, 2000);
    assert_int_equal(next_hub(b, false), 1);
    assert_true(begin(b, false));
}

static void what_has_rested_is_forgotten(void **state)
{
    bench *b = *state;

    begin(b, false);
    put_on_disk(b);
    record(b, 1000);
    assert_false(moves_forget_rested(b->moves, 999));
    assert_int_equal(next_hub(b, false), 1);
    record(b, 0);
    begin(b, false);
    put_on_disk(b);
    record(b, 2000);
    assert_true(moves_forget_rested(b->moves, 2000));
    assert_false(moves_forget_rested(b->moves, INT64_MAX));
    assert_int_equal(next_hub(b, false), 0);
    assert_true(begin(b, false));
}

#define NOTES_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NOTES_TEST(a_relay_that_moves_is_noted),
        NOTES_TEST(a_recorded_move_leaves_no_note),
        NOTES_TEST(a_note_that_rests_need_not_be_written_again),
        NOTES_TEST(one_that_began_while_another_was_put_on_disk_waits),
        NOTES_TEST(a_pulse_is_noted_anew),
        NOTES_TEST(what_rests_is_unknown_only_after_a_power_cut),
        NOTES_TEST(what_has_rested_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
