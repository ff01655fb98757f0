/* Sensors: what is published of what was measured, and when. */
#include "classes.h"
#include "devices.h"
#include "ground.h"
#include "history.h"
#include "node.h"
#include "request_queue.h"

#include "devices/quantity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How long a measurement on request may take: this, and twice the sensor's usual interval. */
#define MEASURE_WITHIN INT64_C(5000000)

/* The buses get a new air pressure when it has changed by at least this, in kPa. */
#define PRESSURE_STEP 0.05

typedef struct sensor {
    bool published;                         /* `values` hold something */
    bool failed;                            /* null was published */
    double values[DEVICE_MAX_QUANTITIES];   /* as published last */
    double measured[DEVICE_MAX_QUANTITIES]; /* last, before the offset; NAN: not known */
    int64_t published_at;
    history *history[DEVICE_MAX_QUANTITIES]; /* NULL until the first value */
} sensor;

static void create(hub_device *device)
{
    sensor *sensor = device->state = hub_allocate(1, sizeof(*sensor));

    for (size_t i = 0; i < DEVICE_MAX_QUANTITIES; i++) {
        sensor->measured[i] = NAN;
    }
}

static void destroy(hub_device *device)
{
    sensor *sensor = device->state;

    for (size_t i = 0; i < DEVICE_MAX_QUANTITIES; i++) {
        history_free(sensor->history[i]);
    }
    free(sensor);
}

static size_t n_quantities(const hub_device *device)
{
    return device->driver->sensor->n_quantities;
}

static struct json_object *payload_of(const hub_device *device, const double *values)
{
    const device_quantity *quantities = device->driver->sensor->quantities;
    struct json_object *payload = json_object_new_object();

    for (size_t i = 0; i < n_quantities(device); i++) {
        json_object_object_add(
            payload, quantities[i].name,
            talk_quantity(values[i], quantities[i].decimals, quantities[i].unit));
    }
    return payload;
}

static void tell_pressure(hub_node *node, double pressure)
{
    hub *hub = node->hub;

    if (isnan(pressure) ? isnan(node->air_pressure)
                        : fabs(pressure - node->air_pressure) < PRESSURE_STEP) {
        return;
    }
    node->air_pressure = pressure;
    for (size_t i = 0; i < hub->n_buses; i++) {
        message *message;
        if (hub->buses[i].node != node) {
            continue;
        }
        message = message_new(MESSAGE_AIR_PRESSURE, 0);
        message->values[0] = pressure;
        worker_post(hub->buses[i].worker, message);
    }
}

static void notice_pressure(hub_device *device, const double *values)
{
    const device_quantity *quantities = device->driver->sensor->quantities;

    for (size_t i = 0; i < n_quantities(device); i++) {
        if (strcmp(quantities[i].name, "pressure") == 0) {
            tell_pressure(device->node, values ? values[i] : NAN);
        }
    }
}

/* Keeps what was measured, and adds the offset. No value is one that its quantity cannot have. */
static void calibrate(const hub_device *device, const double *measured, double *values)
{
    const device_quantity *quantities = device->driver->sensor->quantities;
    sensor *sensor = device->state;

    for (size_t i = 0; i < n_quantities(device); i++) {
        sensor->measured[i] = measured[i];
        values[i] = quantity_held(quantities[i].name, measured[i] + device->settings.offset[i]);
    }
}

static const double *last_measured(const hub_device *device)
{
    return ((const sensor *)device->state)->measured;
}

/* ---- periodic measurements ---- */

static bool has_moved(const hub_device *device, const double *values)
{
    const double *before = ((const sensor *)device->state)->values;
    bool any_delta = false;

    for (size_t i = 0; i < n_quantities(device); i++) {
        double delta = device->settings.delta[i];
        if (isnan(values[i]) != isnan(before[i])) {
            return true;
        }
        if (delta <= 0) {
            continue;
        }
        any_delta = true;
        if (fabs(values[i] - before[i]) >= delta) {
            return true;
        }
    }
    return !any_delta;
}

