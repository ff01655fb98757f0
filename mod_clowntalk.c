/*
 * mod_clowntalk: a house's relays and sensors on the web, from the Apache that already runs there.
 *
 * This file is where httpd meets the module: the directives, which fill in session/settings.h and
 * link/house.h, and the hooks. docs/architecture.md says what is in which folder of src/.
 */
#include "handlers/handlers.h"
#include "hub/hub.h"
#include "i2c/linux.h"
#include "link/envelope.h"
#include "link/house.h"
#include "link/process.h"
#include "log.h"
#include "session/api.h"
#include "session/census.h"
#include "session/options.h"
#include "session/payer.h"
#include "session/reactors.h"
#include "session/reserve.h"
#include "session/session.h"
#include "session/settings.h"
#include "session/tls.h"
#include "session/upgrade.h"
#include "session/wire.h"
#include "sim/sim.h"
#include "websocket/handshake.h"

#include <ap_mpm.h>
#include <ap_provider.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_status.h>
#include <mpm_common.h>
#include <scoreboard.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>

#define HANDLER_NAME "clowntalk" /* SetHandler clowntalk */
#define RETRY_AFTER  "10"        /* seconds that a client is told to wait when there are too many */
/* Users and addresses of which a child counts the sessions; fewer where each has a thread. */
#define COUNTED_KEYS 8192
/* Keys of what outlives a function: in pconf, and in what httpd retains from start to restart. */
#define HANDLERS_KEY "mod_clowntalk:handlers"
#define STARTED_KEY  "mod_clowntalk:started"

/* ---- per directory ---- */

static const char *set_handler(cmd_parms *cmd, void *dir, const char *name)
{
    apr_array_header_t *asked;
    void *data = NULL;

    /* Whether it exists is known when all modules are loaded: clowntalk_check_config(). */
    apr_pool_userdata_get(&data, HANDLERS_KEY, cmd->pool);
    asked = data;
    if (!asked) {
        asked = apr_array_make(cmd->pool, 2, sizeof(const char *));
        apr_pool_userdata_setn(asked, HANDLERS_KEY, NULL, cmd->pool);
    }
    APR_ARRAY_PUSH(asked, const char *) = name;
    ((ct_dir_settings *)dir)->handler = name;
    return NULL;
}

static const char *set_permission(cmd_parms *cmd, void *dir, const char *value)
{
    ct_permission *permission = (ct_permission *)((char *)dir + (apr_size_t)cmd->info);
    const char *error = NULL;

    if (strcasecmp(value, "on") == 0) {
        permission->answer = CT_ON;
    } else if (strcasecmp(value, "off") == 0) {
        permission->answer = CT_OFF;
    } else {
        permission->answer = CT_EXPR;
        permission->expr = ap_expr_parse_cmd(cmd, value, 0, &error, NULL);
        if (error) {
            return apr_psprintf(cmd->pool,
                                "%s must be On, Off or an expression in quotation marks (as in "
                                "\"%%{REMOTE_USER} == 'admin'\"), not '%s': %s",
                                cmd->cmd->name, value, error);
        }
    }
    return NULL;
}

static const char *set_origins(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    ct_origins *origins = &((ct_dir_settings *)dir)->origins;
    apr_array_header_t *list = apr_array_make(cmd->pool, argc > 0 ? argc : 1, sizeof(const char *));
    int same = 0, any = 0;

    for (int i = 0; i < argc; i++) {
        if (strcasecmp(argv[i], "same") == 0) {
            same = 1;
        } else if (strcmp(argv[i], "*") == 0) {
            any = 1;
        } else if (ws_origin_is_valid(argv[i])) {
            APR_ARRAY_PUSH(list, const char *) = argv[i];
        } else {
            return apr_psprintf(cmd->pool,
                                "ClownTalkOrigin must be same, * or a list of origins such as "
                                "https://www.example.com:8443, not '%s'",
                                argv[i]);
        }
    }
    if (argc == 0 || (any && argc > 1)) {
        return "ClownTalkOrigin must be same, * or a list of origins (and * stands alone)";
    }
    *origins = (ct_origins){any               ? CT_ORIGINS_ANY
                            : list->nelts > 0 ? CT_ORIGINS_LISTED
                                              : CT_ORIGINS_SAME,
                            list, same};
    return NULL;
}

/*
 * Reads a whole number: 60, 60.0 and 6e1 are the same one. NULL where it is one within the bounds;
 * otherwise what is allowed.
 */
