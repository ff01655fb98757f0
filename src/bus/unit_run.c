/* A device's life: identification, configuration, schedule, requests. On the bus's thread. */
#include "unit_run.h"

#include "site.h"
#include "unit_kinds.h"

#include <errno.h>
#include <string.h>

/* How often a device that has nothing to do is looked at, to see that it is still there. */
#define PRESENCE_INTERVAL INT64_C(2000000)

/* How many times a chip that is found is looked at for signs of a loss of power, if reads fail. */
#define POWER_LOOKS 3

/* Whether the chip itself has told how it is: all else is an error of the bus. */
static bool is_told(int result)
{
    return result >= 0 || result == DEVICE_LOST_POWER || result == DEVICE_NOT_AS_LEFT;
}

/*
 * Whether its chip shows that it has lost its power, before recovery wipes out the signs. An error
 * is no sign: the chip is looked at again. A relay at which that fails is not recovered, or what
 * power-on owes would be lost. 0 or a negative errno.
 */
static int look_for_power(worker *worker, unit *unit, power_sign *sign)
{
    const device_driver *driver = unit->device.driver;
    int result = 0;

    *sign = POWER_KEPT;
    if (driver->relay && driver->relay->release) {
        result = driver->relay->release(&unit->device);
    }
    if (result < 0) {
        return worker_outcome(worker, result);
    }
    for (int look = 0; driver->present && look < POWER_LOOKS; look++) {
        result = driver->present(&unit->device);
        if (is_told(result)) {
            break;
        }
    }
    if (result == DEVICE_LOST_POWER) {
        *sign = POWER_LOST;
    } else if (result == DEVICE_MAY_HAVE_LOST_POWER) {
        *sign = POWER_DOUBTFUL;
    }
    return is_told(result) || !driver->relay ? 0 : worker_outcome(worker, result);
}

/* The first device of a chip that begins looks at it for all of them. 0 or a negative errno. */
static int see_power(worker *worker, unit *unit, bool returned, power_sign *power)
{
    int error = look_for_power(worker, unit, power);

    if (error >= 0 && *power == POWER_LOST && returned) {
        unit_lost_power(worker, unit);
    } else if (error >= 0 && *power == POWER_LOST) {
        site_note_power(worker, unit->site);
    }
    return error;
}

void units_begin(worker *worker, site *site, bool returned)
{
    power_sign power = POWER_KEPT, before = site->power;
    bool looked = false;

    site->power = POWER_KEPT;
    for (unit *unit = worker->units, *next; unit && worker->bus; unit = next) {
        int error = 0;
        next = unit->next;
        if (unit->site != site || unit->begun) {
            continue;
        }
        unit->begun = true;
        if (!looked) {
            error = see_power(worker, unit, returned, &power);
            looked = error >= 0;
        }
        unit->power = before > power ? before : power;
        if (error >= 0 && site->noting) {
            unit_enter(worker, unit, UNIT_IDENTIFY); /* and configured when that is done */
        } else if (error < 0 || (error = unit_recover(worker, unit)) < 0) {
            unit_not_started(worker, unit, error);
        }
    }
}

static void identify(worker *worker, unit *unit)
{
    char why[192] = "";
    power_sign power = POWER_KEPT;
    device_step step =
        unit->device.driver->probe(worker->bus, unit->device.address, unit->step, why, sizeof(why));
    int error = step < 0 ? (int)step : 0;

    if (error == -ENODEV && why[0]) {
        worker_outcome(worker, 0);
        worker_log(worker, HUB_INFO, CT_DEVICE_MISMATCH, "%s: a different chip answers now: %s",
                   unit->name, why);
        unit_lose(worker, unit, error);
        return;
    }
    worker_outcome(worker, error);
    if (step > 0) {
        unit->step++;
        unit->due = worker_now(worker) + step;
        return;
    }
    if (error >= 0) {
        error = look_for_power(worker, unit, &power);
    }
    if (error >= 0 && power == POWER_LOST && !unit->site->lost) {
        unit_lost_power(worker, unit);
        unit_enter(worker, unit, UNIT_IDENTIFY);
        return;
    }
    if (error < 0 || (error = unit_recover(worker, unit)) < 0) {
        unit_fail(worker, unit, error);
        return;
    }
    unit_enter(worker, unit, UNIT_START);
}

/* Configured again after a failure. A sensor is well when it has measured, others at once. */
static void restarted(worker *worker, unit *unit)
{
    unit_compare_state(worker, unit);
    /* A display is blank now, even where the owner was not told that it had failed. */
    if (unit->device.driver->display && !unit->given_up) {
        unit_tell(worker, unit, MESSAGE_RECOVERED);
    }
    if (unit->device.driver->sensor && (unit->interval || unit->given_up)) {
        unit->slot = worker_now(worker);
    } else {
        unit_succeeded(worker, unit);
    }
    unit_tell_power(worker, unit);
}

static void started(worker *worker, unit *unit)
{
    message *found;

    unit_enter(worker, unit, UNIT_IDLE);
    unit->site->unstarted_logged = false;
    if (unit->announced) {
        restarted(worker, unit);
        return;
    }
    unit->state_known = unit_compare_state(worker, unit) == 0;
    unit->announced = true;
    unit->checked = worker_now(worker);
    worker_log(worker, HUB_INFO, CT_DEVICE_FOUND, "%s: found, a %s", unit->name,
               unit->device.driver->name);
    found = message_new(MESSAGE_FOUND, strlen(unit->name));
    memcpy(found->data, unit->name, strlen(unit->name));
    found->unit = unit->id;
    found->driver = unit->device.driver;
    found->relay.known = unit->state_known;
    found->relay.on = unit->state;
    found->relay.power = unit->power;
    unit->power = POWER_KEPT;
    worker_send(worker, found);
}

