#include "upgrade.h"

#include "census.h"
#include "log.h"

#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_strings.h>

#define VERSION "13" /* section 4.1 */

void ws_upgrade_log_refusal(request_rec *r, int status, const char *why)
{
    CT_LOG_REQUEST(r, APLOG_WARNING, 0, "CT0010", "refused with %d: %s", status, why);
}

static int refuse(request_rec *r, int status, const char *why)
{
    ws_upgrade_log_refusal(r, status, why);
    return status;
}

/* A 426 whose body explains to a person what this address is. */
static int answer_upgrade_required(request_rec *r, const char *why)
{
    CT_LOG_REQUEST(r, APLOG_INFO, 0, "CT0011", "refused with 426: %s", why);
    r->status = HTTP_UPGRADE_REQUIRED;
    apr_table_setn(r->headers_out, "Upgrade", "websocket");
    apr_table_mergen(r->headers_out, "Connection", "Upgrade");
    apr_table_setn(r->headers_out, "Sec-WebSocket-Version", VERSION);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff"); /* it quotes the request */
    ap_set_content_type(r, "text/plain; charset=utf-8");
    if (!r->header_only) {
        ap_rprintf(
            r,
            "This address speaks WebSocket (RFC 6455): %s.\n\n"
            "In a web page:\n\n"
            "    const socket = new WebSocket(\"%s://%s%s\");\n"
            "    socket.onopen = () => socket.send('[\"clown.talk/-/config/set\", {}]\\n');\n"
            "    socket.onmessage = (event) => console.log(JSON.parse(event.data));\n",
            why, strcmp(ap_http_scheme(r), "https") == 0 ? "wss" : "ws",
            apr_table_get(r->headers_in, "Host") ? apr_table_get(r->headers_in, "Host")
                                                 : ap_get_server_name(r),
            r->unparsed_uri);
    }
    return DONE;
}

int ws_upgrade_check_method(request_rec *r)
{
    if (r->method_number != M_GET) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        return refuse(r, HTTP_METHOD_NOT_ALLOWED, "a WebSocket is opened by GET");
    }
    if (r->main) {
        return refuse(r, HTTP_FORBIDDEN, "a subrequest cannot become a WebSocket");
    }
    return OK;
}

/* This server's own origin, as the request came to it: what "same" means. */
static const char *own_origin(request_rec *r)
{
    const char *host = apr_table_get(r->headers_in, "Host");

    return host ? apr_pstrcat(r->pool, ap_http_scheme(r), "://", host, NULL) : NULL;
}

