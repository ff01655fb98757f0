/* The bus itself: opened, gone, stuck. */
#include "worker_internal.h"

#include <errno.h>
#include <string.h>

/* Between attempts to open a bus that could not be opened. */
#define REOPEN_AFTER INT64_C(5000000)

/*
 * A stuck bus (SDA or SCL held low) lets every transfer time out, each after up to a second. After
 * STUCK_TIMEOUTS in a row it is left alone, first for a second, then for twice as long each time:
 * nine clocks would free it, but only the adapter's driver can give them.
 */
#define STUCK_TIMEOUTS      3
#define STUCK_FIRST_PAUSE   INT64_C(1000000)
#define STUCK_LONGEST_PAUSE INT64_C(8000000)

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

static void not_opened(worker *worker, int error, const char *why)
{
    worker->bus = NULL;
    worker->reopen_at = worker_now(worker) + REOPEN_AFTER;
    if (strcmp(why, worker->open_why) != 0) {
        worker_log(worker, HUB_WARNING, CT_BUS_NOT_OPENED,
                   "i2c%d (%s) could not be opened: %s; tried again every %d s",
                   worker->config.label, worker->config.device,
                   why[0] ? why : strerrordesc_np(-error), (int)(REOPEN_AFTER / 1000000));
    }
    memcpy(worker->open_why, why, sizeof(worker->open_why));
}

static void opened(worker *worker)
{
    worker->open_why[0] = 0;
    if (worker->bus->ops->on_report) {
        worker->bus->ops->on_report(worker->bus, on_report, worker);
    }
    count_success(worker);
    worker_log(worker, HUB_INFO, CT_BUS_OPENED, "i2c%d (%s): opened", worker->config.label,
               worker->config.device);
}

bool worker_open_bus(worker *worker)
{
    const bus_environment *environment = worker->config.environment;
    char why[sizeof(worker->open_why)] = "";
    int error;

    if (worker_now(worker) < worker->reopen_at) {
        return false;
    }
    error = environment->open_bus(environment->baton, &worker->bus, worker->config.label,
                                  worker->config.device, why, sizeof(why));
    if (error) {
        not_opened(worker, error, why);
    } else {
        opened(worker);
    }
    if (!worker->opened_once) {
        message *tried = message_new(MESSAGE_OPENED, 0);
        tried->error = error;
        worker_send(worker, tried);
        worker->opened_once = true;
    }
    return !error;
}
