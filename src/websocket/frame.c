/* The WebSocket frame codec. Sections without a name are RFC 6455's. */
#include "frame.h"

#include <string.h>

#define FIN       0x80 /* section 5.2 */
#define RSV1      0x40
#define RSV2_RSV3 0x30
#define OPCODE    0x0F
#define MASKED    0x80
#define LENGTH    0x7F
#define LENGTH_16 126 /* the next 2 bytes are the length */
#define LENGTH_64 127 /* the next 8 bytes are */

#define HIGH_BITS UINT64_C(0x8080808080808080)
/* Bytes that are unmasked at a time, and checked while they are still in the first-level cache. */
#define CHECK_BLOCK 4096

enum state {
    STATE_HEADER,  /* collecting a frame's header */
    STATE_DATA,    /* inside a data frame's payload */
    STATE_CONTROL, /* inside a control frame's payload */
    STATE_ENDED,   /* after Close or a failure: all input is ignored */
};

enum progress { INCOMPLETE, COMPLETE, WRONG };

typedef struct violation {
    uint16_t code;
    const char *reason;
} violation;

typedef struct frame_header {
    size_t size; /* bytes of the header itself */
    uint64_t length;
} frame_header;

void ws_parser_init(ws_parser *parser, uint64_t max_message, bool masked, bool rsv1)
{
    memset(parser, 0, sizeof(*parser));
    parser->max_message = max_message;
    parser->masked = masked;
    parser->rsv1 = rsv1;
    parser->state = STATE_HEADER;
    base_utf8_init(&parser->utf8);
}

/*
 * zlib lengthens data by at most an 8th and a 64th (deflateBound(): fixed codes of 9 bits, where it
 * cannot store), and a client that flushes after every fragment by 5 bytes for each.
 */
uint64_t ws_compressed_bound(uint64_t max_message)
{
    uint64_t slack = max_message / 4 + 64;

    if (max_message == 0) {
        return 0;
    }
    return max_message > UINT64_MAX - slack ? UINT64_MAX : max_message + slack;
}

static bool is_control(uint8_t opcode)
{
    return (opcode & 0x8) != 0; /* section 5.5 */
}

/* What a frame's first byte may be at this point, or a sentence that says why not. */
static const char *check_first_byte(const ws_parser *parser, uint8_t byte)
{
    if (byte & RSV2_RSV3) {
        return "RSV2 and RSV3 must be 0 (RFC 6455 section 5.2)";
    }
    if ((byte & RSV1) && !parser->rsv1) {
        return "RSV1 must be 0 where no extension uses it (RFC 6455 section 5.2)";
    }

    switch (byte & OPCODE) {
    case WS_TEXT:
    case WS_BINARY:
        if (parser->in_message) {
            return "new message inside a fragmented one (RFC 6455 section 5.4)";
        }
        return NULL;
    case WS_CONTINUATION:
        if (byte & RSV1) {
            return "RSV1 must be 0 except on a message's first frame (RFC 7692 section 6.1)";
        }
        if (!parser->in_message) {
            return "continuation frame without a message (RFC 6455 section 5.4)";
        }
        return NULL;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        if (byte & RSV1) {
            return "RSV1 must be 0 on a control frame (RFC 7692 section 6.1)";
        }
        if (!(byte & FIN)) {
            return "fragmented control frame (RFC 6455 section 5.5)";
        }
        return NULL;
    default:
        return "reserved opcode (RFC 6455 section 5.2)";
    }
}

static const char *check_second_byte(const ws_parser *parser, uint8_t first, uint8_t byte)
{
    if (parser->masked && !(byte & MASKED)) {
        return "a client must mask its frames (RFC 6455 section 5.1)";
    }
    if (!parser->masked && (byte & MASKED)) {
        return "a server must not mask its frames (RFC 6455 section 5.1)";
    }
    if (is_control(first & OPCODE) && (byte & LENGTH) > WS_MAX_CONTROL) {
        return "control frame longer than 125 bytes (RFC 6455 section 5.5)";
    }
    return NULL;
}

static uint64_t read_big_endian(const uint8_t *data, size_t length)
{
    uint64_t value = 0;

    for (size_t i = 0; i < length; i++) {
        value = value << 8 | data[i];
    }
    return value;
}

