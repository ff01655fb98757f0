/*
 * The hub's inside, as its owner's thread sees it: nodes, devices, requests. Nothing here is
 * touched by a bus's thread; that side is worker.h, and what travels between the two is message.h.
 *
 * A request waits in its device's queue. The one in front is begun when it gets there, and answered
 * when its result comes, so that a device's answers leave in the order of its requests. What a
 * payload means is the business of the device's class (class_*.c).
 */
#ifndef HUB_INTERNAL_H
#define HUB_INTERNAL_H

#include "talk/talk.h"
#include "bus/log.h"
#include "bus/message.h"
#include "environment.h"
#include "settings.h"
#include "state.h"
#include "bus/worker.h"

#include <json-c/json.h>
#include <limits.h>

/* Requests that wait for one device; more: busy. */
#define HUB_MAX_REQUESTS 32
/* Requests wait so long for the first look at the buses, and take up so many bytes. */
#define HUB_FIRST_LOOK INT64_C(2000000)
#define HUB_MAX_HELD   4194304
#define HUB_NO_BUS     UINT_MAX

typedef struct request request;
typedef struct hub_device hub_device;
typedef struct hub_node hub_node;
typedef struct hub_class hub_class;
typedef struct hub_bus hub_bus;
typedef struct interlock interlock;
typedef struct history history;
typedef struct led led;

typedef enum request_progress {
    REQUEST_WAITING,  /* for the requests before it */
    REQUEST_RUNNING,  /* begun; its result is awaited */
    REQUEST_ANSWERED, /* `reply` holds the answer */
} request_progress;

struct request {
    request *next;
    request_progress progress;
    uint64_t asker;  /* 0: the hub itself */
    uint64_t serial; /* names it towards the buses */
    talk_form form;
    char topic[TALK_MAX_TOPIC + 1]; /* as the client wrote it, for errors */
    struct json_object *id;         /* or NULL */
    struct json_object *payload;
    message *command; /* what to send when its turn comes, or NULL */
    int64_t deadline; /* when running: after this it is answered `timeout` */
    bool waits_for_interlock;
    talk_encoding encoding; /* of a raw transfer's reply */
    talk_text reply;
};

/* What a device's class does: const tables in class_*.c. */
struct hub_class {
    bool sensor;
    /* The forms of request that it takes beside `get` and `config`, as 1u << talk_form. */
    unsigned forms;
    /* Reads the payload of a `set`, `pulse/set` ... when it comes: TALK_OK, or an error and why. */
    talk_error (*read)(hub_device *device, request *request, char *why, size_t why_size);
    /* Begins a request whose turn has come: answers it at once, or sends its command. */
    void (*begin)(hub_device *device, request *request);
    /* A result. `request` is NULL when it is not awaited any more. */
    void (*result)(hub_device *device, request *request, const message *result);
    /* SAMPLE, STATE, FAILED, RECOVERED; NULL: none of them comes. */
    void (*event)(hub_device *device, const message *event);
    /* It has appeared (again): publishes what is known, and completes the answer to its bus. */
    void (*found)(hub_device *device, const message *found, message *adopt);
    /* It has left. */
    void (*lost)(hub_device *device);
};

/* What is configured about one device by ClownTalkDevice. */
typedef enum power_on { POWER_ON_KEEP, POWER_ON_ON, POWER_ON_OFF } power_on;

typedef struct pin {
    char type[TALK_MAX_TOPIC + 1];
    talk_address address;
    const device_driver *driver; /* NULL: the address is left alone */
    power_on power_on;
    char interlock[33];   /* group, or "" */
    double dead_time;     /* seconds */
    const char **options; /* the driver's own, NULL-terminated; or NULL */
} pin;

typedef enum relay_state { RELAY_UNKNOWN, RELAY_OFF, RELAY_ON } relay_state;

struct hub_device {
    hub_node *node;
    unsigned bus;  /* index in hub->buses, or HUB_NO_BUS */
    uint32_t unit; /* its number on the bus while it is there, or 0 */
    char topic[TALK_MAX_TOPIC + 1];
    char type[TALK_MAX_TOPIC + 1];
    const hub_class *class;
    const device_driver *driver; /* NULL: not on a bus, or not seen yet */
    const pin *pin;              /* NULL: not configured */
    bool listed;
    bool was_lost;
    struct json_object *last; /* payload of the last publication, or NULL */

    request *requests;
    request **requests_end;
    unsigned n_requests;
    bool pumping;

    settings settings;
    int64_t republish_at; /* actuators that publish periodically, HUB_NEVER */

    struct {
        bool published;                       /* `values` hold something */
        bool failed;                          /* null was published */
        double values[DEVICE_MAX_QUANTITIES]; /* as published last */
        int64_t published_at;
        history *history[DEVICE_MAX_QUANTITIES]; /* NULL until the first value */
    } sensor;
    struct {
        relay_state state; /* the last commanded one */
        bool failed;       /* null was published, whatever `state` remembers */
        int64_t off_at;    /* when it was last switched off */
        interlock *interlock;
        uint64_t off_serial; /* of an interlock's own command that is under way, or 0 */
        unsigned moving;     /* commands that are under way, as the memory of states counts them */
    } relay;
    struct {
        struct json_object *shown;   /* as it is published */
        struct json_object *drawing; /* what will be shown when `drawing_serial` is done, or NULL */
        uint64_t drawing_serial;
    } display;
    led *led;
};

