/* The pure parts of the opening handshake (RFC 6455 section 4.2). */
#include "handshake.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/evp.h>

#define KEY_LENGTH  24 /* base64 of 16 bytes: 22 characters and "==", section 4.1 */
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* section 1.3 */
#define SHA1_LENGTH 20
#define MAX_PORT    65535

/* ASCII only, whatever locale the process runs in: a Turkish strcasecmp() knows another "i". */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_text(const char *a, const char *b, size_t length)
{
    return memcmp(a, b, length) == 0;
}

static bool same_text_in_any_case(const char *a, const char *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/*
 * The end of the list element that begins at `at`: its comma or the list's end. A comma within a
 * quoted string divides nothing (RFC 9110 section 5.6.4), nor does one behind a backslash there.
 */
static const char *element_end(const char *at)
{
    bool quoted = false;

    for (; *at != '\0' && (quoted || *at != ','); at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (quoted && *at == '\\' && at[1] != '\0') {
            at++;
        }
    }
    return at;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t'; /* OWS, RFC 9110 section 5.6.3 */
}

static bool list_has(const char *list, const char *wanted,
                     bool (*same)(const char *, const char *, size_t))
{
    size_t length = wanted == NULL ? 0 : strlen(wanted);

    if (list == NULL || length == 0) {
        return false;
    }
    for (;;) {
        const char *end = element_end(list), *last = end;

        while (list < last && is_space(*list)) {
            list++;
        }
        while (last > list && is_space(last[-1])) {
            last--;
        }
        if ((size_t)(last - list) == length && same(list, wanted, length)) {
            return true;
        }
        if (*end == '\0') {
            return false;
        }
        list = end + 1;
    }
}

bool ws_list_has_token(const char *list, const char *token)
{
    return list_has(list, token, same_text_in_any_case);
}

bool ws_list_has_protocol(const char *list, const char *protocol)
{
    return list_has(list, protocol, same_text);
}

/*
 * 22 characters of base64 carry 132 bits, 4 more than 16 bytes have. They need not be zero: the
 * RFC's own example in section 4.1, 7 ("AQIDBAUGBwgJCgsMDQ4PEC==") sets one of them.
 */
bool ws_key_is_valid(const char *key)
{
    if (key == NULL || strlen(key) != KEY_LENGTH || strcmp(key + KEY_LENGTH - 2, "==") != 0) {
        return false;
    }
    for (const char *at = key; at < key + KEY_LENGTH - 2; at++) {
        if (!is_alpha(*at) && !is_digit(*at) && *at != '+' && *at != '/') {
            return false;
        }
    }
    return true;
}

bool ws_accept_key(const char *key, char out[WS_ACCEPT_LENGTH + 1])
{
    char text[KEY_LENGTH + sizeof(ACCEPT_GUID)];
    unsigned char hash[EVP_MAX_MD_SIZE];

    out[0] = '\0';
    if (!ws_key_is_valid(key)) {
        return false;
    }
    memcpy(text, key, KEY_LENGTH);
    memcpy(text + KEY_LENGTH, ACCEPT_GUID, sizeof(ACCEPT_GUID));
    if (EVP_Digest(text, sizeof(text) - 1, hash, NULL, EVP_sha1(), NULL) != 1) {
        return false;
    }
    return EVP_EncodeBlock((unsigned char *)out, hash, SHA1_LENGTH) == WS_ACCEPT_LENGTH;
}

typedef struct origin {
    const char *scheme, *host; /* within the text */
    size_t scheme_length, host_length;
    long port;               /* -1: none given, and the scheme has no default that we know */
    bool ipv6;               /* the host was in brackets; then: */
    struct in6_addr address; /* so that every spelling of an address is the same */
} origin;

/* RFC 3986 section 3.1: a letter, then letters, digits, "+", "-" and "."; then "://". */
static const char *parse_scheme(origin *parsed, const char *at)
{
    parsed->scheme = at;
    if (!is_alpha(*at)) {
        return NULL;
    }
    while (is_alpha(*at) || is_digit(*at) || *at == '+' || *at == '-' || *at == '.') {
        at++;
    }
    parsed->scheme_length = (size_t)(at - parsed->scheme);
    return strncmp(at, "://", 3) == 0 ? at + 3 : NULL;
}

static const char *parse_ipv6(origin *parsed, const char *at)
{
    char literal[INET6_ADDRSTRLEN];
    const char *close = strchr(at, ']');

    if (close == NULL || (size_t)(close - at) >= sizeof(literal)) {
        return NULL;
    }
    memcpy(literal, at, (size_t)(close - at));
    literal[close - at] = '\0';
    parsed->ipv6 = true;
    return inet_pton(AF_INET6, literal, &parsed->address) == 1 ? close + 1 : NULL;
}

/* What browsers put into an origin: an ASCII host name (IDNA's "xn--" form) or an IPv4 address. */
static const char *parse_name(origin *parsed, const char *at)
{
    parsed->host = at;
    while (is_alpha(*at) || is_digit(*at) || (*at != '\0' && strchr("-._~", *at) != NULL)) {
        at++;
    }
    parsed->host_length = (size_t)(at - parsed->host);
    return parsed->host_length > 0 ? at : NULL;
}

static bool has_scheme(const origin *parsed, const char *name)
{
    return parsed->scheme_length == strlen(name) &&
           same_text_in_any_case(parsed->scheme, name, parsed->scheme_length);
}

/* The end of the text, or a colon and 1 to 65535: nothing may follow, not even a slash. */
static bool parse_port(origin *parsed, const char *at)
{
    if (*at == '\0') {
        parsed->port = has_scheme(parsed, "http") ? 80 : has_scheme(parsed, "https") ? 443 : -1;
        return true;
    }
    if (*at++ != ':' || !is_digit(*at)) {
        return false;
    }
    parsed->port = 0;
    for (; is_digit(*at) && parsed->port <= MAX_PORT; at++) {
        parsed->port = parsed->port * 10 + (*at - '0');
    }
    return *at == '\0' && parsed->port >= 1 && parsed->port <= MAX_PORT;
}

/*
 * Some libraries (ws4py) send the scheme of the WebSocket's URL. A page cannot have such an origin,
 * since no browser loads one by it: nothing is opened to pages by taking it for http's.
 */
static void use_scheme_of_http(origin *parsed)
{
    const bool secure = has_scheme(parsed, "wss");

    if (secure || has_scheme(parsed, "ws")) {
        parsed->scheme = secure ? "https" : "http";
        parsed->scheme_length = strlen(parsed->scheme);
    }
}

static bool parse_origin(origin *parsed, const char *text)
{
    const char *at;

    memset(parsed, 0, sizeof(*parsed));
    if (text == NULL || (at = parse_scheme(parsed, text)) == NULL) {
        return false;
    }
    use_scheme_of_http(parsed);
    at = *at == '[' ? parse_ipv6(parsed, at + 1) : parse_name(parsed, at);
    return at != NULL && parse_port(parsed, at);
}

static bool same_host(const origin *a, const origin *b)
{
    if (a->ipv6 || b->ipv6) {
        return a->ipv6 && b->ipv6 && memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
    }
    return a->host_length == b->host_length &&
           same_text_in_any_case(a->host, b->host, a->host_length);
}

bool ws_origin_equal(const char *a, const char *b)
{
    origin left, right;

    return parse_origin(&left, a) && parse_origin(&right, b) && left.port == right.port &&
           left.scheme_length == right.scheme_length &&
           same_text_in_any_case(left.scheme, right.scheme, left.scheme_length) &&
           same_host(&left, &right);
}

bool ws_origin_is_valid(const char *origin_text)
{
    origin parsed;

    return parse_origin(&parsed, origin_text);
}
