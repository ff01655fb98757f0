/*
 * A stand-in for Apache with mod_clowntalk, for developing and testing the page without either: it
 * serves a folder over HTTPS behind Basic authentication and plays the nodes of docs/protocol.md
 * with moving values, and a second port whose pages are of another origin.
 *
 *   node mock.js [FOLDER]      serves it at https://clown:bigclown@localhost:8444/ until Ctrl-C
 *
 * Users: clown / bigclown may do everything, guest / guest may look.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { require } from './modules.js';

const { WebSocketServer } = require('ws');

const users = { clown: 'bigclown', guest: 'guest' };
const realm = 'Basic realm="Clown.Hub"';
const types = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css',
  '.json': 'application/json', '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
};

/* ---- what the chips measure ---- */

/* Smooth noise from -1 to 1 with about one bump per second; the same for the same seed. */
function noise(time, seed) {
  const random = (n) => {
    const x = Math.sin(n * 127.1 + seed * 311.7) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  };
  const [whole, part] = [Math.floor(time), time - Math.floor(time)];
  return random(whole) + (random(whole + 1) - random(whole)) * part * part * (3 - 2 * part);
}

/* A curve of the time in seconds: slow drift, some unrest, and a little of what every sensor adds. */
const wave = (mean, swing, period, seed) => (seconds) => mean + swing * (
  Math.sin((seconds / period) * 2 * Math.PI + seed) + 0.5 * noise(seconds / 700, seed)
  + 0.16 * noise(seconds / 130, seed + 1) + 0.05 * noise(seconds / 21, seed + 2)
  + 0.02 * noise(seconds, seed + 3));

/* Per quantity: a curve, its decimals on the wire, its unit. */
const sensorTypes = {
  thermometer: (n) => ({ temperature: [wave(21.4 - 9 * n, 0.8, 2900, 1.9 * n), 2, '℃'] }),
  'lux-meter': (n) => ({ illuminance: [wave(612 + 80 * n, 130, 4100, 2.2 + n), 2, 'lux'] }),
  'humidity-sensor': (n) => ({ 'relative-humidity': [wave(43.2 + 4 * n, 3.1, 3300, 0.7 + n), 1, '%'] }),
  barometer: (n) => ({
    pressure: [wave(97.324, 0.06, 9200, 0.4 + n), 3, 'kPa'],
    altitude: [wave(338.2, -5.1, 9200, 0.4 + n), 1, 'm'],
  }),
  'co2-sensor': (n) => ({ concentration: [wave(642 + 50 * n, 95, 3900, 4 + n), 0, 'ppm'] }),
};

const house = [
  'thermometer/i2c0-48', 'thermometer/i2c0-49', 'humidity-sensor/i2c0-40', 'barometer/i2c0-60',
  'lux-meter/i2c0-44', 'co2-sensor/i2c0-38', 'relay/i2c0-3b', 'relay/i2c0-3f', 'led/-',
  'display-oled/i2c0-3c',
];

const oledLines = ['Good morning', '', 'Inside   21.4 C', 'Outside  12.5 C', 'Air      642 ppm', '',
  '', '12 Nov    07:42'];

/* A device as the hub knows it. Numbers are written as the hub does, with fixed decimals. */
class Device {
  constructor(topic, interval) {
    this.topic = topic;
    this.type = topic.split('/')[0];
    this.index = Number.parseInt(topic.slice(-1), 16) % 4 || 0;
    this.quantities = sensorTypes[this.type]?.(topic === 'thermometer/i2c0-49' ? 1 : this.index * 0.05);
    this.interval = this.quantities ? interval : null;
    this.due = 0;
    this.payload = {
      relay: '{"state": null}', led: '{"state": "off"}',
      'display-oled': JSON.stringify(Object.fromEntries(oledLines.map((t, i) => [`line-${i}`, t]))),
    }[this.type];
  }

  value(quantity, seconds) {
    const [curve, decimals] = this.quantities[quantity];
    return curve(seconds).toFixed(decimals);
  }

  measure(seconds) {
    this.payload = `{${Object.entries(this.quantities).map(([name, [, , unit]]) =>
      `"${name}": [${this.value(name, seconds)}, "${unit}"]`).join(', ')}}`;
    return this.payload;
  }

