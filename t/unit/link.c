/*
 * Both ends of the link between a child and the hub (src/link/link.h, src/link/server.h) on one
 * loop, around a hub of the test's own, on a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/container.h"
#include "link/link.h"
#include "link/outbox.h"
#include "link/server.h"
#include "loop/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NODE      "nodes/bridge/0"
#define MAX_ASKED 20000
#define ANSWER    30000 /* bytes: as much as a history has */
#define MANY      800   /* requests */

/* ---- the clock: the linker leads the loop here ---- */

static int64_t own_us = 3600 * INT64_C(1000000);
static unsigned rounds; /* of the loop, that did not sleep */

int __real_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    (void)id;
    t->tv_sec = (time_t)(own_us / 1000000);
    t->tv_nsec = (long)(own_us % 1000000) * 1000;
    return 0;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds)
{
    const int n = __real_epoll_wait(epoll, events, most, 0);

    if (n == 0) {
        assert_true(milliseconds >= 0); /* otherwise nothing would wake it */
        own_us += milliseconds * INT64_C(1000);
    } else {
        rounds++;
        assert_true(rounds < 1000000); /* otherwise it goes round and round */
    }
    return n;
}

/* ---- memory ---- */

static unsigned trims;

int __wrap_malloc_trim(size_t pad);

int __wrap_malloc_trim(size_t pad)
{
    (void)pad;
    trims++;
    return 1;
}

/* ---- the hub, which answers each request at once, unless it is told to wait ---- */

static struct {
    int fd; /* never readable */
    hub_output output;
    bool silent; /* it answers nothing */
    unsigned requests;
    uint64_t last;
    size_t answer; /* bytes */
} fake;

int hub_fd(hub *hub)
{
    (void)hub;
    return fake.fd;
}

void hub_dispatch(hub *hub)
{
    (void)hub;
}

static void answer(uint64_t asker, size_t length)
{
    static char line[ANSWER + 1];

    memset(line, 'x', length - 1);
    line[length - 1] = '\n';
    fake.output.reply(fake.output.baton, asker, line, length, true);
}

void hub_request(hub *hub, const char *node, unsigned rights, uint64_t asker, const char *line,
                 size_t length)
{
    (void)hub;
    (void)node;
    (void)rights;
    (void)line;
    (void)length;
    fake.requests++;
    fake.last = asker;
    if (!fake.silent) {
        answer(asker, fake.answer);
    }
}

/* ---- the bench ---- */

typedef struct asked {
    unsigned answers;
    bool lost;
    hub_link_loss loss;
} asked;

typedef struct bench {
    ws_loop *loop;
    int listener;
    char path[64];
    hub_server *server;
    hub_link *link;
    ws_timer end;
    unsigned ups, ready, published, logged;
    asked asked[MAX_ASKED];
    unsigned n_asked, n_answered, n_lost;
    bool was_full; /* when an answer came */
} bench;

static bench *the_bench;

static void on_reply(void *request, const char *line, size_t length, bool last)
{
    asked *a = request;

    (void)line;
    (void)length;
    assert_true(last);
    a->answers++;
    the_bench->n_answered++;
    the_bench->was_full |= !hub_link_may_ask(the_bench->link);
}

static void on_lost(void *request, hub_link_loss loss)
{
    asked *a = request;

    assert_false(a->lost || a->answers);
    a->lost = true;
    a->loss = loss;
    the_bench->n_lost++;
}

static void on_publish(void *baton, const char *node, void *except, const char *line, size_t length)
{
    (void)except;
    (void)line;
    (void)length;
    assert_string_equal(node, NODE);
    ((bench *)baton)->published++;
}

static void on_up(void *baton, bool restarted, const char *reason)
{
    (void)restarted;
    assert_string_equal(reason, "power-on");
    ((bench *)baton)->ups++;
}

static void on_ready(void *baton)
{
    ((bench *)baton)->ready++;
}

static void on_trouble(void *baton, int error, const char *what)
{
    (void)baton;
    (void)error;
    (void)what;
}

static void on_log(hub_level level, int code, const char *text)
{
    (void)level;
    (void)text;
    assert_true(code == CT_LINK_NO_DESCRIPTORS || code == CT_LINK_TOO_LONG);
    the_bench->logged++;
}

