/*
 * The frame codec (src/websocket/frame.h), rule by rule; a test's name begins with its section of
 * RFC 6455. Every row of the table runs as a server's and as a client's parser, in one go, a byte
 * at a time and in random pieces, each piece in a buffer of exactly its size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "websocket/frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_INPUT    1024
#define MAX_LOG      4096
#define MAX_FRAMES   8
#define ROUNDS       100

static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D}; /* of the examples in section 5.7 */

/* What came out, as text: "text:Hello ping:x close:1000:bye fail:1002". */
typedef struct trace {
    char log[MAX_LOG];
    size_t used;
    char message[MAX_LOG]; /* of the message whose last piece has not come yet */
    size_t message_length;
    bool in_message, text, compressed, ended;
    size_t pieces; /* DATA events */
} trace;

static void note(trace *trace, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    trace->used += (size_t)vsnprintf(trace->log + trace->used, sizeof(trace->log) - trace->used,
                                     format, arguments);
    va_end(arguments);
    assert_true(trace->used < sizeof(trace->log));
}

static void note_bytes(trace *trace, const void *data, size_t length)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < length; i++) {
        bool plain = bytes[i] > ' ' && bytes[i] < 0x7F;

        note(trace, plain ? "%c" : "\\%02X", bytes[i]);
    }
}

static void take_data(trace *trace, const ws_event *event)
{
    assert_int_equal(event->first, !trace->in_message);
    assert_true(event->length > 0 || event->last);
    if (event->first) {
        trace->message_length = 0;
        trace->text = event->text;
        trace->compressed = event->compressed;
    }
    assert_int_equal(event->text, trace->text);
    assert_int_equal(event->compressed, trace->compressed);
    assert_true(trace->message_length + event->length <= sizeof(trace->message));
    if (event->length > 0) {
        memcpy(trace->message + trace->message_length, event->data, event->length);
    }
    trace->message_length += event->length;
    trace->in_message = !event->last;
    trace->pieces++;
    if (event->last) {
        note(trace, "%s%s:", trace->compressed ? "deflated-" : "", trace->text ? "text" : "binary");
        note_bytes(trace, trace->message, trace->message_length);
        note(trace, " ");
    }
}

static void take_event(trace *trace, const ws_event *event)
{
    switch (event->kind) {
    case WS_EVENT_DATA:
        take_data(trace, event);
        break;
    case WS_EVENT_PING:
    case WS_EVENT_PONG:
        note(trace, event->kind == WS_EVENT_PING ? "ping:" : "pong:");
        note_bytes(trace, event->data, event->length);
        note(trace, " ");
        break;
    case WS_EVENT_CLOSE:
        note(trace, "close:%u:", event->close_code);
        note_bytes(trace, event->length > 0 ? event->data + 2 : NULL,
                   event->length > 0 ? event->length - 2 : 0);
        note(trace, " ");
        trace->ended = true;
        break;
    case WS_EVENT_FAIL:
        assert_non_null(strstr(event->reason, " section "));
        assert_true(strlen(event->reason) <= WS_MAX_CONTROL - 2);
        note(trace, "fail:%u ", event->close_code);
        trace->ended = true;
        break;
    }
}

static void feed(ws_parser *parser, trace *trace, const uint8_t *data, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1), *at = copy;
    ws_event event;

    if (length > 0) {
        memcpy(copy, data, length);
    }
    while (ws_parser_next(parser, &at, copy + length, &event)) {
        assert_false(trace->ended);
        take_event(trace, &event);
    }
    assert_ptr_equal(at, copy + length);
    free(copy);
}

/* ---- Table -------------------------------------------------------------------------------- */

typedef struct frame_spec {
    const char *header; /* hexadecimal, as a server would send it: no mask */
    const char *payload;
    size_t length;
} frame_spec;

typedef struct frame_case {
    const char *name;
    frame_spec frames[MAX_FRAMES];
    const char *expected;
    uint64_t max; /* of a message */
    bool rsv1;
} frame_case;

#define F(header, payload) ((frame_spec){header, payload, sizeof(payload) - 1})

#define A5   "aaaaa"
#define A25  A5 A5 A5 A5 A5
#define A70  A25 A25 A5 A5 A5 A5
#define A123 A25 A25 A25 A25 A5 A5 A5 A5 "aaa"
#define A125 A123 "aa"

