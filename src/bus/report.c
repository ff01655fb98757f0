/* What a bus's thread says to the owner: messages, log lines. */
#include "worker_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int64_t worker_now(const worker *worker)
{
    return worker->config.environment->now(worker->config.environment->baton);
}

void worker_send(worker *worker, message *message)
{
    message->bus = worker->config.index;
    queue_push(worker->config.outbox, message);
}

void worker_log(worker *worker, hub_level level, log_code code, const char *format, ...)
{
    char text[512];
    int length;
    va_list arguments;
    message *line;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    if ((size_t)length >= sizeof(text)) {
        length = sizeof(text) - 1;
    }
    line = message_new(MESSAGE_LOG, (size_t)length);
    line->log.level = level;
    line->log.code = code;
    memcpy(line->data, text, (size_t)length);
    worker_send(worker, line);
}
