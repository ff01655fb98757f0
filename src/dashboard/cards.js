/*
 * A card per device. Every card has the same life: show(payload, message) whenever the node publishes,
 * which takes notice and draws nothing; render() when there is something new and it is on screen; tick()
 * once a second, on screen too; enable() when switching becomes possible or impossible; destroy() when
 * the device has left the list.
 */
import { Choice } from './choice.js';
import { h, icon, setAttribute, setText } from './dom.js';
import { formatAge, formatNumber, formatTime, formatUnit } from './format.js';
import { never } from './frames.js';
import { kindOf, quantitiesIn, quantityOf } from './kinds.js';
import { showScreen } from './oled.js';
import { Series } from './series.js';
import { Sparkline } from './sparkline.js';

export const HOUR = 3600; // s of history on a card
export const POINTS = 300; // steps of it

class Card {
  isVisible = true; // kept by the page's IntersectionObserver
  /* The two as jobs for frames.js. */
  renderNow = () => this.render();
  tickNow = () => this.tick(Date.now());

  /* context: { talk, name (chosen in nodes.json, or undefined), openDetails(card) } */
  constructor(topic, context) {
    this.topic = topic;
    this.context = context;
    this.kind = kindOf(topic);
    this.payload = null;
    this.time = null; // of the last value, null where it came from the node's memory
    const { address, title, colour } = this.kind;
    this.title = context.name ?? title;
    const place = address === '-' ? '' : address;
    this.subtitle = context.name ? [title, place].filter(Boolean).join(' \u00b7 ') : place;
    this.age = h('span', { class: 'age' });
    this.open = h('button', { type: 'button', class: 'open', onclick: () => context.openDetails(this) },
      this.title);
    this.element = h('li', { class: `card ${this.kind.group} ${colour}`, 'data-topic': topic },
      h('div', { class: 'head' },
        icon(this.kind.icon),
        h('div', { class: 'names' }, h('h3', {}, this.open), h('p', { class: 'address' }, this.subtitle)),
        this.age));
  }

  /** What a screen reader calls it. */
  get label() {
    return [this.title, this.subtitle].filter(Boolean).join(' ');
  }

  show(payload, { initial }) {
    this.payload = payload;
    this.time = initial ? null : Date.now();
  }

  tick() {}
  render() {}
  enable() {}

  destroy() {
    never(this.renderNow);
    never(this.tickNow);
  }
}

