/* What may move, what is expected, and findings. */
#include "walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEAD_TIME   (SECOND / 2) /* of an interlock: the default */
#define PULSE_SLACK (3 * SECOND) /* an end that fails is tried again, and a hub may be away */
#define FIRST_LOOK                                                                                 \
    (2 * SECOND)            /* a hub that ends before it has looked leaves a pulse to the next */
#define EARLY (SECOND / 20) /* that a pulse may be shorter, for the time of its own making */

static const char *name_of(int state)
{
    static const char *const names[] = {"nothing", "null", "off", "on"};

    return names[state + 2];
}

static unsigned bit_of(int target)
{
    return target ? MAY_GO_ON : MAY_GO_OFF;
}

void model_finding(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(w->finding, sizeof w->finding, format, arguments);
    va_end(arguments);
    walk_note("FINDING: %s", w->finding);
    _exit(1);
}

/* ---- moves ---- */

/* A bistable contact without power cannot be switched off. */
static bool is_on_in_group(unsigned relay, int group)
{
    return w->relays[relay].config.group == group && w->relays[relay].contact == 1 &&
           !w->unplugged[relays[relay].board];
}

static unsigned on_in_group(int group)
{
    unsigned n = 0;

    for (unsigned i = 0; i < RELAYS; i++) {
        n += is_on_in_group(i, group);
    }
    return n;
}

static void check_group(unsigned relay)
{
    const relay_model *moved = &w->relays[relay];

    if (moved->config.group < 0 || w->group_upset[moved->config.group]) {
        return;
    }
    if (on_in_group(moved->config.group) > 1) {
        model_finding("%s was switched on while another one of its interlock is on",
                      relays[relay].topic);
    }
    for (unsigned i = 0; i < RELAYS; i++) {
        const relay_model *other = &w->relays[i];

        if (i != relay && other->config.group == moved->config.group && other->off_at &&
            w->time < other->off_at + DEAD_TIME) {
            model_finding("%s was switched on %lld ms after %s went off", relays[relay].topic,
                          (long long)(w->time - other->off_at) / 1000, relays[i].topic);
        }
    }
}

static void moved(unsigned relay, int to)
{
    relay_model *r = &w->relays[relay];
    const bool explained =
        r->may & bit_of(to) || (to == 0 && r->pulse_from && w->time >= r->pulse_from - EARLY);

    walk_note("  %s goes %s", relays[relay].topic, name_of(to));
    w->moves++;
    r->contact = to;
    if (!explained) {
        model_finding("%s went %s, and nothing explains it", relays[relay].topic, name_of(to));
    }
    if (to == 1) {
        r->on_move = w->moves;
        check_group(relay);
    } else {
        r->off_at = w->time;
        r->pulse_until = 0;
    }
}

void model_look(void)
{
    for (unsigned i = 0; i < RELAYS; i++) {
        const int contact = world_contact(i);

        if (contact != w->relays[i].contact) {
            moved(i, contact);
        }
    }
}

/* ---- what happens to the house ---- */

/* The relays of a group may all go off; until the next calm more than one may be found on. */
static void upset(int group)
{
    if (group < 0) {
        return;
    }
    w->group_upset[group] = true;
    for (unsigned i = 0; i < RELAYS; i++) {
        if (w->relays[i].config.group == group) {
            w->relays[i].may |= MAY_GO_OFF;
            w->relays[i].expected = -1;
        }
    }
}

/*
 * A PCF8574 whose pins were all high shows no loss of power, nor does it to a hub that was not
 * there: docs/devices.md.
 */
static bool shows_its_loss(unsigned board)
{
    if (strcmp(boards[board].chip, "pcf8574") != 0) {
        return true;
    }
    for (unsigned i = 0; i < RELAYS; i++) {
        if (relays[i].board == board && w->relays[i].contact == 1) {
            return w->has_hub;
        }
    }
    return false;
}

/* A command that waits is carried out after the power has come, and is what holds then. */
static bool is_asked(unsigned relay)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (w->requests[i].asker && w->requests[i].relay == (int)relay) {
            return true;
        }
    }
    return false;
}

static void power_on(unsigned relay, bool shown)
{
    relay_model *r = &w->relays[relay];

    if (r->config.power_on < 0) {
        r->expected = -1;
    } else {
        r->may |= bit_of(r->config.power_on);
        r->expected = shown && !is_asked(relay) ? r->config.power_on : -1;
        r->pulse_until = 0; /* it ends a pulse, or not: both are said in the documentation */
    }
    if (r->config.group >= 0) {
        upset(r->config.group);
    }
}

