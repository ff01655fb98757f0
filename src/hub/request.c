/* Requests: taking them in, putting them into their devices' queues, answering them. */
#include "hub_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The owner waits so much longer than the bus may take: the bus's own answer is the better one. */
#define BUS_GRACE INT64_C(1000000)

/* ---- answers ---- */

void request_answer(request *request, const char *topic, struct json_object *payload)
{
    if (request->progress != REQUEST_ANSWERED && request->asker) {
        talk_text_clear(&request->reply);
        talk_write(&request->reply, topic, payload, request->id);
    }
    request->progress = REQUEST_ANSWERED;
    json_object_put(payload);
}

void request_refuse(request *request, talk_error error, const char *format, ...)
{
    char sentence[TALK_MAX_MESSAGE];
    va_list arguments;

    if (request->progress == REQUEST_ANSWERED) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    request->progress = REQUEST_ANSWERED;
    talk_write_error(&request->reply, request->topic, request->id, error, "%s", sentence);
}

void request_refuse_errno(request *request, const hub_device *device, int error)
{
    if (device->node->hub->stopping && error == -ECANCELED) {
        request_refuse(request, TALK_UNAVAILABLE, "%s cannot be reached: the hardware side ends",
                       device->topic);
    } else if (error == -ETIMEDOUT) {
        request_refuse(request, TALK_TIMEOUT, "%s did not finish in time", device->topic);
    } else {
        request_refuse(request, TALK_IO_ERROR, "%s: %s (%s)", device->topic,
                       strerrordesc_np(-error), strerrorname_np(-error));
    }
}

void request_free(request *request)
{
    json_object_put(request->id);
    json_object_put(request->payload);
    if (request->command) {
        message_free(request->command);
    }
    talk_text_free(&request->reply);
    free(request);
}

static void deliver(hub *hub, const request *request)
{
    if (request->asker) {
        hub->output.reply(hub->output.baton, request->asker, request->reply.data,
                          request->reply.length, true);
    }
}

/* ---- a device's queue ---- */

static void begin(hub_device *device, request *request)
{
    request->progress = REQUEST_RUNNING;
    request->deadline = HUB_NEVER;
    if (device->node->hub->stopping) {
        request_refuse(request, TALK_UNAVAILABLE, "%s cannot be reached: the hardware side ends",
                       device->topic);
    } else if (!device->listed && device->class != &class_raw) {
        request_refuse(request, TALK_UNKNOWN_DEVICE, "%s has left; see -/-/config/list",
                       device->topic);
    } else if (request->form == TALK_CONFIG_GET || request->form == TALK_CONFIG_SET) {
        config_begin(device, request);
    } else if (request->form == TALK_HISTORY_GET) {
        history_begin(device, request);
    } else {
        device->class->begin(device, request);
    }
}

void device_pump(hub_device *device)
{
    request *request;

    if (device->pumping) {
        return; /* called from below: the loop that is running goes on */
    }
    device->pumping = true;
    while ((request = device->requests)) {
        if (request->progress == REQUEST_WAITING) {
            begin(device, request);
        }
        if (request->progress != REQUEST_ANSWERED) {
            break;
        }
        device->requests = request->next;
        if (!device->requests) {
            device->requests_end = &device->requests;
        }
        device->n_requests--;
        deliver(device->node->hub, request);
        request_free(request);
    }
    device->pumping = false;
}

static void enqueue(hub_device *device, request *request)
{
    *device->requests_end = request;
    device->requests_end = &request->next;
    device->n_requests++;
}

void request_own(hub_device *device, talk_form form, message *command)
{
    request *own = calloc(1, sizeof(*own));

    if (!own) {
        abort();
    }
    own->form = form;
    own->command = command;
    own->serial = ++device->node->hub->last_serial;
    enqueue(device, own);
}

void request_send(hub_device *device, request *request, int64_t within)
{
    message *command = request->command;

    request->command = NULL;
    request->deadline = hub_now(device->node->hub) + within + BUS_GRACE;
    command->serial = request->serial;
    command->deadline = request->deadline - BUS_GRACE;
    device_send(device, command);
}

void request_result(hub *hub, const message *result)
{
    hub_device *device = device_of_unit(hub, result->bus, result->unit);
    request *request;

    /* It left before: whoever asked has had an answer. */
    if (!device) {
        return;
    }
    request = device->requests;
    if (!request || request->serial != result->serial || request->progress != REQUEST_RUNNING) {
        request = NULL;
    }
    device->class->result(device, request, result);
    device_pump(device);
}

void requests_refuse(hub_device *device, talk_error error, const char *sentence)
{
    for (request *request = device->requests; request; request = request->next) {
        if (request->progress == REQUEST_RUNNING && device->relay.interlock) {
            interlock_release(device, request);
        }
        request_refuse(request, error, "%s %s", device->topic, sentence);
    }
}

