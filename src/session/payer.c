#include "payer.h"

#include <http_config.h>
#include <http_core.h>

#include <apr_strings.h>

#include <string.h>

#define TABLE_KEY "mod_clowntalk:shares" /* in what httpd retains from start to restart */
#define SETS      8192                   /* 32,768 keys that owe something; 512 KiB at most */

static ws_shares *table;
static ws_payer_limits limits;

bool ws_payers_create(const ws_payer_limits *given)
{
    /* A restart loads the module anew: a static variable would not outlive it. */
    ws_shares **retained = ap_retained_data_get(TABLE_KEY);

    if (!retained) {
        retained = ap_retained_data_create(TABLE_KEY, sizeof(ws_shares *));
    }
    if (!*retained) {
        *retained = ws_shares_map(SETS);
    }
    table = *retained;
    limits = *given;
    return table != NULL;
}

const ws_payer_limits *ws_payers_limits(void)
{
    return &limits;
}

/* The bytes of an address that stand for the client: of IPv6 those of its network. */
static uint64_t key_of_address(const apr_sockaddr_t *address)
{
    const unsigned char *bytes = address->ipaddr_ptr;

    if (address->family == APR_INET) {
        return ws_shares_key(table, WS_SHARE_ADDRESS, bytes, 4);
    }
#if APR_HAVE_IPV6
    if (address->family == APR_INET6) {
        return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)bytes)
                   ? ws_shares_key(table, WS_SHARE_ADDRESS, bytes + 12, 4)
                   : ws_shares_key(table, WS_SHARE_ADDRESS, bytes, 8);
    }
#endif
    return 0;
}

static uint64_t key_of_user(request_rec *r)
{
    const char *realm = ap_auth_name(r);
    /* No header field, so no name of HTTP's authentication, has a line feed in it. */
    const char *name = apr_pstrcat(r->pool, r->user, "\n", realm, NULL);

    return ws_shares_key(table, WS_SHARE_USER, name, strlen(name));
}

ws_payer ws_payer_of(request_rec *r)
{
    ws_payer payer = {0, 0};

    if (table) {
        payer.user = r->user ? key_of_user(r) : 0;
        payer.address = r->useragent_addr ? key_of_address(r->useragent_addr) : 0;
    }
    return payer;
}

ws_payer_limit ws_payer_charge(const ws_payer *payer, unsigned cost, int64_t now, int64_t *wait)
{
    const int64_t address = ws_shares_charge(table, payer->address, limits.address, cost, now);
    const int64_t user =
        address == WS_SHARES_FAR ? 0 : ws_shares_charge(table, payer->user, limits.user, cost, now);

    if (user == WS_SHARES_FAR || (address != WS_SHARES_FAR && user > address)) {
        *wait = user;
        return WS_PAYER_USER;
    }
    *wait = address;
    return address ? WS_PAYER_ADDRESS : WS_PAYER_NONE;
}
