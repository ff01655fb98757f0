/* What is found at an address. On the bus's thread. */
#include "look.h"

#include "port.h"
#include "unit_run.h"

#include "base/append.h"

#include <errno.h>
#include <string.h>

/* A device of the chip, if it is not there already. */
static void create_unit(worker *worker, site *site, const device_driver *driver, int channel,
                        const char *const *options)
{
    for (const unit *unit = worker->units; unit; unit = unit->next) {
        if (unit->site == site && unit->device.channel == channel) {
            return;
        }
    }
    unit_create(worker, site, driver, channel, options);
}

/* Its devices: one, or one for each relay. */
static void create_units(worker *worker, site *site, const device_driver *driver)
{
    unsigned channels = driver->relay ? driver->relay->channels : 1;

    for (size_t i = 0; i < worker->config.n_pins; i++) {
        const worker_pin *pin = &worker->config.pins[i];
        if (pin->address != site->address) {
            continue;
        }
        if (pin->channel >= 0 || channels <= 1) {
            create_unit(worker, site, driver, pin->channel, pin->options);
        }
        for (unsigned channel = 0; pin->channel < 0 && channels > 1 && channel < channels;
             channel++) {
            create_unit(worker, site, driver, (int)channel, pin->options);
        }
    }
    if (site_pin(worker, site->address)) {
        return;
    }
    if (channels <= 1) {
        create_unit(worker, site, driver, -1, NULL);
    }
    for (unsigned channel = 0; channels > 1 && channel < channels; channel++) {
        create_unit(worker, site, driver, (int)channel, NULL);
    }
}

/*
 * A chip was identified, or some of its devices have left while others stayed. All its devices
 * exist before the first of them works on it.
 */
static void take(worker *worker, site *site, const device_driver *driver)
{
    bool returned = site->was_there;

    site->state = SITE_PRESENT;
    site->was_there = true;
    site->fresh = false;
    site->quick_looks = 0;
    site->incomplete = false;
    create_units(worker, site, driver);
    units_begin(worker, site, returned);
}

static void log_refusal(worker *worker, site *site, int error)
{
    if (error == -EBUSY && !site->held_logged) {
        site->held_logged = true;
        worker_log(worker, HUB_WARNING, CT_DEVICE_HELD,
                   "i2c%d-%02x is held by a kernel driver and left alone", worker->config.label,
                   site->address);
    }
    if (site->mismatch[0] && !site->mismatch_logged) {
        site->mismatch_logged = true;
        worker_log(worker, HUB_INFO, CT_DEVICE_MISMATCH, "i2c%d-%02x: %s", worker->config.label,
                   site->address, site->mismatch);
    }
}

/*
 * The next step of a driver's probe. 0: it is this chip; more: microseconds until the next step;
 * -EAGAIN: the next driver may try; else why no driver may.
 */
static device_step probe(worker *worker, site *site, const device_driver *driver)
{
    char why[sizeof(site->mismatch)] = "";
    device_step result = driver->probe(worker->bus, site->address, site->step, why, sizeof(why));

    if (result == -ENODEV && why[0]) {
        worker_outcome(worker, 0);
        if (!site->mismatch[0]) {
            memcpy(site->mismatch, why, sizeof(why));
        }
        return -EAGAIN;
    }
    worker_outcome(worker, result < 0 ? (int)result : 0);
    if (result >= 0 || result == -ENODEV || result == -EBUSY || result == -ETIMEDOUT) {
        return result;
    }
    return -EAGAIN;
}

static void report(worker *worker, const site *site)
{
    port_line lines[PORT_MAX_LINES];
    char advice[400] = "";
    size_t n = port_advise(&worker->config, site->address, lines);

    for (size_t i = 0; i < n; i++) {
        base_append_item(advice, sizeof(advice), lines[i].text);
    }
    worker_log(
        worker, HUB_WARNING, CT_PORT_UNASKED,
        "i2c%d-%02x: a chip answers, and is not asked what it is: for a PCF8574 the question "
        "would be a value for its pins. It is used, or left alone, with one of: %s",
        worker->config.label, site->address, advice);
}

/* A plain read, which harms no chip, says whether one is there. */
static void watch(worker *worker, site *site)
{
    int error = worker_outcome(worker, i2c_probe(worker->bus, site->address));

    if (error == 0 && !site->reported) {
        report(worker, site);
        site->reported = true;
    } else if (error == -ENXIO) {
        site->reported = false;
    }
    site_put_off(worker, site);
}

void site_look(worker *worker, site *site)
{
    const unit *unit = unit_by_address(worker, site->address);
    const device_driver *driver;
    device_step result;

    if (unit && unit->site == site) {
        take(worker, site, unit->device.driver);
        return;
    }
    if (unit) {
        site_put_off(worker, site); /* the companion of a chip at another address */
        return;
    }
    if (!site->n_drivers) {
        watch(worker, site);
        return;
    }
    driver = site->drivers[site->trying];
    if (site->trying == 0 && site->step == 0) {
        site->mismatch[0] = 0;
    }
    result = probe(worker, site, driver);
    if (result > 0) {
        site->state = SITE_PROBING;
        site->step++;
        site->look_at = worker_now(worker) + result;
    } else if (result == 0) {
        site->trying = site->step = 0;
        take(worker, site, driver);
    } else if (result == -EAGAIN && site->trying + 1 < site->n_drivers) {
        site->state = SITE_ABSENT;
        site->trying++;
        site->step = 0;
    } else {
        log_refusal(worker, site, (int)result);
        site_put_off(worker, site);
    }
}
