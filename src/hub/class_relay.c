/*
 * Relays: set, pulse/set, get; the memory of what was commanded; what happens when they appear.
 *
 * `state` is what was last commanded and is remembered on disk. What is published is the same, or
 * null while the module does not answer. A command that failed half-way leaves it unknown.
 */
#include "classes.h"
#include "devices.h"
#include "ground.h"
#include "interlock.h"
#include "node.h"
#include "relay.h"
#include "request_queue.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Bounds of `duration`, in seconds. A pulse shorter than the gap between two clicks lasts that gap.
 */
#define MIN_PULSE 0.05

/*
 * How long after a failure power-on is tried once more, in microseconds: twice as long each time.
 * A relay that cannot obey would click, and fill the log, without end.
 */
#define POWER_ON_AGAIN      INT64_C(1000000)
#define POWER_ON_LAST_PAUSE INT64_C(3600000000)

static struct json_object *payload_of(relay_state state)
{
    struct json_object *payload = json_object_new_object();

    json_object_object_add(payload, "state",
                           state == RELAY_UNKNOWN ? NULL
                                                  : json_object_new_boolean(state == RELAY_ON));
    return payload;
}

/* ---- requests ---- */

static talk_error parse(hub_device *device, request *request, char *why, size_t why_size)
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
        if (!(duration >= MIN_PULSE && duration <= RELAY_MAX_PULSE)) {
            snprintf(why, why_size, "duration is needed: 0.05 to 86400 seconds");
            return TALK_BAD_PAYLOAD;
        }
    } else if (!json_object_is_type(value, json_type_boolean)) {
        snprintf(why, why_size, "state is needed: true or false");
        return TALK_BAD_PAYLOAD;
    }
    request->command = relay_switch_command(pulse || json_object_get_boolean(value),
                                            (int64_t)llround(duration * 1e6));
    return TALK_OK;
}

static void begin(hub_device *device, request *request)
{
    const relay *relay = device->state;

    if (request->form == TALK_GET) {
        if (!device->driver->relay->get) {
            request_answer(request, device->topic,
                           payload_of(relay->failed ? RELAY_UNKNOWN : relay->state));
            return;
        }
        request->command = message_new(MESSAGE_READ_STATE, 0);
        request_send(device, request, RELAY_WITHIN);
        return;
    }
    /* Switching off is always allowed, and at once. */
    if (relay->interlock && request->command->relay.on) {
        interlock_begin(device, request);
    } else {
        relay_send(device, request);
    }
}

/* ---- what came of them ---- */

static void switched(hub_device *device, request *request, const message *result)
{
    relay *relay = device->state;
    relay_state state = result->relay.on ? RELAY_ON : RELAY_OFF;

    relay_end_move(device);
    relay_remember_state(device, state);
    interlock_note(device, true);
    relay_remember_pulse(device, result->relay.on ? result->relay.pulse : 0);
    relay_forget_power_on(device->node, device->topic);
    relay->power_on_pause = 0;
    relay->failed = false;
    state_save(device->node->states);
    device_publish(device, payload_of(state), request ? request->asker : 0);
    if (request) {
        request_answer(request, device->topic, payload_of(state));
    }
}

static void plan_power_on(relay *relay, int64_t now)
{
    if (relay->power_on_pause == 0) {
        relay->power_on_pause = POWER_ON_AGAIN;
    } else if (relay->power_on_pause < POWER_ON_LAST_PAUSE) {
        relay->power_on_pause *= 2;
    }
    relay->power_on_at = now + relay->power_on_pause;
}

