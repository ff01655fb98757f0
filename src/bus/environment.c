#include "environment.h"

#include <time.h>

static int64_t clock_microseconds(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int64_t real_now(void *baton)
{
    (void)baton;
    return clock_microseconds(CLOCK_MONOTONIC);
}

static int64_t real_wall(void *baton)
{
    (void)baton;
    return clock_microseconds(CLOCK_REALTIME);
}

static int real_open(void *baton, i2c_bus **bus, int label, const char *device, char *why,
                     size_t why_size)
{
    (void)baton;
    return i2c_bus_open(bus, label, device, why, why_size);
}

const hub_environment hub_real_environment = {real_open, real_now, real_wall, false, NULL};
