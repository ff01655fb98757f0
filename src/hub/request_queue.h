/*
 * A device's queue of requests. The one in front is begun when it gets there, and answered when its
 * result comes, so that a device's answers leave in the order of its requests. A measurement or a
 * read answers all that waited for one when it began, however many: who only asks how things stand
 * keeps nobody from it. What a payload means is the business of the device's class (class.h).
 * Owner's thread.
 */
#ifndef HUB_REQUEST_QUEUE_H
#define HUB_REQUEST_QUEUE_H

#include "devices.h"
#include "request.h"

/* Requests that wait for one device and may change something; more: busy. */
#define HUB_MAX_REQUESTS 32
/* Bytes that all requests take up that wait and only read; more: busy. */
#define HUB_MAX_READS 4194304

/* Whether there is room for another of this form. */
bool request_fits(const hub_device *device, talk_form form);
/* Puts a request behind the others: given away. device_pump() is to follow. */
void request_enqueue(hub_device *device, request *request);
/* Frees the request in front. */
void request_dequeue(hub_device *device);
/* Puts a request of the hub's own into the queue (a relay's power-on state). */
void request_own(hub_device *device, talk_form form, message *command);
/*
 * Begins the request in front and sends the answers that are ready: to be called after whatever may
 * have answered a request.
 */
void device_pump(hub_device *device);
/* Takes the request's command, which is to be sent now and finished within microseconds. */
message *request_take_command(hub_device *device, request *request, int64_t within);
/* Sends the request's command to its device, to be finished within this time in microseconds. */
void request_send(hub_device *device, request *request, int64_t within);
/* A result came from a bus. */
void request_result(hub *hub, const message *result);
/* Everything that waits is answered with this error. device_pump() is to follow. */
void requests_refuse(hub_device *device, talk_error error, const char *sentence);
/* Answers the request in front with `timeout` when its time is over, and when that will be. */
void requests_expire(hub_device *device);
int64_t requests_due(const hub_device *device);

#endif
