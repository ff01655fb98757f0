/*
 * The load generator: WebSocket clients, plain or over TLS, against a server on 127.0.0.1.
 *
 * One process, one thread (`busy` has a second one for its requests). bench/run starts it against
 * one server after the other; what it prints is a JSON object per line.
 */
#include "load.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_CONNECTIONS 60000
#define MAX_SIZE        60000
#define MAX_SECONDS     600
/* No run, however it goes, outlives this: seconds. */
#define LAST_RESORT 900

static const char usage[] =
    "usage: load SCENARIO --port=N [OPTION ...]\n"
    "\n"
    "    echo      each connection has one message in flight: rate, round trip, fairness\n"
    "    idle      opens a connection, then all, then a message goes over each; in between it\n"
    "              waits for a line on stdin\n"
    "    fan-out   time until the last connection has a publication\n"
    "    busy      round trip of one connection while publications go to the others\n"
    "    relay     Clown.Talk: time from a relay's set to its publication\n"
    "\n"
    "    --port=N           of the server on 127.0.0.1\n"
    "    --tls              speak TLS; the certificate is not checked\n"
    "    --path=PATH        /\n"
    "    --connections=N    1\n"
    "    --size=BYTES       of a message: 64\n"
    "    --rounds=N         publications, or relay requests: 20\n"
    "    --warm-up=SECONDS  0.5\n"
    "    --seconds=SECONDS  2\n"
    "    --patience=SECONDS after which a step has failed: 60\n"
    "    --relay=TOPIC      relay/i2c0-3b\n"
    "    --pulse=MS         of the relay, which is subtracted: 20\n"
    "    --pids=PID,...     of the server, for its processor time\n";

static const struct {
    const char *name;
    bool (*run)(const load_options *options);
} scenarios[] = {
    {"echo", load_echo}, {"idle", load_idle},   {"fan-out", load_fan_out},
    {"busy", load_busy}, {"relay", load_relay},
};

/* ---- messages ---- */

static void put_hex(char *out, uint64_t number, int digits)
{
    for (int i = digits - 1; i >= 0; i--, number >>= 4) {
        out[i] = "0123456789abcdef"[number & 15];
    }
}

void load_message(char *out, size_t size, char kind, uint32_t client, uint64_t sequence)
{
    out[0] = kind;
    put_hex(out + 1, client, 8);
    put_hex(out + 9, sequence, LOAD_MIN_SIZE - 9);
    memset(out + LOAD_MIN_SIZE, 'x', size - LOAD_MIN_SIZE);
}

bool load_message_is(const uint8_t *data, size_t length, size_t size, char kind, uint32_t client,
                     uint64_t sequence)
{
    char head[LOAD_MIN_SIZE];

    load_message(head, sizeof(head), kind, client, sequence);
    if (length != size || memcmp(data, head, sizeof(head)) != 0) {
        return false;
    }
    for (size_t i = sizeof(head); i < length; i++) {
        if (data[i] != 'x') {
            return false;
        }
    }
    return true;
}

/* ---- the server's processor time ---- */

/* utime and stime, fields 14 and 15 of /proc/PID/stat (proc(5)), in ticks. */
static unsigned long process_ticks(long pid)
{
    char path[64], line[1024];
    unsigned long user = 0, system = 0;
    const char *at = NULL;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    if (!(file = fopen(path, "r"))) {
        return 0;
    }
    if (fgets(line, sizeof(line), file)) {
        at = strrchr(line, ')'); /* behind the name, which may contain anything */
    }
    fclose(file);
    if (at &&
        sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2) {
        return user + system;
    }
    return 0;
}