static void not_switched(hub_device *device, request *request, const message *result)
{
    relay *relay = device->state;
    bool changed = result->relay.attempted && relay->state != RELAY_UNKNOWN;

    relay_end_move(device);
    if (changed) {
        relay_remember_state(device, RELAY_UNKNOWN); /* a running pulse still ends */
        interlock_note(device, false);
    }
    if (result->relay.attempted && result->relay.on && result->relay.pulse) {
        relay_remember_pulse(device, result->relay.pulse); /* and so does one that may have begun */
    }
    state_save(device->node->states);
    if (changed && !relay->failed) {
        device_publish(device, payload_of(RELAY_UNKNOWN), 0);
    }
    if (request && !request->asker) {
        plan_power_on(relay, hub_now(device->node->hub));
        hub_log(device->node->hub, HUB_ERROR, CT_POWER_ON,
                "%s could not be put into its power-on state: %s; tried again in %lld s",
                device->topic, strerrordesc_np(-result->error),
                (long long)(relay->power_on_pause / 1000000));
    }
    if (request) {
        request_refuse_errno(request, device, result->error);
    }
}

static void report(hub_device *device, request *request, const message *result)
{
    const relay *relay = device->state;

    if (result->error == -EOPNOTSUPP) {
        request_answer(request, device->topic, payload_of(relay->state));
    } else if (result->error < 0) {
        request_refuse_errno(request, device, result->error);
    } else {
        request_answer(request, device->topic, payload_of(result->relay.on ? RELAY_ON : RELAY_OFF));
    }
}

static void on_result(hub_device *device, request *request, const message *result)
{
    const relay *relay = device->state;

    if (request && request->form == TALK_GET) {
        report(device, request, result);
        return;
    }
    if (!result->relay.moves) {
        return; /* of a `get` that has timed out */
    }
    if (result->error < 0) {
        not_switched(device, request, result);
    } else {
        switched(device, request, result);
    }
    if (relay->interlock) {
        interlock_member_moved(device, result);
        if (request) {
            interlock_release(device, request);
        }
    }
}

/* ---- what is seen ---- */

/* Whether a command waits: a client's, which is newer than the power, or power-on's own. */
static bool is_commanded(const hub_device *device)
{
    for (const request *request = device->requests; request; request = request->next) {
        if (request->progress != REQUEST_ANSWERED &&
            (request->form == TALK_SET || request->form == TALK_PULSE_SET)) {
            return true;
        }
    }
    return false;
}

static bool has_power_on_state(const hub_device *device)
{
    return device->pin && device->pin->power_on != POWER_ON_KEEP;
}

/* From now on it is due until it is done, also by a later hub. */
static void expect_power_on(hub_device *device)
{
    if (has_power_on_state(device) && relay_expect_power_on(device->node, device->topic)) {
        state_save(device->node->states);
    }
}

/*
 * Power has come on: the machine has started, or the chip was seen to have lost its power. A
 * command that waits is what holds then, if it succeeds.
 */
static void apply_power_on(hub_device *device)
{
    relay *relay = device->state;
    bool on;

    if (!has_power_on_state(device)) {
        if (relay_power_on_is_due(device)) { /* it was to be something, and is to be kept now */
            relay_forget_power_on(device->node, device->topic);
            state_save(device->node->states);
        }
        return;
    }
    if (is_commanded(device)) {
        relay->power_on_at = hub_now(device->node->hub) + POWER_ON_AGAIN;
        return;
    }
    expect_power_on(device);
    on = device->pin->power_on == POWER_ON_ON;
    hub_log(device->node->hub, HUB_INFO, CT_POWER_ON, "%s is switched %s, its power-on state",
            device->topic, on ? "on" : "off");
    request_own(device, TALK_SET, relay_switch_command(on, 0));
}

static void on_event(hub_device *device, const message *event)
{
    relay *relay = device->state;
    relay_state state = event->relay.on ? RELAY_ON : RELAY_OFF;

    switch (event->type) {
    case MESSAGE_STATE:
        relay_remember_state(device, state);
        interlock_note(device, false);
        if (state == RELAY_OFF) {
            relay_remember_pulse(device, 0);
        }
        state_save(device->node->states);
        if (!relay->failed) {
            device_publish(device, payload_of(state), 0);
        }
        break;
    case MESSAGE_FAILED:
        if (!relay->failed && relay->state != RELAY_UNKNOWN) {
            device_publish(device, payload_of(RELAY_UNKNOWN), 0);
        }
        relay->failed = true;
        break;
    case MESSAGE_RECOVERED:
        relay->failed = false;
        device_publish(device, payload_of(relay->state), 0);
        if (relay_power_on_is_due(device)) {
            apply_power_on(device);
            device_pump(device);
        }
        break;
    case MESSAGE_POWER_LOST:
        apply_power_on(device);
        device_pump(device);
        break;
    default:
        break;
    }
    if (relay->interlock) {
        interlock_seen(device);
    }
}

