/* Scenario files: how they are read, what happens, what is told, and what outlives a process. */
#include "driver.h"

#include "sim/sim_scenario.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a folder with a scenario in it, and a bus that plays it ---- */

typedef struct stage {
    char folder[64], file[96];
    _Atomic int64_t time;
    sim_clock clock;
    i2c_bus *bus;
    char told[1024]; /* what was reported last */
    unsigned times_told;
} stage;

static void hear(void *baton, const char *text)
{
    stage *s = baton;
    snprintf(s->told, sizeof s->told, "%s", text);
    s->times_told++;
}

static void write_text(const char *file, const char *text)
{
    FILE *stream = fopen(file, "w");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static void open_bus(stage *s)
{
    char why[1024] = "";
    if (sim_bus_open(&s->bus, s->file, &s->clock, why, sizeof why) != 0) {
        fail_msg("%s", why);
    }
    s->bus->ops->on_report(s->bus, hear, s);
}

static void open_stage(stage *s, const char *scenario)
{
    const char *tmp = getenv("TMPDIR");
    memset(s, 0, sizeof *s);
    s->time = 5000000000;
    s->clock = sim_fake_clock(&s->time);
    snprintf(s->folder, sizeof s->folder, "%s/scenario-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->file, sizeof s->file, "%s/a.json", s->folder);
    write_text(s->file, scenario);
    open_bus(s);
}

static void close_stage(stage *s)
{
    static const char *const files[] = {"a.json", "b.json", "memory", "trace"};
    char path[128];
    i2c_bus_close(s->bus);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", s->folder, files[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(s->folder), 0);
}

/* Replaces the scenario as an editor does, and lets the bus look at it. */
static void change(stage *s, const char *scenario)
{
    char other[128];
    snprintf(other, sizeof other, "%s/b.json", s->folder);
    write_text(other, scenario);
    assert_int_equal(rename(other, s->file), 0);
    s->time += 300000;
    i2c_probe(s->bus, 0x77);
}

static double temperature(const stage *s, uint8_t address)
{
    uint16_t raw;
    return i2c_read16be(s->bus, address, 0, &raw) < 0 ? NAN : tmp112_raw_to_celsius(raw);
}

/* ---- reading ---- */

#define CHIP(MEMBERS) "{\"chips\": [{\"chip\": \"tmp112\", \"address\": \"48\"" MEMBERS "}]}"

static const struct {
    const char *text, *why; /* why: part of the sentence */
} wrong[] = {
    {"", "line 1: the file ends too early"},
    {"{\"chips\": [\n  {\"chip\": \"tmp112\"\n", "line 2: the file ends too early"},
    {"{\n\"chips\": [\n  {chip: 1}\n]}", "line 3: "},
    {"{\"chips\": []} x", "line 1: "},
    {"[]", "the scenario: must be an object"},
    {"{}", "chips: must be an array"},
    {"{\"chips\": {}}", "chips: must be an array"},
    {"{\"chips\": [1]}", "chips[0]: must be an object"},
    {"{\"chips\": [null]}", "chips[0]: must be an object"},
    {"{\"chips\": [], \"clock\": 1}", "clock: is not known here; the members are chips, clock-fr"},
    {"{\"chips\": [], \"clock-frequency\": 1}", "clock-frequency: must be a number from 1000 to"},
    {"{\"chips\": [], \"trace\": 1}", "trace: must be a string"},
    {"{\"chips\": [], \"memory\": \"\"}", "memory: must be the name of a file"},
    {"{\"chips\": [{}]}", "chips[0].chip: is missing"},
    {"{\"chips\": [{\"chip\": \"tmp113\"}]}",
     "chips[0].chip: must be one of relay-module, tmp112, "},
    {"{\"chips\": [{\"chip\": \"tmp112\"}]}", "chips[0].address: is missing"},
    {"{\"chips\": [{\"chip\": \"tmp112\", \"address\": 48}]}",
     "chips[0].address: must be a string"},
    {"{\"chips\": [{\"chip\": \"tmp112\", \"address\": \"50\"}]}",
     "chips[0].address: must be one of \"48\", \"49\", \"4a\", \"4b\" for tmp112, not \"50\""},
    {"{\"chips\": [{\"chip\": \"sht20\", \"address\": \"40\"}, {\"chip\": \"hdc2080\", "
     "\"address\": \"40\"}]}",
     "chips[1].address: 40 and chips[0] want one address"},
    {CHIP(", \"humidity\": 3"), "chips[0].humidity: is not known here; the members are chip, "},
    {CHIP(", \"temperature\": \"warm\""), "chips[0].temperature: must be a number, or an object"},
    {CHIP(", \"temperature\": 200"), "chips[0].temperature: must be from -60 to 150"},
    {CHIP(", \"temperature\": 1e999"), "chips[0].temperature: must be from -60 to 150"},
    {CHIP(", \"temperature\": {}"), "chips[0].temperature.wave: is missing"},
    {CHIP(", \"temperature\": {\"wave\": \"square\"}"),
     "chips[0].temperature.wave: must be sine, ramp or random-walk, not \"square\""},
    {CHIP(", \"temperature\": {\"wave\": \"sine\", \"mean\": 20, \"amplitude\": 1}"),
     "chips[0].temperature.period: is missing"},
    {CHIP(", \"temperature\": {\"wave\": \"sine\", \"mean\": 20, \"amplitude\": 1, \"period\": 0}"),
     "chips[0].temperature.period: must be a number from 0.001"},
    {CHIP(", \"temperature\": {\"wave\": \"ramp\", \"from\": 0, \"to\": 9, \"duration\": 3, "
          "\"repeat\": 1}"),
     "chips[0].temperature.repeat: must be true or false"},
    {CHIP(", \"temperature\": {\"wave\": \"random-walk\", \"start\": 9, \"step\": 1, \"max\": 5}"),
     "chips[0].temperature.start: must be a number from -60 to 5"},
    {CHIP(", \"events\": {}"), "chips[0].events: must be an array"},
    {CHIP(", \"events\": [{\"event\": \"slow\", \"delay\": 1}, {\"event\": \"lost\"}]"),
     "chips[0].events[1].event: must be unplugged, no-acknowledge, "},
    {CHIP(", \"events\": [{\"event\": \"slow\"}]"), "chips[0].events[0].delay: is missing"},
    {CHIP(", \"events\": [{\"event\": \"stuck\", \"delay\": 1}]"),
     "chips[0].events[0].delay: belongs to the event slow alone"},
    {CHIP(", \"events\": [{\"event\": \"stuck\", \"at\": -1}]"),
     "chips[0].events[0].at: must be a number from 0"},
    {CHIP(", \"events\": [{\"event\": \"stuck\", \"when\": 1}]"),
     "chips[0].events[0].when: is not known here"},
};

static void a_wrong_scenario_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char why[512] = "";
        assert_null(sim_scenario_parse(wrong[i].text, strlen(wrong[i].text), why, sizeof why));
        if (!strstr(why, wrong[i].why)) {
            fail_msg("%s\n  gave: %s\n  expected: %s", wrong[i].text, why, wrong[i].why);
        }
    }
}

