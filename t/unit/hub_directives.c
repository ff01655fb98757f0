/* What a directive may say, and the sentences for what it may not. No hardware, no hub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "i2c/linux.h"
#include "sim/sim.h"

#include <math.h>

typedef struct device_case {
    const char *topic, *driver, *option;
    const char *why; /* a part of the sentence; NULL: it is right */
} device_case;

static void check_device(const device_case *device)
{
    const char *const options[] = {device->option, NULL};
    const hub_device_config config = {device->topic, device->driver,
                                      device->option ? options : NULL};
    char why[512] = "";
    const char *wrong = hub_check_device(&config, NULL, 0, why, sizeof(why));

    if (device->why && (!wrong || !strstr(wrong, device->why))) {
        fail_msg("%s %s %s: \"%s\" where \"%s\" was expected", device->topic,
                 device->driver ? device->driver : "", device->option ? device->option : "",
                 wrong ? wrong : "right", device->why);
    }
    if (!device->why && wrong) {
        fail_msg("%s: %s", device->topic, wrong);
    }
}

static void devices_are_checked(void **state)
{
    static const device_case cases[] = {
        {"relay/i2c0-20-0", "pcf8574", "pin=0", NULL},
        {"relay/i2c0-20", "pcf8574", "active=high", NULL},
        {"relay/i2c0-3b", NULL, "power-on=keep", NULL},
        {"relay/i2c0-3b", NULL, "power-on=on", NULL},
        {"relay/i2c0-3b", NULL, "power-on=off", NULL},
        {"relay/i2c0-3b", NULL, "interlock=up-and_down9", NULL},
        {"relay/i2c0-3b", NULL, "dead-time=0", NULL},
        {"relay/i2c0-3b", NULL, "dead-time=1.5", NULL},
        {"thermometer/i2c1-4A", "tmp112", NULL, NULL},
        {"humidity-sensor/i2c0-40", "sht20", NULL, NULL},
        {"thermometer/i2c0-48", "none", NULL, NULL},
        {"kettle/i2c0-48", "none", NULL, NULL},

        {"relay", NULL, NULL, "TYPE/i2cBUS-ADDRESS"},
        {"/i2c0-20", NULL, NULL, "TYPE/i2cBUS-ADDRESS"},
        {"relay/-", NULL, NULL, "TYPE/i2cBUS-ADDRESS"},
        {"relay/i2c0-20/set", NULL, NULL, "TYPE/i2cBUS-ADDRESS"},
        {"relay/i2c100-20", NULL, NULL, "TYPE/i2cBUS-ADDRESS"},
        {"relay/i2c0-07", NULL, NULL, "08 to 77, not 07"},
        {"relay/i2c0-78", NULL, NULL, "08 to 77, not 78"},
        {"kettle/i2c0-20", NULL, NULL, "must be one of relay, thermometer"},
        {"relay/i2c0-20", "tmp112", NULL, "a relay's driver must be one of tca9534a, pcf8574"},
        {"relay/i2c0-20-8", "pcf8574", NULL, "the relays -0 to -7, not -8"},
        {"relay/i2c0-3b-0", NULL, NULL, "has no channels: leave out -0"},
        {"thermometer/i2c0-48-0", NULL, NULL, "has no channels: leave out -0"},
        {"thermometer/i2c0-48", NULL, "power-on=on", "has no option 'power-on'"},
        {"relay/i2c0-3b", NULL, "pin=1", "only power-on, interlock and dead-time"},
        {"relay/i2c0-20-0", "pcf8574", "pin=8", "pin must be 0 to 7"},
        {"relay/i2c0-20", "pcf8574", "pin=3", "it must name one, such as relay/i2c0-20-0"},
        {"relay/i2c0-20-0", "pcf8574", "active=maybe", "active must be low or high"},
        {"relay/i2c0-3b", NULL, "power-on", "must be NAME=VALUE"},
        {"relay/i2c0-3b", NULL, "=on", "must be NAME=VALUE"},
        {"relay/i2c0-3b", NULL, "power-on=maybe", "keep, on or off, not 'maybe'"},
        {"relay/i2c0-3b", NULL, "interlock=", "1 to 32 letters, digits, - and _"},
        {"relay/i2c0-3b", NULL, "interlock=a b", "1 to 32 letters, digits, - and _"},
        {"relay/i2c0-3b", NULL, "interlock=abcdefghijklmnopqrstuvwxyz0123456", "1 to 32 letters"},
        {"relay/i2c0-3b", NULL, "dead-time=61", "0 to 60 seconds, not '61'"},
        {"relay/i2c0-3b", NULL, "dead-time=-1", "0 to 60 seconds"},
        {"relay/i2c0-3b", NULL, "dead-time=nan", "0 to 60 seconds"},
        {"thermometer/i2c0-48", "none", "pin=1", "takes no options"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        check_device(&cases[i]);
    }
}

/* Of a chip's relays each hangs on a pin of its own, named or by its channel's number. */
static void a_pin_has_one_relay(void **state)
{
    const char *five[] = {"pin=5", NULL}, *four[] = {"active=high", "pin=4", NULL};
    const hub_device_config earlier[] = {{"relay/i2c0-20-0", "pcf8574", five},
                                         {"relay/i2c0-20-1", "pcf8574", NULL},
                                         {"relay/i2c0-20-2", "pcf8574", four}};
    const hub_device_config right[] = {{"relay/i2c0-20-0", "pcf8574", five}, /* the same relay */
                                       {"relay/i2c0-20-6", "pcf8574", NULL},
                                       {"relay/i2c0-21-5", "pcf8574", NULL},
                                       {"relay/i2c1-20-5", "pcf8574", NULL},
                                       {"relay/i2c0-3b", NULL, NULL}};
    const hub_device_config wrong[] = {{"relay/i2c0-20-5", "pcf8574", NULL},
                                       {"relay/i2c0-20-7", "pcf8574", five},
                                       {"relay/i2c0-20-4", "pcf8574", NULL}};
    char why[256];

    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
        assert_null(hub_check_device(&right[i], earlier, 3, why, sizeof(why)));
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_non_null(hub_check_device(&wrong[i], earlier, 3, why, sizeof(why)));
        assert_non_null(strstr(why, "already; a pin has one relay"));
    }
    assert_string_equal(why,
                        "pin 4 of this pcf8574 is relay/i2c0-20-2's already; a pin has one relay");
}

