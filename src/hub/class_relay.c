/*
 * Relays: set, pulse/set, get; the memory of what was commanded; what happens when they appear.
 *
 * `state` is what was last commanded and is remembered on disk. What is published is the same, or
 * null while the module does not answer. A command that failed half-way leaves it unknown.
 */
#include "hub_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A switch may wait so long for the bus, the gap between two clicks included. */
#define SWITCH_WITHIN INT64_C(5000000)

/*
 * Bounds of `duration`, in seconds. A pulse shorter than the gap between two clicks lasts that gap.
 */
#define MIN_PULSE 0.05
#define MAX_PULSE 86400.0

static struct json_object *payload_of(relay_state state)
{
    struct json_object *payload = json_object_new_object();

    json_object_object_add(payload, "state",
                           state == RELAY_UNKNOWN ? NULL
                                                  : json_object_new_boolean(state == RELAY_ON));
    return payload;
}

/* ---- memory ---- */

/* Takes note of a state. To be followed by state_save(), as the next one. */
static void remember_state(hub_device *device, relay_state state)
{
    if (state == RELAY_OFF && device->relay.state != RELAY_OFF) {
        device->relay.off_at = hub_now(device->node->hub);
    }
    device->relay.state = state;
    state_set(device->node->states, device->topic, "state",
              state == RELAY_UNKNOWN ? NULL : json_object_new_boolean(state == RELAY_ON));
}

/* Takes note of when a running pulse ends; 0: there is none. */
static void remember_pulse(hub_device *device, int64_t pulse)
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

/*
 * Microseconds until a remembered pulse ends, HUB_NEVER: there is none. A clock that was set back
 * makes it no longer than it was.
 */
static int64_t remembered_pulse(const hub_device *device)
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
    if (!(longest >= 0 && longest <= MAX_PULSE)) {
        longest = MAX_PULSE;
    }
    if (!(left > 0)) {
        left = 0;
    }
    return (int64_t)((left < longest ? left : longest) * 1e6);
}

/* ---- commands ---- */

static void begin_move(hub_device *device)
{
    device->relay.moving++;
    state_moving(device->node->states, device->topic);
}

static void end_move(hub_device *device)
{
    if (device->relay.moving > 0) {
        device->relay.moving--;
        state_moved(device->node->states);
    }
    state_save(device->node->states);
}

static message *switch_command(bool on, int64_t pulse)
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
    request_send(device, request, SWITCH_WITHIN);
}

void relay_send_off(hub_device *device)
{
    message *off = switch_command(false, 0);

    begin_move(device);
    device->relay.off_serial = off->serial = ++device->node->hub->last_serial;
    off->deadline = hub_now(device->node->hub) + SWITCH_WITHIN;
    device_send(device, off);
}

static talk_error read(hub_device *device, request *request, char *why, size_t why_size)
{
    struct json_object *value;
    bool pulse = request->form == TALK_PULSE_SET;
    double duration = 0;

    (void)device;
    if (request->form != TALK_SET && !pulse) {
        return TALK_OK;
    }
    if (!json_object_object_get_ex(request->payload, pulse ? "duration" : "state", &value)) {
        value = NULL;
    }
    if (pulse) {
        if (json_object_is_type(value, json_type_int) ||
            json_object_is_type(value, json_type_double)) {
            duration = json_object_get_double(value);
        }
        if (!(duration >= MIN_PULSE && duration <= MAX_PULSE)) {
            snprintf(why, why_size, "duration is needed: 0.05 to 86400 seconds");
            return TALK_BAD_PAYLOAD;
        }
    } else if (!json_object_is_type(value, json_type_boolean)) {
        snprintf(why, why_size, "state is needed: true or false");
        return TALK_BAD_PAYLOAD;
    }
    request->command =
        switch_command(pulse || json_object_get_boolean(value), (int64_t)llround(duration * 1e6));
    return TALK_OK;
}

static void begin(hub_device *device, request *request)
{
    if (request->form == TALK_GET) {
        if (!device->driver->relay->get) {
            request_answer(request, device->topic,
                           payload_of(device->relay.failed ? RELAY_UNKNOWN : device->relay.state));
            return;
        }
        request->command = message_new(MESSAGE_READ_STATE, 0);
        request_send(device, request, SWITCH_WITHIN);
        return;
    }
    /* Switching off is always allowed, and at once. */
    if (device->relay.interlock && request->command->relay.on) {
        interlock_begin(device, request);
    } else {
        relay_send(device, request);
    }
}

/* ---- what came of them ---- */

