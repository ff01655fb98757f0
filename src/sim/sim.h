/*
 * The simulated bus: chips at register level, which the same drivers run on as on real ones. A chip
 * sees starts, bytes and stops, and takes the time that its data sheet says. What it measures comes
 * from signals (constant, or moving with time) that a scenario or a test gives.
 *
 * The calls of bus.h belong to the bus's thread. All functions in this header that take a bus may
 * be called from any thread: a lock inside makes them safe beside the bus's own.
 */
#ifndef SIM_H
#define SIM_H

#include "i2c/bus.h"
#include "sim_signal.h"

#include <stdatomic.h>

/* A monotonic time in microseconds and a sleep on it. */
typedef struct sim_clock {
    int64_t (*now)(void *baton);
    void (*sleep)(void *baton, int64_t microseconds);
    void *baton;
} sim_clock;

/* A clock that stands still but for sleeps (and for writes to *time): tests take no real time. */
sim_clock sim_fake_clock(_Atomic int64_t *time);

/*
 * Opens a simulated bus with a scenario file, or (file == NULL) with the default scenario: every
 * device, gently moving values. clock == NULL: CLOCK_MONOTONIC. 0, or a negative errno and `why`.
 */
int sim_bus_open(i2c_bus **bus, const char *file, const sim_clock *clock, char *why,
                 size_t why_size);
/* Whether a scenario file can be read, without opening a bus: 0, or -EINVAL and `why`. */
int sim_scenario_check(const char *file, char *why, size_t why_size);
/*
 * "sim" and "sim:FILE". Until on_report is called, a scenario file that was changed and is wrong is
 * reported on standard error.
 */
extern const i2c_bus_kind sim_bus_kind;
/* An empty bus, for tests to plug chips into. NULL where memory is short. */
i2c_bus *sim_bus_create(const sim_clock *clock);
/*
 * Keeps the chips alive beyond the bus's next close: it must be closed once more. As on real
 * hardware a second owner then finds the chips as the first one left them.
 */
void sim_bus_retain(i2c_bus *bus);

/*
 * Adds a powered-up chip ("tmp112"). False: no such chip, the address is taken, or memory is short.
 */
bool sim_add(i2c_bus *bus, const char *chip, uint8_t address);
/* Cuts a chip's power and takes it off the bus; plugs it in again, powered up anew. */
void sim_unplug(i2c_bus *bus, uint8_t address);
void sim_plug(i2c_bus *bus, uint8_t address);

/*
 * Gives one of a chip's inputs ("temperature") a signal or a constant value. False: it has no such
 * input.
 */
bool sim_set_signal(i2c_bus *bus, uint8_t address, const char *input, const sim_signal *signal);
bool sim_set(i2c_bus *bus, uint8_t address, const char *input, double value);

/* What can be wrong with a chip or, with SIM_STUCK, with the whole bus. */
typedef enum sim_fault {
    SIM_NO_ACKNOWLEDGE, /* the chip does not answer */
    SIM_STUCK,          /* the bus is held down by it: every transfer to any chip times out */
    SIM_SLOW,           /* every transfer takes `amount` seconds longer */
    SIM_WRONG_CRC,      /* checksums are wrong, where the chip has any */
    SIM_GARBAGE,        /* bytes read are random */
    SIM_N_FAULTS
} sim_fault;

/* "no-acknowledge", "stuck", "slow", "wrong-crc", "garbage" */
extern const char *const sim_fault_names[SIM_N_FAULTS];

/* Switches a fault on (amount > 0) or off (0). */
void sim_set_fault(i2c_bus *bus, uint8_t address, sim_fault fault, double amount);

/* The next byte that is read from a chip has these bits flipped, once. */
void sim_garble(i2c_bus *bus, uint8_t address, uint8_t bits);

/* Transfers to an address since the bus was made, refused ones included. */
unsigned sim_transfers(i2c_bus *bus, uint8_t address);
/*
 * Bytes written to it beyond the first of a transfer, which is a register's address or a command.
 */
unsigned sim_written(i2c_bus *bus, uint8_t address);

/* What the coil of a simulated relay module has gone through. Times in microseconds. */
typedef struct sim_relay_record {
    int contact;     /* 0, 1, or -1: never moved */
    bool energised;  /* now */
    unsigned pulses; /* complete ones */
    int64_t last_pulse;
    int64_t shortest_pulse; /* 0: none yet */
    int64_t longest_pulse;  /* a running one counts */
    int64_t shortest_gap;   /* between the starts of two pulses, 0: none yet */
    unsigned unsafe_starts; /* pins became outputs while the output register was not neutral */
    unsigned shorts;        /* both transistors of a half bridge were switched on */
} sim_relay_record;

/* False where there is no relay module at the address. */
bool sim_relay_read(i2c_bus *bus, uint8_t address, sim_relay_record *record);

/* What a simulated CO2 module was told. */
typedef struct sim_co2_record {
    unsigned measurements;
    uint8_t control;   /* calculation control of the last one */
    uint16_t pressure; /* that came with it, in units of 10 Pa; 0: none */
    bool charging;     /* now */
    bool powered;      /* the LP8, now */
} sim_co2_record;

/* False where there is no CO2 module at the address (its expander's). */
bool sim_co2_read(i2c_bus *bus, uint8_t address, sim_co2_record *record);

/* The pins of a simulated port expander (PCF8574, PCA9554, MCP23017) since power-up. */
typedef struct sim_port_record {
    uint16_t levels;      /* now */
    uint16_t driven;      /* that are outputs, now */
    unsigned changes[16]; /* of level, per pin */
} sim_port_record;

/* False where there is no plain port expander at the address. */
bool sim_port_read(i2c_bus *bus, uint8_t address, sim_port_record *record);

/*
 * Holds pins of a port expander low from outside, as pressed buttons do (a bit per pin; 0: none).
 * False where there is no plain port expander at the address.
 */
bool sim_port_hold(i2c_bus *bus, uint8_t address, uint16_t pins);

#define SIM_DISPLAY_SIZE 1024 /* bytes: 8 pages of 128 columns */

/*
 * What can be seen on a display: its memory, or darkness. False where there is none at the address.
 */
bool sim_display_read(i2c_bus *bus, uint8_t address, uint8_t image[SIM_DISPLAY_SIZE]);

#endif
