/*
 * The event loop (src/loop/loop.h): timers, tasks and watches on a clock of the test's own; then
 * the mailbox with real threads, also while the loop ends. Run under ThreadSanitizer and
 * AddressSanitizer it says more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/container.h"
#include "loop/loop.h"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define TICK_US     (WS_TICK_MS * INT64_C(1000))
#define WHEEL_TICKS 256 /* once round the wheel */
#define HOUR_US     (3600 * INT64_C(1000000))

/* ---- the clock: the linker leads the loop here ---- */

static bool own_clock; /* the loop never sleeps; its time passes at once */
static int64_t own_us = HOUR_US;
static void (*on_long_sleep)(void); /* what wakes a loop that has no timer, after an hour */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __real_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    if (!own_clock) {
        return __real_clock_gettime(id, t);
    }
    t->tv_sec = (time_t)(own_us / 1000000);
    t->tv_nsec = (long)(own_us % 1000000) * 1000;
    return 0;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds)
{
    int n;

    if (!own_clock) {
        return __real_epoll_wait(epoll, events, most, milliseconds);
    }
    n = __real_epoll_wait(epoll, events, most, 0);
    if (n == 0 && milliseconds < 0) {
        assert_non_null(on_long_sleep); /* otherwise nobody would wake it */
        own_us += HOUR_US;
        on_long_sleep();
        return __real_epoll_wait(epoll, events, most, 0);
    }
    if (n == 0) {
        own_us += milliseconds * INT64_C(1000);
    }
    assert_true(own_us < 50 * HOUR_US); /* otherwise it goes round and round for nothing */
    return n;
}

static uint32_t random_number(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 32);
}

static int on_own_clock(void **state)
{
    own_clock = true;
    own_us += HOUR_US + random_number() % 1000000; /* somewhere within a tick */
    *state = ws_loop_create();
    return *state ? 0 : -1;
}

static int on_real_clock(void **state)
{
    own_clock = false;
    *state = NULL;
    return 0;
}

static int destroy(void **state)
{
    if (*state) {
        ws_loop_destroy(*state);
    }
    return 0;
}

/* ---- timers ---- */

typedef struct alarm_clock {
    ws_timer timer;
    ws_loop *loop;
    int64_t set_at, milliseconds; /* what was asked for last */
    unsigned rung;
    int64_t rung_at;
    struct alarm_clock *stops, *sets; /* what it does to others when it rings */
    int64_t sets_to;
} alarm_clock;

static void set(alarm_clock *a, int64_t milliseconds)
{
    a->set_at = own_us;
    a->milliseconds = milliseconds;
    ws_timer_set(a->loop, &a->timer, milliseconds);
}

static void ring(ws_timer *timer)
{
    alarm_clock *a = container_of(timer, alarm_clock, timer);
    const int64_t passed = own_us - a->set_at;

    assert_true(ws_loop_now(a->loop) == own_us);
    assert_true(passed >= a->milliseconds * 1000);
    a->rung++;
    a->rung_at = own_us;
    if (a->stops) {
        ws_timer_clear(a->loop, &a->stops->timer);
    }
    if (a->sets) {
        set(a->sets, a->sets_to);
    }
}

static void init_clock(alarm_clock *a, ws_loop *loop)
{
    *a = (alarm_clock){.timer.expired = ring, .loop = loop};
}

static void quit(ws_timer *timer)
{
    ws_loop_quit(container_of(timer, alarm_clock, timer)->loop);
}

/* Runs the loop for so long, with a look at every round where one is given. */
static void run_for(ws_loop *loop, int64_t milliseconds, void (*look)(void *), void *baton)
{
    alarm_clock end = {.timer.expired = quit, .loop = loop};

    set(&end, milliseconds);
    ws_loop_run(loop, look, baton);
}

static bool is_in_time(const alarm_clock *a)
{
    return a->rung_at - a->set_at <= a->milliseconds * 1000 + 3 * TICK_US;
}

