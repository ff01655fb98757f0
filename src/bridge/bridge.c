/*
 * clowntalk-bridge: the hub on standard input and output, a Clown.Talk message per line, for
 * scripts, for tests, and for use of the hardware without a web server.
 *
 * One thread: it reads lines, hands them to the hub, and writes what the hub says. Nothing it does
 * blocks: it writes no more than a pipe takes, so that a slow reader delays no relay.
 */
#include <config.h>

#include "base/memory.h"
#include "talk/talk.h"
#include "hub/hub.h"
#include "i2c/linux.h"
#include "sim/sim.h"

#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_NODE   "nodes/bridge/0"
#define DEFAULT_RESCAN 30.0 /* seconds */

/*
 * While at least this many bytes wait for the reader, no input is read, and publications (not
 * answers) are left out.
 */
#define OUTPUT_LIMIT 1048576

#define MAX_OPTIONS 64 /* of each kind */
#define MAX_WORDS   32 /* in a --device */

typedef struct bridge {
    hub *hub;
    const char *node;
    bool furious;      /* no opening is needed */
    bool opened;       /* the opening has come */
    bool initialized;  /* and was answered: publications may go out */
    uint64_t opening;  /* the request that was the opening */
    uint64_t asked;    /* requests so far */
    uint64_t answered; /* and those with their final answer */
    bool ended;        /* standard input has */
    bool broken;       /* standard output has lost its reader */
    char line[HUB_MAX_LINE + 1];
    size_t length; /* of what has come of the current line */
    bool begun;    /* the first line has come */
    bool skips;    /* it is too long: the rest is dropped */
    talk_text output;
    size_t written; /* bytes of it that are out */
} bridge;

typedef struct settings {
    hub_config config;
    hub_node_config node;
    hub_bus_config buses[MAX_OPTIONS];
    hub_device_config devices[MAX_OPTIONS];
    hub_interval_config intervals[MAX_OPTIONS];
    bool furious;
} settings;

/* ---- output ---- */

static void put(bridge *bridge, const char *text, size_t length)
{
    if (!bridge->broken) {
        talk_text_add(&bridge->output, text, length);
    }
}

static size_t unwritten(const bridge *bridge)
{
    return bridge->output.length - bridge->written;
}

/* Writes what a pipe takes without blocking: PIPE_BUF bytes, when poll() calls it writable. */
static void write_some(bridge *bridge)
{
    size_t length = unwritten(bridge);
    ssize_t written = write(STDOUT_FILENO, bridge->output.data + bridge->written,
                            length < PIPE_BUF ? length : PIPE_BUF);

    if (written < 0 && errno != EINTR && errno != EAGAIN) {
        bridge->broken = true;
    }
    if (written > 0) {
        bridge->written += (size_t)written;
    }
    if (bridge->written == bridge->output.length || bridge->broken) {
        talk_text_clear(&bridge->output);
        bridge->written = 0;
    }
}

static void on_reply(void *baton, uint64_t asker, const char *line, size_t length, bool last)
{
    bridge *bridge = baton;

    put(bridge, line, length);
    if (asker == bridge->opening) {
        bridge->initialized = true;
    }
    if (last) {
        bridge->answered++;
    }
}

static void on_publish(void *baton, const char *node, uint64_t except, const char *line,
                       size_t length)
{
    bridge *bridge = baton;

    (void)node;
    if ((bridge->furious || bridge->initialized) && !except && unwritten(bridge) < OUTPUT_LIMIT) {
        put(bridge, line, length);
    }
}

static void on_log(void *baton, hub_level level, int code, const char *text)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};

    (void)baton;
    fprintf(stderr, "clowntalk-bridge: %s: CT%d: %s\n", names[level], code, text);
}

/* ---- input ---- */

static void refuse(bridge *bridge, const talk_message *message, talk_error error, const char *why)
{
    talk_text text = {0};

    talk_write_error(&text, message->topic.text, message->id, error, "%s", why);
    put(bridge, text.data, text.length);
    talk_text_free(&text);
}

