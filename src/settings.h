/*
 * What the configuration says. The directive table, the defaults and the merge rules are in
 * mod_clowntalk.c; docs/directives.md explains each for administrators.
 */
#ifndef CT_SETTINGS_H
#define CT_SETTINGS_H

#include "hub/hub.h"
#include "session/mod_clowntalk.h"

#include <ap_expr.h>
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

/* The settings that hold for a request, each with its default where it was not set. */
ct_dir_settings ct_settings_of(const request_rec *r);
/* Whether the permission is given; where it is unset, what `otherwise` says. */
int ct_permitted(const ct_permission *permission, request_rec *r, int otherwise);

/* A node and what belongs to it. */
typedef struct ct_node {
    const char *name;
    apr_array_header_t *buses;     /* of hub_bus_config */
    apr_array_header_t *devices;   /* of hub_device_config */
    apr_array_header_t *intervals; /* of hub_interval_config */
    const char *led;               /* NULL: none */
    double rescan;                 /* seconds between looks for new devices, 0: never */
} ct_node;

/*
 * What the whole server shares: one hub, its nodes. Lives in pconf; the same for all virtual hosts.
 */
typedef struct ct_house {
    apr_array_header_t *nodes; /* of ct_node *; the first is nodes/bridge/0 */
    ct_node *current;          /* that directives describe while the configuration is read */
    const char *hub_socket;    /* NULL: not set */
    const char *state_dir;     /* NULL: not set */
    int max_connections;       /* 0: no limit */
    const struct i2c_bus_kind *const *bus_kinds; /* that a ClownTalkBus may be of */
} ct_house;

/* The house of the running configuration. */
const ct_house *ct_house_of(const server_rec *server);
/* A node by its name, if it has any hardware; NULL otherwise. */
const ct_node *ct_node_by_name(const ct_house *house, const char *name);

#endif
