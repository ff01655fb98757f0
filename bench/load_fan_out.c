/*
 * Fan-out: a publication is triggered on a connection of its own, and goes to all. `fan-out`
 * measures until the last reader has it; `busy` what that does to another client's requests
 * meanwhile.
 */
#include "load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET_NS      (50 * NS_PER_MS) /* between publications: each finds a server at rest */
#define REQUEST_NS    (2 * NS_PER_MS)  /* between the requests of `busy` */
#define ASKED_AT_ONCE 4096             /* of them, at most */

typedef struct fan_out {
    const load_options *options;
    char *message;     /* the publication, options->size bytes */
    uint64_t sequence; /* of the publication that is under way */
    unsigned joined;   /* clients whose first message came back */
    unsigned received;
    int64_t first, last; /* when the first and the last reader had it */
    bool wrong;
} fan_out;

/* Clients 0 to connections - 1 read; the one behind them triggers, and gets its copy, too. */
static void on_publication(client *c, const uint8_t *data, size_t length)
{
    fan_out *f = crowd_scenario(c->crowd);

    if (load_message_is(data, length, f->options->size, '.', c->index, 0)) {
        f->joined++;
        return;
    }
    if (c->index == f->options->connections) {
        return;
    }
    if (c->sequence == f->sequence ||
        !load_message_is(data, length, f->options->size, '!', 0, f->sequence)) {
        f->wrong = true;
        return;
    }
    c->sequence = f->sequence;
    f->last = clock_ns();
    if (f->received++ == 0) {
        f->first = f->last;
    }
}

/* One publication: when it was triggered, or 0 where it did not reach all readers in time. */
static int64_t publish(crowd *crowd, fan_out *f)
{
    client *trigger = crowd_client(crowd, f->options->connections);
    int64_t began, until;

    f->received = 0;
    load_message(f->message, f->options->size, '!', 0, ++f->sequence);
    began = clock_ns();
    until = began + (int64_t)(f->options->patience * 1e9);
    client_send(trigger, WS_TEXT, f->message, f->options->size);
    while (f->received < f->options->connections && !f->wrong && crowd_losses(crowd) == 0 &&
           clock_ns() < until) {
        crowd_poll(crowd, until);
    }
    if (f->received == f->options->connections && !f->wrong) {
        return began;
    }
    fprintf(stderr, "publication %lu reached %u of %u connections%s\n", (unsigned long)f->sequence,
            f->received, f->options->connections, f->wrong ? "; something else came" : "");
    return 0;
}

static void rest(crowd *crowd, int64_t nanoseconds)
{
    const int64_t until = clock_ns() + nanoseconds;

    while (clock_ns() < until) {
        crowd_poll(crowd, until);
    }
}

/*
 * An echo each: a server may send the 101 before the client is among those that publications go to.
 */
static bool join_all(crowd *crowd, fan_out *f)
{
    const int64_t until = clock_ns() + (int64_t)(f->options->patience * 1e9);

    for (unsigned i = 0; i < crowd_size(crowd); i++) {
        load_message(f->message, f->options->size, '.', i, 0);
        client_send(crowd_client(crowd, i), WS_TEXT, f->message, f->options->size);
    }
    while (f->joined < crowd_size(crowd) && crowd_losses(crowd) == 0 && clock_ns() < until) {
        crowd_poll(crowd, until);
    }
    if (f->joined < crowd_size(crowd)) {
        fprintf(stderr, "%u of %u connections were answered\n", f->joined, crowd_size(crowd));
    }
    return f->joined == crowd_size(crowd);
}

/* Readers and the trigger, all open; NULL with a message on stderr where that fails. */
static crowd *open_readers(fan_out *f, const load_options *options)
{
    static const crowd_events events = {.message = on_publication};
    crowd *crowd;

    *f = (fan_out){.options = options, .message = malloc(options->size)};
    if (!f->message || !(crowd = crowd_create(&options->target, &events, f))) {
        return NULL;
    }
    if (!crowd_open(crowd, options->connections + 1, options->patience) || !join_all(crowd, f)) {
        crowd_destroy(crowd);
        return NULL;
    }
    return crowd;
}

