/*
 * Barometer: NXP MPL3115A2 (data sheet MPL3115A2, revision 5). Pressure and altitude take one
 * one-shot conversion each, with an oversampling of 64: two times 258 ms fit an interval of a
 * second, where the best, 128 in two times 512 ms, would not.
 *
 * Things that people learned the hard way: all five result registers must be read each time, in one
 * transfer; settings may only change in standby; the first conversion after power-up is wrong.
 */
#include "conversions.h"
#include "device.h"

#include <errno.h>
#include <stdio.h>

/* Section "Register descriptions". */
#define REG_STATUS      0x00
#define REG_RESULT      0x01 /* 01 to 03 pressure or altitude, 04 and 05 temperature */
#define REG_WHO_AM_I    0x0c
#define REG_F_SETUP     0x0f
#define REG_PT_DATA_CFG 0x13
#define REG_CTRL1       0x26

#define WHO_AM_I        0xc4
#define STATUS_PTDR     0x08 /* a new pressure, altitude or temperature; cleared by reading */
#define STATUS_PDR      0x04
#define F_SETUP_OFF     0x00 /* no FIFO: register 00 is the status */
#define PT_DATA_CFG_ALL 0x07 /* raises the flags; ours to see whether the chip lost power */
#define CTRL1_ALT       0x80
#define CTRL1_OS_64     0x30 /* OS = 6 */
#define CTRL1_OST       0x02 /* begins one conversion, and clears itself */

/* Section "CTRL_REG1", table of oversampling: OS = 6 takes 258 ms. */
#define CONVERSION_TIME 258000 /* µs until the first look */
#define POLL_TIME       10000
#define POLLS           26 /* twice the time */

typedef enum mpl3115a2_phase {
    MPL3115A2_PRESSURE,
    MPL3115A2_ALTITUDE,
} mpl3115a2_phase;

typedef struct mpl3115a2_state {
    mpl3115a2_phase phase;
    unsigned polls;
    double pressure; /* kPa, until the altitude is there too */
} mpl3115a2_state;

/* Section "OUT_P": 20 bits in the upper part of 24, unsigned, in units of 1/4 Pa. */
double mpl3115a2_raw_to_kilopascals(const uint8_t raw[3])
{
    uint32_t quarters = (uint32_t)raw[0] << 12 | (uint32_t)raw[1] << 4 | raw[2] >> 4;
    return quarters / 4000.0;
}

/* Section "OUT_P": 20 bits in the upper part of 24, two's complement, in units of 1/16 m. */
double mpl3115a2_raw_to_meters(const uint8_t raw[3])
{
    int32_t sixteenths = (int32_t)((uint32_t)raw[0] << 12 | (uint32_t)raw[1] << 4 | raw[2] >> 4);
    if (sixteenths >= 1 << 19) {
        sixteenths -= 1 << 20;
    }
    return sixteenths / 16.0;
}

static device_step mpl3115a2_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                   size_t why_size)
{
    (void)step;
    uint8_t id;
    int result = i2c_read8(bus, address, REG_WHO_AM_I, &id);
    if (result < 0) {
        return result;
    }
    if (id == WHO_AM_I) {
        return 0;
    }
    snprintf(why, why_size, "no MPL3115A2: identity %02Xh, expected %02Xh", id, WHO_AM_I);
    return -ENODEV;
}

static int read_results(device *device, uint8_t data[5])
{
    return i2c_read_register(device->bus, device->address, REG_RESULT, data, 5);
}

/* Begins a conversion of pressure, or with CTRL1_ALT of altitude. */
static device_step trigger(device *device, uint8_t mode)
{
    mpl3115a2_state *state = device->state;
    uint8_t old[5];
    state->polls = 0;
    int result = read_results(device, old); /* takes an old "ready" away */
    if (result >= 0) {
        result = i2c_write8(device->bus, device->address, REG_CTRL1, CTRL1_OS_64 | mode);
    }
    if (result >= 0) {
        result =
            i2c_write8(device->bus, device->address, REG_CTRL1, CTRL1_OS_64 | mode | CTRL1_OST);
    }
    return result < 0 ? result : CONVERSION_TIME;
}

