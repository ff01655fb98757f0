/*
 * Display: Solomon Systech SSD1306, an OLED of 128 x 64 pixels in 8 pages of 128 columns (data
 * sheet SSD1306, revision 1.1). Every transmission begins with a control byte, section 8.1.5.2: 00h
 * before commands, 40h before data.
 */
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAGES   8
#define COLUMNS 128

#define CONTROL_COMMANDS 0x00
#define CONTROL_DATA     0x40

/* What a read gives, table "Read Command Table": bit 6 is 1 while the display is off. */
#define STATUS_OFF 0x40

/* Sections 9 and 10: the commands, for a panel whose charge pump is fed from 3.3 V. */
static const uint8_t settings[] = {
    0xae,       /* display off */
    0xd5, 0x80, /* clock divide ratio 1, default oscillator frequency */
    0xa8, 0x3f, /* multiplex ratio 64 */
    0xd3, 0x00, /* display offset 0 */
    0x40,       /* start line 0 */
    0x8d, 0x14, /* charge pump on (application note in the data sheet) */
    0x20, 0x00, /* horizontal addressing mode */
    0xa1,       /* column 127 is SEG0 */
    0xc8,       /* scan from COM63 to COM0 */
    0xda, 0x12, /* alternative COM pins */
    0x81, 0xcf, /* contrast */
    0xd9, 0xf1, /* pre-charge period with the charge pump */
    0xdb, 0x40, /* VCOMH deselect level */
    0x2e,       /* no scrolling */
    0xa4,       /* show the memory ... */
    0xa6,       /* ... as it is, not inverted */
};
static const uint8_t display_on[] = {0xaf};

typedef struct ssd1306_state {
    bool mute; /* it says that it is off even just after it was switched on: its word is nothing */
} ssd1306_state;

/* Whether it says twice that it is off, as power-up leaves it: 1, 0, or a negative errno. */
static int says_off(device *device)
{
    uint8_t status = STATUS_OFF;
    for (int look = 0; look < 2 && (status & STATUS_OFF); look++) {
        int result = i2c_transfer(device->bus, device->address, NULL, 0, &status, 1);
        if (result < 0) {
            return result;
        }
    }
    return !!(status & STATUS_OFF);
}

/* A display that has lost its power has lost what it showed. */
static int ssd1306_present(device *device)
{
    const ssd1306_state *state = device->state;
    int off = says_off(device);
    return off == 1 ? (state->mute ? 0 : DEVICE_LOST_POWER) : off;
}

static int send_commands(device *device, const uint8_t *commands, size_t length)
{
    return i2c_write_register(device->bus, device->address, CONTROL_COMMANDS, commands, length);
}

/* In one transfer, or in pieces where the adapter can do only SMBus blocks. */
static int send_data(device *device, const uint8_t *data, size_t length)
{
    uint8_t message[1 + COLUMNS] = {CONTROL_DATA};
    memcpy(message + 1, data, length);
    int result = i2c_transfer(device->bus, device->address, message, 1 + length, NULL, 0);
    if (result != -EOPNOTSUPP) {
        return result;
    }
    result = 0;
    for (size_t at = 0; at < length && result >= 0; at += I2C_MAX_REGISTER_BLOCK) {
        size_t n = length - at < I2C_MAX_REGISTER_BLOCK ? length - at : I2C_MAX_REGISTER_BLOCK;
        result = i2c_write_register(device->bus, device->address, CONTROL_DATA, data + at, n);
    }
    return result;
}

static int send_page(device *device, unsigned page, const uint8_t *bytes)
{
    const uint8_t window[] = {0x21,         0,
                              COLUMNS - 1, /* columns */
                              0x22,         (uint8_t)page,
                              (uint8_t)page}; /* pages */
    int result = send_commands(device, window, sizeof window);
    return result < 0 ? result : send_data(device, bytes, COLUMNS);
}

static device_step ssd1306_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                 size_t why_size)
{
    (void)step;
    (void)why; /* it has no identity: a chip that acknowledges is taken for it */
    (void)why_size;
    return i2c_probe(bus, address);
}

/* Settings; then a blank page per step, so that others get the bus in between; then on. */
static device_step ssd1306_init(device *device, unsigned step)
{
    static const uint8_t blank[COLUMNS];
    int result;
    if (step == 0) {
        result = send_commands(device, settings, sizeof settings);
    } else if (step <= PAGES) {
        result = send_page(device, step - 1, blank);
    } else {
        result = send_commands(device, display_on, sizeof display_on);
        if (result >= 0) {
            result = says_off(device);
            ((ssd1306_state *)device->state)->mute = result == 1;
        }
    }
    if (result < 0) {
        return result;
    }
    return step <= PAGES ? 1 : 0;
}

static device_step ssd1306_start(device *device, unsigned step)
{
    return ssd1306_init(device, step);
}

static int ssd1306_write_page(device *device, unsigned page, const uint8_t *bytes)
{
    if (page >= PAGES) {
        return -EINVAL;
    }
    int result = ssd1306_present(device);
    return result < 0 ? result : send_page(device, page, bytes);
}

static const display_ops ssd1306_display = {
    .pages = PAGES,
    .columns = COLUMNS,
    .init = ssd1306_init,
    .write_page = ssd1306_write_page,
};

const device_driver ssd1306_driver = {
    .name = "ssd1306",
    .type = "display-oled",
    .addresses = (const uint8_t[]){0x3c, 0x3d, 0},
    .state_size = sizeof(ssd1306_state),
    .probe = ssd1306_probe,
    .present = ssd1306_present,
    .start = ssd1306_start,
    .display = &ssd1306_display,
};
