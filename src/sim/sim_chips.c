#include "sim_chip.h"

#include <string.h>

#define CHIP(name) &sim_##name##_ops,
const sim_chip_ops *const sim_chips[] = {
#include "i2c/chips.def"
    &sim_mcp23017_ops,
    &sim_pca9554_ops,
    &sim_pcf8574_ops,
    NULL,
};
#undef CHIP

const sim_chip_ops *sim_chip_by_name(const char *name)
{
    for (size_t i = 0; sim_chips[i]; i++) {
        if (strcmp(sim_chips[i]->name, name) == 0) {
            return sim_chips[i];
        }
    }
    return NULL;
}
