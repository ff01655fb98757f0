/*
 * The handler "i2c": a session that speaks Clown.Talk with the hub.
 *
 * Here, in the child process, a message's form and rate are checked, and that the opening came
 * first. The hub carries out what it asks for; the answers come back over the reactor's link. All
 * of this runs on the reactor's thread.
 */
#include "handlers.h"

#include "cost.h"
#include "repeat.h"

#include "base/memory.h"
#include "link/house.h"
#include "link/link.h"
#include "link/process.h"
#include "log.h"
#include "session/reactor.h"
#include "session/session.h"
#include "session/settings.h"
#include "talk/talk.h"

#include <apr_strings.h>
#include <json-c/json.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NODE_PREFIX "clown-talk-server_"
/* How often a request whose link broke is asked again. */
#define MAX_REPEATS 2
/* What a line costs of a session's turn: parsing it and, often, refusing it. */
#define LINE_COST 4096
/* Bytes of a request such as one that switches a relay, with an id. */
#define SHORT_LINE 256
/* Requests beyond the rate that are answered before the session ends; see end_if_flooded(). */
#define MAX_REFUSED 1000
/* Microseconds for which a client is not heard whose line was refused for what others asked. */
#define FAR_PAUSE 1000000
/* Seconds between two lines of the log that say that clients have to wait. */
#define LOG_EVERY 10

/* The directives by whose limits several sessions together are held back. */
static const char user_rate[] = "ClownTalkUserRate", address_rate[] = "ClownTalkAddressRate";

typedef struct client client;
typedef struct uplink uplink;
typedef struct subscribers subscribers;

/* A request on its way to the hub and back. It may outlive its client. */
typedef struct request {
    uplink *uplink;
    client *client;       /* NULL: it has gone, or the request is the uplink's own */
    struct request *next; /* among the client's */
    struct request **at;  /* what points here, for taking it out */
    size_t owed;          /* bytes that the client's session owes it for this */
    talk_form form;
    bool verifies; /* a `set` whose link broke: now it asks whether the state is as it was to be */
    unsigned repeats;
    subscribers *subscribers; /* that get the answers to the uplink's own request; else NULL */
    char topic[TALK_MAX_TOPIC + 1];
    json_object *payload; /* or NULL: {} */
    json_object *id;      /* or NULL */
} request;

/* A Clown.Talk client: one session. On the heap, for as long as the session lives. */
struct client {
    clowntalk_session *session;
    const char *node; /* in pconf, as are all names of nodes */
    unsigned rights;  /* HUB_MAY_... */
    bool require_opening;
    bool opened; /* it has sent the opening; when the hub has answered, it becomes a subscriber */
    bool waits;  /* for the link to take more */
    double rate, burst; /* requests per second; requests */

    uplink *uplink;
    request *requests;
    struct client *next_waiting; /* among the uplink's */
    double tokens;               /* requests that it may make now */
    double refused;              /* requests beyond the rate, less those that time has made good */
    int64_t tokens_at;           /* microseconds of the loop's clock */
};

/* The clients of a node that have got the answer to their opening: they get its publications. */
struct subscribers {
    subscribers *next;
    const char *node;
    ws_audience *audience;
};

/* What the clients of one reactor share: the link to the hub. */
struct uplink {
    ws_loop *loop;
    hub_link *link;
    bool was_linked; /* the hub has said hello at least once */
    subscribers *subscribers;
    client *waiting,
        **waiting_end; /* clients whose requests the link does not take now, in order */
    talk_text scratch;
    server_rec *server;
};

/* ---- requests ---- */

static request *request_create(uplink *u, client *c, const talk_message *message)
{
    request *q = base_must(calloc(1, sizeof *q));

    q->uplink = u;
    q->client = c;
    q->form = message->topic.form;
    memcpy(q->topic, message->topic.text, sizeof q->topic);
    if (message->payload && json_object_object_length(message->payload) > 0) {
        q->payload = json_object_get(message->payload); /* an empty one has room for 16 members */
    }
    q->id = json_object_get(message->id);
    if (c) {
        q->next = c->requests;
        q->at = &c->requests;
        if (q->next) {
            q->next->at = &q->next;
        }
        c->requests = q;
    }
    return q;
}

static void request_free(request *q)
{
    if (q->client) {
        *q->at = q->next;
        if (q->next) {
            q->next->at = q->at;
        }
        ws_session_settle(q->client->session, q->owed);
    }
    json_object_put(q->payload);
    json_object_put(q->id);
    free(q);
}

/* ---- answers ---- */

/* The topic of a message that the hub wrote: the text between the first two quotation marks. */
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

