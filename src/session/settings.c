#include "settings.h"

#include "log.h"

#define UNSET (-1)

/* docs/directives.md says the same. */
const ct_dir_settings ct_dir_defaults = {
    .handler = "i2c",
    .control = {CT_UNSET, NULL}, /* On for an authenticated user, else Off */
    .raw_i2c = {CT_OFF, NULL},
    .origins = {CT_ORIGINS_SAME, NULL, 0},
    .require_opening = 1,
    .max_message = 16384,
    .rate = 50,
    .burst = 100,
    .backlog = 262144,
    .ping = 30, /* "auto" */
    .max_age = 0,
    .deflate = 1,
};

void *ct_dir_settings_create(apr_pool_t *pool, char *where)
{
    ct_dir_settings *settings = apr_pcalloc(pool, sizeof *settings);

    (void)where;
    settings->require_opening = UNSET;
    settings->max_message = UNSET;
    settings->rate = UNSET;
    settings->burst = UNSET;
    settings->backlog = UNSET;
    settings->ping = UNSET;
    settings->max_age = UNSET;
    settings->deflate = UNSET;
    return settings;
}

/* Every member: the inner one where it is set, otherwise the outer one. */
static ct_dir_settings merge(const ct_dir_settings *outer, const ct_dir_settings *inner)
{
    return (ct_dir_settings){
        .handler = inner->handler ? inner->handler : outer->handler,
        .control = inner->control.answer ? inner->control : outer->control,
        .raw_i2c = inner->raw_i2c.answer ? inner->raw_i2c : outer->raw_i2c,
        .origins = inner->origins.which ? inner->origins : outer->origins,
        .require_opening =
            inner->require_opening >= 0 ? inner->require_opening : outer->require_opening,
        .max_message = inner->max_message >= 0 ? inner->max_message : outer->max_message,
        .rate = inner->rate >= 0 ? inner->rate : outer->rate,
        .burst = inner->rate >= 0 ? inner->burst : outer->burst, /* one directive sets both */
        .backlog = inner->backlog >= 0 ? inner->backlog : outer->backlog,
        .ping = inner->ping >= 0 ? inner->ping : outer->ping,
        .max_age = inner->max_age >= 0 ? inner->max_age : outer->max_age,
        .deflate = inner->deflate >= 0 ? inner->deflate : outer->deflate,
    };
}

void *ct_dir_settings_merge(apr_pool_t *pool, void *outer, void *inner)
{
    ct_dir_settings *merged = apr_palloc(pool, sizeof *merged);

    *merged = merge(outer, inner);
    return merged;
}

ct_dir_settings ct_settings_of(const request_rec *r)
{
    return merge(&ct_dir_defaults, ap_get_module_config(r->per_dir_config, &clowntalk_module));
}

int ct_permitted(const ct_permission *permission, request_rec *r, int otherwise)
{
    const char *error = NULL;
    int answer;

    if (permission->answer != CT_EXPR) {
        return permission->answer == CT_UNSET ? otherwise : permission->answer == CT_ON;
    }
    answer = ap_expr_exec(r, permission->expr, &error);
    if (answer < 0) {
        CT_LOG_REQUEST(r, APLOG_ERR, 0, "CT0012",
                       "cannot evaluate an expression, so the permission is refused: %s", error);
    }
    return answer > 0;
}
