/*
 * The hub with its threads, on simulated buses and the real clock: every request has exactly one
 * final answer, whatever comes in whatever order, and it ends cleanly in the middle of work. Run
 * under ThreadSanitizer it says more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "sim/sim.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_ASKED 4096
#define PATIENCE  60 /* seconds until a test that hangs fails */

typedef struct house {
    hub *hub;
    uint64_t asked, answered;
    unsigned finals[MAX_ASKED + 1];
    size_t publications, errors;
    unsigned forgetting; /* lists of devices that say that nothing is remembered */
    char dir[64];
} house;

static void on_reply(void *baton, uint64_t asker, const char *line, size_t length, bool last)
{
    house *house = baton;

    assert_true(asker >= 1 && asker <= house->asked);
    assert_true(length > 0 && line[length - 1] == '\n');
    assert_int_equal(house->finals[asker], 0);
    house->errors += strstr(line, "\"error\"") != NULL;
    if (last) {
        house->finals[asker]++;
        house->answered++;
    }
}

static void on_publish(void *baton, const char *node, uint64_t except, const char *line,
                       size_t length)
{
    (void)node;
    (void)except;
    assert_int_equal(line[length - 1], '\n');
    ((house *)baton)->publications++;
    ((house *)baton)->forgetting += strstr(line, "\"remembers\": false") != NULL;
}

static void on_log(void *baton, hub_level level, int code, const char *text)
{
    (void)baton;
    (void)level;
    (void)text;
    assert_in_range(code, 1000, 1999);
}

static void start(house *house)
{
    static const hub_bus_config buses[] = {{.label = 0, .device = "sim"},
                                           {.label = 1, .device = "sim"},
                                           {.label = 2, .device = "sim"}};
    static const hub_interval_config intervals[] = {{"thermometer", 0.1}, {"lux-meter", 0.2}};
    static const hub_node_config nodes[] = {
        {.name = "a",
         .buses = buses,
         .n_buses = 2,
         .intervals = intervals,
         .n_intervals = 2,
         .led = "sim",
         .rescan = 0.5},
        {.name = "b", .buses = buses + 2, .n_buses = 1, .rescan = 1},
    };
    static const i2c_bus_kind *const kinds[] = {&sim_bus_kind, NULL};
    const hub_config config = {
        .nodes = nodes,
        .n_nodes = 2,
        .state_dir = house->dir,
        .release = "1",
        .datetime = "2024-01-01T00:00:00Z",
        .reason_for_reset = "restart",
        .bus_kinds = kinds,
    };
    const hub_output output = {on_reply, on_publish, on_log, house, NULL};

    assert_non_null(house->hub = hub_create(&config, &output));
}

static void ask(house *house, const char *node, const char *text)
{
    assert_true(house->asked < MAX_ASKED);
    hub_request(house->hub, node, HUB_MAY_CONTROL | HUB_MAY_RAW_I2C, ++house->asked, text,
                strlen(text));
}

/* Until everything is answered, or this many publications have come. */
static void run(house *house, size_t publications)
{
    struct pollfd readable = {.fd = hub_fd(house->hub), .events = POLLIN};
    time_t begin = time(NULL);

    while (house->answered < house->asked || house->publications < publications) {
        assert_true(time(NULL) - begin < PATIENCE);
        poll(&readable, 1, 1000);
        hub_dispatch(house->hub);
    }
}

static int setup(void **state)
{
    house *house = calloc(1, sizeof(*house));

    assert_non_null(house);
    strcpy(house->dir, "/tmp/clowntalk-threads-XXXXXX");
    assert_non_null(mkdtemp(house->dir));
    start(house);
    *state = house;
    return 0;
}

static void empty(const house *house)
{
    DIR *dir = opendir(house->dir);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}

static int teardown(void **state)
{
    house *house = *state;

    if (house->hub) {
        hub_destroy(house->hub);
    }
    empty(house);
    rmdir(house->dir);
    free(house);
    return 0;
}

static const char *const requests[] = {
    "[\"clown.talk/-/config/set\", {}, {\"id\": 1}]",
    "[\"-/-/config/list\", {}]",
    "[\"thermometer/i2c0-48/get\", {}]",
    "[\"relay/i2c0-3b/set\", {\"state\": true}]",
    "[\"humidity-sensor/i2c0-5f/get\", {}]",
    "[\"thermometer/i2c1-49/config/set\", {\"publish-interval\": 0.1, \"delta\": 0.01}]",
    "[\"relay/i2c1-3f/pulse/set\", {\"duration\": 0.1}]",
    "[\"i2c/0/config/scan\", {}]",
    "[\"i2c/1/get\", {\"address\": \"50\", \"read-length\": 2}]",
    "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"hello\"}]",
    "[\"led/-/set\", {\"state\": \"3-dot\"}]",
    "[\"lux-meter/i2c1-44/history/get\", {\"seconds\": 60, \"points\": 30}]",
    "[\"relay/i2c0-3b/set\", {\"state\": false}]",
    "[\"barometer/i2c1-60/get\", {}]",
    "nonsense",
    "[\"no/such\", {}]",
};
#define N_REQUESTS (sizeof(requests) / sizeof(*requests))

static void every_request_has_one_final_answer(void **state)
{
    house *house = *state;

    for (size_t round = 0; round < 6; round++) {
        for (size_t i = 0; i < N_REQUESTS; i++) {
            ask(house, "a", requests[i]);
            ask(house, "b", requests[i]);
        }
        if (round % 3 == 2) {
            run(house, 0);
        }
    }
    run(house, 50);
    for (uint64_t i = 1; i <= house->asked; i++) {
        assert_int_equal(house->finals[i], 1);
    }
}

/* Ended in the middle of everything, several times, at different depths. */
static void it_ends_in_the_middle_of_work(void **state)
{
    house *house = *state;

    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < N_REQUESTS; i++) {
            ask(house, "a", requests[i]);
            ask(house, "b", requests[i]);
        }
        for (int turn = 0; turn < round * 3; turn++) {
            hub_dispatch(house->hub);
        }
        if (round % 2) {
            run(house, house->publications + (size_t)round);
        }
        ask(house, "a", requests[3]);
        hub_destroy(house->hub);
        house->hub = NULL;
        assert_int_equal(house->answered, house->asked);
        start(house);
    }
}

/* Runs until a node's file of states says something. */
static void await_states(house *house, char node, const char *what)
{
    const time_t begin = time(NULL);
    char path[96], text[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/%c.json", house->dir, node);
    do {
        assert_true(time(NULL) - begin < PATIENCE);
        run(house, house->publications + 1);
        text[0] = 0;
        if ((file = fopen(path, "r"))) {
            text[fread(text, 1, sizeof text - 1, file)] = 0;
            fclose(file);
        }
    } while (!strstr(text, what));
}

/* Nothing is switched or set: it is noticed all the same, and all is written. */
static void a_directory_that_is_made_again_is_used(void **state)
{
    house *house = *state;
    const time_t begin = time(NULL);

    ask(house, "a", requests[3]);
    await_states(house, 'a', "\"state\":true");
    assert_int_equal(house->forgetting, 0);
    empty(house);
    assert_int_equal(rmdir(house->dir), 0);
    while (house->forgetting < 2) {
        assert_true(time(NULL) - begin < PATIENCE);
        run(house, house->publications + 1);
    }
    assert_int_equal(mkdir(house->dir, 0700), 0);
    await_states(house, 'a', "\"state\":true");
    await_states(house, 'b', "\"devices\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_request_has_one_final_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(it_ends_in_the_middle_of_work, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_that_is_made_again_is_used, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
