/*
 * What the hub remembers from one life to the next, and what it does not believe: starts of the
 * process and of the machine, clocks that jump, pulses that outlast their hub.
 */
#include "hub_bench.h"

#include <signal.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ON      "[\"relay/i2c0-3b/set\", {\"state\": true}]"
#define OFF     "[\"relay/i2c0-3b/set\", {\"state\": false}]"
#define GET     "[\"relay/i2c0-3b/get\", {}]"
#define PULSE   "[\"relay/i2c0-3b/pulse/set\", {\"duration\": 6}]"
#define IS_ON   "[\"relay/i2c0-3b\", {\"state\": true}]"
#define IS_OFF  "[\"relay/i2c0-3b\", {\"state\": false}]"
#define UNKNOWN "[\"relay/i2c0-3b\", {\"state\": null}]"
#define TOPIC   "[\"relay/i2c0-3b\""
#define NOTES   "nodes_bridge_0.moving"
#define STATES  "nodes_bridge_0.json"

static sim_relay_record record(const bench *b, uint8_t address)
{
    sim_relay_record relay;

    assert_true(sim_relay_read(b->sim[0], address, &relay));
    return relay;
}

/* Two relay modules, which are on and off by their power-on states; no hub yet. */
static bench *with_power_on(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3f));
    bench_pin(b, "relay/i2c0-3b", NULL, "power-on=on", NULL);
    bench_pin(b, "relay/i2c0-3f", NULL, "power-on=off", NULL);
    return b;
}

/* The same, which remembers and has put them into these states; then the first was switched off. */
static bench *switched_since(void **state)
{
    bench *b = with_power_on(state);

    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_int_equal(record(b, 0x3f).contact, 0);
    assert_string_equal(bench_ask(b, OFF), IS_OFF);
    return b;
}

static void write_file(bench *b, const char *name, const char *text)
{
    FILE *file = fopen(bench_file(b, name), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* ---- starts ---- */

static void a_start_of_the_server_is_no_power_on(void **state)
{
    bench *b = switched_since(state);

    for (int i = 0; i < 3; i++) {
        bench_restart(b, i == 1 ? "restart" : "power-on"); /* stopped and started */
        bench_run(b, 1);
        assert_string_equal(bench_ask(b, GET), IS_OFF);
        assert_int_equal(record(b, 0x3b).pulses, 2);
        assert_int_equal(record(b, 0x3f).pulses, 1);
    }
}

static void a_plain_board_stays_as_it_was(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "pcf8574", 0x20));
    bench_pin(b, "relay/i2c0-20-0", "pcf8574", "pin=0", "power-on=off", NULL);
    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-0/set\", {\"state\": true}]"), "true");
    bench_restart(b, "power-on");
    bench_run(b, 1);
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-0/get\", {}]"), "true");
    bench_reboot(b);
    bench_run(b, 1);
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-0/get\", {}]"), "false");
}

static void a_start_of_the_machine_is_one(void **state)
{
    bench *b = switched_since(state);

    bench_ask(b, "[\"relay/i2c0-3f/set\", {\"state\": true}]");
    bench_reboot(b);
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_int_equal(record(b, 0x3f).contact, 0);
    assert_string_equal(bench_ask(b, GET), IS_ON);
    /* And counts once. */
    bench_ask(b, OFF);
    bench_restart(b, "power-on");
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 0);
}

/* A hub that died before that leaves it to the next one, and one that found no chip too. */
static void a_start_of_the_machine_counts_for_a_relay_that_comes_later(void **state)
{
    bench *b = switched_since(state);

    sim_unplug(b->sim[0], 0x3b);
    bench_reboot(b);
    bench_run(b, 1);
    bench_restart(b, "crash");
    bench_run(b, 1);
    sim_plug(b->sim[0], 0x3b);
    bench_run(b, 40);
    assert_int_equal(record(b, 0x3b).contact, 1);
    bench_ask(b, OFF);
    bench_restart(b, "power-on");
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 0);
}