static void sentences_are_cut_where_there_is_no_room(void **state)
{
    (void)state;
    for (size_t room = 1; room < 100; room++) {
        char why[101];
        memset(why, 'x', sizeof why);
        assert_null(sim_scenario_parse(wrong[18].text, strlen(wrong[18].text), why, room));
        assert_true(memchr(why, '\0', room) != NULL);
        assert_int_equal(why[room], 'x');
    }
}

static void too_large_a_file_is_refused(void **state)
{
    (void)state;
    char why[256] = "", *text = malloc(SIM_SCENARIO_MAX_SIZE + 1);
    memset(text, ' ', SIM_SCENARIO_MAX_SIZE + 1);
    assert_null(sim_scenario_parse(text, SIM_SCENARIO_MAX_SIZE + 1, why, sizeof why));
    assert_non_null(strstr(why, "1048576 bytes"));
    free(text);
}

static void a_missing_file_is_an_error(void **state)
{
    static const i2c_bus_kind *const kinds[] = {&sim_bus_kind, NULL};
    (void)state;
    char why[256] = "";
    i2c_bus *bus = NULL;
    assert_int_equal(i2c_bus_open(kinds, &bus, "sim:/nowhere/a.json", why, sizeof why), -EINVAL);
    assert_null(bus);
    assert_string_equal(why, "scenario /nowhere/a.json: No such file or directory");
    assert_int_equal(sim_scenario_check("/nowhere/a.json", why, sizeof why), -EINVAL);
}

