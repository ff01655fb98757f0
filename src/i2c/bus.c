/* Finds the kind of bus by its device string, and checks every access before the bus sees it. */
#include "bus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_TRANSFER 8192 /* bytes in one message: the limit of Linux's I2C_RDWR */

static const i2c_bus_kind *find_kind(const i2c_bus_kind *const *kinds, const char *device)
{
    while (*kinds && !(*kinds)->recognises(device)) {
        kinds++;
    }
    return *kinds;
}

/* "/dev/i2c-N, sim or sim:FILE": the forms of all kinds. */
static void list_forms(const i2c_bus_kind *const *kinds, char *list, size_t size)
{
    size_t n_forms = 0, listed = 0, length = 0;
    for (size_t i = 0; kinds[i]; i++) {
        for (size_t j = 0; kinds[i]->forms[j]; j++) {
            n_forms++;
        }
    }
    list[0] = '\0';
    for (size_t i = 0; kinds[i]; i++) {
        for (size_t j = 0; kinds[i]->forms[j] && length < size; j++) {
            const char *separator = listed == 0 ? "" : listed + 1 == n_forms ? " or " : ", ";
            length += (size_t)snprintf(list + length, size - length, "%s%s", separator,
                                       kinds[i]->forms[j]);
            listed++;
        }
    }
}

int i2c_bus_check(const i2c_bus_kind *const *kinds, const char *device, char *why, size_t why_size)
{
    const i2c_bus_kind *kind = find_kind(kinds, device);
    if (kind) {
        return kind->check ? kind->check(device, why, why_size) : 0;
    }
    char forms[256];
    list_forms(kinds, forms, sizeof forms);
    snprintf(why, why_size, "a bus must be %s, not '%s'", forms, device);
    return -EINVAL;
}

bool i2c_bus_is_simulated(const i2c_bus_kind *const *kinds, const char *device)
{
    const i2c_bus_kind *kind = find_kind(kinds, device);
    return kind && kind->simulated;
}

int i2c_bus_open(const i2c_bus_kind *const *kinds, i2c_bus **bus, const char *device, char *why,
                 size_t why_size)
{
    *bus = NULL;
    int result = i2c_bus_check(kinds, device, why, why_size);
    return result < 0 ? result : find_kind(kinds, device)->open(bus, device, why, why_size);
}

void i2c_bus_close(i2c_bus *bus)
{
    if (bus) {
        bus->ops->close(bus);
    }
}

int i2c_read_register(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *data, size_t length)
{
    if (address > 0x7f || length < 1 || length > I2C_MAX_REGISTER_BLOCK) {
        return -EINVAL;
    }
    return bus->ops->read_register(bus, address, reg, data, length);
}

int i2c_write_register(i2c_bus *bus, uint8_t address, uint8_t reg, const uint8_t *data,
                       size_t length)
{
    if (address > 0x7f || length > I2C_MAX_REGISTER_BLOCK) {
        return -EINVAL;
    }
    return bus->ops->write_register(bus, address, reg, data, length);
}

int i2c_transfer(i2c_bus *bus, uint8_t address, const uint8_t *write, size_t write_length,
                 uint8_t *read, size_t read_length)
{
    if (address > 0x7f || write_length > MAX_TRANSFER || read_length > MAX_TRANSFER ||
        write_length + read_length == 0) {
        return -EINVAL;
    }
    return bus->ops->transfer(bus, address, write, write_length, read, read_length);
}

int i2c_read8(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *value)
{
    return i2c_read_register(bus, address, reg, value, 1);
}

int i2c_read_agreed(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *data, size_t length)
{
    uint8_t first[I2C_MAX_REGISTER_BLOCK], second[I2C_MAX_REGISTER_BLOCK];
    int result = i2c_read_register(bus, address, reg, first, length);
    if (result >= 0) {
        result = i2c_read_register(bus, address, reg, data, length);
    }
    if (result < 0 || memcmp(first, data, length) == 0) {
        return result;
    }
    memcpy(second, data, length);
    result = i2c_read_register(bus, address, reg, data, length);
    if (result < 0) {
        return result;
    }
    return memcmp(first, data, length) == 0 || memcmp(second, data, length) == 0 ? 0 : -EIO;
}

int i2c_write8(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t value)
{
    return i2c_write_register(bus, address, reg, &value, 1);
}

int i2c_write8_verified(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t value)
{
    uint8_t found;
    int result = i2c_write8(bus, address, reg, value);
    if (result >= 0) {
        result = i2c_read8(bus, address, reg, &found);
    }
    if (result < 0) {
        return result;
    }
    return found == value ? 0 : -EIO;
}

int i2c_read16be(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t *value)
{
    uint8_t data[2];
    int result = i2c_read_register(bus, address, reg, data, sizeof data);
    if (result >= 0) {
        *value = (uint16_t)(data[0] << 8 | data[1]);
    }
    return result;
}

int i2c_write16be(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t value)
{
    const uint8_t data[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    return i2c_write_register(bus, address, reg, data, sizeof data);
}

int i2c_probe(i2c_bus *bus, uint8_t address)
{
    uint8_t byte;
    int result = i2c_transfer(bus, address, NULL, 0, &byte, 1);
    return result < 0 ? result : 0;
}
