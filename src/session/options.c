#include "options.h"

static bool may_detach = true, may_use_io_uring = true;

void ws_options_set(bool detach, bool io_uring)
{
    may_detach = detach;
    may_use_io_uring = io_uring;
}

bool ws_options_detach(void)
{
    return may_detach;
}

bool ws_options_io_uring(void)
{
    return may_use_io_uring;
}
