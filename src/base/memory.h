/* The end of memory. For any thread. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Ends the process with abort(): what runs out of memory for a few bytes cannot go on. */
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
