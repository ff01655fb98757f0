/*
 * The simulated bus as its own parts see it. Everything here but the first pair is called between
 * sim_bus_enter() and sim_bus_leave().
 *
 * These files build on each other, each only on those before it:
 *
 *   sim_signal.c     values that move with time
 *   sim_chip.c, sim_register.c    what chips ask of their bus, and what most of them are made of
 *   sim_NAME.c       a chip
 *   sim_chips.c      all of them
 *   sim_memory.c     chips that outlive the process; the trace
 *   sim_board.c      the chips on a bus
 *   sim_handles.c    the same for others, such as tests: by address, with the lock taken
 *   sim_scenario.c   a scenario, read
 *   sim_default.c, sim_player.c    the default scenario, and one that is played
 *   sim_bus.c        transfers; opening and closing
 */
#ifndef SIM_BUS_H
#define SIM_BUS_H

#include "sim_chip.h"
#include "sim_scenario.h"

#include <pthread.h>
#include <sys/types.h>
#include <time.h>

#define SIM_ADDRESSES 128

/* The scenario that a bus plays, and the file that it came from; sim_player.c's. */
typedef struct sim_player {
    char *file;             /* NULL: there is none to watch */
    sim_scenario *scenario; /* NULL: nothing happens by itself */
    int64_t next_look;      /* at the file, on the bus's clock */
    struct timespec modified;
    off_t size;
    ino_t inode;
} sim_player;

typedef struct sim_bus {
    i2c_bus bus;
    sim_clock clock;
    pthread_mutex_t lock; /* guards what follows, and the chips */
    unsigned references;
    int64_t epoch;                  /* time 0 of the signals */
    int64_t now;                    /* as of the last sim_bus_enter() */
    uint64_t random;                /* for garbage */
    sim_chip *chips[SIM_ADDRESSES]; /* by address, and once more by companion address */
    unsigned transfers[SIM_ADDRESSES];
    unsigned written[SIM_ADDRESSES]; /* bytes beyond the first of a transfer */
    sim_player player;
    double clock_frequency; /* Hz, 0: transfers take no time */
    void (*report)(void *baton, const char *text);
    void *report_baton;
    uint8_t *memory; /* that chips live in, or NULL: each has its own; sim_memory.c's */
    int memory_fd;
    int trace_fd;
} sim_bus;

/* sim_board.c */
/* Takes the lock and sets the time that the chips see; releases the lock. */
void sim_bus_enter(sim_bus *bus);
void sim_bus_leave(sim_bus *bus);

/* Reports a sentence for people (on_report of the bus). */
void sim_bus_report(sim_bus *bus, const char *text);
/* Adds a powered-up chip. NULL: an address is taken, or memory is short. */
sim_chip *sim_bus_add(sim_bus *bus, const sim_chip_ops *ops, uint8_t address);
/* Cuts a chip's power and takes it off the bus for good. */
void sim_bus_remove(sim_bus *bus, sim_chip *chip);
/* Only takes it off the bus, at the end of that: the chip does not see its power go. */
void sim_bus_discard(sim_bus *bus, sim_chip *chip);
void sim_bus_power(sim_chip *chip, bool on);
bool sim_bus_set_signal(sim_chip *chip, const char *input, const sim_signal *signal);

/* sim_default.c: fills an empty bus with every device. False where memory is short. */
bool sim_default_scenario(i2c_bus *bus);

#endif
