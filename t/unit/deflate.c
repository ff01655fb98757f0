/*
 * permessage-deflate (src/websocket/deflate.h); a test's name begins with its section of RFC 7692.
 * zlib's own calls stand in for a client. The linker leads the library's calls that open a zlib
 * stream through this file (--wrap), so that allocations are counted and can be made to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <zlib.h>

#include "websocket/deflate.h"
#include "websocket/frame.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KIB          1024

/* ---- Counting what zlib allocates ---------------------------------------------------------- */

static struct {
    size_t used, most; /* bytes */
    int open;          /* streams */
    bool fail_to_open;
    size_t limit; /* bytes that may be used; 0: any */
} memory;

static void *count_alloc(void *opaque, unsigned items, unsigned size)
{
    size_t bytes = (size_t)items * size;
    size_t *block;

    (void)opaque;
    if (memory.limit != 0 && memory.used + bytes > memory.limit) {
        return NULL;
    }
    block = malloc(sizeof(max_align_t) + bytes);
    *block = bytes;
    memory.used += bytes;
    if (memory.used > memory.most) {
        memory.most = memory.used;
    }
    return (char *)block + sizeof(max_align_t);
}

static void count_free(void *opaque, void *data)
{
    size_t *block = (size_t *)((char *)data - sizeof(max_align_t));

    (void)opaque;
    memory.used -= *block;
    free(block);
}

int __real_inflateInit2_(z_stream *stream, int bits, const char *version, int size);
int __wrap_inflateInit2_(z_stream *stream, int bits, const char *version, int size);
int __real_deflateInit2_(z_stream *stream, int level, int method, int bits, int level_of_memory,
                         int strategy, const char *version, int size);
int __wrap_deflateInit2_(z_stream *stream, int level, int method, int bits, int level_of_memory,
                         int strategy, const char *version, int size);

int __wrap_inflateInit2_(z_stream *stream, int bits, const char *version, int size)
{
    if (memory.fail_to_open) {
        return Z_MEM_ERROR;
    }
    stream->zalloc = count_alloc;
    stream->zfree = count_free;
    memory.open++;
    return __real_inflateInit2_(stream, bits, version, size);
}

int __wrap_deflateInit2_(z_stream *stream, int level, int method, int bits, int level_of_memory,
                         int strategy, const char *version, int size)
{
    if (memory.fail_to_open) {
        return Z_MEM_ERROR;
    }
    stream->zalloc = count_alloc;
    stream->zfree = count_free;
    memory.open++;
    return __real_deflateInit2_(stream, level, method, bits, level_of_memory, strategy, version,
                                size);
}

static int forget_memory(void **state)
{
    (void)state;
    memset(&memory, 0, sizeof(memory));
    return 0;
}

/* ---- Negotiation --------------------------------------------------------------------------- */

#define PMD "permessage-deflate"
#define SNC "; server_no_context_takeover"
#define CNC "; client_no_context_takeover"

static const ws_deflate_policy standard = WS_DEFLATE_POLICY;
static const ws_deflate_policy takeover = {true, 15, 128};
static const ws_deflate_policy narrow = {true, 10, 0};
static const ws_deflate_policy full = {false, 10, 128};

typedef struct negotiation {
    const char *offers;
    const ws_deflate_policy *policy;
    ws_extensions result;
    const char *response;
    uint8_t server_bits, client_bits; /* where agreed */
    bool client_no_context_takeover;
} negotiation;

#define AGREED(response, server, client, no)                                                       \
    WS_EXTENSIONS_DEFLATE, PMD SNC response, server, client, no
#define NONE      WS_EXTENSIONS_NONE, "", 0, 0, false
#define MALFORMED WS_EXTENSIONS_MALFORMED, "", 0, 0, false

static void negotiate_all(const negotiation *table, size_t count)
{
    char response[WS_DEFLATE_RESPONSE];
    ws_deflate_params params;

    for (size_t i = 0; i < count; i++) {
        const negotiation *row = &table[i];
        bool agreed = row->result == WS_EXTENSIONS_DEFLATE;

        memset(response, 'x', sizeof(response));
        if (ws_deflate_negotiate(row->offers, row->policy, &params, response) != row->result) {
            fail_msg("'%s': other result", row->offers);
        }
        if (strcmp(response, row->response) != 0) {
            fail_msg("'%s': '%s', expected '%s'", row->offers, response, row->response);
        }
        assert_int_equal(params.agreed, agreed);
        assert_int_equal(params.server_window_bits, row->server_bits);
        assert_int_equal(params.client_window_bits, row->client_bits);
        assert_int_equal(params.client_no_context_takeover, row->client_no_context_takeover);
        assert_int_equal(params.all_compressed, row->client_no_context_takeover);
        assert_int_equal(params.threshold, agreed ? row->policy->threshold : 0);
        assert_int_equal(ws_deflate_kept(&params),
                         agreed && !row->client_no_context_takeover ? 1u << row->client_bits : 0);
    }
}

static void s7_1_offers_and_responses(void **state)
{
    static const negotiation table[] = {
        /* what browsers send: Firefox, Chromium */
        {PMD, &standard, AGREED("", 15, 15, false)},
        {PMD "; client_max_window_bits", &standard,
         AGREED("; client_max_window_bits=10", 15, 10, false)},
        {PMD, &takeover, AGREED("", 15, 15, false)},
        {PMD "; client_max_window_bits", &takeover, AGREED("", 15, 15, false)},
        /* 7.1.1.1: always agreed, offered or not */
        {PMD SNC, &takeover, AGREED("", 15, 15, false)},
        /* 7.1.1.2: answered where offered, and nowhere else */
        {PMD CNC, &standard, AGREED(CNC, 15, 15, true)},
        {PMD SNC CNC, &standard, AGREED(CNC, 15, 15, true)},
        {PMD CNC "; client_max_window_bits", &standard, AGREED(CNC, 15, 15, true)},
        {PMD CNC "; client_max_window_bits=11", &standard,
         AGREED(CNC "; client_max_window_bits=11", 15, 11, true)},
        {PMD CNC, &full, AGREED(CNC, 15, 15, true)},
        /* 7.1.2.1: the bits offered are the bits answered */
        {PMD "; server_max_window_bits=15", &takeover,
         AGREED("; server_max_window_bits=15", 15, 15, false)},
        {PMD "; server_max_window_bits=10", &takeover,
         AGREED("; server_max_window_bits=10", 10, 15, false)},
        {PMD "; server_max_window_bits=9", &takeover,
         AGREED("; server_max_window_bits=9", 9, 15, false)},
        {PMD "; server_max_window_bits=8", &takeover,
         AGREED("; server_max_window_bits=8", 8, 15, false)},
        /* 7.1.2.2: answered only where offered, never with more than offered */
        {PMD "; client_max_window_bits=12", &takeover,
         AGREED("; client_max_window_bits=12", 15, 12, false)},
        {PMD "; client_max_window_bits=15", &takeover, AGREED("", 15, 15, false)},
        {PMD "; client_max_window_bits=8", &narrow,
         AGREED("; client_max_window_bits=8", 15, 8, false)},
        {PMD "; client_max_window_bits", &narrow,
         AGREED("; client_max_window_bits=10", 15, 10, false)},
        {PMD "; client_max_window_bits=15", &narrow,
         AGREED("; client_max_window_bits=10", 15, 10, false)},
        {PMD "; client_max_window_bits=9", &narrow,
         AGREED("; client_max_window_bits=9", 15, 9, false)},
        {PMD, &narrow, AGREED("", 15, 15, false)},
        /* all four */
        {PMD "; client_max_window_bits=11; server_max_window_bits=12" CNC SNC, &takeover,
         AGREED(CNC "; server_max_window_bits=12; client_max_window_bits=11", 12, 11, true)},
    };

    (void)state;
    negotiate_all(table, COUNT(table));
}

