/* permessage-deflate. Sections without a name are RFC 7692's. */
#include "deflate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define MAX_BITS 15 /* section 7.1.2 */

/* ---- Negotiation -------------------------------------------------------------------------- */

#define EXTENSION "permessage-deflate"
#define MAX_VALUE 2 /* characters of the longest value that any parameter has: "15" */

typedef struct offer {
    bool acceptable;
    bool server_no_context_takeover, client_no_context_takeover;
    bool has_server_bits, has_client_bits;
    uint8_t server_bits, client_bits; /* 15 where the parameter came without a value */
} offer;

typedef struct parameter {
    const char *name;
    size_t name_length;
    bool has_value;
    char value[MAX_VALUE + 1];
    size_t value_length; /* of all of it, though `value` holds its beginning only */
} parameter;

static bool is_token_character(char c) /* RFC 9110 section 5.6.2 */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static const char *skip_space(const char *at)
{
    while (*at == ' ' || *at == '\t') {
        at++;
    }
    return at;
}

static const char *skip_token(const char *at)
{
    while (is_token_character(*at)) {
        at++;
    }
    return at;
}

/* Adds a character to a parameter's value; false where no token has it. */
static bool add_to_value(parameter *parameter, char c)
{
    if (parameter->value_length < MAX_VALUE) {
        parameter->value[parameter->value_length] = c;
    }
    parameter->value_length++;
    return is_token_character(c);
}

/* A token, or a quoted string that is one once unquoted (RFC 6455 section 9.1). NULL: neither. */
static const char *parse_value(parameter *parameter, const char *at)
{
    bool quoted = *at == '"';

    parameter->has_value = true;
    for (at += quoted; quoted ? *at != '"' : is_token_character(*at); at++) {
        if (quoted && *at == '\\') {
            at++;
        }
        if (!add_to_value(parameter, *at)) {
            return NULL;
        }
    }
    return parameter->value_length > 0 ? at + quoted : NULL;
}

/* What follows a semicolon. NULL where it is no parameter. */
static const char *parse_parameter(parameter *parameter, const char *at)
{
    memset(parameter, 0, sizeof(*parameter));
    parameter->name = at = skip_space(at);
    at = skip_token(at);
    parameter->name_length = (size_t)(at - parameter->name);
    if (parameter->name_length == 0) {
        return NULL;
    }
    at = skip_space(at);
    if (*at != '=') {
        return at;
    }
    at = parse_value(parameter, skip_space(at + 1));
    return at == NULL ? NULL : skip_space(at);
}