static void create_server(bench *b)
{
    b->server = hub_server_create(b->loop, b->listener, "1-1", "power-on", on_log);
    assert_non_null(b->server);
    fake.output = hub_server_output(b->server);
    hub_server_attach(b->server, NULL);
}

static void create_link(bench *b)
{
    const hub_link_events events = {.reply = on_reply,
                                    .lost = on_lost,
                                    .publish = on_publish,
                                    .up = on_up,
                                    .ready = on_ready,
                                    .trouble = on_trouble,
                                    .baton = b};

    b->link = hub_link_create(b->loop, b->path, &events);
    assert_non_null(b->link);
}

static void stop(ws_timer *timer)
{
    ws_loop_quit(container_of(timer, bench, end)->loop);
}

static int make(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bench *b = calloc(1, sizeof *b);

    *state = the_bench = b;
    memset(&fake, 0, sizeof fake);
    rounds = 0;
    trims = 0;
    fake.answer = 20;
    fake.fd = epoll_create1(0); /* of nothing: never readable */
    snprintf(b->path, sizeof b->path, "/tmp/clowntalk-link-%ld", (long)getpid());
    strcpy(address.sun_path, b->path);
    unlink(b->path);
    b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(b->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(b->listener, 16), 0);
    b->loop = ws_loop_create();
    b->end.expired = stop;
    return b->loop ? 0 : -1;
}

static int destroy(void **state)
{
    bench *b = *state;

    if (b->link) {
        hub_link_destroy(b->link);
    }
    if (b->server) {
        hub_server_destroy(b->server);
    }
    ws_timer_clear(b->loop, &b->end);
    ws_loop_destroy(b->loop);
    close(b->listener);
    close(fake.fd);
    unlink(b->path);
    free(b);
    return 0;
}

#define LINK_TEST(function) cmocka_unit_test_setup_teardown(function, make, destroy)

/* The loop runs for this time, of the test's clock: until nothing more happens in it. */
static void run(bench *b, int64_t milliseconds)
{
    ws_timer_set(b->loop, &b->end, milliseconds);
    ws_loop_run(b->loop, NULL, NULL);
}

static bool ask_for(bench *b, bool bulk)
{
    static const char message[] = "[\"thermometer/i2c0-48/history/get\", {}]";

    assert_true(b->n_asked < MAX_ASKED);
    return hub_link_ask(b->link, &b->asked[b->n_asked++], bulk, NODE, 0, message,
                        sizeof message - 1);
}

/* So many bulk requests. */
static void ask_for_much(bench *b, int n)
{
    for (int i = 0; i < n; i++) {
        assert_true(ask_for(b, true));
    }
}

static bool ask(bench *b)
{
    return ask_for(b, false);
}

/* A link of the test's own: it reads when the test does. */
static int dumb_link(const bench *b)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, b->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, unsigned number)
{
    talk_text lines = {0};

    for (unsigned i = 1; i <= number; i++) {
        talk_text_addf(&lines, "%u - %s []\n", i, NODE);
    }
    assert_int_equal(send(fd, lines.data, lines.length, 0), (ssize_t)lines.length);
    talk_text_free(&lines);
}

/* Reads what has come: how many lines begin so, of which `last` gets one; -1 at the end. */
static int take(int fd, const char *beginning, talk_text *last)
{
    static char bytes[1 << 20];
    size_t length = 0;
    ssize_t n;
    int count = 0;

    while ((n = recv(fd, bytes + length, sizeof bytes - length - 1, MSG_DONTWAIT)) > 0) {
        length += (size_t)n;
    }
    if (n == 0) {
        return -1;
    }
    bytes[length] = '\0';
    for (char *at = bytes, *feed; (feed = strchr(at, '\n')); at = feed + 1) {
        *feed = '\0';
        if (strncmp(at, beginning, strlen(beginning)) == 0) {
            count++;
            talk_text_clear(last);
            talk_text_add(last, at, strlen(at));
        }
    }
    return count;
}

