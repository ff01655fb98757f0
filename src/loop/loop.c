#include "loop.h"

#include "base/clock.h"
#include "base/container.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Descriptors taken from epoll at once: tasks wait for at most this many. */
#define EVENTS_PER_ROUND 256
/*
 * Late tasks that run in one round. An answer may have to wait for them: together they take well
 * below a millisecond.
 */
#define LATE_PER_ROUND 64
/* The timer wheel: a slot per tick. A later timer stays in its slot for several turns. */
#define WHEEL_SLOTS 256
#define TICK_US     (WS_TICK_MS * 1000)

typedef struct mail {
    struct mail *next;
    void (*run)(void *baton);
    void *baton;
} mail;

struct ws_loop {
    int epoll;
    ws_watch mailbox; /* an eventfd */
    pthread_mutex_t mail_mutex;
    mail *mail_first, **mail_last; /* under mail_mutex */

    bool quit;
    int64_t now;  /* microseconds */
    int64_t tick; /* the last one whose timers have run */
    unsigned timers;
    ws_timer wheel[WHEEL_SLOTS]; /* heads of rings */
    /* Heads of rings: of this round, of this round or a later one, and (unordered) not yet due. */
    ws_task prompt, late, delayed;
};

int64_t ws_loop_now(const ws_loop *loop)
{
    return loop->now;
}

/* ---- descriptors ---- */

bool ws_loop_watch(ws_loop *loop, ws_watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        return false;
    }
    watch->fd = fd;
    watch->events = events;
    return true;
}

void ws_loop_change(ws_loop *loop, ws_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (watch->fd >= 0 && watch->events != events) {
        epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
        watch->events = events;
    }
}

void ws_loop_unwatch(ws_loop *loop, ws_watch *watch)
{
    if (watch->fd >= 0) {
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
        watch->fd = -1;
    }
}

/* ---- timers ---- */

static void link_timer(ws_loop *loop, ws_timer *timer)
{
    ws_timer *head = &loop->wheel[timer->tick % WHEEL_SLOTS];

    timer->next = head;
    timer->previous = head->previous;
    head->previous->next = timer;
    head->previous = timer;
}

static void unlink_timer(ws_timer *timer)
{
    timer->previous->next = timer->next;
    timer->next->previous = timer->previous;
    timer->next = timer->previous = NULL;
}

void ws_timer_clear(ws_loop *loop, ws_timer *timer)
{
    if (timer->next) {
        unlink_timer(timer);
        loop->timers--;
    }
}

void ws_timer_set(ws_loop *loop, ws_timer *timer, int64_t milliseconds)
{
    ws_timer_clear(loop, timer);
    /*
     * Counted from the current tick, not from the last one that has run, which lies far back after
     * a long sleep. The current one is partly over: one more makes sure that the whole time passes.
     */
    timer->tick = loop->now / TICK_US + 1 + (milliseconds + WS_TICK_MS - 1) / WS_TICK_MS;
    link_timer(loop, timer);
    loop->timers++;
}

/* Runs what is due in one slot. A timer that expires may set and clear others. */
static void run_slot(ws_loop *loop)
{
    ws_timer *head = &loop->wheel[loop->tick % WHEEL_SLOTS], due = {0};

    if (head->next == head) {
        return;
    }
    due.next = head->next; /* move the ring to a head of our own */
    due.previous = head->previous;
    due.next->previous = &due;
    due.previous->next = &due;
    head->next = head->previous = head;

    while (due.next != &due) {
        ws_timer *timer = due.next;

        unlink_timer(timer);
        if (timer->tick > loop->tick) {
            link_timer(loop, timer); /* due in a later turn of the wheel */
        } else {
            loop->timers--;
            timer->expired(timer);
        }
    }
}

static void run_timers(ws_loop *loop)
{
    const int64_t current = loop->now / TICK_US;

    /* After a long stop of the process each slot is visited once. */
    if (current - loop->tick > WHEEL_SLOTS) {
        loop->tick = current - WHEEL_SLOTS;
    }
    while (loop->tick < current) {
        loop->tick++;
        run_slot(loop);
    }
}

/* ---- tasks ---- */

static void link_task(ws_task *head, ws_task *task)
{
    task->next = head;
    task->previous = head->previous;
    head->previous->next = task;
    head->previous = task;
}

void ws_loop_cancel(ws_loop *loop, ws_task *task)
{
    (void)loop;
    if (task->next) {
        task->previous->next = task->next;
        task->next->previous = task->previous;
        task->next = task->previous = NULL;
    }
}

void ws_loop_defer(ws_loop *loop, ws_task *task)
{
    if (task->next && task->later) {
        ws_loop_cancel(loop, task);
    }
    if (!task->next) {
        task->later = false;
        link_task(&loop->prompt, task);
    }
}

void ws_loop_defer_late(ws_loop *loop, ws_task *task)
{
    if (!task->next) {
        task->later = true;
        link_task(&loop->late, task);
    }
}

void ws_loop_delay(ws_loop *loop, ws_task *task, int milliseconds)
{
    if (!task->next) {
        task->later = true;
        task->due = loop->now + milliseconds * INT64_C(1000);
        link_task(&loop->delayed, task);
    }
}

static bool is_empty(const ws_task *head)
{
    return head->next == head;
}

