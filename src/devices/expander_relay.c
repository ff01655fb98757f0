#include "expander_relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_TRIES  4 /* until two reads in a row agree */
#define WRITE_TRIES 3

#define ALL_PINS 0xff

typedef int (*reader)(const device *device, unsigned bank, uint8_t *value);

/* What was read of a bank, for certain. */
typedef struct sight {
    uint8_t output;
    uint8_t inputs;
} sight;

static const expander_port *port_of(const device *device)
{
    return device->driver->variant;
}

/* ---- pins ---- */

int expander_relay_pin(const void *state, int channel)
{
    int pin = ((const expander_relay_state *)state)->pin;
    return pin ? pin - 1 : channel >= 0 ? channel : 0;
}

static unsigned bank_of(const device *device)
{
    return (unsigned)expander_relay_pin(device->state, device->channel) / 8;
}

static uint8_t bit_of(const device *device)
{
    return (uint8_t)(1 << expander_relay_pin(device->state, device->channel) % 8);
}

int expander_relay_claim(device *device)
{
    const expander_relay_state *state = device->state;
    expander_chip *chip = device->chip;
    if (expander_relay_pin(state, device->channel) >= port_of(device)->pins) {
        return -EINVAL;
    }
    expander_bank *bank = &chip->banks[bank_of(device)];
    uint8_t bit = bit_of(device);
    bank->ours |= bit;
    bank->released = (uint8_t)(state->active_high ? bank->released & ~bit : bank->released | bit);
    return 0;
}

/* ---- what the chip holds ---- */

/*
 * Reads a register. What was expected (NULL: nothing) is believed at once, anything else when two
 * reads in a row agree about it. `mask`: the bits that count.
 */
static int read_surely(const device *device, reader read, unsigned bank, const uint8_t *expected,
                       uint8_t mask, uint8_t *value)
{
    int result = read(device, bank, value);
    bool sure = expected && !((*value ^ *expected) & mask);
    for (int tries = 1; result >= 0 && !sure && tries < READ_TRIES; tries++) {
        uint8_t before = *value;
        result = read(device, bank, value);
        sure = !((*value ^ before) & mask) || (expected && !((*value ^ *expected) & mask));
    }
    if (result < 0) {
        return result;
    }
    return sure ? 0 : -EIO;
}

/* The bits of the output register that tell what was written, and not what is outside. */
static uint8_t told_by_output(const device *device, unsigned bank)
{
    const expander_chip *chip = device->chip;
    return port_of(device)->read_inputs ? ALL_PINS : chip->banks[bank].ours;
}

/*
 * A garbled read that happens to be what was expected would hide a loss of power. So two reads have
 * to agree in any case where one register tells everything, without directions, and where the other
 * one is as power-up leaves it.
 */
static int observe(const device *device, unsigned bank, sight *seen)
{
    const expander_port *port = port_of(device);
    const expander_chip *chip = device->chip;
    const uint8_t inputs = (uint8_t)~chip->banks[bank].ours, mask = told_by_output(device, bank);
    *seen = (sight){0, inputs};
    int result = read_surely(device, port->read_output, bank,
                             chip->taken && port->read_inputs ? &chip->banks[bank].output : NULL,
                             mask, &seen->output);
    if (result < 0 || !port->read_inputs) {
        return result;
    }
    result = read_surely(device, port->read_inputs, bank,
                         chip->taken && seen->output != port->power_up ? &inputs : NULL, ALL_PINS,
                         &seen->inputs);
    if (result >= 0 && seen->inputs == ALL_PINS && seen->output != port->power_up) {
        result = read_surely(device, port->read_output, bank, NULL, mask, &seen->output);
    }
    return result;
}

/*
 * Whether a bank is as power-up leaves it, and not as it was left. Without directions that shows
 * only where pins were low: all of these are high now.
 */
