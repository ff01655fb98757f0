#include "sim_chip.h"

#include <string.h>

/*
 * Every simulated chip. To add one: write sim_NAME.c with its table at the end (the shortest
 * example is sim_tca9534a.c with sim_relay_module.c), declare the table in sim_chip.h, list it here
 * and in local.mk, and give it a place in sim_default.c.
 */
const sim_chip_ops *const sim_chips[] = {
    &sim_co2_module_ops,
    &sim_hdc2080_ops,
    &sim_hts221_ops,
    &sim_mcp23017_ops,
    &sim_mpl3115a2_ops,
    &sim_opt3001_ops,
    &sim_pca9554_ops,
    &sim_pcf8574_ops,
    &sim_relay_module_ops,
    &sim_sht20_ops,
    &sim_ssd1306_ops,
    &sim_tmp112_ops,
    NULL,
};

const sim_chip_ops *sim_chip_by_name(const char *name)
{
    for (size_t i = 0; sim_chips[i]; i++) {
        if (strcmp(sim_chips[i]->name, name) == 0) {
            return sim_chips[i];
        }
    }
    return NULL;
}