static const char *read_number(cmd_parms *cmd, const char *value, apr_int64_t least,
                               apr_int64_t most, const char *unit, apr_int64_t *number)
{
    char *end;
    const double read = strtod(value, &end);

    if (end == value || *end || strspn(value, "0123456789.eE+-") != strlen(value) ||
        !(read >= (double)least && read <= (double)most) || read != floor(read)) {
        return apr_psprintf(cmd->pool,
                            "%s must be a whole number of %s from %" APR_INT64_T_FMT
                            " to %" APR_INT64_T_FMT ", not '%s'",
                            cmd->cmd->name, unit, least, most, value);
    }
    *number = (apr_int64_t)read;
    return NULL;
}

static const char *set_max_message(cmd_parms *cmd, void *dir, const char *value)
{
    return read_number(cmd, value, 125, 1 << 30, "bytes", &((ct_dir_settings *)dir)->max_message);
}

static const char *set_backlog(cmd_parms *cmd, void *dir, const char *value)
{
    return read_number(cmd, value, 1024, 1 << 30, "bytes", &((ct_dir_settings *)dir)->backlog);
}

static const char *set_ping(cmd_parms *cmd, void *dir, const char *value)
{
    apr_int64_t seconds = ct_dir_defaults.ping;
    const char *error = NULL;

    if (strcasecmp(value, "auto") != 0) {
        error = read_number(cmd, value, 0, 86400, "seconds (or auto)", &seconds);
    }
    ((ct_dir_settings *)dir)->ping = (int)seconds;
    return error;
}

static const char *set_max_age(cmd_parms *cmd, void *dir, const char *value)
{
    apr_int64_t seconds = 0;
    const char *error = read_number(cmd, value, 0, 365 * 86400, "seconds (0: no end)", &seconds);

    ((ct_dir_settings *)dir)->max_age = (int)seconds;
    return error;
}

/* Reads N or N/s. NULL where it is one within the bounds; otherwise what is allowed. */
static const char *read_rate(cmd_parms *cmd, const char *value, const char *of, double *rate)
{
    char *end;
    const double number = strtod(value, &end);

    if (end == value || (*end && strcmp(end, "/s") != 0) || !(number >= 0.1 && number <= 1e6)) {
        return apr_psprintf(cmd->pool,
                            "%s must be a number of %s a second from 0.1 to 1000000, as in 50/s, "
                            "not '%s'",
                            cmd->cmd->name, of, value);
    }
    *rate = number;
    return NULL;
}

static const char *set_rate(cmd_parms *cmd, void *dir, const char *rate, const char *burst)
{
    ct_dir_settings *settings = dir;
    double number = 0;
    apr_int64_t requests;
    const char *error = read_rate(cmd, rate, "requests", &number);

    requests = (apr_int64_t)ceil(2 * number);
    if (!error && burst) {
        error = read_number(cmd, burst, 1, 1000000, "requests at once", &requests);
    }
    settings->rate = number;
    settings->burst = (int)requests;
    return error;
}

/* ---- the house: what the whole server shares ---- */

/* What a ClownTalkBus may be of. */
static const i2c_bus_kind *const bus_kinds[] = {&linux_bus_kind, &sim_bus_kind, NULL};

/* What describes a node. Anything else would hold for every node, wherever it stands. */
static const char *check_node_section(cmd_parms *cmd)
{
    static const char *const allowed[] = {"ClownTalkBus", "ClownTalkDevice", "ClownTalkLED",
                                          "ClownTalkPublishInterval", "ClownTalkRescan"};
    const size_t n_allowed = sizeof allowed / sizeof *allowed;

    for (const ap_directive_t *d = cmd->directive->first_child; d; d = d->next) {
        size_t i = 0;

        while (i < n_allowed && strcasecmp(d->directive, allowed[i]) != 0) {
            i++;
        }
        if (i == n_allowed) {
            return apr_psprintf(
                cmd->pool,
                "%s%s (line %d) cannot stand in <ClownTalkNode>, where only ClownTalkBus, "
                "ClownTalkDevice, ClownTalkLED, ClownTalkPublishInterval and ClownTalkRescan can: "
                "it would hold for every node. What holds for a node's clients stands in a "
                "<Location> for its address",
                d->directive, d->directive[0] == '<' ? ">" : "", d->line_num);
        }
    }
    return NULL;
}

static const char *open_node(cmd_parms *cmd, void *dir, const char *args)
{
    const char *end = ap_strrchr_c(args, '>');
    ct_house *house = ct_house_in(cmd->pool);
    ct_node *outer = house->current;
    const char *name, *error;

    (void)dir;
    if (!end) {
        return "<ClownTalkNode NAME> must end in '>'";
    }
    args = apr_pstrmemdup(cmd->temp_pool, args, (apr_size_t)(end - args));
    name = ap_getword_conf(cmd->pool, &args);
    if (*args || !envelope_node_is_valid(name)) {
        return apr_psprintf(
            cmd->pool,
            "<ClownTalkNode NAME> takes one name of letters a-z, digits, '-' and '.' "
            "with '/' between its levels, as in nodes/bridge/1, not '%s'",
            name);
    }
    if ((error = check_node_section(cmd))) {
        return error;
    }
    house->current = ct_house_node(house, name);
    error = ap_walk_config(cmd->directive->first_child, cmd, cmd->context);
    house->current = outer;
    return error;
}

