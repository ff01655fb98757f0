/*
 * A request that switches a relay on takes the group for itself. First every other relay that may
 * be on is switched off; when all are off, and for long enough, the request's own command goes out.
 * Requests that find the group taken wait, in the order in which they came. If another relay of the
 * group does not answer and may be on, the request fails: nothing else would be safe.
 */
#include "interlock.h"

#include "devices.h"
#include "ground.h"
#include "node.h"
#include "request_queue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How long it may take to switch the others off, in microseconds. */
#define OFF_WITHIN INT64_C(6000000)

struct interlock {
    hub *hub;
    char name[sizeof(((pin *)NULL)->interlock)];
    int64_t dead_time; /* microseconds: the longest that any member asks for */
    hub_device **members;
    size_t n_members;
    hub_device *serving; /* the member that has the group for its request, or NULL */
    int64_t resume_at;   /* when its command may go out, HUB_NEVER: not known yet, or it is out */
};

static relay *relay_of(const hub_device *device)
{
    return device->state;
}

/* ---- members ---- */

/* The group of this name among the device's node's relays, or NULL. */
static interlock *find(const hub_device *device, const char *group)
{
    const hub_node *node = device->node;

    for (size_t i = 0; i < node->n_devices; i++) {
        const hub_device *other = node->devices[i];
        interlock *interlock = other->class == device->class ? relay_of(other)->interlock : NULL;
        if (interlock && strcmp(interlock->name, group) == 0) {
            return interlock;
        }
    }
    return NULL;
}

static interlock *create(hub *hub, const char *group)
{
    interlock *interlock = hub_allocate(1, sizeof(*interlock));

    interlock->hub = hub;
    interlock->resume_at = HUB_NEVER;
    strncpy(interlock->name, group, sizeof(interlock->name) - 1);
    return interlock;
}

void interlock_join(hub_device *device, const char *group, double dead_time)
{
    interlock *interlock = find(device, group);
    int64_t microseconds = (int64_t)llround(dead_time * 1e6);

    if (!interlock) {
        interlock = create(device->node->hub, group);
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
    relay_of(device)->interlock = interlock;
    /* It may have been switched off just before the hub started. */
    relay_of(device)->off_at = hub_now(interlock->hub);
}

void interlock_leave(hub_device *device)
{
    interlock *interlock = relay_of(device)->interlock;
    size_t i = 0;

    while (interlock->members[i] != device) {
        i++;
    }
    interlock->members[i] = interlock->members[--interlock->n_members];
    relay_of(device)->interlock = NULL;
    if (interlock->serving == device) {
        interlock->serving = NULL;
    }
    if (!interlock->n_members) {
        free(interlock->members);
        free(interlock);
    }
}

/* ---- serving a request ---- */

/* Another relay of the group that may be on and cannot be switched off, or NULL. */
static const hub_device *unreachable(const interlock *interlock)
{
    for (size_t i = 0; i < interlock->n_members; i++) {
        const hub_device *member = interlock->members[i];
        if (member != interlock->serving && !member->listed &&
            relay_of(member)->state != RELAY_OFF) {
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
    int64_t now = hub_now(interlock->hub), resume_at = now;
    bool waits = false;

    if (interlock->hub->stopping) {
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
        if (relay_of(member)->moving) {
            waits = true;
        } else if (relay_of(member)->state != RELAY_OFF) {
            waits = true;
            relay_send_off(member);
        } else if (relay_of(member)->off_at + interlock->dead_time > resume_at) {
            resume_at = relay_of(member)->off_at + interlock->dead_time;
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
    request->deadline = hub_now(interlock->hub) + OFF_WITHIN;
    step(interlock);
}

void interlock_begin(hub_device *device, request *request)
{
    if (relay_of(device)->interlock->serving) {
        request->waits_for_interlock = true;
    } else {
        serve(relay_of(device)->interlock, device);
    }
}

void interlock_member_moved(hub_device *device, const message *result)
{
    interlock *interlock = relay_of(device)->interlock;
    hub_device *serving = interlock->serving;
    bool ours = relay_of(device)->off_serial && relay_of(device)->off_serial == result->serial;

    if (ours) {
        relay_of(device)->off_serial = 0;
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

void interlock_member_lost(hub_device *device)
{
    hub_device *serving = relay_of(device)->interlock->serving;

    if (serving && serving != device && serving->requests->command) {
        step(relay_of(device)->interlock);
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
    interlock *interlock = relay_of(device)->interlock;
    hub_device *next;

    request->waits_for_interlock = false;
    if (interlock->serving != device || device->requests != request) {
        return;
    }
    interlock->serving = NULL;
    interlock->resume_at = HUB_NEVER;
    if (!interlock->hub->stopping && (next = next_waiting(interlock))) {
        serve(interlock, next);
    }
}

void interlock_tick(hub_device *device)
{
    interlock *interlock = relay_of(device)->interlock;

    if (interlock_due(device) <= hub_now(interlock->hub)) {
        step(interlock);
    }
}

int64_t interlock_due(const hub_device *device)
{
    const interlock *interlock = relay_of(device)->interlock;

    return interlock->serving == device ? interlock->resume_at : HUB_NEVER;
}
