/* Reading directives: what is right, and a sentence for what is not. No hardware is touched. */
#include "ground.h"
#include "pin.h"
#include "settings.h"

#include "base/append.h"
#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long an interlock keeps every relay off between two, unless `dead-time` says otherwise. */
#define DEFAULT_DEAD_TIME 0.5
#define MAX_DEAD_TIME     60.0

static bool read_seconds(const char *text, double *value)
{
    char *end;

    if (!*text || strspn(text, "0123456789.eE+-") != strlen(text)) {
        return false;
    }
    *value = strtod(text, &end);
    return end != text && !*end && isfinite(*value) && *value >= 0;
}

const char *hub_check_bus(const hub_bus_config *bus, const i2c_bus_kind *const *kinds, char *why,
                          size_t why_size)
{
    if (bus->label < 0 || bus->label > 99) {
        snprintf(why, why_size, "a bus's label must be 0 to 99, not %d", bus->label);
        return why;
    }
    return i2c_bus_check(kinds, bus->device, why, why_size) < 0 ? why : NULL;
}

const char *hub_read_bus_option(hub_bus_config *bus, const char *option, char *why, size_t why_size)
{
    if (strcmp(option, "modules=bigclown") == 0) {
        bus->modules = HUB_MODULES_BIGCLOWN;
    } else if (strcmp(option, "modules=none") == 0) {
        bus->modules = HUB_MODULES_NONE;
    } else {
        snprintf(why, why_size, "a bus's option must be modules=bigclown or modules=none, not '%s'",
                 option);
        return why;
    }
    return NULL;
}

/* ---- ClownTalkPublishInterval ---- */

static void add_type(char *list, size_t size, const char *type)
{
    size_t bytes = strlen(type);

    /* Whole names only. */
    for (const char *at = list; (at = strstr(at, type)); at += bytes) {
        if ((at == list || at[-1] == ' ') && (at[bytes] == ',' || !at[bytes])) {
            return;
        }
    }
    base_append_item(list, size, type);
}

static void list_types(char *list, size_t size)
{
    *list = 0;
    for (const device_driver *const *driver = device_drivers; *driver; driver++) {
        add_type(list, size, (*driver)->type);
    }
    add_type(list, size, "led");
}

const char *hub_check_interval(const hub_interval_config *interval, char *why, size_t why_size)
{
    char types[256];

    if (!device_driver_by_type(interval->type) && strcmp(interval->type, "led") != 0) {
        list_types(types, sizeof(types));
        snprintf(why, why_size, "the type must be one of %s, not '%s'", types, interval->type);
        return why;
    }
    if (!(interval->seconds >= SETTINGS_MIN_INTERVAL &&
          interval->seconds <= SETTINGS_MAX_INTERVAL)) {
        snprintf(why, why_size, "the publish interval must be 0.1 to 86400 seconds, not %g",
                 interval->seconds);
        return why;
    }
    return NULL;
}

/* ---- ClownTalkDevice ---- */

static const char *read_topic(pin *pin, const char *topic, char *why, size_t why_size)
{
    const char *slash = strchr(topic, '/');
    size_t length = slash ? (size_t)(slash - topic) : 0;

    if (!length || length >= sizeof(pin->type) || !talk_address_parse(slash + 1, &pin->address) ||
        !pin->address.on_bus) {
        snprintf(why, why_size,
                 "a device must be named TYPE/i2cBUS-ADDRESS, such as relay/i2c0-20 or, for one "
                 "relay of several, relay/i2c0-20-3, not '%s'",
                 topic);
        return why;
    }
    if (pin->address.chip < I2C_FIRST_ADDRESS || pin->address.chip > I2C_LAST_ADDRESS) {
        snprintf(why, why_size, "an address must be 08 to 77, not %02x", pin->address.chip);
        return why;
    }
    memcpy(pin->type, topic, length);
    pin->type[length] = 0;
    return NULL;
}

static void list_drivers(char *list, size_t size, const char *type)
{
    *list = 0;
    for (const device_driver *const *driver = device_drivers; *driver; driver++) {
        if (strcmp((*driver)->type, type) == 0) {
            add_type(list, size, (*driver)->name);
        }
    }
}

