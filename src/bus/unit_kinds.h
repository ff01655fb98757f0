/* What is special about each kind of device: sensors, relays, displays. Bus's thread only. */
#ifndef BUS_UNIT_KINDS_H
#define BUS_UNIT_KINDS_H

#include "unit.h"

/* unit_sensor.c: the next step of a measurement */
void unit_measure(worker *worker, unit *unit);

/* unit_relay.c */
/* First of all after it was identified: no coil stays energised, and no contact moves. */
int unit_recover(worker *worker, unit *unit);
/*
 * Reads the contact's state, and tells the owner if it is not what was known. 0, -EOPNOTSUPP where
 * the chip cannot tell, or as `present`.
 */
int unit_compare_state(worker *worker, unit *unit);
/* The owner is told that power was lost, where that is still to be done. */
void unit_tell_power(worker *worker, unit *unit);
/* When a click that is wanted at a time may be. */
int64_t unit_click_at(const unit *unit, int64_t wanted);
/* Serves the request in front: SWITCH, READ_STATE. */
void unit_switch(worker *worker, unit *unit);
void unit_report_state(worker *worker, unit *unit);
void unit_end_pulse(worker *worker, unit *unit);

/* unit_display.c */
/* Writes the next page of the request in front that differs from what the chip shows. */
void unit_draw(worker *worker, unit *unit);

#endif