static void send_line(client *c, const char *line, size_t length)
{
    ws_outgoing *outgoing = ws_outgoing_create(WS_TEXT, line, length, NULL, 0);

    ws_session_send(c->session, outgoing);
    ws_outgoing_release(outgoing);
}

static void send_error(client *c, const char *topic, json_object *id, talk_error error,
                       const char *why)
{
    talk_text *text = &c->uplink->scratch;

    talk_text_clear(text);
    talk_write_error(text, topic, id, error, "%s", why);
    send_line(c, text->data, text->length);
}

static void refuse(const request *q, talk_error error, const char *why)
{
    send_error(q->client, q->topic, q->id, error, why);
}

/* ---- subscribers ---- */

/* NULL where no client of this node has subscribed yet. */
static subscribers *find_subscribers(const uplink *u, const char *node)
{
    subscribers *at = u->subscribers;

    while (at && strcmp(at->node, node) != 0) {
        at = at->next;
    }
    return at;
}

static void subscribe(client *c)
{
    uplink *u = c->uplink;
    subscribers *s = find_subscribers(u, c->node);

    if (!s) {
        s = base_must(calloc(1, sizeof *s));
        s->node = c->node;
        s->audience = ws_session_audience(c->session);
        s->next = u->subscribers;
        u->subscribers = s;
    }
    ws_session_join(c->session, s->audience);
}

