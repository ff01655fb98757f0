#include "state.h"

#include "moves.h"
#include "state_dir.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATE_VERSION 1

/*
 * A change is written after this delay: the publication goes out before the disk is busy, and what
 * several relays do at once is written once. Nothing is lost by it: the file of moves names a
 * moving relay.
 */
#define GATHER_NS 2000000
/* Seconds until what could not be written is tried again, and the directory is looked at. */
#define RETRY_AFTER 2
/*
 * How long a relay's note rests on disk, in microseconds: who switches again within this time need
 * not wait for the disk, and for as long a power cut leaves the relay's state unknown.
 */
#define NOTE_RESTS INT64_C(2000000)
/* How long the owner before may take to end, as for a bus; microseconds. */
#define LOCK_PATIENCE INT64_C(3000000)

struct state_store {
    state_store *next;
    state_writer *writer;
    char *file;       /* "nodes_bridge_0.json" */
    char *moves_file; /* "nodes_bridge_0.moving" */
    struct json_object *devices;
    int64_t save_by; /* when what was changed is to be handed over, HUB_NEVER: nothing was */
    bool new_boot;
    bool same_boot; /* the machine was not started since the file was written */
    bool outdated;  /* relays have moved that it says nothing of */

    /* Shared with the writer's thread, under its mutex. */
    moves *moves;
    uint64_t ticket; /* of the newest note that waits for the disk */
    char *text;      /* what the file is to say, as handed over last */
    bool pending;    /* it is to be written */
    bool failed;     /* it could not be, until it is tried again */
    bool unreadable; /* there is a file, which cannot be read: it is left alone */
    bool lost;       /* a move was not noted: what is on disk must not be believed */
    int last_error;  /* of writing, so that it is logged once */
};

struct state_writer {
    /* A descriptor, whose number stays the same, or -1: nothing is remembered. */
    int dir;
    char *path;
    uid_t user; /* to whom it must belong, 0: to anybody */
    char *boot_id;
    bool first_start;
    queue *outbox;
    bool threaded;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool stopping;
    state_store *stores;
    uint64_t last_ticket;
    uint64_t noted; /* tickets up to this one are on disk */
    int away;       /* why there is no directory at the path that may be used: an errno, or 0 */
};

