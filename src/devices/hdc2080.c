/*
 * Humidity sensor: Texas Instruments HDC2080 (data sheet SNAS678). One conversion of temperature
 * and humidity on demand.
 *
 * Two things that people learned the hard way: the first conversion after power-up is not to be
 * trusted, and a result is one reading behind unless an old "ready" is taken away before the
 * trigger.
 */
#include "conversions.h"
#include "device.h"

#include <errno.h>
#include <stdio.h>

/* Section "Register Maps". Addresses advance by themselves in a block. */
#define REG_TEMPERATURE 0x00 /* 00, 01 temperature, 02, 03 humidity, low byte first */
#define REG_STATUS      0x04
#define REG_INTERRUPTS  0x07
#define REG_RESET       0x0e
#define REG_CONFIG      0x0f
#define REG_IDENTITY    0xfc /* FC, FD manufacturer, FE, FF device, low byte first */

#define MANUFACTURER_ID 0x5449 /* "TI" */
#define DEVICE_ID       0x07d0

#define STATUS_DRDY     0x80 /* cleared by reading the register */
#define INTERRUPTS_DRDY 0x80 /* no pin follows it; ours to see whether the chip lost power */
#define RESET_SOFT      0x80
#define RESET_AMM_OFF   0x00 /* on demand, heater off, interrupt pin off */
#define CONFIG_14_BIT   0x00 /* both quantities, 14 bits each */
#define CONFIG_TRIGGER  0x01

/*
 * Section "Electrical Characteristics": 610 µs and 660 µs at 14 bits; a reset takes less than 3 ms.
 */
#define RESET_TIME      3000
#define CONVERSION_TIME 2000 /* µs until the first look */
#define POLL_TIME       1000
#define POLLS           20

typedef struct hdc2080_state {
    unsigned polls;
} hdc2080_state;

/*
 * Section "Register Maps", registers 02h and 03h: raw / 2^16 * 100 %, where the result has 14 bits
 * and the two below them are reserved: "must be set to 0 in formula" (SNAU250).
 */
double hdc2080_raw_to_humidity(uint16_t raw)
{
    return (raw & ~3) * 100.0 / 65536;
}

static device_step hdc2080_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                 size_t why_size)
{
    (void)step;
    uint8_t id[4];
    int result = i2c_read_register(bus, address, REG_IDENTITY, id, sizeof id);
    if (result < 0) {
        return result;
    }
    unsigned manufacturer = id[0] | id[1] << 8, device = id[2] | id[3] << 8;
    if (manufacturer == MANUFACTURER_ID && device == DEVICE_ID) {
        return 0;
    }
    snprintf(why, why_size, "no HDC2080: identity %04Xh %04Xh, expected %04Xh %04Xh", manufacturer,
             device, MANUFACTURER_ID, DEVICE_ID);
    return -ENODEV;
}

static device_step trigger(device *device)
{
    hdc2080_state *state = device->state;
    uint8_t old;
    state->polls = 0;
    int result = i2c_read8(device->bus, device->address, REG_STATUS, &old);
    if (result >= 0) {
        result =
            i2c_write8(device->bus, device->address, REG_CONFIG, CONFIG_14_BIT | CONFIG_TRIGGER);
    }
    return result < 0 ? result : CONVERSION_TIME;
}

/* 0 with the humidity's raw value, or the time until the next look, or an error. */
static device_step fetch(device *device, uint16_t *raw)
{
    hdc2080_state *state = device->state;
    uint8_t status, data[4];
    int result = i2c_read8(device->bus, device->address, REG_STATUS, &status);
    if (result < 0) {
        return result;
    }
    if (!(status & STATUS_DRDY)) {
        return ++state->polls < POLLS ? POLL_TIME : -ETIMEDOUT;
    }
    result = i2c_read_agreed(device->bus, device->address, REG_TEMPERATURE, data, sizeof data);
    *raw = (uint16_t)(data[2] | data[3] << 8);
    return result < 0 ? result : 0;
}

static int configure(device *device)
{
    static const struct {
        uint8_t reg, value;
    } settings[] = {
        {REG_RESET, RESET_AMM_OFF}, {REG_CONFIG, CONFIG_14_BIT}, {REG_INTERRUPTS, INTERRUPTS_DRDY}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        uint8_t found;
        int result = i2c_write8(device->bus, device->address, settings[i].reg, settings[i].value);
        if (result >= 0) {
            result = i2c_read8(device->bus, device->address, settings[i].reg, &found);
        }
        if (result < 0) {
            return result;
        }
        if (found != settings[i].value) {
            return -EIO;
        }
    }
    return 0;
}

static device_step hdc2080_start(device *device, unsigned step)
{
    uint16_t dropped;
    int result;
    switch (step) {
    case 0:
        result = i2c_write8(device->bus, device->address, REG_RESET, RESET_SOFT);
        return result < 0 ? result : RESET_TIME;
    case 1:
        result = configure(device);
        return result < 0 ? result : trigger(device);
    default:
        return fetch(device, &dropped);
    }
}

static device_step hdc2080_measure(device *device, unsigned step, double *values)
{
    uint16_t raw;
    if (step == 0) {
        uint8_t interrupts;
        int result = i2c_read8(device->bus, device->address, REG_INTERRUPTS, &interrupts);
        if (result < 0) {
            return result;
        }
        return interrupts == INTERRUPTS_DRDY ? trigger(device) : -EIO; /* it lost power */
    }
    device_step result = fetch(device, &raw);
    if (result == 0) {
        values[0] = hdc2080_raw_to_humidity(raw);
    }
    return result;
}

static const device_quantity hdc2080_quantities[] = {{"relative-humidity", "%", 1}};

static const sensor_ops hdc2080_sensor = {
    .quantities = hdc2080_quantities,
    .n_quantities = 1,
    .default_interval = 1,
    .measure = hdc2080_measure,
};

const device_driver hdc2080_driver = {
    .name = "hdc2080",
    .type = "humidity-sensor",
    .addresses = (const uint8_t[]){0x40, 0x41, 0},
    .state_size = sizeof(hdc2080_state),
    .probe = hdc2080_probe,
    .start = hdc2080_start,
    .sensor = &hdc2080_sensor,
};
