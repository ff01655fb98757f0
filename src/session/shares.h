/*
 * What users and addresses have asked for lately, over all child processes: a table in shared
 * memory of the time that each has used up.
 *
 * For each key, which stands for a user or an address, there is one number: the time at which all
 * that it has asked for is paid, if it pays at its rate (the theoretical arrival time of the GCRA,
 * ITU-T I.371). It may lie as far in the future as a burst takes at that rate; a key that is beyond
 * that is told for how long to wait. A key whose time has passed owes nothing and is the same as
 * one that was never seen: so nothing is counted up and down, and a process that dies leaves
 * nothing behind.
 *
 * A key has its place in one set of few slots. Where all of them are in use by others, it takes the
 * one that owes least, whose key then begins anew: those that ask for most are remembered, and no
 * key is refused because there are many. Processes do not wait for each other. Where two of them
 * give a slot to different keys at the same moment, one request may be charged to the wrong one, or
 * to none.
 *
 * Any thread, any process.
 */
#ifndef WS_SHARES_H
#define WS_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ws_shares ws_shares;

/* How fast a key pays, and how much it may owe before it has to wait. */
typedef struct ws_share {
    int64_t unit;  /* nanoseconds that one unit of cost takes; 0: no limit */
    int64_t burst; /* nanoseconds that may be owed */
} ws_share;

/* What a key stands for. A name and an address with the same bytes are different keys. */
typedef enum ws_share_kind {
    WS_SHARE_USER = 'u',
    WS_SHARE_ADDRESS = 'a',
} ws_share_kind;

#define WS_SHARES_WAYS 4 /* slots of a set */
/* Seconds beyond the burst from which on a key is refused instead of told to wait. */
#define WS_SHARES_PATIENCE 30
/* Instead of a time to wait: it owes for more than that already, and was not charged. */
#define WS_SHARES_FAR (-1)

/* `per_second` from 0.1 to 1000000 units, or 0: no limit; `at_once` units, to 100000000. */
ws_share ws_share_of(double per_second, int64_t at_once);

/*
 * A table of `sets` sets, a power of 2, of 64 bytes each, with a random seed, for this process and
 * all that it forks. Of that, the system gives memory to what is used. NULL: errno says why.
 */
ws_shares *ws_shares_map(unsigned sets);
void ws_shares_unmap(ws_shares *shares);

/* The key of a user or an address: it depends on the table's seed. Never 0. */
uint64_t ws_shares_key(const ws_shares *shares, ws_share_kind kind, const void *bytes,
                       size_t length);
/*
 * Charges `cost` units to a key (0: to none) at `now`, in microseconds of CLOCK_MONOTONIC. Returns
 * for how many microseconds it should ask for nothing more, or WS_SHARES_FAR.
 */
int64_t ws_shares_charge(ws_shares *shares, uint64_t key, ws_share share, unsigned cost,
                         int64_t now);

#endif
