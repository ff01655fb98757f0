/* The chips, the bus that is watched between them and the hub, and faults in its transfers. */
#include "walk.h"

#include "sim/sim_bus.h"
#include "sim/sim_memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_PULSE 100000 /* of a coil, microseconds */

const board boards[BOARDS] = {
    {"relay-module", 0x3b, true}, {"relay-module", 0x3f, true}, {"pcf8574", 0x20, false},
    {"mcp23017", 0x21, false},    {"pca9554", 0x22, false},
};

const house_relay relays[RELAYS] = {
    {"relay/i2c0-3b", "tca9534a", 0, 0, false},  {"relay/i2c0-3f", "tca9534a", 1, 0, false},
    {"relay/i2c0-20-0", "pcf8574", 2, 0, true},  {"relay/i2c0-20-1", "pcf8574", 2, 1, true},
    {"relay/i2c0-20-5", "pcf8574", 2, 5, true},  {"relay/i2c0-21-0", "mcp23017", 3, 0, true},
    {"relay/i2c0-21-3", "mcp23017", 3, 3, true}, {"relay/i2c0-21-9", "mcp23017", 3, 9, false},
    {"relay/i2c0-22-2", "pca9554", 4, 2, true},  {"relay/i2c0-22-7", "pca9554", 4, 7, false},
};

static i2c_bus *chips; /* the simulated bus */
static sim_clock clock_of_chips;

/* ---- the bus that is watched ---- */

typedef struct watched_bus {
    i2c_bus bus;
} watched_bus;

static bool is_planned(uint8_t address, plan_kind first, plan_kind last)
{
    return w->plan.kind >= first && w->plan.kind <= last &&
           (!w->plan.address || w->plan.address == address);
}

/* Whether the plan's time has come with this transfer; its end, if it was the last. */
static bool strikes(void)
{
    if (w->plan.skip > 0) {
        w->plan.skip--;
        return false;
    }
    if (w->plan.count > 0 && --w->plan.count == 0) {
        w->plan.kind = PLAN_NONE;
    }
    return true;
}

static void die(const char *when)
{
    walk_note("kill -9, %s a transfer", when);
    w->kills++;
    kill(getpid(), SIGKILL);
    pause();
}

static unsigned board_at(uint8_t address)
{
    unsigned i = 0;

    while (i < BOARDS && boards[i].address != address) {
        i++;
    }
    return i;
}

static void flip(uint8_t *data, size_t length, uint8_t bits)
{
    for (size_t i = 0; i < length; i++) {
        data[i] ^= bits;
    }
}

static int exchange(uint8_t address, const uint8_t *write, size_t write_length, uint8_t *read,
                    size_t read_length)
{
    const int result = i2c_transfer(chips, address, write, write_length, read, read_length);

    model_look();
    return result;
}

/* What a plan makes of a transfer that it strikes. */
static int struck(plan plan, uint8_t address, const uint8_t *write, size_t write_length,
                  uint8_t *read, size_t read_length)
{
    int result;

    model_disturbed(address);
    if (plan.kind == PLAN_KILL_BEFORE) {
        die("before");
    }
    if (plan.kind == PLAN_UNPLUG && board_at(address) < BOARDS) {
        world_unplug(board_at(address));
    }
    if (plan.kind == PLAN_REFUSE) {
        walk_note("%02x: a transfer fails", address);
        return plan.error;
    }
    result = exchange(address, write, write_length, read, read_length);
    if (plan.kind == PLAN_KILL_AFTER) {
        die("after");
    }
    if (plan.kind == PLAN_GARBLE && result >= 0) {
        walk_note("%02x: read %02x, garbled by %02x", address, read[0], plan.flip);
        flip(read, read_length, plan.flip);
    }
    if (plan.kind == PLAN_LOSE_REPLY) {
        walk_note("%02x: a transfer is reported as failed", address);
        return plan.error;
    }
    return result;
}

static int watched_transfer(i2c_bus *bus, uint8_t address, const uint8_t *write,
                            size_t write_length, uint8_t *read, size_t read_length)
{
    const plan plan = w->plan;

    (void)bus;
    if (is_planned(address, PLAN_REFUSE, PLAN_UNPLUG) &&
        (plan.kind != PLAN_GARBLE || read_length > 0) && strikes()) {
        return struck(plan, address, write, write_length, read, read_length);
    }
    return exchange(address, write, write_length, read, read_length);
}

static int watched_read(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *data, size_t length)
{
    return watched_transfer(bus, address, &reg, 1, data, length);
}

