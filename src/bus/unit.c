/* One device on its bus: identification, configuration, schedule, requests, failure and return. */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A device that fails is identified and configured again after these pauses. The third failure in a
 * row, within a second, makes its value null; after five seconds it leaves the list (look.c goes on
 * looking for it).
 */
static const int64_t retry_after[] = {250000, 500000, 1000000};
#define RETRIES             (sizeof(retry_after) / sizeof(retry_after[0]))
#define FAILURES_UNTIL_NULL 3
#define LEAVES_AFTER        INT64_C(5000000)

/* A device that has nothing to do is asked this often whether it is still there. */
#define PRESENCE_INTERVAL INT64_C(2000000)

void unit_enter(worker *worker, unit *unit, unit_phase phase)
{
    unit->phase = phase;
    unit->step = 0;
    unit->due = worker_now(worker);
}

static void not_started(worker *worker, unit *unit, int error);

/* The device's topic: "relay/i2c0-20-3". */
static void set_name(unit *unit, int label)
{
    const device *device = &unit->device;
    int length = snprintf(unit->name, sizeof(unit->name), "%s/i2c%d-%02x", device->driver->type,
                          label, device->address);

    if (device->channel >= 0 && length < (int)sizeof(unit->name)) {
        snprintf(unit->name + length, sizeof(unit->name) - (size_t)length, "-%d", device->channel);
    }
}

unit *unit_create(worker *worker, site *site, const device_driver *driver, int channel,
                  const char *const *options)
{
    unit *made = calloc(1, sizeof(*made));
    unit **end = &worker->units;
    int error;

    if (!made || !(made->device.state = calloc(1, driver->state_size ? driver->state_size : 1))) {
        abort();
    }
    made->id = ++worker->last_unit;
    made->site = site;
    made->device.driver = driver;
    made->device.bus = worker->bus;
    made->device.address = site->address;
    made->device.channel = channel;
    made->device.air_pressure = worker->air_pressure;
    made->slot = made->pulse_end = HUB_NEVER;
    made->requests_end = &made->requests;
    if (driver->display && !(made->shown = calloc(1, unit_frame_size(made)))) {
        abort();
    }
    set_name(made, worker->config.label);
    for (; options && *options && driver->option; options++) {
        char name[64];
        const char *value = strchr(*options, '=');
        snprintf(name, sizeof(name), "%.*s", value ? (int)(value - *options) : 63, *options);
        driver->option(made->device.state, name, value ? value + 1 : "");
    }
    while (*end) {
        end = &(*end)->next;
    }
    *end = made;
    unit_enter(worker, made, UNIT_START);
    if ((error = unit_recover(worker, made)) < 0) {
        not_started(worker, made, error);
        return NULL;
    }
    return made;
}

void unit_answer(worker *worker, unit *unit, int error)
{
    message *request = unit->requests;

    unit->requests = request->next;
    if (!unit->requests) {
        unit->requests_end = &unit->requests;
    }
    if (!request->serial) {
        message_free(request);
        return;
    }
    request->type = MESSAGE_RESULT;
    request->error = error;
    request->unit = unit->id;
    worker_send(worker, request);
}

static void answer_all(worker *worker, unit *unit, int error)
{
    while (unit->requests) {
        if (unit->requests->type == MESSAGE_SWITCH) {
            unit->requests->relay.attempted = false;
        }
        unit_answer(worker, unit, error);
    }
}

void unit_cancel(worker *worker, unit *unit)
{
    answer_all(worker, unit, -ECANCELED);
}

void unit_free(worker *worker, unit *unit)
{
    struct unit **at = &worker->units;

    while (*at != unit) {
        at = &(*at)->next;
    }
    *at = unit->next;
    while (unit->requests) {
        message *next = unit->requests->next;
        message_free(unit->requests);
        unit->requests = next;
    }
    free(unit->device.state);
    free(unit->shown);
    free(unit);
}

unit *unit_by_id(worker *worker, uint32_t id)
{
    unit *unit = worker->units;

    while (unit && unit->id != id) {
        unit = unit->next;
    }
    return unit;
}

unit *unit_by_address(worker *worker, uint8_t address)
{
    for (unit *unit = worker->units; unit; unit = unit->next) {
        if (unit->device.address == address ||
            (address && unit->device.driver->companion == address)) {
            return unit;
        }
    }
    return NULL;
}

void unit_tell(worker *worker, unit *unit, message_type type)
{
    message *told = message_new(type, 0);
    told->unit = unit->id;
    worker_send(worker, told);
}

/* ---- failure and return ---- */

static void remove_unit(worker *worker, unit *unit)
{
    site *site = unit->site;

    unit_free(worker, unit);
    if (!unit_by_address(worker, site->address)) {
        site_left(worker, site);
    }
}

static void not_started(worker *worker, unit *unit, int error)
{
    if (!unit->site->unstarted_logged) {
        worker_log(worker, HUB_WARNING, CT_DEVICE_NOT_STARTED,
                   "%s: a %s was identified, but it could not be configured: %s", unit->name,
                   unit->device.driver->name, strerrordesc_np(-error));
    }
    unit->site->unstarted_logged = true;
    answer_all(worker, unit, error);
    remove_unit(worker, unit);
}

