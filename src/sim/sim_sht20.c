/*
 * Sensirion SHT20 (data sheet "SHT21"): commands instead of registers. The commands that stretch
 * the clock are not acknowledged, as if the adapter could not.
 */
#include "sim_chip.h"

#define CMD_HUMIDITY    0xf5
#define CMD_TEMPERATURE 0xf3
#define CMD_READ_USER   0xe7
#define CMD_WRITE_USER  0xe6
#define CMD_RESET       0xfe

#define USER_DEFAULT 0x02 /* section 5.6: 12 bits humidity, 14 bits temperature, no OTP reload */

/* Table 7 and section 5.5, µs, typical. */
#define HUMIDITY_TIME    22000
#define TEMPERATURE_TIME 66000
#define RESET_TIME       10000

typedef struct sim_sht20 {
    sim_chip chip;
    uint8_t command, user;
    int64_t busy_until;
    uint8_t answer[3];
} sim_sht20;

/* Section 5.7: x^8 + x^5 + x^4 + 1, bit by bit from the most significant one. */
static uint8_t checksum(const uint8_t *data, int length)
{
    uint8_t rest = 0;
    for (int bit = 0; bit < length * 8; bit++) {
        bool carry = (rest >> 7 & 1) != (data[bit / 8] >> (7 - bit % 8) & 1);
        rest = (uint8_t)(rest << 1);
        if (carry) {
            rest ^= 0x31;
        }
    }
    return rest;
}

static void convert(sim_sht20 *sht, double part, uint16_t mask, uint16_t status, int64_t time)
{
    uint16_t raw = (uint16_t)((sim_round(part * 65536, 0, 65535) & mask) | status);
    sht->answer[0] = (uint8_t)(raw >> 8);
    sht->answer[1] = (uint8_t)raw;
    sht->answer[2] = checksum(sht->answer, 2);
    sht->busy_until = sim_chip_now(&sht->chip) + time;
}

static bool start(sim_chip *chip, bool reading)
{
    sim_sht20 *sht = (sim_sht20 *)chip;
    bool busy = sim_chip_now(chip) < sht->busy_until;
    if (!reading) { /* resetting, it acknowledges nothing; a new command ends a conversion */
        return !(busy && sht->command == CMD_RESET);
    }
    return !busy && (sht->command == CMD_HUMIDITY || sht->command == CMD_TEMPERATURE ||
                     sht->command == CMD_READ_USER);
}

static bool begin_command(sim_sht20 *sht, uint8_t command)
{
    sht->busy_until = 0;
    sht->command = command;
    switch (command) {
    case CMD_HUMIDITY: /* section 6.1; 12 bits */
        convert(sht, (sim_chip_input(&sht->chip, 0) + 6) / 125, 0xfff0, 2, HUMIDITY_TIME);
        return true;
    case CMD_TEMPERATURE: /* section 6.2; 14 bits */
        convert(sht, (sim_chip_input(&sht->chip, 1) + 46.85) / 175.72, 0xfffc, 0, TEMPERATURE_TIME);
        return true;
    case CMD_RESET:
        sht->user = USER_DEFAULT;
        sht->busy_until = sim_chip_now(&sht->chip) + RESET_TIME;
        return true;
    default:
        return command == CMD_READ_USER || command == CMD_WRITE_USER;
    }
}

static bool write(sim_chip *chip, uint8_t byte)
{
    sim_sht20 *sht = (sim_sht20 *)chip;
    if (chip->count == 0) {
        return begin_command(sht, byte);
    }
    if (chip->count == 1 && sht->command == CMD_WRITE_USER) {
        sht->user = byte;
    }
    return sht->command == CMD_WRITE_USER;
}

static uint8_t read(sim_chip *chip)
{
    const sim_sht20 *sht = (const sim_sht20 *)chip;
    if (sht->command == CMD_READ_USER) {
        return sht->user;
    }
    if (chip->count == 2 && sim_chip_breaks_crc(chip)) {
        return sht->answer[2] ^ 0x55;
    }
    return chip->count < 3 ? sht->answer[chip->count] : 0xff;
}

static void power_up(sim_chip *chip)
{
    sim_sht20 *sht = (sim_sht20 *)chip;
    sht->user = USER_DEFAULT;
    sht->command = CMD_RESET;
    sht->busy_until = sim_chip_now(chip) + RESET_TIME;
}

const sim_chip_ops sim_sht20_ops = {
    .name = "sht20",
    .addresses = (const uint8_t[]){0x40, 0},
    .size = sizeof(sim_sht20),
    .inputs = {{"relative-humidity", 45, 0, 100}, {"temperature", 21.5, -40, 125}},
    .power_up = power_up,
    .start = start,
    .write = write,
    .read = read,
};
