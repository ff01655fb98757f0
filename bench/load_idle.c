/*
 * Idle connections: how fast they are taken, and time for bench/run to look at the server's memory:
 * with one connection, with all, and when each of them has sent a message.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct idle {
    const load_options *options;
    unsigned replies;
} idle;

static void on_reply(client *c, const uint8_t *data, size_t length)
{
    idle *scenario = crowd_scenario(c->crowd);

    if (load_message_is(data, length, scenario->options->size, '.', c->index, 1)) {
        scenario->replies++;
    }
}

/* Until a line or the end comes on stdin; pings are answered meanwhile. */
static bool wait_for_word(crowd *crowd, double patience)
{
    const int64_t until = clock_ns() + (int64_t)(patience * 1e9);
    char line[64];

    while (clock_ns() < until) {
        if (crowd_poll(crowd, until) && read(STDIN_FILENO, line, sizeof(line)) > 0) {
            return true;
        }
    }
    fprintf(stderr, "no line came on stdin\n");
    return false;
}

/* A message each, some at a time: what a server keeps of its buffers is then what it keeps. */
static bool exchange(crowd *crowd, idle *scenario)
{
    const int64_t until = clock_ns() + (int64_t)(scenario->options->patience * 1e9);
    char *message = malloc(scenario->options->size);
    unsigned sent = 0;

    while (message && scenario->replies < crowd_size(crowd) && clock_ns() < until) {
        while (sent < crowd_size(crowd) && sent < scenario->replies + 64) {
            load_message(message, scenario->options->size, '.', sent, 1);
            client_send(crowd_client(crowd, sent++), WS_TEXT, message, scenario->options->size);
        }
        crowd_poll(crowd, until);
    }
    free(message);
    if (scenario->replies < crowd_size(crowd)) {
        fprintf(stderr, "%u of %u connections were answered\n", scenario->replies,
                crowd_size(crowd));
    }
    return scenario->replies == crowd_size(crowd);
}

/* The connections but for the first; false where they do not open. */
static bool open_all(crowd *crowd, const load_options *options)
{
    const int64_t began = clock_ns();
    const bool good = crowd_open(crowd, options->connections, options->patience);
    const double seconds = (double)(clock_ns() - began) / 1e9;

    if (good) {
        printf("{\"connections\":%u,\"seconds\":%.4f,\"handshakes_per_second\":%.1f}\n",
               crowd_size(crowd), seconds, (crowd_size(crowd) - 1) / seconds);
    }
    return good;
}

bool load_idle(const load_options *options)
{
    static const crowd_events events = {.message = on_reply};
    idle scenario = {.options = options};
    crowd *crowd = crowd_create(&options->target, &events, &scenario);
    bool good =
        crowd && crowd_watch(crowd, STDIN_FILENO) && crowd_open(crowd, 1, options->patience);

    if (good) {
        printf("{\"connections\":1}\n");
        good = wait_for_word(crowd, options->patience) && open_all(crowd, options) &&
               wait_for_word(crowd, options->patience) && exchange(crowd, &scenario);
    }
    if (good) {
        printf("{\"answered\":%u}\n", scenario.replies);
        good = wait_for_word(crowd, options->patience) && crowd_losses(crowd) == 0;
    }
    if (crowd) {
        crowd_destroy(crowd);
    }
    return good;
}