static const char *copy_error(cmd_parms *cmd, const char *error)
{
    return error ? apr_psprintf(cmd->pool, "%s: %s", cmd->cmd->name, error) : NULL;
}

static const char *set_bus(cmd_parms *cmd, void *dir, const char *label, const char *device,
                           const char *option)
{
    ct_node *node = ct_house_in(cmd->pool)->current;
    hub_bus_config bus = {.device = device};
    char why[256];
    apr_int64_t number;
    const char *error = read_number(cmd, label, 0, 99, "a bus's label", &number);

    (void)dir;
    if (error) {
        return error;
    }
    bus.label = (int)number;
    if (option && (error = hub_read_bus_option(&bus, option, why, sizeof why))) {
        return copy_error(cmd, error);
    }
    if (strncmp(device, "sim:", 4) == 0 && device[4]) {
        const char *file = ap_server_root_relative(cmd->pool, device + 4);

        bus.device = apr_pstrcat(cmd->pool, "sim:", file ? file : device + 4, NULL);
    }
    for (int i = 0; i < node->buses->nelts; i++) {
        if (APR_ARRAY_IDX(node->buses, i, hub_bus_config).label == bus.label) {
            return apr_psprintf(cmd->pool, "ClownTalkBus %d stands twice for node %s", bus.label,
                                node->name);
        }
    }
    APR_ARRAY_PUSH(node->buses, hub_bus_config) = bus;
    return copy_error(cmd, hub_check_bus(&bus, bus_kinds, why, sizeof why));
}

static const char *set_device(cmd_parms *cmd, void *dir, int argc, char *const argv[])
{
    ct_node *node = ct_house_in(cmd->pool)->current;
    hub_device_config device = {0};
    apr_array_header_t *options = apr_array_make(cmd->pool, argc + 1, sizeof(const char *));
    char why[256];
    int next = 1;

    (void)dir;
    if (argc < 1) {
        return "ClownTalkDevice takes TOPIC [DRIVER] [OPTION=VALUE ...]";
    }
    device.topic = argv[0];
    if (argc > 1 && !strchr(argv[1], '=')) {
        device.driver = argv[next++];
    }
    for (; next < argc; next++) {
        APR_ARRAY_PUSH(options, const char *) = argv[next];
    }
    APR_ARRAY_PUSH(options, const char *) = NULL;
    device.options = (const char *const *)options->elts;
    APR_ARRAY_PUSH(node->devices, hub_device_config) = device;
    return copy_error(cmd, hub_check_device(&device, (const hub_device_config *)node->devices->elts,
                                            (size_t)node->devices->nelts - 1, why, sizeof why));
}

static const char *set_led(cmd_parms *cmd, void *dir, const char *path)
{
    (void)dir;
    if (strcmp(path, "sim") != 0 && path[0] != '/') {
        return apr_psprintf(cmd->pool,
                            "ClownTalkLED must be a directory such as /sys/class/leds/ACT, or sim, "
                            "not '%s'",
                            path);
    }
    ct_house_in(cmd->pool)->current->led = path;
    return NULL;
}

static const char *set_interval(cmd_parms *cmd, void *dir, const char *type, const char *seconds)
{
    hub_interval_config interval = {.type = type};
    char why[256], *end;

    (void)dir;
    interval.seconds = strtod(seconds, &end);
    if (end == seconds || *end) {
        return apr_psprintf(
            cmd->pool, "ClownTalkPublishInterval takes a number of seconds, not '%s'", seconds);
    }
    APR_ARRAY_PUSH(ct_house_in(cmd->pool)->current->intervals, hub_interval_config) = interval;
    return copy_error(cmd, hub_check_interval(&interval, why, sizeof why));
}

static const char *set_rescan(cmd_parms *cmd, void *dir, const char *seconds)
{
    apr_int64_t number = 0;
    const char *error = read_number(cmd, seconds, 0, 86400, "seconds", &number);

    (void)dir;
    ct_house_in(cmd->pool)->current->rescan = (double)number;
    return error;
}

static const char *set_hub_socket(cmd_parms *cmd, void *dir, const char *path)
{
    ct_house *house = ct_house_in(cmd->pool);

    (void)dir;
    house->hub_socket = ap_runtime_dir_relative(cmd->pool, path);
    if (!house->hub_socket ||
        strlen(house->hub_socket) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        return apr_psprintf(cmd->pool,
                            "ClownTalkHubSocket must be a path of less than %d bytes, not '%s'",
                            (int)sizeof((struct sockaddr_un *)0)->sun_path, path);
    }
    return NULL;
}

