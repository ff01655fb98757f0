/* Displays and the LED: what is requested, what is shown, what is sent. */
#include "hub_bench.h"

#include "hub/font.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN(lines) "[\"display-oled/i2c0-3c\", {" lines "}]"
#define BLANK_1_TO_7                                                                               \
    "\"line-1\": \"\", \"line-2\": \"\", \"line-3\": \"\", \"line-4\": \"\", \"line-5\": \"\", "   \
    "\"line-6\": \"\", \"line-7\": \"\""
#define GET "[\"display-oled/i2c0-3c/get\", {}]"

static bench *ready(void **state)
{
    bench *b = *state;

    assert_true(sim_add(b->sim[0], "ssd1306", 0x3c));
    bench_start(b);
    bench_run(b, 1);
    return b;
}

/* The display's memory: 8 pages of 128 columns. */
static const uint8_t *memory(const bench *b)
{
    static uint8_t image[SIM_DISPLAY_SIZE];

    assert_true(sim_display_read(b->sim[0], 0x3c, image));
    return image;
}

static void assert_text(const uint8_t *page, const char *text)
{
    for (int i = 0; i < 21; i++) {
        uint32_t character = font_next(&text);
        assert_memory_equal(page + i * 6, font_glyph(character ? character : ' '), 5);
        assert_int_equal(page[i * 6 + 5], 0);
    }
}

static void a_display_begins_blank(void **state)
{
    bench *b = ready(state);

    assert_string_equal(bench_last(b, "[\"display"), SHOWN("\"line-0\": \"\", " BLANK_1_TO_7));
    for (int i = 0; i < 8; i++) {
        assert_text(memory(b) + i * 128, "");
    }
}

static void lines_are_drawn_and_the_others_stay(void **state)
{
    bench *b = ready(state);

    assert_string_equal(bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"21 \xc2\xb0"
                                     "C \xc5\x99\xc3\xad\xc4\x8d\"}, {\"id\": 1}]"),
                        "[\"display-oled/i2c0-3c\", {\"line-0\": \"21 \xc2\xb0"
                        "C \xc5\x99\xc3\xad\xc4\x8d\", " BLANK_1_TO_7 "}, {\"id\": 1}]");
    assert_text(memory(b), "21 \xc2\xb0"
                           "C ric");
    bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-7\": \"ABCDEFGHIJKLMNOPQRSTU\"}]");
    assert_text(memory(b), "21 \xc2\xb0"
                           "C ric");
    assert_text(memory(b) + 7 * 128, "ABCDEFGHIJKLMNOPQRSTU");
    bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"\"}]");
    assert_text(memory(b), "");
    assert_contains(bench_ask(b, GET), "\"line-7\": \"ABCDEFGHIJKLMNOPQRSTU\"");
    /* Others get a publication. */
    assert_contains(bench_last(b, "[\"display"), "\"line-7\": \"ABCDEFGHIJKLMNOPQRSTU\"");
}

/* 1024 bytes in base64: the pattern 00 10 83 ... is "ABCD" again and again. */
static void image(char *request, size_t size, const char *four)
{
    size_t length = (size_t)snprintf(request, size, "[\"display-oled/i2c0-3c/set\", {\"raw\": \"");

    for (int i = 0; i < 341; i++) {
        length += (size_t)snprintf(request + length, size - length, "%s", four);
    }
    snprintf(request + length, size - length, "/w==\"}]");
}

static void an_image_is_shown_and_ends_with_a_line(void **state)
{
    bench *b = ready(state);
    char request[2048];

    image(request, sizeof(request), "ABCD");
    assert_contains(bench_ask(b, request), "{\"raw\": \"ABCDABCD");
    for (int i = 0; i < 1023; i += 3) {
        assert_memory_equal(memory(b) + i, "\x00\x10\x83", 3);
    }
    assert_int_equal(memory(b)[1023], 0xff);
    assert_contains(bench_ask(b, GET), "{\"raw\": \"ABCDABCD");
    assert_string_equal(bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"x\"}]"),
                        SHOWN("\"line-0\": \"x\", " BLANK_1_TO_7));
    assert_text(memory(b), "x");
    assert_text(memory(b) + 128, "");
}