/* A new line in the configuration is no power-on either. */
static void an_option_that_is_added_moves_nothing(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    bench_ask(b, OFF);
    bench_pin(b, "relay/i2c0-3b", NULL, "power-on=on", NULL);
    bench_restart(b, "restart");
    bench_run(b, 1);
    bench_restart(b, "power-on");
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 0);
    bench_reboot(b);
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 1);
}

/* The chips have been configured before: they do not say that their own power has come on. */
static bench *with_old_chips(void **state)
{
    bench *b = with_power_on(state);

    for (uint8_t address = 0x3b; address <= 0x3f; address += 4) {
        i2c_write8(b->sim[0], address, 1, 0x50);
        i2c_write8(b->sim[0], address, 3, 0x00);
    }
    return b;
}

/* Where it cannot be known whether the machine was started, a start moves nothing. */
/* The relay that is found first waits for the other one, which is not missing. */
static void an_interlock_waits_until_all_were_looked_for(void **state)
{
    bench *b = *state;
    sim_port_record port;

    assert_true(sim_add(b->sim[0], "pcf8574", 0x20));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3f));
    bench_pin(b, "relay/i2c0-20-0", "pcf8574", "interlock=up", "power-on=on", NULL);
    bench_pin(b, "relay/i2c0-3f", NULL, "interlock=up", NULL);
    bench_remember(b);
    bench_start(b);
    bench_run(b, 5);
    assert_true(sim_port_read(b->sim[0], 0x20, &port));
    assert_int_equal(port.levels & 1, 0);
    assert_int_equal(record(b, 0x3f).contact, 0);
}

static void nothing_moves_where_the_boot_is_not_known(void **state)
{
    bench *b = with_old_chips(state);

    bench_start(b); /* without any memory */
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).pulses, 0);
    bench_stop(b);

    bench_remember(b);
    b->boot_id[0] = 0;
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).pulses, 0);
    bench_stop(b);

    strcpy(b->boot_id, "known");
    write_file(b, STATES, "{\"version\": 1, \"devices\": {\"relay/i2c0-3b\": {\"state\": false}}}");
    bench_start(b); /* the memory of an earlier version */
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), IS_OFF);
    bench_stop(b);

    write_file(b, STATES, "");
    bench_start(b); /* a damaged one */
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).pulses, 0);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
}

/* The next start would do it again. */
static void nothing_moves_where_the_boot_cannot_be_noted(void **state)
{
    bench *b = with_old_chips(state);

    bench_remember(b);
    assert_int_equal(mkdir(bench_file(b, STATES ".new"), 0700), 0);
    for (int i = 0; i < 2; i++) {
        bench_start(b);
        bench_run(b, 1);
        assert_int_equal(bench_logged(b, CT_BOOT_NOT_NOTED), i + 1);
        assert_int_equal(record(b, 0x3b).pulses, 0);
        bench_stop(b);
    }
    assert_int_equal(rmdir(bench_file(b, STATES ".new")), 0);
}

/* ---- pulses and clocks ---- */

/* The rest of a pulse only ever gets shorter, whatever is done to the time of day. */
static void a_clock_that_is_set_changes_no_pulse(void **state)
{
    static const int64_t jumps[] = {-3600, 3600, -INT64_C(1600000000), INT64_C(8000000)};
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    bench_start(b);
    for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
        assert_string_equal(bench_ask(b, PULSE), IS_ON);
        for (int kill = 0; kill < 3; kill++) {
            bench_run(b, 1.5);
            assert_int_equal(record(b, 0x3b).contact, 1);
            b->wall += jumps[i] * 1000000;
            bench_restart(b, "crash");
        }
        bench_run(b, 1.3);
        assert_int_equal(record(b, 0x3b).contact, 1);
        bench_run(b, 0.3);
        assert_int_equal(record(b, 0x3b).contact, 0);
        assert_string_equal(bench_last(b, TOPIC), IS_OFF);
    }
}

