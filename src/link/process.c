#include <config.h>

#include "process.h"

#include "heartbeat.h"
#include "server.h"
#include "socket.h"
#include "state_place.h"

#include "base/clock.h"
#include "base/container.h"
#include "log.h"

#include <ap_listen.h>
#include <ap_mpm.h>
#include <http_config.h>
#include <mpm_common.h>
#include <unixd.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a hub may take to end: a relay's pulse, and the time-out of a stuck bus. */
#define HUB_PATIENCE_MS 3000
/* How long the parent waits for the guardian, which waits for the hub. */
#define GUARDIAN_PATIENCE_MS 5000
/* How often it looks meanwhile. */
#define REAP_MS 5
/* How long a hub waits for its successor while the server reads its new configuration. */
#define SUCCESSOR_PATIENCE_MS 60000
/* A hub that dies younger than this is started again with growing delays. */
#define HUB_YOUNG_MS         1000
#define MAX_RESTART_DELAY_MS 5000
/*
 * How long a hub may be silent (heartbeat.h): it is killed then. Before its first beat it opens
 * buses and reads what it remembers, from a card that may be slow.
 */
#define LOOK_MS              1000
#define MAX_SILENT_LOOKS     10
#define MAX_LOOKS_AT_A_START 60

#define PROCESS_KEY "mod_clowntalk:hub_process"

typedef struct hub_process {
    server_rec *server;
    apr_pool_t *pool;
    const ct_house *house;
    const char *reason; /* for the next start: "power-on", "restart", "crash" */
    hub_socket listener;
    int stop_pipe[2];    /* to the guardian: a byte, or its closing, ends the guardian; or -1 */
    apr_proc_t guardian; /* pid -1: none */
    bool registered;     /* APR looks after the guardian: unregistering it twice is a crash */
    pid_t parent;        /* the process that made this */
    atomic_int *trouble; /* a hub_trouble, shared with the children */
    char why[PLACE_WHY]; /* what the log has said about it last */
} hub_process;

/* Why there is no guardian. */
typedef enum hub_trouble {
    TROUBLE_NONE,
    TROUBLE_SOCKET,
    TROUBLE_PROCESS, /* descriptors or processes have run out */
} hub_trouble;

static int64_t monotonic_ms(void)
{
    return base_monotonic_us() / 1000;
}

static void sleep_ms(int64_t milliseconds)
{
    struct timespec t = {milliseconds / 1000, (milliseconds % 1000) * 1000000};

    nanosleep(&t, NULL);
}

/*
 * Waits for a child to end; then kills it. What counts is time in which this process runs: after a
 * stop of both the child has its full time.
 */
static void reap_or_kill(pid_t pid, int patience_ms)
{
    for (int waited = 0; waitpid(pid, NULL, WNOHANG) == 0; waited += REAP_MS) {
        if (waited >= patience_ms) {
            if (kill(pid, SIGKILL) == 0) {
                waitpid(pid, NULL, 0);
            }
            return;
        }
        sleep_ms(REAP_MS);
    }
}

/* ---- the hub's process ---- */

static server_rec *hub_log_server; /* of the process that is the hub: set before anything can log */

static void log_hub(hub_level level, int code, const char *text)
{
    static const int levels[] = {
        [HUB_DEBUG] = APLOG_DEBUG,
        [HUB_INFO] = APLOG_INFO,
        [HUB_WARNING] = APLOG_WARNING,
        [HUB_ERROR] = APLOG_ERR,
    };

    ap_log_error(APLOG_MARK, levels[level], 0, hub_log_server, "CT%04d: %s", code, text);
}

