/* The chips on a bus for others, such as tests: by address, with the lock taken. A test's clock. */
#include "sim_bus.h"

static int64_t fake_now(void *baton)
{
    return atomic_load((_Atomic int64_t *)baton);
}

static void fake_sleep(void *baton, int64_t microseconds)
{
    atomic_fetch_add((_Atomic int64_t *)baton, microseconds > 0 ? microseconds : 0);
}

sim_clock sim_fake_clock(_Atomic int64_t *time)
{
    return (sim_clock){fake_now, fake_sleep, time};
}

bool sim_add(i2c_bus *base, const char *name, uint8_t address)
{
    sim_bus *bus = (sim_bus *)base;
    const sim_chip_ops *ops = sim_chip_by_name(name);
    if (!ops) {
        return false;
    }
    sim_bus_enter(bus);
    bool added = sim_bus_add(bus, ops, address) != NULL;
    sim_bus_leave(bus);
    return added;
}

/* Takes the lock and finds a chip, by its address or its companion's; NULL where there is none. */
static sim_chip *enter_chip(i2c_bus *base, uint8_t address)
{
    sim_bus_enter((sim_bus *)base);
    return address < SIM_ADDRESSES ? ((sim_bus *)base)->chips[address] : NULL;
}

static void leave(i2c_bus *base)
{
    sim_bus_leave((sim_bus *)base);
}

void sim_unplug(i2c_bus *bus, uint8_t address)
{
    sim_chip *chip = enter_chip(bus, address);
    if (chip) {
        sim_bus_power(chip, false);
    }
    leave(bus);
}

void sim_plug(i2c_bus *bus, uint8_t address)
{
    sim_chip *chip = enter_chip(bus, address);
    if (chip) {
        sim_bus_power(chip, true);
    }
    leave(bus);
}

bool sim_set_signal(i2c_bus *bus, uint8_t address, const char *input, const sim_signal *signal)
{
    sim_chip *chip = enter_chip(bus, address);
    bool found = chip && sim_bus_set_signal(chip, input, signal);
    leave(bus);
    return found;
}

bool sim_set(i2c_bus *bus, uint8_t address, const char *input, double value)
{
    return sim_set_signal(bus, address, input, &(sim_signal){.value = value});
}

void sim_set_fault(i2c_bus *bus, uint8_t address, sim_fault fault, double amount)
{
    sim_chip *chip = enter_chip(bus, address);
    if (chip && fault < SIM_N_FAULTS) {
        chip->faults[fault] = amount;
    }
    leave(bus);
}

void sim_garble(i2c_bus *bus, uint8_t address, uint8_t bits)
{
    sim_chip *chip = enter_chip(bus, address);
    if (chip) {
        chip->garble = bits;
    }
    leave(bus);
}

unsigned sim_transfers(i2c_bus *bus, uint8_t address)
{
    enter_chip(bus, address);
    unsigned transfers = address < SIM_ADDRESSES ? ((sim_bus *)bus)->transfers[address] : 0;
    leave(bus);
    return transfers;
}

unsigned sim_written(i2c_bus *bus, uint8_t address)
{
    enter_chip(bus, address);
    unsigned written = address < SIM_ADDRESSES ? ((sim_bus *)bus)->written[address] : 0;
    leave(bus);
    return written;
}

bool sim_relay_read(i2c_bus *bus, uint8_t address, sim_relay_record *record)
{
    sim_chip *chip = enter_chip(bus, address);
    bool found = chip && sim_relay_record_of(chip, record);
    leave(bus);
    return found;
}

bool sim_co2_read(i2c_bus *bus, uint8_t address, sim_co2_record *record)
{
    sim_chip *chip = enter_chip(bus, address);
    bool found = chip && sim_co2_record_of(chip, record);
    leave(bus);
    return found;
}

bool sim_port_read(i2c_bus *bus, uint8_t address, sim_port_record *record)
{
    sim_chip *chip = enter_chip(bus, address);
    bool found = chip && sim_port_record_of(chip, record);
    leave(bus);
    return found;
}

bool sim_port_hold(i2c_bus *bus, uint8_t address, uint16_t pins)
{
    sim_chip *chip = enter_chip(bus, address);
    bool found = chip && sim_port_hold_of(chip, pins);
    leave(bus);
    return found;
}

bool sim_display_read(i2c_bus *bus, uint8_t address, uint8_t image[SIM_DISPLAY_SIZE])
{
    sim_chip *chip = enter_chip(bus, address);
    bool found = chip && sim_display_of(chip, image);
    leave(bus);
    return found;
}
