/*
 * The session (src/session/session.h) where each call of its transport fails, blocks or breaks the
 * connection in turn. Whatever happens, a session ends once, its handler hears of it once and never
 * from within another of its functions, and nothing of it is used afterwards (AddressSanitizer
 * looks; so does fake_session.c at each call of the transport).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_session.h"

#include "session/session_private.h"

#include <apr_general.h>

#include <sys/ioctl.h>
#include <sys/socket.h>

#define TEXT  0x81 /* FIN and the opcode */
#define START 0x01 /* the first piece of a text */
#define REST  0x80 /* its last */
#define PING  0x89
#define CLOSE 0x88

/* Long runs are sampled: at most this many calls fail in turn, evenly spread, and the first. */
#define MOST_FAULTS 150

static void send_text(peer *p, const char *text)
{
    ws_outgoing *outgoing = ws_outgoing_create(WS_TEXT, text, strlen(text), NULL, 0);

    ws_session_send(p->session, outgoing);
    ws_outgoing_release(outgoing);
}

static bool contains(const peer *p, const char *text)
{
    return p->got && memmem(p->got, p->got_length, text, strlen(text));
}

/* ---- what handlers do ---- */

static void echo(peer *p, const char *bytes, size_t length)
{
    ws_outgoing *outgoing = ws_outgoing_create(WS_TEXT, bytes, length, NULL, 0);

    ws_session_send(p->session, outgoing);
    ws_outgoing_release(outgoing);
}

static void join(peer *p)
{
    ws_session_join(p->session, audience);
}

static void close_session(peer *p)
{
    ws_session_close(p->session, 1000, "enough");
    send_text(p, "too late");
    ws_session_close(p->session, 1001, "again");
}

static void close_on_message(peer *p, const char *bytes, size_t length)
{
    (void)bytes, (void)length;
    close_session(p);
}

static void answer_much(peer *p, const char *bytes, size_t length)
{
    static char much[30000];

    (void)bytes, (void)length;
    memset(much, 'x', sizeof much - 1);
    for (int i = 0; i < 5; i++) {
        send_text(p, much);
    }
}

/* A publication is pending for the session when it is answered: the answer brings it up to date. */
static void publish_and_answer(peer *p, const char *bytes, size_t length)
{
    publish_text("publication", NULL);
    echo(p, bytes, length);
}

/* Who was heard in which order: the numbers of peers, one for each call of message(). */
static char heard[4096];

static void note(peer *p)
{
    const size_t n = strlen(heard);

    if (n + 1 < sizeof heard) {
        heard[n] = (char)('0' + (p - peers));
        heard[n + 1] = '\0';
    }
}

static void note_only(peer *p, const char *bytes, size_t length)
{
    (void)bytes, (void)length;
    note(p);
}

static void note_and_answer_much(peer *p, const char *bytes, size_t length)
{
    note(p);
    answer_much(p, bytes, length);
}

/* Answers each byte, at the price of 2,048, and leaves what its turn does not suffice for. */
static void answer_bytes(peer *p, const char *bytes, size_t length)
{
    note(p);
    while (length > 0 && ws_session_goes_on(p->session, 2048)) {
        echo(p, bytes++, 1);
        length--;
    }
    ws_session_put_back(p->session, length);
}

/* The same, but it closes at 'z'. */
static void answer_bytes_to_z(peer *p, const char *bytes, size_t length)
{
    if (*bytes == 'z') {
        close_session(p);
        ws_session_put_back(p->session, length);
    } else {
        answer_bytes(p, bytes, length);
    }
}

/* The answer comes from somewhere else, later. */
static void owe(peer *p, const char *bytes, size_t length)
{
    (void)bytes, (void)length;
    note(p);
    ws_session_owe(p->session, 65536);
}

/* Less than a tick is no pause. */
static void pause_first(peer *p, const char *bytes, size_t length)
{
    (void)bytes, (void)length;
    note(p);
    assert_false(ws_session_pause(p->session, 249999));
    if (p == &peers[0]) {
        assert_true(ws_session_pause(p->session, 1000000));
    }
}

