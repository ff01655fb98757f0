/*
 * What sessions need of httpd's core, for tests without it: a module, and a log that says nothing.
 */
#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

module AP_MODULE_DECLARE_DATA clowntalk_module;

void ap_log_error_(const char *file, int line, int index, int level, apr_status_t status,
                   const server_rec *s, const char *format, ...)
{
    (void)file, (void)line, (void)index, (void)level, (void)status, (void)s, (void)format;
}