static bool lost_power(const device *device, unsigned bank, const sight *seen)
{
    const expander_port *port = port_of(device);
    const expander_chip *chip = device->chip;
    uint8_t ours = chip->banks[bank].ours;
    if (port->read_inputs) {
        return ours && seen->inputs == ALL_PINS && seen->output == port->power_up;
    }
    uint8_t low = ours & (uint8_t) ~(chip->banks[bank].output | chip->banks[bank].doubtful);
    return chip->taken && low && (seen->output & low) == low;
}

/* Learns from what was seen. */
static void learn(const device *device, unsigned bank, const sight *seen)
{
    const expander_chip *chip = device->chip;
    expander_bank *is = &((expander_chip *)device->chip)->banks[bank];
    if (port_of(device)->read_inputs) {
        is->output = seen->output;
    } else {
        /*
         * A pin that is high is not driven low. One that is low may be held from outside: that
         * does not make it ours to drive, unless nothing better is known.
         */
        uint8_t unknown = chip->taken ? is->doubtful : is->ours;
        uint8_t output = (uint8_t)((is->output & ~unknown) | (seen->output & unknown));
        is->output = (uint8_t)(output | (seen->output & is->ours) | ~is->ours);
    }
    is->doubtful = 0;
}

/* After a failed transfer, or where the chip is not as it was left, nothing is certain. */
static int conclude(const device *device, int result)
{
    if (result < 0) {
        ((expander_chip *)device->chip)->known = false;
    }
    return result < 0 ? result : 0;
}

/* ---- writing ---- */

/*
 * Writes a bank's output and sees that the chip took it. It is written again where a pin has
 * another level; at the end those of `must` are to be right, others may be held from outside.
 */
static int write_output(const device *device, unsigned bank, uint8_t output, uint8_t must)
{
    const expander_port *port = port_of(device);
    expander_bank *is = &((expander_chip *)device->chip)->banks[bank];
    uint8_t mask = told_by_output(device, bank), found = output;
    for (int tries = 0; tries < WRITE_TRIES; tries++) {
        int result = port->write_output(device, bank, output);
        if (result < 0) {
            is->doubtful |= output ^ is->output;
            return result;
        }
        is->output = output;
        result = read_surely(device, port->read_output, bank, &output, mask, &found);
        if (result < 0) {
            return result;
        }
        if (!((found ^ output) & mask)) {
            return 0;
        }
    }
    return (found ^ output) & must ? -EIO : 0;
}

/* Makes our pins outputs, and all others inputs. */
static int write_directions(const device *device, unsigned bank)
{
    const expander_port *port = port_of(device);
    const uint8_t inputs = (uint8_t) ~((const expander_chip *)device->chip)->banks[bank].ours;
    uint8_t found = inputs;
    for (int tries = 0; tries < WRITE_TRIES; tries++) {
        int result = port->write_inputs(device, bank, inputs);
        if (result >= 0) {
            result = read_surely(device, port->read_inputs, bank, &inputs, ALL_PINS, &found);
        }
        if (result < 0 || found == inputs) {
            return result;
        }
    }
    return -EIO;
}

/*
 * A pin that is an output already holds its relay in the state that it was left in: that stays. A
 * chip that was just switched on has inputs, which hold nothing: there the level that releases the
 * relay is written before the pin becomes an output, so that no contact moves.
 */
static int take_bank(const device *device, unsigned bank)
{
    const expander_bank *is = &((const expander_chip *)device->chip)->banks[bank];
    const uint8_t inputs = (uint8_t)~is->ours;
    bool has_directions = port_of(device)->read_inputs != NULL;
    sight seen;
    int result = observe(device, bank, &seen);
    if (result < 0) {
        return result;
    }
    learn(device, bank, &seen);
    uint8_t fresh = seen.inputs & is->ours;
    uint8_t output = (uint8_t)((is->output & ~fresh) | (is->released & fresh));
    if (output != seen.output) {
        result = write_output(device, bank, output, has_directions ? ALL_PINS : 0);
    }
    if (result >= 0 && has_directions && seen.inputs != inputs) {
        result = write_directions(device, bank);
    }
    return result;
}

