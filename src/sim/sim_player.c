#include "sim_player.h"

#include "sim_memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_INTERVAL 250000 /* µs between looks at the file */

/* ---- what happens ---- */

static bool is_active(const sim_event *event, double seconds, int64_t begun)
{
    if (begun == 0) {
        return false;
    }
    double last = event->at + (begun > 1 ? (double)(begun - 1) * event->every : 0);
    return seconds - last < event->length;
}

static int64_t times_begun(const sim_event *event, double seconds)
{
    if (seconds < event->at) {
        return 0;
    }
    return isinf(event->every) ? 1 : (int64_t)((seconds - event->at) / event->every) + 1;
}

/* An unplugging that came and went between two transfers still takes the chip's power. */
static void play_chip(const sim_scenario_chip *plan, sim_chip *chip, double seconds)
{
    double faults[SIM_N_FAULTS] = {0};
    bool planned[SIM_N_FAULTS] = {false};
    bool may_unplug = false, unplugged = false, lost_power = false;
    for (size_t i = 0; i < plan->n_events; i++) {
        sim_event *event = &plan->events[i];
        int64_t begun = times_begun(event, seconds);
        bool active = is_active(event, seconds, begun);
        if (event->what == SIM_UNPLUGGED) {
            may_unplug = true;
            unplugged = unplugged || active;
            lost_power = lost_power || begun > event->begun;
        } else {
            planned[event->what] = true;
            if (active) {
                faults[event->what] = fmax(faults[event->what], event->amount);
            }
        }
        event->begun = begun;
    }
    for (unsigned i = 0; i < SIM_N_FAULTS; i++) {
        if (planned[i]) {
            chip->faults[i] = faults[i];
        }
    }
    if (lost_power) {
        sim_bus_power(chip, false);
    }
    if (may_unplug) {
        sim_bus_power(chip, !unplugged);
    }
}

static void play(sim_bus *bus)
{
    const sim_scenario *scenario = bus->player.scenario;
    double seconds = (double)(bus->now - bus->epoch) / 1e6;
    for (size_t i = 0; i < scenario->n_chips; i++) {
        const sim_scenario_chip *plan = &scenario->chips[i];
        if (plan->n_events && bus->chips[plan->address]) {
            play_chip(plan, bus->chips[plan->address], seconds);
        }
    }
}

/* ---- bringing a scenario onto the bus ---- */

static const sim_scenario_chip *find_plan(const sim_scenario *scenario, const sim_chip *chip)
{
    for (size_t i = 0; i < scenario->n_chips; i++) {
        if (scenario->chips[i].address == chip->address && scenario->chips[i].ops == chip->ops) {
            return &scenario->chips[i];
        }
    }
    return NULL;
}

/* Chips that stay keep their registers. Time begins anew. */
static bool install(sim_bus *bus, sim_scenario *scenario)
{
    bool complete = true;
    for (unsigned i = 0; i < SIM_ADDRESSES; i++) {
        if (bus->chips[i] && !find_plan(scenario, bus->chips[i])) {
            sim_bus_remove(bus, bus->chips[i]);
        }
    }
    bus->epoch = bus->now;
    for (size_t i = 0; i < scenario->n_chips; i++) {
        const sim_scenario_chip *plan = &scenario->chips[i];
        sim_chip *chip = bus->chips[plan->address];
        if (!chip) {
            chip = sim_bus_add(bus, plan->ops, plan->address);
        }
        if (!chip) {
            complete = false;
            continue;
        }
        memcpy(chip->inputs, plan->inputs, sizeof chip->inputs);
        memset(chip->faults, 0, sizeof chip->faults);
        sim_bus_power(chip, true);
    }
    bus->clock_frequency = scenario->clock_frequency;
    sim_scenario_free(bus->player.scenario);
    bus->player.scenario = scenario;
    return complete;
}

/* ---- the file ---- */

/* Whether it is another one than at the last look, which this one becomes. */
static bool has_changed(sim_player *player)
{
    struct stat info;
    if (stat(player->file, &info) != 0) {
        memset(&info, 0, sizeof info); /* gone: that is a change, once */
    }
    bool same = info.st_mtim.tv_sec == player->modified.tv_sec &&
                info.st_mtim.tv_nsec == player->modified.tv_nsec && info.st_size == player->size &&
                info.st_ino == player->inode;
    player->modified = info.st_mtim;
    player->size = info.st_size;
    player->inode = info.st_ino;
    return !same;
}

static bool same_file(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void reload(sim_bus *bus)
{
    char why[768], text[1024];
    const sim_scenario *old = bus->player.scenario;
    sim_scenario *scenario = sim_scenario_load(bus->player.file, why, sizeof why);
    if (!scenario) {
        snprintf(text, sizeof text, "%s; the scenario before it stays", why);
        sim_bus_report(bus, text);
        return;
    }
    if (!same_file(scenario->memory, old->memory) || !same_file(scenario->trace, old->trace)) {
        sim_bus_report(bus, "memory and trace of a scenario are read at the start only");
    }
    if (!install(bus, scenario)) {
        sim_bus_report(bus, "out of memory for the scenario's chips");
    }
}

void sim_player_advance(sim_bus *bus)
{
    sim_player *player = &bus->player;
    if (player->file && bus->now >= player->next_look) {
        player->next_look = bus->now + LOOK_INTERVAL;
        if (has_changed(player)) {
            reload(bus);
        }
    }
    if (player->scenario) {
        play(bus);
    }
}

/* A file that a scenario names, beside the scenario's own. NULL where memory is short. */
static char *beside(const char *scenario, const char *name)
{
    const char *slash = strrchr(scenario, '/');
    size_t directory = slash && name[0] != '/' ? (size_t)(slash - scenario) + 1 : 0;
    char *path = malloc(directory + strlen(name) + 1);
    if (path) {
        sprintf(path, "%.*s%s", (int)directory, scenario, name);
    }
    return path;
}

static int open_files(sim_bus *bus, const sim_scenario *scenario, const char *file, char *why,
                      size_t why_size)
{
    int result = 0;
    if (scenario->trace) {
        char *path = beside(file, scenario->trace);
        result = path ? sim_trace_open(bus, path, why, why_size) : -ENOMEM;
        free(path);
    }
    if (result == 0 && scenario->memory) {
        char *path = beside(file, scenario->memory);
        result = path ? sim_memory_open(bus, path, why, why_size) : -ENOMEM;
        free(path);
    }
    if (result == -ENOMEM) {
        snprintf(why, why_size, "out of memory");
    }
    return result;
}

int sim_player_open(sim_bus *bus, const char *file, char *why, size_t why_size)
{
    sim_player *player = &bus->player;
    player->file = strdup(file);
    if (!player->file) {
        snprintf(why, why_size, "out of memory");
        return -ENOMEM;
    }
    has_changed(player); /* before it is read, so that no change is missed */
    player->next_look = bus->now + LOOK_INTERVAL;
    sim_scenario *scenario = sim_scenario_load(file, why, why_size);
    if (!scenario) {
        return -EINVAL;
    }
    int result = open_files(bus, scenario, file, why, why_size);
    if (result < 0) {
        sim_scenario_free(scenario);
        return result;
    }
    if (!install(bus, scenario)) {
        snprintf(why, why_size, "out of memory");
        return -ENOMEM;
    }
    play(bus);
    return 0;
}

void sim_player_close(sim_bus *bus)
{
    sim_scenario_free(bus->player.scenario);
    free(bus->player.file);
}
