/*
 * CO2 sensor: BigClown CO2 Module. A TI TCA9534A (data sheet SCPS198) switches the power of a
 * SenseAir LP8 ("Sensor specification and integration guideline", TDE2712), which speaks through an
 * NXP SC16IS740 UART (data sheet SC16IS740_750_760).
 *
 * The LP8 measures with a lamp that is fed from a capacitor, and forgets everything when it is shut
 * down: its filters' state is read after each measurement and given back before the next.
 *
 * Option: calibration=off (default) or calibration=abc. With abc the LP8 takes the lowest value of
 * eight days for fresh air; in rooms that are never aired that drifts, so it must be asked for.
 */
#include "conversions.h"
#include "device.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- expander: TCA9534A, section "Register Descriptions" ---- */

#define REG_INPUT    0x00
#define REG_OUTPUT   0x01
#define REG_POLARITY 0x02
#define REG_CONFIG   0x03 /* 1: input */
#define POWER_UP     0xff /* REG_OUTPUT and REG_CONFIG */

/* All outputs are low; a pin is pulled low by making it an output, and released as an input. */
#define PIN_BOOST      0x02 /* P1 low: charges the capacitor */
#define PIN_VDD2       0x04 /* P2 low: power for it */
#define PIN_ENABLE     0x08 /* P3 low: power for the LP8 */
#define PIN_UART_RESET 0x40 /* P6 low: the UART is held in reset */
#define PIN_READY      0x80 /* P7, input: low when the LP8 is ready for a command */
#define PINS_UNUSED    0x11 /* P0 and P4 lead nowhere: low, so that they do not float */
#define PINS_IDLE      ((uint8_t)~PINS_UNUSED)
#define PINS_RESET     ((uint8_t)(PINS_IDLE & ~PIN_UART_RESET))
#define PINS_CHARGE    ((uint8_t)(PINS_IDLE & ~(PIN_BOOST | PIN_VDD2)))
#define PINS_MEASURE   ((uint8_t)(PINS_CHARGE & ~PIN_ENABLE))

/* ---- UART: SC16IS740, section "Register descriptions"; addressed by register << 3 ---- */

#define UART_ADDRESS 0x4d
#define UART_REG(n)  ((n) << 3)
#define UART_FIFO    UART_REG(0x0) /* RHR and THR */
#define UART_DLL     UART_REG(0x0) /* with LCR bit 7 */
#define UART_DLH     UART_REG(0x1)
#define UART_FCR     UART_REG(0x2)
#define UART_LCR     UART_REG(0x3)
#define UART_SPR     UART_REG(0x7) /* free for anything: tells whether it is there */
#define UART_TXLVL   UART_REG(0x8)
#define UART_RXLVL   UART_REG(0x9)

#define FIFO_SIZE   64
#define LCR_DIVISOR 0x80
#define LCR_8N2     0x07
#define FCR_ENABLE  0x01
#define FCR_RESET   0x06 /* both FIFOs */
#define DIVISOR     88   /* 13.56 MHz / 16 / 9600 baud = 88.28, 0.3 % off */

/* ---- LP8: frames of TDE2712, chapter "Host communication" ---- */

#define LP8_ADDRESS    0xfe
#define LP8_WRITE      0x41
#define LP8_READ       0x44
#define LP8_FIRST      0x10 /* there is no state yet */
#define LP8_SEQUENTIAL 0x20
#define LP8_ABC        0x70
#define LP8_STATE_SIZE 23
#define LP8_DATA_SIZE  40
#define LP8_WRITE_SIZE (5 + 1 + LP8_STATE_SIZE + 2 + 2)
#define LP8_ACK_SIZE   4
#define LP8_REPLY_SIZE (3 + LP8_DATA_SIZE + 2)
#define LP8_STATE      1  /* offsets in the data */
#define LP8_CO2        26 /* big endian, at normal pressure */
#define LP8_CO2_PC     28 /* corrected by the pressure that it was told */
#define LP8_STATUS1    38
#define LP8_STATUS0    39

#define STATUS0_RESERVED     0x02
#define STATUS0_OUT_OF_RANGE 0x20
#define STATUS1_CAPACITOR    0x03 /* its voltage was low, before or during the measurement */
#define STATUS1_ADC          0x04

#define NORMAL_PRESSURE 101.325 /* kPa */

