#include "device.h"

#include <string.h>

/* Boards that are never looked for, only used where ClownTalkDevice names them. */
extern const device_driver mcp23017_driver, pca9554_driver, pcf8574_driver, tca9534_driver;

#define CHIP(name) extern const device_driver name##_driver;
#include "i2c/chips.def"
#undef CHIP

#define CHIP(name) &name##_driver,
const device_driver *const device_drivers[] = {
#include "i2c/chips.def"
    &pcf8574_driver, &pca9554_driver, &tca9534_driver, &mcp23017_driver, NULL,
};
#undef CHIP

const device_driver *device_driver_by_name(const char *name)
{
    for (size_t i = 0; device_drivers[i]; i++) {
        if (strcmp(device_drivers[i]->name, name) == 0) {
            return device_drivers[i];
        }
    }
    return NULL;
}

const device_driver *device_driver_by_type(const char *type)
{
    for (size_t i = 0; device_drivers[i]; i++) {
        if (strcmp(device_drivers[i]->type, type) == 0) {
            return device_drivers[i];
        }
    }
    return NULL;
}
