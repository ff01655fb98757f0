#include "link.h"

#include "outbox.h"

#include "base/container.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Time until a link that could not be made is tried again. */
#define RETRY_MS 250
/*
 * Most bytes that wait for a hub which does not keep up, most of bulk requests that wait for their
 * turn, and most in one line from the hub.
 */
#define MAX_UNSENT   (1024 * 1024)
#define BULK_BOUND   (1024 * 1024) /* who asks for more of them is to wait */
#define MAX_BULK     (4 * 1024 * 1024)
#define MAX_LINE     (4 * 1024 * 1024)
#define READ_BYTES   65536
#define INITIAL_RING 64

#define NOT_YET UINT64_MAX

/* A request that waits for its last reply. */
typedef struct waiting {
    void *request;  /* NULL: it waits no longer */
    uint64_t end;   /* of its line, in bytes since the outbox began; NOT_YET: it is not in there */
    unsigned since; /* link->seconds when it was asked, or the queue that it waits in has moved */
    bool bulk;
} waiting;

/* The line of a bulk request, which waits until the hub has answered others. */
typedef struct bulk_line {
    struct bulk_line *next;
    uint64_t number;
    size_t length;
    char text[];
} bulk_line;

struct hub_link {
    ws_loop *loop;
    const char *path;
    hub_link_events events;
    ws_watch watch; /* the socket; fd -1: down */
    ws_timer retry;
    ws_timer second;    /* set while something is waited for */
    unsigned seconds;   /* how often it has expired */
    unsigned alone;     /* how often since a hub was there last; up to HUB_LINK_PATIENCE */
    ws_task flush;      /* queued while there is something to write */
    bool was_full;      /* ready() is owed, to those that ask for little ... */
    bool was_bulk_full; /* ... or for much */
    bool troubled;      /* reported, until the next hello */
    bool greeted;       /* this connection's hub has said hello */
    char instance[64];  /* of the last hub that said hello */

    outbox out;
    bulk_line *bulk_first, **bulk_last;
    size_t bulk_bytes;    /* of these */
    unsigned bulk_at_hub; /* bulk requests that were handed over and wait for their last reply */
    bool answers_bulk;    /* the hub, since the second before */
    bool takes;           /* the same: something was written to it */
    talk_text envelope;   /* scratch */
    char *line;           /* an unfinished line from the hub, and room for more */
    size_t line_length, line_capacity;

    /* Requests by number: a ring, a power of 2, of those that wait for their last reply. */
    waiting *ring;
    size_t ring_size;
    uint64_t oldest, next; /* numbers; [oldest, next) may wait */
    size_t under_way;
};

static void link_down(hub_link *link, int error, const char *what);

/* ---- outstanding requests ---- */

static waiting *slot_of(hub_link *link, uint64_t number)
{
    return &link->ring[number & (link->ring_size - 1)];
}

/* NULL: it waits no longer. */
static void *find_request(hub_link *link, uint64_t number)
{
    return number >= link->oldest && number < link->next ? slot_of(link, number)->request : NULL;
}

static void *take_request(hub_link *link, uint64_t number)
{
    void *request = find_request(link, number);

    if (request) {
        waiting *w = slot_of(link, number);

        w->request = NULL;
        link->under_way--;
        link->bulk_at_hub -= w->bulk && w->end != NOT_YET;
    }
    while (link->oldest < link->next && !slot_of(link, link->oldest)->request) {
        link->oldest++;
    }
    return request;
}

static bool grow_ring(hub_link *link)
{
    const size_t size = link->ring_size ? 2 * link->ring_size : INITIAL_RING;
    waiting *ring = calloc(size, sizeof *ring);

    if (!ring) {
        return false;
    }
    for (uint64_t n = link->oldest; n < link->next; n++) {
        ring[n & (size - 1)] = *slot_of(link, n);
    }
    free(link->ring);
    link->ring = ring;
    link->ring_size = size;
    return true;
}

static uint64_t add_request(hub_link *link, void *request, bool bulk)
{
    if (link->next - link->oldest >= link->ring_size && !grow_ring(link)) {
        return 0;
    }
    *slot_of(link, link->next) =
        (waiting){.request = request, .end = NOT_YET, .since = link->seconds, .bulk = bulk};
    link->under_way++;
    return link->next++;
}

static void lose_request(hub_link *link, uint64_t number, hub_link_loss loss)
{
    void *request = take_request(link, number);

    if (request) {
        link->events.lost(request, loss);
    }
}

