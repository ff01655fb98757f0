#include "worker_internal.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* Between attempts to open a bus that could not be opened. */
#define REOPEN_AFTER INT64_C(5000000)

/*
 * A stuck bus (SDA or SCL held low) lets every transfer time out, each after up to a second. After
 * so many in a row it is left alone, first for a second, then for twice as long each time: nine
 * clocks would free it, but only the adapter's driver can give them.
 */
#define STUCK_TIMEOUTS      3
#define STUCK_FIRST_PAUSE   INT64_C(1000000)
#define STUCK_LONGEST_PAUSE INT64_C(8000000)

/*
 * Looks at addresses where nobody was fall into gaps: none is begun when a device is due within
 * this time, unless the look has waited for so long that the bus has no gaps at all.
 */
#define LOOK_GAP      INT64_C(5000)
#define LOOK_PATIENCE INT64_C(5000000)

worker *worker_create(const worker_config *config)
{
    worker *made = calloc(1, sizeof(*made));

    if (!made) {
        return NULL;
    }
    made->config = *config;
    made->raw_end = &made->raw;
    made->air_pressure = NAN;
    if (!queue_init(&made->inbox, false)) {
        free(made);
        return NULL;
    }
    sites_create(made);
    return made;
}

static void *thread_main(void *data)
{
    worker *worker = data;

    /*
     * The kernel may let a sleep take 50 µs longer, to save power; pulses are to be as long as they
     * are asked to be.
     */
    prctl(PR_SET_TIMERSLACK, 1UL);
    while (true) {
        int64_t due = worker_run(worker);
        if (worker->stopping) {
            return NULL;
        }
        queue_wait(&worker->inbox, due == HUB_NEVER ? due : due - worker_now(worker));
    }
}

