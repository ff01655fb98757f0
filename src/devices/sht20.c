/*
 * Humidity sensor: Sensirion SHT20 and SHT21 (data sheet "SHT21", version 4). Commands without
 * clock stretching only ("no hold master"), which several adapters cannot do; every answer has a
 * checksum.
 *
 * The chip has no identity. It is known by what it does: it holds back its acknowledge while it
 * converts, and then gives a result whose checksum is right.
 */
#include "conversions.h"
#include "device.h"

#include <errno.h>
#include <stdio.h>

/* Section 5.3, "Sending a Command": table of commands. */
#define CMD_MEASURE_HUMIDITY 0xf5
#define CMD_READ_USER        0xe7
#define CMD_SOFT_RESET       0xfe

#define STATUS_BITS     0x0003 /* of a result, section 5.4 */
#define STATUS_HUMIDITY 0x0002

/*
 * Sections 5.5 and 3, table 7: soft reset 15 ms at most; humidity at 12 bits 22 ms, 29 ms at most.
 */
#define RESET_TIME      15000
#define CONVERSION_TIME 29000
#define POLL_TIME       5000
#define LAST_POLL       8

/* Section 5.7, "CRC Checksum": x^8 + x^5 + x^4 + 1, initially 0. */
uint8_t sht20_crc(const uint8_t *data, size_t length)
{
    uint8_t crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint8_t)(crc & 0x80 ? crc << 1 ^ 0x31 : crc << 1);
        }
    }
    return crc;
}

/* Section 6.1: -6 + 125 * raw / 2^16 %, which may be slightly outside of what can be. */
double sht20_raw_to_humidity(uint16_t raw)
{
    double humidity = -6 + 125.0 * (raw & ~STATUS_BITS) / 65536;
    return humidity < 0 ? 0 : humidity > 100 ? 100 : humidity;
}

static int command(i2c_bus *bus, uint8_t address, uint8_t code)
{
    return i2c_transfer(bus, address, &code, 1, NULL, 0);
}

/* -ENXIO: still converting (or gone); -EBADMSG: an answer, but none of an SHT20's. */
static int read_humidity(i2c_bus *bus, uint8_t address, uint16_t *raw)
{
    uint8_t data[3];
    int result = i2c_transfer(bus, address, NULL, 0, data, sizeof data);
    if (result < 0) {
        return result;
    }
    *raw = (uint16_t)(data[0] << 8 | data[1]);
    if (sht20_crc(data, 2) != data[2] || (*raw & STATUS_BITS) != STATUS_HUMIDITY) {
        return -EBADMSG;
    }
    return 0;
}

static int read_user(i2c_bus *bus, uint8_t address, uint8_t *user)
{
    return i2c_read_register(bus, address, CMD_READ_USER, user, 1);
}

static int begin_probe(i2c_bus *bus, uint8_t address, char *why, size_t why_size)
{
    uint8_t user;
    uint16_t raw;
    int result = read_user(bus, address, &user);
    if (result >= 0) {
        result = command(bus, address, CMD_MEASURE_HUMIDITY);
    }
    if (result < 0) {
        return result;
    }
    result = read_humidity(bus, address, &raw);
    if (result == -EOPNOTSUPP) {
        snprintf(why, why_size, "the adapter cannot do the plain I2C reads that an SHT20 needs");
    }
    if (result < 0 && result != -EBADMSG) {
        return result == -ENXIO ? 0 : result;
    }
    snprintf(why, why_size, "no SHT20: it answers during its measurement");
    return -ENODEV;
}

/* None of the commands is more to another chip than the address of a register to be read. */
static device_step sht20_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                               size_t why_size)
{
    uint16_t raw;
    if (step == 0) {
        int result = begin_probe(bus, address, why, why_size);
        return result < 0 ? result : CONVERSION_TIME;
    }
    int result = read_humidity(bus, address, &raw);
    if (result == -EBADMSG) {
        snprintf(why, why_size, "no SHT20: the checksum of its measurement is wrong");
        return -ENODEV;
    }
    return result;
}

/* Its measurements have checksums, so a different chip in its place does not go unnoticed. */
static int sht20_present(device *device)
{
    uint8_t user;
    int result = read_user(device->bus, device->address, &user);
    return result < 0 ? result : 0;
}

static device_step sht20_start(device *device, unsigned step)
{
    if (step > 0) {
        return 0;
    }
    int result = command(device->bus, device->address, CMD_SOFT_RESET);
    return result < 0 ? result : RESET_TIME;
}

static device_step sht20_measure(device *device, unsigned step, double *values)
{
    uint16_t raw;
    if (step == 0) {
        int result = command(device->bus, device->address, CMD_MEASURE_HUMIDITY);
        return result < 0 ? result : CONVERSION_TIME;
    }
    int result = read_humidity(device->bus, device->address, &raw);
    if (result == -ENXIO && step < LAST_POLL) {
        return POLL_TIME;
    }
    if (result == -EBADMSG) {
        return -EIO;
    }
    if (result < 0) {
        return result;
    }
    values[0] = sht20_raw_to_humidity(raw);
    return 0;
}

static const device_quantity sht20_quantities[] = {{"relative-humidity", "%", 1}};

static const sensor_ops sht20_sensor = {
    .quantities = sht20_quantities,
    .n_quantities = 1,
    .default_interval = 1,
    .measure = sht20_measure,
};

const device_driver sht20_driver = {
    .name = "sht20",
    .type = "humidity-sensor",
    .addresses = (const uint8_t[]){0x40, 0},
    .probe = sht20_probe,
    .present = sht20_present,
    .start = sht20_start,
    .sensor = &sht20_sensor,
};