/* When its machine is started again, a pulse is over. */
static void a_pulse_does_not_outlive_its_boot(void **state)
{
    static const char *const files[] = {
        /* As a hub leaves it that dies with the power, in a boot that was longer than this one. */
        "{\"version\": 1, \"boot\": \"another\", \"devices\": {\"relay/i2c0-3b\": "
        "{\"state\": true, \"pulse-end\": 99999999.0}}}",
        /* Of an earlier version, which knew the time of day. */
        "{\"version\": 1, \"devices\": {\"relay/i2c0-3b\": "
        "{\"state\": true, \"pulse-until\": 1700000300.5, \"pulse-duration\": 600.0}}}",
    };
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        bench_start(b);
        bench_ask(b, ON);
        bench_stop(b);
        bench_clear(b);
        write_file(b, STATES, files[i]);
        bench_start(b);
        bench_run(b, 0.5);
        assert_int_equal(record(b, 0x3b).contact, 0);
        assert_string_equal(bench_last(b, TOPIC), IS_OFF);
        assert_int_equal(bench_published(b, IS_ON), 0); /* whether it was on is not known */
        bench_restart(b, "crash");
        bench_run(b, 1);
        assert_int_equal(record(b, 0x3b).pulses, 2 * (i + 1));
        bench_stop(b);
        bench_clear(b);
    }
}

static void nonsense_in_a_pulse_does_no_harm(void **state)
{
    static const char *const ends[] = {"[]", "{}", "\"soon\"", "-1", "1e308", "null", "NaN"};
    bench *b = *state;
    char text[256];

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        snprintf(text, sizeof(text),
                 "{\"version\": 1, \"boot\": \"%s\", \"devices\": {\"relay/i2c0-3b\": {\"state\": "
                 "true, \"pulse-end\": %s}}}",
                 b->boot_id, ends[i]);
        write_file(b, STATES, text);
        bench_start(b);
        bench_run(b, 1);
        assert_string_equal(bench_ask(b, OFF), IS_OFF);
        bench_stop(b);
    }
}

/* ---- the end of a hub ---- */

static bench *pulsing(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_add(b->sim[0], "pcf8574", 0x20));
    bench_pin(b, "relay/i2c0-20-0", "pcf8574", "pin=0", NULL);
    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, PULSE), IS_ON);
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-0/pulse/set\", {\"duration\": 6}]"), "true");
    bench_run(b, 1);
    return b;
}

static void a_pulse_ends_with_its_hub(void **state)
{
    bench *b = pulsing(state);

    bench_stop(b);
    assert_int_equal(record(b, 0x3b).contact, 0);
    bench_clear(b);
    bench_start(b);
    bench_run(b, 10);
    assert_int_equal(bench_published(b, IS_ON), 0);
    assert_string_equal(bench_last(b, TOPIC), IS_OFF);
    assert_contains(bench_last(b, "[\"relay/i2c0-20-0\""), "false");
    assert_int_equal(record(b, 0x3b).pulses, 2); /* once on, once off */
}

static void a_pulse_goes_on_with_a_successor(void **state)
{
    bench *b = pulsing(state);

    bench_restart(b, "restart");
    bench_run(b, 3);
    assert_int_equal(record(b, 0x3b).contact, 1);
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-0/get\", {}]"), "true");
    bench_run(b, 2.5);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-0/get\", {}]"), "false");
}

/* It could not be switched off in time: no `false` is published, and the next hub does it. */
static void a_pulse_that_cannot_be_ended_is_ended_by_the_next_hub(void **state)
{
    bench *b = pulsing(state);

    sim_set_fault(b->sim[0], 0x3b, SIM_NO_ACKNOWLEDGE, 1);
    bench_clear(b);
    bench_stop(b);
    assert_true(bench_logged(b, CT_PULSE_NOT_ENDED) > 0);
    assert_int_equal(record(b, 0x3b).contact, 1);
    sim_set_fault(b->sim[0], 0x3b, SIM_NO_ACKNOWLEDGE, 0);
    bench_clear(b);
    b->time += 60000000;
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_int_equal(bench_published(b, IS_ON), 0);
}

