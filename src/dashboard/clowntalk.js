/*
 * clowntalk.js: a client for Clown.Talk over WebSocket. No dependencies; an ES module for browsers
 * and Node.js. `npm run build` also makes clowntalk.classic.js of it, a classic script that puts the
 * same names into the global `clowntalk`. The manual is docs/javascript.md.
 *
 * Two layers:
 *   ReconnectingSocket  a WebSocket that comes back; it does not know the messages
 *   ClownTalk           opening, device list, last values, requests with promises, topics
 * and wsConnect(), which offers the first layer in the style of onOpen/onMessage functions.
 */

const defaults = {
  protocol: 'clown.talk', // subprotocol that is offered; null: none
  connectTimeout: 10_000, // ms until a handshake that hangs is given up
  minDelay: 500, //          ms, upper bound of the first back-off; each failure doubles it ...
  maxDelay: 30_000, //       ms ... up to here
  stableAfter: 5_000, //     ms that a connection must have lived before the back-off is reset
  reconnect: true,
  requestTimeout: 10_000, // ms until a request without an answer fails
  idleTimeout: 30_000, //    ms of silence after which the server is asked for a sign of life
  probeTimeout: 5_000, //    ms that it has for that
};

const systemClock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

/** What failed. `code` is the server's error name, or one of ours: see docs/javascript.md. */
export class ClownTalkError extends Error {
  constructor(code, message, topic, payload) {
    super(message);
    this.name = 'ClownTalkError';
    this.code = code;
    this.topic = topic;
    this.payload = payload;
  }
}

/** ["topic", payload] and, with an id, ["topic", payload, {"id": id}], with its line feed. */
export function formatMessage(topic, payload = {}, id = undefined) {
  const message = id === undefined ? [topic, payload] : [topic, payload, { id }];
  return JSON.stringify(message) + '\n';
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Takes one message apart; throws a ClownTalkError `malformed` where it is none. */
export function parseMessage(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch (error) {
    throw new ClownTalkError('malformed', `not JSON: ${error.message}`);
  }
  const [topic, payload, parameters] = Array.isArray(message) ? message : [];
  if (typeof topic !== 'string' || !isObject(payload) || message.length > 3) {
    throw new ClownTalkError('malformed', 'not of the form ["topic", {...}]');
  }
  return { topic, payload, id: isObject(parameters) ? parameters.id : undefined };
}

/** The URL path of a node: nodePath('nodes/bridge/0') is /auth/clown-talk-server_nodes_bridge_0. */
export function nodePath(node, location = '/auth') {
  return `${location}/clown-talk-server_${node.replaceAll('/', '_')}`;
}

/* Relative to the page where there is one; without the page's credentials, which the browser knows. */
function socketUrl(url) {
  const page = globalThis.location;
  const resolved = new URL(url, page?.host ? page.origin + page.pathname : undefined);
  resolved.protocol = resolved.protocol.replace(/^http/, 'ws');
  resolved.hash = '';
  return resolved.href;
}

/* An error in a listener is reported like any uncaught error; the other listeners are called. */
function call(listener, ...values) {
  try {
    listener?.(...values);
  } catch (error) {
    if (typeof globalThis.reportError === 'function') {
      globalThis.reportError(error);
    } else {
      queueMicrotask(() => { throw error; });
    }
  }
}

/**
 * A WebSocket that connects again, with a growing, jittered delay. It has WebSocket's four handlers,
 * send(), close() and readyState; onopen and onclose are called once per connection.
 */
export class ReconnectingSocket {
  #options;
  #clock;
  #socket = null;
  #failures = 0; // connections in a row that lived less than stableAfter
  #timers = new Map(); // 'connect' | 'retry' | 'stable' → timer
  #network;

  /** 'connecting', 'open', 'waiting' (until `retryAt`) or 'closed' (for good). */
  state = 'connecting';
  /** When the next attempt begins, in ms since the epoch; null unless waiting. */
  retryAt = null;

  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  onstate = null;

  constructor(url, options = {}) {
    this.#options = { ...defaults, random: Math.random, ...options };
    this.#options.WebSocket ??= globalThis.WebSocket;
    this.#clock = this.#options.clock ?? systemClock;
    if (typeof this.#options.WebSocket !== 'function') {
      throw new TypeError('no WebSocket here: pass one in, as in { WebSocket: ws.WebSocket }');
    }
    this.url = socketUrl(url);
    this.#network = () => this.retry();
    globalThis.addEventListener?.('online', this.#network);
    this.#connect();
  }

  get readyState() {
    return { connecting: 0, open: 1, waiting: 0, closed: 3 }[this.state];
  }

  /** Sends text; false where there is no connection now (nothing is kept for later). */
  send(text) {
    if (this.state !== 'open') {
      return false;
    }
    this.#socket.send(text);
    return true;
  }

  /** Ends the connection and all attempts. */
  close(code = 1000, reason = '') {
    if (this.state === 'closed') {
      return;
    }
    const wasOpen = this.state === 'open';
    this.#drop(code, reason);
    this.#enter('closed');
    if (wasOpen) {
      call(this.onclose, { type: 'close', code, reason, wasClean: true });
    }
  }

  /** Ends a wait: connects now. */
  retry() {
    if (this.state === 'waiting') {
      this.#connect();
    }
  }

  /** Gives up a connection that is open but seems dead, without waiting for the peer. */
  abandon(reason) {
    if (this.state === 'open' || this.state === 'connecting') {
      this.#lost({ type: 'close', code: 1006, reason, wasClean: false });
    }
  }

  #connect() {
    this.#stopTimers();
    this.retryAt = null;
    let socket;
    try {
      socket = new this.#options.WebSocket(this.url, this.#options.protocol ?? []);
    } catch (error) {
      this.#enter('closed'); // a URL that no WebSocket can have: no attempt would ever succeed
      throw error;
    }
    this.#socket = socket;
    this.#enter('connecting');
    this.#timer('connect', this.#options.connectTimeout, () => this.abandon('no answer'));
    socket.onopen = (event) => this.#opened(event);
    socket.onmessage = (event) => call(this.onmessage, event);
    socket.onerror = (event) => call(this.onerror, event);
    socket.onclose = (event) => this.#lost(event);
  }

  #opened(event) {
    this.#stopTimers();
    this.#timer('stable', this.#options.stableAfter, () => { this.#failures = 0; });
    this.#enter('open');
    call(this.onopen, event);
  }

  #lost(event) {
    this.#drop();
    if (!this.#options.reconnect) {
      this.#enter('closed');
      call(this.onclose, event);
      return;
    }
    // Between half and all of the delay: many clients of a restarted server come back spread out.
    const ceiling = Math.min(this.#options.maxDelay, this.#options.minDelay * 2 ** this.#failures);
    const delay = ceiling * (0.5 + this.#options.random() / 2);
    this.#failures += 1;
    this.retryAt = this.#clock.now() + delay;
    this.#timer('retry', delay, () => this.#connect());
    this.#enter('waiting');
    call(this.onclose, event);
  }

  /* Drops the socket at once: its later events are ignored. */
  #drop(code = undefined, reason = undefined) {
    this.#stopTimers();
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = () => {};
      if (socket.readyState <= 1) {
        socket.close(code, reason);
      }
    }
  }

  #enter(state) {
    this.state = state;
    if (state === 'closed') {
      globalThis.removeEventListener?.('online', this.#network);
    }
    call(this.onstate, state);
  }

  #timer(name, ms, callback) {
    this.#timers.set(name, this.#clock.setTimeout(callback, ms));
  }

  #stopTimers() {
    for (const timer of this.#timers.values()) {
      this.#clock.clearTimeout(timer);
    }
    this.#timers.clear();
  }
}

