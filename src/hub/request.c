#include "request.h"

#include "devices.h"
#include "node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool request_only_reads(talk_form form)
{
    return form == TALK_GET || form == TALK_CONFIG_GET;
}

/* The next request that is answered with what `first`, which runs, is answered with; or NULL. */
static request *next_sharing(const request *first, const request *after)
{
    request *next = after->next;

    if (first->progress != REQUEST_RUNNING || first->form != TALK_GET) {
        return NULL;
    }
    while (next && next->serial <= first->begun && request_only_reads(next->form)) {
        if (next->form == TALK_GET && next->progress == REQUEST_WAITING) {
            return next;
        }
        next = next->next;
    }
    return NULL;
}

static void answer(request *request, const char *topic, struct json_object *payload)
{
    if (request->progress != REQUEST_ANSWERED && request->asker) {
        talk_text_clear(&request->reply);
        talk_write(&request->reply, topic, payload, request->id);
    }
    request->progress = REQUEST_ANSWERED;
}

void request_answer(request *request, const char *topic, struct json_object *payload)
{
    struct request *sharing = request;

    while ((sharing = next_sharing(request, sharing))) {
        answer(sharing, topic, payload);
    }
    answer(request, topic, payload);
    json_object_put(payload);
}

static void refuse(request *request, talk_error error, const char *sentence)
{
    request->progress = REQUEST_ANSWERED;
    talk_write_error(&request->reply, request->topic, request->id, error, "%s", sentence);
}

void request_refuse(request *request, talk_error error, const char *format, ...)
{
    char sentence[TALK_MAX_MESSAGE];
    struct request *sharing = request;
    va_list arguments;

    if (request->progress == REQUEST_ANSWERED) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    while ((sharing = next_sharing(request, sharing))) {
        refuse(sharing, error, sentence);
    }
    refuse(request, error, sentence);
}

void request_refuse_errno(request *request, const hub_device *device, int error)
{
    if (device->node->hub->stopping && error == -ECANCELED) {
        request_refuse(request, TALK_UNAVAILABLE, "%s cannot be reached: the hardware side ends",
                       device->topic);
    } else if (error == -ETIMEDOUT) {
        request_refuse(request, TALK_TIMEOUT, "%s did not finish in time", device->topic);
    } else {
        request_refuse(request, TALK_IO_ERROR, "%s: %s (%s)", device->topic,
                       strerrordesc_np(-error), strerrorname_np(-error));
    }
}

void request_deliver(const request *request, hub *hub)
{
    if (request->asker) {
        hub->output.reply(hub->output.baton, request->asker, request->reply.data,
                          request->reply.length, true);
    }
}

void request_free(request *request)
{
    json_object_put(request->id);
    json_object_put(request->payload);
    if (request->command) {
        message_free(request->command);
    }
    talk_text_free(&request->reply);
    free(request);
}