/* Bounds a message by what its frames announce, without adding up what could overflow. */
static bool fits(const ws_parser *parser, uint8_t first, uint64_t length)
{
    bool compressed = parser->in_message ? parser->compressed : (first & RSV1) != 0;
    uint64_t bound = compressed ? ws_compressed_bound(parser->max_message) : parser->max_message;
    uint64_t announced = parser->in_message ? parser->message : 0;

    return is_control(first & OPCODE) || bound == 0 || length <= bound - announced;
}

/* Extended payload lengths must be in their shortest form and fit in 63 bits (section 5.2). */
static const char *check_length(size_t extended, uint64_t length)
{
    if (extended == 8 && length >> 63) {
        return "the most significant bit of a length must be 0 (RFC 6455 section 5.2)";
    }
    if ((extended == 2 && length < LENGTH_16) || (extended == 8 && length <= UINT16_MAX)) {
        return "length not in its shortest form (RFC 6455 section 5.2)";
    }
    return NULL;
}

/*
 * Reads a header of which `have` bytes are there. A prefix is judged as far as it goes, so that a
 * violation is found at its first byte, however the bytes arrive.
 */
static enum progress read_header(const ws_parser *parser, const uint8_t *bytes, size_t have,
                                 frame_header *header, violation *wrong)
{
    size_t extended;

    wrong->code = WS_CLOSE_PROTOCOL_ERROR;
    if (have < 1) {
        return INCOMPLETE;
    }
    if ((wrong->reason = check_first_byte(parser, bytes[0])) != NULL) {
        return WRONG;
    }
    if (have < 2) {
        return INCOMPLETE;
    }
    if ((wrong->reason = check_second_byte(parser, bytes[0], bytes[1])) != NULL) {
        return WRONG;
    }

    header->length = bytes[1] & LENGTH;
    extended = header->length == LENGTH_16 ? 2 : header->length == LENGTH_64 ? 8 : 0;
    if (have < 2 + extended) {
        return INCOMPLETE;
    }
    if (extended > 0) {
        header->length = read_big_endian(bytes + 2, extended);
    }
    if ((wrong->reason = check_length(extended, header->length)) != NULL) {
        return WRONG;
    }
    if (!fits(parser, bytes[0], header->length)) {
        *wrong = (violation){WS_CLOSE_TOO_BIG, "message too long (RFC 6455 section 7.4.1)"};
        return WRONG;
    }

    header->size = 2 + extended + (parser->masked ? sizeof(parser->mask) : 0);
    return have < header->size ? INCOMPLETE : COMPLETE;
}

/* The header is complete and right: what follows is its payload. */
static void begin_frame(ws_parser *parser, const uint8_t *bytes, const frame_header *header)
{
    parser->header_length = 0;
    parser->opcode = bytes[0] & OPCODE;
    parser->fin = (bytes[0] & FIN) != 0;
    parser->remaining = header->length;
    parser->position = 0;
    if (parser->masked) {
        memcpy(parser->mask, bytes + header->size - sizeof(parser->mask), sizeof(parser->mask));
    }
    if (is_control(parser->opcode)) {
        parser->state = STATE_CONTROL;
        return;
    }

    parser->state = STATE_DATA;
    if (!parser->in_message) {
        parser->in_message = parser->first = true;
        parser->text = parser->opcode == WS_TEXT;
        parser->compressed = (bytes[0] & RSV1) != 0;
        parser->message = 0;
    }
    if (parser->max_message != 0) {
        parser->message += header->length;
    }
}

/* Reads a header where it lies, or where it came in pieces, byte by byte in `parser->header`. */
static enum progress take_header(ws_parser *parser, uint8_t **at, uint8_t *end, violation *wrong)
{
    frame_header header;
    enum progress progress = INCOMPLETE;
    size_t have = (size_t)(end - *at);

    if (have == 0) {
        return INCOMPLETE;
    }
    if (parser->header_length == 0) {
        progress = read_header(parser, *at, have, &header, wrong);
        if (progress == COMPLETE) {
            begin_frame(parser, *at, &header);
            *at += header.size;
        } else if (progress == INCOMPLETE) {
            memcpy(parser->header, *at, have);
            parser->header_length = (uint8_t)have;
            *at = end;
        }
        return progress;
    }
    while (progress == INCOMPLETE && *at < end) {
        parser->header[parser->header_length++] = *(*at)++;
        progress = read_header(parser, parser->header, parser->header_length, &header, wrong);
    }
    if (progress == COMPLETE) {
        begin_frame(parser, parser->header, &header);
    }
    return progress;
}