static void lose_all(hub_link *link, hub_link_loss loss)
{
    const uint64_t end = link->next; /* lost() may make new requests */

    for (uint64_t n = link->oldest; n < end; n++) {
        lose_request(link, n, loss);
    }
}

/* After the link broke: the hub may have carried out what was written to it as a whole line. */
static void lose_by_what_was_written(hub_link *link)
{
    const uint64_t end = link->next, written = link->out.passed;

    for (uint64_t n = link->oldest; n < end; n++) {
        lose_request(link, n,
                     slot_of(link, n)->end <= written ? HUB_LINK_BROKEN : HUB_LINK_NOT_SENT);
    }
}

/* Whether it waits in a queue that goes on: for its turn, or to be written. */
static bool comes_nearer(const hub_link *link, const waiting *w)
{
    return w->end == NOT_YET ? link->answers_bulk : w->end > link->out.passed && link->takes;
}

/*
 * The hub's time for an answer begins when it has the request. Before that a request waits as long
 * as others must, however many and however slow the machine.
 */
static void lose_overdue(hub_link *link)
{
    const uint64_t end = link->next; /* lost() may make new requests */

    for (uint64_t n = link->oldest; n < end; n++) {
        waiting *w = slot_of(link, n);

        if (!find_request(link, n)) {
            continue;
        }
        if (comes_nearer(link, w)) {
            w->since = link->seconds;
        } else if (link->seconds - w->since >= HUB_LINK_DEADLINE) {
            lose_request(link, n, HUB_LINK_OVERDUE);
        }
    }
    link->answers_bulk = link->takes = false;
}

/* ---- what waits to be handed over ---- */

/* Too much of its kind waits for a hub that does not keep up. */
static bool is_overfull(const hub_link *link, bool bulk)
{
    return bulk ? link->bulk_bytes > MAX_BULK : outbox_unsent(&link->out) > MAX_UNSENT;
}

static void want_flush(hub_link *link)
{
    if (link->greeted && !(link->watch.events & EPOLLOUT)) {
        ws_loop_defer(link->loop, &link->flush);
    }
}

/* Puts a request's line, without its '\n', into the outbox. */
static void hand_over(hub_link *link, uint64_t number, const talk_text *line)
{
    waiting *w = slot_of(link, number);

    outbox_add(&link->out, line, "\n", 1);
    link->was_full = link->was_full || !hub_link_may_ask(link);
    w->end = link->out.passed + outbox_unsent(&link->out);
    w->since = link->seconds;
    link->bulk_at_hub += w->bulk;
    want_flush(link);
}

static void keep_bulk(hub_link *link, uint64_t number, const talk_text *line)
{
    bulk_line *kept = base_must(malloc(sizeof *kept + line->length));

    kept->next = NULL;
    kept->number = number;
    kept->length = line->length;
    memcpy(kept->text, line->data, line->length);
    *link->bulk_last = kept;
    link->bulk_last = &kept->next;
    link->bulk_bytes += kept->length;
    link->was_bulk_full = link->was_bulk_full || !hub_link_may_ask_much(link);
}

static void drop_bulk_line(hub_link *link)
{
    bulk_line *line = link->bulk_first;

    link->bulk_first = line->next;
    if (!line->next) {
        link->bulk_last = &link->bulk_first;
    }
    link->bulk_bytes -= line->length;
    free(line);
}

/* Hands over as many bulk requests as the hub may have. One that is lost meanwhile is left out. */
static void feed_bulk(hub_link *link)
{
    while (link->bulk_first && link->bulk_at_hub < HUB_LINK_BULK) {
        const bulk_line *line = link->bulk_first;

        if (find_request(link, line->number)) {
            talk_text_clear(&link->envelope);
            talk_text_add(&link->envelope, line->text, line->length);
            hand_over(link, line->number, &link->envelope);
        }
        drop_bulk_line(link);
    }
}

static void drop_all(hub_link *link)
{
    outbox_clear(&link->out);
    while (link->bulk_first) {
        drop_bulk_line(link);
    }
}

/* ---- waiting ---- */

static bool waits_for_hub(const hub_link *link)
{
    return !link->greeted && link->alone < HUB_LINK_PATIENCE;
}

static void watch_time(hub_link *link)
{
    if (!link->second.next && (waits_for_hub(link) || link->under_way > 0)) {
        ws_timer_set(link->loop, &link->second, 1000);
    }
}

static void say_ready(hub_link *link)
{
    if ((link->was_full && hub_link_may_ask(link)) ||
        (link->was_bulk_full && hub_link_may_ask_much(link))) {
        link->was_full = link->was_full && !hub_link_may_ask(link);
        link->was_bulk_full = link->was_bulk_full && !hub_link_may_ask_much(link);
        if (link->events.ready) {
            link->events.ready(link->events.baton);
        }
    }
}

