#include "expander_relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct place {
    unsigned bank;
    uint8_t bit;
} place;

static int locate(const device *device, const expander_port *port, place *place)
{
    const expander_relay_state *state = device->state;
    int pin = state->pin ? state->pin - 1 : device->channel >= 0 ? device->channel : 0;
    if (pin >= port->pins) {
        return -EINVAL;
    }
    *place = (struct place){(unsigned)pin / 8, (uint8_t)(1 << pin % 8)};
    return 0;
}

/* Changes one pin's level and sees that the chip took it. The other channels' levels stay. */
static int set_level(const device *device, const expander_port *port, place place, bool high)
{
    uint8_t value, found;
    int result = port->read_output(device, place.bank, &value);
    if (result < 0) {
        return result;
    }
    value = (uint8_t)(high ? value | place.bit : value & ~place.bit);
    result = port->write_output(device, place.bank, value);
    if (result >= 0) {
        result = port->read_output(device, place.bank, &found);
    }
    if (result < 0) {
        return result;
    }
    return (found ^ value) & place.bit ? -EIO : 0;
}

static int make_output(const device *device, const expander_port *port, place place)
{
    uint8_t inputs, found;
    int result = port->read_inputs(device, place.bank, &inputs);
    if (result < 0) {
        return result;
    }
    inputs &= (uint8_t)~place.bit;
    result = port->write_inputs(device, place.bank, inputs);
    if (result >= 0) {
        result = port->read_inputs(device, place.bank, &found);
    }
    if (result < 0) {
        return result;
    }
    return found & place.bit ? -EIO : 0;
}

/*
 * A pin that is an output already holds its relay in the state that it was left in: that stays. A
 * chip that was just switched on has inputs, which hold nothing: there the level that releases the
 * relay is written before the pin becomes an output, so that no contact moves.
 */
int expander_relay_recover(device *device, const expander_port *port)
{
    const expander_relay_state *state = device->state;
    place place;
    uint8_t inputs;
    int result = locate(device, port, &place);
    if (result < 0 || !port->read_inputs) {
        return result;
    }
    result = port->read_inputs(device, place.bank, &inputs);
    if (result < 0 || !(inputs & place.bit)) {
        return result < 0 ? result : 0;
    }
    result = set_level(device, port, place, !state->active_high);
    return result < 0 ? result : make_output(device, port, place);
}

int expander_relay_set(device *device, const expander_port *port, bool on)
{
    const expander_relay_state *state = device->state;
    place place;
    uint8_t inputs;
    int result = locate(device, port, &place);
    if (result < 0) {
        return result;
    }
    result = set_level(device, port, place, on == state->active_high);
    if (result < 0 || !port->read_inputs) {
        return result;
    }
    result = port->read_inputs(device, place.bank, &inputs);
    if (result >= 0 && (inputs & place.bit)) { /* the chip lost power since */
        result = make_output(device, port, place);
    }
    return result < 0 ? result : 0;
}

int expander_relay_get(device *device, const expander_port *port, bool *on)
{
    const expander_relay_state *state = device->state;
    place place;
    uint8_t value, inputs = 0;
    int result = locate(device, port, &place);
    if (result >= 0 && port->read_inputs) {
        result = port->read_inputs(device, place.bank, &inputs);
    }
    if (result >= 0) {
        result = port->read_output(device, place.bank, &value);
    }
    if (result < 0) {
        return result;
    }
    bool high = value & place.bit;
    *on = !(inputs & place.bit) && high == state->active_high; /* an input holds no relay */
    return 0;
}

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
