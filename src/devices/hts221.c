/*
 * Humidity sensor: STMicroelectronics HTS221 (data sheet DocID026333). One-shot conversions; the
 * chip's own calibration gives the line between two points.
 *
 * Two things that people learned the hard way: the calibration reads 0 for some time after
 * power-up, and the first humidity can be off by several percent.
 */
#include "conversions.h"
#include "device.h"

#include <errno.h>
#include <stdio.h>

/* Section "Register mapping". Bit 7 of the address makes it advance in a block. */
#define REG_WHO_AM_I    0x0f
#define REG_CTRL1       0x20
#define REG_CTRL2       0x21
#define REG_STATUS      0x27
#define REG_DATA        0x28 /* 28, 29 humidity, 2A, 2B temperature, low byte first */
#define REG_CALIBRATION 0x30
#define REG_ADVANCE     0x80

#define WHO_AM_I 0xbc

#define CTRL1_PD       0x80 /* 1: active */
#define CTRL1_BDU      0x04 /* both bytes of a result belong together */
#define CTRL1_OURS     (CTRL1_PD | CTRL1_BDU)
#define CTRL2_BOOT     0x80 /* loads the calibration again */
#define CTRL2_ONE_SHOT 0x01
#define STATUS_READY   0x03 /* H_DA and T_DA */

/* µs until the first look. The data sheet gives no figure; about 10 ms were measured. */
#define CONVERSION_TIME  15000
#define POLL_TIME        5000
#define POLLS            20
#define CALIBRATION_TIME 50000 /* µs between looks at a calibration that is not there yet */
#define CALIBRATION_BOOT 4     /* looks until it is loaded again ... */
#define CALIBRATION_LAST 8     /* ... and until it is given up */

typedef enum hts221_phase {
    HTS221_CALIBRATION, /* waits until the chip knows its calibration */
    HTS221_FIRST,       /* waits for the first conversion, which is dropped */
} hts221_phase;

typedef struct hts221_state {
    hts221_calibration calibration;
    hts221_phase phase;
    unsigned polls;
} hts221_state;

static int16_t le16(const uint8_t *bytes)
{
    return (int16_t)(bytes[0] | bytes[1] << 8);
}

/* Section "Calibration registers": 30 H0_rH_x2, 31 H1_rH_x2, 36, 37 H0_T0_OUT, 3A, 3B H1_T0_OUT. */
bool hts221_read_calibration(hts221_calibration *calibration, const uint8_t registers[16])
{
    calibration->h0 = registers[0x0] / 2.0;
    calibration->h1 = registers[0x1] / 2.0;
    calibration->out0 = le16(registers + 0x6);
    calibration->out1 = le16(registers + 0xa);
    return calibration->out0 != calibration->out1 && calibration->h0 != calibration->h1 &&
           calibration->h0 <= 100 && calibration->h1 <= 100;
}

/* Section "Calibration registers": a line through both points, whose slope may be negative. */
double hts221_raw_to_humidity(const hts221_calibration *calibration, int16_t raw)
{
    double humidity = calibration->h0 + (double)(raw - calibration->out0) *
                                            (calibration->h1 - calibration->h0) /
                                            (calibration->out1 - calibration->out0);
    return humidity < 0 ? 0 : humidity > 100 ? 100 : humidity;
}

static device_step hts221_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
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
    snprintf(why, why_size, "no HTS221: identity %02Xh, expected %02Xh", id, WHO_AM_I);
    return -ENODEV;
}

static device_step trigger(device *device)
{
    hts221_state *state = device->state;
    uint8_t old[5];
    state->polls = 0;
    /* An old "ready" goes away when the results are read. */
    int result =
        i2c_read_register(device->bus, device->address, REG_STATUS | REG_ADVANCE, old, sizeof old);
    if (result >= 0) {
        result = i2c_write8(device->bus, device->address, REG_CTRL2, CTRL2_ONE_SHOT);
    }
    return result < 0 ? result : CONVERSION_TIME;
}

/* 0 with the humidity's raw value, or the time until the next look, or an error. */
static device_step fetch(device *device, int16_t *raw)
{
    hts221_state *state = device->state;
    uint8_t status, data[4];
    int result = i2c_read8(device->bus, device->address, REG_STATUS, &status);
    if (result < 0) {
        return result;
    }
    if ((status & STATUS_READY) != STATUS_READY) {
        return ++state->polls < POLLS ? POLL_TIME : -ETIMEDOUT;
    }
    result =
        i2c_read_agreed(device->bus, device->address, REG_DATA | REG_ADVANCE, data, sizeof data);
    *raw = le16(data);
    return result < 0 ? result : 0;
}

static int check_active(device *device)
{
    uint8_t ctrl1;
    int result = i2c_read8(device->bus, device->address, REG_CTRL1, &ctrl1);
    if (result < 0) {
        return result;
    }
    return ctrl1 == CTRL1_OURS ? 0 : -EIO;
}

static device_step load_calibration(device *device)
{
    hts221_state *state = device->state;
    uint8_t registers[16];
    int result = i2c_read_agreed(device->bus, device->address, REG_CALIBRATION | REG_ADVANCE,
                                 registers, sizeof registers);
    if (result < 0) {
        return result;
    }
    if (hts221_read_calibration(&state->calibration, registers)) {
        state->phase = HTS221_FIRST;
        return trigger(device);
    }
    if (++state->polls == CALIBRATION_LAST) {
        return -EIO;
    }
    if (state->polls == CALIBRATION_BOOT) {
        result = i2c_write8(device->bus, device->address, REG_CTRL2, CTRL2_BOOT);
    }
    return result < 0 ? result : CALIBRATION_TIME;
}

static device_step hts221_start(device *device, unsigned step)
{
    hts221_state *state = device->state;
    if (step == 0) {
        int result = i2c_write8(device->bus, device->address, REG_CTRL1, CTRL1_OURS);
        if (result >= 0) {
            result = check_active(device);
        }
        if (result < 0) {
            return result;
        }
        state->phase = HTS221_CALIBRATION;
        state->polls = 0;
    }
    int16_t dropped;
    return state->phase == HTS221_CALIBRATION ? load_calibration(device) : fetch(device, &dropped);
}

static device_step hts221_measure(device *device, unsigned step, double *values)
{
    const hts221_state *state = device->state;
    int16_t raw;
    if (step == 0) {
        int result = check_active(device); /* no longer, where it lost power */
        return result < 0 ? result : trigger(device);
    }
    device_step result = fetch(device, &raw);
    if (result == 0) {
        values[0] = hts221_raw_to_humidity(&state->calibration, raw);
    }
    return result;
}

static const device_quantity hts221_quantities[] = {{"relative-humidity", "%", 1}};

static const sensor_ops hts221_sensor = {
    .quantities = hts221_quantities,
    .n_quantities = 1,
    .default_interval = 1,
    .measure = hts221_measure,
};

const device_driver hts221_driver = {
    .name = "hts221",
    .type = "humidity-sensor",
    .addresses = (const uint8_t[]){0x5f, 0},
    .state_size = sizeof(hts221_state),
    .probe = hts221_probe,
    .start = hts221_start,
    .sensor = &hts221_sensor,
};