/* Whether the hub has greeted this link since it was looked at last. */
static bool is_greeted(int fd)
{
    talk_text last = {0};
    const int n = take(fd, "! ", &last);

    talk_text_free(&last);
    assert_true(n >= 0);
    return n > 0;
}

/* ---- the hub's end ---- */

static void a_link_whose_answers_wait_is_not_read_and_not_cut(void **state)
{
    bench *b = *state;
    const int fd = (create_server(b), dumb_link(b));
    talk_text last = {0};

    fake.answer = ANSWER;
    say(fd, MANY);
    run(b, 500);
    assert_true(fake.requests < MANY / 8); /* what the socket's buffer and the outbox hold */
    for (int i = 0; i < MANY && fake.requests < MANY; i++) {
        assert_true(take(fd, "", &last) >= 0);
        run(b, 250);
    }
    assert_int_equal(fake.requests, MANY);
    close(fd);
    run(b, 250);
    talk_text_free(&last);
}

/* Sends as many of these lines as the socket takes. */
static unsigned say_on(int fd, const char *line, size_t length)
{
    unsigned said = 0;
    ssize_t n;

    while ((n = send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL)) == (ssize_t)length) {
        said++;
    }
    assert_true(n < 0 && errno == EAGAIN); /* and not cut */
    return said;
}

/* Of what was read and not carried out a line's worth is kept; the rest stays with who asks. */
static void requests_to_a_link_that_is_behind_stay_in_the_socket(void **state)
{
    bench *b = *state;
    const int fd = (create_server(b), dumb_link(b));
    static char line[512];
    const int head = snprintf(line, sizeof line, "1 - %s [\"", NODE);
    unsigned said = 0;
    talk_text last = {0};

    memset(line + head, 'x', sizeof line - (size_t)head);
    line[sizeof line - 1] = '\n';
    fake.answer = ANSWER;
    for (int i = 0; i < 20; i++) {
        said += say_on(fd, line, sizeof line);
        run(b, 10);
    }
    assert_true(said * sizeof line < 512 * 1024); /* the socket's buffer among them */
    for (unsigned i = 0; i < said && fake.requests < said; i++) {
        assert_true(take(fd, "", &last) >= 0);
        run(b, 250);
    }
    assert_int_equal(fake.requests, said);
    close(fd);
    run(b, 250);
    talk_text_free(&last);
}