static void give_up(worker *worker, unit *unit, int error)
{
    if (unit->given_up) {
        return;
    }
    unit->given_up = true;
    worker_log(worker, HUB_WARNING, CT_DEVICE_FAILED, "%s does not answer any more: %s", unit->name,
               strerrordesc_np(-error));
    unit_tell(worker, unit, MESSAGE_FAILED);
}

static void lose(worker *worker, unit *unit, int error)
{
    if (!unit->announced) {
        not_started(worker, unit, error);
        return;
    }
    give_up(worker, unit, error);
    answer_all(worker, unit, error);
    worker_log(worker, HUB_WARNING, CT_DEVICE_LEFT, "%s has left", unit->name);
    unit_tell(worker, unit, MESSAGE_LOST);
    remove_unit(worker, unit);
}

void units_lose(worker *worker)
{
    while (worker->units) {
        lose(worker, worker->units, -ENODEV);
    }
}

void unit_fail(worker *worker, unit *unit, int error)
{
    int64_t now = worker_now(worker);

    if (!worker->bus) {
        return; /* the bus itself is gone, and every device with it: units_lose() */
    }
    if (!unit->announced) {
        not_started(worker, unit, error);
        return;
    }
    if (unit->failures++ == 0) {
        unit->failed_since = now;
    }
    answer_all(worker, unit, error);
    if (unit->failures >= FAILURES_UNTIL_NULL) {
        give_up(worker, unit, error);
    }
    if (now - unit->failed_since >= LEAVES_AFTER) {
        lose(worker, unit, error);
        return;
    }
    unit_enter(worker, unit, UNIT_IDENTIFY);
    unit->due += retry_after[unit->failures <= RETRIES ? unit->failures - 1 : RETRIES - 1];
}

void unit_succeeded(worker *worker, unit *unit)
{
    unit->failures = 0;
    unit->checked = worker_now(worker);
    if (unit->given_up) {
        worker_log(worker, HUB_INFO, CT_DEVICE_RECOVERED, "%s answers again", unit->name);
        unit->given_up = false;
        if (!unit->device.driver->sensor) {
            unit_tell(worker, unit, MESSAGE_RECOVERED);
        }
    }
}

static void identify(worker *worker, unit *unit)
{
    char why[192] = "";
    int error = unit->device.driver->probe(worker->bus, unit->device.address, why, sizeof(why));

    if (error == -ENODEV && why[0]) {
        worker_outcome(worker, 0);
        worker_log(worker, HUB_INFO, CT_DEVICE_MISMATCH, "%s: somebody else is there now: %s",
                   unit->name, why);
        lose(worker, unit, error);
        return;
    }
    if (worker_outcome(worker, error) < 0 || (error = unit_recover(worker, unit)) < 0) {
        unit_fail(worker, unit, error);
        return;
    }
    unit_enter(worker, unit, UNIT_START);
}

/* Configured again after a failure. A sensor is well when it has measured, others at once. */
static void restarted(worker *worker, unit *unit)
{
    unit_compare_state(worker, unit);
    /* A display is blank now, be it noticed or not. */
    if (unit->device.driver->display && !unit->given_up) {
        unit_tell(worker, unit, MESSAGE_RECOVERED);
    }
    if (unit->device.driver->sensor && (unit->interval || unit->given_up)) {
        unit->slot = worker_now(worker);
    } else {
        unit_succeeded(worker, unit);
    }
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
    unit->state_known = unit_read_state(worker, unit);
    unit->announced = true;
    unit->checked = worker_now(worker);
    worker_log(worker, HUB_INFO, CT_DEVICE_FOUND, "%s: found, a %s", unit->name,
               unit->device.driver->name);
    found = message_new(MESSAGE_FOUND, strlen(unit->name));
    memcpy(found->data, unit->name, strlen(unit->name));
    found->unit = unit->id;
    found->driver = unit->device.driver;
    found->address = unit->device.address;
    found->channel = unit->device.channel;
    found->relay.known = unit->state_known;
    found->relay.on = unit->state;
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

int64_t unit_due(const worker *worker, const unit *unit)
{
    int64_t due;

    (void)worker;
    switch (unit->phase) {
    case UNIT_IDLE:
        due = earlier(request_due(unit), unit->slot);
        due = earlier(due, unit->checked + PRESENCE_INTERVAL);
        return unit->device.driver->relay ? earlier(due, unit_click_at(unit, unit->pulse_end))
                                          : due;
    case UNIT_IDENTIFY:
        /* A request is worth a try before its time. */
        return unit->requests ? earlier(unit->due, unit->requests->time) : unit->due;
    default:
        return unit->due;
    }
}

static void check_presence(worker *worker, unit *unit)
{
    char why[192] = "";
    int error;

    if (unit_compare_state(worker, unit)) {
        unit_succeeded(worker, unit);
        return;
    }
    error = unit->device.driver->probe(worker->bus, unit->device.address, why, sizeof(why));
    if (error == -ENODEV && why[0]) {
        lose(worker, unit, error);
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