static hub_node_config *node_configs(apr_pool_t *pool, const ct_house *house)
{
    hub_node_config *nodes = apr_pcalloc(pool, (apr_size_t)house->nodes->nelts * sizeof *nodes);

    for (int i = 0; i < house->nodes->nelts; i++) {
        const ct_node *node = APR_ARRAY_IDX(house->nodes, i, const ct_node *);

        nodes[i] = (hub_node_config){
            .name = node->name,
            .buses = (const hub_bus_config *)node->buses->elts,
            .n_buses = (size_t)node->buses->nelts,
            .devices = (const hub_device_config *)node->devices->elts,
            .n_devices = (size_t)node->devices->nelts,
            .intervals = (const hub_interval_config *)node->intervals->elts,
            .n_intervals = (size_t)node->intervals->nelts,
            .led = node->led,
            .rescan = node->rescan,
        };
    }
    return nodes;
}

/* What a hub is told by its guardian: end, or hand over to a successor that starts at once. */
#define SIGNAL_END       SIGTERM
#define SIGNAL_HAND_OVER SIGUSR1

typedef struct termination {
    ws_watch watch; /* a signalfd */
    ws_loop *loop;
    bool hands_over;
} termination;

static void on_signal(ws_watch *watch, uint32_t events)
{
    termination *end = container_of(watch, termination, watch);
    struct signalfd_siginfo info;

    (void)events;
    end->hands_over = true;
    while (read(watch->fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGNAL_HAND_OVER) {
            end->hands_over = false;
        }
    }
    ws_loop_quit(end->loop);
}

static bool watch_signals(termination *end, ws_loop *loop)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGNAL_END);
    sigaddset(&set, SIGNAL_HAND_OVER);
    end->loop = loop;
    end->watch.ready = on_signal;
    return ws_loop_watch(loop, &end->watch, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
                         EPOLLIN);
}

/* Makes this process end when `parent` ends, whatever the reason. */
static void end_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        raise(SIGTERM);
    }
}

/* A link takes a descriptor, and with some MPMs each session has a link. */
static void allow_many_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/*
 * Runs the hub; returns its exit code. The buses are opened as the user that the server started as.
 */
static int run_hub(const hub_process *process, const char *reason, pid_t guardian,
                   const heartbeat *heartbeat)
{
    apr_pool_t *pool;
    hub_config config = {.reason_for_reset = reason};
    const char *instance;
    ws_loop *loop = ws_loop_create();
    hub_server *server;
    hub_output output;
    termination end = {0};
    heart heart;
    hub *hub;

    prctl(PR_SET_NAME, "clowntalk-hub");
    signal(SIGXFSZ, SIG_IGN); /* a file that must not grow is an error as any other */
    allow_many_descriptors();
    hub_log_server = process->server;
    apr_pool_create(&pool, process->pool);
    instance =
        apr_psprintf(pool, "%ld-%" APR_INT64_T_FMT, (long)getpid(), (apr_int64_t)monotonic_ms());
    config.nodes = node_configs(pool, process->house);
    config.n_nodes = (size_t)process->house->nodes->nelts;
    config.state_dir = process->house->state_dir;
    config.state_user = geteuid() == 0 ? ap_unixd_config.user_id : 0;
    config.release = CT_VERSION;
    config.datetime = CT_BUILD_DATETIME;
    config.bus_kinds = process->house->bus_kinds;

    server = loop ? hub_server_create(loop, process->listener.fd, instance, reason, log_hub) : NULL;
    if (!server || !watch_signals(&end, loop)) {
        CT_LOG_SERVER(process->server, APLOG_ERR, errno, "CT0050", "the hub cannot start");
        return 1;
    }
    output = hub_server_output(server);
    hub = hub_create(&config, &output);
    if (!hub) {
        CT_LOG_SERVER(process->server, APLOG_ERR, errno, "CT0060", "the hub's core cannot start");
        return 1;
    }
    if (ap_run_drop_privileges(pool, process->server) != 0) {
        CT_LOG_SERVER(process->server, APLOG_ERR, 0, "CT0051",
                      "the hub cannot become the server's User");
        hub_destroy(hub);
        return 1;
    }
    end_with(guardian); /* again: the kernel drops it with the change of user */
    hub_server_attach(server, hub);
    CT_LOG_SERVER(process->server, APLOG_DEBUG, 0, "CT0052", "the hub has started (%s)", reason);
    heart_start(&heart, loop, heartbeat);
    ws_loop_run(loop, NULL, NULL);
    heart_stop(&heart);
    ws_loop_unwatch(loop, &end.watch);
    if (end.hands_over) {
        hub_hand_over(hub);
    } else {
        hub_destroy(hub);
    }
    hub_server_destroy(server);
    ws_loop_destroy(loop);
    return 0;
}

