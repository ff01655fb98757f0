/* The hub's life: configuration copied in, buses started, messages handed out, the end. */
#include "hub_internal.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* ---- surroundings ---- */

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

int64_t hub_now(const hub *hub)
{
    return hub->environment.now(hub->environment.baton);
}

int64_t hub_wall(const hub *hub)
{
    return hub->environment.wall(hub->environment.baton);
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

    if (!copy)
        abort();
    return copy;
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory)
        abort();
    return memory;
}

/* ---- configuration ---- */

static bool has_bus(const hub_node_config *config, int label)
{
    for (size_t i = 0; i < config->n_buses; i++)
        if (config->buses[i].label == label)
            return true;
    return false;
}

/* Whether a pin contradicts an earlier one: the same relay twice, or two drivers at one address. */
static bool contradicts(const hub_node *node, const pin *pin)
{
    for (size_t i = 0; i < node->n_pins; i++) {
        const struct pin *other = &node->pins[i];
        if (other->address.bus != pin->address.bus || other->address.chip != pin->address.chip)
            continue;
        if (other->driver != pin->driver || other->address.channel == pin->address.channel ||
            other->address.channel < 0 || pin->address.channel < 0)
            return true;
    }
    return false;
}

static void copy_pins(hub_node *node, const hub_node_config *config)
{
    node->pins = allocate(config->n_devices, sizeof(*node->pins));
    for (size_t i = 0; i < config->n_devices; i++) {
        const hub_device_config *device = &config->devices[i];
        pin *pin = &node->pins[node->n_pins];
        char why[512];
        const char *wrong = pin_read(pin, device, why, sizeof(why));

        if (!wrong && !has_bus(config, pin->address.bus))
            wrong = "this node has no such bus";
        if (!wrong && contradicts(node, pin))
            wrong = "an earlier line says something else about the same address";
        if (wrong) {
            hub_log(node->hub, HUB_ERROR, CT_DEVICE_CONFIG, "%s: %s; this line is ignored",
                    device->topic, wrong);
            pin_clear(pin);
            continue;
        }
        node->n_pins++;
    }
}

static void copy_node(hub_node *node, const hub_node_config *config)
{
    node->name = hub_copy(config->name);
    node->rescan = (int64_t)llround(config->rescan * 1e6);
    node->air_pressure = NAN;
    node->held_end = &node->held;
    node->intervals = allocate(config->n_intervals, sizeof(*node->intervals));
    node->n_intervals = config->n_intervals;
    for (size_t i = 0; i < config->n_intervals; i++) {
        node->intervals[i].type = hub_copy(config->intervals[i].type);
        node->intervals[i].seconds = config->intervals[i].seconds;
    }
    copy_pins(node, config);
    node->states = state_open(node->hub->writer, node->name);
}

static void copy_bus(hub_bus *bus, hub_node *node, const hub_bus_config *config)
{
    char topic[16];

    bus->node = node;
    bus->hub = node->hub;
    bus->label = config->label;
    bus->device = hub_copy(config->device);
    bus->pins = allocate(node->n_pins, sizeof(*bus->pins));
    for (size_t i = 0; i < node->n_pins; i++)
        if (node->pins[i].address.bus == config->label)
            bus->pins[bus->n_pins++] = (worker_pin){
                node->pins[i].address.chip,
                node->pins[i].address.channel,
                node->pins[i].driver,
                node->pins[i].options,
            };
    snprintf(topic, sizeof(topic), "i2c/%d", config->label);
    bus->raw = device_create(node, topic, &class_raw, NULL);
    bus->raw->bus = bus->index;
    bus->worker = worker_create(&(worker_config){
        .index = bus->index,
        .label = bus->label,
        .device = bus->device,
        .rescan = node->rescan,
        .pins = bus->pins,
        .n_pins = bus->n_pins,
        .environment = &node->hub->environment,
        .outbox = &node->hub->inbox,
    });
}

