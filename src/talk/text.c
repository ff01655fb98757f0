/* Growing text, explanations, UTF-8: what the other files stand on. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *talk_must(void *memory)
{
    if (memory == NULL) {
        fputs("clown.talk: out of memory\n", stderr);
        abort();
    }
    return memory;
}

/* Makes room for `more` bytes and the NUL. */
static void reserve(talk_text *text, size_t more)
{
    size_t capacity = text->capacity ? text->capacity : 128;

    if (more >= SIZE_MAX / 2 - text->length)
        talk_must(NULL);
    while (capacity - text->length <= more)
        capacity *= 2;
    if (capacity == text->capacity)
        return;
    text->data = talk_must(realloc(text->data, capacity));
    text->capacity = capacity;
}

void talk_text_add(talk_text *text, const char *data, size_t length)
{
    reserve(text, length);
    if (length > 0)
        memcpy(text->data + text->length, data, length);
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
    if (text->data)
        text->data[0] = '\0';
}

void talk_text_free(talk_text *text)
{
    free(text->data);
    *text = (talk_text){0};
}

size_t talk_utf8_length(const char *text, const char *end)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t left = (size_t)(end - text), length;
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */

    if (left == 0)
        return 0;
    if (c[0] < 0x80)
        return 1;
    if (c[0] < 0xc2 || c[0] > 0xf4)
        return 0;
    length = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    if (c[0] == 0xe0)
        low = 0xa0; /* below: overlong */
    else if (c[0] == 0xed)
        high = 0x9f; /* above: surrogates */
    else if (c[0] == 0xf0)
        low = 0x90; /* below: overlong */
    else if (c[0] == 0xf4)
        high = 0x8f; /* above: beyond U+10FFFF */
    if (left < length || c[1] < low || c[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

void talk_vwhy(char *why, size_t size, const char *format, va_list arguments)
{
    char *at = why, *end;

    if (size == 0)
        return;
    if (vsnprintf(why, size, format, arguments) < 0)
        why[0] = '\0';
    end = why + strlen(why);
    while (at < end) {
        size_t length = talk_utf8_length(at, end);

        if (length == 0 && (size_t)(end - why) == size - 1 && end - at < 4) {
            *at = '\0'; /* a character that was cut in two */
            return;
        }
        if (length == 0 || (unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
        at += length ? length : 1;
    }
}

void talk_why(char *why, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    talk_vwhy(why, size, format, arguments);
    va_end(arguments);
}

static bool is_blank(const char *line, size_t length)
{
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t' ||
                          line[length - 1] == '\r'))
        length--;
    return length == 0;
}

bool talk_next_line(const char **at, const char *end, const char **line, size_t *length)
{
    while (*at < end) {
        const char *feed = memchr(*at, '\n', (size_t)(end - *at));

        *line = *at;
        *length = (size_t)((feed ? feed : end) - *line);
        *at = feed ? feed + 1 : end;
        if (*length > 0 && (*line)[*length - 1] == '\r')
            --*length;
        if (!is_blank(*line, *length))
            return true;
    }
    return false;
}
