/*
 * Log lines of the module, for every file that knows httpd. Each has a stable number, CT0001 to
 * CT0999 (APLOGNO belongs to httpd; the hub's are CT1000 to CT1999), listed in
 * docs/log-messages.md.
 */
#ifndef CT_LOG_H
#define CT_LOG_H

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

/* The name that LogLevel knows: "LogLevel clowntalk:debug". */
APLOG_USE_MODULE(clowntalk);

#define CT_LOG_SERVER(server, level, status, number, ...)                                          \
    ap_log_error(APLOG_MARK, level, status, server, number ": " __VA_ARGS__)
#define CT_LOG_REQUEST(request, level, status, number, ...)                                        \
    ap_log_rerror(APLOG_MARK, level, status, request, number ": " __VA_ARGS__)
/* About a session, which may have left its conn_rec: `client` is "address:port", as in httpd's. */
#define CT_LOG_CLIENT(server, client, level, status, number, format, ...)                          \
    ap_log_error(APLOG_MARK, level, status, server, "[client %s] " number ": " format, client,     \
                 ##__VA_ARGS__)

#endif
