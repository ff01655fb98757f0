/* What is found at an address. On the bus's thread. */
#include "look.h"

#include "unit_run.h"

#include <errno.h>
#include <string.h>

/* The devices of a chip that was identified: one, or one for each relay. */
static void create_units(worker *worker, site *site, const device_driver *driver)
{
    unsigned channels = driver->relay ? driver->relay->channels : 1;

    site->state = SITE_PRESENT;
    site->was_there = true;
    site->fresh = false;
    site->quick_looks = 0;
    for (size_t i = 0; i < worker->config.n_pins; i++) {
        const worker_pin *pin = &worker->config.pins[i];
        if (pin->address != site->address) {
            continue;
        }
        if (pin->channel >= 0 || channels <= 1) {
            unit_add(worker, site, driver, pin->channel, pin->options);
        }
        for (unsigned channel = 0; pin->channel < 0 && channels > 1 && channel < channels;
             channel++) {
            unit_add(worker, site, driver, (int)channel, pin->options);
        }
    }
    if (site_pin(worker, site->address)) {
        return;
    }
    if (channels <= 1) {
        unit_add(worker, site, driver, -1, NULL);
    }
    for (unsigned channel = 0; channels > 1 && channel < channels; channel++) {
        unit_add(worker, site, driver, (int)channel, NULL);
    }
}

void site_look(worker *worker, site *site)
{
    char why[192], first_why[192] = "";
    int error = -ENXIO;

    if (unit_by_address(worker, site->address)) {
        site_put_off(worker, site); /* the companion of a chip at another address */
        return;
    }
    for (size_t i = 0; i < site->n_drivers; i++) {
        why[0] = 0;
        error = site->drivers[i]->probe(worker->bus, site->address, why, sizeof(why));
        if (error >= 0) {
            worker_outcome(worker, 0);
            create_units(worker, site, site->drivers[i]);
            return;
        }
        if (error == -ENODEV && why[0]) {
            if (!first_why[0]) {
                memcpy(first_why, why, sizeof(why));
            }
            worker_outcome(worker, 0);
            continue;
        }
        worker_outcome(worker, error);
        if (error == -ENODEV || error == -EBUSY || error == -ETIMEDOUT) {
            break;
        }
    }
    if (error == -EBUSY && !site->held_logged) {
        site->held_logged = true;
        worker_log(worker, HUB_WARNING, CT_DEVICE_HELD,
                   "i2c%d-%02x is held by a kernel driver and left alone", worker->config.label,
                   site->address);
    }
    if (first_why[0] && !site->mismatch_logged) {
        site->mismatch_logged = true;
        worker_log(worker, HUB_INFO, CT_DEVICE_MISMATCH, "i2c%d-%02x: %s", worker->config.label,
                   site->address, first_why);
    }
    site_put_off(worker, site);
}
