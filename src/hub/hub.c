/* The hub's life: configuration copied in, buses started, messages handed out, the end. */
#include "hub.h"

#include "classes.h"
#include "ground.h"
#include "intake.h"
#include "node.h"
#include "power.h"
#include "presence.h"
#include "relay.h"
#include "request_queue.h"
#include "setup.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

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

static void take(hub *hub, const message *message);

/* Takes the messages that have come. Whether there were any. */
static bool take_all(hub *hub)
{
    message *message;
    bool any = false;

    while ((message = queue_take(&hub->inbox))) {
        take(hub, message);
        message_free(message);
        any = true;
    }
    return any;
}

static bool all_opened(const hub *hub)
{
    for (size_t i = 0; i < hub->n_buses; i++) {
        if (!hub->buses[i].opened) {
            return false;
        }
    }
    return true;
}

/* Waits until every bus was opened: that needs rights which the caller may give up afterwards. */
static bool start_workers(hub *hub)
{
    struct pollfd readable = {.fd = hub->inbox.fd, .events = POLLIN};

    for (size_t i = 0; i < hub->n_buses; i++) {
        if (!hub->buses[i].worker ||
            (!hub->environment.bus.manual && !worker_start(hub->buses[i].worker))) {
            return false;
        }
    }
    if (hub->environment.bus.manual) {
        return true;
    }
    while (!all_opened(hub)) {
        poll(&readable, 1, -1);
        take_all(hub);
    }
    return true;
}

static bool create_descriptors(hub *hub)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (!queue_init(&hub->inbox, true)) {
        return false;
    }
    hub->epoll = epoll_create1(EPOLL_CLOEXEC);
    hub->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return hub->epoll >= 0 && hub->timer >= 0 &&
           epoll_ctl(hub->epoll, EPOLL_CTL_ADD, hub->inbox.fd, &event) == 0 &&
           epoll_ctl(hub->epoll, EPOLL_CTL_ADD, hub->timer, &event) == 0;
}

hub *hub_create_in(const hub_config *config, const hub_output *output,
                   const hub_environment *environment)
{
    hub *hub = calloc(1, sizeof(*hub));

    if (!hub) {
        return NULL;
    }
    hub->environment = *environment;
    hub->output = *output;
    hub->epoll = hub->timer = -1;
    hub->timer_at = HUB_NEVER;
    hub->release = hub_copy(config->release);
    hub->datetime = hub_copy(config->datetime);
    hub->reason = hub_copy(config->reason_for_reset);
    if (!create_descriptors(hub) || !(hub->writer = state_writer_create(&(state_config){
                                          .dir = config->state_dir,
                                          .user = config->state_user,
                                          .boot_id = environment->boot_id,
                                          .first_start = strcmp(hub->reason, "power-on") == 0,
                                          .outbox = &hub->inbox,
                                          .threaded = !environment->bus.manual,
                                      }))) {
        hub_destroy(hub);
        return NULL;
    }
    setup_nodes(hub, config);
    for (size_t i = 0; i < hub->n_nodes; i++) {
        boot(hub, &hub->nodes[i]);
        if (hub->nodes[i].led) {
            device_create(&hub->nodes[i], "led/-", &class_led, NULL);
        }
    }
    if (!start_workers(hub)) {
        hub_destroy(hub);
        return NULL;
    }
    hub->started = hub_now(hub); /* it may have waited for the owners before: of memory, of buses */
    hub_dispatch(hub);
    return hub;
}

static int64_t real_wall(void *baton)
{
    (void)baton;
    return base_wall_us();
}

static int64_t real_boottime(void *baton)
{
    (void)baton;
    return base_boottime_us();
}