static void pause_and_close(peer *p, const char *bytes, size_t length)
{
    pause_first(p, bytes, length);
    ws_session_close(p->session, 1000, "enough");
    assert_false(ws_session_pause(p->session, 1000000));
}

static void owe_and_close(peer *p, const char *bytes, size_t length)
{
    owe(p, bytes, length);
    ws_session_close(p->session, 1000, "enough");
}

/* ---- what clients do ---- */

static void hello(void)
{
    for (unsigned i = 0; i < n_peers; i++) {
        say_frame(i, TEXT, "hello", 5);
    }
}

static void two_at_once(void)
{
    static const uint8_t frames[] = {TEXT, 0x81, 0, 0, 0, 0, 'a', TEXT, 0x81, 0, 0, 0, 0, 'b'};

    say(0, frames, sizeof frames);
}

static void ping(void)
{
    say_frame(0, PING, "?", 1);
}

static void pieces(void)
{
    say_frame(0, START, "first ", 6);
    say_frame(0, REST, "second", 6);
}

static void compressed(void)
{
    ws_deflate *compressor = ws_deflate_create(6);
    const char text[] = "what is said often, what is said often, what is said often";
    uint8_t room[128];
    const size_t n = ws_deflate_message(compressor, 12, (const uint8_t *)text, sizeof text - 1,
                                        room, sizeof room);

    assert_true(n > 0);
    say_frame(0, TEXT | 0x40, room, n);
    ws_deflate_destroy(compressor);
}

/* Peer 0 says a frame over and over, in one write, and then a word; peer 1 says one, too. */
static void flood(unsigned times, const void *bytes, size_t length)
{
    uint8_t room[16384];
    size_t n = 0;

    heard[0] = '\0';
    for (; times > 0; times--, n += length) {
        assert_true(n + length <= sizeof room - 7);
        memcpy(room + n, bytes, length);
    }
    memcpy(room + n, (const uint8_t[]){TEXT, 0x81, 0, 0, 0, 0, 'a'}, 7);
    say(0, room, n + 7);
    say_frame(1, TEXT, "b", 1);
}

static void flood_pings(void)
{
    flood(300, (const uint8_t[]){PING, 0x80, 0, 0, 0, 0}, 6);
}

static void flood_empty(void)
{
    flood(2500, (const uint8_t[]){TEXT, 0x80, 0, 0, 0, 0}, 6);
}

static void flood_pieces(void)
{
    uint8_t room[12000] = {0};

    for (size_t n = 0; n < sizeof room; n += 6) {
        memcpy(room + n, (const uint8_t[]){0x00, 0x80, 0, 0, 0, 0}, 6); /* empty continuations */
    }
    room[0] = START;
    room[sizeof room - 6] = REST;
    flood(1, room, sizeof room);
}

static void flood_bytes(void)
{
    uint8_t room[14000] = {0};

    for (size_t n = 0; n < sizeof room; n += 7) {
        memcpy(room + n, (const uint8_t[]){0x00, 0x81, 0, 0, 0, 0, 'x'}, 7);
    }
    room[0] = START;
    room[sizeof room - 7] = REST;
    flood(1, room, sizeof room);
}

/* Messages of 60,000 bytes, of 80 when compressed. */
static void flood_bombs(void)
{
    static uint8_t zeros[60000];
    ws_deflate *compressor = ws_deflate_create(9);
    uint8_t frame[256] = {TEXT | 0x40, 0x80};
    const size_t n = ws_deflate_message(compressor, 15, zeros, sizeof zeros, frame + 6, 125);

    assert_in_range(n, 1, 125);
    frame[1] |= (uint8_t)n;
    flood(20, frame, 6 + n);
    ws_deflate_destroy(compressor);
}

static const char hundred[] = "0123456789012345678901234567890123456789"
                              "012345678901234567890123456789012345678901234567890123456789";

/* A message in place, one in pieces, and then a word. */
static void lines(void)
{
    heard[0] = '\0';
    say_frame(0, TEXT, hundred, 100);
    say_frame(0, START, hundred, 50);
    say_frame(0, REST, hundred + 50, 50);
    say_frame(0, TEXT, "z", 1);
    say_frame(1, TEXT, "b", 1);
}

