/*
 * Clown.Talk: "serialized MQTT", one JSON array per message (docs/protocol.md).
 *
 *     ["relay/i2c0-3b/set", {"state": true}, {"id": 7}]
 *      topic                payload          parameters
 *
 * This part of the project is pure: it knows json-c and libc, does no input or output, keeps no
 * state between calls and may be called from any thread. Text is UTF-8; lengths are in bytes. Where
 * memory runs out the process ends with abort(): no function here fails for lack of it.
 */
#ifndef TALK_H
#define TALK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* Bounds of a message. Deeper or longer input is `malformed`, never a crash. */
#define TALK_MAX_DEPTH   8   /* nesting of arrays and objects */
#define TALK_MAX_TOPIC   64  /* bytes in a topic */
#define TALK_MAX_LEVELS  4   /* levels in a topic */
#define TALK_MAX_WHY     192 /* bytes that hold any explanation by this part, with its NUL */
#define TALK_MAX_MESSAGE 512 /* bytes of an error's "message", with its NUL: more is cut off */
#define TALK_MAX_ADDRESS 24  /* bytes that hold any ADDR, with its NUL */

/* Why a request was refused; the names on the wire are talk_error_name()'s. */
typedef enum talk_error {
    TALK_OK = 0,
    TALK_MALFORMED,       /* no Clown.Talk message */
    TALK_NOT_INITIALIZED, /* before the opening */
    TALK_UNKNOWN_TOPIC,   /* no such form of topic */
    TALK_UNKNOWN_DEVICE,  /* well formed, no such device now */
    TALK_BAD_PAYLOAD,     /* a member is missing, of the wrong type or out of range */
    TALK_FORBIDDEN,       /* this user may not do this */
    TALK_BUSY,            /* too many requests wait for this device */
    TALK_RATE_LIMITED,    /* this client sends too fast */
    TALK_IO_ERROR,        /* the chip did not answer or answered nonsense */
    TALK_TIMEOUT,         /* the device did not finish in time */
    TALK_UNAVAILABLE,     /* the hardware side is restarting */
} talk_error;

/* "malformed", "not-initialized" ...; NULL for TALK_OK. */
const char *talk_error_name(talk_error error);

/* What a request's topic asks for. */
typedef enum talk_form {
    TALK_FORM_UNKNOWN = 0,
    TALK_OPENING,     /* clown.talk/-/config/set */
    TALK_LIST,        /* -/-/config/list, -/-/config/get */
    TALK_GET,         /* TYPE/ADDR/get */
    TALK_SET,         /* TYPE/ADDR/set */
    TALK_CONFIG_GET,  /* TYPE/ADDR/config/get, TYPE/ADDR/config/list */
    TALK_CONFIG_SET,  /* TYPE/ADDR/config/set, TYPE/ADDR/config/update */
    TALK_PULSE_SET,   /* TYPE/ADDR/pulse/set */
    TALK_HISTORY_GET, /* TYPE/ADDR/history/get */
    TALK_I2C_SCAN,    /* i2c/BUS/config/scan */
    TALK_I2C_GET,     /* i2c/BUS/get */
    TALK_I2C_SET,     /* i2c/BUS/set */
} talk_form;

/*
 * A request's topic, taken apart. `device` is the topic without its verb ("relay/i2c0-3b", "i2c/0",
 * "clown.talk/-", "-/-"), in the spelling that the server sends: hexadecimal digits in lower case.
 * `type` is its first level, `address` its second; the three are empty where the form is not known.
 * TYPE may be any level of a-z, 0-9 and '-': whether there is such a device is the hub's business.
 */
typedef struct talk_topic {
    talk_form form;
    char text[TALK_MAX_TOPIC + 1]; /* as the client wrote it: for the error's topic */
    char device[TALK_MAX_TOPIC + 1];
    char type[TALK_MAX_TOPIC + 1];
    char address[TALK_MAX_TOPIC + 1];
} talk_topic;

/*
 * The second level of a device's topic: "-", "i2c0-3b" or, for one channel of a chip, "i2c0-20-7".
 * Bus and channel are written without superfluous zeros: a device has one name.
 */
typedef struct talk_address {
    bool on_bus;  /* false for "-": then nothing else counts */
    int bus;      /* label, 0 to 99 */
    uint8_t chip; /* 7-bit address, 0x00 to 0x7f */
    int channel;  /* 0 to 99, or -1 where there is none */
} talk_address;

/* Reads an ADDR (hex in either case). False where it has no such form. */
bool talk_address_parse(const char *text, talk_address *address);
/* Writes an ADDR as the server sends it. `out` holds at least TALK_MAX_ADDRESS bytes. */
void talk_address_format(const talk_address *address, char *out);

