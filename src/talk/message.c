/* A message that came in: from text to a talk_message. */
#include "internal.h"
#include "json.h"

#include <json-c/json.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The elements of a message, where they stand in its text; those that could not be read have length 0. */
typedef struct elements {
    size_t count;
    json_span topic;
    json_span payload;
    json_span parameters;
    json_span id; /* of the parameters' members the last one named "id" */
} elements;

/* Takes the parameters, an object: a value like any other, but for the member that counts. */
static bool take_parameters(json_scan *scan, elements *found)
{
    json_span name, value;

    found->parameters.text = scan->at;
    if (!json_open(scan, '{'))
        return false;
    if (!json_take(scan, '}')) {
        do {
            if (!json_name(scan, &name) || !json_value(scan, &value))
                return false;
            if (json_string_is(name, "id"))
                found->id = value;
        } while (json_take(scan, ','));
        if (!json_take(scan, '}'))
            return json_refuse(scan, "a comma or } was expected");
    }
    scan->depth--;
    found->parameters.length = (size_t)(scan->at - found->parameters.text);
    return true;
}

static bool take_element(json_scan *scan, elements *found)
{
    json_span ignored;

    switch (found->count++) {
    case 0:
        return json_value(scan, &found->topic);
    case 1:
        return json_value(scan, &found->payload);
    case 2:
        if (scan->at < scan->end && *scan->at == '{')
            return take_parameters(scan, found);
        return json_value(scan, &found->parameters);
    default:
        return json_value(scan, &ignored);
    }
}

/* Checks that the text is a JSON array and finds its elements. */
static bool find_elements(json_scan *scan, elements *found)
{
    if (!json_open(scan, '['))
        return false;
    if (!json_take(scan, ']')) {
        do {
            if (!take_element(scan, found))
                return false;
        } while (json_take(scan, ','));
        if (!json_take(scan, ']'))
            return json_refuse(scan, "a comma or ] was expected");
    }
    if (scan->at != scan->end)
        return json_refuse(scan, "something follows the array");
    return true;
}

static bool is_string(json_span span)
{
    return span.length > 0 && *span.text == '"';
}

static bool is_object(json_span span)
{
    return span.length > 0 && *span.text == '{';
}

static bool is_number(json_span span)
{
    return span.length > 0 && (*span.text == '-' || (*span.text >= '0' && *span.text <= '9'));
}

/* Checks the elements' number and types. */
static bool judge(const elements *found, char *why, size_t why_size)
{
    const char *wrong = NULL;

    if (found->count < 2 || found->count > 3)
        wrong = "a message must be [topic, payload] or [topic, payload, parameters]";
    else if (!is_string(found->topic))
        wrong = "a message's first element, its topic, must be a string";
    else if (!is_object(found->payload))
        wrong = "a message's second element, its payload, must be an object";
    else if (found->count == 3 && !is_object(found->parameters))
        wrong = "a message's third element, its parameters, must be an object";
    else if (found->id.length > 0 && !is_string(found->id) && !is_number(found->id))
        wrong = "the parameters' id must be a string or a number";
    if (wrong)
        talk_why(why, why_size, "%s", wrong);
    return wrong == NULL;
}

/* Builds the object of a value that the scanner has accepted. */
static struct json_object *build(json_span span)
{
    struct json_tokener *tokener;
    struct json_object *object;

    tokener = talk_must(json_tokener_new_ex(TALK_MAX_DEPTH + 1));
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    object = json_tokener_parse_ex(tokener, span.text, (int)span.length);
    if (json_tokener_get_error(tokener) == json_tokener_continue)
        object = json_tokener_parse_ex(tokener, "", 1); /* only so it knows that a number is whole */
    json_tokener_free(tokener);
    return talk_must(object);
}

static struct json_object *build_payload(json_span span)
{
    if (span.length == 2) /* {}, as in most requests: spared the tokener */
        return talk_must(json_object_new_object());
    return build(span);
}

/*
 * Builds an id. json-c keeps the text of a fraction, but forces integers into 64 bits and drops the
 * sign of -0: an integer that it would not write as it came is given its text.
 */
static struct json_object *build_id(json_span span)
{
    struct json_object *id = build(span), *exact;
    const char *text;
    char *copy;

    if (!json_object_is_type(id, json_type_int))
        return id;
    text = json_object_to_json_string(id);
    if (text && strlen(text) == span.length && memcmp(text, span.text, span.length) == 0)
        return id;
    copy = talk_must(strndup(span.text, span.length));
    exact = talk_must(json_object_new_double_s(json_object_get_double(id), copy));
    free(copy);
    json_object_put(id);
    return exact;
}

/* Reads the topic, a string. */
static talk_error read_topic(talk_topic *topic, json_span span, char *why, size_t why_size)
{
    struct json_object *string = NULL;
    const char *text = span.text + 1;
    size_t length = span.length - 2;
    talk_error error = TALK_OK;

    if (memchr(text, '\\', length)) {
        string = build(span);
        text = json_object_get_string(string);
        length = (size_t)json_object_get_string_len(string);
    }
    if (length > TALK_MAX_TOPIC) {
        talk_why(why, why_size, "a topic must be at most %d bytes, not %zu", TALK_MAX_TOPIC, length);
        error = TALK_MALFORMED;
    } else if (!talk_topic_parse(topic, text, length, why, why_size)) {
        error = TALK_UNKNOWN_TOPIC;
    }
    json_object_put(string);
    return error;
}

talk_error talk_message_parse(talk_message *message, const char *text, size_t length, char *why,
                              size_t why_size)
{
    json_scan scan = {.start = text, .at = text, .end = text + length, .why = why,
                      .why_size = why_size};
    elements found = {0};
    bool good;

    memset(message, 0, sizeof *message);
    if (length > INT_MAX) { /* json-c's own bound */
        talk_why(why, why_size, "a message must be at most %d bytes", INT_MAX);
        return TALK_MALFORMED;
    }
    good = find_elements(&scan, &found) && judge(&found, why, why_size);
    if (is_string(found.id) || is_number(found.id))
        message->id = build_id(found.id);
    if (!good) { /* the topic and the id still serve the answer */
        if (is_string(found.topic))
            read_topic(&message->topic, found.topic, NULL, 0);
        return TALK_MALFORMED;
    }
    message->payload = build_payload(found.payload);
    return read_topic(&message->topic, found.topic, why, why_size);
}

void talk_message_clear(talk_message *message)
{
    json_object_put(message->payload);
    json_object_put(message->id);
    memset(message, 0, sizeof *message);
}
