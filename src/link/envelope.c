#include "envelope.h"

#include <inttypes.h>
#include <string.h>

/* A cursor over a line. */
typedef struct scan {
    const char *at, *end;
} scan;

static bool take_number(scan *s, uint64_t *number)
{
    const char *start = s->at;

    *number = 0;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        const uint64_t digit = (uint64_t)(*s->at - '0');

        if (*number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
        s->at++;
    }
    return s->at > start;
}

static bool take_space(scan *s)
{
    return s->at < s->end && *s->at++ == ' ';
}

static bool take_node(scan *s, char node[ENVELOPE_MAX_NODE + 1])
{
    const char *space = memchr(s->at, ' ', (size_t)(s->end - s->at));
    const size_t length = space ? (size_t)(space - s->at) : 0;

    if (length == 0 || length > ENVELOPE_MAX_NODE) {
        return false;
    }
    memcpy(node, s->at, length);
    node[length] = '\0';
    s->at = space;
    return true;
}

bool envelope_read_from_hub(envelope_from_hub *out, const char *line, size_t length)
{
    scan s = {line, line + length};

    memset(out, 0, sizeof *out);
    if (length < 2) {
        return false;
    }
    out->kind = (envelope_kind)*s.at++;
    if (!take_space(&s)) {
        return false;
    }
    switch (out->kind) {
    case ENVELOPE_HELLO:
        break;
    case ENVELOPE_REPLY:
    case ENVELOPE_LAST_REPLY:
        if (!take_number(&s, &out->request) || !take_space(&s)) {
            return false;
        }
        break;
    case ENVELOPE_PUBLICATION:
        if (!take_number(&s, &out->request) || !take_space(&s) || !take_node(&s, out->node) ||
            !take_space(&s)) {
            return false;
        }
        break;
    default:
        return false;
    }
    out->message = s.at;
    out->length = (size_t)(s.end - s.at);
    return true;
}

bool envelope_read_request(envelope_request *out, const char *line, size_t length)
{
    scan s = {line, line + length};

    memset(out, 0, sizeof *out);
    if (!take_number(&s, &out->request) || out->request == 0 || !take_space(&s)) {
        return false;
    }
    for (; s.at < s.end && *s.at != ' '; s.at++) {
        switch (*s.at) {
        case 'c':
            out->rights |= HUB_MAY_CONTROL;
            break;
        case 'r':
            out->rights |= HUB_MAY_RAW_I2C;
            break;
        case '-':
            break;
        default:
            return false;
        }
    }
    if (!take_space(&s) || !take_node(&s, out->node) || !take_space(&s)) {
        return false;
    }
    out->message = s.at;
    out->length = (size_t)(s.end - s.at);
    return true;
}

void envelope_write_request(talk_text *out, uint64_t request, unsigned rights, const char *node)
{
    talk_text_addf(out, "%" PRIu64 " %s%s%s %s ", request, rights & HUB_MAY_CONTROL ? "c" : "",
                   rights & HUB_MAY_RAW_I2C ? "r" : "", rights ? "" : "-", node);
}

void envelope_write_reply(talk_text *out, uint64_t request, bool last)
{
    talk_text_addf(out, "%c %" PRIu64 " ", last ? ENVELOPE_LAST_REPLY : ENVELOPE_REPLY, request);
}

void envelope_write_publication(talk_text *out, uint64_t except, const char *node)
{
    talk_text_addf(out, "%c %" PRIu64 " %s ", ENVELOPE_PUBLICATION, except, node);
}

const char *envelope_publication_key(const char *line, size_t length, size_t *key_length)
{
    static const char opens[] = " [\""; /* between node and topic */
    envelope_from_hub publication;
    const char *start, *topic, *end;

    if (!envelope_read_from_hub(&publication, line, length) ||
        publication.kind != ENVELOPE_PUBLICATION || publication.length < sizeof opens ||
        memcmp(publication.message - 1, opens, sizeof opens - 1) != 0) {
        return NULL;
    }
    start = publication.message - 1 - strlen(publication.node);
    topic = publication.message + sizeof opens - 2;
    end = memchr(topic, '"', (size_t)(line + length - topic));
    *key_length = end ? (size_t)(end - start) : 0;
    return end ? start : NULL;
}

bool envelope_node_is_valid(const char *node)
{
    const size_t length = strlen(node);

    return length > 0 && length <= ENVELOPE_MAX_NODE &&
           strspn(node, "abcdefghijklmnopqrstuvwxyz0123456789.-/") == length && node[0] != '/' &&
           node[length - 1] != '/' && !strstr(node, "//");
}
