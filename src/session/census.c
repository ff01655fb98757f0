#include "census.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define WAYS       8
#define COUNT_MASK UINT64_C(0xffff)

typedef struct tally {
    int32_t pid; /* 0: free */
    uint32_t sessions;
    size_t reserved; /* bytes */
} tally;

/* Shared by all processes that descend from the one that made it. */
static tally *tallies;
static int n_tallies;
/*
 * For each tally, how many sessions each user and address has: sets of WAYS words. A word is a key
 * but for its last bits, and these are the count: so both change at once. 0: free. A key has its
 * place in one set.
 */
static uint64_t *words;
static unsigned n_sets; /* of each tally; a power of 2, or 0 */
/* This process's own. */
static tally *own;

static apr_status_t unmap(void *size)
{
    munmap(tallies, (size_t)(uintptr_t)size);
    tallies = own = NULL;
    words = NULL;
    return APR_SUCCESS;
}

apr_status_t ws_census_create(apr_pool_t *pool, int processes, unsigned keys)
{
    const unsigned sets = keys > 0 && keys < WAYS ? 1 : keys / WAYS;
    const size_t each = sizeof(tally) + (size_t)sets * WAYS * sizeof *words;
    const size_t size = (size_t)processes * each;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        return errno;
    }
    tallies = memory;
    n_tallies = processes;
    n_sets = sets;
    words = (uint64_t *)(void *)(tallies + processes);
    own = NULL;
    apr_pool_cleanup_register(pool, (void *)(uintptr_t)size, unmap, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

/* The set of a key in a tally. */
static uint64_t *set_of(const tally *t, uint64_t key)
{
    return words + ((size_t)(t - tallies) * n_sets + (key & (n_sets - 1))) * WAYS;
}

static void clear_words(const tally *t)
{
    for (size_t i = 0; i < (size_t)n_sets * WAYS; i++) {
        uint64_t *word = words + (size_t)(t - tallies) * n_sets * WAYS + i;

        if (__atomic_load_n(word, __ATOMIC_RELAXED)) {
            __atomic_store_n(word, 0, __ATOMIC_RELEASE);
        }
    }
}

void ws_census_bury(pid_t pid)
{
    for (int i = 0; tallies && i < n_tallies; i++) {
        if (__atomic_load_n(&tallies[i].pid, __ATOMIC_ACQUIRE) == pid) {
            __atomic_store_n(&tallies[i].sessions, 0, __ATOMIC_RELEASE);
            __atomic_store_n(&tallies[i].reserved, 0, __ATOMIC_RELEASE);
            clear_words(&tallies[i]);
            __atomic_store_n(&tallies[i].pid, 0, __ATOMIC_RELEASE);
        }
    }
}

/*
 * This process's tally, claimed at its first session. Two threads may race: one finds the other's.
 */
static tally *own_tally(void)
{
    const int32_t pid = (int32_t)getpid();
    tally *found = __atomic_load_n(&own, __ATOMIC_ACQUIRE);

    for (int i = 0; !found && i < n_tallies; i++) {
        int32_t owner = 0;

        if (__atomic_compare_exchange_n(&tallies[i].pid, &owner, pid, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE) ||
            owner == pid) {
            found = &tallies[i];
        }
    }
    if (found) {
        __atomic_store_n(&own, found, __ATOMIC_RELEASE);
    }
    return found;
}

unsigned ws_census_total(void)
{
    unsigned total = 0;

    for (int i = 0; tallies && i < n_tallies; i++) {
        total += __atomic_load_n(&tallies[i].sessions, __ATOMIC_RELAXED);
    }
    return total;
}

/* ---- of one user or address ---- */

static bool is_of(uint64_t word, uint64_t key)
{
    return word && (word | COUNT_MASK) == (key | COUNT_MASK);
}

/* Adds one in this process, where there is room for it. */
static void count_in(uint64_t *set, uint64_t key)
{
    for (unsigned i = 0; i < 2 * WAYS; i++) { /* first for its own word, then for a free one */
        uint64_t word = __atomic_load_n(&set[i % WAYS], __ATOMIC_RELAXED);

        while (i < WAYS ? is_of(word, key) && (word & COUNT_MASK) < COUNT_MASK : word == 0) {
            const uint64_t more = word ? word + 1 : (key & ~COUNT_MASK) + 1;

            if (__atomic_compare_exchange_n(&set[i % WAYS], &word, more, 0, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED)) {
                return;
            }
        }
    }
}

/* The opposite. Two words of one key, which threads may have made at the same time, are as one. */
static void count_out(uint64_t *set, uint64_t key)
{
    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t word = __atomic_load_n(&set[i], __ATOMIC_RELAXED);

        while (is_of(word, key)) {
            const uint64_t less = (word & COUNT_MASK) > 1 ? word - 1 : 0;

            if (__atomic_compare_exchange_n(&set[i], &word, less, 0, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED)) {
                return;
            }
        }
    }
}

