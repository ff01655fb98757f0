/*
 * A bus that injects faults into another one, for tests. It passes every call on to the bus that it
 * wraps and owns, except where a rule says otherwise.
 *
 * The calls of bus.h belong to the bus's thread; the functions here may be called from any.
 */
#ifndef I2C_FAULT_H
#define I2C_FAULT_H

#include "bus.h"

typedef enum fault_kind {
    FAULT_ERROR,      /* the transfer is not carried out and fails with `error` */
    FAULT_LOST_REPLY, /* the transfer is carried out, and then reported as failed with `error` */
    FAULT_DELAY,      /* the transfer takes `delay` longer */
    FAULT_GARBAGE,    /* what was read is replaced by `garbage` bytes */
} fault_kind;

#define FAULT_READS  1u /* transfers that read */
#define FAULT_WRITES 2u /* transfers that only write */

typedef struct fault_rule {
    fault_kind kind;
    uint8_t address;     /* 0: any */
    unsigned directions; /* FAULT_READS, FAULT_WRITES, or 0: both */
    int reg;             /* only where this is the first byte written; negative: any */
    unsigned skip;       /* this number of matching transfers passes first */
    unsigned count;      /* then this number is hit; 0: all */
    int error;           /* a negative errno */
    int64_t delay;       /* microseconds */
    uint8_t garbage;
} fault_rule;

/* Wraps `inner`, which is closed together with it. NULL where memory is short. */
i2c_bus *fault_bus_create(i2c_bus *inner);
/* Adds a rule; the first that matches counts. False when there are too many (16). */
bool fault_bus_add(i2c_bus *bus, const fault_rule *rule);
void fault_bus_clear(i2c_bus *bus);
/* Transfers that were asked for since the bus was made, those that failed included. */
unsigned fault_bus_transfers(i2c_bus *bus);

#endif
