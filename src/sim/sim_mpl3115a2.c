/*
 * NXP MPL3115A2: registers of 8 bits whose address advances by itself. One-shot conversions only,
 * no FIFO. The traps of the real one are here as well: settings are refused while active, results
 * that were read in part spoil the next, the pointer does not outlive a stop.
 */
#include "sim_chip.h"

#include <math.h>
#include <string.h>

#define REG_STATUS      0x00
#define REG_RESULT      0x01
#define REG_PT_DATA_CFG 0x13
#define REG_CTRL1       0x26
#define N_REGISTERS     0x2e

#define TDR  0x02
#define PDR  0x04
#define PTDR 0x08

#define ALT  0x80
#define OS   0x38
#define RST  0x04
#define OST  0x02
#define SBYB 0x01

#define SEA_LEVEL 101326.0 /* Pa, section "BAR_IN": 2 Pa units, default 101326 */

typedef struct sim_mpl3115a2 {
    sim_chip chip;
    uint8_t registers[N_REGISTERS];
    int64_t done; /* when the running conversion ends, 0: none runs */
    double pascals, celsius;
    bool altitude; /* what is being converted */
    bool settled;  /* the first conversion after power-up is behind it */
    bool whole;    /* the last results were read completely */
    uint8_t parts; /* of the results that were read: 1 pressure, 2 temperature */
} sim_mpl3115a2;

/* Section "CTRL_REG1", table of oversampling, ms. */
static int64_t conversion_time(uint8_t ctrl1)
{
    static const int64_t times[] = {6, 10, 18, 34, 66, 130, 258, 512};
    return times[(ctrl1 & OS) >> 3] * 1000;
}

/* Section "Pressure/altitude": the formula of the altimeter mode. */
static double altitude_of(double pascals)
{
    return 44330.77 * (1 - pow(pascals / SEA_LEVEL, 0.1902632));
}

static void advance(sim_mpl3115a2 *mpl)
{
    if (mpl->done == 0 || sim_chip_now(&mpl->chip) < mpl->done) {
        return;
    }
    uint8_t *result = mpl->registers + REG_RESULT;
    double pascals = mpl->pascals + (mpl->settled && mpl->whole ? 0 : -1500);
    int32_t value = mpl->altitude ? sim_round(altitude_of(pascals) * 16, -(1 << 19), (1 << 19) - 1)
                                  : sim_round(pascals * 4, 0, (1 << 20) - 1);
    int32_t temperature = sim_round(mpl->celsius * 16, -2048, 2047);
    result[0] = (uint8_t)(value >> 12);
    result[1] = (uint8_t)(value >> 4);
    result[2] = (uint8_t)((uint32_t)value << 4);
    result[3] = (uint8_t)(temperature >> 4);
    result[4] = (uint8_t)((uint32_t)temperature << 4);
    if (mpl->registers[REG_PT_DATA_CFG] & 0x07) {
        mpl->registers[REG_STATUS] |= PTDR | PDR | TDR;
    }
    mpl->registers[REG_CTRL1] &= (uint8_t)~OST;
    mpl->settled = true;
    mpl->whole = false;
    mpl->parts = 0;
    mpl->done = 0;
}

static void reset(sim_mpl3115a2 *mpl)
{
    memset(mpl->registers, 0, sizeof mpl->registers);
    mpl->registers[0x0c] = 0xc4;
    mpl->registers[0x14] = 0xc5; /* BAR_IN */
    mpl->registers[0x15] = 0xe7;
    mpl->done = 0;
    mpl->settled = false;
    mpl->whole = true;
}

/* Reading results clears their flags. */
static void results_read(sim_mpl3115a2 *mpl, uint8_t reg)
{
    uint8_t *status = mpl->registers + REG_STATUS;
    if (reg == REG_RESULT) {
        *status &= (uint8_t)~PDR;
    }
    if (reg == REG_RESULT + 3) {
        *status &= (uint8_t)~TDR;
    }
    if (!(*status & (PDR | TDR))) {
        *status &= (uint8_t)~PTDR;
    }
    if (reg == REG_RESULT + 2) {
        mpl->parts |= 1;
    }
    if (reg == REG_RESULT + 4) {
        mpl->parts |= 2;
    }
    mpl->whole = mpl->whole || mpl->parts == 3;
}

static uint8_t get(sim_chip *chip, uint8_t reg)
{
    sim_mpl3115a2 *mpl = (sim_mpl3115a2 *)chip;
    advance(mpl);
    if (reg >= N_REGISTERS) {
        return 0;
    }
    uint8_t value = mpl->registers[reg];
    if (reg >= REG_RESULT && reg <= REG_RESULT + 4) {
        results_read(mpl, reg);
    }
    return value;
}

static void set(sim_chip *chip, uint8_t reg, uint8_t value)
{
    sim_mpl3115a2 *mpl = (sim_mpl3115a2 *)chip;
    advance(mpl);
    uint8_t ctrl1 = mpl->registers[REG_CTRL1];
    if (reg <= 0x0c || reg >= N_REGISTERS) { /* read only */
        return;
    }
    bool busy = (ctrl1 & SBYB) || mpl->done != 0;
    if (reg != REG_CTRL1) {
        if (!busy) {
            mpl->registers[reg] = value;
        }
        return;
    }
    if (busy) { /* only OST and SBYB may change */
        value = (uint8_t)((ctrl1 & ~(OST | SBYB)) | (value & (OST | SBYB)));
    }
    mpl->registers[REG_CTRL1] = value;
    if ((value & OST) && mpl->done == 0) {
        mpl->done = sim_chip_now(chip) + conversion_time(value);
        mpl->altitude = value & ALT;
        mpl->pascals = sim_chip_input(chip, 0) * 1000;
        mpl->celsius = sim_chip_input(chip, 1);
    }
}

static bool write(sim_chip *chip, uint8_t byte)
{
    if (chip->count == 1 && chip->pointer == REG_CTRL1 && (byte & RST)) {
        reset((sim_mpl3115a2 *)chip); /* so fast that the acknowledge is missing */
        return false;
    }
    return sim_write8(chip, byte);
}

static void stop(sim_chip *chip)
{
    chip->pointer = 0;
}

static uint8_t next(uint8_t reg)
{
    return reg == REG_RESULT + 4 ? REG_STATUS : (uint8_t)(reg + 1);
}

static void power_up(sim_chip *chip)
{
    reset((sim_mpl3115a2 *)chip);
}

const sim_chip_ops sim_mpl3115a2_ops = {
    .name = "mpl3115a2",
    .addresses = (const uint8_t[]){0x60, 0},
    .size = sizeof(sim_mpl3115a2),
    .inputs = {{"pressure", 101.325, 20, 110}, {"temperature", 21.5, -40, 85}},
    .power_up = power_up,
    .write = write,
    .read = sim_read8,
    .stop = stop,
    .get8 = get,
    .set8 = set,
    .next = next,
};
