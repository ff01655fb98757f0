/* Relays on their bus: clicks, the ends of pulses, and what the chip can tell about its contact. */
#include "unit_kinds.h"

#include "site.h"

#include <errno.h>
#include <string.h>

int unit_recover(worker *worker, unit *unit)
{
    const relay_ops *relay = unit->device.driver->relay;
    int error = 0;

    if (relay && relay->recover) {
        error = worker_outcome(worker, relay->recover(&unit->device));
    }
    if (error >= 0) {
        unit->site->lost = false;
    }
    /* A click may have been under way when the last owner died. */
    unit->clicked = worker_now(worker);
    return error;
}

int unit_compare_state(worker *worker, unit *unit)
{
    const relay_ops *relay = unit->device.driver->relay;
    bool on = false, news;
    message *moved;
    int error = relay && relay->get ? relay->get(&unit->device, &on) : -EOPNOTSUPP;

    if (error == -EOPNOTSUPP || worker_outcome(worker, error) < 0) {
        return error;
    }
    news = unit->announced && (!unit->state_known || unit->state != on);
    unit->state_known = true;
    unit->state = on;
    if (news) {
        moved = message_new(MESSAGE_STATE, 0);
        moved->unit = unit->id;
        moved->relay.on = on;
        worker_send(worker, moved);
    }
    return 0;
}

void unit_tell_power(worker *worker, unit *unit)
{
    if (unit->power == POWER_LOST && unit->device.driver->relay) {
        unit_tell(worker, unit, MESSAGE_POWER_LOST);
    }
    unit->power = POWER_KEPT;
}

int64_t unit_click_at(const unit *unit, int64_t wanted)
{
    int64_t free_at = unit->clicked + unit->device.driver->relay->min_gap;

    return wanted > free_at ? wanted : free_at;
}

/* Its chip has lost its power and is configured first: what was to be done comes after that. */
static void regain(worker *worker, unit *unit)
{
    worker_outcome(worker, 0);
    unit_lost_power(worker, unit);
    unit_enter(worker, unit, UNIT_IDENTIFY);
}

/*
 * Moves the contact. Looks first whether the chip is there, and has its power still: where nothing
 * was written (`attempted`), the contact is where it was. Where the chip seems to be in that state
 * already it is written all the same: one read may be wrong.
 */
static int move(worker *worker, unit *unit, bool on, bool *attempted)
{
    const relay_ops *relay = unit->device.driver->relay;
    char why[192] = "";
    int error = unit_present(unit, why, sizeof(why));

    *attempted = false;
    if (error == DEVICE_LOST_POWER) {
        return error;
    }
    if (error < 0) {
        return worker_outcome(worker, error == -ENODEV && why[0] ? -ENXIO : error);
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

    if (error == DEVICE_LOST_POWER && !request->relay.attempted) {
        regain(worker, unit);
        return;
    }
    if (error < 0) {
        if (pulse && request->relay.attempted) { /* it may have begun, and is ended at its time */
            unit->pulse_end = worker_now(worker) + pulse;
        }
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

    if (error == DEVICE_LOST_POWER && !attempted) {
        regain(worker, unit);
        return;
    }
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
    int error = unit_compare_state(worker, unit);

    if (error == DEVICE_LOST_POWER) {
        regain(worker, unit);
        return;
    }
    unit->requests->relay.on = unit->state;
    unit_answer(worker, unit, error);
    if (error < 0 && error != -EOPNOTSUPP) {
        unit_fail(worker, unit, error);
    }
}
