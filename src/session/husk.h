/*
 * A connection that its session has left, or that has ended: httpd's conn_rec, to be freed. On a
 * reactor's thread.
 */
#ifndef WS_HUSK_H
#define WS_HUSK_H

#include "loop/loop.h"

#include <httpd.h>

/*
 * Closes the connection's socket, and frees the connection when the MPM has let go of it: after a
 * suspend_connection hook has returned, the MPM still writes to it. Its pool's cleanups then
 * correct the MPM's counters.
 */
void ws_husk_bury(ws_loop *loop, conn_rec *c);
/* From any thread: whether none is freed from now on, since the process ends. */
void ws_husks_abandon(bool abandon);

#endif
