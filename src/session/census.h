/*
 * How many sessions the whole server has, over all its child processes, and what they have been
 * promised: counts per process in shared memory, so that a process that dies takes its own with it.
 * Any thread, any process.
 */
#ifndef WS_CENSUS_H
#define WS_CENSUS_H

#include <apr_pools.h>

/* In the parent, before it forks: room for `processes`. */
apr_status_t ws_census_create(apr_pool_t *pool, int processes);
/* In the parent: this process has ended. */
void ws_census_bury(pid_t pid);

/*
 * Counts a session as of now. False, and not counted, where there are `limit` others (0: no limit).
 */
int ws_census_enter(int limit);
/* One that was counted in this process has ended. */
void ws_census_leave(void);
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
