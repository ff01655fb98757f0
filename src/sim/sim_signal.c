#include "sim_signal.h"

#include <math.h>

#define PI 3.14159265358979323846

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016). */
static double random_step(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    uint64_t bits = *state * UINT64_C(2685821657736338717);
    return (double)(bits >> 11) / (double)(UINT64_C(1) << 52) - 1.0; /* -1 to 1 */
}

static double ramp_at(const sim_signal *signal, double seconds)
{
    double part = seconds / signal->period;
    if (signal->repeat) {
        part -= floor(part);
    }
    return signal->value + (signal->end - signal->value) * fmin(fmax(part, 0), 1);
}

static double random_walk_at(sim_signal *signal, double seconds)
{
    int64_t due = (int64_t)(seconds / signal->period);
    if (signal->random == 0) { /* a state of all zeros would stay so */
        signal->random = signal->seed ? signal->seed : UINT64_C(0x9e3779b97f4a7c15);
    }
    for (; signal->steps < due; signal->steps++) {
        double next =
            signal->value + signal->position + signal->amplitude * random_step(&signal->random);
        next = fmin(fmax(next, signal->min), signal->max);
        signal->position = next - signal->value;
    }
    return signal->value + signal->position;
}

double sim_signal_at(sim_signal *signal, double seconds)
{
    switch (signal->wave) {
    case SIM_SINE:
        return signal->value +
               signal->amplitude * sin(2 * PI * (seconds / signal->period + signal->phase));
    case SIM_RAMP:
        return ramp_at(signal, seconds);
    case SIM_RANDOM_WALK:
        return random_walk_at(signal, seconds);
    case SIM_CONSTANT:
        break;
    }
    return signal->value;
}
