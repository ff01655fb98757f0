/*
 * permessage-deflate (RFC 7692): negotiation, compressing and inflating. zlib, but no I/O.
 *
 * - Negotiation has no state; any thread.
 * - A compressor belongs to one thread (a loop has one). It carries nothing from one message to the
 *   next, since the server always agrees to server_no_context_takeover: a publication is compressed
 *   once for all sessions that ws_deflate_window() gives the same window.
 * - An inflater belongs to one session and its thread. It works piece by piece into memory that the
 *   caller gives, never producing more than the message bound: a decompression bomb costs no more
 *   than a message.
 *
 * Memory, zlib's included (zlib 1.2.13, 64 bits):
 *   compressor  16, 54 and 262 KiB for the windows of 9, 12 and 15 bits, each allocated when first
 *               used and kept: at most 332 KiB a thread, nothing per session
 *   inflater    7.1 KiB and 2^client_window_bits (39.1 KiB for 15 bits) while a compressed message
 *               arrives. Between two messages
 *                 with client_no_context_takeover   nothing
 *                 with context takeover             the end of what was sent compressed: as much
 *                                                   as there is, 2^client_window_bits at most
 */
#ifndef WS_DEFLATE_H
#define WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "base/utf8.h"

/* ---- Negotiation (section 7.1) ---- */

/*
 * What the server asks for. It answers client_no_context_takeover only where that was offered:
 * section 7.1.1.2 allows it to be answered unasked, but Mojo::UserAgent and tornado do not look at
 * it then. So the context of all others is kept.
 */
typedef struct ws_deflate_policy {
    bool may_keep;            /* false: an offer for which a context had to be kept is declined */
    uint8_t kept_window_bits; /* 9 to 15: asked of such a client, where it lets itself be asked */
    size_t threshold;         /* bytes; a shorter message is not worth compressing */
} ws_deflate_policy;

/*
 * A kilobyte is enough for the repetitions of Clown.Talk, whose messages are short. 8 bits could
 * not be asked: zlib compresses with 9 then.
 */
#define WS_DEFLATE_POLICY                                                                          \
    ((ws_deflate_policy){.may_keep = true, .kept_window_bits = 10, .threshold = 128})

/* What was agreed for a session. */
typedef struct ws_deflate_params {
    bool agreed; /* false: no compression, and nothing else counts */
    bool client_no_context_takeover;
    bool all_compressed;        /* the client gets no data frame without RSV1: ws_deflate_store() */
    uint8_t server_window_bits; /* 8 to 15: the most that the client can inflate */
    uint8_t client_window_bits; /* 8 to 15: the most that the client compresses with */
    size_t threshold;           /* the policy's */
} ws_deflate_params;

typedef enum ws_extensions {
    WS_EXTENSIONS_NONE,      /* nothing acceptable was offered: answer without the header */
    WS_EXTENSIONS_DEFLATE,   /* answer with Sec-WebSocket-Extensions: `response` */
    WS_EXTENSIONS_MALFORMED, /* violates RFC 6455 section 9.1: the client must be refused */
} ws_extensions;

#define WS_DEFLATE_RESPONSE 160 /* room for every response and its NUL */

/*
 * Accepts the first permessage-deflate offer that is valid (section 7.1: parameters known, once
 * each, with values as defined) out of Sec-WebSocket-Extensions, several header fields joined by
 * commas. Other extensions are passed over. `offers` may be NULL. The response is "" unless one is
 * agreed.
 */
ws_extensions ws_deflate_negotiate(const char *offers, const ws_deflate_policy *policy,
                                   ws_deflate_params *params, char response[WS_DEFLATE_RESPONSE]);

/* The most that an inflater keeps between two messages, in bytes; 0 where it keeps nothing. */
size_t ws_deflate_kept(const ws_deflate_params *params);

/* ---- Compressing (section 7.2.1) ---- */

typedef struct ws_deflate ws_deflate;

