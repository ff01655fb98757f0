/*
 * Displays: lines of text, or an image.
 *
 * `set` with lines changes those lines and leaves the others as they are; after an image the others
 * are empty. What is published is everything that is shown, so that the newest publication alone is
 * enough: all the lines, or the image. The bus sends only the pages that changed.
 */
#include "classes.h"
#include "devices.h"
#include "font.h"
#include "node.h"
#include "request_queue.h"

#include "ground.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAW_WITHIN INT64_C(5000000)
#define MAX_LINES   8
#define PAGE_ROWS   8 /* pixels: a page holds a line of text */

typedef struct display {
    struct json_object *shown;   /* as it is published */
    struct json_object *drawing; /* what will be shown when `drawing_serial` is done, or NULL */
    uint64_t drawing_serial;
} display;

static void destroy(hub_device *device)
{
    display *display = device->state;

    json_object_put(display->shown);
    json_object_put(display->drawing);
    free(display);
}

static const display_ops *ops_of(const hub_device *device)
{
    return device->driver->display;
}

static size_t frame_size(const hub_device *device)
{
    return (size_t)ops_of(device)->pages * ops_of(device)->columns;
}

static unsigned n_lines(const hub_device *device)
{
    return ops_of(device)->pages < MAX_LINES ? ops_of(device)->pages : MAX_LINES;
}

static unsigned line_length(const hub_device *device)
{
    return ops_of(device)->columns / FONT_ADVANCE;
}

/* "line-0" to "line-7": the number; -1: another member. */
static int line_of(const hub_device *device, const char *member)
{
    if (strncmp(member, "line-", 5) != 0 || member[5] < '0' || member[5] > '9' || member[6]) {
        return -1;
    }
    return member[5] - '0' < (int)n_lines(device) ? member[5] - '0' : -1;
}

/* ---- what is shown ---- */

static struct json_object *blank(const hub_device *device)
{
    struct json_object *content = json_object_new_object();
    char member[8];

    for (unsigned line = 0; line < n_lines(device); line++) {
        snprintf(member, sizeof(member), "line-%u", line % MAX_LINES);
        json_object_object_add(content, member, json_object_new_string(""));
    }
    return content;
}

/* What will be shown after a request: its lines among those that are there, or its image. */
static struct json_object *merge(const hub_device *device, struct json_object *payload)
{
    const display *display = device->state;
    struct json_object *raw, *content;

    if (json_object_object_get_ex(payload, "raw", &raw)) {
        content = json_object_new_object();
        json_object_object_add(content, "raw", json_object_get(raw));
        return content;
    }
    content = blank(device);
    for (int i = 0; i < 2; i++) {
        struct json_object *from = i == 0 ? display->shown : payload;
        if (!from) {
            continue;
        }
        json_object_object_foreach(from, member, text)
        {
            if (line_of(device, member) >= 0) {
                json_object_object_add(content, member, json_object_get(text));
            }
        }
    }
    return content;
}

static void draw_line(const hub_device *device, uint8_t *page, const char *text)
{
    uint32_t character;

    for (unsigned i = 0; i < line_length(device) && (character = font_next(&text)); i++) {
        memcpy(page + (size_t)i * FONT_ADVANCE, font_glyph(character), FONT_WIDTH);
    }
}

/* The command that draws it. */
static message *draw(const hub_device *device, struct json_object *content)
{
    message *command = message_new(MESSAGE_DRAW, frame_size(device));
    struct json_object *raw;
    talk_encoding encoding;
    char why[TALK_MAX_WHY];

    if (json_object_object_get_ex(content, "raw", &raw)) {
        talk_data_decode(json_object_get_string(raw), command->data, frame_size(device), &encoding,
                         why, sizeof(why));
        return command;
    }
    json_object_object_foreach(content, member, text)
    {
        int line = line_of(device, member);
        if (line >= 0) {
            draw_line(device, command->data + (size_t)line * ops_of(device)->columns,
                      json_object_get_string(text));
        }
    }
    return command;
}

/* ---- requests ---- */

