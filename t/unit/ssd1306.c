/* The SSD1306 driver: what is sent can be seen, on adapters of either kind. */
#include "driver.h"

static const display_ops *display(const bench *b)
{
    return b->device.driver->display;
}

static int64_t init(bench *b, unsigned *steps)
{
    for (*steps = 0; *steps < MAX_STEPS; (*steps)++) {
        device_step result = display(b)->init(&b->device, *steps);
        if (result <= 0) {
            return result;
        }
        bench_wait(b, result);
    }
    return -ETIMEDOUT;
}

static void fill(uint8_t page[128], unsigned seed)
{
    for (unsigned i = 0; i < 128; i++) {
        page[i] = (uint8_t)(seed * 31 + i * 7 + 1);
    }
}

static void assert_page(const bench *b, unsigned page, const uint8_t expected[128])
{
    uint8_t image[SIM_DISPLAY_SIZE];
    assert_true(sim_display_read(b->sim, b->device.address, image));
    assert_memory_equal(image + 128 * page, expected, 128);
}

static void init_clears_page_by_page_and_switches_on(void **state)
{
    (void)state;
    bench *b = bench_open("ssd1306", "ssd1306", 0x3c);
    uint8_t status;
    unsigned steps;
    const uint8_t blank[128] = {0};
    assert_int_equal(init(b, &steps), 0);
    assert_true(steps >= 8); /* others get the bus in between */
    assert_int_equal(i2c_transfer(b->sim, 0x3c, NULL, 0, &status, 1), 0);
    assert_false(status & 0x40); /* it is on */
    for (unsigned page = 0; page < 8; page++) {
        assert_page(b, page, blank);
    }
    bench_close(b);
}

static void a_page_changes_nothing_else(void **state)
{
    (void)state;
    bench *b = bench_open("ssd1306", "ssd1306", 0x3d);
    uint8_t pages[8][128] = {{0}};
    unsigned steps;
    assert_int_equal(init(b, &steps), 0);
    for (unsigned i = 0; i < 24; i++) { /* in no particular order, some twice */
        unsigned page = i * 5 % 8;
        fill(pages[page], i);
        assert_int_equal(display(b)->write_page(&b->device, page, pages[page]), 0);
        for (unsigned j = 0; j < 8; j++) {
            assert_page(b, j, pages[j]);
        }
    }
    assert_int_equal(display(b)->write_page(&b->device, 8, pages[0]), -EINVAL);
    bench_close(b);
}

static void pieces_do_where_the_adapter_knows_smbus_only(void **state)
{
    (void)state;
    bench *b = bench_open("ssd1306", "ssd1306", 0x3c);
    uint8_t page[128];
    unsigned steps;
    inject(b, (fault_rule){FAULT_ERROR, .directions = FAULT_WRITES, .reg = 0x40, .count = 1,
                           .error = -EOPNOTSUPP});
    assert_int_equal(init(b, &steps), 0);
    fill(page, 3);
    unsigned before = fault_bus_transfers(b->bus);
    inject(b, (fault_rule){FAULT_ERROR, .directions = FAULT_WRITES, .reg = 0x40, .count = 1,
                           .error = -EOPNOTSUPP});
    assert_int_equal(display(b)->write_page(&b->device, 5, page), 0);
    assert_int_equal(fault_bus_transfers(b->bus) - before, 1 + 1 + 1 + 4); /* 32 bytes each */
    assert_page(b, 5, page);
    bench_close(b);
}

static void a_display_that_lost_power_is_noticed(void **state)
{
    (void)state;
    bench *b = bench_open("ssd1306", "ssd1306", 0x3c);
    uint8_t page[128];
    unsigned steps;
    assert_int_equal(init(b, &steps), 0);
    sim_unplug(b->sim, 0x3c);
    fill(page, 1);
    assert_int_equal(display(b)->write_page(&b->device, 0, page), -ENXIO);
    sim_plug(b->sim, 0x3c);
    assert_int_equal(display(b)->write_page(&b->device, 0, page), DEVICE_LOST_POWER);
    assert_int_equal(init(b, &steps), 0);
    assert_int_equal(display(b)->write_page(&b->device, 0, page), 0);
    assert_page(b, 0, page);
    bench_close(b);
}

static void bus_errors_come_through(void **state)
{
    (void)state;
    bench *b = bench_open("ssd1306", "ssd1306", 0x3c);
    uint8_t page[128] = {0};
    unsigned steps;
    for (unsigned i = 0; i < 18; i++) {
        inject(b, (fault_rule){FAULT_ERROR, .reg = -1, .skip = i, .count = 1, .error = -EIO});
        assert_int_equal(init(b, &steps), -EIO);
    }
    assert_int_equal(init(b, &steps), 0);
    for (unsigned i = 0; i < 3; i++) {
        inject(b, (fault_rule){FAULT_ERROR, .reg = -1, .skip = i, .count = 1, .error = -EIO});
        assert_int_equal(display(b)->write_page(&b->device, 0, page), -EIO);
    }
    bench_close(b);
}

static void probe_only_reads(void **state)
{
    (void)state;
    char why[256];
    bench *b = bench_open("ssd1306", "ssd1306", 0x3c);
    assert_int_equal(bench_probe(b, why, sizeof why), 0);
    assert_int_equal(sim_written(b->sim, 0x3c), 0);
    sim_unplug(b->sim, 0x3c);
    assert_int_equal(bench_probe(b, why, sizeof why), -ENXIO);
    bench_close(b);
}

/* Its status is read twice; and one that always says "off" is not believed. */
static void its_word_is_checked(void **state)
{
    (void)state;
    for (int always = 0; always < 2; always++) {
        bench *b = bench_open("ssd1306", "ssd1306", 0x3c);
        uint8_t page[128] = {0};
        unsigned steps;
        fault_rule off = {FAULT_GARBAGE, .directions = FAULT_READS, .reg = -1, .garbage = 0x43};
        if (always) {
            inject(b, off);
        }
        assert_int_equal(init(b, &steps), 0);
        if (!always) {
            off.count = 1;
            inject(b, off);
        }
        assert_int_equal(b->device.driver->present(&b->device), 0);
        fill(page, 1);
        assert_int_equal(display(b)->write_page(&b->device, 2, page), 0);
        assert_page(b, 2, page);
        bench_close(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_clears_page_by_page_and_switches_on),
        cmocka_unit_test(a_page_changes_nothing_else),
        cmocka_unit_test(pieces_do_where_the_adapter_knows_smbus_only),
        cmocka_unit_test(a_display_that_lost_power_is_noticed),
        cmocka_unit_test(its_word_is_checked),
        cmocka_unit_test(bus_errors_come_through),
        cmocka_unit_test(probe_only_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