/* 'thermometer/+' or 'relay/#', as in MQTT, as a function of a topic. */
function topicMatcher(pattern) {
  const levels = pattern.split('/');
  const open = levels.at(-1) === '#';
  if (open) {
    levels.pop();
  }
  return (topic) => {
    const parts = topic.split('/');
    return (open ? parts.length >= levels.length : parts.length === levels.length)
      && levels.every((level, i) => level === '+' || level === parts[i]);
  };
}

/* TYPE/ADDR is a device's value; i2c/BUS is the answer to a raw transfer. */
const isValueTopic = (topic) => /^(?!i2c\/)[^/]+\/[^/]+$/.test(topic);

/**
 * A node of a Clown.Talk server. Connects at once, opens, asks for the device list, keeps the last
 * value of every device, and goes on doing so until close().
 */
export class ClownTalk {
  #socket;
  #options;
  #clock;
  #listeners = new Map(); // event → Set of functions
  #topics = new Map(); // exact topic → Set of functions
  #patterns = new Map(); // function → { matches, listener }
  #waiting = new Set(); // requests that wait for the connection
  #pending = new Map(); // id → request that was sent
  #lastId = 0;
  #remembered = null; // topics whose last known value the opening has brought; null after the list
  #idle = null;
  #reopen = null;
  #offline;

  /** 'connecting', 'opening', 'ready', 'waiting' or 'closed'. */
  state = 'connecting';
  /** What the server said about itself in its answer to the opening, or null. */
  server = null;
  /** { sensors, actuators, notifications }, or null before the first list. */
  devices = null;
  /** Last payload per device topic. */
  values = new Map();

