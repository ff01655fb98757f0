/* What is found at an address. Bus's thread only. */
#ifndef BUS_LOOK_H
#define BUS_LOOK_H

#include "site.h"

/*
 * Takes the next step of a look at an address: a step of one driver's probe, so that no look takes
 * longer than that, however many drivers an address has. The drivers are tried one after the other;
 * the first that knows the chip has it. site_is_undecided(): the look is not over yet.
 */
void site_look(worker *worker, site *site);

#endif
