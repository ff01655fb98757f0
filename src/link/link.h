/*
 * A reactor's link to the hub: one UNIX stream socket, polled by the reactor's loop, shared by all
 * its sessions. Loop's thread only.
 *
 * When the hub dies, the link connects again by itself. The hub's guardian holds the listening
 * socket, so usually nothing is refused meanwhile: requests wait in the socket until the new hub
 * reads them.
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "envelope.h"

#include "loop/loop.h"

typedef struct hub_link hub_link;

typedef struct hub_link_events {
    /* A reply to `request`; after the last one the link has forgotten it. `line` ends in '\n'. */
    void (*reply)(void *request, const char *line, size_t length, bool last);
    /* The link broke before the last reply; it has forgotten the request. */
    void (*lost)(void *request);
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
    /*
     * For the log: the link broke or cannot be made. `error` is an errno, or 0 if the hub closed
     * it.
     */
    void (*trouble)(void *baton, int error, const char *what);
    void *baton;
} hub_link_events;

/* `path` must outlive the link. Connects at once if possible. NULL only without memory. */
hub_link *hub_link_create(ws_loop *loop, const char *path, const hub_link_events *events);
/* Outstanding requests are reported as lost. */
void hub_link_destroy(hub_link *link);
/*
 * Sends a request, a message without '\n'. `request` comes back in reply() or lost(). False if the
 * link is down or the hub does not keep up: then nothing was sent.
 */
bool hub_link_ask(hub_link *link, void *request, const char *node, unsigned rights,
                  const char *message, size_t length);

#endif
