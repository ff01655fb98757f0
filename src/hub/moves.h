/*
 * Which relays may have moved since their states were recorded: the file NODE.moving. It is written
 * before the move, so it remains when the process dies, and a hub that finds a relay there does not
 * know the position of its contact.
 *
 * The file has places of a fixed size, a line each: the relay's topic, and the word "pulse" where a
 * pulse was begun, which has to be ended. They are there before they are needed, so that a full
 * disk has room for them. A file that is empty, or is none of ours, says nothing about any relay.
 *
 * A note that had to be on disk is not removed at once, but marked with the word "rest": who
 * switches again soon need not wait for the disk again. Such a relay has not moved as long as the
 * machine runs, but after a power cut it may have: the mark may have come to the disk, and a note
 * after it not.
 *
 * Not locked: its owner (state.c) does that, since places are taken by one thread and freed by
 * another.
 */
#ifndef HUB_MOVES_H
#define HUB_MOVES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct moves moves;

/* `dir` is a directory's descriptor, `file` the name; both outlive it. Never NULL. */
moves *moves_create(int dir, const char *file);
void moves_free(moves *moves);
/*
 * Reads what an earlier hub has left: `found` is called for each relay that may have moved.
 * `same_boot`: the machine was not started since. 0 or an errno; -1: it says nothing, so that any
 * relay may have moved.
 */
int moves_read(moves *moves, bool same_boot,
               void (*found)(void *baton, const char *topic, bool pulse), void *baton);
/*
 * Makes it a file that notes can be written to, with all that are known. 0 or an errno. `anew`: it
 * is replaced even if it looks right.
 */
int moves_prepare(moves *moves, bool anew);

/*
 * A relay is about to move. 0 or an errno; in `fresh` whether the note may not be on disk before
 * moves_sync(). Each call is to be followed by moves_end().
 */
int moves_begin(moves *moves, const char *topic, bool pulse, bool *fresh);
/* How many notes were written ever. */
uint64_t moves_written(const moves *moves);
/* Waits for the disk. 0 or an errno. It uses nothing but the names: no lock is needed. */
int moves_sync(const moves *moves);
/* That was done; `written`: what moves_written() said before. */
void moves_synced(moves *moves, uint64_t written);
/* The move is over. Its note stays until the state is recorded. */
void moves_end(moves *moves, const char *topic);
/* Whether the relay pulses, as far as moves are over: one that is not may begin a pulse still. */
void moves_set_pulse(moves *moves, const char *topic, bool pulse);

/* What is being recorded now says all about relays that do not move now ... */
void moves_mark(moves *moves);
/*
 * ... and is recorded: their notes go, but for relays that began to move since. `now`, in
 * microseconds: those that were on disk rest; 0: they go, too.
 */
void moves_settle(moves *moves, int64_t now);
/* Removes the notes that have rested since `before`. Whether there were any. */
bool moves_forget_rested(moves *moves, int64_t before);

/*
 * A note could not be written: whatever the directory claims about a contact must not be believed.
 * Makes the notes say nothing. 0 or an errno.
 */
int moves_distrust(const moves *moves);

#endif