static const char *set_max_connections(cmd_parms *cmd, void *dir, const char *value)
{
    apr_int64_t number = 0;
    const char *error = read_number(cmd, value, 0, 1000000, "connections (0: no limit)", &number);

    (void)dir;
    ct_house_in(cmd->pool)->max_connections = (int)number;
    return error;
}

static void *in_house(cmd_parms *cmd)
{
    return (char *)ct_house_in(cmd->pool) + (apr_size_t)cmd->info;
}

static const char *set_house_limit(cmd_parms *cmd, void *dir, const char *value)
{
    apr_int64_t number = 0;
    const char *error = read_number(cmd, value, 0, 65535, "connections (0: no limit)", &number);

    (void)dir;
    *(int *)in_house(cmd) = (int)number;
    return error;
}

static const char *set_shared_rate(cmd_parms *cmd, void *dir, const char *rate, const char *burst)
{
    ct_rate *limit = in_house(cmd);
    double number = 0;
    apr_int64_t units;
    const char *error =
        strcmp(rate, "0") == 0 ? NULL : read_rate(cmd, rate, "requests (0: no limit)", &number);

    (void)dir;
    units = (apr_int64_t)ceil(100 * number);
    if (!error && burst) {
        error = read_number(cmd, burst, 1, 100000000, "requests at once", &units);
    }
    *limit = (ct_rate){number, units};
    return error;
}

static const char *set_house_flag(cmd_parms *cmd, void *dir, int on)
{
    (void)dir;
    return ap_set_flag_slot(cmd, ct_house_in(cmd->pool), on);
}

static const char *set_house_path(cmd_parms *cmd, void *dir, const char *path)
{
    (void)dir;
    return ap_set_file_slot(cmd, ct_house_in(cmd->pool), path);
}

#define DIR_FIELD(member)   ((void *)offsetof(ct_dir_settings, member))
#define HOUSE_FIELD(member) ((void *)offsetof(ct_house, member))
#define ANYWHERE            (RSRC_CONF | ACCESS_CONF)

/*
 * Each is explained in docs/directives.md; t/005_documentation.t compares the two. httpd itself
 * refuses one of RSRC_CONF in a <Location>, where it would look as if it held only there.
 */
