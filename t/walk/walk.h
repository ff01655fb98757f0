/*
 * A random walk over a simulated house with every kind of relay. The hub runs on a clock that the
 * walk moves, in a process of its own that may be killed at any transfer; chips, clocks and what is
 * expected of the contacts live in memory that outlives it. After each step: no contact has moved
 * that nothing explains, and what is published is true or null.
 *
 * The same seed walks the same way. Files, each using only those further down:
 *
 *   walk.c      the steps, the lives of the hub, the command line
 *   hub_life.c  one life: the hub, requests to it, and what it says
 *   model.c     what may move, what is expected, and findings
 *   world.c     chips, the bus that is watched, faults in its transfers
 */
#ifndef T_WALK_H
#define T_WALK_H

#include "hub/environment.h"
#include "i2c/bus.h"
#include "sim/sim.h"

#include <stdbool.h>
#include <stdint.h>

#define SECOND   INT64_C(1000000) /* of the walk's clock, in microseconds */
#define RELAYS   10
#define BOARDS   5
#define GROUPS   2
#define REQUESTS 64 /* that can be unanswered at once */
#define NOTES    400

/* ---- the house: constant ---- */

typedef struct board {
    const char *chip; /* of the simulation */
    uint8_t address;
    bool bistable; /* its contact stays where it is without power */
} board;

typedef struct house_relay {
    const char *topic;
    const char *driver;
    unsigned board;
    unsigned pin; /* of a plain board */
    bool active_low;
} house_relay;

extern const board boards[BOARDS];
extern const house_relay relays[RELAYS];

/* ---- what outlives a hub ---- */

/* What a relay is configured to do; changes when the hub is started again. */
typedef struct relay_config {
    int power_on; /* -1: keep, 0: off, 1: on */
    int group;    /* of an interlock, or -1 */
} relay_config;

enum { MAY_GO_OFF = 1, MAY_GO_ON = 2, MAY_DO_ANY = 3 };

typedef struct relay_model {
    relay_config config;
    int contact;         /* as last seen: 0, 1, -1: never moved */
    unsigned may;        /* moves that something explains, until the next calm */
    int published;       /* 0, 1, -1: null, -2: nothing yet */
    int expected;        /* at the next calm: 0, 1, or -1: anything that is published truly */
    int64_t pulse_from;  /* when a running pulse may end at the earliest; 0: there is none */
    int64_t pulse_until; /* and by when the contact must be off again */
    int64_t off_at;      /* when the contact last went off by a command */
    uint64_t on_move;    /* which of all moves it was when it last went on */
    bool lost_power;     /* since the last calm, or the last request to it */
} relay_model;

typedef enum plan_kind {
    PLAN_NONE,
    PLAN_REFUSE,      /* a transfer is not carried out and fails */
    PLAN_LOSE_REPLY,  /* it is carried out and fails all the same */
    PLAN_GARBLE,      /* bits that are read are flipped */
    PLAN_KILL_BEFORE, /* the hub is killed before a transfer */
    PLAN_KILL_AFTER,  /* and right after it */
    PLAN_UNPLUG,      /* the board loses its power at this transfer */
} plan_kind;

/* What is to happen to one of the next transfers. */
typedef struct plan {
    plan_kind kind;
    uint8_t address; /* of the transfers that count; 0: all */
    unsigned skip, count;
    uint8_t flip; /* the bits */
    int error;
} plan;

typedef struct request_model {
    uint64_t asker; /* 0: this place is free */
    int relay;
    int target; /* 0, 1; -1: it moves nothing */
    int64_t pulse;
    int64_t asked_at;
    uint64_t moves; /* how many there were before */
    bool alone;     /* no other request for the relay was under way */
} request_model;

typedef struct walk {
    _Atomic int64_t time; /* microseconds, monotonic, through all lives */
    int64_t wall;         /* what the wall clock is ahead of it */
    int64_t booted;       /* when the machine was started last */
    unsigned boots;       /* and how often */
    uint64_t random;
    uint64_t asked;
    relay_model relays[RELAYS];
    bool unplugged[BOARDS];
    bool disturbed[BOARDS];   /* since the last calm: lost power, or faults in transfers */
    bool group_upset[GROUPS]; /* may have two relays on until the next calm: power came, or so */
    request_model requests[REQUESTS];
    plan plan;
    bool has_hub;
    int64_t began;      /* when it was started */
    const char *reason; /* of the next life's start */
    uint64_t steps, lives, kills, power_cuts, moves, checks;
    bool verbose;
    char finding[512]; /* empty: none */
    char notes[NOTES][120];
    uint64_t n_notes;
    char dir[64]; /* the hub's memory of states, and the chips' */
} walk;

/* Shared by all processes of a walk. */
extern walk *w;

/* ---- walk.c ---- */

uint32_t walk_random(uint32_t below);
bool walk_chance(unsigned percent);
/* What has just happened: for the reader of a finding. */
void walk_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- world.c ---- */

/* The bus with its chips, as they were left; opened anew in each life. */
void world_open(void);
void world_close(void);
/* The bus for the hub, which closes it. */
i2c_bus *world_bus(void);
/* 0, 1, -1: never moved. Without power a plain relay is off. */
int world_contact(unsigned relay);
/* Takes a board's power away, and brings it back. */
void world_unplug(unsigned board);
void world_plug(unsigned board);
/* What no board may ever do: a coil on for too long, a short circuit, a pin that is not ours. */
void world_check(void);

/* ---- model.c ---- */

/* Something is wrong: writes it down and ends this process. */
void model_finding(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Looks at all contacts: each that has moved must be explained. After every transfer. */
void model_look(void);
/* A board has lost or got its power: contacts move without anyone's command. */
void model_power(unsigned board);
/* The hub ends in order, or is killed, or starts. */
void model_hub_stops(bool successor);
void model_hub_stopped(bool successor);
void model_hub_killed(void);
void model_hub_starts(void);
/* A relay's configuration was changed. */
void model_reconfigured(unsigned relay);
/* A request is on its way; its last answer has come (`state` -1: null, -2: it was refused). */
void model_asked(uint64_t asker, unsigned relay, int target, int64_t pulse);
void model_answered(uint64_t asker, int state, const char *text);
/* A state was published: 0, 1, or -1 for null. */
void model_published(unsigned relay, int state);
/* A transfer with a board has failed, or was garbled. */
void model_disturbed(uint8_t address);
/* Nothing has been wrong for long enough: all that is promised must be true. */
void model_calm(void);

/* ---- hub_life.c ---- */

void life_begin(void);
/* Lets this time pass, with all that is due in it. */
void life_run(int64_t microseconds);
/* Asks for a relay's state (target -1), for a set, or for a pulse. */
void life_ask(unsigned relay, int target, int64_t pulse, unsigned rights);
/* `successor`: the next hub starts at once, as after a graceful. */
void life_end(bool successor);

#endif
