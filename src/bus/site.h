/*
 * The addresses of a bus where devices are looked for, which drivers are tried there, and when.
 * Bus's thread only.
 */
#ifndef BUS_SITE_H
#define BUS_SITE_H

#include "worker_internal.h"

/*
 * An address where devices are looked for, or one that is only watched (port.h): there no driver is
 * tried, and what answers is reported.
 */
typedef enum site_state {
    SITE_ABSENT,  /* no chip there, or none that we know */
    SITE_PROBING, /* a driver's probe is under way */
    SITE_PRESENT, /* a driver owns it */
} site_state;

#define SITE_MAX_DRIVERS 8

struct site {
    uint8_t address;
    site_state state;
    const device_driver *drivers[SITE_MAX_DRIVERS]; /* in the order in which they are tried */
    size_t n_drivers;                               /* 0: it is watched */
    size_t trying;                                  /* which of them is next */
    unsigned step;                                  /* SITE_PROBING: of its probe */
    char mismatch[192]; /* what the first of them said that found a different chip, or "" */
    bool mismatch_logged;
    bool held_logged;
    bool unstarted_logged;
    bool reported;        /* what answers at a watched address was logged, and has not gone since */
    int64_t look_at;      /* when to look next, or for the probe's next step; HUB_NEVER */
    bool fresh;           /* not looked at since the bus was opened */
    unsigned quick_looks; /* how many more at the shorter distance, after a device was lost */
    bool was_there;
    /* What the devices of the chip share (device->chip), of this driver; NULL: none was there. */
    void *chip;
    const device_driver *chip_driver;
    bool incomplete;  /* some devices of the chip have left, while others stayed */
    power_sign power; /* of the chip, when its devices left before the owner was told */
    bool lost;        /* the chip has lost its power, which is known, and was not recovered since */
    bool noting;      /* that is being noted; until then nothing is done to it */
};

void sites_create(worker *worker);
/* The bus was opened (again): everything is looked at from the beginning. */
void sites_reset(worker *worker);
/* The site in this state that wants to be looked at first, or NULL; `due`: when, or HUB_NEVER. */
site *sites_next(worker *worker, site_state state, int64_t *due);
/* Whether a probe is under way at an address. */
bool site_is_probed(const worker *worker, uint8_t address);
/*
 * Whether a look has begun and is not over: a probe is under way, or more drivers are to be tried.
 */
bool site_is_undecided(const site *site);
bool sites_are_undecided(const worker *worker);
/* The look is over, and no driver knows a chip there: sets when to look next. */
void site_put_off(worker *worker, site *site);
/* A chip shows that it has lost its power: if it has relays, the owner is to note it. */
void site_note_power(worker *worker, site *site);
/* It is noted. */
void site_power_noted(worker *worker, uint8_t address);
/*
 * Whether the first look at an address is put off: a relay whose loss of power is being noted comes
 * before all that is none, which may be slow.
 */
bool site_waits_for_relays(const worker *worker, const site *site);
/* A device left: soon looked for again. */
void site_left(worker *worker, site *site);
/* What the devices of a driver's chip share. It is kept when they leave. */
void *site_chip(site *site, const device_driver *driver);
void sites_free(worker *worker);
/* What is configured about an address, or NULL. */
const worker_pin *site_pin(const worker *worker, uint8_t address);

#endif
