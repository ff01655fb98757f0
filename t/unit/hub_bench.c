#include "hub_bench.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ROUNDS 1000000 /* of a run: more is a hub that spins */

/* ---- surroundings ---- */

static int open_bus(void *baton, i2c_bus **bus, int label, const char *device, char *why,
                    size_t why_size)
{
    bench *b = baton;

    (void)device;
    if (b->open_error[label]) {
        snprintf(why, why_size, "%s", strerror(b->open_error[label]));
        return -b->open_error[label];
    }
    sim_bus_retain(b->sim[label]);
    *bus = b->fault[label] = fault_bus_create(b->sim[label]);
    if (b->first_rule) {
        assert_true(fault_bus_add(*bus, b->first_rule));
    }
    return 0;
}

static int64_t now(void *baton)
{
    return ((bench *)baton)->time;
}

static int64_t wall(void *baton)
{
    return ((bench *)baton)->wall + ((bench *)baton)->time;
}

static int64_t boottime(void *baton)
{
    return ((bench *)baton)->time - ((bench *)baton)->booted;
}

static void name_boot(bench *b)
{
    snprintf(b->boot_id, sizeof(b->boot_id), "boot-%u", (unsigned)(b->booted / 1000000) % 1000000);
}

/* ---- what the hub says ---- */

static void add_line(bench *b, line_kind kind, const char *text, size_t length, line said)
{
    b->lines = realloc(b->lines, (b->n_lines + 1) * sizeof(*b->lines));
    assert_non_null(b->lines);
    if (kind != LINE_LOG) {
        assert_true(length > 0);
        assert_int_equal(text[--length], '\n');
    }
    said.kind = kind;
    said.time = b->time;
    said.text = strndup(text, length);
    b->lines[b->n_lines++] = said;
}

static void on_reply(void *baton, uint64_t asker, const char *text, size_t length, bool last)
{
    add_line(baton, LINE_REPLY, text, length, (line){.asker = asker, .last = last});
}

static void on_publish(void *baton, const char *node, uint64_t except, const char *text,
                       size_t length)
{
    assert_string_equal(node, BENCH_NODE);
    add_line(baton, LINE_PUBLICATION, text, length, (line){.asker = except});
}

static void on_log(void *baton, hub_level level, int code, const char *text)
{
    (void)level;
    add_line(baton, LINE_LOG, text, strlen(text), (line){.code = code});
}

/* ---- life ---- */

bench *bench_new(void)
{
    bench *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    b->time = INT64_C(1000000000);
    b->wall = INT64_C(1700000000000000) - b->time;
    name_boot(b);
    b->clock = sim_fake_clock(&b->time);
    for (int i = 0; i < BENCH_BUSES; i++) {
        assert_non_null(b->sim[i] = sim_bus_create(&b->clock));
        b->buses[i] = (hub_bus_config){i, "sim", HUB_MODULES_BIGCLOWN};
    }
    b->node = (hub_node_config){
        .name = BENCH_NODE,
        .buses = b->buses,
        .n_buses = 1,
        .devices = b->devices,
        .intervals = b->intervals,
        .rescan = 30,
    };
    b->config = (hub_config){
        .nodes = &b->node,
        .n_nodes = 1,
        .release = "1.2.3",
        .datetime = "2024-01-02T03:04:05Z",
        .reason_for_reset = "power-on",
    };
    return b;
}

void bench_pin(bench *b, const char *topic, const char *driver, ...)
{
    const char **options = calloc(5, sizeof(*options));
    va_list arguments;
    size_t n = 0;

    assert_non_null(options);
    assert_true(b->node.n_devices < BENCH_DEVICES);
    va_start(arguments, driver);
    while (n < 4 && (options[n] = va_arg(arguments, const char *))) {
        n++;
    }
    va_end(arguments);
    b->devices[b->node.n_devices++] = (hub_device_config){topic, driver, options};
}

