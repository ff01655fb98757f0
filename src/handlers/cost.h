/*
 * What a request costs: here, and nowhere else, the forms of requests are told apart by that. Pure;
 * any thread.
 */
#ifndef CT_COST_H
#define CT_COST_H

#include "talk/talk.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ct_cost {
    unsigned units; /* of a user's and an address's rate: about those of a `get`, which is 1 */
    size_t bytes;   /* that will answer it, about */
    bool bulk;      /* its answer is long, and made from the hub's memory at once */
} ct_cost;

/* Whether the form is `bulk`. */
bool ct_is_bulk(talk_form form);
/* `message` as talk_message_parse() has left it, also where it has failed; its line's length. */
ct_cost ct_cost_of(const talk_message *message, size_t length);
/* The units of a line that is refused, which was read all the same. */
unsigned ct_units_of_refusal(size_t length);

#endif
