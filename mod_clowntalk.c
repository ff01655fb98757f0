/* The module: hooks and directives, nothing else. */
#include "config.h"

#include <httpd.h>
#include <apr_lib.h>
#include <apr_strings.h>
#include <http_config.h>

static const char *set_bus(cmd_parms *cmd, void *config, const char *label, const char *device)
{
    (void)config;
    if (!apr_isdigit(*label) || (*device != '/' && strncmp(device, "sim", 3) != 0)) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name,
                           " must be a label (0 to 99) and a device (/dev/i2c-N, sim or sim:FILE)",
                           NULL);
    }
    return NULL;
}

static const char *set_led(cmd_parms *cmd, void *config, const char *path)
{
    (void)config;
    if (*path != '/' && strcmp(path, "sim") != 0) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name, " must be /sys/class/leds/NAME or sim", NULL);
    }
    return NULL;
}

static const command_rec directives[] = {
    AP_INIT_TAKE2("ClownTalkBus", set_bus, NULL, RSRC_CONF, "label and device of an I2C bus"),
    AP_INIT_TAKE1("ClownTalkLED", set_led, NULL, RSRC_CONF, "the LED of this machine"),
    {.name = NULL},
};

AP_DECLARE_MODULE(clowntalk) = {
    STANDARD20_MODULE_STUFF,
    NULL,       /* create per-directory configuration */
    NULL,       /* merge per-directory configuration */
    NULL,       /* create per-server configuration */
    NULL,       /* merge per-server configuration */
    directives, /* directives */
    NULL,       /* register hooks */
    0,          /* flags */
};
