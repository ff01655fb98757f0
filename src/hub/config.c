/*
 * config/get and config/set: when a device publishes.
 *
 *     publish-interval  seconds between measurements that are published, null: none
 *     delta             publish only when a value has changed by at least this since the last
 *                       publication
 *     heartbeat         seconds: but publish at least this often (counted in measurements, so never
 *                       more often than publish-interval)
 *     offset            added to what was measured, for calibration
 *
 * An offset must not lead from what was measured last to a value that the quantity cannot have.
 *
 * `delta` and `offset` are given as a number, which is meant for the first quantity, or as an
 * object by quantity: {"pressure": 0.1, "altitude": 1}. null undoes them. A sensor with several
 * quantities shows them as an object. When one of them has changed by its delta, all are published.
 * Actuators know publish-interval alone. Members that were never set are not shown.
 *
 * What was set is remembered, member by member, as "config" among the device's remembered state.
 */
#include "config.h"

#include "ground.h"

#include "devices/quantity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is set may wait this long for the disk, in microseconds: a hub that is killed loses it. */
#define SETTINGS_WITHIN INT64_C(1000000)

static const char *const members[] = {"publish-interval", "delta", "heartbeat", "offset"};
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static bool read_number(const struct json_object *value, double *number)
{
    if (!json_object_is_type(value, json_type_int) &&
        !json_object_is_type(value, json_type_double)) {
        return false;
    }
    *number = json_object_get_double(value);
    return isfinite(*number);
}

/* `null` is 0, "never". */
static bool read_seconds(const struct json_object *value, double *seconds)
{
    if (!value) {
        *seconds = 0;
        return true;
    }
    return read_number(value, seconds) && *seconds >= SETTINGS_MIN_INTERVAL &&
           *seconds <= SETTINGS_MAX_INTERVAL;
}

static bool in_range(const char *member, double number)
{
    if (strcmp(member, "delta") == 0) {
        return number >= 0 && number <= SETTINGS_MAX_OFFSET;
    }
    return fabs(number) <= SETTINGS_MAX_OFFSET;
}

/* A number for the first quantity, or numbers by quantity; null: 0 for all. */
static bool read_by_quantity(const sensor_ops *sensor, const char *member,
                             const struct json_object *value, double *numbers)
{
    if (!value) {
        memset(numbers, 0, sensor->n_quantities * sizeof(*numbers));
        return true;
    }
    if (!json_object_is_type(value, json_type_object)) {
        return read_number(value, &numbers[0]) && in_range(member, numbers[0]);
    }
    json_object_object_foreach((struct json_object *)value, name, number)
    {
        size_t i = 0;
        while (i < sensor->n_quantities && strcmp(sensor->quantities[i].name, name) != 0) {
            i++;
        }
        if (i == sensor->n_quantities) {
            return false;
        }
        if (!number) {
            numbers[i] = 0;
        } else if (!read_number(number, &numbers[i]) || !in_range(member, numbers[i])) {
            return false;
        }
    }
    return true;
}

/* What `delta` and `offset` may be, with the names of the sensor's quantities. */
static void say_quantities(const sensor_ops *sensor, const char *member, char *why, size_t size)
{
    talk_text names = {0};

    for (size_t i = 0; i < sensor->n_quantities; i++) {
        talk_text_addf(&names, "%s%s", i ? ", " : "", sensor->quantities[i].name);
    }
    snprintf(why, size,
             "%s must be a number from %s to 1000000, an object of such numbers by quantity (%s), "
             "or null",
             member, strcmp(member, "delta") == 0 ? "0" : "-1000000", names.data);
    talk_text_free(&names);
}

