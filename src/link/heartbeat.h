/*
 * A hub that hangs is told from one that has nothing to do by its heartbeat: the owner's thread
 * counts up once a second, in memory that the guardian shares. A bus that is stuck stops only that
 * bus's thread, and not this.
 */
#ifndef LINK_HEARTBEAT_H
#define LINK_HEARTBEAT_H

#include "loop/loop.h"

#include <stdatomic.h>
#include <stdbool.h>

/* ---- the guardian's side: made before the hub is forked ---- */

typedef struct heartbeat {
    atomic_uint *beats; /* shared with the hub */
    unsigned seen;      /* beats at the last look */
    unsigned silent;    /* looks in a row that saw no new one */
} heartbeat;

/* False with errno without memory. */
bool heartbeat_create(heartbeat *h);
/* A new hub is about to be forked. */
void heartbeat_reset(heartbeat *h);
/*
 * To be called about once a second. How many times in a row, this one included, it has seen no
 * beat: a guardian that was stopped together with its hub, or a machine that slept, has looked once
 * only.
 */
unsigned heartbeat_look(heartbeat *h);
/* Whether the hub has beaten at all, so that it is past its start. */
bool heartbeat_has_begun(const heartbeat *h);

/* ---- the hub's side: the owner's thread ---- */

typedef struct heart {
    ws_task beat;
    ws_loop *loop;
    atomic_uint *beats;
} heart;

/* Beats at once, and from then on once a second while the loop runs. */
void heart_start(heart *heart, ws_loop *loop, const heartbeat *h);
void heart_stop(heart *heart);

#endif