static void last_words(void)
{
    lines();
    peers[0].ends = true;
}

static void deaf_two(void)
{
    heard[0] = '\0';
    peers[0].reads_nothing = true;
    two_at_once();
}

/* It reads again; what was said meanwhile comes behind what it is said now. */
static void hear(void)
{
    say_frame(1, TEXT, "b", 1);
    peers[0].reads_nothing = false;
}

static void forget(void)
{
    heard[0] = '\0';
}

static void settle(void)
{
    if (peers[0].session && ws_session_is_alive(peers[0].session)) {
        ws_session_settle(peers[0].session, 65536);
    }
}

static void say_close(void)
{
    for (unsigned i = 0; i < n_peers; i++) {
        say_frame(i, CLOSE, "\x03\xe8", 2);
    }
}

static void nonsense(void)
{
    say(0, "\xff\xff\xff", 3);
}

#define MUCH 150000 /* bytes */

static int64_t began; /* microseconds */

static void nonsense_and_much(void)
{
    static const uint8_t much[MUCH];

    began = fake_time();
    nonsense();
    say(0, much, sizeof much);
}

static void much_and_end(void)
{
    nonsense_and_much();
    shutdown(peers[0].far, SHUT_WR);
}

static void publish(void)
{
    publish_text("one", "topic");
    publish_text("two", NULL);
    publish_text("three", "topic");
}

/* Some leave while they are members. */
static void lose_some(void)
{
    for (unsigned i = 1; i < n_peers; i += 5) {
        hang_up_peer(i);
    }
    publish();
}

static void deaf(void)
{
    peers[0].reads_nothing = true;
    hello();
}

static void stop_session(clowntalk_session *session, void *unused)
{
    (void)unused;
    ws_session_stop(session, 1001);
}

static void stop(void)
{
    reactor->stop_code = 1001;
    ws_reactor_visit(reactor, stop_session, NULL);
}

/* ---- scenarios ---- */