/* Reads one member into the settings. False with a sentence where it is wrong. */
static bool read_member(const hub_device *device, const char *member,
                        const struct json_object *value, settings *settings, char *why, size_t size)
{
    const sensor_ops *sensor = device->driver ? device->driver->sensor : NULL;

    if (strcmp(member, "publish-interval") == 0 || strcmp(member, "heartbeat") == 0) {
        double *seconds = *member == 'p' ? &settings->interval : &settings->heartbeat;
        if (read_seconds(value, seconds)) {
            return true;
        }
        snprintf(why, size, "%s must be 0.1 to 86400 seconds, or null", member);
        return false;
    }
    if (read_by_quantity(sensor, member, value,
                         strcmp(member, "delta") == 0 ? settings->delta : settings->offset)) {
        return true;
    }
    say_quantities(sensor, member, why, size);
    return false;
}

static bool has_member(const hub_device *device, const char *member)
{
    return device->class->sensor || strcmp(member, "publish-interval") == 0;
}

/* Reads whatever members there are. The number of them, or -1 with a sentence. */
static int read_all(const hub_device *device, struct json_object *payload, settings *settings,
                    char *why, size_t size)
{
    int n = 0;

    for (size_t i = 0; i < N_MEMBERS; i++) {
        struct json_object *value;
        if (!has_member(device, members[i]) ||
            !json_object_object_get_ex(payload, members[i], &value)) {
            continue;
        }
        if (!read_member(device, members[i], value, settings, why, size)) {
            return -1;
        }
        n++;
    }
    return n;
}

/* Whether an offset leads outside of what a quantity can be. `measured`: the last value, or NAN. */
static bool leads_outside(const quantity *quantity, double measured, double offset)
{
    double value = measured + offset;

    if (isnan(measured)) {
        return fabs(offset) > quantity->most - quantity->least;
    }
    return value < quantity->least || value > quantity->most;
}

static void say_range(const quantity *quantity, int decimals, double measured, char *why,
                      size_t size)
{
    int length = snprintf(why, size, "offset must leave %s within %g to %.10g %s", quantity->name,
                          quantity->least, quantity->most, quantity->unit);

    if (!isnan(measured) && length > 0 && (size_t)length < size) {
        snprintf(why + length, size - (size_t)length,
                 ": it may be %.*f to %.*f, since %.*f is measured", decimals,
                 quantity->least - measured, decimals, quantity->most - measured, decimals,
                 measured);
    }
}

/* False with a sentence where one of the offsets that change leads to what cannot be. */
static bool check_offsets(const hub_device *device, const settings *changed, char *why, size_t size)
{
    const sensor_ops *sensor = device->driver ? device->driver->sensor : NULL;
    const double *measured = device->class->measured ? device->class->measured(device) : NULL;

    for (size_t i = 0; sensor && measured && i < sensor->n_quantities; i++) {
        const quantity *quantity = quantity_by_name(sensor->quantities[i].name);
        double offset = changed->offset[i];
        if (quantity && offset != 0 && offset != device->settings.offset[i] &&
            leads_outside(quantity, measured[i], offset)) {
            say_range(quantity, sensor->quantities[i].decimals, measured[i], why, size);
            return false;
        }
    }
    return true;
}

/* ---- showing ---- */

/* A number as JSON, without a point where it has no fraction. */
static struct json_object *json_number(double value)
{
    if (value == floor(value) && fabs(value) < 1e15) {
        return json_object_new_int64((int64_t)value);
    }
    return json_object_new_double(value);
}

static bool any(const double *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] != 0) {
            return true;
        }
    }
    return false;
}

static void show_by_quantity(struct json_object *payload, const char *member,
                             const sensor_ops *sensor, const double *numbers)
{
    struct json_object *shown;

    if (!any(numbers, sensor->n_quantities)) {
        return;
    }
    if (sensor->n_quantities == 1) {
        json_object_object_add(payload, member, json_number(numbers[0]));
        return;
    }
    shown = json_object_new_object();
    for (size_t i = 0; i < sensor->n_quantities; i++) {
        json_object_object_add(shown, sensor->quantities[i].name, json_number(numbers[i]));
    }
    json_object_object_add(payload, member, shown);
}

