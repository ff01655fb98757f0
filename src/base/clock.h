/* Time in microseconds. For any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC: for durations. It never jumps; its zero means nothing. */
int64_t base_monotonic_us(void);
/* CLOCK_REALTIME since 1970 UTC: for people. It may jump in both directions. */
int64_t base_wall_us(void);

#endif
