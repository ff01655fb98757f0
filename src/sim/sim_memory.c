#include "sim_memory.h"

#include "base/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory ---- */

#define PLACE_SIZE    4096 /* bytes per address; place 0 is the file's own */
#define PLACE_HEADER  64
#define MEMORY_SIZE   (SIM_ADDRESSES * PLACE_SIZE)
#define LOCK_PATIENCE 3000000 /* µs, as for a real bus */
#define LOCK_RETRY    20000

typedef struct memory_header {
    char magic[32];
    int64_t last; /* time of the last access: an older clock means that the machine was restarted */
} memory_header;

typedef struct place_header {
    char chip[32];
    uint64_t size; /* of the chip's struct; 0: the place is free */
} place_header;

static const char magic[32] = "clowntalk simulated chips, 1";

static int lock(sim_bus *bus, const char *path, char *why, size_t why_size)
{
    int64_t waited = 0;
    while (flock(bus->memory_fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        if (error != EINTR && error != EWOULDBLOCK) {
            snprintf(why, why_size, "cannot lock %s: %s", path, strerror(error));
            return -error;
        }
        if (waited >= LOCK_PATIENCE) {
            snprintf(why, why_size,
                     "%s is in use by another hub or clowntalk-bridge, which holds its lock; a bus "
                     "has one owner",
                     path);
            return -EBUSY;
        }
        bus->clock.sleep(bus->clock.baton, LOCK_RETRY);
        waited += LOCK_RETRY;
    }
    return 0;
}

/*
 * Opens a file, or makes it: a hub does that as root. So it is a file that has no other name, by
 * which it may be anybody's, and the path is not a link. A descriptor, or a negative errno.
 */
static int open_file(const char *path, int flags, mode_t mode, char *why, size_t why_size)
{
    struct stat status;
    int fd = open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
    if (fd < 0) {
        int error = errno;
        snprintf(why, why_size, "cannot open %s: %s", path,
                 error == ELOOP ? "it is a symbolic link" : strerror(error));
        return -error;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1) {
        snprintf(why, why_size, "%s is no file, or one that has another name, too", path);
        close(fd);
        return -EPERM;
    }
    return fd;
}

/* Whether a file is empty, or was made here: zeros, where its maker died before it wrote. */
static bool is_ours(int fd)
{
    static const char nothing[sizeof magic], name[] = "clowntalk simulated chips, ";
    char text[sizeof magic];
    const ssize_t length = pread(fd, text, sizeof text, 0);
    return length == 0 || (length == sizeof text && (memcmp(text, name, sizeof name - 1) == 0 ||
                                                     memcmp(text, nothing, sizeof text) == 0));
}

int sim_memory_open(sim_bus *bus, const char *path, char *why, size_t why_size)
{
    bus->memory_fd = open_file(path, O_RDWR, 0600, why, why_size);
    if (bus->memory_fd < 0) {
        return bus->memory_fd;
    }
    int result = lock(bus, path, why, why_size);
    if (result < 0) {
        return result;
    }
    if (!is_ours(bus->memory_fd)) {
        snprintf(why, why_size,
                 "%s is no memory of simulated chips, and is left as it is: name a file that does "
                 "not exist yet",
                 path);
        return -EEXIST;
    }
    void *memory = MAP_FAILED;
    if (ftruncate(bus->memory_fd, MEMORY_SIZE) == 0) {
        memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bus->memory_fd, 0);
    }
    if (memory == MAP_FAILED) {
        int error = errno;
        snprintf(why, why_size, "cannot map %s: %s", path, strerror(error));
        return -error;
    }
    bus->memory = memory;
    bus->now = bus->clock.now(bus->clock.baton);
    memory_header *header = memory;
    if (memcmp(header->magic, magic, sizeof magic) != 0 || header->last > bus->now) {
        memset(memory, 0, MEMORY_SIZE);
    }
    memcpy(header->magic, magic, sizeof magic);
    return 0;
}

