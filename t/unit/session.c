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

#include <apr_general.h>

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

static void a_handler_that_closes_hears_of_it_later_and_gets_no_further_message(void **state)
{
    (void)state;
    run_named("the handler closes in message()");
    assert_int_equal(peers[0].messages, 1); /* of the two that came at once */
    assert_true(contains(&peers[0], "\x88\x08\x03\xe8"
                                    "enough"));
    assert_false(contains(&peers[0], "too late"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_faults_everything_arrives),
        cmocka_unit_test(a_handler_that_closes_hears_of_it_later_and_gets_no_further_message),
        cmocka_unit_test(each_call_fails_in_turn),
    };

    apr_initialize();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