static int watched_write(i2c_bus *bus, uint8_t address, uint8_t reg, const uint8_t *data,
                         size_t length)
{
    uint8_t message[1 + I2C_MAX_REGISTER_BLOCK] = {reg};

    memcpy(message + 1, data, length);
    return watched_transfer(bus, address, message, 1 + length, NULL, 0);
}

static int64_t watched_now(i2c_bus *bus)
{
    (void)bus;
    return w->time;
}

static void watched_sleep(i2c_bus *bus, int64_t microseconds)
{
    (void)bus;
    w->time += microseconds > 0 ? microseconds : 0;
}

static void watched_close(i2c_bus *bus)
{
    free(bus);
}

static const i2c_bus_ops watched_ops = {
    .name = "watched",
    .read_register = watched_read,
    .write_register = watched_write,
    .transfer = watched_transfer,
    .now = watched_now,
    .sleep = watched_sleep,
    .close = watched_close,
};

i2c_bus *world_bus(void)
{
    watched_bus *bus = calloc(1, sizeof *bus);

    if (!bus) {
        abort();
    }
    bus->bus.ops = &watched_ops;
    return &bus->bus;
}

/* ---- the chips ---- */

void world_open(void)
{
    char path[96], why[256];

    clock_of_chips = sim_fake_clock(&w->time);
    chips = sim_bus_create(&clock_of_chips);
    snprintf(path, sizeof path, "%s/chips", w->dir);
    if (!chips || sim_memory_open((sim_bus *)chips, path, why, sizeof why) < 0) {
        model_finding("the simulated bus cannot be opened");
    }
    for (unsigned i = 0; i < BOARDS; i++) {
        if (!sim_add(chips, boards[i].chip, boards[i].address)) {
            model_finding("no chip %s", boards[i].chip);
        }
    }
}

void world_close(void)
{
    i2c_bus_close(chips);
    chips = NULL;
}

int world_contact(unsigned relay)
{
    const house_relay *r = &relays[relay];
    sim_relay_record module;
    sim_port_record port;

    if (boards[r->board].bistable) {
        return sim_relay_read(chips, boards[r->board].address, &module) ? module.contact : -1;
    }
    if (w->unplugged[r->board] || !sim_port_read(chips, boards[r->board].address, &port)) {
        return 0;
    }
    if (!r->active_low) { /* such boards have resistors that hold a pin low that nothing drives */
        return port.driven >> r->pin & port.levels >> r->pin & 1;
    }
    return !(port.levels >> r->pin & 1);
}

void world_unplug(unsigned board)
{
    if (w->unplugged[board]) {
        return;
    }
    walk_note("%02x loses its power", boards[board].address);
    sim_unplug(chips, boards[board].address);
    w->unplugged[board] = true;
    model_power(board);
}

void world_plug(unsigned board)
{
    if (!w->unplugged[board]) {
        return;
    }
    walk_note("%02x has power again", boards[board].address);
    sim_plug(chips, boards[board].address);
    w->unplugged[board] = false;
    model_power(board);
}

/* Pins that a channel was declared for. */
static uint16_t declared_pins(unsigned board)
{
    uint16_t pins = 0;

    for (unsigned i = 0; i < RELAYS; i++) {
        if (relays[i].board == board) {
            pins |= (uint16_t)(1u << relays[i].pin);
        }
    }
    return pins;
}

static void check_module(uint8_t address)
{
    sim_relay_record record;

    if (!sim_relay_read(chips, address, &record)) {
        return;
    }
    if (record.longest_pulse > LONGEST_PULSE) {
        model_finding("the coil of %02x was on for %lld ms", address,
                      (long long)(record.longest_pulse / 1000));
    }
    if (record.shorts || record.unsafe_starts) {
        model_finding("%02x: %u short circuits, %u unsafe starts", address, record.shorts,
                      record.unsafe_starts);
    }
}

/* A PCF8574 has no directions: a pin that is not ours is one that stays high. */
static void check_port(unsigned board)
{
    const uint16_t others = (uint16_t)~declared_pins(board);
    sim_port_record record;

    if (w->unplugged[board] || !sim_port_read(chips, boards[board].address, &record)) {
        return;
    }
    if (strcmp(boards[board].chip, "pcf8574") == 0 ? (~record.levels & others & 0xff) != 0
                                                   : (record.driven & others) != 0) {
        model_finding("%02x: pins that no channel is declared for are driven: levels %04x, driven "
                      "%04x",
                      boards[board].address, record.levels, record.driven);
    }
}

void world_check(void)
{
    for (unsigned i = 0; i < BOARDS; i++) {
        if (boards[i].bistable) {
            check_module(boards[i].address);
        } else {
            check_port(i);
        }
    }
}