/* Relays of an interlock count from the beginning: one that is not there may still be on. */
static void create_interlocked(hub_node *node)
{
    for (size_t i = 0; i < node->n_pins; i++) {
        const pin *pin = &node->pins[i];
        unsigned channels = pin->driver && pin->driver->relay ? pin->driver->relay->channels : 0;
        talk_address address = pin->address;

        for (unsigned channel = 0; pin->interlock[0] && channel < channels; channel++) {
            char text[TALK_MAX_ADDRESS], topic[TALK_MAX_TOPIC * 2];
            if (channels > 1 && pin->address.channel >= 0 && pin->address.channel != (int)channel)
                continue;
            address.channel = channels > 1 ? (int)channel : -1;
            talk_address_format(&address, text);
            snprintf(topic, sizeof(topic), "%s/%s", pin->type, text);
            if (!device_find(node, topic))
                device_create(node, topic, &class_relay, pin->driver);
        }
    }
}

/* ---- starting ---- */

static void boot(hub *hub, hub_node *node)
{
    struct json_object *payload = json_object_new_object();

    json_object_object_add(payload, "reason-for-reset", json_object_new_string(hub->reason));
    talk_text_clear(&hub->text);
    talk_write(&hub->text, "boot", payload, NULL);
    json_object_put(payload);
    hub->output.publish(hub->output.baton, node->name, 0, hub->text.data, hub->text.length);
}

static bool all_opened(const hub *hub)
{
    for (size_t i = 0; i < hub->n_buses; i++)
        if (!hub->buses[i].opened)
            return false;
    return true;
}

/* Opening needs the rights that the caller may be about to give up: it is waited for. */
static bool start_workers(hub *hub)
{
    struct pollfd readable = {.fd = hub->inbox.fd, .events = POLLIN};

    for (size_t i = 0; i < hub->n_buses; i++)
        if (!hub->buses[i].worker ||
            (!hub->environment.manual && !worker_start(hub->buses[i].worker)))
            return false;
    if (hub->environment.manual)
        return true;
    while (!all_opened(hub)) {
        poll(&readable, 1, -1);
        hub_dispatch(hub);
    }
    return true;
}

static bool create_descriptors(hub *hub)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (!queue_init(&hub->inbox, true))
        return false;
    hub->epoll = epoll_create1(EPOLL_CLOEXEC);
    hub->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return hub->epoll >= 0 && hub->timer >= 0 &&
           epoll_ctl(hub->epoll, EPOLL_CTL_ADD, hub->inbox.fd, &event) == 0 &&
           epoll_ctl(hub->epoll, EPOLL_CTL_ADD, hub->timer, &event) == 0;
}

static void create_nodes(hub *hub, const hub_config *config)
{
    size_t n_buses = 0;

    hub->nodes = allocate(config->n_nodes, sizeof(*hub->nodes));
    hub->n_nodes = config->n_nodes;
    for (size_t i = 0; i < config->n_nodes; i++)
        n_buses += config->nodes[i].n_buses;
    hub->buses = allocate(n_buses, sizeof(*hub->buses));
    for (size_t i = 0; i < config->n_nodes; i++) {
        hub_node *node = &hub->nodes[i];
        node->hub = hub;
        copy_node(node, &config->nodes[i]);
        create_interlocked(node);
        for (size_t j = 0; j < config->nodes[i].n_buses; j++) {
            hub_bus *bus = &hub->buses[hub->n_buses];
            bus->index = (unsigned)hub->n_buses++;
            copy_bus(bus, node, &config->nodes[i].buses[j]);
        }
    }
}

