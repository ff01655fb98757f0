/* A bus's thread without a thread: what it does when, on a clock of its own. */
#include "driver.h"

#include "bus/log.h"
#include "bus/worker.h"

typedef struct stage {
    _Atomic int64_t time; /* microseconds; only sleeps and run_until() move it */
    sim_clock clock;
    i2c_bus *sim;
    bus_environment environment;
    queue outbox;
    worker *worker;
    int64_t slept; /* microseconds, by all calls of worker_run() */
    unsigned found, lost, samples, logged;
    int64_t sampled_at;        /* when the last sample came */
    int64_t longest, shortest; /* times between samples */
    bool looked;
    message *result; /* the last one */
} stage;

static int open_bus(void *baton, i2c_bus **bus, int label, const char *device, char *why,
                    size_t why_size)
{
    stage *s = baton;
    (void)label;
    (void)device;
    (void)why;
    (void)why_size;
    sim_bus_retain(s->sim);
    *bus = s->sim;
    return 0;
}

static int64_t now(void *baton)
{
    return ((stage *)baton)->time;
}

static stage *open_stage(int64_t rescan)
{
    stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->time = 1000000000;
    s->clock = sim_fake_clock(&s->time);
    s->environment = (bus_environment){open_bus, now, true, s};
    assert_non_null(s->sim = sim_bus_create(&s->clock));
    assert_true(queue_init(&s->outbox, false));
    s->worker = worker_create(&(worker_config){
        .device = "sim",
        .modules = true,
        .rescan = rescan,
        .environment = &s->environment,
        .outbox = &s->outbox,
    });
    assert_non_null(s->worker);
    return s;
}

static void close_stage(stage *s)
{
    worker_stop(s->worker, false);
    worker_free(s->worker);
    queue_destroy(&s->outbox);
    message_free(s->result);
    i2c_bus_close(s->sim);
    free(s);
}

static void adopt(stage *s, const message *found)
{
    message *adopt = message_new(MESSAGE_ADOPT, 0);
    bool thermometer = strncmp((const char *)found->data, "thermometer", 11) == 0;
    adopt->unit = found->unit;
    adopt->adopt.interval = thermometer ? 100000 : 0;
    adopt->adopt.pulse = HUB_NEVER;
    worker_post(s->worker, adopt);
    s->found++;
}

static void count_sample(stage *s)
{
    int64_t since = s->time - s->sampled_at;
    if (s->samples++ > 0) {
        s->longest = since > s->longest ? since : s->longest;
        s->shortest = since < s->shortest || s->shortest == 0 ? since : s->shortest;
    }
    s->sampled_at = s->time;
}

/* What the owner would do. */
static void take(stage *s, message *message)
{
    switch (message->type) {
    case MESSAGE_FOUND:
        adopt(s, message);
        break;
    case MESSAGE_LOST:
        s->lost++;
        break;
    case MESSAGE_SAMPLE:
        count_sample(s);
        break;
    case MESSAGE_LOOKED:
        s->looked = true;
        break;
    case MESSAGE_LOG:
        s->logged += message->log.code == CT_DEVICE_MISMATCH;
        break;
    case MESSAGE_RESULT:
        message_free(s->result);
        s->result = message;
        return;
    default:
        break;
    }
    message_free(message);
}

static void run_until(stage *s, int64_t end)
{
    while (s->time < end) {
        message *message;
        int64_t before = s->time;
        int64_t due = worker_run(s->worker);
        s->slept += s->time - before;
        while ((message = queue_take(&s->outbox))) {
            take(s, message);
        }
        if (worker_backlog(s->worker) == 0 && due > s->time) {
            s->time = due < end ? due : end;
        }
    }
}

static void run(stage *s, int64_t microseconds)
{
    run_until(s, s->time + microseconds);
}

static message *transfer(uint8_t address)
{
    message *request = message_new(MESSAGE_TRANSFER, 0);
    request->serial = 1;
    request->transfer.address = address;
    request->transfer.read_length = 1;
    return request;
}

static void the_presence_of_an_sht20_is_one_short_read(void **state)
{
    (void)state;
    stage *s = open_stage(0);
    assert_true(sim_add(s->sim, "sht20", 0x40));
    run(s, 1500000);
    assert_int_equal(s->found, 1);
    s->slept = 0;
    unsigned before = sim_transfers(s->sim, 0x40);
    run(s, 20000000);
    /* Every two seconds, and a conversion would take three transfers. */
    assert_in_range(sim_transfers(s->sim, 0x40) - before, 9, 11);
    assert_int_equal(s->slept, 0);
    assert_int_equal(sim_written(s->sim, 0x40), 0);
    sim_unplug(s->sim, 0x40);
    run(s, 10000000);
    assert_int_equal(s->lost, 1);
    close_stage(s);
}

