/*
 * A quantity that moves with time: what a simulated chip measures. Plain data, which belongs to the
 * structure that it is part of; a random walk keeps its position in itself. No thread of its own,
 * no clock: time is passed in.
 */
#ifndef SIM_SIGNAL_H
#define SIM_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

typedef enum sim_wave {
    SIM_CONSTANT,    /* value */
    SIM_SINE,        /* value + amplitude * sin(2 pi (t / period + phase)) */
    SIM_RAMP,        /* from value to end within period seconds, then stays or begins again */
    SIM_RANDOM_WALK, /* from value, a step of up to amplitude every period seconds, in min..max */
} sim_wave;

typedef struct sim_signal {
    sim_wave wave;
    double value;
    double amplitude;
    double period;   /* seconds, more than 0 */
    double phase;    /* of a sine, in periods */
    double end;      /* of a ramp */
    bool repeat;     /* a ramp begins again */
    double min, max; /* of a random walk */
    uint64_t seed;

    /* A random walk's present state; all zero before the first step. */
    uint64_t random;
    int64_t steps;
    double position; /* relative to value */
} sim_signal;

/* The value at `seconds` after the start. For a random walk time must not go backwards. */
double sim_signal_at(sim_signal *signal, double seconds);

#endif
