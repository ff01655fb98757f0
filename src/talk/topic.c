/* Topics of requests, and the addresses in them. */
#include "internal.h"

#include "base/append.h"

#include <stdio.h>
#include <string.h>

typedef struct verb {
    const char *text; /* the topic's levels behind the device */
    talk_form form;
} verb;

static const verb device_verbs[] = {
    {"get", TALK_GET},
    {"set", TALK_SET},
    {"config/get", TALK_CONFIG_GET},
    {"config/list", TALK_CONFIG_GET},
    {"config/set", TALK_CONFIG_SET},
    {"config/update", TALK_CONFIG_SET},
    {"pulse/set", TALK_PULSE_SET},
    {"history/get", TALK_HISTORY_GET},
    {NULL, TALK_FORM_UNKNOWN},
};
static const verb bus_verbs[] = {
    {"config/scan", TALK_I2C_SCAN},
    {"get", TALK_I2C_GET},
    {"set", TALK_I2C_SET},
    {NULL, TALK_FORM_UNKNOWN},
};
static const verb node_verbs[] = {
    {"config/list", TALK_LIST},
    {"config/get", TALK_LIST},
    {NULL, TALK_FORM_UNKNOWN},
};
static const verb opening_verbs[] = {
    {"config/set", TALK_OPENING},
    {NULL, TALK_FORM_UNKNOWN},
};

/* Reads 0 to 99 without superfluous zeros and advances *text; -1 where there is no such number. */
static int take_label(const char **text)
{
    const char *at = *text;
    int label = 0;

    while (*at >= '0' && *at <= '9' && at - *text < 3) {
        label = label * 10 + (*at++ - '0');
    }
    if (at == *text || at - *text > 2 || (at - *text == 2 && **text == '0')) {
        return -1;
    }
    *text = at;
    return label;
}

bool talk_address_parse(const char *text, talk_address *address)
{
    int high, low;

    *address = (talk_address){.channel = -1};
    if (strcmp(text, "-") == 0) {
        return true;
    }
    if (strncmp(text, "i2c", 3) != 0) {
        return false;
    }
    text += 3;
    address->bus = take_label(&text);
    if (address->bus < 0 || *text++ != '-') {
        return false;
    }
    high = talk_hex_digit(text[0]);
    low = high < 0 ? -1 : talk_hex_digit(text[1]);
    if (low < 0 || high > 7) {
        return false;
    }
    text += 2;
    if (*text == '-') {
        text++;
        address->channel = take_label(&text);
        if (address->channel < 0) {
            return false;
        }
    }
    address->on_bus = true;
    address->chip = (uint8_t)(high << 4 | low);
    return *text == '\0';
}

void talk_address_format(const talk_address *address, char *out)
{
    if (!address->on_bus) {
        snprintf(out, TALK_MAX_ADDRESS, "-");
    } else if (address->channel < 0) {
        snprintf(out, TALK_MAX_ADDRESS, "i2c%d-%02x", address->bus, address->chip);
    } else {
        snprintf(out, TALK_MAX_ADDRESS, "i2c%d-%02x-%d", address->bus, address->chip,
                 address->channel);
    }
}

/* Finds the form that the last levels name; false with the list of what is allowed. */
static bool find_form(talk_topic *topic, const verb *verbs, const char *rest, char *why,
                      size_t why_size)
{
    char allowed[TALK_MAX_WHY] = "";

    for (const verb *one = verbs; one->text; one++) {
        if (strcmp(rest, one->text) == 0) {
            topic->form = one->form;
            return true;
        }
        base_append_item(allowed, sizeof allowed, one->text);
    }
    talk_why(why, why_size, "%s/%s/ must be followed by one of %s", topic->type, topic->address,
             allowed);
    return false;
}

/* The second level of i2c/BUS/...: the label of a bus. */
static bool is_bus(const char *text)
{
    return take_label(&text) >= 0 && *text == '\0';
}

/* Finds the verbs that go with TYPE/ADDR, and brings ADDR into the server's spelling. */
static const verb *verbs_for(talk_topic *topic, char *why, size_t why_size)
{
    const char *type = topic->type;
    talk_address address;

    if (strcmp(type, "clown.talk") == 0 || strcmp(type, "-") == 0) {
        if (strcmp(topic->address, "-") == 0) {
            return *type == '-' ? node_verbs : opening_verbs;
        }
        talk_why(why, why_size, "%s/ must be followed by -", type);
        return NULL;
    }
    if (*type == '\0' || type[strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0') {
        talk_why(why, why_size, "a topic's first level must be of a-z, 0-9 and -");
        return NULL;
    }
    if (strcmp(type, "i2c") == 0) {
        if (is_bus(topic->address)) {
            return bus_verbs;
        }
        talk_why(why, why_size, "i2c/ must be followed by the label of a bus, 0 to 99");
        return NULL;
    }
    if (!talk_address_parse(topic->address, &address)) {
        talk_why(why, why_size, "%s/ must be followed by - or an address like i2c0-3b", type);
        return NULL;
    }
    talk_address_format(&address, topic->address);
    return device_verbs;
}

/*
 * Splits "TYPE/ADDR/rest" into the topic's members; NULL where there are fewer levels, or too many.
 */
static const char *split(talk_topic *topic)
{
    const char *first = strchr(topic->text, '/');
    const char *second = first ? strchr(first + 1, '/') : NULL;
    const char *third = second ? strchr(second + 1, '/') : NULL;

    if (second == NULL || (third && strchr(third + 1, '/'))) {
        return NULL;
    }
    memcpy(topic->type, topic->text, (size_t)(first - topic->text));
    topic->type[first - topic->text] = '\0';
    memcpy(topic->address, first + 1, (size_t)(second - first - 1));
    topic->address[second - first - 1] = '\0';
    return second + 1;
}

/* Puts TYPE/ADDR together. It is no longer than it was: no spelling changes an address's length. */
static void join(talk_topic *topic)
{
    size_t type = strlen(topic->type), address = strlen(topic->address);

    memcpy(topic->device, topic->type, type);
    topic->device[type] = '/';
    memcpy(topic->device + type + 1, topic->address, address + 1);
}

bool talk_topic_parse(talk_topic *topic, const char *text, size_t length, char *why,
                      size_t why_size)
{
    const char *rest;
    const verb *verbs = NULL;

    memcpy(topic->text, text, length);
    topic->text[length] = '\0';
    rest = split(topic);
    if (rest) {
        verbs = verbs_for(topic, why, why_size);
    } else {
        talk_why(why, why_size, "a topic must have 3 to %d levels, as in relay/i2c0-3b/set",
                 TALK_MAX_LEVELS);
    }
    if (verbs && find_form(topic, verbs, rest, why, why_size)) {
        join(topic);
        return true;
    }
    topic->type[0] = topic->address[0] = '\0';
    return false;
}
