/*
 * A small line of the last hour behind a card's value. SVG that stretches with its card: the browser
 * paints it off the main thread, and colour and size are the style sheet's business alone.
 */
import { s } from './dom.js';

const WIDTH = 300; // of the view box: about a unit per pixel
const HEIGHT = 100;
const FILLED = 0.72; // share of the height that the line's extent takes

let count = 0;

export class Sparkline {
  #line = s('path', { class: 'line', 'vector-effect': 'non-scaling-stroke' });
  #area;

  /** `span`: the least extent of the vertical axis. */
  constructor(series, span) {
    this.series = series;
    this.span = span;
    count += 1;
    const fade = `fade-${count}`;
    this.#area = s('path', { fill: `url(#${fade})` });
    this.element = s('svg', {
      class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true',
    },
    s('linearGradient', { id: fade, gradientUnits: 'userSpaceOnUse', x2: 0, y2: HEIGHT },
      s('stop', { 'stop-color': 'currentColor', 'stop-opacity': 0.2 }),
      s('stop', { offset: 1, 'stop-color': 'currentColor', 'stop-opacity': 0 })),
    this.#area, this.#line);
  }

  draw(now) {
    const { times, mean, min, max } = this.series.at(now);
    let [line, area] = ['', ''];
    if (times.length > 0) {
      const [from, to] = this.series.range(now);
      const y = this.#vertical(min, max);
      for (const [first, last] of runs(mean)) {
        const x = (i) => ((WIDTH * (times[i] - from)) / (to - from)).toFixed(1);
        let path = '';
        for (let i = first; i <= last; i += 1) {
          path += `${i === first ? '' : 'L'}${x(i)} ${y(mean[i])}`;
        }
        line += `M${path}h0`; // a lone value is a dot
        area += `M${x(first)} ${HEIGHT}L${path}V${HEIGHT}Z`;
      }
    }
    this.#line.setAttribute('d', line);
    this.#area.setAttribute('d', area);
  }

  /* What makes a value a height: the least and the greatest are a little off the edges. */
  #vertical(min, max) {
    const low = Math.min(...min.filter((value) => !Number.isNaN(value)));
    const high = Math.max(...max.filter((value) => !Number.isNaN(value)));
    const extent = Math.max(high - low, this.span) || 1;
    const middle = (high + low) / 2;
    return (value) => (HEIGHT * (0.5 - (FILLED * (value - middle)) / extent)).toFixed(1);
  }
}

/* [from, to] of each stretch without NaN. */
function runs(values) {
  const result = [];
  values.forEach((value, i) => {
    if (Number.isNaN(value)) {
      return;
    }
    if (i > 0 && !Number.isNaN(values[i - 1])) {
      result.at(-1)[1] = i;
    } else {
      result.push([i, i]);
    }
  });
  return result;
}
