#include "state_place.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(char *why, const char *what)
{
    snprintf(why, PLACE_WHY, "%s", what);
    return false;
}

/* A user's name, or number. */
static const char *name_of(uid_t user, char text[64])
{
    const struct passwd *entry = getpwuid(user);

    if (entry) {
        snprintf(text, 64, "%s", entry->pw_name);
    } else {
        snprintf(text, 64, "number %ld", (long)user);
    }
    return text;
}

/* What is there may be used: a directory, and the user's. */
static bool suits(const struct stat *status, uid_t user, char *why)
{
    char owner[64], wanted[64];

    if (S_ISLNK(status->st_mode)) {
        return fail(why, "it is a symbolic link: name the directory itself, or one that does not "
                         "exist yet");
    }
    if (!S_ISDIR(status->st_mode)) {
        return fail(why, "it is no directory: name a directory, or a path at which there is "
                         "nothing yet");
    }
    if (geteuid() != 0 || status->st_uid == user) {
        return true;
    }
    snprintf(why, PLACE_WHY,
             "it belongs to the user %s, and must be the server's User's, who is %s: give it to "
             "that one (chown), or name one that does not exist yet",
             name_of(status->st_uid, owner), name_of(user, wanted));
    return false;
}

/* Opens the place, and looks at what is there. False, and why: nothing is to be done there. */
static bool open_place(place *place, const char *path, uid_t user, bool *is_there, char *why)
{
    struct stat status;
    bool right;

    if (!place_open(place, path, why)) {
        return false;
    }
    *is_there = fstatat(place->dir, place->name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    right = *is_there         ? suits(&status, user, why)
            : errno != ENOENT ? fail(why, strerror(errno))
                              : place->is_roots || place_is_others(path, why);
    if (!right) {
        close(place->dir);
    }
    return right;
}

bool state_place_check(const char *path, uid_t user, char *why)
{
    place place;
    bool is_there;

    if (!open_place(&place, path, user, &is_there, why)) {
        return false;
    }
    close(place.dir);
    return true;
}

/* Gives the directory that was just made to the user: by its descriptor, whatever its path says. */
static bool give(const place *place, uid_t user, gid_t group, char *why)
{
    const int dir =
        openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const bool given = dir >= 0 && fchown(dir, user, group) == 0;

    if (!given) {
        snprintf(why, PLACE_WHY, "it cannot be given to the server's User: %s", strerror(errno));
        unlinkat(place->dir, place->name, AT_REMOVEDIR);
    }
    if (dir >= 0) {
        close(dir);
    }
    return given;
}

bool state_place_make(const char *path, uid_t user, gid_t group, char *why)
{
    place place;
    bool is_there, right = true;

    if (!open_place(&place, path, user, &is_there, why)) {
        return false;
    }
    if (!is_there) {
        right = mkdirat(place.dir, place.name, 0700) == 0 || fail(why, strerror(errno));
        if (right && geteuid() == 0) {
            right = give(&place, user, group, why);
        }
    }
    close(place.dir);
    return right;
}