static void only_pages_that_changed_are_sent(void **state)
{
    bench *b = ready(state);
    unsigned one, none, eight, before = sim_transfers(b->sim[0], 0x3c);
    char request[2048];

    bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-3\": \"x\"}]");
    one = sim_transfers(b->sim[0], 0x3c) - before;
    before = sim_transfers(b->sim[0], 0x3c);
    bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-3\": \"x\", \"line-4\": \"\"}]");
    none = sim_transfers(b->sim[0], 0x3c) - before;
    before = sim_transfers(b->sim[0], 0x3c);
    image(request, sizeof(request), "ABCD");
    bench_ask(b, request);
    eight = sim_transfers(b->sim[0], 0x3c) - before;
    assert_int_equal(none, 0);
    assert_true(one > 0);
    assert_int_equal(eight, 8 * one);
}

static void wrong_contents_are_refused(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "{\"line-8\": \"x\"}",
        "{\"line-0\": 1}",
        "{\"line-0\": null}",
        "{\"line-0\": \"ABCDEFGHIJKLMNOPQRSTUV\"}",
        "{\"raw\": \"ABCD\"}",
        "{\"raw\": 1}",
        "{\"raw\": null}",
        "{\"line-0\": \"x\", \"raw\": \"ABCD\"}",
    };
    bench *b = ready(state);
    char request[128];

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        snprintf(request, sizeof(request), "[\"display-oled/i2c0-3c/set\", %s]", wrong[i]);
        assert_contains(bench_ask(b, request), "\"bad-payload\"");
    }
    /* The right number of bytes, but not in base64. */
    char hex[4096] = "[\"display-oled/i2c0-3c/set\", {\"raw\": \"FF";
    for (int i = 1; i < 1024; i++) {
        strcat(hex, ",FF");
    }
    strcat(hex, "\"}]");
    assert_contains(bench_ask(b, hex), "\"bad-payload\"");
    for (int i = 0; i < 8; i++) {
        assert_text(memory(b) + i * 128, "");
    }
}

static void what_was_shown_comes_back_with_the_display(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-2\": \"still here\"}]");
    sim_unplug(b->sim[0], 0x3c);
    bench_run(b, 20);
    assert_contains(bench_ask(b, GET), "unknown-device");
    sim_plug(b->sim[0], 0x3c);
    bench_run(b, 5);
    assert_text(memory(b) + 2 * 128, "still here");
    assert_contains(bench_last(b, "[\"display"), "still here");
    /* Also when it was away for a moment only, which the next drawing notices. */
    sim_unplug(b->sim[0], 0x3c);
    sim_plug(b->sim[0], 0x3c);
    assert_contains(bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"again\"}]"),
                    "again");
    bench_run(b, 1);
    assert_text(memory(b), "again");
    assert_text(memory(b) + 2 * 128, "still here");
    /* And when it only failed to answer once, for it was switched on anew. */
    sim_set_fault(b->sim[0], 0x3c, SIM_NO_ACKNOWLEDGE, 1);
    for (unsigned before = sim_transfers(b->sim[0], 0x3c);
         sim_transfers(b->sim[0], 0x3c) == before;) {
        bench_run(b, 0.01);
    }
    sim_set_fault(b->sim[0], 0x3c, SIM_NO_ACKNOWLEDGE, 0);
    bench_run(b, 1);
    assert_int_equal(bench_logged(b, CT_DEVICE_RECOVERED), 0);
    assert_text(memory(b) + 2 * 128, "still here");
}

/* Nothing is drawn meanwhile: it is looked at every two seconds. */
static void a_display_that_lost_power_shows_the_same_again(void **state)
{
    bench *b = ready(state);

    bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-2\": \"still here\"}]");
    sim_unplug(b->sim[0], 0x3c);
    sim_plug(b->sim[0], 0x3c);
    bench_run(b, 3);
    assert_text(memory(b) + 2 * 128, "still here");
    assert_int_equal(bench_logged(b, CT_POWER_LOST), 1);
    /* One garbled read is no loss: 43h says that it is off. */
    sim_garble(b->sim[0], 0x3c, 0x40);
    bench_run(b, 10);
    assert_int_equal(bench_logged(b, CT_POWER_LOST), 1);
}

