#include "state_dir.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_FILE   1048576 /* bytes: a larger file is not one of ours */
#define LOCK_RETRY 20000   /* microseconds */

/* The directory itself, without a link, and this user's. A descriptor or a negative errno. */
static int open_own(const char *path, uid_t user)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), error;
    struct stat status;

    if (dir < 0) {
        error = errno;
        return lstat(path, &status) == 0 && S_ISLNK(status.st_mode) ? -ELOOP : -error;
    }
    error = fstat(dir, &status) < 0 ? errno : user && status.st_uid != user ? EPERM : 0;
    if (error) {
        close(dir);
        return -error;
    }
    return dir;
}

bool state_dir_is_at(int dir, const char *path)
{
    struct stat opened, named;

    if (fstat(dir, &opened) < 0 || opened.st_nlink == 0) {
        return false;
    }
    if (lstat(path, &named) < 0) {
        return errno == EACCES;
    }
    /* As long as it is open, no other directory gets its number. */
    return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

int state_dir_open(const char *path, uid_t user, int64_t patience)
{
    int dir = open_own(path, user), error;

    if (dir < 0) {
        return dir;
    }
    while (flock(dir, LOCK_EX | LOCK_NB) != 0) {
        error = errno;
        if ((error == EWOULDBLOCK || error == EINTR) && patience > 0) {
            nanosleep(&(struct timespec){.tv_nsec = LOCK_RETRY * 1000L}, NULL);
            patience -= LOCK_RETRY;
            continue;
        }
        close(dir);
        return error == EWOULDBLOCK ? -EBUSY : -error;
    }
    return dir;
}

/* ---- reading ---- */

static char *read_all(int fd)
{
    char *text = malloc(MAX_FILE + 1);
    size_t length = 0;
    ssize_t got;

    if (!text) {
        base_out_of_memory();
    }
    do {
        got = read(fd, text + length, MAX_FILE - length);
        length += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0) {
        free(text);
        return NULL;
    }
    text[length] = 0;
    return text;
}

char *state_dir_read(int dir, const char *file)
{
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat status;
    char *text = NULL;
    int error;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &status) == 0) {
        errno = EFBIG;
        if (S_ISREG(status.st_mode) && status.st_size <= MAX_FILE) {
            text = read_all(fd);
        }
    }
    error = errno;
    close(fd);
    errno = error;
    return text;
}

/* ---- writing ---- */

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t written = write(fd, text, left);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        if (written > 0) {
            text += written;
            left -= (size_t)written;
        }
    }
    return 0;
}

/* A new file of the directory's owner: its descriptor, or -1 with errno. */
static int make_file(int dir, const char *file)
{
    struct stat owner;
    int fd, error;

    if (unlinkat(dir, file, 0) < 0 && errno != ENOENT) {
        return -1;
    }
    fd = openat(dir, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && geteuid() == 0 &&
        (fstat(dir, &owner) < 0 || fchown(fd, owner.st_uid, owner.st_gid) < 0)) {
        error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int state_dir_replace(int dir, const char *file, const char *text)
{
    char temporary[300];
    int fd, error;

    snprintf(temporary, sizeof(temporary), "%s.new", file);
    fd = make_file(dir, temporary);
    if (fd < 0) {
        return errno;
    }
    error = write_all(fd, text);
    if (!error && fsync(fd) < 0) {
        error = errno;
    }
    if (close(fd) < 0 && !error) {
        error = errno;
    }
    if (!error && (renameat(dir, temporary, dir, file) < 0 || fsync(dir) < 0)) {
        error = errno;
    }
    if (error) {
        unlinkat(dir, temporary, 0);
    }
    return error;
}

char *state_dir_file_name(const char *node, const char *suffix)
{
    char name[256], *copy;
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
    if (!(copy = strdup(name))) {
        base_out_of_memory();
    }
    return copy;
}