bool load_fan_out(const load_options *options)
{
    fan_out f;
    samples last = {0}, first = {0};
    crowd *crowd = open_readers(&f, options);
    bool good = crowd != NULL;
    double cpu = 0;

    /* Two publications are not counted: what is built at first use is built then. */
    for (unsigned i = 0; good && i < options->rounds + 2; i++) {
        int64_t began;

        rest(crowd, QUIET_NS);
        if (i == 2) {
            cpu = load_server_cpu(options);
        }
        began = publish(crowd, &f);
        good = began != 0;
        if (good && i >= 2) {
            samples_add(&first, f.first - began);
            samples_add(&last, f.last - began);
        }
    }
    cpu = load_server_cpu(options) - cpu;
    if (good) {
        printf("{\"connections\":%u,\"last_ms\":%.3f,\"last_p90_ms\":%.3f,\"first_ms\":%.3f,"
               "\"cpu_ms\":%.3f}\n",
               options->connections, samples_quantile(&last, 0.5) / 1000,
               samples_quantile(&last, 0.9) / 1000, samples_quantile(&first, 0.5) / 1000,
               cpu * 1000 / options->rounds);
    }
    if (crowd) {
        crowd_destroy(crowd);
    }
    samples_free(&last);
    samples_free(&first);
    free(f.message);
    return good;
}

/* ---- busy ---- */

/* The requests of `busy`, on a thread with a crowd of its own: one client. */
typedef struct asker {
    const load_options *options;
    atomic_bool stop;
    bool good;
    uint64_t answered;               /* the sequence of the last answer; they come in order */
    int64_t asked_at[ASKED_AT_ONCE]; /* by sequence */
    samples times;
} asker;

static void on_answer(client *c, const uint8_t *data, size_t length)
{
    asker *a = crowd_scenario(c->crowd);

    if (!load_message_is(data, length, a->options->size, '.', 0, a->answered + 1)) {
        return; /* a publication: they come here, too */
    }
    a->answered++;
    samples_add(&a->times, clock_ns() - a->asked_at[a->answered % ASKED_AT_ONCE]);
}

/*
 * A request every REQUEST_NS, whether its predecessor was answered or not, and then the last
 * answers.
 */
static bool ask_on(crowd *crowd, asker *a, char *message)
{
    client *c = crowd_client(crowd, 0);
    int64_t due = clock_ns();

    while (!atomic_load(&a->stop) && crowd_losses(crowd) == 0) {
        while (clock_ns() < due) {
            crowd_poll(crowd, due);
        }
        due += REQUEST_NS;
        if (c->sequence - a->answered < ASKED_AT_ONCE) {
            load_message(message, a->options->size, '.', 0, ++c->sequence);
            a->asked_at[c->sequence % ASKED_AT_ONCE] = clock_ns();
            client_send(c, WS_TEXT, message, a->options->size);
        }
    }
    due += (int64_t)(a->options->patience * 1e9);
    while (a->answered < c->sequence && crowd_losses(crowd) == 0 && clock_ns() < due) {
        crowd_poll(crowd, due);
    }
    return a->answered == c->sequence;
}

static void *run_asker(void *baton)
{
    static const crowd_events events = {.message = on_answer};
    asker *a = baton;
    char *message = malloc(a->options->size);
    crowd *crowd = message ? crowd_create(&a->options->target, &events, a) : NULL;

    a->good = crowd && crowd_open(crowd, 1, a->options->patience) && ask_on(crowd, a, message);
    if (crowd) {
        crowd_destroy(crowd);
    }
    free(message);
    return NULL;
}

/* Publications back to back for options->seconds: their number, or 0 where one did not arrive. */
static unsigned publish_on(crowd *crowd, fan_out *f)
{
    const int64_t until = clock_ns() + (int64_t)(f->options->seconds * 1e9);
    unsigned count = 0;

    while (clock_ns() < until) {
        if (publish(crowd, f) == 0) {
            return 0;
        }
        count++;
    }
    return count;
}

bool load_busy(const load_options *options)
{
    fan_out f;
    asker a = {.options = options};
    pthread_t thread;
    crowd *crowd = open_readers(&f, options);
    unsigned publications = 0;
    bool good = crowd && pthread_create(&thread, NULL, run_asker, &a) == 0;

    if (good) {
        publications = publish_on(crowd, &f);
        atomic_store(&a.stop, true);
        pthread_join(thread, NULL);
        if (!a.good) {
            fprintf(stderr, "%lu requests were answered, then none\n", (unsigned long)a.answered);
        }
        good = publications > 0 && a.good;
    }
    if (good) {
        printf("{\"connections\":%u,\"publications\":%u,\"requests\":%zu,\"median_us\":%.2f,"
               "\"p99_us\":%.2f,\"max_us\":%.2f}\n",
               options->connections, publications, a.times.count, samples_quantile(&a.times, 0.5),
               samples_quantile(&a.times, 0.99), samples_quantile(&a.times, 1));
    }
    if (crowd) {
        crowd_destroy(crowd);
    }
    samples_free(&a.times);
    free(f.message);
    return good;
}
