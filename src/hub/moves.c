#include "moves.h"

#include "state_dir.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE     128 /* bytes; a write within one sector of a disk is done or not done */
#define PLACES    64  /* at first */
#define MAX_TOPIC 64

typedef struct place {
    char topic[MAX_TOPIC + 1]; /* "": free */
    bool pulse;
    unsigned moving; /* moves that are under way */
    uint64_t begun;  /* moves ever */
    uint64_t marked; /* how many of them are recorded when the record is on disk; 0: not all */
    uint64_t noted;  /* which of all notes it was; 0: it is none */
    int64_t rests;   /* since when, in microseconds; 0: it does not */
} place;

struct moves {
    int dir;
    const char *file;
    place *places;
    size_t n_places;
    uint64_t written; /* notes ever */
    uint64_t synced;  /* those up to this one are on disk */
};

static void grow(moves *moves, size_t n)
{
    place *places = realloc(moves->places, n * sizeof(*places));

    if (!places) {
        base_out_of_memory();
    }
    memset(places + moves->n_places, 0, (n - moves->n_places) * sizeof(*places));
    moves->places = places;
    moves->n_places = n;
}

moves *moves_create(int dir, const char *file)
{
    moves *moves = calloc(1, sizeof(*moves));

    if (!moves) {
        base_out_of_memory();
    }
    moves->dir = dir;
    moves->file = file;
    grow(moves, PLACES);
    return moves;
}

void moves_free(moves *moves)
{
    free(moves->places);
    free(moves);
}

/* The place of a relay, or NULL; of "", a free one. */
static place *find(moves *moves, const char *topic)
{
    for (size_t i = 0; i < moves->n_places; i++) {
        if (strcmp(moves->places[i].topic, topic) == 0) {
            return &moves->places[i];
        }
    }
    return NULL;
}

static place *take(moves *moves, const char *topic)
{
    place *place = find(moves, topic);

    if (place) {
        return place;
    }
    if (!find(moves, "")) {
        grow(moves, 2 * moves->n_places);
    }
    place = find(moves, "");
    snprintf(place->topic, sizeof(place->topic), "%s", topic);
    return place;
}

static void format(const place *place, char line[PLACE + 1])
{
    char text[PLACE];

    snprintf(text, sizeof(text), "%s%s", place->topic,
             place->rests   ? " rest"
             : place->pulse ? " pulse"
                            : "");
    snprintf(line, PLACE + 1, "%-*s\n", PLACE - 1, text);
}