  lost() {
    this.payload = this.quantities
      ? JSON.stringify(Object.fromEntries(
        Object.entries(this.quantities).map(([name, [, , unit]]) => [name, [null, unit]])))
      : '{"state": null}';
    return this.payload;
  }

  history(seconds, points, now, since) {
    const step = Math.max(1, Math.ceil(seconds / points));
    const count = Math.floor(seconds / step);
    const end = Math.ceil(now / step) * step;
    const answer = { seconds, step, end };
    for (const [name, [curve, decimals]] of Object.entries(this.quantities)) {
      const mean = Array.from({ length: count }, (_, i) => {
        const time = end - (count - i - 0.5) * step;
        return time < since ? null : Number(curve(time).toFixed(decimals));
      });
      const spread = Math.abs(curve(now) - curve(now - 300)) * 0.15 + 2 * 10 ** -decimals;
      const shift = (sign) => mean.map((value, i) => (value === null ? null
        : Number((value + sign * spread * (1.2 + noise(i, sign))).toFixed(decimals))));
      answer[name] = { min: shift(-1), mean, max: shift(1) };
    }
    return answer;
  }
}

/* ---- a node: devices, clients, requests ---- */

class Node {
  constructor(topics, options) {
    this.options = options;
    this.devices = new Map(topics.map((topic) => [topic, new Device(topic, options.interval)]));
    this.clients = new Set();
    this.hub = true;
    this.timer = setInterval(() => this.tick(), options.tick);
  }

  stop() {
    clearInterval(this.timer);
    this.clients.clear();
  }

  tick() {
    const now = Date.now() / 1000;
    for (const device of this.hub ? this.devices.values() : []) {
      if (device.interval && now >= device.due) {
        device.due = Math.max(device.due, now - device.interval) + device.interval;
        this.publish(device.topic, device.measure(now));
      }
    }
  }

  publish(topic, payload, except = undefined) {
    const line = `["${topic}", ${payload}]\n`;
    for (const client of this.clients) {
      if (client.initialized && client !== except) {
        client.socket.send(line);
      }
    }
  }

  list() {
    const topics = [...this.devices.keys()];
    return JSON.stringify({
      sensors: topics.filter((topic) => this.devices.get(topic).quantities),
      actuators: topics.filter((topic) => !this.devices.get(topic).quantities),
      notifications: ['boot'],
    });
  }

  unplug(topic) {
    this.publish(topic, this.devices.get(topic).lost());
    this.devices.delete(topic);
    this.publish('-/-/config/ok', this.list());
  }

  plug(topic) {
    this.devices.set(topic, new Device(topic, this.options.interval));
    this.publish('-/-/config/ok', this.list());
  }

  killHub(ms = 300) {
    this.hub = false;
    setTimeout(() => {
      this.hub = true;
      this.publish('boot', '{"reason-for-reset": "crash"}');
    }, ms);
  }

  receive(client, text) {
    client.received.push(text);
    for (const line of text.split('\n').filter((part) => part.trim() !== '')) {
      let message = [];
      try {
        message = JSON.parse(line);
      } catch {
        // answered below
      }
      const [topic, payload, parameters] = message;
      if (typeof topic !== 'string' || typeof payload !== 'object') {
        this.reply(client, '-/-/error', { error: 'malformed', message: 'not ["topic", {...}]' });
        continue;
      }
      this.request(client, topic, payload, parameters?.id);
    }
  }

  reply(client, topic, payload, id) {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    const tail = id === undefined ? '' : `, {"id": ${JSON.stringify(id)}}`;
    client.socket.send(`["${topic}", ${text}${tail}]\n`);
  }

  request(client, topic, payload, id) {
    const refuse = (error, message) => this.reply(client, topic.replace(/[^/]*$/, 'error'),
      { error, message }, id);
    if (!this.hub) {
      return refuse('unavailable', 'the hardware side is restarting; try again');
    }
    if (topic === 'clown.talk/-/config/set') {
      return this.opening(client, id);
    }
    if (!client.initialized) {
      return refuse('not-initialized', 'send ["clown.talk/-/config/set", {}] first');
    }
    if (topic === '-/-/config/list') {
      return this.reply(client, '-/-/config/ok', this.list(), id);
    }
    const [type, address, ...verb] = topic.split('/');
    const device = this.devices.get(`${type}/${address}`);
    const handler = this.verbs[verb.join('/')];
    if (!handler || (verb[0] === 'history' && !this.options.history)) {
      return refuse('unknown-topic', `there is no ${topic}`);
    }
    if (!device) {
      return refuse('unknown-device', `no ${type} at ${address}; see -/-/config/list`);
    }
    return handler.call(this, { client, device, payload, id, refuse });
  }

