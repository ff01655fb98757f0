#include "memory.h"

#include <stdio.h>
#include <stdlib.h>

void base_out_of_memory(void)
{
    fputs("clown.talk: out of memory\n", stderr);
    abort();
}
