#include "samples.h"

#include <stdlib.h>
#include <time.h>

#define INITIAL_CAPACITY 1024

int64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_SECOND + t.tv_nsec;
}

void samples_add(samples *list, int64_t nanoseconds)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : INITIAL_CAPACITY;
        int64_t *grown = NULL;

        if (capacity <= SAMPLES_MAX) {
            grown = realloc(list->values, capacity * sizeof(*grown));
        }
        if (!grown) {
            list->dropped++;
            return;
        }
        list->values = grown;
        list->capacity = capacity;
    }
    list->values[list->count++] = nanoseconds;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

double samples_quantile(samples *list, double share)
{
    size_t rank;

    if (list->count == 0) {
        return 0;
    }
    qsort(list->values, list->count, sizeof(*list->values), compare);
    rank = (size_t)(share * (double)(list->count - 1) + 0.5);
    return (double)list->values[rank] / 1000.0;
}

void samples_clear(samples *list)
{
    list->count = list->dropped = 0;
}

void samples_free(samples *list)
{
    free(list->values);
    *list = (samples){0};
}
