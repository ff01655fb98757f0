/*
 * How a device comes and goes, and what it does by the owner's clock, whatever its class. Owner's
 * thread.
 */
#ifndef HUB_PRESENCE_H
#define HUB_PRESENCE_H

#include "devices.h"

/* Makes a device with its remembered settings and its class's state; it need not be there yet. */
hub_device *device_create(hub_node *node, const char *topic, const hub_class *class,
                          const device_driver *driver);
void device_free(hub_device *device);
/* A bus has found it; `class` is that of its driver. */
void device_appeared(hub *hub, const message *found, const hub_class *class);
/* It has left: what waits for it is refused. */
void device_left(hub_device *device);
/* Does what is due; when it is next due, HUB_NEVER. */
void device_tick(hub_device *device);
int64_t device_due(const hub_device *device);

#endif
