#include "sim_chip.h"

#include <string.h>

/*
 * Every simulated chip. To add one: write sim_NAME.c with its table at the end (the shortest
 * example is sim_tca9534a.c with sim_relay_module.c), declare the table in sim_chip.h, list it here
 * and in local.mk, and give it a place in sim_default.c.
 */
const sim_chip_ops *const sim_chips[] = {
    &sim_relay_module_ops,
    &sim_tmp112_ops,
    NULL,
};

const sim_chip_ops *sim_chip_by_name(const char *name)
{
    for (size_t i = 0; sim_chips[i]; i++)
        if (strcmp(sim_chips[i]->name, name) == 0)
            return sim_chips[i];
    return NULL;
}
