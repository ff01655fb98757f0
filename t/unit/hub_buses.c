/* Buses: opening, looking for devices, stuck and vanished buses, what ClownTalkDevice pins. */
#include "hub_bench.h"

#include <errno.h>

#define LIST "[\"-/-/config/list\", {}]"

/* ---- opening ---- */

static void a_bus_that_cannot_be_opened_is_tried_again(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    b->open_error[0] = ENOENT;
    bench_start(b);
    bench_run(b, 60);
    assert_int_equal(bench_logged(b, CT_BUS_NOT_OPENED), 1);
    assert_contains(bench_ask(b, LIST), "\"sensors\": []");
    assert_contains(bench_ask(b, "[\"i2c/0/config/scan\", {}]"), "io-error");
    /* Another reason is another line. */
    b->open_error[0] = EACCES;
    bench_run(b, 60);
    assert_int_equal(bench_logged(b, CT_BUS_NOT_OPENED), 2);
    b->open_error[0] = 0;
    bench_run(b, 10);
    assert_contains(bench_ask(b, LIST), "thermometer/i2c0-48");
    assert_int_equal(bench_logged(b, CT_BUS_OPENED), 1);
}

static void one_bus_does_without_the_other(void **state)
{
    bench *b = *state;

    b->node.n_buses = 2;
    b->open_error[0] = ENOENT;
    assert_true(sim_add(b->sim[1], "tmp112", 0x49));
    bench_start(b);
    bench_run(b, 1);
    assert_contains(bench_ask(b, LIST), "\"sensors\": [\"thermometer/i2c1-49\"]");
}

/* ---- looking ---- */

static void every_device_is_found(void **state)
{
    static const struct {
        const char *chip, *topic;
        uint8_t address;
    } chips[] = {
        {"tmp112", "thermometer/i2c0-48", 0x48},     {"opt3001", "lux-meter/i2c0-44", 0x44},
        {"hts221", "humidity-sensor/i2c0-5f", 0x5f}, {"hdc2080", "humidity-sensor/i2c0-41", 0x41},
        {"sht20", "humidity-sensor/i2c0-40", 0x40},  {"mpl3115a2", "barometer/i2c0-60", 0x60},
        {"co2-module", "co2-sensor/i2c0-38", 0x38},  {"relay-module", "relay/i2c0-3b", 0x3b},
        {"ssd1306", "display-oled/i2c0-3c", 0x3c},
    };
    bench *b = *state;

    for (size_t i = 0; i < sizeof(chips) / sizeof(*chips); i++) {
        assert_true(sim_add(b->sim[0], chips[i].chip, chips[i].address));
    }
    b->time += 1000000; /* they have had power for a while */
    bench_start(b);
    const char *list = bench_ask(b, LIST);
    for (size_t i = 0; i < sizeof(chips) / sizeof(*chips); i++) {
        assert_contains(list, chips[i].topic);
    }
    /* And it says so once, when it is complete. */
    bench_run(b, 20);
    assert_int_equal(bench_published(b, "[\"-/-/config/ok\""), 1);
}

/* A chip that powers up together with the bus may not answer yet. */
static void a_chip_that_wakes_up_late_is_found_soon(void **state)
{
    bench *b = *state;

    b->node.rescan = 0;
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    sim_unplug(b->sim[0], 0x48);
    bench_start(b);
    bench_run(b, 0.1);
    sim_plug(b->sim[0], 0x48);
    bench_run(b, 2);
    assert_contains(bench_ask(b, LIST), "thermometer/i2c0-48");
}

static void absent_addresses_are_looked_at_again(void **state)
{
    bench *b = *state;

    b->node.rescan = 12;
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    sim_unplug(b->sim[0], 0x48);
    bench_start(b);
    bench_run(b, 2);
    sim_plug(b->sim[0], 0x48);
    bench_run(b, 10);
    assert_null(strstr(bench_ask(b, LIST), "thermometer"));
    bench_run(b, 2);
    assert_contains(bench_ask(b, LIST), "thermometer/i2c0-48");
}

