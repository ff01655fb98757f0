/*
 * What is JSON and what is not (RFC 8259): a scanner that checks text and finds its values, but
 * builds nothing. json-c builds the objects; its tokener alone would not do, for even when strict it
 * takes NaN, 00, 1. and {'a': 1}, lets through control characters and overlong UTF-8, and cuts a member's
 * name at an escaped NUL.
 *
 * Beyond RFC 8259 the scanner refuses what could not be handed on unchanged: an escaped lone surrogate,
 * which has no UTF-8 form (RFC 7493 section 2.1), and U+0000, which would cut a C string short.
 *
 * A scan lives on its caller's stack and points into the caller's text.
 */
#ifndef TALK_JSON_H
#define TALK_JSON_H

#include <stdbool.h>
#include <stddef.h>

typedef struct json_scan {
    const char *start; /* of the text, for positions in explanations */
    const char *at;    /* the next byte */
    const char *end;
    int depth;         /* arrays and objects that are open here */
    char *why;         /* gets a sentence when something is refused */
    size_t why_size;
} json_scan;

/* A value as it stands in the text; a string with its quotes. */
typedef struct json_span {
    const char *text;
    size_t length;
} json_span;

/* Skips white space. */
void json_space(json_scan *scan);
/* Takes `c`, a bracket or separator, and the white space around it; false, silently, where it is not there. */
bool json_take(json_scan *scan, char c);
/* Take one value with the white space around it. False with a sentence where there is none. */
bool json_string(json_scan *scan, json_span *span);
bool json_value(json_scan *scan, json_span *span);
/* Opens an array or object, '[' or '{': false with a sentence where it would nest too deep. */
bool json_open(json_scan *scan, char bracket);
/* Takes a member's name and colon. */
bool json_name(json_scan *scan, json_span *name);
/* Writes "not JSON at byte N: WHAT" and returns false. */
bool json_refuse(json_scan *scan, const char *what);

/* Is this string, once its escapes are read, `text` (ASCII)? */
bool json_string_is(json_span string, const char *text);

#endif
