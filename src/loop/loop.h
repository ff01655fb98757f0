/*
 * An event loop: descriptors, coarse timers, deferred tasks and a mailbox, for one thread.
 *
 * It serves two shapes. In an asynchronous MPM (event) one loop per child process, on a thread of
 * its own, carries all sessions; in the others each worker thread runs a loop for its one session.
 * Only ws_loop_post() may be called from other threads; everything else is for the loop's own
 * thread.
 */
#ifndef WS_LOOP_H
#define WS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define WS_TICK_MS 250 /* what timers are rounded up to */

typedef struct ws_loop ws_loop;

/*
 * A descriptor that is watched. Embedded in its owner; must outlive the round in which it is
 * removed.
 */
typedef struct ws_watch {
    void (*ready)(struct ws_watch *watch, uint32_t events); /* EPOLLIN ... */
    int fd;                                                 /* -1: not watched */
    uint32_t events;                                        /* what epoll was asked for */
} ws_watch;

/* A timer. Embedded; all zero is a cleared one. */
typedef struct ws_timer {
    void (*expired)(struct ws_timer *timer);
    struct ws_timer *next, *previous; /* in its slot; NULL: not set */
    int64_t tick;                     /* when it expires */
} ws_timer;

/*
 * Something to do at the end of the current round, or of one soon. Embedded; all zero is one that
 * is not queued.
 */
typedef struct ws_task {
    void (*run)(struct ws_task *task);
    struct ws_task *next, *previous; /* in its queue's ring; NULL: not queued */
    bool later;                      /* late or delayed: ws_loop_defer() moves it forward */
    int64_t due;                     /* a delayed one: microseconds of the loop's clock */
} ws_task;

/* NULL where the system refuses descriptors (errno says why). */
ws_loop *ws_loop_create(void);
/* Runs the mail that is left and frees the loop. Watches, timers and tasks must be gone. */
void ws_loop_destroy(ws_loop *loop);

/*
 * Runs until ws_loop_quit(). `every_round`, where given, is called at least every two ticks: for a
 * thread that has to look at something that cannot wake it.
 */
void ws_loop_run(ws_loop *loop, void (*every_round)(void *baton), void *baton);
void ws_loop_quit(ws_loop *loop);

/* False with errno where epoll refuses. */
bool ws_loop_watch(ws_loop *loop, ws_watch *watch, int fd, uint32_t events);
void ws_loop_change(ws_loop *loop, ws_watch *watch, uint32_t events);
void ws_loop_unwatch(ws_loop *loop, ws_watch *watch); /* before the descriptor is closed */

void ws_timer_set(ws_loop *loop, ws_timer *timer, int64_t milliseconds);
void ws_timer_clear(ws_loop *loop, ws_timer *timer);
/* Runs at the end of the round, or of the next one where it was queued by a task. */
void ws_loop_defer(ws_loop *loop, ws_task *task);
/*
 * The same for what there may be thousands of at once: runs when its turn comes, a number of them
 * in each round, so that meanwhile what comes in is read and answered.
 */
void ws_loop_defer_late(ws_loop *loop, ws_task *task);
/* Runs after some milliseconds: finer than a timer, and meant for a loop that has few of them. */
void ws_loop_delay(ws_loop *loop, ws_task *task, int milliseconds);
/*
 * A task that is queued already stays where it is; only ws_loop_defer() moves a late or delayed one
 * forward.
 */
void ws_loop_cancel(ws_loop *loop, ws_task *task);

/* From any thread: `run` is called once on the loop's thread. */
void ws_loop_post(ws_loop *loop, void (*run)(void *baton), void *baton);

/* Monotonic time in microseconds as of this round. */
int64_t ws_loop_now(const ws_loop *loop);

#endif
