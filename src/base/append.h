/* Text put together in a buffer of fixed size. For any thread. */
#ifndef BASE_APPEND_H
#define BASE_APPEND_H

#include <stddef.h>

/*
 * Adds formatted text behind the text in a buffer of `size` bytes. What does not fit, with the NUL,
 * is cut off. The buffer holds a NUL before and after; with a size of 0 nothing happens.
 */
void base_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for one item of a list: with ", " before it, unless it is the first. */
void base_append_item(char *list, size_t size, const char *item);

#endif
