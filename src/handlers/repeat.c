#include "repeat.h"

#include <json-c/json.h>

#include <string.h>

ct_repetition ct_repetition_of(talk_form form)
{
    switch (form) {
    case TALK_SET:
    case TALK_CONFIG_SET:
        return CT_VERIFY;
    case TALK_PULSE_SET:
    case TALK_I2C_GET: /* what is read may be gone then, and it may write before it reads */
    case TALK_I2C_SET:
        return CT_NEVER;
    default:
        return CT_REPEAT;
    }
}

void ct_topic_that_verifies(const char *topic, char out[TALK_MAX_TOPIC + 1])
{
    static const char get[] = "get"; /* no verb that sets is shorter */
    const char *slash = strrchr(topic, '/');
    const size_t length = slash ? (size_t)(slash + 1 - topic) : 0;

    memcpy(out, topic, length);
    memcpy(out + length, get, sizeof get);
}

static bool is_number(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) ||
           json_object_is_type(value, json_type_double);
}

/* 5 and 5.0 are the same. */
static bool is_same(struct json_object *one, struct json_object *other)
{
    return is_number(one) && is_number(other)
               ? json_object_get_double(one) == json_object_get_double(other)
               : json_object_equal(one, other);
}

/* Whether each member of `asked` is in the payload; of nothing, all are. */
static bool shows(const struct json_object *payload, const struct json_object *asked)
{
    if (!asked) {
        return true;
    }
    json_object_object_foreach((struct json_object *)asked, name, wanted)
    {
        struct json_object *found = NULL;

        json_object_object_get_ex(payload, name, &found);
        if (!is_same(wanted, found)) {
            return false;
        }
    }
    return true;
}

bool ct_set_has_succeeded(const struct json_object *asked, const char *answer, size_t length)
{
    talk_message message = {0};
    char why[TALK_MAX_WHY];
    bool succeeded;

    /* An answer's topic is of no form that requests have: only its payload counts. */
    talk_message_parse(&message, answer, length, why, sizeof why);
    succeeded = message.payload && shows(message.payload, asked);
    talk_message_clear(&message);
    return succeeded;
}
