#include "state.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATE_MAX_FILE 1048576 /* bytes: a larger file is not one of ours */
#define STATE_VERSION  1

/*
 * A change is written after this delay: the publication goes out before the disk is busy, and what
 * several relays do at once is written once. Nothing is lost by it: the file of moves names a
 * moving relay.
 */
#define GATHER_NS 2000000

struct state_store {
    state_store *next;
    state_writer *writer;
    char *file;   /* "nodes_bridge_0.json" */
    char *moving; /* "nodes_bridge_0.moving" */
    struct json_object *devices;
    bool new_boot;
    unsigned in_motion; /* relays whose move has not been recorded */

    /* Shared with the writer's thread, under its mutex. */
    char *pending;    /* what is to be written, or NULL */
    uint64_t moves;   /* that were ever begun, and 1 for those of an earlier hub */
    uint64_t settles; /* how many `pending` records; if all, the file may go */
};

struct state_writer {
    int dir; /* descriptor, or -1: nothing is remembered */
    char *path;
    char *boot_id;
    bool first_start;
    queue *outbox;
    bool threaded;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool stopping;
    state_store *stores;
    int last_error; /* of writing, so that it is logged once; the writing thread's */
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

static char *own(const char *text)
{
    char *copy = strdup(text);
    if (!copy) {
        abort();
    }
    return copy;
}

/* ---- writing: on the writer's thread ---- */

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t written = write(fd, text, left);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return -1;
        }
        text += written;
        left -= (size_t)written;
    }
    return 0;
}

/* Replaces a file as a whole, durably. 0 or an errno. */
static int replace(state_writer *writer, const char *file, const char *text)
{
    char temporary[300];
    int fd, error = 0;

    snprintf(temporary, sizeof(temporary), "%s.new", file);
    fd =
        openat(writer->dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno;
    }
    if (write_all(fd, text) < 0 || fsync(fd) < 0) {
        error = errno;
    }
    if (close(fd) < 0 && !error) {
        error = errno;
    }
    if (!error &&
        (renameat(writer->dir, temporary, writer->dir, file) < 0 || fsync(writer->dir) < 0)) {
        error = errno;
    }
    if (error) {
        unlinkat(writer->dir, temporary, 0);
    }
    return error;
}

static bool write_store(state_writer *writer, const char *file, const char *text)
{
    int error = replace(writer, file, text);

    if (error && error != writer->last_error) {
        say(writer, HUB_ERROR, CT_STATE_NOT_WRITTEN,
            "%s/%s: relay states and settings cannot be remembered: %s", writer->path, file,
            strerrordesc_np(error));
    }
    if (!error && writer->last_error) {
        say(writer, HUB_INFO, CT_STATE_WRITTEN, "%s/%s: states are remembered again", writer->path,
            file);
    }
    writer->last_error = error;
    return !error;
}

