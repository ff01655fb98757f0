#include "tidy.h"

#include "base/container.h"

#include <malloc.h>

static void on_timer(ws_timer *timer)
{
    tidy *tidy = container_of(timer, struct tidy, timer);

    if (tidy->again) {
        tidy->again = false;
        ws_timer_set(tidy->loop, timer, TIDY_MS);
    } else {
        malloc_trim(0);
    }
}

void tidy_create(tidy *tidy, ws_loop *loop)
{
    *tidy = (struct tidy){.loop = loop, .timer.expired = on_timer};
}

void tidy_later(tidy *tidy)
{
    if (tidy->timer.next) {
        tidy->again = true;
    } else {
        ws_timer_set(tidy->loop, &tidy->timer, TIDY_MS);
    }
}

void tidy_destroy(tidy *tidy)
{
    ws_timer_clear(tidy->loop, &tidy->timer);
}
