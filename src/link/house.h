/*
 * What the configuration says about the house: its nodes with their hardware, and what holds for
 * the whole server, which has one hub. mod_clowntalk.c's directives fill it in while the
 * configuration is read, in httpd's parent; from then on it is only read, on any thread. It lives
 * in pconf, and is the same for all virtual hosts.
 */
#ifndef CT_HOUSE_H
#define CT_HOUSE_H

#include <httpd.h>
#include <http_config.h>

/* A node and what belongs to it. */
typedef struct ct_node {
    const char *name;
    apr_array_header_t *buses;     /* of hub_bus_config (hub/hub.h) */
    apr_array_header_t *devices;   /* of hub_device_config */
    apr_array_header_t *intervals; /* of hub_interval_config */
    const char *led;               /* NULL: none */
    double rescan;                 /* seconds between looks for new devices, 0: never */
} ct_node;

/* How much may be asked for: units, of which a plain request is one. */
typedef struct ct_rate {
    double per_second; /* 0: no limit */
    apr_int64_t at_once;
} ct_rate;

typedef struct ct_house {
    apr_array_header_t *nodes; /* of ct_node *; the first is nodes/bridge/0 */
    ct_node *current;          /* that directives describe while the configuration is read */
    const char *hub_socket;    /* NULL: not set */
    const char *state_dir;     /* NULL: not set */
    int max_connections;       /* 0: no limit */
    int max_user_connections;  /* of one user; 0: no limit */
    int max_address_connections;
    ct_rate user_rate;                           /* of all sessions of one user together */
    ct_rate address_rate;                        /* of one address */
    int detach;                                  /* flag: sessions may leave httpd's connections */
    int io_uring;                                /* flag: publications may be sent by io_uring */
    const struct i2c_bus_kind *const *bus_kinds; /* of ClownTalkBus, NULL-terminated */
} ct_house;

/* The house of the configuration that is being read; made at the first call for this pool. */
ct_house *ct_house_in(apr_pool_t *pconf);
/* The node of this name; made where there is none. `name` must live as long as the house. */
ct_node *ct_house_node(ct_house *house, const char *name);
/* Whether any node has hardware, so that there is something for a hub to do. */
int ct_house_has_hardware(const ct_house *house);

/* Makes it the running configuration's, for this server and its virtual hosts. */
void ct_house_publish(server_rec *main_server, const ct_house *house);
/* The house of the running configuration. */
const ct_house *ct_house_of(const server_rec *server);
/* A node by its name, if it has any hardware; NULL otherwise. */
const ct_node *ct_node_by_name(const ct_house *house, const char *name);

#endif
