#include "outbox.h"

#include "envelope.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A line that waits behind the bytes which are written next. */
typedef struct outbox_line {
    struct outbox_line *next;
    size_t length;
    const char *key; /* in `text`: node and topic of a publication; NULL: it must arrive */
    size_t key_length;
    char text[];
} outbox_line;

size_t outbox_unsent(const outbox *box)
{
    return box->bytes.length - box->sent + box->behind;
}

/* ---- adding ---- */

static void append(outbox *box, outbox_line *line)
{
    line->next = NULL;
    if (box->last) {
        box->last->next = line;
    } else {
        box->first = line;
    }
    box->last = line;
    box->behind += line->length;
}

static outbox_line *add(outbox *box, const talk_text *envelope, const char *message, size_t length)
{
    outbox_line *line;

    if (!box->first && !outbox_is_full(box)) {
        talk_text_add(&box->bytes, envelope->data, envelope->length);
        talk_text_add(&box->bytes, message, length);
        return NULL;
    }
    line = base_must(malloc(sizeof *line + envelope->length + length));
    line->length = envelope->length + length;
    line->key = NULL;
    memcpy(line->text, envelope->data, envelope->length);
    memcpy(line->text + envelope->length, message, length);
    append(box, line);
    return line;
}

void outbox_add(outbox *box, const talk_text *envelope, const char *message, size_t length)
{
    add(box, envelope, message, length);
}

static bool is_superseded(const outbox_line *old, const outbox_line *by)
{
    return old != by && old->key && old->key_length == by->key_length &&
           memcmp(old->key, by->key, by->key_length) == 0;
}

/* Takes the one publication out that a newer one makes superfluous, if there is one. */
static void drop_superseded(outbox *box, const outbox_line *by)
{
    outbox_line *before = NULL;

    for (outbox_line *line = box->first; line; before = line, line = line->next) {
        if (is_superseded(line, by)) {
            if (before) {
                before->next = line->next;
            } else {
                box->first = line->next;
            }
            box->behind -= line->length;
            free(line); /* it is not the last: `by` is */
            return;
        }
    }
}

void outbox_publish(outbox *box, const talk_text *envelope, const char *message, size_t length)
{
    outbox_line *line = add(box, envelope, message, length);

    if (line) {
        line->key = envelope_publication_key(line->text, line->length, &line->key_length);
        if (line->key) {
            drop_superseded(box, line);
        }
    }
}

/* ---- writing ---- */

/* Takes lines, as far as the bound, to be written next. */
static void refill(outbox *box)
{
    while (box->first && box->bytes.length <= OUTBOX_BOUND) {
        outbox_line *line = box->first;

        talk_text_add(&box->bytes, line->text, line->length);
        box->behind -= line->length;
        box->first = line->next;
        if (!box->first) {
            box->last = NULL;
        }
        free(line);
    }
}

/* After all of `bytes` was written. The memory of a burst is given back. */
static void empty_bytes(outbox *box)
{
    if (box->bytes.capacity > 2 * OUTBOX_BOUND) {
        talk_text_free(&box->bytes);
    }
    talk_text_clear(&box->bytes);
    box->sent = 0;
}

/*
 * Drops what is written, where that is the larger part: bytes that are never quite all written do
 * not grow without end.
 */
static void forget_sent(outbox *box)
{
    const size_t left = box->bytes.length - box->sent;

    if (box->sent > left) {
        memmove(box->bytes.data, box->bytes.data + box->sent, left + 1); /* its NUL too */
        box->bytes.length = left;
        box->sent = 0;
    }
}

outbox_result outbox_write(outbox *box, int socket)
{
    while (outbox_unsent(box) > 0) {
        ssize_t n;

        if (box->sent == box->bytes.length) {
            empty_bytes(box);
            refill(box);
        }
        n = send(socket, box->bytes.data + box->sent, box->bytes.length - box->sent,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            forget_sent(box);
            return OUTBOX_WAITS;
        }
        if (n < 0 && errno != EINTR) {
            return OUTBOX_BROKEN;
        }
        box->sent += n > 0 ? (size_t)n : 0;
        box->passed += n > 0 ? (uint64_t)n : 0;
    }
    empty_bytes(box);
    return OUTBOX_EMPTY;
}

void outbox_clear(outbox *box)
{
    while (box->first) {
        outbox_line *line = box->first;

        box->first = line->next;
        free(line);
    }
    box->last = NULL;
    box->behind = 0;
    box->sent = 0;
    talk_text_free(&box->bytes);
}
