/* One device on its bus: identification, configuration, schedule, requests, failure and return. */
#include "worker.h"

#include "../talk/talk.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A device that fails is identified and configured again after these pauses. The third failure in a
 * row, within a second, makes its value null; after five seconds it leaves the list (look.c
 * goes on looking for it).
 */
static const int64_t retry_after[] = {250000, 500000, 1000000};
#define RETRIES             (sizeof(retry_after) / sizeof(retry_after[0]))
#define FAILURES_UNTIL_NULL 3
#define LEAVES_AFTER        INT64_C(5000000)

/* A device that has nothing to do is asked this often whether it is still there. */
#define PRESENCE_INTERVAL INT64_C(2000000)

/* When the owner has so much before it, samples are left out: it would only publish old ones. */
#define OUTBOX_LIMIT 4096

static size_t frame_size(const unit *unit)
{
    const display_ops *display = unit->device.driver->display;
    return display ? (size_t)display->pages * display->columns : 0;
}

static int recover(worker *worker, unit *unit)
{
    const relay_ops *relay = unit->device.driver->relay;
    int error = 0;

    if (relay && relay->recover)
        error = worker_outcome(worker, relay->recover(&unit->device));
    /* A click may have been under way when the last owner died. */
    unit->clicked = worker_now(worker);
    return error;
}

static void enter(worker *worker, unit *unit, unit_phase phase)
{
    unit->phase = phase;
    unit->step = 0;
    unit->due = worker_now(worker);
}

static void not_started(worker *worker, unit *unit, int error);

unit *unit_create(worker *worker, site *site, const device_driver *driver, int channel,
                  const char *const *options)
{
    unit *made = calloc(1, sizeof(*made));
    unit **end = &worker->units;
    talk_address address = {true, worker->config.label, site->address, channel};
    char text[24];
    int error;

    if (!made || !(made->device.state = calloc(1, driver->state_size ? driver->state_size : 1)))
        abort();
    made->id = ++worker->last_unit;
    made->site = site;
    made->device.driver = driver;
    made->device.bus = worker->bus;
    made->device.address = site->address;
    made->device.channel = channel;
    made->device.air_pressure = worker->air_pressure;
    made->slot = made->pulse_end = HUB_NEVER;
    made->requests_end = &made->requests;
    if (driver->display && !(made->shown = calloc(1, frame_size(made))))
        abort();
    talk_address_format(&address, text);
    snprintf(made->name, sizeof(made->name), "%s/%s", driver->type, text);
    for (; options && *options && driver->option; options++) {
        char name[64];
        const char *value = strchr(*options, '=');
        snprintf(name, sizeof(name), "%.*s", value ? (int)(value - *options) : 63, *options);
        driver->option(made->device.state, name, value ? value + 1 : "");
    }
    while (*end)
        end = &(*end)->next;
    *end = made;
    enter(worker, made, UNIT_START);
    if ((error = recover(worker, made)) < 0) {
        not_started(worker, made, error);
        return NULL;
    }
    return made;
}

static void answer(worker *worker, unit *unit, int error)
{
    message *request = unit->requests;

    unit->requests = request->next;
    if (!unit->requests)
        unit->requests_end = &unit->requests;
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
        if (unit->requests->type == MESSAGE_SWITCH)
            unit->requests->relay.attempted = false;
        answer(worker, unit, error);
    }
}

void unit_cancel(worker *worker, unit *unit)
{
    answer_all(worker, unit, -ECANCELED);
}

void unit_free(worker *worker, unit *unit)
{
    struct unit **at = &worker->units;

    while (*at != unit)
        at = &(*at)->next;
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

    while (unit && unit->id != id)
        unit = unit->next;
    return unit;
}

unit *unit_by_address(worker *worker, uint8_t address)
{
    for (unit *unit = worker->units; unit; unit = unit->next)
        if (unit->device.address == address ||
            (address && unit->device.driver->companion == address))
            return unit;
    return NULL;
}

static void tell(worker *worker, unit *unit, message_type type)
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
    if (!unit_by_address(worker, site->address))
        site_left(worker, site);
}

static void not_started(worker *worker, unit *unit, int error)
{
    if (!unit->site->unstarted_logged)
        worker_log(worker, HUB_WARNING, CT_DEVICE_NOT_STARTED,
                   "%s: a %s was identified, but it could not be configured: %s", unit->name,
                   unit->device.driver->name, strerrordesc_np(-error));
    unit->site->unstarted_logged = true;
    answer_all(worker, unit, error);
    remove_unit(worker, unit);
}

