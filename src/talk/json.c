#include "json.h"

#include "base/utf8.h"

#include "internal.h"

#include <string.h>

bool json_refuse(const json_scan *scan, const char *what)
{
    talk_why(scan->why, scan->why_size, "not JSON at byte %zu: %s",
             (size_t)(scan->at - scan->start) + 1, what);
    return false;
}

/* RFC 8259 section 2: ws. */
void json_space(json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r')) {
        scan->at++;
    }
}

bool json_take(json_scan *scan, char c)
{
    json_space(scan);
    if (scan->at == scan->end || *scan->at != c) {
        return false;
    }
    scan->at++;
    return true;
}

bool json_open(json_scan *scan, char bracket)
{
    if (scan->depth == TALK_MAX_DEPTH) {
        talk_why(scan->why, scan->why_size, "nested too deep: at most %d arrays and objects",
                 TALK_MAX_DEPTH);
        return false;
    }
    scan->depth++;
    return json_take(scan, bracket);
}

/* ---- strings, RFC 8259 section 7 ---- */

/* Reads the XXXX of \uXXXX at `text`, or returns -1. */
static int hex4(const char *text, const char *end)
{
    int code = 0;

    if (end - text < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = talk_hex_digit(text[i]);
        if (digit < 0) {
            return -1;
        }
        code = code << 4 | digit;
    }
    return code;
}

/* Takes uXXXX, or uXXXX\uXXXX where the character needs two of them. */
static bool take_unicode_escape(json_scan *scan)
{
    int code = hex4(scan->at + 1, scan->end), low = -1;

    if (code < 0) {
        return json_refuse(scan, "\\u must be followed by four hexadecimal digits");
    }
    if (code == 0) {
        return json_refuse(scan, "U+0000 is not allowed in a string");
    }
    if (code >= 0xdc00 && code <= 0xdfff) {
        return json_refuse(scan, "a low surrogate must follow a high one");
    }
    scan->at += 5;
    if (code < 0xd800 || code > 0xdbff) {
        return true;
    }
    if (scan->end - scan->at > 2 && scan->at[0] == '\\' && scan->at[1] == 'u') {
        low = hex4(scan->at + 2, scan->end);
    }
    if (low < 0xdc00 || low > 0xdfff) {
        return json_refuse(scan, "a high surrogate must be followed by a low one");
    }
    scan->at += 6;
    return true;
}

/* Takes an escape, from the byte behind its backslash. */
static bool take_escape(json_scan *scan)
{
    switch (scan->at < scan->end ? *scan->at : '\0') {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        scan->at++;
        return true;
    case 'u':
        return take_unicode_escape(scan);
    default:
        return json_refuse(scan, "a backslash must be followed by one of \"\\/bfnrtu");
    }
}

static bool take_string(json_scan *scan)
{
    if (scan->at == scan->end || *scan->at != '"') {
        return json_refuse(scan, "a string was expected");
    }
    scan->at++;
    while (scan->at < scan->end && *scan->at != '"') {
        unsigned char c = (unsigned char)*scan->at;

        if (c == '\\') {
            scan->at++;
            if (!take_escape(scan)) {
                return false;
            }
        } else if (c < 0x20) {
            return json_refuse(scan, "a control character in a string must be escaped");
        } else if (c < 0x80) {
            scan->at++;
        } else {
            size_t length = base_utf8_decode(scan->at, scan->end, NULL);
            if (length == 0) {
                return json_refuse(scan, "invalid UTF-8");
            }
            scan->at += length;
        }
    }
    if (scan->at == scan->end) {
        return json_refuse(scan, "a string has no end");
    }
    scan->at++;
    return true;
}

/* ---- numbers, RFC 8259 section 6: [ minus ] int [ frac ] [ exp ] ---- */

static size_t take_digits(json_scan *scan)
{
    const char *first = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        scan->at++;
    }
    return (size_t)(scan->at - first);
}