static void take_line(bridge *bridge, const char *line, size_t length)
{
    talk_message message = {0};
    char why[TALK_MAX_WHY] = "";
    talk_error error = talk_message_parse(&message, line, length, why, sizeof(why));
    bool opens = error == TALK_OK && message.topic.form == TALK_OPENING;

    if (error == TALK_MALFORMED) {
        refuse(bridge, &message, error, why);
    } else if (!bridge->furious && !bridge->opened && !opens) {
        refuse(bridge, &message, TALK_NOT_INITIALIZED,
               "the first message must be [\"clown.talk/-/config/set\", {}]");
    } else {
        uint64_t asker = ++bridge->asked;
        if (opens) {
            bridge->opened = true;
            bridge->opening = asker;
        }
        hub_request(bridge->hub, bridge->node, HUB_MAY_CONTROL | HUB_MAY_RAW_I2C, asker, line,
                    length);
    }
    talk_message_clear(&message);
}

static void end_line(bridge *bridge)
{
    static const char bom[] = "\xef\xbb\xbf"; /* that some editors put in front of a text */
    const char *at = bridge->line, *end = bridge->line + bridge->length, *line;
    size_t length;

    if (!bridge->begun && bridge->length >= sizeof(bom) - 1 &&
        memcmp(at, bom, sizeof(bom) - 1) == 0) {
        at += sizeof(bom) - 1;
    }
    bridge->begun = true;
    if (bridge->skips) {
        const talk_message nothing = {0};
        refuse(bridge, &nothing, TALK_MALFORMED, "the message is longer than 65536 bytes");
    } else {
        while (talk_next_line(&at, end, &line, &length)) {
            take_line(bridge, line, length);
        }
    }
    bridge->length = 0;
    bridge->skips = false;
}

static void read_some(bridge *bridge)
{
    char bytes[16384];
    ssize_t length = read(STDIN_FILENO, bytes, sizeof(bytes));

    if (length < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    for (ssize_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            end_line(bridge);
        } else if (bridge->length <= HUB_MAX_LINE && !bridge->skips) {
            bridge->line[bridge->length++] = bytes[i];
        }
        if (bridge->length > HUB_MAX_LINE) {
            bridge->length = 0;
            bridge->skips = true;
        }
    }
    if (length <= 0) {
        end_line(bridge); /* the last line feed may be missing */
        bridge->ended = true;
    }
}

/* ---- the loop ---- */

static bool is_finished(const bridge *bridge)
{
    return bridge->broken ||
           (bridge->ended && bridge->asked == bridge->answered && !unwritten(bridge));
}

/*
 * Runs until standard input has ended and everything is answered, standard output has lost its
 * reader, or a signal comes.
 */