static void a_display_that_is_away_is_an_io_error(void **state)
{
    bench *b = ready(state);

    sim_set_fault(b->sim[0], 0x3c, SIM_NO_ACKNOWLEDGE, 1);
    assert_contains(bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"x\"}]"),
                    "io-error");
    assert_contains(bench_ask(b, GET), "\"line-0\": \"\"");
    sim_set_fault(b->sim[0], 0x3c, SIM_NO_ACKNOWLEDGE, 0);
    assert_contains(bench_ask(b, "[\"display-oled/i2c0-3c/set\", {\"line-0\": \"x\"}]"), "\"x\"");
}

/* ---- the LED ---- */

static char *attribute(bench *b, const char *name)
{
    static char text[64];
    int fd = open(bench_file(b, name), O_RDONLY);
    ssize_t length;

    assert_true(fd >= 0);
    length = read(fd, text, sizeof(text) - 1);
    assert_true(length >= 0);
    text[length] = 0;
    close(fd);
    return text;
}

static void make_attribute(bench *b, const char *name, const char *value)
{
    FILE *file = fopen(bench_file(b, name), "w");

    assert_non_null(file);
    fputs(value, file);
    fclose(file);
}

static bench *with_led(void **state)
{
    bench *b = *state;

    bench_remember(b); /* its directory stands for /sys/class/leds/NAME */
    b->config.state_dir = NULL;
    b->node.led = b->dir;
    return b;
}

static void a_led_is_driven(void **state)
{
    bench *b = with_led(state);

    make_attribute(b, "max_brightness", "255\n");
    make_attribute(b, "brightness", "0");
    make_attribute(b, "trigger", "mmc0");
    bench_start(b);
    assert_string_equal(attribute(b, "trigger"), "none");
    assert_string_equal(bench_ask(b, "[\"led/-/get\", {}]"), "[\"led/-\", {\"state\": \"off\"}]");
    assert_string_equal(bench_ask(b, "[\"led/-/set\", {\"state\": \"on\"}, {\"id\": 1}]"),
                        "[\"led/-\", {\"state\": \"on\"}, {\"id\": 1}]");
    assert_int_equal(strncmp(attribute(b, "brightness"), "255", 3), 0);
    assert_string_equal(bench_last(b, "[\"led"), "[\"led/-\", {\"state\": \"on\"}]");
    assert_contains(bench_ask(b, "[\"-/-/config/list\", {}]"), "\"actuators\": [\"led/-\"]");
    /* An LED without a hub stays dark. */
    bench_stop(b);
    assert_int_equal(attribute(b, "brightness")[0], '0');
}

/*
 * A pattern by tenths of a second, over two periods: each is looked at near its beginning and near
 * its end.
 */
static void assert_pattern(bench *b, const char *state, const char *expected)
{
    char request[64], seen[81] = "", wanted[81] = "";

    snprintf(request, sizeof(request), "[\"led/-/set\", {\"state\": \"%s\"}]", state);
    bench_ask(b, request);
    bench_run(b, 0.01);
    for (int i = 0; i < 80; i++) {
        seen[i] = attribute(b, "brightness")[0] == '1' ? '#' : '.';
        wanted[i] = expected[i / 2];
        bench_run(b, i % 2 ? 0.02 : 0.08);
    }
    assert_string_equal(seen, wanted);
}

static void a_led_blinks(void **state)
{
    bench *b = with_led(state);

    make_attribute(b, "brightness", "0");
    bench_start(b);
    assert_pattern(b, "1-dot", "#...................#...................");
    assert_pattern(b, "2-dot", "#.#.................#.#.................");
    assert_pattern(b, "3-dot", "#.#.#...............#.#.#...............");
    assert_pattern(b, "on", "########################################");
    assert_pattern(b, "off", "........................................");
}

static void a_wrong_state_is_refused(void **state)
{
    bench *b = *state;

    b->node.led = "sim";
    bench_start(b);
    assert_contains(bench_ask(b, "[\"led/-/set\", {\"state\": \"4-dot\"}]"), "\"bad-payload\"");
    assert_contains(bench_ask(b, "[\"led/-/set\", {\"state\": true}]"), "\"bad-payload\"");
    assert_contains(bench_ask(b, "[\"led/-/set\", {}]"), "\"bad-payload\"");
    assert_contains(bench_ask(b, "[\"led/-/get\", {}]"), "off");
}

