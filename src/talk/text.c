/* Growing text. */
#include "talk.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for `more` bytes and the NUL. */
static void reserve(talk_text *text, size_t more)
{
    size_t capacity = text->capacity ? text->capacity : 128;

    if (more >= SIZE_MAX / 2 - text->length) {
        base_out_of_memory();
    }
    while (capacity - text->length <= more) {
        capacity *= 2;
    }
    if (capacity == text->capacity) {
        return;
    }
    text->data = base_must(realloc(text->data, capacity));
    text->capacity = capacity;
}

void talk_text_add(talk_text *text, const char *data, size_t length)
{
    reserve(text, length);
    if (length > 0) {
        memcpy(text->data + text->length, data, length);
    }
    text->length += length;
    text->data[text->length] = '\0';
}

void talk_text_addf(talk_text *text, const char *format, ...)
{
    va_list arguments, again;
    int length;

    va_start(arguments, format);
    va_copy(again, arguments);
    reserve(text, 0);
    length = vsnprintf(text->data + text->length, text->capacity - text->length, format, arguments);
    va_end(arguments);
    if (length < 0) { /* a wide character that the locale cannot write: nothing is added */
        length = 0;
    } else if ((size_t)length >= text->capacity - text->length) {
        reserve(text, (size_t)length);
        vsnprintf(text->data + text->length, text->capacity - text->length, format, again);
    }
    va_end(again);
    text->length += (size_t)length;
    text->data[text->length] = '\0';
}

void talk_text_clear(talk_text *text)
{
    text->length = 0;
    if (text->data) {
        text->data[0] = '\0';
    }
}

void talk_text_free(talk_text *text)
{
    free(text->data);
    *text = (talk_text){0};
}
