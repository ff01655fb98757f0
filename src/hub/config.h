/* config/get and config/set of any device (docs/protocol.md). Owner's thread. */
#ifndef HUB_CONFIG_H
#define HUB_CONFIG_H

#include "devices.h"
#include "request.h"

/* Answers config/get; carries out and answers config/set. */
void config_begin(hub_device *device, request *request);
/* Takes over what is remembered about a device's settings. */
void config_remember(hub_device *device);

#endif
