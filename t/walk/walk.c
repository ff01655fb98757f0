/* The steps, the lives of the hub, the command line. */
#include "walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALM (40 * SECOND) /* the longest pause between two looks at an address is 30 */

walk *w;

/* ---- chance and notes ---- */

uint32_t walk_random(uint32_t below)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((w->random >> 33) % below);
}

bool walk_chance(unsigned percent)
{
    return walk_random(100) < percent;
}

static int64_t random_time(int64_t most)
{
    return (int64_t)walk_random((uint32_t)(most / 1000) + 1) * 1000;
}

static void print_note(const char *note)
{
    printf("# %s\n", note);
}

void walk_note(const char *format, ...)
{
    char *note = w->notes[w->n_notes++ % NOTES];
    const int n = snprintf(note, sizeof w->notes[0], "%lld.%06lld ", (long long)(w->time / SECOND),
                           (long long)(w->time % SECOND));
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(note + n, sizeof w->notes[0] - (size_t)n, format, arguments);
    va_end(arguments);
    if (w->verbose) {
        print_note(note);
    }
}

static void print_notes(void)
{
    uint64_t i = w->n_notes > NOTES ? w->n_notes - NOTES : 0;

    while (!w->verbose && i < w->n_notes) {
        print_note(w->notes[i++ % NOTES]);
    }
}

/* ---- steps ---- */

static unsigned any_relay(void)
{
    return walk_random(RELAYS);
}

static void ask_something(void)
{
    const unsigned relay = any_relay(), kind = walk_random(20);

    if (kind < 2) {
        life_ask(relay, -1, 0, HUB_MAY_CONTROL);
    } else if (kind < 3) {
        life_ask(relay, (int)walk_random(2), 0, 0);
    } else if (kind < 8) {
        life_ask(relay, 1, 50000 + random_time(8 * SECOND), HUB_MAY_CONTROL);
    } else {
        life_ask(relay, (int)walk_random(2), 0, HUB_MAY_CONTROL);
    }
}

static void ask_several(void)
{
    for (unsigned n = 2 + walk_random(6); n > 0; n--) {
        ask_something();
        if (walk_chance(30)) {
            life_run(random_time(SECOND / 5));
        }
    }
}

/* A request, and what happens to one of the transfers that it causes, or to a later one. */
static void plan_for(plan_kind kind)
{
    const unsigned relay = any_relay();
    const int errors[] = {-6 /* ENXIO */, -5 /* EIO */, -110 /* ETIMEDOUT */};

    w->plan = (plan){
        .kind = kind,
        .address = walk_chance(80) ? boards[relays[relay].board].address : 0,
        .skip = walk_random(walk_chance(70) ? 6 : 40),
        .count = walk_chance(85) || kind == PLAN_GARBLE ? 1 : 1 + walk_random(12),
        .flip = (uint8_t)(1 + walk_random(255)),
        .error = errors[walk_random(3)],
    };
    if (walk_chance(80)) {
        life_ask(relay, (int)walk_random(2), 0, HUB_MAY_CONTROL);
    } else {
        ask_several();
    }
}

static void unplug_or_plug(void)
{
    const unsigned board = walk_random(BOARDS);

    if (w->unplugged[board]) {
        world_plug(board);
        return;
    }
    world_unplug(board);
    if (walk_chance(80)) {
        life_run(random_time(walk_chance(50) ? 2 * SECOND : 20 * SECOND));
        world_plug(board);
    }
}

static void jump_the_wall_clock(void)
{
    const int64_t most = walk_chance(50) ? 20 * SECOND : 40000000 * SECOND;
    const int64_t by = (int64_t)walk_random(1000) * (most / 1000);

    w->wall += walk_chance(50) ? by : -by;
    walk_note("the wall clock jumps to %lld", (long long)((w->wall + w->time) / SECOND));
}

static void be_calm(void)
{
    w->plan.kind = PLAN_NONE;
    life_run(CALM);
    model_calm();
}

/* False: this life of the hub ends in order. */
static bool step(void)
{
    const unsigned kind = walk_random(100);

    w->steps++;
    if (kind < 30) {
        ask_something();
    } else if (kind < 42) {
        ask_several();
    } else if (kind < 54) {
        plan_for(PLAN_GARBLE);
    } else if (kind < 60) {
        plan_for(PLAN_REFUSE);
    } else if (kind < 66) {
        plan_for(PLAN_LOSE_REPLY);
    } else if (kind < 70) {
        plan_for(PLAN_KILL_BEFORE);
    } else if (kind < 74) {
        plan_for(PLAN_KILL_AFTER);
    } else if (kind < 76) {
        plan_for(PLAN_UNPLUG);
    } else if (kind < 84) {
        unplug_or_plug();
    } else if (kind < 90) {
        jump_the_wall_clock();
    } else {
        return false;
    }
    life_run(random_time(walk_chance(50) ? SECOND / 2 : 6 * SECOND));
    if (walk_chance(50)) {
        be_calm();
    }
    return true;
}

/* ---- between two lives ---- */

static void reconfigure(unsigned relay)
{
    relay_config *config = &w->relays[relay].config;

    if (walk_chance(50)) {
        config->power_on = (int)walk_random(3) - 1;
    } else {
        config->group = (int)walk_random(GROUPS + 1) - 1;
    }
    model_reconfigured(relay);
    walk_note("%s: power-on %d, interlock %d", relays[relay].topic, config->power_on,
              config->group);
}

