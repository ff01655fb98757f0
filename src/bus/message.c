#include "message.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

message *message_new(message_type type, size_t length)
{
    /* One byte more, so that text in `data` is always ended. */
    message *made = calloc(1, sizeof(*made) + length + 1);
    if (!made) {
        base_out_of_memory();
    }
    made->type = type;
    made->length = length;
    made->deadline = HUB_NEVER;
    return made;
}

void message_free(message *message)
{
    free(message);
}

bool queue_init(queue *queue, bool with_fd)
{
    pthread_condattr_t attributes;

    *queue = (struct queue){.fd = -1};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&queue->mutex, NULL);
    return !with_fd || (queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0;
}

void queue_destroy(queue *queue)
{
    message *left;

    while ((left = queue_take(queue))) {
        message_free(left);
    }
    pthread_cond_destroy(&queue->cond);
    pthread_mutex_destroy(&queue->mutex);
    if (queue->fd >= 0) {
        close(queue->fd);
    }
}

void queue_push(queue *queue, message *message)
{
    bool was_empty;

    message->next = NULL;
    pthread_mutex_lock(&queue->mutex);
    was_empty = !queue->head;
    if (was_empty) {
        queue->head = message;
    } else {
        queue->tail->next = message;
    }
    queue->tail = message;
    queue->length++;
    if (was_empty) {
        if (queue->fd >= 0) {
            eventfd_write(queue->fd, 1);
        }
        pthread_cond_signal(&queue->cond);
    }
    pthread_mutex_unlock(&queue->mutex);
}

message *queue_take(queue *queue)
{
    message *taken;

    pthread_mutex_lock(&queue->mutex);
    taken = queue->head;
    if (taken) {
        queue->head = taken->next;
        queue->length--;
        if (!queue->head && queue->fd >= 0) {
            eventfd_t count;
            eventfd_read(queue->fd, &count);
        }
    }
    pthread_mutex_unlock(&queue->mutex);
    return taken;
}

size_t queue_length(queue *queue)
{
    size_t length;

    pthread_mutex_lock(&queue->mutex);
    length = queue->length;
    pthread_mutex_unlock(&queue->mutex);
    return length;
}

void queue_wait(queue *queue, int64_t microseconds)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    /* An hour at most: more would only risk an overflow, and an early return is harmless. */
    if (microseconds > INT64_C(3600000000)) {
        microseconds = INT64_C(3600000000);
    }
    if (microseconds > 0) {
        int64_t nanoseconds = until.tv_nsec + microseconds % 1000000 * 1000;
        until.tv_sec += microseconds / 1000000 + nanoseconds / 1000000000;
        until.tv_nsec = nanoseconds % 1000000000;
    }
    pthread_mutex_lock(&queue->mutex);
    while (!queue->head && pthread_cond_timedwait(&queue->cond, &queue->mutex, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&queue->mutex);
}
