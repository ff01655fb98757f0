#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tls_pair.h"

#include "session/transport_kind.h"

#include <apr_general.h>
#include <errno.h>
#include <fcntl.h>
#include <http_connection.h>
#include <http_core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>
#include <util_filter.h>

static SSL_CTX *server_context, *client_context;
static apr_pool_t *pool;
bool filters_give;

/* ---- what the transports of a connection of httpd's need, and these have not ---- */

ap_filter_rec_t *ap_register_input_filter(const char *name, ap_in_filter_func f,
                                          ap_init_filter_func init, ap_filter_type type)
{
    (void)name, (void)f, (void)init, (void)type;
    return NULL;
}

ap_filter_rec_t *ap_register_output_filter(const char *name, ap_out_filter_func f,
                                           ap_init_filter_func init, ap_filter_type type)
{
    (void)name, (void)f, (void)init, (void)type;
    return NULL;
}

ap_filter_t *ap_add_input_filter_handle(ap_filter_rec_t *f, void *ctx, request_rec *r, conn_rec *c)
{
    (void)f, (void)ctx, (void)r, (void)c;
    return NULL;
}

ap_filter_t *ap_add_output_filter_handle(ap_filter_rec_t *f, void *ctx, request_rec *r, conn_rec *c)
{
    (void)f, (void)ctx, (void)r, (void)c;
    return NULL;
}

void ap_remove_input_filter(ap_filter_t *f)
{
    (void)f;
}

void ap_remove_output_filter(ap_filter_t *f)
{
    (void)f;
}

apr_status_t ap_get_brigade(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
                            apr_read_type_e block, apr_off_t wanted)
{
    static const char zeros[65536];

    (void)f, (void)mode, (void)block;
    if (!filters_give) {
        return APR_EOF;
    }
    assert_in_range(wanted, 1, sizeof zeros);
    APR_BRIGADE_INSERT_TAIL(
        brigade, apr_bucket_immortal_create(zeros, (apr_size_t)wanted, brigade->bucket_alloc));
    return APR_SUCCESS;
}

apr_status_t ap_pass_brigade(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    (void)f, (void)brigade;
    return APR_ECONNABORTED;
}

apr_socket_t *ap_get_conn_socket(conn_rec *c)
{
    (void)c;
    return NULL;
}

apr_bucket *ap_bucket_eoc_create(apr_bucket_alloc_t *list)
{
    return apr_bucket_eos_create(list);
}

apr_status_t ap_get_pollfd_from_conn(conn_rec *c, struct apr_pollfd_t *fd, apr_interval_time_t *t)
{
    (void)c, (void)fd, (void)t;
    return APR_ENOTIMPL;
}

/* mod_ssl's hook is not there: no connection is found, but ws_tls_take() works. */
void apr_optional_hook_add(const char *name, void (*hook)(void), const char *const *before,
                           const char *const *after, int order)
{
    (void)name, (void)hook, (void)before, (void)after, (void)order;
}

static void found(conn_rec *c, SSL *ssl)
{
    (void)c, (void)ssl;
}

/* ---- OpenSSL ---- */

static void use_certificate(SSL_CTX *context)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void tls_pair_setup(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    ws_tls_register(pool, found);
    server_context = SSL_CTX_new(TLS_server_method());
    client_context = SSL_CTX_new(TLS_client_method());
    assert_non_null(server_context);
    assert_non_null(client_context);
    use_certificate(server_context);
    SSL_CTX_set_num_tickets(server_context, 0);
    SSL_CTX_clear_mode(server_context, SSL_MODE_AUTO_RETRY); /* as mod_ssl does */
}

static void shake_hands(connection *c, int near)
{
    SSL *server = SSL_new(server_context);
    bool done = false;

    c->client = SSL_new(client_context);
    SSL_set_fd(server, near);
    SSL_set_fd(c->client, c->far);
    SSL_set_accept_state(server);
    SSL_set_connect_state(c->client);
    for (int i = 0; i < 10 && !done; i++) {
        const int client_done = SSL_do_handshake(c->client);

        done = SSL_do_handshake(server) == 1 && client_done == 1;
    }
    assert_true(done);
    c->transport->kind = &ws_transport_tls;
    c->transport->tls.ssl = server;
    c->transport->wire = (ws_wire){.fd = near, .reads = true, .writes = true};
    assert_true(ws_tls_take(&c->transport->tls, &c->transport->wire));
    ws_tls_keep(&c->transport->tls);
    SSL_free(server); /* the transport has a reference of its own */
}

/* Two ends of a TCP connection: what a reset is, a socket pair does not know. */
static void connect_pair(int *near, int *far, int buffers)
{
    const int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    *far = socket(AF_INET, SOCK_STREAM, 0);
    if (buffers) {
        setsockopt(*far, SOL_SOCKET, SO_RCVBUF, &buffers, sizeof buffers);
        setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &buffers, sizeof buffers);
    }
    assert_int_equal(connect(*far, (struct sockaddr *)&address, length), 0);
    *near = accept(listener, NULL, NULL);
    assert_true(*near >= 0);
    setsockopt(*near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(*far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(*near, F_SETFL, O_NONBLOCK);
    fcntl(*far, F_SETFL, O_NONBLOCK);
    close(listener);
}

void connection_open(connection *c, ws_transport *transport, bool tls, int buffers)
{
    int near;

    *c = (connection){.transport = transport};
    connect_pair(&near, &c->far, buffers);
    *transport =
        (ws_transport){.kind = &ws_transport_socket, .fd = near, .begun = true, .drained = true};
    if (tls) {
        shake_hands(c, near);
    }
}

void filtered_open(ws_transport *transport)
{
    static conn_rec httpds;

    *transport = (ws_transport){
        .c = &httpds,
        .in = apr_brigade_create(pool, apr_bucket_alloc_create(pool)),
        .wire.input = (ap_filter_t *)&httpds, /* there is one, which nothing calls */
    };
}

void connection_close(connection *c)
{
    SSL_free(c->client);
    c->client = NULL;
    if (c->far >= 0) {
        close(c->far);
        c->far = -1;
    }
    ERR_clear_error();
}

ssize_t client_read(connection *c, void *room, size_t size)
{
    ssize_t n;

    if (c->client) {
        ERR_clear_error();
        n = SSL_read(c->client, room, (int)size);
        if (n > 0) {
            return n;
        }
        return SSL_get_error(c->client, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    n = recv(c->far, room, size, MSG_DONTWAIT);
    return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
}

void client_write(connection *c, const void *data, size_t length)
{
    if (c->client) {
        assert_int_equal(SSL_write(c->client, data, (int)length), length);
    } else {
        assert_int_equal(send(c->far, data, length, 0), length);
    }
}

void client_reset(connection *c)
{
    const struct linger at_once = {.l_onoff = 1};

    setsockopt(c->far, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(c->far);
    c->far = -1;
}
