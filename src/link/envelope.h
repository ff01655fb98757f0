/*
 * What travels between a child process and the hub: Clown.Talk, a line per message, behind a small
 * envelope that says who asks and who is meant. Plain text, so that socat can debug it.
 *
 * From a child:
 *     17 c nodes/bridge/0 ["relay/i2c0-3b/set", {"state": true}]
 *     request number (counted by the link, from 1), rights ("c" control, "r" raw I2C, "cr" or "-"),
 * node, message
 *
 * From the hub:
 *     ! 4711-1 crash                                   first line of a link: the hub's instance,
 * why it started
 *     + 17 ["clown.talk/-/config/ok", {...}]           a reply to request 17, more to come
 *     . 17 ["relay/i2c0-3b", {"state": true}]          its last reply
 *     * 17 nodes/bridge/0 ["relay/i2c0-3b", {...}]     for every initialized client of the node,
 * but not for the one that sent request 17 (0: for all)
 */
#ifndef HUB_ENVELOPE_H
#define HUB_ENVELOPE_H

#include "hub/hub.h" /* HUB_MAY_..., HUB_MAX_LINE */
#include "talk/talk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENVELOPE_MAX_NODE 64  /* bytes in a node's name */
#define ENVELOPE_MAX_HEAD 128 /* bytes before the message */

typedef enum envelope_kind {
    ENVELOPE_HELLO = '!',
    ENVELOPE_REPLY = '+',
    ENVELOPE_LAST_REPLY = '.',
    ENVELOPE_PUBLICATION = '*',
} envelope_kind;

/* A line from the hub, taken apart; the pointers lead into it. */
typedef struct envelope_from_hub {
    envelope_kind kind;
    uint64_t request;                 /* of a reply; of a publication: whose sender is left out */
    char node[ENVELOPE_MAX_NODE + 1]; /* of a publication */
    const char *message;              /* HELLO: instance and reason */
    size_t length;
} envelope_from_hub;

/* A line from a child, taken apart. */
typedef struct envelope_request {
    uint64_t request;
    unsigned rights; /* HUB_MAY_... */
    char node[ENVELOPE_MAX_NODE + 1];
    const char *message;
    size_t length;
} envelope_request;

/* `line` has no '\n'. False where it has no such form. */
bool envelope_read_from_hub(envelope_from_hub *out, const char *line, size_t length);
bool envelope_read_request(envelope_request *out, const char *line, size_t length);

/* Add the head of a line; the message and its '\n' follow. */
void envelope_write_request(talk_text *out, uint64_t request, unsigned rights, const char *node);
void envelope_write_reply(talk_text *out, uint64_t request, bool last);
void envelope_write_publication(talk_text *out, uint64_t except, const char *node);

/*
 * Of what waits for a socket, the first `*sent` bytes are written: forgets them where they are the
 * larger part, so that a buffer which is never quite empty does not grow for ever.
 */
void envelope_forget_sent(talk_text *unsent, size_t *sent);

/*
 * Whether `node` may be a node's name: levels of [a-z0-9.-], divided by '/', at most
 * ENVELOPE_MAX_NODE bytes.
 */
bool envelope_node_is_valid(const char *node);

#endif
