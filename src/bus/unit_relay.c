/* Relays on their bus: clicks, the ends of pulses, and what the chip can tell about its contact. */
#include "unit_kinds.h"

#include <errno.h>
#include <string.h>

int unit_recover(worker *worker, unit *unit)
{
    const relay_ops *relay = unit->device.driver->relay;
    int error = 0;

    if (relay && relay->recover) {
        error = worker_outcome(worker, relay->recover(&unit->device));
    }
    /* A click may have been under way when the last owner died. */
    unit->clicked = worker_now(worker);
    return error;
}

bool unit_read_state(worker *worker, unit *unit)
{
    const relay_ops *relay = unit->device.driver->relay;

    if (!relay || !relay->get || relay->get(&unit->device, &unit->state) < 0) {
        return false;
    }
    worker_outcome(worker, 0);
    return true;
}

bool unit_compare_state(worker *worker, unit *unit)
{
    bool before = unit->state, known = unit->state_known;
    message *moved;

    if (!unit_read_state(worker, unit)) {
        return false;
    }
    unit->state_known = true;
    if (known && before != unit->state) {
        moved = message_new(MESSAGE_STATE, 0);
        moved->unit = unit->id;
        moved->relay.on = unit->state;
        worker_send(worker, moved);
    }
    return true;
}

int64_t unit_click_at(const unit *unit, int64_t wanted)
{
    int64_t free_at = unit->clicked + unit->device.driver->relay->min_gap;

    return wanted > free_at ? wanted : free_at;
}

/*
 * Moves the contact, unless the chip can tell that it is where it should be. Looks first whether
 * the chip is there: where nothing was written, the contact is where it was.
 */
static int move(worker *worker, unit *unit, bool on, bool *attempted)
{
    const relay_ops *relay = unit->device.driver->relay;
    char why[192] = "";
    bool is;
    int error = unit_present(unit, why, sizeof(why));

    *attempted = false;
    if (error < 0) {
        return worker_outcome(worker, error == -ENODEV && why[0] ? -ENXIO : error);
    }
    if (relay->get && relay->get(&unit->device, &is) == 0 && is == on) {
        return 0;
    }
    *attempted = true;
    unit->clicked = worker_now(worker);
    error = worker_outcome(worker, relay->set(&unit->device, on));
    unit->state = on;
    unit->state_known = error >= 0;
    return error;
}

void unit_switch(worker *worker, unit *unit)
{
    message *request = unit->requests;
    int64_t pulse = request->relay.on ? request->relay.pulse : 0;
    int error = move(worker, unit, request->relay.on, &request->relay.attempted);

    if (error < 0) {
        unit_answer(worker, unit, error);
        unit_fail(worker, unit, error);
        return;
    }
    unit->pulse_end = pulse ? worker_now(worker) + pulse : HUB_NEVER;
    unit_answer(worker, unit, 0);
    unit_succeeded(worker, unit);
}

void unit_end_pulse(worker *worker, unit *unit)
{
    bool attempted;
    int error = move(worker, unit, false, &attempted);
    message *moved;

    if (error < 0) {
        worker_log(worker, HUB_ERROR, CT_PULSE_NOT_ENDED,
                   "%s: its pulse is over, but it could not be switched off: %s; tried again",
                   unit->name, strerrordesc_np(-error));
        unit_fail(worker, unit, error);
        return;
    }
    unit->pulse_end = HUB_NEVER;
    moved = message_new(MESSAGE_STATE, 0);
    moved->unit = unit->id;
    moved->relay.on = false;
    worker_send(worker, moved);
    unit_succeeded(worker, unit);
}

void unit_report_state(worker *worker, unit *unit)
{
    const relay_ops *relay = unit->device.driver->relay;
    bool on = false;
    int error = relay->get ? worker_outcome(worker, relay->get(&unit->device, &on)) : -EOPNOTSUPP;

    unit->requests->relay.on = on;
    unit_answer(worker, unit, error);
    if (error < 0 && error != -EOPNOTSUPP) {
        unit_fail(worker, unit, error);
    }
}
