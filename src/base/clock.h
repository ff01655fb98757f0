/* Time in microseconds. For any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC: for durations. It never jumps; its zero means nothing. */
int64_t base_monotonic_us(void);
/*
 * CLOCK_BOOTTIME: since the machine's start, suspended time included. It never jumps, and goes on
 * from process to process as long as the boot's id is the same.
 */
int64_t base_boottime_us(void);
/* CLOCK_REALTIME since 1970 UTC: for people. It may jump in both directions. */
int64_t base_wall_us(void);

#define BASE_BOOT_ID 64 /* bytes that a boot's id may take */

/* The kernel's name for this start of the machine, no other start has it; "" where it has none. */
void base_boot_id(char id[BASE_BOOT_ID]);

#endif
