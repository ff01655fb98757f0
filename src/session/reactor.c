#include "reactor.h"

#include "base/container.h"
#include "base/memory.h"

#include <malloc.h>
#include <stdlib.h>

/* Session ids: the reactor's number above, a count within it below. */
#define ID_BITS       32
#define INITIAL_TABLE 64
/* zlib's: messages are short, so that a higher one gains nothing. */
#define COMPRESSION_LEVEL 4
/* How long after a session's end memory is given back, for all that have ended by then. */
#define TIDY_MS 3000

/* ---- the table of sessions ---- */

static ws_place **chain_of(ws_reactor *reactor, apr_uint64_t id)
{
    return &reactor->table[id & (reactor->table_size - 1)];
}

static void put(ws_reactor *reactor, ws_place *place)
{
    ws_place **chain = chain_of(reactor, place->id);

    place->next = *chain;
    *chain = place;
}

static void grow_table(ws_reactor *reactor)
{
    ws_place **old = reactor->table;
    const unsigned old_size = reactor->table_size;

    reactor->table_size = old_size ? 2 * old_size : INITIAL_TABLE;
    reactor->table = calloc(reactor->table_size, sizeof(ws_place *));
    if (!reactor->table) {
        base_out_of_memory();
    }
    for (unsigned i = 0; i < old_size; i++) {
        for (ws_place *place = old[i], *next; place; place = next) {
            next = place->next;
            put(reactor, place);
        }
    }
    free(old);
}

void ws_reactor_enter(ws_reactor *reactor, ws_place *place, clowntalk_session *session)
{
    if (reactor->sessions >= reactor->table_size) {
        grow_table(reactor);
    }
    if (!reactor->compressor && !(reactor->compressor = ws_deflate_create(COMPRESSION_LEVEL))) {
        base_out_of_memory();
    }
    place->id = (apr_uint64_t)reactor->number << ID_BITS | ++reactor->last_id;
    place->session = session;
    put(reactor, place);
    reactor->sessions++;
}

void ws_reactor_leave(ws_reactor *reactor, ws_place *place)
{
    for (ws_place **at = chain_of(reactor, place->id); *at; at = &(*at)->next) {
        if (*at == place) {
            *at = place->next;
            reactor->sessions--;
            break;
        }
    }
    if (reactor->draining && reactor->sessions == 0) {
        ws_loop_quit(reactor->loop);
    } else if (reactor->untidy && !reactor->tidy.next) {
        ws_timer_set(reactor->loop, &reactor->tidy, TIDY_MS);
    }
}

clowntalk_session *ws_reactor_find(ws_reactor *reactor, apr_uint64_t id)
{
    for (ws_place *place = *chain_of(reactor, id); place; place = place->next) {
        if (place->id == id) {
            return place->session;
        }
    }
    return NULL;
}

void ws_reactor_visit(ws_reactor *reactor, void (*visit)(clowntalk_session *session, void *baton),
                      void *baton)
{
    for (unsigned i = 0; i < reactor->table_size; i++) {
        for (ws_place *place = reactor->table[i]; place; place = place->next) {
            visit(place->session, baton);
        }
    }
}

unsigned ws_reactor_number_of(apr_uint64_t id)
{
    return (unsigned)(id >> ID_BITS);
}

/*
 * The C library keeps what lies below memory that is in use, in the heap of this thread: a session
 * that has ended may have taken much at its busiest, with a few bytes of another one behind it.
 */
static void on_tidy(ws_timer *timer)
{
    ws_reactor *reactor = container_of(timer, ws_reactor, tidy);

    reactor->untidy = reactor->sessions > 0; /* one that had to wait may be among them */
    malloc_trim(0);
}

/* ---- life ---- */

ws_reactor *ws_reactor_create(void)
{
    ws_reactor *reactor = calloc(1, sizeof *reactor);

    if (!reactor) {
        base_out_of_memory();
    }
    reactor->loop = ws_loop_create();
    if (!reactor->loop) {
        free(reactor);
        return NULL;
    }
    reactor->tidy.expired = on_tidy;
    grow_table(reactor);
    return reactor;
}

void ws_reactor_destroy(ws_reactor *reactor)
{
    if (reactor->attachment) {
        reactor->release_attachment(reactor->attachment);
    }
    ws_timer_clear(reactor->loop, &reactor->tidy);
    ws_loop_destroy(reactor->loop);
    ws_batch_destroy(reactor->batch);
    ws_deflate_destroy(reactor->compressor);
    free(reactor->table);
    if (reactor->untidy) {
        malloc_trim(0);
    }
    free(reactor);
}
