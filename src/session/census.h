/*
 * How many sessions the whole server has, over all its child processes, how many of them are each
 * user's and each address's, and what they have been promised: counts per process in shared memory,
 * so that a process that dies takes its own with it. Any thread, any process.
 */
#ifndef WS_CENSUS_H
#define WS_CENSUS_H

#include "payer.h"

#include <apr_pools.h>

/*
 * In the parent, before it forks: room for `processes`, and in each of them for `keys` users and
 * addresses, a power of 2, of which the sessions are counted; 0: they are not. A key has 8 bytes.
 */
apr_status_t ws_census_create(apr_pool_t *pool, int processes, unsigned keys);
/* In the parent: this process has ended. */
void ws_census_bury(pid_t pid);

/* Why a session is not let in. */
typedef enum ws_census_answer {
    WS_CENSUS_ENTERED = 0,
    WS_CENSUS_FULL,         /* there are as many as there may be */
    WS_CENSUS_FULL_USER,    /* the same, of this user */
    WS_CENSUS_FULL_ADDRESS, /* the same, of this address */
} ws_census_answer;

/*
 * Counts a session as of now; where it is not let in, it is not counted. `limit` is that of all
 * sessions together (0: no limit). Where a process has no room for another user or address, that
 * one is let in and not counted: none is refused for others.
 */
ws_census_answer ws_census_enter(int limit, const ws_payer *payer, const ws_payer_limits *limits);
/* One that was counted in this process has ended. */
void ws_census_leave(const ws_payer *payer);
/* The number of sessions. */
unsigned ws_census_total(void);

/*
 * Counts bytes that a session of this process may come to take, beside what each takes. False, and
 * not counted, where all sessions' would be more than `limit`. 0 bytes are always there.
 */
int ws_census_reserve(size_t bytes, size_t limit);
/* What was counted in this process is free again. */
void ws_census_release(size_t bytes);

#endif
