#include "heartbeat.h"

#include "base/container.h"

#include <sys/mman.h>

#define BEAT_MS 1000

/* ---- the guardian's side ---- */

bool heartbeat_create(heartbeat *h)
{
    void *shared =
        mmap(NULL, sizeof *h->beats, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED) {
        return false;
    }
    *h = (heartbeat){.beats = shared};
    return true;
}

void heartbeat_reset(heartbeat *h)
{
    atomic_store(h->beats, 0);
    h->seen = 0;
    h->silent = 0;
}

unsigned heartbeat_look(heartbeat *h)
{
    const unsigned beats = atomic_load(h->beats);

    h->silent = beats == h->seen ? h->silent + 1 : 0;
    h->seen = beats;
    return h->silent;
}

bool heartbeat_has_begun(const heartbeat *h)
{
    return h->seen > 0;
}

/* ---- the hub's side ---- */

static void on_beat(ws_task *task)
{
    heart *heart = container_of(task, struct heart, beat);

    atomic_fetch_add(heart->beats, 1);
    ws_loop_delay(heart->loop, &heart->beat, BEAT_MS);
}

void heart_start(heart *heart, ws_loop *loop, const heartbeat *h)
{
    heart->beat = (ws_task){.run = on_beat};
    heart->loop = loop;
    heart->beats = h->beats;
    ws_loop_defer(loop, &heart->beat);
}

void heart_stop(heart *heart)
{
    ws_loop_cancel(heart->loop, &heart->beat);
}
