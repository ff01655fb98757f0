/* The dialog that a card opens: a sensor's plot and interval, a relay's pulse, a display's lines. */
import { HOUR, POINTS } from './cards.js';
import { announce, h, icon, setAttribute, setText } from './dom.js';
import { formatNumber, formatUnit } from './format.js';
import { COLUMNS, LINES, linesOf } from './oled.js';
import { Series } from './series.js';

const ranges = [[300, '5 min'], [900, '15 min'], [HOUR, '1 hour']];

/* Buttons of which one is pressed. */
function tabs(label, items, chosen, onchoose) {
  const buttons = items.map(([value, title]) => h('button', {
    type: 'button', 'aria-pressed': String(value === chosen),
    onclick: (event) => {
      buttons.forEach((button) => setAttribute(button, 'aria-pressed', String(button === event.target)));
      onchoose(value);
    },
  }, title));
  return h('div', { class: 'tabs', role: 'group', 'aria-label': label }, ...buttons);
}

/*
 * A form that sends something and says what came of it. action(data) returns a promise of the text
 * that says so.
 */
function form(title, fields, submit, action) {
  const result = h('p', { class: 'status', role: 'status' });
  const button = h('button', { type: 'submit', class: 'primary' }, submit);
  const element = h('form', {
    class: 'form',
    onsubmit: async (event) => {
      event.preventDefault();
      if (button.getAttribute('aria-disabled')) {
        return;
      }
      setAttribute(result, 'data-state', 'asked');
      setText(result, 'Asked \u2026');
      try {
        const text = await action(new FormData(element));
        setAttribute(result, 'data-state', 'done');
        setText(result, text);
      } catch (error) {
        setAttribute(result, 'data-state', 'failed');
        setText(result, `Failed: ${error.message}`);
      }
    },
  }, h('h3', {}, title), ...fields, h('div', { class: 'row' }, button, result));
  return {
    element,
    enable(enabled, reason) {
      setAttribute(button, 'aria-disabled', enabled ? null : 'true');
      setAttribute(result, 'data-state', '');
      setText(result, enabled ? '' : reason);
    },
  };
}

/* The plot with its choice of range and quantity, and the figures below it. */
class PlotSection {
  #range = HOUR;
  #quantity;
  #series = new Map(); // quantity → Series, where the range is not the card's own hour
  #plot = null;
  #figures = h('dl', { class: 'figures' });
  #note = h('p', { class: 'note' });
  #holder = h('div', { class: 'holder' });
  #isOpen = true;

  constructor(card) {
    this.card = card;
    this.#quantity = card.quantities[0];
    const titles = card.quantities.map((name) => [name, card.part(name).about.title]);
    this.element = h('section', { 'aria-label': 'History' },
      h('div', { class: 'row spread' },
        titles.length > 1 ? tabs('Quantity', titles, this.#quantity, (name) => this.#choose(name))
          : h('h3', {}, titles[0]?.[1] ?? 'History'),
        tabs('Span of time', ranges, this.#range, (seconds) => this.#span(seconds))),
      this.#holder, this.#figures, this.#note);
    if (this.#quantity) {
      this.#show();
    }
  }

  show(payload) {
    for (const [name, series] of this.#series) {
      const [value] = payload[name] ?? [null];
      if (typeof value === 'number') {
        series.add(Date.now() / 1000, value);
      }
    }
  }

  tick() {
    this.#plot?.draw();
    this.#summarize();
  }

  destroy() {
    this.#isOpen = false;
    this.#plot?.destroy();
  }

  #choose(name) {
    this.#quantity = name;
    this.#show();
  }

  /* A shorter span has finer steps of its own, from the server and from now on. */
  async #span(seconds) {
    this.#range = seconds;
    this.#series = new Map(seconds === HOUR ? [] : this.card.quantities.map((name) =>
      [name, new Series(seconds, Math.max(1, seconds / POINTS))]));
    const mine = this.#series;
    this.#show();
    if (mine.size === 0) {
      return;
    }
    const history = await this.card.context.history(this.card.topic, seconds, POINTS);
    for (const [name, series] of history && mine === this.#series ? mine : []) {
      if (history[name]) {
        series.load(history, history[name], history.ahead);
      }
    }
    this.tick();
  }

  async #show() {
    const { Plot } = await import('./plot.js');
    if (!this.#isOpen) {
      return;
    }
    this.#plot?.destroy();
    const { about, unit, series } = this.card.part(this.#quantity);
    this.#plot = new Plot({ series: this.#series.get(this.#quantity) ?? series, about, unit: unit ?? '' });
    this.#holder.replaceChildren(this.#plot.element);
    this.tick();
  }

