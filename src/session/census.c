#include "census.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct tally {
    int32_t pid; /* 0: free */
    uint32_t sessions;
    size_t reserved; /* bytes */
} tally;

/* Shared by all processes that descend from the one that made it. */
static tally *tallies;
static int n_tallies;
/* This process's own. */
static tally *own;

static apr_status_t unmap(void *size)
{
    munmap(tallies, (size_t)(uintptr_t)size);
    tallies = own = NULL;
    return APR_SUCCESS;
}

apr_status_t ws_census_create(apr_pool_t *pool, int processes)
{
    const size_t size = (size_t)processes * sizeof(tally);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        return errno;
    }
    tallies = memory;
    n_tallies = processes;
    own = NULL;
    apr_pool_cleanup_register(pool, (void *)(uintptr_t)size, unmap, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

void ws_census_bury(pid_t pid)
{
    for (int i = 0; tallies && i < n_tallies; i++) {
        if (__atomic_load_n(&tallies[i].pid, __ATOMIC_ACQUIRE) == pid) {
            __atomic_store_n(&tallies[i].sessions, 0, __ATOMIC_RELEASE);
            __atomic_store_n(&tallies[i].reserved, 0, __ATOMIC_RELEASE);
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

void ws_census_leave(void)
{
    tally *mine = __atomic_load_n(&own, __ATOMIC_ACQUIRE);

    if (mine) {
        __atomic_sub_fetch(&mine->sessions, 1, __ATOMIC_ACQ_REL);
    }
}

int ws_census_enter(int limit)
{
    tally *mine = tallies ? own_tally() : NULL;

    if (!mine) {
        return limit == 0; /* more processes than the MPM said there could be */
    }
    /*
     * First counted, then looked at: two that come at once may both be refused, never both let in.
     */
    __atomic_add_fetch(&mine->sessions, 1, __ATOMIC_ACQ_REL);
    if (limit > 0 && ws_census_total() > (unsigned)limit) {
        ws_census_leave();
        return 0;
    }
    return 1;
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
