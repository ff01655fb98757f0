/*
 * A growing list of measured times, for medians and percentiles. It belongs to one thread. It holds
 * SAMPLES_MAX values at most: what comes after them is counted and otherwise dropped.
 */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLES_MAX ((size_t)1 << 23)

typedef struct samples { /* all zero: empty */
    int64_t *values;     /* nanoseconds */
    size_t count, capacity;
    size_t dropped;
} samples;

void samples_add(samples *list, int64_t nanoseconds);
/* The value below which a share of 0 to 1 of them lies, in microseconds; 0 where there are none. */
double samples_quantile(samples *list, double share);
void samples_clear(samples *list);
void samples_free(samples *list);

/* Monotonic time in nanoseconds. */
int64_t clock_ns(void);

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS     INT64_C(1000000)

#endif
