/*
 * Messages that go out. json-c writes {"state":true} or { "state": true }, and whatever bytes a
 * string holds; the protocol's way is {"state": true}, and every string becomes valid UTF-8.
 */
#include "internal.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <json-c/json.h>

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

static void add(talk_text *out, const char *literal)
{
    talk_text_add(out, literal, strlen(literal));
}

/* Adds the escape for a byte that a string must not hold (RFC 8259 section 7), or U+FFFD. */
static void add_escaped(talk_text *out, unsigned char c)
{
    switch (c) {
    case '"':
        add(out, "\\\"");
        break;
    case '\\':
        add(out, "\\\\");
        break;
    case '\n':
        add(out, "\\n");
        break;
    case '\r':
        add(out, "\\r");
        break;
    case '\t':
        add(out, "\\t");
        break;
    default:
        if (c < 0x20) {
            talk_text_addf(out, "\\u%04x", c);
        } else {
            add(out, "\xef\xbf\xbd");
        }
    }
}

/* Adds a string with its quotes: always valid JSON and UTF-8, whatever the bytes are. */
static void add_string(talk_text *out, const char *text, size_t length)
{
    const char *end = text + length, *plain = text;

    talk_text_add(out, "\"", 1);
    while (text < end) {
        size_t bytes = base_utf8_decode(text, end, NULL);

        if (bytes > 0 && (unsigned char)*text >= 0x20 && *text != '"' && *text != '\\') {
            text += bytes;
            continue;
        }
        talk_text_add(out, plain, (size_t)(text - plain));
        add_escaped(out, (unsigned char)*text);
        plain = ++text;
    }
    talk_text_add(out, plain, (size_t)(text - plain));
    talk_text_add(out, "\"", 1);
}

static void add_int(talk_text *out, struct json_object *number)
{
    int64_t value = json_object_get_int64(number);

    if (value < 0) {
        talk_text_addf(out, "%" PRId64, value);
    } else {
        talk_text_addf(out, "%" PRIu64, json_object_get_uint64(number));
    }
}

/* Adds a number; null for NaN and the infinities, which JSON does not know. */
static void add_double(talk_text *out, struct json_object *number)
{
    double value = json_object_get_double(number);
    char text[TALK_MAX_NUMBER];

    if (json_object_get_userdata(number)) { /* it has a text: a quantity, or as it came in */
        const char *own = json_object_to_json_string(number);
        if (own == NULL) {
            base_out_of_memory();
        }
        add(out, own);
    } else if (isfinite(value)) {
        talk_number_format(value, -1, text);
        add(out, text);
    } else {
        add(out, "null");
    }
}

static void add_value(talk_text *out, struct json_object *value);

static void add_array(talk_text *out, struct json_object *array)
{
    size_t length = json_object_array_length(array);

    talk_text_add(out, "[", 1);
    for (size_t i = 0; i < length; i++) {
        if (i > 0) {
            talk_text_add(out, ", ", 2);
        }
        add_value(out, json_object_array_get_idx(array, i));
    }
    talk_text_add(out, "]", 1);
}

static void add_object(talk_text *out, struct json_object *object)
{
    bool first = true;

    talk_text_add(out, "{", 1);
    json_object_object_foreach(object, name, value)
    {
        if (!first) {
            talk_text_add(out, ", ", 2);
        }
        first = false;
        add_string(out, name, strlen(name));
        talk_text_add(out, ": ", 2);
        add_value(out, value);
    }
    talk_text_add(out, "}", 1);
}

static void add_value(talk_text *out, struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        add(out, "null");
        break;
    case json_type_boolean:
        add(out, json_object_get_boolean(value) ? "true" : "false");
        break;
    case json_type_double:
        add_double(out, value);
        break;
    case json_type_int:
        add_int(out, value);
        break;
    case json_type_object:
        add_object(out, value);
        break;
    case json_type_array:
        add_array(out, value);
        break;
    case json_type_string:
        add_string(out, json_object_get_string(value), (size_t)json_object_get_string_len(value));
        break;
    }
}

static void begin(talk_text *out, const char *topic)
{
    talk_text_add(out, "[", 1);
    add_string(out, topic, strlen(topic));
    talk_text_add(out, ", ", 2);
}

static void end(talk_text *out, struct json_object *id)
{
    if (id) {
        add(out, ", {\"id\": ");
        add_value(out, id);
        talk_text_add(out, "}", 1);
    }
    talk_text_add(out, "]\n", 2);
}

void talk_write(talk_text *out, const char *topic, struct json_object *payload,
                struct json_object *id)
{
    begin(out, topic);
    if (payload) {
        add_value(out, payload);
    } else {
        add(out, "{}");
    }
    end(out, id);
}

void talk_write_text(talk_text *out, const char *topic, const char *payload, struct json_object *id)
{
    begin(out, topic);
    add(out, payload);
    end(out, id);
}

void talk_write_error(talk_text *out, const char *request, struct json_object *id, talk_error error,
                      const char *format, ...)
{
    const char *name = talk_error_name(error), *slash;
    char message[TALK_MAX_MESSAGE];
    talk_text topic = {0};
    va_list arguments;

    assert(name);
    va_start(arguments, format);
    talk_vwhy(message, sizeof message, format, arguments);
    va_end(arguments);
    if (request == NULL || *request == '\0') {
        request = "-/-/error";
    }
    slash = strrchr(request, '/');
    talk_text_add(&topic, request, slash ? (size_t)(slash + 1 - request) : 0);
    add(&topic, "error");
    begin(out, topic.data);
    talk_text_free(&topic);
    add(out, "{\"error\": ");
    add_string(out, name, strlen(name));
    add(out, ", \"message\": ");
    add_string(out, message, strlen(message));
    add(out, "}");
    end(out, id);
}
