/*
 * The last descriptors of a process, which sessions do not get. A child that has none left cannot
 * accept a connection, and httpd ends a child that cannot, with all of its sessions. So a handshake
 * is refused while there are still as many as everything else may need at a time. What is refused
 * may linger, and so may other clients' connections: those that would take the last of the reserve
 * are closed without an answer.
 *
 * Any thread of a child process, but for ws_reserve_register().
 */
#ifndef WS_RESERVE_H
#define WS_RESERVE_H

#include <httpd.h>

/* Registers its hooks. */
void ws_reserve_register(void);

/*
 * How many descriptors are kept from sessions where a process may have `limit` of them and has
 * `threads` workers: at most half.
 */
unsigned long ws_reserve_size(unsigned long limit, int threads);

/* Whether this request's process has a descriptor for one more session. False: it was logged. */
int ws_reserve_has_room(request_rec *r);

#endif
