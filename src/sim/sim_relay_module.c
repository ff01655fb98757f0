/*
 * The BigClown Relay Module: a TCA9534A whose pins P4 to P7 drive a coil through two half bridges.
 * The relay is bistable: current one way through the coil closes the contact, current the other way
 * opens it, none leaves it.
 *
 *     P4 P5 (half bridge A), P6 P7 (B):  10 both transistors off    11 low    00 high
 *                                        01 both on, a short circuit
 */
#include "sim_chip.h"
#include "sim_tca9534a.h"

#include <string.h>

#define NEUTRAL      0x50
#define BRIDGES      0xf0
#define OPERATE_TIME 5000 /* µs that current must flow before the contact moves */

enum bridge { BRIDGE_HIGH = 0, BRIDGE_OFF = 1, BRIDGE_SHORT = 2, BRIDGE_LOW = 3 };
enum { DIRECTION_NONE = 0, DIRECTION_ON = 1, DIRECTION_OFF = -1 };

typedef struct sim_relay_module {
    sim_chip chip;
    sim_tca9534a expander;
    int direction;   /* of the current */
    int64_t started; /* when it began to flow last, 0: never */
    sim_relay_record record;
} sim_relay_module;

/* The current that flows with these pins; inputs are pulled to neutral by resistors. */
static int direction_of(const sim_tca9534a *expander, bool *shorted)
{
    uint8_t pins = (uint8_t)((expander->output & ~expander->config) | (NEUTRAL & expander->config));
    enum bridge a = pins >> 4 & 3, b = pins >> 6 & 3;
    *shorted = a == BRIDGE_SHORT || b == BRIDGE_SHORT;
    if (a == BRIDGE_LOW && b == BRIDGE_HIGH) {
        return DIRECTION_ON;
    }
    if (a == BRIDGE_HIGH && b == BRIDGE_LOW) {
        return DIRECTION_OFF;
    }
    return DIRECTION_NONE;
}

/* Counts the running pulse up to now, and lets the contact move when it has lasted. */
static void advance(sim_relay_module *relay)
{
    if (relay->direction == DIRECTION_NONE) {
        return;
    }
    int64_t length = sim_chip_now(&relay->chip) - relay->started;
    if (length > relay->record.longest_pulse) {
        relay->record.longest_pulse = length;
    }
    if (length >= OPERATE_TIME) {
        relay->record.contact = relay->direction == DIRECTION_ON;
    }
}

static void begin_pulse(sim_relay_module *relay, int direction)
{
    int64_t now = sim_chip_now(&relay->chip);
    int64_t gap = now - relay->started;
    if (relay->started && (!relay->record.shortest_gap || gap < relay->record.shortest_gap)) {
        relay->record.shortest_gap = gap;
    }
    relay->started = now;
    relay->direction = direction;
    sim_chip_trace(&relay->chip, "coil %s", direction == DIRECTION_ON ? "on" : "off");
}

static void end_pulse(sim_relay_module *relay)
{
    sim_relay_record *record = &relay->record;
    advance(relay);
    record->last_pulse = sim_chip_now(&relay->chip) - relay->started;
    if (!record->pulses || record->last_pulse < record->shortest_pulse) {
        record->shortest_pulse = record->last_pulse;
    }
    record->pulses++;
    relay->direction = DIRECTION_NONE;
    sim_chip_trace(&relay->chip, "coil released after %.6f s, contact %s",
                   (double)record->last_pulse / 1e6,
                   record->contact < 0 ? "unknown"
                   : record->contact   ? "on"
                                       : "off");
}

/* After the pins may have changed. */
static void update(sim_relay_module *relay)
{
    bool shorted;
    int direction = direction_of(&relay->expander, &shorted);
    if (shorted) {
        relay->record.shorts++;
        sim_chip_trace(&relay->chip, "half bridge short-circuited");
    }
    if (direction == relay->direction) {
        return;
    }
    if (relay->direction != DIRECTION_NONE) {
        end_pulse(relay);
    }
    if (direction != DIRECTION_NONE) {
        begin_pulse(relay, direction);
    }
}

static uint8_t get(sim_chip *chip, uint8_t reg)
{
    return sim_tca9534a_get(&((sim_relay_module *)chip)->expander, reg, NEUTRAL);
}

static void set(sim_chip *chip, uint8_t reg, uint8_t value)
{
    sim_relay_module *relay = (sim_relay_module *)chip;
    sim_tca9534a *expander = &relay->expander;
    uint8_t inputs = expander->config;
    sim_tca9534a_set(expander, reg, value);
    uint8_t new_outputs = inputs & ~expander->config & BRIDGES;
    if ((expander->output ^ NEUTRAL) & new_outputs) {
        relay->record.unsafe_starts++;
        sim_chip_trace(chip, "outputs on while not neutral: %02x", expander->output);
    }
    update(relay);
}

static void create(sim_chip *chip)
{
    ((sim_relay_module *)chip)->record.contact = -1;
}

static void power_up(sim_chip *chip)
{
    sim_tca9534a_power_up(&((sim_relay_module *)chip)->expander);
}

static void power_down(sim_chip *chip)
{
    sim_relay_module *relay = (sim_relay_module *)chip;
    if (relay->direction != DIRECTION_NONE) {
        end_pulse(relay);
    }
}

const sim_chip_ops sim_relay_module_ops = {
    .name = "relay-module",
    .addresses = (const uint8_t[]){0x3b, 0x3f, 0},
    .size = sizeof(sim_relay_module),
    .create = create,
    .power_up = power_up,
    .power_down = power_down,
    .write = sim_write8,
    .read = sim_read8,
    .get8 = get,
    .set8 = set,
};

bool sim_relay_record_of(sim_chip *chip, sim_relay_record *record)
{
    if (chip->ops != &sim_relay_module_ops) {
        return false;
    }
    sim_relay_module *relay = (sim_relay_module *)chip;
    advance(relay);
    *record = relay->record;
    record->energised = relay->direction != DIRECTION_NONE;
    return true;
}
