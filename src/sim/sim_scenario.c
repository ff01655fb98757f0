#include "sim_scenario.h"

#include "base/append.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_C_0_18 (18 << 8)
#define MAX_DEPTH   16

/* Where the reader is, and what was wrong. */
typedef struct reader {
    char path[96]; /* "chips[2].temperature" */
    char *why;
    size_t why_size;
} reader;

__attribute__((format(printf, 3, 4))) static bool refuse(const reader *r, const char *member,
                                                         const char *format, ...)
{
    int n = snprintf(r->why, r->why_size, "%s%s%s: ", r->path, r->path[0] && member[0] ? "." : "",
                     member);
    if (n > 0 && (size_t)n < r->why_size) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(r->why + n, r->why_size - (size_t)n, format, arguments);
        va_end(arguments);
    }
    return false;
}

/* ---- members ---- */

static bool check_object(const reader *r, json_object *value)
{
    return json_object_is_type(value, json_type_object) || refuse(r, "", "must be an object");
}

/* A number within min..max. True without touching *to where it is absent and need not be there. */
static bool read_number(const reader *r, json_object *object, const char *member, bool needed,
                        double min, double max, double *to)
{
    json_object *value;
    if (!json_object_object_get_ex(object, member, &value)) {
        return !needed || refuse(r, member, "is missing; it must be a number");
    }
    if (!json_object_is_type(value, json_type_int) &&
        !json_object_is_type(value, json_type_double)) {
        return refuse(r, member, "must be a number");
    }
    double number = json_object_get_double(value);
    if (!(number >= min && number <= max)) {
        return refuse(r, member, "must be a number from %g to %g", min, max);
    }
    *to = number;
    return true;
}

static bool read_string(const reader *r, json_object *object, const char *member, bool needed,
                        const char **to)
{
    json_object *value;
    if (!json_object_object_get_ex(object, member, &value)) {
        return !needed || refuse(r, member, "is missing; it must be a string");
    }
    if (!json_object_is_type(value, json_type_string)) {
        return refuse(r, member, "must be a string");
    }
    *to = json_object_get_string(value);
    return true;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static void join(char *text, size_t size, const char *const *names)
{
    text[0] = '\0';
    for (size_t i = 0; names[i]; i++) {
        base_append_item(text, size, names[i]);
    }
}

static bool check_members(const reader *r, json_object *object, const char *const *names)
{
    json_object_object_foreach(object, key, value)
    {
        (void)value;
        if (!is_one_of(key, names)) {
            char list[256];
            join(list, sizeof list, names);
            return refuse(r, key, "is not known here; the members are %s", list);
        }
    }
    return true;
}

/* ---- signals ---- */

/*
 * The least time between the steps of a random walk: it makes up for the steps that were not seen.
 */
#define MIN_STEP_INTERVAL 0.01

static bool read_sine(const reader *r, json_object *o, const sim_input *input, sim_signal *signal)
{
    static const char *const members[] = {"wave", "mean", "amplitude", "period", "phase", NULL};
    return check_members(r, o, members) &&
           read_number(r, o, "mean", true, input->min, input->max, &signal->value) &&
           read_number(r, o, "amplitude", true, 0, input->max - input->min, &signal->amplitude) &&
           read_number(r, o, "period", true, 0.001, 1e9, &signal->period) &&
           read_number(r, o, "phase", false, 0, 1, &signal->phase);
}

static bool read_ramp(const reader *r, json_object *o, const sim_input *input, sim_signal *signal)
{
    static const char *const members[] = {"wave", "from", "to", "duration", "repeat", NULL};
    json_object *repeat;
    if (json_object_object_get_ex(o, "repeat", &repeat)) {
        if (!json_object_is_type(repeat, json_type_boolean)) {
            return refuse(r, "repeat", "must be true or false");
        }
        signal->repeat = json_object_get_boolean(repeat);
    }
    return check_members(r, o, members) &&
           read_number(r, o, "from", true, input->min, input->max, &signal->value) &&
           read_number(r, o, "to", true, input->min, input->max, &signal->end) &&
           read_number(r, o, "duration", true, 0.001, 1e9, &signal->period);
}

static bool read_random_walk(const reader *r, json_object *o, const sim_input *input,
                             sim_signal *signal)
{
    static const char *const members[] = {"wave", "start", "step", "interval",
                                          "min",  "max",   "seed", NULL};
    double seed = 0;
    signal->min = input->min;
    signal->max = input->max;
    signal->period = 1;
    if (!check_members(r, o, members) ||
        !read_number(r, o, "min", false, input->min, input->max, &signal->min) ||
        !read_number(r, o, "max", false, signal->min, input->max, &signal->max) ||
        !read_number(r, o, "start", true, signal->min, signal->max, &signal->value) ||
        !read_number(r, o, "step", true, 0, input->max - input->min, &signal->amplitude) ||
        !read_number(r, o, "interval", false, MIN_STEP_INTERVAL, 1e9, &signal->period) ||
        !read_number(r, o, "seed", false, 0, 9007199254740992.0, &seed)) { /* 2^53 */
        return false;
    }
    signal->seed = (uint64_t)seed;
    return true;
}

/* A number, or an object with a wave. */
static bool read_signal(const reader *r, json_object *value, const sim_input *input,
                        sim_signal *signal)
{
    const char *wave;
    if (json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double)) {
        signal->value = json_object_get_double(value);
        return (signal->value >= input->min && signal->value <= input->max) ||
               refuse(r, "", "must be from %g to %g", input->min, input->max);
    }
    if (!json_object_is_type(value, json_type_object)) {
        return refuse(r, "", "must be a number, or an object with a wave");
    }
    if (!read_string(r, value, "wave", true, &wave)) {
        return false;
    }
    if (strcmp(wave, "sine") == 0) {
        signal->wave = SIM_SINE;
        return read_sine(r, value, input, signal);
    }
    if (strcmp(wave, "ramp") == 0) {
        signal->wave = SIM_RAMP;
        return read_ramp(r, value, input, signal);
    }
    if (strcmp(wave, "random-walk") == 0) {
        signal->wave = SIM_RANDOM_WALK;
        return read_random_walk(r, value, input, signal);
    }
    return refuse(r, "wave", "must be sine, ramp or random-walk, not \"%s\"", wave);
}

