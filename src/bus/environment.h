/*
 * What the hub takes from its surroundings: buses and clocks. Programs use the real ones; tests
 * bring simulated buses and a clock of their own, and do the threads' work themselves.
 */
#ifndef HUB_ENVIRONMENT_H
#define HUB_ENVIRONMENT_H

#include "i2c/bus.h"
#include "hub/hub.h"

typedef struct hub_environment {
    /* As i2c_bus_open(). Called on the bus's thread. */
    int (*open_bus)(void *baton, i2c_bus **bus, int label, const char *device, char *why,
                    size_t why_size);
    int64_t (*now)(void *baton);  /* microseconds, monotonic; any thread */
    int64_t (*wall)(void *baton); /* microseconds since 1970, UTC; any thread */
    /* No threads: hub_run_buses() does their work. For tests on a clock of their own. */
    bool manual;
    void *baton;
} hub_environment;

extern const hub_environment hub_real_environment;

hub *hub_create_in(const hub_config *config, const hub_output *output,
                   const hub_environment *environment);

/*
 * Without threads: every bus takes one step of what is due now. Returns when the next of them wants
 * to be called, which may be at once.
 */
int64_t hub_run_buses(hub *hub);
/* Whether every message between the owner and the buses has been taken up. */
bool hub_is_idle(hub *hub);
/* When hub_dispatch() has something to do that no bus tells it: the owner's own timers. */
int64_t hub_next_due(const hub *hub);

#endif
