/*
 * A worker's inside, and the two lowest of the files that make it up. All of it belongs to the
 * bus's thread; only the files of this folder include it.
 *
 * These files build on each other, each only on those before it:
 *
 *   report.c    what the thread says to the owner
 *   port.c      addresses at which a chip without registers may sit
 *   health.c    the bus itself: opened, gone, stuck
 *   site.c      addresses, and when they are looked at
 *   unit.c      a device: its requests, its failure and its return
 *   unit_sensor.c unit_relay.c unit_display.c    what is special about each kind of device
 *   unit_run.c  a device's life: identified, configured, at work
 *   look.c      what is found at an address
 *   raw.c       scans and raw transfers
 *   worker.c    which of all that is due next; the thread
 */
#ifndef BUS_WORKER_INTERNAL_H
#define BUS_WORKER_INTERNAL_H

#include "log.h"
#include "worker.h"

typedef struct unit unit;
typedef struct site site;

struct worker {
    worker_config config;
    queue inbox;
    pthread_t thread;
    bool threaded;
    bool stopping;
    bool end_pulses;

    i2c_bus *bus;
    int64_t reopen_at;
    char open_why[256]; /* what was last logged about opening it */
    bool opened_once;   /* it was tried, and the owner told so */

    site *sites;
    size_t n_sites;
    size_t n_asked;    /* of them: where drivers are tried; they come first */
    size_t first_look; /* sites before this one have been looked at since the bus was opened */
    bool looked;       /* the owner knows that the first look is finished */

    unit *units;
    uint32_t last_unit;

    unsigned timeouts; /* transfers in a row that timed out */
    int64_t quiet_until;
    int64_t quiet_for;

    double air_pressure; /* kPa, for devices to come */

    message *raw; /* scan and transfer requests, in order */
    message **raw_end;
};

/* report.c */
int64_t worker_now(const worker *worker);
void worker_send(worker *worker, message *message);
void worker_log(worker *worker, hub_level level, log_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* health.c */
/* Opens the bus if it is time to. False: it is not open. */
bool worker_open_bus(worker *worker);
/* Looks at the outcome of a transfer (0 or a negative errno): a time-out, a bus that is gone. */
int worker_outcome(worker *worker, int result);
/* The bus is stuck and is left alone for a while: an operation fails without being tried. */
bool worker_is_quiet(const worker *worker);

#endif