/* ---- events ---- */

static bool read_what(const reader *r, json_object *object, sim_event *event)
{
    const char *name;
    if (!read_string(r, object, "event", true, &name)) {
        return false;
    }
    if (strcmp(name, "unplugged") == 0) {
        event->what = SIM_UNPLUGGED;
        return true;
    }
    for (event->what = 0; event->what < SIM_N_FAULTS; event->what++) {
        if (strcmp(name, sim_fault_names[event->what]) == 0) {
            return true;
        }
    }
    return refuse(r, "event",
                  "must be unplugged, no-acknowledge, stuck, slow, wrong-crc or garbage, "
                  "not \"%s\"",
                  name);
}

static bool read_event(const reader *r, json_object *object, sim_event *event)
{
    static const char *const members[] = {"event", "at", "for", "every", "delay", NULL};
    *event = (sim_event){.amount = 1, .length = INFINITY, .every = INFINITY};
    if (!check_object(r, object) || !check_members(r, object, members) ||
        !read_what(r, object, event) || !read_number(r, object, "at", false, 0, 1e9, &event->at) ||
        !read_number(r, object, "for", false, 0, 1e9, &event->length) ||
        !read_number(r, object, "every", false, 0.001, 1e9, &event->every)) {
        return false;
    }
    if (event->what == SIM_SLOW) {
        return read_number(r, object, "delay", true, 0, 60, &event->amount);
    }
    if (json_object_object_get_ex(object, "delay", NULL)) {
        return refuse(r, "delay", "belongs to the event slow alone");
    }
    return true;
}

/* Reads an array's elements, each with its place in the path. */
static bool read_events(reader *r, json_object *object, sim_scenario_chip *chip)
{
    json_object *array;
    if (!json_object_object_get_ex(object, "events", &array)) {
        return true;
    }
    if (!json_object_is_type(array, json_type_array)) {
        return refuse(r, "events", "must be an array of objects");
    }
    size_t n = json_object_array_length(array), end = strlen(r->path);
    if (n == 0) {
        return true;
    }
    chip->events = calloc(n, sizeof *chip->events);
    if (!chip->events) {
        return refuse(r, "events", "out of memory");
    }
    for (; chip->n_events < n; chip->n_events++) {
        snprintf(r->path + end, sizeof r->path - end, ".events[%zu]", chip->n_events);
        if (!read_event(r, json_object_array_get_idx(array, chip->n_events),
                        &chip->events[chip->n_events])) {
            return false;
        }
    }
    r->path[end] = '\0';
    return true;
}

