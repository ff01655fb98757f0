#include "clock.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t base_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t base_boottime_us(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t base_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

void base_boot_id(char id[BASE_BOOT_ID])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, id, BASE_BOOT_ID - 1);

    id[length > 0 ? length : 0] = 0;
    id[strcspn(id, "\n")] = 0;
    if (fd >= 0) {
        close(fd);
    }
}
