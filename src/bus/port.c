/* Addresses at which a chip without registers may sit. */
#include "port.h"

#include <stdio.h>

static bool may_hold_port(uint8_t address)
{
    return (address >= 0x20 && address <= 0x27) || (address >= 0x38 && address <= 0x3f);
}

static bool is_pinned(const worker_config *bus, uint8_t address)
{
    for (size_t i = 0; i < bus->n_pins; i++) {
        if (bus->pins[i].address == address) {
            return true;
        }
    }
    return false;
}

static bool is_a_modules(uint8_t address)
{
    for (const device_driver *const *driver = device_drivers; *driver; driver++) {
        for (const uint8_t *usual = (*driver)->addresses; usual && *usual; usual++) {
            if (*usual == address) {
                return true;
            }
        }
    }
    return false;
}

bool port_is_unasked(const worker_config *bus, uint8_t address)
{
    return may_hold_port(address) && !is_pinned(bus, address) &&
           !(bus->modules && is_a_modules(address));
}

size_t port_advise(const worker_config *bus, uint8_t address, port_line lines[PORT_MAX_LINES])
{
    static const char *const drivers[] = {"pcf8574", "none"};
    size_t n = 0;

    if (!bus->modules && is_a_modules(address)) {
        snprintf(lines[n++].text, sizeof(lines->text), "ClownTalkBus %d %s modules=bigclown",
                 bus->label, bus->device);
    }
    for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++) {
        snprintf(lines[n++].text, sizeof(lines->text), "ClownTalkDevice relay/i2c%d-%02x %s",
                 bus->label, address, drivers[i]);
    }
    return n;
}