static const scenario scenarios[] = {
    {.name = "nothing is said", .peers = 1, .steps = {say_close}},
    {.name = "an echo", .peers = 1, .on_message = echo, .steps = {hello, hello, say_close}},
    {.name = "a ping", .peers = 1, .on_message = echo, .steps = {ping, say_close}},
    {.name = "pieces", .peers = 1, .on_message = echo, .steps = {pieces, say_close}},
    {.name = "a compressed message",
     .peers = 1,
     .settings = {.max_message = 65536,
                  .backlog = 65536,
                  .deflate = {.agreed = true,
                              .client_no_context_takeover = true,
                              .server_window_bits = 15,
                              .client_window_bits = 15,
                              .threshold = 1}},
     .on_message = echo,
     .steps = {compressed, compressed, say_close}},
    {.name = "the handler closes in open()",
     .peers = 2,
     .on_open = close_session,
     .steps = {hello}},
    {.name = "the handler closes in message()",
     .peers = 2,
     .on_open = join,
     .on_message = close_on_message,
     .steps = {two_at_once, publish, say_close}},
    {.name = "a broken protocol", .peers = 1, .on_message = echo, .steps = {nonsense, say_close}},
    {.name = "much behind a broken protocol", .peers = 1, .steps = {nonsense_and_much}},
    {.name = "much, and the end", .peers = 1, .steps = {much_and_end}},
    {.name = "much while the process ends", .peers = 1, .steps = {nonsense_and_much, stop}},
    {.name = "two answers while a publication is pending",
     .peers = 1,
     .on_open = join,
     .on_message = publish_and_answer,
     .steps = {two_at_once, say_close}},
    {.name = "the same among many",
     .peers = 20,
     .on_open = join,
     .on_message = publish_and_answer,
     .steps = {two_at_once, publish, two_at_once, say_close}},
    {.name = "publications to one", .peers = 1, .on_open = join, .steps = {publish, say_close}},
    {.name = "publications to many",
     .peers = 20,
     .on_open = join,
     .on_message = echo,
     .steps = {publish, hello, publish, say_close}},
    {.name = "deaths among many",
     .peers = 100,
     .on_open = join,
     .steps = {publish, lose_some, publish, say_close}},
#define DEFLATE                                                                                    \
    {                                                                                              \
        .max_message = 65536, .backlog = 65536, .deflate = {                                       \
            .agreed = true,                                                                        \
            .client_no_context_takeover = true,                                                    \
            .server_window_bits = 15,                                                              \
            .client_window_bits = 15,                                                              \
            .threshold = 128                                                                       \
        }                                                                                          \
    }
    {.name = "a flood of pings",
     .peers = 2,
     .on_message = note_only,
     .steps = {flood_pings, say_close}},
    {.name = "a flood of empty messages",
     .peers = 2,
     .on_message = note_only,
     .steps = {flood_empty, say_close}},
    {.name = "a flood of empty pieces",
     .peers = 2,
     .on_message = note_only,
     .steps = {flood_pieces, say_close}},
    {.name = "a flood of pieces",
     .peers = 2,
     .on_message = note_only,
     .steps = {flood_bytes, say_close}},
    {.name = "a flood of bombs",
     .peers = 2,
     .settings = DEFLATE,
     .on_message = note_only,
     .steps = {flood_bombs, say_close}},
    {.name = "messages that take several turns",
     .peers = 2,
     .on_message = answer_bytes,
     .steps = {lines, say_close}},
    {.name = "such messages, and the handler closes",
     .peers = 2,
     .on_message = answer_bytes_to_z,
     .steps = {lines, say_close}},
    {.name = "such messages as last words",
     .peers = 2,
     .on_message = answer_bytes,
     .steps = {last_words, say_close}},
    {.name = "one that ends, and one that stays",
     .peers = 2,
     .on_message = answer_bytes,
     .steps = {last_words}},
    {.name = "answers that wait",
     .peers = 2,
     .settings = {.max_message = 65536, .backlog = 1000000},
     .on_message = note_and_answer_much,
     .steps = {deaf_two, hear, say_close}},
    {.name = "answers from somewhere else",
     .peers = 2,
     .on_message = owe,
     .steps = {forget, two_at_once, hello, settle, settle, say_close}},
    {.name = "a session that closes while answers are owed",
     .peers = 2,
     .on_message = owe_and_close,
     .steps = {two_at_once, say_close}},
    {.name = "a pause",
     .peers = 2,
     .settings = {.max_message = 65536, .backlog = 65536, .ping = 1},
     .on_message = pause_first,
     .steps = {forget, two_at_once, hello}},
    {.name = "a session that closes in a pause",
     .peers = 2,
     .on_message = pause_and_close,
     .steps = {two_at_once, say_close}},
    {.name = "a client that does not read",
     .peers = 2,
     .on_open = join,
     .on_message = answer_much,
     .steps = {deaf, publish, hello}},
    {.name = "the end of the process",
     .peers = 50,
     .on_open = join,
     .on_message = echo,
     .steps = {hello, stop, say_close}},
    {.name = "clients that answer no ping",
     .peers = 2,
     .settings = {.max_message = 65536, .backlog = 65536, .ping = 1}},
    {.name = "sessions that are too old",
     .peers = 2,
     .settings = {.max_message = 65536, .backlog = 65536, .max_age = 1},
     .on_open = join,
     .steps = {publish}},
};

#define N_SCENARIOS (sizeof scenarios / sizeof *scenarios)

/* ---- tests ---- */

static void each_call_fails_in_turn(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SCENARIOS; i++) {
        unsigned n, stride;

        run_scenario(&scenarios[i], FAULT_NONE, 0);
        n = transport_calls();
        stride = n / MOST_FAULTS + 1;
        assert_true(n > 1);
        for (fault kind = FAULT_FAIL; kind <= FAULT_HALF; kind++) {
            for (unsigned at = 1; at <= n; at += at < 10 ? 1 : stride) {
                run_scenario(&scenarios[i], kind, at);
            }
        }
        print_message("# %s: %u calls\n", scenarios[i].name, n);
    }
}

