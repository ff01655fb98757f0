/*
 * The hub's structures: the hub itself, its nodes, and its buses as the owner knows them. Only
 * data; all of it belongs to the owner's thread. A bus's thread has its own side in src/bus, and
 * what travels between the two is a message (bus/message.h).
 */
#ifndef HUB_NODE_H
#define HUB_NODE_H

#include "bus/message.h"
#include "bus/worker.h"
#include "environment.h"
#include "hub.h"
#include "pin.h"
#include "state.h"
#include "talk/talk.h"

typedef struct hub_device hub_device; /* devices.h */
typedef struct hub_node hub_node;
typedef struct hub_bus hub_bus;
typedef struct held held;                   /* intake.c */
typedef struct noted_command noted_command; /* relay.c */

/* How long requests wait for the first look at the buses, and for their device to be found. */
#define HUB_FIRST_LOOK INT64_C(2000000)

struct hub_bus {
    hub *hub;
    hub_node *node;
    unsigned index; /* in hub->buses */
    int label;      /* the 0 in i2c0-48 */
    char *device;   /* as in hub_bus_config */
    worker *worker;
    bool opened; /* it was tried */
    bool looked; /* the first look is finished */
    worker_pin *pins;
    size_t n_pins;
    hub_device *raw; /* the queue of i2c/... requests; not in any list */
};

struct hub_node {
    hub *hub;
    char *name;
    int64_t rescan; /* microseconds between looks at absent addresses, 0: never */
    bool ready;     /* the first look is finished, or HUB_FIRST_LOOK has passed */
    bool list_changed;
    hub_device **devices; /* by topic, in the order of the list */
    size_t n_devices;
    pin *pins;
    size_t n_pins;
    struct {
        char *type;
        double seconds;
    } *intervals;
    size_t n_intervals;
    char *led; /* as in hub_node_config, or NULL */
    state_store *states;
    bool remembers;      /* as last published in the list */
    double air_pressure; /* kPa, as last sent to the buses; NAN: unknown */
    /* Requests that wait for the first look, in order. */
    held *held;
    held **held_end;
    size_t bytes_held;
};

struct hub {
    hub_environment environment;
    hub_output output;
    char *release;
    char *datetime;
    char *reason;
    bool stopping;
    bool leaves_pulses; /* they go on when it ends */
    int epoll;
    int timer;
    int64_t timer_at; /* what the timer is set to, HUB_NEVER */
    queue inbox;      /* from the buses and from the writer of states */
    int64_t started;  /* when the first look could begin */
    state_writer *writer;
    noted_command *noted_commands; /* that wait for the disk, in order */
    hub_node *nodes;
    size_t n_nodes;
    hub_bus *buses;
    size_t n_buses;
    uint64_t last_serial;  /* of a request */
    size_t bytes_of_reads; /* of requests that wait for devices and only read */
    talk_text text;        /* what is being written */
};

#endif
