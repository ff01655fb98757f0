/*
 * A font of 5 by 7 pixels for displays whose memory is organised in pages: a column is a byte, its
 * lowest bit on top. Pure, for any thread.
 */
#ifndef HUB_FONT_H
#define HUB_FONT_H

#include <stddef.h>
#include <stdint.h>

#define FONT_WIDTH   5
#define FONT_ADVANCE 6 /* pixels from one character to the next */

/* The next character of a UTF-8 text, which must be valid; moves the pointer on. 0 at the end. */
uint32_t font_next(const char **text);
/* The number of characters in a UTF-8 text. */
size_t font_length(const char *text);
/*
 * A character's columns. Latin letters with diacritics are drawn without them, and what the font
 * does not have is a box.
 */
const uint8_t *font_glyph(uint32_t character);

#endif
