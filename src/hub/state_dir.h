/*
 * The directory in which states are remembered: one owner, whole files, no other's files. It has
 * no memory of its own; any thread.
 *
 * Files belong to the directory's owner, whoever writes them: what root wrote once, the server's
 * user can read. What is replaced is always a file that was just made, and no link is followed.
 */
#ifndef HUB_STATE_DIR_H
#define HUB_STATE_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Opens and locks a directory, as long as the descriptor is open. Another process that is about to
 * unlock it is waited for, at most this many microseconds. `user`: to whom it must belong, 0: to
 * anybody. A descriptor, or a negative errno: -EBUSY, another process has locked it; -ELOOP, it is
 * a symbolic link; -EPERM, it belongs to another user.
 */
int state_dir_open(const char *path, uid_t user, int64_t patience);
/*
 * Whether a path names the directory that is open here; not if by a symbolic link. Where this user
 * may not look at the path: whether the directory exists.
 */
bool state_dir_is_at(int dir, const char *path);
/* A file's text, to be freed; or NULL with errno. */
char *state_dir_read(int dir, const char *file);
/* Replaces a file as a whole, durably. 0 or an errno. */
int state_dir_replace(int dir, const char *file, const char *text);
/* A node's name as a file name: '/' becomes '_', and unusual characters %XX. To be freed. */
char *state_dir_file_name(const char *node, const char *suffix);

#endif
