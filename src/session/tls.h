/*
 * A TLS connection that mod_ssl has set up, used without mod_ssl's filters.
 *
 * The handshake, certificates, and all that is configured about TLS are mod_ssl's. Afterwards its
 * filters would make brigades, buckets and copies of every message, and cost as much again as the
 * encryption. So when they have given all that they held, the connection's SSL object is given a
 * network end of our own (wire.h) and asked directly. When the session ends on its connection it
 * gets mod_ssl's back; a session that leaves the connection takes it along.
 *
 * It belongs to a session's transport and its thread.
 */
#ifndef WS_TLS_H
#define WS_TLS_H

#include "wire.h"

#include <openssl/ssl.h>

typedef struct ws_tls {
    SSL *ssl;                      /* mod_ssl's; NULL: there is none, or it cannot be used */
    BIO *filters_in, *filters_out; /* mod_ssl's ends, a reference each, while ours is in use */
} ws_tls;

/*
 * When hooks are registered: `found` is called with each connection's SSL object before its
 * handshake, where it may be handed to ws_tls_take() later. The pool is the configuration's.
 */
void ws_tls_register(apr_pool_t *pool, void (*found)(conn_rec *c, SSL *ssl));

/* Whether this filter's work is done by the functions below. `name` is lower case. */
bool ws_tls_replaces(const char *name);
/* Puts the wire below the connection's SSL object. False without memory. */
bool ws_tls_take(ws_tls *tls, ws_wire *wire);
/* Puts mod_ssl's filters below it again. */
void ws_tls_give_back(ws_tls *tls);
/*
 * After ws_tls_take(): the connection is about to be freed, the SSL object stays, and is the
 * session's alone.
 */
void ws_tls_keep(ws_tls *tls);
/*
 * After that: gives it up. Whoever else still has a reference cannot reach the wire through it: the
 * wire may be freed now.
 */
void ws_tls_free(ws_tls *tls);

/*
 * Reads up to `size` bytes of what the wire has received: how many; 0 where that was all; -1 where
 * the peer has ended the connection, or broken it.
 */
int ws_tls_read(ws_tls *tls, void *room, int size);
/* Writes all, as far as the wire takes it or keeps it. False where the connection broke. */
bool ws_tls_write(ws_tls *tls, const void *data, int length);
/* Says close_notify. */
void ws_tls_shut_down(ws_tls *tls);

#endif
