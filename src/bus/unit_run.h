/* A device's life: identified, configured, at work, looked at now and then. Bus's thread only. */
#ifndef BUS_UNIT_RUN_H
#define BUS_UNIT_RUN_H

#include "unit.h"

/*
 * A chip was identified and its devices were created: they are recovered, and configured next.
 * `returned`: it was there before.
 */
void units_begin(worker *worker, site *site, bool returned);
/* Takes over a message from the owner: a request, or a new interval. */
void unit_take(worker *worker, unit *unit, message *message);
/* When unit_run() has something to do. */
int64_t unit_due(const unit *unit);
/* Does the next thing that is due. May free the unit. */
void unit_run(worker *worker, unit *unit);

#endif
