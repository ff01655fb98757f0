/* What comes in: lines, and messages from their text. */
#include "internal.h"
#include "json.h"

#include "base/memory.h"

#include <json-c/json.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A message's elements as they stand in its text; those that could not be read are empty. */
typedef struct elements {
    size_t count;
    json_span at[3]; /* topic, payload, parameters */
    json_span id;    /* the parameters' */
} elements;

static const char shape[] = "a message must be [topic, payload] or [topic, payload, parameters]";

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

/* Checks that the text is a JSON array, whatever it may hold, and finds the elements. */
static bool find_elements(json_scan *scan, elements *found)
{
    json_span more;

    json_space(scan);
    if (scan->at == scan->end || *scan->at != '[') {
        talk_why(scan->why, scan->why_size, "%s", shape);
        return false;
    }
    if (!json_open(scan, '[')) {
        return false;
    }
    if (!json_take(scan, ']')) {
        do {
            if (!json_value(scan, found->count < 3 ? &found->at[found->count] : &more)) {
                return false;
            }
            found->count++;
        } while (json_take(scan, ','));
        if (!json_take(scan, ']')) {
            return json_refuse(scan, "a comma or ] was expected");
        }
    }
    json_space(scan);
    if (scan->at != scan->end) {
        return json_refuse(scan, "something follows the message");
    }
    return true;
}

/* Checks the elements' number and types. */
static bool check_elements(const elements *found, char *why, size_t why_size)
{
    const char *wrong = NULL;

    if (found->count < 2 || found->count > 3) {
        wrong = shape;
    } else if (!is_string(found->at[0])) {
        wrong = "a message's first element, the topic, must be a string";
    } else if (!is_object(found->at[1])) {
        wrong = "a message's second element, the payload, must be an object";
    } else if (found->count == 3 && !is_object(found->at[2])) {
        wrong = "a message's third element, the parameters, must be an object";
    } else if (found->id.length > 0 && !is_string(found->id) && !is_number(found->id)) {
        wrong = "the parameters' id must be a string or a number";
    }
    if (wrong) {
        talk_why(why, why_size, "%s", wrong);
    }
    return wrong == NULL;
}

/* Builds a value that the scanner has accepted; NULL where json-c refuses it. */
static struct json_object *build(json_span span)
{
    struct json_tokener *tokener = base_must(json_tokener_new_ex(TALK_MAX_DEPTH + 1));
    struct json_object *object;

    /*
     * The span is known to be JSON. Strict, json-c 0.18 takes bytes of UTF-8 above 0x7f for control
     * characters.
     */
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
    object = json_tokener_parse_ex(tokener, span.text, (int)span.length);
    if (json_tokener_get_error(tokener) == json_tokener_continue) {
        object = json_tokener_parse_ex(tokener, "", 1); /* a NUL marks the end of a number */
    }
    json_tokener_free(tokener);
    return object;
}

static struct json_object *build_payload(json_span span)
{
    if (span.length == 2) { /* {}, as in most requests: spares the tokener */
        return base_must(json_object_new_object());
    }
    return build(span);
}

/* Builds an id's usual forms, a plain string or a few digits, without the tokener; else NULL. */
static struct json_object *build_plain_id(json_span span)
{
    int64_t number = 0;

    if (is_string(span)) {
        if (memchr(span.text, '\\', span.length)) {
            return NULL;
        }
        return base_must(json_object_new_string_len(span.text + 1, (int)span.length - 2));
    }
    if (span.length > 18) { /* more digits might not fit in 64 bits */
        return NULL;
    }
    for (size_t i = 0; i < span.length; i++) {
        if (span.text[i] < '0' || span.text[i] > '9') {
            return NULL;
        }
        number = number * 10 + (span.text[i] - '0');
    }
    return base_must(json_object_new_int64(number));
}

/*
 * Builds an id so that it is sent as it came. json-c keeps a fraction's text, but forces an integer
 * into 64 bits and drops the sign of -0: so an integer, too, is given its text.
 */
static struct json_object *build_id(json_span span)
{
    struct json_object *id = build_plain_id(span), *exact;
    char *text;

    if (id) {
        return id;
    }
    id = build(span);
    if (!json_object_is_type(id, json_type_int)) {
        return id;
    }
    text = base_must(malloc(span.length + 1));
    memcpy(text, span.text, span.length);
    text[span.length] = '\0';
    exact = base_must(json_object_new_double_s(json_object_get_double(id), text));
    free(text);
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
    if (text == NULL) {
        talk_why(why, why_size, "json-c refuses the topic");
        error = TALK_MALFORMED;
    } else if (length > TALK_MAX_TOPIC) {
        talk_why(why, why_size, "a topic must be at most %d bytes, not %zu", TALK_MAX_TOPIC,
                 length);
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
    json_scan scan = {
        .start = text, .at = text, .end = text + length, .why = why, .why_size = why_size};
    elements found = {0};
    talk_error error;
    bool good;

    memset(message, 0, sizeof *message);
    if (length > INT_MAX) { /* json-c counts in int */
        talk_why(why, why_size, "a message must be at most %d bytes", INT_MAX);
        return TALK_MALFORMED;
    }
    good = find_elements(&scan, &found);
    if (is_object(found.at[2])) {
        json_find(found.at[2], "id", &found.id);
    }
    good = good && check_elements(&found, why, why_size);
    if (is_string(found.id) || is_number(found.id)) {
        message->id = build_id(found.id);
    }
    if (!good) { /* what could be read serves the answer */
        if (is_string(found.at[0])) {
            read_topic(&message->topic, found.at[0], NULL, 0);
        }
        return TALK_MALFORMED;
    }
    error = read_topic(&message->topic, found.at[0], why, why_size);
    if (error == TALK_MALFORMED) {
        return error;
    }
    message->payload = build_payload(found.at[1]);
    if (message->payload == NULL) {
        talk_why(why, why_size, "json-c refuses the payload");
        return TALK_MALFORMED;
    }
    return error;
}

void talk_message_clear(talk_message *message)
{
    json_object_put(message->payload);
    json_object_put(message->id);
    memset(message, 0, sizeof *message);
}

static bool is_blank(const char *line, size_t length)
{
    while (length > 0 &&
           (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r')) {
        length--;
    }
    return length == 0;
}

bool talk_next_line(const char **at, const char *end, const char **line, size_t *length)
{
    while (*at < end) {
        const char *feed;

        if (**at == '\n') {
            ++*at; /* there may be thousands of them */
            continue;
        }
        feed = memchr(*at, '\n', (size_t)(end - *at));
        *line = *at;
        *length = (size_t)((feed ? feed : end) - *line);
        *at = feed ? feed + 1 : end;
        if (*length > 0 && (*line)[*length - 1] == '\r') {
            --*length;
        }
        if (!is_blank(*line, *length)) {
            return true;
        }
    }
    return false;
}
