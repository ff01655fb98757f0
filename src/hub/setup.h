/* From the configuration to nodes, buses and their threads' workers. Owner's thread. */
#ifndef HUB_SETUP_H
#define HUB_SETUP_H

#include "node.h"

/* Copies the configuration in and creates what it names; nothing is started. */
void setup_nodes(hub *hub, const hub_config *config);
void setup_free_node(hub_node *node);

#endif
