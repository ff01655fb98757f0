/*
 * Whose a session is, as far as limits are concerned: the user that has authenticated, and the
 * address that the client has. What both have asked for is counted over all of the server's
 * processes (shares.h).
 */
#ifndef WS_PAYER_H
#define WS_PAYER_H

#include "shares.h"

#include <httpd.h>

/* Keys of shares.h. All zero: nobody's, and nothing is counted. */
typedef struct ws_payer {
    uint64_t user;    /* 0: anonymous */
    uint64_t address; /* 0: not one of the Internet's */
} ws_payer;

/* What the configuration allows each user and each address, all sessions together. */
typedef struct ws_payer_limits {
    ws_share user, address;              /* ClownTalkUserRate, ClownTalkAddressRate */
    int user_sessions, address_sessions; /* ClownTalkMax...Connections; 0: no limit */
} ws_payer_limits;

/*
 * In httpd's parent, before it forks: makes the table, or goes on with the one that an earlier
 * configuration has left. False: errno says why.
 */
bool ws_payers_create(const ws_payer_limits *limits);
/* What was given there. */
const ws_payer_limits *ws_payers_limits(void);

/*
 * Whose this request is: a user of one realm (AuthName) is not the one of the same name in another;
 * the address is what mod_remoteip says, if it is there, and of an IPv6 address the first 64 bits,
 * since the others are the client's to choose.
 */
ws_payer ws_payer_of(request_rec *r);

/* Which limit has been passed. */
typedef enum ws_payer_limit { WS_PAYER_NONE, WS_PAYER_USER, WS_PAYER_ADDRESS } ws_payer_limit;

/*
 * Charges both for something that costs `cost` units, at `now` in microseconds of the loop's clock.
 * `*wait` becomes the time, in microseconds, for which nothing more should be carried out for
 * them, or WS_SHARES_FAR: this should not be, either. The result says by whose limit.
 */
ws_payer_limit ws_payer_charge(const ws_payer *payer, unsigned cost, int64_t now, int64_t *wait);

#endif
