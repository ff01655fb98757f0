#include "devices.h"

#include "ground.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How long it may take until what is shown is on disk, in microseconds. */
#define SHOWN_WITHIN INT64_C(60000000)

/* ---- finding ---- */

/* The index of a topic, or where it would have to be inserted. */
static size_t place_of(const hub_node *node, const char *topic, bool *found)
{
    size_t low = 0, high = node->n_devices;

    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(node->devices[middle]->topic, topic);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

hub_device *device_find(hub_node *node, const char *topic)
{
    bool found;
    size_t place = place_of(node, topic, &found);

    return found ? node->devices[place] : NULL;
}

hub_device *device_of_unit(hub *hub, unsigned bus, uint32_t unit)
{
    hub_node *node = hub->buses[bus].node;

    if (unit == 0) {
        return hub->buses[bus].raw;
    }
    for (size_t i = 0; i < node->n_devices; i++) {
        if (node->devices[i]->bus == bus && node->devices[i]->unit == unit) {
            return node->devices[i];
        }
    }
    return NULL;
}

/* ---- adding ---- */

double device_default_interval(const hub_device *device)
{
    const hub_node *node = device->node;

    for (size_t i = 0; i < node->n_intervals; i++) {
        if (strcmp(node->intervals[i].type, device->type) == 0) {
            return node->intervals[i].seconds;
        }
    }
    return device->driver && device->driver->sensor ? device->driver->sensor->default_interval : 0;
}

/* The pin for this relay alone; otherwise the one for its whole chip. */
static const pin *find_pin(const hub_node *node, const hub_device *device)
{
    talk_address address;
    const pin *of_chip = NULL;

    if (!talk_address_parse(device->topic + strlen(device->type) + 1, &address) ||
        !address.on_bus) {
        return NULL;
    }
    for (size_t i = 0; i < node->n_pins; i++) {
        const pin *pin = &node->pins[i];
        if (pin->address.bus != address.bus || pin->address.chip != address.chip ||
            strcmp(pin->type, device->type) != 0) {
            continue;
        }
        if (pin->address.channel == address.channel) {
            return pin;
        }
        if (pin->address.channel < 0) {
            of_chip = pin;
        }
    }
    return of_chip;
}

static void insert(hub_node *node, hub_device *device)
{
    bool found;
    size_t place = place_of(node, device->topic, &found);
    hub_device **grown = realloc(node->devices, (node->n_devices + 1) * sizeof(*grown));

    if (!grown) {
        base_out_of_memory();
    }
    node->devices = grown;
    memmove(grown + place + 1, grown + place, (node->n_devices - place) * sizeof(*grown));
    grown[place] = device;
    node->n_devices++;
}

hub_device *device_add(hub_node *node, const char *topic, const hub_class *class,
                       const device_driver *driver)
{
    hub_device *device = hub_allocate(1, sizeof(*device));

    device->node = node;
    device->bus = HUB_NO_BUS;
    device->class = class;
    device->driver = driver;
    device->requests_end = &device->requests;
    device->republish_at = HUB_NEVER;
    strncpy(device->topic, topic, sizeof(device->topic) - 1);
    memcpy(device->type, topic, strcspn(topic, "/"));
    device->settings.interval = device_default_interval(device);
    if (!class->unlisted) {
        device->pin = find_pin(node, device);
        insert(node, device);
    }
    return device;
}

/* ---- the list ---- */

struct json_object *device_list(const hub_node *node)
{
    struct json_object *list = json_object_new_object();
    struct json_object *sensors = json_object_new_array(), *actuators = json_object_new_array();
    struct json_object *notifications = json_object_new_array();

    for (size_t i = 0; i < node->n_devices; i++) {
        if (node->devices[i]->listed) {
            json_object_array_add(node->devices[i]->class->sensor ? sensors : actuators,
                                  json_object_new_string(node->devices[i]->topic));
        }
    }
    json_object_array_add(notifications, json_object_new_string("boot"));
    json_object_object_add(list, "sensors", sensors);
    json_object_object_add(list, "actuators", actuators);
    json_object_object_add(list, "notifications", notifications);
    if (!node->remembers) {
        json_object_object_add(list, "remembers", json_object_new_boolean(false));
    }
    return list;
}

static void publish(hub_node *node, const char *topic, struct json_object *payload, uint64_t except)
{
    hub *hub = node->hub;

    talk_text_clear(&hub->text);
    talk_write(&hub->text, topic, payload, NULL);
    hub->output.publish(hub->output.baton, node->name, except, hub->text.data, hub->text.length);
}

void device_list_publish(hub_node *node)
{
    struct json_object *list;

    if (!node->list_changed || !node->ready || node->hub->stopping) {
        return;
    }
    node->list_changed = false;
    list = device_list(node);
    publish(node, "-/-/config/ok", list, 0);
    json_object_put(list);
}

/* ---- publications, and the bus ---- */

void device_schedule(hub_device *device)
{
    int64_t interval = (int64_t)llround(device->settings.interval * 1e6);

    device->republish_at = interval > 0 ? hub_now(device->node->hub) + interval : HUB_NEVER;
}

void device_publish(hub_device *device, struct json_object *payload, uint64_t except)
{
    json_object_put(device->last);
    device->last = payload;
    /* A device is in the list before it says anything. */
    device_list_publish(device->node);
    publish(device->node, device->topic, payload, except);
    if (device->republish_at != HUB_NEVER) {
        device_schedule(device);
    }
}

void device_republish(hub_device *device)
{
    if (device->republish_at > hub_now(device->node->hub)) {
        return;
    }
    device_schedule(device);
    if (device->last) {
        device_publish(device, json_object_get(device->last), 0);
    }
}

void device_send(hub_device *device, message *message)
{
    message->unit = device->unit;
    worker_post(device->node->hub->buses[device->bus].worker, message);
}

/* ---- what is shown ---- */

void device_remember_shown(hub_device *device, struct json_object *shown)
{
    hub_node *node = device->node;

    if (json_object_equal(shown, device_remembered_shown(device))) {
        json_object_put(shown);
        return;
    }
    state_set(node->states, device->topic, "shown", shown);
    state_save_by(node->states, hub_now(node->hub) + SHOWN_WITHIN);
}

struct json_object *device_remembered_shown(const hub_device *device)
{
    struct json_object *known = state_device(device->node->states, device->topic), *shown = NULL;

    json_object_object_get_ex(known, "shown", &shown);
    return shown;
}
