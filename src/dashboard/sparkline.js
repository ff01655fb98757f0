/* A small line of the last hour behind a card's value: a canvas, drawn when there is something new. */

const DRAWN_PER_FRAME = 8; // so that many new cards, or a change of theme, make no long task

const sparklines = new Map(); // canvas → Sparkline
const outdated = new Set(); // those whose size or colour has changed

const sizes = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    sparklines.get(target)?.resize(contentRect);
  }
});

addEventListener('theme', () => sparklines.forEach((sparkline) => sparkline.recolour()));

function outdate(sparkline) {
  if (outdated.size === 0) {
    requestAnimationFrame(drawOutdated);
  }
  outdated.add(sparkline);
}

function drawOutdated() {
  for (const sparkline of [...outdated].slice(0, DRAWN_PER_FRAME)) {
    sparkline.draw(Date.now() / 1000);
    outdated.delete(sparkline);
  }
  if (outdated.size > 0) {
    requestAnimationFrame(drawOutdated);
  }
}

export class Sparkline {
  #width = 0;
  #height = 0;
  #colour = null; // the canvas element's own, from the style sheet; null: to be asked for

  /** `span`: the least extent of the vertical axis. */
  constructor(series, span) {
    this.series = series;
    this.span = span;
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'spark';
    this.canvas.setAttribute('aria-hidden', 'true');
    sparklines.set(this.canvas, this);
    sizes.observe(this.canvas);
  }

  destroy() {
    sizes.unobserve(this.canvas);
    sparklines.delete(this.canvas);
    outdated.delete(this);
  }

  resize({ width, height }) {
    this.#width = width;
    this.#height = height;
    outdate(this);
  }

  recolour() {
    this.#colour = null;
    outdate(this);
  }

  draw(now) {
    const { times, mean, min, max } = this.series.at(now);
    const [width, height] = [this.#width, this.#height];
    if (width === 0) {
      return;
    }
    const context = this.#context();
    if (times.length < 2) {
      return;
    }
    const low = Math.min(...min.filter((value) => !Number.isNaN(value)));
    const high = Math.max(...max.filter((value) => !Number.isNaN(value)));
    const extent = Math.max(high - low, this.span) || 1;
    const middle = (high + low) / 2;
    const [from, to] = this.series.range(now);
    const x = (i) => (width * (times[i] - from)) / (to - from);
    const y = (value) => height * (0.5 - (0.72 * (value - middle)) / extent);
    context.strokeStyle = this.#colour;
    context.fillStyle = this.#fade(context, height);
    context.lineWidth = 1.75;
    context.lineJoin = 'round';
    context.lineCap = 'round';
    for (const [first, last] of runs(mean)) {
      this.#run(context, first, last, (i) => [Math.min(x(i), width - 1), y(mean[i])], height);
    }
  }

  /* An empty canvas of the right size, in CSS pixels. */
  #context() {
    const scale = devicePixelRatio;
    const [width, height] = [Math.round(this.#width * scale), Math.round(this.#height * scale)];
    const context = this.canvas.getContext('2d');
    this.#colour ??= getComputedStyle(this.canvas).color;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.#width, this.#height);
    return context;
  }

  #run(context, from, to, point, height) {
    context.beginPath();
    for (let i = from; i <= to; i += 1) {
      context.lineTo(...point(i));
    }
    context.stroke();
    context.lineTo(point(to)[0], height);
    context.lineTo(point(from)[0], height);
    context.fill();
  }

  #fade(context, height) {
    const gradient = context.createLinearGradient(0, 0, 0, height);
    const [red, green, blue] = this.#colour.match(/[\d.]+/g);
    gradient.addColorStop(0, `rgb(${red} ${green} ${blue} / 0.2)`);
    gradient.addColorStop(1, `rgb(${red} ${green} ${blue} / 0)`);
    return gradient;
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