struct hub_bus {
    hub *hub;
    hub_node *node;
    unsigned index;
    int label;
    char *device;
    worker *worker;
    bool opened; /* it was tried */
    bool looked; /* the first look is finished */
    worker_pin *pins;
    size_t n_pins;
    hub_device *raw; /* the queue of i2c/... requests; not in any list */
};

typedef struct held {
    struct held *next;
    unsigned rights;
    uint64_t asker;
    char device[TALK_MAX_TOPIC + 1]; /* whose appearance is enough for it, or "" */
    size_t length;
    char line[];
} held;

struct hub_node {
    hub *hub;
    char *name;
    int64_t rescan;
    bool ready; /* the buses were looked through, or long enough waited for */
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
    interlock *interlocks;
    state_store *states;
    double air_pressure; /* as the buses were told */
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
    bool powered_on; /* this start is the machine's, not a restart */
    bool stopping;
    int epoll;
    int timer;
    int64_t timer_at;
    queue inbox;
    int64_t started;
    state_writer *writer;
    hub_node *nodes;
    size_t n_nodes;
    hub_bus *buses;
    size_t n_buses;
    uint64_t last_serial;
    talk_text text; /* what is being written */
};

int64_t hub_now(const hub *hub);
int64_t hub_wall(const hub *hub);
void hub_log(hub *hub, hub_level level, log_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Sets the owner's timer to whatever is due next. */
void hub_rearm(hub *hub);
char *hub_copy(const char *text); /* strdup that does not fail */

/* ---- setup.c: from the configuration to nodes and buses ---- */

void setup_nodes(hub *hub, const hub_config *config);
void setup_free_node(hub_node *node);

/* ---- check.c: reading directives ---- */

/* NULL, or what is wrong. pin_clear() in any case. */
const char *pin_read(pin *pin, const hub_device_config *config, char *why, size_t why_size);
void pin_clear(pin *pin);

/* ---- devices.c: a node's devices and its list ---- */

hub_device *device_find(hub_node *node, const char *topic);
hub_device *device_create(hub_node *node, const char *topic, const hub_class *class,
                          const device_driver *driver);
const hub_class *class_of_driver(const device_driver *driver);
hub_device *device_of_unit(hub *hub, unsigned bus, uint32_t unit);
void device_free(hub_device *device);
void device_appeared(hub *hub, const message *found);
void device_left(hub_device *device);
/* The payload of -/-/config/ok. */
struct json_object *device_list(const hub_node *node);
/* Publishes the list if it has changed. */
void device_list_publish(hub_node *node);
/*
 * Publishes, and remembers for openings. Takes over `payload`. `except`: the request whose sender
 * gets it as a reply, or 0.
 */
void device_publish(hub_device *device, struct json_object *payload, uint64_t except);
/* Sends a message to the device's bus. */
void device_send(hub_device *device, message *message);
/* Does what is due by the owner's clock; when it is next due. */
void device_tick(hub_device *device);
int64_t device_due(const hub_device *device);

/* ---- request.c: requests, in and out ---- */

/*
 * Begins the request in front and sends the answers that are ready: to be called after whatever may
 * have answered a request.
 */
void device_pump(hub_device *device);
/* Puts a request of the hub's own into the queue (a relay's power-on state). */
void request_own(hub_device *device, talk_form form, message *command);
/* Sends the request's command to its device, to be finished in so many microseconds. */
void request_send(hub_device *device, request *request, int64_t within);
/* Answers: with a payload (taken over) on a topic ... */
void request_answer(request *request, const char *topic, struct json_object *payload);
/* ... or with an error. */
void request_refuse(request *request, talk_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void request_refuse_errno(request *request, const hub_device *device, int error);
/* A result came from a bus. */
void request_result(hub *hub, const message *result);
/* Everything that waits is answered with this error. */
void requests_refuse(hub_device *device, talk_error error, const char *sentence);
void request_free(request *request);
/*
 * Takes the requests that waited: all of them once the first look is finished, and before it those
 * in front that are for a device which is there already.
 */
void requests_release(hub_node *node);

/* ---- what the classes have in common ---- */

extern const hub_class class_sensor, class_relay, class_display, class_led, class_raw;

/* config.c: config/get and config/set of any device */
void config_begin(hub_device *device, request *request);
/* Reads what is remembered about a device. */
void config_remember(hub_device *device);

/* class_relay.c, for interlock.c and devices.c */
relay_state relay_remembered_state(const hub_device *device);
void relay_send(hub_device *device, request *request);
/* Switches a relay off without anybody's request; `relay.off_serial` names the command. */
void relay_send_off(hub_device *device);

/* interlock.c: relays of which one at most may be on */
void interlock_join(hub_device *device, const char *group, double dead_time);
void interlock_begin(hub_device *device, request *request);
/* A relay's command is over. */
void interlock_moved(hub_device *device, const message *result);
/* A relay has left. */
void interlock_left(hub_device *device);
/* The request that is being served is over. */
void interlock_release(hub_device *device, request *request);
void interlock_tick(hub_node *node);
int64_t interlock_due(const hub_node *node);
void interlocks_free(hub_node *node);

/* class_led.c */
void led_create(hub_node *node, const char *path);
void led_free(led *led);
void led_tick(hub_device *device);
int64_t led_due(const hub_device *device);

/* history.c */
void history_add(hub_device *device, const double *values);
void history_begin(hub_device *device, request *request);
void history_free(history *history);

#endif
