#include "json.h"

#include "internal.h"

#include <string.h>

bool json_refuse(json_scan *scan, const char *what)
{
    talk_why(scan->why, scan->why_size, "not JSON at byte %zu: %s",
             (size_t)(scan->at - scan->start) + 1, what);
    return false;
}

/* RFC 8259 section 2: ws. */
void json_space(json_scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' ||
                                    *scan->at == '\r'))
        scan->at++;
}

bool json_take(json_scan *scan, char c)
{
    json_space(scan);
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    json_space(scan);
    return true;
}

bool json_open(json_scan *scan, char bracket)
{
    if (!json_take(scan, bracket))
        return json_refuse(scan, bracket == '[' ? "an array was expected" : "an object was expected");
    if (++scan->depth > TALK_MAX_DEPTH) {
        talk_why(scan->why, scan->why_size, "nested too deep: at most %d arrays and objects",
                 TALK_MAX_DEPTH);
        return false;
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Reads the XXXX of \uXXXX at `text`, or returns -1. */
static int hex4(const char *text, const char *end)
{
    int code = 0;

    if (end - text < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* RFC 8259 section 7: an escape, from the byte behind its backslash. */
static bool take_escape(json_scan *scan)
{
    int code, low;

    if (scan->at < scan->end && *scan->at && strchr("\"\\/bfnrt", *scan->at)) {
        scan->at++;
        return true;
    }
    if (scan->at == scan->end || *scan->at != 'u')
        return json_refuse(scan, "no such escape");
    code = hex4(scan->at + 1, scan->end);
    if (code < 0)
        return json_refuse(scan, "\\u needs four hexadecimal digits");
    if (code == 0)
        return json_refuse(scan, "U+0000 is not allowed in a string");
    if (code >= 0xdc00 && code <= 0xdfff)
        return json_refuse(scan, "a low surrogate without a high one");
    scan->at += 5;
    if (code < 0xd800 || code > 0xdbff)
        return true;
    low = scan->end - scan->at >= 6 && scan->at[0] == '\\' && scan->at[1] == 'u'
              ? hex4(scan->at + 2, scan->end)
              : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return json_refuse(scan, "a high surrogate without a low one");
    scan->at += 6;
    return true;
}

bool json_string(json_scan *scan, json_span *span)
{
    json_space(scan);
    *span = (json_span){.text = scan->at};
    if (scan->at == scan->end || *scan->at != '"')
        return json_refuse(scan, "a string was expected");
    scan->at++;
    while (scan->at < scan->end && *scan->at != '"') {
        unsigned char c = (unsigned char)*scan->at;

        if (c == '\\') {
            scan->at++;
            if (!take_escape(scan))
                return false;
        } else if (c < 0x20) {
            return json_refuse(scan, "a control character in a string must be escaped");
        } else if (c < 0x80) {
            scan->at++;
        } else {
            size_t length = talk_utf8_length(scan->at, scan->end);
            if (length == 0)
                return json_refuse(scan, "invalid UTF-8");
            scan->at += length;
        }
    }
    if (scan->at == scan->end)
        return json_refuse(scan, "a string does not end");
    scan->at++;
    span->length = (size_t)(scan->at - span->text);
    json_space(scan);
    return true;
}

static size_t take_digits(json_scan *scan)
{
    const char *first = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return (size_t)(scan->at - first);
}

static bool take_one_of(json_scan *scan, char a, char b)
{
    if (scan->at == scan->end || (*scan->at != a && *scan->at != b))
        return false;
    scan->at++;
    return true;
}

/* RFC 8259 section 6: [ minus ] int [ frac ] [ exp ]. */
static bool take_number(json_scan *scan)
{
    take_one_of(scan, '-', '-');
    if (take_one_of(scan, '0', '0')) {
        if (take_digits(scan) > 0)
            return json_refuse(scan, "a number starts with a superfluous 0");
    } else if (take_digits(scan) == 0) {
        return json_refuse(scan, "a digit was expected");
    }
    if (take_one_of(scan, '.', '.') && take_digits(scan) == 0)
        return json_refuse(scan, "a digit was expected");
    if (take_one_of(scan, 'e', 'E')) {
        take_one_of(scan, '+', '-');
        if (take_digits(scan) == 0)
            return json_refuse(scan, "a digit was expected");
    }
    return true;
}

static bool take_word(json_scan *scan, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
        return json_refuse(scan, "a value was expected");
    scan->at += length;
    return true;
}

bool json_name(json_scan *scan, json_span *name)
{
    if (!json_string(scan, name))
        return false;
    if (!json_take(scan, ':'))
        return json_refuse(scan, "a colon was expected");
    return true;
}

/* The rest of an array or object, behind its opening bracket. */
static bool take_members(json_scan *scan, char close)
{
    json_span ignored;

    if (!json_take(scan, close)) {
        do {
            if (close == '}' && !json_name(scan, &ignored))
                return false;
            if (!json_value(scan, &ignored))
                return false;
        } while (json_take(scan, ','));
        if (!json_take(scan, close))
            return json_refuse(scan, close == '}' ? "a comma or } was expected"
                                                  : "a comma or ] was expected");
    }
    scan->depth--;
    return true;
}

bool json_value(json_scan *scan, json_span *span)
{
    bool good;

    json_space(scan);
    span->text = scan->at;
    switch (scan->at < scan->end ? *scan->at : '\0') {
    case '"':
        return json_string(scan, span);
    case '{':
        good = json_open(scan, '{') && take_members(scan, '}');
        break;
    case '[':
        good = json_open(scan, '[') && take_members(scan, ']');
        break;
    case 't':
        good = take_word(scan, "true");
        break;
    case 'f':
        good = take_word(scan, "false");
        break;
    case 'n':
        good = take_word(scan, "null");
        break;
    case '-':
    case '0' ... '9':
        good = take_number(scan);
        break;
    default:
        good = json_refuse(scan, "a value was expected");
    }
    span->length = good ? (size_t)(scan->at - span->text) : 0;
    json_space(scan);
    return good;
}

bool json_string_is(json_span string, const char *text)
{
    const char *at = string.text + 1, *end = string.text + string.length - 1;

    for (; at < end && *text; text++) {
        if (*at == '\\') { /* of the escapes only \u stands for a character of a member's name */
            if (at[1] != 'u' || hex4(at + 2, end) != *text)
                return false;
            at += 6;
        } else if (*at++ != *text) {
            return false;
        }
    }
    return at == end && !*text;
}
