/*
 * A relay as the owner knows it: what was commanded, what is remembered of it on disk, and the
 * commands that move it. For class_relay.c and interlock.c. Owner's thread.
 */
#ifndef HUB_RELAY_H
#define HUB_RELAY_H

#include "request.h"

/* How long a command may wait for the bus, the gap between two clicks included; microseconds. */
#define RELAY_WITHIN INT64_C(5000000)

/* The longest pulse, in seconds. */
#define RELAY_MAX_PULSE 86400.0

typedef struct interlock interlock;
typedef struct hub_node hub_node;

typedef enum relay_state { RELAY_UNKNOWN, RELAY_OFF, RELAY_ON } relay_state;

/* A relay's hub_device.state. */
typedef struct relay {
    relay_state state;    /* the last commanded one */
    bool failed;          /* null was published, whatever `state` remembers */
    int64_t off_at;       /* when it was last switched off */
    unsigned moving;      /* commands that are under way, as the memory of states counts them */
    interlock *interlock; /* or NULL */
    /* Which command has switched it on: a later one has a higher number. 0: it is not on by one. */
    int64_t command;
    int64_t power_on_at;    /* when to try once more what power-on owes, or HUB_NEVER */
    int64_t power_on_pause; /* before that: longer with each failure */
    uint64_t off_serial;    /* of an interlock's own command that is under way, or 0 */
} relay;

/* ---- memory ---- */

/* Notes a state, and when a running pulse ends (0: there is none). state_save() is to follow. */
void relay_remember_state(hub_device *device, relay_state state);
void relay_remember_pulse(hub_device *device, int64_t pulse);
relay_state relay_remembered_state(const hub_device *device);
/* Microseconds until a remembered pulse ends, 0: it is over. HUB_NEVER: there is none. */
int64_t relay_remembered_pulse(const hub_device *device);
/*
 * Power has come on, and since then the relay was not yet put into its power-on state. This is
 * remembered, so that each time counts once, however often the hub starts. False: it was known.
 */
bool relay_expect_power_on(hub_node *node, const char *topic);
bool relay_power_on_is_due(const hub_device *device);
/* It was switched, or its power-on state is not to be applied. state_save() is to follow. */
void relay_forget_power_on(hub_node *node, const char *topic);

/* ---- commands ---- */

/* `pulse`: microseconds that `on` lasts, 0: it stays. */
message *relay_switch_command(bool on, int64_t pulse);
/* Sends the command of a request. */
void relay_send(hub_device *device, request *request);
/* Switches a relay off without a request; `off_serial` names the command. */
void relay_send_off(hub_device *device);
/* Sends the commands whose notes are on disk up to this ticket (state.h). */
void relay_release_noted(hub *hub, uint64_t ticket);
/* At the end: the next command that was not sent, as its own result; or NULL. */
message *relay_cancel_noted(hub *hub);
/* A command is over. What it did is to be remembered after this, and saved. */
void relay_end_move(hub_device *device);

#endif