  constructor(url, options = {}) {
    this.#options = { ...defaults, ...options };
    this.#clock = this.#options.clock ?? systemClock;
    this.#socket = new ReconnectingSocket(url, options);
    this.#socket.onopen = () => this.#open();
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#lost(event);
    this.#socket.onstate = (state) => this.#enter(state === 'open' ? 'opening' : state);
    this.#offline = () => this.#probe();
    globalThis.addEventListener?.('offline', this.#offline);
  }

  get url() {
    return this.#socket.url;
  }

  get retryAt() {
    return this.#socket.retryAt;
  }

  /** Calls `listener` at an event: state, ready, devices, message, error, close. Returns the undo. */
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Calls `listener(payload, topic, message)` for a topic or an MQTT pattern. Returns the undo. */
  subscribe(pattern, listener) {
    if (/[+#]/.test(pattern)) {
      const key = {};
      this.#patterns.set(key, { matches: topicMatcher(pattern), listener });
      return () => this.#patterns.delete(key);
    }
    const listeners = this.#topics.get(pattern) ?? new Set();
    this.#topics.set(pattern, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#topics.get(pattern) === listeners) {
        this.#topics.delete(pattern);
      }
    };
  }

  /** The last payload of a device, or undefined. */
  value(topic) {
    return this.values.get(topic);
  }

  /** Resolves with this when the node is ready: now, or as soon as it is. */
  ready() {
    if (this.state === 'ready') {
      return Promise.resolve(this);
    }
    return new Promise((resolve, reject) => {
      const settle = (state) => {
        if (state === 'ready' || state === 'closed') {
          off();
          state === 'ready' ? resolve(this) : reject(new ClownTalkError('closed', 'closed'));
        }
      };
      const off = this.on('state', settle);
      settle(this.state);
    });
  }

  /** Sends a message without waiting for an answer; false where there is no connection now. */
  send(topic, payload = {}) {
    return this.#socket.send(formatMessage(topic, payload));
  }

  /**
   * Sends a request; resolves with the reply's { topic, payload }, rejects with a ClownTalkError.
   * Without a connection it waits for one, within its time.
   */
  request(topic, payload = {}, { timeout = this.#options.requestTimeout } = {}) {
    if (this.state === 'closed') {
      return Promise.reject(new ClownTalkError('closed', 'the client was closed', topic));
    }
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      const request = { id: this.#lastId, topic, payload, resolve, reject };
      request.timer = this.#clock.setTimeout(() => this.#expire(request), timeout);
      if (this.state === 'ready') {
        this.#transmit(request);
      } else {
        this.#waiting.add(request);
      }
    });
  }

  /** Measures now (a sensor) or asks for the state (an actuator); resolves with the payload. */
  async get(topic) {
    return (await this.request(`${topic}/get`)).payload;
  }

  /** Sets an actuator; resolves with the payload that was published once it was done. */
  async set(topic, payload) {
    return (await this.request(`${topic}/set`, payload)).payload;
  }

  /** The last `seconds` of a sensor in at most `points` steps: min, mean and max. */
  async history(topic, seconds = 3600, points = 300) {
    return (await this.request(`${topic}/history/get`, { seconds, points })).payload;
  }

  /** Ends a wait for the next attempt. */
  retry() {
    this.#socket.retry();
  }

  /** Ends the connection for good. What still waits for an answer is rejected with `closed`. */
  close() {
    if (this.state === 'closed') {
      return;
    }
    this.#fail([...this.#pending.values(), ...this.#waiting], 'closed', 'the client was closed');
    this.#socket.close();
  }

  /* ---- the life of a connection ---- */

