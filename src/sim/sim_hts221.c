/*
 * ST HTS221 (DocID026333): registers of 8 bits whose address advances where its bit 7 is set. Only
 * one-shot conversions are modelled. Its calibration has a negative slope, as many parts have.
 */
#include "sim_chip.h"

#define REG_CTRL1  0x20
#define REG_CTRL2  0x21
#define REG_STATUS 0x27
#define REG_DATA   0x28
#define ADVANCE    0x80
#define PD         0x80
#define BOOT       0x80
#define ONE_SHOT   0x01
#define H_DA       0x02
#define T_DA       0x01

#define CONVERSION 10000  /* µs */
#define BOOT_TIME  100000 /* µs during which the calibration reads 0 */

#define H0   33.5 /* % */
#define H1   76.0
#define OUT0 4
#define OUT1 (-9762)

typedef struct sim_hts221 {
    sim_chip chip;
    uint8_t av_conf, ctrl[3], status, data[4];
    int64_t booted; /* when the calibration can be read */
    int64_t done;   /* when the running conversion ends, 0: none runs */
    double humidity, temperature;
    bool settled; /* the first conversion after power-up is behind it */
} sim_hts221;

static void store(uint8_t *data, int32_t value)
{
    data[0] = (uint8_t)value;
    data[1] = (uint8_t)((uint32_t)value >> 8);
}

static void advance(sim_hts221 *hts)
{
    if (hts->done == 0 || sim_chip_now(&hts->chip) < hts->done) {
        return;
    }
    double humidity = hts->humidity + (hts->settled ? 0 : 8);
    double out = OUT0 + (humidity - H0) * (OUT1 - OUT0) / (H1 - H0);
    store(hts->data, sim_round(out, -32768, 32767));
    store(hts->data + 2, sim_round(hts->temperature * 50, -32768, 32767));
    hts->status |= H_DA | T_DA;
    hts->ctrl[1] &= (uint8_t)~ONE_SHOT;
    hts->settled = true;
    hts->done = 0;
}

static uint8_t get_calibration(const sim_hts221 *hts, uint8_t reg)
{
    uint8_t registers[16] = {(uint8_t)(H0 * 2), (uint8_t)(H1 * 2)};
    store(registers + 0x6, OUT0);
    store(registers + 0xa, OUT1);
    return sim_chip_now(&hts->chip) < hts->booted ? 0 : registers[reg & 0x0f];
}

static uint8_t get(sim_chip *chip, uint8_t address)
{
    sim_hts221 *hts = (sim_hts221 *)chip;
    uint8_t reg = address & (uint8_t)~ADVANCE;
    advance(hts);
    if (reg >= 0x30 && reg <= 0x3f) {
        return get_calibration(hts, reg);
    }
    if (reg >= REG_CTRL1 && reg < REG_CTRL1 + sizeof hts->ctrl) {
        return hts->ctrl[reg - REG_CTRL1];
    }
    if (reg >= REG_DATA && reg < REG_DATA + sizeof hts->data) {
        if (reg == REG_DATA + 1) {
            hts->status &= (uint8_t)~H_DA;
        }
        if (reg == REG_DATA + 3) {
            hts->status &= (uint8_t)~T_DA;
        }
        return hts->data[reg - REG_DATA];
    }
    switch (reg) {
    case 0x0f:
        return 0xbc;
    case 0x10:
        return hts->av_conf;
    case REG_STATUS:
        return hts->status;
    default:
        return 0;
    }
}

static void set(sim_chip *chip, uint8_t address, uint8_t value)
{
    sim_hts221 *hts = (sim_hts221 *)chip;
    uint8_t reg = address & (uint8_t)~ADVANCE;
    advance(hts);
    if (reg == 0x10) {
        hts->av_conf = value;
    }
    if (reg < REG_CTRL1 || reg >= REG_CTRL1 + sizeof hts->ctrl) {
        return;
    }
    hts->ctrl[reg - REG_CTRL1] = value;
    if (reg != REG_CTRL2) {
        return;
    }
    hts->ctrl[1] &= (uint8_t)~BOOT;
    if ((value & ONE_SHOT) && (hts->ctrl[0] & PD)) {
        hts->done = sim_chip_now(chip) + CONVERSION;
        hts->humidity = sim_chip_input(chip, 0);
        hts->temperature = sim_chip_input(chip, 1);
    }
}

static uint8_t next(uint8_t address)
{
    return address & ADVANCE ? (uint8_t)((address + 1) | ADVANCE) : address;
}

static void power_up(sim_chip *chip)
{
    sim_hts221 *hts = (sim_hts221 *)chip;
    *hts = (sim_hts221){.chip = *chip, .av_conf = 0x1b};
    hts->booted = sim_chip_now(chip) + BOOT_TIME;
}

const sim_chip_ops sim_hts221_ops = {
    .name = "hts221",
    .addresses = (const uint8_t[]){0x5f, 0},
    .size = sizeof(sim_hts221),
    .inputs = {{"relative-humidity", 45, 0, 100}, {"temperature", 21.5, -40, 120}},
    .power_up = power_up,
    .write = sim_write8,
    .read = sim_read8,
    .get8 = get,
    .set8 = set,
    .next = next,
};