void bench_remember(bench *b)
{
    strcpy(b->dir, "/tmp/clowntalk-hub-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    b->config.state_dir = b->dir;
}

const char *bench_file(bench *b, const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    return path;
}

static bool takes(void *baton, uint64_t asker)
{
    return asker != ((const bench *)baton)->not_taken;
}

void bench_start(bench *b)
{
    const hub_environment environment = {{open_bus, now, true, b}, wall, boottime, b->boot_id};
    const hub_output output = {on_reply, on_publish, on_log, b, takes};

    assert_non_null(b->hub = hub_create_in(&b->config, &output, &environment));
}

void bench_stop(bench *b)
{
    hub_destroy(b->hub);
    b->hub = NULL;
}

void bench_kill(bench *b)
{
    hub_die(b->hub);
    b->hub = NULL;
}

void bench_restart(bench *b, const char *reason)
{
    if (strcmp(reason, "crash") == 0) {
        hub_die(b->hub);
    } else if (strcmp(reason, "restart") == 0) {
        hub_hand_over(b->hub);
    } else {
        hub_destroy(b->hub);
    }
    bench_clear(b);
    b->config.reason_for_reset = reason;
    bench_start(b);
}

void bench_reboot(bench *b)
{
    if (b->hub) {
        bench_stop(b);
    }
    bench_clear(b);
    b->booted = b->time += 20000000; /* it takes its time */
    name_boot(b);
    b->config.reason_for_reset = "power-on";
    bench_start(b);
}

static void remove_dir(bench *b)
{
    DIR *dir = opendir(b->dir);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    rmdir(b->dir);
}

void bench_free(bench *b)
{
    if (b->hub) {
        bench_stop(b);
    }
    bench_clear(b);
    free(b->lines);
    for (int i = 0; i < BENCH_BUSES; i++) {
        i2c_bus_close(b->sim[i]);
    }
    for (size_t i = 0; i < b->node.n_devices; i++) {
        free((void *)b->devices[i].options);
    }
    if (b->dir[0]) {
        remove_dir(b);
    }
    free(b);
}

int bench_setup(void **state)
{
    *state = bench_new();
    return 0;
}

int bench_teardown(void **state)
{
    bench_free(*state);
    return 0;
}

/* ---- time ---- */

/* Does all that is due at this moment. When the next is. */
static int64_t settle(bench *b)
{
    int64_t due, owner;

    do {
        due = hub_run_buses(b->hub);
        hub_dispatch(b->hub);
    } while (!hub_is_idle(b->hub));
    owner = hub_next_due(b->hub);
    return owner < due ? owner : due;
}

static bool answered(const bench *b, uint64_t asker)
{
    for (size_t i = b->n_lines; i > 0; i--) {
        if (b->lines[i - 1].kind == LINE_REPLY && b->lines[i - 1].asker == asker &&
            b->lines[i - 1].last) {
            return true;
        }
    }
    return false;
}

/* Until a time, or until a request (not 0) is answered. */
static void run_until(bench *b, int64_t end, uint64_t asker)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        int64_t due = settle(b);
        if (asker && answered(b, asker)) {
            return;
        }
        if (due > end || b->time > end) {
            if (b->time < end) {
                b->time = end;
            }
            return;
        }
        if (due > b->time) {
            b->time = due;
        }
    }
    fail_msg("the hub spins");
}

void bench_run(bench *b, double seconds)
{
    run_until(b, b->time + (int64_t)(seconds * 1e6), 0);
}

/* ---- asking ---- */

uint64_t bench_request(bench *b, unsigned rights, const char *text)
{
    hub_request(b->hub, BENCH_NODE, rights, ++b->asked, text, strlen(text));
    return b->asked;
}

const char *bench_ask(bench *b, const char *text)
{
    uint64_t asker = bench_request(b, ALL_RIGHTS, text);

    run_until(b, b->time + INT64_C(100000000), asker);
    if (!answered(b, asker)) {
        fail_msg("no final answer to %s", text);
    }
    return bench_reply(b, asker, bench_replies(b, asker) - 1);
}

const char *bench_reply(const bench *b, uint64_t asker, size_t n)
{
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].kind == LINE_REPLY && b->lines[i].asker == asker && n-- == 0) {
            return b->lines[i].text;
        }
    }
    return NULL;
}

size_t bench_replies(const bench *b, uint64_t asker)
{
    size_t n = 0;

    while (bench_reply(b, asker, n)) {
        n++;
    }
    return n;
}

void bench_clear(bench *b)
{
    for (size_t i = 0; i < b->n_lines; i++) {
        free(b->lines[i].text);
    }
    b->n_lines = 0;
}

static bool is_publication(const line *line, const char *beginning)
{
    return line->kind == LINE_PUBLICATION && strncmp(line->text, beginning, strlen(beginning)) == 0;
}

size_t bench_published(const bench *b, const char *beginning)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_lines; i++) {
        n += is_publication(&b->lines[i], beginning);
    }
    return n;
}

const char *bench_last(const bench *b, const char *beginning)
{
    for (size_t i = b->n_lines; i > 0; i--) {
        if (is_publication(&b->lines[i - 1], beginning)) {
            return b->lines[i - 1].text;
        }
    }
    return NULL;
}

size_t bench_logged(const bench *b, log_code code)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_lines; i++) {
        n += b->lines[i].kind == LINE_LOG && b->lines[i].code == (int)code;
    }
    return n;
}

double bench_value(const char *text)
{
    const char *at = text ? strstr(text, "\": [") : NULL;

    if (!at) {
        fail_msg("no quantity in %s", text ? text : "nothing");
    }
    return strncmp(at + 4, "null", 4) == 0 ? NAN : strtod(at + 4, NULL);
}

void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part)) {
        fail_msg("%s does not contain %s", text ? text : "nothing", part);
    }
}