static void switched(hub_device *device, request *request, const message *result)
{
    relay_state state = result->relay.on ? RELAY_ON : RELAY_OFF;

    remember_state(device, state);
    remember_pulse(device, result->relay.on ? result->relay.pulse : 0);
    device->relay.failed = false;
    end_move(device);
    device_publish(device, payload_of(state), request ? request->asker : 0);
    if (request) {
        request_answer(request, device->topic, payload_of(state));
    }
}

static void not_switched(hub_device *device, request *request, const message *result)
{
    bool changed = result->relay.attempted && device->relay.state != RELAY_UNKNOWN;

    if (changed) {
        remember_state(device, RELAY_UNKNOWN); /* a running pulse still ends */
    }
    end_move(device);
    if (changed && !device->relay.failed) {
        device_publish(device, payload_of(RELAY_UNKNOWN), 0);
    }
    if (request && !request->asker) {
        hub_log(device->node->hub, HUB_ERROR, CT_POWER_ON,
                "%s could not be put into its power-on state: %s", device->topic,
                strerrordesc_np(-result->error));
    }
    if (request) {
        request_refuse_errno(request, device, result->error);
    }
}

static void report(hub_device *device, request *request, const message *result)
{
    if (result->error == -EOPNOTSUPP) {
        request_answer(request, device->topic, payload_of(device->relay.state));
    } else if (result->error < 0) {
        request_refuse_errno(request, device, result->error);
    } else {
        request_answer(request, device->topic, payload_of(result->relay.on ? RELAY_ON : RELAY_OFF));
    }
}

static void result(hub_device *device, request *request, const message *result)
{
    if (request && request->form == TALK_GET) {
        report(device, request, result);
        return;
    }
    if (!result->relay.moves) {
        return; /* of a `get` that nobody waits for any more */
    }
    if (result->error < 0) {
        not_switched(device, request, result);
    } else {
        switched(device, request, result);
    }
    if (device->relay.interlock) {
        interlock_moved(device, result);
        if (request) {
            interlock_release(device, request);
        }
    }
}

static void event(hub_device *device, const message *event)
{
    relay_state state = event->relay.on ? RELAY_ON : RELAY_OFF;

    switch (event->type) {
    case MESSAGE_STATE:
        remember_state(device, state);
        if (state == RELAY_OFF) {
            remember_pulse(device, 0);
        }
        state_save(device->node->states);
        if (!device->relay.failed) {
            device_publish(device, payload_of(state), 0);
        }
        break;
    case MESSAGE_FAILED:
        if (!device->relay.failed && device->relay.state != RELAY_UNKNOWN) {
            device_publish(device, payload_of(RELAY_UNKNOWN), 0);
        }
        device->relay.failed = true;
        break;
    case MESSAGE_RECOVERED:
        device->relay.failed = false;
        device_publish(device, payload_of(device->relay.state), 0);
        break;
    default:
        break;
    }
}

/* ---- appearing and leaving ---- */

/* The configured state is for when power came on: at the machine's start, or at the module's. */
static void apply_power_on(hub_device *device)
{
    bool on;

    if (!device->pin || device->pin->power_on == POWER_ON_KEEP ||
        (!device->node->hub->powered_on && !device->was_lost)) {
        return;
    }
    on = device->pin->power_on == POWER_ON_ON;
    hub_log(device->node->hub, HUB_INFO, CT_POWER_ON, "%s is switched %s, its power-on state",
            device->topic, on ? "on" : "off");
    request_own(device, TALK_SET, switch_command(on, 0));
}

static void found(hub_device *device, const message *found, message *adopt)
{
    relay_state before = relay_remembered_state(device);
    relay_state state = !found->relay.known ? before : found->relay.on ? RELAY_ON : RELAY_OFF;

    adopt->adopt.pulse = remembered_pulse(device);
    if (state != before) {
        remember_state(device, state);
        if (state == RELAY_OFF) {
            adopt->adopt.pulse = HUB_NEVER;
            remember_pulse(device, 0);
        }
        state_save(device->node->states);
    }
    device->relay.state = state;
    device->relay.failed = false;
    device->relay.off_serial = 0;
    device_publish(device, payload_of(state), 0);
    apply_power_on(device);
}

static void lost(hub_device *device)
{
    /* What was under way is over, and its results are not waited for. */
    device->relay.off_serial = 0;
    while (device->relay.moving > 0) {
        end_move(device);
    }
    if (device->relay.interlock) {
        interlock_left(device);
    }
}

const hub_class class_relay = {
    .forms = 1u << TALK_SET | 1u << TALK_PULSE_SET,
    .read = read,
    .begin = begin,
    .result = result,
    .event = event,
    .found = found,
    .lost = lost,
};
