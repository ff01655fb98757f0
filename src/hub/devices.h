/*
 * A node's devices as the owner knows them: the structure, finding, the list, publications, and the
 * way to their bus. What they do is in their class (class.h); how they come and go, in presence.h.
 * Owner's thread.
 */
#ifndef HUB_DEVICES_H
#define HUB_DEVICES_H

#include "class.h"
#include "node.h"
#include "settings.h"

#include <json-c/json.h>
#include <limits.h>

#define HUB_NO_BUS UINT_MAX

struct hub_device {
    hub_node *node;
    unsigned bus;  /* index in hub->buses, or HUB_NO_BUS */
    uint32_t unit; /* its number on the bus while it is there, or 0 */
    char topic[TALK_MAX_TOPIC + 1];
    char type[TALK_MAX_TOPIC + 1]; /* the topic's first level */
    const hub_class *class;
    void *state;                 /* the class's own, or NULL */
    const device_driver *driver; /* NULL: not on a bus, or not seen yet */
    const pin *pin;              /* NULL: not configured */
    bool listed;
    struct json_object *last; /* payload of the last publication, or NULL */

    /* request_queue.h */
    request *requests;
    request **requests_end;
    unsigned n_changes; /* those of them that do more than read */
    bool pumping;

    settings settings;
    int64_t republish_at; /* actuators that publish periodically, HUB_NEVER */
};

/* A new device, added to its node unless its class is unlisted. The caller completes it. */
hub_device *device_add(hub_node *node, const char *topic, const hub_class *class,
                       const device_driver *driver);
/* NULL where there is none, as with the next one. */
hub_device *device_find(hub_node *node, const char *topic);
/* `unit` 0: the bus's own queue. */
hub_device *device_of_unit(hub *hub, unsigned bus, uint32_t unit);
/* The interval between publications in seconds that holds where none was set. */
double device_default_interval(const hub_device *device);

/* The payload of -/-/config/ok. */
struct json_object *device_list(const hub_node *node);
/* Publishes the list if it has changed. */
void device_list_publish(hub_node *node);
/*
 * Publishes, and keeps the payload for openings. Takes over `payload`. `except`: the request of the
 * client that gets it as a reply instead, or 0.
 */
void device_publish(hub_device *device, struct json_object *payload, uint64_t except);
/* Publishes the same again when the interval is over. */
void device_republish(hub_device *device);
/* Begins the interval anew; without one (0) nothing is published again. */
void device_schedule(hub_device *device);
/* Sends a message to the device's bus: given away. */
void device_send(hub_device *device, message *message);

/*
 * What is shown is worth remembering, but a clock on a display must not wear out an SD card: it is
 * written within a minute, and at the end. Takes `shown` over.
 */
void device_remember_shown(hub_device *device, struct json_object *shown);
/* What an earlier hub has shown, or NULL; it belongs to the store. */
struct json_object *device_remembered_shown(const hub_device *device);

#endif