  #summarize() {
    if (!this.#plot) {
      return;
    }
    const { series, about, unit } = this.#plot;
    const summary = series.summary(Date.now() / 1000);
    const names = { min: 'Lowest', mean: 'Mean', max: 'Highest' };
    if (this.#figures.childElementCount === 0) {
      this.#figures.append(...Object.values(names).map((name) => h('div', {}, h('dt', {}, name), h('dd', {}))));
    }
    Object.keys(names).forEach((key, i) => {
      setText(this.#figures.children[i].lastChild,
        summary ? `${formatNumber(summary[key], about)} ${formatUnit(unit)}` : '\u2014');
    });
    setText(this.#note, this.card.context.hasHistory()
      ? '' : 'This server keeps no history: the plot begins when the page was opened.');
  }
}

function intervalForm(card) {
  const input = h('input', {
    name: 'seconds', type: 'number', min: '0.1', max: '86400', step: 'any', required: true,
    inputmode: 'decimal', id: 'interval',
  });
  const never = h('input', {
    name: 'never', type: 'checkbox', id: 'never', onchange: () => { input.disabled = never.checked; },
  });
  const fill = ({ 'publish-interval': seconds }) => {
    never.checked = seconds === null;
    input.disabled = never.checked;
    input.value = seconds ?? '';
  };
  const result = form('Publishing', [
    h('p', { class: 'row' }, h('label', { for: 'interval' }, 'A value every'), input, 'seconds'),
    h('p', { class: 'row' }, never, h('label', { for: 'never' }, 'Only when it is asked for')),
  ], 'Save', async (data) => {
    const seconds = data.has('never') ? null : Number(data.get('seconds'));
    const { payload } = await card.context.request(`${card.topic}/config/set`, { 'publish-interval': seconds });
    fill(payload);
    return 'Saved';
  });
  card.context.request(`${card.topic}/config/get`).then(({ payload }) => fill(payload), () => {});
  return result;
}

function pulseForm(card) {
  return form('Pulse', [
    h('p', { class: 'row' }, h('label', { for: 'duration' }, 'On, and off again by itself after'),
      h('input', {
        name: 'duration', id: 'duration', type: 'number', min: '0.05', max: '86400', step: 'any',
        value: '1', required: true, inputmode: 'decimal',
      }), 'seconds'),
  ], 'Pulse', async (data) => {
    await card.context.request(`${card.topic}/pulse/set`, { duration: Number(data.get('duration')) });
    return 'On, for as long as that';
  });
}

function linesForm(card) {
  const fields = linesOf(card.payload).map((line, i) => h('input', {
    name: `line-${i}`, value: line, maxlength: COLUMNS, 'aria-label': `Line ${i + 1}`, autocomplete: 'off',
    spellcheck: 'false',
  }));
  return form('Text', [h('div', { class: 'screen edit' }, ...fields)], 'Show', async (data) => {
    const lines = Array.from({ length: LINES }, (_, i) => [`line-${i}`, data.get(`line-${i}`)]);
    await card.context.request(`${card.topic}/set`, Object.fromEntries(lines));
    return 'Shown';
  });
}

/** One dialog for the whole page. */
export class Details {
  #card = null;
  #plot = null;
  #forms = [];
  #title = h('h2', { id: 'details-title' });
  #topic = h('p', { class: 'address' });
  #body = h('div', { class: 'body' });
  #enabled = [true, ''];
  /** What there is to do once a second, as a job for frames.js. */
  tickNow = () => this.#plot?.tick();

  constructor() {
    this.dialog = h('dialog', {
      class: 'details', 'aria-labelledby': 'details-title',
      onclose: () => this.#closed(),
      onclick: (event) => event.target === this.dialog && this.dialog.close(), // the backdrop
    }, h('div', { class: 'sheet' },
      h('div', { class: 'head' }, h('div', { class: 'names' }, this.#title, this.#topic),
        h('button', { type: 'button', class: 'tool', 'aria-label': 'Close', onclick: () => this.dialog.close() },
          icon('close'))),
      this.#body));
    document.body.append(this.dialog);
  }

  open(card) {
    this.#card = card;
    setText(this.#title, card.title);
    setText(this.#topic, card.topic);
    const { group, type, colour } = card.kind;
    this.dialog.className = `details ${colour}`;
    this.#plot = group === 'sensor' ? new PlotSection(card) : null;
    this.#forms = [
      group === 'sensor' && intervalForm(card), type === 'relay' && pulseForm(card),
      group === 'display' && linesForm(card),
    ].filter(Boolean);
    this.#body.replaceChildren(...[this.#plot, ...this.#forms].filter(Boolean).map((part) => part.element));
    this.enable(...this.#enabled);
    this.dialog.showModal();
  }

  /** A card that is shown here has published. */
  show(card, payload) {
    if (card === this.#card) {
      this.#plot?.show(payload);
    }
  }

  /** A card whose device has left the list takes its dialog along. */
  remove(card) {
    if (card === this.#card) {
      this.dialog.close();
      announce(`${card.label} was removed`);
    }
  }

  enable(enabled, reason) {
    this.#enabled = [enabled, reason];
    this.#forms.forEach((part) => part.enable(enabled, reason));
  }

  #closed() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#card = null;
    this.#forms = [];
    this.#body.replaceChildren();
  }
}
