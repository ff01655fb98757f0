/* One device on its bus: its requests, its failure and its return. On the bus's thread. */
#include "unit.h"

#include "site.h"

#include "base/memory.h"

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

void unit_enter(worker *worker, unit *unit, unit_phase phase)
{
    unit->phase = phase;
    unit->step = 0;
    unit->due = worker_now(worker);
}

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

size_t unit_frame_size(const unit *unit)
{
    const display_ops *display = unit->device.driver->display;
    return display ? (size_t)display->pages * display->columns : 0;
}

unit *unit_create(worker *worker, site *site, const device_driver *driver, int channel,
                  const char *const *options)
{
    unit *made = calloc(1, sizeof(*made));
    unit **end = &worker->units;

    if (!made || !(made->device.state = calloc(1, driver->state_size ? driver->state_size : 1))) {
        base_out_of_memory();
    }
    made->id = ++worker->last_unit;
    made->site = site;
    made->device.driver = driver;
    made->device.bus = worker->bus;
    made->device.address = site->address;
    made->device.channel = channel;
    made->device.air_pressure = worker->air_pressure;
    made->device.chip = site_chip(site, driver);
    made->slot = made->pulse_end = HUB_NEVER;
    made->requests_end = &made->requests;
    if (driver->display && !(made->shown = calloc(1, unit_frame_size(made)))) {
        base_out_of_memory();
    }
    set_name(made, worker->config.label);
    for (; options && *options && driver->option; options++) {
        char name[64];
        const char *value = strchr(*options, '=');
        snprintf(name, sizeof(name), "%.*s", value ? (int)(value - *options) : 63, *options);
        driver->option(made->device.state, name, value ? value + 1 : "");
    }
    if (driver->relay && driver->relay->claim) {
        driver->relay->claim(&made->device); /* what it refuses was refused with its directive */
    }
    while (*end) {
        end = &(*end)->next;
    }
    *end = made;
    unit_enter(worker, made, UNIT_START);
    return made;
}

void unit_refuse(worker *worker, message *request, int error)
{
    request->type = MESSAGE_RESULT;
    request->error = error;
    request->relay.attempted = false;
    worker_send(worker, request);
}

/* What an operation's failure is to others. */
static int to_errno(int result)
{
    return result == DEVICE_LOST_POWER || result == DEVICE_NOT_AS_LEFT ? -EIO : result;
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
    request->error = to_errno(error);
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

int unit_present(unit *unit, char *why, size_t why_size)
{
    const device_driver *driver = unit->device.driver;
    device_step step;

    if (driver->present) {
        return driver->present(&unit->device);
    }
    step = driver->probe(unit->device.bus, unit->device.address, 0, why, why_size);
    return step < 0 ? (int)step : 0;
}

void unit_tell(worker *worker, unit *unit, message_type type)
{
    message *told = message_new(type, 0);
    told->unit = unit->id;
    worker_send(worker, told);
}

/* ---- loss of power ---- */

void unit_lost_power(worker *worker, unit *unit)
{
    worker_log(worker, HUB_WARNING, CT_POWER_LOST,
               "i2c%d-%02x: a %s has lost its power and is configured again", worker->config.label,
               unit->site->address, unit->device.driver->name);
    site_note_power(worker, unit->site);
    if (unit->site->incomplete) {
        unit->site->power = POWER_LOST; /* for those that return */
    }
    for (struct unit *other = worker->units; other; other = other->next) {
        if (other->site != unit->site) {
            continue;
        }
        other->power = POWER_LOST;
        if (other != unit && other->phase == UNIT_IDLE) {
            unit_enter(worker, other, UNIT_IDENTIFY);
        }
    }
}

/* ---- failure and return ---- */

static void remove_unit(worker *worker, unit *unit)
{
    site *site = unit->site;

    if (unit->power > site->power) {
        site->power = unit->power; /* the owner has not been told: when it returns */
    }
    unit_free(worker, unit);
    site->incomplete = unit_by_address(worker, site->address) != NULL;
    site_left(worker, site); /* what has left is looked for, also where others stay */
}

void unit_not_started(worker *worker, unit *unit, int error)
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
    worker_log(worker, HUB_WARNING, CT_DEVICE_FAILED, "%s has stopped answering: %s", unit->name,
               strerrordesc_np(-error));
    unit_tell(worker, unit, MESSAGE_FAILED);
}

void unit_lose(worker *worker, unit *unit, int error)
{
    if (!unit->announced) {
        unit_not_started(worker, unit, error);
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
        unit_lose(worker, worker->units, -ENODEV);
    }
}

void unit_fail(worker *worker, unit *unit, int error)
{
    int64_t now = worker_now(worker);

    if (!worker->bus) {
        return; /* the bus itself is gone, and every device with it: units_lose() */
    }
    if (!unit->announced) {
        unit_not_started(worker, unit, error);
        return;
    }
    if (error == DEVICE_LOST_POWER) {
        unit_lost_power(worker, unit);
    }
    error = to_errno(error);
    if (unit->failures++ == 0) {
        unit->failed_since = now;
    }
    answer_all(worker, unit, error);
    if (unit->failures >= FAILURES_UNTIL_NULL) {
        give_up(worker, unit, error);
    }
    if (now - unit->failed_since >= LEAVES_AFTER) {
        unit_lose(worker, unit, error);
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