bool worker_start(worker *worker)
{
    sigset_t all, before;

    /* Signals are the owner's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->threaded = pthread_create(&worker->thread, NULL, thread_main, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return worker->threaded;
}

void worker_stop(worker *worker, bool end_pulses)
{
    message *stop = message_new(MESSAGE_STOP, 0);

    stop->end_pulses = end_pulses;
    worker_post(worker, stop);
    if (worker->threaded) {
        pthread_join(worker->thread, NULL);
    } else {
        worker_run(worker);
    }
    worker->threaded = false;
    if (worker->bus) {
        i2c_bus_close(worker->bus);
    }
    worker->bus = NULL;
}

void worker_free(worker *worker)
{
    while (worker->units) {
        unit_free(worker, worker->units);
    }
    while (worker->raw) {
        message *next = worker->raw->next;
        message_free(worker->raw);
        worker->raw = next;
    }
    queue_destroy(&worker->inbox);
    free(worker->sites);
    free(worker);
}

void worker_post(worker *worker, message *message)
{
    queue_push(&worker->inbox, message);
}

size_t worker_backlog(worker *worker)
{
    return queue_length(&worker->inbox);
}

int64_t worker_now(const worker *worker)
{
    return worker->config.environment->now(worker->config.environment->baton);
}

void worker_send(worker *worker, message *message)
{
    message->bus = worker->config.index;
    queue_push(worker->config.outbox, message);
}

void worker_log(worker *worker, hub_level level, log_code code, const char *format, ...)
{
    char text[512];
    int length;
    va_list arguments;
    message *line;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    if ((size_t)length >= sizeof(text)) {
        length = sizeof(text) - 1;
    }
    line = message_new(MESSAGE_LOG, (size_t)length);
    line->log.level = level;
    line->log.code = code;
    memcpy(line->data, text, (size_t)length);
    worker_send(worker, line);
}

/* ---- the state of the bus itself ---- */

bool worker_is_quiet(const worker *worker)
{
    return worker->quiet_until && worker_now(worker) < worker->quiet_until;
}

static void count_timeout(worker *worker)
{
    if (++worker->timeouts < STUCK_TIMEOUTS) {
        return;
    }
    if (!worker->quiet_for) {
        worker->quiet_for = STUCK_FIRST_PAUSE;
        worker_log(worker, HUB_WARNING, CT_BUS_STUCK,
                   "i2c%d (%s): %u transfers in a row timed out; the bus seems to be stuck and is "
                   "tried again at intervals",
                   worker->config.label, worker->config.device, worker->timeouts);
    } else if (worker->quiet_for < STUCK_LONGEST_PAUSE) {
        worker->quiet_for *= 2;
    }
    worker->quiet_until = worker_now(worker) + worker->quiet_for;
}

static void count_success(worker *worker)
{
    if (worker->quiet_for) {
        worker_log(worker, HUB_INFO, CT_BUS_FREE,
                   "i2c%d (%s): the bus works again after %u transfers that timed out",
                   worker->config.label, worker->config.device, worker->timeouts);
    }
    worker->timeouts = 0;
    worker->quiet_for = 0;
    worker->quiet_until = 0;
}

static void lose_bus(worker *worker)
{
    if (!worker->bus) {
        return;
    }
    worker_log(worker, HUB_WARNING, CT_BUS_GONE,
               "i2c%d (%s): the bus is gone; it is opened again "
               "when it is back",
               worker->config.label, worker->config.device);
    i2c_bus_close(worker->bus);
    worker->bus = NULL;
    worker->reopen_at = worker_now(worker) + REOPEN_AFTER;
}

int worker_outcome(worker *worker, int result)
{
    if (result == -ETIMEDOUT) {
        count_timeout(worker);
    } else if (result == -ENODEV) {
        lose_bus(worker);
    } else {
        count_success(worker);
    }
    return result;
}

static void on_report(void *baton, const char *text)
{
    worker *worker = baton;

    worker_log(worker, HUB_WARNING, CT_SCENARIO_WRONG, "i2c%d: %s", worker->config.label, text);
}

static void open_bus(worker *worker)
{
    const bus_environment *environment = worker->config.environment;
    char why[sizeof(worker->open_why)] = "";
    int error = environment->open_bus(environment->baton, &worker->bus, worker->config.label,
                                      worker->config.device, why, sizeof(why));

    if (error) {
        worker->bus = NULL;
        worker->reopen_at = worker_now(worker) + REOPEN_AFTER;
        if (strcmp(why, worker->open_why) != 0) {
            worker_log(worker, HUB_WARNING, CT_BUS_NOT_OPENED,
                       "i2c%d (%s) could not be opened: %s; tried again every %d s",
                       worker->config.label, worker->config.device,
                       why[0] ? why : strerrordesc_np(-error), (int)(REOPEN_AFTER / 1000000));
        }
        memcpy(worker->open_why, why, sizeof(why));
    } else {
        worker->open_why[0] = 0;
        if (worker->bus->ops->on_report) {
            worker->bus->ops->on_report(worker->bus, on_report, worker);
        }
        count_success(worker);
        sites_reset(worker);
        worker_log(worker, HUB_INFO, CT_BUS_OPENED, "i2c%d (%s): opened", worker->config.label,
                   worker->config.device);
    }
    if (!worker->opened_once) {
        message *opened = message_new(MESSAGE_OPENED, 0);
        opened->error = error;
        worker_send(worker, opened);
        worker->opened_once = true;
    }
}

/* ---- what is due ---- */

static void refuse(worker *worker, message *request, int error)
{
    request->type = MESSAGE_RESULT;
    request->error = error;
    request->relay.attempted = false;
    worker_send(worker, request);
}

static void receive(worker *worker, message *message)
{
    unit *unit;

    message->time = worker_now(worker);
    switch (message->type) {
    case MESSAGE_STOP:
        worker->stopping = true;
        worker->end_pulses = message->end_pulses;
        message_free(message);
        return;
    case MESSAGE_AIR_PRESSURE:
        worker->air_pressure = message->values[0];
        for (unit = worker->units; unit; unit = unit->next) {
            unit->device.air_pressure = message->values[0];
        }
        message_free(message);
        return;
    case MESSAGE_SCAN:
    case MESSAGE_TRANSFER:
        if (!worker->bus) {
            refuse(worker, message, -ENODEV);
            return;
        }
        message->next = NULL;
        *worker->raw_end = message;
        worker->raw_end = &message->next;
        return;
    default:
        unit = unit_by_id(worker, message->unit);
        if (unit) {
            unit_take(worker, unit, message);
        } else if (message->serial) {
            refuse(worker, message, -ENODEV);
        } else {
            message_free(message);
        }
    }
}

static void refuse_raw(worker *worker, int error)
{
    while (worker->raw) {
        message *request = worker->raw;
        worker->raw = request->next;
        refuse(worker, request, error);
    }
    worker->raw_end = &worker->raw;
}

/*
 * The devices' next due time, and whose it is. Requests count from when they came: nobody starves.
 */
static unit *next_unit(worker *worker, bool relays_only, int64_t *due)
{
    unit *next = NULL;

    *due = HUB_NEVER;
    for (unit *unit = worker->units; unit; unit = unit->next) {
        int64_t wanted = unit_due(worker, unit);
        if (wanted < *due && (unit->device.driver->relay || !relays_only)) {
            *due = wanted;
            next = unit;
        }
    }
    return next;
}

static void tell_looked(worker *worker)
{
    if (worker->looked || (worker->bus && worker->first_look < worker->n_sites)) {
        return;
    }
    for (unit *unit = worker->units; unit; unit = unit->next) {
        if (!unit->announced) {
            return;
        }
    }
    worker->looked = true;
    worker_send(worker, message_new(MESSAGE_LOOKED, 0));
}

/* Does the one thing that is most due. False, and `until`, when nothing is. */
static bool do_next(worker *worker, int64_t *until)
{
    int64_t now = worker_now(worker);
    int64_t unit_at, look_at, patience, raw_at = raw_due(worker);
    /* Relays that were found work while the others are still looked for. */
    bool looking = worker->first_look < worker->n_sites && !worker_is_quiet(worker);
    unit *unit = next_unit(worker, looking, &unit_at);
    site *site = sites_next(worker, &look_at);

    if (looking && unit_at > now) {
        site_look(worker, &worker->sites[worker->first_look++]);
        return true;
    }
    /* Whatever has waited longest comes first; a look only counts when it has lost its patience. */
    patience = look_at == HUB_NEVER ? HUB_NEVER : look_at + LOOK_PATIENCE;
    if (site && !worker_is_quiet(worker) && look_at <= now &&
        (unit_at - now >= LOOK_GAP || (patience <= unit_at && patience <= now)) && raw_at > now) {
        site_look(worker, site);
        return true;
    }
    if (unit && unit_at <= now && unit_at <= raw_at) {
        unit_run(worker, unit);
        return true;
    }
    if (raw_at <= now) {
        raw_run(worker);
        return true;
    }
    /* A look that is due and has found no gap is tried again behind the next device's work. */
    if (worker_is_quiet(worker) && look_at < worker->quiet_until) {
        look_at = worker->quiet_until;
    }
    *until = raw_at < unit_at ? raw_at : unit_at;
    if (look_at > now && look_at < *until) {
        *until = look_at;
    }
    if (worker->first_look < worker->n_sites && worker->quiet_until < *until) {
        *until = worker->quiet_until;
    }
    return false;
}

/* Ends running pulses, if it shall, and gives back the requests that were not begun. */
static void finish(worker *worker)
{
    for (unit *unit = worker->units; unit; unit = unit->next) {
        unit_cancel(worker, unit);
    }
    refuse_raw(worker, -ECANCELED);
    if (!worker->end_pulses) {
        return;
    }
    for (unit *unit = worker->units; unit && worker->bus; unit = unit->next) {
        if (unit->pulse_end != HUB_NEVER &&
            unit->device.driver->relay->set(&unit->device, false) == 0) {
            message *moved = message_new(MESSAGE_STATE, 0);
            moved->unit = unit->id;
            worker_send(worker, moved);
        }
    }
}

int64_t worker_run(worker *worker)
{
    message *message;
    int64_t until = 0;

    do {
        while (!worker->stopping && (message = queue_take(&worker->inbox))) {
            receive(worker, message);
        }
        if (worker->stopping) {
            finish(worker);
            return 0;
        }
        if (!worker->bus) {
            units_lose(worker);
            refuse_raw(worker, -ENODEV);
            if (worker_now(worker) >= worker->reopen_at) {
                open_bus(worker);
            }
        }
        tell_looked(worker);
        if (!worker->bus) {
            return worker->reopen_at;
        }
        if (!do_next(worker, &until)) {
            return until;
        }
        /* Without threads the owner has its turn after each step, as it would have with them. */
    } while (!worker->config.environment->manual);
    return worker_now(worker);
}
