/*
 * Fuzz target: the bytes that a peer may send. They are parsed in one go, a byte at a time and in
 * pieces whose sizes the input gives, and the same must come of it. What came, written as frames
 * again, must come once more; a text must be UTF-8.
 *
 * Input: a byte of settings, the seed of the pieces' sizes, the bytes on the wire.
 */
#include "websocket/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct settings {
    uint64_t max_message;
    bool masked, rsv1;
} settings;

/* What came: for every whole message and control frame an entry, at the end Close or failure. */
typedef struct record {
    uint8_t *bytes;
    size_t length, capacity;
    size_t open; /* where the entry of an unfinished message begins */
    bool in_message, ended;
} record;

enum entry { ENTRY_KIND, ENTRY_FLAGS, ENTRY_LENGTH, ENTRY_SIZE = ENTRY_LENGTH + sizeof(size_t) };

static void append(record *record, const void *bytes, size_t length)
{
    if (record->length + length > record->capacity) {
        record->capacity = 2 * (record->length + length);
        record->bytes = realloc(record->bytes, record->capacity);
        CHECK(record->bytes != NULL);
    }
    if (length > 0) {
        memcpy(record->bytes + record->length, bytes, length);
    }
    record->length += length;
}

static void begin_entry(record *record, uint8_t kind, uint8_t flags)
{
    const uint8_t head[ENTRY_SIZE] = {kind, flags};

    record->open = record->length;
    append(record, head, sizeof(head));
}

static void end_entry(record *record)
{
    size_t length = record->length - record->open - ENTRY_SIZE;

    memcpy(record->bytes + record->open + ENTRY_LENGTH, &length, sizeof(length));
}

/* Control frames come between a message's pieces: its entry, always the last, moves behind them. */
static void add_control(record *all, uint8_t kind, const uint8_t *data, size_t length)
{
    record message = {0};

    if (all->in_message) {
        append(&message, all->bytes + all->open, all->length - all->open);
        all->length = all->open;
    }
    begin_entry(all, kind, 0);
    append(all, data, length);
    end_entry(all);
    all->open = all->length;
    append(all, message.bytes, message.length);
    free(message.bytes);
}

static void add_event(record *record, const settings *settings, const ws_event *event)
{
    uint8_t code[2] = {(uint8_t)(event->close_code >> 8), (uint8_t)event->close_code};

    CHECK(!record->ended);
    switch (event->kind) {
    case WS_EVENT_DATA:
        CHECK(event->first == !record->in_message);
        CHECK(event->length > 0 || event->last);
        CHECK(settings->rsv1 || !event->compressed);
        if (event->first) {
            begin_entry(record, WS_EVENT_DATA, (uint8_t)(event->text | event->compressed << 1));
        }
        append(record, event->data, event->length);
        record->in_message = !event->last;
        if (event->last) {
            end_entry(record);
        }
        break;
    case WS_EVENT_PING:
    case WS_EVENT_PONG:
        CHECK(event->length <= WS_MAX_CONTROL);
        add_control(record, (uint8_t)event->kind, event->data, event->length);
        break;
    case WS_EVENT_CLOSE:
        CHECK(event->length != 1 && event->length <= WS_MAX_CONTROL);
        CHECK(event->length == 0 ? event->close_code == WS_CLOSE_NO_STATUS
                                 : memcmp(event->data, code, 2) == 0);
        add_control(record, WS_EVENT_CLOSE, event->data, event->length);
        record->ended = true;
        break;
    case WS_EVENT_FAIL:
        CHECK(ws_close_code_is_valid(event->close_code) && strstr(event->reason, " section "));
        add_control(record, WS_EVENT_FAIL, (const uint8_t *)event->reason, strlen(event->reason));
        record->ended = true;
        break;
    }
}

/* The size of the next piece; 0 as seed means: all at once, 1: a byte at a time. */
static size_t next_size(uint32_t *seed, size_t left)
{
    if (*seed <= 1) {
        return *seed == 0 ? left : 1;
    }
    *seed = *seed * 1664525u + 1013904223u;
    return 1 + (*seed >> 24) % 40 % left;
}

