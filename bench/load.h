/*
 * What the load generator's scenarios share. Each scenario is a function that runs once, prints one
 * JSON object per line on stdout, and returns whether everything went as it should.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "client.h"
#include "samples.h"

typedef struct load_options {
    crowd_target target;
    unsigned connections;
    unsigned rounds;   /* publications, relay requests */
    size_t size;       /* bytes of a message */
    double warm_up;    /* seconds that are not measured */
    double seconds;    /* that are measured */
    double patience;   /* seconds after which a step has failed */
    double pulse;      /* milliseconds that the relay's own pulse takes */
    const char *relay; /* its topic */
    const char *pids;  /* of the server, with commas between; or NULL */
} load_options;

bool load_echo(const load_options *options);
bool load_idle(const load_options *options);
bool load_fan_out(const load_options *options);
bool load_busy(const load_options *options);
bool load_relay(const load_options *options);

/*
 * Processor seconds that the server's processes have used until now; 0 where they are not known. On
 * a busy machine it varies less than elapsed time.
 */
double load_server_cpu(const load_options *options);

#define LOAD_MIN_SIZE 24

/*
 * Writes a message of `size` (LOAD_MIN_SIZE or more) bytes of ASCII that carries both numbers. The
 * servers that are measured echo a message that begins with '.', and send one that begins with '!'
 * to all clients.
 */
void load_message(char *out, size_t size, char kind, uint32_t client, uint64_t sequence);
/* Whether it is the one that load_message() writes. */
bool load_message_is(const uint8_t *data, size_t length, size_t size, char kind, uint32_t client,
                     uint64_t sequence);

#endif
