/*
 * The steps of steps.py with libwebsockets: with_libwebsockets wss://USER:PASSWORD@HOST:PORT CA.pem
 * [deflate]. With "deflate" it offers permessage-deflate as the library's examples do.
 */
#include <libwebsockets.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE    "/clown-talk-server_nodes_bridge_0"
#define RELAY   "relay/i2c0-3b"
#define LARGEST 16777216

static const size_t sizes[] = {0, 125, 126, 65536, 1048576, LARGEST};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* One conversation at a time: with the node, then with the echo. */
static struct {
    bool with_echo;
    bool over; /* all was said, or something failed */
    bool failed;
    size_t step; /* of `sizes` */
    const char *user, *password;
    const char *say;       /* to the node, next */
    bool answered;         /* by the echo: the next size is due */
    char *received, *sent; /* LARGEST bytes each, with LWS_PRE in front of `sent` */
    size_t length;
} talk;

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    talk.over = talk.failed = true;
}

static void fill(char *text, size_t size)
{
    static const char pattern[] = "temperature 21.50, humidity 41.2; ";

    for (size_t i = 0; i < size; i++) {
        text[i] = pattern[i % (sizeof(pattern) - 1)];
    }
}

static int send_next(struct lws *wsi)
{
    size_t length = 0;

    if (talk.with_echo && talk.answered) {
        talk.answered = false;
        length = sizes[talk.step];
        fill(talk.sent + LWS_PRE, length);
    } else if (!talk.with_echo && talk.say) {
        length = strlen(talk.say);
        memcpy(talk.sent + LWS_PRE, talk.say, length);
        talk.say = NULL;
    } else {
        return 0;
    }
    return lws_write(wsi, (unsigned char *)talk.sent + LWS_PRE, length, LWS_WRITE_TEXT) < 0 ? -1
                                                                                            : 0;
}

/* True where the conversation is over. */
static bool on_echo(struct lws *wsi)
{
    fill(talk.sent + LWS_PRE, sizes[talk.step]);
    if (talk.length != sizes[talk.step] ||
        memcmp(talk.received, talk.sent + LWS_PRE, talk.length) != 0) {
        fail("other characters came back");
        return true;
    }
    printf("ok echo %zu\n", talk.length);
    talk.step++;
    talk.answered = true;
    if (talk.step < SIZES) {
        lws_callback_on_writable(wsi);
    }
    return talk.step == SIZES;
}

static bool on_line(struct lws *wsi, const char *line)
{
    static const char ok[] = "[\"clown.talk/-/config/ok\"", switched[] = "[\"" RELAY "\"";

    if (strncmp(line, ok, sizeof(ok) - 1) == 0) {
        printf("ok opening\n");
        talk.say = "[\"" RELAY "/set\", {\"state\": true}]";
        lws_callback_on_writable(wsi);
    } else if (strncmp(line, switched, sizeof(switched) - 1) == 0 && strstr(line, "true")) {
        printf("ok relay\n");
        return true;
    }
    return false;
}

static bool on_message(struct lws *wsi)
{
    if (talk.with_echo) {
        return on_echo(wsi);
    }
    talk.received[talk.length] = '\0';
    for (char *line = strtok(talk.received, "\n"); line; line = strtok(NULL, "\n")) {
        if (on_line(wsi, line)) {
            return true;
        }
    }
    return false;
}

/* Name and password: the library takes none out of a URL. */
static int add_authorization(struct lws *wsi, unsigned char **at, unsigned char *end)
{
    char value[128];

    return lws_http_basic_auth_gen(talk.user, talk.password, value, sizeof(value)) ||
           lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, (unsigned char *)value,
                                        (int)strlen(value), at, end);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t length)
{
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return add_authorization(wsi, in, *(unsigned char **)in + length) ? -1 : 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return send_next(wsi);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        if (talk.length + length > LARGEST) {
            fail("too much came");
            return -1;
        }
        memcpy(talk.received + talk.length, in, length);
        talk.length += length;
        if (lws_is_final_fragment(wsi)) {
            talk.over = on_message(wsi);
            talk.length = 0;
        }
        return talk.over ? -1 : 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        fail(in ? in : "no connection");
        break;
    case LWS_CALLBACK_CLIENT_CLOSED:
        if (!talk.over) {
            fail("closed");
        }
        break;
    default:
        break;
    }
    return 0;
}

static const struct lws_protocols protocols[] = {{"talk", on_event, 0, 65536, 0, NULL, 0},
                                                 {NULL, NULL, 0, 0, 0, NULL, 0}};
static const struct lws_extension extensions[] = {
    {"permessage-deflate", lws_extension_callback_pm_deflate,
     "permessage-deflate; client_no_context_takeover; client_max_window_bits"},
    {NULL, NULL, NULL}};

static void converse(struct lws_context *context, const char *host, int port, const char *path)
{
    struct lws_client_connect_info info = {.context = context,
                                           .address = host,
                                           .host = host,
                                           .origin = NULL,
                                           .port = port,
                                           .path = path,
                                           .ssl_connection = LCCSCF_USE_SSL,
                                           .local_protocol_name = "talk"};

    talk.over = false;
    talk.length = 0;
    if (!lws_client_connect_via_info(&info)) {
        fail("no connection");
    }
    while (!talk.over && lws_service(context, 0) >= 0) {
    }
}

int main(int argc, char **argv)
{
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN,
                                             .protocols = protocols,
                                             .gid = (gid_t)-1,
                                             .uid = (uid_t)-1,
                                             .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT};
    struct lws_context *context;
    char host[128], user[64], password[64];
    int port;

    if (argc < 3 ||
        sscanf(argv[1], "wss://%63[^:]:%63[^@]@%127[^:]:%d", user, password, host, &port) != 4) {
        return 2;
    }
    talk.user = user;
    talk.password = password;
    setlinebuf(stdout);
    lws_set_log_level(LLL_ERR, NULL);
    info.client_ssl_ca_filepath = argv[2];
    if (argc > 3) {
        info.extensions = extensions;
    }
    talk.received = malloc(LARGEST + 1);
    talk.sent = malloc(LWS_PRE + LARGEST);
    context = lws_create_context(&info);
    if (!context || !talk.received || !talk.sent) {
        return 1;
    }
    printf("version %s\n", lws_get_library_version());
    talk.say = "[\"clown.talk/-/config/set\", {}]";
    converse(context, host, port, NODE);
    talk.with_echo = talk.answered = true;
    if (!talk.failed) {
        converse(context, host, port, "/echo");
    }
    lws_context_destroy(context);
    return talk.failed;
}
