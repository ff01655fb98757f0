/*
 * Thermometer: Texas Instruments TMP112 (data sheet SBOS473). Kept in shutdown; each measurement is
 * a one-shot conversion (section "One-Shot/Conversion Ready Mode"), so that what is published is
 * never older than it claims.
 */
#include "conversions.h"
#include "device.h"

#include <errno.h>
#include <stdio.h>

/* Registers, section "Pointer Register". */
#define REG_TEMPERATURE 0x00
#define REG_CONFIG      0x01
#define REG_LOW         0x02
#define REG_HIGH        0x03

/* Section "Configuration Register". */
#define CONFIG_OS     0x8000 /* written 1: convert once; reads 0 while a conversion runs */
#define CONFIG_R      0x6000 /* 12 bits, read only */
#define CONFIG_SD     0x0100 /* shutdown between conversions */
#define CONFIG_CR     0x00c0
#define CONFIG_CR_4HZ 0x0080
#define CONFIG_AL     0x0020 /* alert, read only */
#define CONFIG_EM     0x0010
#define CONFIG_ZERO   0x000f /* bits that always read 0 */

/*
 * Bits that always read 0 in the temperature and, section "High- and Low-Limit Registers", limits.
 */
#define ZERO_12_BIT 0x000f
#define ZERO_13_BIT 0x0007 /* extended mode: another program may have set it */

#define ZERO_ALWAYS 0x0006 /* those of them that are 0 in every register and in either mode */

#define CONFIG_OURS (CONFIG_R | CONFIG_SD | CONFIG_CR_4HZ)

/* Section "Electrical Characteristics": a conversion takes 26 ms, 35 ms at most. */
#define CONVERSION_TIME 27000 /* µs until the first look */
#define POLL_TIME       3000  /* µs between further looks */
#define LAST_POLL       10    /* 27 + 9 * 3 ms: well past the longest conversion */

/* Section "Digital Temperature Output": two's complement in the upper 12 bits, 0.0625 ℃ each. */
double tmp112_raw_to_celsius(uint16_t raw)
{
    return ((int16_t)raw >> 4) * 0.0625;
}

/*
 * Whether the register that was read last, whichever it is, can be a TMP112's. This plain read
 * comes first, since to a PCF8591 the address of a register is a control byte, which switches its
 * analog output off. 0, too, where the adapter has no plain reads of two bytes.
 */
static int look_first(i2c_bus *bus, uint8_t address, char *why, size_t why_size)
{
    uint8_t data[2];
    int result = i2c_transfer(bus, address, NULL, 0, data, sizeof data);
    if (result < 0) {
        return result == -EOPNOTSUPP ? 0 : result;
    }
    if (!(data[1] & ZERO_ALWAYS)) {
        return 0;
    }
    snprintf(why, why_size, "no TMP112: a read gives %02X%02Xh, expected bits %02Xh clear", data[0],
             data[1], ZERO_ALWAYS);
    return -ENODEV;
}

/* It has no identity, but bits that are always the same in all of its four registers. */
static device_step compare_registers(i2c_bus *bus, uint8_t address, char *why, size_t why_size)
{
    static const uint8_t registers[] = {REG_CONFIG, REG_TEMPERATURE, REG_LOW, REG_HIGH};
    uint16_t found[4];
    for (size_t i = 0; i < sizeof registers; i++) {
        int result = i2c_read16be(bus, address, registers[i], &found[i]);
        if (result < 0) {
            return result;
        }
    }
    uint16_t zero = found[0] & CONFIG_EM ? ZERO_13_BIT : ZERO_12_BIT;
    uint16_t temperature = found[1] & (found[0] & CONFIG_EM ? 0x6 : 0xf); /* bit 0 marks 13 bits */
    if ((found[0] & (CONFIG_R | CONFIG_ZERO)) == CONFIG_R && temperature == 0 &&
        !((found[2] | found[3]) & zero)) {
        return 0;
    }
    snprintf(why, why_size,
             "no TMP112: configuration %04Xh, temperature %04Xh, limits %04Xh and %04Xh; expected "
             "a configuration like 60A0h and the others with %04Xh clear",
             found[0], found[1], found[2], found[3], zero);
    return -ENODEV;
}

static device_step tmp112_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                size_t why_size)
{
    (void)step;
    int result = look_first(bus, address, why, why_size);
    return result < 0 ? result : compare_registers(bus, address, why, why_size);
}

/* Whether it is still there, and as we left it. */
static int tmp112_present(device *device)
{
    uint16_t config;
    int result = i2c_read16be(device->bus, device->address, REG_CONFIG, &config);
    if (result < 0) {
        return result;
    }
    return (config & ~(CONFIG_OS | CONFIG_AL)) == CONFIG_OURS ? 0 : -EIO;
}

static device_step tmp112_start(device *device, unsigned step)
{
    (void)step;
    uint16_t config;
    int result = i2c_write16be(device->bus, device->address, REG_CONFIG, CONFIG_OURS);
    if (result >= 0) {
        result = i2c_read16be(device->bus, device->address, REG_CONFIG, &config);
    }
    if (result < 0) {
        return result;
    }
    return (config & ~(CONFIG_OS | CONFIG_AL)) == CONFIG_OURS ? 0 : -EIO;
}

static device_step tmp112_measure(device *device, unsigned step, double *values)
{
    uint16_t config, raw;
    uint8_t data[2];
    int result;
    if (step == 0) {
        result = i2c_write16be(device->bus, device->address, REG_CONFIG, CONFIG_OURS | CONFIG_OS);
        return result < 0 ? result : CONVERSION_TIME;
    }
    result = i2c_read16be(device->bus, device->address, REG_CONFIG, &config);
    if (result < 0) {
        return result;
    }
    if ((config & ~(CONFIG_OS | CONFIG_AL)) != CONFIG_OURS) {
        return -EIO; /* it lost power meanwhile, or never was one */
    }
    if (!(config & CONFIG_OS)) {
        return step < LAST_POLL ? POLL_TIME : -ETIMEDOUT;
    }
    result = i2c_read_agreed(device->bus, device->address, REG_TEMPERATURE, data, sizeof data);
    if (result < 0) {
        return result;
    }
    raw = (uint16_t)(data[0] << 8 | data[1]);
    if (raw & ZERO_12_BIT) {
        return -EIO;
    }
    values[0] = tmp112_raw_to_celsius(raw);
    return 0;
}

static const device_quantity tmp112_quantities[] = {{"temperature", "℃", 2}};

static const sensor_ops tmp112_sensor = {
    .quantities = tmp112_quantities,
    .n_quantities = 1,
    .default_interval = 1,
    .measure = tmp112_measure,
};

const device_driver tmp112_driver = {
    .name = "tmp112",
    .type = "thermometer",
    .addresses = (const uint8_t[]){0x48, 0x49, 0},
    .probe = tmp112_probe,
    .present = tmp112_present,
    .start = tmp112_start,
    .sensor = &tmp112_sensor,
};
