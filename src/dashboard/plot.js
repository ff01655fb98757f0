/*
 * The large plot of one quantity: the mean as a line in the band from minimum to maximum. The cursor
 * follows the mouse, the finger and the arrow keys. Loaded when the first one is opened.
 */
import uPlot from 'uplot';
import { h, setText } from './dom.js';
import { formatNumber, formatTime, formatUnit } from './format.js';

const HEIGHT = 280;

export class Plot {
  #plot = null;
  #index = null;
  #readout = h('p', { class: 'readout' });
  #width = 0;
  #sizes = new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect.width));
  #rebuild = () => this.#plot && this.#build();

  /* about: see kinds.js */
  constructor({ series, about, unit }) {
    Object.assign(this, { series, about, unit });
    this.area = h('div', {
      class: 'plot', tabindex: '0', role: 'slider', 'aria-label': `${about.title} over time`,
      'aria-valuemin': '0', onkeydown: (event) => this.#key(event),
    });
    this.element = h('div', {}, this.area, this.#readout);
    this.#sizes.observe(this.area);
    addEventListener('theme', this.#rebuild);
  }

  destroy() {
    this.#sizes.disconnect();
    removeEventListener('theme', this.#rebuild);
    this.#plot?.destroy();
  }

  draw() {
    if (this.#plot) {
      this.#plot.setData(this.#data());
      this.#describe();
    }
  }

  /* Also the beginning: the first size comes with the first frame that has the area in it. */
  #resize(width) {
    if (width === 0) {
      return;
    }
    this.#width = width;
    if (this.#plot) {
      this.#plot.setSize({ width, height: HEIGHT });
    } else {
      this.#build();
    }
  }

  #build() {
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#options(), this.#data(), this.area);
    this.#describe();
  }

  /* uPlot takes null for a gap. */
  #data() {
    const { times, mean, min, max } = this.series.at(Date.now() / 1000);
    const gaps = (values) => values.map((value) => (Number.isNaN(value) ? null : value));
    return [times, gaps(mean), gaps(min), gaps(max)];
  }

  #options() {
    const style = getComputedStyle(this.area);
    const colour = (name) => style.getPropertyValue(name).trim();
    const font = `12px ${style.fontFamily}`;
    const axis = { stroke: colour('--muted'), font, ticks: { show: false }, gap: 8 };
    const grid = { stroke: colour('--line'), width: 1 };
    return {
      width: this.#width,
      height: HEIGHT,
      padding: [12, 20, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 9, fill: colour('--card'), stroke: style.color, width: 2 },
      },
      scales: {
        x: { range: () => this.series.range(Date.now() / 1000) },
        y: { range: (plot, low, high) => this.#range(low, high) },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 64, size: 32, values: (plot, ticks) => this.#clock(ticks) },
        { ...axis, grid, space: 48, size: (plot, ticks) => this.#axisWidth(ticks),
          values: (plot, ticks) => this.#labels(ticks) },
      ],
      series: [
        {},
        { stroke: style.color, width: 2, points: { show: this.series.at(Date.now() / 1000).times.length === 1 } },
        { points: { show: false }, width: 0 },
        { points: { show: false }, width: 0 },
      ],
      bands: [{ series: [3, 2], fill: colour('--band') }],
      hooks: { setCursor: [(plot) => this.#point(plot.cursor.idx)] },
    };
  }

  #range(low, high) {
    if (low === null) {
      return [0, 1];
    }
    const extent = Math.max((high - low) * 1.2, this.about.span, 1e-6);
    const middle = (low + high) / 2;
    return [middle - extent / 2, middle + extent / 2];
  }

  #clock(ticks) {
    const seconds = ticks.length > 1 && ticks[1] - ticks[0] < 60;
    return ticks.map((tick) => formatTime(tick * 1000, { seconds }));
  }

  /* As many decimals as the ticks need. */
  #labels(ticks) {
    const isWhole = (value) => Math.abs(value - Math.round(value)) < 1e-6;
    let decimals = 0;
    while (decimals < 6 && !ticks.every((tick) => isWhole(tick * 10 ** decimals))) {
      decimals += 1;
    }
    return ticks.map((tick) => formatNumber(tick, { decimals, digits: 12 }));
  }

  #axisWidth(labels) {
    return 20 + 7.5 * Math.max(3, ...(labels ?? []).map((label) => label.length));
  }

  /* What is under the cursor, or all in all where there is none. */
  #point(index) {
    this.#index = index ?? null;
    this.#describe();
  }

  #describe() {
    if (!this.#plot) {
      return;
    }
    const [times, mean, min, max] = this.#plot.data;
    const value = (number) => formatNumber(number, this.about);
    const index = this.#index ?? times.length - 1;
    let text = 'Nothing measured yet';
    if (times.length > 0 && mean[index] !== null) {
      const spread = min[index] === max[index] ? '' : ` (${value(min[index])} to ${value(max[index])})`;
      text = `${formatTime(times[index] * 1000)}   ${value(mean[index])} ${formatUnit(this.unit)}${spread}`;
    }
    setText(this.#readout, text);
    this.area.setAttribute('aria-valuemax', Math.max(0, times.length - 1));
    this.area.setAttribute('aria-valuenow', Math.max(0, index));
    this.area.setAttribute('aria-valuetext', text);
  }

  #key(event) {
    const last = (this.#plot?.data[0].length ?? 0) - 1;
    const now = this.#index ?? last;
    const moves = {
      ArrowLeft: now - 1, ArrowRight: now + 1, PageUp: now - 25, PageDown: now + 25, Home: 0, End: last,
    };
    if (last < 0 || !(event.key in moves)) {
      return;
    }
    event.preventDefault();
    const index = Math.max(0, Math.min(last, moves[event.key]));
    const [times, mean] = this.#plot.data;
    this.#plot.setCursor({
      left: this.#plot.valToPos(times[index], 'x'),
      top: this.#plot.valToPos(mean[index] ?? mean[last], 'y'),
    });
  }
}
