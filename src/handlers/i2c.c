/*
 * The handler "i2c": a session that speaks Clown.Talk with the hub.
 *
 * Here, in the child process, a message's form, its place behind the opening and its rate are
 * checked. What it asks for is the hub's business; the answers come back over the reactor's link.
 * All of this runs on the reactor's thread.
 */
#include "handlers.h"

#include "link/link.h"
#include "log.h"
#include "settings.h"
#include "talk/talk.h"
#include "session/session.h"
#include "session/reactor.h"

#include <apr_strings.h>
#include <json-c/json.h>

#include <stdlib.h>
#include <string.h>

#define NODE_PREFIX "clown-talk-server_"

typedef struct talker talker;
typedef struct desk desk;
typedef struct room room;

/* A request on its way to the hub and back. It outlives a talker that has gone. */
typedef struct request {
    desk *desk;
    talker *talker;       /* NULL: gone, or the desk's own */
    struct request *next; /* among the talker's */
    struct request **at;  /* what points here, for taking it out */
    bool opening;
    room *room; /* the desk's own: whose clients get the answers; else NULL */
    char topic[TALK_MAX_TOPIC + 1];
    json_object *id; /* or NULL */
} request;

/* A Clown.Talk client: one session. On the heap, as long as that. */
struct talker {
    clowntalk_session *session;
    const char *node; /* in pconf, as are all names of nodes */
    unsigned rights;  /* HUB_MAY_... */
    bool require_opening;
    double rate, burst; /* requests per second; requests */

    desk *desk;
    talker *next, **at; /* among the desk's */
    request *requests;
    double tokens;     /* requests that it may make now */
    int64_t tokens_at; /* microseconds of the loop's clock */
    bool opened; /* it has asked for the opening; when the hub has answered, it enters the room */
    bool opening_waits; /* for the link */
    json_object *opening_id;
};

/* Where the talkers of a node are that have got its opening: they get its publications. */
struct room {
    room *next;
    const char *node;
    ws_audience *audience;
};

/* What a reactor's talkers share: the link. */
struct desk {
    ws_loop *loop;
    hub_link *link;
    bool was_linked; /* the hub has said hello at least once */
    talker *talkers;
    room *rooms;
    talk_text scratch;
    server_rec *server;
};

/* ---- requests ---- */

static request *request_create(desk *d, talker *t, const char *topic, json_object *id)
{
    request *q = calloc(1, sizeof *q);

    if (!q) {
        abort();
    }
    q->desk = d;
    q->talker = t;
    apr_cpystrn(q->topic, topic, sizeof q->topic);
    q->id = json_object_get(id);
    if (t) {
        q->next = t->requests;
        q->at = &t->requests;
        if (q->next) {
            q->next->at = &q->next;
        }
        t->requests = q;
    }
    return q;
}

static void request_free(request *q)
{
    if (q->talker) {
        *q->at = q->next;
        if (q->next) {
            q->next->at = q->at;
        }
    }
    json_object_put(q->id);
    free(q);
}

/* ---- answers ---- */

/*
 * The topic of a message that the server made: what stands between the first two quotation marks.
 */
static const char *topic_of(const char *line, size_t length, size_t *topic_length)
{
    const char *start = memchr(line, '"', length);
    const char *end = start ? memchr(start + 1, '"', length - (size_t)(start + 1 - line)) : NULL;

    if (!end) {
        return NULL;
    }
    *topic_length = (size_t)(end - start - 1);
    return start + 1;
}

static void send_line(talker *t, const char *line, size_t length)
{
    ws_outgoing *outgoing = ws_outgoing_create(WS_TEXT, line, length, NULL, 0);

    ws_session_send(t->session, outgoing);
    ws_outgoing_release(outgoing);
}

static void send_error(talker *t, const char *topic, json_object *id, talk_error error,
                       const char *why)
{
    talk_text *text = &t->desk->scratch;

    talk_text_clear(text);
    talk_write_error(text, topic, id, error, "%s", why);
    send_line(t, text->data, text->length);
}

