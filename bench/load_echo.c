/* Echo: each connection sends its next message when the last one has come back. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct echo {
    const load_options *options;
    int64_t from, until; /* what is measured */
    samples times;
    bool wrong;    /* a reply was not what was sent */
    char *message; /* scratch, options->size bytes */
} echo;

static void send_next(client *c)
{
    echo *e = crowd_scenario(c->crowd);

    load_message(e->message, e->options->size, '.', c->index, ++c->sequence);
    c->sent_at = clock_ns();
    client_send(c, WS_TEXT, e->message, e->options->size);
}

static void on_reply(client *c, const uint8_t *data, size_t length)
{
    echo *e = crowd_scenario(c->crowd);
    int64_t now = clock_ns();

    if (!load_message_is(data, length, e->options->size, '.', c->index, c->sequence)) {
        e->wrong = true;
    }
    if (c->sent_at >= e->from && now < e->until) {
        c->replies++;
        samples_add(&e->times, now - c->sent_at);
    }
    if (now < e->until) {
        send_next(c);
    }
}

/* `cpu`: seconds that the server has used. */
static void report(echo *e, crowd *crowd, double cpu)
{
    uint64_t total = 0, fewest = UINT64_MAX, most = 0;
    unsigned silent = 0;

    for (unsigned i = 0; i < crowd_size(crowd); i++) {
        uint64_t replies = crowd_client(crowd, i)->replies;

        total += replies;
        fewest = replies < fewest ? replies : fewest;
        most = replies > most ? replies : most;
        silent += replies == 0;
    }
    printf("{\"connections\":%u,\"messages_per_second\":%.1f,\"median_us\":%.2f,\"p99_us\":%.2f,"
           "\"fewest\":%lu,\"most\":%lu,\"silent\":%u,\"lost\":%u,\"cpu_us\":%.3f}\n",
           crowd_size(crowd), (double)total / e->options->seconds, samples_quantile(&e->times, 0.5),
           samples_quantile(&e->times, 0.99), (unsigned long)fewest, (unsigned long)most, silent,
           crowd_losses(crowd), total ? cpu * 1e6 / (double)total : 0);
}

bool load_echo(const load_options *options)
{
    static const crowd_events events = {.message = on_reply};
    echo e = {.options = options, .message = malloc(options->size)};
    crowd *crowd = e.message ? crowd_create(&options->target, &events, &e) : NULL;
    bool good = crowd && crowd_open(crowd, options->connections, options->patience);
    double cpu;

    if (good) {
        e.from = clock_ns() + (int64_t)(options->warm_up * 1e9);
        e.until = e.from + (int64_t)(options->seconds * 1e9);
        for (unsigned i = 0; i < options->connections; i++) {
            send_next(crowd_client(crowd, i));
        }
        while (clock_ns() < e.from) {
            crowd_poll(crowd, e.from);
        }
        cpu = load_server_cpu(options);
        while (clock_ns() < e.until) {
            crowd_poll(crowd, e.until);
        }
        report(&e, crowd, load_server_cpu(options) - cpu);
        if (e.wrong) {
            fprintf(stderr, "a reply was not what had been sent\n");
        }
        good = !e.wrong && crowd_losses(crowd) == 0;
    }
    if (crowd) {
        crowd_destroy(crowd);
    }
    samples_free(&e.times);
    free(e.message);
    return good;
}
