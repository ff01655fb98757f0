/* When a device's values are published, as config/set changes it and config/get shows it. */
#ifndef HUB_SETTINGS_H
#define HUB_SETTINGS_H

#include "devices/device.h"

/* Bounds of `publish-interval` and `heartbeat`, in seconds. */
#define SETTINGS_MIN_INTERVAL 0.1
#define SETTINGS_MAX_INTERVAL 86400.0
#define SETTINGS_MAX_OFFSET   1e6

typedef struct settings {
    double interval;                     /* seconds between publications, 0: none */
    double delta[DEVICE_MAX_QUANTITIES]; /* publish only a change of at least this, 0: everything */
    double heartbeat; /* seconds: but at least this often, 0: never for that alone */
    double offset[DEVICE_MAX_QUANTITIES]; /* added to what was measured */
} settings;

#endif
