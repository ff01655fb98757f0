/*
 * mod_ctchat: a handler for mod_clowntalk as another module's author would write one, for the
 * tests.
 *
 * What one client says, all clients of the process get, by a thread of the module's own: so
 * every function of mod_clowntalk.h is called from where it may be. Commands begin with a slash;
 * see commands[].
 */
#include <clowntalk/mod_clowntalk.h>

#include <ap_provider.h>
#include <http_config.h>
#include <http_log.h>
#include <http_main.h>
#include <http_protocol.h>

#include <apr_lib.h>
#include <apr_portable.h>
#include <apr_queue.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>

#include <stdlib.h>
#include <string.h>

#define MAX_GUESTS     100
#define MAX_NEWS       1000 /* that wait for the thread */
#define FLOOD_MESSAGES 400
#define FLOOD_BYTES    8000
#define MAX_LINE       256

/* A thread's audience with a name. On the heap, as long as a session is in it. */
typedef struct room {
    struct room *next;
    apr_os_thread_t thread;
    clowntalk_audience *audience;
    int guests;
    char name[32];
} room;

/* A session, as its own thread sees it. On the heap. */
typedef struct guest {
    room *room; /* NULL: in none */
    char *name;
    apr_os_thread_t thread;
    int said; /* messages, to number the answers */
    int leaving;
} guest;

/* What the thread is to tell. On the heap. */
typedef struct news {
    apr_uint64_t to;   /* a session, or 0: all of them */
    apr_uint64_t from; /* gets the answer whether the other one was there */
    char text[];
} news;

static APR_OPTIONAL_FN_TYPE(clowntalk_send) * ct_send;
static APR_OPTIONAL_FN_TYPE(clowntalk_audience_create) * ct_audience_create;
static APR_OPTIONAL_FN_TYPE(clowntalk_audience_destroy) * ct_audience_destroy;
static APR_OPTIONAL_FN_TYPE(clowntalk_join) * ct_join;
static APR_OPTIONAL_FN_TYPE(clowntalk_leave) * ct_leave;
static APR_OPTIONAL_FN_TYPE(clowntalk_publish) * ct_publish;
static APR_OPTIONAL_FN_TYPE(clowntalk_close) * ct_close;
static APR_OPTIONAL_FN_TYPE(clowntalk_client_ip) * ct_client_ip;
static APR_OPTIONAL_FN_TYPE(clowntalk_server) * ct_server;
static APR_OPTIONAL_FN_TYPE(clowntalk_user) * ct_user;
static APR_OPTIONAL_FN_TYPE(clowntalk_id) * ct_id;
static APR_OPTIONAL_FN_TYPE(clowntalk_post) * ct_post;

/* The process's sessions, and its thread. */
static apr_thread_mutex_t *guests_mutex;
static apr_uint64_t guests[MAX_GUESTS]; /* under guests_mutex; 0: free */
static room *rooms;                     /* under guests_mutex */
static apr_queue_t *queue;
static apr_thread_t *crier;

/* ---- the thread that spreads the news ---- */

static news *news_create(apr_uint64_t to, apr_uint64_t from, const char *text)
{
    news *n = malloc(sizeof *n + strlen(text) + 1);

    if (!n) {
        abort();
    }
    n->to = to;
    n->from = from;
    strcpy(n->text, text);
    return n;
}

static void say(clowntalk_session *session, const char *text)
{
    ct_send(session, CLOWNTALK_TEXT, text, strlen(text));
}

/* On the session's own thread; NULL where it has ended meanwhile. */
static void deliver(clowntalk_session *session, void *baton)
{
    news *n = baton;

    if (session) {
        say(session, n->text);
    } else if (n->from) {
        news *answer = news_create(n->from, 0, "it has left");

        if (apr_queue_trypush(queue, answer) != APR_SUCCESS) {
            free(answer);
        }
    }
    free(n);
}

static void tell(apr_uint64_t id, apr_uint64_t from, const char *text)
{
    news *n = news_create(id, from, text);

    if (ct_post(id, deliver, n) != APR_SUCCESS) {
        free(n); /* and its whole thread has ended: deliver() is not called again */
        if (from) {
            tell(from, 0, "its thread has ended");
        }
    }
}

