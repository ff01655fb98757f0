#include "relay.h"

#include "devices.h"
#include "ground.h"
#include "node.h"
#include "request_queue.h"

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

void relay_remember_pulse(hub_device *device, int64_t pulse)
{
    state_store *states = device->node->states;

    state_set(states, device->topic, "pulse-until",
              pulse ? json_object_new_double((double)(hub_wall(device->node->hub) + pulse) / 1e6)
                    : NULL);
    state_set(states, device->topic, "pulse-duration",
              pulse ? json_object_new_double((double)pulse / 1e6) : NULL);
}

relay_state relay_remembered_state(const hub_device *device)
{
    struct json_object *known = state_device(device->node->states, device->topic), *state;

    if (!known || !json_object_object_get_ex(known, "state", &state) ||
        !json_object_is_type(state, json_type_boolean)) {
        return RELAY_UNKNOWN;
    }
    return json_object_get_boolean(state) ? RELAY_ON : RELAY_OFF;
}

int64_t relay_remembered_pulse(const hub_device *device)
{
    struct json_object *known = state_device(device->node->states, device->topic), *until,
                       *duration;
    double left, longest;

    if (!known || !json_object_object_get_ex(known, "pulse-until", &until) ||
        !json_object_object_get_ex(known, "pulse-duration", &duration)) {
        return HUB_NEVER;
    }
    left = json_object_get_double(until) - (double)hub_wall(device->node->hub) / 1e6;
    longest = json_object_get_double(duration);
    if (!(longest >= 0 && longest <= RELAY_MAX_PULSE)) {
        longest = RELAY_MAX_PULSE;
    }
    if (!(left > 0)) {
        left = 0;
    }
    return (int64_t)((left < longest ? left : longest) * 1e6);
}

/* ---- commands ---- */

static void begin_move(hub_device *device)
{
    relay *relay = device->state;

    relay->moving++;
    state_moving(device->node->states, device->topic);
}

void relay_end_move(hub_device *device)
{
    relay *relay = device->state;

    if (relay->moving > 0) {
        relay->moving--;
        state_moved(device->node->states);
    }
    state_save(device->node->states);
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
    begin_move(device);
    request_send(device, request, RELAY_WITHIN);
}

void relay_send_off(hub_device *device)
{
    relay *relay = device->state;
    message *off = relay_switch_command(false, 0);

    begin_move(device);
    relay->off_serial = off->serial = ++device->node->hub->last_serial;
    off->deadline = hub_now(device->node->hub) + RELAY_WITHIN;
    device_send(device, off);
}
