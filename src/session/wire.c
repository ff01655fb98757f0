#include "wire.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Buckets in one system call. */
#define VECTORS 16

static ap_filter_rec_t *input_filter, *output_filter;

/* ---- reading ---- */

bool ws_wire_receive(ws_wire *wire, uint8_t *room, size_t size)
{
    const ssize_t n = recv(wire->fd, room, size, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    wire->ended = n <= 0;
    wire->received = room;
    wire->received_length = n > 0 ? (size_t)n : 0;
    return true;
}

void ws_wire_forget(ws_wire *wire)
{
    wire->received = NULL;
    wire->received_length = 0;
}

static apr_status_t give(ap_filter_t *f, apr_bucket_brigade *brigade, ap_input_mode_t mode,
                         apr_read_type_e block, apr_off_t wanted)
{
    ws_wire *wire = f->ctx;
    size_t length = wire->received_length;

    if (!wire->reads) {
        const apr_status_t status = ap_get_brigade(f->next, brigade, mode, block, wanted);

        /*
         * What the core filter has read it hands out first: only an empty answer means none is
         * left.
         */
        wire->reads = status == APR_SUCCESS && block == APR_NONBLOCK_READ &&
                      mode == AP_MODE_READBYTES && APR_BRIGADE_EMPTY(brigade);
        return status;
    }
    if (mode != AP_MODE_READBYTES) {
        return mode == AP_MODE_INIT ? APR_SUCCESS : APR_ENOTIMPL;
    }
    if (length == 0) {
        return wire->ended ? APR_EOF : block == APR_BLOCK_READ ? APR_EAGAIN : APR_SUCCESS;
    }
    if ((apr_off_t)length > wanted) {
        length = (size_t)wanted;
    }
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_transient_create((const char *)wire->received,
                                                                 length, f->c->bucket_alloc));
    wire->received += length;
    wire->received_length -= length;
    return APR_SUCCESS;
}

/* ---- writing ---- */

/* Keeps a copy of what the socket has not taken, behind what it has not taken before. */
static void keep(ws_wire *wire, const char *data, size_t length)
{
    uint8_t *grown = realloc(wire->unsent, wire->unsent_length + length);

    if (!grown) {
        base_out_of_memory();
    }
    memcpy(grown + wire->unsent_length, data, length);
    wire->unsent = grown;
    wire->unsent_length += length;
}

/* Writes up to VECTORS pieces, and keeps the rest. False where the connection broke. */
static bool write_or_keep(ws_wire *wire, const struct iovec *pieces, size_t count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = count};
    ssize_t n = 0;
    size_t written;

    if (!wire->unsent && !wire->corked) {
        do { /* one piece, as most are, is cheaper for the kernel than a list of them */
            n = count == 1
                    ? send(wire->fd, pieces->iov_base, pieces->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
                    : sendmsg(wire->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN) {
            return false;
        }
    }
    written = n > 0 ? (size_t)n : 0;
    wire->written += (int64_t)written;
    for (size_t i = 0; i < count; i++) {
        const size_t length = pieces[i].iov_len, part = written < length ? written : length;

        written -= part;
        if (part < length) {
            keep(wire, (const char *)pieces[i].iov_base + part, length - part);
        }
    }
    return true;
}

bool ws_wire_send(ws_wire *wire, const void *data, size_t length)
{
    const struct iovec piece = {.iov_base = (void *)data, .iov_len = length};

    return write_or_keep(wire, &piece, 1);
}

bool ws_wire_holds(const ws_wire *wire)
{
    return wire->unsent != NULL;
}

void ws_wire_cork(ws_wire *wire, bool corked)
{
    wire->corked = corked;
}

int ws_wire_offer(const ws_wire *wire, struct iovec *piece)
{
    if (!wire->unsent) {
        return 0;
    }
    *piece = (struct iovec){
        .iov_base = wire->unsent + wire->unsent_at,
        .iov_len = wire->unsent_length - wire->unsent_at,
    };
    return 1;
}

static void drop_unsent(ws_wire *wire)
{
    free(wire->unsent);
    wire->unsent = NULL;
    wire->unsent_length = wire->unsent_at = 0;
}

void ws_wire_taken(ws_wire *wire, size_t n)
{
    wire->unsent_at += n;
    wire->written += (int64_t)n;
    if (wire->unsent_at == wire->unsent_length) {
        drop_unsent(wire);
    }
}

bool ws_wire_push(ws_wire *wire)
{
    struct iovec piece;

    while (ws_wire_offer(wire, &piece)) {
        const ssize_t n =
            send(wire->fd, piece.iov_base, piece.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR) {
            return errno == EAGAIN;
        }
        ws_wire_taken(wire, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* Writes the data of a brigade; metadata, a FLUSH among them, says nothing here. */
static bool write_brigade(ws_wire *wire, apr_bucket_brigade *brigade)
{
    struct iovec pieces[VECTORS];
    size_t count = 0;

    for (apr_bucket *bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t length;

        if (APR_BUCKET_IS_METADATA(bucket)) {
            continue;
        }
        if (apr_bucket_read(bucket, &data, &length, APR_BLOCK_READ) != APR_SUCCESS) {
            return false;
        }
        pieces[count++] = (struct iovec){.iov_base = (char *)data, .iov_len = length};
        if (count == VECTORS) {
            if (!write_or_keep(wire, pieces, count)) {
                return false;
            }
            count = 0;
        }
    }
    return count == 0 || write_or_keep(wire, pieces, count);
}

static apr_status_t take(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    ws_wire *wire = f->ctx;

    if (!wire->writes) {
        return ap_pass_brigade(f->next, brigade);
    }
    if (!f->c->aborted && !write_brigade(wire, brigade)) {
        f->c->aborted = 1;
    }
    apr_brigade_cleanup(brigade);
    return f->c->aborted ? APR_ECONNABORTED : APR_SUCCESS;
}

/* ---- life ---- */

void ws_wire_register(void)
{
    /* One above the core filters, which are AP_FTYPE_NETWORK. */
    input_filter = ap_register_input_filter("CLOWNTALK_WIRE", give, NULL, AP_FTYPE_NETWORK - 1);
    output_filter = ap_register_output_filter("CLOWNTALK_WIRE", take, NULL, AP_FTYPE_NETWORK - 1);
}

void ws_wire_insert(ws_wire *wire, conn_rec *c, int fd)
{
    *wire = (ws_wire){.fd = fd, .writes = !c->data_in_output_filters};
    wire->input = ap_add_input_filter_handle(input_filter, wire, NULL, c);
    wire->output = ap_add_output_filter_handle(output_filter, wire, NULL, c);
}

static void remove_filters(ws_wire *wire)
{
    if (wire->input) {
        ap_remove_input_filter(wire->input);
        ap_remove_output_filter(wire->output);
        wire->input = wire->output = NULL;
    }
}

void ws_wire_leave(ws_wire *wire, int fd)
{
    remove_filters(wire);
    wire->fd = fd;
}

void ws_wire_remove(ws_wire *wire)
{
    remove_filters(wire);
    drop_unsent(wire);
}
