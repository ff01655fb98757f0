/* One life of the hub, from start to end or death: requests to it, and what it says. */
#include "walk.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE       "nodes/bridge/0"
#define MAX_ROUNDS 1000000 /* without time passing: more is a hub that spins */

static hub *the_hub;

/* ---- surroundings ---- */

static int open_bus(void *baton, i2c_bus **bus, int label, const char *device, char *why,
                    size_t why_size)
{
    (void)baton, (void)label, (void)device, (void)why, (void)why_size;
    *bus = world_bus();
    return 0;
}

static int64_t now(void *baton)
{
    (void)baton;
    return w->time;
}

static int64_t wall(void *baton)
{
    (void)baton;
    return w->wall + w->time;
}

static int64_t boottime(void *baton)
{
    (void)baton;
    return w->time - w->booted;
}

/* ---- what it says ---- */

static int relay_by_topic(const char *topic)
{
    for (int i = 0; i < RELAYS; i++) {
        if (strcmp(relays[i].topic, topic) == 0) {
            return i;
        }
    }
    return -1;
}

/* The relay and the state of a message: 0, 1, -1 for null; -2 where it is none about a state. */
static int read_state(const char *line, size_t length, int *relay)
{
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *message = json_tokener_parse_ex(tokener, line, (int)length), *state;
    int result = -2;

    *relay = -1;
    if (json_object_is_type(message, json_type_array)) {
        *relay = relay_by_topic(json_object_get_string(json_object_array_get_idx(message, 0)));
        if (*relay >= 0 &&
            json_object_object_get_ex(json_object_array_get_idx(message, 1), "state", &state)) {
            result = state ? json_object_get_boolean(state) : -1;
        }
    }
    json_object_put(message);
    json_tokener_free(tokener);
    return result;
}

static void on_reply(void *baton, uint64_t asker, const char *text, size_t length, bool last)
{
    int relay;
    const int state = read_state(text, length, &relay);

    (void)baton;
    walk_note("  reply to %llu: %.*s", (unsigned long long)asker, (int)length - 1, text);
    if (last) {
        model_answered(asker, state, text);
    }
}

/* Its asker gets it as a reply, which is a publication to it, too. */
static void on_publish(void *baton, const char *node, uint64_t except, const char *text,
                       size_t length)
{
    int relay;
    const int state = read_state(text, length, &relay);

    (void)baton, (void)node, (void)except;
    if (state > -2) {
        walk_note("  published: %.*s", (int)length - 1, text);
        model_published((unsigned)relay, state);
    }
}

static void on_log(void *baton, hub_level level, int code, const char *text)
{
    (void)baton;
    if (level != HUB_DEBUG) {
        walk_note("  CT%d %s", code, text);
    }
}

/* ---- its configuration ---- */

static const char *const power_on_options[] = {"power-on=keep", "power-on=off", "power-on=on"};
static const char *const groups[GROUPS] = {"interlock=up", "interlock=down"};

static hub_device_config devices[RELAYS];
static const char *options[RELAYS][6];
static char pins[RELAYS][8];

static void configure(unsigned i)
{
    const house_relay *r = &relays[i];
    const relay_config *config = &w->relays[i].config;
    unsigned n = 0;

    memset(options[i], 0, sizeof options[i]);
    if (!boards[r->board].bistable) {
        snprintf(pins[i], sizeof pins[i], "pin=%u", r->pin);
        options[i][n++] = pins[i];
        options[i][n++] = r->active_low ? "active=low" : "active=high";
    }
    options[i][n++] = power_on_options[config->power_on + 1];
    if (config->group >= 0) {
        options[i][n++] = groups[config->group];
    }
    devices[i] = (hub_device_config){r->topic, r->driver, options[i]};
}

/* ---- time ---- */

static int64_t settle(void)
{
    int64_t due, owner;

    for (int round = 0; round < MAX_ROUNDS; round++) {
        due = hub_run_buses(the_hub);
        hub_dispatch(the_hub);
        if (hub_is_idle(the_hub)) {
            owner = hub_next_due(the_hub);
            return owner < due ? owner : due;
        }
    }
    model_finding("the hub spins");
}

void life_run(int64_t microseconds)
{
    const int64_t end = w->time + microseconds;

    for (int round = 0; round < MAX_ROUNDS; round++) {
        const int64_t due = settle();

        model_look();
        world_check();
        if (due > end || w->time >= end) {
            w->time = w->time < end ? end : w->time;
            return;
        }
        w->time = due > w->time ? due : w->time;
    }
    model_finding("the hub spins");
}

/* ---- life ---- */

void life_begin(void)
{
    static const hub_bus_config bus = {0, "sim", HUB_MODULES_BIGCLOWN};
    const hub_node_config node = {
        .name = NODE,
        .buses = &bus,
        .n_buses = 1,
        .devices = devices,
        .n_devices = RELAYS,
        .rescan = 30,
    };
    const hub_config config = {
        .nodes = &node,
        .n_nodes = 1,
        .state_dir = w->dir,
        .release = "1.2.3",
        .datetime = "2024-01-02T03:04:05Z",
        .reason_for_reset = w->reason,
    };
    char boot_id[24];
    const hub_environment environment = {{open_bus, now, true, NULL}, wall, boottime, boot_id};
    const hub_output output = {on_reply, on_publish, on_log, NULL, NULL};

    snprintf(boot_id, sizeof boot_id, "boot-%u", w->boots);
    world_open();
    for (unsigned i = 0; i < RELAYS; i++) {
        configure(i);
    }
    walk_note("the hub starts: %s", w->reason);
    model_hub_starts();
    the_hub = hub_create_in(&config, &output, &environment);
    if (!the_hub) {
        model_finding("the hub cannot be made");
    }
}

void life_ask(unsigned relay, int target, int64_t pulse, unsigned rights)
{
    static const char *const states[] = {"false", "true"};
    char text[128];

    if (target < 0) {
        snprintf(text, sizeof text, "[\"%s/get\", {}]", relays[relay].topic);
    } else if (pulse) {
        snprintf(text, sizeof text, "[\"%s/pulse/set\", {\"duration\": %.3f}]", relays[relay].topic,
                 (double)pulse / 1e6);
    } else {
        snprintf(text, sizeof text, "[\"%s/set\", {\"state\": %s}]", relays[relay].topic,
                 states[target]);
    }
    w->asked++;
    walk_note("request %llu: %s%s", (unsigned long long)w->asked, text,
              rights & HUB_MAY_CONTROL ? "" : ", which is forbidden");
    model_asked(w->asked, relay, rights & HUB_MAY_CONTROL ? target : -1, pulse);
    hub_request(the_hub, NODE, rights, w->asked, text, strlen(text));
}

void life_end(bool successor)
{
    model_hub_stops(successor);
    (successor ? hub_hand_over : hub_destroy)(the_hub);
    the_hub = NULL;
    model_look();
    model_hub_stopped(successor);
    world_check();
    world_close();
}