hub *hub_create(const hub_config *config, const hub_output *output)
{
    char boot_id[BASE_BOOT_ID];

    base_boot_id(boot_id);
    return hub_create_in(config, output,
                         &(hub_environment){bus_real_environment(config->bus_kinds), real_wall,
                                            real_boottime, boot_id});
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
        wanted = state_save_due(node->states);
        due = wanted < due ? wanted : due;
        wanted = intake_due(node);
        due = wanted < due ? wanted : due;
        if (!node->ready && hub->started + HUB_FIRST_LOOK < due) {
            due = hub->started + HUB_FIRST_LOOK;
        }
        for (size_t j = 0; j < node->n_devices; j++) {
            if ((wanted = device_due(node->devices[j])) < due) {
                due = wanted;
            }
        }
    }
    for (size_t i = 0; i < hub->n_buses; i++) {
        if ((wanted = device_due(hub->buses[i].raw)) < due) {
            due = wanted;
        }
    }
    return due;
}

/* Sets the owner's timer to whatever is due next. */
static void rearm(hub *hub)
{
    struct itimerspec at = {0};
    int64_t due = hub_next_due(hub);

    if (due == hub->timer_at || hub->environment.bus.manual) {
        return;
    }
    hub->timer_at = due;
    if (due != HUB_NEVER) {
        at.it_value.tv_sec = due / 1000000;
        at.it_value.tv_nsec = due % 1000000 * 1000;
        if (due <= 0) {
            at.it_value.tv_nsec = 1; /* all zero would disarm it */
        }
    }
    timerfd_settime(hub->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* The list says whether states are remembered. */
static void check_memory(hub *hub)
{
    for (size_t i = 0; i < hub->n_nodes && !hub->stopping; i++) {
        hub_node *node = &hub->nodes[i];
        if (node->remembers != state_is_remembered(node->states)) {
            node->remembers = !node->remembers;
            node->list_changed = true;
        }
    }
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
    case MESSAGE_MEMORY:
        relay_release_noted(hub, message->serial);
        check_memory(hub);
        break;
    case MESSAGE_POWER_SEEN:
        power_note_chip(bus, message->address);
        break;
    case MESSAGE_OPENED:
        bus->opened = true;
        break;
    case MESSAGE_LOOKED:
        bus->looked = true;
        break;
    case MESSAGE_FOUND:
        device_appeared(hub, message, class_of_driver(message->driver));
        intake_release(bus->node);
        break;
    case MESSAGE_RESULT:
        request_result(hub, message);
        break;
    default:
        device = device_of_unit(hub, message->bus, message->unit);
        if (!device || !message->unit) {
            break;
        }
        if (message->type == MESSAGE_LOST) {
            device_left(device);
        } else {
            device->class->event(device, message);
        }
    }
}

static void check_ready(hub_node *node)
{
    const hub *hub = node->hub;
    bool ready = true;

    if (node->ready) {
        return;
    }
    for (size_t i = 0; i < hub->n_buses; i++) {
        if (hub->buses[i].node == node && !hub->buses[i].looked) {
            ready = false;
        }
    }
    if (!ready && hub_now(hub) < hub->started + HUB_FIRST_LOOK) {
        return;
    }
    node->ready = true;
    node->list_changed = true;
    device_list_publish(node);
    intake_release(node);
}

static void tick(hub_node *node)
{
    check_ready(node);
    if (state_save_due(node->states) <= hub_now(node->hub)) {
        state_save(node->states);
    }
    for (size_t i = 0; i < node->n_devices; i++) {
        device_tick(node->devices[i]);
    }
    device_list_publish(node);
    intake_release(node);
}

void hub_dispatch(hub *hub)
{
    uint64_t expirations;

    take_all(hub);
    if (!hub->environment.bus.manual && read(hub->timer, &expirations, sizeof(expirations)) > 0) {
        hub->timer_at = HUB_NEVER;
    }
    for (size_t i = 0; i < hub->n_nodes; i++) {
        tick(&hub->nodes[i]);
    }
    for (size_t i = 0; i < hub->n_buses; i++) {
        device_tick(hub->buses[i].raw);
    }
    rearm(hub);
}

void hub_request(hub *hub, const char *node, unsigned rights, uint64_t asker, const char *line,
                 size_t length)
{
    intake_request(hub, node, rights, asker, line, length);
    rearm(hub);
}

int64_t hub_run_buses(hub *hub)
{
    int64_t due = HUB_NEVER;

    for (size_t i = 0; i < hub->n_buses; i++) {
        int64_t wanted = worker_run(hub->buses[i].worker);
        if (wanted < due) {
            due = wanted;
        }
    }
    return due;
}

bool hub_is_idle(hub *hub)
{
    for (size_t i = 0; i < hub->n_buses; i++) {
        if (worker_backlog(hub->buses[i].worker)) {
            return false;
        }
    }
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

/* Whether a pulse is remembered whose relay may not have been looked for. */
static bool misses_a_pulse(const hub *hub)
{
    for (size_t i = 0; i < hub->n_buses; i++) {
        if (!hub->buses[i].looked && state_any(hub->buses[i].node->states, STATE_PULSE_END)) {
            return true;
        }
    }
    return false;
}

/*
 * A hub that ends before it has looked cannot end the pulses that it only remembers. So it looks
 * first, for no longer than a client would wait for that.
 */
static void look_for_pulses(hub *hub)
{
    struct pollfd readable = {.fd = hub->inbox.fd, .events = POLLIN};
    bool any = true;

    while (any && misses_a_pulse(hub) && hub_now(hub) < hub->started + HUB_FIRST_LOOK) {
        if (hub->environment.bus.manual) {
            any = hub_run_buses(hub) <= hub_now(hub);
        } else {
            poll(&readable, 1, (int)((hub->started + HUB_FIRST_LOOK - hub_now(hub)) / 1000) + 1);
        }
        any = take_all(hub) || any;
    }
}

/* Ends the workers and takes their last messages. */
static void stop_workers(hub *hub)
{
    message *message;

    if (!hub->leaves_pulses) {
        look_for_pulses(hub);
    }
    while ((message = relay_cancel_noted(hub))) {
        take(hub, message);
        message_free(message);
    }
    for (size_t i = 0; i < hub->n_buses; i++) {
        if (hub->buses[i].worker) {
            worker_stop(hub->buses[i].worker, !hub->leaves_pulses);
        }
    }
    take_all(hub);
}

void hub_destroy(hub *hub)
{
    hub->stopping = true;
    if (hub->n_buses) {
        stop_workers(hub);
    }
    for (size_t i = 0; i < hub->n_nodes; i++) {
        hub->nodes[i].ready = true;
        intake_release(&hub->nodes[i]);
    }
    refuse_all(hub);
    for (size_t i = 0; i < hub->n_buses; i++) {
        device_free(hub->buses[i].raw);
        if (hub->buses[i].worker) {
            worker_free(hub->buses[i].worker);
        }
        free(hub->buses[i].pins);
        free(hub->buses[i].device);
    }
    for (size_t i = 0; i < hub->n_nodes; i++) {
        if (state_save_due(hub->nodes[i].states) != HUB_NEVER) {
            state_save(hub->nodes[i].states);
        }
    }
    if (hub->writer) {
        state_writer_destroy(hub->writer);
    }
    if (hub->inbox.fd >= 0) {
        take_all(hub);
    }
    for (size_t i = 0; i < hub->n_nodes; i++) {
        setup_free_node(&hub->nodes[i]);
    }
    free(hub->nodes);
    free(hub->buses);
    talk_text_free(&hub->text);
    if (hub->epoll >= 0) {
        close(hub->epoll);
    }
    if (hub->timer >= 0) {
        close(hub->timer);
    }
    queue_destroy(&hub->inbox);
    free(hub->release);
    free(hub->datetime);
    free(hub->reason);
    free(hub);
}

void hub_hand_over(hub *hub)
{
    hub->leaves_pulses = true;
    for (size_t i = 0; i < hub->n_nodes; i++) {
        /* A pulse that is not remembered would be ended by no other hub. */
        if (!state_is_remembered(hub->nodes[i].states)) {
            hub->leaves_pulses = false;
        }
    }
    hub_destroy(hub);
}

void hub_die(hub *hub)
{
    hub->leaves_pulses = true;
    state_writer_die(hub->writer);
    hub_destroy(hub);
}
