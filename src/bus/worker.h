/*
 * A bus's worker: it owns the bus and every device on it, and runs on a thread of its own. It looks
 * for devices, keeps their schedule, and carries out what the owner asks for, one transfer at a
 * time.
 *
 * worker_run() does all that is due and says when it wants to be called again; it never waits (but
 * for a relay's pulse). The thread is a loop around it, and so is a test.
 */
#ifndef BUS_WORKER_H
#define BUS_WORKER_H

#include "environment.h"
#include "message.h"

/* What is configured about an address. The strings belong to the hub and outlive the worker. */
typedef struct worker_pin {
    uint8_t address;
    int channel;                 /* of a chip with several relays, or -1 */
    const device_driver *driver; /* NULL: the address is left alone */
    const char *const *options;  /* the driver's own, NULL-terminated */
} worker_pin;

typedef struct worker_config {
    unsigned index;     /* the bus's number in the hub, for messages */
    int label;          /* the 0 in i2c0-48 */
    const char *device; /* as i2c_bus_open() takes it: "/dev/i2c-1" */
    bool modules;       /* it carries BigClown's modules: see port.h */
    int64_t rescan;     /* microseconds between looks at absent addresses, 0: never */
    const worker_pin *pins;
    size_t n_pins;
    const bus_environment *environment;
    queue *outbox; /* to the owner */
} worker_config;

typedef struct worker worker;

worker *worker_create(const worker_config *config);
/* What it was created with, which stays as it is. Any thread. */
const worker_config *worker_configuration(const worker *worker);
/* Starts the thread. */
bool worker_start(worker *worker);
/* Ends the thread, if any, and closes the bus. `end_pulses`: relays that pulse go off first. */
void worker_stop(worker *worker, bool end_pulses);
void worker_free(worker *worker);
void worker_post(worker *worker, message *message);
/* How many messages it has not taken up yet. */
size_t worker_backlog(worker *worker);
/* Does what is due. Returns when it wants to be called again (HUB_NEVER: when a message comes). */
int64_t worker_run(worker *worker);

#endif
