/* The simulated bus: signals, chips' power, faults, and what tests may ask it. */
#include "driver.h"

static i2c_bus *create(_Atomic int64_t *time)
{
    sim_clock clock = sim_fake_clock(time);
    *time = 1000000000;
    i2c_bus *bus = sim_bus_create(&clock);
    assert_non_null(bus);
    return bus;
}

static void signals_have_their_forms(void **state)
{
    (void)state;
    sim_signal constant = {.value = 3};
    assert_true(sim_signal_at(&constant, 1e6) == 3);

    sim_signal sine = {SIM_SINE, 10, .amplitude = 2, .period = 4};
    assert_true(fabs(sim_signal_at(&sine, 0) - 10) < 1e-9);
    assert_true(fabs(sim_signal_at(&sine, 1) - 12) < 1e-9);
    assert_true(fabs(sim_signal_at(&sine, 3) - 8) < 1e-9);
    sine.phase = 0.25;
    assert_true(fabs(sim_signal_at(&sine, 0) - 12) < 1e-9);

    sim_signal ramp = {SIM_RAMP, -10, .end = 30, .period = 8};
    assert_true(sim_signal_at(&ramp, 0) == -10);
    assert_true(sim_signal_at(&ramp, 2) == 0);
    assert_true(sim_signal_at(&ramp, 100) == 30);
    ramp.repeat = true;
    assert_true(sim_signal_at(&ramp, 10) == 0);
}

static void a_random_walk_repeats_itself_and_keeps_its_bounds(void **state)
{
    (void)state;
    const sim_signal start = {SIM_RANDOM_WALK, 5,        .amplitude = 1, .period = 0.5,
                              .min = 0,        .max = 8, .seed = 42};
    sim_signal a = start, b = start, other = start;
    other.seed = 43;
    bool differs = false, moves = false;
    for (int i = 0; i < 1000; i++) {
        double value = sim_signal_at(&a, i * 0.5);
        assert_true(value >= 0 && value <= 8);
        moves = moves || value != 5;
        differs = differs || sim_signal_at(&other, i * 0.5) != value;
    }
    assert_true(moves && differs);
    /* fewer looks give the same values */
    assert_true(sim_signal_at(&b, 499.5) == sim_signal_at(&a, 499.5));
}

static void chips_are_added_and_keep_apart(void **state)
{
    (void)state;
    _Atomic int64_t time;
    i2c_bus *bus = create(&time);
    assert_false(sim_add(bus, "tmp113", 0x48));
    assert_false(sim_add(bus, "tmp112", 0x80));
    assert_true(sim_add(bus, "tmp112", 0x48));
    assert_false(sim_add(bus, "tmp112", 0x48));
    assert_true(sim_add(bus, "co2-module", 0x38));
    assert_false(sim_add(bus, "tmp112", 0x4d)); /* the CO2 module's UART */
    assert_int_equal(i2c_probe(bus, 0x48), 0);
    assert_int_equal(i2c_probe(bus, 0x4d), 0);
    assert_int_equal(i2c_probe(bus, 0x49), -ENXIO);
    assert_int_equal(sim_transfers(bus, 0x49), 1);
    assert_false(sim_set(bus, 0x48, "humidity", 1));
    assert_false(sim_set(bus, 0x49, "temperature", 1));
    assert_true(sim_set(bus, 0x48, "temperature", 1));
    i2c_bus_close(bus);
}

static void power_takes_registers_away(void **state)
{
    (void)state;
    _Atomic int64_t time;
    i2c_bus *bus = create(&time);
    uint16_t config;
    assert_true(sim_add(bus, "tmp112", 0x48));
    assert_int_equal(i2c_write16be(bus, 0x48, 1, 0x6180), 0);
    sim_unplug(bus, 0x48);
    assert_int_equal(i2c_read16be(bus, 0x48, 1, &config), -ENXIO);
    sim_plug(bus, 0x48);
    assert_int_equal(i2c_read16be(bus, 0x48, 1, &config), 0);
    assert_int_equal(config & 0x7fff, 0x60a0);
    sim_unplug(bus, 0x11); /* no chip there: nothing happens */
    i2c_bus_close(bus);
}