/* The hub was killed, and the next one is stopped before it has found the relay. */
static void a_hub_that_has_not_looked_yet_ends_a_pulse(void **state)
{
    bench *b = pulsing(state);

    bench_restart(b, "crash");
    bench_stop(b);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_string_equal(bench_last(b, TOPIC), IS_OFF);
    bench_clear(b);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_last(b, TOPIC), IS_OFF);
    assert_contains(bench_last(b, "[\"relay/i2c0-20-0\""), "false");
    assert_int_equal(record(b, 0x3b).pulses, 2);
}

/* What was asked meanwhile is not begun then. */
static void a_hub_that_ends_before_it_has_looked_begins_nothing(void **state)
{
    bench *b = pulsing(state);
    uint64_t asked;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48)); /* the look lasts until relays could click */
    sim_set_fault(b->sim[0], 0x48, SIM_SLOW, 0.05);
    bench_restart(b, "crash");
    asked = bench_request(b, ALL_RIGHTS, ON);
    bench_stop(b);
    assert_contains(bench_reply(b, asked, 0), "unavailable");
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_int_equal(record(b, 0x3b).pulses, 2);
}

/* ---- one owner ---- */

#define LIST    "[\"-/-/config/list\", {}]"
#define FORGETS "\"remembers\": false"

/* A relay module, which was switched on, then off, and all that is remembered. */
static bench *switched_off(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    assert_null(strstr(bench_ask(b, LIST), "remembers"));
    bench_ask(b, ON);
    assert_string_equal(bench_ask(b, OFF), IS_OFF);
    return b;
}

static void a_memory_has_one_owner(void **state)
{
    bench *b = switched_off(state), *other = bench_new();

    assert_true(sim_add(other->sim[0], "relay-module", 0x3b));
    other->config.state_dir = b->dir;
    bench_start(other);
    bench_run(other, 1);
    assert_int_equal(bench_logged(other, CT_STATE_LOCKED), 1);
    assert_contains(bench_ask(other, LIST), FORGETS);
    assert_string_equal(bench_ask(other, GET), UNKNOWN);
    assert_string_equal(bench_ask(other, ON), IS_ON);
    bench_free(other);
    bench_restart(b, "power-on");
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), IS_OFF);
}

/* A link, as a file that another user owns, cannot be read; it is not replaced either. */
static void what_cannot_be_read_is_left_alone(void **state)
{
    bench *b = *state;
    struct stat status;

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    assert_int_equal(symlink("/nonexistent", bench_file(b, STATES)), 0);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_READ), 1);
    assert_contains(bench_ask(b, LIST), FORGETS);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    bench_stop(b);
    assert_int_equal(lstat(bench_file(b, STATES), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
}

/* What root has written once can be read by the user to whom the directory belongs. */
static void files_belong_to_the_owner_of_the_directory(void **state)
{
    bench *b = *state;
    struct stat status;

    if (geteuid() != 0) {
        skip();
    }
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    assert_int_equal(chown(b->dir, 1234, 5678), 0);
    bench_start(b);
    bench_run(b, 1);
    bench_ask(b, ON);
    assert_int_equal(stat(bench_file(b, STATES), &status), 0);
    assert_int_equal(status.st_uid, 1234);
    assert_int_equal(status.st_gid, 5678);
    assert_int_equal(stat(bench_file(b, NOTES), &status), 0);
    assert_int_equal(status.st_uid, 1234);
}

/* ---- what cannot be remembered is not known ---- */

/* Three moves that cannot be recorded, and a kill. */
static void move_and_die(bench *b)
{
    bench_ask(b, ON);
    bench_ask(b, OFF);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_contains(bench_ask(b, LIST), FORGETS);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_WRITTEN), 1);
    assert_contains(bench_last(b, "[\"-/-/config/ok\""), FORGETS);
    bench_kill(b);
    bench_clear(b);
}

