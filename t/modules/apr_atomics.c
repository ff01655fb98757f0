/*
 * APR's atomic operations for ThreadSanitizer, loaded into httpd before libapr.
 *
 * httpd and APR are not instrumented. Their mutexes and conditions ThreadSanitizer knows all the
 * same, since those are pthread's; but not the instructions in libapr by which one thread hands
 * another something without a lock, as the event MPM does with the pools of connections. These here
 * are instrumented, and do the same: so what they order is known, and nothing has to be suppressed.
 */
#include <apr_atomic.h>

#include <stdbool.h>

#define ORDER __ATOMIC_SEQ_CST

apr_uint32_t apr_atomic_read32(volatile apr_uint32_t *mem)
{
    return __atomic_load_n(mem, ORDER);
}

void apr_atomic_set32(volatile apr_uint32_t *mem, apr_uint32_t value)
{
    __atomic_store_n(mem, value, ORDER);
}

apr_uint32_t apr_atomic_add32(volatile apr_uint32_t *mem, apr_uint32_t value)
{
    return __atomic_fetch_add(mem, value, ORDER);
}

void apr_atomic_sub32(volatile apr_uint32_t *mem, apr_uint32_t value)
{
    __atomic_fetch_sub(mem, value, ORDER);
}

apr_uint32_t apr_atomic_inc32(volatile apr_uint32_t *mem)
{
    return __atomic_fetch_add(mem, 1, ORDER);
}

int apr_atomic_dec32(volatile apr_uint32_t *mem)
{
    return __atomic_sub_fetch(mem, 1, ORDER) != 0;
}

apr_uint32_t apr_atomic_cas32(volatile apr_uint32_t *mem, apr_uint32_t with, apr_uint32_t expected)
{
    __atomic_compare_exchange_n(mem, &expected, with, false, ORDER, ORDER);
    return expected;
}

apr_uint32_t apr_atomic_xchg32(volatile apr_uint32_t *mem, apr_uint32_t value)
{
    return __atomic_exchange_n(mem, value, ORDER);
}

void *apr_atomic_casptr(volatile void **mem, void *with, const void *expected)
{
    void *found = (void *)expected;

    __atomic_compare_exchange_n((void *volatile *)mem, &found, with, false, ORDER, ORDER);
    return found;
}

void *apr_atomic_xchgptr(volatile void **mem, void *with)
{
    return __atomic_exchange_n((void *volatile *)mem, with, ORDER);
}