static void s7_1_offers_that_are_declined(void **state)
{
    static const negotiation table[] = {
        {NULL, &standard, NONE},
        {"", &standard, NONE},
        {" , ,", &standard, NONE},
        {"x-webkit-deflate-frame", &standard, NONE},
        {"Permessage-Deflate", &standard, NONE},
        {PMD "2", &standard, NONE},
        {"permessage-deflat", &standard, NONE},
        {"foo; x=\"" PMD "\"", &standard, NONE},
        /* nothing may be kept, and what the client offers would have to be */
        {PMD, &full, NONE},
        {PMD "; client_max_window_bits", &full, NONE},
        {PMD "; client_max_window_bits=9", &full, NONE},
        {PMD SNC, &full, NONE},
        /* unknown, twice, wrong, missing or superfluous values */
        {PMD "; unknown", &standard, NONE},
        {PMD "; unknown=1", &standard, NONE},
        {PMD "; Server_No_Context_Takeover", &standard, NONE},
        {PMD "; server_no_context_takeove", &standard, NONE},
        {PMD SNC SNC, &standard, NONE},
        {PMD CNC CNC, &standard, NONE},
        {PMD "; server_max_window_bits=10; server_max_window_bits=10", &standard, NONE},
        {PMD "; client_max_window_bits; client_max_window_bits", &standard, NONE},
        {PMD "; client_max_window_bits=9; client_max_window_bits", &standard, NONE},
        {PMD "; server_no_context_takeover=1", &standard, NONE},
        {PMD "; client_no_context_takeover=true", &standard, NONE},
        {PMD "; server_max_window_bits", &standard, NONE},
        {PMD "; server_max_window_bits=7", &standard, NONE},
        {PMD "; server_max_window_bits=16", &standard, NONE},
        {PMD "; server_max_window_bits=20", &standard, NONE},
        {PMD "; server_max_window_bits=0", &standard, NONE},
        {PMD "; server_max_window_bits=08", &standard, NONE},
        {PMD "; server_max_window_bits=010", &standard, NONE},
        {PMD "; server_max_window_bits=100", &standard, NONE},
        {PMD "; server_max_window_bits=+9", &standard, NONE},
        {PMD "; server_max_window_bits=1x", &standard, NONE},
        {PMD "; server_max_window_bits=80", &standard, NONE},
        {PMD "; server_max_window_bits=9x", &standard, NONE},
        {PMD "; server_max_window_bits=x", &standard, NONE},
        {PMD "; server_max_window_bits=18446744073709551626", &standard, NONE},
        {PMD "; client_max_window_bits=7", &standard, NONE},
        {PMD "; client_max_window_bits=16", &standard, NONE},
        {PMD "; client_max_window_bits=012", &standard, NONE},
        {PMD "; client_max_window_bits=-9", &standard, NONE},
    };

    (void)state;
    negotiate_all(table, COUNT(table));
}

static void s5_1_the_first_acceptable_offer(void **state)
{
    static const negotiation table[] = {
        /* section 7.1.3's examples */
        {PMD, &takeover, AGREED("", 15, 15, false)},
        {PMD "; client_max_window_bits; server_max_window_bits=10, " PMD "; client_max_window_bits",
         &takeover, AGREED("; server_max_window_bits=10", 10, 15, false)},
        /* the first is declined */
        {PMD "; server_max_window_bits=7, " PMD "; server_max_window_bits=9", &takeover,
         AGREED("; server_max_window_bits=9", 9, 15, false)},
        {PMD "; unknown=1,\t" PMD, &takeover, AGREED("", 15, 15, false)},
        {PMD "; x, " PMD "; y," PMD CNC "," PMD, &takeover, AGREED(CNC, 15, 15, true)},
        {PMD ", " PMD CNC ", " PMD, &full, AGREED(CNC, 15, 15, true)},
        /* other extensions, also with quoted commas and semicolons */
        {"foo, " PMD, &takeover, AGREED("", 15, 15, false)},
        {"foo; bar; baz=\"x-y\"; q=1 , " PMD ", x", &takeover, AGREED("", 15, 15, false)},
        {PMD SNC ", foo; bar", &takeover, AGREED("", 15, 15, false)},
    };

    (void)state;
    negotiate_all(table, COUNT(table));
}

/* RFC 6455 section 9.1: the grammar, white space and quoted values included. */
static void rfc6455_s9_1_grammar(void **state)
{
    static const negotiation table[] = {
        {" \t" PMD "\t ;\tserver_max_window_bits = 10 ", &takeover,
         AGREED("; server_max_window_bits=10", 10, 15, false)},
        {",, " PMD " ,,", &takeover, AGREED("", 15, 15, false)},
        {PMD "; server_max_window_bits=\"10\"", &takeover,
         AGREED("; server_max_window_bits=10", 10, 15, false)},
        {PMD "; server_max_window_bits=\"1\\0\"", &takeover,
         AGREED("; server_max_window_bits=10", 10, 15, false)},
        {PMD "; client_max_window_bits=\"9\"; server_no_context_takeover", &takeover,
         AGREED("; client_max_window_bits=9", 15, 9, false)},
        {PMD "; server_max_window_bits=\"010\"", &takeover, NONE},
        {PMD "; client_no_context_takeover=\"x\"", &takeover, NONE},
        {PMD ";", &takeover, MALFORMED},
        {PMD "; ", &takeover, MALFORMED},
        {PMD ";;"
             "client_no_context_takeover",
         &takeover, MALFORMED},
        {PMD "; =10", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=;", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=\"\"", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=\"10", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=\"10\\", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=\"1 0\"", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=\"1,0\"", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=\"10\"x", &takeover, MALFORMED},
        {PMD "; server_max_window_bits=10 11", &takeover, MALFORMED},
        {PMD " " PMD, &takeover, MALFORMED},
        {PMD " client_no_context_takeover", &takeover, MALFORMED},
        {"; " PMD, &takeover, MALFORMED},
        {PMD "/1", &takeover, MALFORMED},
        {"\"" PMD "\"", &takeover, MALFORMED},
        {PMD ", \xC3\xA4", &takeover, MALFORMED},
        {PMD ", foo;", &takeover, MALFORMED}, /* also behind an acceptable offer */
        {PMD "\r\n", &takeover, MALFORMED},
    };

    (void)state;
    negotiate_all(table, COUNT(table));
}