static void states_that_cannot_be_written_are_unknown(void **state)
{
    bench *b = switched_off(state);

    assert_int_equal(mkdir(bench_file(b, STATES ".new"), 0700), 0);
    move_and_die(b);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
    assert_int_equal(bench_published(b, IS_OFF), 0);
    /* As soon as it can be written, it is remembered again. */
    assert_int_equal(rmdir(bench_file(b, STATES ".new")), 0);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_null(strstr(bench_ask(b, LIST), "remembers"));
    bench_kill(b);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), IS_ON);
}

/* No file may grow, as on a full disk: there was room for the notes before. */
static void a_full_disk_tells_no_lies(void **state)
{
    bench *b = switched_off(state);
    struct rlimit full, before;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (rlim_t size = 0; size <= 8192; size += 8192) {
        full = (struct rlimit){size, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
        if (size) { /* the notes can be written, the states cannot */
            assert_int_equal(mkdir(bench_file(b, STATES ".new"), 0700), 0);
        }
        move_and_die(b);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        if (size) {
            assert_int_equal(rmdir(bench_file(b, STATES ".new")), 0);
        }
        bench_start(b);
        bench_run(b, 1);
        assert_string_equal(bench_ask(b, GET), UNKNOWN);
        assert_int_equal(bench_published(b, IS_OFF), 0);
        assert_string_equal(bench_ask(b, OFF), IS_OFF);
    }
}

static void an_empty_file_of_notes_says_nothing(void **state)
{
    static const char *const odd[] = {"", "?", "relay/i2c0-3f", "a b c\n"};
    bench *b = switched_off(state);

    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        bench_kill(b);
        write_file(b, NOTES, odd[i]);
        bench_clear(b);
        bench_start(b);
        bench_run(b, 1);
        assert_int_equal(bench_logged(b, CT_STATE_NO_NOTES), 1);
        assert_string_equal(bench_ask(b, GET), UNKNOWN);
        assert_string_equal(bench_ask(b, OFF), IS_OFF);
    }
}

/* A hub that cannot write there does not know what the one before could not write. */
static void what_cannot_be_written_is_not_believed(void **state)
{
    bench *b = switched_off(state);

    bench_kill(b);
    assert_int_equal(unlink(bench_file(b, NOTES)), 0);
    assert_int_equal(mkdir(bench_file(b, NOTES), 0700), 0);
    bench_clear(b);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
    assert_contains(bench_ask(b, LIST), FORGETS);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    bench_kill(b);
    assert_int_equal(rmdir(bench_file(b, NOTES)), 0);
    bench_clear(b);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(bench_published(b, IS_OFF), 0); /* nor later, when it can */
}

/*
 * It was read-only when states could not be noted, and when the next hub looked. Later it can be
 * written: what is not known is then recorded as such, before a third hub believes what was there.
 */
static void what_is_not_known_stays_so(void **state)
{
    bench *b = switched_off(state);

    bench_kill(b);
    assert_int_equal(unlink(bench_file(b, NOTES)), 0);
    assert_int_equal(mkdir(bench_file(b, NOTES), 0700), 0);
    bench_clear(b);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
    assert_int_equal(rmdir(bench_file(b, NOTES)), 0);
    bench_stop(b);
    bench_clear(b);
    bench_start(b);
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), UNKNOWN);
}