/* ---- chips ---- */

static bool read_chip_name(const reader *r, json_object *object, sim_scenario_chip *chip)
{
    const char *names[32] = {0}, *name;
    char list[256];
    if (!read_string(r, object, "chip", true, &name)) {
        return false;
    }
    if ((chip->ops = sim_chip_by_name(name))) {
        return true;
    }
    for (size_t i = 0; i < 31 && sim_chips[i]; i++) {
        names[i] = sim_chips[i]->name;
    }
    join(list, sizeof list, names);
    return refuse(r, "chip", "must be one of %s, not \"%s\"", list, name);
}

static bool read_address(const reader *r, json_object *object, sim_scenario_chip *chip)
{
    const char *text;
    if (!read_string(r, object, "address", true, &text)) {
        return false;
    }
    char expected[3], list[64] = "";
    for (const uint8_t *a = chip->ops->addresses; *a; a++) {
        snprintf(expected, sizeof expected, "%02x", *a);
        if (strcmp(text, expected) == 0) {
            chip->address = *a;
            return true;
        }
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s\"%s\"", n ? ", " : "", expected);
    }
    return refuse(r, "address", "must be one of %s for %s, not \"%s\"", list, chip->ops->name,
                  text);
}

static bool read_inputs(reader *r, json_object *object, sim_scenario_chip *chip)
{
    size_t end = strlen(r->path);
    for (unsigned i = 0; i < SIM_MAX_INPUTS && chip->ops->inputs[i].name; i++) {
        const sim_input *input = &chip->ops->inputs[i];
        json_object *value;
        chip->inputs[i].value = input->value;
        if (!json_object_object_get_ex(object, input->name, &value)) {
            continue;
        }
        snprintf(r->path + end, sizeof r->path - end, ".%s", input->name);
        if (!read_signal(r, value, input, &chip->inputs[i])) {
            return false;
        }
        r->path[end] = '\0';
    }
    return true;
}

static bool read_chip(reader *r, json_object *object, sim_scenario_chip *chip)
{
    const char *members[4 + SIM_MAX_INPUTS] = {"chip", "address", "events"};
    if (!check_object(r, object) || !read_chip_name(r, object, chip)) {
        return false;
    }
    for (unsigned i = 0; i < SIM_MAX_INPUTS; i++) {
        members[3 + i] = chip->ops->inputs[i].name;
    }
    return check_members(r, object, members) && read_address(r, object, chip) &&
           read_inputs(r, object, chip) && read_events(r, object, chip);
}

/* Whether the two want one address. */
static bool collide(const sim_scenario_chip *a, const sim_scenario_chip *b)
{
    uint8_t ca = a->ops->companion, cb = b->ops->companion;
    return a->address == b->address || a->address == cb || ca == b->address || (ca && ca == cb);
}

static bool read_chips(reader *r, json_object *array, sim_scenario *scenario)
{
    size_t n = json_object_array_length(array);
    scenario->chips = calloc(n ? n : 1, sizeof *scenario->chips);
    if (!scenario->chips) {
        return refuse(r, "chips", "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        sim_scenario_chip *chip = &scenario->chips[scenario->n_chips++];
        snprintf(r->path, sizeof r->path, "chips[%zu]", i);
        if (!read_chip(r, json_object_array_get_idx(array, i), chip)) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (collide(&scenario->chips[j], chip)) {
                return refuse(r, "address", "%02x and chips[%zu] want one address", chip->address,
                              j);
            }
        }
    }
    r->path[0] = '\0';
    return true;
}

/* ---- the whole ---- */

static bool copy_string(const reader *r, json_object *object, const char *member, char **to)
{
    const char *text = NULL;
    if (!read_string(r, object, member, false, &text)) {
        return false;
    }
    if (text && text[0] == '\0') {
        return refuse(r, member, "must be the name of a file");
    }
    if (text && !(*to = strdup(text))) {
        return refuse(r, member, "out of memory");
    }
    return true;
}

