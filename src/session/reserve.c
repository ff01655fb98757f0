#include "reserve.h"

#include "log.h"

#include <ap_mpm.h>
#include <http_connection.h>
#include <http_core.h>

#include <apr_portable.h>

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * At least this many, and this part of all. For each worker thread: the connection that it serves,
 * the two more that the MPM takes in (AsyncRequestWorkerFactor), and the file or the connection
 * that the answer comes from.
 */
#define LEAST      64
#define PART       16
#define PER_THREAD 4
/* Of the reserve, this part is for connections that were accepted and have met no thread yet. */
#define LAST_PART 4
/* A log line says it at most this often in each process; seconds. */
#define LOG_EVERY 10

/* The time of a kind of log line, so that there are not too many of them. */
typedef struct reserve_log {
    apr_time_t next;
} reserve_log;

/* Whether a line may be written now; true for one thread only. */
static int is_to_log(reserve_log *log)
{
    const apr_time_t now = apr_time_now();
    apr_time_t next = __atomic_load_n(&log->next, __ATOMIC_RELAXED);

    return (now >= next || next > now + apr_time_from_sec(LOG_EVERY)) &&
           __atomic_compare_exchange_n(&log->next, &next, now + apr_time_from_sec(LOG_EVERY), 0,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

unsigned long ws_reserve_size(unsigned long limit, int threads)
{
    unsigned long size = limit / PART > LEAST ? limit / PART : LEAST;

    if (threads > 0 && size < (unsigned long)threads * PER_THREAD) {
        size = (unsigned long)threads * PER_THREAD;
    }
    return size < limit / 2 ? size : limit / 2;
}

/* The limit as it is now, which may be changed from outside: prlimit(1). Without one, LONG_MAX. */
static unsigned long current_limit(unsigned long *size)
{
    struct rlimit descriptors;
    unsigned long limit = LONG_MAX;
    int threads = 0;

    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < limit) {
        limit = (unsigned long)descriptors.rlim_cur;
    }
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    *size = ws_reserve_size(limit, threads);
    return limit;
}

static int descriptor_of(apr_socket_t *socket)
{
    apr_os_sock_t fd = -1;

    return socket && apr_os_sock_get(&fd, socket) == APR_SUCCESS ? fd : -1;
}

int ws_reserve_has_room(request_rec *r)
{
    static reserve_log log;
    conn_rec *c = r->connection->master ? r->connection->master : r->connection;
    unsigned long size;
    const unsigned long limit = current_limit(&size);
    /* The kernel gives the lowest number that is free: below it all are taken. */
    const int lowest = fcntl(descriptor_of(ap_get_conn_socket(c)), F_DUPFD_CLOEXEC, 0);

    if (lowest >= 0) {
        close(lowest);
    }
    if (lowest >= 0 && (unsigned long)lowest < limit - size) {
        return 1;
    }
    if (is_to_log(&log)) {
        CT_LOG_REQUEST(r, APLOG_ERR, 0, "CT0080",
                       "handshakes are refused with 503: of the %lu descriptors of this process "
                       "(ulimit -n), %lu are not for sessions, and the others are taken",
                       limit, size);
    }
    return 0;
}

/* The last ones are taken: this connection has got one of them, and gives it back. */
static int close_unanswered(conn_rec *c, void *socket)
{
    static reserve_log log;
    unsigned long size;
    const unsigned long limit = current_limit(&size);
    const int fd = c->master ? -1 : descriptor_of(socket);

    if (fd < 0 || (unsigned long)fd < limit - size / LAST_PART) {
        return OK;
    }
    if (is_to_log(&log)) {
        CT_LOG_SERVER(c->base_server, APLOG_ERR, 0, "CT0081",
                      "connections are closed without an answer: of the %lu descriptors of this "
                      "process (ulimit -n) only %lu are left",
                      limit, size / LAST_PART);
    }
    return HTTP_SERVICE_UNAVAILABLE;
}

void ws_reserve_register(void)
{
    /* A connection was accepted. First: the others need not prepare it. */
    ap_hook_pre_connection(close_unanswered, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
