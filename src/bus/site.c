/* Addresses: which there are, which drivers are tried there, and when. On the bus's thread. */
#include "site.h"

#include "port.h"

#include "base/memory.h"

#include <stdlib.h>

/*
 * After a device was lost its address is looked at every few seconds for a minute, since most come
 * back soon (a plug, a brown-out); later at the ordinary distance, or where that is "never" at
 * LATE_LOOK.
 */
#define QUICK_LOOK  INT64_C(3000000)
#define QUICK_LOOKS 20
#define LATE_LOOK   INT64_C(30000000)

/*
 * A chip that got its power together with the bus may need some time: each address is looked at
 * twice at the start.
 */
#define SECOND_LOOK INT64_C(1000000)

static site *add_site(worker *worker, uint8_t address)
{
    site *grown;

    for (size_t i = 0; i < worker->n_sites; i++) {
        if (worker->sites[i].address == address) {
            return &worker->sites[i];
        }
    }
    grown = realloc(worker->sites, (worker->n_sites + 1) * sizeof(*grown));
    if (!grown) {
        base_out_of_memory();
    }
    worker->sites = grown;
    grown += worker->n_sites++;
    *grown = (site){.address = address, .look_at = HUB_NEVER};
    return grown;
}

static void add_driver(site *site, const device_driver *driver)
{
    for (size_t i = 0; i < site->n_drivers; i++) {
        if (site->drivers[i] == driver) {
            return;
        }
    }
    if (site->n_drivers < SITE_MAX_DRIVERS) {
        site->drivers[site->n_drivers++] = driver;
    }
}

const worker_pin *site_pin(const worker *worker, uint8_t address)
{
    for (size_t i = 0; i < worker->config.n_pins; i++) {
        if (worker->config.pins[i].address == address) {
            return &worker->config.pins[i];
        }
    }
    return NULL;
}

static bool may_be_relay(const site *site)
{
    for (size_t i = 0; i < site->n_drivers; i++) {
        if (site->drivers[i]->relay) {
            return true;
        }
    }
    return false;
}

/*
 * Relays come first: a coil that was left energised must be switched off before anything else. What
 * is only watched comes last.
 */
static int by_urgency(const void *left, const void *right)
{
    const site *a = left, *b = right;

    if (!a->n_drivers != !b->n_drivers) {
        return a->n_drivers ? -1 : 1;
    }
    if (may_be_relay(a) != may_be_relay(b)) {
        return may_be_relay(a) ? -1 : 1;
    }
    return (int)a->address - (int)b->address;
}

void sites_create(worker *worker)
{
    for (const device_driver *const *driver = device_drivers; *driver; driver++) {
        for (const uint8_t *address = (*driver)->addresses; address && *address; address++) {
            if (!site_pin(worker, *address) && !port_is_unasked(&worker->config, *address)) {
                add_driver(add_site(worker, *address), *driver);
            }
        }
    }
    for (size_t i = 0; i < worker->config.n_pins; i++) {
        if (worker->config.pins[i].driver) {
            add_driver(add_site(worker, worker->config.pins[i].address),
                       worker->config.pins[i].driver);
        }
    }
    worker->n_asked = worker->n_sites;
    for (uint8_t address = I2C_FIRST_ADDRESS; address <= I2C_LAST_ADDRESS; address++) {
        if (port_is_unasked(&worker->config, address)) {
            add_site(worker, address);
        }
    }
    if (worker->n_sites) {
        qsort(worker->sites, worker->n_sites, sizeof(*worker->sites), by_urgency);
    }
}

void sites_reset(worker *worker)
{
    worker->first_look = 0;
    for (size_t i = 0; i < worker->n_sites; i++) {
        worker->sites[i].state = SITE_ABSENT;
        worker->sites[i].trying = worker->sites[i].step = 0;
        worker->sites[i].fresh = true;
        /* The first look is for those where drivers are tried. */
        worker->sites[i].look_at =
            i < worker->n_asked ? HUB_NEVER : worker_now(worker) + SECOND_LOOK;
    }
}

site *sites_next(worker *worker, site_state state, int64_t *due)
{
    site *next = NULL;

    *due = HUB_NEVER;
    for (size_t i = 0; i < worker->n_sites; i++) {
        if (worker->sites[i].state == state && worker->sites[i].look_at < *due) {
            next = &worker->sites[i];
            *due = next->look_at;
        }
    }
    return next;
}

bool site_is_probed(const worker *worker, uint8_t address)
{
    for (size_t i = 0; i < worker->n_sites; i++) {
        if (worker->sites[i].address == address) {
            return worker->sites[i].state == SITE_PROBING;
        }
    }
    return false;
}

bool site_is_undecided(const site *site)
{
    return site->state == SITE_PROBING || site->trying > 0;
}

bool sites_are_undecided(const worker *worker)
{
    for (size_t i = 0; i < worker->n_sites; i++) {
        if (site_is_undecided(&worker->sites[i])) {
            return true;
        }
    }
    return false;
}

void site_put_off(worker *worker, site *site)
{
    int64_t after = worker->config.rescan;

    site->state = SITE_ABSENT;
    site->trying = site->step = 0;
    if (site->fresh) {
        site->fresh = false;
        after = SECOND_LOOK;
    } else if (site->quick_looks > 0) {
        site->quick_looks--;
        after = QUICK_LOOK;
    } else if (after == 0 && site->was_there) {
        after = LATE_LOOK;
    }
    site->look_at = after ? worker_now(worker) + after : HUB_NEVER;
}

void site_note_power(worker *worker, site *site)
{
    message *seen;

    site->lost = true;
    if (site->noting || !may_be_relay(site)) {
        return;
    }
    site->noting = true;
    seen = message_new(MESSAGE_POWER_SEEN, 0);
    seen->address = site->address;
    worker_send(worker, seen);
}

void site_power_noted(worker *worker, uint8_t address)
{
    for (size_t i = 0; i < worker->n_sites; i++) {
        if (worker->sites[i].address == address) {
            worker->sites[i].noting = false;
        }
    }
}

bool site_waits_for_relays(const worker *worker, const site *site)
{
    bool noting = false;

    for (size_t i = 0; i < worker->n_sites && !noting; i++) {
        noting = worker->sites[i].noting;
    }
    return noting && !may_be_relay(site);
}

void site_left(worker *worker, site *site)
{
    site->quick_looks = QUICK_LOOKS;
    site_put_off(worker, site);
}

void *site_chip(site *site, const device_driver *driver)
{
    if (site->chip_driver != driver) {
        free(site->chip);
        site->chip = NULL;
    }
    if (!site->chip && !(site->chip = calloc(1, driver->chip_size ? driver->chip_size : 1))) {
        base_out_of_memory();
    }
    site->chip_driver = driver;
    return site->chip;
}

void sites_free(worker *worker)
{
    for (size_t i = 0; i < worker->n_sites; i++) {
        free(worker->sites[i].chip);
    }
    free(worker->sites);
}
