#include "sim_tca9534a.h"

void sim_tca9534a_power_up(sim_tca9534a *expander)
{
    expander->output = 0xff; /* section "Register Descriptions", defaults */
    expander->polarity = 0x00;
    expander->config = 0xff;
}

uint8_t sim_tca9534a_get(const sim_tca9534a *expander, uint8_t reg, uint8_t levels)
{
    switch (reg & 3) {
    case SIM_TCA9534A_INPUT:
        levels = (uint8_t)((levels & expander->config) | (expander->output & ~expander->config));
        return levels ^ expander->polarity;
    case SIM_TCA9534A_OUTPUT:
        return expander->output;
    case SIM_TCA9534A_POLARITY:
        return expander->polarity;
    default:
        return expander->config;
    }
}

void sim_tca9534a_set(sim_tca9534a *expander, uint8_t reg, uint8_t value)
{
    switch (reg & 3) {
    case SIM_TCA9534A_OUTPUT:
        expander->output = value;
        break;
    case SIM_TCA9534A_POLARITY:
        expander->polarity = value;
        break;
    case SIM_TCA9534A_CONFIG:
        expander->config = value;
        break;
    default: /* the input register cannot be written */
        break;
    }
}
