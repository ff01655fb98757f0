/*
 * TI TMP112 (SBOS473): temperature 00, configuration 01, T_LOW 02, T_HIGH 03, 16 bits each, most
 * significant byte first. It converts by itself at the rate of CR, or once on OS while SD is set.
 */
#include "sim_chip.h"

#define CONVERSION 26000 /* µs, section "Electrical Characteristics", typical */

#define CONFIG_OS       0x8000
#define CONFIG_R        0x6000 /* read only */
#define CONFIG_SD       0x0100
#define CONFIG_CR       0x00c0
#define CONFIG_AL       0x0020 /* read only */
#define CONFIG_EM       0x0010
#define CONFIG_WRITABLE 0x1fd0
#define CONFIG_DEFAULT  0x60a0 /* section "Configuration Register" */

typedef struct sim_tmp112 {
    sim_chip chip;
    uint16_t config; /* without OS */
    uint16_t temperature, low, high;
    int64_t done;    /* when the running conversion ends, 0: none runs */
    double captured; /* ℃ that it will give */
} sim_tmp112;

static void begin(sim_tmp112 *tmp, int64_t at)
{
    tmp->done = at + CONVERSION;
    tmp->captured = sim_chip_input(&tmp->chip, 0);
}

static uint16_t encode(double celsius, bool extended)
{
    if (extended) { /* 13 bits and a mark in bit 0 */
        return (uint16_t)(sim_round(celsius * 16, -4096, 4095) * 8 | 1);
    }
    return (uint16_t)(sim_round(celsius * 16, -2048, 2047) * 16);
}

/* CR 0 to 3: 0.25, 1, 4, 8 Hz, section "Conversion Rate". */
static int64_t period(uint16_t config)
{
    static const int64_t periods[] = {4000000, 1000000, 250000, 125000};
    return periods[(config & CONFIG_CR) >> 6];
}

/* Brings the chip to the present. */
static void advance(sim_tmp112 *tmp)
{
    int64_t now = sim_chip_now(&tmp->chip);
    if (tmp->done == 0 || now < tmp->done) {
        return;
    }
    tmp->temperature = encode(tmp->captured, tmp->config & CONFIG_EM);
    if (tmp->config & CONFIG_SD) {
        tmp->done = 0;
        return;
    }
    int64_t cycle = period(tmp->config);
    if (now - tmp->done >= cycle) { /* cycles passed in which the result was not read */
        tmp->captured = sim_chip_input(&tmp->chip, 0);
        tmp->temperature = encode(tmp->captured, tmp->config & CONFIG_EM);
        tmp->done += (now - tmp->done) / cycle * cycle;
    }
    tmp->done += cycle;
    tmp->captured = sim_chip_input(&tmp->chip, 0);
}

static uint16_t get(sim_chip *chip, uint8_t reg)
{
    sim_tmp112 *tmp = (sim_tmp112 *)chip;
    advance(tmp);
    switch (reg & 3) {
    case 0:
        return tmp->temperature;
    case 1: /* OS: 0 while a one-shot conversion runs, then 1; 0 in continuous mode */
        return tmp->config | ((tmp->config & CONFIG_SD) && tmp->done == 0 ? CONFIG_OS : 0);
    case 2:
        return tmp->low;
    default:
        return tmp->high;
    }
}

static void configure(sim_tmp112 *tmp, uint16_t value)
{
    bool was_continuous = !(tmp->config & CONFIG_SD);
    tmp->config = (uint16_t)(CONFIG_R | (value & CONFIG_WRITABLE) | CONFIG_AL);
    if (!(value & CONFIG_SD)) {
        if (!was_continuous) {
            begin(tmp, sim_chip_now(&tmp->chip));
        }
        return;
    }
    if (was_continuous && tmp->done - sim_chip_now(&tmp->chip) > CONVERSION) {
        tmp->done = 0; /* between two conversions */
    }
    if (value & CONFIG_OS) {
        begin(tmp, sim_chip_now(&tmp->chip));
    }
}

static void set(sim_chip *chip, uint8_t reg, uint16_t value)
{
    sim_tmp112 *tmp = (sim_tmp112 *)chip;
    advance(tmp);
    if ((reg & 3) == 1) {
        configure(tmp, value);
    } else if ((reg & 3) == 2) {
        tmp->low = value & 0xfff0;
    } else if ((reg & 3) == 3) {
        tmp->high = value & 0xfff0;
    }
}

static void power_up(sim_chip *chip)
{
    sim_tmp112 *tmp = (sim_tmp112 *)chip;
    tmp->config = CONFIG_DEFAULT;
    tmp->low = 0x4b00;    /* 75 ℃ */
    tmp->high = 0x5000;   /* 80 ℃ */
    tmp->temperature = 0; /* until the first conversion is done */
    begin(tmp, sim_chip_now(chip));
}

const sim_chip_ops sim_tmp112_ops = {
    .name = "tmp112",
    .addresses = (const uint8_t[]){0x48, 0x49, 0x4a, 0x4b, 0},
    .size = sizeof(sim_tmp112),
    .inputs = {{"temperature", 21.5, -60, 150}},
    .power_up = power_up,
    .write = sim_write16,
    .read = sim_read16,
    .get16 = get,
    .set16 = set,
};