/* Nothing was written to a hub that did not greet: what waits for it is not carried out. */
static void give_up(hub_link *link)
{
    drop_all(link);
    lose_all(link, HUB_LINK_NO_HUB);
    say_ready(link);
}

static void on_second(ws_timer *timer)
{
    hub_link *link = container_of(timer, hub_link, second);

    link->seconds++;
    if (waits_for_hub(link) && ++link->alone == HUB_LINK_PATIENCE) {
        give_up(link);
    }
    lose_overdue(link);
    feed_bulk(link);
    say_ready(link);
    watch_time(link);
}

/* ---- reading ---- */

static void on_hello(hub_link *link, const envelope_from_hub *envelope)
{
    char text[sizeof link->instance + 32], *space;
    bool restarted;

    if (envelope->length >= sizeof text) {
        return;
    }
    memcpy(text, envelope->message, envelope->length);
    text[envelope->length] = '\0';
    space = strchr(text, ' ');
    if (!space || (size_t)(space - text) >= sizeof link->instance) {
        return;
    }
    *space = '\0';
    restarted = link->instance[0] && strcmp(link->instance, text) != 0;
    strcpy(link->instance, text);
    link->troubled = false;
    link->greeted = true;
    link->alone = 0;
    ws_loop_defer(link->loop, &link->flush);
    link->events.up(link->events.baton, restarted, space + 1);
}

static void on_line(hub_link *link, const char *line, size_t length)
{
    envelope_from_hub envelope;

    if (!envelope_read_from_hub(&envelope, line, length - 1)) {
        return;
    }
    switch (envelope.kind) {
    case ENVELOPE_HELLO:
        on_hello(link, &envelope);
        break;
    case ENVELOPE_REPLY:
    case ENVELOPE_LAST_REPLY: {
        const bool last = envelope.kind == ENVELOPE_LAST_REPLY;
        void *request = find_request(link, envelope.request);

        if (request) {
            link->answers_bulk |= slot_of(link, envelope.request)->bulk;
            if (last) {
                take_request(link, envelope.request);
            }
            link->events.reply(request, envelope.message, envelope.length + 1, last);
        }
        feed_bulk(link);
        say_ready(link);
        break;
    }
    case ENVELOPE_PUBLICATION:
        link->events.publish(link->events.baton, envelope.node,
                             find_request(link, envelope.request), envelope.message,
                             envelope.length + 1);
        break;
    }
}

/* After a line that was longer than most: its memory is not kept. */
static void give_back_room(hub_link *link)
{
    if (link->line_length == 0 && link->line_capacity > 2 * READ_BYTES) {
        free(link->line);
        link->line = NULL;
        link->line_capacity = 0;
    }
}

/* Handles each whole line in the buffer and keeps the rest. */
static void on_bytes(hub_link *link)
{
    char *at = link->line, *end = link->line + link->line_length, *feed;

    while ((feed = memchr(at, '\n', (size_t)(end - at)))) {
        on_line(link, at, (size_t)(feed - at) + 1);
        at = feed + 1;
    }
    link->line_length = (size_t)(end - at);
    memmove(link->line, at, link->line_length);
    give_back_room(link);
}

static bool make_room(hub_link *link)
{
    if (link->line_capacity - link->line_length < READ_BYTES) {
        const size_t capacity =
            link->line_capacity + (link->line_capacity ? link->line_capacity : READ_BYTES);
        char *grown = capacity <= MAX_LINE ? realloc(link->line, capacity) : NULL;

        if (!grown) {
            return link->line_capacity > link->line_length;
        }
        link->line = grown;
        link->line_capacity = capacity;
    }
    return true;
}

static void read_hub(hub_link *link)
{
    ssize_t n;

    if (!make_room(link)) {
        link_down(link, EMSGSIZE, "a line from the hub is too long");
        return;
    }
    n = recv(link->watch.fd, link->line + link->line_length,
             link->line_capacity - link->line_length, MSG_DONTWAIT);
    if (n > 0) {
        link->line_length += (size_t)n;
        on_bytes(link);
    } else if (n == 0) {
        link_down(link, 0, "the hub closed the link");
    } else if (errno != EAGAIN && errno != EINTR) {
        link_down(link, errno, "reading from the hub");
    }
}

/* ---- writing ---- */