/* ---- requests as they come ---- */

typedef struct incoming {
    hub_node *node;
    unsigned rights;
    uint64_t asker;
    talk_message *message;
} incoming;

static void send_reply(const incoming *in, const char *topic, struct json_object *payload,
                       bool last)
{
    hub *hub = in->node->hub;

    talk_text_clear(&hub->text);
    talk_write(&hub->text, topic, payload, in->message->id);
    hub->output.reply(hub->output.baton, in->asker, hub->text.data, hub->text.length, last);
}

static void refuse(hub *hub, uint64_t asker, const talk_message *message, talk_error error,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Answers at once. */
static void refuse(hub *hub, uint64_t asker, const talk_message *message, talk_error error,
                   const char *format, ...)
{
    char sentence[TALK_MAX_MESSAGE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    talk_text_clear(&hub->text);
    talk_write_error(&hub->text, message->topic.text, message->id, error, "%s", sentence);
    hub->output.reply(hub->output.baton, asker, hub->text.data, hub->text.length, true);
}

static void answer_opening(const incoming *in)
{
    const hub_node *node = in->node;
    struct json_object *payload = json_object_new_object();
    size_t n_values = 0;

    for (size_t i = 0; i < node->n_devices; i++) {
        if (node->devices[i]->listed && node->devices[i]->last) {
            n_values++;
        }
    }
    json_object_object_add(payload, "ack", json_object_new_boolean(false));
    json_object_object_add(payload, "device", json_object_new_string("bridge"));
    json_object_object_add(payload, "capabilities", json_object_new_int(1));
    json_object_object_add(payload, "firmware-datetime",
                           json_object_new_string(node->hub->datetime));
    json_object_object_add(payload, "firmware-release", json_object_new_string(node->hub->release));
    /* Said to those only who may not: the page shows them no switches that seem to work. */
    if (!(in->rights & HUB_MAY_CONTROL)) {
        json_object_object_add(payload, "control", json_object_new_boolean(false));
    }
    send_reply(in, "clown.talk/-/config/ok", payload, n_values == 0);
    json_object_put(payload);
    for (size_t i = 0; i < node->n_devices && n_values > 0; i++) {
        const hub_device *device = node->devices[i];
        if (device->listed && device->last) {
            send_reply(in, device->topic, device->last, --n_values == 0);
        }
    }
}

static void answer_list(const incoming *in)
{
    struct json_object *list = device_list(in->node);

    send_reply(in, "-/-/config/ok", list, true);
    json_object_put(list);
}

/* What the form of a request needs: 0, or a HUB_MAY_... */
static unsigned needed_right(talk_form form)
{
    switch (form) {
    case TALK_SET:
    case TALK_PULSE_SET:
    case TALK_CONFIG_SET:
        return HUB_MAY_CONTROL;
    case TALK_I2C_SCAN:
    case TALK_I2C_GET:
    case TALK_I2C_SET:
        return HUB_MAY_RAW_I2C;
    default:
        return 0;
    }
}

static hub_device *find_raw(const hub_node *node, const char *topic)
{
    const hub *hub = node->hub;

    for (size_t i = 0; i < hub->n_buses; i++) {
        if (hub->buses[i].node == node && strcmp(hub->buses[i].raw->topic, topic) == 0) {
            return hub->buses[i].raw;
        }
    }
    return NULL;
}

/* Whether this class of device takes this form of request at all. */
static bool fits(const hub_device *device, talk_form form)
{
    switch (form) {
    case TALK_GET:
    case TALK_CONFIG_GET:
    case TALK_CONFIG_SET:
        return true;
    default:
        return device->class->forms >> form & 1;
    }
}

static void take_for_device(const incoming *in, hub_device *device)
{
    const talk_topic *topic = &in->message->topic;
    char why[TALK_MAX_MESSAGE] = "";
    talk_error error = TALK_OK;
    request *request;

    if (device->n_requests >= HUB_MAX_REQUESTS) {
        refuse(in->node->hub, in->asker, in->message, TALK_BUSY, "%d requests wait for %s already",
               HUB_MAX_REQUESTS, device->topic);
        return;
    }
    if (!(request = calloc(1, sizeof(*request)))) {
        abort();
    }
    request->asker = in->asker;
    request->serial = ++in->node->hub->last_serial;
    request->form = topic->form;
    memcpy(request->topic, topic->text, sizeof(request->topic));
    request->id = json_object_get(in->message->id);
    request->payload = json_object_get(in->message->payload);
    enqueue(device, request);
    /* What is wrong with it is said in its turn. */
    if (device->class->read) {
        error = device->class->read(device, request, why, sizeof(why));
    }
    if (error != TALK_OK) {
        request_refuse(request, error, "%s", why);
    }
    device_pump(device);
}

static void take(const incoming *in)
{
    const talk_topic *topic = &in->message->topic;
    unsigned right = needed_right(topic->form);
    hub *hub = in->node->hub;
    hub_device *device;

    if (right & ~in->rights) {
        refuse(
            hub, in->asker, in->message, TALK_FORBIDDEN,
            right == HUB_MAY_CONTROL
                ? "you may look, but not change anything: ClownTalkControl decides who may"
                : "raw access to the bus is not for you: ClownTalkRawI2C decides for whom it is");
        return;
    }
    switch (topic->form) {
    case TALK_OPENING:
        answer_opening(in);
        return;
    case TALK_LIST:
        answer_list(in);
        return;
    case TALK_I2C_SCAN:
    case TALK_I2C_GET:
    case TALK_I2C_SET:
        if ((device = find_raw(in->node, topic->device))) {
            take_for_device(in, device);
        } else {
            refuse(hub, in->asker, in->message, TALK_UNKNOWN_DEVICE, "this node has no bus %s",
                   topic->address);
        }
        return;
    default:
        break;
    }
    device = device_find(in->node, topic->device);
    if (!device || !device->listed) {
        refuse(hub, in->asker, in->message, TALK_UNKNOWN_DEVICE, "no %s at %s; see -/-/config/list",
               topic->type, topic->address);
    } else if (!fits(device, topic->form)) {
        refuse(hub, in->asker, in->message, TALK_UNKNOWN_TOPIC, "a %s does not take %s",
               topic->type, topic->text + strlen(topic->device) + 1);
    } else {
        take_for_device(in, device);
    }
}

static void receive(hub_node *node, unsigned rights, uint64_t asker, const char *line,
                    size_t length)
{
    talk_message message = {0};
    char why[TALK_MAX_WHY] = "";
    talk_error error = talk_message_parse(&message, line, length, why, sizeof(why));
    incoming in = {node, rights, asker, &message};

    if (error != TALK_OK) {
        refuse(node->hub, asker, &message, error, "%s", why);
    } else {
        take(&in);
    }
    talk_message_clear(&message);
}

/* ---- before the first look is finished ---- */

static void hold(hub_node *node, unsigned rights, uint64_t asker, const char *line, size_t length)
{
    held *held = malloc(sizeof(*held) + length);
    talk_message message = {0};
    char why[TALK_MAX_WHY];

    if (!held) {
        abort();
    }
    *held = (struct held){.rights = rights, .asker = asker, .length = length};
    memcpy(held->line, line, length);
    if (talk_message_parse(&message, line, length, why, sizeof(why)) == TALK_OK) {
        memcpy(held->device, message.topic.device, sizeof(held->device));
    }
    talk_message_clear(&message);
    *node->held_end = held;
    node->held_end = &held->next;
    node->bytes_held += sizeof(*held) + length;
    requests_release(node);
}

static bool is_there(hub_node *node, const char *topic)
{
    const hub_device *device = device_find(node, topic);

    return device && device->listed;
}

void requests_release(hub_node *node)
{
    held *held;

    while ((held = node->held) && (node->ready || is_there(node, held->device))) {
        node->held = held->next;
        if (!node->held) {
            node->held_end = &node->held;
        }
        node->bytes_held -= sizeof(*held) + held->length;
        receive(node, held->rights, held->asker, held->line, held->length);
        free(held);
    }
}

static void refuse_line(hub *hub, uint64_t asker, const char *line, size_t length, talk_error error,
                        const char *sentence)
{
    talk_message message = {0};
    char why[TALK_MAX_WHY] = "";

    if (length <= HUB_MAX_LINE) {
        talk_message_parse(&message, line, length, why, sizeof(why));
    }
    refuse(hub, asker, &message, error, "%s", sentence);
    talk_message_clear(&message);
}

void hub_request(hub *hub, const char *name, unsigned rights, uint64_t asker, const char *line,
                 size_t length)
{
    hub_node *node = NULL;

    for (size_t i = 0; i < hub->n_nodes && !node; i++) {
        if (strcmp(hub->nodes[i].name, name) == 0) {
            node = &hub->nodes[i];
        }
    }
    if (length > HUB_MAX_LINE) {
        refuse_line(hub, asker, line, length, TALK_MALFORMED,
                    "the message is longer than 65536 bytes");
    } else if (!node) {
        refuse_line(hub, asker, line, length, TALK_UNAVAILABLE, "there is no such node here");
    } else if (node->ready) {
        receive(node, rights, asker, line, length);
    } else if (node->bytes_held < HUB_MAX_HELD) {
        hold(node, rights, asker, line, length);
    } else {
        refuse_line(hub, asker, line, length, TALK_UNAVAILABLE,
                    "the hardware side is starting, and too many requests wait for it; try again");
    }
    hub_rearm(hub);
}
