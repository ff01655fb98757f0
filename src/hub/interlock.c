/*
 * A request that switches a relay on takes the group for itself. First every other relay that may
 * be on is switched off; when all are off, and for long enough, the request's own command goes out.
 * Requests that find the group taken wait, in the order in which they came. If another relay of the
 * group does not answer and may be on, the request fails: nothing else would be safe.
 *
 * What is seen may violate the rule without any request: a board that was switched on, a relay that
 * has become a member. Then all but one are switched off at once, and again until it holds.
 */
#include "interlock.h"

#include "devices.h"
#include "ground.h"
#include "node.h"
#include "request_queue.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How long it may take to switch the others off, in microseconds. */
#define OFF_WITHIN INT64_C(6000000)

/* When a relay that is on against the rule is switched off again, if that has failed. */
#define RETRY_AFTER INT64_C(1000000)

/*
 * While the first look at the buses is not finished, a relay that was not found yet is none that is
 * missing: the request waits, and looks again after this time, in microseconds.
 */
#define LOOKED_AFTER INT64_C(50000)

struct interlock {
    hub *hub;
    char name[sizeof(((pin *)NULL)->interlock)];
    int64_t dead_time; /* microseconds: the longest that any member asks for */
    hub_device **members;
    size_t n_members;
    hub_device *serving; /* the member that has the group for its request, or NULL */
    int64_t resume_at;   /* when its command may go out, HUB_NEVER: not known yet, or it is out */
    bool violated;       /* several are on, and the log says so */
    int64_t retry_at;    /* when those are switched off again, HUB_NEVER */
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
    interlock->resume_at = interlock->retry_at = HUB_NEVER;
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
        base_out_of_memory();
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

/*
 * The request that has the group cannot be carried out, because of another relay. One to put a
 * relay into its power-on state is over with that: it does not come back hours later.
 */
static void refuse(interlock *interlock, const hub_device *other, const char *why)
{
    hub_device *device = interlock->serving;
    request *request = device->requests;

    request_refuse(request, TALK_IO_ERROR, "interlock %s: %s %s", interlock->name, other->topic,
                   why);
    if (!request->asker) {
        hub_log(interlock->hub, HUB_ERROR, CT_POWER_ON,
                "%s is not put into its power-on state: interlock %s: %s %s", device->topic,
                interlock->name, other->topic, why);
        relay_forget_power_on(device->node, device->topic);
        state_save(device->node->states);
    }
    interlock_release(device, request);
    device_pump(device);
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
    if (missing && !device->node->ready) {
        interlock->resume_at = now + LOOKED_AFTER;
        request->deadline = interlock->resume_at + OFF_WITHIN;
        return;
    }
    if (missing) {
        refuse(interlock, missing, "does not answer and may be on");
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

/* ---- the rule, for what is seen ---- */

void interlock_remember(hub_device *device)
{
    struct json_object *known = state_device(device->node->states, device->topic), *command;

    if (known && json_object_object_get_ex(known, "command", &command)) {
        relay_of(device)->command = json_object_get_int64(command);
    }
}

void interlock_note(hub_device *device, bool commanded)
{
    const hub_node *node = device->node;
    int64_t last = 0, before = relay_of(device)->command;

    if (relay_of(device)->state == RELAY_ON && !commanded) {
        return;
    }
    for (size_t i = 0; i < node->n_devices; i++) {
        const hub_device *other = node->devices[i];
        if (other->class == device->class && relay_of(other)->command > last) {
            last = relay_of(other)->command;
        }
    }
    relay_of(device)->command = relay_of(device)->state == RELAY_ON ? last + 1 : 0;
    if (before || relay_of(device)->command) {
        state_set(node->states, device->topic, "command",
                  relay_of(device)->command ? json_object_new_int64(relay_of(device)->command)
                                            : NULL);
    }
}

static bool is_on(const interlock *interlock, const hub_device *member)
{
    bool in_flight = member == interlock->serving && !member->requests->command;

    return member->listed && (relay_of(member)->state == RELAY_ON || in_flight);
}

/* How its contact stands cannot be read. */
static bool is_blind(const hub_device *member)
{
    return !member->driver->relay->get;
}

/* Its chip is away, and its contact was left on and stays there without power. */
static bool is_left_on(const hub_device *member)
{
    return !member->listed && relay_of(member)->state == RELAY_ON && is_blind(member);
}

/* The same, when it is certain that it is away, and not only looked for still. */
static bool stays_on(const hub_device *member)
{
    return is_left_on(member) && member->node->ready;
}

/*
 * The relay that may stay on: one that cannot be switched off, one that is being switched on, or
 * the one commanded last; or NULL.
 */
static const hub_device *rightful(const interlock *interlock)
{
    const hub_device *last = NULL;

    for (size_t i = 0; i < interlock->n_members; i++) {
        if (stays_on(interlock->members[i])) {
            return interlock->members[i];
        }
    }
    if (interlock->serving && !interlock->serving->requests->command) {
        return interlock->serving;
    }
    for (size_t i = 0; i < interlock->n_members; i++) {
        const hub_device *member = interlock->members[i];
        if (relay_of(member)->command &&
            (!last || relay_of(member)->command > relay_of(last)->command)) {
            last = member;
        }
    }
    return last;
}

/* Nobody knows how its contact stands. */
static bool is_doubtful(const interlock *interlock, const hub_device *member)
{
    return member->listed && relay_of(member)->state == RELAY_UNKNOWN && !is_on(interlock, member);
}

/* How the members' contacts stand, as far as that is known. */
typedef struct stand {
    size_t on;       /* all that are on */
    size_t out;      /* those of them that cannot be switched off */
    size_t doubtful; /* that may be on */
    size_t blind;    /* those of them of which no read will ever tell */
    bool awaited;    /* one that may be out is looked for still */
} stand;

static void log_violation(interlock *interlock, const stand *stand, const hub_device *stays)
{
    hub *hub = interlock->hub;

    if (interlock->violated) {
        return;
    }
    interlock->violated = true;
    if (stand->on == 0) {
        hub_log(hub, HUB_WARNING, CT_INTERLOCK_VIOLATED,
                "interlock %s: %zu relays whose state is not known may be on; they are switched "
                "off",
                interlock->name, stand->blind);
        return;
    }
    if (stand->on == 1) {
        hub_log(hub, HUB_WARNING, CT_INTERLOCK_VIOLATED,
                "interlock %s: a relay is on, and %zu whose state is not known may be; what may be "
                "is switched off",
                interlock->name, stand->doubtful);
        return;
    }
    hub_log(hub, HUB_WARNING, CT_INTERLOCK_VIOLATED, "interlock %s: %zu relays are on; %s%s",
            interlock->name, stand->on,
            !stays          ? "all are switched off, since none was commanded last"
            : stays->listed ? "all are switched off but the one that was commanded last, "
                            : "all are switched off but one that does not answer, ",
            stays ? stays->topic : "");
}

static stand count(const interlock *interlock)
{
    stand stand = {0};

    for (size_t i = 0; i < interlock->n_members; i++) {
        const hub_device *member = interlock->members[i];
        stand.on += is_on(interlock, member) || stays_on(member);
        stand.out += stays_on(member);
        stand.doubtful += is_doubtful(interlock, member);
        stand.blind += is_doubtful(interlock, member) && is_blind(member);
        stand.awaited = stand.awaited || (is_left_on(member) && !stays_on(member));
    }
    return stand;
}

/* Whether that is against the rule, and something can be done about it. */
static bool is_violated(const stand *stand)
{
    const size_t may_be_on = stand->on + stand->doubtful;

    return stand->on ? may_be_on > 1 && may_be_on > stand->out : stand->blind > 1;
}

/*
 * Switches off what must not be on, and what may be on where another one is or may be; but none
 * that is on for the sake of one that only may be, and none for one that a read will tell of soon.
 */
static void enforce(interlock *interlock)
{
    const hub_device *stays = rightful(interlock);
    const stand stand = count(interlock);

    interlock->retry_at = stand.awaited ? hub_now(interlock->hub) + LOOKED_AFTER : HUB_NEVER;
    if (!is_violated(&stand) || interlock->hub->stopping) {
        interlock->violated = false;
        return;
    }
    log_violation(interlock, &stand, stays);
    for (size_t i = 0; i < interlock->n_members; i++) {
        hub_device *member = interlock->members[i];
        const bool must_go = is_doubtful(interlock, member)
                                 ? stand.on || is_blind(member)
                                 : stand.on > 1 && member != stays && is_on(interlock, member);
        if (must_go && !relay_of(member)->moving) {
            relay_send_off(member);
        }
    }
}

void interlock_seen(hub_device *device)
{
    interlock *interlock = relay_of(device)->interlock;

    if (interlock->serving && interlock->serving->requests->command) {
        step(interlock); /* its request has the others switched off before anything else */
    } else {
        enforce(interlock);
    }
}

/* ---- requests take turns ---- */

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
    if (ours && result->error < 0) {
        interlock->retry_at = hub_now(interlock->hub) + RETRY_AFTER;
    }
    if (!serving || serving == device || !serving->requests->command) {
        if (!ours || result->error >= 0) {
            enforce(interlock);
        }
        return;
    }
    if (ours && result->error < 0) {
        refuse(interlock, device, "could not be switched off");
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
    if (interlock->hub->stopping) {
        return;
    }
    if (interlock->retry_at == HUB_NEVER) { /* what was seen meanwhile was left to the request */
        interlock->retry_at = hub_now(interlock->hub);
    }
    if ((next = next_waiting(interlock))) {
        serve(interlock, next);
    }
}

void interlock_tick(hub_device *device)
{
    interlock *interlock = relay_of(device)->interlock;

    if (interlock_due(device) > hub_now(interlock->hub)) {
        return;
    }
    if (interlock->serving == device && interlock->resume_at <= hub_now(interlock->hub)) {
        step(interlock);
    } else {
        enforce(interlock);
    }
}

int64_t interlock_due(const hub_device *device)
{
    const interlock *interlock = relay_of(device)->interlock;

    int64_t due = interlock->serving == device ? interlock->resume_at : HUB_NEVER;

    /* One member looks after the group. */
    return interlock->members[0] == device && interlock->retry_at < due ? interlock->retry_at : due;
}