/* ---- appearing and leaving ---- */

/*
 * Whether a chip that was found has lost its power since it was last left. Where its registers do
 * not tell, the memory does: it is as power-up leaves it, and not as it was left.
 */
static bool has_lost_power(const message *found, relay_state before, relay_state now)
{
    return found->relay.power == POWER_LOST ||
           (found->relay.power == POWER_DOUBTFUL && before != RELAY_UNKNOWN && before != now);
}

static void on_found(hub_device *device, const message *found, message *adopt)
{
    relay *relay = device->state;
    relay_state before = relay_remembered_state(device);
    relay_state state = !found->relay.known ? before : found->relay.on ? RELAY_ON : RELAY_OFF;
    const bool lost_power = has_lost_power(found, before, state);

    if (lost_power) {
        expect_power_on(device); /* before what is remembered no longer shows it */
    }
    adopt->adopt.pulse = relay_remembered_pulse(device);
    if (state != before) {
        relay_remember_state(device, state);
        interlock_note(device, false);
        if (state == RELAY_OFF) {
            adopt->adopt.pulse = HUB_NEVER;
            relay_remember_pulse(device, 0);
        }
        state_save(device->node->states);
    }
    relay->state = state;
    relay->failed = false;
    relay->off_serial = 0;
    device_publish(device, payload_of(state), 0);
    if (relay->interlock) {
        interlock_seen(device);
    }
    if (lost_power || relay_power_on_is_due(device)) {
        apply_power_on(device);
    }
}

static void on_lost(hub_device *device)
{
    relay *relay = device->state;

    /* Commands that were under way have no result any longer. */
    relay->off_serial = 0;
    while (relay->moving > 0) {
        relay_end_move(device);
    }
    state_save(device->node->states);
    if (relay->interlock) {
        interlock_member_lost(device);
    }
}

/* ---- life, and the interlock ---- */

static void create(hub_device *device)
{
    relay *relay = device->state = hub_allocate(1, sizeof(*relay));

    relay->state = relay_remembered_state(device);
    relay->power_on_at = HUB_NEVER;
    interlock_remember(device);
    if (device->pin && device->pin->interlock[0]) {
        interlock_join(device, device->pin->interlock, device->pin->dead_time);
    }
}

static void destroy(hub_device *device)
{
    relay *relay = device->state;

    if (relay->interlock) {
        interlock_leave(device);
    }
    free(relay);
}

static void abandoned(hub_device *device, request *request)
{
    const relay *relay = device->state;

    if (relay->interlock) {
        interlock_release(device, request);
    }
}

static void tick(hub_device *device)
{
    relay *relay = device->state;

    if (relay->power_on_at <= hub_now(device->node->hub)) {
        relay->power_on_at = HUB_NEVER;
        if (device->listed && relay_power_on_is_due(device)) {
            apply_power_on(device);
            device_pump(device);
        }
    }
    if (relay->interlock) {
        interlock_tick(device);
    }
}

static int64_t due(const hub_device *device)
{
    const relay *relay = device->state;

    const int64_t next = relay->interlock ? interlock_due(device) : HUB_NEVER;

    return relay->power_on_at < next ? relay->power_on_at : next;
}

const hub_class class_relay = {
    .forms = 1u << TALK_SET | 1u << TALK_PULSE_SET,
    .create = create,
    .free = destroy,
    .parse = parse,
    .begin = begin,
    .abandoned = abandoned,
    .result = on_result,
    .event = on_event,
    .found = on_found,
    .lost = on_lost,
    .tick = tick,
    .due = due,
};