/* Times in µs. */
#define CHARGE_FIRST            60000000
#define CHARGE                  5000000
#define IDLE                    10000000 /* with the rest 16 s, the LP8's shortest period */
#define BOOT_LIMIT              200000   /* until ready is low */
#define ACK_LIMIT               200000   /* 37 bytes take 42 ms at 9600 baud */
#define READY_LIMIT             300000   /* until ready is high */
#define CALIBRATION_READY_LIMIT 1000000
#define REPLY_LIMIT             200000 /* 52 bytes take 60 ms */
#define POLL_TIME               10000
#define UART_RECOVERY           1000 /* reset takes 3 µs, and 10 µs more before the first access */
#define ABC_PERIOD              (INT64_C(8) * 24 * 3600 * 1000000)

typedef enum co2_phase {
    CO2_IDLE,    /* switched off; the next measurement may have to wait */
    CO2_CHARGE,  /* the capacitor is being charged */
    CO2_BOOT,    /* the LP8 has power and gets ready */
    CO2_COMMAND, /* it was told to measure and acknowledges */
    CO2_MEASURE, /* it measures */
    CO2_READ,    /* it was asked for its data */
} co2_phase;

typedef struct co2_state {
    bool abc;     /* option */
    bool charged; /* the capacitor has been charged for the first time */
    bool has_lp8_state;
    bool calibrating; /* in this cycle */
    co2_phase phase;
    int64_t deadline; /* of the present phase */
    int64_t idle_until;
    int64_t abc_due;
    uint8_t lp8_state[LP8_STATE_SIZE];
    uint8_t reply[LP8_REPLY_SIZE];
    size_t received;
} co2_state;

/* ---- pure parts ---- */

/* "MODBUS over serial line" 6.2.2: x^16 + x^15 + x^2 + 1, reflected, initially FFFFh. */
uint16_t modbus_crc(const uint8_t *data, size_t length)
{
    uint16_t crc = 0xffff;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
        }
    }
    return crc;
}

uint16_t lp8_pressure(double kilopascals)
{
    if (!(kilopascals >= 30 && kilopascals <= 120)) { /* NaN, too */
        kilopascals = NORMAL_PRESSURE;
    }
    return (uint16_t)lround(kilopascals * 100);
}

/* Adds the checksum, low byte first; returns the frame's length with it. */
static size_t seal(uint8_t *frame, size_t length)
{
    uint16_t crc = modbus_crc(frame, length);
    frame[length] = (uint8_t)crc;
    frame[length + 1] = (uint8_t)(crc >> 8);
    return length + 2;
}

/* A frame whose checksum is right leaves none. */
static bool frame_is_good(const uint8_t *frame, size_t length, uint8_t function)
{
    return frame[0] == LP8_ADDRESS && frame[1] == function && modbus_crc(frame, length) == 0;
}

/* ---- expander and UART ---- */

static int set_pins(device *device, uint8_t directions)
{
    return i2c_write8_verified(device->bus, device->address, REG_CONFIG, directions);
}

/* Whether the pins are as they were left; what is not so is believed when it is seen twice. */
static int check_pins(device *device, uint8_t expected)
{
    int as_powered_up = 0;
    for (int look = 0; look < 2; look++) {
        uint8_t directions, output;
        int result = i2c_read8(device->bus, device->address, REG_CONFIG, &directions);
        if (result < 0 || directions == expected) {
            return result < 0 ? result : 0;
        }
        result = i2c_read8(device->bus, device->address, REG_OUTPUT, &output);
        if (result < 0) {
            return result;
        }
        as_powered_up += directions == POWER_UP && output == POWER_UP;
    }
    return as_powered_up == 2 ? DEVICE_LOST_POWER : -EIO;
}

/* Whether the LP8 pulls its ready pin low; and whether the expander is still as we left it. */
static int read_ready(device *device, bool *low)
{
    uint8_t pins;
    int result = check_pins(device, PINS_MEASURE);
    if (result >= 0) {
        result = i2c_read8(device->bus, device->address, REG_INPUT, &pins);
    }
    if (result < 0) {
        return result;
    }
    *low = !(pins & PIN_READY);
    return 0;
}

static int send_frame(device *device, const uint8_t *frame, size_t length)
{
    co2_state *state = device->state;
    state->received = 0;
    int result = i2c_write8(device->bus, UART_ADDRESS, UART_FCR, FCR_ENABLE | FCR_RESET);
    for (size_t at = 0; at < length && result >= 0; at += I2C_MAX_REGISTER_BLOCK) {
        size_t n = length - at < I2C_MAX_REGISTER_BLOCK ? length - at : I2C_MAX_REGISTER_BLOCK;
        result = i2c_write_register(device->bus, UART_ADDRESS, UART_FIFO, frame + at, n);
    }
    return result < 0 ? result : 0;
}