/* ---- A client, and a session's end of it ---------------------------------------------------- */

static ws_deflate_params agreed(uint8_t server_bits, uint8_t client_bits, bool client_takeover)
{
    return (ws_deflate_params){.agreed = true,
                               .client_no_context_takeover = !client_takeover,
                               .server_window_bits = server_bits,
                               .client_window_bits = client_bits};
}

static void pick_text(uint8_t *data, size_t length, unsigned kind)
{
    static const char words[] =
        "[\"thermometer/i2c0-48\", {\"temperature\": [21.50, \"\xE2\x84\x83\"]}]\n";

    for (size_t i = 0; i < length; i++) {
        data[i] = kind == 0   ? (uint8_t)words[i % (sizeof(words) - 1)]
                  : kind == 1 ? (uint8_t)rand()
                  : kind == 2 ? (uint8_t)(rand() % 4)
                              : (uint8_t)words[(size_t)rand() % 8 + i % 40];
    }
}

typedef struct outcome {
    ws_event event; /* the last: FAIL, or the piece */
    uint8_t *data;
    size_t length;
    bool done;
} outcome;

/*
 * Inflates a message given in pieces of at most `piece` bytes into steps of at most `room` bytes,
 * as a session would: pieces in buffers of their exact size, output into memory of the exact size.
 */
static outcome inflate_message(ws_inflate *inflater, bool text, const uint8_t *data, size_t length,
                               size_t piece, size_t room)
{
    outcome result = {.data = malloc(1)};
    size_t at = 0;
    bool last = false;

    while (!last) {
        size_t size = length - at < piece ? length - at : piece;
        uint8_t *copy = malloc(size + 1);
        ws_inflate_status status;

        if (size > 0) {
            memcpy(copy, data + at, size);
        }
        last = at + size == length;
        result.event = (ws_event){.kind = WS_EVENT_DATA,
                                  .text = text,
                                  .compressed = true,
                                  .first = at == 0,
                                  .last = last,
                                  .data = copy,
                                  .length = size};
        at += size;
        do {
            uint8_t *out = malloc(room);
            size_t written;

            status = ws_inflate_next(inflater, &result.event, out, room, &written);
            assert_true(written <= room);
            assert_true(status != WS_INFLATE_FULL || written == room);
            result.data = realloc(result.data, result.length + written + 1);
            memcpy(result.data + result.length, out, written);
            result.length += written;
            free(out);
        } while (status == WS_INFLATE_FULL);
        free(copy);
        if (status == WS_INFLATE_FAIL) {
            assert_int_equal(result.event.kind, WS_EVENT_FAIL);
            assert_non_null(strstr(result.event.reason, " section "));
            assert_null(inflater->stream);
            return result;
        }
        assert_int_equal(result.event.kind, WS_EVENT_DATA);
        assert_int_equal(result.event.length, 0);
    }
    result.done = true;
    return result;
}

static void expect_message(ws_inflate *inflater, bool text, const void *data, size_t length,
                           const void *expected, size_t expected_length, size_t piece, size_t room)
{
    outcome got = inflate_message(inflater, text, data, length, piece, room);

    if (!got.done) {
        fail_msg("%u: %s", got.event.close_code, got.event.reason);
    }
    assert_int_equal(got.length, expected_length);
    assert_memory_equal(got.data, expected, expected_length);
    free(got.data);
}

/* Expects a failure, however the message is divided; returns how many bytes came out at most. */
static void expect_failure(const ws_deflate_params *params, uint64_t max, bool text,
                           const void *data, size_t length, uint16_t code)
{
    static const size_t sizes[] = {1, 2, 3, 100, 100000};

    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (size_t j = 0; j < COUNT(sizes); j++) {
            ws_inflate inflater;
            outcome got;

            ws_inflate_init(&inflater, params, max);
            got = inflate_message(&inflater, text, data, length, sizes[i], sizes[j]);
            if (got.done) {
                fail_msg("passed, in pieces of %zu", sizes[i]);
            }
            assert_int_equal(got.event.close_code, code);
            assert_true(max == 0 || got.length <= max);
            free(got.data);
            ws_inflate_end(&inflater);
        }
    }
}

/* What a client's zlib makes of a message; `stream` may carry its context on. */
static size_t client_deflate(z_stream *stream, const uint8_t *data, size_t length, uint8_t *out,
                             size_t size)
{
    stream->next_in = (uint8_t *)data;
    stream->avail_in = (uInt)length;
    stream->next_out = out;
    stream->avail_out = (uInt)size;
    assert_int_equal(deflate(stream, Z_SYNC_FLUSH), Z_OK);
    assert_true(stream->avail_out > 0);
    assert_memory_equal(stream->next_out - 4, "\0\0\xFF\xFF", 4);
    return size - stream->avail_out - 4;
}

/* ---- Section 7.2.3's examples ---------------------------------------------------------------- */

static void s7_2_3_examples_are_inflated(void **state)
{
    static const struct {
        const char *data;
        size_t length;
        const char *text;
    } table[] = {
        {"\xF2\x48\xCD\xC9\xC9\x07\x00", 7, "Hello"},                          /* 7.2.3.1 */
        {"\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00", 11, "Hello"},         /* 7.2.3.3 */
        {"\xF3\x48\xCD\xC9\xC9\x07\x00\x00", 8, "Hello"},                      /* 7.2.3.4 */
        {"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00", 13, "Hello"}, /* 7.2.3.5 */
        {"\x00", 1, ""},                                                       /* 7.2.3.6 */
        {"\x02\x00", 2, ""},                          /* another empty block, fixed Huffman codes */
        {"\xF3\x48\xCD\xC9\xC9\x07\x00", 7, "Hello"}, /* 7.2.3.4, the byte behind it missing */
        {"", 0, ""},                                  /* the tail alone is a block */
    };
    ws_deflate_params params = agreed(15, 15, true);

    (void)state;
    for (size_t i = 0; i + 1 < COUNT(table); i++) {
        for (size_t piece = 1; piece <= 14; piece++) {
            for (size_t room = 1; room <= 7; room++) {
                ws_inflate inflater;

                ws_inflate_init(&inflater, &params, 5);
                for (int again = 0; again < 3; again++) {
                    expect_message(&inflater, true, table[i].data, table[i].length, table[i].text,
                                   strlen(table[i].text), piece, room);
                }
                ws_inflate_end(&inflater);
            }
        }
    }
}