static void a_timer_waits_its_whole_time(void **state)
{
    static const int64_t times[] = {0,     1,     249,   250,   251,    500,    1000,    30000,
                                    63750, 64000, 64001, 64250, 128000, 128001, 3600000, 7200000};
    enum { N = sizeof times / sizeof *times };
    alarm_clock clocks[N];

    for (int i = 0; i < N; i++) {
        init_clock(&clocks[i], *state);
        set(&clocks[i], times[i]);
    }
    run_for(*state, times[N - 1] + 1000, NULL, NULL);
    for (int i = 0; i < N; i++) {
        assert_int_equal(clocks[i].rung, 1); /* ring() has seen that it was not too early */
        assert_true(is_in_time(&clocks[i]));
    }
}

#define MANY_CLOCKS 500

typedef struct clock_shop {
    alarm_clock clocks[MANY_CLOCKS];
    bool is_set[MANY_CLOCKS];
    unsigned rung;
} clock_shop;

/* Sets and clears clocks as it comes, and sees that those are ringing that should. */
static void wind_clocks(void *baton)
{
    clock_shop *shop = baton;

    for (int i = 0; i < MANY_CLOCKS; i++) {
        alarm_clock *a = &shop->clocks[i];

        assert_true(a->rung <= (shop->is_set[i] ? 1 : 0));
        if (a->rung) {
            assert_true(is_in_time(a));
            shop->rung++;
            shop->is_set[i] = false;
            a->rung = 0;
        } else if (shop->is_set[i]) {
            assert_true(own_us - a->set_at <= a->milliseconds * 1000 + 3 * TICK_US);
        }
        if (random_number() % (shop->is_set[i] ? 512 : 8) == 0) { /* some anew */
            set(a, random_number() % 200000);
            shop->is_set[i] = true;
        } else if (random_number() % 512 == 0) {
            ws_timer_clear(a->loop, &a->timer);
            shop->is_set[i] = false;
        }
    }
}

static void timers_are_set_and_cleared_at_random(void **state)
{
    clock_shop *shop = calloc(1, sizeof *shop);

    assert_non_null(shop);
    for (int i = 0; i < MANY_CLOCKS; i++) {
        init_clock(&shop->clocks[i], *state);
    }
    run_for(*state, 20 * 60 * 1000, wind_clocks, shop);
    assert_true(shop->rung > 1000);
    for (int i = 0; i < MANY_CLOCKS; i++) {
        ws_timer_clear(*state, &shop->clocks[i].timer);
    }
    free(shop);
}

/* Clocks of one slot of the wheel, in the order in which they ring. */
static void a_timer_may_set_and_clear_others_and_itself(void **state)
{
    alarm_clock clocks[6];
    alarm_clock *clears = &clocks[0], *cleared = &clocks[1], *again = &clocks[2],
                *sets = &clocks[3], *is_set = &clocks[4], *later = &clocks[5];

    for (int i = 0; i < 6; i++) {
        init_clock(&clocks[i], *state);
        set(&clocks[i], 1000);
    }
    clears->stops = cleared;
    again->sets = again; /* to the same slot, once round: that is 64 s */
    again->sets_to = (WHEEL_TICKS - 1) * WS_TICK_MS;
    sets->sets = is_set; /* which would have rung next */
    sets->sets_to = (WHEEL_TICKS - 1) * WS_TICK_MS;
    later->stops = later; /* it is not set any more */
    run_for(*state, 70000, NULL, NULL);
    assert_int_equal(clears->rung, 1);
    assert_int_equal(cleared->rung, 0);
    assert_int_equal(again->rung, 2);
    assert_int_equal(sets->rung, 1);
    assert_int_equal(is_set->rung, 1);
    assert_int_equal(later->rung, 1);
    ws_timer_clear(*state, &again->timer);
}

typedef struct leap {
    int64_t us;
    unsigned round;
    alarm_clock *due, *repeated, *not_due;
} leap;