static void cut_the_machines_power(void)
{
    walk_note("the machine loses its power");
    w->power_cuts++;
    w->boots++;
    w->booted = w->time;
    for (unsigned i = 0; i < BOARDS; i++) {
        if (!w->unplugged[i]) {
            world_unplug(i);
            world_plug(i);
        }
    }
    w->time += 20 * SECOND;
    w->reason = "power-on";
}

/* What happens while there is no hub. */
static void interval(bool killed)
{
    w->plan.kind = PLAN_NONE;
    world_open();
    if (walk_chance(8)) {
        cut_the_machines_power();
    } else if (killed) {
        w->time += 1000 + random_time(SECOND / 20);
        w->reason = "crash";
    } else {
        w->time += random_time(walk_chance(70) ? SECOND / 10 : 20 * SECOND);
        w->reason = "restart";
        if (walk_chance(25)) {
            reconfigure(any_relay());
        }
        if (walk_chance(10)) {
            jump_the_wall_clock();
        }
    }
    world_close();
}

/* ---- lives ---- */

/* In a process of its own. */
static void live(uint64_t steps)
{
    const bool from_the_start = walk_chance(20);

    life_begin();
    life_run(from_the_start ? SECOND / 1000 : 5 * SECOND); /* a bus's thread begins at once */
    while (w->steps < steps && step()) {
    }
    if (w->steps >= steps) {
        be_calm();
    }
    life_end(w->steps < steps && walk_chance(60));
    _exit(0);
}

static void one_life(uint64_t steps)
{
    const pid_t child = fork();
    int status;

    if (child == 0) {
        live(steps);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("the hub's process");
        exit(2);
    }
    w->lives++;
    if (w->finding[0]) {
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        interval(false);
    } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        model_hub_killed();
        interval(true);
    } else {
        snprintf(w->finding, sizeof w->finding, "the hub crashed: wait status %d", status);
    }
}

/* ---- a walk ---- */

static void make_dir(void)
{
    const bool in_memory = access("/dev/shm", W_OK) == 0;

    snprintf(w->dir, sizeof w->dir, "%s/clowntalk-walk-XXXXXX", in_memory ? "/dev/shm" : "/tmp");
    if (!mkdtemp(w->dir)) {
        perror(w->dir);
        exit(2);
    }
}

static void remove_dir(void)
{
    DIR *dir = opendir(w->dir);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir) {
        closedir(dir);
    }
    rmdir(w->dir);
}

static void begin_walk(uint64_t seed)
{
    w->random = seed;
    w->time = 1000 * SECOND;
    w->wall = 1700000000 * SECOND;
    w->reason = "power-on";
    for (unsigned i = 0; i < RELAYS; i++) {
        w->relays[i].config.power_on = (int)walk_random(3) - 1;
        w->relays[i].config.group = walk_chance(60) ? -1 : (int)walk_random(GROUPS);
    }
    make_dir();
    world_open();
    for (unsigned i = 0; i < BOARDS; i++) {
        model_power(i);
    }
    world_close();
}

/* True if nothing was found. */
static bool one_walk(uint64_t seed, uint64_t steps)
{
    const bool verbose = w->verbose;

    memset(w, 0, sizeof *w);
    w->verbose = verbose;
    begin_walk(seed);
    while (!w->finding[0] && w->steps < steps) {
        one_life(steps);
    }
    remove_dir();
    if (w->finding[0]) {
        print_notes();
        printf("# seed %llu, step %llu: %s\n", (unsigned long long)seed,
               (unsigned long long)w->steps, w->finding);
    }
    return !w->finding[0];
}

/* ---- the command line ---- */

static const char usage[] = "usage: walk [--minutes=N | --walks=N] [--steps=N] [--seed=N] [-v]\n"
                            "  walks until the time or the number is over, or something is found;\n"
                            "  each walk of --steps steps (500) with a seed of its own.\n";

typedef struct wish {
    double minutes;
    unsigned long long walks, steps, seed;
} wish;

static bool read_argument(wish *wish, const char *argument)
{
    return sscanf(argument, "--minutes=%lf", &wish->minutes) == 1 ||
           sscanf(argument, "--walks=%llu", &wish->walks) == 1 ||
           sscanf(argument, "--steps=%llu", &wish->steps) == 1 ||
           sscanf(argument, "--seed=%llu", &wish->seed) == 1;
}

int main(int argc, char **argv)
{
    wish wish = {.walks = 20, .steps = 500, .seed = 1}; /* the same for everyone */
    const time_t began = time(NULL);
    unsigned long long walked = 0, steps = 0, lives = 0, kills = 0, cuts = 0, moves = 0, checks = 0;
    bool found = false;

    setvbuf(stdout, NULL, _IOLBF, 0); /* or what a life has written is lost when it is killed */
    w = mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (w == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) {
            w->verbose = true;
        } else if (!read_argument(&wish, argv[i])) {
            fputs(usage, stderr);
            return 2;
        }
    }
    while (!found && (wish.minutes > 0 ? difftime(time(NULL), began) < wish.minutes * 60
                                       : walked < wish.walks)) {
        found = !one_walk(wish.seed + walked++, wish.steps);
        steps += w->steps, lives += w->lives, kills += w->kills, cuts += w->power_cuts;
        moves += w->moves, checks += w->checks;
    }
    printf("1..1\n%sok 1 - %llu walks: %llu steps, %llu moves of contacts, %llu checks, %llu lives "
           "of the hub, %llu kills, %llu power cuts\n",
           found ? "not " : "", walked, steps, moves, checks, lives, kills, cuts);
    return found;
}