  #open() {
    this.#remembered = new Set();
    this.#heard();
    this.#socket.send(formatMessage('clown.talk/-/config/set'));
    this.#reopen = this.#clock.setTimeout(
      () => this.#socket.abandon('no answer to the opening'), this.#options.connectTimeout);
  }

  #lost(event) {
    this.#clock.clearTimeout(this.#idle);
    this.#clock.clearTimeout(this.#reopen);
    this.#fail([...this.#pending.values()], 'connection-lost',
      'the connection was lost before the answer came: it is not known whether it was done');
    this.#emit('close', event);
    if (this.state === 'closed') {
      this.#fail([...this.#waiting], 'closed', 'the client was closed');
    }
  }

  #opened(payload) {
    this.#clock.clearTimeout(this.#reopen);
    this.server = payload;
    if (this.state === 'ready') {
      return;
    }
    this.#enter('ready');
    this.#refresh();
    this.#emit('ready', payload);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    waiting.forEach((request) => this.#transmit(request));
  }

  /* The hardware side may be restarting: the opening is sent again until it is answered. */
  #openingRefused(error) {
    this.#emit('error', error);
    this.#clock.clearTimeout(this.#reopen);
    this.#reopen = this.#clock.setTimeout(() => this.#open(), this.#options.minDelay);
  }

  /* A failure shows otherwise: an error message, or the loss of the connection. */
  #refresh() {
    this.request('-/-/config/list').catch(() => {});
  }

  #heard() {
    this.#clock.clearTimeout(this.#idle);
    this.#idle = this.#clock.setTimeout(() => this.#probe(), this.#options.idleTimeout);
  }

  /* A browser does not notice a peer that vanished silently. Any answer is a sign of life. */
  #probe() {
    if (this.state !== 'ready') {
      return;
    }
    this.#clock.clearTimeout(this.#idle);
    this.#idle = this.#clock.setTimeout(
      () => this.#socket.abandon('no sign of life'), this.#options.probeTimeout);
    this.#refresh();
  }

  #enter(state) {
    if (state === 'closed') {
      globalThis.removeEventListener?.('offline', this.#offline);
    }
    if (state !== this.state) {
      this.state = state;
      this.#emit('state', state);
    }
  }

  /* ---- messages ---- */

  #receive(data) {
    this.#heard();
    let message;
    try {
      message = parseMessage(data);
    } catch (error) {
      this.#emit('error', error);
      return;
    }
    const { topic, payload, id } = message;
    message.initial = this.#isFromMemory(topic);
    if (topic === '-/-/config/ok') {
      this.#listed(payload);
    } else if (topic === 'boot') {
      this.#refresh();
    } else if (isValueTopic(topic)) {
      this.values.set(topic, payload);
    }
    this.#settle(id, message);
    this.#emit('message', message);
    this.#topics.get(topic)?.forEach((listener) => call(listener, payload, topic, message));
    for (const { matches, listener } of this.#patterns.values()) {
      if (matches(topic)) {
        call(listener, payload, topic, message);
      }
    }
    if (topic === 'clown.talk/-/config/ok') {
      this.#opened(payload);
    } else if (topic === 'clown.talk/-/config/error' && this.state === 'opening') {
      this.#openingRefused(new ClownTalkError(payload.error, payload.message, topic, payload));
    }
  }

  /* The opening brings one last known value per device; the list, asked for next, comes after them. */
  #isFromMemory(topic) {
    if (!this.#remembered || !isValueTopic(topic) || this.#remembered.has(topic)) {
      return false;
    }
    this.#remembered.add(topic);
    return true;
  }

  #listed(payload) {
    const { sensors = [], actuators = [], notifications = [] } = payload;
    const present = new Set([...sensors, ...actuators]);
    for (const topic of this.values.keys()) {
      if (!present.has(topic)) {
        this.values.delete(topic);
      }
    }
    this.#remembered = null;
    this.devices = { sensors, actuators, notifications };
    this.#emit('devices', this.devices);
  }

  /* ---- requests ---- */

  #transmit(request) {
    this.#pending.set(request.id, request);
    this.#socket.send(formatMessage(request.topic, request.payload, request.id));
  }

  #settle(id, { topic, payload }) {
    const request = this.#pending.get(id);
    if (request === undefined) {
      if (topic.endsWith('/error') && this.state === 'ready') {
        this.#emit('error', new ClownTalkError(payload.error, payload.message, topic, payload));
      }
      return;
    }
    this.#forget(request);
    if (topic.endsWith('/error')) {
      request.reject(new ClownTalkError(payload.error, payload.message, topic, payload));
    } else {
      request.resolve({ topic, payload });
    }
  }

  #expire(request) {
    const sent = this.#pending.has(request.id);
    this.#fail([request], sent ? 'no-answer' : 'not-connected',
      sent ? 'the server did not answer in time' : 'no connection in time: nothing was sent');
  }

  #fail(requests, code, message) {
    for (const request of requests) {
      this.#forget(request);
      request.reject(new ClownTalkError(code, message, request.topic));
    }
  }

  #forget(request) {
    this.#clock.clearTimeout(request.timer);
    this.#pending.delete(request.id);
    this.#waiting.delete(request);
  }

  #emit(event, value) {
    this.#listeners.get(event)?.forEach((listener) => call(listener, value));
  }
}

/**
 * The plain style: onOpen, onMessage, onClose and onError are given, or are global functions of these
 * names (looked up at each event). Returns a ReconnectingSocket; what to send is the caller's business.
 */
export function wsConnect(uri, handlers = {}, options = {}) {
  const socket = new ReconnectingSocket(uri, options);
  const names = { onopen: 'onOpen', onmessage: 'onMessage', onclose: 'onClose', onerror: 'onError' };
  for (const [event, name] of Object.entries(names)) {
    socket[event] = (value) => call(handlers[name] ?? globalThis[name], value);
  }
  return socket;
}
