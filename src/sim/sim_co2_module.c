/*
 * The BigClown CO2 Module: a TCA9534A, an SC16IS740 UART behind a second address, and a SenseAir
 * LP8 at the UART's other end, with its capacitor, its ready pin and its memory.
 */
#include "sim_chip.h"
#include "sim_tca9534a.h"

#include <string.h>

#define UART_ADDRESS 0x4d
#define CRYSTAL      13560000.0
#define FIFO_SIZE    64

/* SC16IS740, section "Register descriptions". */
enum {
    RHR = 0x0,
    FCR = 0x2,
    LCR = 0x3,
    LSR = 0x5,
    SPR = 0x7,
    TXLVL = 0x8,
    RXLVL = 0x9,
    IOCTRL = 0xe
};

#define LCR_DEFAULT 0x1d
#define LCR_8N2     0x07
#define BYTE_BITS   11 /* start, 8 data, 2 stop */

/* Pins, low when the expander makes them low outputs. */
#define PIN_BOOST      0x02
#define PIN_VDD2       0x04
#define PIN_ENABLE     0x08
#define PIN_UART_RESET 0x40
#define PIN_READY      0x80

/* The LP8. Times in µs. */
#define BOOT_TIME         120000
#define MEASURE_TIME      150000
#define ANSWER_TIME       5000
#define FULL_CHARGE       60.0 /* seconds of charging that fill the capacitor from empty */
#define ENOUGH_CHARGE     50.0
#define LAMP_CHARGE       4.0     /* seconds of charging that a measurement uses up */
#define NORMAL_PRESSURE   101.325 /* kPa */
#define MEMORY_BASE       0x80
#define MEMORY_SIZE       48
#define STATE_SIZE        23
#define STATUS1           38
#define STATUS0           39
#define STATUS0_ALGORITHM 0x04
#define STATUS1_CAPACITOR 0x01

typedef struct lp8 {
    bool on;
    int64_t ready_at;    /* when its ready pin goes low after power-on */
    int64_t measured_at; /* when it goes high after a measurement, 0: none */
    uint8_t memory[MEMORY_SIZE];
    uint8_t last_state[STATE_SIZE]; /* what it expects to be given back */
    bool has_last_state;
} lp8;

typedef struct uart {
    uint8_t fcr, lcr, dll, dlh, spr;
    uint8_t pointer;
    uint8_t tx[FIFO_SIZE]; /* the frame that is being sent */
    size_t tx_length;
    int64_t tx_done; /* when its last byte is on the wire */
    uint8_t rx[FIFO_SIZE];
    size_t rx_length, rx_taken;
    int64_t rx_begin; /* when the first byte of rx begins to arrive */
} uart;

typedef struct sim_co2_module {
    sim_chip chip;
    sim_tca9534a expander;
    uart uart;
    lp8 lp8;
    double charge; /* seconds' worth in the capacitor */
    int64_t charging_since;
    bool charging;
    sim_co2_record record;
} sim_co2_module;

/* ---- power ---- */

static bool pulled_low(const sim_co2_module *module, uint8_t pin)
{
    return !((module->expander.config | module->expander.output) & pin);
}

static void update_charge(sim_co2_module *module)
{
    int64_t now = sim_chip_now(&module->chip);
    if (module->charging) {
        module->charge += (double)(now - module->charging_since) / 1e6;
        if (module->charge > FULL_CHARGE) {
            module->charge = FULL_CHARGE;
        }
    }
    module->charging = pulled_low(module, PIN_BOOST) && pulled_low(module, PIN_VDD2);
    module->charging_since = now;
}

static void reset_uart(uart *uart)
{
    uint8_t pointer = uart->pointer;
    memset(uart, 0, sizeof *uart);
    uart->pointer = pointer;
    uart->lcr = LCR_DEFAULT;
    uart->spr = 0xff;
}

/* After the pins may have changed. */
static void update_pins(sim_co2_module *module)
{
    update_charge(module);
    bool on = pulled_low(module, PIN_ENABLE) && pulled_low(module, PIN_VDD2);
    if (on && !module->lp8.on) {
        memset(module->lp8.memory, 0, sizeof module->lp8.memory);
        module->lp8.ready_at = sim_chip_now(&module->chip) + BOOT_TIME;
        module->lp8.measured_at = 0;
    }
    if (!on) {
        module->uart.rx_length = module->uart.rx_taken = 0;
    }
    module->lp8.on = on;
    if (pulled_low(module, PIN_UART_RESET)) {
        reset_uart(&module->uart);
    }
}

static bool ready_is_low(const sim_co2_module *module)
{
    int64_t now = sim_chip_now(&module->chip);
    const lp8 *lp8 = &module->lp8;
    if (!lp8->on || now < lp8->ready_at) {
        return false;
    }
    return lp8->measured_at == 0 || now < lp8->measured_at;
}

/* ---- the LP8 ---- */

static uint16_t crc_of(const uint8_t *data, size_t length)
{
    uint16_t crc = 0xffff;
    for (size_t i = 0; i < length * 8; i++) {
        bool bit = (data[i / 8] >> i % 8 ^ crc) & 1;
        crc = (uint16_t)(crc >> 1 ^ (bit ? 0xa001 : 0));
    }
    return crc;
}