hub *hub_create_in(const hub_config *config, const hub_output *output,
                   const hub_environment *environment)
{
    hub *hub = calloc(1, sizeof(*hub));

    if (!hub)
        return NULL;
    hub->environment = *environment;
    hub->output = *output;
    hub->epoll = hub->timer = -1;
    hub->timer_at = HUB_NEVER;
    hub->release = hub_copy(config->release);
    hub->datetime = hub_copy(config->datetime);
    hub->reason = hub_copy(config->reason_for_reset);
    hub->powered_on = strcmp(hub->reason, "power-on") == 0;
    hub->started = hub_now(hub);
    if (!create_descriptors(hub) || !(hub->writer = state_writer_create(
                                          config->state_dir, &hub->inbox, !environment->manual))) {
        hub_destroy(hub);
        return NULL;
    }
    create_nodes(hub, config);
    for (size_t i = 0; i < hub->n_nodes; i++) {
        boot(hub, &hub->nodes[i]);
        if (config->nodes[i].led)
            led_create(&hub->nodes[i], config->nodes[i].led);
    }
    if (!start_workers(hub)) {
        hub_destroy(hub);
        return NULL;
    }
    hub_dispatch(hub);
    return hub;
}

hub *hub_create(const hub_config *config, const hub_output *output)
{
    return hub_create_in(config, output, &hub_real_environment);
}

/* ---- running ---- */

int hub_fd(hub *hub)
{
    return hub->epoll;
}

int64_t hub_next_due(const hub *hub)
{
    int64_t due = HUB_NEVER, wanted;

    for (size_t i = 0; i < hub->n_nodes; i++) {
        const hub_node *node = &hub->nodes[i];
        if (!node->ready && hub->started + HUB_FIRST_LOOK < due)
            due = hub->started + HUB_FIRST_LOOK;
        if ((wanted = interlock_due(node)) < due)
            due = wanted;
        for (size_t j = 0; j < node->n_devices; j++)
            if ((wanted = device_due(node->devices[j])) < due)
                due = wanted;
    }
    for (size_t i = 0; i < hub->n_buses; i++)
        if ((wanted = device_due(hub->buses[i].raw)) < due)
            due = wanted;
    return due;
}

