/* All drivers together: their order, their names, and that probing harms and mistakes no chip. */
#include "driver.h"

#include "devices/quantity.h"
#include "sim/sim_chip.h"

static i2c_bus *open_default(_Atomic int64_t *time)
{
    char why[256];
    i2c_bus *bus;
    sim_clock clock = sim_fake_clock(time);
    *time = 1000000;
    assert_int_equal(sim_bus_open(&bus, NULL, &clock, why, sizeof why), 0);
    *time += 1000000; /* everything has started up */
    return bus;
}

static bool looks_at(const device_driver *driver, uint8_t address)
{
    for (const uint8_t *a = driver->addresses; a && *a; a++) {
        if (*a == address) {
            return true;
        }
    }
    return false;
}

/* Step by step, on the bus's clock. */
static device_step probe(const device_driver *driver, i2c_bus *bus, uint8_t address)
{
    char why[256];
    device_step result = 1;
    for (unsigned step = 0; step < MAX_STEPS && result > 0; step++) {
        result = driver->probe(bus, address, step, why, sizeof why);
        bus->ops->sleep(bus, result);
    }
    return result;
}

/* Offers an address to every driver that looks there unasked, as the hub does. */
static const device_driver *identify(i2c_bus *bus, uint8_t address)
{
    for (size_t i = 0; device_drivers[i]; i++) {
        if (looks_at(device_drivers[i], address) && probe(device_drivers[i], bus, address) == 0) {
            return device_drivers[i];
        }
    }
    return NULL;
}

static void every_device_of_the_default_scenario_is_found(void **state)
{
    (void)state;
    static const struct {
        uint8_t address;
        const char *type, *driver;
    } expected[] = {
        {0x38, "co2-sensor", "co2-module"},  {0x3b, "relay", "tca9534a"},
        {0x3c, "display-oled", "ssd1306"},   {0x3f, "relay", "tca9534a"},
        {0x40, "humidity-sensor", "sht20"},  {0x41, "humidity-sensor", "hdc2080"},
        {0x44, "lux-meter", "opt3001"},      {0x45, "lux-meter", "opt3001"},
        {0x48, "thermometer", "tmp112"},     {0x49, "thermometer", "tmp112"},
        {0x5f, "humidity-sensor", "hts221"}, {0x60, "barometer", "mpl3115a2"},
    };
    _Atomic int64_t time;
    i2c_bus *bus = open_default(&time);
    size_t found = 0;
    for (uint8_t address = I2C_FIRST_ADDRESS; address <= I2C_LAST_ADDRESS; address++) {
        const device_driver *driver = identify(bus, address);
        if (!driver) {
            continue;
        }
        assert_true(found < sizeof expected / sizeof *expected);
        assert_int_equal(address, expected[found].address);
        assert_string_equal(driver->name, expected[found].driver);
        assert_string_equal(driver->type, expected[found].type);
        assert_int_equal(sim_written(bus, address), 0);
        found++;
    }
    assert_int_equal(found, sizeof expected / sizeof *expected);
    i2c_bus_close(bus);
}

/*
 * Bytes that one look at a chip may write beyond the first of a transfer: the second byte of a
 * 16-bit command, where the driver declares that it sends one.
 */
static unsigned may_write(const device_driver *driver)
{
    return driver->probe_command ? 1 : 0;
}

static bool has_identity(const device_driver *driver)
{
    return driver->sensor != NULL;
}

/* Every sensor's driver is asked about every other chip, wherever that one may be. */
static void no_driver_takes_another_chip_for_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; device_drivers[i]; i++) {
        for (size_t j = 0; sim_chips[j]; j++) {
            const device_driver *driver = device_drivers[i];
            if (!has_identity(driver) || strcmp(driver->name, sim_chips[j]->name) == 0) {
                continue;
            }
            char why[256] = "";
            uint8_t address =
                driver->addresses[0] ? driver->addresses[0] : sim_chips[j]->addresses[0];
            bench *b = bench_open(driver->name, sim_chips[j]->name, address);
            bench_wait(b, 1000000);
            int result = bench_probe(b, why, sizeof why);
            if (result == 0) {
                fail_msg("%s takes a %s for its own", driver->name, sim_chips[j]->name);
            }
            if (result == -ENODEV) { /* otherwise it did not even acknowledge */
                assert_true(strlen(why) > 10);
            }
            assert_in_range(sim_written(b->sim, address), 0, may_write(driver));
            bench_close(b);
        }
    }
}

static void hdc2080_is_asked_before_sht20(void **state)
{
    (void)state;
    _Atomic int64_t time = 1;
    sim_clock clock = sim_fake_clock(&time);
    i2c_bus *bus = sim_bus_create(&clock);
    size_t hdc2080 = 0, sht20 = 0;
    for (size_t i = 0; device_drivers[i]; i++) {
        if (!hdc2080 && strcmp(device_drivers[i]->name, "hdc2080") == 0) {
            hdc2080 = i;
        }
        if (!sht20 && strcmp(device_drivers[i]->name, "sht20") == 0) {
            sht20 = i;
        }
    }
    assert_true(hdc2080 < sht20);
    assert_true(sim_add(bus, "hdc2080", 0x40));
    assert_string_equal(identify(bus, 0x40)->name, "hdc2080");
    i2c_bus_close(bus);
}

