/*
 * What can be measured: the unit, and what a value of it can be. One table for all drivers and for
 * calibration, which must lead to nothing that cannot be. Any thread.
 */
#ifndef QUANTITY_H
#define QUANTITY_H

typedef struct quantity {
    const char *name; /* "relative-humidity" */
    const char *unit; /* "%" */
    double least, most;
} quantity;

/* NULL where there is none of that name: then nothing is known of its values. */
const quantity *quantity_by_name(const char *name);
/* The value, held within what it can be. NaN stays. */
double quantity_held(const char *name, double value);

#endif
