/*
 * The last minutes of one quantity: a ring of steps, each with minimum, mean and maximum. It takes
 * values as they come and a history from the server, in any order, and never grows. Times are in
 * seconds since the epoch. Pure.
 */
const SHORTEST = 10; // steps

export class Series {
  #minimum;
  #maximum;
  #sum;
  #count;
  #newest = null; // number of the newest step, counted from the epoch

  constructor(seconds, step) {
    this.seconds = seconds;
    this.step = step;
    this.length = Math.ceil(seconds / step);
    this.#minimum = new Float64Array(this.length);
    this.#maximum = new Float64Array(this.length);
    this.#sum = new Float64Array(this.length);
    this.#count = new Uint32Array(this.length); // 0: nothing was measured in this step
  }

  add(time, value) {
    this.#merge(Math.floor(time / this.step), value, value, value, 1);
  }

  /*
   * Takes one quantity of a history reply. `ahead`: by how much this clock is ahead of the server's.
   * Steps that are filled already keep what they have: it is from the same measurements.
   */
  load({ step, end }, { min, mean, max }, ahead = 0) {
    const present = new Set(this.#measured());
    // A step of the server's may be longer than ours, or shorter.
    const copies = Math.max(1, Math.round(step / this.step));
    mean.forEach((value, i) => {
      const start = end - (mean.length - i) * step + ahead;
      for (let copy = 0; copy < copies && value !== null; copy += 1) {
        const number = Math.floor((start + (copy + 0.5) * (step / copies)) / this.step);
        if (!present.has(number)) {
          this.#merge(number, min[i] ?? value, value, max[i] ?? value, 1);
        }
      }
    });
  }

  /*
   * { times, mean, min, max }: the measured steps up to `now`, oldest first. Where much more time
   * than usual lies between two of them a row of NaN says so: lines break there.
   */
  at(now) {
    const result = { times: [], mean: [], min: [], max: [] };
    const push = (number, mean, min, max) => {
      result.times.push((number + 0.5) * this.step);
      result.mean.push(mean);
      result.min.push(min);
      result.max.push(max);
    };
    const numbers = this.#measured(Math.floor(now / this.step));
    const distances = numbers.slice(1).map((number, i) => number - numbers[i]);
    const usual = distances.slice().sort((a, b) => a - b)[distances.length >> 1] ?? 1;
    numbers.forEach((number, i) => {
      if (i > 0 && distances[i - 1] > 3 * usual) {
        push(number - distances[i - 1] / 2, NaN, NaN, NaN);
      }
      const slot = number % this.length;
      push(number, this.#sum[slot] / this.#count[slot], this.#minimum[slot], this.#maximum[slot]);
    });
    return result;
  }

  /** When the first step begins that at(now) has; null where it has none. */
  begin(now) {
    const [first] = this.#measured(Math.floor(now / this.step));
    return first === undefined ? null : first * this.step;
  }

  /**
   * The span of time that a plot should show at `now`: [from, to]. It begins with the first value as
   * long as there is less than the whole span, but is never so short that two values fill it.
   */
  range(now) {
    const begin = Math.min(this.begin(now) ?? now, now - SHORTEST * this.step);
    return [Math.max(now - this.seconds, begin), now];
  }

  /** { min, mean, max } of everything that at(now) has, or null where that is nothing. */
  summary(now) {
    const slots = this.#measured(Math.floor(now / this.step))
      .map((number) => number % this.length);
    if (slots.length === 0) {
      return null;
    }
    return {
      min: Math.min(...slots.map((slot) => this.#minimum[slot])),
      mean: slots.reduce((sum, slot) => sum + this.#sum[slot] / this.#count[slot], 0) / slots.length,
      max: Math.max(...slots.map((slot) => this.#maximum[slot])),
    };
  }

  /* The numbers of the steps up to `last` in which something was measured, none too old for it. */
  #measured(last = this.#newest) {
    const numbers = [];
    if (this.#newest !== null) {
      const oldest = Math.max(this.#newest, last) - this.length + 1;
      for (let number = oldest; number <= Math.min(this.#newest, last); number += 1) {
        if (this.#count[number % this.length] > 0) {
          numbers.push(number);
        }
      }
    }
    return numbers;
  }

  #merge(number, min, mean, max, count) {
    this.#newest ??= number;
    if (number <= this.#newest - this.length) {
      return; // too old
    }
    for (; this.#newest < number; this.#newest += 1) {
      if (number - this.#newest > this.length) {
        this.#newest = number - this.length;
      }
      this.#count[(this.#newest + 1) % this.length] = 0;
    }
    const slot = number % this.length;
    const isFirst = this.#count[slot] === 0;
    this.#minimum[slot] = isFirst ? min : Math.min(min, this.#minimum[slot]);
    this.#maximum[slot] = isFirst ? max : Math.max(max, this.#maximum[slot]);
    this.#sum[slot] = (isFirst ? 0 : this.#sum[slot]) + mean * count;
    this.#count[slot] += count;
  }
}
