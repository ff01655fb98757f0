/* What "sim" alone means: one of every device, at its usual address, with gently moving values. */
#include "sim_bus.h"

static const struct {
    const char *chip;
    uint8_t address;
    const char *input; /* NULL: this chip measures nothing */
    sim_signal signal;
} devices[] = {
    {"tmp112", 0x48, "temperature", {SIM_SINE, .value = 21.5, .amplitude = 1.5, .period = 300}},
    {"tmp112",
     0x49,
     "temperature",
     {SIM_RANDOM_WALK, .value = 4, .amplitude = 0.1, .period = 1, .min = -12, .max = 20,
      .seed = 49}},
    {"relay-module", 0x3b, NULL, {SIM_CONSTANT}},
    {"relay-module", 0x3f, NULL, {SIM_CONSTANT}},
};

bool sim_default_scenario(i2c_bus *bus)
{
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        if (!sim_add(bus, devices[i].chip, devices[i].address))
            return false;
        if (devices[i].input &&
            !sim_set_signal(bus, devices[i].address, devices[i].input, &devices[i].signal))
            return false;
    }
    return true;
}
