/*
 * Fuzz target: what a client may offer and send with permessage-deflate. The first byte says which:
 *
 *   an offer     what is agreed must follow from the response alone: read as an offer, it leads to
 *                the same agreement
 *   messages     inflated in one go and in pieces; both must end alike, within the bound
 *   a message    compressed and inflated again, then stored and inflated
 */
#include "websocket/deflate.h"

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

#define MOST 100000 /* bytes that a message may inflate to where it has no bound of its own */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_offer(const uint8_t *data, size_t size)
{
    const ws_deflate_policy policies[] = {
        WS_DEFLATE_POLICY, {true, 15, 0}, {true, 9, 1}, {false, 9, 1}};
    char *offers = malloc(size + 1);
    char response[WS_DEFLATE_RESPONSE], again[WS_DEFLATE_RESPONSE];
    ws_deflate_params params, same;

    CHECK(offers != NULL);
    if (size > 0) {
        memcpy(offers, data, size);
    }
    offers[size] = '\0';
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        ws_extensions result = ws_deflate_negotiate(offers, &policies[i], &params, response);

        CHECK((result == WS_EXTENSIONS_DEFLATE) == params.agreed);
        CHECK((response[0] != '\0') == params.agreed);
        if (!params.agreed) {
            continue;
        }
        CHECK(params.server_window_bits >= 8 && params.server_window_bits <= 15);
        CHECK(params.client_window_bits >= 8 && params.client_window_bits <= 15);
        CHECK(ws_deflate_negotiate(response, &policies[i], &same, again) == WS_EXTENSIONS_DEFLATE);
        CHECK(strcmp(response, again) == 0);
        CHECK(params.server_window_bits == same.server_window_bits &&
              params.client_window_bits == same.client_window_bits &&
              params.client_no_context_takeover == same.client_no_context_takeover);
    }
    free(offers);
}

typedef struct outcome {
    uint8_t *data;
    size_t length;
    uint16_t close_code; /* 0: the message is complete */
} outcome;

static size_t next_size(uint32_t *seed, size_t most)
{
    if (*seed == 0) {
        return most;
    }
    *seed = *seed * 1664525u + 1013904223u;
    return 1 + (*seed >> 16) % most;
}

/* Inflates a message; pieces and room for output are of sizes that follow from the seed. */
static outcome inflate_message(ws_inflate *inflater, bool text, uint64_t max, const uint8_t *data,
                               size_t size, uint32_t seed)
{
    outcome outcome = {.data = malloc(1)};
    size_t left = size;
    ws_event piece;

    do {
        size_t take = left == 0 ? 0 : next_size(&seed, left);
        uint8_t *copy = malloc(take + 1);
        ws_inflate_status status;

        CHECK(copy != NULL && outcome.data != NULL);
        if (take > 0) {
            memcpy(copy, data, take);
        }
        piece = (ws_event){.kind = WS_EVENT_DATA,
                           .text = text,
                           .compressed = true,
                           .first = left == size,
                           .last = take == left,
                           .data = copy,
                           .length = take};
        data += take;
        left -= take;
        do {
            size_t room = seed == 0 ? 4096 : next_size(&seed, 300), written;

            outcome.data = realloc(outcome.data, outcome.length + room);
            CHECK(outcome.data != NULL);
            status =
                ws_inflate_next(inflater, &piece, outcome.data + outcome.length, room, &written);
            CHECK(written <= room);
            outcome.length += written;
            CHECK(outcome.length <= max);
        } while (status == WS_INFLATE_FULL);
        free(copy);
        if (status == WS_INFLATE_FAIL) {
            CHECK(piece.kind == WS_EVENT_FAIL && piece.reason != NULL);
            outcome.close_code = piece.close_code;
            return outcome;
        }
        CHECK(piece.length == 0);
    } while (left > 0);
    return outcome;
}

static void check_text(const outcome *outcome)
{
    base_utf8 utf8;

    base_utf8_init(&utf8);
    CHECK(base_utf8_feed(&utf8, outcome->data, outcome->length) && base_utf8_complete(&utf8));
}