static void the_probe_of_an_sht20_delays_no_other_device(void **state)
{
    (void)state;
    stage *s = open_stage(50000);
    assert_true(sim_add(s->sim, "tmp112", 0x48));
    run(s, 2000000);
    assert_int_equal(s->found, 1);
    s->samples = 0;
    s->longest = s->shortest = 0;
    for (int i = 0; i < 20; i++) {
        assert_true(i > 0 || sim_add(s->sim, "sht20", 0x40));
        sim_plug(s->sim, 0x40);
        run(s, 4000000 + i * 7000); /* found within three seconds, at any time of the other */
        sim_unplug(s->sim, 0x40);
        run(s, 10000000); /* until it has left */
    }
    assert_int_equal(s->found, 21);
    assert_int_equal(s->lost, 20);
    assert_int_equal(s->slept, 0);
    assert_int_equal(s->shortest, 100000);
    assert_int_equal(s->longest, 100000);
    close_stage(s);
}

static void a_failed_sht20_is_identified_without_a_sleep(void **state)
{
    (void)state;
    stage *s = open_stage(0);
    assert_true(sim_add(s->sim, "sht20", 0x40));
    run(s, 1500000);
    sim_set_fault(s->sim, 0x40, SIM_NO_ACKNOWLEDGE, 1);
    run(s, 2500000);
    sim_set_fault(s->sim, 0x40, SIM_NO_ACKNOWLEDGE, 0);
    run(s, 2500000);
    assert_int_equal(s->lost, 0);
    sim_set_fault(s->sim, 0x40, SIM_NO_ACKNOWLEDGE, 1); /* it fails, and is a different chip then */
    run(s, 2050000);
    sim_set_fault(s->sim, 0x40, SIM_NO_ACKNOWLEDGE, 0);
    sim_set_fault(s->sim, 0x40, SIM_WRONG_CRC, 1);
    run(s, 2500000);
    assert_int_equal(s->lost, 1);
    assert_true(s->logged >= 1);
    assert_int_equal(s->slept, 0);
    close_stage(s);
}

/* The owner is told that the first look is finished when no probe is under way. */
static void the_first_look_ends_with_the_last_probe(void **state)
{
    (void)state;
    stage *s = open_stage(0);
    assert_true(sim_add(s->sim, "sht20", 0x40));
    s->time += 100000;
    run(s, 28000);
    assert_int_equal(s->found, 0);
    assert_false(s->looked);
    run(s, 40000);
    assert_int_equal(s->found, 1);
    assert_true(s->looked);
    close_stage(s);
}

/* A raw transfer does not come between a probe's steps, and a scan sees the chip. */
static void a_chip_is_left_alone_while_it_is_probed(void **state)
{
    (void)state;
    stage *s = open_stage(0);
    message *scan = message_new(MESSAGE_SCAN, I2C_LAST_ADDRESS + 1);
    assert_true(sim_add(s->sim, "sht20", 0x40));
    s->time += 100000;
    run(s, 1000);
    unsigned before = sim_transfers(s->sim, 0x40);
    scan->serial = 2;
    scan->length = 0;
    worker_post(s->worker, scan);
    run(s, 1000);
    assert_non_null(s->result);
    assert_int_equal(s->result->error, 0);
    assert_int_equal(s->result->length, 1);
    assert_int_equal(s->result->data[0], 0x40);
    worker_post(s->worker, transfer(0x40));
    run(s, 1000);
    assert_int_equal(s->result->serial, 2);
    assert_int_equal(sim_transfers(s->sim, 0x40), before);
    run(s, 60000);
    assert_int_equal(s->found, 1);
    assert_int_equal(s->result->serial, 1);
    assert_int_equal(s->result->error, -EACCES); /* it has a driver now */
    close_stage(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_presence_of_an_sht20_is_one_short_read),
        cmocka_unit_test(the_probe_of_an_sht20_delays_no_other_device),
        cmocka_unit_test(a_failed_sht20_is_identified_without_a_sleep),
        cmocka_unit_test(the_first_look_ends_with_the_last_probe),
        cmocka_unit_test(a_chip_is_left_alone_while_it_is_probed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
