/*
 * Fuzz target: what a client may send. The input is read as lines, each line as a message, and each
 * string of a payload as DATA. What comes out is checked: a message that was understood can be
 * written and is understood again as the same, an answer is always a line of JSON and UTF-8.
 */
#include "talk/talk.h"

#include <json-c/json.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether two objects are the same once written: json-c compares a number's value, not its text. */
static bool same(struct json_object *a, struct json_object *b)
{
    talk_text x = {0}, y = {0};
    bool equal;

    talk_write(&x, "", a, NULL);
    talk_write(&y, "", b, NULL);
    equal = x.length == y.length && memcmp(x.data, y.data, x.length) == 0;
    talk_text_free(&x);
    talk_text_free(&y);
    return equal;
}

/* Reads a line that was written here: it must be one line, and a message of ours. */
static talk_error read_back(const talk_text *line, talk_message *message)
{
    char why[TALK_MAX_WHY];

    CHECK(line->length > 0 && line->data[line->length] == '\0');
    CHECK(memchr(line->data, '\n', line->length) == line->data + line->length - 1);
    return talk_message_parse(message, line->data, line->length, why, sizeof why);
}

static void check_understood(const talk_message *message)
{
    talk_text line = {0};
    talk_message again;
    talk_address address;
    char formatted[TALK_MAX_ADDRESS], device[2 * TALK_MAX_TOPIC + 3];

    CHECK(message->topic.form != TALK_FORM_UNKNOWN);
    CHECK(json_object_is_type(message->payload, json_type_object));
    snprintf(device, sizeof device, "%s/%s", message->topic.type, message->topic.address);
    CHECK(strcmp(device, message->topic.device) == 0);
    if (talk_address_parse(message->topic.address, &address)) {
        talk_address_format(&address, formatted);
        CHECK(strcmp(formatted, message->topic.address) == 0);
    }
    talk_write(&line, message->topic.text, message->payload, message->id);
    CHECK(read_back(&line, &again) == TALK_OK);
    CHECK(again.topic.form == message->topic.form);
    CHECK(strcmp(again.topic.device, message->topic.device) == 0);
    CHECK(same(again.payload, message->payload));
    CHECK((again.id == NULL) == (message->id == NULL));
    CHECK(again.id == NULL || same(again.id, message->id));
    talk_message_clear(&again);
    talk_text_free(&line);
}

static void check_refused(const talk_message *message, talk_error error, const char *why)
{
    talk_text line = {0};
    talk_message answer;
    const char *said;

    CHECK(error == TALK_MALFORMED || error == TALK_UNKNOWN_TOPIC);
    CHECK(*why && strlen(why) < TALK_MAX_WHY);
    CHECK(strncmp(why, "json-c refuses ", 15) != 0); /* the scanner refuses whatever json-c would */
    CHECK(error != TALK_MALFORMED || message->payload == NULL);
    talk_write_error(&line, message->topic.text, message->id, error, "%s", why);
    /* its topic is no request's, or, with the longest verbs cut off, too long for one */
    error = read_back(&line, &answer);
    CHECK(error == TALK_UNKNOWN_TOPIC || strlen(message->topic.text) + 5 > TALK_MAX_TOPIC);
    CHECK((answer.id == NULL) == (message->id == NULL));
    CHECK(answer.id == NULL || same(answer.id, message->id));
    if (error == TALK_UNKNOWN_TOPIC) {
        said = json_object_get_string(json_object_object_get(answer.payload, "message"));
        CHECK(strcmp(said, why) == 0); /* it was UTF-8 without control characters already */
    }
    talk_message_clear(&answer);
    talk_text_free(&line);
}

/* Decodes DATA into as little memory as holds it, and encodes it again. */
static void check_data(const char *text)
{
    uint8_t *bytes = malloc(strlen(text) + 1), *again;
    talk_encoding encoding, second;
    talk_text out = {0};
    char why[TALK_MAX_WHY] = "";
    int count;

    CHECK(bytes);
    count = talk_data_decode(text, bytes, strlen(text), &encoding, why, sizeof why);
    CHECK(count >= 0 || *why);
    if (count > 0) {
        CHECK(talk_data_decode(text, NULL, 0, &encoding, why, sizeof why) == -1);
        again = malloc((size_t)count);
        CHECK(again);
        CHECK(talk_data_decode(text, again, (size_t)count, &encoding, NULL, 0) == count);
        talk_data_encode(&out, again, (size_t)count, encoding);
        CHECK(talk_data_decode(out.data, again, (size_t)count, &second, NULL, 0) == count);
        CHECK(memcmp(bytes, again, (size_t)count) == 0);
        CHECK(second == encoding || (encoding == TALK_ASCII && second == TALK_HEX));
        CHECK(encoding != TALK_BASE64 || strcmp(out.data, text) == 0);
        free(again);
    }
    talk_text_free(&out);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size, *line;
    size_t length;

    while (talk_next_line(&at, end, &line, &length)) {
        char why[TALK_MAX_WHY] = "";
        talk_message message;
        talk_error error;

        CHECK(length > 0 && memchr(line, '\n', length) == NULL && line + length <= end);
        error = talk_message_parse(&message, line, length, why, sizeof why);
        if (error) {
            check_refused(&message, error, why);
        } else {
            check_understood(&message);
        }
        if (message.payload) {
            json_object_object_foreach(message.payload, name, value)
            {
                check_data(name);
                if (json_object_is_type(value, json_type_string)) {
                    check_data(json_object_get_string(value));
                }
            }
        }
        talk_message_clear(&message);
    }
    return 0;
}
