/*
 * A request, from its arrival to its one last reply. It belongs to its device's queue
 * (request_queue.h), which frees it. Owner's thread.
 */
#ifndef HUB_REQUEST_H
#define HUB_REQUEST_H

#include "class.h"
#include "hub.h"

#include <json-c/json.h>

typedef enum request_progress {
    REQUEST_WAITING,  /* for the requests before it */
    REQUEST_RUNNING,  /* begun; its result is awaited */
    REQUEST_ANSWERED, /* `reply` holds the answer */
} request_progress;

struct request {
    request *next;
    request_progress progress;
    uint64_t asker;  /* 0: the hub itself */
    uint64_t serial; /* names it towards the buses */
    uint64_t begun;  /* the last serial when it was begun: later ones came after that */
    size_t size;     /* about the bytes that it takes up */
    talk_form form;
    char topic[TALK_MAX_TOPIC + 1]; /* as the client wrote it, for errors */
    struct json_object *id;         /* or NULL */
    struct json_object *payload;    /* NULL: a request of the hub's own */
    message *command;               /* what to send when its turn comes, or NULL */
    int64_t deadline;               /* when running: after this it is answered `timeout` */
    bool waits_for_interlock;
    talk_encoding encoding; /* of a raw transfer's reply */
    talk_text reply;
};

/* Whether requests of this form change nothing. */
bool request_only_reads(talk_form form);
/*
 * Answers, unless it is answered already: with a payload (taken over) on a topic ... What a running
 * `get` is answered with holds for each that waited already when it was begun, too.
 */
void request_answer(request *request, const char *topic, struct json_object *payload);
/* ... or with an error. */
void request_refuse(request *request, talk_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* ... or with what a negative errno means. */
void request_refuse_errno(request *request, const hub_device *device, int error);
/* Sends the answer to the asker, if there is one. */
void request_deliver(const request *request, hub *hub);
void request_free(request *request);

#endif
