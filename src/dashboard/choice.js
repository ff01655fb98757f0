/*
 * A choice between a few states of the real world: a relay's on and off, an LED's patterns. It keeps
 * three things apart, and shows each as what it is: what *is* (the last state that the node
 * published), what was *asked* for (until the node answers), and what *failed*.
 */
import { announce, h, icon, setAttribute, setText } from './dom.js';
import { formatDuration, formatTime } from './format.js';

/* Why the outcome is not known: our own codes, not the server's. */
const uncertain = new Set(['connection-lost', 'no-answer']);

export class Choice {
  #asked = null; // { value, at }: the newest request that is under way
  #buttons;
  #thumb = h('span', { class: 'thumb', 'aria-hidden': 'true' });
  #mark = h('span', { class: 'mark', 'aria-hidden': 'true' });
  #note = h('span', {});
  #said = { state: '', text: '' }; // beside the choice
  #marked = ''; // the state that the mark shows
  #status = h('p', { class: 'status' }, this.#mark, this.#note);

  /*
   * options: [{ value, label, title }]. request(value): a promise of the published value.
   * name(): what is switched, for announcements.
   */
  constructor({ label, options, request, name }) {
    this.options = options;
    this.request = request;
    this.name = name;
    this.current = undefined;
    this.#buttons = options.map((option) => h('button', {
      type: 'button', 'aria-pressed': 'false', 'aria-label': option.title, title: option.title,
      onclick: () => this.#choose(option),
    }, option.label));
    this.group = h('div', { class: 'choice', role: 'group', 'aria-label': label },
      this.#thumb, ...this.#buttons);
    this.group.style.setProperty('--count', options.length);
    this.element = h('div', {}, this.group, this.#status);
  }

  /** Buttons stay focusable: whoever sits on one learns there why it does nothing. */
  enable(enabled, reason = '') {
    for (const button of this.#buttons) {
      setAttribute(button, 'aria-disabled', enabled ? null : 'true');
    }
    setAttribute(this.group, 'title', enabled ? null : reason);
  }

  /** A state that the node published, for render() to show. `initial`: it is from the node's memory. */
  published(value, initial) {
    const isNews = value !== this.current;
    this.current = value;
    if (initial) {
      this.#say('', value === null ? 'Position not known until it is switched once' : 'Last known state');
    } else if (isNews && !this.#asked) {
      this.#say('', value === null
        ? 'Position not known' : `${this.#title(value)} since ${formatTime(Date.now())}`);
    }
  }

  async #choose({ value, title }) {
    if (this.#buttons[0].hasAttribute('aria-disabled')) {
      return;
    }
    const asked = { value, at: performance.now() };
    this.#asked = asked;
    this.#say('asked', `Asked for ${title.toLowerCase()} …`);
    this.render();
    try {
      const done = await this.request(value);
      if (this.#asked === asked) {
        this.#asked = null;
        this.#done(done, performance.now() - asked.at);
      }
    } catch (error) {
      if (this.#asked === asked) {
        this.#asked = null;
        this.#failed(error);
      }
    }
    this.render();
  }

  #done(value, took) {
    this.#say('done', `${this.#title(value)} since ${formatTime(Date.now())}, done in ${formatDuration(took)}`);
    announce(`${this.name()}: ${this.#title(value)}`);
  }

  #failed(error) {
    const text = uncertain.has(error.code)
      ? 'Not known whether it was done: the answer did not come' : `Failed: ${error.message}`;
    this.#say('failed', text);
    announce(`${this.name()}: ${text}`);
  }

  #title(value) {
    return this.options.find((option) => option.value === value)?.title ?? String(value);
  }

  #say(state, text) {
    this.#said = { state, text };
  }

  render() {
    const index = this.options.findIndex((option) => option.value === this.current);
    this.group.style.setProperty('--index', Math.max(0, index));
    setAttribute(this.group, 'data-known', String(index >= 0));
    setAttribute(this.group, 'data-value', String(this.current));
    this.#buttons.forEach((button, i) => {
      const { value } = this.options[i];
      setAttribute(button, 'aria-pressed', String(i === index));
      setAttribute(button, 'data-asked', this.#asked && this.#asked.value === value ? '' : null);
    });
    this.#renderStatus();
  }

  #renderStatus() {
    const { state, text } = this.#said;
    if (state !== this.#marked) {
      const marks = { asked: () => h('span', { class: 'spinner' }), done: () => icon('check'), failed: () => icon('alert') };
      this.#marked = state;
      setAttribute(this.#status, 'data-state', state);
      this.#mark.replaceChildren(...(state in marks ? [marks[state]()] : []));
    }
    setText(this.#note, text);
  }
}