static const frame_case table[] = {
    {"5.7 single text frame", {F("8105", "Hello")}, "text:Hello ", 0, false},
    {"5.7 fragmented text", {F("0103", "Hel"), F("8002", "lo")}, "text:Hello ", 0, false},
    {"5.7 ping", {F("8905", "Hello")}, "ping:Hello ", 0, false},
    {"5.5.3 unsolicited pong", {F("8A02", "hi")}, "pong:hi ", 0, false},
    {"5.6 binary keeps every byte", {F("8204", "\0\xFF\n ")}, "binary:\\00\\FF\\0A\\20 ", 0, false},
    {"5.6 empty text", {F("8100", "")}, "text: ", 0, false},
    {"5.6 empty binary", {F("8200", "")}, "binary: ", 0, false},
    {"5.5.2 empty ping", {F("8900", ""), F("8A00", "")}, "ping: pong: ", 0, false},
    {"5.2 text then binary", {F("8101", "a"), F("8201", "b")}, "text:a binary:b ", 0, false},
    {"5.4 empty fragments before, between and after",
     {F("0100", ""), F("0000", ""), F("0001", "a"), F("0000", ""), F("0001", "b"), F("8000", "")},
     "text:ab ",
     0,
     false},
    {"5.4 message of empty fragments",
     {F("0200", ""), F("0000", ""), F("8000", ""), F("8101", "x")},
     "binary: text:x ",
     0,
     false},
    {"5.4 control frames between fragments",
     {F("0101", "a"), F("8901", "p"), F("0001", "b"), F("8A00", ""), F("8001", "c")},
     "ping:p pong: text:abc ",
     0,
     false},
    {"5.4 close between fragments",
     {F("0101", "a"), F("8802", "\x03\xE8"), F("8001", "c")},
     "close:1000: ",
     0,
     false},
    {"5.4 continuation without a start", {F("8001", "a")}, "fail:1002 ", 0, false},
    {"5.4 unfinished continuation without a start", {F("0001", "a")}, "fail:1002 ", 0, false},
    {"5.4 continuation after a whole message",
     {F("8101", "a"), F("8001", "b")},
     "text:a fail:1002 ",
     0,
     false},
    {"5.4 continuation after a fragmented message",
     {F("0101", "a"), F("8001", "b"), F("8001", "c")},
     "text:ab fail:1002 ",
     0,
     false},
    {"5.4 text inside a message", {F("0101", "a"), F("8101", "b")}, "fail:1002 ", 0, false},
    {"5.4 binary inside a message", {F("0101", "a"), F("8201", "b")}, "fail:1002 ", 0, false},
    {"5.4 fragmented text inside a message",
     {F("0201", "a"), F("0101", "b")},
     "fail:1002 ",
     0,
     false},
    {"5.2 RSV1", {F("C101", "a")}, "fail:1002 ", 0, false},
    {"5.2 RSV2", {F("A101", "a")}, "fail:1002 ", 0, false},
    {"5.2 RSV3", {F("9101", "a")}, "fail:1002 ", 0, false},
    {"5.2 RSV2 where RSV1 is agreed", {F("A101", "a")}, "fail:1002 ", 0, true},
    {"5.2 RSV3 on a control frame", {F("9900", "")}, "fail:1002 ", 0, true},
    {"5.2 RSV1 on a ping", {F("C900", "")}, "fail:1002 ", 0, false},
    {"5.2 reserved data opcode 3", {F("8300", "")}, "fail:1002 ", 0, false},
    {"5.2 reserved data opcode 7", {F("8700", "")}, "fail:1002 ", 0, false},
    {"5.2 reserved control opcode B", {F("8B00", "")}, "fail:1002 ", 0, false},
    {"5.2 reserved control opcode F", {F("8F00", "")}, "fail:1002 ", 0, false},
    {"5.2 length of 126 in 16 bits", {F("817E007E", A125 "a")}, "text:" A125 "a ", 0, false},
    {"5.2 length of 125 in 16 bits", {F("817E007D", A125)}, "fail:1002 ", 0, false},
    {"5.2 length of 0 in 16 bits", {F("817E0000", "")}, "fail:1002 ", 0, false},
    {"5.2 length of 126 in 64 bits", {F("817F000000000000007E", "")}, "fail:1002 ", 0, false},
    {"5.2 length of 65535 in 64 bits", {F("817F000000000000FFFF", "")}, "fail:1002 ", 0, false},
    {"5.2 length with its top bit set", {F("827F8000000000010000", "")}, "fail:1002 ", 0, false},
    {"5.2 length of all bits", {F("827FFFFFFFFFFFFFFFFF", "")}, "fail:1002 ", 0, false},
    {"5.2 largest length, no bound", {F("827F7FFFFFFFFFFFFFFF", "a")}, "", 0, false},
    {"5.5 ping of 125 bytes", {F("897D", A125)}, "ping:" A125 " ", 0, false},
    {"5.5 ping of 126 bytes", {F("897E007E", A125 "a")}, "fail:1002 ", 0, false},
    {"5.5 ping with a length of 64 bits", {F("897F0000000000010000", "")}, "fail:1002 ", 0, false},
    {"5.5 fragmented ping", {F("0901", "a")}, "fail:1002 ", 0, false},
    {"5.5 fragmented pong", {F("0A01", "a")}, "fail:1002 ", 0, false},
    {"5.5 fragmented close", {F("0800", "")}, "fail:1002 ", 0, false},
    {"5.5.1 close without a code", {F("8800", "")}, "close:1005: ", 0, false},
    {"5.5.1 close with half a code", {F("8801", "\x03")}, "fail:1002 ", 0, false},
    {"5.5.1 close with a code", {F("8802", "\x03\xE8")}, "close:1000: ", 0, false},
    {"5.5.1 close with a reason",
     {F("8805", "\x03\xE9"
                "bye")},
     "close:1001:bye ",
     0,
     false},
    {"5.5.1 close with a full reason",
     {F("887D", "\x0F\xA0" A123)},
     "close:4000:" A123 " ",
     0,
     false},
    {"5.5.1 data after close is ignored",
     {F("8802", "\x03\xE8"), F("8101", "a"), F("FF7F", "")},
     "close:1000: ",
     0,
     false},
    {"5.5.1 close after close is ignored",
     {F("8800", ""), F("8802", "\x03\xE8")},
     "close:1005: ",
     0,
     false},
    {"5.5.1 a ping after close is not answered",
     {F("8802", "\x03\xE8"), F("8901", "p")},
     "close:1000: ",
     0,
     false},
    {"5.5.1 close in the middle of a text's character",
     {F("0102", "\xE2\x84"), F("8802", "\x03\xE8")},
     "close:1000: ",
     0,
     false},
    {"7.1.7 nothing counts after a failure",
     {F("8300", ""), F("8101", "a"), F("8800", "")},
     "fail:1002 ",
     0,
     false},
    {"7.4 close with code 999", {F("8802", "\x03\xE7")}, "fail:1002 ", 0, false},
    {"7.4.1 close with reserved code 1005", {F("8802", "\x03\xED")}, "fail:1002 ", 0, false},
    {"7.4 a wrong code with a reason that is not UTF-8",
     {F("8804", "\x03\xED\xC3\x28")},
     "fail:1002 ",
     0,
     false},
    {"8.1 close reason that is not UTF-8", {F("8804", "\x03\xE8\xC3\x28")}, "fail:1007 ", 0, false},
    {"8.1 close reason that ends early", {F("8804", "\x03\xE8\xE2\x84")}, "fail:1007 ", 0, false},
    {"8.1 close reason in UTF-8",
     {F("8805", "\x03\xE8\xE2\x84\x83")},
     "close:1000:\\E2\\84\\83 ",
     0,
     false},
    {"8.1 text in UTF-8", {F("8103", "\xE2\x84\x83")}, "text:\\E2\\84\\83 ", 0, false},
    {"8.1 character divided between fragments",
     {F("0101", "\xE2"), F("8900", ""), F("0001", "\x84"), F("8001", "\x83")},
     "ping: text:\\E2\\84\\83 ",
     0,
     false},
    {"8.1 text that ends inside a character", {F("8102", "\xE2\x84")}, "fail:1007 ", 0, false},
    {"8.1 text that ends inside a character, empty last frame",
     {F("0102", "\xE2\x84"), F("8000", "")},
     "fail:1007 ",
     0,
     false},
    {"8.1 a ping's payload is not text", {F("8902", "\xFF\xC0")}, "ping:\\FF\\C0 ", 0, false},
    {"8.1 binary is not text",
     {F("0201", "\xFF"), F("8001", "\xC0"), F("8101", "a")},
     "binary:\\FF\\C0 text:a ",
     0,
     false},
    {"8.1 an open character does not reach into the next message",
     {F("8201", "\xE2"), F("8101", "\x84")},
     "binary:\\E2 fail:1007 ",
     0,
     false},
    {"8.1 surrogate", {F("8103", "\xED\xA0\x80")}, "fail:1007 ", 0, false},
    {"8.1 overlong slash", {F("8102", "\xC0\xAF")}, "fail:1007 ", 0, false},
    {"8.1 NUL is a character", {F("8103", "a\0b")}, "text:a\\00b ", 0, false},
    {"7.4.1 message of exactly the bound", {F("8105", "Hello")}, "text:Hello ", 5, false},
    {"7.4.1 message beyond the bound", {F("8106", "")}, "fail:1009 ", 5, false},
    {"7.4.1 fragments of exactly the bound",
     {F("0103", "Hel"), F("8002", "lo"), F("8105", "Hello")},
     "text:Hello text:Hello ",
     5,
     false},
    {"7.4.1 fragments beyond the bound", {F("0103", "Hel"), F("8003", "")}, "fail:1009 ", 5, false},
    {"7.4.1 fragments whose sum overflows",
     {F("0203", "Hel"), F("007F7FFFFFFFFFFFFFFF", "")},
     "fail:1009 ",
     5,
     false},
    {"7.4.1 the bound is per message",
     {F("8104", "Hell"), F("0104", "Hell"), F("8001", "o"), F("8105", "Hello")},
     "text:Hell text:Hello text:Hello ",
     5,
     false},
    {"7.4.1 the bound is per message, and holds for the next one",
     {F("8104", "Hell"), F("0103", "Hel"), F("8003", "")},
     "text:Hell fail:1009 ",
     5,
     false},
    {"7.4.1 control frames do not count",
     {F("0103", "Hel"), F("8906", "abcdef"), F("8002", "lo")},
     "ping:abcdef text:Hello ",
     5,
     false},
    {"7.4.1 announced length of 2^63-1",
     {F("827F7FFFFFFFFFFFFFFF", "")},
     "fail:1009 ",
     16384,
     false},
    {"7.4.1 largest bound", {F("0101", "a"), F("8001", "b")}, "text:ab ", UINT64_MAX, false},
    {"RFC 7692 6 compressed message", {F("C101", "\xFF")}, "deflated-text:\\FF ", 0, true},
    {"RFC 7692 6 agreed, but plain",
     {F("8101", "a"), F("8101", "\xFF")},
     "text:a fail:1007 ",
     0,
     true},
    {"RFC 7692 6 fragments of a compressed message",
     {F("4101", "\xE2"), F("8900", ""), F("0001", "\xFF"), F("8000", ""), F("8101", "a")},
     "ping: deflated-text:\\E2\\FF text:a ",
     0,
     true},
    {"RFC 7692 6 a compressed message whose first frames are empty",
     {F("4100", ""), F("0000", ""), F("8A00", ""), F("8001", "\xFF"), F("8101", "a")},
     "pong: deflated-text:\\FF text:a ",
     0,
     true},
    {"RFC 7692 6 compressed binary",
     {F("4201", "\1"), F("8001", "\2")},
     "deflated-binary:\\01\\02 ",
     0,
     true},
    {"RFC 7692 6.1 RSV1 on a continuation",
     {F("4101", "a"), F("C001", "b")},
     "fail:1002 ",
     0,
     true},
    {"RFC 7692 6.1 RSV1 on a ping", {F("C900", "")}, "fail:1002 ", 0, true},
    {"RFC 7692 6.1 RSV1 on a close", {F("C800", "")}, "fail:1002 ", 0, true},
    {"RFC 7692 6 a compressed message may grow by a quarter and 64 bytes",
     {F("C246", A70)},
     "deflated-binary:" A70 " ",
     5,
     true},
    {"RFC 7692 6 so may the sum of its fragments",
     {F("4205", A5), F("0005", A5), F("803C", A25 A25 A5 A5)},
     "deflated-binary:" A70 " ",
     5,
     true},
    {"RFC 7692 6 fragments of a compressed message beyond that",
     {F("4246", A70), F("8001", "")},
     "fail:1009 ",
     5,
     true},
    {"RFC 7692 6 compressed message beyond that", {F("C247", "")}, "fail:1009 ", 5, true},
    {"RFC 7692 6 plain after compressed has the plain bound",
     {F("C106", "abcdef"), F("8106", "")},
     "deflated-text:abcdef fail:1009 ",
     5,
     true},
};

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