static void *APR_THREAD_FUNC cry(apr_thread_t *thread, void *unused)
{
    void *item;
    apr_status_t status;

    (void)thread;
    (void)unused;
    while ((status = apr_queue_pop(queue, &item)) == APR_SUCCESS || APR_STATUS_IS_EINTR(status)) {
        news *n = status == APR_SUCCESS ? item : NULL;

        for (int i = 0; n && !n->to && i < MAX_GUESTS; i++) {
            apr_uint64_t id;

            apr_thread_mutex_lock(guests_mutex);
            id = guests[i];
            apr_thread_mutex_unlock(guests_mutex);
            if (id) {
                tell(id, 0, n->text);
            }
        }
        if (n && n->to) {
            tell(n->to, n->from, n->text);
        }
        free(n);
    }
    return NULL; /* not apr_thread_exit(): AddressSanitizer does not know that it never returns */
}

static void cry_out(apr_uint64_t to, apr_uint64_t from, const char *text)
{
    news *n = news_create(to, from, text);

    if (apr_queue_trypush(queue, n) != APR_SUCCESS) {
        free(n);
    }
}

/* ---- commands ---- */

static void say_user(clowntalk_session *session, guest *g, const char *argument)
{
    const char *user = ct_user(session);
    char text[MAX_LINE];

    (void)argument;
    apr_snprintf(text, sizeof text, "%s is %s from %s at %s", g->name, user ? user : "nobody",
                 ct_client_ip(session), ct_server(session)->server_hostname);
    say(session, text);
}

static void say_id(clowntalk_session *session, guest *g, const char *argument)
{
    char text[64];

    (void)g;
    (void)argument;
    apr_snprintf(text, sizeof text, "%" APR_UINT64_T_FMT, ct_id(session));
    say(session, text);
}

static void say_guests(clowntalk_session *session, guest *g, const char *argument)
{
    char text[64];
    int n = 0;

    (void)g;
    (void)argument;
    apr_thread_mutex_lock(guests_mutex);
    for (int i = 0; i < MAX_GUESTS; i++) {
        n += guests[i] != 0;
    }
    apr_thread_mutex_unlock(guests_mutex);
    apr_snprintf(text, sizeof text, "%d", n);
    say(session, text);
}

/* ---- rooms: those in one hear each other ---- */

static void leave_room(clowntalk_session *session, guest *g)
{
    room *r = g->room;

    if (!r) {
        return;
    }
    ct_leave(session);
    g->room = NULL;
    apr_thread_mutex_lock(guests_mutex);
    if (--r->guests == 0) {
        room **at = &rooms;

        while (*at != r) {
            at = &(*at)->next;
        }
        *at = r->next;
        ct_audience_destroy(r->audience);
        free(r);
    }
    apr_thread_mutex_unlock(guests_mutex);
}

/*
 * One of this name, of the session's thread if that matters; NULL: there is none. Under
 * guests_mutex.
 */
static room *find_room(const guest *g, const char *name, int of_any_thread)
{
    room *r = rooms;

    while (r && (strcmp(r->name, name) != 0 ||
                 (!of_any_thread && !apr_os_thread_equal(r->thread, g->thread)))) {
        r = r->next;
    }
    return r;
}

/* "/enter NAME" */
static void enter_room(clowntalk_session *session, guest *g, const char *argument)
{
    room *r;

    leave_room(session, g);
    apr_thread_mutex_lock(guests_mutex);
    r = find_room(g, argument, 0);
    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r) {
            abort();
        }
        apr_cpystrn(r->name, argument, sizeof r->name);
        r->thread = g->thread;
        r->audience = ct_audience_create(session);
        r->next = rooms;
        rooms = r;
    }
    r->guests++;
    apr_thread_mutex_unlock(guests_mutex);
    g->room = r;
    say(session, ct_join(session, r->audience) == APR_SUCCESS ? "entered" : "refused");
}

/* "/intrude NAME": also into another thread's. */
static void intrude(clowntalk_session *session, guest *g, const char *argument)
{
    room *r;

    apr_thread_mutex_lock(guests_mutex);
    r = find_room(g, argument, 1);
    say(session, !r                                             ? "there is none"
                 : ct_join(session, r->audience) == APR_SUCCESS ? "joined"
                                                                : "another thread's");
    apr_thread_mutex_unlock(guests_mutex);
}

