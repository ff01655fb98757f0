/*
 * What lets simulated hardware outlive the process that drives it, as real hardware does, and what
 * tells others what has happened to it. Part of the bus, which calls it with its lock held.
 *
 *   memory  a file, mapped, that the chips live in: a program that was killed in the middle of a
 *           relay's pulse leaves the coil energised for the next one. It is locked like a real bus.
 *   trace   a file that every transfer, and all that moves, is written to as a line of text.
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "sim_bus.h"

/* 0, or a negative errno and `why`. Waits up to three seconds for another owner to end (-EBUSY). */
int sim_memory_open(sim_bus *bus, const char *path, char *why, size_t why_size);
/*
 * The place of a chip, and whether it holds what that very chip left there. NULL: it is too large.
 */
void *sim_memory_place(sim_bus *bus, const sim_chip_ops *ops, uint8_t address, bool *kept);
/* Notes the time of an access. */
void sim_memory_touch(sim_bus *bus);
void sim_memory_forget(sim_bus *bus, uint8_t address);
void sim_memory_close(sim_bus *bus);

int sim_trace_open(sim_bus *bus, const char *path, char *why, size_t why_size);
void sim_trace_transfer(sim_bus *bus, uint8_t address, const uint8_t *write, size_t write_length,
                        const uint8_t *read, size_t read_length, int result);
void sim_trace_close(sim_bus *bus);

#endif