static int open_file(const moves *moves)
{
    struct stat status;
    int fd = openat(moves->dir, moves->file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    /* With a second name it is no file of ours. */
    if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1)) {
        close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

/* Writes a place as it is. 0 or an errno. */
static int write_place(const moves *moves, const place *place)
{
    char line[PLACE + 1];
    int fd = open_file(moves), error = 0;
    ssize_t written;

    if (fd < 0) {
        return errno;
    }
    format(place, line);
    written = pwrite(fd, line, PLACE, (place - moves->places) * PLACE);
    if (written != PLACE) {
        error = written < 0 ? errno : ENOSPC;
    }
    close(fd);
    return error;
}

/* ---- at the start ---- */

/*
 * Takes in the line of a place; false where none of ours looks like it. One that rests is on disk,
 * as any note was before it came to rest.
 */
static bool read_line(moves *moves, size_t index, char *line, bool same_boot)
{
    size_t length = strlen(line);
    char *word;
    place *place;

    while (length > 0 && line[length - 1] == ' ') {
        line[--length] = 0;
    }
    if (length == 0) {
        return true;
    }
    if ((word = strchr(line, ' '))) {
        *word++ = 0;
    }
    if (!strchr(line, '/') || strlen(line) > MAX_TOPIC ||
        (word && strcmp(word, "pulse") != 0 && strcmp(word, "rest") != 0)) {
        return false;
    }
    while (index >= moves->n_places) {
        grow(moves, 2 * moves->n_places);
    }
    place = &moves->places[index]; /* where it stands in the file, so that it is removed there */
    snprintf(place->topic, sizeof(place->topic), "%s", line);
    place->pulse = word && strcmp(word, "pulse") == 0;
    place->rests = word && !place->pulse && same_boot;
    place->begun = !place->rests;
    place->noted = place->rests ? moves->synced : 0;
    return true;
}

static bool read_lines(moves *moves, char *text, bool same_boot)
{
    size_t length = strlen(text);
    char *line;

    if (length == 0 || text[length - 1] != '\n') {
        return false;
    }
    for (size_t i = 0; (line = strsep(&text, "\n")); i++) {
        if (!read_line(moves, i, line, same_boot)) {
            return false;
        }
    }
    return true;
}

int moves_read(moves *moves, bool same_boot,
               void (*found)(void *baton, const char *topic, bool pulse), void *baton)
{
    char *text = state_dir_read(moves->dir, moves->file);
    bool right;

    if (!text) {
        return errno == ENOENT ? 0 : errno;
    }
    moves->written = moves->synced = 1;
    right = read_lines(moves, text, same_boot);
    free(text);
    for (size_t i = 0; i < moves->n_places; i++) {
        if (moves->places[i].begun) {
            found(baton, moves->places[i].topic, moves->places[i].pulse);
        }
    }
    return right ? 0 : -1;
}

/* Root can write to any file; the user that it becomes, only to the directory's owner's. */
static bool has_right_owner(const moves *moves, const struct stat *status)
{
    struct stat dir;

    return geteuid() != 0 || (fstat(moves->dir, &dir) == 0 && status->st_uid == dir.st_uid);
}

static bool is_prepared(const moves *moves)
{
    struct stat status;
    int fd = open_file(moves);
    bool right = fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 0 &&
                 status.st_size % PLACE == 0 && status.st_size >= PLACES * PLACE &&
                 has_right_owner(moves, &status);

    if (fd >= 0) {
        close(fd);
    }
    return right;
}

int moves_prepare(moves *moves, bool anew)
{
    char *text;
    int error;

    if (!anew && is_prepared(moves)) {
        return 0;
    }
    if (!(text = calloc(moves->n_places, PLACE + 1))) {
        base_out_of_memory();
    }
    for (size_t i = 0; i < moves->n_places; i++) {
        format(&moves->places[i], text + i * PLACE);
    }
    error = state_dir_replace(moves->dir, moves->file, text);
    free(text);
    return error;
}

/* ---- moving ---- */

int moves_begin(moves *moves, const char *topic, bool pulse, bool *fresh)
{
    place *place = take(moves, topic);
    const bool another = pulse && !place->pulse, written = place->begun && !another;

    place->begun++;
    place->moving++;
    place->pulse = place->pulse || pulse;
    place->rests = 0;
    if (!place->noted || another) {
        place->noted = ++moves->written;
    }
    *fresh = place->noted > moves->synced;
    return written ? 0 : write_place(moves, place);
}

uint64_t moves_written(const moves *moves)
{
    return moves->written;
}

int moves_sync(const moves *moves)
{
    int fd = open_file(moves), error;

    if (fd < 0) {
        return errno;
    }
    error = fdatasync(fd) < 0 ? errno : 0;
    close(fd);
    return error;
}

void moves_synced(moves *moves, uint64_t written)
{
    moves->synced = written > moves->synced ? written : moves->synced;
}

void moves_end(moves *moves, const char *topic)
{
    place *place = find(moves, topic);

    if (place && place->moving > 0) {
        place->moving--;
    }
}

void moves_set_pulse(moves *moves, const char *topic, bool pulse)
{
    place *place = find(moves, topic);

    /* A move that is not over may begin a pulse. */
    if (place && place->begun && place->pulse != pulse && (pulse || !place->moving)) {
        place->pulse = pulse;
        (void)write_place(moves, place);
    }
}

/* ---- recorded ---- */

void moves_mark(moves *moves)
{
    for (size_t i = 0; i < moves->n_places; i++) {
        place *place = &moves->places[i];
        place->marked = place->moving ? 0 : place->begun;
    }
}

/* If it stays as it was, the next hub knows less than it could. */
static void clear(moves *moves, place *place)
{
    *place = (struct place){0};
    (void)write_place(moves, place);
}

void moves_settle(moves *moves, int64_t now)
{
    for (size_t i = 0; i < moves->n_places; i++) {
        place *place = &moves->places[i];
        if (!place->marked || place->marked != place->begun) {
            continue;
        }
        if (now && place->noted <= moves->synced) {
            place->begun = place->marked = 0;
            place->pulse = false;
            place->rests = now;
            (void)write_place(moves, place);
        } else {
            clear(moves, place);
        }
    }
}

bool moves_forget_rested(moves *moves, int64_t before)
{
    bool any = false;

    for (size_t i = 0; i < moves->n_places; i++) {
        place *place = &moves->places[i];
        if (place->rests && place->rests <= before) {
            clear(moves, place);
            any = true;
        }
    }
    return any;
}

int moves_distrust(const moves *moves)
{
    int fd = open_file(moves), error;

    if (fd < 0) {
        return errno;
    }
    error = ftruncate(fd, 0) < 0 || fsync(fd) < 0 ? errno : 0;
    close(fd);
    return error;
}
