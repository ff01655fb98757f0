/*
 * An event loop: descriptors, coarse timers, deferred tasks and a mailbox, for one thread.
 *
 * In an asynchronous MPM (event) one loop per child process, on a thread of its own, carries all
 * sessions; in the others each worker thread runs a loop for its one session. The link to the hub
 * and the hub's own process use it, too. Only ws_loop_post() may be called from other threads;
 * everything else is for the loop's own thread.
 */
#ifndef WS_LOOP_H
#define WS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define WS_TICK_MS 250 /* timers are rounded up to a multiple of it */

typedef struct ws_loop ws_loop;

/* A watched descriptor. Embedded in its owner; must outlive the round in which it is removed. */
typedef struct ws_watch {
    void (*ready)(struct ws_watch *watch, uint32_t events); /* EPOLLIN ... */
    int fd;                                                 /* -1: not watched */
    uint32_t events;                                        /* that epoll reports */
} ws_watch;

/* A timer. Embedded; all zero is a cleared one. */
typedef struct ws_timer {
    void (*expired)(struct ws_timer *timer);
    struct ws_timer *next, *previous; /* in its slot; NULL: not set */
    int64_t tick;                     /* when it expires */
} ws_timer;

/* A function to call at the end of this or a later round. Embedded; all zero is not queued. */
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
 * Runs until ws_loop_quit(); it may be run again. `every_round`, unless it is NULL, is called at
 * least every two ticks: for a thread that has to check a state whose change cannot wake the loop.
 */
void ws_loop_run(ws_loop *loop, void (*every_round)(void *baton), void *baton);
void ws_loop_quit(ws_loop *loop);

/* False with errno where epoll refuses. */
bool ws_loop_watch(ws_loop *loop, ws_watch *watch, int fd, uint32_t events);
void ws_loop_change(ws_loop *loop, ws_watch *watch, uint32_t events);
void ws_loop_unwatch(ws_loop *loop, ws_watch *watch); /* before the descriptor is closed */

void ws_timer_set(ws_loop *loop, ws_timer *timer, int64_t milliseconds);
void ws_timer_clear(ws_loop *loop, ws_timer *timer);

/*
 * Three ways to queue a task. One that is queued already stays where it is; only ws_loop_defer()
 * moves a late or delayed one forward.
 */
/* Runs at the end of this round; a task that is queued by another task, at the end of the next. */
void ws_loop_defer(ws_loop *loop, ws_task *task);
/*
 * For tasks of which there may be thousands at once: at most 64 of them run in a round, in the
 * order in which they were queued, so that in between the loop reads and answers.
 */
void ws_loop_defer_late(ws_loop *loop, ws_task *task);
/* Runs after some milliseconds: finer than a timer. Each round looks at all delayed tasks. */
void ws_loop_delay(ws_loop *loop, ws_task *task, int milliseconds);
/* Takes it out of its queue, if it is in one. */
void ws_loop_cancel(ws_loop *loop, ws_task *task);

/* From any thread: `run` is called once on the loop's thread. */
void ws_loop_post(ws_loop *loop, void (*run)(void *baton), void *baton);

/* Monotonic time in microseconds as of this round. */
int64_t ws_loop_now(const ws_loop *loop);

#endif