  opening(client, id) {
    client.initialized = true;
    const rights = this.options.announceRights && !client.mayControl ? { control: false } : {};
    this.reply(client, 'clown.talk/-/config/ok', {
      ack: false, device: 'bridge', capabilities: 1,
      'firmware-datetime': '2026-11-01T00:00:00Z', 'firmware-release': '0.1.0', ...rights,
    }, id);
    for (const device of this.devices.values()) {
      const payload = device.payload ?? device.measure(Date.now() / 1000);
      this.reply(client, device.topic, payload, id);
    }
  }

  verbs = {
    get({ client, device, id }) {
      const payload = device.quantities ? device.measure(Date.now() / 1000) : device.payload;
      this.reply(client, device.topic, payload, id);
    },

    set({ client, device, payload, id, refuse }) {
      if (!client.mayControl) {
        return refuse('forbidden', 'this user may not switch (ClownTalkControl)');
      }
      const states = { relay: [true, false], led: ['off', 'on', '1-dot', '2-dot', '3-dot'] };
      if (states[device.type] && !states[device.type].includes(payload.state)) {
        return refuse('bad-payload', `state must be one of ${states[device.type].join(', ')}`);
      }
      if (this.options.fault === device.topic) {
        return refuse('io-error', 'the relay did not answer: Remote I/O error (EREMOTEIO)');
      }
      const finish = () => {
        device.payload = JSON.stringify(payload);
        this.publish(device.topic, device.payload, client);
        this.reply(client, device.topic, device.payload, id);
      };
      return this.options.hold ? this.options.hold.push(finish) : setTimeout(finish, 22);
    },

    'pulse/set'({ client, device, payload, id, refuse }) {
      if (!client.mayControl) {
        return refuse('forbidden', 'this user may not switch (ClownTalkControl)');
      }
      const { duration } = payload;
      if (!(duration >= 0.05 && duration <= 86400)) {
        return refuse('bad-payload', 'duration must be 0.05 to 86400 seconds');
      }
      device.payload = '{"state": true}';
      this.publish(device.topic, device.payload, client);
      this.reply(client, device.topic, device.payload, id);
      return setTimeout(() => {
        device.payload = '{"state": false}';
        this.publish(device.topic, device.payload);
      }, duration * 1000);
    },

    'config/get'({ client, device, id }) {
      this.reply(client, `${device.topic}/config/ok`, { 'publish-interval': device.interval }, id);
    },

    'config/set'({ client, device, payload, id, refuse }) {
      const interval = payload['publish-interval'];
      if (!client.mayControl) {
        return refuse('forbidden', 'this user may not configure (ClownTalkControl)');
      }
      if (interval !== null && !(interval >= 0.1 && interval <= 86400)) {
        return refuse('bad-payload', 'publish-interval must be 0.1 to 86400 seconds, or null');
      }
      device.interval = interval;
      return this.reply(client, `${device.topic}/config/ok`, { 'publish-interval': interval }, id);
    },

    'history/get'({ client, device, payload, id, refuse }) {
      const { seconds, points } = payload;
      if (!(seconds >= 1 && seconds <= 3600 && points >= 1 && points <= 1000)) {
        return refuse('bad-payload', 'seconds must be 1 to 3600, points 1 to 1000');
      }
      const now = Date.now() / 1000;
      const since = this.options.age === undefined ? 0 : now - this.options.age;
      return this.reply(client, `${device.topic}/history`,
        device.history(seconds, points, now, since), id);
    },
  };
}

/* ---- the server around the nodes ---- */

function selfSignedCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'clowntalk-mock-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
      'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext',
      'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function userOf(request) {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  const [name, password] = Buffer.from(token ?? '', 'base64').toString().split(':');
  return scheme === 'Basic' && users[name] !== undefined && users[name] === password ? name : null;
}