void model_power(unsigned board)
{
    const bool shown = shows_its_loss(board);

    w->disturbed[board] = true;
    for (unsigned i = 0; i < RELAYS; i++) {
        if (relays[i].board == board) {
            w->relays[i].contact = world_contact(i);
            w->relays[i].lost_power = true;
            power_on(i, shown);
        }
    }
}

void model_disturbed(uint8_t address)
{
    for (unsigned i = 0; i < BOARDS; i++) {
        w->disturbed[i] = w->disturbed[i] || boards[i].address == address;
    }
}

void model_reconfigured(unsigned relay)
{
    if (w->disturbed[relays[relay].board]) { /* what power-on owes is what it says now */
        w->relays[relay].may = MAY_DO_ANY;
        w->relays[relay].expected = -1;
        w->relays[relay].pulse_until = 0; /* which it ends, or not, as in power_on() */
    }
    upset(w->relays[relay].config.group);
}

/* ---- the hub ---- */

/* Whether nothing but this request has to do with the relay. */
static bool is_alone(const request_model *request)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        const request_model *other = &w->requests[i];

        if (other != request && other->asker && other->relay == request->relay) {
            return false;
        }
    }
    return w->relays[request->relay].config.group < 0 && !w->relays[request->relay].lost_power;
}

/* A pulse has got no answer, or a bad one: if it has begun it ends all the same. */
static void pulse_is_doubtful(const request_model *request)
{
    relay_model *r = &w->relays[request->relay];
    const int64_t end = request->asked_at + request->pulse;
    /* Then it may be power-on that has switched it on, before the pulse's turn. */
    const bool may_be_power_on =
        r->config.power_on == 1 && w->disturbed[relays[request->relay].board];

    if (!r->pulse_from || end < r->pulse_from) {
        r->pulse_from = end;
    }
    r->may |= MAY_GO_OFF;
    if (r->contact == 1 && r->on_move > request->moves && !may_be_power_on && request->alone &&
        is_alone(request)) {
        r->pulse_until = w->time + request->pulse;
    }
}

/* What a PCF8574 would have shown to this hub, the next one does not see. */
static void hub_is_gone(void)
{
    w->has_hub = false;
    for (unsigned i = 0; i < RELAYS; i++) {
        if (strcmp(boards[relays[i].board].chip, "pcf8574") == 0) {
            w->relays[i].expected = -1;
        }
    }
}

void model_hub_killed(void)
{
    hub_is_gone();
    for (unsigned i = 0; i < REQUESTS; i++) {
        request_model *request = &w->requests[i];

        if (request->asker && request->pulse) {
            pulse_is_doubtful(request);
        } else if (request->asker && request->target == 1) {
            w->relays[request->relay].pulse_until = 0; /* it may have been done */
        }
        request->asker = 0;
    }
}

/* A hub without a successor ends all pulses. */
void model_hub_stops(bool successor)
{
    for (unsigned i = 0; i < RELAYS && !successor; i++) {
        if (w->relays[i].pulse_from) {
            w->relays[i].may |= MAY_GO_OFF;
        }
    }
}

void model_hub_stopped(bool successor)
{
    hub_is_gone();
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (w->requests[i].asker) {
            model_finding("the hub has ended without an answer to request %llu",
                          (unsigned long long)w->requests[i].asker);
        }
    }
    for (unsigned i = 0; i < RELAYS && !successor; i++) {
        const relay_model *r = &w->relays[i];

        /* One that does not answer is left to the next hub. */
        if (r->pulse_until && r->contact == 1 && r->published == 1 &&
            w->time > w->began + FIRST_LOOK && !w->disturbed[relays[i].board] &&
            !w->unplugged[relays[i].board]) {
            model_finding("the hub has ended, and the pulse of %s goes on", relays[i].topic);
        }
    }
}

void model_hub_starts(void)
{
    w->has_hub = true;
    w->began = w->time;
    for (unsigned i = 0; i < RELAYS; i++) {
        w->relays[i].published = -2;
    }
}

/* ---- requests ---- */

static request_model *find_request(uint64_t asker)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (w->requests[i].asker == asker) {
            return &w->requests[i];
        }
    }
    return NULL;
}