static void s7_2_3_2_sharing_the_window(void **state)
{
    static const char first[] = "\xF2\x48\xCD\xC9\xC9\x07\x00", second[] = "\xF2\x00\x11\x00\x00";
    ws_deflate_params params = agreed(15, 15, true);
    ws_inflate inflater;
    outcome got;

    (void)state;
    for (size_t piece = 1; piece <= 7; piece++) {
        ws_inflate_init(&inflater, &params, 5);
        expect_message(&inflater, true, first, 7, "Hello", 5, piece, 1);
        expect_message(&inflater, true, second, 5, "Hello", 5, piece, 1);
        expect_message(&inflater, true, second, 5, "Hello", 5, piece, 1);
        ws_inflate_end(&inflater);
    }
    params.client_no_context_takeover = true; /* agreed, and broken by the client */
    ws_inflate_init(&inflater, &params, 5);
    expect_message(&inflater, true, first, 7, "Hello", 5, 7, 8);
    got = inflate_message(&inflater, true, (const uint8_t *)second, 5, 5, 8);
    assert_false(got.done);
    assert_int_equal(got.event.close_code, WS_CLOSE_BAD_DATA);
    free(got.data);
}

/* Section 7.2.3.4: a block with BFINAL ends nothing but itself; the window goes on. */
static void s7_2_3_4_final_blocks(void **state)
{
    static const char final[] = "\xF3\x48\xCD\xC9\xC9\x07\x00", again[] = "\xF2\x00\x11\x00\x00";
    static const char both[] = "\xF3\x48\xCD\xC9\xC9\x07\x00\xF2\x00\x11\x00\x00";
    static const char three[] = "\x01\x00\x00\xFF\xFF\x03\x00\xF3\x48\xCD\xC9\xC9\x07\x00";
    ws_deflate_params params = agreed(15, 15, true);

    (void)state;
    for (size_t piece = 1; piece <= 14; piece++) {
        for (size_t room = 1; room <= 12; room++) {
            ws_inflate inflater;

            ws_inflate_init(&inflater, &params, 10);
            expect_message(&inflater, true, final, 7, "Hello", 5, piece, room);
            expect_message(&inflater, true, again, 5, "Hello", 5, piece, room);
            expect_message(&inflater, true, both, 12, "HelloHello", 10, piece, room);
            expect_message(&inflater, true, three, 14, "Hello", 5, piece, room);
            ws_inflate_end(&inflater);
        }
    }
}

/*
 * Section 7.2.3.6 and RFC 1951 section 3.2: empty blocks of every kind add nothing, wherever they
 * stand and however many they are. Each begins and ends at a byte here; "Hello" lies between them
 * in two blocks.
 */
static void s7_2_3_6_empty_blocks_anywhere(void **state)
{
    static const struct {
        const char *data;
        size_t length;
    } empty[] = {
        {"", 0},
        {"\x00\x00\x00\xFF\xFF", 5},                      /* stored */
        {"\x01\x00\x00\xFF\xFF", 5},                      /* the same with BFINAL */
        {"\x02\x00\x00\x00\xFF\xFF", 6},                  /* fixed codes, then stored */
        {"\x03\x00", 2},                                  /* fixed codes with BFINAL */
        {"\x00\x00\x00\xFF\xFF\x00\x00\x00\xFF\xFF", 10}, /* two */
    };
    static const char hel[] = "\xF2\x48\xCD\x01\x00\x00\x00\xFF\xFF"; /* "Hel", flushed */
    static const char lo[] = "\xCA\xC9\x07\x00\x00\x00\xFF\xFF";      /* "lo", flushed */
    ws_deflate_params params = agreed(15, 15, true);
    size_t n = COUNT(empty);

    (void)state;
    for (size_t way = 0; way < n * n * n; way++) {
        const size_t kinds[] = {way % n, way / n % n, way / n / n};
        char data[96];
        size_t used = 0, times = 1 + way % 2;

        for (size_t part = 0; part < 3; part++) {
            for (size_t i = 0; i < times; i++) {
                memcpy(data + used, empty[kinds[part]].data, empty[kinds[part]].length);
                used += empty[kinds[part]].length;
            }
            if (part < 2) {
                size_t length = part == 0 ? sizeof(hel) - 1 : sizeof(lo) - 1;

                memcpy(data + used, part == 0 ? hel : lo, length);
                used += length;
            }
        }
        data[used++] = '\0'; /* and the one whose tail is not sent */
        for (size_t piece = 1; piece <= sizeof(data); piece = piece * 3 + 1) {
            ws_inflate inflater;

            ws_inflate_init(&inflater, &params, 5);
            expect_message(&inflater, true, data, used, "Hello", 5, piece, 3);
            ws_inflate_end(&inflater);
        }
    }
}

static void s7_2_3_examples_are_made(void **state)
{
    static const struct {
        const char *text, *data;
        size_t length;
    } table[] = {
        {"Hello", "\xF2\x48\xCD\xC9\xC9\x07\x00", 7}, /* 7.2.3.1 */
        {"", "\x00", 1},                              /* 7.2.3.6 */
    };
    ws_deflate *compressor = ws_deflate_create(6);
    uint8_t out[32];

    (void)state;
    for (int again = 0; again < 2; again++) {
        for (unsigned window = 9; window <= 15; window += 3) {
            for (size_t i = 0; i < COUNT(table); i++) {
                assert_int_equal(ws_deflate_message(compressor, window,
                                                    (const uint8_t *)table[i].text,
                                                    strlen(table[i].text), out, sizeof(out)),
                                 table[i].length);
                assert_memory_equal(out, table[i].data, table[i].length);
            }
        }
    }
    ws_deflate_destroy(compressor);
}