/* device.h, "What a probe may send": 16-bit commands come last, and nothing else is written. */
static void no_probe_writes_but_with_a_16_bit_command(void **state)
{
    (void)state;
    for (size_t i = 0; device_drivers[i]; i++) {
        const device_driver *driver = device_drivers[i];
        for (const uint8_t *a = driver->addresses; driver->probe_command && *a; a++) {
            for (size_t j = i + 1; device_drivers[j]; j++) {
                assert_true(device_drivers[j]->probe_command || !looks_at(device_drivers[j], *a));
            }
        }
        for (size_t j = 0; sim_chips[j]; j++) {
            char why[256];
            uint8_t address = sim_chips[j]->addresses[0];
            bench *b = bench_open(driver->name, sim_chips[j]->name, address);
            bench_wait(b, 1000000);
            bench_probe(b, why, sizeof why);
            assert_in_range(sim_written(b->sim, address), 0, may_write(driver));
            bench_close(b);
        }
    }
}

/* It is called every two seconds, so it takes no time, and changes nothing. */
static void presence_is_cheap(void **state)
{
    (void)state;
    for (size_t i = 0; device_drivers[i]; i++) {
        const sim_chip_ops *chip = sim_chip_by_name(device_drivers[i]->name);
        char why[256];
        if (!chip) {
            continue;
        }
        bench *b = bench_open(chip->name, chip->name, chip->addresses[0]);
        const device_driver *driver = b->device.driver;
        bench_wait(b, 1000000);
        device_step first = driver->probe(b->bus, b->device.address, 0, why, sizeof why);
        assert_true(first == 0 || (first > 0 && driver->present));
        bench_wait(b, 1000000);
        assert_int_equal(bench_start(b), 0);
        int64_t begin = b->time;
        unsigned transfers = fault_bus_transfers(b->bus),
                 written = sim_written(b->sim, b->device.address);
        assert_int_equal(driver->present
                             ? driver->present(&b->device)
                             : driver->probe(b->bus, b->device.address, 0, why, sizeof why),
                         0);
        assert_int_equal(b->time, begin);
        assert_in_range(sim_written(b->sim, b->device.address) - written, 0, may_write(driver));
        assert_in_range(fault_bus_transfers(b->bus) - transfers, 1, 4);
        bench_close(b);
    }
}

/* What a driver measures is known, in the same unit. */
static void every_quantity_has_its_range(void **state)
{
    (void)state;
    for (size_t i = 0; device_drivers[i]; i++) {
        const sensor_ops *sensor = device_drivers[i]->sensor;
        for (size_t j = 0; sensor && j < sensor->n_quantities; j++) {
            const quantity *known = quantity_by_name(sensor->quantities[j].name);
            assert_non_null(known);
            assert_string_equal(known->unit, sensor->quantities[j].unit);
            assert_true(known->least < known->most);
        }
    }
    assert_null(quantity_by_name("weight"));
    assert_true(quantity_held("relative-humidity", 118) == 100);
    assert_true(quantity_held("illuminance", -49399) == 0);
    assert_true(isnan(quantity_held("pressure", NAN)));
    assert_true(quantity_held("weight", -1) == -1);
}

static void names_lead_to_drivers(void **state)
{
    (void)state;
    for (size_t i = 0; device_drivers[i]; i++) {
        assert_ptr_equal(device_driver_by_name(device_drivers[i]->name), device_drivers[i]);
    }
    assert_null(device_driver_by_name("none"));
    assert_string_equal(device_driver_by_type("relay")->name, "tca9534a");
    assert_string_equal(device_driver_by_type("thermometer")->name, "tmp112");
    assert_null(device_driver_by_type("led"));
}

static void every_driver_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; device_drivers[i]; i++) {
        const device_driver *driver = device_drivers[i];
        assert_non_null(driver->probe);
        assert_non_null(driver->start);
        assert_non_null(driver->addresses);
        assert_true(driver->state_size <= DEVICE_MAX_STATE);
        assert_int_equal(!!driver->sensor + !!driver->relay + !!driver->display, 1);
        if (driver->sensor) {
            assert_in_range(driver->sensor->n_quantities, 1, DEVICE_MAX_QUANTITIES);
        }
        if (driver->relay) {
            assert_int_equal(driver->relay->min_gap, 100000);
        }
        for (const uint8_t *a = driver->addresses; *a; a++) {
            assert_in_range(*a, I2C_FIRST_ADDRESS, I2C_LAST_ADDRESS);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_of_the_default_scenario_is_found),
        cmocka_unit_test(no_driver_takes_another_chip_for_its_own),
        cmocka_unit_test(hdc2080_is_asked_before_sht20),
        cmocka_unit_test(no_probe_writes_but_with_a_16_bit_command),
        cmocka_unit_test(presence_is_cheap),
        cmocka_unit_test(every_quantity_has_its_range),
        cmocka_unit_test(names_lead_to_drivers),
        cmocka_unit_test(every_driver_is_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
