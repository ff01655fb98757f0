#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr() */
#endif
#include "tls.h"

#include <apr_optional_hooks.h>

#include <dlfcn.h>
#include <openssl/err.h>
#include <string.h>

/*
 * mod_ssl's hook, of its mod_ssl_openssl.h (since httpd 2.4.33), which not every distribution
 * installs: run for each connection before its handshake.
 */
typedef int ssl_HOOK_pre_handshake_t(conn_rec *c, SSL *ssl, int is_proxy);

static BIO_METHOD *method;
static void (*tell)(conn_rec *c, SSL *ssl);

/* ---- the network end, as OpenSSL wants it: its data is the wire; NULL: that is gone ---- */

static int wire_read(BIO *bio, char *room, int size)
{
    ws_wire *wire = BIO_get_data(bio);
    const size_t length = size < 0 ? 0 : (size_t)size;
    size_t part;

    BIO_clear_retry_flags(bio);
    if (!wire) {
        return -1;
    }
    part = length < wire->received_length ? length : wire->received_length;
    if (part == 0 && !wire->ended) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(room, wire->received, part);
    wire->received += part;
    wire->received_length -= part;
    return (int)part;
}

/* What the socket does not take the wire keeps: OpenSSL never has to try again. */
static int wire_write(BIO *bio, const char *data, int length)
{
    ws_wire *wire = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    return wire && ws_wire_send(wire, data, (size_t)length) ? length : -1;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    const ws_wire *wire = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return !wire || (wire->ended && wire->received_length == 0);
    default:
        return 0;
    }
}

/* ---- mod_ssl's hook ---- */

/*
 * Whether the caller uses the same OpenSSL as this module: another copy, or another version, must
 * not be handed its objects.
 */
static bool is_our_openssl(const void *code)
{
    Dl_info caller;
    void *object;
    bool same;

    if (!dladdr(code, &caller) || !(object = dlopen(caller.dli_fname, RTLD_LAZY | RTLD_NOLOAD))) {
        return false;
    }
    same = dlsym(object, "SSL_write") == (void *)SSL_write &&
           dlsym(object, "BIO_new") == (void *)BIO_new;
    dlclose(object);
    return same;
}

/* The same caller each time: it is looked at once. */
static bool can_use(const void *code)
{
    static int known; /* 1: yes, -1: no. Threads may find it out at once, and find the same. */

    if (__atomic_load_n(&known, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&known, is_our_openssl(code) ? 1 : -1, __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&known, __ATOMIC_RELAXED) > 0;
}

static int remember(conn_rec *c, SSL *ssl, int is_proxy)
{
    if (!is_proxy && can_use(__builtin_return_address(0))) {
        tell(c, ssl);
    }
    return OK;
}

static apr_status_t forget_method(void *unused)
{
    (void)unused;
    BIO_meth_free(method);
    method = NULL;
    return APR_SUCCESS;
}

void ws_tls_register(apr_pool_t *pool, void (*found)(conn_rec *c, SSL *ssl))
{
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "Apache connection");
    if (!method) {
        return;
    }
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_control);
    apr_pool_cleanup_register(pool, NULL, forget_method, apr_pool_cleanup_null);
    tell = found;
    APR_OPTIONAL_HOOK(ssl, pre_handshake, remember, NULL, NULL, APR_HOOK_MIDDLE);
}

/* ---- taking over ---- */

bool ws_tls_replaces(const char *name)
{
    return strcmp(name, "ssl/tls filter") == 0 || strcmp(name, "ssl/tls coalescing filter") == 0;
}

bool ws_tls_take(ws_tls *tls, ws_wire *wire)
{
    BIO *bio = BIO_new(method);

    if (!bio) {
        return false;
    }
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    tls->filters_in = SSL_get_rbio(tls->ssl);
    tls->filters_out = SSL_get_wbio(tls->ssl);
    BIO_up_ref(tls->filters_in);
    BIO_up_ref(tls->filters_out);
    SSL_set_bio(tls->ssl, bio, bio);
    /* mod_ssl's filters would refuse it; TLS 1.3 has none. */
    SSL_set_options(tls->ssl, SSL_OP_NO_RENEGOTIATION);
    return true;
}

void ws_tls_give_back(ws_tls *tls)
{
    if (tls->filters_in) {
        SSL_set_bio(tls->ssl, tls->filters_in, tls->filters_out);
        tls->filters_in = tls->filters_out = NULL;
    }
}

/* mod_ssl's would look at the connection. */
static void say_nothing(const SSL *ssl, int where, int result)
{
    (void)ssl;
    (void)where;
    (void)result;
}

void ws_tls_keep(ws_tls *tls)
{
    SSL_up_ref(tls->ssl);
    SSL_set_info_callback(tls->ssl, say_nothing);
    BIO_free(tls->filters_in);
    BIO_free(tls->filters_out);
    tls->filters_in = tls->filters_out = NULL;
}

/* mod_ssl may have a reference still, until the connection is freed: it gets no wire with it. */
void ws_tls_free(ws_tls *tls)
{
    if (tls->ssl) {
        BIO_set_data(SSL_get_wbio(tls->ssl), NULL);
    }
    SSL_free(tls->ssl);
    tls->ssl = NULL;
}

/* ---- using it ---- */

int ws_tls_read(ws_tls *tls, void *room, int size)
{
    int n;

    ERR_clear_error(); /* the thread's, which SSL_get_error() looks at */
    n = SSL_read(tls->ssl, room, size);
    if (n > 0) {
        return n;
    }
    return SSL_get_error(tls->ssl, n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

bool ws_tls_write(ws_tls *tls, const void *data, int length)
{
    ERR_clear_error();
    return SSL_write(tls->ssl, data, length) == length;
}

void ws_tls_shut_down(ws_tls *tls)
{
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
}
