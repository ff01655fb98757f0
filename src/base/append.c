#include "append.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void base_append(char *text, size_t size, const char *format, ...)
{
    const size_t length = strnlen(text, size);
    va_list arguments;

    if (length == size) {
        return;
    }
    va_start(arguments, format);
    if (vsnprintf(text + length, size - length, format, arguments) < 0) {
        text[length] = '\0'; /* a wide character that the locale cannot write */
    }
    va_end(arguments);
}

void base_append_item(char *list, size_t size, const char *item)
{
    if (size > 0) {
        base_append(list, size, "%s%s", list[0] ? ", " : "", item);
    }
}
