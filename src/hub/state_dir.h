/*
 * The directory in which states are remembered: one owner, whole files, no other's files. It has
 * no memory of its own; any thread.
 *
 * Files belong to the directory's owner, whoever writes them: what root wrote once, the server's
 * user can read. What is replaced is always a file that was just made, and no link is followed.
 */
#ifndef HUB_STATE_DIR_H
#define HUB_STATE_DIR_H

#include <stdint.h>

/*
 * Opens and locks a directory, as long as the descriptor is open. Another owner that is about to
 * end is waited for, at most this many microseconds. A descriptor, or a negative errno: -EBUSY, it
 * has another owner.
 */
int state_dir_open(const char *path, int64_t patience);
/* A file's text, to be freed; or NULL with errno. */
char *state_dir_read(int dir, const char *file);
/* Replaces a file as a whole, durably. 0 or an errno. */
int state_dir_replace(int dir, const char *file, const char *text);
/* A node's name as a file name: '/' becomes '_', and unusual characters %XX. To be freed. */
char *state_dir_file_name(const char *node, const char *suffix);

#endif
