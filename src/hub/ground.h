/*
 * What every file of the owner's side stands on: clocks, log, memory. It needs no other file of
 * this folder but the structures. Owner's thread only; hub_copy() and hub_allocate() on any.
 */
#ifndef HUB_GROUND_H
#define HUB_GROUND_H

#include "bus/log.h"
#include "hub.h"

int64_t hub_now(const hub *hub); /* microseconds, monotonic: for durations within this process */
/* Microseconds since the machine's start: for durations that outlast the process. */
int64_t hub_boottime(const hub *hub);
/* Microseconds since 1970, UTC: it jumps, so only for what people read. */
int64_t hub_wall(const hub *hub);
/* One line for the log, at most 511 bytes. */
void hub_log(hub *hub, hub_level level, log_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* As strdup() and calloc(), but without memory the process ends. NULL is copied as "". */
char *hub_copy(const char *text);
void *hub_allocate(size_t count, size_t size);

#endif