static void run_named(const char *name)
{
    for (size_t i = 0; i < N_SCENARIOS; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            run_scenario(&scenarios[i], FAULT_NONE, 0);
            return;
        }
    }
    fail_msg("there is no scenario \"%s\"", name);
}

static void without_faults_everything_arrives(void **state)
{
    (void)state;
    run_named("an echo");
    assert_int_equal(peers[0].messages, 2);
    assert_true(contains(&peers[0], "\x81\x05hello\x81\x05hello\x88\x02\x03\xe8"));
    run_named("pieces");
    assert_true(contains(&peers[0], "\x81\x0c"
                                    "first second"));
    run_named("a compressed message");
    assert_int_equal(peers[0].messages, 2);
    run_named("two answers while a publication is pending");
    assert_true(contains(&peers[0], "publication\x81\x01"
                                    "a\x81\x0bpublication\x81\x01"
                                    "b"));
    run_named("publications to many");
    for (unsigned i = 0; i < n_peers; i++) {
        assert_true(contains(&peers[i], "\x81\x03two"));
        assert_true(contains(&peers[i], "\x81\x05three\x81\x05hello"));
    }
}

/* Who came first, peer 0 with its last word or peer 1 with its only one. */
static void other_is_heard_before_the_end_of(const char *name)
{
    run_named(name);
    assert_true(strlen(heard) >= 2);
    assert_int_equal(heard[strlen(heard) - 1], '0');
    assert_non_null(strchr(heard, '1'));
}

static void what_was_read_is_carried_out_in_portions(void **state)
{
    (void)state;
    other_is_heard_before_the_end_of("a flood of pings");
    other_is_heard_before_the_end_of("a flood of empty messages");
    assert_int_equal(strlen(heard), 2502);
    other_is_heard_before_the_end_of("a flood of pieces");
    other_is_heard_before_the_end_of("a flood of bombs");
    assert_int_equal(strlen(heard), 22);
    assert_true(strchr(heard, '1') - heard < 2); /* one bomb is two portions */
    run_named("a flood of empty pieces");        /* cost next to nothing */
    assert_int_equal(strlen(heard), 3);
}

static void a_message_takes_as_many_turns_as_it_needs(void **state)
{
    unsigned turns;

    (void)state;
    other_is_heard_before_the_end_of("messages that take several turns");
    turns = peers[0].messages;
    assert_true(strchr(heard, '1') - heard < 2);
    for (size_t i = 0; i < 200; i++) { /* each byte once, and in order */
        assert_int_equal(peers[0].got[3 * i + 2], hundred[i % 100]);
    }
    assert_true(contains(&peers[0], "\x81\x01z\x88"));
    run_named("such messages, and the handler closes");
    assert_true(contains(&peers[0], "\x81\x01"
                                    "9\x88\x08\x03\xe8"
                                    "enough"));
    run_named("such messages as last words"); /* they are carried out all the same */
    assert_int_equal(peers[0].messages, turns);
}

/* Peer 0 says three things, and peer 1 one; what is owed to peer 0 is settled twice. */
static void a_client_is_not_heard_while_much_is_owed(void **state)
{
    (void)state;
    run_named("answers from somewhere else");
    assert_string_equal(heard, "0100");
    run_named("answers that wait");
    assert_string_equal(heard, "010");
}

/* As above, and time goes by instead. Its pings are not answered meanwhile, which is our doing. */
static void a_client_is_not_heard_in_a_pause(void **state)
{
    (void)state;
    run_named("a pause");
    assert_string_equal(heard, "0100");
    assert_true(contains(&peers[0], "\x89"));
}

/* ---- bounds ---- */

#define WORDS 600 /* frames in one write */
#define WORD  100 /* bytes in each */

static size_t said, carried_out, most_kept;
static unsigned answered_unheard;