static void a_led_that_is_not_there_comes_later(void **state)
{
    bench *b = with_led(state);

    bench_start(b);
    bench_run(b, 60);
    assert_int_equal(bench_logged(b, CT_LED_NOT_OPENED), 1);
    assert_contains(bench_ask(b, "[\"led/-/set\", {\"state\": \"on\"}]"), "unknown-device");
    make_attribute(b, "brightness", "0");
    bench_run(b, 10);
    assert_contains(bench_ask(b, "[\"led/-/set\", {\"state\": \"on\"}]"), "on");
    assert_int_equal(bench_logged(b, CT_LED_OPENED), 1);
}

/* An actuator publishes changes only, unless an interval is set. */
static void an_actuator_repeats_itself_when_asked_to(void **state)
{
    bench *b = *state;

    b->node.led = "sim";
    bench_start(b);
    bench_run(b, 10);
    assert_int_equal(bench_published(b, "[\"led/-\""), 1);
    assert_contains(bench_ask(b, "[\"led/-/config/set\", {\"publish-interval\": 2}]"),
                    "{\"publish-interval\": 2}");
    bench_clear(b);
    bench_run(b, 10);
    assert_int_equal(bench_published(b, "[\"led/-\""), 5);
    bench_ask(b, "[\"led/-/config/set\", {\"publish-interval\": null}]");
    bench_clear(b);
    bench_run(b, 10);
    assert_int_equal(bench_published(b, "[\"led/-\""), 0);
}

/* ---- the font ---- */

static void every_character_has_a_glyph(void **state)
{
    (void)state;
    for (uint32_t a = 0x21; a < 0x7f; a++) {
        uint8_t rows = 0, columns = 0;
        for (int i = 0; i < 5; i++) {
            rows |= font_glyph(a)[i];
            columns += font_glyph(a)[i] != 0;
        }
        assert_true(rows && columns && rows < 0x80);
        for (uint32_t other = a + 1; other < 0x7f; other++) {
            assert_memory_not_equal(font_glyph(a), font_glyph(other), 5);
        }
    }
    assert_ptr_equal(font_glyph(0xe1), font_glyph('a'));    /* á */
    assert_ptr_equal(font_glyph(0x10c), font_glyph('C'));   /* Č */
    assert_ptr_equal(font_glyph(0x159), font_glyph('r'));   /* ř */
    assert_ptr_equal(font_glyph(0x17e), font_glyph('z'));   /* ž */
    assert_ptr_equal(font_glyph(0x7f), font_glyph(0x4e2d)); /* a box */
}

static void texts_are_taken_apart(void **state)
{
    const char *text = "a\xc3\xa9\xe2\x84\x83\xf0\x9f\x98\x80";

    (void)state;
    assert_int_equal(font_length(text), 4);
    assert_int_equal(font_next(&text), 'a');
    assert_int_equal(font_next(&text), 0xe9);
    assert_int_equal(font_next(&text), 0x2103);
    assert_int_equal(font_next(&text), 0x1f600);
    assert_int_equal(font_next(&text), 0);
    assert_int_equal(font_next(&text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_display_begins_blank),
        BENCH_TEST(lines_are_drawn_and_the_others_stay),
        BENCH_TEST(an_image_is_shown_and_ends_with_a_line),
        BENCH_TEST(only_pages_that_changed_are_sent),
        BENCH_TEST(wrong_contents_are_refused),
        BENCH_TEST(what_was_shown_comes_back_with_the_display),
        BENCH_TEST(a_display_that_lost_power_shows_the_same_again),
        BENCH_TEST(a_display_that_is_away_is_an_io_error),
        BENCH_TEST(a_led_is_driven),
        BENCH_TEST(a_led_blinks),
        BENCH_TEST(a_wrong_state_is_refused),
        BENCH_TEST(a_led_that_is_not_there_comes_later),
        BENCH_TEST(an_actuator_repeats_itself_when_asked_to),
        cmocka_unit_test(every_character_has_a_glyph),
        cmocka_unit_test(texts_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
