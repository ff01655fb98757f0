/*
 * The Linux bus: /dev/i2c-N through the i2c-dev driver. Register accesses go through libi2c (SMBus
 * transfers), longer ones through I2C_RDWR where the adapter has it. Used by bus.c alone; threads
 * and results as in bus.h.
 */
#ifndef I2C_LINUX_H
#define I2C_LINUX_H

#include "bus.h"

/* Opens and locks /dev/i2c-`number`, waiting up to three seconds for a predecessor's lock. */
int i2c_linux_open(i2c_bus **bus, int number, char *why, size_t why_size);

#endif