/* None of our children sends one. It takes no more memory than the longest of theirs. */
static void a_line_that_is_too_long_is_skipped(void **state)
{
    bench *b = *state;
    const int fd = (create_server(b), dumb_link(b));
    static char part[10000];
    talk_text last = {0};

    memset(part, 'x', sizeof part);
    for (int i = 0; i < 10; i++) { /* 100 KB */
        assert_int_equal(send(fd, part, sizeof part, MSG_NOSIGNAL), sizeof part);
        run(b, 10);
    }
    assert_int_equal(b->logged, 1);
    assert_int_equal(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
    say(fd, 1);
    run(b, 250);
    assert_int_equal(fake.requests, 1);
    assert_int_equal(take(fd, ". 1 ", &last), 1);
    talk_text_free(&last);
    close(fd);
    run(b, 250);
}

static void answers_to_one_link_hold_up_no_other(void **state)
{
    bench *b = *state;
    const int fd = (create_server(b), dumb_link(b));

    fake.answer = ANSWER;
    say(fd, MANY);
    run(b, 500);
    create_link(b);
    assert_true(ask(b));
    run(b, 500);
    assert_int_equal(b->asked[0].answers, 1);
    close(fd);
    run(b, 250);
}

static void publish(unsigned n)
{
    char line[64];

    snprintf(line, sizeof line, "[\"relay/i2c0-3b\", {\"n\": %u}]\n", n);
    fake.output.publish(fake.output.baton, NODE, 0, line, strlen(line));
}

static void a_link_that_is_not_read_gets_the_newest_of_each_topic(void **state)
{
    bench *b = *state;
    const int fd = (create_server(b), dumb_link(b));
    const unsigned many = 200000;
    talk_text last = {0};
    int n, published = 0;

    run(b, 250);
    for (unsigned i = 1; i <= many; i++) {
        publish(i);
        if (i % 500 == 0) {
            run(b, 1);
        }
    }
    do {
        n = take(fd, "* ", &last);
        assert_true(n >= 0);
        published += n;
        run(b, 1);
    } while (n > 0);
    assert_true(published < (int)many / 10);
    assert_string_equal(last.data, "* 0 " NODE " [\"relay/i2c0-3b\", {\"n\": 200000}]");
    talk_text_free(&last);
    close(fd);
    run(b, 250);
}

static void a_hub_without_descriptors_waits_for_one(void **state)
{
    bench *b = *state;
    struct rlimit before, none;
    int fds[4], free_fd;

    create_server(b);
    for (int i = 0; i < 4; i++) {
        fds[i] = dumb_link(b);
    }
    free_fd = dup(0);
    close(free_fd);
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){.rlim_cur = (rlim_t)free_fd + 2, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    rounds = 0;
    run(b, 10000);
    assert_true(rounds < 100); /* it has not gone round and round */
    assert_int_equal(b->logged, 1);
    assert_true(is_greeted(fds[1]));
    assert_false(is_greeted(fds[2]));

    close(fds[0]); /* the hub closes its end: one more can be taken */
    fds[0] = dup(0);
    run(b, 500);
    assert_true(is_greeted(fds[2]));
    assert_false(is_greeted(fds[3]));
    setrlimit(RLIMIT_NOFILE, &before);
    run(b, 2000);
    assert_true(is_greeted(fds[3]));
    assert_int_equal(b->logged, 1);
    for (int i = 0; i < 4; i++) {
        close(fds[i]);
    }
    run(b, 250);
}

/* ---- the child's end ---- */

static void ask_much(bench *b)
{
    static char message[4096];

    memset(message, ' ', sizeof message);
    assert_true(
        hub_link_ask(b->link, &b->asked[b->n_asked++], false, NODE, 0, message, sizeof message));
}

static void memory_is_given_back_when_much_is_done(void **state)
{
    bench *b = *state;

    create_server(b);
    create_link(b);
    for (int i = 0; i < 100; i++) {
        ask(b);
        run(b, 100);
    }
    assert_int_equal(trims, 0); /* nothing much happens */
    for (int i = 0; i < 10; i++) {
        ask_much(b);
        run(b, 2000);
    }
    assert_int_equal(b->n_answered, 110);
    assert_int_equal(trims, 0); /* not in the middle of it */
    run(b, 5000);
    assert_int_equal(trims, 1);
    run(b, 60000);
    assert_int_equal(trims, 1); /* there is no more to give */
    ask_much(b);
    run(b, 5000);
    assert_int_equal(trims, 2);
}

static void memory_of_long_answers_is_given_back(void **state)
{
    bench *b = *state;
    const int fd = dumb_link(b);
    talk_text last = {0};

    create_server(b);
    fake.answer = ANSWER;
    say(fd, 100); /* and does not read */
    run(b, 2000);
    assert_int_equal(trims, 0);
    while (take(fd, ". ", &last) > 0) {
        run(b, 10);
    }
    run(b, 8000);
    assert_int_equal(trims, 1);
    talk_text_free(&last);
    close(fd);
}

static void requests_wait_for_a_hub_and_are_refused_in_the_end(void **state)
{
    bench *b = *state;

    create_link(b); /* the socket takes it, and nobody greets */
    assert_true(ask(b));
    run(b, 1000);
    assert_int_equal(b->n_lost, 0);
    run(b, HUB_LINK_PATIENCE * 1500);
    assert_true(b->asked[0].lost);
    assert_int_equal(b->asked[0].loss, HUB_LINK_NO_HUB);
    assert_false(hub_link_is_up(b->link));
    assert_false(ask(b));
    /* And what was refused is not carried out when a hub comes. */
    create_server(b);
    run(b, 1000);
    assert_int_equal(b->ups, 1);
    assert_int_equal(fake.requests, 0);
    assert_true(ask(b));
    run(b, 250);
    assert_int_equal(b->asked[2].answers, 1);
}

static void requests_wait_for_the_next_hub(void **state)
{
    bench *b = *state;

    create_link(b);
    assert_true(ask(b));
    run(b, 500);
    create_server(b);
    run(b, 250);
    assert_int_equal(b->asked[0].answers, 1);
}

static void nobody_listens(void **state)
{
    bench *b = *state;

    unlink(b->path);
    create_link(b);
    assert_true(ask(b));
    run(b, HUB_LINK_PATIENCE * 1500);
    assert_int_equal(b->asked[0].loss, HUB_LINK_NO_HUB);
    assert_int_equal(b->n_lost, 1);
}

/* The kernel lets few links wait to be taken: the others try again, several times a second. */
static void a_link_that_finds_no_place_tries_again(void **state)
{
    bench *b = *state;
    int fds[2];

    assert_int_equal(listen(b->listener, 1), 0); /* two may wait */
    for (int i = 0; i < 2; i++) {
        fds[i] = dumb_link(b);
    }
    create_link(b);
    assert_true(ask(b));
    run(b, 500);
    assert_int_equal(b->n_lost, 0);
    create_server(b);
    run(b, 500);
    assert_int_equal(b->asked[0].answers, 1);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
    }
    run(b, 250);
}