static void leap_once(void *baton)
{
    leap *l = baton;

    l->round++;
    if (l->round == 3) {
        own_us += l->us;
    } else if (l->round == 4) {
        /* Everything that was due while the process stood still, once. */
        assert_int_equal(l->due->rung, 1);
        assert_int_equal(l->repeated->rung, 1);
        assert_int_equal(l->not_due->rung, 0);
    }
}

/*
 * A process that was stopped, or a machine that slept: from a few ticks to several rounds of the
 * wheel.
 */
static void a_jump_of_time_rings_each_timer_once(void **state)
{
    static const int64_t leaps[] = {3 * TICK_US, 10 * 1000000, 64 * 1000000, HOUR_US};

    for (size_t i = 0; i < sizeof leaps / sizeof *leaps; i++) {
        ws_loop *loop = ws_loop_create();
        alarm_clock due, repeated, not_due;
        leap l = {leaps[i], 0, &due, &repeated, &not_due};

        assert_non_null(loop);
        init_clock(&due, loop);
        init_clock(&repeated, loop);
        init_clock(&not_due, loop);
        set(&due, 750);
        set(&repeated, 750);
        repeated.sets = &repeated;
        repeated.sets_to = 250;
        set(&not_due, leaps[i] / 1000 + 5000);
        run_for(loop, leaps[i] / 1000 + 6000, leap_once, &l);
        assert_int_equal(not_due.rung, 1);
        assert_true(repeated.rung > 2); /* none of them early: ring() looks */
        ws_timer_clear(loop, &repeated.timer);
        ws_loop_destroy(loop);
    }
    (void)state;
}

static alarm_clock late_clock, late_end;

static void set_late_clocks(void *unused)
{
    (void)unused;
    set(&late_clock, 5000);
    set(&late_end, 10000);
}

static void send_late_mail(void)
{
    ws_loop_post(late_clock.loop, set_late_clocks, NULL);
}

/* The first thing to happen after an hour in which no timer was set. */
static void a_timer_set_after_a_long_sleep_waits_its_whole_time(void **state)
{
    init_clock(&late_clock, *state);
    init_clock(&late_end, *state);
    late_end.timer.expired = quit;
    set(&late_clock, 1000);
    ws_timer_clear(*state, &late_clock.timer);
    on_long_sleep = send_late_mail;
    ws_loop_run(*state, NULL, NULL);
    on_long_sleep = NULL;
    assert_int_equal(late_clock.rung, 1);
    assert_true(is_in_time(&late_clock));
}

typedef struct looker {
    ws_loop *loop;
    int64_t last;
    unsigned looks;
} looker;

static void look(void *baton)
{
    looker *l = baton;

    assert_true(own_us - l->last <= 2 * TICK_US);
    l->last = own_us;
    if (++l->looks == 100) {
        ws_loop_quit(l->loop);
    }
}

/*
 * Who looks at something that cannot wake the loop looks every two ticks, also where nothing
 * happens.
 */
static void a_look_is_taken_every_two_ticks(void **state)
{
    looker l = {*state, own_us, 0};

    ws_loop_run(*state, look, &l); /* without any timer */
}

/* ---- tasks ---- */

typedef struct job {
    ws_task task;
    ws_loop *loop;
    char name;
    char *diary; /* of all jobs: names in the order in which they ran */
    struct job *cancels, *defers;
    unsigned again; /* times that it defers itself */
} job;

static void work(ws_task *task)
{
    job *j = container_of(task, job, task);

    j->diary[strlen(j->diary)] = j->name;
    if (j->cancels) {
        ws_loop_cancel(j->loop, &j->cancels->task);
    }
    if (j->defers) {
        ws_loop_defer(j->loop, &j->defers->task);
    }
    if (j->again) {
        j->again--;
        ws_loop_defer(j->loop, task);
    }
}

#define JOBS 5