/*
 * With which window (9, 12 or 15 bits) to compress a message of this length for such a session; 0:
 * send it plain. It is the smallest that loses nothing, so that short messages are the same for
 * all.
 */
unsigned ws_deflate_window(const ws_deflate_params *params, size_t length);

/* `level` is zlib's: 1 (fastest) to 9. NULL where there is no memory. */
ws_deflate *ws_deflate_create(int level);
void ws_deflate_destroy(ws_deflate *compressor); /* NULL is fine */

/*
 * Compresses a whole message for a window that ws_deflate_window() gave; returns the length of what
 * is to be sent in a frame with RSV1. 0: send it plain, since the result and 5 bytes more do not
 * fit in `size`, or there is no memory. With `size` the message's own length, 0 also means that
 * compression would save nothing.
 */
size_t ws_deflate_message(ws_deflate *compressor, unsigned window, const uint8_t *data,
                          size_t length, uint8_t *out, size_t size);

/*
 * A message as a compressed one without compression (section 7.2.3.3), for a message that is not
 * worth more and a session with `all_compressed`: libwebsockets before 4.3.3 never comes back from
 * a data frame without RSV1 once the extension is agreed. Its programs offer, as its examples do,
 * client_no_context_takeover, which few others offer.
 */
size_t ws_deflate_stored_size(size_t length); /* what ws_deflate_store() writes, in bytes */
void ws_deflate_store(const uint8_t *data, size_t length, uint8_t *out);

/* ---- Inflating (section 7.2.2) ---- */

typedef enum ws_inflate_status {
    WS_INFLATE_FULL, /* `out` is full: call again with the same piece and more room */
    WS_INFLATE_DONE, /* the piece is used up; if it was the last one, the message is complete */
    WS_INFLATE_FAIL, /* the piece has become a WS_EVENT_FAIL: close with its code and reason */
} ws_inflate_status;

typedef struct ws_inflate ws_inflate;

/* `max_message` bounds a message once inflated, in bytes (0: no bound). Allocates nothing. */
void ws_inflate_init(ws_inflate *inflater, const ws_deflate_params *params, uint64_t max_message);
/* Frees what it holds; it may be used again after ws_inflate_init() only. */
void ws_inflate_end(ws_inflate *inflater);

/*
 * Inflates a piece that ws_parser_next() gave as WS_EVENT_DATA with `compressed`, consuming it
 * (data and length advance, `first` is cleared). Pieces come in order, each until DONE. At most
 * `size` bytes are written to `out`, `written` says how many; they are never more than the bound
 * allows, and in a text they are UTF-8 as far as they go. Fails with
 *   WS_CLOSE_BAD_DATA        no DEFLATE data, cut off, or a text that is not UTF-8 (at its first
 *                            byte that cannot be right)
 *   WS_CLOSE_TOO_BIG         more than the bound
 *   WS_CLOSE_INTERNAL_ERROR  there is no memory
 * A client that refers further back than its agreed window is refused where zlib notices, that is
 * where the distance leaves both the window and what this call has written.
 */
ws_inflate_status ws_inflate_next(ws_inflate *inflater, ws_event *piece, uint8_t *out, size_t size,
                                  size_t *written);

/* The members are the inflater's own; the type is complete so that a session can embed it. */
struct ws_inflate {
    struct z_stream_s *stream; /* zlib's state; NULL between two messages */
    uint8_t *history;          /* what the next message may refer to; NULL: nothing */
    uint32_t history_length;   /* bytes, 32768 at most */
    uint64_t max_message;      /* bytes, 0: no bound */
    uint64_t message;          /* bytes of the current message that have come out */
    base_utf8 utf8;            /* of the current message, if text */
    uint8_t window_bits;
    uint8_t tail;     /* bytes of the tail that have been given to zlib */
    bool takeover;    /* the client may refer to earlier messages */
    bool pending;     /* zlib has filled the output: it may hold more */
    bool after_final; /* the last thing read was the end of a block with BFINAL */
};

#endif