static void give_up(worker *worker, unit *unit, int error)
{
    if (unit->given_up)
        return;
    unit->given_up = true;
    worker_log(worker, HUB_WARNING, CT_DEVICE_FAILED, "%s does not answer any more: %s", unit->name,
               strerrordesc_np(-error));
    tell(worker, unit, MESSAGE_FAILED);
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
    tell(worker, unit, MESSAGE_LOST);
    remove_unit(worker, unit);
}

void units_lose(worker *worker)
{
    while (worker->units)
        lose(worker, worker->units, -ENODEV);
}

/* An operation has failed: identified again soon, null at the third time, gone after seconds. May
 * free the unit. */
static void fail(worker *worker, unit *unit, int error)
{
    int64_t now = worker_now(worker);

    if (!worker->bus)
        return; /* the bus itself is gone, and every device with it: units_lose() */
    if (!unit->announced) {
        not_started(worker, unit, error);
        return;
    }
    if (unit->failures++ == 0)
        unit->failed_since = now;
    answer_all(worker, unit, error);
    if (unit->failures >= FAILURES_UNTIL_NULL)
        give_up(worker, unit, error);
    if (now - unit->failed_since >= LEAVES_AFTER) {
        lose(worker, unit, error);
        return;
    }
    enter(worker, unit, UNIT_IDENTIFY);
    unit->due += retry_after[unit->failures <= RETRIES ? unit->failures - 1 : RETRIES - 1];
}

static void succeeded(worker *worker, unit *unit)
{
    unit->failures = 0;
    unit->checked = worker_now(worker);
    if (unit->given_up) {
        worker_log(worker, HUB_INFO, CT_DEVICE_RECOVERED, "%s answers again", unit->name);
        unit->given_up = false;
        if (!unit->device.driver->sensor)
            tell(worker, unit, MESSAGE_RECOVERED);
    }
}

static void identify(worker *worker, unit *unit)
{
    char why[192] = "";
    int error = unit->device.driver->probe(worker->bus, unit->device.address, why, sizeof(why));

    if (error == -ENODEV && why[0]) {
        worker_outcome(worker, 0);
        worker_log(worker, HUB_WARNING, CT_DEVICE_MISMATCH, "%s: somebody else is there now: %s",
                   unit->name, why);
        lose(worker, unit, error);
        return;
    }
    if (worker_outcome(worker, error) < 0 || (error = recover(worker, unit)) < 0) {
        fail(worker, unit, error);
        return;
    }
    enter(worker, unit, UNIT_START);
}

static bool read_state(worker *worker, unit *unit)
{
    const relay_ops *relay = unit->device.driver->relay;

    if (!relay || !relay->get || relay->get(&unit->device, &unit->state) < 0)
        return false;
    worker_outcome(worker, 0);
    return true;
}

/* Reads a relay's state, and tells the owner if it is not what it was. */
static bool compare_state(worker *worker, unit *unit)
{
    bool before = unit->state, known = unit->state_known;
    message *moved;

    if (!read_state(worker, unit))
        return false;
    unit->state_known = true;
    if (known && before != unit->state) {
        moved = message_new(MESSAGE_STATE, 0);
        moved->unit = unit->id;
        moved->relay.on = unit->state;
        worker_send(worker, moved);
    }
    return true;
}

/* Configured again after a failure. A sensor is well when it has measured, others at once. */
static void restarted(worker *worker, unit *unit)
{
    compare_state(worker, unit);
    /* A display is blank now, be it noticed or not. */
    if (unit->device.driver->display && !unit->given_up)
        tell(worker, unit, MESSAGE_RECOVERED);
    if (unit->device.driver->sensor && (unit->interval || unit->given_up))
        unit->slot = worker_now(worker);
    else
        succeeded(worker, unit);
}