static void refuse_unavailable(talker *t, const char *topic, json_object *id)
{
    send_error(t, topic, id, TALK_UNAVAILABLE, "the hardware side is restarting; try again");
}

/* ---- rooms ---- */

/* NULL where no talker has been in it yet. */
static room *find_room(const desk *d, const char *node)
{
    room *at = d->rooms;

    while (at && strcmp(at->node, node) != 0) {
        at = at->next;
    }
    return at;
}

static void enter_room(talker *t)
{
    desk *d = t->desk;
    room *r = find_room(d, t->node);

    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r) {
            abort();
        }
        r->node = t->node;
        r->audience = ws_session_audience(t->session);
        r->next = d->rooms;
        d->rooms = r;
    }
    ws_session_join(t->session, r->audience);
}

static void publish(const room *r, talker *except, const char *line, size_t length)
{
    size_t topic_length = 0;
    const char *topic = topic_of(line, length, &topic_length);
    ws_outgoing *outgoing = ws_outgoing_create(WS_TEXT, line, length, topic, topic_length);

    ws_session_publish(r->audience, outgoing, except ? except->session : NULL);
    ws_outgoing_release(outgoing);
}

/* ---- from the hub ---- */

static bool is_opening_reply(const char *line, size_t length)
{
    size_t topic_length = 0;
    const char *topic = topic_of(line, length, &topic_length);
    static const char ok[] = "clown.talk/-/config/ok";

    return topic && topic_length == sizeof ok - 1 && memcmp(topic, ok, topic_length) == 0;
}

static void on_reply(void *baton, const char *line, size_t length, bool last)
{
    request *q = baton;

    if (q->room) {
        /* The desk has asked for the values behind a new hub: they are news for everyone. */
        if (!is_opening_reply(line, length)) {
            publish(q->room, NULL, line, length);
        }
    } else if (q->talker) {
        send_line(q->talker, line, length);
        if (q->talker && q->opening && is_opening_reply(line, length)) {
            enter_room(q->talker);
        }
    }
    if (last) {
        request_free(q);
    }
}

static void ask_opening(talker *t, json_object *id);

static void on_lost(void *baton)
{
    request *q = baton;
    talker *t = q->talker;

    if (t && q->opening && !t->opening_waits) {
        t->opening_waits = true; /* asked again when the link is back */
        t->opening_id = json_object_get(q->id);
    } else if (t) {
        refuse_unavailable(t, q->topic, q->id);
    }
    request_free(q);
}

static void on_publish(void *baton, const char *node, void *except, const char *line, size_t length)
{
    const request *q = except;
    const room *r = find_room(baton, node);

    if (r) {
        publish(r, q ? q->talker : NULL, line, length);
    }
}

/* Asks for all values of a node on behalf of its clients. */
static void refresh(desk *d, room *r)
{
    static const char opening[] = "[\"clown.talk/-/config/set\", {}]";
    request *q = request_create(d, NULL, "clown.talk/-/config/set", NULL);

    q->room = r;
    if (!hub_link_ask(d->link, q, r->node, 0, opening, sizeof opening - 1)) {
        request_free(q);
    }
}

/*
 * There was no link for a while: what was published meanwhile was missed, and actuators publish
 * nothing but changes. Each node's clients get the values anew, and hear, where it is another hub
 * than before, that it has started.
 */
static void catch_up(desk *d, const char *reason_for_reset)
{
    char boot[128];
    const int length =
        apr_snprintf(boot, sizeof boot, "[\"boot\", {\"reason-for-reset\": \"%s\"}]\n",
                     reason_for_reset ? reason_for_reset : "");

    for (room *r = d->rooms; r; r = r->next) {
        if (ws_audience_size(r->audience) == 0) {
            continue;
        }
        if (reason_for_reset) {
            publish(r, NULL, boot, (size_t)length);
        }
        refresh(d, r);
    }
}

