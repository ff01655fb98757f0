#include "reactors.h"

#include "husk.h"
#include "reactor.h"

#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* A reactor of this process, on the thread that runs it. */
typedef struct registration {
    ws_reactor *reactor;
    struct registration *next;
} registration;

/* The process's reactors. The mutex guards the list and the life of each reactor's loop. */
static pthread_mutex_t reactors_mutex = PTHREAD_MUTEX_INITIALIZER;
static registration *registrations;
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
    registrations = NULL;
    own_reactor = NULL;
    process_stop_code = 0;
    joined = false;
    ws_husks_abandon(false);
}

/* ---- the list ---- */

static ws_reactor *create_reactor(void)
{
    ws_reactor *reactor = ws_reactor_create();
    registration *entry;

    if (!reactor) {
        return NULL;
    }
    entry = malloc(sizeof *entry);
    if (!entry) {
        base_out_of_memory();
    }
    pthread_mutex_lock(&reactors_mutex);
    reactor->number = ++reactors_made;
    reactor->stop_code = process_stop_code;
    *entry = (registration){.reactor = reactor, .next = registrations};
    registrations = entry;
    pthread_mutex_unlock(&reactors_mutex);
    return reactor;
}

static void destroy_reactor(ws_reactor *reactor)
{
    pthread_mutex_lock(&reactors_mutex);
    for (registration **at = &registrations; *at; at = &(*at)->next) {
        registration *entry = *at;

        if (entry->reactor == reactor) {
            *at = entry->next;
            free(entry);
            break;
        }
    }
    pthread_mutex_unlock(&reactors_mutex);
    ws_reactor_destroy(reactor);
}

/* ---- stopping ---- */

typedef struct stop_order {
    ws_reactor *reactor;
    int code;
} stop_order;

static void stop_session(clowntalk_session *session, void *code)
{
    ws_session_stop(session, *(const int *)code);
}

static void close_all(ws_reactor *reactor, int code)
{
    reactor->stop_code = code;
    ws_reactor_visit(reactor, stop_session, &code);
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
    for (const registration *at = registrations; at; at = at->next) {
        stop_order *order = malloc(sizeof *order);

        if (!order) {
            base_out_of_memory();
        }
        *order = (stop_order){.reactor = at->reactor, .code = code};
        ws_loop_post(at->reactor->loop, on_stop_order, order);
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

    own_reactor = create_reactor();
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
        destroy_reactor(own_reactor);
        own_reactor = NULL;
    }
    return error;
}

static void adopt(void *baton)
{
    ws_session_begin(baton, own_reactor, true);
}

/*
 * Another thread frees a connection that is the reactor's. The event MPM as it is never does: when
 * a child ends it frees pchild, where the reactor was joined, and no connection. A server that does
 * waits for the reactor first.
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
    /* Not destroyed, nor are connections that the MPM has not let go of: the process ends. */
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
    ws_reactor *reactor = create_reactor();
    watchman man = {reactor, stopping};

    if (!reactor) {
        return errno;
    }
    ws_session_begin(session, reactor, false);
    ws_loop_run(reactor->loop, look_at_process, &man);
    destroy_reactor(reactor);
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
    clowntalk_session *session = ws_reactor_find(letter->reactor, letter->id);

    letter->run(session && ws_session_is_alive(session) ? session : NULL, letter->baton);
    free(letter);
}

apr_status_t ws_reactor_post(apr_uint64_t id, void (*run)(clowntalk_session *, void *), void *baton)
{
    apr_status_t status = APR_EOF;

    pthread_mutex_lock(&reactors_mutex);
    for (const registration *at = registrations; at; at = at->next) {
        if (at->reactor->number == ws_reactor_number_of(id)) {
            posted *letter = malloc(sizeof *letter);

            if (!letter) {
                base_out_of_memory();
            }
            *letter = (posted){at->reactor, id, run, baton};
            ws_loop_post(at->reactor->loop, deliver, letter);
            status = APR_SUCCESS;
            break;
        }
    }
    pthread_mutex_unlock(&reactors_mutex);
    return status;
}