static void count(const tally *mine, const ws_payer *payer, void (*how)(uint64_t *, uint64_t))
{
    if (n_sets > 0 && payer->user) {
        how(set_of(mine, payer->user), payer->user);
    }
    if (n_sets > 0 && payer->address) {
        how(set_of(mine, payer->address), payer->address);
    }
}

/* Its sessions in all processes. */
static unsigned count_of(uint64_t key)
{
    unsigned total = 0;

    for (int i = 0; i < n_tallies; i++) {
        const uint64_t *set = set_of(&tallies[i], key);

        for (unsigned k = 0; k < WAYS && __atomic_load_n(&tallies[i].pid, __ATOMIC_RELAXED); k++) {
            const uint64_t word = __atomic_load_n(&set[k], __ATOMIC_RELAXED);

            total += is_of(word, key) ? (unsigned)(word & COUNT_MASK) : 0;
        }
    }
    return total;
}

/* Whether it has more sessions than `limit`; 0: no limit. */
static bool is_beyond(uint64_t key, int limit)
{
    return n_sets > 0 && key && limit > 0 && count_of(key) > (unsigned)limit;
}

/* ---- sessions ---- */

void ws_census_leave(const ws_payer *payer)
{
    tally *mine = __atomic_load_n(&own, __ATOMIC_ACQUIRE);

    if (mine) {
        __atomic_sub_fetch(&mine->sessions, 1, __ATOMIC_ACQ_REL);
        count(mine, payer, count_out);
    }
}

ws_census_answer ws_census_enter(int limit, const ws_payer *payer, const ws_payer_limits *limits)
{
    tally *mine = tallies ? own_tally() : NULL;
    ws_census_answer answer = WS_CENSUS_ENTERED;

    if (!mine) {
        /* More processes than the MPM said there could be. */
        return limit == 0 ? WS_CENSUS_ENTERED : WS_CENSUS_FULL;
    }
    /*
     * First counted, then looked at: two that come at once may both be refused, never both let in.
     */
    __atomic_add_fetch(&mine->sessions, 1, __ATOMIC_ACQ_REL);
    count(mine, payer, count_in);
    if (limit > 0 && ws_census_total() > (unsigned)limit) {
        answer = WS_CENSUS_FULL;
    } else if (is_beyond(payer->user, limits->user_sessions)) {
        answer = WS_CENSUS_FULL_USER;
    } else if (is_beyond(payer->address, limits->address_sessions)) {
        answer = WS_CENSUS_FULL_ADDRESS;
    }
    if (answer != WS_CENSUS_ENTERED) {
        ws_census_leave(payer);
    }
    return answer;
}

static size_t total_reserved(void)
{
    size_t total = 0;

    for (int i = 0; i < n_tallies; i++) {
        total += __atomic_load_n(&tallies[i].reserved, __ATOMIC_RELAXED);
    }
    return total;
}

void ws_census_release(size_t bytes)
{
    tally *mine = __atomic_load_n(&own, __ATOMIC_ACQUIRE);

    if (mine && bytes > 0) {
        __atomic_sub_fetch(&mine->reserved, bytes, __ATOMIC_ACQ_REL);
    }
}

int ws_census_reserve(size_t bytes, size_t limit)
{
    tally *mine = tallies && bytes > 0 ? own_tally() : NULL;

    if (!mine) {
        return bytes == 0;
    }
    __atomic_add_fetch(&mine->reserved, bytes, __ATOMIC_ACQ_REL);
    if (total_reserved() > limit) {
        ws_census_release(bytes);
        return 0;
    }
    return 1;
}