static void on_up(void *baton, bool restarted, const char *reason)
{
    desk *d = baton;

    CT_LOG_SERVER(d->server, APLOG_DEBUG, 0, "CT0041", "linked to the hub (%s)", reason);
    if (d->was_linked) {
        catch_up(d, restarted ? reason : NULL);
    }
    d->was_linked = true;
    for (talker *t = d->talkers; t; t = t->next) {
        if (t->opening_waits) {
            json_object *id = t->opening_id;

            t->opening_waits = false;
            t->opening_id = NULL;
            ask_opening(t, id);
            json_object_put(id);
        }
    }
}

static void on_trouble(void *baton, int error, const char *what)
{
    desk *d = baton;

    CT_LOG_SERVER(d->server, APLOG_WARNING, error, "CT0042", "the link to the hub: %s", what);
}

/* ---- the desk ---- */

static void desk_release(void *baton)
{
    desk *d = baton;

    if (d->link) {
        hub_link_destroy(d->link);
    }
    while (d->rooms) {
        room *r = d->rooms;

        d->rooms = r->next;
        ws_audience_destroy(r->audience);
        free(r);
    }
    talk_text_free(&d->scratch);
    free(d);
}

static desk *desk_of(ws_reactor *reactor, server_rec *server)
{
    desk *d = reactor->attachment;
    hub_link_events events = {on_reply, on_lost, on_publish, on_up, on_trouble, NULL};

    if (d) {
        return d;
    }
    d = calloc(1, sizeof *d);
    if (!d) {
        abort();
    }
    d->loop = reactor->loop;
    d->server = server;
    reactor->attachment = d;
    reactor->release_attachment = desk_release;
    events.baton = d;
    d->link = hub_link_create(d->loop, ct_house_of(server)->hub_socket, &events);
    if (!d->link) {
        abort();
    }
    return d;
}

/* ---- from the client ---- */

/* Takes a token from the talker's bucket, if there is one. */
static bool is_within_rate(talker *t)
{
    const int64_t now = ws_loop_now(t->desk->loop);

    t->tokens += (double)(now - t->tokens_at) * 1e-6 * t->rate;
    t->tokens_at = now;
    if (t->tokens > t->burst) {
        t->tokens = t->burst;
    }
    if (t->tokens < 1) {
        return false;
    }
    t->tokens -= 1;
    return true;
}

static void ask_hub(talker *t, const talk_message *message, const char *line, size_t length)
{
    request *q = request_create(t->desk, t, message->topic.text, message->id);

    if (!hub_link_ask(t->desk->link, q, t->node, t->rights, line, length)) {
        request_free(q);
        refuse_unavailable(t, message->topic.text, message->id);
    }
}

static void ask_opening(talker *t, json_object *id)
{
    request *q = request_create(t->desk, t, "clown.talk/-/config/set", id);
    talk_text *text = &t->desk->scratch;

    q->opening = true;
    talk_text_clear(text);
    talk_write_text(text, q->topic, "{}", id);
    if (!hub_link_ask(t->desk->link, q, t->node, t->rights, text->data, text->length - 1)) {
        on_lost(q);
    }
}

static void on_line(talker *t, const char *line, size_t length)
{
    talk_message message;
    char why[TALK_MAX_WHY];
    talk_error error = talk_message_parse(&message, line, length, why, sizeof why);

    if (!is_within_rate(t)) {
        error = TALK_RATE_LIMITED;
        apr_snprintf(why, sizeof why, "at most %g requests a second, %g at once (ClownTalkRate)",
                     t->rate, t->burst);
    } else if (error == TALK_OK && length > HUB_MAX_LINE) {
        error = TALK_MALFORMED;
        apr_snprintf(why, sizeof why, "a message may have %d bytes, not %" APR_SIZE_T_FMT,
                     HUB_MAX_LINE, length);
    } else if (error == TALK_OK && message.topic.form != TALK_OPENING && t->require_opening &&
               !t->opened) {
        error = TALK_NOT_INITIALIZED;
        apr_cpystrn(why, "send [\"clown.talk/-/config/set\", {}] first", sizeof why);
    }

    if (error != TALK_OK) {
        send_error(t, message.topic.text, message.id, error, why);
    } else if (message.topic.form == TALK_OPENING) {
        t->opened = true;
        ask_opening(t, message.id);
    } else {
        ask_hub(t, &message, line, length);
    }
    talk_message_clear(&message);
}