static void buses_are_checked(void **state)
{
    static const i2c_bus_kind *const kinds[] = {&linux_bus_kind, &sim_bus_kind, NULL};
    char why[512];

    (void)state;
    assert_null(hub_check_bus(&(hub_bus_config){.label = 0, .device = "/dev/i2c-1"}, kinds, why,
                              sizeof(why)));
    assert_null(
        hub_check_bus(&(hub_bus_config){.label = 99, .device = "sim"}, kinds, why, sizeof(why)));
    assert_non_null(hub_check_bus(&(hub_bus_config){.label = 1, .device = "sim:/no/house.json"},
                                  kinds, why, sizeof(why)));
    assert_non_null(strstr(why, "/no/house.json: No such file"));
    assert_non_null(
        hub_check_bus(&(hub_bus_config){.label = -1, .device = "sim"}, kinds, why, sizeof(why)));
    assert_string_equal(why, "a bus's label must be 0 to 99, not -1");
    assert_non_null(
        hub_check_bus(&(hub_bus_config){.label = 100, .device = "sim"}, kinds, why, sizeof(why)));
    assert_non_null(
        hub_check_bus(&(hub_bus_config){.label = 0, .device = "i2c-1"}, kinds, why, sizeof(why)));
    assert_non_null(strstr(why, "/dev/i2c-N"));
}

static void modules_are_checked(void **state)
{
    hub_bus_config bus = {.device = "sim"};
    char why[512];

    (void)state;
    assert_null(hub_read_bus_option(&bus, "modules=bigclown", why, sizeof(why)));
    assert_int_equal(bus.modules, HUB_MODULES_BIGCLOWN);
    assert_null(hub_read_bus_option(&bus, "modules=none", why, sizeof(why)));
    assert_int_equal(bus.modules, HUB_MODULES_NONE);
    assert_non_null(hub_read_bus_option(&bus, "modules=grove", why, sizeof(why)));
    assert_string_equal(why, "a bus's option must be modules=bigclown or modules=none, not "
                             "'modules=grove'");
}

static void intervals_are_checked(void **state)
{
    static const double right[] = {0.1, 1, 86400}, wrong[] = {0, 0.09, 86401, -1, INFINITY, NAN};
    char why[512];

    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
        assert_null(
            hub_check_interval(&(hub_interval_config){"relay", right[i]}, why, sizeof(why)));
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_non_null(
            hub_check_interval(&(hub_interval_config){"relay", wrong[i]}, why, sizeof(why)));
        assert_non_null(strstr(why, "0.1 to 86400 seconds"));
    }
    assert_null(hub_check_interval(&(hub_interval_config){"led", 5}, why, sizeof(why)));
    assert_non_null(hub_check_interval(&(hub_interval_config){"kettle", 5}, why, sizeof(why)));
    assert_string_equal(why,
                        "the type must be one of relay, thermometer, lux-meter, "
                        "humidity-sensor, barometer, co2-sensor, display-oled, led, not 'kettle'");
}

/* A short buffer gets a short sentence, and nothing behind it is touched. */
static void a_sentence_keeps_its_bounds(void **state)
{
    char why[16];

    (void)state;
    memset(why, 'x', sizeof(why));
    assert_non_null(hub_check_device(&(hub_device_config){"relay", NULL, NULL}, NULL, 0, why, 8));
    assert_int_equal(strlen(why), 7);
    assert_int_equal(why[8], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_are_checked),   cmocka_unit_test(a_pin_has_one_relay),
        cmocka_unit_test(devices_are_checked),   cmocka_unit_test(buses_are_checked),
        cmocka_unit_test(intervals_are_checked), cmocka_unit_test(a_sentence_keeps_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