static void say(state_writer *writer, hub_level level, log_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(state_writer *writer, hub_level level, log_code code, const char *format, ...)
{
    char text[512];
    va_list arguments;
    message *line;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    line = message_new(MESSAGE_LOG, strlen(text));
    line->log.level = level;
    line->log.code = code;
    memcpy(line->data, text, strlen(text));
    queue_push(writer->outbox, line);
}

/* Tells the owner that notes are on disk, or that what is remembered has changed. */
static void tell(state_writer *writer)
{
    message *told = message_new(MESSAGE_MEMORY, 0);

    told->serial = writer->noted;
    queue_push(writer->outbox, told);
}

static char *own(const char *text)
{
    char *copy = strdup(text);
    if (!copy) {
        base_out_of_memory();
    }
    return copy;
}

/* ---- failure; all of it under the mutex ---- */

static bool is_writable(const state_store *store)
{
    return store->writer->dir >= 0 && !store->unreadable;
}

static bool is_remembered(const state_store *store)
{
    return store->writer->dir >= 0 && !store->writer->away && !store->unreadable && !store->lost &&
           !store->last_error;
}

static void set_error(state_store *store, int error)
{
    state_writer *writer = store->writer;
    bool before = is_remembered(store);

    if (error && error != store->last_error) {
        say(writer, HUB_ERROR, CT_STATE_NOT_WRITTEN,
            "%s/%s: relay states and settings cannot be remembered: %s", writer->path, store->file,
            strerrordesc_np(error));
    }
    if (!error && store->last_error) {
        say(writer, HUB_INFO, CT_STATE_WRITTEN, "%s/%s: states are remembered again", writer->path,
            store->file);
    }
    store->last_error = error;
    if (before != is_remembered(store)) {
        tell(writer);
    }
}

/*
 * A relay moves without a note. What the directory claims about it is to say nothing: its notes,
 * or else the states themselves. Where not even that can be done, as on a read-only file system,
 * the next hub cannot write there either, and does not believe what it cannot write.
 */
static void lose(state_store *store, int error)
{
    const state_writer *writer = store->writer;
    int fd;

    set_error(store, error);
    store->lost = true;
    if (moves_distrust(store->moves) == 0 || unlinkat(writer->dir, store->file, 0) == 0) {
        return;
    }
    fd = openat(writer->dir, store->file, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
        close(fd);
    }
}

/* ---- the directory; all of it under the mutex ---- */

static const char *reason(int error)
{
    return error == ENOENT  ? "there is none"
           : error == ELOOP ? "it is a symbolic link"
           : error == EPERM ? "it belongs to another user"
           : error == EBUSY ? "another hub or clowntalk-bridge holds its lock"
                            : strerrordesc_np(error);
}

/* There is none that may be used. */
static void leave(state_writer *writer, int error)
{
    if (error == writer->away) {
        return;
    }
    say(writer, HUB_ERROR, CT_STATE_DIR_LOST,
        "%s was removed or replaced, and nothing is remembered until it can be used again: %s "
        "(ClownTalkStateDir)",
        writer->path, reason(error));
    writer->away = error;
    tell(writer);
}

/* A store's file, to be freed; NULL: there is none, or it is one that is left alone. */
static char *read_file(state_store *store)
{
    char *text = state_dir_read(store->writer->dir, store->file);

    if (!text && errno != ENOENT) {
        store->unreadable = true;
        say(store->writer, HUB_WARNING, CT_STATE_NOT_READ,
            "%s/%s cannot be read, so no relay's state is known, and nothing is remembered: %s",
            store->writer->path, store->file, strerrordesc_np(errno));
    }
    return text;
}

/* The directory is another one, or was away: what it says is forgotten, and written anew. */
static void begin_anew(state_store *store)
{
    int error;

    if (!store->unreadable) {
        free(read_file(store));
    }
    if (store->unreadable) {
        store->pending = store->failed = false;
        return;
    }
    (void)unlinkat(store->writer->dir, store->file, 0);
    error = moves_prepare(store->moves, true);
    if (error) {
        set_error(store, error);
    }
    store->lost = error != 0;
    store->pending = true;
    store->failed = false;
}

/*
 * Goes on in the directory that the path names now. On the thread that writes, so that no file is
 * made in one directory and renamed in another. 0 or an errno: there is none that may be used.
 */
static int follow_path(state_writer *writer)
{
    int dir;

    if (state_dir_is_at(writer->dir, writer->path)) {
        if (!writer->away) {
            return 0;
        }
    } else {
        dir = state_dir_open(writer->path, writer->user, 0);
        if (dir < 0) {
            leave(writer, -dir);
            return writer->away;
        }
        dup3(dir, writer->dir, O_CLOEXEC);
        close(dir); /* the lock stays with the other descriptor */
    }
    writer->away = 0;
    say(writer, HUB_WARNING, CT_STATE_DIR_NEW,
        "%s was removed or replaced, and can be used again: all that is known is written to it",
        writer->path);
    for (state_store *store = writer->stores; store; store = store->next) {
        begin_anew(store);
    }
    tell(writer);
    return 0;
}

/* ---- writing: on the writer's thread ---- */

/* Puts a store's notes on disk. 0 or an errno. Holds the mutex, except while it waits. */
static int sync_moves(state_store *store)
{
    const uint64_t written = moves_written(store->moves);
    int error;

    pthread_mutex_unlock(&store->writer->mutex);
    error = moves_sync(store->moves);
    pthread_mutex_lock(&store->writer->mutex);
    if (!error) {
        moves_synced(store->moves, written);
    }
    return error;
}

/* Removes notes that have rested since then, and sees to it that no power cut brings them back. */
static void forget_rested(state_writer *writer, int64_t before)
{
    for (state_store *store = writer->stores; store; store = store->next) {
        if (moves_forget_rested(store->moves, before)) {
            (void)sync_moves(store);
        }
    }
}

/* Puts the notes of every store on disk. Holds the mutex, except while it waits for the disk. */
static void sync_notes(state_writer *writer)
{
    uint64_t ticket = writer->last_ticket;

    if (writer->noted == ticket) {
        return;
    }
    for (state_store *store = writer->stores; store; store = store->next) {
        int error;
        if (store->ticket <= writer->noted) {
            continue;
        }
        error = follow_path(writer);
        if (!error) {
            error = sync_moves(store);
        }
        if (error) {
            lose(store, error);
        }
    }
    writer->noted = ticket;
    tell(writer);
}

/*
 * Writes a store's text. Holds the mutex, except while it waits for the disk. After a loss the
 * notes come first: no state may be claimed for a relay that moves at this moment.
 */
static void write_store(state_store *store)
{
    state_writer *writer = store->writer;
    int error = follow_path(writer);
    char *text;

    store->pending = false;
    if (store->unreadable) {
        return;
    }
    text = own(store->text);
    if (!error && store->lost) {
        error = moves_prepare(store->moves, true);
    }
    if (!error) {
        pthread_mutex_unlock(&writer->mutex);
        error = state_dir_replace(writer->dir, store->file, text);
        pthread_mutex_lock(&writer->mutex);
    }
    free(text);
    store->failed = error != 0;
    if (error) {
        set_error(store, error);
        return;
    }
    store->lost = false;
    set_error(store, 0);
    if (!store->pending) {
        moves_settle(store->moves, writer->threaded ? base_monotonic_us() : 0);
    }
}

static state_store *next_pending(state_writer *writer)
{
    state_store *store = writer->stores;

    while (store && !store->pending) {
        store = store->next;
    }
    return store;
}

/* Writes whatever waits. Holds the mutex, except while it waits for the disk. */
static void write_pending(state_writer *writer)
{
    state_store *store;

    while ((store = next_pending(writer))) {
        write_store(store);
        sync_notes(writer);
    }
}

/* What could not be written is to be tried again. */
static void retry(state_writer *writer)
{
    for (state_store *store = writer->stores; store; store = store->next) {
        store->pending = store->pending || store->failed;
        store->failed = false;
    }
}

/* Waits for something to write. Releases the mutex meanwhile. */
static void wait_for_change(state_writer *writer)
{
    const struct timespec gathering = {.tv_nsec = GATHER_NS};
    struct timespec again;

    while (!writer->stopping && writer->noted == writer->last_ticket && !next_pending(writer)) {
        clock_gettime(CLOCK_MONOTONIC, &again);
        again.tv_sec += RETRY_AFTER;
        if (pthread_cond_timedwait(&writer->cond, &writer->mutex, &again) == ETIMEDOUT) {
            (void)follow_path(writer);
            retry(writer);
            forget_rested(writer, base_monotonic_us() - NOTE_RESTS);
        }
    }
    sync_notes(writer);
    if (writer->stopping || !next_pending(writer)) {
        return;
    }
    pthread_mutex_unlock(&writer->mutex);
    nanosleep(&gathering, NULL);
    pthread_mutex_lock(&writer->mutex);
    sync_notes(writer);
}

/* What is left at the end, also where the directory was replaced just now. Holds the mutex. */
static void write_last(state_writer *writer)
{
    (void)follow_path(writer);
    retry(writer);
    write_pending(writer);
    forget_rested(writer, INT64_MAX);
}

static void *writer_main(void *data)
{
    state_writer *writer = data;

    pthread_mutex_lock(&writer->mutex);
    while (!writer->stopping) {
        wait_for_change(writer);
        write_pending(writer);
        forget_rested(writer, base_monotonic_us() - NOTE_RESTS);
    }
    write_last(writer);
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

/* ---- life ---- */

static void open_dir(state_writer *writer, const char *path, int64_t patience)
{
    size_t length;
    int dir;

    writer->path = own(path);
    for (length = strlen(path); length > 1 && path[length - 1] == '/'; length--) {
        writer->path[length - 1] = 0; /* behind which a link would be followed */
    }
    dir = state_dir_open(writer->path, writer->user, patience);
    writer->dir = dir < 0 ? -1 : dir;
    if (dir == -EBUSY) {
        say(writer, HUB_WARNING, CT_STATE_LOCKED,
            "%s is in use by another hub or clowntalk-bridge, which holds its lock: nothing is "
            "remembered (ClownTalkStateDir)",
            path);
    } else if (dir < 0) {
        say(writer, HUB_WARNING, CT_STATE_NOT_READ,
            "%s: relay states and settings cannot be remembered: %s (ClownTalkStateDir)", path,
            reason(-dir));
    }
}

state_writer *state_writer_create(const state_config *config)
{
    state_writer *writer = calloc(1, sizeof(*writer));
    pthread_condattr_t monotonic;

    if (!writer) {
        return NULL;
    }
    writer->outbox = config->outbox;
    writer->boot_id = own(config->boot_id);
    writer->user = config->user ? config->user : geteuid();
    writer->first_start = config->first_start;
    writer->dir = -1;
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&writer->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (config->dir) {
        open_dir(writer, config->dir, config->threaded ? LOCK_PATIENCE : 0);
    }
    if (writer->dir >= 0 && config->threaded) {
        writer->threaded = pthread_create(&writer->thread, NULL, writer_main, writer) == 0;
    }
    return writer;
}

static void store_free(state_store *store)
{
    moves_free(store->moves);
    free(store->file);
    free(store->moves_file);
    free(store->text);
    json_object_put(store->devices);
    free(store);
}

void state_writer_destroy(state_writer *writer)
{
    if (writer->threaded) {
        pthread_mutex_lock(&writer->mutex);
        writer->stopping = true;
        pthread_cond_signal(&writer->cond);
        pthread_mutex_unlock(&writer->mutex);
        pthread_join(writer->thread, NULL);
    } else if (writer->dir >= 0) {
        pthread_mutex_lock(&writer->mutex);
        write_last(writer);
        pthread_mutex_unlock(&writer->mutex);
    }
    while (writer->stores) {
        state_store *next = writer->stores->next;
        store_free(writer->stores);
        writer->stores = next;
    }
    if (writer->dir >= 0) {
        close(writer->dir);
    }
    pthread_cond_destroy(&writer->cond);
    pthread_mutex_destroy(&writer->mutex);
    free(writer->path);
    free(writer->boot_id);
    free(writer);
}

void state_writer_die(state_writer *writer)
{
    if (writer->dir >= 0) {
        close(writer->dir);
    }
    writer->dir = -1;
}

bool state_is_remembered(state_store *store)
{
    bool remembered;

    pthread_mutex_lock(&store->writer->mutex);
    remembered = is_remembered(store);
    pthread_mutex_unlock(&store->writer->mutex);
    return remembered;
}

/* ---- reading ---- */

/*
 * The "devices" of a state file's text, NULL where it is not one; and in `boot` the start of the
 * machine in which it was written, "" where it does not say.
 */
static struct json_object *parse(const char *text, char boot[BASE_BOOT_ID])
{
    struct json_object *root = json_tokener_parse(text), *version, *devices, *named;
    struct json_object *result = NULL;

    boot[0] = 0;
    if (json_object_is_type(root, json_type_object) &&
        json_object_object_get_ex(root, "boot", &named) &&
        json_object_is_type(named, json_type_string)) {
        snprintf(boot, BASE_BOOT_ID, "%s", json_object_get_string(named));
    }
    if (json_object_is_type(root, json_type_object) &&
        json_object_object_get_ex(root, "version", &version) &&
        json_object_get_int(version) == STATE_VERSION &&
        json_object_object_get_ex(root, "devices", &devices) &&
        json_object_is_type(devices, json_type_object)) {
        result = json_object_get(devices);
        json_object_object_foreach(devices, topic, device)
        {
            (void)topic;
            if (json_object_is_type(device, json_type_object)) {
                continue;
            }
            json_object_put(result);
            result = NULL;
            break;
        }
    }
    json_object_put(root);
    return result;
}

/* Another start of the machine, or an unknown one: what pulsed then has to go off. */
static void end_pulses(struct json_object *devices)
{
    json_object_object_foreach(devices, topic, device)
    {
        (void)topic;
        /* The second is the time of day, which was remembered by earlier versions. */
        if (json_object_object_get_ex(device, STATE_PULSE_END, NULL) ||
            json_object_object_get_ex(device, "pulse-until", NULL)) {
            json_object_object_add(device, STATE_PULSE_END, json_object_new_int(0));
        }
        json_object_object_del(device, "pulse-until");
        json_object_object_del(device, "pulse-duration");
    }
}

/* Reads the node's file into an empty store. */
static void read_store(state_store *store)
{
    state_writer *writer = store->writer;
    char boot[BASE_BOOT_ID];
    char *text = read_file(store);

    if (!text) {
        store->new_boot = !store->unreadable && writer->first_start && writer->boot_id[0];
    } else if (!(store->devices = parse(text, boot))) {
        say(writer, HUB_WARNING, CT_STATE_CORRUPT,
            "%s/%s is damaged and will be replaced; no relay's state is known", writer->path,
            store->file);
    } else {
        store->same_boot = boot[0] && strcmp(boot, writer->boot_id) == 0;
        store->new_boot = boot[0] && writer->boot_id[0] && !store->same_boot;
        if (!store->same_boot) {
            end_pulses(store->devices);
        }
    }
    free(text);
}

/* A relay that was moving when the hub ended: the position of its contact is not known. */
static void forget_moving(void *baton, const char *topic, bool pulse)
{
    state_store *store = baton;

    store->outdated = true;
    say(store->writer, HUB_WARNING, CT_STATE_INTERRUPTED,
        "%s was moving when the hub ended: its state is not known", topic);
    state_set(store, topic, "state", NULL);
    if (pulse) { /* it has to be ended, and was asked for after the power had come */
        state_set(store, topic, STATE_PULSE_END, json_object_new_int(0));
        state_set(store, topic, STATE_POWER_ON, NULL);
    }
}

static void forget_all(state_store *store)
{
    store->outdated = true;
    json_object_object_foreach(store->devices, topic, device)
    {
        (void)topic;
        json_object_object_del(device, "state");
    }
}

/*
 * What is remembered is believed only if this hub can write there, too. Else the one before it may
 * have moved relays that it could not note.
 */
static void open_moves(state_store *store)
{
    state_writer *writer = store->writer;
    int error = moves_read(store->moves, store->same_boot, forget_moving, store);

    if (error) {
        say(writer, HUB_WARNING, CT_STATE_NO_NOTES,
            "%s/%s does not say which relays have moved, so no relay's state is known",
            writer->path, store->moves_file);
        forget_all(store);
    }
    if ((error = moves_prepare(store->moves, error != 0))) {
        store->lost = true;
        set_error(store, error);
        forget_all(store);
    }
}

/* What the file is to say. */
static char *to_text(const state_store *store)
{
    struct json_object *root = json_object_new_object();
    char *text;

    json_object_object_add(root, "version", json_object_new_int(STATE_VERSION));
    json_object_object_add(root, "boot", json_object_new_string(store->writer->boot_id));
    json_object_object_add(root, "devices", json_object_get(store->devices));
    text = own(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY));
    json_object_put(root);
    return text;
}

state_store *state_open(state_writer *writer, const char *node)
{
    state_store *store = calloc(1, sizeof(*store));

    if (!store) {
        base_out_of_memory();
    }
    store->writer = writer;
    store->save_by = HUB_NEVER;
    store->file = state_dir_file_name(node, ".json");
    store->moves_file = state_dir_file_name(node, ".moving");
    store->moves = moves_create(writer->dir, store->moves_file);
    pthread_mutex_lock(&writer->mutex);
    if (writer->dir >= 0) {
        read_store(store);
    }
    if (!store->devices) {
        store->devices = json_object_new_object();
    }
    if (is_writable(store)) {
        open_moves(store);
    }
    store->text = to_text(store);
    store->next = writer->stores;
    writer->stores = store;
    pthread_mutex_unlock(&writer->mutex);
    return store;
}

bool state_is_new_boot(const state_store *store)
{
    return store->new_boot;
}

bool state_is_outdated(const state_store *store)
{
    return store->outdated;
}

/* ---- memory ---- */

struct json_object *state_device(state_store *store, const char *topic)
{
    struct json_object *device = NULL;

    json_object_object_get_ex(store->devices, topic, &device);
    return device;
}

bool state_any(const state_store *store, const char *member)
{
    json_object_object_foreach(store->devices, topic, device)
    {
        (void)topic;
        if (json_object_object_get_ex(device, member, NULL)) {
            return true;
        }
    }
    return false;
}

void state_set(state_store *store, const char *topic, const char *member, struct json_object *value)
{
    struct json_object *device = state_device(store, topic);

    if (!device) {
        if (!value) {
            return;
        }
        device = json_object_new_object();
        json_object_object_add(store->devices, topic, device);
    }
    if (value) {
        json_object_object_add(device, member, value);
    } else {
        json_object_object_del(device, member);
    }
    if (json_object_object_length(device) == 0) {
        json_object_object_del(store->devices, topic);
    }
}

/* The writer is to put the note on disk. A ticket for that, or 0: it is done. Under the mutex. */
static uint64_t ask_for_note(state_store *store)
{
    state_writer *writer = store->writer;

    store->ticket = ++writer->last_ticket;
    if (writer->threaded) {
        pthread_cond_signal(&writer->cond);
    } else {
        sync_notes(writer);
    }
    return store->ticket > writer->noted ? store->ticket : 0;
}

/* As state_moving(). Under the mutex. */
static uint64_t note_move(state_store *store, const char *topic, bool pulse, bool durable)
{
    const state_writer *writer = store->writer;
    bool fresh;
    int error = moves_begin(store->moves, topic, pulse, &fresh);

    if (!state_dir_is_at(writer->dir, writer->path)) {
        return ask_for_note(store); /* it notes the move in the new directory, if there is one */
    }
    if (error) {
        lose(store, error);
    } else if (fresh && durable && !store->lost) {
        return ask_for_note(store);
    }
    return durable && store->ticket > writer->noted ? store->ticket : 0;
}

uint64_t state_moving(state_store *store, const char *topic, bool pulse, bool durable)
{
    state_writer *writer = store->writer;
    uint64_t ticket = 0;

    pthread_mutex_lock(&writer->mutex);
    if (is_writable(store)) {
        ticket = note_move(store, topic, pulse, durable);
    }
    pthread_mutex_unlock(&writer->mutex);
    return ticket;
}

void state_moved(state_store *store, const char *topic)
{
    pthread_mutex_lock(&store->writer->mutex);
    moves_end(store->moves, topic);
    pthread_mutex_unlock(&store->writer->mutex);
}

void state_pulses(state_store *store, const char *topic, bool pulse)
{
    pthread_mutex_lock(&store->writer->mutex);
    if (is_writable(store)) {
        moves_set_pulse(store->moves, topic, pulse);
    }
    pthread_mutex_unlock(&store->writer->mutex);
}

/* Hands it to the writer; `now`: or writes it here. */
static void save(state_store *store, bool now)
{
    state_writer *writer = store->writer;
    char *text;

    store->save_by = HUB_NEVER;
    if (writer->dir < 0) {
        return;
    }
    text = to_text(store);
    pthread_mutex_lock(&writer->mutex);
    free(store->text);
    store->text = text;
    if (!is_writable(store)) {
        pthread_mutex_unlock(&writer->mutex);
        return;
    }
    store->pending = true;
    moves_mark(store->moves);
    if (now || !writer->threaded) {
        write_pending(writer);
    } else {
        pthread_cond_signal(&writer->cond);
    }
    pthread_mutex_unlock(&writer->mutex);
}

void state_save(state_store *store)
{
    save(store, false);
}

void state_save_by(state_store *store, int64_t time)
{
    store->save_by = time < store->save_by ? time : store->save_by;
}

int64_t state_save_due(const state_store *store)
{
    return store->save_by;
}

bool state_save_now(state_store *store)
{
    save(store, true);
    return state_is_remembered(store);
}
