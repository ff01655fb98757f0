/*
 * What the tests of the client library talk to: a bare WebSocket server that a test leads by the
 * hand, and a clock that moves when the test says so. Every wait ends within DEADLINE.
 */
import { require } from './modules.js';

const { WebSocketServer, WebSocket } = require('ws');

export { WebSocket };

export const DEADLINE = 5000; // ms; a test that hangs fails instead

/** The promise, or an error that says what did not come. */
export function within(promise, what, ms = DEADLINE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not come in time: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/* What was pushed, in order, until it is taken. */
class Queue {
  #items = [];
  #takers = [];

  push(item) {
    const taker = this.#takers.shift();
    taker ? taker(item) : this.#items.push(item);
  }

  take(what) {
    const taken = this.#items.length > 0
      ? Promise.resolve(this.#items.shift()) : new Promise((done) => this.#takers.push(done));
    return within(taken, what);
  }

  get length() {
    return this.#items.length;
  }
}

/** The server's end of one connection. */
class Connection {
  #received = new Queue();

  constructor(socket, request) {
    this.socket = socket;
    this.request = request;
    this.closed = new Promise((done) => socket.on('close', (code) => done(code)));
    socket.on('message', (data) => this.#received.push(data.toString()));
    socket.on('error', () => {});
  }

  /** The next message, as text. */
  async text() {
    return this.#received.take('a message');
  }

  /** The next message, taken apart; it must be for `topic`. */
  async expect(topic) {
    const message = JSON.parse(await this.text());
    if (message[0] !== topic) {
      throw new Error(`expected ${topic}, received ${JSON.stringify(message)}`);
    }
    return { payload: message[1], parameters: message[2], id: message[2]?.id };
  }

  get unread() {
    return this.#received.length;
  }

  send(topic, payload, id) {
    this.socket.send(`${JSON.stringify(id === undefined ? [topic, payload] : [topic, payload, { id }])}\n`);
  }

  /** Opening and device list, as a node with these devices answers them. */
  async open({ sensors = [], actuators = [], values = {}, server = { device: 'bridge' } } = {}) {
    await this.expect('clown.talk/-/config/set');
    this.send('clown.talk/-/config/ok', server);
    for (const [topic, payload] of Object.entries(values)) {
      this.send(topic, payload);
    }
    const { id } = await this.expect('-/-/config/list');
    this.send('-/-/config/ok', { sensors, actuators, notifications: ['boot'] }, id);
  }
}

export class Peer {
  #connections = new Queue();

  async start(port = 0) {
    this.server = new WebSocketServer({ port, host: '127.0.0.1', handleProtocols: (offered) =>
      (offered.has('clown.talk') ? 'clown.talk' : false) });
    this.server.on('connection', (socket, request) =>
      this.#connections.push(new Connection(socket, request)));
    await new Promise((done, failed) => this.server.once('listening', done).once('error', failed));
    return this;
  }

  get port() {
    return this.server.address().port;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/auth/clown-talk-server_nodes_bridge_0`;
  }

  connection() {
    return this.#connections.take('a connection');
  }

  get waiting() {
    return this.#connections.length;
  }

  async stop() {
    this.server.clients.forEach((client) => client.terminate());
    await new Promise((done) => this.server.close(done));
  }
}

export class FakeClock {
  #time = 1_000_000;
  #timers = new Map();
  #last = 0;

  now = () => this.#time;

  setTimeout = (callback, ms) => {
    this.#last += 1;
    this.#timers.set(this.#last, { at: this.#time + ms, callback });
    return this.#last;
  };

  clearTimeout = (timer) => this.#timers.delete(timer);

  /** How many timers run. */
  get size() {
    return this.#timers.size;
  }

  /** Lets time pass, and calls what becomes due in its order. */
  advance(ms) {
    const end = this.#time + ms;
    for (;;) {
      const [id, next] = [...this.#timers].sort((a, b) => a[1].at - b[1].at)[0] ?? [];
      if (!next || next.at > end) {
        break;
      }
      this.#timers.delete(id);
      this.#time = next.at;
      next.callback();
    }
    this.#time = end;
  }
}

/** Resolves with the value of a client's next `event`. */
export function once(client, event, matches = () => true) {
  return within(new Promise((done) => {
    const off = client.on(event, (value) => {
      if (matches(value)) {
        off();
        done(value);
      }
    });
  }), `event ${event}`);
}