/* From the wire: section 7.2.3.1's frames, whole and fragmented, with a ping in between. */
static void s7_2_3_1_frames(void **state)
{
    static const uint8_t wire[] = {
        0xC1, 0x07, 0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, /* a frame */
        0x41, 0x03, 0xF2, 0x48, 0xCD, 0x89, 0x01, 'p',        /* fragments */
        0x80, 0x04, 0xC9, 0xC9, 0x07, 0x00, 0x81, 0x05, 'p',  'l', 'a', 'i', 'n',
    };
    ws_deflate_params params = agreed(15, 15, false);
    uint8_t copy[sizeof(wire)], text[16];
    char got[64] = "";

    (void)state;
    for (size_t piece = 1; piece <= sizeof(wire); piece++) {
        ws_parser parser;
        ws_inflate inflater;
        size_t used = 0;

        memcpy(copy, wire, sizeof(wire));
        memset(got, 0, sizeof(got));
        ws_parser_init(&parser, 5, false, true);
        ws_inflate_init(&inflater, &params, 5);
        for (size_t at = 0; at < sizeof(wire);) {
            uint8_t *begin = copy + at, *end;
            ws_event event;

            at = at + piece < sizeof(wire) ? at + piece : sizeof(wire);
            end = copy + at;
            while (ws_parser_next(&parser, &begin, end, &event)) {
                size_t written = event.length;
                bool last = event.last;

                if (event.kind == WS_EVENT_PING) {
                    continue;
                }
                if (event.compressed) {
                    assert_int_equal(
                        ws_inflate_next(&inflater, &event, text, sizeof(text), &written),
                        WS_INFLATE_DONE);
                } else {
                    memcpy(text, event.data, event.length);
                }
                memcpy(got + used, text, written);
                used += written;
                if (last) {
                    got[used++] = '|';
                }
            }
        }
        assert_string_equal(got, "Hello|Hello|plain|");
        ws_inflate_end(&inflater);
    }
}

/* ---- Compressing ----------------------------------------------------------------------------- */

static void s7_1_2_windows_by_length(void **state)
{
    ws_deflate_params params = agreed(15, 15, false), none = {.agreed = false};
    static const struct {
        uint8_t bits;
        size_t length;
        unsigned window;
    } table[] = {
        {15, 0, 9},        {15, 250, 9}, {15, 251, 12},  {15, 3834, 12},  {15, 3835, 15},
        {15, 1 << 24, 15}, {14, 250, 9}, {14, 251, 12},  {14, 99999, 12}, {12, 251, 12},
        {12, 99999, 12},   {11, 250, 9}, {11, 99999, 9}, {9, 99999, 9},   {8, 99999, 9},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        params.server_window_bits = table[i].bits;
        assert_int_equal(ws_deflate_window(&params, table[i].length), table[i].window);
    }
    params.threshold = 128;
    assert_int_equal(ws_deflate_window(&params, 127), 0);
    assert_int_equal(ws_deflate_window(&params, 128), 9);
    assert_int_equal(ws_deflate_window(&none, 5000), 0);
}

/*
 * The client's zlib has exactly the window that was agreed, 8 bits included; nothing may exceed it.
 */
static void s7_1_2_1_no_distance_beyond_the_agreed_window(void **state)
{
    ws_deflate *compressor = ws_deflate_create(9);
    const size_t most = 40000, room = 50000;
    uint8_t *data = malloc(most), *out = malloc(room), *back = malloc(most);

    (void)state;
    srand(7692);
    for (int round = 0; round < 1200; round++) {
        ws_deflate_params params = agreed((uint8_t)(8 + round % 8), 15, false);
        size_t length = (size_t)rand() % (round % 3 ? 2000 : most), used;
        z_stream client = {.next_in = out};

        pick_text(data, length, (unsigned)round % 4);
        if (round % 5 == 0) { /* a repetition at any distance */
            memcpy(data + length / 2, data, length / 2);
        }
        used = ws_deflate_message(compressor, ws_deflate_window(&params, length), data, length, out,
                                  room);
        assert_in_range(used, 1, ws_compressed_bound(length + 1));
        memcpy(out + used, "\0\0\xFF\xFF", 4);
        assert_int_equal(
            __real_inflateInit2_(&client, -params.server_window_bits, ZLIB_VERSION, sizeof(client)),
            Z_OK);
        client.avail_in = (uInt)used + 4;
        for (size_t at = 0; at < length || client.avail_in > 0;) {
            int result;

            client.next_out = back + at; /* in small steps: zlib then has its window only */
            client.avail_out = at + 64 < most ? 64 : (uInt)(most - at);
            result = inflate(&client, Z_SYNC_FLUSH);
            if (result != Z_OK) {
                fail_msg("%u bits, round %d: %s", params.server_window_bits, round, client.msg);
            }
            at = (size_t)(client.next_out - back);
        }
        assert_int_equal(client.total_out, length);
        assert_memory_equal(back, data, length);
        inflateEnd(&client);
    }
    free(data);
    free(out);
    free(back);
    ws_deflate_destroy(compressor);
}

static void one_result_serves_all_sessions(void **state)
{
    ws_deflate_params wide = agreed(15, 15, false), small = agreed(8, 15, false);
    ws_deflate *compressor = ws_deflate_create(6);
    uint8_t text[250], once[300], again[300];
    size_t length;

    (void)state;
    pick_text(text, sizeof(text), 0);
    assert_int_equal(ws_deflate_window(&wide, sizeof(text)),
                     ws_deflate_window(&small, sizeof(text)));
    length = ws_deflate_message(compressor, 9, text, sizeof(text), once, sizeof(once));
    assert_in_range(length, 1, 120);
    assert_int_equal(ws_deflate_message(compressor, 9, text, sizeof(text), again, sizeof(again)),
                     length);
    assert_memory_equal(once, again, length); /* nothing was carried over */
    ws_deflate_destroy(compressor);
}

/* A message without compression, of any length, is 7.2.3.3's form, and every zlib reads it. */
static void s7_2_3_3_stored_messages(void **state)
{
    static const size_t lengths[] = {0, 1, 5, 127, 65534, 65535, 65536, 131070, 200000};
    ws_deflate_params params = agreed(15, 8, false);

    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const size_t size = ws_deflate_stored_size(lengths[i]);
        uint8_t *data = malloc(lengths[i] + 1), *out = malloc(size); /* not a byte more */
        ws_inflate inflater;

        pick_text(data, lengths[i], 0);
        ws_deflate_store(data, lengths[i], out);
        ws_inflate_init(&inflater, &params, 0);
        expect_message(&inflater, false, out, size, data, lengths[i], 70000, 300000);
        ws_inflate_end(&inflater);
        if (lengths[i] == 5) {
            ws_deflate_store((const uint8_t *)"Hello", 5, out);
            assert_int_equal(size, 11);
            assert_memory_equal(out, "\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00", size);
        }
        free(data);
        free(out);
    }
}