/* ---- the guardian ---- */

static pid_t spawn_hub(const hub_process *process, const char *reason, heartbeat *heartbeat)
{
    const pid_t guardian = getpid();
    pid_t pid;

    heartbeat_reset(heartbeat);
    pid = fork();
    if (pid == 0) {
        end_with(guardian);
        _exit(run_hub(process, reason, guardian, heartbeat));
    }
    if (pid < 0) {
        CT_LOG_SERVER(process->server, APLOG_ERR, errno, "CT0053", "cannot fork the hub");
    }
    return pid;
}

/* What the guardian waits for. */
typedef enum watch_result {
    WATCH_TIME_OVER,
    WATCH_CHILD,     /* the hub may have ended */
    WATCH_SUCCESSOR, /* the server restarts: a successor's start is expected */
    WATCH_HAND_OVER, /* which is there */
    WATCH_GO,        /* the server ends */
} watch_result;

/* What httpd's parent writes into the guardian's pipe. Its closing means the end. */
#define PIPE_SUCCESSOR 's'
#define PIPE_HAND_OVER 'h'
#define PIPE_END       'e'

typedef struct guardian_watch {
    int signals; /* a signalfd of SIGTERM and SIGCHLD */
    int stop_pipe;
} guardian_watch;

static watch_result read_pipe(int fd)
{
    char word = PIPE_END;

    if (read(fd, &word, 1) != 1) {
        return WATCH_GO;
    }
    return word == PIPE_SUCCESSOR   ? WATCH_SUCCESSOR
           : word == PIPE_HAND_OVER ? WATCH_HAND_OVER
                                    : WATCH_GO;
}

/* Waits at most this many milliseconds; -1: without limit. */
static watch_result wait_for_event(const guardian_watch *watch, int64_t milliseconds)
{
    struct pollfd fds[] = {{watch->signals, POLLIN, 0}, {watch->stop_pipe, POLLIN, 0}};
    struct signalfd_siginfo info;

    if (poll(fds, 2, (int)milliseconds) <= 0) {
        return WATCH_TIME_OVER;
    }
    if (fds[1].revents) {
        return read_pipe(watch->stop_pipe);
    }
    if (read(watch->signals, &info, sizeof info) != sizeof info) {
        return WATCH_TIME_OVER;
    }
    return info.ssi_signo == SIGTERM ? WATCH_GO : WATCH_CHILD;
}

/* How long to wait before the next start: not at all, unless the hub dies soon after each start. */
static int64_t next_delay(int64_t delay, int64_t age)
{
    if (age >= HUB_YOUNG_MS) {
        return 0;
    }
    delay = delay ? 2 * delay : 50;
    return delay < MAX_RESTART_DELAY_MS ? delay : MAX_RESTART_DELAY_MS;
}

static void log_death(const hub_process *process, pid_t pid, int status)
{
    if (WIFSIGNALED(status)) {
        CT_LOG_SERVER(process->server, APLOG_ERR, 0, "CT0054",
                      "the hub (process %ld) was ended by signal %d: starting it again", (long)pid,
                      WTERMSIG(status));
    } else {
        CT_LOG_SERVER(process->server, APLOG_ERR, 0, "CT0055",
                      "the hub (process %ld) ended with code %d: starting it again", (long)pid,
                      WEXITSTATUS(status));
    }
}

