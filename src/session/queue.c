#include "queue.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void ws_queue_init(ws_queue *queue)
{
    *queue = (ws_queue){.last = &queue->first};
}

void ws_queue_add(ws_queue *queue, ws_outgoing *outgoing)
{
    ws_waiting *waiting = malloc(sizeof *waiting);

    if (!waiting) {
        base_out_of_memory();
    }
    *waiting = (ws_waiting){.outgoing = outgoing};
    ws_outgoing_hold(outgoing);
    *queue->last = waiting;
    queue->last = &waiting->next;
    queue->bytes += outgoing->length;
}

/* Takes out what `at` points to, of which no byte is on its way. */
static void take_out(ws_queue *queue, ws_waiting **at)
{
    ws_waiting *waiting = *at;

    *at = waiting->next;
    if (queue->last == &waiting->next) {
        queue->last = at;
    }
    queue->bytes -= waiting->outgoing->length;
    ws_outgoing_release(waiting->outgoing);
    free(waiting);
}

/* The first one that is not on its way. */
static ws_waiting **first_unbegun(ws_queue *queue)
{
    return queue->first && queue->offset > 0 ? &queue->first->next : &queue->first;
}

void ws_queue_drop_topic(ws_queue *queue, const char *topic)
{
    ws_waiting **at = first_unbegun(queue);

    while (*at) {
        if ((*at)->outgoing->topic && strcmp((*at)->outgoing->topic, topic) == 0) {
            take_out(queue, at);
        } else {
            at = &(*at)->next;
        }
    }
}

void ws_queue_drop_rest(ws_queue *queue)
{
    ws_waiting **at = first_unbegun(queue);

    while (*at) {
        take_out(queue, at);
    }
}

void ws_queue_advance(ws_queue *queue, size_t bytes)
{
    while (bytes > 0) {
        const size_t left = queue->first->outgoing->length - queue->offset;
        const size_t part = bytes < left ? bytes : left;

        queue->offset += part;
        queue->bytes -= part;
        bytes -= part;
        if (part == left) {
            queue->bytes += queue->first->outgoing->length; /* which take_out() subtracts */
            queue->offset = 0;
            take_out(queue, &queue->first);
        }
    }
}

void ws_queue_clear(ws_queue *queue)
{
    queue->bytes += queue->offset;
    queue->offset = 0;
    ws_queue_drop_rest(queue);
}

const void *ws_queue_next_bytes(const ws_queue *queue, char *room, size_t size, size_t *length)
{
    size_t offset = queue->offset, left = queue->first->outgoing->length - offset;

    *length = 0;
    if (!queue->first->next || left >= size) {
        *length = left < size ? left : size;
        return queue->first->outgoing->frame + offset;
    }
    for (ws_waiting *at = queue->first; at && *length < size; at = at->next, offset = 0) {
        const size_t rest = at->outgoing->length - offset;
        const size_t part = rest < size - *length ? rest : size - *length;

        memcpy(room + *length, at->outgoing->frame + offset, part);
        *length += part;
    }
    return room;
}