static bool fail(ws_parser *parser, ws_event *event, uint16_t code, const char *reason)
{
    parser->state = STATE_ENDED;
    *event = (ws_event){.kind = WS_EVENT_FAIL, .close_code = code, .reason = reason};
    return true;
}

/* XORs as ws_mask() does; what it returns has high bits where a byte of the result is not ASCII. */
static uint64_t unmask(uint8_t *data, size_t length, const uint8_t key[4], size_t offset)
{
    const uint8_t turned[4] = {key[offset & 3], key[(offset + 1) & 3], key[(offset + 2) & 3],
                               key[(offset + 3) & 3]};
    uint64_t mask, word[4], seen = 0;
    uint32_t half;
    size_t at = 0;

    memcpy(&half, turned, sizeof(half));
    mask = (uint64_t)half << 32 | half;

    for (; length - at >= sizeof(word); at += sizeof(word)) {
        memcpy(word, data + at, sizeof(word));
        for (size_t i = 0; i < 4; i++) {
            word[i] ^= mask;
        }
        seen |= word[0] | word[1] | word[2] | word[3];
        memcpy(data + at, word, sizeof(word));
    }
    for (; length - at >= sizeof(mask); at += sizeof(mask)) {
        memcpy(word, data + at, sizeof(mask));
        word[0] ^= mask;
        seen |= word[0];
        memcpy(data + at, word, sizeof(mask));
    }
    for (; at < length; at++) {
        data[at] ^= turned[at & 3];
        seen |= data[at];
    }
    return seen & HIGH_BITS;
}

void ws_mask(uint8_t *data, size_t length, const uint8_t key[4], size_t offset)
{
    (void)unmask(data, length, key, offset);
}

/* Unmasks a piece of the current data frame; false where a text cannot be UTF-8 (section 8.1). */
static bool open_piece(ws_parser *parser, uint8_t *data, size_t length)
{
    bool check = parser->text && !parser->compressed;

    for (size_t at = 0; at < length; at += CHECK_BLOCK) {
        size_t block = length - at < CHECK_BLOCK ? length - at : CHECK_BLOCK;
        uint64_t high = HIGH_BITS; /* unless unmasking has seen that all is ASCII */

        if (parser->masked) {
            high = unmask(data + at, block, parser->mask, (size_t)((parser->position + at) & 3));
        }
        if (check && (high != 0 || !base_utf8_complete(&parser->utf8)) &&
            !base_utf8_feed(&parser->utf8, data + at, block)) {
            return false;
        }
    }
    return true;
}

/* Takes a piece of a data frame, as much of it as is there. False where it makes no event. */
static bool next_piece(ws_parser *parser, uint8_t **at, uint8_t *end, ws_event *event)
{
    uint8_t *data = *at;
    size_t length = (size_t)(end - data);
    bool last;

    if (length > parser->remaining) {
        length = (size_t)parser->remaining;
    }
    if (!open_piece(parser, data, length)) {
        return fail(parser, event, WS_CLOSE_BAD_DATA, "text is not UTF-8 (RFC 6455 section 8.1)");
    }
    *at += length;
    parser->position += length;
    parser->remaining -= length;
    if (parser->remaining == 0) {
        parser->state = STATE_HEADER;
    }

    last = parser->remaining == 0 && parser->fin;
    if (last && !base_utf8_complete(&parser->utf8)) {
        return fail(parser, event, WS_CLOSE_BAD_DATA,
                    "text ends inside a character (RFC 6455 section 8.1)");
    }
    if (length == 0 && !last) {
        return false;
    }
    *event = (ws_event){.kind = WS_EVENT_DATA,
                        .text = parser->text,
                        .compressed = parser->compressed,
                        .first = parser->first,
                        .last = last,
                        .data = data,
                        .length = length};
    parser->first = false;
    parser->in_message = !last;
    return true;
}

