/*
 * The pure parts of the opening handshake (RFC 6455 section 4.2): header values in, decisions out.
 * No httpd, no I/O, no state; any thread.
 */
#ifndef WS_HANDSHAKE_H
#define WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#define WS_ACCEPT_LENGTH 28 /* base64 of a SHA-1 hash */

/*
 * Whether a comma-separated list holds `token`, in any case (RFC 9110 section 5.6.1). Empty
 * elements and quoted strings are passed over. NULL holds nothing.
 */
bool ws_list_has_token(const char *list, const char *token);
/* The same, case-sensitively: for subprotocols (RFC 6455 section 11.3.4). */
bool ws_list_has_protocol(const char *list, const char *protocol);
/* Whether Sec-WebSocket-Key is base64 of exactly 16 bytes (section 4.2.1, 5). */
bool ws_key_is_valid(const char *key);
/*
 * Sec-WebSocket-Accept for a valid key (section 4.2.2, 5.4), NUL-terminated. False, and an empty
 * string, where the key is not valid or the crypto library refuses SHA-1 (as a strict FIPS policy
 * may).
 */
bool ws_accept_key(const char *key, char out[WS_ACCEPT_LENGTH + 1]);

/*
 * Whether two origins are the same (RFC 6454 section 5): scheme and host in any case, ports with
 * the scheme's default (http 80, https 443), ws taken for http and wss for https. False where
 * either is no origin of the form scheme://host[:port] (with an IPv6 literal in brackets, compared
 * as an address); "null" equals nothing. The host is ASCII, as browsers send it, without a
 * wildcard; the port is 1 to 65535.
 */
bool ws_origin_equal(const char *a, const char *b);
/* Whether `origin` has the form of an origin: for checking a configuration. */
bool ws_origin_is_valid(const char *origin);

#endif