typedef struct office {
    job jobs[JOBS];
    char diary[256];
    unsigned round;
    void (*first_round)(struct office *office);
} office;

/* A full stop in the diary is the end of a round. */
static void keep_diary(void *baton)
{
    office *o = baton;

    o->diary[strlen(o->diary)] = '.';
    if (o->round++ == 0) {
        o->first_round(o);
    }
}

static const char *work_through(office *o, ws_loop *loop, void (*first_round)(office *))
{
    memset(o, 0, sizeof *o);
    o->first_round = first_round;
    for (int i = 0; i < JOBS; i++) {
        o->jobs[i] = (job){{.run = work}, loop, (char)('a' + i), o->diary, NULL, NULL, 0};
    }
    run_for(loop, 1000, keep_diary, o);
    return o->diary;
}

static void defer_all(office *o)
{
    for (int i = 0; i < JOBS; i++) {
        ws_loop_defer(o->jobs[i].loop, &o->jobs[i].task);
    }
}

static void five_of_which_two_come_again(office *o)
{
    o->jobs[1].again = 2;
    o->jobs[3].again = 1;
    defer_all(o);
    defer_all(o); /* once is enough */
}

static void tasks_run_in_order_and_again_in_the_next_round(void **state)
{
    office o;

    assert_true(
        strncmp(work_through(&o, *state, five_of_which_two_come_again), ".abcde.bd.b.", 12) == 0);
}

static void each_cancels_another(office *o)
{
    o->jobs[0].cancels = &o->jobs[4]; /* the last: the next one to be deferred goes behind d */
    o->jobs[1].cancels = &o->jobs[0]; /* has run */
    o->jobs[2].cancels = &o->jobs[3]; /* is next */
    o->jobs[2].defers = &o->jobs[3];  /* and so comes a round later */
    defer_all(o);
}

static void cancelled_tasks_do_not_run(void **state)
{
    office o;

    assert_true(strncmp(work_through(&o, *state, each_cancels_another), ".abc.d.", 7) == 0);
}

static void cancelled_and_deferred_anew(office *o)
{
    ws_loop *loop = o->jobs[0].loop;

    defer_all(o);
    for (int i = JOBS; i-- > 0;) { /* from the end, and so to the empty list */
        ws_loop_cancel(loop, &o->jobs[i].task);
    }
    ws_loop_defer(loop, &o->jobs[2].task);
    ws_loop_defer(loop, &o->jobs[4].task);
    ws_loop_cancel(loop, &o->jobs[4].task);
    ws_loop_defer(loop, &o->jobs[0].task);
    ws_loop_cancel(loop, &o->jobs[2].task);
    ws_loop_defer(loop, &o->jobs[2].task);
}

static void a_list_of_tasks_may_become_empty_and_fill_again(void **state)
{
    office o;

    assert_true(strncmp(work_through(&o, *state, cancelled_and_deferred_anew), ".ac.", 4) == 0);
}

#define CROWD 300

typedef struct crowd {
    job jobs[CROWD];
    job prompt;
    unsigned ran, rounds, most_in_round, in_round, prompt_ran;
    ws_loop *loop;
} crowd;

static void work_late(ws_task *task)
{
    job *j = container_of(task, job, task);
    crowd *c = (crowd *)j->diary;

    assert_ptr_equal(j, &c->jobs[c->ran % CROWD]); /* in the order in which they came */
    c->ran++;
    c->in_round++;
    if (j->again) {
        j->again--;
        ws_loop_defer_late(c->loop, task);
    }
}

static void work_promptly(ws_task *task)
{
    ((crowd *)container_of(task, job, task)->diary)->prompt_ran++;
}

static void look_at_crowd(void *baton)
{
    crowd *c = baton;

    if (c->rounds++ == 0) {
        for (int i = 0; i < CROWD; i++) {
            ws_loop_defer_late(c->loop, &c->jobs[i].task);
        }
    }
    if (c->in_round > c->most_in_round) {
        c->most_in_round = c->in_round;
    }
    c->in_round = 0;
    if (c->ran < 2 * CROWD) {
        ws_loop_defer(c->loop, &c->prompt.task);
    }
}

