#include "quantity.h"

#include <stddef.h>
#include <string.h>

/* docs/devices.md has the same table. */
static const quantity quantities[] = {
    {"temperature", "℃", -273.15, 1000}, /* from absolute zero */
    {"relative-humidity", "%", 0, 100},
    {"illuminance", "lux", 0, 200000}, /* the sun: up to 130,000 */
    {"pressure", "kPa", 0, 300},
    {"altitude", "m", -12000, 50000},
    {"concentration", "ppm", 0, 1000000}, /* parts of a million */
};

const quantity *quantity_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof quantities / sizeof *quantities; i++) {
        if (strcmp(quantities[i].name, name) == 0) {
            return &quantities[i];
        }
    }
    return NULL;
}

double quantity_held(const char *name, double value)
{
    const quantity *known = quantity_by_name(name);
    if (!known) {
        return value;
    }
    return value < known->least ? known->least : value > known->most ? known->most : value;
}
