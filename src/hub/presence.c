#include "presence.h"

#include "config.h"
#include "ground.h"
#include "request_queue.h"

#include <math.h>
#include <stdlib.h>

hub_device *device_create(hub_node *node, const char *topic, const hub_class *class,
                          const device_driver *driver)
{
    hub_device *device = device_add(node, topic, class, driver);

    if (!class->unlisted) {
        config_remember(device);
    }
    if (class->create) {
        class->create(device);
    }
    return device;
}

void device_free(hub_device *device)
{
    while (device->requests) {
        request_dequeue(device);
    }
    if (device->class->free) {
        device->class->free(device);
    }
    json_object_put(device->last);
    free(device);
}

/* ---- coming and going ---- */

/* Another chip of the same type: what is usual for it may be different. */
static void change_driver(hub_device *device, const device_driver *driver)
{
    device->driver = driver;
    device->settings.interval = device_default_interval(device);
    config_remember(device);
}

void device_appeared(hub *hub, const message *found, const hub_class *class)
{
    hub_node *node = hub->buses[found->bus].node;
    const char *topic = (const char *)found->data;
    hub_device *device = device_find(node, topic);
    message *adopt = message_new(MESSAGE_ADOPT, 0);

    if (!device) {
        device = device_create(node, topic, class, found->driver);
    }
    if (device->driver != found->driver) {
        change_driver(device, found->driver);
    }
    device->bus = found->bus;
    device->unit = found->unit;
    device->listed = true;
    node->list_changed = true;
    adopt->adopt.interval = (int64_t)llround(device->settings.interval * 1e6);
    adopt->adopt.pulse = HUB_NEVER;
    device->class->found(device, found, adopt);
    device_send(device, adopt);
    if (!device->class->sensor) {
        device_schedule(device);
    }
    device_pump(device);
}

void device_left(hub_device *device)
{
    device->listed = false;
    device->unit = 0;
    device->republish_at = HUB_NEVER;
    device->node->list_changed = true;
    if (device->class->lost) {
        device->class->lost(device);
    }
    requests_refuse(device, TALK_UNKNOWN_DEVICE, "has left; see -/-/config/list");
    device_pump(device);
}

/* ---- time ---- */

void device_tick(hub_device *device)
{
    device_republish(device);
    if (device->class->tick) {
        device->class->tick(device);
    }
    requests_expire(device);
}

int64_t device_due(const hub_device *device)
{
    int64_t due = device->republish_at, wanted = requests_due(device);

    if (wanted < due) {
        due = wanted;
    }
    if (device->class->due && (wanted = device->class->due(device)) < due) {
        due = wanted;
    }
    return due;
}