static void i2c_message(clowntalk_session *session, void *data, clowntalk_kind kind, char *bytes,
                        apr_size_t length)
{
    talker *t = data;
    const char *at = bytes, *end = bytes + length, *line;
    size_t line_length;

    (void)kind; /* a binary message is the same text; its UTF-8 is checked by the parser, too */
    while (ws_session_is_open(session) && talk_next_line(&at, end, &line, &line_length)) {
        on_line(t, line, line_length);
    }
}

/* ---- the session ---- */

static void i2c_open(clowntalk_session *session, void *data)
{
    talker *t = data;
    desk *d = desk_of(ws_session_reactor(session), ws_session_server(session));

    t->session = session;
    t->desk = d;
    t->tokens = t->burst;
    t->tokens_at = ws_loop_now(d->loop);
    t->opened = !t->require_opening;
    t->next = d->talkers;
    t->at = &d->talkers;
    if (t->next) {
        t->next->at = &t->next;
    }
    d->talkers = t;
    if (t->opened) {
        enter_room(t);
    }
}

static void i2c_close(clowntalk_session *session, void *data)
{
    talker *t = data;

    (void)session;
    *t->at = t->next;
    if (t->next) {
        t->next->at = t->at;
    }
    for (request *q = t->requests; q; q = q->next) {
        q->talker = NULL;
    }
    t->requests = NULL;
    t->session = NULL;
    json_object_put(t->opening_id);
    t->opening_id = NULL;
}

/*
 * The node that a URL's last level names: "clown-talk-server_nodes_bridge_0" is "nodes/bridge/0".
 */
static const char *node_of_uri(apr_pool_t *pool, const char *uri)
{
    const char *last = strrchr(uri, '/');
    char *node;

    last = last ? last + 1 : uri;
    if (strncmp(last, NODE_PREFIX, sizeof NODE_PREFIX - 1) != 0) {
        return NULL;
    }
    node = apr_pstrdup(pool, last + sizeof NODE_PREFIX - 1);
    for (char *at = node; *at; at++) {
        if (*at == '_') {
            *at = '/';
        }
    }
    return node;
}

static int i2c_accept(request_rec *r, void **data, const char **why)
{
    const ct_dir_settings settings = ct_settings_of(r);
    const ct_house *house = ct_house_of(r->server);
    const char *name = node_of_uri(r->pool, r->uri);
    const ct_node *node = name ? ct_node_by_name(house, name) : NULL;
    talker *t;

    if (!node) {
        *why = !name
                   ? "the URL does not end in " NODE_PREFIX "NODE, as in " NODE_PREFIX
                     "nodes_bridge_0"
                   : apr_psprintf(r->pool, "there is no node \"%s\": no ClownTalkBus describes it",
                                  ap_escape_logitem(r->pool, name));
        return HTTP_NOT_FOUND;
    }
    t = calloc(1, sizeof *t);
    if (!t) {
        abort();
    }
    t->node = node->name; /* in pconf: sessions end before it does */
    if (ct_permitted(&settings.control, r, r->user != NULL)) {
        t->rights |= HUB_MAY_CONTROL;
    }
    if (ct_permitted(&settings.raw_i2c, r, 0)) {
        t->rights |= HUB_MAY_RAW_I2C;
    }
    t->require_opening = settings.require_opening;
    t->rate = settings.rate;
    t->burst = settings.burst;
    *data = t;
    return OK;
}

const clowntalk_handler ct_i2c_handler = {
    .accept = i2c_accept,
    .open = i2c_open,
    .message = i2c_message,
    .close = i2c_close,
    .release = free,
};