/* A hub that has found notes tries at once whether it can do better than the one before. */
static void a_hub_that_cannot_remember_says_so_soon(void **state)
{
    bench *b = switched_off(state);

    assert_int_equal(mkdir(bench_file(b, STATES ".new"), 0700), 0);
    move_and_die(b);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_STATE_NOT_WRITTEN), 1);
    assert_contains(bench_last(b, "[\"-/-/config/ok\""), FORGETS);
    bench_kill(b);
    bench_clear(b);
    assert_int_equal(rmdir(bench_file(b, STATES ".new")), 0);
    for (int i = 0; i < 2; i++) { /* and what it could note is noted once */
        bench_start(b);
        bench_run(b, 1);
        assert_int_equal(bench_logged(b, CT_STATE_INTERRUPTED), 1);
        assert_string_equal(bench_ask(b, GET), UNKNOWN);
        bench_kill(b);
    }
}

/* A pulse that had begun when its hub died is ended, even if it was not recorded. */
static void a_pulse_that_was_only_noted_is_ended(void **state)
{
    bench *b = switched_off(state);

    bench_request(b, ALL_RIGHTS, PULSE);
    for (int step = 0; step < 100 && record(b, 0x3b).contact != 1; step++) {
        b->time += 20000;
        hub_run_buses(b->hub);
    }
    assert_int_equal(record(b, 0x3b).contact, 1);
    bench_kill(b);
    bench_clear(b);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(record(b, 0x3b).contact, 0);
    assert_string_equal(bench_last(b, TOPIC), IS_OFF);
}

/* ---- what is shown ---- */

static const char *const starts[] = {"restart", "power-on"};

static void a_display_shows_what_it_showed(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "ssd1306", 0x3c));
    bench_remember(b);
    bench_start(b);
    bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-2\": \"21.5 \u2103\"}]");
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        bench_restart(b, starts[i]);
        bench_run(b, 2);
        assert_contains(bench_last(b, "[\"display-oled"), "\"line-2\": \"21.5 ");
        assert_contains(bench_ask(b, "[\"display-oled/i2c0-3c/get\", {}]"), "21.5");
    }
    /* Within a minute it is on disk, too. */
    bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-3\": \"later\"}]");
    bench_run(b, 61);
    bench_restart(b, "crash");
    bench_run(b, 2);
    assert_contains(bench_last(b, "[\"display-oled"), "\"line-3\": \"later\"");
    bench_stop(b);
    write_file(b, STATES,
               "{\"version\": 1, \"devices\": {\"display-oled/i2c0-3c\": {\"shown\": "
               "{\"line-0\": 7, \"raw\": []}}}}");
    bench_clear(b);
    bench_start(b);
    bench_run(b, 2);
    assert_contains(bench_last(b, "[\"display-oled"), "\"line-0\": \"\"");
}

static void an_led_blinks_as_it_did(void **state)
{
    bench *b = *state;

    b->node.led = "sim";
    bench_remember(b);
    bench_start(b);
    bench_ask(b, "[\"led/-/set\", {\"state\": \"2-dot\"}]");
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        bench_restart(b, starts[i]);
        bench_run(b, 2);
        assert_string_equal(bench_last(b, "[\"led"), "[\"led/-\", {\"state\": \"2-dot\"}]");
    }
    bench_stop(b);
    write_file(b, STATES, "{\"version\": 1, \"devices\": {\"led/-\": {\"shown\": \"dots\"}}}");
    bench_clear(b);
    bench_start(b);
    assert_contains(bench_last(b, "[\"led"), "off");
}

/* ---- history ---- */

/* The machine starts in 1970, is suspended for a while, and then learns the time of day. */
static void history_keeps_its_order_when_the_clock_is_set(void **state)
{
    bench *b = *state;
    const char *answer;
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    b->wall = -b->time;
    bench_start(b);
    bench_run(b, 20);
    b->booted -= 40000000; /* suspended: only the machine's own clock has gone on */
    bench_run(b, 10);
    b->wall += INT64_C(1700000000000000);
    answer =
        bench_ask(b, "[\"thermometer/i2c0-48/history/get\", {\"seconds\": 80, \"points\": 8}]");
    assert_contains(answer, "\"step\": 10, \"end\": 1700000032");
    assert_contains(answer, "\"mean\": [21.5, 21.5, 21.5, null, null, null, 21.5, 21.5]");
}

