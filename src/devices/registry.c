#include "device.h"

#include <string.h>

extern const device_driver co2_module_driver, hdc2080_driver, hts221_driver, mcp23017_driver,
    mpl3115a2_driver, opt3001_driver, pca9554_driver, pcf8574_driver, relay_module_driver,
    sht20_driver, ssd1306_driver, tca9534_driver, tmp112_driver;

/*
 * Every driver, in the order in which an address is offered to them: where two chips share one, the
 * chip that can be told by its identity registers comes first.
 *
 * To add a chip: write NAME.c (tmp112.c is the shortest sensor, pcf8574.c the shortest relay) with
 * a const device_driver at its end, name it above and here, list the file in local.mk, and write a
 * simulated chip beside it in src/sim/sim_NAME.c, so that t/unit/NAME.c can test the one against
 * the other.
 */
const device_driver *const device_drivers[] = {
    &relay_module_driver, /* first: a coil that a crash left energised cannot wait */
    &tmp112_driver,
    &opt3001_driver,
    &hts221_driver,
    &hdc2080_driver, /* before sht20, which shares its address and has no identity */
    &sht20_driver,
    &mpl3115a2_driver,
    &co2_module_driver,
    &ssd1306_driver,
    /* Boards that are never looked for, only used where ClownTalkDevice names them. */
    &pcf8574_driver,
    &pca9554_driver,
    &tca9534_driver,
    &mcp23017_driver,
    NULL,
};

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