static const command_rec directives[] = {
    AP_INIT_RAW_ARGS("<ClownTalkNode", open_node, NULL, RSRC_CONF,
                     "a further node, by its name, with buses of its own"),
    AP_INIT_TAKE23("ClownTalkBus", set_bus, NULL, RSRC_CONF,
                   "an I2C bus: its label, its device (/dev/i2c-N, sim or sim:FILE), and whose "
                   "modules it carries (modules=bigclown)"),
    AP_INIT_TAKE_ARGV("ClownTalkDevice", set_device, NULL, RSRC_CONF,
                      "pins a device: its topic, driver (or none) and OPTION=VALUE ..."),
    AP_INIT_TAKE1("ClownTalkLED", set_led, NULL, RSRC_CONF,
                  "the node's LED: /sys/class/leds/NAME or sim"),
    AP_INIT_TAKE2("ClownTalkPublishInterval", set_interval, NULL, RSRC_CONF,
                  "a type of sensor and the seconds between its publications"),
    AP_INIT_TAKE1("ClownTalkRescan", set_rescan, NULL, RSRC_CONF,
                  "seconds between looks for new devices, 0: never"),
    AP_INIT_TAKE1("ClownTalkStateDir", set_house_path, HOUSE_FIELD(state_dir), RSRC_CONF,
                  "the directory in which states are remembered"),
    AP_INIT_TAKE1("ClownTalkHubSocket", set_hub_socket, NULL, RSRC_CONF,
                  "the socket between the hub and the server's child processes"),
    AP_INIT_TAKE1("ClownTalkMaxConnections", set_max_connections, NULL, RSRC_CONF,
                  "how many sessions the server takes, 0: no limit"),
    AP_INIT_TAKE1("ClownTalkMaxUserConnections", set_house_limit, HOUSE_FIELD(max_user_connections),
                  RSRC_CONF, "how many sessions one user may have, 0: no limit"),
    AP_INIT_TAKE1("ClownTalkMaxAddressConnections", set_house_limit,
                  HOUSE_FIELD(max_address_connections), RSRC_CONF,
                  "how many sessions one address may have, 0: no limit"),
    AP_INIT_TAKE12("ClownTalkUserRate", set_shared_rate, HOUSE_FIELD(user_rate), RSRC_CONF,
                   "units of requests a second from one user, and how many at once, 0: no limit"),
    AP_INIT_TAKE12("ClownTalkAddressRate", set_shared_rate, HOUSE_FIELD(address_rate), RSRC_CONF,
                   "units of requests a second from one address, and how many at once, 0: none"),
    AP_INIT_FLAG("ClownTalkDetach", set_house_flag, HOUSE_FIELD(detach), RSRC_CONF,
                 "whether sessions may leave httpd's connections"),
    AP_INIT_FLAG("ClownTalkIOUring", set_house_flag, HOUSE_FIELD(io_uring), RSRC_CONF,
                 "whether publications may be sent by io_uring"),
    AP_INIT_TAKE1("ClownTalkHandler", set_handler, NULL, ANYWHERE,
                  "what handles the messages: i2c, echo, or another module's"),
    AP_INIT_TAKE1("ClownTalkControl", set_permission, DIR_FIELD(control), ANYWHERE,
                  "who may switch: On, Off or an expression"),
    AP_INIT_TAKE1("ClownTalkRawI2C", set_permission, DIR_FIELD(raw_i2c), ANYWHERE,
                  "who may use i2c/... topics: On, Off or an expression"),
    AP_INIT_TAKE_ARGV("ClownTalkOrigin", set_origins, NULL, ANYWHERE,
                      "which web pages may connect: same, * or a list of origins"),
    AP_INIT_FLAG("ClownTalkRequireOpening", ap_set_flag_slot, DIR_FIELD(require_opening), ANYWHERE,
                 "whether a client must send clown.talk/-/config/set first"),
    AP_INIT_TAKE1("ClownTalkMaxMessage", set_max_message, NULL, ANYWHERE,
                  "bytes in a message from a client"),
    AP_INIT_TAKE12("ClownTalkRate", set_rate, NULL, ANYWHERE,
                   "requests a second from a client, and how many at once"),
    AP_INIT_TAKE1("ClownTalkBacklog", set_backlog, NULL, ANYWHERE,
                  "unsent bytes after which a slow client is dropped"),
    AP_INIT_TAKE1("ClownTalkPing", set_ping, NULL, ANYWHERE,
                  "seconds between pings, 0: none, or auto"),
    AP_INIT_TAKE1("ClownTalkMaxAge", set_max_age, NULL, ANYWHERE,
                  "seconds after which a session is closed, 0: never"),
    AP_INIT_FLAG("ClownTalkDeflate", ap_set_flag_slot, DIR_FIELD(deflate), ANYWHERE,
                 "whether messages are compressed for clients that offer it"),
    {.name = NULL},
};

/* ---- requests ---- */

static int mpm_is_async; /* of this process: set once, before it has a second thread */

/* 0, or the Close code for the process's sessions when it is about to end. */
static int stopping_code(void)
{
    int state = AP_MPMQ_RUNNING, generation = 0;

    ap_mpm_query(AP_MPMQ_MPM_STATE, &state);
    if (state != AP_MPMQ_STOPPING) {
        return 0;
    }
    /* At a restart the generation has already been counted up when the children learn of it. */
    ap_mpm_query(AP_MPMQ_GENERATION, &generation);
    return ap_scoreboard_image && ap_scoreboard_image->global->running_generation != generation
               ? WS_CLOSE_SERVICE_RESTART
               : WS_CLOSE_GOING_AWAY;
}

/* What is known about a connection: in its slot, once there is something. */
typedef struct connection_notes {
    SSL *ssl;                   /* mod_ssl's, on a connection that has one */
    clowntalk_session *session; /* where it was suspended */
} connection_notes;

static connection_notes *notes_of(conn_rec *c)
{
    connection_notes *notes = ap_get_module_config(c->conn_config, &clowntalk_module);

    if (!notes) {
        notes = apr_pcalloc(c->pool, sizeof *notes);
        ap_set_module_config(c->conn_config, &clowntalk_module, notes);
    }
    return notes;
}

static void clowntalk_tls_found(conn_rec *c, SSL *ssl)
{
    notes_of(c)->ssl = ssl;
}

/* Frees a session that was suspended, but whose connection was not handed over. */
static apr_status_t discard_session(void *session)
{
    ws_session_free(session);
    return APR_SUCCESS;
}