static bool read_scenario(reader *r, json_object *root, sim_scenario *scenario)
{
    static const char *const members[] = {"chips", "clock-frequency", "memory", "trace", NULL};
    json_object *chips;
    if (!json_object_is_type(root, json_type_object)) {
        return refuse(r, "the scenario", "must be an object");
    }
    if (!check_members(r, root, members) ||
        !read_number(r, root, "clock-frequency", false, 1000, 5e6, &scenario->clock_frequency) ||
        !copy_string(r, root, "memory", &scenario->memory) ||
        !copy_string(r, root, "trace", &scenario->trace)) {
        return false;
    }
    if (!json_object_object_get_ex(root, "chips", &chips) ||
        !json_object_is_type(chips, json_type_array)) {
        return refuse(r, "chips", "must be an array of objects");
    }
    return read_chips(r, chips, scenario);
}

/* json-c 0.18, when strict, takes bytes of UTF-8 above 0x7f for control characters. */
static bool can_be_strict(const char *text, size_t length)
{
    for (size_t i = 0; i < length && json_c_version_num() == JSON_C_0_18; i++) {
        if ((unsigned char)text[i] > 0x7f) {
            return false;
        }
    }
    return true;
}

static json_object *parse_json(const char *text, size_t length, char *why, size_t why_size)
{
    json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
    if (!tokener) {
        snprintf(why, why_size, "out of memory");
        return NULL;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8 |
                                        (can_be_strict(text, length) ? JSON_TOKENER_STRICT : 0));
    while (length > 0 && strchr(" \t\r\n", text[length - 1])) {
        length--; /* strict means that nothing may follow */
    }
    json_object *root = json_tokener_parse_ex(tokener, text, (int)length);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    if (error != json_tokener_success) {
        size_t line = 1, end = json_tokener_get_parse_end(tokener);
        for (size_t i = 0; i < end && i < length; i++) {
            line += text[i] == '\n';
        }
        snprintf(why, why_size, "line %zu: %s", line,
                 error == json_tokener_continue ? "the file ends too early"
                                                : json_tokener_error_desc(error));
        json_object_put(root);
        root = NULL;
    } else if (!root) {
        snprintf(why, why_size, "the scenario: must be an object");
    }
    json_tokener_free(tokener);
    return root;
}

sim_scenario *sim_scenario_parse(const char *text, size_t length, char *why, size_t why_size)
{
    reader r = {.why = why, .why_size = why_size};
    if (length > SIM_SCENARIO_MAX_SIZE) {
        snprintf(why, why_size, "a scenario has at most %d bytes", SIM_SCENARIO_MAX_SIZE);
        return NULL;
    }
    json_object *root = parse_json(text, length, why, why_size);
    if (!root) {
        return NULL;
    }
    sim_scenario *scenario = calloc(1, sizeof *scenario);
    if (!scenario) {
        snprintf(why, why_size, "out of memory");
    } else if (!read_scenario(&r, root, scenario)) {
        sim_scenario_free(scenario);
        scenario = NULL;
    }
    json_object_put(root);
    return scenario;
}

sim_scenario *sim_scenario_load(const char *file, char *why, size_t why_size)
{
    sim_scenario *scenario = NULL;
    char reason[512];
    FILE *stream = fopen(file, "re");
    char *text = malloc(SIM_SCENARIO_MAX_SIZE + 1);
    if (!stream || !text) {
        snprintf(reason, sizeof reason, "%s", strerror(errno));
    } else {
        size_t length = fread(text, 1, SIM_SCENARIO_MAX_SIZE + 1, stream);
        if (ferror(stream)) {
            snprintf(reason, sizeof reason, "%s", strerror(errno));
        } else {
            scenario = sim_scenario_parse(text, length, reason, sizeof reason);
        }
    }
    if (!scenario) {
        snprintf(why, why_size, "scenario %s: %s", file, reason);
    }
    free(text);
    if (stream) {
        fclose(stream);
    }
    return scenario;
}

int sim_scenario_check(const char *file, char *why, size_t why_size)
{
    sim_scenario *scenario = sim_scenario_load(file, why, why_size);
    sim_scenario_free(scenario);
    return scenario ? 0 : -EINVAL;
}

void sim_scenario_free(sim_scenario *scenario)
{
    if (!scenario) {
        return;
    }
    for (size_t i = 0; i < scenario->n_chips; i++) {
        free(scenario->chips[i].events);
    }
    free(scenario->chips);
    free(scenario->memory);
    free(scenario->trace);
    free(scenario);
}