/* ---- playing ---- */

static void values_move_as_the_file_says(void **state)
{
    (void)state;
    stage s;
    open_stage(&s, "{\"chips\": ["
                   "{\"chip\": \"tmp112\", \"address\": \"48\", \"temperature\": -12.5},"
                   "{\"chip\": \"tmp112\", \"address\": \"49\", \"temperature\": "
                   "{\"wave\": \"ramp\", \"from\": 0, \"to\": 100, \"duration\": 100}}]}\n");
    s.time += 50 * 1000000;
    temperature(&s, 0x49); /* the conversions that passed meanwhile */
    s.time += 250000;
    assert_true(temperature(&s, 0x48) == -12.5);
    assert_true(fabs(temperature(&s, 0x49) - 50) < 0.4);
    close_stage(&s);
}

static void events_begin_end_and_come_again(void **state)
{
    (void)state;
    stage s;
    open_stage(&s, CHIP(", \"events\": ["
                        "{\"event\": \"no-acknowledge\", \"at\": 10, \"for\": 2, \"every\": 5},"
                        "{\"event\": \"slow\", \"delay\": 0.5, \"at\": 30},"
                        "{\"event\": \"slow\", \"delay\": 0.1}]"));
    int64_t begin = s.time;
    for (int second = 1; second < 30; second++) {
        s.time = begin + second * 1000000 + 1000;
        bool away = second >= 10 && (second - 10) % 5 < 2;
        assert_int_equal(i2c_probe(s.bus, 0x48), away ? -ENXIO : 0);
    }
    s.time = begin + 33 * 1000000;
    int64_t before = s.time;
    assert_int_equal(i2c_probe(s.bus, 0x48), 0);
    assert_int_equal(s.time - before, 500000); /* the greater delay counts */
    close_stage(&s);
}

static void unplugging_takes_power_even_between_two_looks(void **state)
{
    (void)state;
    stage s;
    uint16_t config;
    open_stage(&s, CHIP(", \"events\": [{\"event\": \"unplugged\", \"at\": 10, \"for\": 1}]"));
    assert_int_equal(i2c_write16be(s.bus, 0x48, 1, 0x6180), 0);
    s.time += 9000000;
    assert_int_equal(i2c_read16be(s.bus, 0x48, 1, &config), 0);
    assert_int_equal(config & 0x7fff, 0x6180 | 0x20);
    s.time += 20000000;
    assert_int_equal(i2c_read16be(s.bus, 0x48, 1, &config), 0);
    assert_int_equal(config & 0x7fff, 0x60a0);
    close_stage(&s);
}

static void a_chip_may_be_absent_at_first(void **state)
{
    (void)state;
    stage s;
    open_stage(&s, CHIP(", \"events\": [{\"event\": \"unplugged\", \"for\": 3}]"));
    assert_int_equal(i2c_probe(s.bus, 0x48), -ENXIO);
    s.time += 3000000;
    assert_int_equal(i2c_probe(s.bus, 0x48), 0);
    close_stage(&s);
}

static void transfers_take_the_time_of_their_bits(void **state)
{
    (void)state;
    stage s;
    uint16_t word;
    open_stage(&s, "{\"clock-frequency\": 100000, \"chips\": "
                   "[{\"chip\": \"tmp112\", \"address\": \"48\"}]}");
    int64_t before = s.time;
    assert_int_equal(i2c_read16be(s.bus, 0x48, 0, &word), 0);
    assert_int_equal(s.time - before, (5 * 9 + 3) * 10); /* two addresses, three bytes */
    close_stage(&s);
}