static void started(worker *worker, unit *unit)
{
    message *found;

    enter(worker, unit, UNIT_IDLE);
    unit->site->unstarted_logged = false;
    if (unit->announced) {
        restarted(worker, unit);
        return;
    }
    unit->state_known = read_state(worker, unit);
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

/* ---- sensors ---- */

static void measured(worker *worker, unit *unit)
{
    int64_t now = worker_now(worker);

    if (unit->slot <= now) {
        if (queue_length(worker->config.outbox) < OUTBOX_LIMIT) {
            message *sample = message_new(MESSAGE_SAMPLE, 0);
            sample->unit = unit->id;
            memcpy(sample->values, unit->values, sizeof(sample->values));
            worker_send(worker, sample);
        }
        /* Fixed rate: the next slot counts from the last one, not from now; missed ones are left
         * out. */
        if (unit->interval)
            unit->slot += ((now - unit->slot) / unit->interval + 1) * unit->interval;
        else
            unit->slot = HUB_NEVER;
    }
    if (unit->requests && unit->requests->type == MESSAGE_MEASURE) {
        memcpy(unit->requests->values, unit->values, sizeof(unit->requests->values));
        answer(worker, unit, 0);
    }
    succeeded(worker, unit);
}

static void measure(worker *worker, unit *unit)
{
    device_step step;

    /* A driver may have one value before the other. */
    for (size_t i = 0; i < DEVICE_MAX_QUANTITIES && unit->step == 0; i++)
        unit->values[i] = NAN;
    step = unit->device.driver->sensor->measure(&unit->device, unit->step, unit->values);
    worker_outcome(worker, step < 0 ? (int)step : 0);
    if (step < 0) {
        fail(worker, unit, (int)step);
        return;
    }
    unit->step++;
    unit->due = worker_now(worker) + step;
    if (step == 0) {
        enter(worker, unit, UNIT_IDLE);
        measured(worker, unit);
    }
}

/* ---- relays ---- */

/*
 * Moves the contact, unless the chip can tell that it is where it should be. Looks first whether
 * the chip is there: where nothing was written, the contact is where it was.
 */
static int move(worker *worker, unit *unit, bool on, bool *attempted)
{
    const relay_ops *relay = unit->device.driver->relay;
    char why[192] = "";
    bool is;
    int error = unit->device.driver->probe(worker->bus, unit->device.address, why, sizeof(why));

    *attempted = false;
    if (error < 0)
        return worker_outcome(worker, error == -ENODEV && why[0] ? -ENXIO : error);
    if (relay->get && relay->get(&unit->device, &is) == 0 && is == on)
        return 0;
    *attempted = true;
    unit->clicked = worker_now(worker);
    error = worker_outcome(worker, relay->set(&unit->device, on));
    unit->state = on;
    unit->state_known = error >= 0;
    return error;
}

static void switch_relay(worker *worker, unit *unit)
{
    message *request = unit->requests;
    int64_t pulse = request->relay.on ? request->relay.pulse : 0;
    int error = move(worker, unit, request->relay.on, &request->relay.attempted);

    if (error < 0) {
        answer(worker, unit, error);
        fail(worker, unit, error);
        return;
    }
    unit->pulse_end = pulse ? worker_now(worker) + pulse : HUB_NEVER;
    answer(worker, unit, 0);
    succeeded(worker, unit);
}

static void end_pulse(worker *worker, unit *unit)
{
    bool attempted;
    int error = move(worker, unit, false, &attempted);
    message *moved;

    if (error < 0) {
        worker_log(worker, HUB_ERROR, CT_PULSE_NOT_ENDED,
                   "%s: its pulse is over, but it could not be switched off: %s; tried again",
                   unit->name, strerrordesc_np(-error));
        fail(worker, unit, error);
        return;
    }
    unit->pulse_end = HUB_NEVER;
    moved = message_new(MESSAGE_STATE, 0);
    moved->unit = unit->id;
    moved->relay.on = false;
    worker_send(worker, moved);
    succeeded(worker, unit);
}

static void report_state(worker *worker, unit *unit)
{
    const relay_ops *relay = unit->device.driver->relay;
    bool on = false;
    int error = relay->get ? worker_outcome(worker, relay->get(&unit->device, &on)) : -EOPNOTSUPP;

    unit->requests->relay.on = on;
    answer(worker, unit, error);
    if (error < 0 && error != -EOPNOTSUPP)
        fail(worker, unit, error);
}

/* ---- displays ---- */

/* A page could not be written: perhaps the display lost power, and is switched on again first.
 * Once. */
static void draw_again(worker *worker, unit *unit, int error)
{
    if (unit->requests->again || error == -ETIMEDOUT) {
        fail(worker, unit, error);
        return;
    }
    unit->requests->again = true;
    enter(worker, unit, UNIT_IDENTIFY);
}

/* Writes the next page that differs from what the chip shows. */
static void draw(worker *worker, unit *unit)
{
    const display_ops *display = unit->device.driver->display;
    const uint8_t *wanted = unit->requests->data;
    unsigned page = 0;
    int error;

    while (page < display->pages && (unit->certain >> page & 1) &&
           memcmp(wanted + page * display->columns, unit->shown + page * display->columns,
                  display->columns) == 0)
        page++;
    if (page == display->pages) {
        enter(worker, unit, UNIT_IDLE);
        answer(worker, unit, 0);
        succeeded(worker, unit);
        return;
    }
    unit->certain &= ~(UINT64_C(1) << page);
    error = display->write_page(&unit->device, page, wanted + page * display->columns);
    if (worker_outcome(worker, error) < 0) {
        draw_again(worker, unit, error);
        return;
    }
    memcpy(unit->shown + page * display->columns, wanted + page * display->columns,
           display->columns);
    unit->certain |= UINT64_C(1) << page;
    unit->due = worker_now(worker);
}

/* ---- configuration in steps ---- */

static void configure(worker *worker, unit *unit)
{
    const device_driver *driver = unit->device.driver;
    device_step step = 0;

    if (unit->phase == UNIT_CLEAR)
        step = driver->display->init(&unit->device, unit->step);
    else if (driver->start)
        step = driver->start(&unit->device, unit->step);
    worker_outcome(worker, step < 0 ? (int)step : 0);
    if (step < 0) {
        fail(worker, unit, (int)step);
        return;
    }
    unit->step++;
    unit->due = worker_now(worker) + step;
    if (step > 0)
        return;
    if (unit->phase == UNIT_START && driver->display) {
        enter(worker, unit, UNIT_CLEAR);
        return;
    }
    if (driver->display) {
        memset(unit->shown, 0, frame_size(unit));
        unit->certain = UINT64_MAX;
    }
    started(worker, unit);
}

/* ---- idle: what to do next ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When a relay may click again. */
static int64_t click_at(const unit *unit, int64_t wanted)
{
    return wanted == HUB_NEVER ? wanted
                               : later(wanted, unit->clicked + unit->device.driver->relay->min_gap);
}

static int64_t request_due(const unit *unit)
{
    if (!unit->requests)
        return HUB_NEVER;
    return unit->requests->type == MESSAGE_SWITCH ? click_at(unit, unit->requests->time)
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
        return unit->device.driver->relay ? earlier(due, click_at(unit, unit->pulse_end)) : due;
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

    if (compare_state(worker, unit)) {
        succeeded(worker, unit);
        return;
    }
    error = unit->device.driver->probe(worker->bus, unit->device.address, why, sizeof(why));
    if (error == -ENODEV && why[0])
        lose(worker, unit, error);
    else if (worker_outcome(worker, error) < 0)
        fail(worker, unit, error);
    else
        succeeded(worker, unit);
}

static void serve(worker *worker, unit *unit)
{
    message *request = unit->requests;

    if (worker_now(worker) > request->deadline) {
        request->relay.attempted = false;
        answer(worker, unit, -ETIMEDOUT);
        return;
    }
    switch (request->type) {
    case MESSAGE_MEASURE:
        enter(worker, unit, UNIT_MEASURE);
        measure(worker, unit);
        break;
    case MESSAGE_SWITCH:
        switch_relay(worker, unit);
        break;
    case MESSAGE_READ_STATE:
        report_state(worker, unit);
        break;
    case MESSAGE_DRAW:
        enter(worker, unit, UNIT_DRAW);
        break;
    default:
        answer(worker, unit, -EINVAL);
    }
}

static void idle(worker *worker, unit *unit)
{
    int64_t now = worker_now(worker);

    if (request_due(unit) <= now) {
        serve(worker, unit);
    } else if (unit->device.driver->relay && click_at(unit, unit->pulse_end) <= now) {
        end_pulse(worker, unit);
    } else if (unit->slot <= now) {
        enter(worker, unit, UNIT_MEASURE);
        measure(worker, unit);
    } else {
        check_presence(worker, unit);
    }
}

void unit_run(worker *worker, unit *unit)
{
    if (worker_is_quiet(worker)) {
        fail(worker, unit, -ETIMEDOUT);
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
        measure(worker, unit);
        break;
    case UNIT_DRAW:
        draw(worker, unit);
        break;
    }
}

/* ---- messages from the owner ---- */

static void set_interval(worker *worker, unit *unit, int64_t interval, int64_t first)
{
    unit->interval = interval;
    /* A failed sensor is measured as soon as it answers again. */
    if (!unit->failures)
        unit->slot = interval ? worker_now(worker) + first : HUB_NEVER;
}

void unit_take(worker *worker, unit *unit, message *message)
{
    switch (message->type) {
    case MESSAGE_ADOPT:
        set_interval(worker, unit, message->adopt.interval, 0);
        if (message->adopt.pulse != HUB_NEVER)
            unit->pulse_end = worker_now(worker) + message->adopt.pulse;
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