/* ---- operations ---- */

/* Looks at the device's bank, and learns from it. */
static int look(const device *device, sight *seen)
{
    const expander_chip *chip = device->chip;
    unsigned bank = bank_of(device);
    int result = observe(device, bank, seen);
    if (result >= 0 && lost_power(device, bank, seen)) {
        return conclude(device, DEVICE_LOST_POWER);
    }
    if (result >= 0 && chip->taken) {
        learn(device, bank, seen);
    }
    if (result >= 0 && (seen->inputs & chip->banks[bank].ours)) {
        result = DEVICE_NOT_AS_LEFT; /* an input holds no relay */
    }
    return conclude(device, result);
}

int expander_relay_present(device *device)
{
    const expander_chip *chip = device->chip;
    sight seen;
    int result = look(device, &seen);
    uint8_t ours = chip->banks[bank_of(device)].ours;
    if (result >= 0 && !chip->taken && (seen.output & ours) == ours) {
        return DEVICE_MAY_HAVE_LOST_POWER;
    }
    return result;
}

/* The first channel that comes takes the chip over, for all of them. */
int expander_relay_recover(device *device)
{
    expander_chip *chip = device->chip;
    int result = 0;
    for (unsigned bank = 0; !chip->known && bank < EXPANDER_MAX_BANKS && result >= 0; bank++) {
        if (chip->banks[bank].ours) {
            result = take_bank(device, bank);
        }
    }
    if (result >= 0) {
        chip->taken = chip->known = true;
    }
    return conclude(device, result);
}

device_step expander_relay_start(device *device, unsigned step)
{
    (void)step;
    return expander_relay_recover(device);
}

int expander_relay_set(device *device, bool on)
{
    const expander_relay_state *state = device->state;
    const expander_port *port = port_of(device);
    const expander_chip *chip = device->chip;
    unsigned bank = bank_of(device);
    uint8_t bit = bit_of(device);
    const uint8_t inputs = (uint8_t)~chip->banks[bank].ours;
    uint8_t found;
    if (inputs & bit) {
        return -EINVAL;
    }
    int result = expander_relay_recover(device);
    if (result < 0) {
        return result;
    }
    uint8_t output = chip->banks[bank].output;
    output = (uint8_t)(on == state->active_high ? output | bit : output & ~bit);
    result = write_output(device, bank, output, port->read_inputs ? ALL_PINS : bit);
    if (result >= 0 && port->read_inputs) {
        result = read_surely(device, port->read_inputs, bank, &inputs, ALL_PINS, &found);
        if (result >= 0 && found != inputs) {
            result = found == ALL_PINS ? DEVICE_LOST_POWER : -EIO;
        }
    }
    return conclude(device, result);
}

int expander_relay_get(device *device, bool *on)
{
    const expander_relay_state *state = device->state;
    sight seen;
    int result = look(device, &seen);
    if (result >= 0) {
        bool high = seen.output & bit_of(device);
        *on = high == state->active_high;
    }
    return result;
}

/* ---- options ---- */

static const char *pin_option(expander_relay_state *state, const char *value, int pins)
{
    char *end;
    long pin = strtol(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || pin >= pins) {
        return pins == 8 ? "pin must be 0 to 7" : "pin must be 0 to 15";
    }
    if (state) {
        state->pin = (int8_t)(pin + 1);
    }
    return NULL;
}

const char *expander_relay_option(void *state, const char *name, const char *value, int pins)
{
    if (strcmp(name, "pin") == 0) {
        return pin_option(state, value, pins);
    }
    if (strcmp(name, "active") != 0) {
        return pins == 8 ? "the options are: pin=0 to pin=7, active=low or active=high"
                         : "the options are: pin=0 to pin=15, active=low or active=high";
    }
    bool high = strcmp(value, "high") == 0;
    if (!high && strcmp(value, "low") != 0) {
        return "active must be low or high";
    }
    if (state) {
        ((expander_relay_state *)state)->active_high = high;
    }
    return NULL;
}