void *sim_memory_place(sim_bus *bus, const sim_chip_ops *ops, uint8_t address, bool *kept)
{
    place_header *place = (place_header *)(bus->memory + (size_t)address * PLACE_SIZE);
    void *chip = (uint8_t *)place + PLACE_HEADER;
    if (ops->size > PLACE_SIZE - PLACE_HEADER) {
        return NULL;
    }
    *kept = place->size == ops->size && strncmp(place->chip, ops->name, sizeof place->chip) == 0;
    if (!*kept) {
        memset(place, 0, PLACE_SIZE);
    }
    snprintf(place->chip, sizeof place->chip, "%s", ops->name);
    place->size = ops->size;
    return chip;
}

void sim_memory_touch(sim_bus *bus)
{
    ((memory_header *)bus->memory)->last = bus->now;
}

void sim_memory_forget(sim_bus *bus, uint8_t address)
{
    memset(bus->memory + (size_t)address * PLACE_SIZE, 0, PLACE_SIZE);
}

void sim_memory_close(sim_bus *bus)
{
    if (bus->memory) {
        munmap(bus->memory, MEMORY_SIZE);
    }
    if (bus->memory_fd >= 0) {
        close(bus->memory_fd);
    }
}

/* ---- trace ---- */

#define MAX_LINE  512
#define MAX_BYTES 40 /* that a line shows of a transfer, each way */

int sim_trace_open(sim_bus *bus, const char *path, char *why, size_t why_size)
{
    bus->trace_fd = open_file(path, O_WRONLY | O_APPEND, 0644, why, why_size);
    return bus->trace_fd < 0 ? bus->trace_fd : 0;
}

/* A whole line in one write, so that lines of two processes never mix. */
static void put_line(const sim_bus *bus, uint8_t address, const char *text)
{
    char line[MAX_LINE];
    int n = snprintf(line, sizeof line - 1, "%lld.%06lld %02x %s", (long long)(bus->now / 1000000),
                     (long long)(bus->now % 1000000), address, text);
    if (n > (int)sizeof line - 2) {
        n = sizeof line - 2;
    }
    line[n++] = '\n';
    if (write(bus->trace_fd, line, (size_t)n) != n) {
        return; /* a full disk: the bus goes on; a simulated one has no log */
    }
}

static void add_bytes(char *text, size_t size, const char *label, const uint8_t *bytes,
                      size_t length)
{
    base_append(text, size, "%s%s", text[0] ? " " : "", label);
    for (size_t i = 0; i < length && i < MAX_BYTES; i++) {
        base_append(text, size, " %02x", bytes[i]);
    }
    if (length > MAX_BYTES) {
        base_append(text, size, " ... (%zu)", length);
    }
}

void sim_trace_transfer(sim_bus *bus, uint8_t address, const uint8_t *write, size_t write_length,
                        const uint8_t *read, size_t read_length, int result)
{
    char text[MAX_LINE - 32] = "";
    if (bus->trace_fd < 0) {
        return;
    }
    if (write_length) {
        add_bytes(text, sizeof text, "w", write, write_length);
    }
    if (read_length) {
        add_bytes(text, sizeof text, "r", read, result < 0 ? 0 : read_length);
    }
    if (result < 0) {
        base_append(text, sizeof text, " %s", result == -ENXIO ? "nack" : "timeout");
    }
    put_line(bus, address, text);
}

void sim_chip_trace(const sim_chip *chip, const char *format, ...)
{
    const sim_bus *bus = (const sim_bus *)chip->bus;
    char text[MAX_LINE - 32];
    va_list arguments;
    if (bus->trace_fd < 0) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_line(bus, chip->address, text);
}

void sim_trace_close(sim_bus *bus)
{
    if (bus->trace_fd >= 0) {
        close(bus->trace_fd);
    }
}
