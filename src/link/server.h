/*
 * The hub's socket: accepts the links of the child processes, hands their requests to the hub and
 * its answers back (envelope.h). It does not use httpd. One thread, that of its loop.
 */
#ifndef LINK_SERVER_H
#define LINK_SERVER_H

#include "hub/hub.h"

#include "loop/loop.h"

typedef struct hub_server hub_server;

/*
 * Serves links on `listener`, a listening UNIX stream socket, which stays the caller's. The first
 * line of each link says `instance` and `reason`; both must outlive the server. Processes of users
 * other than ours and root are refused. NULL without memory.
 */
hub_server *hub_server_create(ws_loop *loop, int listener, const char *instance, const char *reason,
                              void (*log)(hub_level level, int code, const char *text));
/* Where hub_create() is to send its output. */
hub_output hub_server_output(hub_server *server);
/* From now on requests go to this hub, whose hub_fd() is watched. */
void hub_server_attach(hub_server *server, hub *hub);
/* Writes what the links take without waiting, and closes them. The hub must be destroyed before. */
void hub_server_destroy(hub_server *server);

#endif