void model_asked(uint64_t asker, unsigned relay, int target, int64_t pulse)
{
    request_model *request = find_request(0);
    relay_model *r = &w->relays[relay];

    if (!request) {
        model_finding("more than %d requests are unanswered", REQUESTS);
    }
    *request = (request_model){.asker = asker,
                               .relay = (int)relay,
                               .target = target,
                               .pulse = pulse,
                               .asked_at = w->time,
                               .moves = w->moves};
    request->alone = is_alone(request);
    r->lost_power = w->unplugged[relays[relay].board];
    if (target < 0) {
        return;
    }
    r->may |= bit_of(target);
    r->expected = -1;
    for (unsigned i = 0; i < RELAYS && r->config.group >= 0 && target == 1; i++) {
        if (i != relay && w->relays[i].config.group == r->config.group) {
            w->relays[i].may |= MAY_GO_OFF;
            w->relays[i].expected = -1;
        }
    }
}

static void succeeded(const request_model *request, int state, const char *text)
{
    relay_model *r = &w->relays[request->relay];

    if (request->target >= 0 && state != request->target) {
        model_finding("asked to go %s, answered %.60s", name_of(request->target), text);
    }
    if (!request->pulse && is_alone(request) && state >= 0 && state != r->contact) {
        model_finding("the contact of %s is %s, answered was %.60s", relays[request->relay].topic,
                      name_of(r->contact), text);
    }
    if (request->pulse) {
        r->pulse_from = request->asked_at + request->pulse;
        r->pulse_until = w->time + request->pulse;
    } else if (request->target >= 0) {
        r->pulse_from = r->pulse_until = 0;
    }
}

void model_answered(uint64_t asker, int state, const char *text)
{
    request_model *request = find_request(asker);

    if (!request) {
        model_finding("an answer to request %llu, which is not outstanding: %.60s",
                      (unsigned long long)asker, text);
    }
    if (state > -2) {
        succeeded(request, state, text);
    } else if (request->target == 1 && !request->pulse) {
        w->relays[request->relay].pulse_until =
            0; /* it may have been done, and cancelled a pulse */
    } else if (request->pulse) {
        pulse_is_doubtful(request);
    }
    request->asker = 0;
}

/* Of an interlock's bistable relays those whose states nobody knows go off. */
static void may_both_be_on(int group)
{
    for (unsigned i = 0; i < RELAYS; i++) {
        if (w->relays[i].config.group == group && boards[relays[i].board].bistable) {
            w->relays[i].may |= MAY_GO_OFF;
            w->relays[i].expected = -1;
        }
    }
}

void model_published(unsigned relay, int state)
{
    const int group = w->relays[relay].config.group;

    w->relays[relay].published = state;
    if (state == -1 && group >= 0 && boards[relays[relay].board].bistable) {
        may_both_be_on(group);
    }
}

/* ---- calm ---- */

static void check_relay(unsigned i)
{
    const relay_model *r = &w->relays[i];
    const char *topic = relays[i].topic;

    if (w->unplugged[relays[i].board]) {
        if (r->published >= 0) {
            model_finding("%s has no power, but %s is published", topic, name_of(r->published));
        }
        return;
    }
    if (r->published == -2 || (r->published == -1 && !boards[relays[i].board].bistable)) {
        model_finding("%s is published of %s", name_of(r->published), topic);
    }
    if (r->published >= 0 && r->published != r->contact) {
        model_finding("the contact of %s is %s, published is %s", topic, name_of(r->contact),
                      name_of(r->published));
    }
    if (r->expected >= 0 && r->expected != r->contact) {
        model_finding("%s was to be %s after its power came, and is %s", topic,
                      name_of(r->expected), name_of(r->contact));
    }
    if (r->pulse_until && w->time > r->pulse_until + PULSE_SLACK && r->contact == 1) {
        model_finding("%s is on %lld ms after the end of its pulse", topic,
                      (long long)(w->time - r->pulse_until) / 1000);
    }
}

void model_calm(void)
{
    w->checks++;
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (w->requests[i].asker) {
            model_finding("request %llu was never answered",
                          (unsigned long long)w->requests[i].asker);
        }
    }
    for (int group = 0; group < GROUPS; group++) {
        if (on_in_group(group) > 1) {
            for (unsigned i = 0; i < RELAYS; i++) {
                if (is_on_in_group(i, group)) {
                    walk_note("%s is on", relays[i].topic);
                }
            }
            model_finding("%u relays of an interlock are on", on_in_group(group));
        }
        w->group_upset[group] = false;
    }
    for (unsigned i = 0; i < RELAYS; i++) {
        check_relay(i);
    }
    for (unsigned i = 0; i < RELAYS; i++) {
        w->relays[i].may = 0;
        w->relays[i].expected = -1;
        w->relays[i].lost_power = false;
        if (w->relays[i].contact != 1) {
            w->relays[i].pulse_until = 0;
        }
    }
    memset(w->disturbed, 0, sizeof w->disturbed);
}
