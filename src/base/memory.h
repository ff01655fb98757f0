/* The end of memory. For any thread. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/*
 * Ends the process with abort(), as APR's pools do: what runs out of memory for a few bytes cannot
 * go on, and whoever started the process starts it again. Before that it writes a line to standard
 * error, which httpd's processes have in their error log, with the name of the thread that had
 * asked for memory.
 */
_Noreturn void base_out_of_memory(void);

/* Passes on what an allocation returned, unless that is NULL. */
static inline void *base_must(void *memory)
{
    if (memory == NULL) {
        base_out_of_memory();
    }
    return memory;
}

#endif
