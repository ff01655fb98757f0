/*
 * What travels between a child process and the hub: Clown.Talk, a line per message, behind a small
 * envelope that names the request, its rights and its node. Plain text, so that socat can debug it.
 *
 * From a child: number of the request (counted by the link, from 1), rights ("c" control, "r" raw
 * I2C, "cr", or "-" none), node, message:
 *
 *     17 c nodes/bridge/0 ["relay/i2c0-3b/set", {"state": true}]
 *
 * From the hub: the first line of a link, which names this instance of the hub and why it started;
 * a reply to request 17, with more to come; its last reply; a publication for every initialized
 * client of the node except the one that sent request 17 (0: no exception):
 *
 *     ! 4711-1 crash
 *     + 17 ["clown.talk/-/config/ok", {...}]
 *     . 17 ["relay/i2c0-3b", {"state": true}]
 *     * 17 nodes/bridge/0 ["relay/i2c0-3b", {...}]
 */
#ifndef LINK_ENVELOPE_H
#define LINK_ENVELOPE_H

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

/* A parsed line from the hub; the pointers lead into it. */
typedef struct envelope_from_hub {
    envelope_kind kind;
    uint64_t request; /* of a reply; of a publication: the one that has its answer already */
    char node[ENVELOPE_MAX_NODE + 1]; /* of a publication */
    const char *message;              /* HELLO: instance and reason */
    size_t length;
} envelope_from_hub;

/* A parsed line from a child. */
typedef struct envelope_request {
    uint64_t request;
    unsigned rights; /* HUB_MAY_... */
    char node[ENVELOPE_MAX_NODE + 1];
    const char *message;
    size_t length;
} envelope_request;

/* `line` has no '\n'. False if it is not of this form. */
bool envelope_read_from_hub(envelope_from_hub *out, const char *line, size_t length);
bool envelope_read_request(envelope_request *out, const char *line, size_t length);

/* Add the head of a line; the message and its '\n' follow. */
void envelope_write_request(talk_text *out, uint64_t request, unsigned rights, const char *node);
void envelope_write_reply(talk_text *out, uint64_t request, bool last);
void envelope_write_publication(talk_text *out, uint64_t except, const char *node);

/*
 * What a publication is about: node and topic, as they stand in its line. NULL where there is no
 * topic.
 */
const char *envelope_publication_key(const char *line, size_t length, size_t *key_length);

/*
 * Whether `node` may be a node's name: levels of [a-z0-9.-], divided by '/', at most
 * ENVELOPE_MAX_NODE bytes.
 */
bool envelope_node_is_valid(const char *node);

#endif
