/*
 * One node on the page: its connection, its cards, and what is said where there is nothing to show.
 * Lives from start to destroy(); the page shows one node at a time.
 */
import { compareTopics } from './kinds.js';
import { createCard, HOUR, POINTS, SensorCard } from './cards.js';
import { ClownTalk, nodePath } from './clowntalk.js';
import { diagnose } from './diagnose.js';
import { announce, h, icon, setText } from './dom.js';
import { formatTime } from './format.js';
import { never, soon } from './frames.js';

const RENDER_EVERY = 100; // ms: no person reads faster than that
const HISTORY_AT_ONCE = 3; // requests under way
const NEWS_STAYS = 20_000; // ms
const PATIENCE = 400; // ms before a page without values says that it is connecting

const groups = [['sensor', 'Sensors'], ['switch', 'Switches'], ['display', 'Displays']];

export class NodeView {
  #cards = new Map(); // topic → card
  #expected = new Map(); // topic → { payload, message } or null, of the cards that are still to be made
  #isComplete = false; // whether every device of the first list has had its card
  #dirty = new Set(); // cards with something new to render
  #rendering = null; // the timer of their next turn
  #renderedAt = -Infinity; // of their last one, in ms
  #sections = new Map(); // group → { element, list }
  #panel = h('div', { class: 'panel', hidden: true });
  #notices = h('div', { class: 'notices' });
  #lost = null; // the notice that the connection is lost
  #why = h('span', {}); // the cause in it
  #lastHeard = null;
  #state = 'connecting'; // the connection's, as last reported
  #refused = false; // whether the last attempt failed before there was a connection
  #cause = null; // what diagnose() found of that
  #readOnly = null; // why this user may not switch
  #lock = null; // the notice that says so
  #hasHistory = true;
  #loaded = new Set(); // cards whose last hour was asked for on this connection
  #loading = false;
  #started = performance.now();
  #sight = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: '200px' });