/* One quantity's value: the decimals are smaller than what counts. */
class Reading {
  #integer = h('span', { class: 'integer' });
  #fraction = h('span', { class: 'fraction' });
  #unit = h('span', { class: 'unit' });
  element = h('p', { class: 'reading' }, this.#integer, this.#fraction, ' ', this.#unit);

  show(value, unit, quantity) {
    const [integer, fraction] = value === null ? ['\u2013'] : formatNumber(value, quantity).split('.');
    setText(this.#integer, integer);
    setText(this.#fraction, fraction === undefined ? '' : `.${fraction}`);
    setText(this.#unit, value === null ? 'no reading' : formatUnit(unit));
    setAttribute(this.element, 'data-missing', value === null ? '' : null);
  }
}

export class SensorCard extends Card {
  #parts = new Map(); // quantity → { about, series, reading }
  #readings = h('div', { class: 'readings' });
  #extremes = h('span', {});
  #span = h('span', { class: 'span' });
  #range = h('p', { class: 'range' }, this.#extremes, this.#span);
  #summary = null; // of the first quantity, as it is shown
  #sparkline = null;
  #isNew = false; // something that the sparkline does not show yet

  constructor(topic, context) {
    super(topic, context);
    this.element.append(this.#readings, this.#range);
  }

  get quantities() {
    return [...this.#parts.keys()];
  }

  part(name) {
    return this.#parts.get(name);
  }

  show(payload, message) {
    super.show(payload, message);
    for (const [name, [value, unit]] of quantitiesIn(payload)) {
      const part = this.#parts.get(name) ?? this.#add(name);
      part.value = value;
      part.unit = unit;
      if (value !== null) {
        part.series.add(Date.now() / 1000, value);
      }
    }
    this.#isNew = true;
  }

  /** A history reply. `ahead`: by how much this clock is ahead of the server's, in seconds. */
  load(history, ahead) {
    for (const [name, series] of Object.entries(history)) {
      if (Array.isArray(series?.mean)) {
        (this.#parts.get(name) ?? this.#add(name)).series.load(history, series, ahead);
      }
    }
    this.#isNew = true;
  }

  render() {
    for (const { value, unit, about, reading } of this.#parts.values()) {
      if (value !== undefined) {
        reading.show(value, unit, about);
      }
    }
    this.#stretch();
  }

  tick(now) {
    if (this.#parts.size > 0 && this.#isNew) {
      this.#isNew = false;
      this.#sparkline.draw(now / 1000);
      this.#summarize(now / 1000);
    }
    if (this.payload !== null) {
      setText(this.age, this.time === null ? 'last known' : formatAge(now - this.time));
    } else if (this.#summary === null) {
      setText(this.#extremes, 'Waiting for the first value');
    }
  }

  #summarize(now) {
    const [{ series }] = this.#parts.values();
    this.#summary = series.summary(now);
    const from = series.begin(now);
    this.#showExtremes();
    if (this.#summary === null) {
      setText(this.#span, '');
    } else {
      setText(this.#span, now - from > 0.95 * HOUR
        ? ' in the last hour' : ` since ${formatTime(from * 1000, { seconds: false })}`);
    }
  }

  /* A value outside of the extremes is one of them from now on, and not only from the next tick on. */
  #stretch() {
    const [first] = this.#parts.values();
    if (this.#summary && typeof first.value === 'number'
      && (first.value < this.#summary.min || first.value > this.#summary.max)) {
      this.#summary.min = Math.min(first.value, this.#summary.min);
      this.#summary.max = Math.max(first.value, this.#summary.max);
      this.#showExtremes();
    }
  }

  #showExtremes() {
    const [{ about }] = this.#parts.values();
    setText(this.#extremes, this.#summary === null ? ''
      : `${formatNumber(this.#summary.min, about)} to ${formatNumber(this.#summary.max, about)}`);
  }

  /* The first quantity is the one that the card is about. */
  #add(name) {
    const about = quantityOf(name);
    const part = { about, series: new Series(HOUR, HOUR / POINTS), reading: new Reading() };
    this.#parts.set(name, part);
    this.#readings.append(part.reading.element);
    if (this.#parts.size === 1) {
      this.#sparkline = new Sparkline(part.series, about.span);
      this.element.append(this.#sparkline.element);
    }
    return part;
  }
}

const switches = {
  relay: [
    { value: false, label: 'Off', title: 'Off' },
    { value: true, label: 'On', title: 'On' },
  ],
  led: [
    { value: 'off', label: 'Off', title: 'Off' },
    { value: 'on', label: 'On', title: 'On' },
    { value: '1-dot', label: '\u2022', title: 'One blink' },
    { value: '2-dot', label: '\u2022\u2022', title: 'Two blinks' },
    { value: '3-dot', label: '\u2022\u2022\u2022', title: 'Three blinks' },
  ],
};

export class SwitchCard extends Card {
  constructor(topic, context) {
    super(topic, context);
    this.choice = new Choice({
      label: this.label,
      name: () => this.label,
      options: switches[this.kind.type],
      request: async (state) => (await context.set(topic, { state })).state,
    });
    this.age.remove(); // the choice says since when
    this.element.append(this.choice.element);
  }

  show(payload, message) {
    super.show(payload, message);
    this.choice.published(payload.state ?? null, message.initial);
  }

  render() {
    this.choice.render();
  }

  enable(enabled, reason) {
    this.choice.enable(enabled, reason);
  }
}

export class DisplayCard extends Card {
  #screen = h('div', { class: 'screen' });

  constructor(topic, context) {
    super(topic, context);
    this.element.append(this.#screen);
  }

  render() {
    if (this.payload !== null) {
      showScreen(this.#screen, this.payload);
    }
  }

  tick(now) {
    setText(this.age, this.time === null ? '' : formatAge(now - this.time));
  }
}

/** The card for a device of any type. */
export function createCard(topic, context) {
  const type = topic.split('/')[0];
  if (type in switches) {
    return new SwitchCard(topic, context);
  }
  return type === 'display-oled' ? new DisplayCard(topic, context) : new SensorCard(topic, context);
}