/* Takes what has come. 0: all `length` bytes are there; more: look again then; or an error. */
static device_step receive(device *device, size_t length)
{
    co2_state *state = device->state;
    uint8_t level;
    int result = i2c_read8(device->bus, UART_ADDRESS, UART_RXLVL, &level);
    if (result < 0) {
        return result;
    }
    if (level > FIFO_SIZE) {
        return -EIO;
    }
    while (level > 0 && state->received < length) {
        size_t n = length - state->received;
        n = n < level ? n : level;
        n = n < I2C_MAX_REGISTER_BLOCK ? n : I2C_MAX_REGISTER_BLOCK;
        result = i2c_read_register(device->bus, UART_ADDRESS, UART_FIFO,
                                   state->reply + state->received, n);
        if (result < 0) {
            return result;
        }
        state->received += n;
        level -= (uint8_t)n;
    }
    if (state->received == length) {
        return 0;
    }
    return device->bus->ops->now(device->bus) < state->deadline ? POLL_TIME : -ETIMEDOUT;
}

static int configure_uart(device *device)
{
    static const struct {
        uint8_t reg, value;
        bool verified;
    } settings[] = {{UART_LCR, LCR_DIVISOR, true}, {UART_DLL, DIVISOR, true},
                    {UART_DLH, 0, true},           {UART_LCR, LCR_8N2, true},
                    {UART_SPR, 0x5a, true},        {UART_FCR, FCR_ENABLE | FCR_RESET, false}};
    int result = 0;
    for (size_t i = 0; i < sizeof settings / sizeof *settings && result >= 0; i++) {
        result =
            settings[i].verified
                ? i2c_write8_verified(device->bus, UART_ADDRESS, settings[i].reg, settings[i].value)
                : i2c_write8(device->bus, UART_ADDRESS, settings[i].reg, settings[i].value);
    }
    return result < 0 ? result : 0;
}

/* ---- the cycle ---- */

static int64_t now(device *device)
{
    return device->bus->ops->now(device->bus);
}

static device_step enter(device *device, co2_phase phase, int64_t limit)
{
    co2_state *state = device->state;
    state->phase = phase;
    state->deadline = now(device) + limit;
    return POLL_TIME;
}

/* Ends the cycle, well or badly: the LP8 and its charger are switched off in any case. */
static device_step finish(device *device, device_step result)
{
    co2_state *state = device->state;
    int off = set_pins(device, PINS_IDLE);
    if (off < 0) { /* once more: a boost converter that runs on is no good */
        off = set_pins(device, PINS_IDLE);
    }
    state->phase = CO2_IDLE;
    state->idle_until = now(device) + IDLE;
    return result < 0 ? result : off;
}

static device_step begin_charge(device *device)
{
    co2_state *state = device->state;
    int64_t rest = state->idle_until - now(device);
    if (rest > 0) {
        return rest;
    }
    int result = check_pins(device, PINS_IDLE);
    if (result >= 0) {
        result = set_pins(device, PINS_CHARGE);
    }
    if (result < 0) {
        return finish(device, result);
    }
    state->phase = CO2_CHARGE;
    return state->charged ? CHARGE : CHARGE_FIRST;
}

static device_step begin_boot(device *device)
{
    co2_state *state = device->state;
    int result = check_pins(device, PINS_CHARGE); /* after a loss of power nothing is charged */
    if (result >= 0) {
        result = set_pins(device, PINS_MEASURE);
    }
    if (result < 0) {
        return finish(device, result);
    }
    state->charged = true;
    return enter(device, CO2_BOOT, BOOT_LIMIT);
}

static size_t build_command(device *device, uint8_t *frame)
{
    co2_state *state = device->state;
    uint16_t pressure = lp8_pressure(device->air_pressure);
    frame[0] = LP8_ADDRESS;
    frame[1] = LP8_WRITE;
    frame[2] = 0x00;
    frame[3] = 0x80; /* memory address */
    state->calibrating = state->abc && state->has_lp8_state && now(device) >= state->abc_due;
    if (!state->has_lp8_state) {
        frame[4] = 1;
        frame[5] = LP8_FIRST;
        return seal(frame, 6);
    }
    frame[4] = 1 + LP8_STATE_SIZE + 2;
    frame[5] = state->calibrating ? LP8_ABC : LP8_SEQUENTIAL;
    memcpy(frame + 6, state->lp8_state, LP8_STATE_SIZE);
    frame[6 + LP8_STATE_SIZE] = (uint8_t)(pressure >> 8);
    frame[7 + LP8_STATE_SIZE] = (uint8_t)pressure;
    return seal(frame, 8 + LP8_STATE_SIZE);
}