static bool is_due(const hub_device *device)
{
    const sensor *sensor = device->state;
    double since = (double)(hub_now(device->node->hub) - sensor->published_at) / 1e6;

    /*
     * Up to half an interval early: the next measurement would be further from the heartbeat's
     * time.
     */
    return device->settings.heartbeat > 0 &&
           since >= device->settings.heartbeat - device->settings.interval / 2;
}

static bool all_nan(const hub_device *device, const double *values)
{
    for (size_t i = 0; i < n_quantities(device); i++) {
        if (!isnan(values[i])) {
            return false;
        }
    }
    return true;
}

static void publish(hub_device *device, const double *values)
{
    sensor *sensor = device->state;

    sensor->published = true;
    sensor->failed = all_nan(device, values);
    sensor->published_at = hub_now(device->node->hub);
    memcpy(sensor->values, values, n_quantities(device) * sizeof(*values));
    device_publish(device, payload_of(device, values), 0);
}

static void publish_null(hub_device *device)
{
    const sensor *sensor = device->state;
    double nothing[DEVICE_MAX_QUANTITIES];

    notice_pressure(device, NULL);
    /* Once, and only where a value was published before. */
    if (sensor->published && !sensor->failed) {
        for (size_t i = 0; i < n_quantities(device); i++) {
            nothing[i] = NAN;
        }
        publish(device, nothing);
    }
}

static void keep_history(hub_device *device, const double *values)
{
    sensor *sensor = device->state;

    for (size_t i = 0; i < n_quantities(device); i++) {
        if (!isnan(values[i])) {
            history_add(&sensor->history[i], device->node->hub, values[i]);
        }
    }
}

static void on_event(hub_device *device, const message *event)
{
    const sensor *sensor = device->state;
    double values[DEVICE_MAX_QUANTITIES];

    if (event->type == MESSAGE_FAILED) {
        publish_null(device);
        return;
    }
    if (event->type != MESSAGE_SAMPLE) {
        return;
    }
    calibrate(device, event->values, values);
    notice_pressure(device, values);
    keep_history(device, values);
    if (all_nan(device, values)) {
        publish_null(device);
    } else if (!sensor->published || has_moved(device, values) || is_due(device)) {
        publish(device, values);
    }
}

/* ---- requests ---- */

static void begin(hub_device *device, request *request)
{
    const sensor *sensor = device->state;

    if (request->form == TALK_HISTORY_GET) {
        history_answer(device, request, sensor->history);
        return;
    }
    request->command = message_new(MESSAGE_MEASURE, 0);
    request_send(device, request,
                 MEASURE_WITHIN + (int64_t)(device->driver->sensor->default_interval * 2e6));
}

static void on_result(hub_device *device, request *request, const message *result)
{
    const sensor *sensor = device->state;
    double values[DEVICE_MAX_QUANTITIES];
    struct json_object *payload;

    if (result->error < 0) {
        if (request) {
            request_refuse_errno(request, device, result->error);
        }
        return;
    }
    calibrate(device, result->values, values);
    keep_history(device, values);
    if (!request) {
        return;
    }
    payload = payload_of(device, values);
    /* A client that opens now gets the newest value, published or not. */
    if (!sensor->failed) {
        json_object_put(device->last);
        device->last = json_object_get(payload);
    }
    request_answer(request, device->topic, payload);
}

static void on_found(hub_device *device, const message *found, message *adopt)
{
    sensor *sensor = device->state;

    (void)found;
    (void)adopt;
    sensor->failed = false;
    sensor->published = false;
    json_object_put(device->last);
    device->last = NULL;
}

static void on_lost(hub_device *device)
{
    publish_null(device);
}

const hub_class class_sensor = {
    .sensor = true,
    .forms = 1u << TALK_HISTORY_GET,
    .create = create,
    .free = destroy,
    .begin = begin,
    .result = on_result,
    .event = on_event,
    .found = on_found,
    .measured = last_measured,
    .lost = on_lost,
};
