/*
 * The opening handshake on an httpd request (RFC 6455 section 4.2). On the worker thread, as a
 * content handler: access control, authentication and authorization have run.
 */
#ifndef WS_UPGRADE_H
#define WS_UPGRADE_H

#include "websocket/deflate.h"
#include "websocket/handshake.h"

#include "settings.h"

/* The subprotocol, chosen where the client offers it. */
#define WS_SUBPROTOCOL "clown.talk"

/* Refuses all but a GET that is no subrequest: OK, or an HTTP status; a refusal has been logged. */
int ws_upgrade_check_method(request_rec *r);
/* What a handshake has agreed on. */
typedef struct ws_agreement {
    char accept[WS_ACCEPT_LENGTH + 1]; /* Sec-WebSocket-Accept of the answer */
    ws_deflate_params deflate;
    char extensions[WS_DEFLATE_RESPONSE]; /* Sec-WebSocket-Extensions of the answer; "": none */
} ws_agreement;

/*
 * Checks the handshake. OK: ws_upgrade_answer() may follow. DONE: the response (426 with a text for
 * people) has been written. Else an HTTP status whose headers are set; a refusal has been logged.
 * With OK memory has been reserved in the census, which the session's end releases: where none is
 * made, ws_upgrade_abandon() does.
 */
int ws_upgrade_check(request_rec *r, const ct_dir_settings *settings, ws_agreement *agreement);
void ws_upgrade_abandon(const ws_agreement *agreement);
/* Sends the 101. From here on the connection speaks WebSocket. */
void ws_upgrade_answer(request_rec *r, const ws_agreement *agreement);

/* Logs a refusal: one line, with the reason. */
void ws_upgrade_log_refusal(request_rec *r, int status, const char *why);

#endif