/* 0 with the results, or the time until the next look, or an error. */
static device_step fetch(device *device, uint8_t data[5])
{
    mpl3115a2_state *state = device->state;
    uint8_t status;
    int result = i2c_read8(device->bus, device->address, REG_STATUS, &status);
    if (result < 0) {
        return result;
    }
    if ((status & (STATUS_PTDR | STATUS_PDR)) != (STATUS_PTDR | STATUS_PDR)) {
        return ++state->polls < POLLS ? POLL_TIME : -ETIMEDOUT;
    }
    return i2c_read_agreed(device->bus, device->address, REG_RESULT, data, 5);
}

/*
 * A conversion that was begun before, by a hub that was killed, keeps its mode until it is over.
 * Its result is the one that is dropped, and each further conversion sets the mode.
 */
static bool is_set(uint8_t reg, uint8_t value, uint8_t found)
{
    if (reg == REG_CTRL1) {
        found &= (uint8_t) ~(CTRL1_OST | CTRL1_ALT);
    }
    return found == value;
}

static int configure(device *device)
{
    static const struct {
        uint8_t reg, value;
    } settings[] = {{REG_CTRL1, CTRL1_OS_64}, /* standby first */
                    {REG_F_SETUP, F_SETUP_OFF},
                    {REG_PT_DATA_CFG, PT_DATA_CFG_ALL}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        uint8_t found;
        int result = i2c_write8(device->bus, device->address, settings[i].reg, settings[i].value);
        if (result >= 0) {
            result = i2c_read8(device->bus, device->address, settings[i].reg, &found);
        }
        if (result < 0) {
            return result;
        }
        if (!is_set(settings[i].reg, settings[i].value, found)) {
            return -EIO;
        }
    }
    return 0;
}

static device_step mpl3115a2_start(device *device, unsigned step)
{
    uint8_t dropped[5];
    if (step > 0) {
        return fetch(device, dropped);
    }
    int result = configure(device);
    return result < 0 ? result : trigger(device, 0);
}

static device_step mpl3115a2_measure(device *device, unsigned step, double *values)
{
    mpl3115a2_state *state = device->state;
    uint8_t data[5];
    if (step == 0) {
        uint8_t config;
        int result = i2c_read8(device->bus, device->address, REG_PT_DATA_CFG, &config);
        if (result < 0) {
            return result;
        }
        if (config != PT_DATA_CFG_ALL) {
            return -EIO; /* it lost power */
        }
        state->phase = MPL3115A2_PRESSURE;
        return trigger(device, 0);
    }
    device_step result = fetch(device, data);
    if (result != 0) {
        return result;
    }
    if (state->phase == MPL3115A2_PRESSURE) {
        state->pressure = mpl3115a2_raw_to_kilopascals(data);
        state->phase = MPL3115A2_ALTITUDE;
        return trigger(device, CTRL1_ALT);
    }
    values[0] = state->pressure;
    values[1] = mpl3115a2_raw_to_meters(data);
    return 0;
}

static const device_quantity mpl3115a2_quantities[] = {{"pressure", "kPa", 3},
                                                       {"altitude", "m", 1}};

static const sensor_ops mpl3115a2_sensor = {
    .quantities = mpl3115a2_quantities,
    .n_quantities = 2,
    .default_interval = 1,
    .measure = mpl3115a2_measure,
};

const device_driver mpl3115a2_driver = {
    .name = "mpl3115a2",
    .type = "barometer",
    .addresses = (const uint8_t[]){0x60, 0},
    .state_size = sizeof(mpl3115a2_state),
    .probe = mpl3115a2_probe,
    .start = mpl3115a2_start,
    .sensor = &mpl3115a2_sensor,
};
