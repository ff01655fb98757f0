/*
 * What the configuration says about the clients of a location. mod_clowntalk.c's directives fill it
 * in while the configuration is read; from then on it is only read, on any thread.
 * docs/directives.md explains each directive for administrators.
 */
#ifndef CT_SETTINGS_H
#define CT_SETTINGS_H

#include <ap_expr.h>
#include <httpd.h>
#include <http_config.h>

extern module AP_MODULE_DECLARE_DATA clowntalk_module;

/* A question that the configuration answers once per session, at its handshake. */
typedef struct ct_permission {
    enum { CT_UNSET = 0, CT_OFF, CT_ON, CT_EXPR } answer;
    const ap_expr_info_t *expr; /* CT_EXPR */
} ct_permission;

/* Which web pages may connect. */
typedef struct ct_origins {
    enum { CT_ORIGINS_UNSET = 0, CT_ORIGINS_SAME, CT_ORIGINS_ANY, CT_ORIGINS_LISTED } which;
    const apr_array_header_t *list; /* CT_ORIGINS_LISTED: of const char *, without those above */
    int same_too;                   /* CT_ORIGINS_LISTED: "same" was among them */
} ct_origins;

/* Per directory. A negative number is one that was not set. */
typedef struct ct_dir_settings {
    const char *handler; /* NULL: not set */
    ct_permission control;
    ct_permission raw_i2c;
    ct_origins origins;
    int require_opening;     /* flag */
    apr_int64_t max_message; /* bytes */
    double rate;             /* requests per second */
    int burst;               /* requests */
    apr_int64_t backlog;     /* bytes */
    int ping;                /* seconds, 0: none */
    int max_age;             /* seconds, 0: no end */
    int deflate;             /* flag */
} ct_dir_settings;

/* What holds where nothing is configured. */
extern const ct_dir_settings ct_dir_defaults;

/* For httpd: settings of which none is set, and those of an inner section over an outer one's. */
void *ct_dir_settings_create(apr_pool_t *pool, char *where);
void *ct_dir_settings_merge(apr_pool_t *pool, void *outer, void *inner);

/* The settings that hold for a request, each with its default where it was not set. */
ct_dir_settings ct_settings_of(const request_rec *r);
/*
 * Whether the permission is given; where it is unset, what `otherwise` says. An expression that
 * cannot be evaluated is logged and gives no permission.
 */
int ct_permitted(const ct_permission *permission, request_rec *r, int otherwise);

#endif
