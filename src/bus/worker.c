/* Which of all that is due comes next; the thread. */
#include "look.h"
#include "raw.h"
#include "unit_kinds.h"
#include "unit_run.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

/*
 * Looks at addresses where no chip was fall into gaps: none is begun when a device is due within
 * this time, unless the look has waited for LOOK_PATIENCE: then the bus has no gaps at all.
 */
#define LOOK_GAP      INT64_C(5000)
#define LOOK_PATIENCE INT64_C(5000000)

#define END_ATTEMPTS 3 /* to switch off a relay whose pulse ends with its hub */

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

const worker_config *worker_configuration(const worker *worker)
{
    return &worker->config;
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
    sites_free(worker);
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
    case MESSAGE_POWER_NOTED:
        site_power_noted(worker, message->address);
        message_free(message);
        return;
    case MESSAGE_SCAN:
    case MESSAGE_TRANSFER:
        if (worker->bus) {
            raw_take(worker, message);
        } else {
            unit_refuse(worker, message, -ENODEV);
        }
        return;
    default:
        unit = unit_by_id(worker, message->unit);
        if (unit) {
            unit_take(worker, unit, message);
        } else if (message->serial) {
            unit_refuse(worker, message, -ENODEV);
        } else {
            message_free(message);
        }
    }
}

/*
 * The devices' next due time, and which device it is. Requests count from when they came, so that
 * none starves.
 */
static unit *next_unit(worker *worker, bool relays_only, int64_t *due)
{
    unit *next = NULL;

    *due = HUB_NEVER;
    for (unit *unit = worker->units; unit; unit = unit->next) {
        int64_t wanted = unit_due(unit);
        if (wanted < *due && (unit->device.driver->relay || !relays_only)) {
            *due = wanted;
            next = unit;
        }
    }
    return next;
}

static void tell_looked(worker *worker)
{
    if (worker->looked ||
        (worker->bus && (worker->first_look < worker->n_asked || sites_are_undecided(worker)))) {
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

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool first_look_waits(const worker *worker)
{
    return worker->first_look < worker->n_asked &&
           site_waits_for_relays(worker, &worker->sites[worker->first_look]);
}

/* The first look at every address, one after the other. */
static void look_first(worker *worker)
{
    site *site = &worker->sites[worker->first_look];

    site_look(worker, site);
    /* A probe that waits goes on at its time. Further drivers of this address are tried now. */
    if (site->state == SITE_PROBING || !site_is_undecided(site)) {
        worker->first_look++;
    }
}

/* Whether a look that is due may begin now: in a gap, or because it has waited for too long. */
static bool may_look(int64_t now, int64_t look_at, int64_t unit_at, int64_t raw_at)
{
    if (look_at > now || raw_at <= now) {
        return false;
    }
    return unit_at - now >= LOOK_GAP ||
           (look_at + LOOK_PATIENCE <= unit_at && look_at + LOOK_PATIENCE <= now);
}

/*
 * Does the one thing that is most due. False, and `until`, when nothing is.
 *
 * A probe that is under way goes on in its turn, as a device's work does. A look at another address
 * competes with that work only after LOOK_PATIENCE.
 */
static bool do_next(worker *worker, int64_t *until)
{
    int64_t now = worker_now(worker);
    int64_t unit_at, look_at, step_at, raw_at = raw_due(worker);
    /* Relays that were found work while the others are still looked for. */
    bool quiet = worker_is_quiet(worker), held = first_look_waits(worker);
    bool looking = worker->first_look < worker->n_asked && !quiet;
    unit *unit = next_unit(worker, looking, &unit_at);
    site *site = sites_next(worker, SITE_ABSENT, &look_at);
    struct site *probed = sites_next(worker, SITE_PROBING, &step_at);

    if (looking && !held && unit_at > now) {
        look_first(worker);
    } else if (probed && !quiet && step_at <= earlier(now, earlier(unit_at, raw_at))) {
        site_look(worker, probed);
    } else if (site && !quiet && may_look(now, look_at, unit_at, raw_at)) {
        site_look(worker, site);
    } else if (unit && unit_at <= now && unit_at <= raw_at) {
        unit_run(worker, unit);
    } else if (raw_at <= now) {
        raw_run(worker);
    } else {
        if (quiet) {
            look_at = look_at < worker->quiet_until ? worker->quiet_until : look_at;
            step_at = step_at < worker->quiet_until ? worker->quiet_until : step_at;
        }
        /* A look that is due and has found no gap is tried again behind the next device's work. */
        *until = earlier(earlier(raw_at, unit_at), step_at);
        if (look_at > now) {
            *until = earlier(*until, look_at);
        }
        if (worker->first_look < worker->n_asked && !held) {
            *until = earlier(*until, worker->quiet_until);
        }
        return false;
    }
    return true;
}

/* Waits for the end of a relay's gap, without threads for nothing. */
static void wait_for_click(worker *worker, const unit *unit)
{
    int64_t now = worker_now(worker), left = unit_click_at(unit, now) - now;

    if (left > 0 && !worker->config.environment->manual) {
        nanosleep(&(struct timespec){left / 1000000, left % 1000000 * 1000}, NULL);
    }
}

/* Ends a pulse before its time. Where that fails, the next hub finds it in its memory. */
static void end_pulse(worker *worker, unit *unit)
{
    message *moved = message_new(MESSAGE_STATE, 0);
    char why[192];
    int error = -EIO;

    if (unit_present(unit, why, sizeof(why)) == DEVICE_LOST_POWER) {
        unit_lost_power(worker, unit); /* noted before this hub has ended, for the next one */
    }
    for (int attempt = 0; error < 0 && attempt < END_ATTEMPTS; attempt++) {
        wait_for_click(worker, unit);
        unit->clicked = worker_now(worker);
        error = unit->device.driver->relay->set(&unit->device, false);
    }
    if (error < 0) {
        worker_log(worker, HUB_ERROR, CT_PULSE_NOT_ENDED,
                   "%s: its pulse was to end with the hub, but it could not be switched off: %s",
                   unit->name, strerrordesc_np(-error));
        moved->type = MESSAGE_RESULT;
        moved->error = error;
        moved->relay.moves = moved->relay.attempted = true;
    }
    moved->unit = unit->id;
    worker_send(worker, moved);
}

/* Ends running pulses, if that is asked for, and gives back the requests that were not begun. */
static void finish(worker *worker)
{
    for (unit *unit = worker->units; unit; unit = unit->next) {
        unit_cancel(worker, unit);
    }
    raw_refuse(worker, -ECANCELED);
    if (!worker->end_pulses) {
        return;
    }
    for (unit *unit = worker->units; unit && worker->bus; unit = unit->next) {
        if (unit->pulse_end != HUB_NEVER) {
            end_pulse(worker, unit);
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
            raw_refuse(worker, -ENODEV);
            if (worker_open_bus(worker)) {
                sites_reset(worker);
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
