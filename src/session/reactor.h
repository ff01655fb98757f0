/*
 * A reactor: a loop with the sessions that it carries. In an asynchronous MPM each child process
 * has one on a thread of its own; in the others a worker thread has one while it serves a session.
 */
#ifndef WS_REACTOR_H
#define WS_REACTOR_H

#include "session.h"
#include "transport.h"

struct ws_reactor {
    ws_loop *loop;
    int stop_code;     /* 0, or the Close code that ends every session, present and future */
    unsigned sessions; /* that have begun and are not freed yet */
    bool draining;     /* its loop quits with the last of them */
    /* Sessions by id: an open hash, a power of 2 of chains, linked through the sessions. */
    clowntalk_session **table;
    unsigned table_size;
    apr_uint64_t next_id;
    uint8_t scratch[WS_SCRATCH_BYTES]; /* for reading */
    const clowntalk_session *reading;  /* whose messages are being handled; NULL: nobody's */
    ws_deflate *compressor;            /* for all its sessions; made when the first one begins */
    ws_batch *batch; /* for publications to many; NULL: there is none, or none was needed */
    bool batch_tried;
    unsigned number; /* among the process's reactors: the upper bits of session ids */
    /* What a handler keeps per reactor: the link to the hub. Freed with the reactor. */
    void *attachment;
    void (*release_attachment)(void *attachment);
    ws_reactor *next; /* in the process's list */
};

/* ---- any thread ---- */

/* Once per child process, before any other. */
void ws_reactors_init(void);
/* Starts the process's own reactor on a thread. For asynchronous MPMs; APR_SUCCESS or why not. */
apr_status_t ws_reactor_start(void);
/*
 * Hands a session to the process's own reactor, and its connection: who frees that waits for the
 * reactor's end.
 */
void ws_reactor_adopt(clowntalk_session *session, conn_rec *c);
/* Ends every session of the process with a Close of this code. Does not wait. */
void ws_reactors_stop(int code);
/*
 * Ends the process's own reactor, and waits for that: for every session to say goodbye, which takes
 * seconds at most. Nobody may hand it any more. Sessions that have not been told why are going away
 * (1001).
 */
void ws_reactor_join(void);
/* clowntalk_post() of mod_clowntalk.h. */
apr_status_t ws_reactor_post(apr_uint64_t id, void (*run)(clowntalk_session *, void *),
                             void *baton);

/*
 * Serves one session on the calling worker thread until it has ended. `stopping` is asked about
 * twice a second whether the process is about to end: 0, or the Close code.
 */
apr_status_t ws_reactor_serve(clowntalk_session *session, int (*stopping)(void));

/* ---- the reactor's thread: for session.c ---- */

void ws_reactor_enter(ws_reactor *reactor, clowntalk_session *session);
void ws_reactor_leave(ws_reactor *reactor, clowntalk_session *session);

#endif
