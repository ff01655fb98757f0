/*
 * The core of a simulated TI TCA9534A (SCPS198): four registers and eight pins, for the chips that
 * are made of one: relay module, CO2 module, plain relay board. Part of a chip; threads as there.
 */
#ifndef SIM_TCA9534A_H
#define SIM_TCA9534A_H

#include <stdint.h>

/* Section "Register Descriptions". */
enum {
    SIM_TCA9534A_INPUT = 0,
    SIM_TCA9534A_OUTPUT = 1,
    SIM_TCA9534A_POLARITY = 2,
    SIM_TCA9534A_CONFIG = 3, /* 1: the pin is an input */
};

typedef struct sim_tca9534a {
    uint8_t output, polarity, config;
} sim_tca9534a;

void sim_tca9534a_power_up(sim_tca9534a *expander);
/* `levels` are what the outside puts on the pins: seen where a pin is an input. */
uint8_t sim_tca9534a_get(const sim_tca9534a *expander, uint8_t reg, uint8_t levels);
void sim_tca9534a_set(sim_tca9534a *expander, uint8_t reg, uint8_t value);

#endif