static void a_changed_file_is_read_again(void **state)
{
    (void)state;
    stage s;
    uint16_t limit;
    open_stage(&s, "{\"chips\": [{\"chip\": \"tmp112\", \"address\": \"48\"},"
                   "{\"chip\": \"tmp112\", \"address\": \"49\"},"
                   "{\"chip\": \"hdc2080\", \"address\": \"40\"}]}");
    assert_int_equal(i2c_write16be(s.bus, 0x48, 2, 0x1230), 0);
    change(&s, "{\"chips\": [{\"chip\": \"tmp112\", \"address\": \"48\", \"temperature\": 33},"
               "{\"chip\": \"opt3001\", \"address\": \"44\"},"
               "{\"chip\": \"sht20\", \"address\": \"40\"}]}");
    assert_int_equal(s.times_told, 0);
    assert_int_equal(i2c_read16be(s.bus, 0x48, 2, &limit), 0);
    assert_int_equal(limit, 0x1230); /* it stayed, and kept its registers */
    temperature(&s, 0x48);
    s.time += 300000;
    assert_true(temperature(&s, 0x48) == 33);
    assert_int_equal(i2c_probe(s.bus, 0x49), -ENXIO);
    assert_int_equal(i2c_probe(s.bus, 0x44), 0);
    uint8_t user;
    assert_int_equal(i2c_read8(s.bus, 0x40, 0xe7, &user), 0); /* another chip than before */
    assert_int_equal(user, 0x02);
    close_stage(&s);
}

static void time_begins_anew_with_a_new_scenario(void **state)
{
    (void)state;
    stage s;
    open_stage(&s, CHIP(""));
    s.time += 100 * 1000000;
    change(&s, CHIP(", \"events\": [{\"event\": \"no-acknowledge\", \"for\": 5}]"));
    assert_int_equal(i2c_probe(s.bus, 0x48), -ENXIO);
    s.time += 5000000;
    assert_int_equal(i2c_probe(s.bus, 0x48), 0);
    close_stage(&s);
}

static void a_wrong_change_is_told_once_and_changes_nothing(void **state)
{
    (void)state;
    stage s;
    open_stage(&s, CHIP(", \"temperature\": 33"));
    change(&s, "{\"chips\": [\n{\"chip\": \"tmp112\",, }]}");
    assert_int_equal(s.times_told, 1);
    assert_non_null(strstr(s.told, s.file));
    assert_non_null(strstr(s.told, "line 2"));
    assert_non_null(strstr(s.told, "stays"));
    for (int i = 0; i < 5; i++) {
        s.time += 300000;
        assert_int_equal(i2c_probe(s.bus, 0x48), 0);
    }
    assert_int_equal(s.times_told, 1);
    assert_int_equal(unlink(s.file), 0);
    s.time += 300000;
    assert_int_equal(i2c_probe(s.bus, 0x48), 0);
    assert_int_equal(s.times_told, 2);
    change(&s, CHIP(", \"temperature\": 44"));
    assert_int_equal(s.times_told, 2);
    temperature(&s, 0x48);
    s.time += 300000;
    assert_true(temperature(&s, 0x48) == 44);
    close_stage(&s);
}

static void the_file_is_looked_at_four_times_a_second_at_most(void **state)
{
    (void)state;
    stage s;
    char other[128];
    open_stage(&s, CHIP(""));
    s.time += 300000;
    i2c_probe(s.bus, 0x48); /* looks */
    snprintf(other, sizeof other, "%s/b.json", s.folder);
    write_text(other, "{\"chips\": []}");
    assert_int_equal(rename(other, s.file), 0);
    s.time += 249999;
    assert_int_equal(i2c_probe(s.bus, 0x48), 0);
    s.time += 1;
    assert_int_equal(i2c_probe(s.bus, 0x48), -ENXIO);
    close_stage(&s);
}

