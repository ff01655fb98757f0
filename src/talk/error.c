#include "talk.h"

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
