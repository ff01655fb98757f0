/*
 * Where states are remembered (ClownTalkStateDir), as far as that is root's business: the directory
 * is made, and given to the server's user. Root gives away nothing but what it has just made. What
 * the hub does with the directory is in hub/state_dir.h. httpd's parent process.
 */
#ifndef LINK_STATE_PLACE_H
#define LINK_STATE_PLACE_H

#include "place.h"

#include <sys/types.h>

/*
 * Whether the directory is the user's, or can be made. Without root's rights, `user` is not looked
 * at. False, and in `why`, of PLACE_WHY bytes, a sentence without a full stop.
 */
bool state_place_check(const char *path, uid_t user, char *why);
/* Makes it where it does not exist. False where there is none for this user afterwards, and why. */
bool state_place_make(const char *path, uid_t user, gid_t group, char *why);

#endif
