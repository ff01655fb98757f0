#include "cost.h"

#include <json-c/json.h>

/* What a unit is, in bytes that are parsed or copied: as much as the rest of a short request. */
#define UNIT_BYTES 2048
/* What an answer is taken for until it is there, without its id. */
#define ANSWER_BYTES  256
#define HISTORY_BYTES 32768 /* of 1,000 points */
/* How many messages answer an opening, each with the id. */
#define OPENING_ANSWERS 16
/*
 * Measured with clowntalk-bridge: where a `get` takes the hub 5 microseconds and has 50 bytes, an
 * opening takes 10 and has 1,100, a list of 64 relays is as long as that and more, and a history of
 * 1,000 points takes 140 and has 16,000. In the child, bytes count for most, above all where they
 * are compressed. A scan occupies a bus.
 */
#define OPENING_UNITS 4
#define LIST_UNITS    4
#define HISTORY_UNITS 15 /* of 1,000 points, beside the one of any request */
#define SCAN_UNITS    4
#define MOST_POINTS   1000

bool ct_is_bulk(talk_form form)
{
    return form == TALK_OPENING || form == TALK_LIST || form == TALK_HISTORY_GET;
}

/* How many points a history is asked for; what the hub refuses to give is 0. */
static unsigned points_of(struct json_object *payload)
{
    struct json_object *value = NULL;
    int64_t points;

    if (!json_object_object_get_ex(payload, "points", &value)) {
        return 0;
    }
    points = json_object_get_int64(value);
    return points > 0 && points <= MOST_POINTS ? (unsigned)points : 0;
}

static unsigned units_of(const talk_message *message)
{
    switch (message->topic.form) {
    case TALK_OPENING:
        return OPENING_UNITS;
    case TALK_LIST:
        return LIST_UNITS;
    case TALK_HISTORY_GET:
        return 1 + HISTORY_UNITS * points_of(message->payload) / MOST_POINTS;
    case TALK_I2C_SCAN:
        return SCAN_UNITS;
    default:
        return 1;
    }
}

ct_cost ct_cost_of(const talk_message *message, size_t length)
{
    const talk_form form = message->topic.form;
    const size_t answers = form == TALK_OPENING ? OPENING_ANSWERS : 1;
    const size_t answer = form == TALK_HISTORY_GET ? HISTORY_BYTES : ANSWER_BYTES;

    return (ct_cost){
        .units = units_of(message) + (unsigned)(answers * length / UNIT_BYTES),
        .bytes = answers * (answer + length),
        .bulk = ct_is_bulk(form),
    };
}

unsigned ct_units_of_refusal(size_t length)
{
    return 1 + (unsigned)(length / UNIT_BYTES);
}
