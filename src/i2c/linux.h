/*
 * The Linux bus: /dev/i2c-N through the i2c-dev driver. Register accesses go through libi2c (SMBus
 * transfers), longer ones through I2C_RDWR where the adapter has it. Threads and results as in
 * bus.h.
 *
 * A name such as /dev/i2c-usb may be a link that a rule of udev made; what was opened must be a
 * device of i2c-dev. Opening locks that device (flock), whatever its name, so that no second hub or
 * bridge drives it, and waits up to three seconds for a predecessor's lock.
 */
#ifndef I2C_LINUX_H
#define I2C_LINUX_H

#include "bus.h"

extern const i2c_bus_kind linux_bus_kind;

#endif
