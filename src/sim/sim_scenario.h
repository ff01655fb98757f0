/*
 * A scenario as it was read from its file (docs/simulation.md): which chips there are, what they
 * measure, and what happens to them when. Reading is pure; the bus that plays a scenario owns it.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim_chip.h"

#define SIM_SCENARIO_MAX_SIZE (1 << 20) /* bytes in a file */

#define SIM_UNPLUGGED (-1)

typedef struct sim_event {
    int what;      /* SIM_UNPLUGGED or a sim_fault */
    double amount; /* of the fault */
    double at;     /* seconds after the beginning */
    double length; /* seconds, INFINITY: for good */
    double every;  /* seconds from one beginning to the next, INFINITY: once */
    int64_t begun; /* how often the player has seen it begin */
} sim_event;

typedef struct sim_scenario_chip {
    const sim_chip_ops *ops;
    uint8_t address;
    sim_signal inputs[SIM_MAX_INPUTS];
    sim_event *events;
    size_t n_events;
} sim_scenario_chip;

typedef struct sim_scenario {
    double clock_frequency; /* Hz, 0: transfers take no time */
    char *memory;           /* file that keeps the chips' registers, or NULL */
    char *trace;            /* file that transfers are written to, or NULL */
    sim_scenario_chip *chips;
    size_t n_chips;
} sim_scenario;

/* Reads a scenario. NULL with a sentence in `why` that names the line, or the member. */
sim_scenario *sim_scenario_parse(const char *text, size_t length, char *why, size_t why_size);
/* The same from a file; the sentence begins with its name. */
sim_scenario *sim_scenario_load(const char *file, char *why, size_t why_size);
void sim_scenario_free(sim_scenario *scenario);

#endif
