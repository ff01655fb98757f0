/*
 * For the tests of drivers: a simulated bus with one chip on a clock that only sleeps move, a bus
 * that injects faults in front of it, and a device as the hub would make it.
 */
#ifndef T_UNIT_DRIVER_H
#define T_UNIT_DRIVER_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/conversions.h"
#include "devices/device.h"
#include "i2c/fault.h"
#include "sim/sim.h"

#include <errno.h>

#define MAX_STEPS 200 /* that an operation may take */

/* Sets every value of a measurement, however many a device may have. */
static inline void fill_values(double values[DEVICE_MAX_QUANTITIES], double value)
{
    for (size_t i = 0; i < DEVICE_MAX_QUANTITIES; i++) {
        values[i] = value;
    }
}

typedef struct bench {
    _Atomic int64_t time; /* microseconds */
    sim_clock clock;
    i2c_bus *sim; /* owned by bus */
    i2c_bus *bus; /* what the device sees: faults in front of sim */
    device device;
} bench;

static inline bench *bench_open(const char *driver, const char *chip, uint8_t address)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->time = 1000000000;
    b->clock = sim_fake_clock(&b->time);
    assert_non_null(b->sim = sim_bus_create(&b->clock));
    assert_non_null(b->bus = fault_bus_create(b->sim));
    if (chip) {
        assert_true(sim_add(b->sim, chip, address));
    }
    b->device.driver = device_driver_by_name(driver);
    assert_non_null(b->device.driver);
    b->device.bus = b->bus;
    b->device.address = address;
    b->device.channel = -1;
    b->device.air_pressure = NAN;
    assert_true(b->device.driver->state_size <= DEVICE_MAX_STATE);
    assert_non_null(b->device.state = calloc(1, DEVICE_MAX_STATE));
    assert_true(b->device.driver->chip_size <= DEVICE_MAX_CHIP);
    assert_non_null(b->device.chip = calloc(1, DEVICE_MAX_CHIP));
    return b;
}

static inline void bench_close(bench *b)
{
    i2c_bus_close(b->bus);
    free(b->device.state);
    free(b->device.chip);
    free(b);
}

static inline void bench_wait(bench *b, int64_t microseconds)
{
    b->time += microseconds;
}

/* Calls an operation step by step, as the hub does, until it has ended. */
static inline int bench_probe(bench *b, char *why, size_t why_size)
{
    device_step result = 1;
    why[0] = '\0';
    for (unsigned step = 0; step < MAX_STEPS && result > 0; step++) {
        result = b->device.driver->probe(b->bus, b->device.address, step, why, why_size);
        bench_wait(b, result > 0 ? result : 0);
    }
    assert_true(result <= 0);
    return (int)result;
}

static inline int64_t bench_start(bench *b)
{
    for (unsigned step = 0; step < MAX_STEPS; step++) {
        device_step result = b->device.driver->start(&b->device, step);
        if (result <= 0) {
            return result;
        }
        bench_wait(b, result);
    }
    fail_msg("start took more than %d steps", MAX_STEPS);
    return -EIO;
}

static inline int64_t bench_measure(bench *b, double values[DEVICE_MAX_QUANTITIES])
{
    for (unsigned step = 0; step < MAX_STEPS; step++) {
        double fresh[DEVICE_MAX_QUANTITIES]; /* all are due on the last step */
        fill_values(fresh, NAN);
        device_step result = b->device.driver->sensor->measure(&b->device, step, fresh);
        if (result == 0) {
            memcpy(values, fresh, sizeof fresh);
        }
        if (result <= 0) {
            return result;
        }
        bench_wait(b, result);
    }
    fail_msg("a measurement took more than %d steps", MAX_STEPS);
    return -EIO;
}

/* Starts the device and measures once; NAN where either fails. */
static inline double bench_value(bench *b)
{
    double values[DEVICE_MAX_QUANTITIES];
    fill_values(values, NAN);
    assert_int_equal(bench_start(b), 0);
    return bench_measure(b, values) == 0 ? values[0] : NAN;
}

/* Published digits: the value as the publication prints it. */
static inline void assert_published(double value, int decimals, const char *expected)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f", decimals, value);
    assert_string_equal(text, expected);
}

static inline void inject(bench *b, fault_rule rule)
{
    assert_true(fault_bus_add(b->bus, &rule));
}

/* Whatever single transfer of a measurement fails, the measurement does, and gives no value. */
static inline void assert_every_transfer_counts(bench *b)
{
    double values[DEVICE_MAX_QUANTITIES];
    assert_int_equal(bench_start(b), 0);
    unsigned before = fault_bus_transfers(b->bus);
    assert_int_equal(bench_measure(b, values), 0);
    unsigned transfers = fault_bus_transfers(b->bus) - before;
    assert_true(transfers >= 2);
    for (unsigned i = 0; i < transfers; i++) {
        fill_values(values, -12345);
        inject(b, (fault_rule){FAULT_ERROR, .reg = -1, .skip = i, .count = 1, .error = -EIO});
        assert_int_equal(bench_measure(b, values), -EIO);
        assert_true(values[b->device.driver->sensor->n_quantities - 1] == -12345);
        assert_int_equal(bench_start(b), 0);
    }
}

/* The same for its start. */
static inline void assert_every_start_transfer_counts(bench *b)
{
    unsigned before = fault_bus_transfers(b->bus);
    assert_int_equal(bench_start(b), 0);
    unsigned transfers = fault_bus_transfers(b->bus) - before;
    for (unsigned i = 0; i < transfers; i++) {
        inject(b, (fault_rule){FAULT_ERROR, .reg = -1, .skip = i, .count = 1, .error = -EIO});
        assert_int_equal(bench_start(b), -EIO);
    }
    assert_int_equal(bench_start(b), 0);
}

/* A chip that lost power between two measurements is noticed at once. */
static inline void assert_power_loss_is_noticed(bench *b)
{
    double values[DEVICE_MAX_QUANTITIES];
    assert_int_equal(bench_start(b), 0);
    assert_int_equal(bench_measure(b, values), 0);
    sim_unplug(b->sim, b->device.address);
    sim_plug(b->sim, b->device.address);
    bench_wait(b, 1000000);
    assert_int_equal(b->device.driver->sensor->measure(&b->device, 0, values), -EIO);
}

/*
 * The chip is unplugged and plugged in again before any one step of a measurement: that fails, or
 * it gives the truth, but never anything else.
 */
static inline void assert_never_wrong(bench *b, double truth, double tolerance)
{
    const sensor_ops *sensor = b->device.driver->sensor;
    for (unsigned cut = 0; cut < 4; cut++) {
        assert_int_equal(bench_start(b), 0);
        device_step result = 1;
        double values[DEVICE_MAX_QUANTITIES];
        fill_values(values, NAN);
        for (unsigned step = 0; step < MAX_STEPS && result > 0; step++) {
            if (step == cut) {
                sim_unplug(b->sim, b->device.address);
                bench_wait(b, 1000000);
                sim_plug(b->sim, b->device.address);
                bench_wait(b, 500000);
            }
            result = sensor->measure(&b->device, step, values);
            if (result > 0) {
                bench_wait(b, result);
            }
        }
        if (result == 0) {
            assert_true(fabs(values[0] - truth) <= tolerance);
        }
    }
}

#endif
