/*
 * What a simulated chip is made of, for the authors of chips: one file per chip, a const table of
 * operations at its end, named in i2c/chips.def.
 *
 * A chip belongs to its bus, which calls it with its lock held; a chip calls nothing of the bus but
 * the functions below.
 */
#ifndef SIM_CHIP_H
#define SIM_CHIP_H

#include "sim.h"

#define SIM_MAX_INPUTS 3

typedef struct sim_chip sim_chip;

typedef struct sim_input {
    const char *name; /* "temperature" */
    double value;     /* before anything else is said */
    double min, max;  /* what a scenario may say */
} sim_input;

typedef struct sim_chip_ops {
    const char *name;         /* "tmp112" */
    const uint8_t *addresses; /* that the chip can be strapped to, ended by 0 */
    uint8_t companion;        /* a second address that it answers to as well, or 0 */
    size_t size;              /* of the chip's own struct, which begins with a sim_chip */
    sim_input inputs[SIM_MAX_INPUTS];

    /* Once, after the chip's struct was zeroed: what no power cut changes. NULL: nothing to do. */
    void (*create)(sim_chip *chip);
    /* Power comes: registers take their defaults. */
    void (*power_up)(sim_chip *chip);
    /* Power goes. NULL: nothing to do. */
    void (*power_down)(sim_chip *chip);

    /*
     * The bus, byte by byte. chip->selected says which address was called, chip->count how many
     * bytes were written or read since the last start. `start` may be NULL: always acknowledged.
     * `stop` may be NULL.
     */
    bool (*start)(sim_chip *chip, bool reading);
    bool (*write)(sim_chip *chip, uint8_t byte); /* false: not acknowledged */
    uint8_t (*read)(sim_chip *chip);
    void (*stop)(sim_chip *chip);

    /*
     * For chips of registers, `write` and `read` are one of the pairs below, which keep the
     * register pointer and call these. Registers of 8 bits: `next` says which register follows
     * (NULL: the same).
     */
    uint8_t (*get8)(sim_chip *chip, uint8_t reg);
    void (*set8)(sim_chip *chip, uint8_t reg, uint8_t value);
    uint8_t (*next)(uint8_t reg);
    /* Registers of 16 bits, most significant byte first. */
    uint16_t (*get16)(sim_chip *chip, uint8_t reg);
    void (*set16)(sim_chip *chip, uint8_t reg, uint16_t value);
} sim_chip_ops;

struct sim_chip { /* the first member of each chip's own struct */
    const sim_chip_ops *ops;
    i2c_bus *bus;
    uint8_t address;
    bool plugged;
    sim_signal inputs[SIM_MAX_INPUTS];
    double faults[SIM_N_FAULTS];
    uint8_t garble; /* bits to flip in the next byte that is read */

    uint8_t selected; /* the address called: the chip's own, or its companion */
    unsigned count;   /* bytes since the last start, either way */
    uint8_t pointer;  /* the register pointer */
    uint16_t word;    /* the 16 bits that are being read or written */
};

/* sim_chips.c: NULL-terminated. */
extern const sim_chip_ops *const sim_chips[];
/* NULL where there is none of that name. */
const sim_chip_ops *sim_chip_by_name(const char *name);

/* Ports, of which relay boards are made. */
extern const sim_chip_ops sim_mcp23017_ops, sim_pca9554_ops, sim_pcf8574_ops;

#define CHIP(name) extern const sim_chip_ops sim_##name##_ops;
#include "i2c/chips.def"
#undef CHIP

/* Behind the functions of sim.h. False where the chip is none of this kind. */
bool sim_co2_record_of(sim_chip *chip, sim_co2_record *record);
bool sim_display_of(sim_chip *chip, uint8_t image[SIM_DISPLAY_SIZE]);
bool sim_port_record_of(sim_chip *chip, sim_port_record *record);
bool sim_port_hold_of(sim_chip *chip, uint16_t pins);
bool sim_relay_record_of(sim_chip *chip, sim_relay_record *record);

/* Time in microseconds, the same throughout a transfer. */
int64_t sim_chip_now(const sim_chip *chip);
/* The present value of one of the chip's inputs. */
double sim_chip_input(sim_chip *chip, unsigned input);
/* A line for the trace, where one is kept. */
void sim_chip_trace(const sim_chip *chip, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whether a checksum is to be wrong. */
bool sim_chip_breaks_crc(const sim_chip *chip);

bool sim_write8(sim_chip *chip, uint8_t byte);
uint8_t sim_read8(sim_chip *chip);
bool sim_write16(sim_chip *chip, uint8_t byte);
uint8_t sim_read16(sim_chip *chip);

/* `value` rounded and kept within what an integer register can hold. */
int32_t sim_round(double value, int32_t min, int32_t max);

#endif