  /*
   * config: { name, title, url, devices: { topic: name } } of nodes.json. page: { details,
   * connection(state, text) }.
   */
  constructor(config, page) {
    this.config = config;
    this.page = page;
    const sections = groups.map(([group, title]) => {
      const list = h('ul', { class: 'cards', role: 'list' });
      const element = h('section', { hidden: true, 'aria-labelledby': `group-${group}` },
        h('h2', { id: `group-${group}` }, title), list);
      this.#sections.set(group, { element, list });
      return element;
    });
    this.element = h('div', { class: 'node', 'data-state': 'connecting' },
      this.#notices, this.#panel, ...sections);
    this.talk = new ClownTalk(config.url ?? nodePath(config.name));
    this.talk.on('state', () => this.#changed());
    this.talk.on('ready', (server) => this.#ready(server));
    this.talk.on('devices', (devices) => this.#listed(devices));
    this.talk.on('close', () => this.#closed());
    this.talk.subscribe('+/+', (payload, topic, message) => this.#published(payload, topic, message));
    this.talk.subscribe('boot', (payload) => this.#booted(payload));
    this.#changed();
  }

  destroy() {
    this.talk.close();
    clearTimeout(this.#rendering);
    never(this.#make);
    this.#sight.disconnect();
    this.#cards.forEach((card) => card.destroy());
    this.element.remove();
  }

  /** Called once a second. */
  tick() {
    for (const card of this.#cards.values()) {
      if (card.isVisible) {
        soon(card.tickNow);
      }
    }
    this.#say();
  }

  /* ---- the connection ---- */

  #ready(server) {
    this.#cause = null;
    this.#loaded.clear();
    this.#lost?.remove();
    this.#lost = null;
    if (server.control === false) {
      this.#forbid('');
    } else {
      this.#permit();
    }
    announce('Connected');
  }

  async #closed() {
    if (this.#cards.size > 0 && !this.#lost && this.talk.state !== 'closed') {
      this.#lastHeard ??= Date.now();
      setText(this.#why, '');
      this.#lost = h('div', { class: 'notice bad' }, icon('link'), h('p', {},
        h('strong', {}, 'Connection lost. '),
        h('span', {}, `What you see is from ${formatTime(this.#lastHeard)}. `),
        this.#why),
      h('button', { type: 'button', onclick: () => this.talk.retry() }, 'Try now'));
      this.#notices.append(this.#lost);
      announce('Connection lost');
    }
    if (this.#refused) {
      const cause = await diagnose(this.talk.url);
      if (this.talk.state !== 'ready') {
        this.#cause = cause;
        setText(this.#why, `${cause.title}.`);
        this.#say();
      }
    }
  }

  #booted(payload) {
    const why = { crash: 'after a crash', restart: 'on request', 'power-on': 'after power came on' };
    const reason = why[payload['reason-for-reset']] ?? '';
    const notice = h('div', { class: 'notice' }, icon('chip'),
      h('p', {}, `The hardware side was restarted ${reason} at ${formatTime(Date.now())}.`));
    this.#notices.append(notice);
    setTimeout(() => notice.remove(), NEWS_STAYS);
    announce('The hardware side was restarted');
  }

  /* Whether switching is possible may have changed, and what there is to say. */
  #changed() {
    const { state } = this.talk;
    this.#refused = state === 'waiting' && this.#state === 'connecting';
    this.#state = state;
    this.element.dataset.state = state;
    const isReady = state === 'ready';
    const reason = isReady ? this.#readOnly ?? '' : 'No connection now';
    const enabled = isReady && this.#readOnly === null;
    this.#cards.forEach((card) => card.enable(enabled, reason));
    this.page.details.enable(enabled, reason);
    this.#say();
  }

  #say() {
    const { state, retryAt } = this.talk;
    const wait = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
    const texts = {
      connecting: 'Connecting', opening: 'Opening', ready: 'Live', closed: 'Closed',
      waiting: navigator.onLine ? `Again in ${wait} s` : 'Offline',
    };
    this.page.connection(state, texts[state]);
    if (this.#cards.size + this.#expected.size > 0) {
      this.#showPanel(null);
    } else if (state === 'ready') {
      this.#showPanel(this.talk.devices ? 'empty' : null);
    } else if (this.#cause) {
      this.#showPanel('error');
    } else if (performance.now() - this.#started > PATIENCE) {
      this.#showPanel('connecting');
    }
  }

  #showPanel(state) {
    const key = state === 'error' ? this.#cause.title : state;
    this.#panel.hidden = state === null;
    if (state === null || this.#panel.dataset.key === key) {
      return;
    }
    this.#panel.dataset.key = key;
    this.#panel.dataset.state = state;
    const { title, text, button } = this.#panelTexts(state);
    this.#panel.replaceChildren(
      h('div', { class: 'emblem' }, state === 'connecting'
        ? h('span', { class: 'spinner' }) : icon(state === 'error' ? 'link' : 'chip')),
      h('h2', {}, title), h('p', {}, text), ...(button ? [button] : []));
  }

  #panelTexts(state) {
    const { title } = this.config;
    if (state === 'error') {
      const [label, onclick] = this.#cause.reload
        ? ['Sign in', () => location.reload()] : ['Try now', () => this.talk.retry()];
      return { ...this.#cause, button: h('button', { type: 'button', class: 'primary', onclick }, label) };
    }
    return state === 'empty'
      ? { title: 'No devices yet', text: `${title} is connected, but nothing that it knows is on its buses. `
          + 'A device that is plugged in appears here by itself.' }
      : { title: `Connecting to ${title}`, text: 'This takes a moment where the hardware is still starting.' };
  }

  /* ---- what this user may ---- */

  #forbid(message) {
    if (this.#readOnly === null) {
      this.#readOnly = 'You may look, but not switch';
      this.#lock = h('div', { class: 'notice' }, icon('lock'), h('p', {},
        h('strong', {}, `${this.#readOnly}. `), h('span', {}, message)));
      this.#notices.append(this.#lock);
      announce(this.#readOnly);
    }
    this.#changed();
  }

  /* A new connection may have other rights: the configuration was changed, or another user signed in. */
  #permit() {
    if (this.#readOnly !== null) {
      this.#readOnly = null;
      this.#lock.remove();
      this.#changed();
    }
  }

