/* The pure parts of the opening handshake (src/websocket/handshake.h), by section of RFC 6455. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "websocket/handshake.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void s421_lists_of_tokens(void **state)
{
    static const struct {
        const char *list, *token;
        bool expected;
    } table[] = {
        {"Upgrade", "upgrade", true},
        {"upgrade", "Upgrade", true},
        {"keep-alive, Upgrade", "upgrade", true},
        {"Upgrade, keep-alive", "upgrade", true},
        {"keep-alive,UPGRADE,x", "upgrade", true},
        {"keep-alive\t,\tUpgrade\t", "upgrade", true},
        {" \t Upgrade \t ", "upgrade", true},
        {",, ,Upgrade,,", "upgrade", true},
        {"keep-alive", "upgrade", false},
        {"Upgrades", "upgrade", false},
        {"Upgrad", "upgrade", false},
        {"not-upgrade, upgrade2", "upgrade", false},
        {"keep-alive Upgrade", "upgrade", false},
        {"keep-alive; Upgrade", "upgrade", false},
        {"upgrade;q=1", "upgrade", false},
        {"websocket/13", "websocket", false},
        {"h2c, websocket", "websocket", true},
        {"\"Upgrade\"", "upgrade", false},
        {"x=\"a, upgrade, b\"", "upgrade", false},
        {"x=\"a, upgrade, b\", upgrade", "upgrade", true},
        {"x=\"\\\", upgrade\"", "upgrade", false},
        {"x=\"\\\"\", upgrade", "upgrade", true},
        {"x=\"\\\\\", upgrade", "upgrade", true},
        {"x=\", upgrade", "upgrade", false},
        {"x=\"\\", "upgrade", false},
        {"upgrade\v", "upgrade", false},
        {"upgrade\r\n", "upgrade", false},
        {"", "upgrade", false},
        {",", "upgrade", false},
        {NULL, "upgrade", false},
        {",,", "", false},
        {"upgrade", "", false},
        {"upgrade", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        if (ws_list_has_token(table[i].list, table[i].token) != table[i].expected) {
            fail_msg("'%s' in '%s'", table[i].token, table[i].list);
        }
    }
}

static void s1134_subprotocols_match_exactly(void **state)
{
    (void)state;
    assert_true(ws_list_has_protocol("clown.talk", "clown.talk"));
    assert_true(ws_list_has_protocol("mqtt, clown.talk", "clown.talk"));
    assert_true(ws_list_has_protocol("mqtt ,\tclown.talk\t, x", "clown.talk"));
    assert_false(ws_list_has_protocol("Clown.Talk", "clown.talk"));
    assert_false(ws_list_has_protocol("clown.talk2", "clown.talk"));
    assert_false(ws_list_has_protocol("clown-talk", "clown.talk"));
    assert_false(ws_list_has_protocol("\"clown.talk\"", "clown.talk"));
    assert_false(ws_list_has_protocol("", "clown.talk"));
    assert_false(ws_list_has_protocol(NULL, "clown.talk"));
}

static void s421_5_keys(void **state)
{
    static const struct {
        const char *key;
        bool expected;
    } table[] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", true},
        {"AQIDBAUGBwgJCgsMDQ4PEC==", true}, /* section 4.1, 7: with a bit that decoding drops */
        {"AAAAAAAAAAAAAAAAAAAAAA==", true},
        {"+/+/+/+/+/+/+/+/+/+/+w==", true},
        {"dGhlIHNhbXBsZSBub25jZQ=", false},
        {"dGhlIHNhbXBsZSBub25jZQ", false},
        {"dGhlIHNhbXBsZSBub25jZQ===", false},
        {"dGhlIHNhbXBsZSBub25jZQA=", false}, /* 17 bytes */
        {"dGhlIHNhbXBsZSBub25j", false},     /* 15 bytes */
        {"dGhlIHNhbXBsZSBub25jZQ== ", false},
        {" dGhlIHNhbXBsZSBub25jZQ==", false},
        {"dGhlIHNhbXBsZSBub25jZ===", false},
        {"dGhlIHNh=XBsZSBub25jZQ==", false},
        {"dGhlIHNh-XBsZSBub25jZQ==", false}, /* base64url */
        {"dGhlIHNh_XBsZSBub25jZQ==", false},
        {"dGhlIHNh\303\251BsZSBub25jZQ==", false},
        {"", false},
        {NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        if (ws_key_is_valid(table[i].key) != table[i].expected) {
            fail_msg("key '%s'", table[i].key);
        }
    }
}

