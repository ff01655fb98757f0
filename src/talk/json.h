/*
 * What is JSON and what is not (RFC 8259): a scanner that checks text and finds its values, but
 * builds nothing. json-c builds the objects. Its tokener alone would not do, for even when strict
 * it takes NaN, 00, 1. and {'a': 1}, lets control characters and overlong UTF-8 pass, and cuts a
 * member's name at an escaped NUL.
 *
 * Beyond RFC 8259 the scanner refuses what could not be handed on unchanged: an escaped lone
 * surrogate, which has no UTF-8 form (RFC 7493 section 2.1), and U+0000, which ends a C string.
 *
 * A scan lives on its caller's stack and points into the caller's text, which need not end in NUL.
 */
#ifndef TALK_JSON_H
#define TALK_JSON_H

#include <stdbool.h>
#include <stddef.h>

typedef struct json_scan {
    const char *start; /* of the text: positions in explanations count from here */
    const char *at;    /* the next byte */
    const char *end;
    int depth; /* arrays and objects that are open */
    char *why; /* gets a sentence when something is refused */
    size_t why_size;
} json_scan;

/* A value as it stands in the text; a string with its quotes. Length 0: none. */
typedef struct json_span {
    const char *text;
    size_t length;
} json_span;

/* Skips white space. */
void json_space(json_scan *scan);
/* Skips white space and takes the byte `c`; false, without a sentence, where it is not there. */
bool json_take(json_scan *scan, char c);
/*
 * Takes the bracket that opens an array or object; false with a sentence where it nests too deep.
 */
bool json_open(json_scan *scan, char bracket);
/* Skips white space and takes a value; false with a sentence where there is none. */
bool json_value(json_scan *scan, json_span *value);
/* Writes "not JSON at byte N: WHAT" and returns false. */
bool json_refuse(const json_scan *scan, const char *what);

/*
 * Finds the last member called `name` (letters and digits) of an object that the scanner has
 * accepted. False where there is none.
 */
bool json_find(json_span object, const char *name, json_span *value);

#endif
