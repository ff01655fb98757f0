/* Drivers and simulated chips fed with anything: all must end, and stay within their memory. */
#include "driver.h"

#include "sim/sim_chip.h"

static uint64_t seed = 20171201;

static uint32_t random_number(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

/* A bus on which anything may happen; its clock is the test's. */
typedef struct random_bus {
    i2c_bus bus;
    int64_t time;
    unsigned transfers;
} random_bus;

static int random_transfer(i2c_bus *base, uint8_t address, const uint8_t *write,
                           size_t write_length, uint8_t *read, size_t read_length)
{
    static const int errors[] = {-ENXIO, -EIO, -ETIMEDOUT, -EBUSY, -EOPNOTSUPP, -ENODEV};
    random_bus *bus = (random_bus *)base;
    uint8_t sum = address;
    bus->transfers++;
    for (size_t i = 0; i < write_length; i++) { /* all of it must be there */
        sum ^= write[i];
    }
    if (random_number(20) == 0) {
        return errors[random_number(6)];
    }
    uint8_t pattern = random_number(2) ? (uint8_t)random_number(256) : sum;
    for (size_t i = 0; i < read_length; i++) {
        read[i] = random_number(3) ? (uint8_t)random_number(256) : pattern;
    }
    return 0;
}

static int random_read_register(i2c_bus *bus, uint8_t address, uint8_t reg, uint8_t *data,
                                size_t length)
{
    return random_transfer(bus, address, &reg, 1, data, length);
}

static int random_write_register(i2c_bus *bus, uint8_t address, uint8_t reg, const uint8_t *data,
                                 size_t length)
{
    (void)reg;
    return random_transfer(bus, address, data, length, NULL, 0);
}

static int64_t random_now(i2c_bus *bus)
{
    return ((random_bus *)bus)->time;
}

static void random_sleep(i2c_bus *bus, int64_t microseconds)
{
    ((random_bus *)bus)->time += microseconds;
}

static void random_close(i2c_bus *bus)
{
    (void)bus;
}

static const i2c_bus_ops random_ops = {
    .name = "random",
    .read_register = random_read_register,
    .write_register = random_write_register,
    .transfer = random_transfer,
    .now = random_now,
    .sleep = random_sleep,
    .close = random_close,
};

static void use_sensor(device *device, random_bus *bus)
{
    double values[DEVICE_MAX_QUANTITIES];
    device_step step = 1;
    fill_values(values, -1e9);
    for (unsigned n = 0; step > 0; n++) {
        assert_true(n < MAX_STEPS);
        step = device->driver->sensor->measure(device, n, values);
        bus->time += step > 0 ? step : 0;
    }
    for (size_t i = 0; step == 0 && i < device->driver->sensor->n_quantities; i++) {
        assert_true(values[i] > -1e9 || isnan(values[i])); /* a success has values */
    }
}

static void use_relay(device *device)
{
    bool on;
    if (device->driver->relay->claim) {
        device->driver->relay->claim(device);
    }
    device->driver->relay->recover(device);
    device->driver->relay->set(device, random_number(2));
    if (device->driver->relay->get) {
        device->driver->relay->get(device, &on);
    }
}

static void use_display(device *device)
{
    uint8_t page[128] = {0};
    device->driver->display->write_page(device, random_number(9), page);
}

static void every_driver_ends_on_a_random_bus(void **state)
{
    (void)state;
    for (size_t i = 0; device_drivers[i]; i++) {
        for (int round = 0; round < 2000; round++) {
            char why[64] = "";
            random_bus bus = {.bus.ops = &random_ops, .time = 1};
            uint8_t *memory = calloc(1, device_drivers[i]->state_size + 1);
            uint8_t *chip = calloc(1, device_drivers[i]->chip_size + 1);
            device device = {device_drivers[i], &bus.bus, 0x48, -1, memory, NAN, chip};
            device_step step = 1;
            for (unsigned n = 0; step > 0; n++) {
                assert_true(n < MAX_STEPS);
                step = device.driver->probe(&bus.bus, 0x48, n, why, sizeof why);
            }
            step = 1;
            for (unsigned n = 0; step > 0; n++) {
                assert_true(n < MAX_STEPS);
                step = device.driver->start(&device, n);
                bus.time += step > 0 ? step : 0;
            }
            if (device.driver->present) {
                assert_true(device.driver->present(&device) <= DEVICE_MAY_HAVE_LOST_POWER);
            }
            if (device.driver->sensor) {
                use_sensor(&device, &bus);
            }
            if (device.driver->relay) {
                use_relay(&device);
            }
            if (device.driver->display) {
                use_display(&device);
            }
            assert_true(bus.transfers < 2000);
            free(memory);
            free(chip);
        }
    }
}

static void every_simulated_chip_takes_anything(void **state)
{
    (void)state;
    for (size_t i = 0; sim_chips[i]; i++) {
        _Atomic int64_t time = 1;
        sim_clock clock = sim_fake_clock(&time);
        i2c_bus *bus = sim_bus_create(&clock);
        uint8_t address = sim_chips[i]->addresses[0];
        assert_true(sim_add(bus, sim_chips[i]->name, address));
        for (int round = 0; round < 20000; round++) {
            uint8_t write[80], read[80];
            size_t to_write = random_number(random_number(10) ? 4 : 80);
            size_t to_read = random_number(random_number(10) ? 6 : 80);
            for (size_t j = 0; j < to_write; j++) {
                write[j] = (uint8_t)random_number(256);
            }
            if (to_write + to_read) {
                i2c_transfer(bus,
                             sim_chips[i]->companion && random_number(2) ? sim_chips[i]->companion
                                                                         : address,
                             write, to_write, read, to_read);
            }
            time += random_number(100000);
            if (random_number(500) == 0) {
                sim_unplug(bus, address);
                sim_plug(bus, address);
            }
        }
        i2c_bus_close(bus);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_driver_ends_on_a_random_bus),
        cmocka_unit_test(every_simulated_chip_takes_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