static void a_conversion_takes_its_time(void **state)
{
    (void)state;
    _Atomic int64_t time;
    i2c_bus *bus = create(&time);
    uint16_t word;
    assert_true(sim_add(bus, "tmp112", 0x48));
    assert_true(sim_set(bus, 0x48, "temperature", -25));
    assert_int_equal(i2c_read16be(bus, 0x48, 0, &word), 0);
    assert_int_equal(word, 0); /* the first one is not done yet */
    time += 50000;
    assert_int_equal(i2c_write16be(bus, 0x48, 1, 0x6180), 0); /* shut down */
    assert_int_equal(i2c_write16be(bus, 0x48, 1, 0xe180), 0); /* one shot */
    assert_int_equal(i2c_read16be(bus, 0x48, 1, &word), 0);
    assert_false(word & 0x8000);
    time += 25999;
    assert_int_equal(i2c_read16be(bus, 0x48, 1, &word), 0);
    assert_false(word & 0x8000);
    time += 1;
    assert_int_equal(i2c_read16be(bus, 0x48, 1, &word), 0);
    assert_true(word & 0x8000);
    assert_int_equal(i2c_read16be(bus, 0x48, 0, &word), 0);
    assert_int_equal(word, 0xe700);
    i2c_bus_close(bus);
}

static void a_tmp112_converts_by_itself_until_shut_down(void **state)
{
    (void)state;
    _Atomic int64_t time;
    i2c_bus *bus = create(&time);
    uint16_t word;
    assert_true(sim_add(bus, "tmp112", 0x48));
    for (int celsius = -40; celsius <= 125; celsius += 5) {
        assert_true(sim_set(bus, 0x48, "temperature", celsius));
        time += 600000; /* 4 Hz */
        assert_int_equal(i2c_read16be(bus, 0x48, 0, &word), 0);
        assert_true(tmp112_raw_to_celsius(word) == celsius);
    }
    assert_int_equal(i2c_write16be(bus, 0x48, 1, 0x6090), 0); /* extended mode: 13 bits */
    time += 600000;
    assert_int_equal(i2c_read16be(bus, 0x48, 0, &word), 0);
    assert_int_equal(word, 125 * 16 * 8 | 1);
    i2c_bus_close(bus);
}

static void faults_do_what_they_are_called(void **state)
{
    (void)state;
    _Atomic int64_t time;
    i2c_bus *bus = create(&time);
    uint8_t id[4], again[4];
    assert_true(sim_add(bus, "hdc2080", 0x40));
    assert_true(sim_add(bus, "tmp112", 0x48));

    sim_set_fault(bus, 0x40, SIM_NO_ACKNOWLEDGE, 1);
    assert_int_equal(i2c_probe(bus, 0x40), -ENXIO);
    assert_int_equal(i2c_probe(bus, 0x48), 0);
    sim_set_fault(bus, 0x40, SIM_NO_ACKNOWLEDGE, 0);

    sim_set_fault(bus, 0x40, SIM_STUCK, 1);
    assert_int_equal(i2c_probe(bus, 0x40), -ETIMEDOUT);
    assert_int_equal(i2c_probe(bus, 0x48), -ETIMEDOUT); /* everyone */
    assert_int_equal(i2c_probe(bus, 0x11), -ETIMEDOUT);
    sim_unplug(bus, 0x40); /* an unplugged chip holds nothing down */
    assert_int_equal(i2c_probe(bus, 0x48), 0);
    sim_plug(bus, 0x40);
    sim_set_fault(bus, 0x40, SIM_STUCK, 0);

    sim_set_fault(bus, 0x40, SIM_SLOW, 0.25);
    int64_t before = time;
    assert_int_equal(i2c_probe(bus, 0x40), 0);
    assert_int_equal(time - before, 250000);
    assert_int_equal(i2c_probe(bus, 0x48), 0);
    assert_int_equal(time - before, 250000);
    sim_set_fault(bus, 0x40, SIM_SLOW, 0);

    sim_set_fault(bus, 0x40, SIM_GARBAGE, 1);
    assert_int_equal(i2c_read_register(bus, 0x40, 0xfc, id, 4), 0);
    assert_int_equal(i2c_read_register(bus, 0x40, 0xfc, again, 4), 0);
    assert_memory_not_equal(id, again, 4);
    i2c_bus_close(bus);
}