/* A chip may have drivers for several types: type and name must both fit. */
static const device_driver *find_driver(const char *type, const char *name)
{
    for (const device_driver *const *driver = device_drivers; *driver; driver++) {
        if (strcmp((*driver)->type, type) == 0 && (!name || strcmp((*driver)->name, name) == 0)) {
            return *driver;
        }
    }
    return NULL;
}

/* Without a driver's name: the one that is usual at this address, or the type's first. */
static const device_driver *usual_driver(const char *type, uint8_t chip)
{
    for (const device_driver *const *driver = device_drivers; *driver; driver++) {
        for (const uint8_t *address = (*driver)->addresses; address && *address; address++) {
            if (*address == chip && strcmp((*driver)->type, type) == 0) {
                return *driver;
            }
        }
    }
    return find_driver(type, NULL);
}

static const char *read_driver(pin *pin, const char *name, char *why, size_t why_size)
{
    char list[256];

    pin->driver = name ? find_driver(pin->type, name) : usual_driver(pin->type, pin->address.chip);
    if (!pin->driver) {
        list_drivers(list, sizeof(list), pin->type);
        if (*list) {
            snprintf(why, why_size, "a %s's driver must be one of %s, or none, not '%s'", pin->type,
                     list, name);
        } else {
            list_types(list, sizeof(list));
            snprintf(why, why_size, "a device's type must be one of %s, not '%s'", list, pin->type);
        }
        return why;
    }
    if (pin->address.channel >= 0 &&
        (!pin->driver->relay || (unsigned)pin->address.channel >= pin->driver->relay->channels ||
         pin->driver->relay->channels == 1)) {
        unsigned channels = pin->driver->relay ? pin->driver->relay->channels : 1;
        if (channels > 1) {
            snprintf(why, why_size, "a %s has the relays -0 to -%u, not -%d", pin->driver->name,
                     channels - 1, pin->address.channel);
        } else {
            snprintf(why, why_size, "a %s has no channels: leave out -%d", pin->driver->name,
                     pin->address.channel);
        }
        return why;
    }
    return NULL;
}

static const char *read_power_on(pin *pin, const char *value, char *why, size_t why_size)
{
    if (strcmp(value, "keep") == 0) {
        pin->power_on = POWER_ON_KEEP;
    } else if (strcmp(value, "on") == 0) {
        pin->power_on = POWER_ON_ON;
    } else if (strcmp(value, "off") == 0) {
        pin->power_on = POWER_ON_OFF;
    } else {
        snprintf(why, why_size, "power-on must be keep, on or off, not '%s'", value);
        return why;
    }
    return NULL;
}

static const char *read_interlock(pin *pin, const char *value, char *why, size_t why_size)
{
    size_t length = strlen(value);

    if (!length || length >= sizeof(pin->interlock) ||
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
            length) {
        snprintf(why, why_size,
                 "an interlock's name must be 1 to 32 letters, digits, - and _, not '%s'", value);
        return why;
    }
    memcpy(pin->interlock, value, length + 1);
    return NULL;
}

static const char *read_dead_time(pin *pin, const char *value, char *why, size_t why_size)
{
    if (read_seconds(value, &pin->dead_time) && pin->dead_time <= MAX_DEAD_TIME) {
        return NULL;
    }
    snprintf(why, why_size, "dead-time must be 0 to 60 seconds, not '%s'", value);
    return why;
}

static const char *read_option(pin *pin, const char *option, size_t *n_own, char *why,
                               size_t why_size)
{
    const char *value = strchr(option, '=');
    char name[64];

    if (!value || value == option || (size_t)(value - option) >= sizeof(name)) {
        snprintf(why, why_size, "an option must be NAME=VALUE, not '%s'", option);
        return why;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(value - option), option);
    value++;
    if (pin->driver->relay) {
        if (strcmp(name, "power-on") == 0) {
            return read_power_on(pin, value, why, why_size);
        }
        if (strcmp(name, "interlock") == 0) {
            return read_interlock(pin, value, why, why_size);
        }
        if (strcmp(name, "dead-time") == 0) {
            return read_dead_time(pin, value, why, why_size);
        }
    }
    if (!pin->driver->option) {
        snprintf(why, why_size, "a %s has no option '%s'%s", pin->driver->name, name,
                 pin->driver->relay ? ", only power-on, interlock and dead-time" : "");
        return why;
    }
    const char *wrong = pin->driver->option(NULL, name, value);
    if (wrong) {
        snprintf(why, why_size, "%s=%s: %s%s", name, value, wrong,
                 pin->driver->relay ? " (and power-on, interlock and dead-time)" : "");
        return why;
    }
    pin->options[(*n_own)++] = hub_copy(option);
    return NULL;
}

