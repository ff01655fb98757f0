/*
 * Requests as they come: read, checked for their rights, answered at once or put into a device's
 * queue; before the first look at the buses is finished, held. Owner's thread.
 */
#ifndef HUB_INTAKE_H
#define HUB_INTAKE_H

#include "node.h"

/* As hub_request(). */
void intake_request(hub *hub, const char *node, unsigned rights, uint64_t asker, const char *line,
                    size_t length);
/*
 * Takes the requests that were held: all of them once the node is ready, and before it those in
 * front that are for a device which is there already.
 */
void intake_release(hub_node *node);

#endif
