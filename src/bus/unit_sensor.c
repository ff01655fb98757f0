/* Sensors on their bus: a measurement, and what becomes of its values. */
#include "unit_kinds.h"

#include <math.h>
#include <string.h>

/*
 * While at least this number of messages waits for the owner, samples are left out: it would only
 * publish old ones.
 */
#define OUTBOX_LIMIT 4096

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
        /* Fixed rate: slots count from each other, not from now, and missed ones are left out. */
        if (unit->interval) {
            unit->slot += ((now - unit->slot) / unit->interval + 1) * unit->interval;
        } else {
            unit->slot = HUB_NEVER;
        }
    }
    if (unit->requests && unit->requests->type == MESSAGE_MEASURE) {
        memcpy(unit->requests->values, unit->values, sizeof(unit->requests->values));
        unit_answer(worker, unit, 0);
    }
    unit_succeeded(worker, unit);
}

void unit_measure(worker *worker, unit *unit)
{
    device_step step;

    /* A driver may have one value before the other. */
    for (size_t i = 0; i < DEVICE_MAX_QUANTITIES && unit->step == 0; i++) {
        unit->values[i] = NAN;
    }
    step = unit->device.driver->sensor->measure(&unit->device, unit->step, unit->values);
    worker_outcome(worker, step < 0 ? (int)step : 0);
    if (step < 0) {
        unit_fail(worker, unit, (int)step);
        return;
    }
    unit->step++;
    unit->due = worker_now(worker) + step;
    if (step == 0) {
        unit_enter(worker, unit, UNIT_IDLE);
        measured(worker, unit);
    }
}