static void zero_means_never(void **state)
{
    bench *b = *state;

    b->node.rescan = 0;
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    assert_true(sim_add(b->sim[0], "tmp112", 0x49));
    sim_unplug(b->sim[0], 0x48);
    bench_start(b);
    bench_run(b, 10);
    sim_plug(b->sim[0], 0x48);
    bench_run(b, 1000);
    assert_null(strstr(bench_ask(b, LIST), "thermometer/i2c0-48"));
    /* But a device that was there before is looked for without end. */
    sim_unplug(b->sim[0], 0x49);
    bench_run(b, 1000);
    sim_plug(b->sim[0], 0x49);
    bench_run(b, 40);
    assert_contains(bench_ask(b, LIST), "thermometer/i2c0-49");
}

/* Looking at what is absent must not disturb what is there. */
static void a_look_waits_for_a_gap(void **state)
{
    static const uint8_t absent[] = {0x38, 0x3b, 0x3c, 0x3d, 0x3f, 0x40,
                                     0x41, 0x44, 0x45, 0x49, 0x5f, 0x60};
    bench *b = *state;
    int64_t last = 0;

    b->node.rescan = 0.2;
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    sim_set(b->sim[0], 0x48, "temperature", 20);
    bench_start(b);
    bench_run(b, 0.5);
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": 0.1}]");
    /* Every transfer to these absent addresses takes as long as the gap that a look asks for. */
    for (size_t i = 0; i < sizeof(absent); i++) {
        assert_true(fault_bus_add(
            b->fault[0],
            &(fault_rule){.kind = FAULT_DELAY, .address = absent[i], .reg = -1, .delay = 5000}));
    }
    bench_clear(b);
    bench_run(b, 20);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].kind != LINE_PUBLICATION) {
            continue;
        }
        if (last) {
            assert_in_range(b->lines[i].time - last, 99000, 101000);
        }
        last = b->lines[i].time;
    }
    assert_true(last > 0);
}

/* Fifteen thermometers that keep the bus busy all the time. */
static void a_bus_without_gaps_looks_all_the_same(void **state)
{
    static char names[15][32];
    bench *b = *state;

    b->node.rescan = 1;
    b->intervals[0] = (hub_interval_config){"thermometer", 0.1};
    b->node.n_intervals = 1;
    for (uint8_t i = 0; i < 15; i++) {
        snprintf(names[i], sizeof(names[i]), "thermometer/i2c0-%02x", 0x10 + i);
        assert_true(sim_add(b->sim[0], "tmp112", 0x10 + i));
        sim_set_fault(b->sim[0], 0x10 + i, SIM_SLOW, 0.01);
        bench_pin(b, names[i], "tmp112", NULL);
    }
    bench_start(b);
    bench_run(b, 5);
    assert_true(sim_add(b->sim[0], "opt3001", 0x44));
    bench_run(b, 10);
    assert_contains(bench_ask(b, LIST), "lux-meter/i2c0-44");
}

static void a_stranger_is_reported_once_and_left_alone(void **state)
{
    bench *b = *state;

    b->node.rescan = 5;
    /* A thermometer where a lux meter could be. */
    assert_true(sim_add(b->sim[0], "tmp112", 0x44));
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(bench_logged(b, CT_DEVICE_MISMATCH), 1);
    assert_contains(bench_ask(b, LIST), "\"sensors\": []");
}

static void a_chip_that_cannot_be_configured_is_reported_once(void **state)
{
    static const fault_rule read_only = {
        .kind = FAULT_ERROR, .address = 0x48, .directions = FAULT_WRITES, .reg = -1, .error = -EIO};
    bench *b = *state;

    b->node.rescan = 5;
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    b->first_rule = &read_only;
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(bench_logged(b, CT_DEVICE_NOT_STARTED), 1);
    assert_contains(bench_ask(b, LIST), "\"sensors\": []");
    fault_bus_clear(b->fault[0]);
    bench_run(b, 10);
    assert_contains(bench_ask(b, LIST), "thermometer/i2c0-48");
}