static void an_answer_has_its_time(void **state)
{
    bench *b = *state;

    create_server(b);
    create_link(b);
    fake.silent = true;
    assert_true(ask(b));
    run(b, (HUB_LINK_DEADLINE - 5) * 1000);
    assert_int_equal(b->n_lost, 0);
    assert_int_equal(hub_link_under_way(b->link), 1);
    run(b, HUB_LINK_DEADLINE * 1000);
    assert_true(b->asked[0].lost);
    assert_int_equal(b->asked[0].loss, HUB_LINK_OVERDUE);
    assert_int_equal(hub_link_under_way(b->link), 0);
    answer(fake.last, 20); /* nobody waits for it any longer */
    run(b, 250);
    assert_int_equal(b->n_answered, 0);
}

#define SLOW 100 /* bulk requests, of which the hub answers one in two seconds */

/* Bulk requests: all are answered in the end, of which the last one has waited for minutes. */
static void who_waits_in_a_queue_that_moves_is_not_overdue(void **state)
{
    bench *b = *state;

    create_server(b);
    create_link(b);
    fake.silent = true;
    ask_for_much(b, SLOW);
    run(b, 1000);
    for (uint64_t first = fake.last - fake.requests + 1; b->n_answered < SLOW; first++) {
        answer(first, 20);
        run(b, 2000);
    }
    assert_int_equal(b->n_lost, 0);
}

/* When the queue stands still all of it is overdue, not eight at a time. */
static void who_waits_in_a_queue_that_stands_is_overdue(void **state)
{
    bench *b = *state;

    create_server(b);
    create_link(b);
    fake.silent = true;
    ask_for_much(b, SLOW);
    run(b, 20000);
    answer(fake.last, 20);
    run(b, 20000); /* the hub has had one of those since the answer, and the others for longer */
    assert_int_equal(b->n_lost, HUB_LINK_BULK - 1);
    run(b, 2 * HUB_LINK_DEADLINE * 1000);
    assert_int_equal(b->n_lost, SLOW - 1);
    assert_int_equal(b->asked[SLOW - 1].loss, HUB_LINK_OVERDUE);
}

static void a_stop_makes_nothing_overdue(void **state)
{
    bench *b = *state;

    create_server(b);
    create_link(b);
    fake.silent = true;
    assert_true(ask(b));
    run(b, 1000);
    own_us += 3600 * INT64_C(1000000); /* the process was stopped, for an hour */
    run(b, 1000);
    assert_int_equal(b->n_lost, 0);
    answer(fake.last, 20);
    run(b, 250);
    assert_int_equal(b->asked[0].answers, 1);
}

/* Requests until the link takes no more: many have been written, many wait. */
static void ask_until_full(bench *b)
{
    while (hub_link_may_ask(b->link)) {
        assert_true(ask(b));
    }
}