/* The pin that a relay hangs on; a line for all relays of a chip cannot name one. */
static const char *read_drives(pin *pin, char *why, size_t why_size)
{
    uint8_t state[DEVICE_MAX_STATE] = {0};
    const relay_ops *relay = pin->driver->relay;

    if (!relay || !relay->pin) {
        return NULL;
    }
    for (const char **option = pin->options; *option; option++) {
        if (strncmp(*option, "pin=", 4) == 0 && pin->address.channel < 0) {
            snprintf(why, why_size,
                     "%s is for one relay of several, and this line is for all of them: it must "
                     "name one, such as %s/i2c%d-%02x-0",
                     *option, pin->type, pin->address.bus, pin->address.chip);
            return why;
        }
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(*option, "="), *option);
        pin->driver->option(state, name, strchr(*option, '=') + 1);
    }
    if (pin->address.channel >= 0) {
        pin->drives = relay->pin(state, pin->address.channel);
    }
    return NULL;
}

const char *pin_read(pin *pin, const hub_device_config *config, char *why, size_t why_size)
{
    size_t n_options = 0, n_own = 0;
    const char *wrong;

    *pin = (struct pin){.dead_time = DEFAULT_DEAD_TIME, .drives = -1};
    while (config->options && config->options[n_options]) {
        n_options++;
    }
    if ((wrong = read_topic(pin, config->topic, why, why_size))) {
        return wrong;
    }
    if (config->driver && strcmp(config->driver, "none") == 0) {
        if (!n_options) {
            return NULL;
        }
        snprintf(why, why_size, "none leaves %s alone and takes no options", config->topic);
        return why;
    }
    if ((wrong = read_driver(pin, config->driver, why, why_size))) {
        return wrong;
    }
    if (!(pin->options = calloc(n_options + 1, sizeof(*pin->options)))) {
        base_out_of_memory();
    }
    for (size_t i = 0; i < n_options; i++) {
        if ((wrong = read_option(pin, config->options[i], &n_own, why, why_size))) {
            return wrong;
        }
    }
    return read_drives(pin, why, why_size);
}

void pin_clear(pin *pin)
{
    for (const char **option = pin->options; option && *option; option++) {
        free((char *)*option);
    }
    free(pin->options);
    pin->options = NULL;
}

void pin_each_relay(const pin *pin,
                    void (*visit)(void *baton, const struct pin *pin, const char *topic),
                    void *baton)
{
    unsigned channels = pin->driver && pin->driver->relay ? pin->driver->relay->channels : 0;
    talk_address address = pin->address;

    for (unsigned channel = 0; channel < channels; channel++) {
        char text[TALK_MAX_ADDRESS], topic[TALK_MAX_TOPIC * 2];
        if (channels > 1 && pin->address.channel >= 0 && pin->address.channel != (int)channel) {
            continue;
        }
        address.channel = channels > 1 ? (int)channel : -1;
        talk_address_format(&address, text);
        snprintf(topic, sizeof(topic), "%s/%s", pin->type, text);
        visit(baton, pin, topic);
    }
}

const char *pin_clash(const pin *earlier, const pin *later, char *why, size_t why_size)
{
    const talk_address *a = &earlier->address, *b = &later->address;

    if (later->drives < 0 || earlier->drives != later->drives || a->bus != b->bus ||
        a->chip != b->chip || a->channel == b->channel) {
        return NULL;
    }
    snprintf(why, why_size, "pin %d of this %s is %s/i2c%d-%02x-%d's already; a pin has one relay",
             later->drives, later->driver->name, earlier->type, a->bus, a->chip, a->channel);
    return why;
}

const char *hub_check_device(const hub_device_config *device, const hub_device_config *earlier,
                             size_t n_earlier, char *why, size_t why_size)
{
    pin mine, other;
    const char *wrong = pin_read(&mine, device, why, why_size);

    for (size_t i = 0; i < n_earlier && !wrong; i++) {
        if (!pin_read(&other, &earlier[i], why, why_size)) {
            wrong = pin_clash(&other, &mine, why, why_size);
        }
        pin_clear(&other);
    }
    pin_clear(&mine);
    return wrong;
}
