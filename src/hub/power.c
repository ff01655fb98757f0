#include "power.h"

#include "ground.h"
#include "relay.h"

/* What is noted in a node's memory. */
typedef struct noting {
    hub_node *node;
    bool changed;
} noting;

static void expect(void *baton, const pin *pin, const char *topic)
{
    noting *noting = baton;

    if (pin->power_on != POWER_ON_KEEP && relay_expect_power_on(noting->node, topic)) {
        noting->changed = true;
    }
}

static void forget(void *baton, const pin *pin, const char *topic)
{
    (void)pin;
    relay_forget_power_on(((noting *)baton)->node, topic);
}

/*
 * The machine was started: its relays are to be put into their power-on states, once. That it was
 * started is on disk before any of them moves, or the next hub would do it again.
 */
void power_note_boot(hub_node *node)
{
    noting noting = {node, false};

    if (!state_is_new_boot(node->states)) {
        return;
    }
    for (size_t i = 0; i < node->n_pins; i++) {
        pin_each_relay(&node->pins[i], expect, &noting);
    }
    if (state_save_now(node->states)) {
        return;
    }
    hub_log(node->hub, HUB_WARNING, CT_BOOT_NOT_NOTED,
            "%s: that the machine was started cannot be remembered, so relays keep their states",
            node->name);
    for (size_t i = 0; i < node->n_pins; i++) {
        pin_each_relay(&node->pins[i], forget, &noting);
    }
}

/* Where it cannot be remembered it is applied by this hub all the same. */
void power_note_chip(hub_bus *bus, uint8_t address)
{
    noting noting = {bus->node, false};
    message *noted = message_new(MESSAGE_POWER_NOTED, 0);

    for (size_t i = 0; i < bus->node->n_pins; i++) {
        const pin *pin = &bus->node->pins[i];
        if (pin->address.bus == bus->label && pin->address.chip == address) {
            pin_each_relay(pin, expect, &noting);
        }
    }
    if (noting.changed) {
        state_save_now(bus->node->states);
    }
    noted->address = address;
    worker_post(bus->worker, noted);
}
