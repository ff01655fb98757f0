/*
 * Memory that was taken for much at once is given back to the system. The C library keeps what lies
 * below memory that is in use, and a few values that are remembered while megabytes are on the
 * heap keep them for good. Loop's thread only.
 */
#ifndef LINK_TIDY_H
#define LINK_TIDY_H

#include "loop/loop.h"

#include <stdbool.h>

#define TIDY_MS 3000

typedef struct tidy {
    ws_loop *loop;
    ws_timer timer; /* set: there is something to give back */
    bool again;     /* more was taken since the timer was set */
} tidy;

void tidy_create(tidy *tidy, ws_loop *loop);
/*
 * Much was taken, and will have been freed soon. The memory is given back when for TIDY_MS no more
 * has been taken: not in the middle of work, and so not more often than that.
 */
void tidy_later(tidy *tidy);
void tidy_destroy(tidy *tidy);

#endif
