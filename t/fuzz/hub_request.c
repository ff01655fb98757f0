/*
 * Fuzz target: whatever lines come in, in whatever order and while devices come and go, the hub
 * neither crashes nor spins, and each line has exactly one final answer.
 *
 * The input is lines. One that begins with '@' lets 50 ms pass for each of its bytes; '!' and '+'
 * unplug and plug in the chip at the address in the next byte; all others are requests.
 */
#include "hub_bench.h"

static const struct {
    const char *chip;
    uint8_t address;
} chips[] = {
    {"tmp112", 0x48},       {"mpl3115a2", 0x60}, {"relay-module", 0x3b},
    {"relay-module", 0x3f}, {"ssd1306", 0x3c},   {"pcf8574", 0x20},
};

static bench *house(void)
{
    bench *b = bench_new();

    b->node.led = "sim";
    for (size_t i = 0; i < sizeof(chips) / sizeof(*chips); i++) {
        assert_true(sim_add(b->sim[0], chips[i].chip, chips[i].address));
    }
    bench_pin(b, "relay/i2c0-20", "pcf8574", NULL);
    bench_pin(b, "relay/i2c0-3b", NULL, "interlock=motor", NULL);
    bench_pin(b, "relay/i2c0-3f", NULL, "interlock=motor", "power-on=off", NULL);
    bench_start(b);
    return b;
}

static void take_line(bench *b, const char *line, size_t length)
{
    if (length && line[0] == '@') {
        bench_run(b, (double)(length % 200) * 0.05);
    } else if (length > 1 && line[0] == '!') {
        sim_unplug(b->sim[0], line[1] & 0x7f);
    } else if (length > 1 && line[0] == '+') {
        sim_plug(b->sim[0], line[1] & 0x7f);
    } else {
        hub_request(b->hub, BENCH_NODE, ALL_RIGHTS, ++b->asked, line, length);
    }
}

static void check_answers(const bench *b)
{
    unsigned *finals = calloc(b->asked + 1, sizeof(*finals));

    assert_non_null(finals);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].kind == LINE_REPLY) {
            finals[b->lines[i].asker] += b->lines[i].last;
        }
    }
    for (uint64_t asker = 1; asker <= b->asked; asker++) {
        if (finals[asker] != 1) {
            abort();
        }
    }
    free(finals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bench *b = house();
    const char *at = (const char *)data, *end = at + size;

    while (at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((feed ? feed : end) - at);
        take_line(b, at, length);
        at += length + 1;
    }
    bench_run(b, 1);
    bench_stop(b);
    check_answers(b);
    bench_free(b);
    return 0;
}
