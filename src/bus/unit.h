/*
 * A device that is there: its requests, its failure and its return. What it does in between is
 * unit_run.h. Bus's thread only.
 */
#ifndef BUS_UNIT_H
#define BUS_UNIT_H

#include "worker_internal.h"

/* A device that is there. */
typedef enum unit_phase {
    UNIT_IDENTIFY, /* it failed and is identified again */
    UNIT_START,    /* being configured */
    UNIT_CLEAR,    /* a display is being switched on */
    UNIT_IDLE,     /* waits for its time or for a request */
    UNIT_MEASURE,  /* a conversion is under way */
    UNIT_DRAW,     /* a display's pages are being written */
} unit_phase;

struct unit {
    unit *next;
    uint32_t id;
    site *site;
    device device;
    char name[64]; /* its topic, for the log */
    unit_phase phase;
    unsigned step;
    int64_t due;     /* when the next step is, outside UNIT_IDLE */
    bool begun;      /* it works on its chip, or has tried to */
    bool announced;  /* the owner knows it */
    int64_t checked; /* when it last answered */
    /* failures in a row */
    unsigned failures;
    int64_t failed_since;
    bool given_up;    /* the owner was told */
    power_sign power; /* what the owner is still to be told about it, once it is configured */
    /* sensors */
    int64_t interval;                     /* microseconds, 0: none */
    double values[DEVICE_MAX_QUANTITIES]; /* of the measurement under way */
    int64_t slot;                         /* when the next periodic measurement is due, HUB_NEVER */
    /* relays */
    int64_t clicked;   /* when the last click began */
    int64_t pulse_end; /* when it switches off by itself, HUB_NEVER */
    bool state_known;
    bool state;
    /* displays: what the chip shows, and which pages of it are certain */
    uint8_t *shown;
    uint64_t certain;
    /* requests, in order */
    message *requests;
    message **requests_end;
};

/* Adds a device to its bus and takes up its options; it is to be configured next. */
unit *unit_create(worker *worker, site *site, const device_driver *driver, int channel,
                  const char *const *options);
void unit_free(worker *worker, unit *unit);
unit *unit_by_id(worker *worker, uint32_t id);
/* The device that owns an address, as its own or as a companion of its chip; or NULL. */
unit *unit_by_address(worker *worker, uint8_t address);
void unit_enter(worker *worker, unit *unit, unit_phase phase);
/* Bytes of a display's whole content, or 0. */
size_t unit_frame_size(const unit *unit);

/*
 * Whether its chip still answers: 0, or a negative errno; -ENODEV with a sentence in `why`: it is a
 * different one. To be followed by worker_outcome().
 */
int unit_present(unit *unit, char *why, size_t why_size);
/*
 * Its chip has lost its power (DEVICE_LOST_POWER). All devices of the chip are configured again,
 * relays after the owner has noted it, and the owner is told about each; the caller sees to this
 * one, by unit_enter(): it may be configured when it is run again, and not before.
 */
void unit_lost_power(worker *worker, unit *unit);

/* Sends the owner a message of this type that carries nothing else. */
void unit_tell(worker *worker, unit *unit, message_type type);
/* Answers a request with an error that shows that nothing was attempted. Takes it over. */
void unit_refuse(worker *worker, message *request, int error);
/* Answers the request in front: 0, or a negative errno. */
void unit_answer(worker *worker, unit *unit, int error);
/* Answers all its requests with -ECANCELED. */
void unit_cancel(worker *worker, unit *unit);

/* It was identified, but could not be configured. Frees it; its address is looked at again. */
void unit_not_started(worker *worker, unit *unit, int error);
/*
 * An operation has failed, and so have the requests: identified again soon, null at the third time,
 * gone after seconds. May free the unit.
 */
void unit_fail(worker *worker, unit *unit, int error);
/* It has answered: whatever was before is forgotten. */
void unit_succeeded(worker *worker, unit *unit);
/* It is gone for certain. Frees the unit. */
void unit_lose(worker *worker, unit *unit, int error);
/* The bus itself is gone, and every device with it. */
void units_lose(worker *worker);

#endif