static void an_address_that_the_kernel_holds_is_respected(void **state)
{
    static const fault_rule held = {
        .kind = FAULT_ERROR, .address = 0x48, .reg = -1, .error = -EBUSY};
    bench *b = *state;

    b->node.rescan = 5;
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    b->first_rule = &held;
    bench_start(b);
    bench_run(b, 100);
    assert_int_equal(bench_logged(b, CT_DEVICE_HELD), 1);
    assert_int_equal(sim_transfers(b->sim[0], 0x48), 0);
    assert_contains(bench_ask(b, LIST), "\"sensors\": []");
    /* A scan reports that the address answers. */
    assert_contains(bench_ask(b, "[\"i2c/0/config/scan\", {}]"), "[\"48\", null]");
}

/* Another chip in the place of one that was there. */
static void a_chip_that_was_exchanged_is_noticed(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "hdc2080", 0x40));
    bench_start(b);
    bench_run(b, 1);
    assert_contains(bench_ask(b, LIST), "humidity-sensor/i2c0-40");
    i2c_bus *other = sim_bus_create(&b->clock);
    assert_true(sim_add(other, "sht20", 0x40));
    sim_set(other, 0x40, "relative-humidity", 33);
    /* The old bus is pulled out from below, the new one is found when it is opened again. */
    i2c_bus *old = b->sim[0];
    b->sim[0] = other;
    assert_true(fault_bus_add(b->fault[0],
                              &(fault_rule){.kind = FAULT_ERROR, .reg = -1, .error = -ENODEV}));
    bench_run(b, 20);
    assert_int_equal(bench_logged(b, CT_BUS_GONE), 1);
    assert_contains(bench_last(b, "[\"humidity-sensor/i2c0-40\""), "[33.0, ");
    i2c_bus_close(old);
}

/* ---- a bus in trouble ---- */

static void a_stuck_bus_is_left_in_peace(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_start(b);
    bench_run(b, 1);
    bench_ask(b, "[\"relay/i2c0-3b/set\", {\"state\": true}]");
    bench_clear(b);
    sim_set_fault(b->sim[0], 0x48, SIM_STUCK, 1);
    unsigned before = fault_bus_transfers(b->fault[0]);
    bench_run(b, 60);
    assert_int_equal(bench_logged(b, CT_BUS_STUCK), 1);
    /* A handful of attempts: at growing distances, up to eight seconds. */
    assert_in_range(fault_bus_transfers(b->fault[0]) - before, 5, 30);
    assert_string_equal(bench_last(b, "[\"relay"), "[\"relay/i2c0-3b\", {\"state\": null}]");
    assert_contains(bench_last(b, "[\"thermometer"), "null");
    assert_contains(bench_ask(b, LIST), "\"sensors\": []");
    sim_set_fault(b->sim[0], 0x48, SIM_STUCK, 0);
    bench_run(b, 40);
    assert_int_equal(bench_logged(b, CT_BUS_FREE), 1);
    assert_contains(bench_ask(b, LIST), "thermometer/i2c0-48");
    assert_contains(bench_ask(b, LIST), "relay/i2c0-3b");
}

static void a_request_on_a_stuck_bus_is_answered(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    bench_start(b);
    bench_run(b, 1);
    sim_set_fault(b->sim[0], 0x48, SIM_STUCK, 1);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/get\", {}]"), "\"timeout\"");
    bench_run(b, 3);
    assert_contains(bench_ask(b, "[\"thermometer/i2c0-48/get\", {}]"), "\"timeout\"");
    assert_contains(bench_ask(b, "[\"i2c/0/config/scan\", {}]"), "\"timeout\"");
    assert_contains(bench_ask(b, "[\"i2c/0/get\", {\"address\": \"50\", \"read-length\": 1}]"),
                    "\"timeout\"");
}

static void a_bus_that_is_gone_is_opened_again(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    bench_start(b);
    bench_run(b, 1);
    bench_ask(b, "[\"relay/i2c0-3b/set\", {\"state\": true}]");
    bench_clear(b);
    b->open_error[0] = ENOENT;
    assert_true(fault_bus_add(b->fault[0],
                              &(fault_rule){.kind = FAULT_ERROR, .reg = -1, .error = -ENODEV}));
    bench_run(b, 3);
    assert_int_equal(bench_logged(b, CT_BUS_GONE), 1);
    assert_contains(bench_ask(b, LIST), "\"sensors\": []");
    assert_int_equal(bench_published(b, "[\"relay/i2c0-3b\", {\"state\": null}]"), 1);
    b->open_error[0] = 0;
    bench_run(b, 10);
    assert_contains(bench_ask(b, LIST), "thermometer/i2c0-48");
    assert_string_equal(bench_last(b, "[\"relay"), "[\"relay/i2c0-3b\", {\"state\": true}]");
}

