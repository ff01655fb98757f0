/* A node's devices as the owner knows them: finding, appearing, leaving, the list, publications. */
#include "hub_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const hub_class *class_of_driver(const device_driver *driver)
{
    if (driver->sensor) {
        return &class_sensor;
    }
    return driver->relay ? &class_relay : &class_display;
}

/* The index of a topic, or where it would have to be. */
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

static double default_interval(const hub_node *node, const hub_device *device)
{
    for (size_t i = 0; i < node->n_intervals; i++) {
        if (strcmp(node->intervals[i].type, device->type) == 0) {
            return node->intervals[i].seconds;
        }
    }
    return device->driver && device->driver->sensor ? device->driver->sensor->default_interval : 0;
}

static hub_device *device_new(hub_node *node, const char *topic, const hub_class *class,
                              const device_driver *driver)
{
    hub_device *device = calloc(1, sizeof(*device));

    if (!device) {
        abort();
    }
    device->node = node;
    device->bus = HUB_NO_BUS;
    device->class = class;
    device->driver = driver;
    device->requests_end = &device->requests;
    device->republish_at = HUB_NEVER;
    strncpy(device->topic, topic, sizeof(device->topic) - 1);
    memcpy(device->type, topic, strcspn(topic, "/"));
    device->settings.interval = default_interval(node, device);
    return device;
}

/* The pin of this very relay before the one of its whole chip. */
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

hub_device *device_create(hub_node *node, const char *topic, const hub_class *class,
                          const device_driver *driver)
{
    hub_device *device = device_new(node, topic, class, driver);
    hub_device **grown;
    bool found;
    size_t place = place_of(node, topic, &found);

    /* i2c/... has a queue, but it is not a device. */
    if (class == &class_raw) {
        return device;
    }
    grown = realloc(node->devices, (node->n_devices + 1) * sizeof(*grown));
    if (!grown) {
        abort();
    }
    node->devices = grown;
    memmove(grown + place + 1, grown + place, (node->n_devices - place) * sizeof(*grown));
    grown[place] = device;
    node->n_devices++;

    device->pin = find_pin(node, device);
    config_remember(device);
    if (class == &class_relay) {
        device->relay.state = relay_remembered_state(device);
    }
    if (device->pin && device->pin->interlock[0]) {
        interlock_join(device, device->pin->interlock, device->pin->dead_time);
    }
    return device;
}

void device_free(hub_device *device)
{
    while (device->requests) {
        request *next = device->requests->next;
        request_free(device->requests);
        device->requests = next;
    }
    json_object_put(device->last);
    for (size_t i = 0; i < DEVICE_MAX_QUANTITIES; i++) {
        history_free(device->sensor.history[i]);
    }
    json_object_put(device->display.shown);
    json_object_put(device->display.drawing);
    led_free(device->led);
    free(device);
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

/* ---- appearing and leaving ---- */

void device_appeared(hub *hub, const message *found)
{
    hub_node *node = hub->buses[found->bus].node;
    const char *topic = (const char *)found->data;
    hub_device *device = device_find(node, topic);
    message *adopt = message_new(MESSAGE_ADOPT, 0);

    if (!device) {
        device = device_create(node, topic, class_of_driver(found->driver), found->driver);
    }
    if (device->driver != found->driver) {
        /* Another chip of the same type: what is usual for it may be different. */
        device->driver = found->driver;
        device->settings.interval = default_interval(node, device);
        config_remember(device);
    }
    device->bus = found->bus;
    device->unit = found->unit;
    device->listed = true;
    node->list_changed = true;
    adopt->adopt.interval = (int64_t)llround(device->settings.interval * 1e6);
    adopt->adopt.pulse = HUB_NEVER;
    device->class->found(device, found, adopt);
    device_send(device, adopt);
    if (!device->class->sensor && device->settings.interval > 0) {
        device->republish_at = hub_now(hub) + (int64_t)llround(device->settings.interval * 1e6);
    }
    device_pump(device);
    requests_release(node);
}

void device_left(hub_device *device)
{
    device->listed = false;
    device->unit = 0;
    device->was_lost = true;
    device->republish_at = HUB_NEVER;
    device->node->list_changed = true;
    if (device->class->lost) {
        device->class->lost(device);
    }
    requests_refuse(device, TALK_UNKNOWN_DEVICE, "has left; see -/-/config/list");
    device_pump(device);
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

void device_publish(hub_device *device, struct json_object *payload, uint64_t except)
{
    json_object_put(device->last);
    device->last = payload;
    /* A device is in the list before it says anything. */
    device_list_publish(device->node);
    publish(device->node, device->topic, payload, except);
    if (device->republish_at != HUB_NEVER) {
        device->republish_at =
            hub_now(device->node->hub) + (int64_t)llround(device->settings.interval * 1e6);
    }
}

void device_send(hub_device *device, message *message)
{
    message->unit = device->unit;
    worker_post(device->node->hub->buses[device->bus].worker, message);
}

/* ---- time ---- */

void device_tick(hub_device *device)
{
    int64_t now = hub_now(device->node->hub);

    if (device->republish_at <= now) {
        device->republish_at = now + (int64_t)llround(device->settings.interval * 1e6);
        if (device->last) {
            device_publish(device, json_object_get(device->last), 0);
        }
    }
    if (device->led) {
        led_tick(device);
    }
    if (device->requests && device->requests->progress == REQUEST_RUNNING &&
        device->requests->deadline <= now) {
        request *request = device->requests;
        request_refuse(request, TALK_TIMEOUT, "%s did not finish in time", device->topic);
        if (device->relay.interlock) {
            interlock_release(device, request);
        }
        device_pump(device);
    }
}

int64_t device_due(const hub_device *device)
{
    int64_t due = device->republish_at;

    if (device->requests && device->requests->progress == REQUEST_RUNNING &&
        device->requests->deadline < due) {
        due = device->requests->deadline;
    }
    if (device->led && led_due(device) < due) {
        due = led_due(device);
    }
    return due;
}
