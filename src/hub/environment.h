/*
 * A hub with buses, clocks and a machine that the caller chooses, and without threads: for tests on
 * a clock of their own. hub_create() is the same with the real ones.
 */
#ifndef HUB_ENVIRONMENT_H
#define HUB_ENVIRONMENT_H

#include "bus/environment.h"
#include "hub.h"

typedef struct hub_environment {
    bus_environment bus;
    /* Microseconds since 1970, UTC; any thread. Called with the bus's baton. */
    int64_t (*wall)(void *baton);
    /* Microseconds since the machine's start, suspended time included; any thread. */
    int64_t (*boottime)(void *baton);
    /* Which start of the machine this is, "" where that is not known. Read in hub_create_in(). */
    const char *boot_id;
} hub_environment;

hub *hub_create_in(const hub_config *config, const hub_output *output,
                   const hub_environment *environment);

/* As if its process was killed: nothing is written any more, and no contact moves. */
void hub_die(hub *hub);

/*
 * Without threads: every bus does one step of what is due now. Returns when the first of them is to
 * be called again, which may be at once.
 */
int64_t hub_run_buses(hub *hub);
/* Whether every message between the owner and the buses has been taken up. */
bool hub_is_idle(hub *hub);
/* When hub_dispatch() has something to do without a message from a bus: the owner's own timers. */
int64_t hub_next_due(const hub *hub);

#endif