/* Wherever in the file it stood: or each later hub would read it once more. */
static void a_note_is_gone_once_the_state_is_recorded(void **state)
{
    bench *b = *state;
    char notes[64 * 128 + 1];

    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    for (size_t i = 0; i < 64; i++) {
        snprintf(notes + 128 * i, sizeof notes - 128 * i, "%-127s\n",
                 i == 2 ? "relay/i2c0-3b pulse" : "");
    }
    write_file(b, NOTES, notes);
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_STATE_INTERRUPTED), 1);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    bench_restart(b, "crash");
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_STATE_INTERRUPTED), 0);
    assert_int_equal(record(b, 0x3b).contact, 1);
}

/* ---- what the disk is spared ---- */

#define SET_INTERVAL "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": %d}]"

/* A thermometer and a relay module, and a descriptor that counts how often their file is made. */
static bench *with_counted_writes(void **state, int *counter)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_remember(b);
    bench_start(b);
    bench_run(b, 1);
    assert_true((*counter = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) >= 0);
    /* The creation of the next one in between: equal events that follow each other become one. */
    assert_true(inotify_add_watch(*counter, b->dir, IN_MOVED_TO | IN_CREATE) >= 0);
    return b;
}

/* How often the file was replaced since it was asked last. */
static int writes(int counter)
{
    _Alignas(struct inotify_event) char buffer[4096];
    ssize_t length;
    int n = 0;

    while ((length = read(counter, buffer, sizeof buffer)) > 0) {
        for (ssize_t at = 0; at < length;) {
            const struct inotify_event *event = (const void *)(buffer + at);
            assert_false(event->mask & IN_Q_OVERFLOW);
            n += strcmp(event->name, STATES) == 0;
            at += (ssize_t)sizeof *event + event->len;
        }
    }
    return n;
}

static void set_interval(bench *b, int seconds)
{
    char text[128], shown[64];

    snprintf(text, sizeof text, SET_INTERVAL, seconds);
    snprintf(shown, sizeof shown, "\"publish-interval\": %d}", seconds);
    assert_contains(bench_ask(b, text), shown);
}

static void assert_interval(bench *b, int seconds)
{
    char shown[64];

    snprintf(shown, sizeof shown, "\"publish-interval\": %d}", seconds);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/config/get\", {}]"), shown);
}

static void settings_are_gathered(void **state)
{
    int counter;
    bench *b = with_counted_writes(state, &counter);

    for (int i = 2; i <= 90; i++) {
        set_interval(b, i);
        bench_run(b, 0.01);
    }
    assert_int_equal(writes(counter), 0);
    bench_run(b, 1);
    assert_int_equal(writes(counter), 1);
    bench_run(b, 100);
    assert_int_equal(writes(counter), 0);
    bench_kill(b);
    bench_start(b);
    bench_run(b, 1);
    assert_interval(b, 90);
    close(counter);
}

static void settings_that_are_set_again_are_not_written(void **state)
{
    int counter;
    bench *b = with_counted_writes(state, &counter);

    set_interval(b, 5);
    bench_run(b, 2);
    assert_int_equal(writes(counter), 1);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 10; j++) {
            set_interval(b, 5);
            bench_run(b, 2);
        }
        bench_stop(b);
        assert_int_equal(writes(counter), 0);
        bench_start(b); /* and now they come from the file */
        bench_run(b, 1);
        writes(counter);
    }
    close(counter);
}

static void settings_are_written_at_the_end(void **state)
{
    int counter;
    bench *b = with_counted_writes(state, &counter);

    set_interval(b, 5);
    bench_restart(b, "power-on");
    bench_run(b, 1);
    assert_interval(b, 5);
    set_interval(b, 6);
    bench_restart(b, "restart");
    bench_run(b, 1);
    assert_interval(b, 6);
    set_interval(b, 7);
    bench_restart(b, "crash"); /* what was set within the last second is lost, and no more */
    bench_run(b, 1);
    assert_interval(b, 6);
    close(counter);
}

