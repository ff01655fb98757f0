#include "intake.h"

#include "devices.h"
#include "ground.h"
#include "request_queue.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that requests may take up while they wait for the first look. */
#define MAX_HELD 4194304

/* The same after it, while a device that is not there may still be found. */
#define MAX_HELD_ON 65536

typedef struct incoming {
    hub_node *node;
    unsigned rights;
    uint64_t asker;
    talk_message *message;
    size_t length; /* of its line, in bytes */
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
    /* Only for clients without this right: the page then shows no switches that seem to work. */
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

static bool names_a_bus(talk_form form)
{
    return form == TALK_I2C_SCAN || form == TALK_I2C_GET || form == TALK_I2C_SET;
}

static bool names_a_device(talk_form form)
{
    return form != TALK_OPENING && form != TALK_LIST && !names_a_bus(form);
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

static request *make_request(const incoming *in)
{
    const talk_topic *topic = &in->message->topic;
    request *request = hub_allocate(1, sizeof(*request));

    request->asker = in->asker;
    request->serial = ++in->node->hub->last_serial;
    request->form = topic->form;
    request->size = sizeof(*request) + in->length;
    memcpy(request->topic, topic->text, sizeof(request->topic));
    request->id = json_object_get(in->message->id);
    request->payload = json_object_get(in->message->payload);
    return request;
}

/* Has the class read it. An error is the answer, too. */
static void parse(hub_device *device, request *request)
{
    char why[TALK_MAX_MESSAGE] = "";
    talk_error error = TALK_OK;

    if (device->class->parse) {
        error = device->class->parse(device, request, why, sizeof(why));
    }
    if (error != TALK_OK) {
        request_refuse(request, error, "%s", why);
    }
    if (request_only_reads(request->form)) { /* many wait: nothing is kept of what is not used */
        json_object_put(request->payload);
        request->payload = NULL;
    }
}

/* A history is answered from memory: it waits for nothing that the bus is to do. */
static void answer_history(const incoming *in, hub_device *device)
{
    request *request = make_request(in);

    parse(device, request);
    if (request->progress == REQUEST_WAITING) {
        device->class->begin(device, request);
    }
    request_deliver(request, in->node->hub);
    request_free(request);
}

static void take_for_device(const incoming *in, hub_device *device)
{
    request *request;

    if (in->message->topic.form == TALK_HISTORY_GET) {
        answer_history(in, device);
    } else if (!request_fits(device, in->message->topic.form)) {
        refuse(in->node->hub, in->asker, in->message, TALK_BUSY, "too many requests wait for %s",
               device->topic);
    } else {
        request = make_request(in);
        request_enqueue(device, request);
        parse(device, request);
        device_pump(device);
    }
}

static void take(const incoming *in)
{
    const talk_topic *topic = &in->message->topic;
    unsigned right = needed_right(topic->form);
    hub *hub = in->node->hub;
    hub_device *device;

    if (right & ~in->rights) {
        refuse(hub, in->asker, in->message, TALK_FORBIDDEN,
               right == HUB_MAY_CONTROL ? "you may read, but not change anything (ClownTalkControl)"
                                        : "you may not access the bus directly (ClownTalkRawI2C)");
        return;
    }
    if (topic->form == TALK_OPENING) {
        answer_opening(in);
        return;
    }
    if (topic->form == TALK_LIST) {
        answer_list(in);
        return;
    }
    if (names_a_bus(topic->form)) {
        if ((device = find_raw(in->node, topic->device))) {
            take_for_device(in, device);
        } else {
            refuse(hub, in->asker, in->message, TALK_UNKNOWN_DEVICE, "this node has no bus %s",
                   topic->address);
        }
        return;
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
    incoming in = {node, rights, asker, &message, length};

    if (error != TALK_OK) {
        refuse(node->hub, asker, &message, error, "%s", why);
    } else {
        take(&in);
    }
    talk_message_clear(&message);
}

/* ---- before the first look is finished ---- */

struct held {
    held *next;
    unsigned rights;
    uint64_t asker;
    char device[TALK_MAX_TOPIC + 1]; /* that it is for, or "" */
    size_t length;
    char line[];
};

/* The device that a line is for, or "". */
static void name_device(const char *line, size_t length, char device[TALK_MAX_TOPIC + 1])
{
    talk_message message = {0};
    char why[TALK_MAX_WHY];

    device[0] = '\0';
    if (talk_message_parse(&message, line, length, why, sizeof(why)) == TALK_OK &&
        names_a_device(message.topic.form)) {
        memcpy(device, message.topic.device, sizeof(message.topic.device));
    }
    talk_message_clear(&message);
}

static void hold(hub_node *node, unsigned rights, uint64_t asker, const char *line, size_t length)
{
    held *held = malloc(sizeof(*held) + length);

    if (!held) {
        base_out_of_memory();
    }
    *held = (struct held){.rights = rights, .asker = asker, .length = length};
    memcpy(held->line, line, length);
    name_device(line, length, held->device);
    *node->held_end = held;
    node->held_end = &held->next;
    node->bytes_held += sizeof(*held) + length;
    intake_release(node);
}

static bool is_there(hub_node *node, const char *topic)
{
    const hub_device *device = device_find(node, topic);

    return device && device->listed;
}

/* A device that is not there may be found still: at the first look its chip may not be ready. */
static bool may_come(hub_node *node, const char *topic)
{
    const hub *hub = node->hub;

    return topic[0] && !is_there(node, topic) && !hub->stopping &&
           hub_now(hub) < hub->started + HUB_FIRST_LOOK;
}

/* Whether a line is for such a device, and there is room for it until that is known. */
static bool is_held_on(hub_node *node, const char *line, size_t length)
{
    char device[TALK_MAX_TOPIC + 1];

    if (node->bytes_held >= MAX_HELD_ON ||
        hub_now(node->hub) >= node->hub->started + HUB_FIRST_LOOK) {
        return false;
    }
    name_device(line, length, device);
    return may_come(node, device);
}

static bool is_taken(const hub *hub, uint64_t asker)
{
    return hub->stopping || !hub->output.takes || hub->output.takes(hub->output.baton, asker);
}

/*
 * In the order in which they came, but for those whose answers are not taken at the moment, and
 * those for a device that may come.
 */
void intake_release(hub_node *node)
{
    held **at = &node->held, *held;

    while ((held = *at) && (node->ready || is_there(node, held->device))) {
        if (!is_taken(node->hub, held->asker) || may_come(node, held->device)) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        if (!held->next) {
            node->held_end = at;
        }
        node->bytes_held -= sizeof(*held) + held->length;
        receive(node, held->rights, held->asker, held->line, held->length);
        free(held);
    }
}

int64_t intake_due(const hub_node *node)
{
    const int64_t settled = node->hub->started + HUB_FIRST_LOOK;

    return node->held && hub_now(node->hub) < settled ? settled : HUB_NEVER;
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

void intake_request(hub *hub, const char *name, unsigned rights, uint64_t asker, const char *line,
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
    } else if (node->ready && !is_held_on(node, line, length)) {
        receive(node, rights, asker, line, length);
    } else if (node->ready || node->bytes_held < MAX_HELD) {
        hold(node, rights, asker, line, length);
    } else {
        refuse_line(hub, asker, line, length, TALK_UNAVAILABLE,
                    "the hardware side is starting, and too many requests wait for it; try again");
    }
}