static struct json_object *show(const hub_device *device)
{
    const settings *settings = &device->settings;
    struct json_object *payload = json_object_new_object();

    json_object_object_add(payload, "publish-interval",
                           settings->interval > 0 ? json_number(settings->interval) : NULL);
    if (!device->class->sensor) {
        return payload;
    }
    show_by_quantity(payload, "delta", device->driver->sensor, settings->delta);
    if (settings->heartbeat > 0) {
        json_object_object_add(payload, "heartbeat", json_number(settings->heartbeat));
    }
    show_by_quantity(payload, "offset", device->driver->sensor, settings->offset);
    return payload;
}

/* ---- remembering ---- */

void config_remember(hub_device *device)
{
    struct json_object *known = state_device(device->node->states, device->topic), *config;
    settings settings = device->settings;
    char why[TALK_MAX_MESSAGE];

    if (!known || !json_object_object_get_ex(known, "config", &config)) {
        return;
    }
    if (json_object_is_type(config, json_type_object) &&
        read_all(device, config, &settings, why, sizeof(why)) >= 0) {
        device->settings = settings;
        return;
    }
    hub_log(device->node->hub, HUB_WARNING, CT_STATE_CORRUPT,
            "%s: its remembered settings are not valid and are dropped", device->topic);
    state_set(device->node->states, device->topic, "config", NULL);
}

/*
 * Remembers the members that were ever set, in their full form; for the others the defaults still
 * hold. Each write of the file wears the card it is on, so settings are gathered, and what was
 * set again as it was is not written.
 */
static void remember(hub_device *device, struct json_object *payload)
{
    struct json_object *known = state_device(device->node->states, device->topic), *before = NULL;
    struct json_object *config = json_object_new_object(), *shown = show(device);

    if (known) {
        json_object_object_get_ex(known, "config", &before);
    }
    for (size_t i = 0; i < N_MEMBERS; i++) {
        struct json_object *value = NULL;
        bool asked = json_object_object_get_ex(payload, members[i], NULL);
        bool kept = before && json_object_object_get_ex(before, members[i], NULL);
        if ((asked || kept) && json_object_object_get_ex(shown, members[i], &value)) {
            json_object_object_add(config, members[i], json_object_get(value));
        }
    }
    json_object_put(shown);
    if (json_object_equal(config, before)) {
        json_object_put(config);
        return;
    }
    state_set(device->node->states, device->topic, "config", config);
    state_save_by(device->node->states, hub_now(device->node->hub) + SETTINGS_WITHIN);
}

/* ---- requests ---- */

static void apply(hub_device *device, const settings *changed)
{
    bool paced = changed->interval != device->settings.interval;

    device->settings = *changed;
    if (!paced) {
        return;
    }
    if (device->class->sensor) {
        message *message = message_new(MESSAGE_INTERVAL, 0);
        message->interval = (int64_t)llround(changed->interval * 1e6);
        device_send(device, message);
    } else {
        device_schedule(device);
    }
}

void config_begin(hub_device *device, request *request)
{
    char topic[TALK_MAX_TOPIC + 16], why[TALK_MAX_MESSAGE] = "";
    settings changed = device->settings;

    if (request->form == TALK_CONFIG_SET) {
        int n = read_all(device, request->payload, &changed, why, sizeof(why));
        if (n > 0 && !check_offsets(device, &changed, why, sizeof(why))) {
            n = -1;
        }
        if (n <= 0) {
            request_refuse(request, TALK_BAD_PAYLOAD, "%s",
                           n < 0 ? why
                           : device->class->sensor
                               ? "publish-interval, delta, heartbeat or offset is needed"
                               : "publish-interval is needed: 0.1 to 86400 seconds, or null");
            return;
        }
        apply(device, &changed);
        remember(device, request->payload);
    }
    snprintf(topic, sizeof(topic), "%s/config/ok", device->topic);
    request_answer(request, topic, show(device));
}