/*
 * A message that came in. The two objects are owned by it: talk_message_clear() lets them go. After
 * a refusal topic and id say as much as could be read, so that the error can name the request's own
 * topic and carry its id; a malformed message has no payload.
 *
 * An id is written again just as it came, a number digit by digit. In the payload json-c forces
 * integers into 64 bits, and a fraction may be infinite (1e400): check a number's range, not its
 * type.
 */
typedef struct talk_message {
    talk_topic topic;            /* text[0] == 0 where none could be read */
    struct json_object *payload; /* an object, or NULL */
    struct json_object *id;      /* parameters' "id", a string or a number, or NULL */
} talk_message;

/*
 * Reads one message; JSON white space around and in it is allowed. Checks that it is JSON to the
 * letter of RFC 8259, UTF-8, depth and the elements' types; a topic of no known form gives
 * TALK_UNKNOWN_TOPIC, all else that is wrong TALK_MALFORMED. So that nothing is handed on changed
 * or cut short, an escaped lone surrogate (which UTF-8 cannot write) and U+0000 are malformed, too:
 * strings and members' names hold no NUL. `why` gets a sentence for people, of at most TALK_MAX_WHY
 * bytes, always valid UTF-8 without control characters; it is left alone where nothing is wrong.
 * `message` must be cleared in any case.
 */
talk_error talk_message_parse(talk_message *message, const char *text, size_t length, char *why,
                              size_t why_size);
void talk_message_clear(talk_message *message);

/*
 * Takes the next line out of what a client sent: blank lines (of nothing but spaces, tabs and '\r')
 * are skipped, the last '\n' may be missing, a '\r' at a line's end is dropped. Advances *at; false
 * when nothing is left before `end`.
 */
bool talk_next_line(const char **at, const char *end, const char **line, size_t *length);

/* ---- messages that go out ---- */

/* A growing text, ended by NUL. All zero is an empty one; talk_text_free() releases it. */
typedef struct talk_text {
    char *data;
    size_t length;
    size_t capacity;
} talk_text;

void talk_text_add(talk_text *text, const char *data, size_t length);
void talk_text_addf(talk_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void talk_text_clear(talk_text *text); /* empties it and keeps its memory */
void talk_text_free(talk_text *text);

/*
 * Adds `["topic", payload]` or, with an id, `["topic", payload, {"id": id}]`, and '\n', with one
 * space behind each comma and colon and nowhere else:
 *
 *     ["relay/i2c0-3b", {"state": true}, {"id": 7}]
 *
 * What is added is always one line, JSON and UTF-8: broken UTF-8 in a string becomes U+FFFD, NaN
 * and the infinities null, a double the shortest number that reads back as the same (0.1), and 0
 * never -0. The
 * objects stay the caller's; a payload of NULL is written as {}.
 */
void talk_write(talk_text *out, const char *topic, struct json_object *payload,
                struct json_object *id);
/* The same with a payload that is JSON text already: it is added as it is. */
void talk_write_text(talk_text *out, const char *topic, const char *payload,
                     struct json_object *id);
/*
 * Adds the error that answers `request`, a topic as the client wrote it: its last level is replaced
 * by "error"; NULL or "" gives "-/-/error". `error` is not TALK_OK; the format makes the sentence
 * for people, in which control characters become '?'.
 */
void talk_write_error(talk_text *out, const char *request, struct json_object *id, talk_error error,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- payload members ---- */

/*
 * A quantity as Clown.Talk sends it, [21.50, "℃"]: a new object, with exactly `decimals` (0 to 9)
 * digits behind the point in any locale, and never -0.00. NaN and the infinities give [null, "℃"].
 */
struct json_object *talk_quantity(double value, int decimals, const char *unit);

/*
 * Reads a whole number within bounds: 60, 60.0 and 6e1 are the same one. False where it is none,
 * or another JSON type, or NULL. The bounds are within 2^53, which a double holds exactly.
 */
bool talk_whole_number(const struct json_object *value, int64_t least, int64_t most,
                       int64_t *number);

/* ---- DATA: bytes as a string in one of three encodings ---- */

typedef enum talk_encoding {
    TALK_HEX = 0, /* "01,FF" */
    TALK_ASCII,   /* "(text)" */
    TALK_BASE64,  /* "Af8=" */
} talk_encoding;

/*
 * Decodes DATA into at most `size` bytes. Returns the number of bytes, or -1 with a sentence in
 * `why`; then what `out` and `encoding` hold means nothing. Hex first (so "AB" is one byte, and ""
 * none), then parentheses (ASCII, control characters too), then base64 (RFC 4648 section 4, padded,
 * unused bits zero).
 */
int talk_data_decode(const char *text, uint8_t *out, size_t size, talk_encoding *encoding,
                     char *why, size_t why_size);
/*
 * Adds the encoded bytes to `out`, without quotes. ASCII falls back to hex where a byte is not
 * printable (0x20 to 0x7e). No bytes are "" or "()".
 */
void talk_data_encode(talk_text *out, const uint8_t *data, size_t length, talk_encoding encoding);

#endif