/* ---- pins ---- */

static void none_leaves_an_address_alone(void **state)
{
    bench *b = *state;

    b->node.rescan = 1;
    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    bench_pin(b, "thermometer/i2c0-48", "none", NULL);
    bench_start(b);
    bench_run(b, 60);
    assert_int_equal(sim_transfers(b->sim[0], 0x48), 0);
    /* Raw access is allowed. */
    assert_contains(
        bench_ask(b,
                  "[\"i2c/0/get\", {\"address\": \"48\", \"write\": \"01\", \"read-length\": 2}]"),
        "\"read\": \"60,A0\"");
}

static void a_pin_brings_a_chip_to_an_unusual_address(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x4b));
    bench_pin(b, "thermometer/i2c0-4b", NULL, NULL);
    bench_start(b);
    assert_contains(bench_ask(b, LIST), "thermometer/i2c0-4b");
}

static void a_board_of_relays_has_a_topic_for_each(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "pcf8574", 0x20));
    assert_true(sim_add(b->sim[0], "mcp23017", 0x21));
    bench_pin(b, "relay/i2c0-20", "pcf8574", NULL);
    bench_pin(b, "relay/i2c0-21-0", "mcp23017", "pin=15", "active=high", NULL);
    bench_start(b);
    const char *list = bench_ask(b, LIST);
    for (int i = 0; i < 8; i++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "\"relay/i2c0-20-%d\"", i);
        assert_contains(list, topic);
    }
    assert_contains(list, "\"relay/i2c0-21-0\"]");
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-3/set\", {\"state\": true}]"), "true");
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-3/get\", {}]"), "true");
    assert_contains(bench_ask(b, "[\"relay/i2c0-20-4/get\", {}]"), "false");
    assert_contains(bench_ask(b, "[\"relay/i2c0-21-0/set\", {\"state\": true}]"), "true");
    /* Their state can be read: a change is noticed. */
    bench_clear(b);
    uint8_t port = 0xff;
    assert_int_equal(i2c_transfer(b->sim[0], 0x20, &port, 1, NULL, 0), 0);
    bench_run(b, 3);
    assert_string_equal(bench_last(b, "[\"relay/i2c0-20-3\""),
                        "[\"relay/i2c0-20-3\", {\"state\": false}]");
    assert_contains(bench_ask(b, "[\"i2c/0/config/scan\", {}]"),
                    "[[\"20\", \"relay/i2c0-20-0\"], [\"21\", \"relay/i2c0-21-0\"]]");
}

static void pins_that_cannot_be_followed_are_reported(void **state)
{
    bench *b = *state;

    bench_pin(b, "relay/i2c7-20", "pcf8574", NULL);      /* no such bus */
    bench_pin(b, "relay/i2c0-20-1", "pcf8574", NULL);    /* right */
    bench_pin(b, "relay/i2c0-20-1", "pcf8574", NULL);    /* twice */
    bench_pin(b, "relay/i2c0-20-2", "mcp23017", NULL);   /* two drivers */
    bench_pin(b, "thermometer/i2c0-48", "nosuch", NULL); /* no such driver */
    bench_start(b);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_DEVICE_CONFIG), 4);
}

