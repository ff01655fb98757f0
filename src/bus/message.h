/*
 * What the owner and a bus's thread say to each other, and the queues that carry it.
 *
 * A message belongs to the thread that holds it: pushing gives it away, taking receives it,
 * message_free() ends it. These two queues are all that the threads share; everything else belongs
 * to one of them.
 */
#ifndef BUS_MESSAGE_H
#define BUS_MESSAGE_H

#include "devices/device.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "Never", as a time in microseconds. */
#define HUB_NEVER INT64_MAX

/* Whether a chip was without power since it was last configured. */
typedef enum power_sign {
    POWER_KEPT,     /* nothing shows that it was */
    POWER_DOUBTFUL, /* its registers are as power-up leaves them, but may have been left so */
    POWER_LOST,     /* its registers are as power-up leaves them, and were not left like this */
} power_sign;

typedef enum message_type {
    /* From the owner to a bus. All but the first and last four are for one device (`unit`). */
    MESSAGE_STOP,         /* the thread ends; `end_pulses`: running pulses are ended first */
    MESSAGE_ADOPT,        /* answers FOUND: the device may work now, at this interval */
    MESSAGE_INTERVAL,     /* measure at this interval from now on */
    MESSAGE_MEASURE,      /* a sensor's `get` */
    MESSAGE_SWITCH,       /* a relay's `set` or `pulse/set` */
    MESSAGE_READ_STATE,   /* a relay's `get`, where the chip can tell */
    MESSAGE_DRAW,         /* a display's whole content, in `data` */
    MESSAGE_SCAN,         /* which addresses answer */
    MESSAGE_TRANSFER,     /* raw I2C; `data` is what to write */
    MESSAGE_AIR_PRESSURE, /* for the sensors that want to know it, values[0] in kPa */
    MESSAGE_POWER_NOTED,  /* answers POWER_SEEN: the chip at `address` may be configured */

    /* From a bus to the owner. */
    MESSAGE_OPENED,    /* the bus was tried for the first time, successfully or not (`error`) */
    MESSAGE_LOOKED,    /* the first look at every address is finished */
    MESSAGE_FOUND,     /* a device has appeared and is configured */
    MESSAGE_LOST,      /* it has stayed away too long */
    MESSAGE_SAMPLE,    /* a periodic measurement, for publication */
    MESSAGE_FAILED,    /* it has stopped answering: its last values are out of date */
    MESSAGE_RECOVERED, /* it answers again (relays and displays; a sensor sends a sample) */
    MESSAGE_STATE, /* a relay has moved without a request: its pulse ended, or another moved it */
    /*
     * The relay chip at `address` has lost its power. What shows that goes with its configuration,
     * which therefore waits for the answer: a next hub would know no more of it.
     */
    MESSAGE_POWER_SEEN,
    /*
     * A relay's chip has lost its power and was configured again, outside of FOUND, which says the
     * same in `relay.power`. What a STATE before it says is true after the loss.
     */
    MESSAGE_POWER_LOST,
    MESSAGE_RESULT, /* of the request `serial` */
    MESSAGE_LOG,    /* a line for the log, in `data` */

    /* From the memory of states to the owner: notes up to `serial` are on disk (hub/state.h). */
    MESSAGE_MEMORY,
} message_type;

typedef struct message message;

struct message {
    message *next;
    message_type type;
    unsigned bus;     /* which one, among all of the hub */
    uint32_t unit;    /* which device of the bus, numbered by its thread; 0: the bus itself */
    uint64_t serial;  /* of the request, chosen by the owner */
    int64_t time;     /* microseconds: when it was taken up, which orders it among other work */
    int64_t deadline; /* microseconds: not begun after this; HUB_NEVER */
    int error;        /* of a result: 0 or a negative errno */
    union {
        int64_t interval; /* microseconds, 0: none */
        struct {
            int64_t interval; /* microseconds, 0: none */
            int64_t pulse; /* microseconds until a running pulse ends, HUB_NEVER: there is none */
        } adopt;
        struct {
            bool moves; /* a SWITCH, or the result of one */
            bool on;
            bool known;       /* FOUND: the chip could tell `on` */
            power_sign power; /* FOUND */
            bool attempted;   /* RESULT: something was written, so the contact may have moved */
            int64_t pulse;    /* microseconds that `on` lasts, 0: it stays */
        } relay;
        double values[DEVICE_MAX_QUANTITIES];
        struct {
            uint8_t address; /* 7-bit */
            size_t write_length;
            size_t read_length;
        } transfer;
        struct {
            int level; /* hub_level */
            int code;
        } log;
        bool end_pulses;
        bool again;      /* a DRAW that has failed once */
        uint8_t address; /* 7-bit, of a POWER_... about a chip */
    };
    /* FOUND: what it is. */
    const device_driver *driver;
    size_t length; /* of data */
    uint8_t data[];
};

/* A message with `length` bytes of data, zeroed. Never NULL: without memory the process ends. */
message *message_new(message_type type, size_t length);
void message_free(message *message);

typedef struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t cond; /* on CLOCK_MONOTONIC */
    message *head;
    message *tail;
    size_t length;
    int fd; /* an eventfd that is readable while something is in the queue, or -1 */
} queue;

bool queue_init(queue *queue, bool with_fd);
void queue_destroy(queue *queue); /* and what is left in it */
void queue_push(queue *queue, message *message);
/* The oldest message, or NULL. */
message *queue_take(queue *queue);
size_t queue_length(queue *queue);
/* Waits until something is in the queue, at most `microseconds` (HUB_NEVER: without end). */
void queue_wait(queue *queue, int64_t microseconds);

#endif
