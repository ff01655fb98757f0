#include "outgoing.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* A message with room for its frame and topic. */
static ws_outgoing *allocate(size_t frame_length, const char *topic, size_t topic_length)
{
    ws_outgoing *outgoing =
        malloc(sizeof *outgoing + frame_length + (topic ? topic_length + 1 : 0));

    if (!outgoing) {
        base_out_of_memory();
    }
    *outgoing = (ws_outgoing){.references.refcount = 1, .length = frame_length};
    if (topic) {
        char *copy = (char *)outgoing->frame + frame_length;

        memcpy(copy, topic, topic_length);
        copy[topic_length] = '\0';
        outgoing->topic = copy;
    }
    return outgoing;
}

static ws_outgoing *create(enum ws_opcode opcode, bool compressed, const void *payload,
                           size_t length, const char *topic, size_t topic_length)
{
    unsigned char header[WS_MAX_HEADER];
    const size_t header_length = ws_frame_header(header, opcode, true, compressed, length);
    ws_outgoing *outgoing = allocate(header_length + length, topic, topic_length);

    outgoing->header_length = header_length;
    memcpy(outgoing->frame, header, header_length);
    if (length > 0) {
        memcpy(outgoing->frame + header_length, payload, length);
    }
    return outgoing;
}

ws_outgoing *ws_outgoing_create(enum ws_opcode opcode, const void *payload, size_t length,
                                const char *topic, size_t topic_length)
{
    return create(opcode, false, payload, length, topic, topic_length);
}

/* Compresses a message; the message itself where nothing is gained. */
static ws_outgoing *compress_message(ws_outgoing *plain, unsigned window, ws_deflate *compressor)
{
    const enum ws_opcode opcode = (enum ws_opcode)(plain->frame[0] & 0x0f);
    const uint8_t *payload = plain->frame + plain->header_length;
    const size_t length = plain->length - plain->header_length;
    uint8_t *room = malloc(length);
    ws_outgoing *compressed = plain;
    size_t n;

    if (!room) {
        base_out_of_memory();
    }
    n = ws_deflate_message(compressor, window, payload, length, room, length);
    if (n > 0) {
        compressed =
            create(opcode, true, room, n, plain->topic, plain->topic ? strlen(plain->topic) : 0);
    }
    free(room);
    return compressed;
}

/* A message as a compressed one, though nothing is gained by it. */
static ws_outgoing *store_message(ws_outgoing *plain)
{
    const enum ws_opcode opcode = (enum ws_opcode)(plain->frame[0] & 0x0f);
    const size_t length = plain->length - plain->header_length;
    const size_t size = ws_deflate_stored_size(length);
    uint8_t *room = malloc(size);
    ws_outgoing *stored;

    if (!room) {
        base_out_of_memory();
    }
    ws_deflate_store(plain->frame + plain->header_length, length, room);
    stored =
        create(opcode, true, room, size, plain->topic, plain->topic ? strlen(plain->topic) : 0);
    free(room);
    return stored;
}

ws_outgoing *ws_outgoing_for(ws_outgoing *outgoing, const ws_deflate_params *params,
                             ws_deflate *compressor)
{
    const bool is_data = outgoing->frame[0] & 0x0f && !(outgoing->frame[0] & 0x08);
    ws_outgoing *form = outgoing;
    unsigned window;

    if (!params->agreed || !is_data) {
        return outgoing;
    }
    window = ws_deflate_window(params, outgoing->length - outgoing->header_length);
    if (window > 0) {
        ws_outgoing **slot = &outgoing->compressed[(window - 9) / 3];

        if (!*slot) {
            *slot = compress_message(outgoing, window, compressor);
        }
        form = *slot;
    }
    if (form == outgoing && params->all_compressed) {
        if (!outgoing->stored) {
            outgoing->stored = store_message(outgoing);
        }
        form = outgoing->stored;
    }
    return form;
}

void ws_outgoing_hold(ws_outgoing *outgoing)
{
    outgoing->references.refcount++;
}

void ws_outgoing_release(ws_outgoing *outgoing)
{
    if (!apr_bucket_shared_destroy(outgoing)) {
        return;
    }
    for (int i = 0; i < WS_DEFLATE_WINDOWS; i++) {
        if (outgoing->compressed[i] && outgoing->compressed[i] != outgoing) {
            ws_outgoing_release(outgoing->compressed[i]);
        }
    }
    if (outgoing->stored) {
        ws_outgoing_release(outgoing->stored);
    }
    free(outgoing);
}

/* ---- the bucket that holds a part of a frame ---- */

static void frame_destroy(void *data)
{
    ws_outgoing_release(data);
}

static apr_status_t frame_read(apr_bucket *bucket, const char **data, apr_size_t *length,
                               apr_read_type_e block)
{
    ws_outgoing *outgoing = bucket->data;

    (void)block;
    *data = (const char *)outgoing->frame + bucket->start;
    *length = bucket->length;
    return APR_SUCCESS;
}

static const apr_bucket_type_t frame_bucket_type = {
    "CLOWNTALK FRAME",
    5,
    APR_BUCKET_DATA,
    frame_destroy,
    frame_read,
    apr_bucket_setaside_noop,
    apr_bucket_shared_split,
    apr_bucket_shared_copy,
};

apr_bucket *ws_outgoing_bucket(ws_outgoing *outgoing, size_t offset, size_t length,
                               apr_bucket_alloc_t *list)
{
    apr_bucket *bucket = apr_bucket_alloc(sizeof *bucket, list);

    APR_BUCKET_INIT(bucket);
    bucket->free = apr_bucket_free;
    bucket->list = list;
    bucket->type = &frame_bucket_type;
    bucket->data = outgoing;
    bucket->start = (apr_off_t)offset;
    bucket->length = length;
    ws_outgoing_hold(outgoing);
    return bucket;
}

/* ---- the bucket that pushes ---- */

static apr_status_t push_read(apr_bucket *bucket, const char **data, apr_size_t *length,
                              apr_read_type_e block)
{
    (void)bucket;
    (void)block;
    *data = "";
    *length = 0;
    return APR_SUCCESS;
}

static const apr_bucket_type_t push_bucket_type = {
    "CLOWNTALK PUSH",
    5,
    APR_BUCKET_METADATA,
    apr_bucket_destroy_noop,
    push_read,
    apr_bucket_setaside_noop,
    apr_bucket_split_notimpl,
    apr_bucket_simple_copy,
};

apr_bucket *ws_push_bucket(apr_bucket_alloc_t *list)
{
    apr_bucket *bucket = apr_bucket_alloc(sizeof *bucket, list);

    APR_BUCKET_INIT(bucket);
    bucket->free = apr_bucket_free;
    bucket->list = list;
    bucket->type = &push_bucket_type;
    bucket->data = NULL;
    bucket->start = 0;
    bucket->length = 0;
    return bucket;
}