static bool take_either(json_scan *scan, char a, char b)
{
    if (scan->at == scan->end || (*scan->at != a && *scan->at != b)) {
        return false;
    }
    scan->at++;
    return true;
}

static bool take_number(json_scan *scan)
{
    take_either(scan, '-', '-');
    if (!take_either(scan, '0', '0') && take_digits(scan) == 0) {
        return json_refuse(scan, "a digit was expected");
    }
    if (take_either(scan, '.', '.') && take_digits(scan) == 0) {
        return json_refuse(scan, "a digit was expected");
    }
    if (take_either(scan, 'e', 'E')) {
        take_either(scan, '+', '-');
        if (take_digits(scan) == 0) {
            return json_refuse(scan, "a digit was expected");
        }
    }
    return true;
}

/* ---- values, RFC 8259 sections 3 to 5 ---- */

static bool take_word(json_scan *scan, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0) {
        return json_refuse(scan, "a value was expected");
    }
    scan->at += length;
    return true;
}

static bool take_array(json_scan *scan)
{
    json_span value;

    if (!json_open(scan, '[')) {
        return false;
    }
    if (!json_take(scan, ']')) {
        do {
            if (!json_value(scan, &value)) {
                return false;
            }
        } while (json_take(scan, ','));
        if (!json_take(scan, ']')) {
            return json_refuse(scan, "a comma or ] was expected");
        }
    }
    scan->depth--;
    return true;
}

/* Takes a member, its name without the quotes. */
static bool take_member(json_scan *scan, json_span *name, json_span *value)
{
    json_space(scan);
    name->text = scan->at + 1;
    if (!take_string(scan)) {
        return false;
    }
    name->length = (size_t)(scan->at - name->text) - 1;
    if (!json_take(scan, ':')) {
        return json_refuse(scan, "a colon was expected");
    }
    return json_value(scan, value);
}

static bool take_object(json_scan *scan)
{
    json_span name, value;

    if (!json_open(scan, '{')) {
        return false;
    }
    if (!json_take(scan, '}')) {
        do {
            if (!take_member(scan, &name, &value)) {
                return false;
            }
        } while (json_take(scan, ','));
        if (!json_take(scan, '}')) {
            return json_refuse(scan, "a comma or } was expected");
        }
    }
    scan->depth--;
    return true;
}

static bool take_value(json_scan *scan)
{
    switch (scan->at < scan->end ? *scan->at : '\0') {
    case '"':
        return take_string(scan);
    case '{':
        return take_object(scan);
    case '[':
        return take_array(scan);
    case 't':
        return take_word(scan, "true");
    case 'f':
        return take_word(scan, "false");
    case 'n':
        return take_word(scan, "null");
    case '-':
    case '0' ... '9':
        return take_number(scan);
    default:
        return json_refuse(scan, "a value was expected");
    }
}

bool json_value(json_scan *scan, json_span *value)
{
    json_space(scan);
    value->text = scan->at;
    value->length = 0;
    if (!take_value(scan)) {
        return false;
    }
    value->length = (size_t)(scan->at - value->text);
    return true;
}

/* Whether this name, once its escapes are read, is `name`. Only \u can write its characters. */
static bool is_named(json_span member, const char *name)
{
    const char *at = member.text, *end = member.text + member.length;

    for (; at < end && *name; name++) {
        if (at[0] == '\\') {
            if (at[1] != 'u' || hex4(at + 2, end) != *name) {
                return false;
            }
            at += 6;
        } else if (*at++ != *name) {
            return false;
        }
    }
    return at == end && *name == '\0';
}

bool json_find(json_span object, const char *name, json_span *value)
{
    json_scan scan = {.at = object.text, .end = object.text + object.length};
    json_span member_name, member;
    bool found = false;

    if (!json_take(&scan, '{') || json_take(&scan, '}')) {
        return false;
    }
    do {
        if (!take_member(&scan, &member_name, &member)) {
            return false;
        }
        if (is_named(member_name, name)) {
            *value = member;
            found = true;
        }
    } while (json_take(&scan, ','));
    return found;
}
