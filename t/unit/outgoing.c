/*
 * Messages on their way out (src/session/outgoing.h): framed once, and compressed once for all
 * sessions whose agreements allow the same bytes (RFC 7692 section 7.1.1.1). The linker leads the
 * calls of ws_deflate_message() through this file (--wrap), so that they are counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <zlib.h>

#include "session/outgoing.h"

#define SESSIONS 1000

static const char topic[] = "display-oled/i2c0-3c";

/* ---- Counting ------------------------------------------------------------------------------ */

static int compressions;

size_t __real_ws_deflate_message(ws_deflate *compressor, unsigned window, const uint8_t *data,
                                 size_t length, uint8_t *out, size_t size);
size_t __wrap_ws_deflate_message(ws_deflate *compressor, unsigned window, const uint8_t *data,
                                 size_t length, uint8_t *out, size_t size);

size_t __wrap_ws_deflate_message(ws_deflate *compressor, unsigned window, const uint8_t *data,
                                 size_t length, uint8_t *out, size_t size)
{
    compressions++;
    return __real_ws_deflate_message(compressor, window, data, length, out, size);
}

/* ---- Sessions ------------------------------------------------------------------------------ */

/* The agreements of a thousand sessions: every window, with and without compression. */
static ws_deflate_params params_of(int session)
{
    return (ws_deflate_params){
        .agreed = session % 9 != 8,
        .client_no_context_takeover = session % 2,
        .server_window_bits = (uint8_t)(8 + session % 8),
        .client_window_bits = (uint8_t)(8 + session % 5),
        .threshold = 128,
    };
}

static void pick_text(char *text, size_t length)
{
    static const char words[] = "{\"line-0\": \"21.5 \xE2\x84\x83\"}, ";

    for (size_t i = 0; i < length; i++) {
        text[i] = words[i % (sizeof(words) - 1)];
    }
}

/* What is the payload behind a header whose first byte is `first`? */
static const uint8_t *payload_of(const ws_outgoing *outgoing, uint8_t first, size_t *length)
{
    uint8_t header[WS_MAX_HEADER];

    *length = outgoing->length - outgoing->header_length;
    assert_int_equal(ws_frame_header(header, first & 0x0F, first & 0x80, first & 0x40, *length),
                     outgoing->header_length);
    assert_memory_equal(outgoing->frame, header, outgoing->header_length);
    return outgoing->frame + outgoing->header_length;
}

/* A client that has seen nothing before and has exactly the window that was agreed. */
static void expect_inflated(const ws_outgoing *outgoing, int bits, const char *text, size_t length)
{
    size_t size;
    const uint8_t *payload = payload_of(outgoing, 0xC1, &size);
    uint8_t *in = malloc(size + 4);
    char *out = malloc(length + 1);
    z_stream client = {.next_in = in, .avail_in = (uInt)size + 4};

    memcpy(in, payload, size);
    memcpy(in + size, "\0\0\xFF\xFF", 4);
    assert_int_equal(inflateInit2(&client, -bits), Z_OK);
    while (client.avail_in > 0) { /* in small steps: zlib then has its window only */
        client.next_out = (uint8_t *)out + client.total_out;
        client.avail_out = length - client.total_out < 64 ? (uInt)(length - client.total_out) : 64;
        assert_int_equal(inflate(&client, Z_SYNC_FLUSH), Z_OK);
    }
    assert_int_equal(client.total_out, length);
    assert_memory_equal(out, text, length);
    inflateEnd(&client);
    free(in);
    free(out);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void s7_1_1_1_a_publication_is_compressed_once_for_all(void **state)
{
    static const struct {
        size_t length;
        int windows; /* different ones that sessions get: a short text has no use for a large one */
    } table[] = {{127, 0}, {128, 1}, {250, 1}, {1000, 2}, {3834, 2}, {60000, 3}};
    ws_deflate *compressor = ws_deflate_create(4);
    char *text = malloc(60000);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const size_t length = table[i].length;
        ws_outgoing *publication, *forms[SESSIONS];
        int different = 0;

        pick_text(text, length);
        publication = ws_outgoing_create(WS_TEXT, text, length, topic, sizeof(topic) - 1);
        compressions = 0;
        for (int n = 0; n < SESSIONS; n++) {
            const ws_deflate_params params = params_of(n);
            bool seen = false;

            forms[n] = ws_outgoing_for(publication, &params, compressor);
            assert_string_equal(forms[n]->topic, topic);
            if (!params.agreed || length < 128) {
                assert_ptr_equal(forms[n], publication);
                continue;
            }
            for (int before = 0; before < n; before++) {
                seen = seen || forms[before] == forms[n];
            }
            different += !seen;
            if (!seen || n < 16) {
                expect_inflated(forms[n], params.server_window_bits, text, length);
            }
        }
        assert_int_equal(compressions, table[i].windows);
        assert_int_equal(different, table[i].windows);
        ws_outgoing_release(publication);
    }
    free(text);
    ws_deflate_destroy(compressor);
}