static bool is_named(const char *name, size_t length, const char *wanted)
{
    return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

/* A decimal number from 8 to 15 without leading zeros (section 7.1.2); 0 where it is none. */
static uint8_t window_bits(const parameter *parameter)
{
    const char *value = parameter->value;

    if (parameter->value_length == 1 && (value[0] == '8' || value[0] == '9')) {
        return (uint8_t)(value[0] - '0');
    }
    if (parameter->value_length == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5') {
        return (uint8_t)(10 + value[1] - '0');
    }
    return 0;
}

/* Where an offer notes that it has this parameter; NULL where section 7.1 has none so named. */
static bool *seen_flag(offer *offer, const parameter *parameter)
{
    const char *name = parameter->name;
    size_t length = parameter->name_length;

    if (is_named(name, length, "server_no_context_takeover")) {
        return &offer->server_no_context_takeover;
    }
    if (is_named(name, length, "client_no_context_takeover")) {
        return &offer->client_no_context_takeover;
    }
    if (is_named(name, length, "server_max_window_bits")) {
        return &offer->has_server_bits;
    }
    if (is_named(name, length, "client_max_window_bits")) {
        return &offer->has_client_bits;
    }
    return NULL;
}

/* Takes a parameter into an offer; false where it makes the offer one to decline (section 7). */
static bool take_parameter(offer *offer, const parameter *parameter)
{
    bool *seen = seen_flag(offer, parameter);

    if (seen == NULL || *seen) {
        return false;
    }
    *seen = true;
    if (seen == &offer->has_server_bits) {
        return (offer->server_bits = window_bits(parameter)) != 0;
    }
    if (seen == &offer->has_client_bits && parameter->has_value) {
        return (offer->client_bits = window_bits(parameter)) != 0;
    }
    return !parameter->has_value;
}

/* Parses an extension with its parameters; NULL where it is against the grammar. */
static const char *parse_extension(offer *offer, const char *at)
{
    const char *name = at;

    memset(offer, 0, sizeof(*offer));
    offer->server_bits = offer->client_bits = MAX_BITS;
    at = skip_token(at);
    if (at == name) {
        return NULL;
    }
    offer->acceptable = is_named(name, (size_t)(at - name), EXTENSION);
    at = skip_space(at);
    while (*at == ';') {
        parameter parameter;

        at = parse_parameter(&parameter, at + 1);
        if (at == NULL) {
            return NULL;
        }
        if (!take_parameter(offer, &parameter)) {
            offer->acceptable = false;
        }
    }
    return *at == ',' || *at == '\0' ? at : NULL;
}

/* The most that the client may compress with: what it offers, and less where that must be kept. */
static uint8_t client_window(const offer *offer, const ws_deflate_policy *policy)
{
    if (offer->has_client_bits && !offer->client_no_context_takeover &&
        offer->client_bits > policy->kept_window_bits) {
        return policy->kept_window_bits;
    }
    return offer->client_bits;
}

/* The response to an offer, and what it means. client_max_window_bits only answers itself. */
static void accept_offer(const offer *offer, const ws_deflate_policy *policy,
                         ws_deflate_params *params, char response[WS_DEFLATE_RESPONSE])
{
    char server_bits[32] = "", client_bits[32] = "";

    params->agreed = true;
    params->client_no_context_takeover = offer->client_no_context_takeover;
    params->all_compressed = offer->client_no_context_takeover;
    params->server_window_bits = offer->server_bits;
    params->client_window_bits = client_window(offer, policy);
    params->threshold = policy->threshold;

    if (offer->has_server_bits) {
        snprintf(server_bits, sizeof(server_bits), "; server_max_window_bits=%u",
                 params->server_window_bits);
    }
    if (params->client_window_bits < MAX_BITS) {
        snprintf(client_bits, sizeof(client_bits), "; client_max_window_bits=%u",
                 params->client_window_bits);
    }
    snprintf(response, WS_DEFLATE_RESPONSE, EXTENSION "; server_no_context_takeover%s%s%s",
             params->client_no_context_takeover ? "; client_no_context_takeover" : "", server_bits,
             client_bits);
}

ws_extensions ws_deflate_negotiate(const char *offers, const ws_deflate_policy *policy,
                                   ws_deflate_params *params, char response[WS_DEFLATE_RESPONSE])
{
    const char *at = offers == NULL ? "" : offers;
    offer accepted = {.acceptable = false}, offer;

    memset(params, 0, sizeof(*params));
    response[0] = '\0';
    for (;;) {
        at = skip_space(at);
        if (*at == '\0') {
            break;
        }
        if (*at == ',') { /* an empty element, RFC 9110 section 5.6.1.2 */
            at++;
            continue;
        }
        at = parse_extension(&offer, at);
        if (at == NULL) {
            return WS_EXTENSIONS_MALFORMED;
        }
        if (offer.acceptable && !accepted.acceptable &&
            (policy->may_keep || offer.client_no_context_takeover)) {
            accepted = offer;
        }
    }
    if (!accepted.acceptable) {
        return WS_EXTENSIONS_NONE;
    }
    accept_offer(&accepted, policy, params, response);
    return WS_EXTENSIONS_DEFLATE;
}

size_t ws_deflate_kept(const ws_deflate_params *params)
{
    return params->agreed && !params->client_no_context_takeover
               ? (size_t)1 << params->client_window_bits
               : 0;
}

/* ---- Compressing -------------------------------------------------------------------------- */

/*
 * zlib never refers further back than its window less 262 bytes (MIN_LOOKAHEAD), and a message of
 * that length needs no more. So with a window of 9 bits no distance exceeds 250: that serves
 * clients which can inflate 8 bits (256 bytes) too, though zlib knows no raw deflate of 8.
 */
#define LOOKAHEAD 262

/* Each window has tables of a size that matches: zlib clears them for every message. */
static const struct {
    unsigned bits;
    int memory; /* zlib's memLevel: 2^(memory + 6) symbols in a block */
} windows[] = {{9, 4}, {12, 6}, {15, 8}};

#define WINDOWS (sizeof(windows) / sizeof(windows[0]))

struct ws_deflate {
    int level;
    z_stream *stream[WINDOWS]; /* NULL until needed */
};

static const uint8_t flush_tail[] = {0x00, 0x00, 0xFF, 0xFF}; /* of an empty block, section 7.2.1 */

unsigned ws_deflate_window(const ws_deflate_params *params, size_t length)
{
    unsigned bits = windows[0].bits;

    if (!params->agreed || length < params->threshold) {
        return 0;
    }
    for (size_t i = 1; i < WINDOWS; i++) {
        if (windows[i].bits <= params->server_window_bits &&
            length > ((size_t)1 << bits) - LOOKAHEAD) {
            bits = windows[i].bits;
        }
    }
    return bits;
}

ws_deflate *ws_deflate_create(int level)
{
    ws_deflate *compressor = calloc(1, sizeof(*compressor));

    if (compressor != NULL) {
        compressor->level = level;
    }
    return compressor;
}

void ws_deflate_destroy(ws_deflate *compressor)
{
    if (compressor == NULL) {
        return;
    }
    for (size_t i = 0; i < WINDOWS; i++) {
        if (compressor->stream[i] != NULL) {
            deflateEnd(compressor->stream[i]);
        }
        free(compressor->stream[i]);
    }
    free(compressor);
}

/* The stream for a window, in its initial state; NULL where there is no memory. */
static z_stream *fresh_stream(ws_deflate *compressor, unsigned window)
{
    size_t i = 0;
    z_stream *stream;

    while (i < WINDOWS - 1 && windows[i].bits < window) {
        i++;
    }
    stream = compressor->stream[i];
    if (stream != NULL) {
        return deflateReset(stream) == Z_OK ? stream : NULL;
    }

    stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    if (deflateInit2(stream, compressor->level, Z_DEFLATED, -(int)windows[i].bits,
                     windows[i].memory, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        return NULL;
    }
    return compressor->stream[i] = stream;
}

/* Flushed, zlib's output ends in an empty block, whose last four bytes are not sent. */
size_t ws_deflate_message(ws_deflate *compressor, unsigned window, const uint8_t *data,
                          size_t length, uint8_t *out, size_t size)
{
    z_stream *stream;

    if (length > UINT_MAX || (stream = fresh_stream(compressor, window)) == NULL) {
        return 0;
    }
    stream->next_in = (uint8_t *)data;
    stream->avail_in = (uInt)length;
    stream->next_out = out;
    stream->avail_out = size < UINT_MAX ? (uInt)size : UINT_MAX;
    if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_out == 0) {
        return 0; /* did not fit: zlib would have to be called again */
    }
    return (size_t)(stream->next_out - out) - sizeof(flush_tail);
}

#define STORED_MOST   65535 /* bytes in a block without compression: RFC 1951 section 3.2.4 */
#define STORED_HEADER 5

/* Behind the blocks comes the first byte of the empty one, whose last four are not sent. */
size_t ws_deflate_stored_size(size_t length)
{
    return length + (length + STORED_MOST - 1) / STORED_MOST * STORED_HEADER + 1;
}

void ws_deflate_store(const uint8_t *data, size_t length, uint8_t *out)
{
    while (length > 0) {
        const size_t size = length < STORED_MOST ? length : STORED_MOST;

        *out++ = 0; /* not the last block; not compressed */
        *out++ = size & 0xff;
        *out++ = (uint8_t)(size >> 8);
        *out++ = ~size & 0xff;
        *out++ = (uint8_t)(~size >> 8);
        memcpy(out, data, size);
        out += size;
        data += size;
        length -= size;
    }
    *out = flush_tail[0];
}

/* ---- Inflating ---------------------------------------------------------------------------- */

void ws_inflate_init(ws_inflate *inflater, const ws_deflate_params *params, uint64_t max_message)
{
    memset(inflater, 0, sizeof(*inflater));
    inflater->max_message = max_message;
    inflater->window_bits = params->client_window_bits;
    base_utf8_init(&inflater->utf8);
    inflater->takeover = !params->client_no_context_takeover;
}

static void close_stream(ws_inflate *inflater)
{
    if (inflater->stream != NULL) {
        inflateEnd(inflater->stream);
    }
    free(inflater->stream);
    inflater->stream = NULL;
}

void ws_inflate_end(ws_inflate *inflater)
{
    close_stream(inflater);
    free(inflater->history);
    inflater->history = NULL;
    inflater->history_length = 0;
}

static ws_inflate_status fail(ws_inflate *inflater, ws_event *piece, uint16_t code,
                              const char *reason)
{
    ws_inflate_end(inflater);
    *piece = (ws_event){.kind = WS_EVENT_FAIL, .close_code = code, .reason = reason};
    return WS_INFLATE_FAIL;
}

static z_stream *create_stream(uint8_t window_bits)
{
    z_stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL) {
        return NULL;
    }
    if (inflateInit2(stream, -(int)window_bits) != Z_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

static bool begin_message(ws_inflate *inflater)
{
    inflater->message = 0;
    inflater->tail = 0;
    inflater->pending = inflater->after_final = false;
    if (inflater->stream == NULL) {
        inflater->stream = create_stream(inflater->window_bits);
    }
    return inflater->stream != NULL &&
           (inflater->history == NULL || inflateSetDictionary(inflater->stream, inflater->history,
                                                              inflater->history_length) == Z_OK);
}

/*
 * Keeps the window, and not zlib's state with it, which is seven kilobytes and says nothing more:
 * a message ends between two blocks, on a byte. False without memory.
 */
static bool keep_history(ws_inflate *inflater)
{
    uInt length = 0;
    uint8_t *history;

    if (inflateGetDictionary(inflater->stream, NULL, &length) != Z_OK) {
        return false;
    }
    if (length == 0) {
        return true;
    }
    history = realloc(inflater->history, length);
    if (history == NULL) {
        return false;
    }
    inflater->history = history;
    inflater->history_length = length;
    return inflateGetDictionary(inflater->stream, history, &length) == Z_OK;
}

/*
 * Whether zlib stands between two blocks with no bit left over (zlib.h, data_type of inflate()).
 * True of the call that came to the block's end only: a further one without input forgets it.
 */
static bool between_blocks(const z_stream *stream)
{
    return (stream->data_type & 128) != 0 && (stream->data_type & 63) == 0;
}

/*
 * Calls zlib once, with input that may be empty, and returns its result. A block with BFINAL ends
 * zlib's stream, but not the message: more blocks may follow at the next byte (section 7.2.3.4),
 * and they may refer to what came before. inflateResetKeep() begins a new stream and keeps the
 * window, which inflateReset() would not.
 */
static int run_zlib(ws_inflate *inflater, const uint8_t **in, size_t *length, uint8_t *out,
                    size_t room, size_t *produced)
{
    z_stream *stream = inflater->stream;
    size_t consumed;
    int result;

    stream->next_in = (uint8_t *)*in;
    stream->avail_in = *length < UINT_MAX ? (uInt)*length : UINT_MAX;
    stream->next_out = out;
    stream->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
    result = inflate(stream, Z_SYNC_FLUSH);

    consumed = (size_t)(stream->next_in - *in);
    *in += consumed;
    *length -= consumed;
    *produced = (size_t)(stream->next_out - out);
    inflater->pending = stream->avail_out == 0 && result != Z_STREAM_END && !between_blocks(stream);
    inflater->after_final = result == Z_STREAM_END;
    if (inflater->after_final) {
        return inflateResetKeep(stream);
    }
    return result == Z_BUF_ERROR && *length == 0 ? Z_OK : result; /* merely nothing left to do */
}

/* What zlib is to read next: the piece, and behind the last one the tail that was not sent. */
static int run_next_input(ws_inflate *inflater, ws_event *piece, uint8_t *out, size_t room,
                          size_t *produced)
{
    const uint8_t *in = piece->data;
    size_t length = piece->length;
    int result;

    if (length > 0 || !piece->last) {
        result = run_zlib(inflater, &in, &length, out, room, produced);
        piece->data += piece->length - length;
        piece->length = length;
        return result;
    }
    in = flush_tail + inflater->tail;
    length = sizeof(flush_tail) - inflater->tail;
    result = run_zlib(inflater, &in, &length, out, room, produced);
    inflater->tail = (uint8_t)(sizeof(flush_tail) - length);
    return result;
}

/*
 * The tail is wanted behind the last piece, except where the message ended with a block with BFINAL
 * and the byte that section 7.2.3.4 puts behind it is missing: many clients leave it out.
 */
static bool has_input(const ws_inflate *inflater, const ws_event *piece)
{
    if (piece->length > 0 || inflater->pending) {
        return true;
    }
    return piece->last && inflater->tail < sizeof(flush_tail) &&
           !(inflater->after_final && inflater->tail == 0);
}

static ws_inflate_status end_message(ws_inflate *inflater, ws_event *piece)
{
    if (!inflater->after_final && !between_blocks(inflater->stream)) {
        return fail(inflater, piece, WS_CLOSE_BAD_DATA,
                    "compressed message is cut off (RFC 7692 section 7.2.2)");
    }
    if (piece->text && !base_utf8_complete(&inflater->utf8)) {
        return fail(inflater, piece, WS_CLOSE_BAD_DATA,
                    "text ends inside a character (RFC 6455 section 8.1)");
    }
    if (inflater->takeover && !keep_history(inflater)) {
        return fail(inflater, piece, WS_CLOSE_INTERNAL_ERROR,
                    "out of memory (RFC 6455 section 7.4.1)");
    }
    close_stream(inflater);
    return WS_INFLATE_DONE;
}

/*
 * One call of zlib into what is left of the output; at the bound, into a byte that must stay
 * unused.
 */
static ws_inflate_status advance(ws_inflate *inflater, ws_event *piece, uint8_t *out, size_t room,
                                 size_t *written)
{
    uint64_t left =
        inflater->max_message == 0 ? UINT64_MAX : inflater->max_message - inflater->message;
    bool at_bound = left == 0;
    size_t produced;
    uint8_t beyond;
    int result;

    if (room > left) {
        room = (size_t)left;
    }
    result =
        run_next_input(inflater, piece, at_bound ? &beyond : out, at_bound ? 1 : room, &produced);
    if (at_bound && produced > 0) {
        return fail(inflater, piece, WS_CLOSE_TOO_BIG,
                    "message too long when inflated (RFC 6455 section 7.4.1)");
    }
    if (piece->text && !base_utf8_feed(&inflater->utf8, out, produced)) {
        return fail(inflater, piece, WS_CLOSE_BAD_DATA, "text is not UTF-8 (RFC 6455 section 8.1)");
    }
    inflater->message += produced;
    *written += produced;
    if (result == Z_MEM_ERROR) {
        return fail(inflater, piece, WS_CLOSE_INTERNAL_ERROR,
                    "out of memory (RFC 6455 section 7.4.1)");
    }
    if (result != Z_OK) {
        return fail(inflater, piece, WS_CLOSE_BAD_DATA,
                    "compressed data is no DEFLATE (RFC 7692 section 7.2.2)");
    }
    return WS_INFLATE_DONE;
}

ws_inflate_status ws_inflate_next(ws_inflate *inflater, ws_event *piece, uint8_t *out, size_t size,
                                  size_t *written)
{
    *written = 0;
    if (piece->kind != WS_EVENT_DATA) {
        return WS_INFLATE_FAIL;
    }
    if (piece->first && !begin_message(inflater)) {
        return fail(inflater, piece, WS_CLOSE_INTERNAL_ERROR,
                    "out of memory (RFC 6455 section 7.4.1)");
    }
    piece->first = false;

    while (has_input(inflater, piece)) {
        ws_inflate_status status;

        if (*written == size &&
            (inflater->max_message == 0 || inflater->message < inflater->max_message)) {
            return WS_INFLATE_FULL;
        }
        status = advance(inflater, piece, out + *written, size - *written, written);
        if (status != WS_INFLATE_DONE) {
            return status;
        }
    }
    return piece->last ? end_message(inflater, piece) : WS_INFLATE_DONE;
}
