/*
 * What a bus's thread takes from its surroundings: the bus itself, and the time. Programs use the
 * real ones; tests bring simulated buses and a clock of their own, and do the threads' work
 * themselves.
 */
#ifndef BUS_ENVIRONMENT_H
#define BUS_ENVIRONMENT_H

#include "i2c/bus.h"

typedef struct bus_environment {
    /* Opens a bus: 0, or a negative errno with a sentence in `why`. On the bus's thread. */
    int (*open_bus)(void *baton, i2c_bus **bus, int label, const char *device, char *why,
                    size_t why_size);
    int64_t (*now)(void *baton); /* microseconds, monotonic; any thread */
    /* No threads: the creator of the workers calls worker_run(). For tests. */
    bool manual;
    void *baton;
} bus_environment;

/* Real clocks, and buses of these kinds (which must outlive it), opened by their device strings. */
bus_environment bus_real_environment(const i2c_bus_kind *const *kinds);

#endif
