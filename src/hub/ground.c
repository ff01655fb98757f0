#include "ground.h"

#include "node.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t hub_now(const hub *hub)
{
    return hub->environment.bus.now(hub->environment.bus.baton);
}

int64_t hub_boottime(const hub *hub)
{
    return hub->environment.boottime(hub->environment.bus.baton);
}

int64_t hub_wall(const hub *hub)
{
    return hub->environment.wall(hub->environment.bus.baton);
}

void hub_log(hub *hub, hub_level level, log_code code, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    hub->output.log(hub->output.baton, level, code, text);
}

char *hub_copy(const char *text)
{
    char *copy = strdup(text ? text : "");

    if (!copy) {
        base_out_of_memory();
    }
    return copy;
}

void *hub_allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory) {
        base_out_of_memory();
    }
    return memory;
}
