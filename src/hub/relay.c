#include "relay.h"

#include "devices.h"
#include "ground.h"
#include "node.h"
#include "request_queue.h"

#include <errno.h>
#include <stdlib.h>

/* ---- memory ---- */

void relay_remember_state(hub_device *device, relay_state state)
{
    relay *relay = device->state;

    if (state == RELAY_OFF && relay->state != RELAY_OFF) {
        relay->off_at = hub_now(device->node->hub);
    }
    relay->state = state;
    state_set(device->node->states, device->topic, "state",
              state == RELAY_UNKNOWN ? NULL : json_object_new_boolean(state == RELAY_ON));
}

/*
 * The end is kept on the machine's own clock, which the store knows to be void after another boot.
 */
void relay_remember_pulse(hub_device *device, int64_t pulse)
{
    const double end = (double)(hub_boottime(device->node->hub) + pulse) / 1e6;

    state_set(device->node->states, device->topic, STATE_PULSE_END,
              pulse ? json_object_new_double(end) : NULL);
    state_pulses(device->node->states, device->topic, pulse != 0);
}

static struct json_object *remembered(const hub_device *device, const char *member)
{
    struct json_object *known = state_device(device->node->states, device->topic), *value = NULL;

    json_object_object_get_ex(known, member, &value);
    return value;
}

/* While a pulse that is over has not been ended, the contact may be on or, just now, off. */
relay_state relay_remembered_state(const hub_device *device)
{
    struct json_object *state = remembered(device, "state");

    if (!json_object_is_type(state, json_type_boolean) || relay_remembered_pulse(device) == 0) {
        return RELAY_UNKNOWN;
    }
    return json_object_get_boolean(state) ? RELAY_ON : RELAY_OFF;
}

int64_t relay_remembered_pulse(const hub_device *device)
{
    struct json_object *end = remembered(device, STATE_PULSE_END);
    double left;

    if (!end) {
        return HUB_NEVER;
    }
    left = json_object_get_double(end) - (double)hub_boottime(device->node->hub) / 1e6;
    if (!(left > 0)) {
        return 0;
    }
    return (int64_t)((left < RELAY_MAX_PULSE ? left : RELAY_MAX_PULSE) * 1e6);
}

bool relay_expect_power_on(hub_node *node, const char *topic)
{
    struct json_object *known = state_device(node->states, topic);

    if (known && json_object_object_get_ex(known, STATE_POWER_ON, NULL)) {
        return false;
    }
    state_set(node->states, topic, STATE_POWER_ON, json_object_new_string("due"));
    return true;
}

bool relay_power_on_is_due(const hub_device *device)
{
    return remembered(device, STATE_POWER_ON) != NULL;
}

void relay_forget_power_on(hub_node *node, const char *topic)
{
    state_set(node->states, topic, STATE_POWER_ON, NULL);
}

/* ---- commands ---- */

/* A command that waits for the note of its move to be on disk. */
struct noted_command {
    noted_command *next;
    uint64_t ticket;
    worker *worker;
    message *command;
};

/* Sends a command as soon as the next hub would know of it. Takes it over. */
static void send_noted(hub_device *device, message *command)
{
    hub *hub = device->node->hub;
    relay *relay = device->state;
    noted_command *waiting, **end = &hub->noted_commands;
    uint64_t ticket = state_moving(device->node->states, device->topic, command->relay.pulse > 0,
                                   !device->driver->relay->get);

    relay->moving++;
    if (!ticket && !hub->noted_commands) {
        device_send(device, command);
        return;
    }
    waiting = hub_allocate(1, sizeof(*waiting));
    command->bus = device->bus;
    command->unit = device->unit;
    waiting->command = command;
    waiting->worker = hub->buses[device->bus].worker;
    waiting->ticket = ticket;
    while (*end) { /* in order, also behind one whose note has just come to be on disk */
        waiting->ticket = waiting->ticket > (*end)->ticket ? waiting->ticket : (*end)->ticket;
        end = &(*end)->next;
    }
    *end = waiting;
}

/* The oldest command of those whose notes are on disk up to this ticket; or NULL. */
static noted_command *next_noted(hub *hub, uint64_t ticket)
{
    noted_command *first = hub->noted_commands;

    if (!first || first->ticket > ticket) {
        return NULL;
    }
    hub->noted_commands = first->next;
    return first;
}

void relay_release_noted(hub *hub, uint64_t ticket)
{
    noted_command *noted;

    while ((noted = next_noted(hub, ticket))) {
        worker_post(noted->worker, noted->command);
        free(noted);
    }
}

message *relay_cancel_noted(hub *hub)
{
    noted_command *noted = next_noted(hub, UINT64_MAX);
    message *command = noted ? noted->command : NULL;

    if (command) {
        command->type = MESSAGE_RESULT;
        command->error = -ECANCELED;
        command->relay.attempted = false;
    }
    free(noted);
    return command;
}

void relay_end_move(hub_device *device)
{
    relay *relay = device->state;

    if (relay->moving > 0) {
        relay->moving--;
        state_moved(device->node->states, device->topic);
    }
}

message *relay_switch_command(bool on, int64_t pulse)
{
    message *command = message_new(MESSAGE_SWITCH, 0);

    command->relay.moves = true;
    command->relay.on = on;
    command->relay.pulse = pulse;
    return command;
}

void relay_send(hub_device *device, request *request)
{
    send_noted(device, request_take_command(device, request, RELAY_WITHIN));
}

void relay_send_off(hub_device *device)
{
    relay *relay = device->state;
    message *off = relay_switch_command(false, 0);

    relay->off_serial = off->serial = ++device->node->hub->last_serial;
    off->deadline = hub_now(device->node->hub) + RELAY_WITHIN;
    send_noted(device, off);
}
