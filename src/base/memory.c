#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Nothing here may allocate: the line is made on the stack, and stderr's buffer is passed by. */
void base_out_of_memory(void)
{
    char thread[16] = "", line[128];
    int length;

    prctl(PR_GET_NAME, thread);
    length = snprintf(line, sizeof line, "%s: out of memory: process %ld (%.15s) ends\n", "CT0064",
                      (long)getpid(), thread);
    if (length < 0 || write(STDERR_FILENO, line, strnlen(line, sizeof line)) < 0) {
        abort(); /* the same, unheard */
    }
    abort();
}
