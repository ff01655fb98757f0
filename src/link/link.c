#include "link.h"

#include "base/container.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Time until a link that could not be made is tried again. */
#define RETRY_MS 250
/* Most bytes that wait for a hub which does not read, and most bytes in one line from it. */
#define MAX_UNSENT   (1024 * 1024)
#define MAX_LINE     (4 * 1024 * 1024)
#define READ_BYTES   65536
#define INITIAL_RING 64

struct hub_link {
    ws_loop *loop;
    const char *path;
    hub_link_events events;
    ws_watch watch; /* the socket; fd -1: down */
    ws_timer retry;
    ws_task flush;     /* queued while there is something to write */
    bool troubled;     /* reported, until the next hello */
    bool greeted;      /* this connection's hub has said hello */
    char instance[64]; /* of the last hub that said hello */

    talk_text unsent;
    size_t sent; /* bytes of `unsent` that are written */
    char *line;  /* an unfinished line from the hub, and room for more */
    size_t line_length, line_capacity;

    /* Requests by number: a ring, a power of 2, of those that wait for their last reply. */
    void **ring;
    size_t ring_size;
    uint64_t oldest, next; /* numbers; [oldest, next) may wait */
};

static void link_down(hub_link *link, int error, const char *what);

/* ---- outstanding requests ---- */

static void **slot_of(hub_link *link, uint64_t number)
{
    return &link->ring[number & (link->ring_size - 1)];
}

static bool is_outstanding(const hub_link *link, uint64_t number)
{
    return number >= link->oldest && number < link->next;
}

static void advance_oldest(hub_link *link)
{
    while (link->oldest < link->next && !*slot_of(link, link->oldest)) {
        link->oldest++;
    }
}

static void *take_request(hub_link *link, uint64_t number)
{
    void *request;

    if (!is_outstanding(link, number)) {
        return NULL;
    }
    request = *slot_of(link, number);
    *slot_of(link, number) = NULL;
    advance_oldest(link);
    return request;
}

static bool grow_ring(hub_link *link)
{
    const size_t size = link->ring_size ? 2 * link->ring_size : INITIAL_RING;
    void **ring = calloc(size, sizeof *ring);

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

static uint64_t add_request(hub_link *link, void *request)
{
    if (link->next - link->oldest >= link->ring_size && !grow_ring(link)) {
        return 0;
    }
    *slot_of(link, link->next) = request;
    return link->next++;
}

static void lose_requests(hub_link *link)
{
    const uint64_t end = link->next; /* lost() may send new requests */

    for (uint64_t n = link->oldest; n < end; n++) {
        void *request = take_request(link, n);

        if (request) {
            link->events.lost(request);
        }
    }
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
        void *request = last ? take_request(link, envelope.request)
                        : is_outstanding(link, envelope.request) ? *slot_of(link, envelope.request)
                                                                 : NULL;

        if (request) {
            link->events.reply(request, envelope.message, envelope.length + 1, last);
        }
        break;
    }
    case ENVELOPE_PUBLICATION:
        link->events.publish(
            link->events.baton, envelope.node,
            is_outstanding(link, envelope.request) ? *slot_of(link, envelope.request) : NULL,
            envelope.message, envelope.length + 1);
        break;
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

    while (link->sent < link->unsent.length) {
        const ssize_t n = send(link->watch.fd, link->unsent.data + link->sent,
                               link->unsent.length - link->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            envelope_forget_sent(&link->unsent, &link->sent);
            ws_loop_change(link->loop, &link->watch, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0 && errno != EINTR) {
            link_down(link, errno, "writing to the hub");
            return;
        }
        link->sent += n > 0 ? (size_t)n : 0;
    }
    talk_text_clear(&link->unsent);
    link->sent = 0;
    ws_loop_change(link->loop, &link->watch, EPOLLIN);
}

bool hub_link_ask(hub_link *link, void *request, const char *node, unsigned rights,
                  const char *message, size_t length)
{
    uint64_t number;

    if (link->watch.fd < 0 || link->unsent.length - link->sent > MAX_UNSENT) {
        return false;
    }
    number = add_request(link, request);
    if (number == 0) {
        return false;
    }
    envelope_write_request(&link->unsent, number, rights, node);
    talk_text_add(&link->unsent, message, length);
    talk_text_add(&link->unsent, "\n", 1);
    if (!(link->watch.events & EPOLLOUT)) {
        ws_loop_defer(link->loop, &link->flush);
    }
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
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

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
    talk_text_clear(&link->unsent);
    link->sent = link->line_length = 0;
    link->greeted = false;
}

/*
 * The hub is gone: reports each outstanding request as lost, and connects again: at once, unless
 * this hub closed the link before its hello.
 */
static void link_down(hub_link *link, int error, const char *what)
{
    const bool greeted = link->greeted;

    say_trouble(link, error, what);
    hang_up(link);
    lose_requests(link);
    if (greeted) {
        connect_link(link);
    } else {
        ws_timer_set(link->loop, &link->retry, RETRY_MS);
    }
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
    link->flush.run = on_flush;
    link->oldest = link->next = 1;
    connect_link(link);
    return link;
}

void hub_link_destroy(hub_link *link)
{
    hang_up(link);
    lose_requests(link);
    talk_text_free(&link->unsent);
    free(link->line);
    free(link->ring);
    free(link);
}
