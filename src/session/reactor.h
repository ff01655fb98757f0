/*
 * A reactor: a loop with the sessions that it carries, and what they share. It knows a session by
 * its place only: what it does is session.h's, and which reactors a process has is reactors.h's.
 *
 * All of it is for the reactor's own thread.
 */
#ifndef WS_REACTOR_H
#define WS_REACTOR_H

#include "batch.h"
#include "loop/loop.h"
#include "mod_clowntalk.h"
#include "transport.h"
#include "websocket/deflate.h"

#include <stdbool.h>
#include <stdint.h>

/* A session's place in its reactor, embedded in it. */
typedef struct ws_place {
    apr_uint64_t id; /* never 0, and never used again in this process */
    clowntalk_session *session;
    struct ws_place *next; /* in its chain */
} ws_place;

typedef struct ws_reactor {
    ws_loop *loop;
    unsigned number;   /* among the process's reactors: the upper bits of session ids */
    int stop_code;     /* 0, or the Close code that ends every session, present and future */
    unsigned sessions; /* that have entered and not left */
    bool draining;     /* its loop quits with the last of them */
    bool untidy;       /* sessions have taken much memory: they had to wait, or were many */
    ws_timer tidy;     /* set when one has left then: gives memory back to the system */
    /* Places by id: an open hash, a power of 2 of chains. */
    ws_place **table;
    unsigned table_size;
    apr_uint64_t last_id;
    uint8_t scratch[WS_SCRATCH_BYTES]; /* for reading: one read of one session */
    const clowntalk_session *reading;  /* whose messages are being handled; NULL: none */
    int64_t portion;                   /* what may be carried out for that one in this turn */
    size_t put_back;        /* bytes that its handler leaves of the message it is given */
    ws_deflate *compressor; /* for all its sessions; made when the first one enters */
    ws_batch *batch;        /* for publications to many; made for the first of them */
    /* What a handler keeps per reactor: the link to the hub. Freed with the reactor. */
    void *attachment;
    void (*release_attachment)(void *attachment);
} ws_reactor;

/* NULL where descriptors have run out (errno). */
ws_reactor *ws_reactor_create(void);
/* Nothing may be in it. */
void ws_reactor_destroy(ws_reactor *reactor);

/* Gives a session its id, and a place. `number` must be set. */
void ws_reactor_enter(ws_reactor *reactor, ws_place *place, clowntalk_session *session);
void ws_reactor_leave(ws_reactor *reactor, ws_place *place);
/* NULL where no session has this id. */
clowntalk_session *ws_reactor_find(ws_reactor *reactor, apr_uint64_t id);
/* Calls `visit` for each session; it must not make any leave. */
void ws_reactor_visit(ws_reactor *reactor, void (*visit)(clowntalk_session *session, void *baton),
                      void *baton);
/* The number of the reactor that a session id names. */
unsigned ws_reactor_number_of(apr_uint64_t id);

#endif
