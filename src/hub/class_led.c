/*
 * The LED, led/-: /sys/class/leds/NAME, or a simulated one. It belongs to the owner's thread, since
 * writing to it takes no time.
 *
 * Its states are blink patterns, with a period of two seconds: "1-dot" is one flash of a tenth of a
 * second, "2-dot" two and "3-dot" three of them, a fifth of a second from one to the next.
 */
#include "classes.h"
#include "devices.h"
#include "ground.h"
#include "node.h"
#include "presence.h"
#include "request_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERIOD       INT64_C(2000000)
#define FLASH        INT64_C(100000)
#define FLASH_PERIOD INT64_C(200000)
#define RETRY_AFTER  INT64_C(5000000)

/* By number of flashes; beyond them, off and on. */
static const char *const states[] = {"off", "1-dot", "2-dot", "3-dot", "on"};
#define STATE_OFF 0
#define STATE_ON  4
#define N_STATES  5

typedef struct led {
    char *path;      /* NULL: simulated */
    int fd;          /* its "brightness", or -1 */
    char bright[16]; /* "max_brightness": what "on" is */
    unsigned state;
    bool lit;
    int64_t since; /* when the state was set: its pattern begins there */
    int64_t next;  /* when it changes next, HUB_NEVER */
    bool failed;   /* it could not be opened or written to: tried again at `next` */
    bool complained;
} led;

/* ---- the hardware ---- */