static void say_words(uint8_t first)
{
    static uint8_t room[WORDS * (6 + WORD)];

    memset(room, 0, sizeof room);
    for (size_t at = 0; at < sizeof room; at += 6 + WORD) {
        room[at] = first;
        room[at + 1] = 0x80 | WORD;
    }
    said = sizeof room;
    carried_out = most_kept = 0;
    say(0, room, sizeof room);
}

static void say_texts(void)
{
    say_words(TEXT);
}

/* Each message takes a whole turn. */
static void take_a_turn(peer *p, const char *bytes, size_t length)
{
    int unread = 0;
    size_t kept;

    (void)bytes;
    assert_int_equal(ioctl(p->near, FIONREAD, &unread), 0);
    carried_out += 6 + length;
    kept = said - (size_t)unread - carried_out;
    most_kept = kept > most_kept ? kept : most_kept;
    (void)ws_session_goes_on(p->session, 1000000);
}

/* What is read waits for its turn: until that was, nothing more is read. */
static void of_what_waits_for_its_turn_one_read_is_kept(void **state)
{
    static const scenario words = {.name = "words that take a turn each",
                                   .peers = 1,
                                   .on_message = take_a_turn,
                                   .steps = {say_texts, say_close}};

    (void)state;
    run_scenario(&words, FAULT_NONE, 0);
    assert_int_equal(peers[0].messages, WORDS);
    assert_in_range(most_kept, 1, WS_SCRATCH_BYTES);
}

static void ping_unheard(void)
{
    peers[0].reads_nothing = true;
    say_words(PING);
}

static void hear_again(void)
{
    peers[0].reads_nothing = false;
}

/* Pongs are conflated only behind a full socket, behind which no ping is read: each is answered. */
static void pongs_that_are_not_taken_stop_the_reading(void **state)
{
    static const scenario pings = {.name = "pings, and nobody reads",
                                   .peers = 1,
                                   .steps = {ping_unheard, hear_again, say_close}};

    (void)state;
    run_scenario(&pings, FAULT_NONE, 0);
    assert_int_equal(peers[0].got_length, WORDS * (2 + WORD) + 4);
}

static void text_unheard(void)
{
    peers[0].reads_nothing = true;
    say_words(TEXT);
}

static void count_and_hear(void)
{
    answered_unheard = peers[0].messages;
    hear_again();
}

/* 600 answers are less than the 64 KiB that may wait otherwise. */
static void answers_that_are_not_taken_stop_the_reading(void **state)
{
    static const scenario texts = {.name = "texts, and nobody reads",
                                   .peers = 1,
                                   .on_message = echo,
                                   .steps = {text_unheard, count_and_hear, say_close}};

    (void)state;
    run_scenario(&texts, FAULT_NONE, 0);
    assert_in_range(answered_unheard, 1, WORDS / 2); /* a turn or two */
    assert_int_equal(peers[0].messages, WORDS);
}

#define BOMB (1024 * 1024) /* bytes, of a kilobyte when compressed */

static int64_t inflated_at; /* microseconds, of which each round of the loop takes one */

static void say_bomb(void)
{
    static uint8_t zeros[BOMB], frame[4096];
    ws_deflate *compressor = ws_deflate_create(9);
    const size_t n =
        ws_deflate_message(compressor, 15, zeros, sizeof zeros, frame + 8, sizeof frame - 8);

    assert_in_range(n, 126, sizeof frame - 8);
    memcpy(frame, (const uint8_t[]){TEXT | 0x40, 0xfe, (uint8_t)(n >> 8), (uint8_t)n}, 4);
    began = fake_time();
    say(0, frame, 8 + n);
    ws_deflate_destroy(compressor);
}

static void note_time(peer *p, const char *bytes, size_t length)
{
    (void)p, (void)bytes;
    assert_int_equal(length, BOMB);
    inflated_at = fake_time();
}

