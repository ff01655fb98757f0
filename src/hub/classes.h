/* The classes of devices. The only place, beside their own files, where they have names. */
#ifndef HUB_CLASSES_H
#define HUB_CLASSES_H

#include "class.h"
#include "devices/device.h"

extern const hub_class class_sensor, class_relay, class_display; /* what a driver drives */
extern const hub_class class_led;                                /* led/- */
extern const hub_class class_raw;                                /* i2c/BUS */

const hub_class *class_of_driver(const device_driver *driver);

#endif
