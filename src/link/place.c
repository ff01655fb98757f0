#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS 40 /* as the kernel follows at most */

/* A walk along the path of a directory. */
typedef struct walk {
    int dir;             /* how far it has come */
    bool is_roots;       /* only root can write to that directory */
    bool is_roots_way;   /* and to all that it has come through */
    unsigned links;      /* it has followed */
    char rest[PATH_MAX]; /* of the path */
    char *why;
} walk;

__attribute__((format(printf, 2, 3))) static bool fail(char *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, PLACE_WHY, format, arguments);
    va_end(arguments);
    return false;
}

/* What others make in a directory with the sticky bit they can replace, and nothing of root's. */
static bool only_root_writes(const struct stat *status)
{
    return status->st_uid == 0 &&
           (!(status->st_mode & (S_IWGRP | S_IWOTH)) || status->st_mode & S_ISVTX);
}

/* Goes to a directory that has been opened. */
static bool arrive(walk *w, int dir)
{
    struct stat status;

    if (w->dir >= 0) {
        close(w->dir);
    }
    w->dir = dir;
    if (fstat(dir, &status) != 0) {
        return fail(w->why, "its directory: %s", strerror(errno));
    }
    w->is_roots = only_root_writes(&status);
    w->is_roots_way = w->is_roots_way && w->is_roots;
    return true;
}

static bool arrive_at_root(walk *w)
{
    const int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    w->is_roots_way = true;
    return dir >= 0 ? arrive(w, dir) : fail(w->why, "/: %s", strerror(errno));
}

/* Puts what a link says before the rest of the path. It has been opened, and is `name` there. */
static bool follow(walk *w, int link, const struct stat *status, const char *name)
{
    char target[2 * PATH_MAX];
    ssize_t length;

    if (status->st_uid != 0 || status->st_nlink != 1 || !w->is_roots_way) {
        return fail(w->why,
                    "%s on the way is a symbolic link that others than root can have made, and "
                    "root follows none of those",
                    name);
    }
    length = readlinkat(link, "", target, PATH_MAX);
    if (length <= 0 || ++w->links > MAX_LINKS) {
        return fail(w->why, "%s on the way: %s", name, strerror(ELOOP));
    }
    snprintf(target + length, sizeof target - (size_t)length, "/%s", w->rest);
    if (strlen(target) >= sizeof w->rest) {
        return fail(w->why, "%s on the way: %s", name, strerror(ENAMETOOLONG));
    }
    strcpy(w->rest, target);
    return target[0] != '/' || arrive_at_root(w);
}

/* One component, which is neither empty nor ".". */
static bool step(walk *w, const char *name)
{
    struct stat status = {0};
    bool right;
    int next;

    if (strcmp(name, "..") == 0 && !w->is_roots_way) {
        return fail(w->why, "it leads back, by .., from a directory in which others than root can "
                            "write");
    }
    next = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 || fstat(next, &status) != 0) {
        return fail(w->why, "the directory %s on the way: %s", name, strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        return arrive(w, next);
    }
    right = S_ISLNK(status.st_mode)
                ? follow(w, next, &status, name)
                : fail(w->why, "the directory %s on the way: %s", name, strerror(ENOTDIR));
    close(next);
    return right;
}

static bool walk_along(walk *w)
{
    char name[NAME_MAX + 1];

    for (;;) {
        const char *at = w->rest + strspn(w->rest, "/");
        const size_t length = strcspn(at, "/");

        if (length == 0) {
            return true;
        }
        if (length >= sizeof name) {
            return fail(w->why, "%s", strerror(ENAMETOOLONG));
        }
        memcpy(name, at, length);
        name[length] = '\0';
        memmove(w->rest, at + length, strlen(at + length) + 1);
        if (strcmp(name, ".") != 0 && !step(w, name)) {
            return false;
        }
    }
}

/* Opens the directory whose path is in w->rest. */
static bool open_directory(walk *w)
{
    if (geteuid() == 0) {
        return arrive_at_root(w) && walk_along(w);
    }
    w->is_roots = w->is_roots_way = true;
    w->dir = open(w->rest, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return w->dir >= 0 || fail(w->why, "its directory: %s", strerror(errno));
}

bool place_open(place *place, const char *path, char *why)
{
    walk w = {.dir = -1, .why = why};
    size_t length = strlen(path), name;

    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    for (name = length; name > 0 && path[name - 1] != '/'; name--) {
    }
    if (path[0] != '/' || length >= sizeof w.rest || length - name >= sizeof place->name) {
        return fail(why, "it must be an absolute path, and not too long");
    }
    snprintf(place->name, sizeof place->name, "%.*s", (int)(length - name), path + name);
    if (!place->name[0] || strcmp(place->name, ".") == 0 || strcmp(place->name, "..") == 0) {
        return fail(why, "it must end in a name");
    }
    snprintf(w.rest, sizeof w.rest, "%.*s", (int)name, path);
    if (!open_directory(&w)) {
        if (w.dir >= 0) {
            close(w.dir);
        }
        return false;
    }
    place->dir = w.dir;
    place->is_roots = w.is_roots;
    place->path_is_roots = w.is_roots_way;
    return true;
}

bool place_is_others(const char *path, char *why)
{
    return fail(why,
                "others than root can write to the directory that it lies in, %.*s: root makes "
                "nothing there",
                (int)(strrchr(path, '/') - path), path);
}