/* Whether a debugger, or strace, has attached to a process. */
static bool is_traced(pid_t pid)
{
    static const char field[] = "\nTracerPid:\t";
    char path[32], text[2048];
    ssize_t length = -1;
    const char *at;
    int fd;

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        length = read(fd, text, sizeof text - 1);
        close(fd);
    }
    text[length > 0 ? length : 0] = '\0';
    at = strstr(text, field);
    return at && at[sizeof field - 1] != '0';
}

/*
 * Kills a hub that has been silent for too long; its death is noticed as any other. (Not by a
 * signal that it could handle: a process that is stopped handles none.)
 */
static void look_after(const hub_process *process, pid_t hub, heartbeat *heartbeat)
{
    const unsigned silent = heartbeat_look(heartbeat);

    if (silent != (heartbeat_has_begun(heartbeat) ? MAX_SILENT_LOOKS : MAX_LOOKS_AT_A_START)) {
        return;
    }
    if (is_traced(hub)) {
        heartbeat->silent = 0;
        CT_LOG_SERVER(process->server, APLOG_NOTICE, 0, "CT1072",
                      "the hub (process %ld) hangs, and is left alone, since it is being debugged",
                      (long)hub);
        return;
    }
    CT_LOG_SERVER(process->server, APLOG_ERR, 0, "CT1071",
                  "the hub (process %ld) has not moved for %u seconds: killing it", (long)hub,
                  silent);
    kill(hub, SIGKILL);
}

/* Ends the hub, if there is one. */
static void end_hub(pid_t hub, watch_result why)
{
    if (hub > 0) {
        kill(hub, why == WATCH_HAND_OVER ? SIGNAL_HAND_OVER : SIGNAL_END);
        reap_or_kill(hub, HUB_PATIENCE_MS);
    }
}

/* Milliseconds until a time, at least 0; -1 where it never comes. */
static int64_t until(int64_t time)
{
    const int64_t left = time - monotonic_ms();

    return time == INT64_MAX ? -1 : left > 0 ? left : 0;
}

/*
 * Waits for the hub to end by itself: true, and its status. False: it is to end, and was ended.
 * `give_up` is when the guardian stops waiting for a successor, INT64_MAX: none is expected.
 */
static bool watch_hub(const hub_process *process, const guardian_watch *watch, pid_t hub,
                      int *status, int64_t *give_up, heartbeat *heartbeat)
{
    int64_t next_look = monotonic_ms() + LOOK_MS;

    for (;;) {
        const int64_t first = next_look < *give_up ? next_look : *give_up;
        const watch_result result = wait_for_event(watch, until(first));

        if (result == WATCH_SUCCESSOR) {
            *give_up = monotonic_ms() + SUCCESSOR_PATIENCE_MS;
        } else if (result == WATCH_HAND_OVER || result == WATCH_GO || until(*give_up) == 0) {
            end_hub(hub, result);
            return false;
        }
        if (waitpid(hub, status, WNOHANG) == hub) {
            return true;
        }
        if (until(next_look) == 0) {
            look_after(process, hub, heartbeat);
            next_look = monotonic_ms() + LOOK_MS;
        }
    }
}

/* The pause before the next start. False: there is to be none. */
static bool pause_for(const guardian_watch *watch, int64_t delay, int64_t *give_up)
{
    const int64_t end = monotonic_ms() + delay;
    int64_t now;

    while ((now = monotonic_ms()) < end) {
        const watch_result result = wait_for_event(watch, end - now);

        if (result == WATCH_SUCCESSOR) {
            *give_up = now + SUCCESSOR_PATIENCE_MS;
        } else if (result == WATCH_HAND_OVER || result == WATCH_GO) {
            return false;
        }
    }
    return true;
}