/*
 * So that a crowd of them holds up nobody: some in each round, and the others of the round before
 * them.
 */
static void late_tasks_take_turns(void **state)
{
    crowd *c = calloc(1, sizeof *c);
    const int64_t before = own_us;

    assert_non_null(c);
    c->loop = *state;
    c->prompt = (job){.task.run = work_promptly, .diary = (char *)c};
    for (int i = 0; i < CROWD; i++) {
        c->jobs[i] = (job){.task.run = work_late, .diary = (char *)c, .again = 1};
    }
    run_for(*state, 1000, look_at_crowd, c);
    assert_int_equal(c->ran, 2 * CROWD);
    assert_true(c->most_in_round > 0 && c->most_in_round < CROWD / 2);
    assert_true(c->prompt_ran >= 2 * CROWD / c->most_in_round);
    assert_true(own_us - before < 2000000); /* and the loop has not slept while there was one */
    free(c);
}

static void late_and_delayed(office *o)
{
    ws_loop *loop = o->jobs[0].loop;

    ws_loop_defer_late(loop, &o->jobs[0].task);
    ws_loop_delay(loop, &o->jobs[1].task, 500);
    ws_loop_delay(loop, &o->jobs[2].task, 500);
    ws_loop_defer_late(loop, &o->jobs[3].task);
    ws_loop_delay(loop, &o->jobs[4].task, 500);
    ws_loop_defer(loop, &o->jobs[3].task);      /* forward, before a */
    ws_loop_defer(loop, &o->jobs[1].task);      /* forward, and not again */
    ws_loop_defer_late(loop, &o->jobs[1].task); /* stays where it is */
    ws_loop_delay(loop, &o->jobs[1].task, 100);
    ws_loop_cancel(loop, &o->jobs[4].task);
}

static void tasks_move_forward_and_never_back(void **state)
{
    office o;

    work_through(&o, *state, late_and_delayed);
    assert_true(strncmp(o.diary, ".dba.", 5) == 0);
    assert_non_null(strstr(o.diary + 5, ".c."));
    assert_null(strpbrk(o.diary + 5, "abde"));
}

typedef struct errand {
    ws_task task;
    ws_loop *loop;
    int64_t set_at, milliseconds;
    unsigned done;
    bool quits;
} errand;

static void run_errand(ws_task *task)
{
    errand *e = container_of(task, errand, task);
    const int64_t passed = own_us - e->set_at;

    assert_true(passed >= e->milliseconds * 1000 && passed <= e->milliseconds * 1000 + 1000);
    e->done++;
    if (e->quits) {
        ws_loop_quit(e->loop);
    }
}

/* Without a timer that would wake the loop. */
static void a_delayed_task_is_on_time(void **state)
{
    static const int64_t times[] = {0, 1, 2, 3, 40, 99, 100, 101, 249, 250, 251, 1000, 5000};
    enum { N = sizeof times / sizeof *times };
    errand errands[N];

    for (int i = N; i-- > 0;) {
        errands[i] = (errand){.task.run = run_errand,
                              .loop = *state,
                              .set_at = own_us,
                              .milliseconds = times[i],
                              .quits = i == N - 1};
        ws_loop_delay(*state, &errands[i].task, (int)times[i]);
    }
    ws_loop_run(*state, NULL, NULL);
    for (int i = 0; i < N; i++) {
        assert_int_equal(errands[i].done, 1);
    }
}

/* ---- watches ---- */

typedef struct pipe_end {
    ws_watch watch;
    ws_loop *loop;
    int fds[2];
    unsigned calls;
    struct pipe_end *other; /* is not watched any more from then on */
} pipe_end;

