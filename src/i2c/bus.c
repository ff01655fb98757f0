/* Opens buses by their device strings, and checks every access before an implementation sees it. */
#include "bus.h"

#include "sim/sim.h"
#include "linux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TRANSFER 8192 /* bytes in one message: the limit of Linux's I2C_RDWR */

/* The N of "/dev/i2c-N", or -1. */
static int linux_bus_number(const char *device)
{
    static const char prefix[] = "/dev/i2c-";
    const char *digits = device + sizeof prefix - 1;
    if (strncmp(device, prefix, sizeof prefix - 1) != 0) {
        return -1;
    }
    size_t n = strspn(digits, "0123456789");
    if (n < 1 || n > 7 || digits[n] != '\0' || (digits[0] == '0' && n > 1)) {
        return -1;
    }
    return atoi(digits);
}

int i2c_bus_check(const char *device, char *why, size_t why_size)
{
    if (strcmp(device, "sim") == 0 || linux_bus_number(device) >= 0) {
        return 0;
    }
    if (strncmp(device, "sim:", 4) == 0 && device[4] != '\0') {
        return sim_scenario_check(device + 4, why, why_size);
    }
    snprintf(why, why_size,
             "a bus must be /dev/i2c-N, sim or sim:FILE (a scenario of simulated chips), not '%s'",
             device);
    return -EINVAL;
}

int i2c_bus_open(i2c_bus **bus, int label, const char *device, char *why, size_t why_size)
{
    *bus = NULL;
    int result = i2c_bus_check(device, why, why_size);
    if (result < 0) {
        return result;
    }
    int number = linux_bus_number(device);
    if (number >= 0) {
        result = i2c_linux_open(bus, number, why, why_size);
    } else {
        result = sim_bus_open(bus, device[3] == ':' ? device + 4 : NULL, NULL, why, why_size);
    }
    if (result == 0) {
        (*bus)->label = label;
    }
    return result;
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

int i2c_write8(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t value)
{
    return i2c_write_register(bus, address, reg, &value, 1);
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

int i2c_read16le(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t *value)
{
    uint8_t data[2];
    int result = i2c_read_register(bus, address, reg, data, sizeof data);
    if (result >= 0) {
        *value = (uint16_t)(data[1] << 8 | data[0]);
    }
    return result;
}

int i2c_write16le(i2c_bus *bus, uint8_t address, uint8_t reg, uint16_t value)
{
    const uint8_t data[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    return i2c_write_register(bus, address, reg, data, sizeof data);
}

int i2c_probe(i2c_bus *bus, uint8_t address)
{
    uint8_t byte;
    int result = i2c_transfer(bus, address, NULL, 0, &byte, 1);
    return result < 0 ? result : 0;
}