/* ---- memory and trace ---- */

#define RELAY_WITH_MEMORY                                                                          \
    "{\"memory\": \"memory\", \"trace\": \"trace\","                                               \
    " \"chips\": [{\"chip\": \"relay-module\", \"address\": \"3b\"}]}"

static void a_killed_owner_leaves_the_coil_energised(void **state)
{
    (void)state;
    stage s;
    sim_relay_record record;
    open_stage(&s, RELAY_WITH_MEMORY);
    i2c_bus_close(s.bus);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* a hub that is killed in the middle of a pulse */
        char why[256];
        if (sim_bus_open(&s.bus, s.file, &s.clock, why, sizeof why) == 0) {
            i2c_write8(s.bus, 0x3b, 1, 0x50);
            i2c_write8(s.bus, 0x3b, 3, 0x00);
            i2c_write8(s.bus, 0x3b, 1, 0x30);
        }
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    s.time += 60000;
    open_bus(&s);
    assert_true(sim_relay_read(s.bus, 0x3b, &record));
    assert_true(record.energised);
    assert_int_equal(record.longest_pulse, 60000);
    assert_int_equal(i2c_write8(s.bus, 0x3b, 1, 0x50), 0);
    assert_true(sim_relay_read(s.bus, 0x3b, &record));
    assert_false(record.energised);
    assert_int_equal(record.contact, 1);
    close_stage(&s);
}

static void memory_of_another_boot_is_forgotten(void **state)
{
    (void)state;
    stage s;
    uint8_t output;
    open_stage(&s, RELAY_WITH_MEMORY);
    assert_int_equal(i2c_write8(s.bus, 0x3b, 1, 0x50), 0);
    i2c_bus_close(s.bus);
    open_bus(&s);
    assert_int_equal(i2c_read8(s.bus, 0x3b, 1, &output), 0);
    assert_int_equal(output, 0x50);
    i2c_bus_close(s.bus);
    s.time = 1000000; /* the monotonic clock began anew */
    open_bus(&s);
    assert_int_equal(i2c_read8(s.bus, 0x3b, 1, &output), 0);
    assert_int_equal(output, 0xff);
    close_stage(&s);
}

static void memory_has_one_owner(void **state)
{
    (void)state;
    stage s;
    char why[512] = "";
    i2c_bus *second = NULL;
    open_stage(&s, RELAY_WITH_MEMORY);
    assert_int_equal(sim_bus_open(&second, s.file, &s.clock, why, sizeof why), -EBUSY);
    assert_null(second);
    assert_non_null(strstr(why, "one owner"));
    close_stage(&s);
}

/* What a scenario's file may not be, and what is said then. */
static const struct {
    const char *file, *why;
    enum { OF_OTHERS, SYMBOLIC_LINK, SECOND_NAME, DIRECTORY } kind;
} not_ours[] = {
    {"memory", "is no memory of simulated chips", OF_OTHERS},
    {"memory", "it is a symbolic link", SYMBOLIC_LINK},
    {"memory", "one that has another name", SECOND_NAME},
    {"trace", "it is a symbolic link", SYMBOLIC_LINK},
    {"trace", "one that has another name", SECOND_NAME},
    {"trace", "cannot open", DIRECTORY},
};