static void on_flush(ws_task *task)
{
    hub_link *link = container_of(task, hub_link, flush);
    const uint64_t before = link->out.passed;
    const outbox_result result = outbox_write(&link->out, link->watch.fd);

    link->takes |= link->out.passed > before;
    if (result == OUTBOX_BROKEN) {
        link_down(link, errno, "writing to the hub");
        return;
    }
    ws_loop_change(link->loop, &link->watch, EPOLLIN | (result == OUTBOX_WAITS ? EPOLLOUT : 0u));
    say_ready(link);
}

bool hub_link_is_up(const hub_link *link)
{
    return link->greeted || waits_for_hub(link);
}

bool hub_link_may_ask(const hub_link *link)
{
    return !outbox_is_full(&link->out);
}

bool hub_link_may_ask_much(const hub_link *link)
{
    return link->bulk_bytes <= BULK_BOUND;
}

size_t hub_link_under_way(const hub_link *link)
{
    return link->under_way;
}

bool hub_link_ask(hub_link *link, void *request, bool bulk, const char *node, unsigned rights,
                  const char *message, size_t length)
{
    talk_text *line = &link->envelope;
    uint64_t number;

    if (!hub_link_is_up(link) || is_overfull(link, bulk)) {
        return false;
    }
    number = add_request(link, request, bulk);
    if (number == 0) {
        return false;
    }
    talk_text_clear(line);
    envelope_write_request(line, number, rights, node);
    talk_text_add(line, message, length);
    if (bulk && link->bulk_at_hub >= HUB_LINK_BULK) {
        keep_bulk(link, number, line);
    } else {
        hand_over(link, number, line);
    }
    watch_time(link);
    return true;
}

/* ---- the connection ---- */

static void on_socket(ws_watch *watch, uint32_t events)
{
    hub_link *link = container_of(watch, hub_link, watch);

    if (events & EPOLLOUT) {
        ws_loop_defer(link->loop, &link->flush);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        read_hub(link);
    }
}

static void say_trouble(hub_link *link, int error, const char *what)
{
    if (!link->troubled) {
        link->troubled = true;
        link->events.trouble(link->events.baton, error, what);
    }
}

static void connect_link(hub_link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (link->events.may_connect && !link->events.may_connect(link->events.baton)) {
        ws_timer_set(link->loop, &link->retry, RETRY_MS);
        return;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    strncpy(address.sun_path, link->path, sizeof address.sun_path - 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        !ws_loop_watch(link->loop, &link->watch, fd, EPOLLIN)) {
        say_trouble(link, errno, "connecting to the hub");
        if (fd >= 0) {
            close(fd);
        }
        ws_timer_set(link->loop, &link->retry, RETRY_MS);
    }
}

static void on_retry(ws_timer *timer)
{
    connect_link(container_of(timer, hub_link, retry));
}

static void hang_up(hub_link *link)
{
    const int fd = link->watch.fd;

    ws_timer_clear(link->loop, &link->retry);
    ws_loop_cancel(link->loop, &link->flush);
    ws_loop_unwatch(link->loop, &link->watch);
    if (fd >= 0) {
        close(fd);
    }
    link->line_length = 0;
    link->greeted = false;
}

/*
 * The hub is gone. What waited for this one's hello waits for the next one's; all else is lost. The
 * link connects again: at once, unless this hub closed the link before its hello.
 */
static void link_down(hub_link *link, int error, const char *what)
{
    const bool greeted = link->greeted;

    say_trouble(link, error, what);
    hang_up(link);
    if (greeted) {
        drop_all(link);
        lose_by_what_was_written(link);
        feed_bulk(link);
        connect_link(link);
    } else {
        ws_timer_set(link->loop, &link->retry, RETRY_MS);
    }
    say_ready(link);
    watch_time(link);
}

hub_link *hub_link_create(ws_loop *loop, const char *path, const hub_link_events *events)
{
    hub_link *link = calloc(1, sizeof *link);

    if (!link) {
        return NULL;
    }
    link->loop = loop;
    link->path = path;
    link->events = *events;
    link->watch.fd = -1;
    link->watch.ready = on_socket;
    link->retry.expired = on_retry;
    link->second.expired = on_second;
    link->flush.run = on_flush;
    link->oldest = link->next = 1;
    link->bulk_last = &link->bulk_first;
    connect_link(link);
    watch_time(link);
    return link;
}

void hub_link_destroy(hub_link *link)
{
    hang_up(link);
    lose_all(link, HUB_LINK_NO_HUB);
    ws_timer_clear(link->loop, &link->second);
    drop_all(link);
    talk_text_free(&link->envelope);
    free(link->line);
    free(link->ring);
    free(link);
}
