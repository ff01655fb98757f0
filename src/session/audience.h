/*
 * An audience: sessions of one thread that get the same publications, in the same order.
 *
 * A publication to thousands takes a while, in which others want answers. So it is not put into
 * each member's queue: the audience keeps what was published, and goes round its members, some in
 * each of the loop's rounds, and gives each what it has not had yet, several publications at once
 * where they came quicker than it goes round. A member that is to get something else is brought up
 * to date first, so that each hears everything in the order in which it happened.
 *
 * It belongs to a loop and its thread. It knows nothing of sessions but the seats that they embed.
 */
#ifndef WS_AUDIENCE_H
#define WS_AUDIENCE_H

#include "loop/loop.h"
#include "outgoing.h"

typedef struct ws_audience ws_audience;

/* A place in an audience, embedded in the member. All zero: in none. */
typedef struct ws_seat {
    ws_audience *audience;
    unsigned number; /* of the audience's */
} ws_seat;

/*
 * Gives a member a publication, borrowed for the call. `last`: nothing follows at once, so what was
 * given is to be written now. It may join and leave audiences, and publish, but not destroy.
 */
typedef void ws_deliver(ws_seat *seat, ws_outgoing *publication, bool last);

/*
 * `pause` is called with its baton when some members were given something, and the loop goes on
 * with something else.
 */
ws_audience *ws_audience_create(ws_loop *loop, ws_deliver *deliver, void (*pause)(void *baton),
                                void *baton);
/* Its members are in no audience then. */
void ws_audience_destroy(ws_audience *audience);

bool ws_audience_is_of(const ws_audience *audience, const ws_loop *loop);
/* From the next publication on. The seat leaves another audience that it is in. */
void ws_audience_join(ws_audience *audience, ws_seat *seat);
/* Leaves its audience, if it is in one: what it has not had yet it does not get. */
void ws_audience_leave(ws_seat *seat);
unsigned ws_audience_size(const ws_audience *audience);

/*
 * For all members, but for `except` (NULL: none), which has it already. Where very many
 * publications wait, one with a topic takes the place of an older one of the same topic.
 */
void ws_audience_publish(ws_audience *audience, ws_outgoing *publication, ws_seat *except);
/* Gives a member, if it is one, what was published and has not reached it yet. */
void ws_audience_catch_up(ws_seat *seat);

#endif
