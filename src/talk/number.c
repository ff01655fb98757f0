/* Numbers and quantities as text. */
#include "internal.h"

#include "base/memory.h"

#include <json-c/json.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts a point where printf wrote the locale's, which may be several bytes long. */
static void put_point(char *number)
{
    char *point = number + strspn(number, "-0123456789");
    size_t length = strcspn(point, "0123456789e");

    if (*point == '\0' || *point == 'e') {
        return;
    }
    *point = '.';
    memmove(point + 1, point + length, strlen(point + length) + 1);
}

void talk_number_format(double value, int decimals, char out[TALK_MAX_NUMBER])
{
    value = value == 0 ? 0 : value; /* no -0 */
    if (decimals >= 0) {
        snprintf(out, TALK_MAX_NUMBER, "%.*f", decimals, value);
        if (out[0] == '-' && strpbrk(out, "123456789") == NULL) {
            memmove(out, out + 1, strlen(out)); /* no -0.00 */
        }
    } else {
        /* 15 digits are kept by every double, 17 keep every double (DBL_DIG, DBL_DECIMAL_DIG) */
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(out, TALK_MAX_NUMBER, "%.*g", digits, value);
            if (strtod(out, NULL) == value) {
                break;
            }
        }
    }
    put_point(out);
}

struct json_object *talk_quantity(double value, int decimals, const char *unit)
{
    struct json_object *quantity = base_must(json_object_new_array_ext(2));
    struct json_object *number = NULL; /* null */
    char text[TALK_MAX_NUMBER];

    if (isfinite(value)) {
        decimals = decimals < 0 ? 0 : decimals > 9 ? 9 : decimals;
        talk_number_format(value, decimals, text);
        number = base_must(json_object_new_double_s(value, text));
    }
    if (json_object_array_add(quantity, number) < 0 ||
        json_object_array_add(quantity, base_must(json_object_new_string(unit))) < 0) {
        base_out_of_memory();
    }
    return quantity;
}

bool talk_whole_number(const struct json_object *value, int64_t least, int64_t most,
                       int64_t *number)
{
    double read;

    if (!json_object_is_type(value, json_type_int) &&
        !json_object_is_type(value, json_type_double)) {
        return false;
    }
    read = json_object_get_double(value);
    if (!(read >= (double)least && read <= (double)most) || read != floor(read)) {
        return false;
    }
    *number = (int64_t)read;
    return true;
}
