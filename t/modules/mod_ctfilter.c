/*
 * mod_ctfilter: filters on every connection that pass on what they get, for the tests: what another
 * module may have there that mod_clowntalk does not know.
 */
#include <httpd.h>
#include <http_connection.h>
#include <http_config.h>
#include <util_filter.h>

static apr_status_t pass_in(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
                            apr_read_type_e block, apr_off_t wanted)
{
    return ap_get_brigade(f->next, brigade, mode, block, wanted);
}

static apr_status_t pass_out(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    return ap_pass_brigade(f->next, brigade);
}

static int add_filters(conn_rec *c, void *socket)
{
    ap_add_input_filter("CTFILTER", NULL, NULL, c);
    ap_add_output_filter("CTFILTER", NULL, NULL, c);
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    ap_register_input_filter("CTFILTER", pass_in, NULL, AP_FTYPE_CONNECTION);
    ap_register_output_filter("CTFILTER", pass_out, NULL, AP_FTYPE_CONNECTION);
    ap_hook_pre_connection(add_filters, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(ctfilter) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE,
};
