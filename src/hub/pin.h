/* What is configured about one device by ClownTalkDevice. Owner's thread. */
#ifndef HUB_PIN_H
#define HUB_PIN_H

#include "devices/device.h"
#include "hub.h"
#include "talk/talk.h"

/* What a relay does when power comes on. */
typedef enum power_on { POWER_ON_KEEP, POWER_ON_ON, POWER_ON_OFF } power_on;

typedef struct pin {
    char type[TALK_MAX_TOPIC + 1];
    talk_address address;
    const device_driver *driver; /* NULL: the address is left alone */
    power_on power_on;
    char interlock[33];   /* group, or "" */
    double dead_time;     /* seconds */
    const char **options; /* the driver's own, NULL-terminated; or NULL */
    int drives;           /* the pin of the chip that the relay hangs on; -1: none, or several */
} pin;

/* NULL, or a sentence that says what is wrong. pin_clear() in any case. */
const char *pin_read(pin *pin, const hub_device_config *config, char *why, size_t why_size);
void pin_clear(pin *pin);
/* Calls this for the topic of each relay that it speaks of. */
void pin_each_relay(const pin *pin,
                    void (*visit)(void *baton, const struct pin *pin, const char *topic),
                    void *baton);
/* Whether two relays hang on one pin of a chip: NULL, or a sentence about the later line. */
const char *pin_clash(const pin *earlier, const pin *later, char *why, size_t why_size);

#endif