static void publish(const subscribers *s, client *except, const char *line, size_t length)
{
    size_t topic_length = 0;
    const char *topic = topic_of(line, length, &topic_length);
    ws_outgoing *outgoing = ws_outgoing_create(WS_TEXT, line, length, topic, topic_length);

    ws_session_publish(s->audience, outgoing, except ? except->session : NULL);
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

static void on_answer(request *q, const char *line, size_t length)
{
    if (q->verifies && !ct_set_has_succeeded(q->payload, line, length)) {
        refuse(q, TALK_UNAVAILABLE,
               "the hardware side was restarted, and the state is not as asked; try again");
        return;
    }
    send_line(q->client, line, length);
    if (q->client && q->form == TALK_OPENING && is_opening_reply(line, length)) {
        subscribe(q->client);
    }
}

static void on_reply(void *baton, const char *line, size_t length, bool last)
{
    request *q = baton;

    if (q->subscribers) {
        /* The uplink has asked for the values after a loss: all subscribers get them. */
        if (!is_opening_reply(line, length)) {
            publish(q->subscribers, NULL, line, length);
        }
    } else if (q->client) {
        on_answer(q, line, length);
    }
    if (last) {
        request_free(q);
    }
}

/* Sends it over the link: as it came, or what tells whether it was carried out. */
static bool ask(request *q)
{
    const client *c = q->client;
    talk_text *text = &q->uplink->scratch;

    talk_text_clear(text);
    if (q->verifies) {
        char topic[sizeof q->topic];

        ct_topic_that_verifies(q->topic, topic);
        talk_write(text, topic, NULL, q->id);
    } else {
        talk_write(text, q->topic, q->payload, q->id);
    }
    return hub_link_ask(q->uplink->link, q, ct_is_bulk(q->form), c->node, c->rights, text->data,
                        text->length - 1);
}

static void refuse_without_hub(request *q)
{
    const char *trouble = hub_process_trouble(q->uplink->server);

    refuse(q, TALK_UNAVAILABLE, trouble ? trouble : "the hardware side is restarting; try again");
}

/* The link could not take it: it is answered, and gone. */
static void refuse_unasked(request *q)
{
    if (hub_link_is_up(q->uplink->link)) {
        refuse(q, TALK_BUSY, "too many requests wait for the hardware side; try again");
    } else {
        refuse_without_hub(q);
    }
    request_free(q);
}

/*
 * The hub has gone. What only reads is asked again. What sets a state is not, since it may have
 * been carried out, and another client may have set another state since: the next hub is asked what
 * the state is. Of what else it may have done nothing is known.
 */
static void ask_next_hub(request *q, bool may_be_done)
{
    if (may_be_done && !q->verifies) {
        switch (ct_repetition_of(q->form)) {
        case CT_VERIFY:
            q->verifies = true;
            break;
        case CT_NEVER:
            refuse(q, TALK_UNAVAILABLE,
                   "the hardware side was restarted: it is not known whether this was done");
            request_free(q);
            return;
        case CT_REPEAT:
            break;
        }
    }
    if (q->repeats++ >= MAX_REPEATS) {
        refuse(q, TALK_UNAVAILABLE, "the hardware side restarts again and again; try again");
        request_free(q);
    } else if (!ask(q)) {
        refuse_unasked(q);
    }
}

static void on_lost(void *baton, hub_link_loss loss)
{
    request *q = baton;

    if (!q->client) {
        request_free(q);
        return;
    }
    switch (loss) {
    case HUB_LINK_NO_HUB:
        refuse_without_hub(q);
        request_free(q);
        break;
    case HUB_LINK_OVERDUE:
        refuse(q, TALK_TIMEOUT,
               "the hardware side does not answer: it is not known whether this was done");
        request_free(q);
        break;
    case HUB_LINK_NOT_SENT:
    case HUB_LINK_BROKEN:
        ask_next_hub(q, loss == HUB_LINK_BROKEN);
        break;
    }
}

static void on_publish(void *baton, const char *node, void *except, const char *line, size_t length)
{
    const request *q = except;
    const subscribers *s = find_subscribers(baton, node);

    if (s) {
        publish(s, q ? q->client : NULL, line, length);
    }
}

/* Asks for all values of a node on behalf of its clients. */
static void refresh(uplink *u, subscribers *s)
{
    static const char opening[] = "[\"clown.talk/-/config/set\", {}]";
    request *q = request_create(u, NULL, &(talk_message){.topic = {.form = TALK_OPENING}});

    q->subscribers = s;
    if (!hub_link_ask(u->link, q, ct_is_bulk(q->form), s->node, 0, opening, sizeof opening - 1)) {
        request_free(q);
    }
}

/*
 * There was no link for a while: what was published meanwhile was missed, and actuators publish
 * changes only. Each node's clients get all values again. Where another hub than before has
 * started, `reason_for_reset` says why, and its boot notification comes first; otherwise it is
 * NULL.
 */
static void catch_up(uplink *u, const char *reason_for_reset)
{
    char boot[128];
    const int length =
        apr_snprintf(boot, sizeof boot, "[\"boot\", {\"reason-for-reset\": \"%s\"}]\n",
                     reason_for_reset ? reason_for_reset : "");

    for (subscribers *s = u->subscribers; s; s = s->next) {
        if (ws_audience_size(s->audience) == 0) {
            continue;
        }
        if (reason_for_reset) {
            publish(s, NULL, boot, (size_t)length);
        }
        refresh(u, s);
    }
}

static void on_up(void *baton, bool restarted, const char *reason)
{
    uplink *u = baton;

    CT_LOG_SERVER(u->server, APLOG_DEBUG, 0, "CT0041", "linked to the hub (%s)", reason);
    if (u->was_linked) {
        catch_up(u, restarted ? reason : NULL);
    }
    u->was_linked = true;
}

static void on_trouble(void *baton, int error, const char *what)
{
    uplink *u = baton;

    CT_LOG_SERVER(u->server, APLOG_WARNING, error, "CT0042", "the link to the hub: %s", what);
}

/* ---- clients that wait for the link ---- */

/*
 * Nothing more is carried out for the client until the link takes more: the session owes it as much
 * as makes it wait.
 */
static void wait_for_link(client *c)
{
    uplink *u = c->uplink;

    if (!c->waits) {
        c->waits = true;
        c->next_waiting = NULL;
        *u->waiting_end = c;
        u->waiting_end = &c->next_waiting;
        ws_session_owe(c->session, WS_MAX_ANSWERS);
    }
}

static client *next_waiting(uplink *u)
{
    client *c = u->waiting;

    if (c) {
        u->waiting = c->next_waiting;
        u->waiting_end = u->waiting ? u->waiting_end : &u->waiting;
        c->waits = false;
    }
    return c;
}

/* The client has gone. */
static void stop_waiting(client *c)
{
    uplink *u = c->uplink;
    client **at = &u->waiting;

    while (c->waits && *at != c) {
        at = &(*at)->next_waiting;
    }
    if (c->waits) {
        *at = c->next_waiting;
        u->waiting_end = c->next_waiting ? u->waiting_end : at;
        c->waits = false;
    }
}

static void on_ready(void *baton)
{
    client *c;

    while ((c = next_waiting(baton))) {
        ws_session_settle(c->session, WS_MAX_ANSWERS);
    }
}

/* ---- the uplink ---- */

static void uplink_release(void *baton)
{
    uplink *u = baton;

    if (u->link) {
        hub_link_destroy(u->link);
    }
    while (u->subscribers) {
        subscribers *s = u->subscribers;

        u->subscribers = s->next;
        ws_audience_destroy(s->audience);
        free(s);
    }
    talk_text_free(&u->scratch);
    free(u);
}

static bool may_connect(void *baton)
{
    const uplink *u = baton;

    return hub_process_trouble(u->server) == NULL;
}

static uplink *uplink_of(ws_reactor *reactor, server_rec *server)
{
    uplink *u = reactor->attachment;
    hub_link_events events = {
        .reply = on_reply,
        .lost = on_lost,
        .publish = on_publish,
        .up = on_up,
        .ready = on_ready,
        .trouble = on_trouble,
        .may_connect = may_connect,
    };

    if (u) {
        return u;
    }
    u = base_must(calloc(1, sizeof *u));
    u->loop = reactor->loop;
    u->server = server;
    u->waiting_end = &u->waiting;
    reactor->attachment = u;
    reactor->release_attachment = uplink_release;
    events.baton = u;
    u->link = hub_link_create(u->loop, ct_house_of(server)->hub_socket, &events);
    if (!u->link) {
        base_out_of_memory();
    }
    return u;
}

/* ---- from the client ---- */

/* Takes a token from the client's bucket, if there is one. */
static bool is_within_rate(client *c)
{
    const int64_t now = ws_loop_now(c->uplink->loop);
    const double earned = (double)(now - c->tokens_at) * 1e-6 * c->rate;

    c->tokens_at = now;
    c->tokens = c->tokens + earned < c->burst ? c->tokens + earned : c->burst;
    c->refused = c->refused > earned ? c->refused - earned : 0;
    if (c->tokens < 1) {
        c->refused += 1;
        return false;
    }
    c->tokens -= 1;
    return true;
}

/*
 * Ends the session of a client that does not slow down. One that is too fast by less than its rate
 * is answered for ever: each second makes as many refused requests good as it may make.
 */
static void end_if_flooded(client *c)
{
    if (c->refused <= MAX_REFUSED) {
        return;
    }
    CT_LOG_CLIENT(ws_session_server(c->session), ws_session_client_ip(c->session), APLOG_WARNING, 0,
                  "CT0039",
                  "the client goes on beyond its rate (ClownTalkRate), closing with 1008");
    ws_session_close(c->session, WS_CLOSE_POLICY, "too fast: see ClownTalkRate");
}

/* A line in the log, now and then: a user or an address has to wait. */
static void log_share(const client *c, const char *directive)
{
    static _Atomic int64_t next; /* of this process, in microseconds of the loops' clock */
    const int64_t now = ws_loop_now(c->uplink->loop);
    int64_t due = next;

    if (now >= due && atomic_compare_exchange_strong(&next, &due, now + LOG_EVERY * 1000000)) {
        CT_LOG_CLIENT(ws_session_server(c->session), ws_session_client_ip(c->session),
                      APLOG_WARNING, 0, "CT0040",
                      "the sessions of one %s ask for more than all of them may, so they are "
                      "answered later (%s)",
                      directive == user_rate ? "user" : "address", directive);
    }
}

/*
 * Charges the client's user and its address for a line. Where they have asked for more than they
 * may, the client is not heard for a while. Only where that is very much, the line is refused:
 * returns the directive that says so, otherwise NULL.
 */
static const char *charge(const client *c, unsigned units)
{
    int64_t wait;
    const ws_payer_limit limit =
        ws_payer_charge(ws_session_payer(c->session), units, ws_loop_now(c->uplink->loop), &wait);
    const char *directive = limit == WS_PAYER_USER ? user_rate : address_rate;

    if (limit == WS_PAYER_NONE) {
        return NULL;
    }
    if (ws_session_pause(c->session, wait == WS_SHARES_FAR ? FAR_PAUSE : wait)) {
        log_share(c, directive);
    }
    return wait == WS_SHARES_FAR ? directive : NULL;
}

static void ask_hub(client *c, const talk_message *message, const ct_cost *cost, const char *line,
                    size_t length)
{
    request *q = request_create(c->uplink, c, message);

    q->owed = cost->bytes;
    ws_session_owe(c->session, q->owed);
    if (!hub_link_ask(c->uplink->link, q, cost->bulk, c->node, c->rights, line, length)) {
        refuse_unasked(q);
    }
}

/* What is wrong with a line, beside what talk_message_parse() has found; `why` as there. */
static talk_error check_line(client *c, const talk_message *message, size_t length,
                             talk_error error, char why[TALK_MAX_WHY])
{
    if (!is_within_rate(c)) {
        error = TALK_RATE_LIMITED;
        apr_snprintf(why, TALK_MAX_WHY, "at most %g requests a second, %g at once (ClownTalkRate)",
                     c->rate, c->burst);
    } else if (error == TALK_OK && length > HUB_MAX_LINE) {
        error = TALK_MALFORMED;
        apr_snprintf(why, TALK_MAX_WHY, "a message may have %d bytes, not %" APR_SIZE_T_FMT,
                     HUB_MAX_LINE, length);
    } else if (error == TALK_OK && message->topic.form != TALK_OPENING && c->require_opening &&
               !c->opened) {
        error = TALK_NOT_INITIALIZED;
        apr_cpystrn(why, "send [\"clown.talk/-/config/set\", {}] first", TALK_MAX_WHY);
    }
    return error;
}

/* Who asks for little does not wait for who asks for much: a short line that is its only one. */
static bool asks_for_little(const client *c, size_t length)
{
    return !c->requests && length <= SHORT_LINE;
}

/* False where the link takes no more of this kind at the moment: nothing was done. */
static bool on_line(client *c, const char *line, size_t length)
{
    talk_message message;
    char why[TALK_MAX_WHY];
    talk_error error = talk_message_parse(&message, line, length, why, sizeof why);
    const ct_cost cost = ct_cost_of(&message, length);
    const char *directive;

    if (error == TALK_OK && cost.bulk && !asks_for_little(c, length) &&
        !hub_link_may_ask_much(c->uplink->link)) {
        talk_message_clear(&message);
        return false;
    }
    error = check_line(c, &message, length, error, why);
    directive = charge(c, error == TALK_OK ? cost.units : ct_units_of_refusal(length));
    if (directive && error == TALK_OK) {
        error = TALK_RATE_LIMITED;
        apr_snprintf(why, sizeof why, "other sessions of this %s ask for too much (%s)",
                     directive == user_rate ? "user" : "address", directive);
    }

    if (error != TALK_OK) {
        send_error(c, message.topic.text, message.id, error, why);
        end_if_flooded(c);
    } else {
        c->opened = c->opened || message.topic.form == TALK_OPENING;
        ask_hub(c, &message, &cost, line, length);
    }
    talk_message_clear(&message);
    return true;
}

/* Whether the link takes a line of the client; also while others fill it, where it is little. */
static bool may_ask(const client *c, size_t length)
{
    return hub_link_may_ask(c->uplink->link) || asks_for_little(c, length);
}

static void i2c_message(clowntalk_session *session, void *data, clowntalk_kind kind, char *bytes,
                        apr_size_t length)
{
    client *c = data;
    const char *at = bytes, *end = bytes + length, *line;
    size_t line_length;

    (void)kind; /* a binary message is the same text; its UTF-8 is checked by the parser, too */
    while (at < end && ws_session_goes_on(session, LINE_COST)) {
        const char *before = at;

        if (!talk_next_line(&at, end, &line, &line_length)) {
            continue;
        }
        if (!may_ask(c, line_length) || !on_line(c, line, line_length)) {
            at = before;
            wait_for_link(c);
            break;
        }
    }
    ws_session_put_back(session, (apr_size_t)(end - at));
}

/* ---- the session ---- */

static void i2c_open(clowntalk_session *session, void *data)
{
    client *c = data;
    uplink *u = uplink_of(ws_session_reactor(session), ws_session_server(session));

    c->session = session;
    c->uplink = u;
    c->tokens = c->burst;
    c->tokens_at = ws_loop_now(u->loop);
    c->opened = !c->require_opening;
    if (c->opened) {
        subscribe(c);
    }
}

static void i2c_close(clowntalk_session *session, void *data)
{
    client *c = data;

    (void)session;
    stop_waiting(c);
    for (request *q = c->requests; q; q = q->next) {
        q->client = NULL;
    }
    c->requests = NULL;
    c->session = NULL;
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
    client *c;

    if (!node) {
        *why = !name
                   ? "the URL does not end in " NODE_PREFIX "NODE, as in " NODE_PREFIX
                     "nodes_bridge_0"
                   : apr_psprintf(r->pool, "there is no node \"%s\": no ClownTalkBus describes it",
                                  ap_escape_logitem(r->pool, name));
        return HTTP_NOT_FOUND;
    }
    c = base_must(calloc(1, sizeof *c));
    c->node = node->name; /* in pconf: sessions end before it does */
    if (ct_permitted(&settings.control, r, r->user != NULL)) {
        c->rights |= HUB_MAY_CONTROL;
    }
    if (ct_permitted(&settings.raw_i2c, r, 0)) {
        c->rights |= HUB_MAY_RAW_I2C;
    }
    c->require_opening = settings.require_opening;
    c->rate = settings.rate;
    c->burst = settings.burst;
    *data = c;
    return OK;
}

const clowntalk_handler ct_i2c_handler = {
    .accept = i2c_accept,
    .open = i2c_open,
    .message = i2c_message,
    .close = i2c_close,
    .release = free,
};