static void run(bridge *bridge, int signals)
{
    while (!is_finished(bridge)) {
        bool reads = !bridge->ended && unwritten(bridge) < OUTPUT_LIMIT;
        struct pollfd fds[] = {
            {.fd = signals, .events = POLLIN},
            {.fd = hub_fd(bridge->hub), .events = POLLIN},
            {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
            /* Without POLLOUT it still reports the loss of the reader. */
            {.fd = STDOUT_FILENO, .events = unwritten(bridge) ? POLLOUT : 0},
        };

        if (poll(fds, 4, -1) < 0 && errno != EINTR) {
            return;
        }
        if (fds[0].revents) {
            return;
        }
        if (fds[1].revents) {
            hub_dispatch(bridge->hub);
        }
        if (fds[2].revents) {
            read_some(bridge);
        }
        if (fds[3].revents & (POLLERR | POLLNVAL)) {
            bridge->broken = true;
        } else if (fds[3].revents & POLLOUT) {
            write_some(bridge);
        }
    }
}

/* Writes what the end of the hub has produced: as much as the reader takes within a second. */
static void flush(bridge *bridge)
{
    struct pollfd writable = {.fd = STDOUT_FILENO, .events = POLLOUT};

    while (unwritten(bridge) && poll(&writable, 1, 1000) > 0 && !(writable.revents & POLLERR)) {
        write_some(bridge);
    }
}

/* ---- the command line ---- */

static void print_help(void)
{
    printf(
        "Usage: clowntalk-bridge --bus LABEL=DEVICE [OPTION ...]\n"
        "Drives I2C devices, speaking Clown.Talk on standard input and output.\n"
        "\n"
        "  --bus LABEL=DEVICE[,modules=bigclown]\n"
        "                           a bus: 0=/dev/i2c-1, 0=sim or 0=sim:FILE (simulated chips), "
        "and\n"
        "                           whose modules it carries\n"
        "  --node NAME              the node's name (default: " DEFAULT_NODE ")\n"
        "  --device \"TOPIC [DRIVER] [OPTION=VALUE ...]\"\n"
        "                           pins a device or driver: \"relay/i2c0-20-0 pcf8574 pin=0\";\n"
        "                           the driver \"none\" leaves an address alone\n"
        "  --interval TYPE=SECONDS  publish interval of a type of device, 0.1 to 86400\n"
        "  --led PATH               an LED: /sys/class/leds/NAME, or sim\n"
        "  --state-dir DIR          remember relay states and settings there\n"
        "  --rescan SECONDS         look for new devices at this interval (default: 30), 0: never\n"
        "  -f, --furious            needs no opening message\n"
        "  --help, --version\n"
        "\n"
        "--bus, --device and --interval may be given several times. The first message must be\n"
        "[\"clown.talk/-/config/set\", {}].\n");
}

static int wrong(const char *option, const char *why)
{
    fprintf(stderr, "clowntalk-bridge: --%s: %s\n", option, why);
    return EXIT_FAILURE;
}

static bool read_seconds(const char *text, double *seconds)
{
    char *end;

    *seconds = strtod(text, &end);
    return end != text && !*end && isfinite(*seconds) && *seconds >= 0 && *seconds <= 86400;
}

static const i2c_bus_kind *const bus_kinds[] = {&linux_bus_kind, &sim_bus_kind, NULL};

static int add_bus(settings *settings, char *argument)
{
    hub_bus_config *bus = &settings->buses[settings->node.n_buses];
    char why[512], *end, *option;

    if (settings->node.n_buses == MAX_OPTIONS) {
        return wrong("bus", "too many of them");
    }
    bus->label = (int)strtol(argument, &end, 10);
    if (end == argument || *end != '=') {
        return wrong("bus", "must be LABEL=DEVICE, such as 0=/dev/i2c-1 or 0=sim");
    }
    bus->device = end + 1;
    option = strrchr(bus->device, ',');
    if (option && strncmp(option, ",modules=", 9) == 0) {
        *option++ = 0;
        if (hub_read_bus_option(bus, option, why, sizeof(why))) {
            return wrong("bus", why);
        }
    }
    if (hub_check_bus(bus, bus_kinds, why, sizeof(why))) {
        return wrong("bus", why);
    }
    for (size_t i = 0; i < settings->node.n_buses; i++) {
        if (settings->buses[i].label == bus->label) {
            return wrong("bus", "each must have a label of its own");
        }
    }
    settings->node.n_buses++;
    return 0;
}

static int add_device(settings *settings, char *argument)
{
    hub_device_config *device = &settings->devices[settings->node.n_devices];
    const char **words = calloc(MAX_WORDS + 1, sizeof(*words));
    char why[512], *rest = argument, *word;
    size_t n = 0, first_option, n_earlier;

    if (!words) {
        base_out_of_memory();
    }
    while ((word = strsep(&rest, " \t"))) {
        if (*word && n < MAX_WORDS) {
            words[n++] = word;
        }
    }
    if (!n || settings->node.n_devices == MAX_OPTIONS) {
        free(words);
        return wrong("device",
                     n ? "too many of them" : "must be \"TOPIC [DRIVER] [OPTION=VALUE ...]\"");
    }
    first_option = n > 1 && !strchr(words[1], '=') ? 2 : 1;
    *device =
        (hub_device_config){words[0], first_option == 2 ? words[1] : NULL, words + first_option};
    n_earlier = settings->node.n_devices++;
    return hub_check_device(device, settings->devices, n_earlier, why, sizeof(why))
               ? wrong("device", why)
               : 0;
}

static int add_interval(settings *settings, char *argument)
{
    hub_interval_config *interval = &settings->intervals[settings->node.n_intervals];
    char *value = strchr(argument, '='), why[512];

    if (settings->node.n_intervals == MAX_OPTIONS) {
        return wrong("interval", "too many of them");
    }
    if (!value || !read_seconds(value + 1, &interval->seconds)) {
        return wrong("interval", "must be TYPE=SECONDS, such as thermometer=5");
    }
    *value = 0;
    interval->type = argument;
    settings->node.n_intervals++;
    return hub_check_interval(interval, why, sizeof(why)) ? wrong("interval", why) : 0;
}

static int set_state_dir(settings *settings, const char *dir)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        char why[512];
        snprintf(why, sizeof(why), "%s: %s", dir, strerror(errno));
        return wrong("state-dir", why);
    }
    settings->config.state_dir = dir;
    return 0;
}

