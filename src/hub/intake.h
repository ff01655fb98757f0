/*
 * Requests as they come: read, checked for their rights, answered at once or put into a device's
 * queue; before the first look at the buses is finished, held. After it
 * those for a device that is not there are held on, since a chip that is just getting its power, or
 * that converts, is not found before the second look. Owner's thread.
 */
#ifndef HUB_INTAKE_H
#define HUB_INTAKE_H

#include "node.h"

/* As hub_request(). */
void intake_request(hub *hub, const char *node, unsigned rights, uint64_t asker, const char *line,
                    size_t length);
/*
 * Takes the requests that were held: once the node is ready all but those for a device that may
 * still be found, and before it those in front that are for a device which is there already.
 */
void intake_release(hub_node *node);
/* When what is held on is to be released, in microseconds of hub_now(); HUB_NEVER. */
int64_t intake_due(const hub_node *node);

#endif
