/*
 * What a class of devices does: const tables in class_*.c, listed in classes.h. All other files
 * work through this table and know no class by its name.
 *
 * An operation may be NULL where it says so. All are called on the owner's thread.
 */
#ifndef HUB_CLASS_H
#define HUB_CLASS_H

#include "bus/message.h"
#include "talk/talk.h"

typedef struct hub_class hub_class;
typedef struct hub_device hub_device;
typedef struct request request;

struct hub_class {
    bool sensor;   /* in the list among "sensors", with quantities; otherwise "actuators" */
    bool unlisted; /* not a device of the node but a queue of requests: i2c/BUS */
    /* The forms of request that it takes beside `get` and `config`, as 1u << talk_form. */
    unsigned forms;

    /*
     * Makes the class's own device->state, once the configuration and the remembered settings of
     * the device are known, and frees it. NULL: it has none.
     */
    void (*create)(hub_device *device);
    void (*free)(hub_device *device);
    /*
     * Checks the payload of a `set`, `pulse/set` ... when it comes, and may prepare the request's
     * command: TALK_OK, or an error and why. NULL: there is nothing to check.
     */
    talk_error (*parse)(hub_device *device, request *request, char *why, size_t why_size);
    /* Begins a request when its turn has come: answers it at once, or sends its command. */
    void (*begin)(hub_device *device, request *request);
    /*
     * A request that was begun ends without its result: it took too long, or the device has left.
     * NULL: nothing is to be undone.
     */
    void (*abandoned)(hub_device *device, request *request);
    /* A result. `request` is NULL when none waits for it. NULL: it sends no commands. */
    void (*result)(hub_device *device, request *request, const message *result);
    /* SAMPLE, STATE, FAILED, RECOVERED. NULL: none of them comes. */
    void (*event)(hub_device *device, const message *event);
    /*
     * It has appeared (again): publishes what is known, and completes the answer to its bus. NULL:
     * it is not on a bus, as with the next one.
     */
    void (*found)(hub_device *device, const message *found, message *adopt);
    /*
     * What was measured last, before any offset, a value for each quantity; NAN: not known. NULL:
     * it measures nothing.
     */
    const double *(*measured)(const hub_device *device);
    /* It has left. NULL: nothing to do. */
    void (*lost)(hub_device *device);
    /*
     * Does what is due by the owner's clock, and when that is next (HUB_NEVER: nothing). NULL: it
     * has no timers of its own.
     */
    void (*tick)(hub_device *device);
    int64_t (*due)(const hub_device *device);
};

#endif
