/*
 * A path at which the server makes something as root, and which an administrator has typed.
 * Others than root may be able to write to a directory on the way, and must not lead root to a
 * place of their choice: a symbolic link is followed only where nobody but root can have put it.
 * Where the server was not started by root, it has no rights to lend, and links are followed as
 * usual. Any process; no memory of its own.
 */
#ifndef LINK_PLACE_H
#define LINK_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#define PLACE_WHY 1024 /* bytes that a sentence about what is wrong needs at most */

typedef struct place {
    int dir;        /* the directory that it lies in, opened with O_PATH; the caller closes it */
    char name[256]; /* its name there: neither "." nor ".." */
    bool is_roots;  /* only who runs this can remove, or replace, what root has made there */
    bool path_is_roots; /* and turn the path elsewhere */
} place;

/*
 * Finds the place. What is at the path itself is not looked at. False, and in `why`, of PLACE_WHY
 * bytes, a sentence without a full stop.
 */
bool place_open(place *place, const char *path, char *why);
/* The sentence where place.is_roots is needed, and is not. Returns false. */
bool place_is_others(const char *path, char *why);

#endif
