/* Text in a buffer of fixed size (src/base/append.h): nothing is ever written behind its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/append.h"

#define CANARY '#'

static void a_list_is_put_together(void **state)
{
    char list[64] = "";

    (void)state;
    base_append_item(list, sizeof(list), "get");
    assert_string_equal(list, "get");
    base_append_item(list, sizeof(list), "set");
    base_append_item(list, sizeof(list), "config/get");
    assert_string_equal(list, "get, set, config/get");
    base_append(list, sizeof(list), " (%d)", 3);
    assert_string_equal(list, "get, set, config/get (3)");
}

/* Whatever the room is, what stands in it is the beginning of the list. */
static void a_list_longer_than_its_room_is_cut_off(void **state)
{
    static const char whole[] = "history/get, history/get, history/get, history/get";
    char buffer[80];

    (void)state;
    for (size_t size = 0; size < sizeof(buffer); size++) {
        memset(buffer, CANARY, sizeof(buffer));
        if (size > 0) {
            buffer[0] = '\0';
        }
        for (int i = 0; i < 4; i++) {
            base_append_item(buffer, size, "history/get");
        }
        for (size_t i = size; i < sizeof(buffer); i++) {
            assert_int_equal(buffer[i], CANARY);
        }
        if (size > 0) {
            const size_t length = size - 1 < strlen(whole) ? size - 1 : strlen(whole);

            assert_int_equal(strlen(buffer), length);
            assert_memory_equal(buffer, whole, length);
        }
    }
}

/* A buffer without a NUL has no room left. */
static void a_buffer_without_an_end_is_left_alone(void **state)
{
    char buffer[8];

    (void)state;
    memset(buffer, CANARY, sizeof(buffer));
    base_append(buffer, 4, "%s", "text");
    base_append_item(buffer, 4, "text");
    assert_memory_equal(buffer, "########", sizeof(buffer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_put_together),
        cmocka_unit_test(a_list_longer_than_its_room_is_cut_off),
        cmocka_unit_test(a_buffer_without_an_end_is_left_alone),
    };

    return cmocka_run_group_tests_name("text in a buffer of fixed size", tests, NULL, NULL);
}