static void a_broken_link_tells_what_may_have_been_done(void **state)
{
    bench *b = *state;
    const int hello = (create_link(b), accept(b->listener, NULL, NULL));
    static const char greeting[] = "! 1-1 power-on\n";
    unsigned had = 0, not_sent = 0, ready;

    /* A hub that greets and does not read. */
    assert_int_equal(send(hello, greeting, sizeof greeting - 1, 0), sizeof greeting - 1);
    run(b, 250);
    do {
        ask_until_full(b);
        run(b, 1);
    } while (hub_link_may_ask(b->link) && b->n_asked < MAX_ASKED - 2000);
    assert_false(hub_link_may_ask(b->link));
    assert_int_equal(hub_link_under_way(b->link), b->n_asked);
    ready = b->ready;
    close(hello);
    run(b, 250);
    assert_int_equal(b->n_lost, b->n_asked);
    for (unsigned i = 0; i < b->n_asked; i++) {
        had += b->asked[i].loss == HUB_LINK_BROKEN;
        not_sent += b->asked[i].loss == HUB_LINK_NOT_SENT;
        assert_true(b->asked[i].loss == HUB_LINK_BROKEN || not_sent > 0);
    }
    assert_true(had > 0);
    assert_true(not_sent > 500); /* what waited in the outbox */
    assert_int_equal(had + not_sent, b->n_asked);
    assert_true(hub_link_may_ask(b->link));
    assert_int_equal(b->ready, ready + 1);
}

/* Askers wait when it is full. For those that do not there is an end, too. */
static void what_waits_for_the_hub_is_bounded(void **state)
{
    bench *b = *state;
    const int hub = (create_link(b), accept(b->listener, NULL, NULL));
    static const char greeting[] = "! 1-1 power-on\n";
    static char message[HUB_MAX_LINE];
    unsigned n = 0;

    assert_int_equal(send(hub, greeting, sizeof greeting - 1, 0), sizeof greeting - 1);
    run(b, 250);
    memset(message, 'x', sizeof message);
    while (hub_link_ask(b->link, &b->asked[n], false, NODE, 0, message, sizeof message)) {
        assert_true(++n < 100);
    }
    assert_in_range(n, 1024 * 1024 / sizeof message, 1024 * 1024 / sizeof message + 2);
    assert_true(hub_link_is_up(b->link));
    close(hub);
}

