/*
 * TI OPT3001 (SBOS681): result 00, configuration 01, limits 02 and 03, identity 7E and 7F, 16 bits
 * each, most significant byte first.
 */
#include "sim_chip.h"

#define CONFIG_RN       0xf000
#define CONFIG_RN_AUTO  0xc000
#define CONFIG_CT       0x0800
#define CONFIG_M        0x0600
#define CONFIG_M_SINGLE 0x0200
#define CONFIG_OVF      0x0100
#define CONFIG_CRF      0x0080
#define CONFIG_WRITABLE 0xfe1f
#define CONFIG_DEFAULT  0xc810 /* section "Configuration Register" */

#define RANGE_TIME 10000 /* µs, section "Automatic Full-Scale Setting Mode" */

typedef struct sim_opt3001 {
    sim_chip chip;
    uint16_t config; /* without CRF and OVF */
    uint16_t result, low, high;
    bool ready, overflow;
    int64_t done; /* when the running conversion ends, 0: none runs */
    double captured;
} sim_opt3001;

static uint16_t encode(double lux, uint16_t range, bool *overflow)
{
    double counts = lux * 100;
    unsigned exponent = range >> 12;
    if (range == CONFIG_RN_AUTO) {
        for (exponent = 0; exponent < 11 && counts > 4095.0 * (1 << exponent); exponent++)
            ;
    }
    *overflow = counts > 4095.0 * (1 << exponent);
    return (uint16_t)(exponent << 12 | sim_round(counts / (1 << exponent), 0, 4095));
}

static void begin(sim_opt3001 *opt, int64_t at)
{
    opt->done = at + (opt->config & CONFIG_CT ? 800000 : 100000);
    if ((opt->config & CONFIG_RN) == CONFIG_RN_AUTO) {
        opt->done += RANGE_TIME;
    }
    opt->captured = sim_chip_input(&opt->chip, 0);
}

static void advance(sim_opt3001 *opt)
{
    int64_t now = sim_chip_now(&opt->chip);
    if (opt->done == 0 || now < opt->done) {
        return;
    }
    opt->result = encode(opt->captured, opt->config & CONFIG_RN, &opt->overflow);
    opt->ready = true;
    opt->done = 0;
    if ((opt->config & CONFIG_M) == CONFIG_M_SINGLE) {
        opt->config &= ~CONFIG_M; /* shut down again */
    } else {
        begin(opt, now);
    }
}

static uint16_t get(sim_chip *chip, uint8_t reg)
{
    sim_opt3001 *opt = (sim_opt3001 *)chip;
    uint16_t flags;
    advance(opt);
    switch (reg) {
    case 0x00:
        return opt->result;
    case 0x01:
        flags = (opt->ready ? CONFIG_CRF : 0) | (opt->overflow ? CONFIG_OVF : 0);
        opt->ready = false;
        return opt->config | flags;
    case 0x02:
        return opt->low;
    case 0x03:
        return opt->high;
    case 0x7e:
        return 0x5449;
    case 0x7f:
        return 0x3001;
    default:
        return 0xffff;
    }
}

static void set(sim_chip *chip, uint8_t reg, uint16_t value)
{
    sim_opt3001 *opt = (sim_opt3001 *)chip;
    advance(opt);
    if (reg == 0x02) {
        opt->low = value;
    } else if (reg == 0x03) {
        opt->high = value;
    }
    if (reg != 0x01) {
        return;
    }
    opt->config = value & CONFIG_WRITABLE;
    opt->ready = false;
    opt->done = 0;
    if (value & CONFIG_M) {
        begin(opt, sim_chip_now(chip));
    }
}

static void power_up(sim_chip *chip)
{
    sim_opt3001 *opt = (sim_opt3001 *)chip;
    opt->config = CONFIG_DEFAULT;
    opt->result = 0;
    opt->low = 0x0000;
    opt->high = 0xbfff;
    opt->ready = opt->overflow = false;
    opt->done = 0;
}

const sim_chip_ops sim_opt3001_ops = {
    .name = "opt3001",
    .addresses = (const uint8_t[]){0x44, 0x45, 0x46, 0x47, 0},
    .size = sizeof(sim_opt3001),
    .inputs = {{"illuminance", 600, 0, 200000}},
    .power_up = power_up,
    .write = sim_write16,
    .read = sim_read16,
    .get16 = get,
    .set16 = set,
};
