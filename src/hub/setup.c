#include "setup.h"

#include "classes.h"
#include "ground.h"
#include "power.h"
#include "presence.h"
#include "relay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * When a file of states that is outdated is replaced, in microseconds after the start: with the
 * rights that the hub keeps, so that it shows whether it can be written.
 */
#define OUTDATED_FOR INT64_C(500000)

static bool has_bus(const hub_node_config *config, int label)
{
    for (size_t i = 0; i < config->n_buses; i++) {
        if (config->buses[i].label == label) {
            return true;
        }
    }
    return false;
}

/* Whether a pin contradicts an earlier one: the same relay twice, or two drivers at one address. */
static bool contradicts(const hub_node *node, const pin *pin)
{
    for (size_t i = 0; i < node->n_pins; i++) {
        const struct pin *other = &node->pins[i];
        if (other->address.bus != pin->address.bus || other->address.chip != pin->address.chip) {
            continue;
        }
        if (other->driver != pin->driver || other->address.channel == pin->address.channel ||
            other->address.channel < 0 || pin->address.channel < 0) {
            return true;
        }
    }
    return false;
}

static void copy_pins(hub_node *node, const hub_node_config *config)
{
    node->pins = hub_allocate(config->n_devices, sizeof(*node->pins));
    for (size_t i = 0; i < config->n_devices; i++) {
        const hub_device_config *device = &config->devices[i];
        pin *pin = &node->pins[node->n_pins];
        char why[512];
        const char *wrong = pin_read(pin, device, why, sizeof(why));

        if (!wrong && !has_bus(config, pin->address.bus)) {
            wrong = "this node has no such bus";
        }
        for (size_t j = 0; j < node->n_pins && !wrong; j++) {
            wrong = pin_clash(&node->pins[j], pin, why, sizeof(why));
        }
        if (!wrong && contradicts(node, pin)) {
            wrong = "an earlier line contradicts it about the same address";
        }
        if (wrong) {
            hub_log(node->hub, HUB_WARNING, CT_DEVICE_CONFIG, "%s: %s; this line is ignored",
                    device->topic, wrong);
            pin_clear(pin);
            continue;
        }
        node->n_pins++;
    }
}

static void copy_node(hub_node *node, const hub_node_config *config)
{
    node->name = hub_copy(config->name);
    node->rescan = (int64_t)llround(config->rescan * 1e6);
    node->air_pressure = NAN;
    node->held_end = &node->held;
    node->intervals = hub_allocate(config->n_intervals, sizeof(*node->intervals));
    node->n_intervals = config->n_intervals;
    for (size_t i = 0; i < config->n_intervals; i++) {
        node->intervals[i].type = hub_copy(config->intervals[i].type);
        node->intervals[i].seconds = config->intervals[i].seconds;
    }
    node->led = config->led ? hub_copy(config->led) : NULL;
    copy_pins(node, config);
    node->states = state_open(node->hub->writer, node->name);
    if (state_is_outdated(node->states)) {
        state_save_by(node->states, hub_now(node->hub) + OUTDATED_FOR);
    }
}

static bool carries_modules(const hub_bus_config *bus, const i2c_bus_kind *const *kinds)
{
    if (bus->modules == HUB_MODULES_USUAL) {
        return kinds && i2c_bus_is_simulated(kinds, bus->device);
    }
    return bus->modules == HUB_MODULES_BIGCLOWN;
}

static void copy_bus(hub_bus *bus, hub_node *node, const hub_bus_config *config,
                     const i2c_bus_kind *const *kinds)
{
    char topic[16];

    bus->node = node;
    bus->hub = node->hub;
    bus->label = config->label;
    bus->device = hub_copy(config->device);
    bus->pins = hub_allocate(node->n_pins, sizeof(*bus->pins));
    for (size_t i = 0; i < node->n_pins; i++) {
        if (node->pins[i].address.bus == config->label) {
            bus->pins[bus->n_pins++] = (worker_pin){
                node->pins[i].address.chip,
                node->pins[i].address.channel,
                node->pins[i].driver,
                node->pins[i].options,
            };
        }
    }
    snprintf(topic, sizeof(topic), "i2c/%d", config->label);
    bus->raw = device_create(node, topic, &class_raw, NULL);
    bus->raw->bus = bus->index;
    bus->worker = worker_create(&(worker_config){
        .index = bus->index,
        .label = bus->label,
        .device = bus->device,
        .modules = carries_modules(config, kinds),
        .rescan = node->rescan,
        .pins = bus->pins,
        .n_pins = bus->n_pins,
        .environment = &node->hub->environment.bus,
        .outbox = &node->hub->inbox,
    });
}

static void create_interlocked(void *baton, const pin *pin, const char *topic)
{
    hub_node *node = baton;

    if (pin->interlock[0] && !device_find(node, topic)) {
        device_create(node, topic, class_of_driver(pin->driver), pin->driver);
    }
}

void setup_nodes(hub *hub, const hub_config *config)
{
    size_t n_buses = 0;

    hub->nodes = hub_allocate(config->n_nodes, sizeof(*hub->nodes));
    hub->n_nodes = config->n_nodes;
    for (size_t i = 0; i < config->n_nodes; i++) {
        n_buses += config->nodes[i].n_buses;
    }
    hub->buses = hub_allocate(n_buses, sizeof(*hub->buses));
    for (size_t i = 0; i < config->n_nodes; i++) {
        hub_node *node = &hub->nodes[i];
        node->hub = hub;
        copy_node(node, &config->nodes[i]);
        power_note_boot(node);
        node->remembers = state_is_remembered(node->states);
        /* Relays of an interlock exist from the beginning: one that is absent may still be on. */
        for (size_t j = 0; j < node->n_pins; j++) {
            pin_each_relay(&node->pins[j], create_interlocked, node);
        }
        for (size_t j = 0; j < config->nodes[i].n_buses; j++) {
            hub_bus *bus = &hub->buses[hub->n_buses];
            bus->index = (unsigned)hub->n_buses++;
            copy_bus(bus, node, &config->nodes[i].buses[j], config->bus_kinds);
        }
    }
}

void setup_free_node(hub_node *node)
{
    for (size_t i = 0; i < node->n_devices; i++) {
        device_free(node->devices[i]);
    }
    free(node->devices);
    for (size_t i = 0; i < node->n_pins; i++) {
        pin_clear(&node->pins[i]);
    }
    free(node->pins);
    for (size_t i = 0; i < node->n_intervals; i++) {
        free(node->intervals[i].type);
    }
    free(node->intervals);
    free(node->led);
    free(node->name);
}