/*
 * Section 6: where nothing is gained the message stays as it is, and that is found out once, too.
 */
static void s6_noise_is_sent_plain_to_all(void **state)
{
    ws_deflate *compressor = ws_deflate_create(4);
    char noise[200];
    ws_outgoing *message;

    (void)state;
    srand(6);
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (char)rand();
    }
    message = ws_outgoing_create(WS_BINARY, noise, sizeof(noise), NULL, 0);
    compressions = 0;
    for (int n = 0; n < SESSIONS; n++) {
        const ws_deflate_params params = params_of(n);

        assert_ptr_equal(ws_outgoing_for(message, &params, compressor), message);
    }
    assert_int_equal(compressions, 1);
    ws_outgoing_release(message);
    ws_deflate_destroy(compressor);
}

/* Some clients take no data frame without RSV1: one form for all of them, none for the others. */
static void all_is_compressed_for_those_that_need_it(void **state)
{
    static const size_t lengths[] = {0, 1, 127, 128, 1000};
    ws_deflate *compressor = ws_deflate_create(4);
    char text[1000];

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
        const size_t length = lengths[i / 2];
        const bool noise = i % 2;
        ws_outgoing *message, *stored = NULL;

        pick_text(text, length);
        for (size_t at = 0; noise && at < length; at++) {
            text[at] = (char)rand();
        }
        message = ws_outgoing_create(WS_TEXT, text, length, topic, sizeof(topic) - 1);
        for (int n = 0; n < SESSIONS; n++) {
            ws_deflate_params params = params_of(n);
            ws_outgoing *plain = ws_outgoing_for(message, &params, compressor), *form;

            params.all_compressed = true;
            form = ws_outgoing_for(message, &params, compressor);
            if (!params.agreed || plain != message) {
                assert_ptr_equal(form, plain);
                continue;
            }
            assert_ptr_not_equal(form, message);
            assert_true(!stored || stored == form);
            stored = form;
            assert_string_equal(form->topic, topic);
            expect_inflated(form, 8, text, length);
        }
        assert_int_equal(stored != NULL, noise || length < 128);
        ws_outgoing_release(message);
    }
    ws_deflate_destroy(compressor);
}

/* Section 6.1: control frames never are, whatever the threshold. */
static void s6_1_control_frames_are_sent_plain(void **state)
{
    static const enum ws_opcode opcodes[] = {WS_CLOSE, WS_PING, WS_PONG};
    const ws_deflate_params params = {.agreed = true,
                                      .all_compressed = true,
                                      .server_window_bits = 15,
                                      .client_window_bits = 15,
                                      .threshold = 0};
    ws_deflate *compressor = ws_deflate_create(4);
    char text[WS_MAX_CONTROL];

    (void)state;
    memset(text, 'a', sizeof(text));
    compressions = 0;
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        ws_outgoing *frame = ws_outgoing_create(opcodes[i], text, sizeof(text), NULL, 0);
        size_t length;

        assert_ptr_equal(ws_outgoing_for(frame, &params, compressor), frame);
        assert_memory_equal(payload_of(frame, (uint8_t)(0x80 | opcodes[i]), &length), text,
                            sizeof(text));
        ws_outgoing_release(frame);
    }
    assert_int_equal(compressions, 0);
    ws_deflate_destroy(compressor);
}

/*
 * A session holds what it was given while the message itself may be gone, and the other way round.
 */
static void references_outlive_the_message(void **state)
{
    const ws_deflate_params params = params_of(7);
    ws_deflate *compressor = ws_deflate_create(4);
    char text[500];
    ws_outgoing *message, *compressed;

    (void)state;
    pick_text(text, sizeof(text));
    message = ws_outgoing_create(WS_TEXT, text, sizeof(text), topic, sizeof(topic) - 1);
    compressed = ws_outgoing_for(message, &params, compressor);
    assert_ptr_not_equal(compressed, message);
    ws_outgoing_hold(compressed);
    ws_outgoing_release(message);
    expect_inflated(compressed, 15, text, sizeof(text));
    assert_string_equal(compressed->topic, topic);
    ws_outgoing_release(compressed);
    ws_deflate_destroy(compressor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s7_1_1_1_a_publication_is_compressed_once_for_all),
        cmocka_unit_test(s6_noise_is_sent_plain_to_all),
        cmocka_unit_test(all_is_compressed_for_those_that_need_it),
        cmocka_unit_test(s6_1_control_frames_are_sent_plain),
        cmocka_unit_test(references_outlive_the_message),
    };

    return cmocka_run_group_tests_name("messages on their way out (RFC 7692 section 7.1.1.1)",
                                       tests, NULL, NULL);
}