static void exit_room(clowntalk_session *session, guest *g, const char *argument)
{
    (void)argument;
    leave_room(session, g);
    say(session, "left");
}

/*
 * "/all TEXT", "/others TEXT": to the room, with the speaker and without; and an answer behind it.
 */
static void say_to_all(clowntalk_session *session, guest *g, const char *argument)
{
    ct_publish(g->room->audience, NULL, CLOWNTALK_TEXT, argument, strlen(argument), "/all");
    say(session, "said");
}

static void say_to_others(clowntalk_session *session, guest *g, const char *argument)
{
    ct_publish(g->room->audience, session, CLOWNTALK_TEXT, argument, strlen(argument), NULL);
    say(session, "said");
}

/* ---- more commands ---- */

/* "/tell ID TEXT": to one session, by the thread. */
static void tell_one(clowntalk_session *session, guest *g, const char *argument)
{
    char *text;
    apr_uint64_t id = (apr_uint64_t)apr_strtoi64(argument, &text, 10);

    (void)g;
    cry_out(id, ct_id(session), *text ? text + 1 : "");
}

/* "/close CODE REASON"; what is sent after that must be refused. */
static void leave(clowntalk_session *session, guest *g, const char *argument)
{
    char *reason;
    int code = (int)apr_strtoi64(argument, &reason, 10);

    g->leaving = 1;
    ct_close(session, code, *reason ? reason + 1 : NULL);
    if (ct_send(session, CLOWNTALK_TEXT, "too late", 8) != APR_ECONNABORTED ||
        (g->room && ct_join(session, g->room->audience) != APR_ECONNABORTED)) {
        abort();
    }
}

/* "/flood": far more than a client that does not read is granted. */
static void flood(clowntalk_session *session, guest *g, const char *argument)
{
    char *text = malloc(FLOOD_BYTES + 1);

    (void)session;
    (void)g;
    (void)argument;
    if (!text) {
        abort();
    }
    memset(text, 'x', FLOOD_BYTES);
    text[FLOOD_BYTES] = '\0';
    for (int i = 0; i < FLOOD_MESSAGES; i++) {
        cry_out(0, 0, text);
    }
    cry_out(0, 0, "flooded");
    free(text);
}

static const struct {
    const char *name;
    void (*run)(clowntalk_session *session, guest *g, const char *argument);
} commands[] = {
    {"/user", say_user},   {"/id", say_id},      {"/guests", say_guests},    {"/tell", tell_one},
    {"/close", leave},     {"/flood", flood},    {"/enter", enter_room},     {"/exit", exit_room},
    {"/intrude", intrude}, {"/all", say_to_all}, {"/others", say_to_others},
};

/* ---- the handler ---- */

/* "?name=NAME" is asked for; a client without one is refused. */
static int chat_accept(request_rec *r, void **data, const char **why)
{
    guest *g;

    if (!r->args || strncmp(r->args, "name=", 5) != 0) {
        *why = "the chat wants a name";
        return HTTP_FORBIDDEN;
    }
    g = calloc(1, sizeof *g);
    if (!g || !(g->name = strdup(r->args + 5))) {
        abort();
    }
    *data = g;
    return OK;
}

static void chat_release(void *data)
{
    guest *g = data;

    ap_log_error(APLOG_MARK, APLOG_INFO, 0, ap_server_conf, "ctchat: %s is released", g->name);
    free(g->name);
    free(g);
}

static void chat_open(clowntalk_session *session, void *data)
{
    guest *g = data;
    char text[MAX_LINE];

    g->thread = apr_os_thread_current();
    apr_thread_mutex_lock(guests_mutex);
    for (int i = 0; i < MAX_GUESTS; i++) {
        if (!guests[i]) {
            guests[i] = ct_id(session);
            break;
        }
    }
    apr_thread_mutex_unlock(guests_mutex);
    apr_snprintf(text, sizeof text, "welcome, %s", g->name);
    say(session, text);
}

