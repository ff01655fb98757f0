/* The chips on a simulated bus: added, powered, taken off. */
#include "sim_bus.h"

#include "sim_memory.h"

#include <stdlib.h>
#include <string.h>

void sim_bus_enter(sim_bus *bus)
{
    pthread_mutex_lock(&bus->lock);
    bus->now = bus->clock.now(bus->clock.baton);
    if (bus->memory) {
        sim_memory_touch(bus);
    }
}

void sim_bus_leave(sim_bus *bus)
{
    pthread_mutex_unlock(&bus->lock);
}

void sim_bus_discard(sim_bus *bus, sim_chip *chip)
{
    bus->chips[chip->address] = NULL;
    if (chip->ops->companion) {
        bus->chips[chip->ops->companion] = NULL;
    }
    if (bus->memory) {
        sim_memory_forget(bus, chip->address);
    } else {
        free(chip);
    }
}

void sim_bus_report(sim_bus *bus, const char *text)
{
    bus->report(bus->report_baton, text);
}

sim_chip *sim_bus_add(sim_bus *bus, const sim_chip_ops *ops, uint8_t address)
{
    bool kept = false;
    if (address >= SIM_ADDRESSES || bus->chips[address] ||
        (ops->companion && bus->chips[ops->companion])) {
        return NULL;
    }
    sim_chip *chip =
        bus->memory ? sim_memory_place(bus, ops, address, &kept) : calloc(1, ops->size);
    if (!chip) {
        return NULL;
    }
    chip->ops = ops;
    chip->bus = &bus->bus;
    chip->address = address;
    for (unsigned i = 0; i < SIM_MAX_INPUTS; i++) {
        chip->inputs[i] = (sim_signal){.value = ops->inputs[i].value};
    }
    bus->chips[address] = chip;
    if (ops->companion) {
        bus->chips[ops->companion] = chip;
    }
    if (!kept && ops->create) {
        ops->create(chip);
    }
    if (!kept) {
        sim_bus_power(chip, true);
    }
    return chip;
}

void sim_bus_remove(sim_bus *bus, sim_chip *chip)
{
    sim_bus_power(chip, false);
    sim_bus_discard(bus, chip);
}

void sim_bus_power(sim_chip *chip, bool on)
{
    if (chip->plugged == on) {
        return;
    }
    chip->plugged = on;
    sim_chip_trace(chip, on ? "plugged" : "unplugged");
    if (on) {
        chip->ops->power_up(chip);
    } else if (chip->ops->power_down) {
        chip->ops->power_down(chip);
    }
}

bool sim_bus_set_signal(sim_chip *chip, const char *input, const sim_signal *signal)
{
    for (unsigned i = 0; i < SIM_MAX_INPUTS && chip->ops->inputs[i].name; i++) {
        if (strcmp(chip->ops->inputs[i].name, input) == 0) {
            chip->inputs[i] = *signal;
            return true;
        }
    }
    return false;
}
