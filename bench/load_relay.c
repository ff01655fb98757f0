/*
 * Clown.Talk: one client switches a relay, and all clients read the publication. What is measured
 * is the time from the request to the publication, less the pulse that moves the contact.
 */
#include "load.h"

#include <stdio.h>
#include <string.h>

#define OPENING "[\"clown.talk/-/config/set\", {}]"
#define OPENED  "[\"clown.talk/-/config/ok\""
/* A relay module clicks at most once in 100 ms: the next request finds it ready. */
#define CLICK_NS    (130 * NS_PER_MS)
#define SETTLING_NS (300 * NS_PER_MS) /* after the opening: the last known values come */

typedef struct relay {
    const load_options *options;
    unsigned opened;  /* clients whose opening was answered */
    bool state;       /* of the last request */
    char prefix[160]; /* how the publication begins */
    char member[32];  /* what it contains */
    unsigned received;
    int64_t own, last; /* when the asking client, and the last of all, had it */
} relay;

static bool contains(const uint8_t *data, size_t length, const char *text)
{
    return memmem(data, length, text, strlen(text)) != NULL;
}

static void on_opened(client *c)
{
    client_send(c, WS_TEXT, OPENING, sizeof(OPENING) - 1);
}

static void on_message(client *c, const uint8_t *data, size_t length)
{
    relay *r = crowd_scenario(c->crowd);
    const size_t prefix = strlen(r->prefix);

    if (length > sizeof(OPENED) && memcmp(data, OPENED, sizeof(OPENED) - 1) == 0) {
        r->opened++;
    } else if (c->sequence == 0 && length > prefix && memcmp(data, r->prefix, prefix) == 0 &&
               contains(data, length, r->member)) {
        c->sequence = 1;
        r->received++;
        r->last = clock_ns();
        if (c->index == 0) {
            r->own = r->last;
        }
    } else if (contains(data, length, "/error\"")) {
        fprintf(stderr, "%.*s", (int)length, data);
    }
}

/* Opens the clients and waits until each has been answered and has the values of the beginning. */
static bool open_all(crowd *crowd, relay *r)
{
    int64_t until;

    if (!crowd_open(crowd, r->options->connections, r->options->patience)) {
        return false;
    }
    until = clock_ns() + (int64_t)(r->options->patience * 1e9);
    while (r->opened < r->options->connections && clock_ns() < until) {
        crowd_poll(crowd, until);
    }
    if (r->opened < r->options->connections) {
        fprintf(stderr, "the opening of %u of %u connections was answered\n", r->opened,
                r->options->connections);
        return false;
    }
    until = clock_ns() + SETTLING_NS;
    while (clock_ns() < until) {
        crowd_poll(crowd, until);
    }
    return true;
}

/* Switches once; 0 where the publication did not reach all clients, otherwise when it was asked. */
static int64_t switch_once(crowd *crowd, relay *r)
{
    char request[256];
    int64_t began, until;
    int length;

    r->state = !r->state;
    r->received = 0;
    for (unsigned i = 0; i < crowd_size(crowd); i++) {
        crowd_client(crowd, i)->sequence = 0;
    }
    snprintf(r->member, sizeof(r->member), "\"state\": %s", r->state ? "true" : "false");
    length = snprintf(request, sizeof(request), "[\"%s/set\", {\"state\": %s}]", r->options->relay,
                      r->state ? "true" : "false");
    began = clock_ns();
    until = began + (int64_t)(r->options->patience * 1e9);
    client_send(crowd_client(crowd, 0), WS_TEXT, request, (size_t)length);
    while (r->received < crowd_size(crowd) && crowd_losses(crowd) == 0 && clock_ns() < until) {
        crowd_poll(crowd, until);
    }
    if (r->received == crowd_size(crowd)) {
        return began;
    }
    fprintf(stderr, "the relay's publication reached %u of %u connections\n", r->received,
            crowd_size(crowd));
    return 0;
}

bool load_relay(const load_options *options)
{
    static const crowd_events events = {.opened = on_opened, .message = on_message};
    relay r = {.options = options};
    const int64_t pulse = (int64_t)(options->pulse * NS_PER_MS);
    samples own = {0}, last = {0};
    crowd *crowd = crowd_create(&options->target, &events, &r);
    bool good;

    snprintf(r.prefix, sizeof(r.prefix), "[\"%s\"", options->relay);
    good = crowd && open_all(crowd, &r);
    for (unsigned i = 0; good && i < options->rounds; i++) {
        int64_t began = switch_once(crowd, &r), rested = began + CLICK_NS;

        good = began != 0;
        if (good) {
            samples_add(&own, r.own - began - pulse);
            samples_add(&last, r.last - began - pulse);
        }
        while (good && clock_ns() < rested) {
            crowd_poll(crowd, rested);
        }
    }
    if (good) {
        printf("{\"connections\":%u,\"own_ms\":%.3f,\"own_p99_ms\":%.3f,\"last_ms\":%.3f,"
               "\"pulse_ms\":%g}\n",
               crowd_size(crowd), samples_quantile(&own, 0.5) / 1000,
               samples_quantile(&own, 0.99) / 1000, samples_quantile(&last, 0.5) / 1000,
               options->pulse);
    }
    if (crowd) {
        crowd_destroy(crowd);
    }
    samples_free(&own);
    samples_free(&last);
    return good;
}