static void a_turn_inflates_a_portion(void **state)
{
    static const scenario bomb = {.name = "a bomb",
                                  .peers = 1,
                                  .settings = {.max_message = 2 * BOMB,
                                               .backlog = 65536,
                                               .deflate = {.agreed = true,
                                                           .client_no_context_takeover = true,
                                                           .server_window_bits = 15,
                                                           .client_window_bits = 15,
                                                           .threshold = 128}},
                                  .on_message = note_time,
                                  .steps = {say_bomb, say_close}};

    (void)state;
    run_scenario(&bomb, FAULT_NONE, 0);
    assert_int_equal(peers[0].messages, 1);
    assert_in_range(inflated_at - began, BOMB / 32768, BOMB / 32768 + 20);
}

#define PIECES 10

static void say_unfinished(void)
{
    say_frame(0, START, hundred, 100);
    for (int i = 1; i < PIECES; i++) {
        say_frame(0, 0x00, hundred, 100);
    }
}

static void look_at_room(void)
{
    const clowntalk_session *s = peers[0].session;

    assert_int_equal(s->message_length, PIECES * 100);
    assert_in_range(s->message_capacity, s->message_length, 2 * s->message_length);
    say_frame(0, REST, "x", 1);
}

static void a_message_in_pieces_has_twice_its_room_at_most(void **state)
{
    static const scenario growing = {.name = "a message that grows",
                                     .peers = 1,
                                     .steps = {say_unfinished, look_at_room, say_close}};

    (void)state;
    run_scenario(&growing, FAULT_NONE, 0);
    assert_int_equal(peers[0].messages, 1);
}

static void memory_is_given_back_when_sessions_have_ended(void **state)
{
    (void)state;
    run_named("one that ends, and one that stays");
    assert_int_equal(trims, 2); /* some time later, and at the end of the reactor */
    run_named("an echo");
    assert_int_equal(trims, 0);
}

static void a_handler_that_closes_hears_of_it_later_and_gets_no_further_message(void **state)
{
    (void)state;
    run_named("the handler closes in message()");
    assert_int_equal(peers[0].messages, 1); /* of the two that came at once */
    assert_true(contains(&peers[0], "\x88\x08\x03\xe8"
                                    "enough"));
    assert_false(contains(&peers[0], "too late"));
}

static int64_t milliseconds_to(int64_t then)
{
    return (then - began) / 1000;
}

/* RFC 6455 section 7.1.1: a reset could overtake our Close. */
static void what_comes_behind_the_close_is_dropped_for_a_while(void **state)
{
    (void)state;
    run_named("much behind a broken protocol");
    assert_int_equal(peers[0].got[0], (char)CLOSE);
    assert_true(peers[0].drained > MUCH - WS_SCRATCH_BYTES);
    assert_in_range(milliseconds_to(peers[0].drained_at), 40, 1000); /* not at once: it is paced */
    assert_in_range(milliseconds_to(peers[0].gave_up_at), 4500, 6000);
    run_named("much, and the end");
    assert_true(peers[0].drained > MUCH - WS_SCRATCH_BYTES);
    assert_in_range(milliseconds_to(peers[0].gave_up_at), 0, 100);
    run_named("much while the process ends");
    assert_in_range(milliseconds_to(peers[0].gave_up_at), 400, 1100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_faults_everything_arrives),
        cmocka_unit_test(what_was_read_is_carried_out_in_portions),
        cmocka_unit_test(a_message_takes_as_many_turns_as_it_needs),
        cmocka_unit_test(a_client_is_not_heard_while_much_is_owed),
        cmocka_unit_test(a_client_is_not_heard_in_a_pause),
        cmocka_unit_test(of_what_waits_for_its_turn_one_read_is_kept),
        cmocka_unit_test(pongs_that_are_not_taken_stop_the_reading),
        cmocka_unit_test(answers_that_are_not_taken_stop_the_reading),
        cmocka_unit_test(a_turn_inflates_a_portion),
        cmocka_unit_test(a_message_in_pieces_has_twice_its_room_at_most),
        cmocka_unit_test(memory_is_given_back_when_sessions_have_ended),
        cmocka_unit_test(a_handler_that_closes_hears_of_it_later_and_gets_no_further_message),
        cmocka_unit_test(what_comes_behind_the_close_is_dropped_for_a_while),
        cmocka_unit_test(each_call_fails_in_turn),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
