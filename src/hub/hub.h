/*
 * The hub: the one owner of the hardware. It takes Clown.Talk requests as lines, drives the devices
 * of every node, and hands back replies and publications as lines.
 *
 * It uses neither httpd nor sockets nor pipes. Two programs embed it: the process that the module
 * starts (src/link/process.c) and clowntalk-bridge (src/bridge/bridge.c). All functions are called
 * from one thread, the owner's; inside, each bus has a thread of its own (src/bus), whose messages
 * make hub_fd() readable.
 *
 * The files of this folder build on each other in one direction. Each uses only files further down:
 *
 *     hub                                    life, dispatching, the end
 *     setup          intake                  the configuration; requests as they come
 *     classes                                which class drives a driver's devices
 *     class_relay    class_led
 *     interlock      class_sensor  class_display  class_raw
 *     relay          presence                commands and memory; a device comes and goes
 *     request_queue                          a device's requests, one after the other
 *     config         history
 *     devices        request         check   one device; one request; directives
 *     ground         state           font    clocks, log, memory; what is kept on disk
 *                    moves                   which relays may have moved
 *                    state_dir               the directory for that
 *
 * Below `classes` no file names a class: it works through the class's table (class.h). The
 * structures themselves, and the headers that hold only data, are node.h, class.h, pin.h and
 * settings.h.
 */
#ifndef HUB_H
#define HUB_H

#include "bus/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a request's sender may do, decided at its handshake. */
#define HUB_MAY_CONTROL 1u /* `set`, `pulse/set`, `config/set` */
#define HUB_MAY_RAW_I2C 2u /* i2c/... */

#define HUB_MAX_LINE 65536 /* bytes of a request line, without its '\n' */

/* ---- configuration: plain data, owned by the caller, read during hub_create() only ---- */

/* Whose modules a bus carries. It decides which addresses are asked (bus/port.h). */
typedef enum hub_modules {
    HUB_MODULES_USUAL, /* BigClown's on a simulated bus, none on any other */
    HUB_MODULES_NONE,
    HUB_MODULES_BIGCLOWN,
} hub_modules;

typedef struct hub_bus_config {
    int label;          /* 0 to 99: the 0 in i2c0-48 */
    const char *device; /* "/dev/i2c-1", "sim", "sim:FILE" */
    hub_modules modules;
} hub_bus_config;

typedef struct hub_device_config { /* ClownTalkDevice TOPIC [DRIVER] [OPTION=VALUE ...] */
    const char *topic;             /* "relay/i2c0-20" */
    const char *driver; /* "pcf8574", "none" leaves the address alone, NULL: the type's usual one */
    const char *const *options; /* "pin=0" ..., NULL-terminated, or NULL */
} hub_device_config;

typedef struct hub_interval_config { /* ClownTalkPublishInterval TYPE SECONDS */
    const char *type;
    double seconds;
} hub_interval_config;

typedef struct hub_node_config {
    const char *name; /* "nodes/bridge/0" */
    const hub_bus_config *buses;
    size_t n_buses;
    const hub_device_config *devices;
    size_t n_devices;
    const hub_interval_config *intervals;
    size_t n_intervals;
    const char *led; /* "/sys/class/leds/NAME", "sim" or NULL */
    double rescan;   /* seconds between looks at absent addresses, 0: never */
} hub_node_config;

typedef struct hub_config {
    const hub_node_config *nodes;
    size_t n_nodes;
    const char *state_dir;        /* remembered states, or NULL: nothing is remembered */
    const char *release;          /* "firmware-release" */
    const char *datetime;         /* "firmware-datetime", ISO 8601 UTC */
    const char *reason_for_reset; /* "power-on", "restart", "crash" */
    /* The kinds of bus that there are (i2c/bus.h), NULL-terminated; they outlive the hub. */
    const struct i2c_bus_kind *const *bus_kinds;
    /* To whom state_dir must belong. 0: to the process's user, or to anybody if that is root. */
    uid_t state_user;
} hub_config;

/*
 * Checks one directive without any hardware, for `apachectl configtest` and the bridge's command
 * line. NULL where it is right, otherwise a sentence (in `why`) that says what is allowed.
 */
const char *hub_check_bus(const hub_bus_config *bus, const struct i2c_bus_kind *const *kinds,
                          char *why, size_t why_size);
/* Reads an option of a bus ("modules=bigclown") into its configuration. */
const char *hub_read_bus_option(hub_bus_config *bus, const char *option, char *why,
                                size_t why_size);
/* `earlier`: the devices before it in its node; two relays cannot hang on one pin. */
const char *hub_check_device(const hub_device_config *device, const hub_device_config *earlier,
                             size_t n_earlier, char *why, size_t why_size);
const char *hub_check_interval(const hub_interval_config *interval, char *why, size_t why_size);

/* ---- output ---- */

/*
 * Called on the owner's thread, from within hub_create(), hub_request(), hub_dispatch() and
 * hub_destroy().
 */
typedef struct hub_output {
    /*
     * A message (with its '\n') for the client that sent request `asker`. `last` is true for the
     * final one: every request gets exactly one final reply.
     */
    void (*reply)(void *baton, uint64_t asker, const char *line, size_t length, bool last);
    /*
     * A message for every initialized client of the node except the sender of request `except` (0:
     * no exception), which gets the same with the request's id through reply().
     */
    void (*publish)(void *baton, const char *node, uint64_t except, const char *line,
                    size_t length);
    /*
     * A line for the log, without '\n'. `code` is a stable number of the series CT1000 to CT1999.
     */
    void (*log)(void *baton, hub_level level, int code, const char *text);
    void *baton;
    /*
     * Whether answers to this asker are taken at the moment; NULL: always. Asked before a request
     * is carried out that was held until the first look had finished: it is held on where answers
     * are not taken, until a later hub_dispatch().
     */
    bool (*takes)(void *baton, uint64_t asker);
} hub_output;

typedef struct hub hub;

/*
 * Opens every bus, starts their threads and begins to look for devices. Buses that cannot be opened
 * are logged and tried again; the hub works without them. NULL only where memory or threads fail.
 */
hub *hub_create(const hub_config *config, const hub_output *output);
/* A descriptor that becomes readable when hub_dispatch() has something to do. */
int hub_fd(hub *hub);
/* Hands out what the buses have produced since the last call. Never blocks. */
void hub_dispatch(hub *hub);
/*
 * Takes one request (without '\n', at most HUB_MAX_LINE bytes). `asker` (not 0) names it in
 * reply(). An unknown node is answered with `unavailable`. Requests that come before the first look
 * at the buses is finished wait for that, at most two seconds. The opening is one of them: it is
 * answered by `clown.talk/-/config/ok` and the last known values. Whether a client is initialized
 * is for the caller to check: the hub answers every request as if it were.
 */
void hub_request(hub *hub, const char *node, unsigned rights, uint64_t asker, const char *line,
                 size_t length);
/*
 * Ends the threads and closes the buses. Relays that pulse are switched off first: no hub may
 * follow that would. Outstanding requests are answered with `unavailable`.
 */
void hub_destroy(hub *hub);
/*
 * The same for a hub whose successor starts at once: pulses that are remembered go on, and the
 * successor ends them.
 */
void hub_hand_over(hub *hub);

#endif