/* The barometer's pressure reaches the sensors that ask for it, also on another bus. */
static void air_pressure_is_passed_on(void **state)
{
    bench *b = *state;

    b->node.n_buses = 2;
    assert_true(sim_add(b->sim[0], "mpl3115a2", 0x60));
    assert_true(sim_add(b->sim[1], "co2-module", 0x38));
    sim_set(b->sim[0], 0x60, "pressure", 80);
    bench_start(b);
    bench_run(b, 200);
    sim_co2_record co2;
    assert_true(sim_co2_read(b->sim[1], 0x38, &co2));
    assert_true(co2.measurements > 1);
    assert_int_equal(co2.pressure, 8000);
    /* A sensor that appears later gets it, too. */
    sim_unplug(b->sim[1], 0x38);
    bench_run(b, 100);
    sim_plug(b->sim[1], 0x38);
    bench_run(b, 200);
    assert_true(sim_co2_read(b->sim[1], 0x38, &co2));
    assert_int_equal(co2.pressure, 8000);
    /* Without a barometer it is the standard pressure. */
    sim_unplug(b->sim[0], 0x60);
    bench_run(b, 100);
    assert_true(sim_co2_read(b->sim[1], 0x38, &co2));
    assert_in_range(co2.pressure, 10132, 10133);
}

/* ---- addresses at which a chip without registers may sit ---- */

static const uint8_t ports[] = {0x20, 0x27, 0x38, 0x39, 0x3b, 0x3c, 0x3d, 0x3f};

static void assert_no_pin_has_moved(bench *b)
{
    for (size_t i = 0; i < sizeof(ports); i++) {
        sim_port_record port;
        assert_true(sim_port_read(b->sim[0], ports[i], &port));
        for (size_t pin = 0; pin < 8; pin++) {
            assert_int_equal(port.changes[pin], 0);
        }
        assert_int_equal(port.levels & 0xff, 0xff);
    }
}

/* To a PCF8574 the address of a register is a value for its pins. */
static void boards_that_nobody_declared_keep_their_pins(void **state)
{
    bench *b = *state;

    b->buses[0].modules = HUB_MODULES_NONE;
    b->node.rescan = 1;
    for (size_t i = 0; i < sizeof(ports); i++) {
        assert_true(sim_add(b->sim[0], "pcf8574", ports[i]));
    }
    bench_start(b);
    bench_run(b, 60);
    assert_no_pin_has_moved(b);
    assert_contains(bench_ask(b, LIST), "\"actuators\": []");
    /* Each is reported once, and again when it has been away. */
    assert_int_equal(bench_logged(b, CT_PORT_UNASKED), sizeof(ports));
    sim_unplug(b->sim[0], 0x3b);
    bench_run(b, 3);
    sim_plug(b->sim[0], 0x3b);
    bench_run(b, 3);
    assert_int_equal(bench_logged(b, CT_PORT_UNASKED), sizeof(ports) + 1);
    assert_no_pin_has_moved(b);
}

/* The log names the lines that make use of the chip, and a scan does. */
static void what_is_not_asked_is_reported(void **state)
{
    bench *b = *state;

    b->buses[0] = (hub_bus_config){.device = "/dev/i2c-1"};
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_add(b->sim[0], "pcf8574", 0x20));
    bench_pin(b, "relay/i2c0-3f", "none", NULL);
    assert_true(sim_add(b->sim[0], "pcf8574", 0x3f));
    bench_start(b);
    bench_run(b, 10);
    assert_int_equal(bench_logged(b, CT_PORT_UNASKED), 2);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].code == CT_PORT_UNASKED && strstr(b->lines[i].text, "i2c0-3b: ")) {
            assert_contains(b->lines[i].text, "ClownTalkBus 0 /dev/i2c-1 modules=bigclown, "
                                              "ClownTalkDevice relay/i2c0-3b pcf8574, "
                                              "ClownTalkDevice relay/i2c0-3b none");
        }
    }
    assert_string_equal(
        bench_ask(b, "[\"i2c/0/config/scan\", {}]"),
        "[\"i2c/0/config/ok\", {\"slaves\": [[\"20\", null], [\"3B\", null], [\"3F\", null]], "
        "\"configure\": {"
        "\"20\": [\"ClownTalkDevice relay/i2c0-20 pcf8574\", "
        "\"ClownTalkDevice relay/i2c0-20 none\"], "
        "\"3B\": [\"ClownTalkBus 0 /dev/i2c-1 modules=bigclown\", "
        "\"ClownTalkDevice relay/i2c0-3b pcf8574\", \"ClownTalkDevice relay/i2c0-3b none\"]}}]");
}

