/*
 * What the files of src/talk share among themselves; nobody else includes it. Like talk.h's
 * functions these are pure, keep no state between calls and may be called from any thread.
 */
#ifndef TALK_INTERNAL_H
#define TALK_INTERNAL_H

#include "talk.h"

/* Ends the process where memory has run out: `memory` comes back unless it is NULL. */
void *talk_must(void *memory);

/*
 * Writes a sentence of at most `size` bytes, NUL included: valid UTF-8 whatever the arguments were, and
 * without control characters, so that it can stand in a log. Does nothing where `size` is 0.
 */
void talk_why(char *why, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void talk_vwhy(char *why, size_t size, const char *format, va_list arguments);

/*
 * The length in bytes of the well-formed UTF-8 character at `text` (RFC 3629 section 4: no overlong
 * form, no surrogate, nothing above U+10FFFF), 0 where there is none before `end`.
 */
size_t talk_utf8_length(const char *text, const char *end);

/*
 * Takes a request's topic apart. `topic->text` holds what could be kept of it in any case. False
 * with a sentence where it has no known form.
 */
bool talk_topic_parse(talk_topic *topic, const char *text, size_t length, char *why,
                      size_t why_size);

/* Bytes that hold any double as talk_number_format() writes it, with its NUL. */
#define TALK_MAX_NUMBER 336 /* a sign, DBL_MAX_10_EXP + 1 = 309 digits, a point, 9 decimals */

/*
 * Writes a finite number as JSON does, with a point whatever the locale is: with exactly `decimals`
 * digits behind it, or, where `decimals` is negative, the shortest form that reads back as the same.
 */
void talk_number_format(double value, int decimals, char out[TALK_MAX_NUMBER]);

#endif
