/*
 * TI HDC2080 (SNAS678): registers of 8 bits whose address advances by itself. Only conversions on
 * demand are modelled, not the automatic measurement mode.
 */
#include "sim_chip.h"

#include <string.h>

#define REG_STATUS     0x04
#define REG_RESET      0x0e
#define REG_CONFIG     0x0f
#define STATUS_DRDY    0x80
#define RESET_SOFT     0x80
#define CONFIG_TRIGGER 0x01

#define CONVERSION 1270 /* µs, section "Electrical Characteristics": 610 + 660 at 14 bits */

typedef struct sim_hdc2080 {
    sim_chip chip;
    uint8_t registers[16];
    int64_t done; /* when the running conversion ends, 0: none runs */
    double humidity, temperature;
    bool settled; /* the first conversion after power-up is behind it */
} sim_hdc2080;

static void store(uint8_t *registers, double part)
{
    uint16_t raw = (uint16_t)(sim_round(part * 65536, 0, 65535) & ~3); /* 14 bits */
    registers[0] = (uint8_t)raw;
    registers[1] = (uint8_t)(raw >> 8);
}

static void advance(sim_hdc2080 *hdc)
{
    if (hdc->done == 0 || sim_chip_now(&hdc->chip) < hdc->done) {
        return;
    }
    double error = hdc->settled ? 0 : 15;
    store(hdc->registers, (hdc->temperature + 40) / 165);
    store(hdc->registers + 2, (hdc->humidity + error) / 100);
    hdc->registers[REG_STATUS] |= STATUS_DRDY;
    hdc->registers[REG_CONFIG] &= ~CONFIG_TRIGGER;
    hdc->settled = true;
    hdc->done = 0;
}

static void reset(sim_hdc2080 *hdc)
{
    memset(hdc->registers, 0, sizeof hdc->registers);
    hdc->registers[0x0b] = hdc->registers[0x0d] = 0xff; /* upper thresholds */
    hdc->done = 0;
}

static uint8_t get(sim_chip *chip, uint8_t reg)
{
    static const uint8_t identity[] = {0x49, 0x54, 0xd0, 0x07};
    sim_hdc2080 *hdc = (sim_hdc2080 *)chip;
    advance(hdc);
    if (reg >= 0xfc) {
        return identity[reg - 0xfc];
    }
    if (reg >= sizeof hdc->registers) {
        return 0;
    }
    uint8_t value = hdc->registers[reg];
    if (reg == REG_STATUS) {
        hdc->registers[reg] = 0;
    }
    return value;
}

static void set(sim_chip *chip, uint8_t reg, uint8_t value)
{
    sim_hdc2080 *hdc = (sim_hdc2080 *)chip;
    advance(hdc);
    if (reg <= 0x06 || reg > 0x0f) { /* read only */
        return;
    }
    if (reg == REG_RESET && (value & RESET_SOFT)) {
        reset(hdc);
        return;
    }
    hdc->registers[reg] = value;
    if (reg == REG_CONFIG && (value & CONFIG_TRIGGER)) {
        hdc->done = sim_chip_now(chip) + CONVERSION;
        hdc->humidity = sim_chip_input(chip, 0);
        hdc->temperature = sim_chip_input(chip, 1);
    }
}

static uint8_t next(uint8_t reg)
{
    return (uint8_t)(reg + 1);
}

static void power_up(sim_chip *chip)
{
    sim_hdc2080 *hdc = (sim_hdc2080 *)chip;
    reset(hdc);
    hdc->settled = false;
}

const sim_chip_ops sim_hdc2080_ops = {
    .name = "hdc2080",
    .addresses = (const uint8_t[]){0x40, 0x41, 0},
    .size = sizeof(sim_hdc2080),
    .inputs = {{"relative-humidity", 45, 0, 100}, {"temperature", 21.5, -40, 125}},
    .power_up = power_up,
    .write = sim_write8,
    .read = sim_read8,
    .get8 = get,
    .set8 = set,
    .next = next,
};