double load_server_cpu(const load_options *options)
{
    unsigned long ticks = 0;
    char *end;

    for (const char *at = options->pids; at && *at; at = *end == ',' ? end + 1 : NULL) {
        ticks += process_ticks(strtol(at, &end, 10));
    }
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* ---- options ---- */

static _Noreturn void fail(const char *why, const char *what)
{
    fprintf(stderr, "load: %s%s; load --help lists what there is\n", why, what);
    exit(2);
}

typedef struct option {
    const char *name;
    enum { COUNT, BYTES, REAL, TEXT, FLAG } type; /* unsigned, size_t, double, const char *, bool */
    size_t offset;                                /* of its member in load_options */
    double least, most;
} option;

#define MEMBER(name) offsetof(load_options, name)

static const option known[] = {
    {"port", COUNT, MEMBER(target.port), 1, 65535},
    {"tls", FLAG, MEMBER(target.tls), 0, 0},
    {"path", TEXT, MEMBER(target.path), 0, 0},
    {"connections", COUNT, MEMBER(connections), 1, MAX_CONNECTIONS},
    {"size", BYTES, MEMBER(size), LOAD_MIN_SIZE, MAX_SIZE},
    {"rounds", COUNT, MEMBER(rounds), 1, 1e6},
    {"warm-up", REAL, MEMBER(warm_up), 0, MAX_SECONDS},
    {"seconds", REAL, MEMBER(seconds), 0.01, MAX_SECONDS},
    {"patience", REAL, MEMBER(patience), 0.01, MAX_SECONDS},
    {"relay", TEXT, MEMBER(relay), 0, 0},
    {"pulse", REAL, MEMBER(pulse), 0, 1000},
    {"pids", TEXT, MEMBER(pids), 0, 0},
};

static double number(const option *option, const char *text)
{
    char *end, why[160];
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(value >= option->least) ||
        value > option->most || (option->type != REAL && value != floor(value))) {
        snprintf(why, sizeof(why), "--%s must be a %snumber from %g to %g, not ", option->name,
                 option->type == REAL ? "" : "whole ", option->least, option->most);
        fail(why, text);
    }
    return value;
}

static void set(load_options *options, const option *option, const char *value)
{
    void *member = (char *)options + option->offset;

    switch (option->type) {
    case COUNT:
        *(unsigned *)member = (unsigned)number(option, value);
        break;
    case BYTES:
        *(size_t *)member = (size_t)number(option, value);
        break;
    case REAL:
        *(double *)member = number(option, value);
        break;
    case TEXT:
        *(const char **)member = value;
        break;
    case FLAG:
        *(bool *)member = true;
        break;
    }
}

/* "--name=value", or "--name" for a flag. */
static void read_option(load_options *options, const char *argument)
{
    const char *name = argument + 2, *equals = strchr(name, '=');
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].name) != length || strncmp(known[i].name, name, length) != 0) {
            continue;
        }
        if ((equals == NULL) != (known[i].type == FLAG)) {
            fail(equals ? "it takes no value: " : "it takes a value: ", argument);
        }
        set(options, &known[i], equals ? equals + 1 : NULL);
        return;
    }
    fail("there is no option ", argument);
}

static load_options read_options(int argc, char **argv)
{
    load_options options = {.target.path = "/",
                            .connections = 1,
                            .rounds = 20,
                            .size = 64,
                            .warm_up = 0.5,
                            .seconds = 2,
                            .patience = 60,
                            .pulse = 20,
                            .relay = "relay/i2c0-3b"};

    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            fail("this is no option: ", argv[i]);
        }
        read_option(&options, argv[i]);
    }
    if (options.target.port == 0) {
        fail("--port is needed", "");
    }
    return options;
}

/* ---- the process ---- */

/* As root beyond the hard limit too. What it could not raise shows when sockets run out. */
static void raise_descriptor_limit(unsigned connections)
{
    struct rlimit limit;
    const rlim_t wanted = (rlim_t)connections + 64;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted) {
        limit.rlim_max = wanted;
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        fprintf(stderr, "load: %lu descriptors are not allowed (ulimit -n): %s\n",
                (unsigned long)wanted, strerror(errno));
    }
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    load_options options;

    if (strcmp(name, "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            options = read_options(argc, argv);
            alarm(LAST_RESORT);
            setvbuf(stdout, NULL, _IOLBF, 0);
            raise_descriptor_limit(options.connections);
            return scenarios[i].run(&options) ? 0 : 1;
        }
    }
    fail("the scenario must be echo, idle, fan-out, busy or relay, not ", name);
}
