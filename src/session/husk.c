#include "husk.h"

#include "base/container.h"

#include <http_core.h>

#include <apr_network_io.h>

/*
 * A connection may be freed when the MPM was seen to have let go of it this often, at looks that
 * are this far apart.
 */
#define RELEASE_LOOKS    3
#define RELEASE_APART_MS 250

/* In the pool that it frees. */
typedef struct husk {
    ws_timer timer;
    ws_loop *loop;
    conn_rec *c;
    unsigned released; /* looks at which the MPM had let go of c */
} husk;

static bool abandoned;

void ws_husks_abandon(bool abandon)
{
    __atomic_store_n(&abandoned, abandon, __ATOMIC_RELEASE);
}

/*
 * After the suspend hook has returned, the MPM still writes c->sbh = NULL and, behind it, a flag of
 * its own; then it takes the connection's socket off the list of those that its workers are busy
 * with, and which it closes where it is told to stop. Only when the first was seen, and two timers
 * have run out since, may the connection be freed. Two, since a process that was stopped in between
 * finds one of them expired when it goes on, before the MPM's thread has done anything.
 */
static void free_when_released(ws_timer *timer)
{
    husk *h = container_of(timer, husk, timer);

    if (__atomic_load_n(&abandoned, __ATOMIC_ACQUIRE)) {
        return;
    }
    if (__atomic_load_n((void *volatile *)&h->c->sbh, __ATOMIC_ACQUIRE) == NULL) {
        h->released++;
    }
    if (h->released >= RELEASE_LOOKS) {
        apr_pool_destroy(h->c->pool);
    } else {
        ws_timer_set(h->loop, &h->timer, RELEASE_APART_MS);
    }
}

void ws_husk_bury(ws_loop *loop, conn_rec *c)
{
    husk *h = apr_pcalloc(c->pool, sizeof *h);

    *h = (husk){.timer.expired = free_when_released, .loop = loop, .c = c};
    c->aborted = 1; /* whatever a cleanup may think of writing */
    apr_socket_close(ap_get_conn_socket(c));
    ws_timer_set(loop, &h->timer, 0);
}
