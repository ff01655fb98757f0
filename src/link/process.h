/*
 * The hub as processes of the server: httpd's parent starts a guardian, the guardian starts the hub
 * and starts it again at once when it dies, or when it hangs. (httpd's parent looks after the
 * guardian. It notices a death only about once a second.)
 *
 * The listening socket is made once per configuration and held by the guardian, so that children
 * can connect, and wait with their requests, while there is no hub for a moment. Where it cannot be
 * made, the server runs without a hub, and it is tried again. All functions but
 * hub_process_forked() and hub_process_trouble(): httpd's parent process, single thread.
 */
#ifndef LINK_PROCESS_H
#define LINK_PROCESS_H

#include "house.h"

#include <stdbool.h>

/*
 * Whether the paths on which hub_process_start() acts, mostly as root, are what they must be:
 * false where one is not, which has been logged. It changes nothing.
 */
bool hub_process_check(server_rec *server, const ct_house *house);
/*
 * Starts the hub of this configuration; it ends with `pconf`. APR_ENOMEM only without memory: a
 * hub that cannot start is logged, and hub_process_maintain() tries again. `restarted`: the server
 * was running before and has a new configuration.
 */
apr_status_t hub_process_start(apr_pool_t *pconf, server_rec *server, const ct_house *house,
                               int restarted);
/* To be called every few seconds. */
void hub_process_maintain(const server_rec *server);
/*
 * In any process, on any thread: NULL, or why there is no hub and none about to start, a sentence
 * for clients.
 */
const char *hub_process_trouble(const server_rec *server);
/*
 * In a child process that has been forked, before it has other threads: lets go of what belongs to
 * the parent and the guardian. A socket that children hold would go on taking links when there is
 * no process left to serve them. In a server of one process (-X) it does nothing.
 */
void hub_process_forked(server_rec *server);
/*
 * At a restart the hub of the configuration before goes on until hub_process_start() has it hand
 * over. This ends it where the new configuration has no hub.
 */
void hub_process_end_predecessor(void);

#endif