/* Moves tasks that have become due to this round's. */
static void run_delayed(ws_loop *loop)
{
    for (ws_task *task = loop->delayed.next, *next; task != &loop->delayed; task = next) {
        next = task->next;
        if (task->due <= loop->now) {
            ws_loop_defer(loop, task);
        }
    }
}

/*
 * Runs at most `most` tasks of those queued until now; those queued by them run in a later round.
 */
static void run_queue(ws_loop *loop, ws_task *head, unsigned most)
{
    ws_task end = {0}; /* marks where this round's tasks stop */

    link_task(head, &end);
    while (head->next != &end && most-- > 0) {
        ws_task *task = head->next;

        ws_loop_cancel(loop, task);
        task->run(task);
    }
    ws_loop_cancel(loop, &end);
}

static void run_tasks(ws_loop *loop)
{
    run_queue(loop, &loop->prompt, UINT_MAX);
    run_queue(loop, &loop->late, LATE_PER_ROUND);
}

/* ---- the mailbox ---- */

void ws_loop_post(ws_loop *loop, void (*run)(void *baton), void *baton)
{
    mail *letter = malloc(sizeof *letter);
    const uint64_t one = 1;
    bool wake;

    if (!letter) {
        base_out_of_memory();
    }
    *letter = (mail){.run = run, .baton = baton};
    pthread_mutex_lock(&loop->mail_mutex);
    wake = loop->mail_first == NULL;
    *loop->mail_last = letter;
    loop->mail_last = &letter->next;
    if (wake) {
        /* Within the lock: the loop's thread may free the loop once it has read this. */
        while (write(loop->mailbox.fd, &one, sizeof one) < 0 && errno == EINTR) {
        }
    }
    pthread_mutex_unlock(&loop->mail_mutex);
}

static void read_mail(ws_watch *watch, uint32_t events)
{
    ws_loop *loop = container_of(watch, ws_loop, mailbox);
    uint64_t count;
    mail *letter;

    (void)events;
    pthread_mutex_lock(&loop->mail_mutex);
    while (read(loop->mailbox.fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
    letter = loop->mail_first;
    loop->mail_first = NULL;
    loop->mail_last = &loop->mail_first;
    pthread_mutex_unlock(&loop->mail_mutex);

    while (letter) {
        mail *next = letter->next;

        letter->run(letter->baton);
        free(letter);
        letter = next;
    }
}

/* ---- life ---- */

ws_loop *ws_loop_create(void)
{
    ws_loop *loop = calloc(1, sizeof *loop);
    int fd;

    if (!loop) {
        return NULL;
    }
    loop->mailbox.fd = -1;
    loop->mailbox.ready = read_mail;
    loop->mail_last = &loop->mail_first;
    loop->prompt.next = loop->prompt.previous = &loop->prompt;
    loop->late.next = loop->late.previous = &loop->late;
    loop->delayed.next = loop->delayed.previous = &loop->delayed;
    loop->now = base_monotonic_us();
    loop->tick = loop->now / TICK_US;
    for (int i = 0; i < WHEEL_SLOTS; i++) {
        loop->wheel[i].next = loop->wheel[i].previous = &loop->wheel[i];
    }
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || fd < 0 || !ws_loop_watch(loop, &loop->mailbox, fd, EPOLLIN)) {
        const int error = errno;

        if (fd >= 0) {
            close(fd);
        }
        if (loop->epoll >= 0) {
            close(loop->epoll);
        }
        free(loop);
        errno = error;
        return NULL;
    }
    pthread_mutex_init(&loop->mail_mutex, NULL);
    return loop;
}

void ws_loop_destroy(ws_loop *loop)
{
    do {
        read_mail(&loop->mailbox, 0);
    } while (loop->mail_first); /* what was read may have posted more; no other thread posts now */
    pthread_mutex_destroy(&loop->mail_mutex);
    close(loop->mailbox.fd);
    close(loop->epoll);
    free(loop);
}

void ws_loop_quit(ws_loop *loop)
{
    loop->quit = true;
}

/* Milliseconds that epoll may sleep at most; -1: no limit. */
static int patience(const ws_loop *loop, bool bounded)
{
    int64_t next = bounded ? loop->now + 2 * TICK_US : INT64_MAX;

    if (!is_empty(&loop->prompt) || !is_empty(&loop->late)) {
        return 0;
    }
    if (loop->timers > 0) {
        next = (loop->now / TICK_US + 1) * TICK_US;
    }
    for (const ws_task *task = loop->delayed.next; task != &loop->delayed; task = task->next) {
        next = task->due < next ? task->due : next;
    }
    if (next == INT64_MAX) {
        return -1;
    }
    return next > loop->now ? (int)((next - loop->now + 999) / 1000) : 0;
}

void ws_loop_run(ws_loop *loop, void (*every_round)(void *baton), void *baton)
{
    struct epoll_event events[EVENTS_PER_ROUND];

    loop->now = base_monotonic_us();
    while (!loop->quit) {
        int n =
            epoll_wait(loop->epoll, events, EVENTS_PER_ROUND, patience(loop, every_round != NULL));

        loop->now = base_monotonic_us();
        for (int i = 0; i < n; i++) {
            ws_watch *watch = events[i].data.ptr;

            if (watch->fd >= 0) { /* not removed by an earlier one of this round */
                watch->ready(watch, events[i].events);
            }
        }
        run_timers(loop);
        run_delayed(loop);
        if (every_round) {
            every_round(baton);
        }
        run_tasks(loop);
    }
    loop->quit = false;
}
