/*
 * Interlocks: of the relays in a group at most one is on, and between one that is switched off and
 * another that is switched on lies a dead time (a motor's two directions).
 *
 * A request that switches a relay on takes the group for itself. First every other relay that may
 * be on is switched off; when all are off, and for long enough, the request's own command goes out.
 * Requests that find the group taken wait for it, in the order in which they came. Where another
 * relay of the group does not answer and may be on, the request fails: nothing else would be safe.
 */
#include "hub_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Switching the others off may take so long. */
#define OFF_WITHIN INT64_C(6000000)

struct interlock {
    interlock *next;
    hub_node *node;
    char name[33];
    int64_t dead_time; /* microseconds: the longest that any member asks for */
    hub_device **members;
    size_t n_members;
    hub_device *serving; /* whose request has the group, or NULL */
    int64_t resume_at;   /* when its command may go out, HUB_NEVER: not known yet, or it is out */
};

void interlock_join(hub_device *device, const char *group, double dead_time)
{
    hub_node *node = device->node;
    interlock *interlock = node->interlocks;
    int64_t microseconds = (int64_t)llround(dead_time * 1e6);

    while (interlock && strcmp(interlock->name, group) != 0) {
        interlock = interlock->next;
    }
    if (!interlock) {
        if (!(interlock = calloc(1, sizeof(*interlock)))) {
            abort();
        }
        interlock->node = node;
        interlock->resume_at = HUB_NEVER;
        strncpy(interlock->name, group, sizeof(interlock->name) - 1);
        interlock->next = node->interlocks;
        node->interlocks = interlock;
    }
    if (microseconds > interlock->dead_time) {
        interlock->dead_time = microseconds;
    }
    interlock->members =
        realloc(interlock->members, (interlock->n_members + 1) * sizeof(*interlock->members));
    if (!interlock->members) {
        abort();
    }
    interlock->members[interlock->n_members++] = device;
    device->relay.interlock = interlock;
    device->relay.off_at = hub_now(node->hub); /* it may have been just before the hub started */
}

void interlocks_free(hub_node *node)
{
    while (node->interlocks) {
        interlock *next = node->interlocks->next;
        free(node->interlocks->members);
        free(node->interlocks);
        node->interlocks = next;
    }
}

/* Another relay of the group that may be on and cannot be switched off, or NULL. */
static const hub_device *unreachable(const interlock *interlock)
{
    for (size_t i = 0; i < interlock->n_members; i++) {
        const hub_device *member = interlock->members[i];
        if (member != interlock->serving && !member->listed && member->relay.state != RELAY_OFF) {
            return member;
        }
    }
    return NULL;
}

/* Takes the next step of the request that has the group. */
static void step(interlock *interlock)
{
    hub_device *device = interlock->serving;
    request *request = device->requests;
    const hub_device *missing = unreachable(interlock);
    int64_t now = hub_now(interlock->node->hub), resume_at = now;
    bool waits = false;

    if (interlock->node->hub->stopping) {
        return;
    }
    if (missing) {
        request_refuse(request, TALK_IO_ERROR, "interlock %s: %s does not answer and may be on",
                       interlock->name, missing->topic);
        interlock_release(device, request);
        device_pump(device);
        return;
    }
    for (size_t i = 0; i < interlock->n_members; i++) {
        hub_device *member = interlock->members[i];
        if (member == device) {
            continue;
        }
        if (member->relay.moving) {
            waits = true;
        } else if (member->relay.state != RELAY_OFF) {
            waits = true;
            relay_send_off(member);
        } else if (member->relay.off_at + interlock->dead_time > resume_at) {
            resume_at = member->relay.off_at + interlock->dead_time;
        }
    }
    interlock->resume_at = HUB_NEVER;
    if (waits) {
        return;
    }
    if (resume_at > now) {
        interlock->resume_at = resume_at;
        request->deadline = resume_at + OFF_WITHIN;
        return;
    }
    relay_send(device, request);
}

static void serve(interlock *interlock, hub_device *device)
{
    request *request = device->requests;

    interlock->serving = device;
    request->waits_for_interlock = false;
    request->deadline = hub_now(interlock->node->hub) + OFF_WITHIN;
    step(interlock);
}

void interlock_begin(hub_device *device, request *request)
{
    if (device->relay.interlock->serving) {
        request->waits_for_interlock = true;
    } else {
        serve(device->relay.interlock, device);
    }
}

void interlock_moved(hub_device *device, const message *result)
{
    interlock *interlock = device->relay.interlock;
    hub_device *serving = interlock->serving;
    bool ours = device->relay.off_serial && device->relay.off_serial == result->serial;

    if (ours) {
        device->relay.off_serial = 0;
    }
    if (!serving || serving == device || !serving->requests->command) {
        return;
    }
    if (ours && result->error < 0) {
        request *request = serving->requests;
        request_refuse(request, TALK_IO_ERROR, "interlock %s: %s could not be switched off: %s",
                       interlock->name, device->topic, strerrordesc_np(-result->error));
        interlock_release(serving, request);
        device_pump(serving);
        return;
    }
    step(interlock);
}

void interlock_left(hub_device *device)
{
    hub_device *serving = device->relay.interlock->serving;

    if (serving && serving != device && serving->requests->command) {
        step(device->relay.interlock);
    }
}

/* The oldest request that waits for the group. */
static hub_device *next_waiting(const interlock *interlock)
{
    hub_device *next = NULL;

    for (size_t i = 0; i < interlock->n_members; i++) {
        hub_device *member = interlock->members[i];
        if (member->requests && member->requests->waits_for_interlock &&
            member->requests->progress == REQUEST_RUNNING &&
            (!next || member->requests->serial < next->requests->serial)) {
            next = member;
        }
    }
    return next;
}

void interlock_release(hub_device *device, request *request)
{
    interlock *interlock = device->relay.interlock;
    hub_device *next;

    request->waits_for_interlock = false;
    if (interlock->serving != device || device->requests != request) {
        return;
    }
    interlock->serving = NULL;
    interlock->resume_at = HUB_NEVER;
    if (!interlock->node->hub->stopping && (next = next_waiting(interlock))) {
        serve(interlock, next);
    }
}

void interlock_tick(hub_node *node)
{
    for (interlock *interlock = node->interlocks; interlock; interlock = interlock->next) {
        if (interlock->serving && interlock->resume_at <= hub_now(node->hub)) {
            step(interlock);
        }
    }
}

int64_t interlock_due(const hub_node *node)
{
    int64_t due = HUB_NEVER;

    for (const interlock *interlock = node->interlocks; interlock; interlock = interlock->next) {
        if (interlock->serving && interlock->resume_at < due) {
            due = interlock->resume_at;
        }
    }
    return due;
}