static void chat_message(clowntalk_session *session, void *data, clowntalk_kind kind, char *bytes,
                         apr_size_t length)
{
    guest *g = data;
    char *line;

    if (g->leaving || !apr_os_thread_equal(g->thread, apr_os_thread_current())) {
        abort(); /* both are promises of mod_clowntalk.h */
    }
    if (kind == CLOWNTALK_BINARY) {
        for (apr_size_t i = 0; i < length; i++) {
            bytes[i] = (char)~bytes[i]; /* they are ours until we return */
        }
        ct_send(session, kind, bytes, length);
        return;
    }
    line = malloc(length + 1);
    if (!line) {
        abort();
    }
    memcpy(line, bytes, length);
    line[length] = '\0';
    for (apr_size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const apr_size_t n = strlen(commands[i].name);

        if (strncmp(line, commands[i].name, n) == 0 && (line[n] == ' ' || !line[n])) {
            commands[i].run(session, g, line[n] ? line + n + 1 : "");
            free(line);
            return;
        }
    }
    cry_out(0, 0, line);
    free(line);
}

static void chat_close(clowntalk_session *session, void *data)
{
    guest *g = data;

    if (!apr_os_thread_equal(g->thread, apr_os_thread_current()) ||
        ct_send(session, CLOWNTALK_TEXT, "too late", 8) != APR_ECONNABORTED) {
        abort();
    }
    leave_room(session, g);
    apr_thread_mutex_lock(guests_mutex);
    for (int i = 0; i < MAX_GUESTS; i++) {
        if (guests[i] == ct_id(session)) {
            guests[i] = 0;
        }
    }
    apr_thread_mutex_unlock(guests_mutex);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, ct_server(session), "ctchat: %s has left", g->name);
}

static const clowntalk_handler chat = {
    .accept = chat_accept,
    .open = chat_open,
    .message = chat_message,
    .close = chat_close,
    .release = chat_release,
};

/* ---- the module ---- */

static apr_status_t end_crier(void *unused)
{
    apr_status_t status;

    (void)unused;
    apr_queue_term(queue);
    apr_thread_join(&status, crier);
    return APR_SUCCESS;
}

static void ctchat_child_init(apr_pool_t *pchild, server_rec *server)
{
    if (apr_thread_mutex_create(&guests_mutex, APR_THREAD_MUTEX_DEFAULT, pchild) != APR_SUCCESS ||
        apr_queue_create(&queue, MAX_NEWS, pchild) != APR_SUCCESS ||
        apr_thread_create(&crier, NULL, cry, NULL, pchild) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, server, "ctchat: cannot start its thread");
        return;
    }
    apr_pool_pre_cleanup_register(pchild, NULL, end_crier);
}

static void fetch_functions(void)
{
    ct_send = APR_RETRIEVE_OPTIONAL_FN(clowntalk_send);
    ct_audience_create = APR_RETRIEVE_OPTIONAL_FN(clowntalk_audience_create);
    ct_audience_destroy = APR_RETRIEVE_OPTIONAL_FN(clowntalk_audience_destroy);
    ct_join = APR_RETRIEVE_OPTIONAL_FN(clowntalk_join);
    ct_leave = APR_RETRIEVE_OPTIONAL_FN(clowntalk_leave);
    ct_publish = APR_RETRIEVE_OPTIONAL_FN(clowntalk_publish);
    ct_close = APR_RETRIEVE_OPTIONAL_FN(clowntalk_close);
    ct_client_ip = APR_RETRIEVE_OPTIONAL_FN(clowntalk_client_ip);
    ct_server = APR_RETRIEVE_OPTIONAL_FN(clowntalk_server);
    ct_user = APR_RETRIEVE_OPTIONAL_FN(clowntalk_user);
    ct_id = APR_RETRIEVE_OPTIONAL_FN(clowntalk_id);
    ct_post = APR_RETRIEVE_OPTIONAL_FN(clowntalk_post);
}

static void register_hooks(apr_pool_t *pool)
{
    ap_register_provider(pool, CLOWNTALK_HANDLER_GROUP, "chat", CLOWNTALK_HANDLER_VERSION, &chat);
    ap_hook_optional_fn_retrieve(fetch_functions, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(ctchat_child_init, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(ctchat) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE,
};
