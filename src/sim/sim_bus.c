/* The simulated bus itself: addressing, bytes, time, faults; opening and closing. */
#include "sim_bus.h"

#include "base/clock.h"

#include "sim_memory.h"
#include "sim_player.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- clocks ---- */

static int64_t monotonic_now(void *baton)
{
    (void)baton;
    return base_monotonic_us();
}

static void monotonic_sleep(void *baton, int64_t microseconds)
{
    (void)baton;
    if (microseconds <= 0) {
        return;
    }
    struct timespec t = {microseconds / 1000000, microseconds % 1000000 * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        ;
}

static const sim_clock monotonic_clock = {monotonic_now, monotonic_sleep, NULL};

/* ---- transfers ---- */

static uint8_t random_byte(sim_bus *bus)
{
    bus->random = bus->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint8_t)(bus->random >> 56);
}

/* A start (or repeated start) and the address byte. False: not acknowledged. */
static bool start(sim_chip *chip, uint8_t address, bool reading)
{
    chip->selected = address;
    chip->count = 0;
    return !chip->ops->start || chip->ops->start(chip, reading);
}

static int write_bytes(sim_chip *chip, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!chip->ops->write(chip, data[i])) {
            return -ENXIO;
        }
        chip->count++;
    }
    return 0;
}

static void read_bytes(sim_bus *bus, sim_chip *chip, uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        data[i] = chip->ops->read(chip);
        if (chip->faults[SIM_GARBAGE] > 0) {
            data[i] = random_byte(bus);
        }
        data[i] ^= chip->garble;
        chip->garble = 0;
        chip->count++;
    }
}

static int exchange(sim_bus *bus, sim_chip *chip, uint8_t address, const uint8_t *write,
                    size_t write_length, uint8_t *read, size_t read_length)
{
    int result = 0;
    if (write_length) {
        result = start(chip, address, false) ? write_bytes(chip, write, write_length) : -ENXIO;
    }
    if (result == 0 && read_length) {
        if (start(chip, address, true)) {
            read_bytes(bus, chip, read, read_length);
        } else {
            result = -ENXIO;
        }
    }
    if (chip->ops->stop) {
        chip->ops->stop(chip);
    }
    return result;
}

static bool is_stuck(const sim_bus *bus)
{
    for (unsigned i = 0; i < SIM_ADDRESSES; i++) {
        if (bus->chips[i] && bus->chips[i]->plugged && bus->chips[i]->faults[SIM_STUCK] > 0) {
            return true;
        }
    }
    return false;
}

/* Bits on the wire: 9 per byte, addresses among them, and the starts and the stop. */
static double bits_of(size_t write_length, size_t read_length)
{
    size_t bytes = write_length + read_length + (write_length > 0) + (read_length > 0);
    return (double)(bytes * 9 + 3);
}

/* Seconds that the transfer takes. */
static double duration(const sim_bus *bus, const sim_chip *chip, double bits)
{
    double slowness = chip && chip->plugged ? chip->faults[SIM_SLOW] : 0;
    return slowness + (bus->clock_frequency > 0 ? bits / bus->clock_frequency : 0);
}

static int sim_transfer(i2c_bus *base, uint8_t address, const uint8_t *write, size_t write_length,
                        uint8_t *read, size_t read_length)
{
    sim_bus *bus = (sim_bus *)base;
    sim_bus_enter(bus);
    sim_player_advance(bus);
    double seconds = duration(bus, bus->chips[address], bits_of(write_length, read_length));
    if (seconds > 0) { /* others may look at the bus meanwhile */
        sim_bus_leave(bus);
        bus->clock.sleep(bus->clock.baton, (int64_t)(seconds * 1e6));
        sim_bus_enter(bus);
    }
    sim_chip *chip = bus->chips[address];
    bus->transfers[address]++;
    bus->written[address] += write_length > 1 ? (unsigned)write_length - 1 : 0;
    int result = -ENXIO;
    if (is_stuck(bus)) {
        result = -ETIMEDOUT;
    } else if (chip && chip->plugged && !(chip->faults[SIM_NO_ACKNOWLEDGE] > 0)) {
        result = exchange(bus, chip, address, write, write_length, read, read_length);
    }
    sim_trace_transfer(bus, address, write, write_length, read, read_length, result);
    sim_bus_leave(bus);
    return result;
}

static int sim_read_register(i2c_bus *base, uint8_t address, uint8_t reg, uint8_t *data,
                             size_t length)
{
    return sim_transfer(base, address, &reg, 1, data, length);
}

