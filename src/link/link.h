/*
 * A reactor's link to the hub: one UNIX stream socket, polled by the reactor's loop, shared by all
 * its sessions. Loop's thread only.
 *
 * When the hub dies, the link connects again by itself. The hub's guardian holds the listening
 * socket, so that usually nothing is refused meanwhile: what is asked waits in the socket until the
 * new hub reads it.
 */
#ifndef HUB_LINK_H
#define HUB_LINK_H

#include "envelope.h"

#include "loop/loop.h"

typedef struct hub_link hub_link;

typedef struct hub_link_events {
    /* A reply to `request`; after the last one the link has forgotten it. `line` ends in '\n'. */
    void (*reply)(void *request, const char *line, size_t length, bool last);
    /* The link broke before the last reply; it has forgotten the request. */
    void (*lost)(void *request);
    /*
     * A publication for every initialized client of `node` but the sender of `except` (NULL: for
     * all).
     */
    void (*publish)(void *baton, const char *node, void *except, const char *line, size_t length);
    /*
     * The hub has said hello. `restarted`: it is another than before, and `reason` tells why
     * ("crash", "restart", "power-on").
     */
    void (*up)(void *baton, bool restarted, const char *reason);
    /*
     * For the log: the link broke or cannot be made. `error` is an errno, or 0 where the hub closed
     * it.
     */
    void (*trouble)(void *baton, int error, const char *what);
    void *baton;
} hub_link_events;

/* `path` must live as long. Connects at once where it can. NULL only without memory. */
hub_link *hub_link_create(ws_loop *loop, const char *path, const hub_link_events *events);
/* Outstanding requests are reported as lost. */
void hub_link_destroy(hub_link *link);
/*
 * Sends a request (a message without '\n') in the name of `request`, which comes back in reply() or
 * lost(). False where the link is down or the hub does not keep up: then nothing was sent.
 */
bool hub_link_ask(hub_link *link, void *request, const char *node, unsigned rights,
                  const char *message, size_t length);

#endif