static int take_option(settings *settings, int option, char *argument)
{
    switch (option) {
    case 'b':
        return add_bus(settings, argument);
    case 'n':
        settings->node.name = argument;
        return *argument ? 0 : wrong("node", "must not be empty");
    case 'd':
        return add_device(settings, argument);
    case 'i':
        return add_interval(settings, argument);
    case 'l':
        settings->node.led = argument;
        return 0;
    case 's':
        return set_state_dir(settings, argument);
    case 'r':
        return read_seconds(argument, &settings->node.rescan)
                   ? 0
                   : wrong("rescan", "must be 0 to 86400 seconds");
    case 'f':
        settings->furious = true;
        return 0;
    case 'h':
        print_help();
        exit(EXIT_SUCCESS);
    case 'v':
        printf("clowntalk-bridge %s (%s)\n", CT_VERSION, CT_BUILD_DATETIME);
        exit(EXIT_SUCCESS);
    default:
        fprintf(stderr, "Try clowntalk-bridge --help.\n");
        return EXIT_FAILURE;
    }
}

static int read_command_line(settings *settings, int argc, char **argv)
{
    static const struct option options[] = {
        {"bus", required_argument, NULL, 'b'},
        {"node", required_argument, NULL, 'n'},
        {"device", required_argument, NULL, 'd'},
        {"interval", required_argument, NULL, 'i'},
        {"led", required_argument, NULL, 'l'},
        {"state-dir", required_argument, NULL, 's'},
        {"rescan", required_argument, NULL, 'r'},
        {"furious", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int option, status;

    while ((option = getopt_long(argc, argv, "f", options, NULL)) != -1) {
        if ((status = take_option(settings, option, optarg))) {
            return status;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "clowntalk-bridge: '%s' is not an option; try --help\n", argv[optind]);
        return EXIT_FAILURE;
    }
    return settings->node.n_buses ? 0 : wrong("bus", "at least one is needed, such as --bus 0=sim");
}

static int catch_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that must not grow is an error as any other */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void free_settings(settings *settings)
{
    /* `options` points behind the topic and the driver in the array of words. */
    for (size_t i = 0; i < settings->node.n_devices; i++) {
        free((void *)(settings->devices[i].options - (settings->devices[i].driver ? 2 : 1)));
    }
    free(settings);
}

static int serve(settings *settings)
{
    bridge *bridge = calloc(1, sizeof(*bridge));
    hub_output output = {on_reply, on_publish, on_log, bridge, NULL};
    int signals = catch_signals();

    if (!bridge || signals < 0) {
        return EXIT_FAILURE;
    }
    bridge->node = settings->node.name;
    bridge->furious = settings->furious;
    bridge->hub = hub_create(&settings->config, &output);
    if (!bridge->hub) {
        fprintf(stderr, "clowntalk-bridge: out of memory or threads\n");
        free(bridge);
        return EXIT_FAILURE;
    }
    run(bridge, signals);
    hub_destroy(bridge->hub);
    flush(bridge);
    talk_text_free(&bridge->output);
    free(bridge);
    close(signals);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    settings *settings = calloc(1, sizeof(*settings));
    int status;

    if (!settings) {
        return EXIT_FAILURE;
    }
    settings->node = (hub_node_config){.name = DEFAULT_NODE, .rescan = DEFAULT_RESCAN};
    settings->node.buses = settings->buses;
    settings->node.devices = settings->devices;
    settings->node.intervals = settings->intervals;
    settings->config = (hub_config){
        .nodes = &settings->node,
        .n_nodes = 1,
        .release = CT_VERSION,
        .datetime = CT_BUILD_DATETIME,
        .reason_for_reset = "power-on",
        .bus_kinds = bus_kinds,
    };
    status = read_command_line(settings, argc, argv);
    if (!status) {
        status = serve(settings);
    }
    free_settings(settings);
    return status;
}
