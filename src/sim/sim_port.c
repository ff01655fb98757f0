/*
 * Port expanders of plain relay boards: NXP PCF8574 (one byte, no registers), NXP PCA9554 (as
 * TCA9534A) and Microchip MCP23017 (two ports). What their pins do is recorded for tests.
 */
#include "sim_chip.h"
#include "sim_tca9534a.h"

#include <string.h>

typedef struct sim_port {
    sim_chip chip;
    sim_tca9534a expander;            /* of a PCA9554 */
    uint8_t iodir[2], olat[2], iocon; /* of an MCP23017 */
    uint8_t quasi;                    /* of a PCF8574: pins written low, or pulled high weakly */
    uint16_t held;                    /* pins that something outside pulls low */
    sim_port_record record;
} sim_port;

/* Pins that are inputs are pulled high by the board. */
static uint16_t driven(const sim_port *port)
{
    if (port->chip.ops == &sim_mcp23017_ops) {
        const unsigned inputs = port->iodir[0] | port->iodir[1] << 8;

        return (uint16_t)~inputs;
    }
    if (port->chip.ops == &sim_pca9554_ops) {
        return (uint8_t)~port->expander.config;
    }
    return 0xff;
}

static uint16_t latched(const sim_port *port)
{
    if (port->chip.ops == &sim_mcp23017_ops) {
        return (uint16_t)(port->olat[0] | port->olat[1] << 8);
    }
    return port->chip.ops == &sim_pca9554_ops ? port->expander.output : port->quasi;
}

static void update(sim_port *port)
{
    uint16_t drives = driven(port);
    uint16_t levels = (uint16_t)((latched(port) | ~drives) & ~port->held);
    uint16_t changed = levels ^ port->record.levels;
    for (unsigned pin = 0; pin < 16; pin++) {
        if (changed >> pin & 1) {
            port->record.changes[pin]++;
        }
    }
    port->record.levels = levels;
    port->record.driven = drives;
}

static void power_up(sim_chip *chip)
{
    sim_port *port = (sim_port *)chip;
    sim_tca9534a_power_up(&port->expander);
    port->iodir[0] = port->iodir[1] = 0xff;
    port->olat[0] = port->olat[1] = port->iocon = 0;
    port->quasi = 0xff;
    memset(&port->record, 0, sizeof port->record);
    port->record.levels = 0xffff;
    update(port);
}

static bool pcf8574_write(sim_chip *chip, uint8_t byte)
{
    sim_port *port = (sim_port *)chip;
    port->quasi = byte;
    update(port);
    return true;
}

static uint8_t pcf8574_read(sim_chip *chip)
{
    return (uint8_t)((sim_port *)chip)->record.levels;
}

static uint8_t pca9554_get(sim_chip *chip, uint8_t reg)
{
    const sim_port *port = (const sim_port *)chip;
    return sim_tca9534a_get(&port->expander, reg, (uint8_t)~port->held);
}

static void pca9554_set(sim_chip *chip, uint8_t reg, uint8_t value)
{
    sim_port *port = (sim_port *)chip;
    sim_tca9534a_set(&port->expander, reg, value);
    update(port);
}

/* Section 3.5, table 3-5, IOCON.BANK = 0. */
static uint8_t mcp23017_get(sim_chip *chip, uint8_t reg)
{
    const sim_port *port = (const sim_port *)chip;
    switch (reg) {
    case 0x00:
    case 0x01:
        return port->iodir[reg];
    case 0x0a:
    case 0x0b:
        return port->iocon;
    case 0x12:
        return (uint8_t)port->record.levels;
    case 0x13:
        return (uint8_t)(port->record.levels >> 8);
    case 0x14:
    case 0x15:
        return port->olat[reg - 0x14];
    default:
        return 0;
    }
}

static void mcp23017_set(sim_chip *chip, uint8_t reg, uint8_t value)
{
    sim_port *port = (sim_port *)chip;
    if (reg <= 0x01) {
        port->iodir[reg] = value;
    } else if (reg == 0x0a || reg == 0x0b) {
        port->iocon = value & 0x7e; /* BANK is not modelled */
    } else if (reg >= 0x12 && reg <= 0x15) {
        port->olat[reg & 1] = value;
    }
    update(port);
}

static uint8_t next(uint8_t reg)
{
    return reg == 0x15 ? 0 : (uint8_t)(reg + 1);
}

static bool is_port(const sim_chip *chip)
{
    return chip->ops == &sim_pcf8574_ops || chip->ops == &sim_pca9554_ops ||
           chip->ops == &sim_mcp23017_ops;
}

bool sim_port_record_of(sim_chip *chip, sim_port_record *record)
{
    if (!is_port(chip)) {
        return false;
    }
    *record = ((sim_port *)chip)->record;
    return true;
}

bool sim_port_hold_of(sim_chip *chip, uint16_t pins)
{
    if (!is_port(chip)) {
        return false;
    }
    ((sim_port *)chip)->held = pins;
    update((sim_port *)chip);
    return true;
}

static const uint8_t addresses_20[] = {0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0};

/* A PCF8574 is at 20 to 27, a PCF8574A at 38 to 3f. */
static const uint8_t addresses_pcf8574[] = {0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x38,
                                            0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0};

const sim_chip_ops sim_pcf8574_ops = {
    .name = "pcf8574",
    .addresses = addresses_pcf8574,
    .size = sizeof(sim_port),
    .power_up = power_up,
    .write = pcf8574_write,
    .read = pcf8574_read,
};

const sim_chip_ops sim_pca9554_ops = {
    .name = "pca9554",
    .addresses = addresses_20,
    .size = sizeof(sim_port),
    .power_up = power_up,
    .write = sim_write8,
    .read = sim_read8,
    .get8 = pca9554_get,
    .set8 = pca9554_set,
};

const sim_chip_ops sim_mcp23017_ops = {
    .name = "mcp23017",
    .addresses = addresses_20,
    .size = sizeof(sim_port),
    .power_up = power_up,
    .write = sim_write8,
    .read = sim_read8,
    .get8 = mcp23017_get,
    .set8 = mcp23017_set,
    .next = next,
};
