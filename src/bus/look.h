/* What is found at an address. Bus's thread only. */
#ifndef BUS_LOOK_H
#define BUS_LOOK_H

#include "site.h"

/*
 * Tries the site's drivers, one after the other; the first that knows the chip has it. A probe that
 * has to wait leaves the site SITE_PROBING, to be looked at again at its time.
 */
void site_look(worker *worker, site *site);

#endif
