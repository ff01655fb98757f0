/*
 * The hub as processes of the server: httpd's parent starts a guardian, the guardian starts the hub
 * and starts it again at once when it dies. (httpd's parent looks after the guardian. It notices a
 * death only about once a second.)
 *
 * The listening socket is made once per configuration and held by the guardian, so that children
 * can connect and send requests while there is no hub for a moment. All functions: httpd's parent
 * process, single thread.
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
 * At a restart the hub of the configuration before goes on until hub_process_start() has it hand
 * over. This ends it where the new configuration has no hub.
 */
void hub_process_end_predecessor(void);

#endif
