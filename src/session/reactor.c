#include "session_private.h"

#include "husk.h"

#include <http_log.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* Session ids: the reactor's number above, a count within it below. */
#define ID_BITS       32
#define INITIAL_TABLE 64
/* zlib's: messages are short, so that a higher one gains nothing. */
#define COMPRESSION_LEVEL 4

/* The process's reactors. The mutex guards the list and the life of each reactor's loop. */
static pthread_mutex_t reactors_mutex = PTHREAD_MUTEX_INITIALIZER;
static ws_reactor *reactors;
static unsigned reactors_made;
static int process_stop_code; /* under the mutex: for reactors that come later */

/* The process's own, in an asynchronous MPM. */
static ws_reactor *own_reactor;
static pthread_t own_thread;
static pthread_mutex_t join_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool joined; /* under join_mutex, which is held until the thread has ended */

void ws_reactors_init(void)
{
    pthread_mutex_init(&reactors_mutex, NULL);
    pthread_mutex_init(&join_mutex, NULL);
    reactors = own_reactor = NULL;
    process_stop_code = 0;
    joined = false;
    ws_husks_abandon(false);
}

/* ---- the table of sessions ---- */

static clowntalk_session **chain_of(ws_reactor *reactor, apr_uint64_t id)
{
    return &reactor->table[id & (reactor->table_size - 1)];
}

static void grow_table(ws_reactor *reactor)
{
    clowntalk_session **old = reactor->table;
    const unsigned old_size = reactor->table_size;

    reactor->table_size = old_size ? 2 * old_size : INITIAL_TABLE;
    reactor->table = calloc(reactor->table_size, sizeof *reactor->table);
    if (!reactor->table) {
        abort();
    }
    for (unsigned i = 0; i < old_size; i++) {
        for (clowntalk_session *s = old[i], *next; s; s = next) {
            clowntalk_session **chain = chain_of(reactor, s->id);

            next = s->table_next;
            s->table_next = *chain;
            *chain = s;
        }
    }
    free(old);
}

void ws_reactor_enter(ws_reactor *reactor, clowntalk_session *s)
{
    clowntalk_session **chain;

    if (reactor->sessions >= reactor->table_size) {
        grow_table(reactor);
    }
    if (!reactor->compressor && !(reactor->compressor = ws_deflate_create(COMPRESSION_LEVEL))) {
        abort();
    }
    s->id = (apr_uint64_t)reactor->number << ID_BITS | ++reactor->next_id;
    chain = chain_of(reactor, s->id);
    s->table_next = *chain;
    *chain = s;
    reactor->sessions++;
}

void ws_reactor_leave(ws_reactor *reactor, clowntalk_session *s)
{
    for (clowntalk_session **at = chain_of(reactor, s->id); *at; at = &(*at)->table_next) {
        if (*at == s) {
            *at = s->table_next;
            reactor->sessions--;
            break;
        }
    }
    if (reactor->draining && reactor->sessions == 0) {
        ws_loop_quit(reactor->loop);
    }
}

static clowntalk_session *find_session(ws_reactor *reactor, apr_uint64_t id)
{
    for (clowntalk_session *s = *chain_of(reactor, id); s; s = s->table_next) {
        if (s->id == id) {
            return s->state == WS_STATE_DEAD ? NULL : s;
        }
    }
    return NULL;
}

/* ---- life ---- */

static ws_reactor *reactor_create(void)
{
    ws_reactor *reactor = calloc(1, sizeof *reactor);

    if (!reactor) {
        return NULL;
    }
    reactor->loop = ws_loop_create();
    if (!reactor->loop) {
        free(reactor);
        return NULL;
    }
    grow_table(reactor);
    pthread_mutex_lock(&reactors_mutex);
    reactor->number = ++reactors_made;
    reactor->stop_code = process_stop_code;
    reactor->next = reactors;
    reactors = reactor;
    pthread_mutex_unlock(&reactors_mutex);
    return reactor;
}

static void reactor_destroy(ws_reactor *reactor)
{
    pthread_mutex_lock(&reactors_mutex);
    for (ws_reactor **at = &reactors; *at; at = &(*at)->next) {
        if (*at == reactor) {
            *at = reactor->next;
            break;
        }
    }
    pthread_mutex_unlock(&reactors_mutex);
    if (reactor->attachment) {
        reactor->release_attachment(reactor->attachment);
    }
    ws_loop_destroy(reactor->loop);
    ws_batch_destroy(reactor->batch);
    ws_deflate_destroy(reactor->compressor);
    free(reactor->table);
    free(reactor);
}

/* ---- stopping ---- */

typedef struct stop_order {
    ws_reactor *reactor;
    int code;
} stop_order;

