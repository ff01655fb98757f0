#include "outgoing.h"

#include <stdlib.h>
#include <string.h>

ws_outgoing *ws_outgoing_create(enum ws_opcode opcode, const void *payload, size_t length,
                                const char *topic, size_t topic_length)
{
    unsigned char header[WS_MAX_HEADER];
    const size_t header_length = ws_frame_header(header, opcode, true, false, length);
    ws_outgoing *outgoing =
        malloc(sizeof *outgoing + header_length + length + (topic ? topic_length + 1 : 0));

    if (!outgoing) {
        abort(); /* as APR's pools do when memory is out */
    }
    outgoing->references.refcount = 1;
    outgoing->length = header_length + length;
    outgoing->topic = NULL;
    memcpy(outgoing->frame, header, header_length);
    if (length > 0) {
        memcpy(outgoing->frame + header_length, payload, length);
    }
    if (topic) {
        char *copy = (char *)outgoing->frame + outgoing->length;

        memcpy(copy, topic, topic_length);
        copy[topic_length] = '\0';
        outgoing->topic = copy;
    }
    return outgoing;
}

void ws_outgoing_hold(ws_outgoing *outgoing)
{
    outgoing->references.refcount++;
}

void ws_outgoing_release(ws_outgoing *outgoing)
{
    if (apr_bucket_shared_destroy(outgoing)) {
        free(outgoing);
    }
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
    "CLOWNTALK FRAME", 5, APR_BUCKET_DATA, frame_destroy, frame_read,
    apr_bucket_setaside_noop, apr_bucket_shared_split, apr_bucket_shared_copy,
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
    "CLOWNTALK PUSH", 5, APR_BUCKET_METADATA, apr_bucket_destroy_noop, push_read,
    apr_bucket_setaside_noop, apr_bucket_split_notimpl, apr_bucket_simple_copy,
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