/* In an asynchronous MPM the worker thread goes on to other work and the reactor takes over. */
static int begin_session(request_rec *r, clowntalk_session *session)
{
    conn_rec *c = r->connection;
    apr_status_t status;

    /*
     * What an internal redirect (mod_rewrite in a <Directory>, FallbackResource) leads to cannot be
     * suspended.
     */
    if (mpm_is_async && c->cs && !c->master && !r->prev) {
        notes_of(c)->session = session;
        apr_pool_cleanup_register(c->pool, session, discard_session, apr_pool_cleanup_null);
        return SUSPENDED;
    }
    status = ws_reactor_serve(session, stopping_code);
    ws_session_free(session);
    if (status != APR_SUCCESS) {
        CT_LOG_REQUEST(r, APLOG_ERR, status, "CT0013", "the session cannot begin");
        c->aborted = 1;
    }
    c->keepalive = AP_CONN_CLOSE;
    return OK;
}

/* Counts the session. OK, or the HTTP status where there is no room for it. */
static int enter(request_rec *r, const ws_payer *payer)
{
    static const char *const why[] = {
        [WS_CENSUS_FULL] = "there are too many sessions (ClownTalkMaxConnections)",
        [WS_CENSUS_FULL_USER] = "this user has too many sessions (ClownTalkMaxUserConnections)",
        [WS_CENSUS_FULL_ADDRESS] =
            "this address has too many sessions (ClownTalkMaxAddressConnections)",
    };
    ws_census_answer answer;

    if (!ws_reserve_has_room(r)) {
        apr_table_setn(r->err_headers_out, "Retry-After", RETRY_AFTER);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    answer = ws_census_enter(ct_house_of(r->server)->max_connections, payer, ws_payers_limits());
    if (answer != WS_CENSUS_ENTERED) {
        apr_table_setn(r->err_headers_out, "Retry-After", RETRY_AFTER);
        ws_upgrade_log_refusal(r, HTTP_SERVICE_UNAVAILABLE, why[answer]);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    return OK;
}

/* OK where the handshake succeeds, DONE where the response was written, else the HTTP status. */
static int check_handshake(request_rec *r, const ct_dir_settings *settings, const ws_payer *payer,
                           ws_agreement *agreement)
{
    int status = ws_upgrade_check(r, settings, agreement);

    if (status == OK) {
        status = enter(r, payer);
        if (status != OK) {
            ws_upgrade_abandon(agreement);
        }
    }
    return status;
}

static int clowntalk_content(request_rec *r)
{
    ct_dir_settings settings;
    const clowntalk_handler *handler;
    ws_agreement agreement;
    ws_payer payer;
    void *data = NULL;
    const char *why = "the handler refuses it";
    int status;

    if (!r->handler || strcmp(r->handler, HANDLER_NAME) != 0) {
        return DECLINED;
    }
    settings = ct_settings_of(r);
    handler =
        ap_lookup_provider(CLOWNTALK_HANDLER_GROUP, settings.handler, CLOWNTALK_HANDLER_VERSION);
    if (!handler) {
        ws_upgrade_log_refusal(r, HTTP_INTERNAL_SERVER_ERROR, "there is no such ClownTalkHandler");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    status = ws_upgrade_check_method(r);
    if (status != OK) {
        return status;
    }
    status = handler->accept ? handler->accept(r, &data, &why) : OK;
    if (status != OK) {
        ws_upgrade_log_refusal(r, status, why);
        return status;
    }
    payer = ws_payer_of(r);
    status = check_handshake(r, &settings, &payer, &agreement);
    if (status != OK) {
        if (handler->release) {
            handler->release(data);
        }
        return status == DONE ? OK : status;
    }
    ws_upgrade_answer(r, &agreement);
    return begin_session(r, ws_session_create(r, notes_of(r->connection)->ssl,
                                              &(ws_settings){
                                                  .max_message = (apr_uint64_t)settings.max_message,
                                                  .backlog = (apr_size_t)settings.backlog,
                                                  .ping = settings.ping,
                                                  .max_age = settings.max_age,
                                                  .deflate = agreement.deflate,
                                                  .payer = payer,
                                              },
                                              handler, data));
}

/*
 * The MPM's last act on a connection that it suspends, still on the worker thread: so a slow log
 * never stalls a reactor. The request is logged and freed, and the reactor owns the connection from
 * here on.
 */
static void clowntalk_suspend(conn_rec *c, request_rec *r)
{
    const connection_notes *notes = ap_get_module_config(c->conn_config, &clowntalk_module);
    apr_allocator_t *allocator = apr_pool_allocator_get(c->pool);

    if (!notes || !notes->session || !r || r->status != HTTP_SWITCHING_PROTOCOLS) {
        return;
    }
    apr_allocator_max_free_set(allocator, 1); /* the request's memory goes back to the system */
    ap_process_request_after_handler(r);
    c->cs->state = CONN_STATE_SUSPENDED; /* or the MPM's counters go wrong at the end */
    apr_pool_cleanup_kill(c->pool, notes->session, discard_session);
    ws_reactor_adopt(notes->session, c);
}

/* ---- processes ---- */

/* What the whole server shares, with the defaults of what was not set. */
static ct_house *complete_house(apr_pool_t *pconf)
{
    ct_house *house = ct_house_in(pconf);

    if (!house->hub_socket) {
        house->hub_socket = ap_runtime_dir_relative(pconf, "clowntalk-hub.sock");
    }
    if (!house->state_dir) {
        house->state_dir = CT_STATE_DIR;
    }
    house->bus_kinds = bus_kinds;
    return house;
}

/*
 * Whether root may act on the house's paths. At a restart what lies there may have changed, which
 * must not end the server: then hub_process_start() copes with it.
 */
static int check_paths(apr_pool_t *pconf, server_rec *server)
{
    const ct_house *house = complete_house(pconf);

    return !ct_house_has_hardware(house) || ap_state_query(AP_SQ_CONFIG_GEN) > 1 ||
                   hub_process_check(server, house)
               ? OK
               : HTTP_INTERNAL_SERVER_ERROR;
}

/*
 * Names of handlers that no module provides are an error of the configuration, and so are paths on
 * which root must not act.
 */
static int clowntalk_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                                  server_rec *server)
{
    void *data = NULL;
    const apr_array_header_t *asked;

    (void)plog;
    apr_pool_userdata_get(&data, HANDLERS_KEY, pconf);
    asked = data;
    for (int i = 0; asked && i < asked->nelts; i++) {
        const char *name = APR_ARRAY_IDX(asked, i, const char *);
        const apr_array_header_t *known =
            ap_list_provider_names(ptemp, CLOWNTALK_HANDLER_GROUP, CLOWNTALK_HANDLER_VERSION);
        const char *names = "";

        if (ap_lookup_provider(CLOWNTALK_HANDLER_GROUP, name, CLOWNTALK_HANDLER_VERSION)) {
            continue;
        }
        for (int k = 0; k < known->nelts; k++) {
            names =
                apr_pstrcat(ptemp, names, k ? ", " : "",
                            APR_ARRAY_IDX(known, k, ap_list_provider_names_t).provider_name, NULL);
        }
        CT_LOG_SERVER(server, APLOG_CRIT, 0, "CT0001",
                      "ClownTalkHandler must be one of %s, not '%s'", names, name);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return check_paths(pconf, server);
}

/* Logs how many sessions the server can carry: before the first one is refused. */
static void log_capacity(server_rec *server)
{
    int async = 0, threads = 0, processes = 0;
    struct rlimit descriptors;

    ap_mpm_query(AP_MPMQ_IS_ASYNC, &async);
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes);
    if (!async) {
        CT_LOG_SERVER(
            server, APLOG_NOTICE, 0, "CT0002",
            "each session takes a worker thread with this MPM, so there can be %d at most; "
            "the event MPM carries thousands",
            (threads > 0 ? threads : 1) * processes);
    } else if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 &&
               descriptors.rlim_cur != RLIM_INFINITY) {
        CT_LOG_SERVER(
            server, APLOG_INFO, 0, "CT0003",
            "each session takes a descriptor: fewer than %lu fit into each of the server's %d "
            "child processes (ulimit -n)",
            (unsigned long)descriptors.rlim_cur -
                ws_reserve_size((unsigned long)descriptors.rlim_cur, threads),
            processes);
    }
}

/* Makes what all child processes share, to count sessions and requests. False without memory. */
static bool share_limits(apr_pool_t *pconf, const ct_house *house)
{
    const ws_payer_limits limits = {
        .user = ws_share_of(house->user_rate.per_second, house->user_rate.at_once),
        .address = ws_share_of(house->address_rate.per_second, house->address_rate.at_once),
        .user_sessions = house->max_user_connections,
        .address_sessions = house->max_address_connections,
    };
    unsigned keys = 0;
    int processes = 0, async = 0, threads = 0;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &processes);
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &async);
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &threads);
    if (limits.user_sessions > 0 || limits.address_sessions > 0) {
        keys = 8;
        while (keys < COUNTED_KEYS && (async || keys < 4 * (unsigned)threads)) {
            keys *= 2;
        }
    }
    return ws_census_create(pconf, processes + 1, keys) == APR_SUCCESS && ws_payers_create(&limits);
}