/* Microseconds that a byte takes at the speed that the UART is set to. */
static double byte_time(const uart *uart)
{
    unsigned divisor = uart->dll | uart->dlh << 8;
    return divisor ? BYTE_BITS * 1e6 * 16 * divisor / CRYSTAL : 1e6;
}

/* Whether both ends of the line understand each other: 9600 baud within 3 %, 8N2, FIFO on. */
static bool line_is_good(const uart *uart)
{
    double time = byte_time(uart), nominal = BYTE_BITS * 1e6 / 9600;
    return uart->lcr == LCR_8N2 && (uart->fcr & 1) && time > nominal * 0.97 &&
           time < nominal * 1.03;
}

static void answer(sim_co2_module *module, const uint8_t *frame, size_t length)
{
    uart *uart = &module->uart;
    uint16_t crc = crc_of(frame, length);
    if (sim_chip_breaks_crc(&module->chip)) {
        crc ^= 0x1000;
    }
    memcpy(uart->rx, frame, length);
    uart->rx[length] = (uint8_t)crc;
    uart->rx[length + 1] = (uint8_t)(crc >> 8);
    uart->rx_length = length + 2;
    uart->rx_taken = 0;
    uart->rx_begin = uart->tx_done + ANSWER_TIME;
}

static void put16(uint8_t *to, int32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

/* What is measured grows with the pressure; the corrected value believes what the host says. */
static void store_concentration(sim_co2_module *module)
{
    double ppm = sim_chip_input(&module->chip, 0);
    double measured = ppm * sim_chip_input(&module->chip, 1) / NORMAL_PRESSURE;
    double host = module->record.pressure ? module->record.pressure / 100.0 : NORMAL_PRESSURE;
    put16(module->lp8.memory + 26, sim_round(measured, 0, 32767));
    put16(module->lp8.memory + 28, sim_round(measured * NORMAL_PRESSURE / host, 0, 32767));
}

static void measure(sim_co2_module *module)
{
    lp8 *lp8 = &module->lp8;
    uint8_t *memory = lp8->memory, control = memory[0];
    bool first = control == 0x10;
    memset(memory + 1 + STATE_SIZE + 2, 0, MEMORY_SIZE - 1 - STATE_SIZE - 2);
    update_charge(module);
    if (module->charge < ENOUGH_CHARGE) {
        memory[STATUS1] |= STATUS1_CAPACITOR;
    }
    if (!first && (!lp8->has_last_state || memcmp(memory + 1, lp8->last_state, STATE_SIZE) != 0)) {
        memory[STATUS0] |= STATUS0_ALGORITHM; /* that is no state of its own */
    }
    module->charge = module->charge > LAMP_CHARGE ? module->charge - LAMP_CHARGE : 0;
    module->record.measurements++;
    module->record.control = control;
    module->record.pressure =
        first ? 0 : (uint16_t)(memory[1 + STATE_SIZE] << 8 | memory[2 + STATE_SIZE]);
    store_concentration(module);
    for (unsigned i = 0; i < STATE_SIZE; i++) { /* anything that changes every time */
        memory[1 + i] = (uint8_t)(module->record.measurements * 7 + i);
    }
    memcpy(lp8->last_state, memory + 1, STATE_SIZE);
    lp8->has_last_state = true;
    lp8->measured_at = module->uart.tx_done + MEASURE_TIME;
}

/* A frame has reached the LP8. It keeps silent where it does not understand. */
static void receive(sim_co2_module *module)
{
    lp8 *lp8 = &module->lp8;
    const uint8_t *frame = module->uart.tx;
    size_t length = module->uart.tx_length;
    if (!lp8->on || sim_chip_now(&module->chip) < lp8->ready_at || !line_is_good(&module->uart) ||
        crc_of(frame, length) != 0 || frame[0] != 0xfe) {
        return;
    }
    unsigned at = frame[3] - MEMORY_BASE, n = frame[4];
    if (at > MEMORY_SIZE || n > MEMORY_SIZE - at) {
        return;
    }
    if (frame[1] == 0x41) {
        const uint8_t acknowledge[] = {0xfe, 0x41};
        memcpy(lp8->memory + at, frame + 5, n);
        answer(module, acknowledge, sizeof acknowledge);
        measure(module);
    } else if (frame[1] == 0x44) {
        uint8_t reply[3 + MEMORY_SIZE] = {0xfe, 0x44, (uint8_t)n};
        memcpy(reply + 3, lp8->memory + at, n);
        answer(module, reply, 3 + n);
    }
}

/* ---- the UART ---- */

/* Bytes of a complete frame, as far as can be told from its beginning; 0: not yet. */
static size_t frame_length(const uart *uart)
{
    if (uart->tx_length < 5) {
        return 0;
    }
    return uart->tx[1] == 0x41 ? 5 + uart->tx[4] + 2u : 7;
}

static void transmit(sim_co2_module *module, uint8_t byte)
{
    uart *uart = &module->uart;
    int64_t now = sim_chip_now(&module->chip);
    if (uart->tx_length == FIFO_SIZE) {
        return; /* it is full */
    }
    if (uart->tx_done < now) {
        uart->tx_done = now;
    }
    uart->tx_done += (int64_t)byte_time(uart);
    uart->tx[uart->tx_length++] = byte;
    if (uart->tx_length == frame_length(uart)) {
        receive(module);
        uart->tx_length = 0;
    }
}

static size_t arrived(const sim_co2_module *module)
{
    const uart *uart = &module->uart;
    int64_t now = sim_chip_now(&module->chip);
    if (now < uart->rx_begin) {
        return 0;
    }
    double bytes = (double)(now - uart->rx_begin) / byte_time(uart);
    return bytes < (double)uart->rx_length ? (size_t)bytes : uart->rx_length;
}

static uint8_t uart_get(sim_co2_module *module, uint8_t reg)
{
    uart *uart = &module->uart;
    bool divisor = uart->lcr & 0x80;
    switch (reg) {
    case RHR:
        if (divisor) {
            return uart->dll;
        }
        return uart->rx_taken < arrived(module) ? uart->rx[uart->rx_taken++] : 0;
    case 0x1:
        return divisor ? uart->dlh : 0;
    case LCR:
        return uart->lcr;
    case LSR:
        return 0x60;
    case SPR:
        return uart->spr;
    case TXLVL:
        return (uint8_t)(FIFO_SIZE - uart->tx_length);
    case RXLVL:
        return (uint8_t)(arrived(module) - uart->rx_taken);
    default:
        return 0;
    }
}

static void uart_set(sim_co2_module *module, uint8_t reg, uint8_t value)
{
    uart *uart = &module->uart;
    bool divisor = uart->lcr & 0x80;
    switch (reg) {
    case RHR:
        if (divisor) {
            uart->dll = value;
        } else {
            transmit(module, value);
        }
        break;
    case 0x1:
        if (divisor) {
            uart->dlh = value;
        }
        break;
    case FCR:
        uart->fcr = value;
        if (value & 0x02) {
            uart->rx_length = uart->rx_taken = 0;
        }
        if (value & 0x04) {
            uart->tx_length = 0;
        }
        break;
    case LCR:
        uart->lcr = value;
        break;
    case SPR:
        uart->spr = value;
        break;
    case IOCTRL:
        if (value & 0x08) {
            reset_uart(uart);
        }
        break;
    default:
        break;
    }
}

/* ---- the chip ---- */

static bool start(sim_chip *chip, bool reading)
{
    const sim_co2_module *module = (const sim_co2_module *)chip;
    (void)reading;
    return chip->selected != UART_ADDRESS || !pulled_low(module, PIN_UART_RESET);
}

/* Each of the two has its own register pointer. */
static bool write(sim_chip *chip, uint8_t byte)
{
    sim_co2_module *module = (sim_co2_module *)chip;
    if (chip->selected != UART_ADDRESS) {
        return sim_write8(chip, byte);
    }
    if (chip->count == 0) {
        module->uart.pointer = byte >> 3 & 0x0f;
    } else {
        uart_set(module, module->uart.pointer, byte);
    }
    return true;
}

static uint8_t read(sim_chip *chip)
{
    sim_co2_module *module = (sim_co2_module *)chip;
    if (chip->selected != UART_ADDRESS) {
        return sim_read8(chip);
    }
    return uart_get(module, module->uart.pointer);
}

static uint8_t get8(sim_chip *chip, uint8_t reg)
{
    const sim_co2_module *module = (const sim_co2_module *)chip;
    uint8_t levels = ready_is_low(module) ? (uint8_t)~PIN_READY : 0xff;
    return sim_tca9534a_get(&module->expander, reg, levels);
}

static void set8(sim_chip *chip, uint8_t reg, uint8_t value)
{
    sim_co2_module *module = (sim_co2_module *)chip;
    sim_tca9534a_set(&module->expander, reg, value);
    update_pins(module);
}

static void power_up(sim_chip *chip)
{
    sim_co2_module *module = (sim_co2_module *)chip;
    sim_tca9534a_power_up(&module->expander);
    module->charge = 0;
    module->charging = false;
    reset_uart(&module->uart);
    update_pins(module);
}

bool sim_co2_record_of(sim_chip *chip, sim_co2_record *record)
{
    if (chip->ops != &sim_co2_module_ops) {
        return false;
    }
    const sim_co2_module *module = (const sim_co2_module *)chip;
    *record = module->record;
    record->charging = module->charging;
    record->powered = module->lp8.on;
    return true;
}

const sim_chip_ops sim_co2_module_ops = {
    .name = "co2-module",
    .addresses = (const uint8_t[]){0x38, 0},
    .companion = UART_ADDRESS,
    .size = sizeof(sim_co2_module),
    .inputs = {{"concentration", 600, 0, 32767}, {"pressure", NORMAL_PRESSURE, 20, 110}},
    .power_up = power_up,
    .start = start,
    .write = write,
    .read = read,
    .get8 = get8,
    .set8 = set8,
};