/* Appends a frame; masked, it gets the mask bit, the key and a payload that is XORed with it. */
static size_t put_frame(uint8_t *out, const frame_spec *frame, bool masked)
{
    size_t at = 0;

    for (const char *hex = frame->header; *hex != '\0'; hex += 2) {
        out[at++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
    }
    if (masked) {
        out[1] |= 0x80;
        memcpy(out + at, key, sizeof(key));
        at += sizeof(key);
    }
    for (size_t i = 0; i < frame->length; i++) {
        out[at++] = (uint8_t)frame->payload[i] ^ (masked ? key[i % 4] : 0);
    }
    return at;
}

/* Runs a row in pieces of at most `piece` bytes, of random sizes where `random` is set. */
static void run_row(const frame_case *row, bool masked, size_t piece, bool random)
{
    static trace trace; /* large */
    uint8_t input[MAX_INPUT];
    size_t length = 0;
    ws_parser parser;

    memset(&trace, 0, sizeof(trace));
    for (size_t i = 0; i < MAX_FRAMES && row->frames[i].header != NULL; i++) {
        length += put_frame(input + length, &row->frames[i], masked);
    }
    assert_true(length <= sizeof(input));
    ws_parser_init(&parser, row->max, masked, row->rsv1);
    for (size_t at = 0; at < length;) {
        size_t size = random ? 1 + (size_t)rand() % piece : piece;

        if (size > length - at) {
            size = length - at;
        }
        feed(&parser, &trace, input + at, size);
        at += size;
    }
    if (strcmp(trace.log, row->expected) != 0) {
        fail_msg("%s, pieces of %zu: '%s', expected '%s'", masked ? "masked" : "not masked", piece,
                 trace.log, row->expected);
    }
    assert_int_equal(parser.in_message && !trace.ended, trace.in_message && !trace.ended);
}

static void run_case(void **state)
{
    const frame_case *row = *state;

    for (int masked = 0; masked <= 1; masked++) {
        run_row(row, masked, MAX_INPUT, false);
        for (size_t piece = 1; piece <= 16; piece++) {
            run_row(row, masked, piece, false);
        }
        for (int round = 0; round < ROUNDS; round++) {
            run_row(row, masked, 12, true);
        }
    }
}

/* ---- Headers ------------------------------------------------------------------------------ */

/* Section 5 as a list of wrongs: what is wrong with a frame's first byte, seen alone? */
static bool first_byte_is_wrong(unsigned byte, bool in_message, bool rsv1_agreed)
{
    bool fin = byte & 0x80, rsv1 = byte & 0x40, rsv2 = byte & 0x20, rsv3 = byte & 0x10;
    unsigned opcode = byte & 0x0F;
    bool starts = opcode == 1 || opcode == 2, continues = opcode == 0;
    bool control = opcode == 8 || opcode == 9 || opcode == 10;

    if (!starts && !continues && !control) {
        return true;
    }
    if (rsv2 || rsv3) {
        return true;
    }
    if (rsv1 && (!rsv1_agreed || !starts)) {
        return true;
    }
    if (control && !fin) {
        return true;
    }
    if (starts && in_message) {
        return true;
    }
    return continues && !in_message;
}

static bool second_byte_is_wrong(unsigned first, unsigned byte, bool must_be_masked)
{
    bool has_mask = byte >= 128;
    bool control = (first & 0x0F) >= 8;

    return has_mask != must_be_masked || (control && byte % 128 > 125);
}

static void begin_message(ws_parser *parser, bool masked)
{
    uint8_t frame[] = {0x01, 0x80, 0, 0, 0, 0}, *at = frame;
    ws_event event;

    if (!masked) {
        frame[1] = 0;
    }
    assert_false(ws_parser_next(parser, &at, frame + (masked ? 6 : 2), &event));
    assert_true(parser->in_message);
}

static int failures(ws_parser *parser, const uint8_t *data, size_t length)
{
    uint8_t copy[2], *at = copy;
    int count = 0;
    ws_event event;

    memcpy(copy, data, length);
    while (ws_parser_next(parser, &at, copy + length, &event)) {
        if (event.kind == WS_EVENT_FAIL) {
            assert_int_equal(event.close_code, WS_CLOSE_PROTOCOL_ERROR);
            count++;
        }
    }
    return count;
}

static void check_header(unsigned first, unsigned second, bool masked, bool in_message, bool rsv1)
{
    uint8_t bytes[2] = {(uint8_t)first, (uint8_t)second};
    bool wrong_first = first_byte_is_wrong(first, in_message, rsv1);
    bool wrong = wrong_first || second_byte_is_wrong(first, second, masked);
    ws_parser at_once, bytewise;

    ws_parser_init(&at_once, 0, masked, rsv1);
    if (in_message) {
        begin_message(&at_once, masked);
    }
    bytewise = at_once;
    if (failures(&at_once, bytes, 2) != wrong || failures(&bytewise, bytes, 1) != wrong_first ||
        failures(&bytewise, bytes + 1, 1) != (wrong && !wrong_first)) {
        fail_msg("%02X %02X, masked %d, in message %d, RSV1 %d", first, second, masked, in_message,
                 rsv1);
    }
}

static void s5_2_all_headers_against_an_oracle(void **state)
{
    (void)state;
    for (unsigned header = 0; header <= 0xFFFF; header++) {
        for (unsigned mode = 0; mode < 8; mode++) {
            check_header(header >> 8, header & 0xFF, mode & 1, mode & 2, mode & 4);
        }
    }
}

static void s5_1_masking_is_checked_for_both_sides(void **state)
{
    uint8_t plain[] = {0x81, 0x01, 'a'}, masked[] = {0x81, 0x81, 0, 0, 0, 0, 'a'};
    ws_parser parser;

    (void)state;
    ws_parser_init(&parser, 0, true, false);
    assert_int_equal(failures(&parser, plain, 2), 1);
    ws_parser_init(&parser, 0, false, false);
    assert_int_equal(failures(&parser, masked, 2), 1);
    ws_parser_init(&parser, 0, true, false);
    assert_int_equal(failures(&parser, masked, 2), 0);
}

/* Payloads around each boundary of the length's encoding, there and back. */
static void s5_2_lengths_there_and_back(void **state)
{
    static const struct {
        uint64_t length;
        const char *header;
        size_t size;
    } lengths[] = {
        {0, "\x82\x00", 2},
        {1, "\x82\x01", 2},
        {125, "\x82\x7D", 2},
        {126, "\x82\x7E\x00\x7E", 4},
        {127, "\x82\x7E\x00\x7F", 4},
        {65535, "\x82\x7E\xFF\xFF", 4},
        {65536, "\x82\x7F\0\0\0\0\0\1\0\0", 10},
        {16777216, "\x82\x7F\0\0\0\0\1\0\0\0", 10},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        size_t length = (size_t)lengths[i].length, size;
        uint8_t *frame = malloc(WS_MAX_HEADER + length), *at = frame;
        ws_parser parser;
        ws_event event;

        size = ws_frame_header(frame, WS_BINARY, true, false, length);
        assert_int_equal(size, lengths[i].size);
        assert_memory_equal(frame, lengths[i].header, size);
        memset(frame + size, 0xC5, length);
        ws_parser_init(&parser, length, false, false);
        assert_true(ws_parser_next(&parser, &at, frame + size + length, &event));
        assert_int_equal(event.kind, WS_EVENT_DATA);
        assert_int_equal(event.length, length);
        assert_true(event.first && event.last);
        assert_false(ws_parser_next(&parser, &at, frame + size + length, &event));
        free(frame);
    }
}

/*
 * Appends a masked frame's header: its first byte, and the length in the form of 7, 16 or 64 bits.
 */
static size_t put_header(uint8_t *out, uint8_t first, uint64_t length, unsigned bits)
{
    size_t bytes = bits == 7 ? 0 : bits / 8, at = 2;

    out[0] = first;
    out[1] = 0x80 | (uint8_t)(bits == 7 ? length : bits == 16 ? 126 : 127);
    for (size_t i = 0; i < bytes; i++) {
        out[at++] = (uint8_t)(length >> 8 * (bytes - 1 - i));
    }
    memcpy(out + at, key, sizeof(key));
    return at + sizeof(key);
}

static unsigned shortest_form(uint64_t length)
{
    return length < 126 ? 7 : length <= 0xFFFF ? 16 : 64;
}

/* Every length that 16 bits can say, in both longer forms: right in one of them at most. */
static void s5_2_every_length_in_its_shortest_form_only(void **state)
{
    uint8_t header[14];

    (void)state;
    for (uint64_t length = 0; length <= 0x10000; length++) {
        for (unsigned bits = 16; bits <= 64; bits += 48) {
            size_t size = put_header(header, 0x82, length, bits);
            uint8_t *at = header;
            ws_parser parser;
            ws_event event;
            bool failed;

            if (bits == 16 && length > 0xFFFF) {
                continue;
            }
            ws_parser_init(&parser, 0, true, false);
            failed = ws_parser_next(&parser, &at, header + size, &event);
            assert_int_equal(failed, bits != shortest_form(length));
            assert_true(!failed || event.close_code == WS_CLOSE_PROTOCOL_ERROR);
        }
    }
}

#define MIB (1 << 20)

/*
 * A message of 16 MiB in frames of `fragment` bytes, given in pieces of `piece` bytes: how many of
 * its bytes come out before the end or a failure, whose code is returned (0: none). They are
 * compared with `payload`.
 */
static uint16_t run_large(const uint8_t *payload, bool text, size_t fragment, size_t piece,
                          uint64_t max, size_t *out)
{
    const size_t length = 16 * MIB;
    uint8_t *wire = malloc(length + 14 * (length / fragment)), *at = wire, *end = wire;
    bool complete = false;
    ws_parser parser;
    ws_event event;

    for (size_t done = 0; done < length; done += fragment) {
        uint8_t first =
            (uint8_t)((done == 0 ? (text ? 1 : 2) : 0) | (done + fragment == length ? 0x80 : 0));

        end += put_header(end, first, fragment, shortest_form(fragment));
        memcpy(end, payload + done, fragment);
        ws_mask(end, fragment, key, 0);
        end += fragment;
    }
    *out = 0;
    event.close_code = 0;
    ws_parser_init(&parser, max, true, false);
    while (at < end && !complete) {
        uint8_t *stop = (size_t)(end - at) < piece ? end : at + piece;

        while (ws_parser_next(&parser, &at, stop, &event)) {
            if (event.kind == WS_EVENT_FAIL) {
                free(wire);
                return event.close_code;
            }
            assert_int_equal(event.kind, WS_EVENT_DATA);
            assert_int_equal(event.first, *out == 0);
            assert_true(event.length <= piece);
            assert_memory_equal(event.data, payload + *out, event.length);
            *out += event.length;
            complete = event.last;
        }
    }
    assert_true(complete);
    free(wire);
    return 0;
}

/* A megabyte at a time, a byte at a time, at once; one frame, and fragments. */
static void s5_2_sixteen_mebibytes_however_they_arrive(void **state)
{
    static const struct {
        size_t fragment, piece;
    } ways[] = {
        {16 * MIB, MIB}, {16 * MIB, 16 * MIB + 14}, {16 * MIB, 1}, {MIB, MIB}, {MIB, 16 * MIB},
        {64, MIB},       {0x8000, 999983},
    };
    static const char pattern[] = "\xF0\x9F\x98\x80\xC3\xA4!";
    const size_t length = 16 * MIB;
    uint8_t *text = malloc(length);
    size_t out;

    (void)state;
    for (size_t i = 0; i < length; i++) {
        text[i] = i < length - length % 7 ? (uint8_t)pattern[i % 7] : '.';
    }
    for (size_t i = 0; i < COUNT(ways); i++) {
        for (int is_text = 0; is_text <= 1; is_text++) {
            assert_int_equal(
                run_large(text, is_text, ways[i].fragment, ways[i].piece, length, &out), 0);
            assert_int_equal(out, length);
        }
        /* 7.4.1: one byte less is allowed, and the frame that exceeds it is not begun */
        assert_int_equal(run_large(text, true, ways[i].fragment, ways[i].piece, length - 1, &out),
                         WS_CLOSE_TOO_BIG);
        assert_int_equal(out, length - ways[i].fragment);
    }
    text[length - 1] = 0xC3; /* 8.1: the last byte begins a character */
    assert_int_equal(run_large(text, true, 16 * MIB, MIB, 0, &out), WS_CLOSE_BAD_DATA);
    text[MIB] =
        0xFF; /* and a wrong one a mebibyte after the start is found before the next comes */
    assert_int_equal(run_large(text, true, 16 * MIB, MIB, 0, &out), WS_CLOSE_BAD_DATA);
    assert_in_range(out, 0, 2 * MIB);
    free(text);
}

/* Thousands of frames of all kinds in one mebibyte, which is read at once. */
static void s5_a_mebibyte_of_frames_at_once(void **state)
{
    static const uint8_t firsts[] = {0x81, 0x89, 0x82, 0x01, 0x8A, 0x00, 0x89, 0x80};
    uint8_t *wire = malloc(MIB + 512), *at = wire, *end = wire;
    size_t frames = 0, events = 0;
    ws_parser parser;
    ws_event event;

    (void)state;
    for (; end - wire < MIB || frames % COUNT(firsts) != 0; frames++) {
        size_t length = frames % 120;

        end += put_header(end, firsts[frames % COUNT(firsts)], length, 7);
        memset(end, 'a' + (int)(frames % 26), length);
        ws_mask(end, length, key, 0);
        end += length;
    }
    assert_in_range(frames, 10000, 20000);
    ws_parser_init(&parser, 1000, true, false);
    while (ws_parser_next(&parser, &at, end, &event)) {
        uint8_t first;

        /* an empty fragment that is not the last is no event */
        while (events % 120 == 0 && (firsts[events % COUNT(firsts)] & 0x88) == 0) {
            events++;
        }
        first = firsts[events % COUNT(firsts)];
        assert_int_equal(event.kind, first == 0x89   ? WS_EVENT_PING
                                     : first == 0x8A ? WS_EVENT_PONG
                                                     : WS_EVENT_DATA);
        assert_int_equal(event.length, events % 120);
        for (size_t i = 0; i < event.length; i++) {
            assert_int_equal(event.data[i], 'a' + events % 26);
        }
        if (event.kind == WS_EVENT_DATA) {
            assert_int_equal(event.last, (first & 0x80) != 0);
            assert_int_equal(event.text, first != 0x82);
        }
        events++;
    }
    assert_ptr_equal(at, end);
    assert_int_equal(events, frames);
    free(wire);
}

static void s5_2_header_of_what_a_server_sends(void **state)
{
    uint8_t out[WS_MAX_HEADER];

    (void)state;
    assert_int_equal(ws_frame_header(out, WS_TEXT, true, true, 3), 2);
    assert_memory_equal(out, "\xC1\x03", 2);
    assert_int_equal(ws_frame_header(out, WS_CONTINUATION, false, false, 0), 2);
    assert_memory_equal(out, "\x00\x00", 2);
    assert_int_equal(ws_frame_header(out, WS_CLOSE, true, false, 2), 2);
    assert_memory_equal(out, "\x88\x02", 2);
    assert_int_equal(ws_frame_header(out, WS_BINARY, false, false, INT64_MAX), 10);
    assert_memory_equal(out, "\x02\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10);
}

/* ---- Payloads ----------------------------------------------------------------------------- */

static void s5_3_masking_at_every_offset(void **state)
{
    uint8_t buffer[128], expected[128];

    (void)state;
    for (size_t align = 0; align < 8; align++) {
        for (size_t offset = 0; offset < 9; offset++) {
            for (size_t length = 0; length <= 100; length++) {
                for (size_t i = 0; i < sizeof(buffer); i++) {
                    buffer[i] = expected[i] = (uint8_t)(i * 41 + length);
                }
                for (size_t i = 0; i < length; i++) {
                    expected[align + i] ^= key[(offset + i) % 4];
                }
                ws_mask(buffer + align, length, key, offset);
                assert_memory_equal(buffer, expected, sizeof(buffer));
            }
        }
    }
}

/* A masked text of several blocks, in random pieces: the key's phase, and UTF-8 over all seams. */
static void s5_3_long_masked_text_in_random_pieces(void **state)
{
    static const char celsius[] = "\xE2\x84\x83 is a degree; ";
    const size_t period = sizeof(celsius) - 1, length = 3 * 65536 + 3, header = 14;
    uint8_t *frame = malloc(header + length), *copy = malloc(header + length);
    uint8_t *text = malloc(length), *got = malloc(length);

    (void)state;
    for (size_t i = 0; i < length; i++) {
        text[i] = i < length - length % period ? (uint8_t)celsius[i % period] : 'x';
    }
    frame[0] = 0x81;
    frame[1] = 0xFF;
    for (size_t i = 0; i < 8; i++) {
        frame[2 + i] = (uint8_t)((uint64_t)length >> 8 * (7 - i));
    }
    memcpy(frame + 10, key, 4);
    for (size_t i = 0; i < length; i++) {
        frame[header + i] = text[i] ^ key[i % 4];
    }

    srand(6455);
    for (int round = 0; round < 60; round++) {
        size_t limit = (size_t[]){1, 7, 100, 5000, 70000, header + length}[round % 6], used = 0;
        ws_parser parser;
        bool complete = false;

        memcpy(copy, frame, header + length);
        ws_parser_init(&parser, length, true, false);
        for (size_t at = 0; at < header + length;) {
            size_t size = round % 6 == 5 ? limit : 1 + (size_t)rand() % limit;
            uint8_t *begin = copy + at, *end;
            ws_event event;

            at = size > header + length - at ? header + length : at + size;
            end = copy + at;
            while (ws_parser_next(&parser, &begin, end, &event)) {
                assert_int_equal(event.kind, WS_EVENT_DATA);
                assert_int_equal(event.first, used == 0);
                memcpy(got + used, event.data, event.length);
                used += event.length;
                complete = event.last;
            }
        }
        assert_true(complete);
        assert_int_equal(used, length);
        assert_memory_equal(got, text, length);
    }
    free(frame);
    free(copy);
    free(text);
    free(got);
}

static void s5_2_a_whole_frame_is_one_event_in_place(void **state)
{
    uint8_t frame[] = {0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58},
            *at = frame;
    ws_parser parser;
    ws_event event;

    (void)state;
    ws_parser_init(&parser, 5, true, false);
    assert_true(ws_parser_next(&parser, &at, frame + sizeof(frame), &event));
    assert_int_equal(event.kind, WS_EVENT_DATA);
    assert_true(event.text && event.first && event.last && !event.compressed);
    assert_ptr_equal(event.data, frame + 6);
    assert_int_equal(event.length, 5);
    assert_memory_equal(event.data, "Hello", 5);
    assert_ptr_equal(at, frame + sizeof(frame));
    assert_false(parser.in_message);
    assert_false(ws_parser_next(&parser, &at, frame + sizeof(frame), &event));
}

/* Feeds a masked text a byte at a time; after how many payload bytes does it fail? */
static size_t fails_after(const uint8_t *text, size_t length, size_t announced, size_t fragment)
{
    size_t sent = 0;
    ws_parser parser;

    ws_parser_init(&parser, 0, true, false);
    while (sent < length) {
        size_t size = fragment < announced - sent ? fragment : announced - sent;
        uint8_t header[] = {(uint8_t)(sent == 0 ? 1 : 0), (uint8_t)(0x80 | size), 1, 2, 3, 4},
                *at = header;
        ws_event event;

        if (sent + size == announced) {
            header[0] |= 0x80;
        }
        assert_false(ws_parser_next(&parser, &at, header + sizeof(header), &event));
        for (size_t i = 0; i < size && sent < length; i++) {
            uint8_t byte = text[sent++] ^ header[2 + i % 4];

            at = &byte;
            while (ws_parser_next(&parser, &at, &byte + 1, &event)) {
                if (event.kind == WS_EVENT_FAIL) {
                    assert_int_equal(event.close_code, WS_CLOSE_BAD_DATA);
                    return sent;
                }
            }
        }
    }
    return 0;
}

/* The first byte that cannot be right ends it: at every position, in every fragmentation. */
static void s8_1_fail_fast_position_by_position(void **state)
{
    static const struct {
        const char *bytes;
        size_t wrong; /* which byte of it cannot be right, from 1 */
    } bad[] = {
        {"\x80", 1},         {"\xBF", 1},
        {"\xC0", 1},         {"\xC1", 1},
        {"\xF5", 1},         {"\xFE", 1},
        {"\xFF", 1},         {"\xC3\x28", 2},
        {"\xE0\x9F", 2},     {"\xED\xA0", 2},
        {"\xF0\x8F", 2},     {"\xF4\x90", 2},
        {"\xE2\x84\x28", 3}, {"\xF0\x9F\x98\x20", 4},
    };
    uint8_t text[40];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        for (size_t at = 0; at <= 20; at++) {
            memset(text, 'a', sizeof(text));
            memcpy(text + at, bad[i].bytes, bad[i].wrong);
            for (size_t fragment = 1; fragment <= 40; fragment++) {
                assert_int_equal(fails_after(text, sizeof(text), sizeof(text), fragment),
                                 at + bad[i].wrong);
            }
        }
    }
    memset(text, 'a', sizeof(text));
    assert_int_equal(fails_after(text, sizeof(text), sizeof(text), 40), 0);
}

/* A whole masked frame at once: one wrong byte at every place of texts of every length. */
static void s8_1_one_wrong_byte_anywhere_in_a_frame(void **state)
{
    uint8_t frame[6 + 80];

    (void)state;
    for (size_t length = 1; length <= 80; length++) {
        for (size_t wrong = 0; wrong <= length; wrong++) { /* the last time there is none */
            uint8_t *at = frame;
            ws_parser parser;
            ws_event event;

            memcpy(frame, (uint8_t[]){0x81, (uint8_t)(0x80 | length), 1, 2, 3, 4}, 6);
            for (size_t i = 0; i < length; i++) {
                frame[6 + i] = (i == wrong ? 0xFF : 'a') ^ frame[2 + i % 4];
            }
            ws_parser_init(&parser, 0, true, false);
            assert_true(ws_parser_next(&parser, &at, frame + 6 + length, &event));
            assert_int_equal(event.kind, wrong < length ? WS_EVENT_FAIL : WS_EVENT_DATA);
        }
    }
}

/* ---- Close -------------------------------------------------------------------------------- */

static void s7_4_every_close_code(void **state)
{
    (void)state;
    for (unsigned code = 0; code <= 0xFFFF; code++) {
        bool defined = code == 1000 || code == 1001 || code == 1002 || code == 1003 ||
                       code == 1007 || code == 1008 || code == 1009 || code == 1010 || code == 1011;
        bool registered = code == 1012 || code == 1013 || code == 1014;
        bool open = code / 1000 == 3 || code / 1000 == 4;
        uint8_t frame[] = {0x88, 0x02, (uint8_t)(code >> 8), (uint8_t)code}, *at = frame;
        ws_parser parser;
        ws_event event;

        assert_int_equal(ws_close_code_is_valid((uint16_t)code), defined || registered || open);
        ws_parser_init(&parser, 0, false, false);
        assert_true(ws_parser_next(&parser, &at, frame + sizeof(frame), &event));
        if (defined || registered || open) {
            assert_int_equal(event.kind, WS_EVENT_CLOSE);
            assert_int_equal(event.close_code, code);
        } else {
            assert_int_equal(event.kind, WS_EVENT_FAIL);
            assert_int_equal(event.close_code, WS_CLOSE_PROTOCOL_ERROR);
        }
    }
}

/*
 * Pings, Pongs and Closes of all lengths, whole and a byte at a time: the payload is what was sent.
 */
static void s5_5_control_frames_of_every_length(void **state)
{
    uint8_t frame[6 + WS_MAX_CONTROL], payload[WS_MAX_CONTROL];

    (void)state;
    memcpy(payload, "\x03\xE8", 2); /* the rest is ASCII: a Close's reason */
    for (size_t i = 2; i < sizeof(payload); i++) {
        payload[i] = (uint8_t)(i % 0x80);
    }
    for (unsigned opcode = WS_CLOSE; opcode <= WS_PONG; opcode++) {
        for (size_t length = 0; length <= WS_MAX_CONTROL; length++) {
            for (size_t piece = 1; piece <= sizeof(frame); piece += sizeof(frame) - 1) {
                size_t size = put_header(frame, (uint8_t)(0x80 | opcode), length, 7), count = 0;
                ws_parser parser;
                ws_event event;

                memcpy(frame + size, payload, length);
                ws_mask(frame + size, length, key, 0);
                size += length;
                ws_parser_init(&parser, 125, true, false);
                for (uint8_t *at = frame; at < frame + size;) {
                    size_t left = (size_t)(frame + size - at);

                    while (
                        ws_parser_next(&parser, &at, at + (left < piece ? left : piece), &event)) {
                        left = (size_t)(frame + size - at);
                        count++;
                        if (opcode == WS_CLOSE && length == 1) {
                            assert_int_equal(event.kind, WS_EVENT_FAIL);
                            assert_int_equal(event.close_code, WS_CLOSE_PROTOCOL_ERROR);
                            continue;
                        }
                        assert_int_equal(event.kind, opcode == WS_PING   ? WS_EVENT_PING
                                                     : opcode == WS_PONG ? WS_EVENT_PONG
                                                                         : WS_EVENT_CLOSE);
                        assert_int_equal(event.length, length);
                        if (length > 0) {
                            assert_memory_equal(event.data, payload, length);
                        }
                    }
                }
                assert_int_equal(count, 1);
            }
        }
    }
}

/* Section 8.1 for a Close's reason: a wrong byte at every place of reasons of every length. */
static void s7_1_6_reason_position_by_position(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        bool good;
    } parts[] = {
        {"\xFF", 1, false},     {"\x80", 1, false},         {"\xC0\xAF", 2, false},
        {"\xE2\x84", 2, false}, {"\xED\xA0\x80", 3, false}, {"\xF4\x90\x80\x80", 4, false},
        {"\xC3\xA4", 2, true},  {"\xE2\x84\x83", 3, true},  {"\xF4\x8F\xBF\xBF", 4, true},
    };
    const size_t most = WS_MAX_CONTROL - 2;

    (void)state;
    for (size_t i = 0; i < COUNT(parts); i++) {
        for (size_t length = parts[i].length; length <= most; length++) {
            for (size_t place = 0; place + parts[i].length <= length; place++) {
                uint8_t frame[6 + WS_MAX_CONTROL], *at = frame;
                size_t size = put_header(frame, 0x88, 2 + length, 7);
                ws_parser parser;
                ws_event event;

                memcpy(frame + size, "\x03\xE8", 2);
                memset(frame + size + 2, 'r', length);
                memcpy(frame + size + 2 + place, parts[i].bytes, parts[i].length);
                ws_mask(frame + size, 2 + length, key, 0);
                ws_parser_init(&parser, 125, true, false);
                assert_true(ws_parser_next(&parser, &at, frame + size + 2 + length, &event));
                if (parts[i].good) {
                    assert_int_equal(event.kind, WS_EVENT_CLOSE);
                    assert_int_equal(event.close_code, WS_CLOSE_NORMAL);
                } else {
                    assert_int_equal(event.kind, WS_EVENT_FAIL);
                    assert_int_equal(event.close_code, WS_CLOSE_BAD_DATA);
                }
            }
        }
    }
}

