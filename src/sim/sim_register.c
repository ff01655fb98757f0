/* Register pointers: what most chips do with the bytes that come and go. */
#include "sim_chip.h"

#include <math.h>

static void advance(sim_chip *chip)
{
    if (chip->ops->next) {
        chip->pointer = chip->ops->next(chip->pointer);
    }
}

bool sim_write8(sim_chip *chip, uint8_t byte)
{
    if (chip->count == 0) {
        chip->pointer = byte;
        return true;
    }
    chip->ops->set8(chip, chip->pointer, byte);
    advance(chip);
    return true;
}

uint8_t sim_read8(sim_chip *chip)
{
    uint8_t value = chip->ops->get8(chip, chip->pointer);
    advance(chip);
    return value;
}

bool sim_write16(sim_chip *chip, uint8_t byte)
{
    if (chip->count == 0) {
        chip->pointer = byte;
    } else if (chip->count == 1) {
        chip->word = (uint16_t)(byte << 8);
    } else if (chip->count == 2) {
        chip->word |= byte;
        chip->ops->set16(chip, chip->pointer, chip->word);
    }
    return true;
}

uint8_t sim_read16(sim_chip *chip)
{
    if (chip->count == 0) {
        chip->word = chip->ops->get16(chip, chip->pointer);
    }
    switch (chip->count) {
    case 0:
        return (uint8_t)(chip->word >> 8);
    case 1:
        return (uint8_t)chip->word;
    default:
        return 0xff; /* the data line is left alone */
    }
}

int32_t sim_round(double value, int32_t min, int32_t max)
{
    if (!(value > min)) { /* NaN, too */
        return min;
    }
    return value < max ? (int32_t)lround(value) : max;
}