/* With BigClown's modules on the bus, their addresses are asked, and no others are. */
static void a_bus_with_modules_has_its_boards_left_alone(void **state)
{
    bench *b = *state;
    sim_port_record port;

    b->node.rescan = 1;
    assert_true(sim_add(b->sim[0], "relay-module", 0x3b));
    assert_true(sim_add(b->sim[0], "pcf8574", 0x20));
    assert_true(sim_add(b->sim[0], "pcf8574", 0x38)); /* and nothing at 4d, so no CO2 module */
    bench_start(b);
    bench_run(b, 30);
    assert_contains(bench_ask(b, LIST), "\"actuators\": [\"relay/i2c0-3b\"]");
    assert_true(sim_port_read(b->sim[0], 0x20, &port));
    assert_int_equal(port.changes[0] + port.changes[7], 0);
    assert_true(sim_port_read(b->sim[0], 0x38, &port));
    assert_int_equal(port.changes[0] + port.changes[7], 0);
    assert_int_equal(bench_logged(b, CT_PORT_UNASKED), 1);
}

/* ---- raw access ---- */

static void raw_access_reads_and_writes(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x4a));
    bench_start(b);
    assert_string_equal(
        bench_ask(b, "[\"i2c/0/get\", {\"address\": \"4a\", \"write\": \"01\", \"read-length\": "
                     "2}, {\"id\": 1}]"),
        "[\"i2c/0\", {\"address\": \"4A\", \"write\": \"01\", \"read\": \"60,A0\"}, {\"id\": 1}]");
    assert_string_equal(
        bench_ask(b, "[\"i2c/0/set\", {\"address\": \"4A\", \"write\": \"02,12,30\"}]"),
        "[\"i2c/0\", {\"address\": \"4A\", \"write\": \"02,12,30\"}]");
    assert_string_equal(
        bench_ask(
            b, "[\"i2c/0/set\", {\"address\": \"4A\", \"write\": \"Ag==\", \"read-length\": 2}]"),
        "[\"i2c/0\", {\"address\": \"4A\", \"write\": \"Ag==\", \"read\": \"EjA=\"}]");
    assert_string_equal(bench_ask(b, "[\"i2c/0/get\", {\"address\": \"4A\", \"read-length\": 2}]"),
                        "[\"i2c/0\", {\"address\": \"4A\", \"read\": \"12,30\"}]");
    assert_string_equal(
        bench_ask(b, "[\"i2c/0/get\", {\"address\": \"4A\", \"read-length\": 2.0}]"),
        "[\"i2c/0\", {\"address\": \"4A\", \"read\": \"12,30\"}]");
    assert_contains(bench_ask(b, "[\"i2c/0/get\", {\"address\": \"50\", \"read-length\": 1}]"),
                    "\"io-error\"");
    assert_contains(bench_ask(b, "[\"i2c/0/config/scan\", {}, {\"id\": 2}]"),
                    "[\"i2c/0/config/ok\", {\"slaves\": [[\"4A\", null]]}, {\"id\": 2}]");
}

static void raw_access_keeps_off_a_drivers_chips(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    assert_true(sim_add(b->sim[0], "co2-module", 0x38));
    bench_start(b);
    bench_run(b, 1);
    assert_contains(bench_ask(b, "[\"i2c/0/get\", {\"address\": \"48\", \"read-length\": 1}]"),
                    "\"forbidden\", \"message\": \"48 belongs to thermometer/i2c0-48\"");
    /* The second chip of a module is its own, too. */
    assert_contains(bench_ask(b, "[\"i2c/0/set\", {\"address\": \"4d\", \"write\": \"00\"}]"),
                    "\"forbidden\", \"message\": \"4D belongs to co2-sensor/i2c0-38\"");
    assert_contains(bench_ask(b, "[\"i2c/0/config/scan\", {}]"),
                    "[[\"38\", \"co2-sensor/i2c0-38\"], [\"48\", \"thermometer/i2c0-48\"], "
                    "[\"4D\", \"co2-sensor/i2c0-38\"]]");
}

