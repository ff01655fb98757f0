#include "shares.h"

#include <apr_general.h>
#include <apr_siphash.h>

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define SECOND INT64_C(1000000000) /* nanoseconds */

/* 0: never used. What is owed is `paid_at` less the time that it is now. */
typedef struct slot {
    _Atomic uint64_t key;
    _Atomic uint64_t paid_at; /* nanoseconds */
} slot;

typedef struct set {
    _Alignas(64) slot slots[WS_SHARES_WAYS]; /* a cache line */
} set;

struct ws_shares {
    unsigned char seed[APR_SIPHASH_KSIZE];
    unsigned sets;
    set table[];
};

static size_t size_of(unsigned sets)
{
    return sizeof(ws_shares) + sets * sizeof(set);
}

ws_shares *ws_shares_map(unsigned sets)
{
    ws_shares *shares =
        mmap(NULL, size_of(sets), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    apr_status_t status;

    if (shares == MAP_FAILED) {
        return NULL;
    }
    shares->sets = sets;
    status = apr_generate_random_bytes(shares->seed, sizeof shares->seed);
    if (status != APR_SUCCESS) {
        ws_shares_unmap(shares);
        errno = status;
        return NULL;
    }
    return shares;
}

void ws_shares_unmap(ws_shares *shares)
{
    munmap(shares, size_of(shares->sets));
}

ws_share ws_share_of(double per_second, int64_t at_once)
{
    ws_share share = {0, 0};

    if (per_second > 0) {
        share.unit = (int64_t)((double)SECOND / per_second + 0.5);
        share.burst = share.unit * at_once;
    }
    return share;
}

uint64_t ws_shares_key(const ws_shares *shares, ws_share_kind kind, const void *bytes,
                       size_t length)
{
    unsigned char seed[APR_SIPHASH_KSIZE];
    uint64_t key;

    for (size_t i = 0; i < sizeof seed; i++) {
        seed[i] = shares->seed[i];
    }
    seed[0] ^= (unsigned char)kind;
    key = apr_siphash24(bytes, length, seed);
    return key ? key : 1;
}

/* Nanoseconds that are owed: none where the time has passed. Right also where time wraps. */
static int64_t owed_at(uint64_t paid_at, uint64_t now)
{
    const int64_t owed = (int64_t)(paid_at - now);

    return owed > 0 ? owed : 0;
}

/*
 * The slot of a key: its own, or the one that owes least. That one was another's: what is owed
 * there is forgiven, unless another process has been quicker, whose key then has it.
 */
static slot *slot_of(ws_shares *shares, uint64_t key, uint64_t now)
{
    set *s = &shares->table[key & (shares->sets - 1)];
    slot *least = NULL;
    int64_t least_owed = INT64_MAX;
    uint64_t before = 0;

    for (unsigned i = 0; i < WS_SHARES_WAYS; i++) {
        slot *at = &s->slots[i];
        const uint64_t whose = atomic_load_explicit(&at->key, memory_order_relaxed);
        int64_t owed;

        if (whose == key) {
            return at;
        }
        owed = whose ? owed_at(atomic_load_explicit(&at->paid_at, memory_order_relaxed), now) : 0;
        if (!least || owed < least_owed) {
            least = at;
            least_owed = owed;
            before = whose;
        }
    }
    if (atomic_compare_exchange_strong_explicit(&least->key, &before, key, memory_order_relaxed,
                                                memory_order_relaxed)) {
        atomic_store_explicit(&least->paid_at, now, memory_order_relaxed);
    }
    return least;
}

/* What it owes with `cost` more, or WS_SHARES_FAR: never where it owes no more than a burst. */
static int64_t add_cost(int64_t owed, int64_t cost, const ws_share *share, int64_t most)
{
    if (owed + cost <= most) {
        return owed + cost;
    }
    return owed > share->burst ? WS_SHARES_FAR : most;
}

int64_t ws_shares_charge(ws_shares *shares, uint64_t key, ws_share share, unsigned cost,
                         int64_t now_us)
{
    const uint64_t now = (uint64_t)now_us * 1000;
    const int64_t most = share.burst + WS_SHARES_PATIENCE * SECOND;
    uint64_t paid_at;
    int64_t owed, charged;
    slot *mine;

    if (share.unit == 0 || key == 0) {
        return 0;
    }
    mine = slot_of(shares, key, now);
    paid_at = atomic_load_explicit(&mine->paid_at, memory_order_relaxed);
    do {
        owed = owed_at(paid_at, now);
        /* More can be owed by the rules of an earlier configuration alone: it is forgiven. */
        charged = add_cost(owed < most ? owed : most, cost * share.unit, &share, most);
        if (charged == WS_SHARES_FAR && owed <= most) {
            return WS_SHARES_FAR;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &mine->paid_at, &paid_at, now + (uint64_t)(charged == WS_SHARES_FAR ? most : charged),
        memory_order_relaxed, memory_order_relaxed));
    if (charged == WS_SHARES_FAR) {
        return WS_SHARES_FAR;
    }
    return charged > share.burst ? (charged - share.burst + 999) / 1000 : 0;
}
