/*
 * The reactors of a child process: which there are, how a session gets to one, and their end. In an
 * asynchronous MPM (event) the process has one of its own, on a thread of its own, with all
 * sessions; in the others a worker thread has one while it serves a session.
 *
 * Any thread, unless a function says otherwise.
 */
#ifndef WS_REACTORS_H
#define WS_REACTORS_H

#include "session.h"

/* Once per child process, before any other. */
void ws_reactors_init(void);
/* Starts the process's own reactor on a thread. For asynchronous MPMs; APR_SUCCESS or why not. */
apr_status_t ws_reactor_start(void);
/*
 * Hands a session to the process's own reactor, and its connection: freeing that waits for the
 * reactor's end.
 */
void ws_reactor_adopt(clowntalk_session *session, conn_rec *c);
/* Ends every session of the process with a Close of this code. Does not wait. */
void ws_reactors_stop(int code);
/*
 * Ends the process's own reactor, and waits for that: for every session to say goodbye, which takes
 * seconds at most. No session may be handed over after this. Sessions that have no Close yet get
 * 1001, going away.
 */
void ws_reactor_join(void);
/* clowntalk_post() of mod_clowntalk.h. */
apr_status_t ws_reactor_post(apr_uint64_t id, void (*run)(clowntalk_session *, void *),
                             void *baton);

/*
 * Serves one session on the calling worker thread until it has ended. `stopping` is called about
 * twice a second: 0, or the Close code where the process is about to end.
 */
apr_status_t ws_reactor_serve(clowntalk_session *session, int (*stopping)(void));

#endif