static void close_all(ws_reactor *reactor, int code)
{
    reactor->stop_code = code;
    for (unsigned i = 0; i < reactor->table_size; i++) {
        for (clowntalk_session *s = reactor->table[i]; s; s = s->table_next) {
            ws_session_stop(s, code);
        }
    }
}

static void on_stop_order(void *baton)
{
    stop_order *order = baton;

    close_all(order->reactor, order->code);
    free(order);
}

void ws_reactors_stop(int code)
{
    pthread_mutex_lock(&reactors_mutex);
    process_stop_code = code;
    for (ws_reactor *reactor = reactors; reactor; reactor = reactor->next) {
        stop_order *order = malloc(sizeof *order);

        if (!order) {
            abort();
        }
        *order = (stop_order){.reactor = reactor, .code = code};
        ws_loop_post(reactor->loop, on_stop_order, order);
    }
    pthread_mutex_unlock(&reactors_mutex);
}

/* ---- the process's own reactor ---- */

static void *run_own_reactor(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "clowntalk"); /* as top -H and gdb show it */
    ws_loop_run(own_reactor->loop, NULL, NULL);
    return NULL;
}

apr_status_t ws_reactor_start(void)
{
    sigset_t all, before;
    int error;

    own_reactor = reactor_create();
    if (!own_reactor) {
        return errno;
    }
    sigfillset(
        &all); /* signals are the MPM's, but for those that say that this thread has crashed */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&own_thread, NULL, run_own_reactor, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        reactor_destroy(own_reactor);
        own_reactor = NULL;
    }
    return error;
}

static void adopt(void *baton)
{
    ws_session_begin(baton, own_reactor, true);
}

/*
 * The MPM frees a connection that is the reactor's: it does so when the process ends, before it
 * frees pchild.
 */
static apr_status_t end_own_reactor(void *unused)
{
    (void)unused;
    if (!pthread_equal(pthread_self(), own_thread)) {
        ws_reactor_join();
    }
    return APR_SUCCESS;
}

void ws_reactor_adopt(clowntalk_session *session, conn_rec *c)
{
    apr_pool_pre_cleanup_register(c->pool, NULL, end_own_reactor);
    ws_loop_post(own_reactor->loop, adopt, session);
}

static void drain_own_reactor(void *unused)
{
    (void)unused;
    own_reactor->draining = true;
    if (own_reactor->sessions == 0) {
        ws_loop_quit(own_reactor->loop);
    } else if (!own_reactor->stop_code) {
        close_all(own_reactor, WS_CLOSE_GOING_AWAY);
    }
}

void ws_reactor_join(void)
{
    if (!own_reactor) {
        return;
    }
    pthread_mutex_lock(&join_mutex);
    if (!joined) {
        ws_husks_abandon(true);
        ws_loop_post(own_reactor->loop, drain_own_reactor, NULL);
        pthread_join(own_thread, NULL);
        joined = true;
    }
    pthread_mutex_unlock(&join_mutex);
    /* Not destroyed: connections that the MPM has not let go of are its, and the process ends. */
}

/* ---- one session on a worker thread ---- */

typedef struct watchman {
    ws_reactor *reactor;
    int (*stopping)(void);
} watchman;

static void look_at_process(void *baton)
{
    const watchman *man = baton;
    int code;

    if (man->reactor->stop_code == 0 && (code = man->stopping()) != 0) {
        close_all(man->reactor, code);
    }
}

apr_status_t ws_reactor_serve(clowntalk_session *session, int (*stopping)(void))
{
    ws_reactor *reactor = reactor_create();
    watchman man = {reactor, stopping};

    if (!reactor) {
        return errno;
    }
    ws_session_begin(session, reactor, false);
    ws_loop_run(reactor->loop, look_at_process, &man);
    reactor_destroy(reactor);
    return APR_SUCCESS;
}

/* ---- clowntalk_post() ---- */

typedef struct posted {
    ws_reactor *reactor;
    apr_uint64_t id;
    void (*run)(clowntalk_session *, void *);
    void *baton;
} posted;

static void deliver(void *baton)
{
    posted *letter = baton;

    letter->run(find_session(letter->reactor, letter->id), letter->baton);
    free(letter);
}

apr_status_t ws_reactor_post(apr_uint64_t id, void (*run)(clowntalk_session *, void *), void *baton)
{
    apr_status_t status = APR_EOF;

    pthread_mutex_lock(&reactors_mutex);
    for (ws_reactor *reactor = reactors; reactor; reactor = reactor->next) {
        if (reactor->number == id >> ID_BITS) {
            posted *letter = malloc(sizeof *letter);

            if (!letter) {
                abort();
            }
            *letter = (posted){reactor, id, run, baton};
            ws_loop_post(reactor->loop, deliver, letter);
            status = APR_SUCCESS;
            break;
        }
    }
    pthread_mutex_unlock(&reactors_mutex);
    return status;
}