static int sim_write_register(i2c_bus *base, uint8_t address, uint8_t reg, const uint8_t *data,
                              size_t length)
{
    uint8_t message[1 + I2C_MAX_REGISTER_BLOCK] = {reg};
    if (length) {
        memcpy(message + 1, data, length);
    }
    return sim_transfer(base, address, message, 1 + length, NULL, 0);
}

static int64_t sim_now(i2c_bus *base)
{
    sim_bus *bus = (sim_bus *)base;
    return bus->clock.now(bus->clock.baton);
}

static void sim_sleep(i2c_bus *base, int64_t microseconds)
{
    sim_bus *bus = (sim_bus *)base;
    bus->clock.sleep(bus->clock.baton, microseconds);
}

/* ---- life ---- */

/* In a file's memory the chips stay: the next owner finds them. */
static void sim_close(i2c_bus *base)
{
    sim_bus *bus = (sim_bus *)base;
    sim_bus_enter(bus);
    bool last = --bus->references == 0;
    sim_bus_leave(bus);
    if (!last) {
        return;
    }
    for (unsigned i = 0; i < SIM_ADDRESSES && !bus->memory; i++) {
        if (bus->chips[i]) {
            sim_bus_discard(bus, bus->chips[i]);
        }
    }
    sim_player_close(bus);
    sim_memory_close(bus);
    sim_trace_close(bus);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

static void sim_on_report(i2c_bus *base, void (*report)(void *baton, const char *text), void *baton)
{
    sim_bus *bus = (sim_bus *)base;
    sim_bus_enter(bus);
    bus->report = report;
    bus->report_baton = baton;
    sim_bus_leave(bus);
}

static const i2c_bus_ops sim_ops = {
    .name = "sim",
    .read_register = sim_read_register,
    .write_register = sim_write_register,
    .transfer = sim_transfer,
    .now = sim_now,
    .sleep = sim_sleep,
    .on_report = sim_on_report,
    .close = sim_close,
};

static void report_to_stderr(void *baton, const char *text)
{
    (void)baton;
    fprintf(stderr, "%s\n", text);
}

i2c_bus *sim_bus_create(const sim_clock *clock)
{
    sim_bus *bus = calloc(1, sizeof *bus);
    if (!bus) {
        return NULL;
    }
    bus->bus.ops = &sim_ops;
    bus->clock = clock ? *clock : monotonic_clock;
    pthread_mutex_init(&bus->lock, NULL);
    bus->references = 1;
    bus->epoch = bus->now = bus->clock.now(bus->clock.baton);
    bus->report = report_to_stderr;
    bus->memory_fd = bus->trace_fd = -1;
    return &bus->bus;
}

int sim_bus_open(i2c_bus **result, const char *file, const sim_clock *clock, char *why,
                 size_t why_size)
{
    i2c_bus *bus = sim_bus_create(clock);
    if (!bus) {
        snprintf(why, why_size, "out of memory");
        return -ENOMEM;
    }
    int error = 0;
    if (file) {
        error = sim_player_open((sim_bus *)bus, file, why, why_size);
    } else if (!sim_default_scenario(bus)) {
        snprintf(why, why_size, "out of memory");
        error = -ENOMEM;
    }
    if (error) {
        i2c_bus_close(bus);
        return error;
    }
    *result = bus;
    return 0;
}

void sim_bus_retain(i2c_bus *base)
{
    sim_bus *bus = (sim_bus *)base;
    sim_bus_enter(bus);
    bus->references++;
    sim_bus_leave(bus);
}

/* ---- the kind of bus ---- */

/* The FILE of "sim:FILE", or NULL. */
static const char *scenario_of(const char *device)
{
    return strncmp(device, "sim:", 4) == 0 && device[4] != '\0' ? device + 4 : NULL;
}

static bool recognises(const char *device)
{
    return strcmp(device, "sim") == 0 || scenario_of(device);
}

static int check(const char *device, char *why, size_t why_size)
{
    const char *file = scenario_of(device);
    return file ? sim_scenario_check(file, why, why_size) : 0;
}

static int open_kind(i2c_bus **bus, const char *device, char *why, size_t why_size)
{
    return sim_bus_open(bus, scenario_of(device), NULL, why, why_size);
}

const i2c_bus_kind sim_bus_kind = {
    .simulated = true,
    .forms = (const char *const[]){"sim", "sim:FILE (a scenario of simulated chips)", NULL},
    .recognises = recognises,
    .check = check,
    .open = open_kind,
};