export class Mock {
  /*
   * Options: folder, files ({ path: body }, before the folder's), port, nodes ({ name: [topics] }),
   * interval (s), tick (ms), history, age (s of history that there are), announceRights, controllers
   * (users who may do everything), fault (a topic whose set fails), hold (an array that takes what
   * would finish a set).
   */
  constructor(options = {}) {
    this.options = {
      port: 0, files: {}, interval: 1, tick: 50, history: true, announceRights: true, controllers: ['clown'],
      nodes: { 'nodes/bridge/0': house }, ...options,
    };
    this.certificate = selfSignedCertificate();
    this.refused = []; // status codes of handshakes that were refused
  }

  node(name = 'nodes/bridge/0') {
    return this.nodes.get(name);
  }

  get port() {
    return this.server.address().port;
  }

  get url() {
    return `https://localhost:${this.port}/`;
  }

  /* Also the way back after stop(): on the same port, with new nodes. */
  async start() {
    this.nodes = new Map(Object.entries(this.options.nodes).map(([name, topics]) =>
      [name, new Node(topics, this.options)]));
    this.sockets = new Set();
    this.server = createServer(this.certificate, (request, response) => this.#serve(request, response));
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    this.webSockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) =>
      (offered.has('clown.talk') ? 'clown.talk' : false) });
    this.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    await new Promise((done, failed) => {
      this.server.once('error', failed);
      this.server.listen(this.options.port, 'localhost', done);
    });
    this.options.port = this.port;
    return this;
  }

  /* A graceful end says why; a rude one just goes. */
  async stop({ code = 1001 } = {}) {
    for (const node of this.nodes.values()) {
      node.stop();
    }
    for (const client of this.webSockets.clients) {
      code ? client.close(code) : client.terminate();
    }
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeIdleConnections();
    const deadline = setTimeout(() => this.sockets.forEach((socket) => socket.destroy()), 500);
    await closed;
    clearTimeout(deadline);
  }

  #serve(request, response) {
    const path = normalize(decodeURIComponent(new URL(request.url, 'https://localhost').pathname));
    const answer = (status, body, headers = {}) => {
      response.writeHead(status, { 'Cache-Control': 'no-cache', ...headers }).end(body);
    };
    if (!userOf(request)) {
      return answer(401, 'Unauthorized', { 'WWW-Authenticate': realm });
    }
    if (path.startsWith('/auth/')) {
      const status = this.#nodeAt(path) ? 426 : 404;
      return answer(status, 'a WebSocket lives here', { Upgrade: 'websocket' });
    }
    const file = path.endsWith('/') ? `${path}index.html` : path;
    const headers = { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' };
    try {
      const body = this.options.files[file] ?? readFileSync(join(this.options.folder, file));
      return answer(200, body, headers);
    } catch {
      return answer(404, 'Not Found');
    }
  }

  #nodeAt(path) {
    const [, name] = path.match(/^\/auth\/clown-talk-server_(.+)$/) ?? [];
    return this.nodes.get(name?.replaceAll('_', '/'));
  }

  #upgrade(request, socket, head) {
    const user = userOf(request);
    const { origin, host } = request.headers;
    const node = this.#nodeAt(request.url);
    const status = (!user && 401) || (!node && 404)
      || (origin && origin !== `https://${host}` && 403) || (this.options.full && 503) || 101;
    if (status !== 101) {
      this.refused.push(status);
      const challenge = status === 401 ? `WWW-Authenticate: ${realm}\r\n` : '';
      socket.end(`HTTP/1.1 ${status} Refused\r\n${challenge}Content-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const client = {
        socket: webSocket, initialized: false, mayControl: this.options.controllers.includes(user), received: [],
      };
      node.clients.add(client);
      webSocket.on('message', (data) => node.receive(client, data.toString()));
      webSocket.on('close', () => node.clients.delete(client));
      webSocket.on('error', () => {});
    });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? fileURLToPath(new URL('../../build/dashboard', import.meta.url));
  const mock = await new Mock({ folder, port: 8444 }).start();
  console.log(`${folder} at https://clown:bigclown@localhost:${mock.port}/`);
}
