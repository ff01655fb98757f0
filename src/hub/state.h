/*
 * What is remembered across restarts: the last commanded state of each relay, running pulses, and
 * settings. One JSON file per node, always replaced as a whole (a new file, fsync, rename, fsync of
 * the directory), so that a power cut leaves the old one or the new one. It names the start of the
 * machine in which it was written: times in it are the machine's own, and void after another start.
 *
 * The owner's thread changes what is remembered; a thread of its own writes, so that a slow disk
 * delays nothing but the first move of a relay whose chip cannot tell how its contact stands: that
 * is noted on disk before (moves.h), until its new state is recorded.
 *
 * The directory is the one that the path names. If it is removed, moved away or replaced, which is
 * noticed before anything is written and otherwise within two seconds, all that is known is written
 * to the new one, as soon as there is one that may be used: it is no link, belongs to the right
 * user, and no other process has locked it. What was in it before is forgotten.
 *
 * What could not be remembered must be known as unknown afterwards. Where the states cannot be
 * written, the notes stay. Where a note cannot be written, they are made to say nothing about any
 * relay. And a hub that cannot write to the directory believes no state in it.
 */
#ifndef HUB_STATE_H
#define HUB_STATE_H

#include "hub.h"
#include "bus/log.h"
#include "bus/message.h"

#include <json-c/json.h>

typedef struct state_store state_store;
typedef struct state_writer state_writer;

typedef struct state_config {
    const char *dir;     /* NULL: nothing is remembered */
    uid_t user;          /* to whom it must belong; 0: as hub_config's state_user */
    const char *boot_id; /* "": not known; it outlives the writer */
    bool first_start;    /* where nothing is remembered yet, the machine may have been started */
    queue *outbox;       /* gets the writer's log lines */
    bool threaded;       /* false: it writes at once, in the caller's thread */
} state_config;

/* NULL only where memory or threads fail. */
state_writer *state_writer_create(const state_config *config);
/* Writes what is left, also what could not be before, and ends. The stores are freed with it. */
void state_writer_destroy(state_writer *writer);
/* As if the process was killed: what was not written is lost. Only without its thread. */
void state_writer_die(state_writer *writer);

/* The member of a relay that pulses: when that ends, in seconds since the machine's start. */
#define STATE_PULSE_END "pulse-end"
/* The member of a relay that has not been put into its power-on state yet. */
#define STATE_POWER_ON "power-on"

/* Reads a node's file. Damaged or unreadable: a log line, and nothing is known. Never NULL. */
state_store *state_open(state_writer *writer, const char *node);
/*
 * Whether the machine was started since the file was written last. Where that cannot be said, it
 * was not: a process that starts moves nothing.
 */
bool state_is_new_boot(const state_store *store);
/*
 * Whether the file claimed states that are not known any longer when it was read. To be saved soon:
 * a later hub might find it as it is, and nothing that speaks against it.
 */
bool state_is_outdated(const state_store *store);
/* What is known about a device: an object that belongs to the store, or NULL. */
struct json_object *state_device(state_store *store, const char *topic);
/* Whether any device has this member. */
bool state_any(const state_store *store, const char *member);
/*
 * Changes a member (`value` is taken over; NULL removes it). Nothing is written before
 * state_save().
 */
void state_set(state_store *store, const char *topic, const char *member,
               struct json_object *value);
/*
 * A relay is about to move; `pulse`: and has to be switched off again. `durable`: its chip cannot
 * tell how the contact stands, so the note must be on disk first. 0: it may move now. Else a
 * ticket: it may when MESSAGE_MEMORY has come with a serial of at least that.
 */
uint64_t state_moving(state_store *store, const char *topic, bool pulse, bool durable);
/* The move is over; state_save() is to follow. */
void state_moved(state_store *store, const char *topic);
/* Whether a relay pulses, which it is noted with until that is recorded. */
void state_pulses(state_store *store, const char *topic, bool pulse);
/*
 * Whether what is said here is remembered. False without a directory, and while it cannot be read,
 * written or locked, or is not there; MESSAGE_MEMORY comes when it changes.
 */
bool state_is_remembered(state_store *store);
/* Hands what is remembered to the writer. */
void state_save(state_store *store);
/*
 * For what may be lost with a hub that is killed, and what changes often: state_save() is to follow
 * by this time of the owner's clock, in microseconds. The earliest of several holds.
 */
void state_save_by(state_store *store, int64_t time);
/* When it is to follow; HUB_NEVER: everything was handed over. */
int64_t state_save_due(const state_store *store);
/* Writes it before it returns. False, after a log line, where that is not possible. */
bool state_save_now(state_store *store);

#endif
