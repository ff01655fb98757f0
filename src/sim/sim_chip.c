/* What chips ask of their bus. */
#include "sim_bus.h"

const char *const sim_fault_names[SIM_N_FAULTS] = {
    [SIM_NO_ACKNOWLEDGE] = "no-acknowledge", [SIM_STUCK] = "stuck",     [SIM_SLOW] = "slow",
    [SIM_WRONG_CRC] = "wrong-crc",           [SIM_GARBAGE] = "garbage",
};

int64_t sim_chip_now(const sim_chip *chip)
{
    return ((const sim_bus *)chip->bus)->now;
}

double sim_chip_input(sim_chip *chip, unsigned input)
{
    const sim_bus *bus = (const sim_bus *)chip->bus;
    return sim_signal_at(&chip->inputs[input], (double)(bus->now - bus->epoch) / 1e6);
}

bool sim_chip_breaks_crc(const sim_chip *chip)
{
    return chip->faults[SIM_WRONG_CRC] > 0;
}