static void a_scan_disturbs_no_device(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "tmp112", 0x48));
    bench_start(b);
    bench_ask(b, "[\"thermometer/i2c0-48/config/set\", {\"publish-interval\": null}]");
    bench_run(b, 0.5);
    unsigned before = sim_transfers(b->sim[0], 0x48);
    assert_contains(bench_ask(b, "[\"i2c/0/config/scan\", {}]"), "thermometer/i2c0-48");
    assert_int_equal(sim_transfers(b->sim[0], 0x48), before);
}

static void raw_requests_are_checked(void **state)
{
    static const char *const wrong[] = {
        "[\"i2c/0/get\", {}]",
        "[\"i2c/0/get\", {\"address\": \"48\"}]",
        "[\"i2c/0/get\", {\"address\": 48, \"read-length\": 1}]",
        "[\"i2c/0/get\", {\"address\": \"07\", \"read-length\": 1}]",
        "[\"i2c/0/get\", {\"address\": \"78\", \"read-length\": 1}]",
        "[\"i2c/0/get\", {\"address\": \"048\", \"read-length\": 1}]",
        "[\"i2c/0/get\", {\"address\": \"4g\", \"read-length\": 1}]",
        "[\"i2c/0/get\", {\"address\": \"48\", \"read-length\": 0}]",
        "[\"i2c/0/get\", {\"address\": \"48\", \"read-length\": 257}]",
        "[\"i2c/0/get\", {\"address\": \"48\", \"read-length\": 1.5}]",
        "[\"i2c/0/get\", {\"address\": \"48\", \"read-length\": 4294967297}]",
        "[\"i2c/0/get\", {\"address\": \"48\", \"read-length\": 1, \"write\": \"01,02,03\"}]",
        "[\"i2c/0/get\", {\"address\": \"48\", \"read-length\": 1, \"write\": 1}]",
        "[\"i2c/0/set\", {\"address\": \"48\"}]",
        "[\"i2c/0/set\", {\"address\": \"48\", \"write\": \"\"}]",
        "[\"i2c/0/set\", {\"address\": \"48\", \"write\": \"0x1\"}]",
    };
    bench *b = *state;

    bench_start(b);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_contains(bench_ask(b, wrong[i]), "\"bad-payload\"");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_bus_that_cannot_be_opened_is_tried_again),
        BENCH_TEST(one_bus_does_without_the_other),
        BENCH_TEST(every_device_is_found),
        BENCH_TEST(a_chip_that_wakes_up_late_is_found_soon),
        BENCH_TEST(absent_addresses_are_looked_at_again),
        BENCH_TEST(zero_means_never),
        BENCH_TEST(a_look_waits_for_a_gap),
        BENCH_TEST(a_bus_without_gaps_looks_all_the_same),
        BENCH_TEST(a_stranger_is_reported_once_and_left_alone),
        BENCH_TEST(a_chip_that_cannot_be_configured_is_reported_once),
        BENCH_TEST(an_address_that_the_kernel_holds_is_respected),
        BENCH_TEST(a_chip_that_was_exchanged_is_noticed),
        BENCH_TEST(a_stuck_bus_is_left_in_peace),
        BENCH_TEST(a_request_on_a_stuck_bus_is_answered),
        BENCH_TEST(a_bus_that_is_gone_is_opened_again),
        BENCH_TEST(none_leaves_an_address_alone),
        BENCH_TEST(a_pin_brings_a_chip_to_an_unusual_address),
        BENCH_TEST(a_board_of_relays_has_a_topic_for_each),
        BENCH_TEST(pins_that_cannot_be_followed_are_reported),
        BENCH_TEST(air_pressure_is_passed_on),
        BENCH_TEST(boards_that_nobody_declared_keep_their_pins),
        BENCH_TEST(what_is_not_asked_is_reported),
        BENCH_TEST(a_bus_with_modules_has_its_boards_left_alone),
        BENCH_TEST(raw_access_reads_and_writes),
        BENCH_TEST(raw_access_keeps_off_a_drivers_chips),
        BENCH_TEST(a_scan_disturbs_no_device),
        BENCH_TEST(raw_requests_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