  async #request(topic, payload = {}) {
    try {
      return await this.talk.request(topic, payload);
    } catch (error) {
      if (error.code === 'forbidden') {
        this.#forbid(`The server says: ${error.message}.`);
      }
      throw error;
    }
  }

  /* ---- devices ---- */

  #published(payload, topic, message) {
    if (this.talk.value(topic) !== payload) {
      return; // no value of a device
    }
    this.#lastHeard = Date.now();
    const card = this.#cards.get(topic);
    if (card) {
      card.show(payload, message);
      this.page.details.show(card, payload);
      this.#renderSoon(card);
    } else {
      this.#expect(topic, { payload, message });
    }
  }

  #listed({ sensors, actuators }) {
    const present = new Set([...sensors, ...actuators]);
    for (const [topic, card] of this.#cards) {
      if (!present.has(topic)) {
        this.#remove(topic, card);
      }
    }
    for (const topic of this.#expected.keys()) {
      if (!present.has(topic)) {
        this.#expected.delete(topic);
      }
    }
    for (const topic of present) {
      if (!this.#cards.has(topic) && !this.#expected.has(topic)) {
        this.#expect(topic, null);
      }
    }
    this.#say();
    soon(this.#make);
  }

  /* A card is made in one of the next frames: many of them at once would block the page. */
  #expect(topic, news) {
    this.#expected.set(topic, news);
    soon(this.#make);
  }

  /* Makes one card, the first on the page that is missing, and goes on with the next. */
  #make = () => {
    const [topic] = [...this.#expected.keys()].sort(compareTopics);
    if (topic !== undefined) {
      const news = this.#expected.get(topic);
      this.#expected.delete(topic);
      const card = this.#add(topic);
      if (news) {
        card.show(news.payload, news.message);
        card.render();
      }
      soon(this.#make);
    } else if (this.talk.devices) {
      this.#isComplete = true;
      this.#loadHistories();
    }
  };

  #add(topic) {
    const card = createCard(topic, {
      name: this.config.devices?.[topic],
      set: async (device, payload) => (await this.#request(`${device}/set`, payload)).payload,
      request: (to, payload) => this.#request(to, payload),
      history: (device, seconds, points) => this.#history(device, seconds, points).catch(() => null),
      hasHistory: () => this.#hasHistory,
      openDetails: (which) => this.page.details.open(which),
    });
    const { element, list } = this.#sections.get(card.kind.group);
    const next = [...list.children].find((other) => compareTopics(topic, other.dataset.topic) < 0);
    list.insertBefore(card.element, next ?? null);
    element.hidden = false;
    this.#cards.set(topic, card);
    this.#sight.observe(card.element);
    if (this.#isComplete) {
      announce(`${card.label} was added`);
    }
    card.enable(this.talk.state === 'ready' && this.#readOnly === null, this.#readOnly ?? '');
    this.#panel.hidden = true;
    return card;
  }

  #remove(topic, card) {
    const { element, list } = this.#sections.get(card.kind.group);
    this.#cards.delete(topic);
    this.#dirty.delete(card);
    this.#sight.unobserve(card.element);
    this.page.details.remove(card);
    card.destroy();
    card.element.remove();
    element.hidden = list.childElementCount === 0;
    announce(`${card.label} was removed`);
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = this.#cards.get(target.dataset.topic);
      if (card) {
        card.isVisible = isIntersecting;
        if (isIntersecting) {
          soon(card.renderNow);
          soon(card.tickNow);
        }
      }
    }
  }

  /* ---- history ---- */

  /* The last hour of every sensor, a few at a time, those on screen first. */
  async #loadHistories() {
    if (this.#loading || !this.#hasHistory) {
      return;
    }
    this.#loading = true;
    const next = () => [...this.#cards.values()]
      .filter((card) => card instanceof SensorCard && !this.#loaded.has(card))
      .sort((a, b) => Number(b.isVisible) - Number(a.isVisible))[0];
    const worker = async () => {
      let card = next();
      while (card && this.talk.state === 'ready' && this.#hasHistory) {
        await this.#loadHistory(card);
        card = next();
      }
    };
    await Promise.all(Array.from({ length: HISTORY_AT_ONCE }, worker));
    this.#loading = false;
  }

  async #loadHistory(card) {
    this.#loaded.add(card);
    try {
      const history = await this.#history(card.topic, HOUR, POINTS);
      card.load(history, history.ahead);
      if (card.isVisible) {
        soon(card.tickNow);
      }
    } catch (error) {
      if (error.code === 'rate-limited') {
        await new Promise((done) => { setTimeout(done, 1000); });
        this.#loaded.delete(card);
      }
    }
  }

  /* A history reply with `ahead`: by how much this clock is ahead of the server's, in seconds. */
  async #history(topic, seconds, points) {
    try {
      const history = await this.talk.history(topic, seconds, points);
      const difference = Date.now() / 1000 - history.end;
      // Less than a step and a little is no difference of the clocks: `end` may lie at a step's end.
      history.ahead = Math.abs(difference) > history.step + 2 ? difference : 0;
      return history;
    } catch (error) {
      this.#hasHistory &&= error.code !== 'unknown-topic';
      throw error;
    }
  }

  /* ---- drawing ---- */

  /* All that is new at once, and not more often than it can be read: each frame has its price. */
  #renderSoon(card) {
    this.#dirty.add(card);
    this.#rendering ??= setTimeout(() => {
      this.#rendering = null;
      this.#renderedAt = performance.now();
      for (const changed of this.#dirty) {
        if (changed.isVisible) {
          soon(changed.renderNow);
        }
      }
      this.#dirty.clear();
    }, Math.max(0, this.#renderedAt + RENDER_EVERY - performance.now()));
  }
}