static void s422_54_accept(void **state)
{
    char accept[WS_ACCEPT_LENGTH + 1];

    (void)state;
    /* Section 1.3's example; then what `openssl sha1` says of two other keys. */
    assert_true(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_true(ws_accept_key("x3JJHMbDL1EzLkh9GBhXDw==", accept));
    assert_string_equal(accept, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
    assert_true(ws_accept_key("AQIDBAUGBwgJCgsMDQ4PEC==", accept));
    assert_string_equal(accept, "OfS0wDaT5NoxF2gqm7Zj2YtetzM=");
    assert_false(ws_accept_key("", accept));
    assert_string_equal(accept, "");
    assert_false(ws_accept_key(NULL, accept));
}

static void rfc6454_origins_that_are_equal(void **state)
{
    static const struct {
        const char *a, *b;
        bool expected;
    } table[] = {
        {"https://a.example", "https://a.example", true},
        {"HTTPS://A.Example", "https://a.example", true},
        {"https://a.example:443", "https://a.example", true},
        {"http://a.example:80", "http://a.example", true},
        {"https://a.example:8443", "https://a.example:8443", true},
        {"http://a.example:0080", "http://a.example", true},
        {"https://[::1]:8443", "https://[::1]:8443", true},
        {"https://[::1]", "https://[0:0:0:0:0:0:0:1]:443", true},
        {"https://[2001:DB8::A]", "https://[2001:db8::a]", true},
        {"chrome-extension://abcdef", "chrome-extension://abcdef", true},
        {"https://xn--bcher-kva.example", "https://xn--bcher-kva.example", true},
        {"https://a_b.example", "https://a_b.example", true},
        {"wss://a.example", "https://a.example", true},
        {"ws://a.example:80", "http://a.example", true},
        {"WSS://a.example:8443", "https://a.example:8443", true},
        {"wss://a.example", "http://a.example", false},
        {"ws://a.example", "https://a.example", false},
        {"ws://a.example", "wss://a.example", false},
        {"wss://a.example", "https://a.example:8443", false},
        {"ws://a.example:443", "https://a.example", false},
        {"wsss://a.example", "https://a.example", false},
        {"https://a.example", "http://a.example", false},
        {"https://a.example:80", "https://a.example", false},
        {"https://a.example:443", "http://a.example:443", false},
        {"http://a.example:443", "http://a.example", false},
        {"https://a.example", "https://b.example", false},
        {"https://a.example.evil", "https://a.example", false},
        {"https://a.example", "https://a.example.evil", false},
        {"https://evila.example", "https://a.example", false},
        {"https://a.example.", "https://a.example", false},
        {"https://[::1]", "https://[::2]", false},
        {"https://[::1]", "https://::1", false},
        {"https://[::]", "https://a.example", false},
        {"https://[::ffff:127.0.0.1]", "https://127.0.0.1", false},
        {"x://a.example", "x://a.example:80", false},
        {"null", "null", false},
        {"*", "*", false},
        {"https://a.example/", "https://a.example/", false},
        {"https://a.example", "https://a.example/", false},
        {NULL, "https://a.example", false},
        {"https://a.example", NULL, false},
        {NULL, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        if (ws_origin_equal(table[i].a, table[i].b) != table[i].expected ||
            ws_origin_equal(table[i].b, table[i].a) != table[i].expected) {
            fail_msg("'%s' and '%s'", table[i].a, table[i].b);
        }
    }
}

static void rfc6454_what_is_no_origin(void **state)
{
    static const char *const wrong[] = {
        "",
        "null",
        "*",
        "same",
        "a.example",
        "//a.example",
        "https:a.example",
        "https:/a.example",
        "https://",
        "https:///",
        "https://a.example/",
        "https://a.example/path",
        "https://a.example?query",
        "https://a.example#part",
        "https://user@a.example",
        "https://user:word@a.example",
        "https://a.example:",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:99999999999999999999",
        "https://a.example:44a",
        "https://a.example:-1",
        "https://a.example:+1",
        "https://a.example:443:443",
        "https://a.example https://b.example",
        "https://a.example,https://b.example",
        " https://a.example",
        "https://a.example ",
        "https://*.example",
        "https://:443",
        "https://[::1",
        "https://[]",
        "https://[::1]x",
        "https://[::1]:",
        "https://[fe80::1%25eth0]",
        "https://[1.2.3.4]",
        "https://[v1.x]",
        "https://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
        "https://b\303\274cher.example",
        "1http://a.example",
        "ht tp://a.example",
        "://a.example",
        "file://",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        if (ws_origin_is_valid(wrong[i]) || ws_origin_equal(wrong[i], wrong[i])) {
            fail_msg("'%s' passed for an origin", wrong[i]);
        }
    }
    assert_false(ws_origin_is_valid(NULL));
    assert_true(ws_origin_is_valid("https://localhost:8443"));
    assert_true(ws_origin_is_valid("http://192.0.2.7"));
    assert_true(ws_origin_is_valid("https://[2001:db8::7]:65535"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s421_lists_of_tokens),
        cmocka_unit_test(s1134_subprotocols_match_exactly),
        cmocka_unit_test(s421_5_keys),
        cmocka_unit_test(s422_54_accept),
        cmocka_unit_test(rfc6454_origins_that_are_equal),
        cmocka_unit_test(rfc6454_what_is_no_origin),
    };

    return cmocka_run_group_tests_name("opening handshake (RFC 6455 section 4)", tests, NULL, NULL);
}