/* A Close frame's payload: nothing, or a code and a reason in UTF-8 (section 5.5.1). */
static bool end_with_close(ws_parser *parser, uint8_t *data, size_t length, ws_event *event)
{
    uint16_t code = WS_CLOSE_NO_STATUS;
    base_utf8 utf8;

    if (length == 1) {
        return fail(parser, event, WS_CLOSE_PROTOCOL_ERROR,
                    "Close with half a code (RFC 6455 section 5.5.1)");
    }
    if (length >= 2) {
        code = (uint16_t)read_big_endian(data, 2);
        if (!ws_close_code_is_valid(code)) {
            return fail(parser, event, WS_CLOSE_PROTOCOL_ERROR,
                        "Close with a code that must not be sent (RFC 6455 section 7.4)");
        }
        base_utf8_init(&utf8);
        if (!base_utf8_feed(&utf8, data + 2, length - 2) || !base_utf8_complete(&utf8)) {
            return fail(parser, event, WS_CLOSE_BAD_DATA,
                        "Close reason is not UTF-8 (RFC 6455 section 8.1)");
        }
    }
    parser->state = STATE_ENDED;
    *event = (ws_event){.kind = WS_EVENT_CLOSE, .data = data, .length = length, .close_code = code};
    return true;
}

/* A control frame, once all of it is there: in the buffer, or collected in `parser->control`. */
static bool next_control(ws_parser *parser, uint8_t **at, uint8_t *end, ws_event *event)
{
    uint8_t *data = *at;
    size_t length = (size_t)parser->remaining, have = (size_t)(end - data);

    if (parser->position > 0 || have < length) {
        size_t take = have < length ? have : length;

        data = parser->control;
        if (take > 0) {
            memcpy(data + parser->position, *at, take);
        }
        *at += take;
        parser->position += take;
        parser->remaining -= take;
        if (parser->remaining > 0) {
            return false;
        }
        length = (size_t)parser->position;
    } else {
        *at += length;
    }
    if (parser->masked) {
        ws_mask(data, length, parser->mask, 0);
    }

    parser->state = STATE_HEADER;
    if (parser->opcode == WS_CLOSE) {
        return end_with_close(parser, data, length, event);
    }
    *event = (ws_event){.kind = parser->opcode == WS_PING ? WS_EVENT_PING : WS_EVENT_PONG,
                        .data = data,
                        .length = length};
    return true;
}

bool ws_parser_next(ws_parser *parser, uint8_t **at, uint8_t *end, ws_event *event)
{
    violation wrong;

    for (;;) {
        switch (parser->state) {
        case STATE_HEADER:
            switch (take_header(parser, at, end, &wrong)) {
            case INCOMPLETE:
                return false;
            case WRONG:
                return fail(parser, event, wrong.code, wrong.reason);
            case COMPLETE:
                break;
            }
            break;
        case STATE_DATA:
            if (next_piece(parser, at, end, event)) {
                return true;
            }
            if (parser->state == STATE_DATA) {
                return false;
            }
            break; /* an empty fragment makes no event; the next frame's header follows */
        case STATE_CONTROL:
            return next_control(parser, at, end, event);
        default:
            *at = end;
            return false;
        }
    }
}

size_t ws_frame_header(uint8_t out[WS_MAX_HEADER], enum ws_opcode opcode, bool fin, bool rsv1,
                       uint64_t length)
{
    size_t extended = length < LENGTH_16 ? 0 : length <= UINT16_MAX ? 2 : 8;

    out[0] = (uint8_t)((fin ? FIN : 0) | (rsv1 ? RSV1 : 0) | opcode);
    out[1] = (uint8_t)(extended == 0 ? length : extended == 2 ? LENGTH_16 : LENGTH_64);
    for (size_t i = 0; i < extended; i++) {
        out[2 + i] = (uint8_t)(length >> 8 * (extended - 1 - i));
    }
    return 2 + extended;
}

/* The length of the longest beginning of a text that is whole characters and fits in `room`. */
static size_t whole_characters(const char *text, size_t room)
{
    const char *end = text + strnlen(text, room), *at = text;
    size_t length;

    while ((length = base_utf8_decode(at, end, NULL)) > 0) {
        at += length;
    }
    return (size_t)(at - text);
}

size_t ws_close_payload(uint8_t out[WS_MAX_CONTROL], uint16_t code, const char *reason)
{
    size_t length = reason == NULL ? 0 : whole_characters(reason, WS_MAX_CONTROL - 2);

    if (code == WS_CLOSE_NO_STATUS || code == WS_CLOSE_ABNORMAL) {
        return 0;
    }
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    if (length > 0) {
        memcpy(out + 2, reason, length);
    }
    return 2 + length;
}

bool ws_close_code_is_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
