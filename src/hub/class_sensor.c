/* Sensors: what is published of what was measured, and when. */
#include "hub_internal.h"

#include <math.h>
#include <string.h>

/* A measurement on request may take so long: this, and twice the sensor's usual interval. */
#define MEASURE_WITHIN INT64_C(5000000)

/* Sensors that want to know the air pressure are told when it has changed by so much, in kPa. */
#define PRESSURE_STEP 0.05

static struct json_object *payload_of(const hub_device *device, const double *values)
{
    const sensor_ops *sensor = device->driver->sensor;
    struct json_object *payload = json_object_new_object();

    for (size_t i = 0; i < sensor->n_quantities; i++) {
        json_object_object_add(
            payload, sensor->quantities[i].name,
            talk_quantity(values[i], sensor->quantities[i].decimals, sensor->quantities[i].unit));
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
    const sensor_ops *sensor = device->driver->sensor;

    for (size_t i = 0; i < sensor->n_quantities; i++) {
        if (strcmp(sensor->quantities[i].name, "pressure") == 0) {
            tell_pressure(device->node, values ? values[i] : NAN);
        }
    }
}

static void calibrate(const hub_device *device, const double *measured, double *values)
{
    for (size_t i = 0; i < DEVICE_MAX_QUANTITIES; i++) {
        values[i] = measured[i] + device->settings.offset[i];
    }
}

/* ---- periodic measurements ---- */

static bool has_moved(const hub_device *device, const double *values)
{
    const double *before = device->sensor.values;
    bool any_delta = false;

    for (size_t i = 0; i < device->driver->sensor->n_quantities; i++) {
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
    double since = (double)(hub_now(device->node->hub) - device->sensor.published_at) / 1e6;

    /* Half an interval before its time is nearer to it than the next measurement would be. */
    return device->settings.heartbeat > 0 &&
           since >= device->settings.heartbeat - device->settings.interval / 2;
}

static bool all_nan(const hub_device *device, const double *values)
{
    for (size_t i = 0; i < device->driver->sensor->n_quantities; i++) {
        if (!isnan(values[i])) {
            return false;
        }
    }
    return true;
}

static void publish(hub_device *device, const double *values)
{
    device->sensor.published = true;
    device->sensor.failed = all_nan(device, values);
    device->sensor.published_at = hub_now(device->node->hub);
    memcpy(device->sensor.values, values, sizeof(device->sensor.values));
    device_publish(device, payload_of(device, values), 0);
}

static void publish_null(hub_device *device)
{
    static const double nothing[DEVICE_MAX_QUANTITIES] = {NAN, NAN};

    notice_pressure(device, NULL);
    /* Once. And who never said anything need not take it back. */
    if (device->sensor.published && !device->sensor.failed) {
        publish(device, nothing);
    }
}

static void event(hub_device *device, const message *event)
{
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
    history_add(device, values);
    if (all_nan(device, values)) {
        publish_null(device);
    } else if (!device->sensor.published || has_moved(device, values) || is_due(device)) {
        publish(device, values);
    }
}

/* ---- requests ---- */

static void begin(hub_device *device, request *request)
{
    request->command = message_new(MESSAGE_MEASURE, 0);
    request_send(device, request,
                 MEASURE_WITHIN + (int64_t)(device->driver->sensor->default_interval * 2e6));
}

static void result(hub_device *device, request *request, const message *result)
{
    double values[DEVICE_MAX_QUANTITIES];
    struct json_object *payload;

    if (result->error < 0) {
        if (request) {
            request_refuse_errno(request, device, result->error);
        }
        return;
    }
    calibrate(device, result->values, values);
    history_add(device, values);
    if (!request) {
        return;
    }
    payload = payload_of(device, values);
    /* Whoever opens now gets the newest that is known, published or not. */
    if (!device->sensor.failed) {
        json_object_put(device->last);
        device->last = json_object_get(payload);
    }
    request_answer(request, device->topic, payload);
}

static void found(hub_device *device, const message *found, message *adopt)
{
    (void)found;
    (void)adopt;
    device->sensor.failed = false;
    device->sensor.published = false;
    json_object_put(device->last);
    device->last = NULL;
}

static void lost(hub_device *device)
{
    publish_null(device);
}

const hub_class class_sensor = {
    .sensor = true,
    .forms = 1u << TALK_HISTORY_GET,
    .begin = begin,
    .result = result,
    .event = event,
    .found = found,
    .lost = lost,
};