/* The guardian's whole life. */
static void guard(const hub_process *process, const guardian_watch *watch, heartbeat *heartbeat)
{
    const char *reason = process->reason;
    int64_t delay = 0, give_up = INT64_MAX;

    for (;;) {
        const int64_t born = monotonic_ms();
        const pid_t hub = spawn_hub(process, reason, heartbeat);
        int status = 0;

        if (hub > 0) {
            if (!watch_hub(process, watch, hub, &status, &give_up, heartbeat)) {
                return;
            }
            log_death(process, hub, status);
        }
        reason = "crash";
        delay = next_delay(delay, monotonic_ms() - born);
        if (!pause_for(watch, delay, &give_up)) {
            return;
        }
    }
}

static void run_guardian(const hub_process *process, pid_t parent)
{
    sigset_t set;
    guardian_watch watch;
    heartbeat heartbeat;
    static const int defaults[] = {SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2, SIGWINCH,
                                   SIGABRT, SIGSEGV, SIGBUS,  SIGFPE,  SIGILL};

    prctl(PR_SET_NAME, "clowntalk-guard");
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        signal(defaults[i], SIG_DFL);
    }
    /* From a terminal these reach the whole process group; the parent decides what they mean. */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGWINCH, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGNAL_HAND_OVER); /* only blocked: it is the hub's, which inherits that */
    sigprocmask(SIG_SETMASK, &set, NULL);
    sigdelset(&set, SIGNAL_HAND_OVER);
    end_with(parent);
    ap_close_listeners(); /* or the ports would stay in use after the server has ended */
    close(process->stop_pipe[1]);
    watch.signals = signalfd(-1, &set, SFD_CLOEXEC);
    watch.stop_pipe = process->stop_pipe[0];
    if (watch.signals < 0 || !heartbeat_create(&heartbeat)) {
        CT_LOG_SERVER(process->server, APLOG_ERR, errno, "CT0062", "the guardian cannot start");
        return;
    }
    guard(process, &watch, &heartbeat);
}

/* ---- the parent ---- */

static apr_status_t start_guardian(hub_process *process);

static void unregister_guardian(hub_process *process)
{
    if (process->registered) {
        process->registered = false;
        apr_proc_other_child_unregister(process);
    }
}

/* Called by httpd's parent, which checks its other children about once a second. */
static void maintain_guardian(int reason, void *baton, apr_wait_t status)
{
    hub_process *process = baton;
    int mpm_state;

    (void)status;
    switch (reason) {
    case APR_OC_REASON_DEATH:
    case APR_OC_REASON_LOST:
        unregister_guardian(process);
        process->guardian.pid = -1;
        if (ap_mpm_query(AP_MPMQ_MPM_STATE, &mpm_state) == APR_SUCCESS &&
            mpm_state != AP_MPMQ_STOPPING) {
            CT_LOG_SERVER(process->server, APLOG_ERR, 0, "CT0056",
                          "the hub's guardian died: starting it again");
            process->reason = "crash";
            if (start_guardian(process) != APR_SUCCESS) {
                atomic_store(process->trouble, TROUBLE_PROCESS);
            }
        }
        break;
    case APR_OC_REASON_RESTART:
        unregister_guardian(process);
        break; /* end_guardian() follows with the pool */
    default:
        break;
    }
}

static apr_status_t start_guardian(hub_process *process)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();

    if (pid < 0) {
        const int error = errno;

        CT_LOG_SERVER(process->server, APLOG_ERR, error, "CT0057",
                      "cannot fork the hub's guardian");
        return error;
    }
    if (pid == 0) {
        run_guardian(process, parent);
        _exit(0);
    }
    process->guardian = (apr_proc_t){.pid = pid};
    apr_proc_other_child_register(&process->guardian, maintain_guardian, process, NULL,
                                  process->pool);
    process->registered = true;
    return APR_SUCCESS;
}

/* Says a word to a guardian and waits for its end. */
static void end_process(pid_t guardian, int pipe, char word)
{
    /*
     * Not by a signal: a server in one process (-X) has given up root's rights and may not send one
     * to the guardian.
     */
    if (write(pipe, &word, 1) != 1) {
        kill(guardian, SIGTERM);
    }
    reap_or_kill(guardian, GUARDIAN_PATIENCE_MS);
    close(pipe);
}