static device_step send_command(device *device)
{
    co2_state *state = device->state;
    uint8_t frame[LP8_WRITE_SIZE];
    bool low = false;
    int result = read_ready(device, &low);
    if (result < 0) {
        return finish(device, result);
    }
    if (!low && now(device) < state->deadline) {
        return POLL_TIME;
    }
    if (!low) {
        state->charged = false; /* perhaps the capacitor was empty */
        return finish(device, -ETIMEDOUT);
    }
    size_t length = build_command(device, frame);
    result = send_frame(device, frame, length);
    return result < 0 ? finish(device, result) : enter(device, CO2_COMMAND, ACK_LIMIT);
}

static device_step await_acknowledge(device *device)
{
    co2_state *state = device->state;
    device_step result = receive(device, LP8_ACK_SIZE);
    if (result == 0 && !frame_is_good(state->reply, LP8_ACK_SIZE, LP8_WRITE)) {
        result = -EIO;
    }
    if (result < 0) {
        return finish(device, result);
    }
    if (result > 0) {
        return result;
    }
    return enter(device, CO2_MEASURE, state->calibrating ? CALIBRATION_READY_LIMIT : READY_LIMIT);
}

static device_step request_data(device *device)
{
    const co2_state *state = device->state;
    uint8_t frame[7] = {LP8_ADDRESS, LP8_READ, 0x00, 0x80, LP8_DATA_SIZE};
    bool low = true;
    int result = read_ready(device, &low);
    if (result < 0) {
        return finish(device, result);
    }
    if (low) {
        return now(device) < state->deadline ? POLL_TIME : finish(device, -ETIMEDOUT);
    }
    result = send_frame(device, frame, seal(frame, 5));
    return result < 0 ? finish(device, result) : enter(device, CO2_READ, REPLY_LIMIT);
}

/* What the LP8 says of its measurement. 0 with the value (NAN: outside of what it can measure). */
static int evaluate(device *device, const uint8_t *data, double *value)
{
    co2_state *state = device->state;
    uint8_t status0 = data[LP8_STATUS0] & (uint8_t)~STATUS0_RESERVED;
    if (data[LP8_STATUS1] & (STATUS1_CAPACITOR | STATUS1_ADC)) {
        state->charged = false;
        return -EIO;
    }
    if (status0 & ~STATUS0_OUT_OF_RANGE) {
        state->has_lp8_state = false; /* whatever it was, it is not to go on */
        return -EIO;
    }
    const uint8_t *co2 = data + (state->has_lp8_state ? LP8_CO2_PC : LP8_CO2);
    int16_t ppm = (int16_t)(co2[0] << 8 | co2[1]); /* it was told no pressure the first time */
    memcpy(state->lp8_state, data + LP8_STATE, LP8_STATE_SIZE);
    state->has_lp8_state = true;
    if (state->calibrating) {
        state->abc_due = now(device) + ABC_PERIOD;
    }
    *value = (status0 & STATUS0_OUT_OF_RANGE) || ppm < 0 ? NAN : ppm;
    return 0;
}

static device_step await_data(device *device, double *values)
{
    co2_state *state = device->state;
    device_step result = receive(device, LP8_REPLY_SIZE);
    if (result > 0) {
        return result;
    }
    if (result == 0 && (!frame_is_good(state->reply, LP8_REPLY_SIZE, LP8_READ) ||
                        state->reply[2] != LP8_DATA_SIZE)) {
        result = -EIO;
    }
    if (result == 0) {
        result = evaluate(device, state->reply + 3, values);
    }
    return finish(device, result);
}

static device_step co2_module_measure(device *device, unsigned step, double *values)
{
    co2_state *state = device->state;
    if (step == 0 && state->phase != CO2_IDLE) {
        finish(device, 0); /* a cycle was abandoned */
    }
    switch (state->phase) {
    case CO2_IDLE:
        return begin_charge(device);
    case CO2_CHARGE:
        return begin_boot(device);
    case CO2_BOOT:
        return send_command(device);
    case CO2_COMMAND:
        return await_acknowledge(device);
    case CO2_MEASURE:
        return request_data(device);
    case CO2_READ:
        return await_data(device, values);
    }
    return -EIO;
}