static void what_does_not_fit_is_sent_plain(void **state)
{
    ws_deflate *compressor = ws_deflate_create(1);
    uint8_t noise[1000], *out;

    (void)state;
    for (size_t size = 1; size <= 40; size++) { /* "Hello" takes 7 bytes, and room for 5 more */
        out = malloc(size);
        assert_int_equal(ws_deflate_message(compressor, 9, (const uint8_t *)"Hello", 5, out, size),
                         size >= 12 ? 7 : 0);
        free(out);
    }
    srand(1);
    pick_text(noise, sizeof(noise), 1);
    out = malloc(sizeof(noise));
    for (unsigned window = 9; window <= 15; window += 3) {
        assert_int_equal(
            ws_deflate_message(compressor, window, noise, sizeof(noise), out, sizeof(noise)), 0);
    }
    pick_text(noise, sizeof(noise), 0); /* and what did not fit leaves no trace */
    assert_in_range(ws_deflate_message(compressor, 12, noise, sizeof(noise), out, sizeof(noise)), 1,
                    300);
    free(out);
    ws_deflate_destroy(compressor);
    ws_deflate_destroy(NULL);
}

/* ---- Inflating ------------------------------------------------------------------------------- */

/* Messages as clients' zlib makes them, with all agreements, in pieces of all sizes. */
static void s7_2_2_messages_there_and_back(void **state)
{
    const size_t most = 70000, room_out = 90000;
    uint8_t *data = malloc(most), *out = malloc(room_out);

    (void)state;
    srand(2015);
    for (int round = 0; round < 160; round++) {
        bool keep = round % 2;
        uint8_t bits = (uint8_t)(9 + round % 7);
        ws_deflate_params params = agreed(15, bits, keep);
        z_stream client = {.zalloc = NULL};
        ws_inflate inflater;

        ws_inflate_init(&inflater, &params, most);
        assert_int_equal(__real_deflateInit2_(&client, 1 + round % 9, Z_DEFLATED, -bits,
                                              1 + round % 9, round % 5, ZLIB_VERSION,
                                              sizeof(client)),
                         Z_OK);
        for (int message = 0; message < 6; message++) {
            size_t length = (size_t)rand() % (message == 3 ? most : 600), used;
            size_t sizes = length < 600 && rand() % 2 ? 7 : 5000; /* tiny ones cost time */
            size_t piece = 1 + (size_t)rand() % sizes, room = 1 + (size_t)rand() % sizes;

            pick_text(data, length, (unsigned)rand() % 4);
            used = client_deflate(&client, data, length, out, room_out);
            assert_true(used <= ws_compressed_bound(length == 0 ? 1 : length));
            expect_message(&inflater, false, out, used, data, length, piece, room);
            if (!keep) {
                deflateReset(&client);
            }
        }
        deflateEnd(&client);
        ws_inflate_end(&inflater);
    }
    free(data);
    free(out);
}

static void s7_1_2_2_the_client_keeps_to_its_window(void **state)
{
    ws_deflate_params params = agreed(15, 9, false);
    uint8_t data[1400], out[1600];
    z_stream client = {.zalloc = NULL};
    ws_inflate inflater;
    outcome got;
    size_t used;

    (void)state;
    srand(9);
    pick_text(data, 700, 1);
    memcpy(data + 700, data, 700); /* a distance of 700 bytes: more than 512 */
    assert_int_equal(
        __real_deflateInit2_(&client, 9, Z_DEFLATED, -15, 8, 0, ZLIB_VERSION, sizeof(client)),
        Z_OK);
    used = client_deflate(&client, data, sizeof(data), out, sizeof(out));
    deflateEnd(&client);
    ws_inflate_init(&inflater, &params, 0);
    got = inflate_message(&inflater, false, out, used, 50, 64);
    assert_false(got.done);
    assert_int_equal(got.event.close_code, WS_CLOSE_BAD_DATA);
    free(got.data);

    /* 8 bits were agreed, for which zlib takes 9 and never refers back further than 250 bytes. */
    params.client_window_bits = 8;
    assert_int_equal(
        __real_deflateInit2_(&client, 9, Z_DEFLATED, -9, 8, 0, ZLIB_VERSION, sizeof(client)), Z_OK);
    memmove(data + 240, data, 700);
    used = client_deflate(&client, data, 940, out, sizeof(out));
    deflateEnd(&client);
    ws_inflate_init(&inflater, &params, 0);
    expect_message(&inflater, false, out, used, data, 940, 50, 64);
    ws_inflate_end(&inflater);
}

static void s7_2_2_what_is_no_deflate(void **state)
{
    static const struct {
        const char *data;
        size_t length;
    } table[] = {
        {"\xFF", 1},                                 /* block type 3 */
        {"\x06", 1},                                 /* the same, BFINAL not set */
        {"\xF2\x48\xCD", 3},                         /* cut off inside a block */
        {"\xF2\x48\xCD\xC9\xC9", 5},                 /* the same; the tail gives another end */
        {"\xF2\x48\xCD\xC9\xC9\x07", 6},             /* the tail gives the right end, too late */
        {"\xF3\x48\xCD\xC9\xC9\x07", 6},             /* the same, BFINAL set */
        {"\x00\x05\x00\xFA\xFF\x48\x65", 7},         /* stored block, cut off */
        {"\x00\x09\x00\xF6\xFF\x48\x65", 7},         /* the same, the tail is not enough */
        {"\x00\x05\x00\xFA\xFE", 5},                 /* lengths that do not match */
        {"\xF2\x00\x11\x00\x00", 5},                 /* refers to a message that never was */
        {"\xF3\x48\xCD\xC9\xC9\x07\x00\x00\x00", 9}, /* half a block behind the last */
        {"\xF3\x48\xCD\xC9\xC9\x07\x00\xFF", 8},     /* garbage behind the last block */
        {"\x04", 1},                                 /* dynamic codes, cut off */
        {"\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF\x00\x00", 13}, /* half a block, at the end */
        /* its end-of-block code is 15 ones: the tail ends it, and has a bit left */
        {"\x04\xE0\x81\x92\x24\x49\x92\x24\xC9\x7E\x2B\x12\x8B\x9A\x47\x56\xCF\xDE\xFB\x7F\x00\x00"
         "\x80\x07",
         24},
    };
    ws_deflate_params params = agreed(15, 15, true);

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        expect_failure(&params, 0, false, table[i].data, table[i].length, WS_CLOSE_BAD_DATA);
    }
}