/* Nothing of a relay waits, and what waits goes with it. */
static void a_relay_waits_for_no_settings(void **state)
{
    int counter;
    bench *b = with_counted_writes(state, &counter);

    set_interval(b, 5);
    assert_int_equal(writes(counter), 0);
    assert_string_equal(bench_ask(b, ON), IS_ON);
    assert_int_equal(writes(counter), 1);
    bench_run(b, 5);
    assert_int_equal(writes(counter), 0);
    bench_restart(b, "crash");
    bench_run(b, 1);
    assert_string_equal(bench_ask(b, GET), IS_ON);
    assert_interval(b, 5);
    close(counter);
}

static void a_display_that_shows_the_same_is_not_written(void **state)
{
    int counter;
    bench *b = with_counted_writes(state, &counter);

    assert_true(sim_add(b->sim[0], "ssd1306", 0x3c));
    bench_run(b, 60);
    for (int i = 0; i < 3; i++) {
        assert_contains(bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"the same\"}]"),
                        "the same");
        bench_run(b, 100);
    }
    assert_int_equal(writes(counter), 1);
    close(counter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_start_of_the_server_is_no_power_on),
        BENCH_TEST(a_plain_board_stays_as_it_was),
        BENCH_TEST(a_start_of_the_machine_is_one),
        BENCH_TEST(a_start_of_the_machine_counts_for_a_relay_that_comes_later),
        BENCH_TEST(an_option_that_is_added_moves_nothing),
        BENCH_TEST(an_interlock_waits_until_all_were_looked_for),
        BENCH_TEST(nothing_moves_where_the_boot_is_not_known),
        BENCH_TEST(nothing_moves_where_the_boot_cannot_be_noted),
        BENCH_TEST(a_clock_that_is_set_changes_no_pulse),
        BENCH_TEST(a_pulse_does_not_outlive_its_boot),
        BENCH_TEST(nonsense_in_a_pulse_does_no_harm),
        BENCH_TEST(a_pulse_ends_with_its_hub),
        BENCH_TEST(a_pulse_goes_on_with_a_successor),
        BENCH_TEST(a_pulse_that_cannot_be_ended_is_ended_by_the_next_hub),
        BENCH_TEST(a_hub_that_has_not_looked_yet_ends_a_pulse),
        BENCH_TEST(a_hub_that_ends_before_it_has_looked_begins_nothing),
        BENCH_TEST(a_memory_has_one_owner),
        BENCH_TEST(what_cannot_be_read_is_left_alone),
        BENCH_TEST(files_belong_to_the_owner_of_the_directory),
        BENCH_TEST(states_that_cannot_be_written_are_unknown),
        BENCH_TEST(a_full_disk_tells_no_lies),
        BENCH_TEST(an_empty_file_of_notes_says_nothing),
        BENCH_TEST(what_cannot_be_written_is_not_believed),
        BENCH_TEST(what_is_not_known_stays_so),
        BENCH_TEST(a_hub_that_cannot_remember_says_so_soon),
        BENCH_TEST(a_pulse_that_was_only_noted_is_ended),
        BENCH_TEST(a_display_shows_what_it_showed),
        BENCH_TEST(an_led_blinks_as_it_did),
        BENCH_TEST(history_keeps_its_order_when_the_clock_is_set),
        BENCH_TEST(a_note_is_gone_once_the_state_is_recorded),
        BENCH_TEST(settings_are_gathered),
        BENCH_TEST(settings_that_are_set_again_are_not_written),
        BENCH_TEST(settings_are_written_at_the_end),
        BENCH_TEST(a_relay_waits_for_no_settings),
        BENCH_TEST(a_display_that_shows_the_same_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
