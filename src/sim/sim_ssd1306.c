/*
 * Solomon Systech SSD1306: a control byte, then commands or data for the display memory. Addressing
 * modes, windows and the settings that decide whether anything can be seen are modelled.
 */
#include "sim_chip.h"

#include <string.h>

#define PAGES   8
#define COLUMNS 128

typedef struct sim_ssd1306 {
    sim_chip chip;
    uint8_t memory[PAGES * COLUMNS];
    bool on, charge_pump;
    uint8_t mode; /* 0 horizontal, 1 vertical, 2 page addressing */
    uint8_t column, first_column, last_column;
    uint8_t page, first_page, last_page;
    bool data;          /* this transmission holds data */
    uint8_t command[7]; /* one that is not complete yet */
    uint8_t length;
} sim_ssd1306;

/* Bytes that follow a command, section 9, "Command Table". */
static int arguments(uint8_t command)
{
    switch (command) {
    case 0x20: /* addressing mode */
    case 0x81: /* contrast */
    case 0x8d: /* charge pump */
    case 0xa8: /* multiplex ratio */
    case 0xd3: /* display offset */
    case 0xd5: /* clock */
    case 0xd9: /* pre-charge */
    case 0xda: /* COM pins */
    case 0xdb: /* VCOMH */
        return 1;
    case 0x21: /* columns */
    case 0x22: /* pages */
    case 0xa3: /* scroll area */
        return 2;
    case 0x29: /* scrolling */
    case 0x2a:
        return 5;
    case 0x26:
    case 0x27:
        return 6;
    default:
        return 0;
    }
}

static void execute(sim_ssd1306 *oled)
{
    const uint8_t *c = oled->command;
    switch (c[0]) {
    case 0x20:
        oled->mode = c[1] & 3;
        break;
    case 0x21:
        oled->column = oled->first_column = c[1] & 0x7f;
        oled->last_column = c[2] & 0x7f;
        break;
    case 0x22:
        oled->page = oled->first_page = c[1] & 7;
        oled->last_page = c[2] & 7;
        break;
    case 0x8d:
        oled->charge_pump = c[1] & 4;
        break;
    case 0xae:
    case 0xaf:
        oled->on = c[0] & 1;
        break;
    default: /* what does not change the memory, and page addressing's own */
        if (c[0] <= 0x0f) {
            oled->column = (uint8_t)((oled->column & 0x70) | c[0]);
        } else if (c[0] <= 0x1f) {
            oled->column = (uint8_t)((oled->column & 0x0f) | (c[0] & 7) << 4);
        } else if (c[0] >= 0xb0 && c[0] <= 0xb7) {
            oled->page = c[0] & 7;
        }
        break;
    }
}

static void take_command(sim_ssd1306 *oled, uint8_t byte)
{
    oled->command[oled->length++] = byte;
    if (oled->length == 1 + arguments(oled->command[0])) {
        execute(oled);
        oled->length = 0;
    }
}

/* Section 10.1.3: the pointer after a byte. True when it went over the end of its range. */
static bool step(uint8_t *at, uint8_t first, uint8_t last)
{
    bool wraps = *at == last;
    *at = wraps ? first : (uint8_t)(*at + 1);
    return wraps;
}

static void take_data(sim_ssd1306 *oled, uint8_t byte)
{
    oled->memory[oled->page * COLUMNS + oled->column] = byte;
    if (oled->mode == 2) {
        step(&oled->column, 0, COLUMNS - 1);
    } else if (oled->mode == 1 && step(&oled->page, oled->first_page, oled->last_page)) {
        step(&oled->column, oled->first_column, oled->last_column);
    } else if (oled->mode == 0 && step(&oled->column, oled->first_column, oled->last_column)) {
        step(&oled->page, oled->first_page, oled->last_page);
    }
    oled->column &= 0x7f;
    oled->page &= 7;
}

static bool write(sim_chip *chip, uint8_t byte)
{
    sim_ssd1306 *oled = (sim_ssd1306 *)chip;
    if (chip->count == 0) {
        oled->data = byte & 0x40;
    } else if (oled->data) {
        take_data(oled, byte);
    } else {
        take_command(oled, byte);
    }
    return true;
}

static uint8_t read(sim_chip *chip)
{
    return ((const sim_ssd1306 *)chip)->on ? 0x03 : 0x43;
}

static void power_up(sim_chip *chip)
{
    sim_ssd1306 *oled = (sim_ssd1306 *)chip;
    *oled =
        (sim_ssd1306){.chip = *chip, .mode = 2, .last_column = COLUMNS - 1, .last_page = PAGES - 1};
    memset(oled->memory, 0xa5, sizeof oled->memory); /* what it holds is undefined */
}

bool sim_display_of(sim_chip *chip, uint8_t image[SIM_DISPLAY_SIZE])
{
    const sim_ssd1306 *oled = (const sim_ssd1306 *)chip;
    if (chip->ops != &sim_ssd1306_ops) {
        return false;
    }
    if (oled->on && oled->charge_pump) {
        memcpy(image, oled->memory, SIM_DISPLAY_SIZE);
    } else {
        memset(image, 0, SIM_DISPLAY_SIZE);
    }
    return true;
}

const sim_chip_ops sim_ssd1306_ops = {
    .name = "ssd1306",
    .addresses = (const uint8_t[]){0x3c, 0x3d, 0},
    .size = sizeof(sim_ssd1306),
    .power_up = power_up,
    .write = write,
    .read = read,
};