/* 16 MiB of zeros in 16 KiB, against a bound of 16 KiB: zlib's own memory is all that it costs. */
static void s8_a_bomb_is_stopped_at_the_bound(void **state)
{
    const size_t length = 16 << 20, size = 32 << 10, max = 16384;
    uint8_t *zeros = calloc(1, length), *bomb = malloc(size), out[1000];
    ws_deflate_params params = agreed(15, 15, false);
    z_stream client = {.zalloc = NULL};
    ws_event piece = {.kind = WS_EVENT_DATA, .compressed = true, .first = true, .last = true};
    ws_inflate inflater;
    ws_inflate_status status;
    size_t total = 0, written;

    (void)state;
    assert_int_equal(
        __real_deflateInit2_(&client, 9, Z_DEFLATED, -15, 9, 0, ZLIB_VERSION, sizeof(client)),
        Z_OK);
    piece.length = client_deflate(&client, zeros, length, bomb, size);
    deflateEnd(&client);
    piece.data = bomb;
    ws_inflate_init(&inflater, &params, max);
    do {
        status = ws_inflate_next(&inflater, &piece, out, sizeof(out), &written);
        total += written;
    } while (status == WS_INFLATE_FULL);
    assert_int_equal(status, WS_INFLATE_FAIL);
    assert_int_equal(piece.close_code, WS_CLOSE_TOO_BIG);
    assert_true(total <= max);
    assert_in_range(memory.most, 1, 40 * KIB);
    assert_int_equal(memory.used, 0);
    assert_int_equal(ws_inflate_next(&inflater, &piece, out, sizeof(out), &written),
                     WS_INFLATE_FAIL); /* and stays failed */
    free(zeros);
    free(bomb);
}

/* The bound to the byte, and with output room that ends exactly there. */
static void s8_the_bound_is_exact(void **state)
{
    ws_deflate_params params = agreed(15, 15, true);
    uint8_t data[600], out[700];

    (void)state;
    for (size_t length = 1; length <= sizeof(data); length += 7) {
        z_stream client = {.zalloc = NULL};
        size_t used;

        memset(data, 'a', sizeof(data));
        assert_int_equal(
            __real_deflateInit2_(&client, 6, Z_DEFLATED, -15, 8, 0, ZLIB_VERSION, sizeof(client)),
            Z_OK);
        used = client_deflate(&client, data, length, out, sizeof(out));
        deflateEnd(&client);
        for (size_t room = 1; room <= length + 1; room += 1 + length / 5) {
            ws_inflate inflater;

            ws_inflate_init(&inflater, &params, length);
            expect_message(&inflater, true, out, used, data, length, 3, room);
            ws_inflate_end(&inflater);
        }
        if (length > 1) {
            expect_failure(&params, length - 1, true, out, used, WS_CLOSE_TOO_BIG);
        }
    }
}

/* Room for the largest message is enough: what exceeds it fails without asking for more. */
static void s8_a_buffer_of_the_bound_is_enough(void **state)
{
    static uint8_t hello[] = "\xF2\x48\xCD\xC9\xC9\x07\x00";
    ws_deflate_params params = agreed(15, 15, true);

    (void)state;
    for (uint64_t max = 4; max <= 6; max++) {
        ws_event piece = {.kind = WS_EVENT_DATA,
                          .compressed = true,
                          .first = true,
                          .last = true,
                          .data = hello,
                          .length = 7};
        ws_inflate inflater;
        uint8_t out[6];
        size_t written;

        ws_inflate_init(&inflater, &params, max);
        assert_int_equal(ws_inflate_next(&inflater, &piece, out, (size_t)max, &written),
                         max < 5 ? WS_INFLATE_FAIL : WS_INFLATE_DONE);
        assert_int_equal(written, max < 5 ? max : 5);
        ws_inflate_end(&inflater);
    }
}

/* A piece gives all the output that it determines, however little room there is at a time. */
static void s7_2_2_nothing_is_held_back(void **state)
{
    ws_deflate_params params = agreed(15, 15, true);
    ws_deflate *compressor = ws_deflate_create(6);
    uint8_t text[2000], data[200], out[sizeof(text)];
    size_t length;

    (void)state;
    memset(text, 'a', sizeof(text));
    length = ws_deflate_message(compressor, 12, text, sizeof(text), data, sizeof(data));
    for (size_t cut = 1; cut <= length; cut++) {
        size_t total[2] = {0, 0};

        for (int i = 0; i < 2; i++) {
            ws_event piece = {.kind = WS_EVENT_DATA,
                              .compressed = true,
                              .first = true,
                              .data = data,
                              .length = cut};
            ws_inflate_status status;
            ws_inflate inflater;

            ws_inflate_init(&inflater, &params, 0);
            do {
                size_t written;

                status =
                    ws_inflate_next(&inflater, &piece, out, i == 0 ? 1 : sizeof(out), &written);
                total[i] += written;
            } while (status == WS_INFLATE_FULL);
            assert_int_equal(status, WS_INFLATE_DONE);
            ws_inflate_end(&inflater);
        }
        assert_int_equal(total[0], total[1]);
    }
    ws_deflate_destroy(compressor);
}

/* RFC 6455 section 8.1 holds for what comes out, and holds before the message has ended. */
static void rfc6455_s8_1_text_is_utf8(void **state)
{
    static const struct {
        const char *text;
        size_t wrong; /* the byte at which it fails, from 1; 0: it is right */
    } table[] = {
        {"", 0},          {"Hello", 0},     {"21.5 \xE2\x84\x83", 0}, {"\xFFHello", 1},
        {"Hello\xC0", 6}, {"\xE2\x84Z", 3}, {"\xED\xA0\x80", 2},
    };
    ws_deflate_params params = agreed(15, 15, true);
    ws_deflate *compressor = ws_deflate_create(6);
    uint8_t data[64];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        size_t length = strlen(table[i].text), used;
        ws_inflate inflater;

        used = ws_deflate_message(compressor, 9, (const uint8_t *)table[i].text, length, data,
                                  sizeof(data));
        ws_inflate_init(&inflater, &params, 0);
        expect_message(&inflater, false, data, used, table[i].text, length, 1, 1); /* binary */
        if (table[i].wrong == 0) {
            expect_message(&inflater, true, data, used, table[i].text, length, 1, 1);
        } else {
            outcome got = inflate_message(&inflater, true, data, used, 1, 1);

            assert_false(got.done);
            assert_int_equal(got.event.close_code, WS_CLOSE_BAD_DATA);
            assert_int_equal(got.length, table[i].wrong - 1);
            free(got.data);
        }
        ws_inflate_end(&inflater);
    }
    /* "\xE2\x84" ends inside a character; the next message begins with a clean slate. */
    expect_failure(&params, 0, true, "\x7A\xD4\x02\x00", 4, WS_CLOSE_BAD_DATA);
    ws_deflate_destroy(compressor);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static void inflater_memory_is_lazy_and_given_back(void **state)
{
    static const char hello[] = "\xF2\x48\xCD\xC9\xC9\x07\x00";
    ws_deflate_params params = agreed(15, 15, false);
    ws_inflate inflater;

    (void)state;
    ws_inflate_init(&inflater, &params, 100);
    assert_int_equal(memory.open, 0);
    expect_message(&inflater, true, hello, 7, "Hello", 5, 2, 2);
    assert_int_equal(memory.open, 1);
    assert_int_equal(memory.used, 0); /* nothing between messages */
    assert_in_range(memory.most, 1, 40 * KIB);
    expect_message(&inflater, true, hello, 7, "Hello", 5, 2, 2);
    assert_int_equal(memory.open, 2);
    ws_inflate_end(&inflater);

    params.client_no_context_takeover = false;
    ws_inflate_init(&inflater, &params, 100);
    assert_null(inflater.history);
    for (unsigned message = 1; message <= 3; message++) {
        expect_message(&inflater, true, hello, 7, "Hello", 5, 2, 2);
        assert_int_equal(memory.used, 0); /* what was said, and no state of zlib's */
        assert_int_equal(inflater.history_length, 5 * message);
        assert_memory_equal(inflater.history, "HelloHelloHello", inflater.history_length);
    }
    ws_inflate_end(&inflater);
    assert_null(inflater.history);
    ws_inflate_end(&inflater); /* twice is fine */
}