/* As root, too: so a path that is a link, or a file with another name, is none of an LED's. */
static int open_attribute(const led *led, const char *name, int flags)
{
    struct stat status;
    char path[4096];
    int fd;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", led->path, name) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1)) {
        close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

/* Switches off the trigger that the kernel may have for the LED, and opens it. 0 or an errno. */
static int open_led(led *led)
{
    ssize_t length = 0;
    int fd;

    strcpy(led->bright, "1");
    if ((fd = open_attribute(led, "max_brightness", O_RDONLY)) >= 0) {
        length = read(fd, led->bright, sizeof(led->bright) - 1);
        close(fd);
    }
    if (length > 0) {
        led->bright[length] = 0;
    }
    if ((fd = open_attribute(led, "trigger", O_WRONLY)) >= 0) {
        if (write(fd, "none", 4) < 0) {
            int error = errno;
            close(fd);
            return error;
        }
        close(fd);
    }
    led->fd = open_attribute(led, "brightness", O_WRONLY);
    return led->fd < 0 ? errno : 0;
}

/* 0 or an errno. */
static int light(led *led, bool lit)
{
    const char *value = lit ? led->bright : "0";

    if (led->path && pwrite(led->fd, value, strlen(value), 0) < 0) {
        return errno;
    }
    led->lit = lit;
    return 0;
}

static void close_led(led *led)
{
    if (led->fd >= 0) {
        close(led->fd);
    }
    led->fd = -1;
}

/* ---- patterns ---- */

/* Whether it is lit now, and in `next` when that changes. */
static bool pattern(const led *led, int64_t now, int64_t *next)
{
    int64_t within = (now - led->since) % PERIOD, start = now - within,
            flash = within / FLASH_PERIOD;

    *next = HUB_NEVER;
    if (led->state == STATE_OFF || led->state == STATE_ON) {
        return led->state == STATE_ON;
    }
    if (flash >= (int64_t)led->state) {
        *next = start + PERIOD;
        return false;
    }
    if (within % FLASH_PERIOD < FLASH) {
        *next = start + flash * FLASH_PERIOD + FLASH;
        return true;
    }
    *next = start + (flash + 1 < (int64_t)led->state ? (flash + 1) * FLASH_PERIOD : PERIOD);
    return false;
}

static struct json_object *payload_of(unsigned state)
{
    struct json_object *payload = json_object_new_object();

    json_object_object_add(payload, "state", json_object_new_string(states[state]));
    return payload;
}

static void complain(hub_device *device, int error)
{
    led *led = device->state;

    if (!led->complained) {
        hub_log(device->node->hub, HUB_WARNING, CT_LED_NOT_OPENED,
                "%s (%s) cannot be driven: %s; next attempt every 5 s", device->topic, led->path,
                strerrordesc_np(error));
    }
    led->complained = true;
}

static void fail(hub_device *device, int error)
{
    led *led = device->state;

    complain(device, error);
    close_led(led);
    led->failed = true;
    led->next = hub_now(device->node->hub) + RETRY_AFTER;
    if (device->listed) {
        device_left(device);
    }
}

static void appear(hub_device *device)
{
    led *led = device->state;

    hub_log(device->node->hub, HUB_INFO, CT_LED_OPENED, "%s: %s", device->topic,
            led->path ? led->path : "simulated");
    led->failed = led->complained = false;
    device->listed = true;
    device->node->list_changed = true;
    device_publish(device, payload_of(led->state), 0);
    device_schedule(device);
}

/* Shows the pattern. 0 or an errno. */
static int show(hub_device *device)
{
    led *led = device->state;
    bool lit = pattern(led, hub_now(device->node->hub), &led->next);

    return light(led, lit);
}

static void try_to_open(hub_device *device)
{
    led *led = device->state;
    int error = led->path ? open_led(led) : 0;

    if (!error) {
        error = show(device);
    }
    if (error) {
        fail(device, error);
    } else {
        appear(device);
    }
}

static void tick(hub_device *device)
{
    led *led = device->state;
    int error;

    if (led->next > hub_now(device->node->hub)) {
        return;
    }
    if (led->failed) {
        try_to_open(device);
    } else if ((error = show(device))) {
        fail(device, error);
    }
}

static int64_t due(const hub_device *device)
{
    return ((const led *)device->state)->next;
}

/* ---- requests ---- */

/* N_STATES: it is none. */
static unsigned state_of(struct json_object *value)
{
    unsigned state = 0;

    if (!json_object_is_type(value, json_type_string)) {
        return N_STATES;
    }
    while (state < N_STATES && strcmp(json_object_get_string(value), states[state]) != 0) {
        state++;
    }
    return state;
}

static talk_error parse(hub_device *device, request *request, char *why, size_t why_size)
{
    struct json_object *value;

    (void)device;
    if (request->form != TALK_SET) {
        return TALK_OK;
    }
    if (json_object_object_get_ex(request->payload, "state", &value) &&
        state_of(value) < N_STATES) {
        return TALK_OK;
    }
    snprintf(why, why_size, "state is needed: \"off\", \"on\", \"1-dot\", \"2-dot\" or \"3-dot\"");
    return TALK_BAD_PAYLOAD;
}

static unsigned wanted_state(const request *request)
{
    struct json_object *value;

    json_object_object_get_ex(request->payload, "state", &value);
    return state_of(value);
}

static void begin(hub_device *device, request *request)
{
    led *led = device->state;
    int error;

    if (request->form == TALK_GET) {
        request_answer(request, device->topic, payload_of(led->state));
        return;
    }
    led->state = wanted_state(request);
    led->since = hub_now(device->node->hub);
    if ((error = show(device))) {
        request_refuse_errno(request, device, -error);
        fail(device, error);
        return;
    }
    device_remember_shown(device, json_object_new_string(states[led->state]));
    device_publish(device, payload_of(led->state), request->asker);
    request_answer(request, device->topic, payload_of(led->state));
}

/* ---- life ---- */

static void create(hub_device *device)
{
    const char *path = device->node->led;
    led *led = device->state = hub_allocate(1, sizeof(*led));

    led->fd = -1;
    led->next = HUB_NEVER;
    led->state = state_of(device_remembered_shown(device));
    if (led->state == N_STATES) {
        led->state = STATE_OFF;
    }
    led->since = hub_now(device->node->hub);
    led->path = strcmp(path, "sim") == 0 ? NULL : hub_copy(path);
    try_to_open(device);
}

/* An LED without a hub stays dark. */
static void destroy(hub_device *device)
{
    led *led = device->state;

    if (led->fd >= 0) {
        light(led, false);
    }
    close_led(led);
    free(led->path);
    free(led);
}

const hub_class class_led = {
    .forms = 1u << TALK_SET,
    .create = create,
    .free = destroy,
    .parse = parse,
    .begin = begin,
    .tick = tick,
    .due = due,
};