/* Of no hub's lines one is that long. */
static void a_line_without_end_breaks_the_link(void **state)
{
    bench *b = *state;
    const int hub = (create_link(b), accept(b->listener, NULL, NULL));
    static const char greeting[] = "! 1-1 power-on\n";
    static char nothing[1 << 16];
    size_t sent = 0;

    assert_int_equal(send(hub, greeting, sizeof greeting - 1, 0), sizeof greeting - 1);
    assert_true(ask(b));
    run(b, 250);
    memset(nothing, 'x', sizeof nothing);
    while (!b->n_lost) {
        const ssize_t n = send(hub, nothing, sizeof nothing, MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        assert_true(sent < 8 * 1024 * 1024);
        run(b, 1);
    }
    assert_int_equal(b->asked[0].loss, HUB_LINK_BROKEN);
    assert_in_range(sent, 2 * 1024 * 1024, 5 * 1024 * 1024);
    close(hub);
}

static void others_overtake_requests_for_much(void **state)
{
    bench *b = *state;

    create_server(b);
    create_link(b);
    fake.silent = true;
    ask_for_much(b, MANY);
    run(b, 250);
    assert_int_equal(fake.requests, HUB_LINK_BULK);
    assert_int_equal(hub_link_under_way(b->link), MANY);
    assert_true(ask(b));
    run(b, 250);
    assert_int_equal(fake.requests, HUB_LINK_BULK + 1);
    answer(fake.last, 20);
    run(b, 250);
    assert_int_equal(b->asked[MANY].answers, 1);
    assert_int_equal(fake.requests, HUB_LINK_BULK + 1);
    /* As soon as one is answered the next goes. */
    fake.silent = false;
    answer(fake.last - MANY, 20); /* the first: numbers are counted from 1 */
    run(b, 250);
    assert_int_equal(fake.requests, MANY + 1);
    assert_int_equal(b->n_answered, MANY + 1 - (HUB_LINK_BULK - 1));
}

/* Askers that find the link full wait for ready(), whoever has filled it. */
static void requests_for_much_that_fill_the_link_owe_ready(void **state)
{
    bench *b = *state;
    static char message[16000];

    create_server(b);
    create_link(b);
    fake.silent = true;
    ask_for_much(b, HUB_LINK_BULK);
    memset(message, 'x', sizeof message);
    for (int i = 0; i < HUB_LINK_BULK; i++) {
        assert_true(
            hub_link_ask(b->link, &b->asked[b->n_asked++], true, NODE, 0, message, sizeof message));
    }
    run(b, 250);
    assert_true(hub_link_may_ask(b->link));
    assert_int_equal(b->ready, 0);
    for (unsigned i = 0; i < HUB_LINK_BULK; i++) { /* for each of them another is handed over */
        answer(fake.last - i, 20);
    }
    run(b, 250);
    assert_int_equal(b->n_answered, HUB_LINK_BULK);
    assert_true(b->was_full);
    assert_true(hub_link_may_ask(b->link));
    assert_int_equal(b->ready, 1);
}

static void requests_for_much_make_no_other_busy(void **state)
{
    bench *b = *state;
    static char message[HUB_MAX_LINE];

    create_server(b);
    create_link(b);
    fake.silent = true;
    memset(message, 'x', sizeof message);
    while (hub_link_ask(b->link, &b->asked[b->n_asked], true, NODE, 0, message, sizeof message)) {
        assert_true(++b->n_asked < 100); /* it is bounded */
    }
    assert_true(hub_link_is_up(b->link));
    run(b, 1000);
    assert_int_equal(fake.requests, HUB_LINK_BULK);
    fake.silent = false;
    assert_true(ask(b));
    run(b, 250);
    assert_int_equal(b->n_answered, 1);
}

static void requests_for_much_are_lost_with_the_others(void **state)
{
    bench *b = *state;

    create_server(b);
    create_link(b);
    fake.silent = true;
    ask_for_much(b, MANY);
    run(b, 250);
    hub_server_destroy(b->server);
    b->server = NULL;
    run(b, 250);
    for (int i = 0; i < MANY; i++) {
        assert_true(b->asked[i].lost);
        assert_int_equal(b->asked[i].loss, i < HUB_LINK_BULK ? HUB_LINK_BROKEN : HUB_LINK_NOT_SENT);
    }
    /* And the next hub gets what is asked then, and no more. */
    fake.silent = false;
    fake.requests = 0;
    create_server(b);
    assert_true(ask_for(b, true));
    run(b, 500);
    assert_int_equal(fake.requests, 1);
    assert_int_equal(b->asked[MANY].answers, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(a_link_whose_answers_wait_is_not_read_and_not_cut),
        LINK_TEST(requests_to_a_link_that_is_behind_stay_in_the_socket),
        LINK_TEST(a_line_that_is_too_long_is_skipped),
        LINK_TEST(answers_to_one_link_hold_up_no_other),
        LINK_TEST(a_link_that_is_not_read_gets_the_newest_of_each_topic),
        LINK_TEST(a_hub_without_descriptors_waits_for_one),
        LINK_TEST(memory_is_given_back_when_much_is_done),
        LINK_TEST(memory_of_long_answers_is_given_back),
        LINK_TEST(requests_wait_for_a_hub_and_are_refused_in_the_end),
        LINK_TEST(requests_wait_for_the_next_hub),
        LINK_TEST(nobody_listens),
        LINK_TEST(a_link_that_finds_no_place_tries_again),
        LINK_TEST(an_answer_has_its_time),
        LINK_TEST(who_waits_in_a_queue_that_moves_is_not_overdue),
        LINK_TEST(who_waits_in_a_queue_that_stands_is_overdue),
        LINK_TEST(a_stop_makes_nothing_overdue),
        LINK_TEST(a_broken_link_tells_what_may_have_been_done),
        LINK_TEST(what_waits_for_the_hub_is_bounded),
        LINK_TEST(a_line_without_end_breaks_the_link),
        LINK_TEST(others_overtake_requests_for_much),
        LINK_TEST(requests_for_much_that_fill_the_link_owe_ready),
        LINK_TEST(requests_for_much_make_no_other_busy),
        LINK_TEST(requests_for_much_are_lost_with_the_others),
    };

    return cmocka_run_group_tests_name("the link between child and hub", tests, NULL, NULL);
}
