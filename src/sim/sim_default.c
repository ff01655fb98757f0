/* What "sim" alone means: every device, at its usual addresses, with gently moving values. */
#include "sim_bus.h"

static const struct {
    const char *chip; /* NULL: a further input of the one before */
    uint8_t address;
    const char *input; /* NULL: this chip measures nothing */
    sim_signal signal;
} devices[] = {
    {"tmp112", 0x48, "temperature", {SIM_SINE, 21.5, .amplitude = 1.5, .period = 300}},
    {"tmp112", 0x49, "temperature", {SIM_SINE, 2, .amplitude = 5, .period = 900, .phase = 0.25}},
    {"opt3001", 0x44, "illuminance", {SIM_SINE, 600.1, .amplitude = 120, .period = 240}},
    {"opt3001", 0x45, "illuminance", {SIM_SINE, 35, .amplitude = 30, .period = 420}},
    {"hts221", 0x5f, "relative-humidity", {SIM_SINE, 48, .amplitude = 6, .period = 360}},
    {"hdc2080", 0x41, "relative-humidity", {SIM_SINE, 55, .amplitude = 8, .period = 500}},
    {"sht20", 0x40, "relative-humidity", {SIM_SINE, 42, .amplitude = 5, .period = 440}},
    {"mpl3115a2", 0x60, "pressure", {SIM_SINE, 98.9, .amplitude = 0.4, .period = 700}},
    {"co2-module", 0x38, "concentration", {SIM_SINE, 700, .amplitude = 250, .period = 800}},
    {NULL, 0x38, "pressure", {SIM_SINE, 98.9, .amplitude = 0.4, .period = 700}},
    {"relay-module", 0x3b, NULL, {.wave = SIM_CONSTANT}},
    {"relay-module", 0x3f, NULL, {.wave = SIM_CONSTANT}},
    {"ssd1306", 0x3c, NULL, {.wave = SIM_CONSTANT}},
};

bool sim_default_scenario(i2c_bus *bus)
{
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        if (devices[i].chip && !sim_add(bus, devices[i].chip, devices[i].address)) {
            return false;
        }
        if (devices[i].input &&
            !sim_set_signal(bus, devices[i].address, devices[i].input, &devices[i].signal)) {
            return false;
        }
    }
    return true;
}
