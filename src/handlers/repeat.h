/*
 * What becomes of a request when the hub has gone which may have carried it out: whether it can be
 * made once more, and how the next hub is asked what came of it. Pure; any thread.
 */
#ifndef CT_REPEAT_H
#define CT_REPEAT_H

#include "talk/talk.h"

typedef enum ct_repetition {
    CT_REPEAT, /* it only reads */
    CT_VERIFY, /* it sets what can be asked for */
    CT_NEVER,  /* it does what leaves no state: a pulse, bytes on the bus */
} ct_repetition;

ct_repetition ct_repetition_of(talk_form form);
/* The topic that asks for what `topic` sets: its last level becomes "get". */
void ct_topic_that_verifies(const char *topic, char out[TALK_MAX_TOPIC + 1]);
/*
 * Whether an answer to that shows all that was to be set: each member of `asked` (NULL: none) is in
 * its payload, and one that was to be undone (null) is not, or is null.
 */
bool ct_set_has_succeeded(const struct json_object *asked, const char *answer, size_t length);

#endif
