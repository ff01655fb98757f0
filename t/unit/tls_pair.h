/*
 * Two ends of a connection for unit tests of transports: the server's, which a transport gets, and
 * the client's. Over TLS both are OpenSSL's, with a certificate that is made for the test.
 */
#ifndef TLS_PAIR_H
#define TLS_PAIR_H

#include "session/transport.h"

#include <openssl/ssl.h>

typedef struct connection {
    ws_transport *transport; /* the server's end, off httpd's connection */
    int far;                 /* the client's socket, non-blocking; -1: closed */
    SSL *client;             /* NULL: plain TCP */
} connection;

/* Once, before any connection is opened. */
void tls_pair_setup(void);
/*
 * Opens one, whose server's end is this transport, with buffers of about this many bytes between
 * the two ends (0: the system's).
 */
void connection_open(connection *c, ws_transport *transport, bool tls, int buffers);
/* Closes the client's end. The server's is the transport's owner's. */
void connection_close(connection *c);
/* Reads what is there for the client: how many bytes, 0: nothing, -1: the end, or an error. */
ssize_t client_read(connection *c, void *room, size_t size);
/* Writes all of it as the client. */
void client_write(connection *c, const void *data, size_t length);
/* The client resets the connection. */
void client_reset(connection *c);

/* httpd's input filters have bytes without end, and give as many as are asked for; or none. */
extern bool filters_give;
/* A transport that reads through them, for ws_filters_read_rest(). */
void filtered_open(ws_transport *transport);

#endif
