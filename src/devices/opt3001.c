/*
 * Lux meter: Texas Instruments OPT3001 (data sheet SBOS681). Shut down between single-shot
 * conversions with automatic range.
 *
 * Option: conversion=800 (milliseconds, the default: 0.01 lux steps in the dark) or conversion=100
 * for intervals below a second.
 */
#include "conversions.h"
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Section "Register Maps". */
#define REG_RESULT       0x00
#define REG_CONFIG       0x01
#define REG_MANUFACTURER 0x7e
#define REG_DEVICE       0x7f

#define MANUFACTURER_ID 0x5449 /* "TI" */
#define DEVICE_ID       0x3001

/* Section "Configuration Register". */
#define CONFIG_RN_AUTO  0xc000 /* range: automatic full scale */
#define CONFIG_CT_800   0x0800 /* 800 ms, otherwise 100 */
#define CONFIG_M        0x0600 /* mode; 00 again when a single shot is done */
#define CONFIG_M_SINGLE 0x0200
#define CONFIG_OVF      0x0100 /* read only: brighter than the full scale */
#define CONFIG_CRF      0x0080 /* read only: ready; cleared by reading this register */
#define CONFIG_L        0x0010 /* latched comparison, as at power-up */
#define CONFIG_SETTINGS 0xf81f /* what stays as it was written */

#define EXPONENT_MAX 0xb /* section "Result Register": 1011b, 83865.60 lux full scale */

/*
 * Section "Electrical Characteristics": 800 ms is 720 to 880, 100 ms is 90 to 110; a single shot
 * with automatic range first spends some 10 ms to find it (section "Automatic Full-Scale Setting
 * Mode").
 */
#define CONVERSION_800 800000 /* µs until the first look */
#define CONVERSION_100 100000
#define POLL_TIME      10000
#define LAST_POLL      25 /* 100 + 240 ms, 800 + 240 ms */

typedef struct opt3001_state {
    bool fast; /* 100 ms */
} opt3001_state;

/* Section "Result Register": 0.01 * 2^E * R lux. The division last, so that it is exact. */
double opt3001_raw_to_lux(uint16_t raw)
{
    return (double)((uint32_t)(raw & 0xfff) << (raw >> 12)) / 100;
}

static device_step opt3001_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                 size_t why_size)
{
    (void)step;
    uint16_t manufacturer, id;
    int result = i2c_read16be(bus, address, REG_MANUFACTURER, &manufacturer);
    if (result >= 0) {
        result = i2c_read16be(bus, address, REG_DEVICE, &id);
    }
    if (result < 0) {
        return result;
    }
    if (manufacturer == MANUFACTURER_ID && id == DEVICE_ID) {
        return 0;
    }
    snprintf(why, why_size, "no OPT3001: identity %04Xh %04Xh, expected %04Xh %04Xh", manufacturer,
             id, MANUFACTURER_ID, DEVICE_ID);
    return -ENODEV;
}

static const char *opt3001_option(void *state, const char *name, const char *value)
{
    if (strcmp(name, "conversion") != 0) {
        return "the options of opt3001 are: conversion=800 or conversion=100 (milliseconds)";
    }
    bool fast = strcmp(value, "100") == 0;
    if (!fast && strcmp(value, "800") != 0) {
        return "conversion must be 800 or 100 (milliseconds)";
    }
    if (state) {
        ((opt3001_state *)state)->fast = fast;
    }
    return NULL;
}

static uint16_t settings(const device *device)
{
    const opt3001_state *state = device->state;
    return CONFIG_RN_AUTO | (state->fast ? 0 : CONFIG_CT_800) | CONFIG_L;
}

static device_step opt3001_start(device *device, unsigned step)
{
    (void)step;
    uint16_t config;
    int result = i2c_write16be(device->bus, device->address, REG_CONFIG, settings(device));
    if (result >= 0) {
        result = i2c_read16be(device->bus, device->address, REG_CONFIG, &config);
    }
    if (result < 0) {
        return result;
    }
    return (config & CONFIG_SETTINGS) == settings(device) ? 0 : -EIO;
}

static device_step opt3001_measure(device *device, unsigned step, double *values)
{
    const opt3001_state *state = device->state;
    uint16_t config, raw;
    uint8_t data[2];
    int result;
    if (step == 0) {
        /*
         * CRF cannot be written; set here, it lets a plain register memory (i2c-stub) say "ready".
         */
        result = i2c_write16be(device->bus, device->address, REG_CONFIG,
                               settings(device) | CONFIG_M_SINGLE | CONFIG_CRF);
        if (result < 0) {
            return result;
        }
        return state->fast ? CONVERSION_100 : CONVERSION_800;
    }
    result = i2c_read16be(device->bus, device->address, REG_CONFIG, &config);
    if (result < 0) {
        return result;
    }
    if ((config & CONFIG_SETTINGS) != settings(device)) {
        return -EIO; /* it lost power meanwhile */
    }
    if (!(config & (CONFIG_CRF | CONFIG_M))) {
        return -EIO; /* neither done nor at it: the same */
    }
    if (!(config & CONFIG_CRF)) {
        return step < LAST_POLL ? POLL_TIME : -ETIMEDOUT;
    }
    result = i2c_read_agreed(device->bus, device->address, REG_RESULT, data, sizeof data);
    if (result < 0) {
        return result;
    }
    raw = (uint16_t)(data[0] << 8 | data[1]);
    if (raw >> 12 > EXPONENT_MAX) {
        return -EIO;
    }
    values[0] = opt3001_raw_to_lux(config & CONFIG_OVF ? EXPONENT_MAX << 12 | 0xfff : raw);
    return 0;
}

static const device_quantity opt3001_quantities[] = {{"illuminance", "lux", 2}};

static const sensor_ops opt3001_sensor = {
    .quantities = opt3001_quantities,
    .n_quantities = 1,
    .default_interval = 1,
    .measure = opt3001_measure,
};

const device_driver opt3001_driver = {
    .name = "opt3001",
    .type = "lux-meter",
    .addresses = (const uint8_t[]){0x44, 0x45, 0},
    .state_size = sizeof(opt3001_state),
    .probe = opt3001_probe,
    .option = opt3001_option,
    .start = opt3001_start,
    .sensor = &opt3001_sensor,
};
