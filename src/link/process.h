/*
 * The hub as processes of the server: httpd's parent starts a guardian, the guardian starts the hub
 * and starts it again at once when it dies, or when it hangs. (httpd's parent looks after the
 * guardian. It notices a death only about once a second.)
 *
 * The listening socket is made once per configuration and held by the guardian, so that children
 * can connect, and wait with their requests, while there is no hub for a moment. All functions but
 * hub_process_forked(): httpd's parent process, single thread.
 */
#ifndef LINK_PROCESS_H
#define LINK_PROCESS_H

#include "house.h"

/*
 * Starts the hub of this configuration; it ends with `pconf`. APR_SUCCESS, or a status that has
 * been logged. `restarted`: the server was running before and has a new configuration.
 */
apr_status_t hub_process_start(apr_pool_t *pconf, server_rec *server, const ct_house *house,
                               int restarted);
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
