/*
 * How many sessions the whole server has, over all its child processes: a count per process in
 * shared memory, so that a process that dies takes its count with it. Any thread, any process.
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

#endif