static int clowntalk_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                                 server_rec *main_server)
{
    const ct_house *house = complete_house(pconf);
    int *started;

    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG ||
        ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        return OK;
    }
    ct_house_publish(main_server, house);
    ws_options_set(house->detach, house->io_uring);
    if (!share_limits(pconf, house)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    log_capacity(main_server);
    if (!ct_house_has_hardware(house)) {
        hub_process_end_predecessor();
        return OK; /* only other handlers, or nothing yet */
    }
    started = ap_retained_data_get(STARTED_KEY);
    if (!started) {
        started = ap_retained_data_create(STARTED_KEY, sizeof *started);
    }
    return hub_process_start(pconf, main_server, house, (*started)++ > 0) == APR_SUCCESS
               ? OK
               : HTTP_INTERNAL_SERVER_ERROR;
}

static int clowntalk_monitor(apr_pool_t *pconf, server_rec *server)
{
    (void)pconf;
    hub_process_maintain(server);
    return OK;
}

static apr_status_t end_child(void *unused)
{
    (void)unused;
    ws_reactor_join();
    return APR_SUCCESS;
}

static void clowntalk_child_init(apr_pool_t *pchild, server_rec *server)
{
    apr_status_t status;

    hub_process_forked(server);
    ws_reactors_init();
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &mpm_is_async);
    if (!mpm_is_async) {
        return;
    }
    status = ws_reactor_start();
    if (status != APR_SUCCESS) {
        CT_LOG_SERVER(server, APLOG_CRIT, status, "CT0004", "the reactor cannot start");
        mpm_is_async = 0; /* a thread per session, then */
        return;
    }
    apr_pool_pre_cleanup_register(pchild, NULL, end_child);
}

