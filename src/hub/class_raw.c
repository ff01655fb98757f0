/* i2c/BUS: scan, get and set, with data in one of three encodings. */
#include "classes.h"

#include "bus/port.h"
#include "devices.h"
#include "node.h"
#include "request_queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Bytes in one transfer either way: 23 ms at 100 kHz, so that no device's schedule suffers. */
#define MAX_DATA 256

/* How long scans and transfers may wait for the bus, in microseconds. */
#define SCAN_WITHIN     INT64_C(20000000)
#define TRANSFER_WITHIN INT64_C(5000000)

static bool read_address(struct json_object *payload, uint8_t *address)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    struct json_object *value;
    const char *text;
    unsigned number;

    if (!json_object_object_get_ex(payload, "address", &value) ||
        !json_object_is_type(value, json_type_string)) {
        return false;
    }
    text = json_object_get_string(value);
    if (strlen(text) != 2 || strspn(text, digits) != 2 || sscanf(text, "%x", &number) != 1) {
        return false;
    }
    *address = (uint8_t)number;
    return number >= I2C_FIRST_ADDRESS && number <= I2C_LAST_ADDRESS;
}

/* Reads "write": the number of bytes, 0 where there is none, or -1 with a sentence. */
static int read_data(request *request, uint8_t *data, char *why, size_t why_size)
{
    struct json_object *value;
    int length;

    request->encoding = TALK_HEX;
    if (!json_object_object_get_ex(request->payload, "write", &value)) {
        return 0;
    }
    if (!json_object_is_type(value, json_type_string)) {
        snprintf(why, why_size, "write must be a string of bytes: \"01,FF\", \"(text)\" or base64");
        return -1;
    }
    length = talk_data_decode(json_object_get_string(value), data, MAX_DATA, &request->encoding,
                              why, why_size);
    if (length == 0) {
        snprintf(why, why_size, "write must hold 1 to %d bytes", MAX_DATA);
    }
    return length > 0 ? length : -1;
}

/* Reads "read-length": 0 where there is none, or -1. */
static int read_length(struct json_object *payload)
{
    struct json_object *value;
    int64_t length;

    if (!json_object_object_get_ex(payload, "read-length", &value)) {
        return 0;
    }
    return talk_whole_number(value, 1, MAX_DATA, &length) ? (int)length : -1;
}

static talk_error parse(hub_device *device, request *request, char *why, size_t why_size)
{
    uint8_t address, data[MAX_DATA];
    int to_write, to_read = read_length(request->payload);

    (void)device;
    if (request->form == TALK_I2C_SCAN) {
        request->command = message_new(MESSAGE_SCAN, I2C_LAST_ADDRESS + 1);
        request->command->length = 0; /* addresses that have answered */
        return TALK_OK;
    }
    if (!read_address(request->payload, &address)) {
        snprintf(why, why_size, "address is needed: \"08\" to \"77\", two hexadecimal digits");
        return TALK_BAD_PAYLOAD;
    }
    if ((to_write = read_data(request, data, why, why_size)) < 0) {
        return TALK_BAD_PAYLOAD;
    }
    if (to_read < 0 || (request->form == TALK_I2C_GET && !to_read)) {
        snprintf(why, why_size, "read-length must be 1 to %d", MAX_DATA);
        return TALK_BAD_PAYLOAD;
    }
    if (request->form == TALK_I2C_GET && to_write > 2) {
        snprintf(why, why_size,
                 "write must hold 1 or 2 bytes (the register); i2c/BUS/set writes more");
        return TALK_BAD_PAYLOAD;
    }
    if (request->form == TALK_I2C_SET && !to_write) {
        snprintf(why, why_size, "write is needed: \"01,FF\", \"(text)\" or base64");
        return TALK_BAD_PAYLOAD;
    }
    request->command = message_new(MESSAGE_TRANSFER, (size_t)to_write);
    memcpy(request->command->data, data, (size_t)to_write);
    request->command->transfer.address = address;
    request->command->transfer.write_length = (size_t)to_write;
    request->command->transfer.read_length = (size_t)to_read;
    return TALK_OK;
}

static void begin(hub_device *device, request *request)
{
    request_send(device, request, request->form == TALK_I2C_SCAN ? SCAN_WITHIN : TRANSFER_WITHIN);
}

