/*
 * What the drivers' raw values mean: pure functions, tested over their whole range. For the drivers
 * themselves and their tests; any thread.
 */
#ifndef CONVERSIONS_H
#define CONVERSIONS_H

#include <stdint.h>

double tmp112_raw_to_celsius(uint16_t raw);

#endif
