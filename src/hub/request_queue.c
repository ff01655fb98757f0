#include "request_queue.h"

#include "config.h"
#include "ground.h"
#include "node.h"

#include <stdlib.h>

/* How much longer the owner waits than the bus may take: the bus's own answer is the better one. */
#define BUS_GRACE INT64_C(1000000)

/* ---- in and out ---- */

bool request_fits(const hub_device *device, talk_form form)
{
    return request_only_reads(form) ? device->node->hub->bytes_of_reads < HUB_MAX_READS
                                    : device->n_changes < HUB_MAX_REQUESTS;
}

void request_enqueue(hub_device *device, request *request)
{
    *device->requests_end = request;
    device->requests_end = &request->next;
    if (request_only_reads(request->form)) {
        device->node->hub->bytes_of_reads += request->size;
    } else {
        device->n_changes++;
    }
}

void request_dequeue(hub_device *device)
{
    request *request = device->requests;

    device->requests = request->next;
    if (!device->requests) {
        device->requests_end = &device->requests;
    }
    if (request_only_reads(request->form)) {
        device->node->hub->bytes_of_reads -= request->size;
    } else {
        device->n_changes--;
    }
    request_free(request);
}

void request_own(hub_device *device, talk_form form, message *command)
{
    request *own = hub_allocate(1, sizeof(*own));

    own->form = form;
    own->command = command;
    own->serial = ++device->node->hub->last_serial;
    request_enqueue(device, own);
}

static void begin(hub_device *device, request *request)
{
    request->progress = REQUEST_RUNNING;
    request->begun = device->node->hub->last_serial;
    request->deadline = HUB_NEVER;
    if (device->node->hub->stopping) {
        request_refuse(request, TALK_UNAVAILABLE, "%s cannot be reached: the hardware side ends",
                       device->topic);
    } else if (!device->listed && !device->class->unlisted) {
        request_refuse(request, TALK_UNKNOWN_DEVICE, "%s has left; see -/-/config/list",
                       device->topic);
    } else if (request->form == TALK_CONFIG_GET || request->form == TALK_CONFIG_SET) {
        config_begin(device, request);
    } else {
        device->class->begin(device, request);
    }
}

void device_pump(hub_device *device)
{
    request *request;

    if (device->pumping) {
        return; /* called from within the loop below, which goes on */
    }
    device->pumping = true;
    while ((request = device->requests)) {
        if (request->progress == REQUEST_WAITING) {
            begin(device, request);
        }
        if (request->progress != REQUEST_ANSWERED) {
            break;
        }
        request_deliver(request, device->node->hub);
        request_dequeue(device);
    }
    device->pumping = false;
}

/* ---- to the bus and back ---- */

message *request_take_command(hub_device *device, request *request, int64_t within)
{
    message *command = request->command;

    request->command = NULL;
    request->deadline = hub_now(device->node->hub) + within + BUS_GRACE;
    command->serial = request->serial;
    command->deadline = request->deadline - BUS_GRACE;
    return command;
}

void request_send(hub_device *device, request *request, int64_t within)
{
    device_send(device, request_take_command(device, request, within));
}

void request_result(hub *hub, const message *result)
{
    hub_device *device = device_of_unit(hub, result->bus, result->unit);
    request *request;

    /* It left before: the request has had its answer. */
    if (!device) {
        return;
    }
    request = device->requests;
    if (!request || request->serial != result->serial || request->progress != REQUEST_RUNNING) {
        request = NULL;
    }
    device->class->result(device, request, result);
    device_pump(device);
}

/* ---- the end without a result ---- */

static void abandon(hub_device *device, request *request)
{
    if (request->progress == REQUEST_RUNNING && device->class->abandoned) {
        device->class->abandoned(device, request);
    }
}

void requests_refuse(hub_device *device, talk_error error, const char *sentence)
{
    for (request *request = device->requests; request; request = request->next) {
        abandon(device, request);
        request_refuse(request, error, "%s %s", device->topic, sentence);
    }
}

void requests_expire(hub_device *device)
{
    request *request = device->requests;

    if (requests_due(device) > hub_now(device->node->hub)) {
        return;
    }
    abandon(device, request);
    request_refuse(request, TALK_TIMEOUT, "%s did not finish in time", device->topic);
    device_pump(device);
}

int64_t requests_due(const hub_device *device)
{
    const request *request = device->requests;

    return request && request->progress == REQUEST_RUNNING ? request->deadline : HUB_NEVER;
}
