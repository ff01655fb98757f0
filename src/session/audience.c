#include "audience.h"

#include "base/container.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/*
 * Members that are given something in one round: what that takes is what an answer may have to wait
 * for.
 */
#define MEMBERS_PER_ROUND 64
/* How many members ahead memory is asked for: thousands of sessions do not stay in a cache. */
#define AHEAD      4
#define CACHE_LINE 64
/* Publications that may wait before a newer one replaces those of its topic. */
#define MAX_WAITING   64
#define INITIAL_SEATS 16

typedef struct publication {
    struct publication *next;
    uint64_t number; /* they are counted from 1 */
    ws_outgoing *outgoing;
} publication;

typedef struct member {
    ws_seat *seat; /* NULL: it has left */
    uint64_t seen; /* the last publication that it was given */
} member;

struct ws_audience {
    ws_loop *loop;
    ws_deliver *deliver;
    void (*pause)(void *baton);
    void *baton;
    member *members; /* while nothing waits, without gaps */
    unsigned seats, capacity, size;
    /*
     * What has not reached all members yet, in order. While there is some the task goes round the
     * members.
     */
    publication *first, **last;
    unsigned waiting;
    uint64_t newest; /* the number of the last publication */
    ws_task round;
    unsigned at;         /* the member that is next */
    uint64_t round_from; /* `newest` when this round began: at its end all have seen that */
    bool delivering;
};

static void on_round(ws_task *task);

ws_audience *ws_audience_create(ws_loop *loop, ws_deliver *deliver, void (*pause)(void *baton),
                                void *baton)
{
    ws_audience *a = calloc(1, sizeof *a);

    if (!a) {
        base_out_of_memory();
    }
    a->loop = loop;
    a->deliver = deliver;
    a->pause = pause;
    a->baton = baton;
    a->last = &a->first;
    a->round.run = on_round;
    return a;
}

bool ws_audience_is_of(const ws_audience *a, const ws_loop *loop)
{
    return a->loop == loop;
}

/* ---- what waits ---- */

static void append(ws_audience *a, ws_outgoing *outgoing)
{
    publication *p = malloc(sizeof *p);

    if (!p) {
        base_out_of_memory();
    }
    *p = (publication){.number = ++a->newest, .outgoing = outgoing};
    ws_outgoing_hold(outgoing);
    *a->last = p;
    a->last = &p->next;
    a->waiting++;
}

static void take_out(ws_audience *a, publication **at)
{
    publication *p = *at;

    *at = p->next;
    if (a->last == &p->next) {
        a->last = at;
    }
    a->waiting--;
    ws_outgoing_release(p->outgoing);
    free(p);
}

static void drop_topic(ws_audience *a, const char *topic)
{
    publication **at = &a->first;

    while (*at) {
        if ((*at)->outgoing->topic && strcmp((*at)->outgoing->topic, topic) == 0) {
            take_out(a, at);
        } else {
            at = &(*at)->next;
        }
    }
}

/* ---- seats ---- */

static void put(ws_audience *a, unsigned number, member m)
{
    a->members[number] = m;
    m.seat->number = number;
}

static void close_gaps(ws_audience *a)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < a->seats; i++) {
        if (a->members[i].seat) {
            put(a, kept++, a->members[i]);
        }
    }
    a->seats = kept;
}

void ws_audience_join(ws_audience *a, ws_seat *seat)
{
    if (seat->audience == a) {
        return;
    }
    ws_audience_leave(seat);
    if (a->seats == a->capacity) {
        a->capacity = a->capacity ? 2 * a->capacity : INITIAL_SEATS;
        a->members = realloc(a->members, a->capacity * sizeof *a->members);
        if (!a->members) {
            base_out_of_memory();
        }
    }
    seat->audience = a;
    put(a, a->seats++, (member){.seat = seat, .seen = a->newest});
    a->size++;
}

void ws_audience_leave(ws_seat *seat)
{
    ws_audience *a = seat->audience;

    if (!a) {
        return;
    }
    a->members[seat->number].seat = NULL;
    a->size--;
    if (!a->first) {
        const member moved = a->members[--a->seats];

        if (moved.seat) { /* it was not the one that leaves */
            put(a, seat->number, moved);
        }
    }
    seat->audience = NULL;
}

unsigned ws_audience_size(const ws_audience *a)
{
    return a->size;
}

void ws_audience_destroy(ws_audience *a)
{
    ws_loop_cancel(a->loop, &a->round);
    while (a->first) {
        take_out(a, &a->first);
    }
    for (unsigned i = 0; i < a->seats; i++) {
        if (a->members[i].seat) {
            a->members[i].seat->audience = NULL;
        }
    }
    free(a->members);
    free(a);
}

/* ---- going round ---- */

/* Gives a member what it has not had. It may leave meanwhile; others may join, and publish. */
static void bring_up_to_date(ws_audience *a, unsigned number)
{
    const bool within = a->delivering;

    a->delivering = true; /* what waits stays where it is */
    for (const publication *p = a->first; p && a->members[number].seat; p = p->next) {
        if (p->number > a->members[number].seen) {
            a->members[number].seen = p->number;
            a->deliver(a->members[number].seat, p->outgoing, !p->next);
        }
    }
    a->delivering = within;
}

/* All have seen what there was when the round began. False where that is everything. */
static bool end_round(ws_audience *a)
{
    while (a->first && a->first->number <= a->round_from) {
        take_out(a, &a->first);
    }
    close_gaps(a);
    a->at = 0;
    a->round_from = a->newest;
    return a->first != NULL;
}

/* True where some members have not seen everything yet. */
static bool go_round(ws_audience *a)
{
    unsigned given = 0;

    while (given < MEMBERS_PER_ROUND) {
        const member *m;

        if (a->at == a->seats) {
            if (!end_round(a)) {
                return false;
            }
            continue;
        }
        if (a->at + AHEAD < a->seats) {
            const char *ahead = (const char *)a->members[a->at + AHEAD].seat;

            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + CACHE_LINE);
        }
        m = &a->members[a->at++];
        if (m->seat && m->seen < a->newest) {
            bring_up_to_date(a, a->at - 1);
            given++;
        }
    }
    return true;
}

static void on_round(ws_task *task)
{
    ws_audience *a = container_of(task, ws_audience, round);
    const bool more = go_round(a);

    a->pause(a->baton);
    if (more) {
        ws_loop_defer_late(a->loop, &a->round);
    }
}

void ws_audience_catch_up(ws_seat *seat)
{
    ws_audience *a = seat->audience;

    if (a && a->members[seat->number].seen < a->newest) {
        bring_up_to_date(a, seat->number);
        a->pause(a->baton);
    }
}

void ws_audience_publish(ws_audience *a, ws_outgoing *outgoing, ws_seat *except)
{
    if (except) {
        ws_audience_catch_up(except);
    }
    if (a->size == 0) {
        return;
    }
    if (outgoing->topic && a->waiting >= MAX_WAITING && !a->delivering) {
        drop_topic(a, outgoing->topic);
    }
    append(a, outgoing);
    if (a->waiting == 1) {
        a->at = 0;
        a->round_from = a->newest;
        ws_loop_defer_late(a->loop, &a->round);
    }
    if (except && except->audience == a) {
        a->members[except->number].seen = a->newest;
    }
}
