/*
 * What the files of src/talk share among themselves; no other file includes it. Like talk.h's
 * functions these are pure, keep no state between calls and may be called from any thread.
 */
#ifndef TALK_INTERNAL_H
#define TALK_INTERNAL_H

#include "talk.h"

/* ---- characters (char.c) ---- */

/* The value of a hexadecimal digit in either case, -1 where `c` is none. */
int talk_hex_digit(char c);

/* ---- explanations (error.c) ---- */

/*
 * Writes a sentence of at most `size` bytes, NUL included: valid UTF-8 whatever the arguments were,
 * and without control characters, so that it can stand in a log. Does nothing where `size` is 0.
 */
void talk_why(char *why, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void talk_vwhy(char *why, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* ---- topics (topic.c) ---- */

/*
 * Takes a request's topic of at most TALK_MAX_TOPIC bytes, none of them NUL, apart. False with a
 * sentence where it has no known form: then of `topic` only `text` is set.
 */
bool talk_topic_parse(talk_topic *topic, const char *text, size_t length, char *why,
                      size_t why_size);

/* ---- numbers (number.c) ---- */

/*
 * Bytes that hold any double as talk_number_format() writes it: a sign, 309 digits (DBL_MAX_10_EXP
 * + 1), a decimal point of up to 16 bytes (MB_LEN_MAX) until it is made a plain one, 9 decimals,
 * NUL.
 */
#define TALK_MAX_NUMBER 336

/*
 * Writes a finite number as JSON does, with a point whatever the locale is: with exactly `decimals`
 * (0 to 9) digits behind it, or, where that is negative, in the shortest form that reads back as
 * the same number.
 */
void talk_number_format(double value, int decimals, char out[TALK_MAX_NUMBER]);

#endif