/* The device that owns an address on this bus, or NULL. */
static const hub_device *owner_of(const hub_device *raw, uint8_t address)
{
    const hub_node *node = raw->node;

    for (size_t i = 0; i < node->n_devices; i++) {
        const hub_device *device = node->devices[i];
        talk_address at;
        if (device->listed && device->bus == raw->bus &&
            talk_address_parse(device->topic + strlen(device->type) + 1, &at) &&
            (at.chip == address || device->driver->companion == address)) {
            return device;
        }
    }
    return NULL;
}

static struct json_object *address_text(uint8_t address)
{
    char text[3];

    snprintf(text, sizeof(text), "%02X", address);
    return json_object_new_string(text);
}

/*
 * The lines of configuration that make use of chips which may not be asked what they are, by
 * address. NULL where there is no such chip.
 */
static struct json_object *advice_for(const hub_device *device, const message *result)
{
    const worker_config *bus = worker_configuration(device->node->hub->buses[device->bus].worker);
    struct json_object *advice = NULL, *lines;
    port_line text[PORT_MAX_LINES];

    for (size_t i = 0; i < result->length; i++) {
        char address[3];
        size_t n = 0;
        if (!port_is_unasked(bus, result->data[i])) {
            continue;
        }
        n = port_advise(bus, result->data[i], text);
        lines = json_object_new_array();
        for (size_t j = 0; j < n; j++) {
            json_object_array_add(lines, json_object_new_string(text[j].text));
        }
        advice = advice ? advice : json_object_new_object();
        snprintf(address, sizeof(address), "%02X", result->data[i]);
        json_object_object_add(advice, address, lines);
    }
    return advice;
}

static void answer_scan(const hub_device *device, request *request, const message *result)
{
    char topic[TALK_MAX_TOPIC + 16];
    struct json_object *payload = json_object_new_object(), *slaves = json_object_new_array();
    struct json_object *advice;

    for (size_t i = 0; i < result->length; i++) {
        const hub_device *owner = owner_of(device, result->data[i]);
        struct json_object *slave = json_object_new_array();
        json_object_array_add(slave, address_text(result->data[i]));
        json_object_array_add(slave, owner ? json_object_new_string(owner->topic) : NULL);
        json_object_array_add(slaves, slave);
    }
    json_object_object_add(payload, "slaves", slaves);
    advice = advice_for(device, result);
    if (advice) {
        json_object_object_add(payload, "configure", advice);
    }
    snprintf(topic, sizeof(topic), "%s/config/ok", device->topic);
    request_answer(request, topic, payload);
}

static struct json_object *data_text(const uint8_t *bytes, size_t length, talk_encoding encoding)
{
    talk_text text = {0};
    struct json_object *value;

    talk_data_encode(&text, bytes, length, encoding);
    value = json_object_new_string_len(text.data, (int)text.length);
    talk_text_free(&text);
    return value;
}

static void answer_transfer(const hub_device *device, request *request, const message *result)
{
    struct json_object *payload = json_object_new_object(), *written = NULL;

    json_object_object_add(payload, "address", address_text(result->transfer.address));
    if (json_object_object_get_ex(request->payload, "write", &written)) {
        json_object_object_add(payload, "write", json_object_get(written));
    }
    if (result->transfer.read_length) {
        json_object_object_add(
            payload, "read",
            data_text(result->data, result->transfer.read_length, request->encoding));
    }
    request_answer(request, device->topic, payload);
}

static void on_result(hub_device *device, request *request, const message *result)
{
    const hub_device *owner;

    if (!request) {
        return;
    }
    if (result->error == -EACCES) {
        owner = owner_of(device, result->transfer.address);
        request_refuse(request, TALK_FORBIDDEN, "%02X belongs to %s", result->transfer.address,
                       owner ? owner->topic : "a device that is being configured");
    } else if (result->error < 0) {
        request_refuse_errno(request, device, result->error);
    } else if (request->form == TALK_I2C_SCAN) {
        answer_scan(device, request, result);
    } else {
        answer_transfer(device, request, result);
    }
}

const hub_class class_raw = {
    .unlisted = true,
    .forms = 1u << TALK_I2C_SCAN | 1u << TALK_I2C_GET | 1u << TALK_I2C_SET,
    .parse = parse,
    .begin = begin,
    .result = on_result,
};
