/*
 * For the hub's tests: a hub on simulated buses and a clock of its own, without threads: the test
 * does their work. Nothing here takes real time. All output of the hub is kept in order.
 */
#ifndef T_UNIT_HUB_BENCH_H
#define T_UNIT_HUB_BENCH_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/environment.h"
#include "bus/log.h"
#include "i2c/fault.h"
#include "sim/sim.h"

#define BENCH_NODE    "nodes/bridge/0"
#define BENCH_BUSES   2
#define BENCH_DEVICES 16
#define ALL_RIGHTS    (HUB_MAY_CONTROL | HUB_MAY_RAW_I2C)

typedef enum line_kind { LINE_REPLY, LINE_PUBLICATION, LINE_LOG } line_kind;

typedef struct line {
    line_kind kind;
    int64_t time;   /* of the bench's clock */
    uint64_t asker; /* of a reply; of a publication: the request whose sender does not get it */
    bool last;
    int code;   /* of a log line */
    char *text; /* without its line feed */
} line;

typedef struct bench {
    _Atomic int64_t time; /* microseconds */
    int64_t wall;         /* microseconds since 1970 at time 0 */
    int64_t booted;       /* when the machine was started */
    char boot_id[16];     /* and how that start is called */
    sim_clock clock;
    i2c_bus *sim[BENCH_BUSES];    /* outlives the hub, as the chips do */
    i2c_bus *fault[BENCH_BUSES];  /* what the hub has open, or NULL */
    const fault_rule *first_rule; /* for every bus that is opened, or NULL */
    int open_error[BENCH_BUSES];  /* opening fails with this errno while it is not 0 */

    hub_bus_config buses[BENCH_BUSES];
    hub_device_config devices[BENCH_DEVICES];
    hub_interval_config intervals[4];
    hub_node_config node;
    hub_config config;

    hub *hub;
    uint64_t asked;
    uint64_t not_taken; /* an answer to this request is not taken at the moment; 0: all are */
    line *lines;
    size_t n_lines;
    char dir[64]; /* for the memory of states: made by bench_remember() */
} bench;

/* A bench with one empty bus, i2c0; no hub yet. */
bench *bench_new(void);
/* A ClownTalkDevice. The options, at most four, end with NULL. */
void bench_pin(bench *b, const char *topic, const char *driver, ...);
/* States are remembered in a directory of the bench's own. */
void bench_remember(bench *b);
/* The path of a file in it. */
const char *bench_file(bench *b, const char *name);
void bench_start(bench *b);
void bench_stop(bench *b);
/* As if its process was killed. */
void bench_kill(bench *b);
/*
 * Everything but the chips and the remembered states begins anew: after a "crash" the hub was
 * killed, for a "restart" it has handed over, else it was stopped.
 */
void bench_restart(bench *b, const char *reason);
/* As bench_restart(), after the machine was started again. The chips keep their power. */
void bench_reboot(bench *b);
void bench_free(bench *b);

/* Lets this time pass, and everything that is due in it happen. */
void bench_run(bench *b, double seconds);

/* Hands in a request; its number. */
uint64_t bench_request(bench *b, unsigned rights, const char *text);
/* The same with all rights; waits (up to 100 s) for the final answer and returns its text. */
const char *bench_ask(bench *b, const char *text);

/* The nth (0 ...) reply to a request, or NULL. */
const char *bench_reply(const bench *b, uint64_t asker, size_t n);
size_t bench_replies(const bench *b, uint64_t asker);
/* Forgets all lines so far. */
void bench_clear(bench *b);
/* The number of publications with this beginning; the last of them, or NULL. */
size_t bench_published(const bench *b, const char *beginning);
const char *bench_last(const bench *b, const char *beginning);
size_t bench_logged(const bench *b, log_code code);
/* The number in the first quantity of a publication, NAN for null. */
double bench_value(const char *text);

/* Whether `text` contains `part`; fails showing both. */
void assert_contains(const char *text, const char *part);

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
int bench_setup(void **state);
int bench_teardown(void **state);

#endif
