/*
 * What the drivers' raw values mean: pure functions, tested over their whole range. For the drivers
 * themselves and their tests; any thread.
 */
#ifndef CONVERSIONS_H
#define CONVERSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

double hdc2080_raw_to_humidity(uint16_t raw); /* % */

typedef struct hts221_calibration {
    double h0, h1;      /* %, two points of the line ... */
    int16_t out0, out1; /* ... and what the chip gives there */
} hts221_calibration;

/*
 * Reads registers 30h to 3Fh. False where they cannot be a chip's calibration (all zero, as within
 * about 100 ms of power-up).
 */
bool hts221_read_calibration(hts221_calibration *calibration, const uint8_t registers[16]);
double hts221_raw_to_humidity(const hts221_calibration *calibration, int16_t raw); /* % */

/* The three bytes of registers 01h to 03h. */
double mpl3115a2_raw_to_kilopascals(const uint8_t raw[3]);
double mpl3115a2_raw_to_meters(const uint8_t raw[3]);

double opt3001_raw_to_lux(uint16_t raw);

uint8_t sht20_crc(const uint8_t *data, size_t length);
double sht20_raw_to_humidity(uint16_t raw); /* %; `raw` with its status bits */

double tmp112_raw_to_celsius(uint16_t raw);

uint16_t modbus_crc(const uint8_t *data, size_t length);
/*
 * The LP8's host pressure, in units of 10 Pa; normal pressure where `kilopascals` makes no sense.
 */
uint16_t lp8_pressure(double kilopascals);

#endif
