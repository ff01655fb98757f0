/* The module: hooks and directives, nothing else. */
#include "config.h"

#include <httpd.h>
#include <http_config.h>

AP_DECLARE_MODULE(clowntalk) = {
    STANDARD20_MODULE_STUFF,
    NULL, /* create per-directory configuration */
    NULL, /* merge per-directory configuration */
    NULL, /* create per-server configuration */
    NULL, /* merge per-server configuration */
    NULL, /* directives */
    NULL, /* register hooks */
    0,    /* flags */
};
