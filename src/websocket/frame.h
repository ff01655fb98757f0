/*
 * The WebSocket frame codec (RFC 6455 sections 5, 7.4, 8.1): bytes in, events out.
 *
 * It does no input or output and allocates nothing. A parser belongs to one session and to the
 * thread that owns it. It works in place: payloads are unmasked in the caller's buffer and handed
 * out as pieces of it, so that nothing is reserved for a length that a peer merely announced.
 */
#ifndef WS_FRAME_H
#define WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"

/* Section 5.2. */
enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xA,
};

/* Section 7.4.1 and the IANA registry: those that are used here. */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_NO_STATUS = 1005, /* never sent: a Close frame without a body */
    WS_CLOSE_ABNORMAL = 1006,  /* never sent: no Close frame came */
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL_ERROR = 1011,
    WS_CLOSE_SERVICE_RESTART = 1012,
};

#define WS_MAX_CONTROL 125 /* payload of a control frame, section 5.5 */
#define WS_MAX_HEADER  10  /* header of an unmasked frame: what a server sends */

typedef enum ws_event_kind {
    WS_EVENT_DATA, /* a piece of a text or binary message; empty only where it is the last */
    WS_EVENT_PING, /* answer with a Pong of the same payload */
    WS_EVENT_PONG,
    WS_EVENT_CLOSE, /* the peer's Close; no event follows it */
    WS_EVENT_FAIL,  /* the peer broke the protocol: close with close_code; no event follows */
} ws_event_kind;

typedef struct ws_event {
    ws_event_kind kind;
    bool text;       /* DATA: the message is text; otherwise binary */
    bool compressed; /* DATA: the message's first frame had RSV1 (RFC 7692 section 6) */
    bool first;      /* DATA: the message begins with this piece */
    bool last;       /* DATA: the message ends with this piece, which may be empty */
    /*
     * The payload, unmasked: valid until the buffer changes or the next call. CLOSE: the code's two
     * bytes and the reason, or nothing.
     */
    uint8_t *data;
    size_t length;
    uint16_t close_code; /* CLOSE: the peer's, or WS_CLOSE_NO_STATUS; FAIL: ours */
    const char *reason;  /* FAIL: a constant sentence that names the section */
} ws_event;

typedef struct ws_parser ws_parser;

/*
 * `max_message` bounds the payload of a whole message as it is on the wire, in bytes (0: no bound):
 * WS_CLOSE_TOO_BIG as soon as a header announces more. A compressed message may be a little longer
 * (ws_compressed_bound()): the inflater bounds its output. `masked` says which side this is: true
 * for a server, whose peer must mask (section 5.1). `rsv1` allows RSV1 on a message's first frame.
 * Text that is not compressed is checked for UTF-8 piece by piece and fails at once (section 8.1).
 */
void ws_parser_init(ws_parser *parser, uint64_t max_message, bool masked, bool rsv1);

/*
 * Takes the next event out of [*at, end), advancing *at. False when more bytes are needed: then all
 * that was there has been taken. Call it until it returns false; stop after CLOSE and FAIL: what
 * comes after them is taken and ignored (section 1.4).
 */
bool ws_parser_next(ws_parser *parser, uint8_t **at, uint8_t *end, ws_event *event);

/*
 * The length that a compressed message of up to `max_message` bytes may have: a quarter and 64
 * bytes more, since data that cannot be compressed grows. 0 stays 0: no bound.
 */
uint64_t ws_compressed_bound(uint64_t max_message);

/* Writes an unmasked frame's header; returns its length, 2 to WS_MAX_HEADER. */
size_t ws_frame_header(uint8_t out[WS_MAX_HEADER], enum ws_opcode opcode, bool fin, bool rsv1,
                       uint64_t length);
/*
 * Writes a Close frame's payload: the code and as much of the reason (NULL: none) as fits and is
 * UTF-8, cut between characters. Returns its length: 0 for WS_CLOSE_NO_STATUS and
 * WS_CLOSE_ABNORMAL, which are never sent.
 */
size_t ws_close_payload(uint8_t out[WS_MAX_CONTROL], uint16_t code, const char *reason);
/* Whether a peer may send this code (section 7.4: 1000-1003, 1007-1014, 3000-4999). */
bool ws_close_code_is_valid(uint16_t code);
/* XORs `data` with the key, `offset` bytes into the payload (section 5.3). */
void ws_mask(uint8_t *data, size_t length, const uint8_t key[4], size_t offset);

/* The members are the codec's own; the type is complete so that a session can embed it. */
struct ws_parser {
    uint64_t max_message; /* bytes, 0: no bound */
    uint64_t message;     /* payload bytes of the current message that have been announced */
    uint64_t remaining;   /* payload bytes of the current frame that are to come */
    uint64_t position;    /* payload bytes of the current frame that came: the mask's phase */
    base_utf8 utf8;       /* of the current message */
    uint8_t mask[4];
    uint8_t header[14];                       /* as much of a header as came */
    uint8_t header_length;                    /* bytes in `header` */
    uint8_t state;                            /* enum in frame.c */
    uint8_t opcode;                           /* of the current frame */
    bool masked, rsv1;                        /* as given to ws_parser_init() */
    bool fin;                                 /* of the current frame */
    bool in_message, text, compressed, first; /* the current message */
    uint8_t control[WS_MAX_CONTROL];          /* a control frame's payload that came in pieces */
};

#endif