static void a_retained_bus_survives_its_owner(void **state)
{
    (void)state;
    _Atomic int64_t time;
    i2c_bus *bus = create(&time);
    sim_relay_record record;
    assert_true(sim_add(bus, "relay-module", 0x3b));
    sim_bus_retain(bus);
    assert_int_equal(i2c_write8(bus, 0x3b, 1, 0x50), 0);
    assert_int_equal(i2c_write8(bus, 0x3b, 3, 0x00), 0);
    assert_int_equal(i2c_write8(bus, 0x3b, 1, 0x30), 0);
    i2c_bus_close(bus); /* its owner is gone in the middle of a pulse */
    time += 7000;
    assert_true(sim_relay_read(bus, 0x3b, &record));
    assert_true(record.energised);
    assert_int_equal(record.longest_pulse, 7000);
    i2c_bus_close(bus);
}

static void the_relay_model_sees_what_goes_wrong(void **state)
{
    (void)state;
    _Atomic int64_t time;
    i2c_bus *bus = create(&time);
    sim_relay_record record;
    assert_true(sim_add(bus, "relay-module", 0x3b));
    assert_int_equal(i2c_write8(bus, 0x3b, 3, 0x00), 0); /* FFh becomes visible on the pins */
    assert_true(sim_relay_read(bus, 0x3b, &record));
    assert_int_equal(record.unsafe_starts, 1);
    assert_int_equal(record.contact, -1);
    assert_int_equal(i2c_write8(bus, 0x3b, 1, 0x30), 0);
    time += 4000;
    assert_int_equal(i2c_write8(bus, 0x3b, 1, 0x50), 0);
    assert_true(sim_relay_read(bus, 0x3b, &record));
    assert_int_equal(record.contact, -1); /* too short to move it */
    assert_int_equal(record.last_pulse, 4000);
    time += 96000;
    assert_int_equal(i2c_write8(bus, 0x3b, 1, 0x30), 0);
    time += 20000;
    assert_int_equal(i2c_write8(bus, 0x3b, 1, 0x20), 0); /* P5 without P4 */
    assert_true(sim_relay_read(bus, 0x3b, &record));
    assert_int_equal(record.shorts, 1);
    assert_int_equal(record.contact, 1);
    assert_int_equal(record.shortest_gap, 100000);
    sim_unplug(bus, 0x3b);
    sim_plug(bus, 0x3b);
    assert_true(sim_relay_read(bus, 0x3b, &record));
    assert_int_equal(record.contact, 1); /* it is bistable */
    assert_false(sim_relay_read(bus, 0x48, &record));
    i2c_bus_close(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_have_their_forms),
        cmocka_unit_test(a_random_walk_repeats_itself_and_keeps_its_bounds),
        cmocka_unit_test(chips_are_added_and_keep_apart),
        cmocka_unit_test(power_takes_registers_away),
        cmocka_unit_test(a_conversion_takes_its_time),
        cmocka_unit_test(a_tmp112_converts_by_itself_until_shut_down),
        cmocka_unit_test(faults_do_what_they_are_called),
        cmocka_unit_test(a_retained_bus_survives_its_owner),
        cmocka_unit_test(the_relay_model_sees_what_goes_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