static void clowntalk_child_stopping(apr_pool_t *pchild, int graceful)
{
    int threaded = 0;
    const int code = stopping_code();

    (void)pchild;
    (void)graceful;
    /*
     * Prefork calls this in a signal handler, where no lock may be taken; its loop calls
     * stopping_code() in every round.
     */
    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    if (threaded) {
        ws_reactors_stop(code ? code : WS_CLOSE_GOING_AWAY);
    }
}

static void clowntalk_child_status(server_rec *server, pid_t pid, ap_generation_t generation,
                                   int slot, mpm_child_status state)
{
    (void)server;
    (void)generation;
    (void)slot;
    if (state == MPM_CHILD_EXITED || state == MPM_CHILD_LOST_SLOT) {
        ws_census_bury(pid);
    }
}

/* ---- mod_status ---- */

/* mod_status itself counts connections, which sessions leave. */
static int clowntalk_status(request_rec *r, int flags)
{
    const unsigned sessions = ws_census_total();

    if (flags & AP_STATUS_SHORT) {
        ap_rprintf(r, "ClownTalkSessions: %u\n", sessions);
    } else {
        ap_rprintf(r, "<hr />\n<h2>Clown.Talk</h2>\n<p>%u WebSocket session%s</p>\n", sessions,
                   sessions == 1 ? "" : "s");
    }
    return OK;
}

/* ---- hooks, in the order in which httpd calls them ---- */

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, CLOWNTALK_HANDLER_GROUP, "i2c", CLOWNTALK_HANDLER_VERSION,
                         &ct_i2c_handler);
    ap_register_provider(pool, CLOWNTALK_HANDLER_GROUP, "echo", CLOWNTALK_HANDLER_VERSION,
                         &ct_echo_handler);
    ws_wire_register();
    ws_api_register();
    ws_reserve_register();

    /* All modules have been loaded: apachectl configtest runs this too. */
    ap_hook_check_config(clowntalk_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    /* The configuration has been read: what is shared by all processes is made, the hub started. */
    ap_hook_post_config(clowntalk_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    /* In the parent, about every ten seconds: a hub that could not start is tried again. */
    ap_hook_monitor(clowntalk_monitor, NULL, NULL, APR_HOOK_MIDDLE);
    /* A child process has been forked: its reactor starts. */
    ap_hook_child_init(clowntalk_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    /* mod_ssl is about to shake hands: sessions do without its filters later. */
    ws_tls_register(pool, clowntalk_tls_found);
    /* A request has passed access control, authentication and authorization. */
    ap_hook_handler(clowntalk_content, NULL, NULL, APR_HOOK_MIDDLE);
    /* mod_status makes its page. */
    APR_OPTIONAL_HOOK(ap, status_hook, clowntalk_status, NULL, NULL, APR_HOOK_MIDDLE);
    /* The MPM suspends the connection. Last: other modules must be done with the request. */
    ap_hook_suspend_connection(clowntalk_suspend, NULL, NULL, APR_HOOK_LAST);
    /* The child is about to end: its sessions are closed. */
    ap_hook_child_stopping(clowntalk_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    /* In the parent, when a child has ended: its sessions no longer count. */
    ap_hook_child_status(clowntalk_child_status, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA clowntalk_module = {
    STANDARD20_MODULE_STUFF,
    ct_dir_settings_create,
    ct_dir_settings_merge,
    NULL, /* a server's is the one house: ct_house_publish() */
    NULL,
    directives,
    register_hooks,
    AP_MODULE_FLAG_NONE,
};
