#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 511

static bool fail(char *why, const char *what)
{
    snprintf(why, PLACE_WHY, "%s", what);
    return false;
}

/*
 * bind() and connect() know no directory but the working directory. Goes there; returns the one
 * before, or -1.
 */
static int enter(int dir)
{
    const int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (before >= 0 && fchdir(dir) != 0) {
        close(before);
        return -1;
    }
    return before;
}

static void leave(int before)
{
    if (fchdir(before) == 0 || chdir("/") == 0) {
        close(before);
    }
}

/*
 * bind() or connect(), in the place's directory. The socket gets its whole path for a name, which
 * is what tools show, where that can lead to no other directory. 0 or an errno.
 */
static int call_there(const place *place, const char *path, int fd,
                      int (*call)(int fd, const struct sockaddr *address, socklen_t length))
{
    const char *name = place->path_is_roots ? path : place->name;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int before, error;

    if (strlen(name) >= sizeof address.sun_path) {
        return ENAMETOOLONG;
    }
    strcpy(address.sun_path, name);
    before = enter(place->dir);
    if (before < 0) {
        return errno;
    }
    error = call(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    leave(before);
    return error;
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Whether a process listens to the socket at the place. Where that cannot be told, too. */
static bool is_in_use(const place *place, const char *path)
{
    const int fd = new_socket();
    const int error = fd >= 0 ? call_there(place, path, fd, connect) : errno;

    if (fd >= 0) {
        close(fd);
    }
    return error != ECONNREFUSED && error != ENOENT;
}

/* What is at the place is a socket, or nothing. `is_there`: which. */
static bool check_what_is_there(const place *place, bool *is_there, char *why)
{
    struct stat status;

    *is_there = fstatat(place->dir, place->name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*is_there) {
        return errno == ENOENT || fail(why, strerror(errno));
    }
    return S_ISSOCK(status.st_mode) ||
           fail(why, "what is there is no socket, and is left as it is: name a path at which there "
                     "is nothing yet");
}

/* Opens the place where the socket may be made: false, and why. */
static bool open_place(place *place, const char *path, bool *is_there, char *why)
{
    if (!place_open(place, path, why)) {
        return false;
    }
    if ((place->is_roots || place_is_others(path, why)) &&
        check_what_is_there(place, is_there, why)) {
        return true;
    }
    close(place->dir);
    return false;
}

bool hub_socket_check(const char *path, char *why)
{
    place place;
    bool is_there;

    if (!open_place(&place, path, &is_there, why)) {
        return false;
    }
    close(place.dir);
    return true;
}

/* Removes what a server has left that was killed. */
static bool clear(const place *place, const char *path, char *why)
{
    if (is_in_use(place, path)) {
        return fail(why, "another process listens there: each server needs a socket of its own");
    }
    return unlinkat(place->dir, place->name, 0) == 0 || errno == ENOENT ||
           fail(why, strerror(errno));
}

static bool bind_there(hub_socket *socket, const place *place, const char *path, uid_t user,
                       char *why)
{
    const mode_t mask = umask(0177);
    const int error = call_there(place, path, socket->fd, bind);
    struct stat status;

    umask(mask);
    if (error) {
        return fail(why, strerror(error));
    }
    if (fstatat(place->dir, place->name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        (geteuid() == 0 &&
         fchownat(place->dir, place->name, user, (gid_t)-1, AT_SYMLINK_NOFOLLOW) != 0) ||
        listen(socket->fd, BACKLOG) != 0) {
        return fail(why, strerror(errno));
    }
    socket->dev = status.st_dev;
    socket->ino = status.st_ino;
    return true;
}

bool hub_socket_listen(hub_socket *socket, const char *path, uid_t user, char *why)
{
    place place;
    bool is_there, right;

    socket->fd = -1;
    if (!open_place(&place, path, &is_there, why)) {
        return false;
    }
    right = !is_there || clear(&place, path, why);
    if (right) {
        socket->fd = new_socket();
        right = socket->fd >= 0 ? bind_there(socket, &place, path, user, why)
                                : fail(why, strerror(errno));
    }
    if (!right && socket->fd >= 0) {
        close(socket->fd);
        socket->fd = -1;
    }
    close(place.dir);
    return right;
}

void hub_socket_close(hub_socket *socket, const char *path)
{
    char why[PLACE_WHY];
    struct stat status;
    place place;

    if (socket->fd < 0) {
        return;
    }
    close(socket->fd);
    socket->fd = -1;
    if (!place_open(&place, path, why)) {
        return;
    }
    if (fstatat(place.dir, place.name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_dev == socket->dev && status.st_ino == socket->ino) {
        unlinkat(place.dir, place.name, 0);
    }
    close(place.dir);
}