static void s5_5_1_close_payload_fits_and_is_utf8(void **state)
{
    uint8_t out[WS_MAX_CONTROL + 1];
    char reason[400];

    (void)state;
    assert_int_equal(ws_close_payload(out, 1000, NULL), 2);
    assert_memory_equal(out, "\x03\xE8", 2);
    assert_int_equal(ws_close_payload(out, 1001, ""), 2);
    assert_int_equal(ws_close_payload(out, 1001, "bye"), 5);
    assert_memory_equal(out,
                        "\x03\xE9"
                        "bye",
                        5);
    assert_int_equal(ws_close_payload(out, WS_CLOSE_NO_STATUS, "never sent"), 0);
    assert_int_equal(ws_close_payload(out, WS_CLOSE_ABNORMAL, "never sent"), 0);
    assert_int_equal(ws_close_payload(out, 4999, "x\xC3("), 3); /* up to what is not UTF-8 */

    out[WS_MAX_CONTROL] = 0xA5;
    for (size_t lead = 0; lead < 4; lead++) { /* U+2103, so that the bound falls on each byte */
        for (size_t i = 0; i < sizeof(reason) - 1; i++) {
            reason[i] = i < lead ? 'x' : "\xE2\x84\x83"[(i - lead) % 3];
        }
        reason[sizeof(reason) - 1] = '\0';
        assert_int_equal(ws_close_payload(out, 1000, reason), 2 + lead + (123 - lead) / 3 * 3);
        assert_memory_equal(out + 2, reason, lead + (123 - lead) / 3 * 3);
        assert_int_equal(out[WS_MAX_CONTROL], 0xA5);
    }
}