/*
 * The guardian of the configuration that went, while a restart goes on. It keeps its hub until the
 * next configuration's takes over: should the server end instead, since the new configuration is
 * wrong, then it ends its hub as for any other end, and no pulse is left without one.
 */
typedef struct predecessor {
    pid_t guardian; /* 0: none */
    int pipe;
} predecessor;

#define PREDECESSOR_KEY "mod_clowntalk:predecessor"

/* Ends it, where there is one: when this returns, there is no hub. */
static void end_predecessor(char word)
{
    predecessor *before = ap_retained_data_get(PREDECESSOR_KEY);

    if (before && before->guardian > 0) {
        end_process(before->guardian, before->pipe, word);
        before->guardian = 0;
    }
}

static void become_predecessor(hub_process *process)
{
    predecessor *before = ap_retained_data_get(PREDECESSOR_KEY);
    const char word = PIPE_SUCCESSOR;

    if (!before) {
        before = ap_retained_data_create(PREDECESSOR_KEY, sizeof *before);
    }
    if (write(process->stop_pipe[1], &word, 1) != 1) {
        end_process(process->guardian.pid, process->stop_pipe[1], PIPE_END);
        return;
    }
    *before = (predecessor){process->guardian.pid, process->stop_pipe[1]};
}

/* Whether the server goes on with another configuration, as far as it knows. */
static bool restarts(void)
{
    const ap_unixd_mpm_retained_data *mpm = ap_unixd_mpm_get_retained_data();

    return mpm->restart_pending && !mpm->shutdown_pending;
}

static void close_pipe(hub_process *process, int end)
{
    if (process->stop_pipe[end] >= 0) {
        close(process->stop_pipe[end]);
        process->stop_pipe[end] = -1;
    }
}

/* Before the pool goes. */
static apr_status_t end_guardian(void *baton)
{
    hub_process *process = baton;

    if (getpid() != process->parent) {
        return APR_SUCCESS; /* a child that clears its copy of the pool */
    }
    if (process->guardian.pid <= 0) {
        close_pipe(process, 1);
    } else {
        unregister_guardian(process);
        if (restarts()) {
            become_predecessor(process);
        } else {
            end_process(process->guardian.pid, process->stop_pipe[1], PIPE_END);
        }
        process->guardian.pid = -1;
    }
    close_pipe(process, 0);
    hub_socket_close(&process->listener, process->house->hub_socket);
    munmap(process->trouble, sizeof *process->trouble);
    return APR_SUCCESS;
}

static hub_process *process_of(const server_rec *server)
{
    void *data = NULL;

    apr_pool_userdata_get(&data, PROCESS_KEY, server->process->pconf);
    return data;
}

void hub_process_forked(server_rec *server)
{
    hub_process *process = process_of(server);

    if (process && getpid() != process->parent) {
        if (process->listener.fd >= 0) {
            close(process->listener.fd);
        }
        close_pipe(process, 0);
        close_pipe(process, 1);
    }
}

const char *hub_process_trouble(const server_rec *server)
{
    static const char *const sentences[] = {
        [TROUBLE_SOCKET] = "the hardware side cannot start, since the server cannot make the "
                           "socket to it (ClownTalkHubSocket): its log says why",
        [TROUBLE_PROCESS] = "the hardware side cannot start, since the server cannot make a "
                            "process for it: its log says why",
    };
    const hub_process *process = process_of(server);
    const int trouble = process ? atomic_load(process->trouble) : TROUBLE_NONE;

    return trouble == TROUBLE_SOCKET || trouble == TROUBLE_PROCESS ? sentences[trouble] : NULL;
}

void hub_process_end_predecessor(void)
{
    end_predecessor(PIPE_END);
}