/* Every move that was begun has been recorded: the file that names them may go. Under the mutex. */
static void settle(state_store *store, uint64_t moves)
{
    if (!store->writer->last_error && moves && store->moves == moves) {
        unlinkat(store->writer->dir, store->moving, 0);
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

/* Writes whatever waits. Holds the mutex, except while it writes. */
static void write_pending(state_writer *writer)
{
    state_store *store;

    while ((store = next_pending(writer))) {
        char *text = store->pending;
        uint64_t settles = store->settles;

        store->pending = NULL;
        pthread_mutex_unlock(&writer->mutex);
        write_store(writer, store->file, text);
        free(text);
        pthread_mutex_lock(&writer->mutex);
        settle(store, settles);
    }
}

/* Waits for something to write. Releases the mutex meanwhile. */
static void wait_for_change(state_writer *writer)
{
    const struct timespec gathering = {.tv_nsec = GATHER_NS};

    while (!writer->stopping && !next_pending(writer)) {
        pthread_cond_wait(&writer->cond, &writer->mutex);
    }
    if (writer->stopping) {
        return;
    }
    pthread_mutex_unlock(&writer->mutex);
    nanosleep(&gathering, NULL);
    pthread_mutex_lock(&writer->mutex);
}

static void *writer_main(void *data)
{
    state_writer *writer = data;

    pthread_mutex_lock(&writer->mutex);
    while (true) {
        wait_for_change(writer);
        write_pending(writer);
        if (writer->stopping) {
            break;
        }
    }
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

/* ---- life ---- */

state_writer *state_writer_create(const state_config *config)
{
    const char *dir = config->dir;
    state_writer *writer = calloc(1, sizeof(*writer));

    if (!writer) {
        return NULL;
    }
    writer->outbox = config->outbox;
    writer->boot_id = own(config->boot_id);
    writer->first_start = config->first_start;
    writer->dir = -1;
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->cond, NULL);
    if (!dir) {
        return writer;
    }
    writer->path = own(dir);
    writer->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (writer->dir < 0) {
        say(writer, HUB_WARNING, CT_STATE_NOT_READ,
            "%s: relay states and settings cannot be remembered: %s", dir, strerrordesc_np(errno));
    } else if (config->threaded) {
        writer->threaded = pthread_create(&writer->thread, NULL, writer_main, writer) == 0;
    }
    return writer;
}

static void store_free(state_store *store)
{
    free(store->file);
    free(store->moving);
    free(store->pending);
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

bool state_writer_remembers(const state_writer *writer)
{
    return writer->dir >= 0;
}

/* ---- reading ---- */

/* A node's name as a file name: '/' becomes '_', and other unusual characters %XX. */
static char *file_name(const char *node, const char *suffix)
{
    char name[256];
    size_t length = 0;

    for (; *node && length < sizeof(name) - 16; node++) {
        unsigned char c = (unsigned char)*node;
        if (c == '/') {
            name[length++] = '_';
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '-') {
            name[length++] = (char)c;
        } else {
            length += (size_t)sprintf(name + length, "%%%02X", c);
        }
    }
    strcpy(name + length, suffix);
    return own(name);
}

/* A file's text, or NULL with errno. */
static char *read_file(state_writer *writer, const char *file)
{
    int fd = openat(writer->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    char *text = NULL;
    size_t length = 0;
    int error;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &status) == 0 && (!S_ISREG(status.st_mode) || status.st_size > STATE_MAX_FILE)) {
        errno = EFBIG;
    } else if (!(text = malloc(STATE_MAX_FILE + 1))) {
        abort();
    }
    while (text && length < STATE_MAX_FILE) {
        ssize_t got = read(fd, text + length, STATE_MAX_FILE - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            free(text);
            text = NULL;
        }
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    if (text) {
        text[length] = 0;
    }
    error = errno;
    close(fd);
    errno = error;
    return text;
}

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

/* Relays that were moving when the hub ended: the position of their contacts is not known. */
static void forget_moving(state_store *store, char *topics)
{
    char *rest = topics;

    for (char *topic; (topic = strsep(&rest, "\n"));) {
        if (!*topic || strlen(topic) > 64) {
            continue;
        }
        say(store->writer, HUB_WARNING, CT_STATE_INTERRUPTED,
            "%s was moving when the hub ended: its state is not known", topic);
        state_set(store, topic, "state", NULL);
    }
    store->moves = 1;
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
    char *text = read_file(writer, store->file);

    if (!text && errno == ENOENT) {
        store->new_boot = writer->first_start && writer->boot_id[0];
    } else if (!text) {
        say(writer, HUB_WARNING, CT_STATE_NOT_READ,
            "%s/%s cannot be read, so no relay's state is known: %s", writer->path, store->file,
            strerrordesc_np(errno));
    } else if (!(store->devices = parse(text, boot))) {
        say(writer, HUB_WARNING, CT_STATE_CORRUPT,
            "%s/%s is damaged and will be replaced; no relay's state is known", writer->path,
            store->file);
    } else {
        store->new_boot = boot[0] && writer->boot_id[0] && strcmp(boot, writer->boot_id) != 0;
        if (!boot[0] || strcmp(boot, writer->boot_id) != 0) {
            end_pulses(store->devices);
        }
    }
    free(text);
}

state_store *state_open(state_writer *writer, const char *node)
{
    state_store *store = calloc(1, sizeof(*store));
    char *text;

    if (!store) {
        abort();
    }
    store->writer = writer;
    store->file = file_name(node, ".json");
    store->moving = file_name(node, ".moving");
    if (writer->dir >= 0) {
        read_store(store);
    }
    if (!store->devices) {
        store->devices = json_object_new_object();
    }
    if (writer->dir >= 0 && (text = read_file(writer, store->moving))) {
        forget_moving(store, text);
        free(text);
    }
    pthread_mutex_lock(&writer->mutex);
    store->next = writer->stores;
    writer->stores = store;
    pthread_mutex_unlock(&writer->mutex);
    return store;
}

bool state_is_new_boot(const state_store *store)
{
    return store->new_boot;
}

/* ---- memory ---- */

struct json_object *state_device(state_store *store, const char *topic)
{
    struct json_object *device = NULL;

    json_object_object_get_ex(store->devices, topic, &device);
    return device;
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

/* Without fsync: a power cut within these milliseconds is the only case that it does not cover. */
void state_moving(state_store *store, const char *topic)
{
    char line[80];
    int fd;

    store->in_motion++;
    if (store->writer->dir < 0) {
        return;
    }
    pthread_mutex_lock(&store->writer->mutex);
    store->moves++;
    fd = openat(store->writer->dir, store->moving,
                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    /* A failure is reported when the state itself cannot be written. */
    if (fd >= 0) {
        snprintf(line, sizeof(line), "%s\n", topic);
        (void)write_all(fd, line);
        close(fd);
    }
    pthread_mutex_unlock(&store->writer->mutex);
}

void state_moved(state_store *store)
{
    if (store->in_motion > 0) {
        store->in_motion--;
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

void state_save(state_store *store)
{
    state_writer *writer = store->writer;
    char *text;

    if (writer->dir < 0) {
        return;
    }
    text = to_text(store);
    pthread_mutex_lock(&writer->mutex);
    free(store->pending);
    store->pending = text;
    store->settles = store->in_motion ? 0 : store->moves;
    if (writer->threaded) {
        pthread_cond_signal(&writer->cond);
    } else {
        write_pending(writer);
    }
    pthread_mutex_unlock(&writer->mutex);
}

bool state_save_now(state_store *store)
{
    bool written;
    char *text;

    if (store->writer->dir < 0) {
        return false;
    }
    text = to_text(store);
    written = write_store(store->writer, store->file, text);
    free(text);
    return written;
}