static void bound_of_a_compressed_message(void **state)
{
    (void)state;
    assert_int_equal(ws_compressed_bound(0), 0);
    assert_int_equal(ws_compressed_bound(1), 65);
    assert_int_equal(ws_compressed_bound(16384), 16384 + 4096 + 64);
    assert_true(ws_compressed_bound(UINT64_MAX) == UINT64_MAX);
    assert_true(ws_compressed_bound(UINT64_MAX - 1) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(s5_1_masking_is_checked_for_both_sides),
        cmocka_unit_test(s5_2_all_headers_against_an_oracle),
        cmocka_unit_test(s5_2_lengths_there_and_back),
        cmocka_unit_test(s5_2_every_length_in_its_shortest_form_only),
        cmocka_unit_test(s5_2_sixteen_mebibytes_however_they_arrive),
        cmocka_unit_test(s5_a_mebibyte_of_frames_at_once),
        cmocka_unit_test(s5_2_header_of_what_a_server_sends),
        cmocka_unit_test(s5_2_a_whole_frame_is_one_event_in_place),
        cmocka_unit_test(s5_3_masking_at_every_offset),
        cmocka_unit_test(s5_3_long_masked_text_in_random_pieces),
        cmocka_unit_test(s5_5_control_frames_of_every_length),
        cmocka_unit_test(s5_5_1_close_payload_fits_and_is_utf8),
        cmocka_unit_test(s7_1_6_reason_position_by_position),
        cmocka_unit_test(s7_4_every_close_code),
        cmocka_unit_test(s8_1_fail_fast_position_by_position),
        cmocka_unit_test(s8_1_one_wrong_byte_anywhere_in_a_frame),
        cmocka_unit_test(bound_of_a_compressed_message),
    };
    struct CMUnitTest tests[COUNT(table) + COUNT(others)];

    for (size_t i = 0; i < COUNT(table); i++) {
        tests[i] = (struct CMUnitTest){table[i].name, run_case, NULL, NULL, (void *)&table[i]};
    }
    memcpy(tests + COUNT(table), others, sizeof(others));
    return cmocka_run_group_tests_name("frames (RFC 6455 section 5)", tests, NULL, NULL);
}