bool hub_process_check(server_rec *server, const ct_house *house)
{
    char why[PLACE_WHY];

    if (!state_place_check(house->state_dir, ap_unixd_config.user_id, why)) {
        CT_LOG_SERVER(server, APLOG_CRIT, 0, "CT0005", "ClownTalkStateDir %s: %s", house->state_dir,
                      why);
        return false;
    }
    if (!hub_socket_check(house->hub_socket, why)) {
        CT_LOG_SERVER(server, APLOG_CRIT, 0, "CT0006", "ClownTalkHubSocket %s: %s",
                      house->hub_socket, why);
        return false;
    }
    return true;
}

/*
 * The directory where states are remembered, for the server's user. Without it the server works,
 * but forgets.
 */
static void make_state_dir(const hub_process *process)
{
    const char *path = process->house->state_dir;
    char why[PLACE_WHY];

    if (!state_place_make(path, ap_unixd_config.user_id, ap_unixd_config.group_id, why)) {
        CT_LOG_SERVER(process->server, APLOG_WARNING, 0, "CT0059",
                      "%s: %s (ClownTalkStateDir): relay states will not be remembered", path, why);
    }
}

/* The socket that children link to; says why where it cannot be made, once for each reason. */
static bool listen_for_links(hub_process *process)
{
    const char *path = process->house->hub_socket;
    char why[PLACE_WHY];

    if (hub_socket_listen(&process->listener, path, ap_unixd_config.user_id, why)) {
        return true;
    }
    if (strcmp(why, process->why) != 0) {
        CT_LOG_SERVER(process->server, APLOG_CRIT, 0, "CT0058",
                      "cannot make the hub's socket %s: %s (ClownTalkHubSocket). There is no hub "
                      "until this is possible; it is tried again",
                      path, why);
        strcpy(process->why, why);
    }
    return false;
}

static hub_trouble try_to_start(hub_process *process)
{
    if (process->listener.fd < 0 && !listen_for_links(process)) {
        return TROUBLE_SOCKET;
    }
    if (process->stop_pipe[0] < 0 && pipe2(process->stop_pipe, O_CLOEXEC) != 0) {
        CT_LOG_SERVER(process->server, APLOG_CRIT, errno, "CT0063",
                      "cannot create the guardian's pipe");
        return TROUBLE_PROCESS;
    }
    return start_guardian(process) == APR_SUCCESS ? TROUBLE_NONE : TROUBLE_PROCESS;
}

void hub_process_maintain(const server_rec *server)
{
    hub_process *process = process_of(server);
    hub_trouble trouble;

    if (!process || getpid() != process->parent || process->guardian.pid > 0) {
        return;
    }
    trouble = try_to_start(process);
    atomic_store(process->trouble, trouble);
    if (trouble == TROUBLE_NONE) {
        process->why[0] = '\0';
        CT_LOG_SERVER(process->server, APLOG_NOTICE, 0, "CT0065",
                      "the hub's guardian could be started now");
    }
}

apr_status_t hub_process_start(apr_pool_t *pconf, server_rec *server, const ct_house *house,
                               int restarted)
{
    hub_process *process = apr_pcalloc(pconf, sizeof *process);

    process->server = server;
    process->pool = pconf;
    process->house = house;
    process->reason = restarted ? "restart" : "power-on";
    process->guardian.pid = -1;
    process->parent = getpid();
    process->listener.fd = process->stop_pipe[0] = process->stop_pipe[1] = -1;
    process->trouble = mmap(NULL, sizeof *process->trouble, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (process->trouble == MAP_FAILED) {
        return APR_ENOMEM;
    }
    end_predecessor(PIPE_HAND_OVER); /* no hub may be left when this one begins */
    make_state_dir(process);
    apr_pool_pre_cleanup_register(pconf, process, end_guardian);
    apr_pool_userdata_setn(process, PROCESS_KEY, NULL, pconf);
    atomic_store(process->trouble, try_to_start(process));
    return APR_SUCCESS;
}