static void on_readable(ws_watch *watch, uint32_t events)
{
    pipe_end *p = container_of(watch, pipe_end, watch);
    char byte;

    assert_true(events & EPOLLIN);
    assert_int_equal(read(p->fds[0], &byte, 1), 1);
    p->calls++;
    if (p->other) {
        ws_loop_unwatch(p->loop, &p->other->watch);
    }
}

static void open_pipe(pipe_end *p, ws_loop *loop)
{
    *p = (pipe_end){.watch = {.ready = on_readable, .fd = -1}, .loop = loop};
    assert_int_equal(pipe(p->fds), 0);
    assert_true(ws_loop_watch(loop, &p->watch, p->fds[0], EPOLLIN));
    assert_int_equal(write(p->fds[1], "x", 1), 1);
}

static void close_pipe(pipe_end *p)
{
    ws_loop_unwatch(p->loop, &p->watch); /* a second time does nothing */
    close(p->fds[0]);
    close(p->fds[1]);
}

/* Two are ready at once, and the first to be told takes the other's watch away. */
static void a_watch_that_was_removed_hears_nothing_more(void **state)
{
    pipe_end one, two;

    open_pipe(&one, *state);
    open_pipe(&two, *state);
    one.other = &two;
    two.other = &one;
    run_for(*state, 1000, NULL, NULL);
    assert_int_equal(one.calls + two.calls, 1);
    assert_false(ws_loop_watch(*state, &one.watch, -1, EPOLLIN));
    close_pipe(&one);
    close_pipe(&two);
}

static void a_watch_hears_what_it_asked_for(void **state)
{
    pipe_end p;

    open_pipe(&p, *state);
    ws_loop_change(*state, &p.watch, 0);
    assert_int_equal(write(p.fds[1], "y", 1), 1);
    run_for(*state, 1000, NULL, NULL);
    assert_int_equal(p.calls, 0);
    close_pipe(&p);
}

/* ---- the mailbox, with threads ---- */

enum {
    SENDERS = 4,
    LETTERS = 20000, /* of each */
    THINGS = 64      /* timers, tasks and pipes that are at work meanwhile */
};

typedef struct post_office {
    ws_loop *loop;
    pthread_t thread; /* the loop's */
    unsigned next[SENDERS];
    unsigned delivered, wanted;
    alarm_clock clocks[THINGS];
    job jobs[THINGS];
    pipe_end pipes[THINGS];
    unsigned worked;
} post_office;

typedef struct letter {
    post_office *office;
    unsigned sender, number;
} letter;

static void count_work(ws_task *task)
{
    post_office *o = (post_office *)container_of(task, job, task)->diary;

    o->worked++;
}

/*
 * What letters make sessions do: set and clear timers, defer and cancel tasks, watch and not watch.
 */
static void churn(post_office *o)
{
    const unsigned which = random_number() % THINGS;
    pipe_end *p = &o->pipes[which];

    switch (random_number() % 6) {
    case 0:
        ws_timer_set(o->loop, &o->clocks[which].timer, random_number() % 1000);
        break;
    case 1:
        ws_timer_clear(o->loop, &o->clocks[which].timer);
        break;
    case 2:
    case 3:
        ws_loop_defer(o->loop, &o->jobs[which].task);
        break;
    case 4:
        ws_loop_cancel(o->loop, &o->jobs[which].task);
        break;
    case 5:
        if (p->watch.fd >= 0) {
            ws_loop_unwatch(o->loop, &p->watch);
        } else {
            assert_true(ws_loop_watch(o->loop, &p->watch, p->fds[0], EPOLLIN));
            assert_int_equal(write(p->fds[1], "x", 1), 1);
        }
        break;
    }
}

static void read_letter(void *baton)
{
    letter *l = baton;
    post_office *o = l->office;

    assert_true(pthread_equal(pthread_self(), o->thread));
    assert_int_equal(l->number, o->next[l->sender]);
    o->next[l->sender]++;
    free(l);
    churn(o);
    if (++o->delivered == o->wanted) {
        ws_loop_quit(o->loop);
    }
}