/* ---- the rest of the driver ---- */

/*
 * Where no UART answers, the chip at the expander's address gets a plain read, which changes
 * nothing: an expander gives back the register that was asked for last, and that is the directions
 * when we were stopped while we held the UART in reset.
 */
static int probe_without_uart(i2c_bus *bus, uint8_t address, char *why, size_t why_size)
{
    uint8_t directions;
    int result = i2c_transfer(bus, address, NULL, 0, &directions, 1);
    if (result < 0) {
        return result;
    }
    if (directions == PINS_RESET) {
        return 0;
    }
    snprintf(why, why_size, "no CO2 Module: no chip answers at %02x, where its UART would be",
             UART_ADDRESS);
    return -ENODEV;
}

static device_step co2_module_probe(i2c_bus *bus, uint8_t address, unsigned step, char *why,
                                    size_t why_size)
{
    (void)step;
    uint8_t directions, free_bytes, waiting;
    int result = i2c_read8(bus, UART_ADDRESS, UART_TXLVL, &free_bytes);
    if (result >= 0) {
        result = i2c_read8(bus, UART_ADDRESS, UART_RXLVL, &waiting);
    }
    if (result == -ENXIO) {
        return probe_without_uart(bus, address, why, why_size);
    }
    if (result < 0) {
        return result;
    }
    if (free_bytes <= FIFO_SIZE && waiting <= FIFO_SIZE) {
        result = i2c_read8(bus, address, REG_CONFIG, &directions);
        return result < 0 ? result : 0;
    }
    snprintf(why, why_size,
             "no CO2 Module: at %02x FIFO levels of %u and %u, expected at most %d of an SC16IS740",
             UART_ADDRESS, free_bytes, waiting, FIFO_SIZE);
    return -ENODEV;
}

static int co2_module_present(device *device)
{
    char why[2];
    /* What is expected depends on the cycle; power-up's value is none of it. */
    int result = check_pins(device, PINS_IDLE);
    if (result == DEVICE_LOST_POWER) {
        return result;
    }
    device_step step = co2_module_probe(device->bus, device->address, 0, why, sizeof why);
    return step < 0 ? (int)step : 0;
}

static const char *co2_module_option(void *state, const char *name, const char *value)
{
    if (strcmp(name, "calibration") != 0) {
        return "the options of co2-module are: calibration=off or calibration=abc";
    }
    bool abc = strcmp(value, "abc") == 0;
    if (!abc && strcmp(value, "off") != 0) {
        return "calibration must be off or abc (the lowest value of eight days is fresh air)";
    }
    if (state) {
        ((co2_state *)state)->abc = abc;
    }
    return NULL;
}

/* Everything off, then the UART: reset, given time, set up. */
static device_step co2_module_start(device *device, unsigned step)
{
    co2_state *state = device->state;
    int result = 0;
    if (step == 0) {
        state->phase = CO2_IDLE;
        state->charged = false;
        state->abc_due = now(device) + ABC_PERIOD;
        result = i2c_write8_verified(device->bus, device->address, REG_OUTPUT, 0x00);
        if (result >= 0) {
            result = i2c_write8_verified(device->bus, device->address, REG_POLARITY, 0x00);
        }
        if (result >= 0) {
            result = set_pins(device, PINS_RESET);
        }
        return result < 0 ? result : UART_RECOVERY;
    }
    if (step == 1) {
        result = set_pins(device, PINS_IDLE);
        return result < 0 ? result : UART_RECOVERY;
    }
    return configure_uart(device);
}

static const device_quantity co2_module_quantities[] = {{"concentration", "ppm", 0}};

static const sensor_ops co2_module_sensor = {
    .quantities = co2_module_quantities,
    .n_quantities = 1,
    .default_interval = 16,
    .measure = co2_module_measure,
};

const device_driver co2_module_driver = {
    .name = "co2-module",
    .type = "co2-sensor",
    .addresses = (const uint8_t[]){0x38, 0},
    .companion = UART_ADDRESS,
    .state_size = sizeof(co2_state),
    .probe = co2_module_probe,
    .present = co2_module_present,
    .option = co2_module_option,
    .start = co2_module_start,
    .sensor = &co2_module_sensor,
};
