#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RULES 16

typedef struct fault_bus {
    i2c_bus bus;
    i2c_bus *inner;
    pthread_mutex_t lock; /* guards what follows */
    fault_rule rules[MAX_RULES];
    size_t n_rules;
    unsigned transfers;
} fault_bus;

static bool rule_matches(const fault_rule *rule, uint8_t address, unsigned direction, int reg)
{
    return (rule->address == 0 || rule->address == address) &&
           (rule->directions == 0 || (rule->directions & direction)) &&
           (rule->reg < 0 || rule->reg == reg);
}

/* Counts the transfer and copies the rule that hits it. False: it passes. */
static bool next_fault(fault_bus *bus, uint8_t address, unsigned direction, int reg,
                       fault_rule *fault)
{
    bool hit = false;
    pthread_mutex_lock(&bus->lock);
    bus->transfers++;
    for (size_t i = 0; i < bus->n_rules && !hit; i++) {
        fault_rule *rule = &bus->rules[i];
        if (!rule_matches(rule, address, direction, reg)) {
            continue;
        }
        if (rule->skip > 0) {
            rule->skip--;
            continue;
        }
        *fault = *rule;
        hit = true;
        if (rule->count > 0 && --rule->count == 0) { /* used up */
            memmove(rule, rule + 1, (--bus->n_rules - i) * sizeof *rule);
        }
    }
    pthread_mutex_unlock(&bus->lock);
    return hit;
}

/* What a rule does to a transfer whose outcome, where it took place, is `result`. */
static int apply(const fault_rule *fault, int result, uint8_t *read, size_t read_length)
{
    if (fault->kind == FAULT_LOST_REPLY) {
        return fault->error;
    }
    if (fault->kind == FAULT_GARBAGE && result >= 0 && read_length > 0) {
        memset(read, fault->garbage, read_length);
    }
    return result;
}

static int fault_read_register(i2c_bus *base, uint8_t address, uint8_t reg, uint8_t *data,
                               size_t length)
{
    fault_bus *bus = (fault_bus *)base;
    fault_rule fault;
    bool hit = next_fault(bus, address, FAULT_READS, reg, &fault);
    if (hit && fault.kind == FAULT_ERROR) {
        return fault.error;
    }
    if (hit && fault.kind == FAULT_DELAY) {
        bus->inner->ops->sleep(bus->inner, fault.delay);
    }
    int result = bus->inner->ops->read_register(bus->inner, address, reg, data, length);
    return hit ? apply(&fault, result, data, length) : result;
}

static int fault_write_register(i2c_bus *base, uint8_t address, uint8_t reg, const uint8_t *data,
                                size_t length)
{
    fault_bus *bus = (fault_bus *)base;
    fault_rule fault;
    bool hit = next_fault(bus, address, FAULT_WRITES, reg, &fault);
    if (hit && fault.kind == FAULT_ERROR) {
        return fault.error;
    }
    if (hit && fault.kind == FAULT_DELAY) {
        bus->inner->ops->sleep(bus->inner, fault.delay);
    }
    int result = bus->inner->ops->write_register(bus->inner, address, reg, data, length);
    return hit ? apply(&fault, result, NULL, 0) : result;
}

static int fault_transfer(i2c_bus *base, uint8_t address, const uint8_t *write, size_t write_length,
                          uint8_t *read, size_t read_length)
{
    fault_bus *bus = (fault_bus *)base;
    fault_rule fault;
    bool hit = next_fault(bus, address, read_length ? FAULT_READS : FAULT_WRITES,
                          write_length ? write[0] : -1, &fault);
    if (hit && fault.kind == FAULT_ERROR) {
        return fault.error;
    }
    if (hit && fault.kind == FAULT_DELAY) {
        bus->inner->ops->sleep(bus->inner, fault.delay);
    }
    int result =
        bus->inner->ops->transfer(bus->inner, address, write, write_length, read, read_length);
    return hit ? apply(&fault, result, read, read_length) : result;
}

static int64_t fault_now(i2c_bus *base)
{
    fault_bus *bus = (fault_bus *)base;
    return bus->inner->ops->now(bus->inner);
}

static void fault_sleep(i2c_bus *base, int64_t microseconds)
{
    fault_bus *bus = (fault_bus *)base;
    bus->inner->ops->sleep(bus->inner, microseconds);
}

static void fault_on_report(i2c_bus *base, void (*report)(void *baton, const char *text),
                            void *baton)
{
    fault_bus *bus = (fault_bus *)base;
    if (bus->inner->ops->on_report) {
        bus->inner->ops->on_report(bus->inner, report, baton);
    }
}

static void fault_close(i2c_bus *base)
{
    fault_bus *bus = (fault_bus *)base;
    i2c_bus_close(bus->inner);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

static const i2c_bus_ops fault_ops = {
    .name = "fault",
    .read_register = fault_read_register,
    .write_register = fault_write_register,
    .transfer = fault_transfer,
    .now = fault_now,
    .sleep = fault_sleep,
    .on_report = fault_on_report,
    .close = fault_close,
};

i2c_bus *fault_bus_create(i2c_bus *inner)
{
    fault_bus *bus = calloc(1, sizeof *bus);
    if (!bus) {
        return NULL;
    }
    bus->bus.ops = &fault_ops;
    bus->inner = inner;
    pthread_mutex_init(&bus->lock, NULL);
    return &bus->bus;
}

bool fault_bus_add(i2c_bus *base, const fault_rule *rule)
{
    fault_bus *bus = (fault_bus *)base;
    pthread_mutex_lock(&bus->lock);
    bool fits = bus->n_rules < MAX_RULES;
    if (fits) {
        bus->rules[bus->n_rules++] = *rule;
    }
    pthread_mutex_unlock(&bus->lock);
    return fits;
}

void fault_bus_clear(i2c_bus *base)
{
    fault_bus *bus = (fault_bus *)base;
    pthread_mutex_lock(&bus->lock);
    bus->n_rules = 0;
    pthread_mutex_unlock(&bus->lock);
}

unsigned fault_bus_transfers(i2c_bus *base)
{
    fault_bus *bus = (fault_bus *)base;
    pthread_mutex_lock(&bus->lock);
    unsigned transfers = bus->transfers;
    pthread_mutex_unlock(&bus->lock);
    return transfers;
}