/* ---- configuration in steps ---- */

static void configure(worker *worker, unit *unit)
{
    const device_driver *driver = unit->device.driver;
    device_step step = 0;

    if (unit->phase == UNIT_CLEAR) {
        step = driver->display->init(&unit->device, unit->step);
    } else if (driver->start) {
        step = driver->start(&unit->device, unit->step);
    }
    worker_outcome(worker, step < 0 ? (int)step : 0);
    if (step < 0) {
        unit_fail(worker, unit, (int)step);
        return;
    }
    unit->step++;
    unit->due = worker_now(worker) + step;
    if (step > 0) {
        return;
    }
    if (unit->phase == UNIT_START && driver->display) {
        unit_enter(worker, unit, UNIT_CLEAR);
        return;
    }
    if (driver->display) {
        memset(unit->shown, 0, unit_frame_size(unit));
        unit->certain = UINT64_MAX;
    }
    started(worker, unit);
}

/* ---- idle: what to do next ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t request_due(const unit *unit)
{
    if (!unit->requests) {
        return HUB_NEVER;
    }
    return unit->requests->type == MESSAGE_SWITCH ? unit_click_at(unit, unit->requests->time)
                                                  : unit->requests->time;
}

int64_t unit_due(const unit *unit)
{
    int64_t due;

    if (unit->site->noting) {
        return HUB_NEVER;
    }
    switch (unit->phase) {
    case UNIT_IDLE:
        due = earlier(request_due(unit), unit->slot);
        due = earlier(due, unit->checked + PRESENCE_INTERVAL);
        return unit->device.driver->relay ? earlier(due, unit_click_at(unit, unit->pulse_end))
                                          : due;
    case UNIT_IDENTIFY:
        /* A request is worth a try before its time, but no reason to cut a step short. */
        return unit->requests && unit->step == 0 ? earlier(unit->due, unit->requests->time)
                                                 : unit->due;
    default:
        return unit->due;
    }
}

static void check_presence(worker *worker, unit *unit)
{
    char why[192] = "";
    int error = unit_compare_state(worker, unit);

    if (error == -EOPNOTSUPP) {
        error = unit_present(unit, why, sizeof(why));
    }
    if (error == -ENODEV && why[0]) {
        unit_lose(worker, unit, error);
    } else if (error == DEVICE_LOST_POWER) {
        worker_outcome(worker, 0);
        unit_lost_power(worker, unit);
        unit_enter(worker, unit, UNIT_IDENTIFY);
    } else if (worker_outcome(worker, error) < 0) {
        unit_fail(worker, unit, error);
    } else {
        unit_succeeded(worker, unit);
    }
}

static void serve(worker *worker, unit *unit)
{
    message *request = unit->requests;

    if (worker_now(worker) > request->deadline) {
        request->relay.attempted = false;
        unit_answer(worker, unit, -ETIMEDOUT);
        return;
    }
    switch (request->type) {
    case MESSAGE_MEASURE:
        unit_enter(worker, unit, UNIT_MEASURE);
        unit_measure(worker, unit);
        break;
    case MESSAGE_SWITCH:
        unit_switch(worker, unit);
        break;
    case MESSAGE_READ_STATE:
        unit_report_state(worker, unit);
        break;
    case MESSAGE_DRAW:
        unit_enter(worker, unit, UNIT_DRAW);
        break;
    default:
        unit_answer(worker, unit, -EINVAL);
    }
}

static void idle(worker *worker, unit *unit)
{
    int64_t now = worker_now(worker);

    if (request_due(unit) <= now) {
        serve(worker, unit);
    } else if (unit->device.driver->relay && unit_click_at(unit, unit->pulse_end) <= now) {
        unit_end_pulse(worker, unit);
    } else if (unit->slot <= now) {
        unit_enter(worker, unit, UNIT_MEASURE);
        unit_measure(worker, unit);
    } else {
        check_presence(worker, unit);
    }
}

void unit_run(worker *worker, unit *unit)
{
    if (worker_is_quiet(worker)) {
        unit_fail(worker, unit, -ETIMEDOUT);
        return;
    }
    switch (unit->phase) {
    case UNIT_IDENTIFY:
        identify(worker, unit);
        break;
    case UNIT_START:
    case UNIT_CLEAR:
        configure(worker, unit);
        break;
    case UNIT_IDLE:
        idle(worker, unit);
        break;
    case UNIT_MEASURE:
        unit_measure(worker, unit);
        break;
    case UNIT_DRAW:
        unit_draw(worker, unit);
        break;
    }
}

/* ---- messages from the owner ---- */

static void set_interval(worker *worker, unit *unit, int64_t interval, int64_t first)
{
    unit->interval = interval;
    /* A failed sensor is measured as soon as it answers again. */
    if (!unit->failures) {
        unit->slot = interval ? worker_now(worker) + first : HUB_NEVER;
    }
}

void unit_take(worker *worker, unit *unit, message *message)
{
    switch (message->type) {
    case MESSAGE_ADOPT:
        set_interval(worker, unit, message->adopt.interval, 0);
        if (message->adopt.pulse != HUB_NEVER) {
            unit->pulse_end = worker_now(worker) + message->adopt.pulse;
        }
        message_free(message);
        break;
    case MESSAGE_INTERVAL:
        set_interval(worker, unit, message->interval, message->interval);
        message_free(message);
        break;
    default:
        message->next = NULL;
        *unit->requests_end = message;
        unit->requests_end = &message->next;
    }
}