static int origin_is_allowed(request_rec *r, const ct_origins *origins, const char *origin)
{
    const char *own = own_origin(r);

    if (origins->which == CT_ORIGINS_ANY) {
        return 1;
    }
    if ((origins->which == CT_ORIGINS_SAME || origins->same_too) && own &&
        ws_origin_equal(origin, own)) {
        return 1;
    }
    for (int i = 0; origins->which == CT_ORIGINS_LISTED && i < origins->list->nelts; i++) {
        if (ws_origin_equal(origin, APR_ARRAY_IDX(origins->list, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

/*
 * What all clients together may refer back to in the messages that they compress: 1,024 that keep
 * 32 KiB, as Firefox does, or 32,768 that keep 1 KiB, as Chromium does when asked.
 */
#define MOST_KEPT (32 << 20)

/* False where the client's header is against the grammar. What must be kept has been reserved. */
static bool agree_on_deflate(request_rec *r, ws_agreement *agreement)
{
    const char *offers = apr_table_get(r->headers_in, "Sec-WebSocket-Extensions");
    ws_deflate_policy policy = WS_DEFLATE_POLICY;
    ws_extensions result =
        ws_deflate_negotiate(offers, &policy, &agreement->deflate, agreement->extensions);

    if (!ws_census_reserve(ws_deflate_kept(&agreement->deflate), MOST_KEPT)) {
        policy.may_keep = false;
        result = ws_deflate_negotiate(offers, &policy, &agreement->deflate, agreement->extensions);
        CT_LOG_REQUEST(r, APLOG_DEBUG, 0, "CT0014",
                       "the clients keep as much as they may: no compression for this one");
    }
    return result != WS_EXTENSIONS_MALFORMED;
}

int ws_upgrade_check(request_rec *r, const ct_dir_settings *settings, ws_agreement *agreement)
{
    const char *version = apr_table_get(r->headers_in, "Sec-WebSocket-Version");
    const char *key = apr_table_get(r->headers_in, "Sec-WebSocket-Key");
    const char *origin = apr_table_get(r->headers_in, "Origin");
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    if (r->header_only) {
        return answer_upgrade_required(r, "it takes a GET, not a HEAD, to open one");
    }
    /* mod_http2 makes such a request of an extended CONNECT (RFC 8441), with Upgrade and a key. */
    if (r->proto_num != HTTP_VERSION(1, 1) && !r->connection->master) {
        return answer_upgrade_required(r, "it takes an HTTP/1.1 request to open one");
    }
    if (!ws_list_has_token(apr_table_get(r->headers_in, "Upgrade"), "websocket")) {
        return answer_upgrade_required(r, "a plain request gets nothing here");
    }
    if (!ws_list_has_token(apr_table_get(r->headers_in, "Connection"), "upgrade")) {
        return refuse(r, HTTP_BAD_REQUEST, "the Connection header does not name Upgrade");
    }
    if (!version || strcmp(version, VERSION) != 0) {
        return answer_upgrade_required(r, "Sec-WebSocket-Version must be " VERSION);
    }
    if (!key || !ws_key_is_valid(key)) {
        return refuse(r, HTTP_BAD_REQUEST, "Sec-WebSocket-Key must be base64 of 16 bytes");
    }
    if (!r->connection->master && (apr_table_get(r->headers_in, "Transfer-Encoding") ||
                                   (length && strcmp(length, "0") != 0))) {
        return refuse(r, HTTP_BAD_REQUEST, "the handshake must not have a body");
    }
    if (origin && !origin_is_allowed(r, &settings->origins, origin)) {
        return refuse(r, HTTP_FORBIDDEN,
                      apr_pstrcat(r->pool, "Origin \"", ap_escape_logitem(r->pool, origin),
                                  "\" is not allowed (ClownTalkOrigin)", NULL));
    }
    memset(agreement, 0, sizeof *agreement);
    if (!ws_accept_key(key, agreement->accept)) {
        return refuse(r, HTTP_INTERNAL_SERVER_ERROR,
                      "libcrypto refuses SHA-1, which the handshake needs");
    }
    if (settings->deflate && !agree_on_deflate(r, agreement)) {
        return refuse(r, HTTP_BAD_REQUEST, "Sec-WebSocket-Extensions is not a list of extensions");
    }
    return OK;
}

void ws_upgrade_abandon(const ws_agreement *agreement)
{
    ws_census_release(ws_deflate_kept(&agreement->deflate));
}

void ws_upgrade_answer(request_rec *r, const ws_agreement *agreement)
{
    conn_rec *c = r->connection;

    apr_table_clear(r->headers_out);
    apr_table_setn(r->headers_out, "Upgrade", "websocket");
    apr_table_setn(r->headers_out, "Connection", "Upgrade");
    apr_table_setn(r->headers_out, "Sec-WebSocket-Accept", agreement->accept);
    if (ws_list_has_protocol(apr_table_get(r->headers_in, "Sec-WebSocket-Protocol"),
                             WS_SUBPROTOCOL)) {
        apr_table_setn(r->headers_out, "Sec-WebSocket-Protocol", WS_SUBPROTOCOL);
    }
    if (agreement->extensions[0]) {
        apr_table_setn(r->headers_out, "Sec-WebSocket-Extensions", agreement->extensions);
    }
    r->status = HTTP_SWITCHING_PROTOCOLS;
    r->status_line = NULL;
    ap_send_interim_response(r, 1);

    /* A WebSocket is quiet for long: mod_reqtimeout would end it. */
    for (ap_filter_t *f = c->input_filters; f; f = f->next) {
        if (strcmp(f->frec->name, "reqtimeout") == 0) {
            ap_remove_input_filter(f);
            break;
        }
    }
    /* No HTTP response follows, nor one to a request that was redirected here: frames only. */
    for (request_rec *at = r; at; at = at->prev) {
        at->output_filters = at->proto_output_filters = c->output_filters;
    }
    c->keepalive = AP_CONN_KEEPALIVE;
}