typedef struct sender {
    post_office *office;
    unsigned number;
    pthread_t thread;
} sender;

static letter *write_letter(post_office *o, unsigned from, unsigned number)
{
    letter *l = malloc(sizeof *l);

    if (!l) {
        abort();
    }
    *l = (letter){o, from, number};
    return l;
}

static void *send_letters(void *baton)
{
    const sender *s = baton;

    for (unsigned i = 0; i < LETTERS; i++) {
        ws_loop_post(s->office->loop, read_letter, write_letter(s->office, s->number, i));
        if (i % 1000 < 50) { /* so that the loop falls asleep now and then */
            sched_yield();
        }
    }
    return NULL;
}

static void ring_silently(ws_timer *timer)
{
    container_of(timer, alarm_clock, timer)->rung++;
}

static void each_senders_mail_comes_once_and_in_order(void **state)
{
    post_office *o = calloc(1, sizeof *o);
    sender senders[SENDERS];

    (void)state;
    assert_non_null(o);
    assert_non_null(o->loop = ws_loop_create());
    o->thread = pthread_self();
    o->wanted = SENDERS * LETTERS;
    for (int i = 0; i < THINGS; i++) {
        o->clocks[i].timer.expired = ring_silently;
        o->jobs[i].task.run = count_work;
        o->jobs[i].diary = (char *)o;
        open_pipe(&o->pipes[i], o->loop);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (sender){.office = o, .number = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_letters, &senders[i]), 0);
    }
    ws_loop_run(o->loop, NULL, NULL);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_int_equal(o->next[i], LETTERS);
    }
    assert_true(o->worked > 0);
    for (int i = 0; i < THINGS; i++) {
        ws_timer_clear(o->loop, &o->clocks[i].timer);
        ws_loop_cancel(o->loop, &o->jobs[i].task);
        close_pipe(&o->pipes[i]);
    }
    ws_loop_destroy(o->loop);
    free(o);
}

/* ---- the end of a loop that mail comes to ---- */

#define LIVES 300

/* As the reactors' list: a loop is posted to only while it stands here. */
typedef struct directory {
    pthread_mutex_t mutex;
    pthread_barrier_t start;
    post_office *office; /* under the mutex; NULL: moved away */
    unsigned accepted;   /* under the mutex */
    unsigned delivered, enough;
    pthread_t thread;
} directory;

typedef struct guest {
    directory *directory;
    pthread_t thread;
} guest;

static void count_letter(void *baton)
{
    directory *d = baton;

    assert_true(pthread_equal(pthread_self(), d->thread));
    if (++d->delivered == d->enough) {
        ws_loop_quit(d->office->loop);
    }
}

static void *post_until_refused(void *baton)
{
    directory *d = ((guest *)baton)->directory;
    bool accepted;

    do {
        pthread_mutex_lock(&d->mutex);
        accepted = d->office != NULL;
        if (accepted) {
            d->accepted++;
            ws_loop_post(d->office->loop, count_letter, d);
        }
        pthread_mutex_unlock(&d->mutex);
    } while (accepted);
    return NULL;
}

static void all_mail_that_was_accepted_is_read(void **state)
{
    (void)state;
    for (int i = 0; i < LIVES; i++) {
        post_office o = {.loop = ws_loop_create()};
        directory d = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                       .office = &o,
                       .enough = 1 + (unsigned)i % 50,
                       .thread = pthread_self()};
        guest guests[2];

        assert_non_null(o.loop);
        for (int k = 0; k < 2; k++) {
            guests[k].directory = &d;
            assert_int_equal(
                pthread_create(&guests[k].thread, NULL, post_until_refused, &guests[k]), 0);
        }
        ws_loop_run(o.loop, NULL, NULL);
        pthread_mutex_lock(&d.mutex);
        d.office = NULL;
        pthread_mutex_unlock(&d.mutex);
        ws_loop_destroy(o.loop);
        for (int k = 0; k < 2; k++) {
            pthread_join(guests[k].thread, NULL);
        }
        assert_int_equal(d.delivered, d.accepted);
        pthread_mutex_destroy(&d.mutex);
    }
}

