/* Errors: their names on the wire and the sentences that explain them. */
#include "internal.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

const char *talk_error_name(talk_error error)
{
    switch (error) {
    case TALK_OK:
        return NULL;
    case TALK_MALFORMED:
        return "malformed";
    case TALK_NOT_INITIALIZED:
        return "not-initialized";
    case TALK_UNKNOWN_TOPIC:
        return "unknown-topic";
    case TALK_UNKNOWN_DEVICE:
        return "unknown-device";
    case TALK_BAD_PAYLOAD:
        return "bad-payload";
    case TALK_FORBIDDEN:
        return "forbidden";
    case TALK_BUSY:
        return "busy";
    case TALK_RATE_LIMITED:
        return "rate-limited";
    case TALK_IO_ERROR:
        return "io-error";
    case TALK_TIMEOUT:
        return "timeout";
    case TALK_UNAVAILABLE:
        return "unavailable";
    }
    return NULL;
}

void talk_vwhy(char *why, size_t size, const char *format, va_list arguments)
{
    char *at = why, *end;

    if (size == 0) {
        return;
    }
    if (vsnprintf(why, size, format, arguments) < 0) {
        why[0] = '\0';
    }
    end = why + strlen(why);
    while (at < end) {
        size_t length = base_utf8_decode(at, end, NULL);

        if (length == 0 && (size_t)(end - why) == size - 1 && end - at < 4) {
            *at = '\0'; /* a character that was cut in two */
            return;
        }
        if (length == 0 || (unsigned char)*at < 0x20 || *at == 0x7f) {
            *at = '?';
        }
        at += length ? length : 1;
    }
}

void talk_why(char *why, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    talk_vwhy(why, size, format, arguments);
    va_end(arguments);
}
