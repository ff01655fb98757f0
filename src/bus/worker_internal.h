/*
 * A worker's inside: all of it belongs to the bus's thread. Only the files of this folder include
 * it.
 */
#ifndef BUS_WORKER_INTERNAL_H
#define BUS_WORKER_INTERNAL_H

#include "log.h"
#include "worker.h"

typedef struct unit unit;
typedef struct site site;

/* A device that is there. */
typedef enum unit_phase {
    UNIT_IDENTIFY, /* it failed and is identified again */
    UNIT_START,    /* being configured */
    UNIT_CLEAR,    /* a display is being switched on */
    UNIT_IDLE,     /* waits for its time or for a request */
    UNIT_MEASURE,  /* a conversion is under way */
    UNIT_DRAW,     /* a display's pages are being written */
} unit_phase;

struct unit {
    unit *next;
    uint32_t id;
    site *site;
    device device;
    char name[64]; /* its topic, for the log */
    unit_phase phase;
    unsigned step;
    int64_t due;     /* when the next step is, outside UNIT_IDLE */
    bool announced;  /* the owner knows it */
    int64_t checked; /* when it last answered */
    /* failures in a row */
    unsigned failures;
    int64_t failed_since;
    bool given_up; /* the owner was told */
    /* sensors */
    int64_t interval;                     /* microseconds, 0: none */
    double values[DEVICE_MAX_QUANTITIES]; /* of the measurement under way */
    int64_t slot;                         /* when the next periodic measurement is due, HUB_NEVER */
    /* relays */
    int64_t clicked;   /* when the last click began */
    int64_t pulse_end; /* when it switches off by itself, HUB_NEVER */
    bool state_known;
    bool state;
    /* displays: what the chip shows, and which pages of it are certain */
    uint8_t *shown;
    uint64_t certain;
    /* requests, in order */
    message *requests;
    message **requests_end;
};

/* An address where devices are looked for. */
typedef enum site_state {
    SITE_ABSENT,  /* nobody there, or nobody we know */
    SITE_PRESENT, /* a driver owns it */
} site_state;

#define SITE_MAX_DRIVERS 8

struct site {
    uint8_t address;
    site_state state;
    const device_driver *drivers[SITE_MAX_DRIVERS]; /* in the order in which they are tried */
    size_t n_drivers;
    bool mismatch_logged;
    bool held_logged;
    bool unstarted_logged;
    int64_t look_at;      /* when to look next, HUB_NEVER */
    bool fresh;           /* not looked at since the bus was opened */
    unsigned quick_looks; /* how many more at the shorter distance, after a device was lost */
    bool was_there;
};

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

int64_t worker_now(const worker *worker);
void worker_send(worker *worker, message *message);
void worker_log(worker *worker, hub_level level, log_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Looks at what came of a transfer (0 or a negative errno): a time-out, a bus that is gone. */
int worker_outcome(worker *worker, int result);
/* The bus is stuck and is left in peace for a while: an operation fails without being tried. */
bool worker_is_quiet(const worker *worker);

/* look.c: sites */
void sites_create(worker *worker);
/* The bus was opened (again): everything is looked at from the beginning. */
void sites_reset(worker *worker);
/* The site that wants to be looked at first, or NULL; `due`: when. */
site *sites_next(worker *worker, int64_t *due);
void site_look(worker *worker, site *site);
/* A device left: soon looked for again. */
void site_left(worker *worker, site *site);

/* unit.c: devices */
unit *unit_create(worker *worker, site *site, const device_driver *driver, int channel,
                  const char *const *options);
void unit_free(worker *worker, unit *unit);
unit *unit_by_id(worker *worker, uint32_t id);
/* The device that owns an address, as its own or as a companion of its chip; or NULL. */
unit *unit_by_address(worker *worker, uint8_t address);
void unit_take(worker *worker, unit *unit, message *message);
/* Gives back its requests. */
void unit_cancel(worker *worker, unit *unit);
int64_t unit_due(const worker *worker, const unit *unit);
void unit_run(worker *worker, unit *unit);
/* The bus itself is gone. */
void units_lose(worker *worker);

/* raw.c: scan and raw transfers */
int64_t raw_due(const worker *worker);
void raw_run(worker *worker);

#endif
