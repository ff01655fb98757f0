/*
 * The hub's socket in the file system, which the server makes as root and gives to its user. What
 * lies at its path is removed only where it is a socket to which no process listens, and only from
 * a directory that is root's (place.h). httpd's parent process, single thread: it changes the
 * working directory for a moment.
 */
#ifndef LINK_SOCKET_H
#define LINK_SOCKET_H

#include "place.h"

#include <sys/types.h>

typedef struct hub_socket {
    int fd;    /* which listens; -1: none */
    dev_t dev; /* of what is at the path, so that nothing else is removed */
    ino_t ino;
} hub_socket;

/*
 * Whether it can be made there, as far as that can be told without doing it. False, and in `why`,
 * of PLACE_WHY bytes, a sentence without a full stop.
 */
bool hub_socket_check(const char *path, char *why);
/* Makes it and listens. Only `user` may connect to it. False, and why. */
bool hub_socket_listen(hub_socket *socket, const char *path, uid_t user, char *why);
/* Closes it, and removes it where it is still at its path. */
void hub_socket_close(hub_socket *socket, const char *path);

#endif