void hub_rearm(hub *hub)
{
    struct itimerspec at = {0};
    int64_t due = hub_next_due(hub);

    if (due == hub->timer_at || hub->environment.manual)
        return;
    hub->timer_at = due;
    if (due != HUB_NEVER) {
        at.it_value.tv_sec = due / 1000000;
        at.it_value.tv_nsec = due % 1000000 * 1000;
        if (due <= 0)
            at.it_value.tv_nsec = 1; /* all zero would disarm it */
    }
    timerfd_settime(hub->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void take(hub *hub, const message *message)
{
    hub_bus *bus = &hub->buses[message->bus];
    hub_device *device;

    switch (message->type) {
    case MESSAGE_LOG:
        hub->output.log(hub->output.baton, (hub_level)message->log.level, message->log.code,
                        (const char *)message->data);
        break;
    case MESSAGE_OPENED:
        bus->opened = true;
        break;
    case MESSAGE_LOOKED:
        bus->looked = true;
        break;
    case MESSAGE_FOUND:
        device_appeared(hub, message);
        break;
    case MESSAGE_RESULT:
        request_result(hub, message);
        break;
    default:
        device = device_of_unit(hub, message->bus, message->unit);
        if (!device || !message->unit)
            break;
        if (message->type == MESSAGE_LOST)
            device_left(device);
        else
            device->class->event(device, message);
    }
}

static void check_ready(hub_node *node)
{
    const hub *hub = node->hub;
    bool ready = true;

    if (node->ready)
        return;
    for (size_t i = 0; i < hub->n_buses; i++)
        if (hub->buses[i].node == node && !hub->buses[i].looked)
            ready = false;
    if (!ready && hub_now(hub) < hub->started + HUB_FIRST_LOOK)
        return;
    node->ready = true;
    node->list_changed = true;
    device_list_publish(node);
    requests_release(node);
}

static void tick(hub_node *node)
{
    check_ready(node);
    interlock_tick(node);
    for (size_t i = 0; i < node->n_devices; i++)
        device_tick(node->devices[i]);
    device_list_publish(node);
}

void hub_dispatch(hub *hub)
{
    uint64_t expirations;
    message *message;

    while ((message = queue_take(&hub->inbox))) {
        take(hub, message);
        message_free(message);
    }
    if (!hub->environment.manual && read(hub->timer, &expirations, sizeof(expirations)) > 0)
        hub->timer_at = HUB_NEVER;
    for (size_t i = 0; i < hub->n_nodes; i++)
        tick(&hub->nodes[i]);
    for (size_t i = 0; i < hub->n_buses; i++)
        device_tick(hub->buses[i].raw);
    hub_rearm(hub);
}

int64_t hub_run_buses(hub *hub)
{
    int64_t due = HUB_NEVER;

    for (size_t i = 0; i < hub->n_buses; i++) {
        int64_t wanted = worker_run(hub->buses[i].worker);
        if (wanted < due)
            due = wanted;
    }
    return due;
}

bool hub_is_idle(hub *hub)
{
    for (size_t i = 0; i < hub->n_buses; i++)
        if (worker_backlog(hub->buses[i].worker))
            return false;
    return queue_length(&hub->inbox) == 0;
}

/* ---- the end ---- */

static void refuse_all(hub *hub)
{
    for (size_t i = 0; i < hub->n_nodes; i++) {
        hub_node *node = &hub->nodes[i];
        for (size_t j = 0; j < node->n_devices; j++) {
            requests_refuse(node->devices[j], TALK_UNAVAILABLE,
                            "cannot be reached: the hardware side ends");
            device_pump(node->devices[j]);
        }
    }
    for (size_t i = 0; i < hub->n_buses; i++) {
        requests_refuse(hub->buses[i].raw, TALK_UNAVAILABLE,
                        "cannot be reached: the hardware side ends");
        device_pump(hub->buses[i].raw);
    }
}

static void node_free(hub_node *node)
{
    for (size_t i = 0; i < node->n_devices; i++)
        device_free(node->devices[i]);
    free(node->devices);
    for (size_t i = 0; i < node->n_pins; i++)
        pin_clear(&node->pins[i]);
    free(node->pins);
    for (size_t i = 0; i < node->n_intervals; i++)
        free(node->intervals[i].type);
    free(node->intervals);
    interlocks_free(node);
    free(node->name);
}

/* The workers come to an end, and what they still have to say is heard. */
static void stop_workers(hub *hub)
{
    message *message;

    /* A pulse that nobody will remember ends now; others go on after the next start. */
    for (size_t i = 0; i < hub->n_buses; i++)
        if (hub->buses[i].worker)
            worker_stop(hub->buses[i].worker, !state_writer_remembers(hub->writer));
    while ((message = queue_take(&hub->inbox))) {
        take(hub, message);
        message_free(message);
    }
}

void hub_destroy(hub *hub)
{
    message *message;

    hub->stopping = true;
    if (hub->n_buses)
        stop_workers(hub);
    for (size_t i = 0; i < hub->n_nodes; i++) {
        hub->nodes[i].ready = true;
        requests_release(&hub->nodes[i]);
    }
    refuse_all(hub);
    for (size_t i = 0; i < hub->n_buses; i++) {
        device_free(hub->buses[i].raw);
        if (hub->buses[i].worker)
            worker_free(hub->buses[i].worker);
        free(hub->buses[i].pins);
        free(hub->buses[i].device);
    }
    if (hub->writer)
        state_writer_destroy(hub->writer);
    while (hub->inbox.fd >= 0 && (message = queue_take(&hub->inbox))) {
        take(hub, message);
        message_free(message);
    }
    for (size_t i = 0; i < hub->n_nodes; i++)
        node_free(&hub->nodes[i]);
    free(hub->nodes);
    free(hub->buses);
    talk_text_free(&hub->text);
    if (hub->epoll >= 0)
        close(hub->epoll);
    if (hub->timer >= 0)
        close(hub->timer);
    queue_destroy(&hub->inbox);
    free(hub->release);
    free(hub->datetime);
    free(hub->reason);
    free(hub);
}
