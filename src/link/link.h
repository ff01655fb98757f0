/*
 * A reactor's link to the hub: one UNIX stream socket, polled by the reactor's loop, shared by all
 * its sessions. Loop's thread only.
 *
 * Nothing is written before the hub has greeted the link. So a request that waits for a hub, while
 * there is none for a moment, has surely not been carried out, and goes to the next one. When a hub
 * dies, the link connects again by itself.
 *
 * Time is counted in seconds during which the loop ran: a process that was stopped, or a machine
 * that slept, lets no request become overdue. Nor is one overdue that waits in a queue that moves:
 * for its turn while bulk requests are answered, or behind others that are being written to the
 * hub.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "envelope.h"

#include "loop/loop.h"

typedef struct hub_link hub_link;

#define HUB_LINK_PATIENCE 3  /* seconds for which requests wait for a hub */
#define HUB_LINK_DEADLINE 30 /* seconds in which the hub has to answer a request that it has */
#define HUB_LINK_BULK     8  /* requests for much of which the hub has at most so many at a time */

/* Why a request is lost. */
typedef enum hub_link_loss {
    HUB_LINK_NO_HUB,   /* no hub has greeted the link in time: it was not carried out */
    HUB_LINK_NOT_SENT, /* the link broke before the hub had it: it was not carried out */
    HUB_LINK_BROKEN,   /* the link broke when the hub had it: it may have been carried out */
    HUB_LINK_OVERDUE,  /* the hub has not answered it in time: it may yet be carried out */
} hub_link_loss;

typedef struct hub_link_events {
    /* A reply to `request`; after the last one the link has forgotten it. `line` ends in '\n'. */
    void (*reply)(void *request, const char *line, size_t length, bool last);
    /* There will be no (further) reply; the link has forgotten the request. */
    void (*lost)(void *request, hub_link_loss loss);
    /*
     * A publication for every initialized client of `node` except the sender of `except` (NULL: no
     * exception).
     */
    void (*publish)(void *baton, const char *node, void *except, const char *line, size_t length);
    /*
     * The hub has sent its first line. `restarted`: it is a different hub than before, and `reason`
     * says why it started ("crash", "restart", "power-on").
     */
    void (*up)(void *baton, bool restarted, const char *reason);
    /* hub_link_may_ask(), or hub_link_may_ask_much(), was false and is true again. May be NULL. */
    void (*ready)(void *baton);
    /*
     * For the log: the link broke or cannot be made. `error` is an errno, or 0 if the hub closed
     * it.
     */
    void (*trouble)(void *baton, int error, const char *what);
    /*
     * Whether there is a hub of this server to link to, or may be soon: what listens at the path
     * is another's otherwise. NULL: always.
     */
    bool (*may_connect)(void *baton);
    void *baton;
} hub_link_events;

/* `path` must outlive the link. Connects at once if possible. NULL only without memory. */
hub_link *hub_link_create(ws_loop *loop, const char *path, const hub_link_events *events);
/* Outstanding requests are reported as lost (HUB_LINK_NO_HUB). */
void hub_link_destroy(hub_link *link);
/*
 * Sends a request, a message without '\n'. `request` comes back in reply() or lost(). One that asks
 * for much, and is answered from the hub's memory at once, is to be `bulk`: at most HUB_LINK_BULK
 * of those are handed over at a time, and all others overtake those that wait. False if it was not
 * taken: no hub has greeted the link for HUB_LINK_PATIENCE; or a MiB of requests waits for a hub
 * that does not take them; or for a bulk one, 4 MiB of those. hub_link_is_up() tells which.
 */
bool hub_link_ask(hub_link *link, void *request, bool bulk, const char *node, unsigned rights,
                  const char *message, size_t length);
/* Whether a hub has greeted the link, or is waited for still. */
bool hub_link_is_up(const hub_link *link);
/*
 * Whether more should be asked: false while more requests wait than the hub takes at the moment
 * (OUTBOX_BOUND; bulk requests that wait for their turn do not count). Whoever makes requests stops
 * then, and goes on when ready() has been called.
 */
bool hub_link_may_ask(const hub_link *link);
/* The same of bulk requests: false while more than a MiB of them waits for its turn. */
bool hub_link_may_ask_much(const hub_link *link);
/* How many requests wait for their last reply. */
size_t hub_link_under_way(const hub_link *link);

#endif