static void files_that_are_not_ours_are_left_alone(void **state)
{
    (void)state;
    stage s;
    open_stage(&s, RELAY_WITH_MEMORY);
    for (size_t i = 0; i < sizeof not_ours / sizeof *not_ours; i++) {
        char path[128], other[128], why[1024] = "", text[64] = "";
        i2c_bus *bus = NULL;
        snprintf(path, sizeof path, "%s/%s", s.folder, not_ours[i].file);
        snprintf(other, sizeof other, "%s/b.json", s.folder);
        write_text(other, "precious");
        i2c_bus_close(s.bus);
        unlink(path);
        if (not_ours[i].kind == OF_OTHERS) {
            assert_int_equal(rename(other, path), 0);
        } else if (not_ours[i].kind == SYMBOLIC_LINK) {
            assert_int_equal(symlink("b.json", path), 0);
        } else if (not_ours[i].kind == SECOND_NAME) {
            assert_int_equal(link(other, path), 0);
        } else {
            assert_int_equal(mkdir(path, 0700), 0);
        }
        assert_true(sim_bus_open(&bus, s.file, &s.clock, why, sizeof why) < 0);
        assert_non_null(strstr(why, not_ours[i].why));
        FILE *file = fopen(not_ours[i].kind == OF_OTHERS ? path : other, "r");
        assert_non_null(file);
        assert_true(fread(text, 1, sizeof text - 1, file) > 0);
        fclose(file);
        assert_string_equal(text, "precious");
        assert_int_equal(remove(path), 0);
        open_bus(&s);
    }
    close_stage(&s);
}

static void the_trace_says_what_was_on_the_bus(void **state)
{
    (void)state;
    static const char expected[] = "5000.000000 3b plugged\n"
                                   "5000.000000 3b w 01 50\n"
                                   "5000.000000 3b w 03 00\n"
                                   "5000.000000 3b coil on\n"
                                   "5000.000000 3b w 01 30\n"
                                   "5000.020000 3b coil released after 0.020000 s, contact on\n"
                                   "5000.020000 3b w 01 50\n"
                                   "5000.020000 3b w 01 r 50\n"
                                   "5000.020000 48 w 00 r nack\n";
    stage s;
    char path[128], text[1024] = "";
    uint8_t value;
    open_stage(&s, RELAY_WITH_MEMORY);
    i2c_write8(s.bus, 0x3b, 1, 0x50);
    i2c_write8(s.bus, 0x3b, 3, 0x00);
    i2c_write8(s.bus, 0x3b, 1, 0x30);
    s.time += 20000;
    i2c_write8(s.bus, 0x3b, 1, 0x50);
    i2c_read8(s.bus, 0x3b, 1, &value);
    i2c_read8(s.bus, 0x48, 0, &value);
    snprintf(path, sizeof path, "%s/trace", s.folder);
    FILE *trace = fopen(path, "r");
    assert_non_null(trace);
    assert_true(fread(text, 1, sizeof text - 1, trace) > 0);
    fclose(trace);
    assert_string_equal(text, expected);
    close_stage(&s);
}

static void the_sample_scenario_is_right(void **state)
{
    (void)state;
    char why[512] = "";
    if (sim_scenario_check(SRCDIR "/conf/scenario.json", why, sizeof why) != 0) {
        fail_msg("%s", why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_scenario_is_refused_with_its_place),
        cmocka_unit_test(sentences_are_cut_where_there_is_no_room),
        cmocka_unit_test(too_large_a_file_is_refused),
        cmocka_unit_test(a_missing_file_is_an_error),
        cmocka_unit_test(values_move_as_the_file_says),
        cmocka_unit_test(events_begin_end_and_come_again),
        cmocka_unit_test(unplugging_takes_power_even_between_two_looks),
        cmocka_unit_test(a_chip_may_be_absent_at_first),
        cmocka_unit_test(transfers_take_the_time_of_their_bits),
        cmocka_unit_test(a_changed_file_is_read_again),
        cmocka_unit_test(time_begins_anew_with_a_new_scenario),
        cmocka_unit_test(a_wrong_change_is_told_once_and_changes_nothing),
        cmocka_unit_test(the_file_is_looked_at_four_times_a_second_at_most),
        cmocka_unit_test(a_killed_owner_leaves_the_coil_energised),
        cmocka_unit_test(memory_of_another_boot_is_forgotten),
        cmocka_unit_test(memory_has_one_owner),
        cmocka_unit_test(files_that_are_not_ours_are_left_alone),
        cmocka_unit_test(the_trace_says_what_was_on_the_bus),
        cmocka_unit_test(the_sample_scenario_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
