#include "house.h"

#include "hub/hub.h"

#define FIRST_NODE     "nodes/bridge/0"
#define HOUSE_KEY      "mod_clowntalk:house"
#define DEFAULT_RESCAN 30.0
/* Of a user and of an address: docs/directives.md says what of. */
#define CT_SHARED_RATE  2000
#define CT_SHARED_BURST 200000

extern module AP_MODULE_DECLARE_DATA clowntalk_module;

static ct_node *add_node(ct_house *house, const char *name)
{
    apr_pool_t *pool = house->nodes->pool;
    ct_node *node = apr_pcalloc(pool, sizeof *node);

    node->name = name;
    node->buses = apr_array_make(pool, 2, sizeof(hub_bus_config));
    node->devices = apr_array_make(pool, 4, sizeof(hub_device_config));
    node->intervals = apr_array_make(pool, 2, sizeof(hub_interval_config));
    node->rescan = DEFAULT_RESCAN;
    APR_ARRAY_PUSH(house->nodes, ct_node *) = node;
    return node;
}

ct_house *ct_house_in(apr_pool_t *pconf)
{
    void *data = NULL;
    ct_house *house;

    apr_pool_userdata_get(&data, HOUSE_KEY, pconf);
    house = data;
    if (!house) {
        house = apr_pcalloc(pconf, sizeof *house);
        house->nodes = apr_array_make(pconf, 2, sizeof(ct_node *));
        house->current = add_node(house, FIRST_NODE);
        house->detach = 1;
        house->io_uring = 1;
        house->user_rate = house->address_rate = (ct_rate){CT_SHARED_RATE, CT_SHARED_BURST};
        apr_pool_userdata_setn(house, HOUSE_KEY, NULL, pconf);
    }
    return house;
}

static ct_node *find_node(const ct_house *house, const char *name)
{
    for (int i = 0; i < house->nodes->nelts; i++) {
        ct_node *node = APR_ARRAY_IDX(house->nodes, i, ct_node *);

        if (strcmp(node->name, name) == 0) {
            return node;
        }
    }
    return NULL;
}

ct_node *ct_house_node(ct_house *house, const char *name)
{
    ct_node *node = find_node(house, name);

    return node ? node : add_node(house, name);
}

static int has_hardware(const ct_node *node)
{
    return node->buses->nelts > 0 || node->led;
}

int ct_house_has_hardware(const ct_house *house)
{
    for (int i = 0; i < house->nodes->nelts; i++) {
        if (has_hardware(APR_ARRAY_IDX(house->nodes, i, const ct_node *))) {
            return 1;
        }
    }
    return 0;
}

void ct_house_publish(server_rec *main_server, const ct_house *house)
{
    for (server_rec *server = main_server; server; server = server->next) {
        ap_set_module_config(server->module_config, &clowntalk_module, (void *)house);
    }
}

const ct_house *ct_house_of(const server_rec *server)
{
    return ap_get_module_config(server->module_config, &clowntalk_module);
}

const ct_node *ct_node_by_name(const ct_house *house, const char *name)
{
    const ct_node *node = find_node(house, name);

    return node && has_hardware(node) ? node : NULL;
}