static void *post_one_letter(void *baton)
{
    directory *d = ((guest *)baton)->directory;
    ws_loop *loop = d->office->loop;

    pthread_barrier_wait(&d->start);
    ws_loop_post(loop, count_letter, d);
    return NULL;
}

/* Those who post may be on their way back yet when the loop is gone. */
static void a_letter_may_be_the_loops_end(void **state)
{
    (void)state;
    for (int i = 0; i < LIVES; i++) {
        post_office o = {.loop = ws_loop_create()};
        directory d = {.office = &o, .enough = SENDERS, .thread = pthread_self()};
        guest guests[SENDERS];

        assert_non_null(o.loop);
        pthread_barrier_init(&d.start, NULL, SENDERS);
        for (int k = 0; k < SENDERS; k++) {
            guests[k].directory = &d;
            assert_int_equal(pthread_create(&guests[k].thread, NULL, post_one_letter, &guests[k]),
                             0);
        }
        ws_loop_run(o.loop, NULL, NULL);
        ws_loop_destroy(o.loop);
        for (int k = 0; k < SENDERS; k++) {
            pthread_join(guests[k].thread, NULL);
        }
        pthread_barrier_destroy(&d.start);
    }
}

typedef struct chain_letter {
    ws_loop *loop;
    unsigned left;
} chain_letter;

static void pass_on(void *baton)
{
    chain_letter *chain = baton;

    if (--chain->left) {
        ws_loop_post(chain->loop, pass_on, chain);
    }
}

static void mail_that_causes_mail_is_read_to_the_end(void **state)
{
    chain_letter chain = {ws_loop_create(), 10};

    (void)state;
    assert_non_null(chain.loop);
    ws_loop_post(chain.loop, pass_on, &chain);
    ws_loop_destroy(chain.loop);
    assert_int_equal(chain.left, 0);
}

#define ON_OWN_CLOCK(test)  cmocka_unit_test_setup_teardown(test, on_own_clock, destroy)
#define ON_REAL_CLOCK(test) cmocka_unit_test_setup(test, on_real_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_OWN_CLOCK(a_timer_waits_its_whole_time),
        ON_OWN_CLOCK(timers_are_set_and_cleared_at_random),
        ON_OWN_CLOCK(a_timer_may_set_and_clear_others_and_itself),
        ON_OWN_CLOCK(a_jump_of_time_rings_each_timer_once),
        ON_OWN_CLOCK(a_timer_set_after_a_long_sleep_waits_its_whole_time),
        ON_OWN_CLOCK(a_look_is_taken_every_two_ticks),
        ON_OWN_CLOCK(tasks_run_in_order_and_again_in_the_next_round),
        ON_OWN_CLOCK(cancelled_tasks_do_not_run),
        ON_OWN_CLOCK(a_list_of_tasks_may_become_empty_and_fill_again),
        ON_OWN_CLOCK(late_tasks_take_turns),
        ON_OWN_CLOCK(tasks_move_forward_and_never_back),
        ON_OWN_CLOCK(a_delayed_task_is_on_time),
        ON_OWN_CLOCK(a_watch_that_was_removed_hears_nothing_more),
        ON_OWN_CLOCK(a_watch_hears_what_it_asked_for),
        ON_REAL_CLOCK(each_senders_mail_comes_once_and_in_order),
        ON_REAL_CLOCK(all_mail_that_was_accepted_is_read),
        ON_REAL_CLOCK(a_letter_may_be_the_loops_end),
        ON_REAL_CLOCK(mail_that_causes_mail_is_read_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
