/*
 * The last hour of each sensor, so that a page just opened has a plot.
 *
 * A quantity's history is a ring of slots of two seconds, each with the least, greatest and mean of
 * what was measured in it: 1800 slots of 16 bytes, 28,800 bytes per quantity, taken when its first
 * value comes. Nothing grows afterwards. It is not kept across restarts.
 *
 *     ["thermometer/i2c0-48/history/get", {"seconds": 3600, "points": 300}]
 *     ["thermometer/i2c0-48/history", {"seconds": 3600, "step": 12, "end": 1700000000,
 *      "temperature": {"min": [...], "mean": [...], "max": [...]}}]
 *
 * The oldest step comes first; steps without a measurement are null. `step` is a whole number of
 * slots, at least what gives no more than `points` of them; `end` is the end of the newest step, in
 * seconds since 1970.
 *
 * Slots are counted on the machine's own clock, which goes on while it is suspended and never
 * jumps. Only `end` is the time of day, as the clock shows it when the answer is made: the order of
 * what was measured, and the time between, stay right when the clock is set.
 */
#include "history.h"

#include "devices.h"
#include "ground.h"
#include "node.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOT_SECONDS 2
#define SLOTS        1800 /* an hour */
#define MAX_SECONDS  3600
#define MAX_POINTS   1000

typedef struct slot {
    float least;
    float greatest;
    float sum;
    uint32_t count; /* 0: nothing was measured */
} slot;

_Static_assert(sizeof(slot) * SLOTS == 28800, "bytes per quantity, which docs/protocol.md states");

struct history {
    int64_t
        newest; /* number of the slot that is being filled, in slots since the machine's start */
    slot slots[SLOTS];
};

static int64_t slot_now(const hub *hub)
{
    return hub_boottime(hub) / (SLOT_SECONDS * INT64_C(1000000));
}

static slot *slot_at(history *history, int64_t number)
{
    return &history->slots[number % SLOTS];
}

/* Empties the slots that time has passed over. */
static void advance(history *history, int64_t now)
{
    if (now - history->newest > SLOTS) {
        history->newest = now - SLOTS;
    }
    while (history->newest < now) {
        *slot_at(history, ++history->newest) = (slot){0};
    }
}

static void add(history *history, double value)
{
    slot *slot = slot_at(history, history->newest);

    if (!slot->count || value < slot->least) {
        slot->least = (float)value;
    }
    if (!slot->count || value > slot->greatest) {
        slot->greatest = (float)value;
    }
    slot->sum += (float)value;
    slot->count++;
}

void history_add(history **history, const hub *hub, double value)
{
    int64_t now = slot_now(hub);

    if (!*history) {
        *history = hub_allocate(1, sizeof(**history));
        (*history)->newest = now;
    }
    advance(*history, now);
    add(*history, value);
}

void history_free(history *history)
{
    free(history);
}

/* ---- requests ---- */

static bool read_count(const struct json_object *payload, const char *member, int limit, int *count)
{
    struct json_object *value;
    int64_t number;

    if (!json_object_object_get_ex(payload, member, &value) ||
        !talk_whole_number(value, 1, limit, &number)) {
        return false;
    }
    *count = (int)number;
    return true;
}

static void add_value(struct json_object *array, double value, int decimals)
{
    double scale = pow(10, decimals);

    json_object_array_add(
        array, isnan(value) ? NULL : json_object_new_double(round(value * scale) / scale));
}

/* One step: `slots` slots that end before slot number `end`. */
static void add_step(history *history, int64_t end, int slots, int decimals,
                     struct json_object *least, struct json_object *mean,
                     struct json_object *greatest)
{
    double low = NAN, high = NAN, sum = 0;
    uint64_t count = 0;

    for (int64_t number = end - slots; history && number < end; number++) {
        const slot *slot;
        /* The clock may be younger than an hour. */
        if (number < 0 || number <= history->newest - SLOTS || number > history->newest) {
            continue;
        }
        slot = slot_at(history, number);
        if (!slot->count) {
            continue;
        }
        low = fmin(low, slot->least);
        high = fmax(high, slot->greatest);
        sum += slot->sum;
        count += slot->count;
    }
    add_value(least, low, decimals);
    add_value(mean, count ? sum / (double)count : NAN, decimals);
    add_value(greatest, high, decimals);
}

static struct json_object *show(history *history, int decimals, int64_t end, int steps, int slots)
{
    struct json_object *shown = json_object_new_object(), *least = json_object_new_array();
    struct json_object *mean = json_object_new_array(), *greatest = json_object_new_array();

    if (history) {
        advance(history, end - 1);
    }
    for (int step = steps; step > 0; step--) {
        add_step(history, end - (int64_t)(step - 1) * slots, slots, decimals, least, mean,
                 greatest);
    }
    json_object_object_add(shown, "min", least);
    json_object_object_add(shown, "mean", mean);
    json_object_object_add(shown, "max", greatest);
    return shown;
}

void history_answer(hub_device *device, request *request, history *const *histories)
{
    const hub *hub = device->node->hub;
    const sensor_ops *sensor = device->driver->sensor;
    char topic[TALK_MAX_TOPIC + 16];
    struct json_object *payload;
    int seconds, points, slots, steps;
    int64_t end, slot_time = SLOT_SECONDS * INT64_C(1000000);

    if (!read_count(request->payload, "seconds", MAX_SECONDS, &seconds) ||
        !read_count(request->payload, "points", MAX_POINTS, &points)) {
        request_refuse(request, TALK_BAD_PAYLOAD,
                       "seconds (1 to 3600) and points (1 to 1000) are needed, whole numbers");
        return;
    }
    slots = (seconds + points * SLOT_SECONDS - 1) / (points * SLOT_SECONDS);
    steps = (seconds + slots * SLOT_SECONDS - 1) / (slots * SLOT_SECONDS);
    end = slot_now(hub) + 1; /* the slot that is being filled counts */

    payload = json_object_new_object();
    json_object_object_add(payload, "seconds", json_object_new_int(seconds));
    json_object_object_add(payload, "step", json_object_new_int(slots * SLOT_SECONDS));
    json_object_object_add(
        payload, "end",
        json_object_new_int64((hub_wall(hub) + end * slot_time - hub_boottime(hub)) / 1000000));
    for (size_t i = 0; i < sensor->n_quantities; i++) {
        json_object_object_add(
            payload, sensor->quantities[i].name,
            show(histories[i], sensor->quantities[i].decimals, end, steps, slots));
    }
    snprintf(topic, sizeof(topic), "%s/history", device->topic);
    request_answer(request, topic, payload);
}
