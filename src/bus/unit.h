/*
 * What the files about devices on their bus (unit.c, and one for each kind of device) have among
 * themselves. All of it on the bus's thread.
 */
#ifndef BUS_UNIT_H
#define BUS_UNIT_H

#include "worker_internal.h"

/* unit.c */
void unit_enter(worker *worker, unit *unit, unit_phase phase);
/* Sends a message of this type, which says all. */
void unit_tell(worker *worker, unit *unit, message_type type);
/* Answers the request in front: 0, or a negative errno. */
void unit_answer(worker *worker, unit *unit, int error);
/*
 * An operation has failed, and so have the requests: identified again soon, null at the third time,
 * gone after seconds. May free the unit.
 */
void unit_fail(worker *worker, unit *unit, int error);
/* It has answered: whatever was before is forgotten. */
void unit_succeeded(worker *worker, unit *unit);

/* unit_sensor.c: the next step of a measurement */
void unit_measure(worker *worker, unit *unit);

/* unit_relay.c */
/* First of all after it was identified: no coil stays energised, and no contact moves. */
int unit_recover(worker *worker, unit *unit);
/* Reads the contact's state, where the chip can tell. */
bool unit_read_state(worker *worker, unit *unit);
/* The same, and tells the owner if it is not what it was. */
bool unit_compare_state(worker *worker, unit *unit);
/* When a click may be that is wanted at a time. */
int64_t unit_click_at(const unit *unit, int64_t wanted);
/* Serves the request in front: SWITCH, READ_STATE. */
void unit_switch(worker *worker, unit *unit);
void unit_report_state(worker *worker, unit *unit);
void unit_end_pulse(worker *worker, unit *unit);

/* unit_display.c */
size_t unit_frame_size(const unit *unit);
/* Writes the next page of the request in front that differs from what the chip shows. */
void unit_draw(worker *worker, unit *unit);

#endif
