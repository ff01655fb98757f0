/*
 * Plays a scenario on a simulated bus and reads its file again when that has changed. Part of the
 * bus, which calls it with its lock held.
 */
#ifndef SIM_PLAYER_H
#define SIM_PLAYER_H

#include "sim_bus.h"

/* Opens the file and brings its chips onto an empty bus. 0, or a negative errno and `why`. */
int sim_player_open(sim_bus *bus, const char *file, char *why, size_t why_size);
/* Before every transfer: looks at the file now and then, and lets happen what is due. */
void sim_player_advance(sim_bus *bus);
void sim_player_close(sim_bus *bus);

#endif