static talk_error read_raw(const hub_device *device, const struct json_object *raw, char *why,
                           size_t why_size)
{
    size_t size = frame_size(device);
    talk_encoding encoding = TALK_HEX;
    char wrong[TALK_MAX_WHY];
    uint8_t *bytes = malloc(size);
    int length = -1;

    if (!bytes) {
        base_out_of_memory();
    }
    if (json_object_is_type(raw, json_type_string)) {
        length = talk_data_decode(json_object_get_string((struct json_object *)raw), bytes, size,
                                  &encoding, wrong, sizeof(wrong));
    }
    free(bytes);
    if (length == (int)size && encoding == TALK_BASE64) {
        return TALK_OK;
    }
    snprintf(why, why_size,
             "raw must be %zu bytes in base64: pages from the top, columns from the "
             "left, the upper pixel in the lowest bit",
             size);
    return TALK_BAD_PAYLOAD;
}

/* Whether it can be shown: lines, or an image. */
static talk_error check(const hub_device *device, struct json_object *payload, char *why,
                        size_t why_size)
{
    struct json_object *raw;
    bool has_raw, has_lines = false;

    has_raw = json_object_object_get_ex(payload, "raw", &raw);
    json_object_object_foreach(payload, member, text)
    {
        if (line_of(device, member) < 0) {
            continue;
        }
        has_lines = true;
        if (json_object_is_type(text, json_type_string) &&
            font_length(json_object_get_string(text)) <= line_length(device)) {
            continue;
        }
        snprintf(why, why_size, "%s must be a text of at most %u characters", member,
                 line_length(device));
        return TALK_BAD_PAYLOAD;
    }
    if (has_raw != has_lines) {
        return has_raw ? read_raw(device, raw, why, why_size) : TALK_OK;
    }
    snprintf(why, why_size,
             "either lines are needed (line-0 to line-%u, texts of at most %u "
             "characters) or raw (an image)",
             n_lines(device) - 1, line_length(device));
    return TALK_BAD_PAYLOAD;
}

static talk_error parse(hub_device *device, request *request, char *why, size_t why_size)
{
    return request->form == TALK_SET ? check(device, request->payload, why, why_size) : TALK_OK;
}

static void begin(hub_device *device, request *request)
{
    display *display = device->state;

    if (request->form == TALK_GET) {
        request_answer(request, device->topic, json_object_get(display->shown));
        return;
    }
    json_object_put(display->drawing);
    /* A request of the hub's own draws again what was shown. */
    display->drawing =
        request->payload ? merge(device, request->payload) : json_object_get(display->shown);
    display->drawing_serial = request->serial;
    request->command = draw(device, display->drawing);
    request_send(device, request, DRAW_WITHIN);
}

static void on_result(hub_device *device, request *request, const message *result)
{
    display *display = device->state;

    if (result->error < 0 || result->serial != display->drawing_serial) {
        if (request) {
            request_refuse_errno(request, device, result->error < 0 ? result->error : -EIO);
        }
        return;
    }
    json_object_put(display->shown);
    display->shown = display->drawing;
    display->drawing = NULL;
    if (!request || request->asker) {
        device_remember_shown(device, json_object_get(display->shown));
    }
    device_publish(device, json_object_get(display->shown), request ? request->asker : 0);
    if (request) {
        request_answer(request, device->topic, json_object_get(display->shown));
    }
}

/* ---- appearing ---- */

/* The display is on and blank: what it showed before is drawn again. */
static void redraw(hub_device *device)
{
    request_own(device, TALK_SET, NULL);
    device_pump(device);
}

static void on_event(hub_device *device, const message *event)
{
    if (event->type == MESSAGE_RECOVERED) {
        redraw(device);
    }
}

static void on_found(hub_device *device, const message *found, message *adopt)
{
    display *display = device->state;

    (void)found;
    (void)adopt;
    if (display->shown) {
        redraw(device);
        return;
    }
    display->shown = blank(device);
    device_publish(device, json_object_get(display->shown), 0);
}

/* What an earlier hub has shown is drawn as soon as the display is there. */
static void create(hub_device *device)
{
    display *display = device->state = hub_allocate(1, sizeof(*display));
    struct json_object *shown = device_remembered_shown(device);
    char why[TALK_MAX_MESSAGE];

    if (json_object_is_type(shown, json_type_object) &&
        check(device, shown, why, sizeof(why)) == TALK_OK) {
        display->shown = merge(device, shown);
    }
}

const hub_class class_display = {
    .forms = 1u << TALK_SET,
    .create = create,
    .free = destroy,
    .parse = parse,
    .begin = begin,
    .result = on_result,
    .event = on_event,
    .found = on_found,
};