static record parse(const settings *settings, const uint8_t *data, size_t size, uint32_t seed)
{
    record record = {0};
    ws_parser parser;

    ws_parser_init(&parser, settings->max_message, settings->masked, settings->rsv1);
    while (size > 0) {
        size_t piece = next_size(&seed, size);
        uint8_t *copy = malloc(piece), *at = copy;
        ws_event event;

        CHECK(copy != NULL);
        memcpy(copy, data, piece);
        while (ws_parser_next(&parser, &at, copy + piece, &event)) {
            add_event(&record, settings, &event);
        }
        CHECK(at == copy + piece);
        free(copy);
        data += piece;
        size -= piece;
    }
    /* How much of an unfinished message has been handed out by a failure depends on the pieces. */
    if (record.in_message) {
        record.length = record.open;
    }
    return record;
}

static void check_text(const uint8_t *data, size_t length)
{
    base_utf8 utf8;

    base_utf8_init(&utf8);
    CHECK(base_utf8_feed(&utf8, data, length) && base_utf8_complete(&utf8));
}

/* Writes the entries as frames, as a server would, each message in one or two. */
static record write_frames(const record *entries)
{
    record wire = {0};
    uint8_t header[WS_MAX_HEADER];

    for (size_t at = 0; at < entries->length;) {
        const uint8_t *entry = entries->bytes + at, *payload = entry + ENTRY_SIZE;
        bool text = entry[ENTRY_FLAGS] & 1, compressed = entry[ENTRY_FLAGS] & 2;
        size_t length, half = 0;
        enum ws_opcode opcode = text ? WS_TEXT : WS_BINARY;

        memcpy(&length, entry + ENTRY_LENGTH, sizeof(length));
        at += ENTRY_SIZE + length;
        if (entry[ENTRY_KIND] == WS_EVENT_FAIL) {
            break;
        }
        if (entry[ENTRY_KIND] == WS_EVENT_DATA) {
            if (text && !compressed) {
                check_text(payload, length);
            }
            half = length / 2;
            append(&wire, header, ws_frame_header(header, opcode, false, compressed, half));
            append(&wire, payload, half);
            opcode = WS_CONTINUATION;
        } else {
            opcode = entry[ENTRY_KIND] == WS_EVENT_PING   ? WS_PING
                     : entry[ENTRY_KIND] == WS_EVENT_PONG ? WS_PONG
                                                          : WS_CLOSE;
        }
        append(&wire, header, ws_frame_header(header, opcode, true, false, length - half));
        append(&wire, payload + half, length - half);
    }
    return wire;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t bounds[] = {0, 1, 5, 125, 126, 1000, 70000, UINT64_MAX};
    settings settings, plain;
    record once, again, wire;

    if (size < 2) {
        return 0;
    }
    settings = (struct settings){bounds[data[0] >> 2 & 7], data[0] & 1, data[0] & 2};
    plain = (struct settings){settings.max_message, false, settings.rsv1};

    once = parse(&settings, data + 2, size - 2, 0);
    for (uint32_t seed = 1; seed <= 2; seed++) {
        again = parse(&settings, data + 2, size - 2, seed == 1 ? 1 : data[1] + 2u);
        CHECK(again.length == once.length && again.ended == once.ended);
        CHECK(once.length == 0 || memcmp(again.bytes, once.bytes, once.length) == 0);
        free(again.bytes);
    }

    wire = write_frames(&once);
    again = parse(&plain, wire.bytes, wire.length, 0);
    CHECK(again.length <= once.length); /* shorter by the failure that may stand at its end */
    CHECK(again.length == once.length || once.ended);
    CHECK(again.length == 0 || memcmp(again.bytes, once.bytes, again.length) == 0);
    free(again.bytes);
    free(wire.bytes);
    free(once.bytes);
    return 0;
}