/* Input: settings, seed; then messages, each with its length in a byte (255: all that follows). */
static void fuzz_messages(const uint8_t *data, size_t size)
{
    static const uint64_t bounds[] = {MOST, 1, 5, 300};
    ws_deflate_params params = {.agreed = true};
    ws_inflate once, again;
    uint64_t max;
    bool text, failed = false;

    if (size < 2) {
        return;
    }
    text = data[0] & 1;
    max = bounds[data[0] >> 1 & 3];
    params.client_no_context_takeover = data[0] & 8;
    params.client_window_bits = (uint8_t)(8 + (data[0] >> 4 & 7));
    ws_inflate_init(&once, &params, max);
    ws_inflate_init(&again, &params, max);
    for (size_t at = 2; at < size && !failed;) {
        size_t length = data[at] == 255 || data[at] > size - at - 1 ? size - at - 1 : data[at];
        outcome a = inflate_message(&once, text, max, data + at + 1, length, 0);
        outcome b = inflate_message(&again, text, max, data + at + 1, length, data[1] + 1u);

        /* zlib notices a distance beyond a small window only where that has left its output. */
        if (params.client_window_bits == 15) {
            CHECK(a.close_code == b.close_code);
        }
        failed = a.close_code != 0 || b.close_code != 0;
        if (!failed) {
            CHECK(a.length == b.length && memcmp(a.data, b.data, a.length) == 0);
            if (text) {
                check_text(&a);
            }
            CHECK(once.stream == NULL && again.stream == NULL);
            CHECK(once.history_length <= ws_deflate_kept(&params));
            CHECK(once.history_length == again.history_length);
        }
        CHECK(a.close_code == 0 || (once.stream == NULL && once.history == NULL));
        CHECK(b.close_code == 0 || (again.stream == NULL && again.history == NULL));
        free(a.data);
        free(b.data);
        at += 1 + length;
    }
    ws_inflate_end(&once);
    ws_inflate_end(&again);
}

static void fuzz_round_trip(const uint8_t *data, size_t size)
{
    ws_deflate_params params = {.agreed = true, .client_no_context_takeover = true};
    ws_deflate *compressor;
    size_t room, length;
    uint8_t *out;
    ws_inflate inflater;
    outcome back;

    if (size < 1 || size > MOST) {
        return;
    }
    params.server_window_bits = params.client_window_bits = (uint8_t)(8 + (data[0] & 7));
    compressor = ws_deflate_create(1 + data[0] % 9);
    room = (size_t)ws_compressed_bound(size);
    out = malloc(room);
    CHECK(compressor != NULL && out != NULL);
    length = ws_deflate_message(compressor, ws_deflate_window(&params, size - 1), data + 1,
                                size - 1, out, room);
    CHECK(length > 0 && length < room);
    ws_inflate_init(&inflater, &params, MOST);
    back = inflate_message(&inflater, false, MOST, out, length, data[0] >> 3);
    CHECK(back.close_code == 0 && back.length == size - 1);
    CHECK(size == 1 || memcmp(back.data, data + 1, size - 1) == 0);
    free(back.data);
    free(out);
    length = ws_deflate_stored_size(size - 1);
    out = malloc(length);
    CHECK(out != NULL);
    ws_deflate_store(data + 1, size - 1, out);
    back = inflate_message(&inflater, false, MOST, out, length, data[0] >> 3);
    CHECK(back.close_code == 0 && back.length == size - 1);
    CHECK(size == 1 || memcmp(back.data, data + 1, size - 1) == 0);
    free(back.data);
    ws_inflate_end(&inflater);
    free(out);
    ws_deflate_destroy(compressor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    switch (data[0]) {
    case 'o':
        fuzz_offer(data + 1, size - 1);
        break;
    case 'm':
        fuzz_messages(data + 1, size - 1);
        break;
    case 'r':
        fuzz_round_trip(data + 1, size - 1);
        break;
    }
    return 0;
}