/* No more is kept than the window that was agreed, and exactly its end. */
static void what_is_kept_is_bounded_by_the_window(void **state)
{
    uint8_t data[900], out[1000];

    (void)state;
    srand(10);
    for (uint8_t bits = 8; bits <= 15; bits++) {
        const size_t window = (size_t)1 << bits;
        ws_deflate_params params = agreed(15, bits, true);
        uint8_t *said = malloc(100 * sizeof(data));
        size_t length = 0;
        ws_inflate inflater;

        assert_int_equal(ws_deflate_kept(&params), window);
        ws_inflate_init(&inflater, &params, 0);
        for (int message = 0; message < 100; message++) {
            size_t used = (size_t)rand() % sizeof(data);

            pick_text(data, used, 1);
            memcpy(said + length, data, used);
            length += used;
            ws_deflate_store(data, used, out);
            expect_message(&inflater, false, out, ws_deflate_stored_size(used), data, used, 100,
                           64);
            assert_int_equal(inflater.history_length, length < window ? length : window);
            assert_memory_equal(inflater.history, said + length - inflater.history_length,
                                inflater.history_length);
            assert_int_equal(memory.used, 0);
        }
        ws_inflate_end(&inflater);
        free(said);
    }
}

static void compressor_memory_is_lazy(void **state)
{
    ws_deflate *compressor = ws_deflate_create(6);
    uint8_t out[64];

    (void)state;
    assert_int_equal(memory.open, 0);
    assert_int_equal(ws_deflate_message(compressor, 9, (const uint8_t *)"Hello", 5, out, 64), 7);
    assert_int_equal(ws_deflate_message(compressor, 9, (const uint8_t *)"Hello", 5, out, 64), 7);
    assert_int_equal(memory.open, 1);
    assert_in_range(memory.used, 1, 17 * KIB);
    assert_int_equal(ws_deflate_message(compressor, 12, (const uint8_t *)"Hello", 5, out, 64), 7);
    assert_int_equal(ws_deflate_message(compressor, 15, (const uint8_t *)"Hello", 5, out, 64), 7);
    assert_int_equal(memory.open, 3);
    assert_in_range(memory.used, 1, 332 * KIB);
    ws_deflate_destroy(compressor);
    assert_int_equal(memory.used, 0);
}

static void no_memory_is_said(void **state)
{
    static const char hello[] = "\xF2\x48\xCD\xC9\xC9\x07\x00";
    ws_deflate_params params = agreed(15, 15, true);
    ws_deflate *compressor = ws_deflate_create(6);
    uint8_t out[64];

    (void)state;
    memory.fail_to_open = true;
    assert_int_equal(ws_deflate_message(compressor, 15, (const uint8_t *)"Hello", 5, out, 64), 0);
    expect_failure(&params, 0, true, hello, 7, WS_CLOSE_INTERNAL_ERROR);
    memory.fail_to_open = false;
    memory.limit = 8 * KIB; /* enough for zlib's state, not for the window */
    expect_failure(&params, 0, true, hello, 7, WS_CLOSE_INTERNAL_ERROR);
    assert_int_equal(memory.used, 0);
    memory.limit = 0;
    assert_int_equal(ws_deflate_message(compressor, 15, (const uint8_t *)"Hello", 5, out, 64), 7);
    ws_deflate_destroy(compressor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s7_1_offers_and_responses),
        cmocka_unit_test(s7_1_offers_that_are_declined),
        cmocka_unit_test(s5_1_the_first_acceptable_offer),
        cmocka_unit_test(rfc6455_s9_1_grammar),
        cmocka_unit_test(s7_2_3_examples_are_inflated),
        cmocka_unit_test(s7_2_3_2_sharing_the_window),
        cmocka_unit_test(s7_2_3_4_final_blocks),
        cmocka_unit_test(s7_2_3_6_empty_blocks_anywhere),
        cmocka_unit_test(s7_2_3_examples_are_made),
        cmocka_unit_test(s7_2_3_1_frames),
        cmocka_unit_test(s7_1_2_windows_by_length),
        cmocka_unit_test(s7_1_2_1_no_distance_beyond_the_agreed_window),
        cmocka_unit_test(one_result_serves_all_sessions),
        cmocka_unit_test(s7_2_3_3_stored_messages),
        cmocka_unit_test(what_does_not_fit_is_sent_plain),
        cmocka_unit_test(s7_2_2_messages_there_and_back),
        cmocka_unit_test(s7_1_2_2_the_client_keeps_to_its_window),
        cmocka_unit_test(s7_2_2_nothing_is_held_back),
        cmocka_unit_test(s7_2_2_what_is_no_deflate),
        cmocka_unit_test(rfc6455_s8_1_text_is_utf8),
        cmocka_unit_test_setup(s8_a_bomb_is_stopped_at_the_bound, forget_memory),
        cmocka_unit_test(s8_the_bound_is_exact),
        cmocka_unit_test(s8_a_buffer_of_the_bound_is_enough),
        cmocka_unit_test_setup(inflater_memory_is_lazy_and_given_back, forget_memory),
        cmocka_unit_test_setup(what_is_kept_is_bounded_by_the_window, forget_memory),
        cmocka_unit_test_setup(compressor_memory_is_lazy, forget_memory),
        cmocka_unit_test_setup(no_memory_is_said, forget_memory),
    };

    return cmocka_run_group_tests_name("permessage-deflate (RFC 7692)", tests, NULL, NULL);
}
