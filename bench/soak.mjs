/*
 * The clients of a soak; bench/soak starts it:
 *
 *   node soak.mjs WS-URL WSS-URL CLIENTS SECONDS SEED JOURNAL RELAY,RELAY,...
 *
 * Each client lives one session after the other, in a role that it keeps. Each relay has one client that switches it; what
 * that asked and what it was answered is a line of JOURNAL each: {"relay", "request": "set"|"pulse"|"get", "state"|"duration",
 * "sent", "answered", "result"}, in seconds of the monotonic clock; result is a state, the name of an error, or null where
 * no answer came. At the end a line of JSON with what was counted.
 */
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import zlib from 'node:zlib';

const FIN = 0x80;
const RSV1 = 0x40;
const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10];
const PATIENCE = 45000; /* milliseconds in which a client that reads has an answer: the server gives up after 30 s */

const [, , plain, secure, clients, seconds, seed, journalFile, relayList] = process.argv;
const relays = relayList.split(',');
const journal = fs.openSync(journalFile, 'w');
const counts = { sent: 0, received: 0, requests: 0, acknowledged: 0, unanswered: 0, overdue: 0, unasked: 0, connections: 0,
  reconnects: 0, errors: {}, refusals: {}, closes: {}, cuts: {}, handshakes: {} };
const sessions = new Set();
let over = false;

const count = (of, what) => { of[what] = (of[what] ?? 0) + 1; };
const now = () => Number(process.hrtime.bigint()) / 1e9;
const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/* Random numbers that a seed repeats (mulberry32): `random(a, b)` lies between a and b. */
function randomFrom(start) {
  let state = start >>> 0;
  return (from = 0, to = 1) => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return from + ((t ^ (t >>> 14)) >>> 0) / 4294967296 * (to - from);
  };
}

const pick = (random, list) => list[Math.floor(random(0, list.length))];

/* ---- a session ---- */

/* A client's frame, masked with zeros. */
function frame(first, payload) {
  const { length } = payload;
  const head = length < 126 ? Buffer.from([first, 0x80 | length, 0, 0, 0, 0])
    : Buffer.from([first, 0x80 | 126, length >> 8, length & 255, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

const SYNC = { finishFlush: zlib.constants.Z_SYNC_FLUSH };
const TAIL = Buffer.from([0, 0, 255, 255]); /* RFC 7692 section 7.2.1 */
const compress = (bytes) => zlib.deflateRawSync(bytes, SYNC).subarray(0, -4);
const inflate = (bytes) => zlib.inflateRawSync(Buffer.concat([bytes, TAIL]), SYNC);

class Session {
  constructor(random) {
    this.random = random;
    this.deflate = random() < 0.5;
    this.url = new URL(random() < 0.5 ? plain : secure);
    this.rest = Buffer.alloc(0);
    this.waiting = new Map(); /* by id: { resolve, sent } */
    this.lastId = 0;
    this.open = false;
    this.moderate = true; /* reads, and keeps to its rate: an error, or no answer, is not its own fault */
    this.ended = new Promise((resolve) => { this.end = resolve; });
  }

  /* Resolves to true after the handshake, to false where it came to nothing. */
  connect() {
    const to = { host: '127.0.0.1', port: Number(this.url.port), rejectUnauthorized: false };
    this.socket = this.url.protocol === 'wss:' ? tls.connect(to) : net.connect(to);
    this.socket.on('error', (error) => { this.reason ??= error.code; });
    this.socket.on('data', (data) => this.read(data));
    this.socket.once('close', () => this.closed());
    this.socket.write(`GET ${this.url.pathname} HTTP/1.1\r\nHost: ${this.url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
      + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${crypto.randomBytes(16).toString('base64')}\r\n`
      + `${this.deflate ? 'Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n' : ''}\r\n`);
    sessions.add(this);
    return Promise.race([new Promise((resolve) => { this.opened = resolve; }), this.ended.then(() => false)]);
  }

  closed() {
    sessions.delete(this);
    this.open = false;
    if (!this.leaving && !over) {
      const kind = !this.established ? counts.handshakes : this.moderate ? counts.closes : counts.cuts;
      count(kind, this.reason ?? 'without a Close');
    }
    for (const { resolve } of this.waiting.values()) {
      counts.unanswered += 1;
      resolve(null);
    }
    this.waiting.clear();
    this.end();
  }

  read(data) {
    this.rest = this.rest.length ? Buffer.concat([this.rest, data]) : data;
    if (!this.open && !this.readAnswer()) {
      return;
    }
    for (;;) {
      const bytes = this.rest;
      const short = bytes.length >= 2 ? bytes[1] & 127 : 0;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (bytes.length < head) {
        return;
      }
      const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
      if (bytes.length < head + length) {
        return;
      }
      this.rest = bytes.subarray(head + length);
      this.take(bytes[0], bytes.subarray(head, head + length));
    }
  }

  /* The answer to the handshake. */
  readAnswer() {
    const end = this.rest.indexOf('\r\n\r\n');
    if (end < 0) {
      return false;
    }
    const answer = this.rest.subarray(0, end).toString();
    this.rest = this.rest.subarray(end + 4);
    if (!answer.startsWith('HTTP/1.1 101')) {
      this.reason = `HTTP ${answer.slice(9, 12)}`;
      this.socket.destroy();
      return false;
    }
    this.deflate &&= answer.includes('permessage-deflate');
    this.open = true;
    this.established = true;
    this.opened(true);
    return true;
  }

  take(first, payload) {
    const opcode = first & 15;
    if (opcode === TEXT) {
      counts.received += 1;
      this.takeMessage(JSON.parse(first & RSV1 ? inflate(payload) : payload));
    } else if (opcode === PING) {
      this.write(PONG, payload);
    } else if (opcode === CLOSE) {
      this.reason = payload.length >= 2 ? payload.readUInt16BE(0) : 'empty Close';
      this.write(CLOSE, payload.subarray(0, 2));
      this.socket.end();
      this.open = false;
    }
  }

  takeMessage([topic, payload, parameters]) {
    if (topic.endsWith('/error')) {
      count(this.moderate ? counts.errors : counts.refusals, payload.error);
    }
    const id = parameters?.id;
    if (id === undefined || String(id).startsWith('-')) {
      return;
    }
    const asked = this.waiting.get(id);
    if (!asked) { /* an answer too many */
      counts.unasked += 1;
      console.error(`an answer to nothing: ${JSON.stringify([topic, payload, parameters])}`);
      return;
    }
    this.waiting.delete(id);
    counts.acknowledged += payload.error ? 0 : 1;
    asked.resolve(payload);
  }

  write(opcode, payload) {
    if (this.socket.writable) {
      const deflate = this.deflate && opcode === TEXT;
      this.socket.write(frame(FIN | opcode | (deflate ? RSV1 : 0), deflate ? compress(payload) : payload));
    }
  }

  /* Sends a request whose answers nobody waits for. */
  send(topic, payload, id = '-') {
    counts.sent += 1;
    this.write(TEXT, Buffer.from(JSON.stringify([topic, payload, { id }])));
  }

  /* Resolves to the answer's payload, or to null where the session ends before that. */
  request(topic, payload) {
    if (!this.open) {
      return Promise.resolve(null);
    }
    this.lastId += 1;
    const id = `${this.lastId}`;
    counts.requests += 1;
    return new Promise((resolve) => {
      this.waiting.set(id, { resolve, sent: now(), topic });
      this.send(topic, payload, id);
    });
  }

  /* Waits, but not beyond the end of the session. */
  pause(from, to) {
    return Promise.race([wait(this.random(from, to)), this.ended]);
  }

  /* Ends it in one of the ways in which clients do. */
  leave() {
    this.leaving = true;
    const how = this.random();
    if (how < 0.4 && this.open) {
      this.write(CLOSE, Buffer.from([3, 232]));
      this.socket.end();
    } else if (how < 0.7) {
      this.socket.end();
    } else if (this.socket.resetAndDestroy && this.url.protocol === 'ws:') {
      this.socket.resetAndDestroy();
    }
    setTimeout(() => this.socket.destroy(), 1000);
    return this.ended;
  }
}

/* An answer that a client which reads has not had in time. */
function lookForOverdue() {
  for (const session of sessions) {
    for (const asked of session.waiting.values()) {
      if (session.moderate && !asked.overdue && now() - asked.sent > PATIENCE / 1000) {
        asked.overdue = true;
        counts.overdue += 1;
        console.error(`no answer for ${PATIENCE / 1000} s: ${asked.topic}`);
      }
    }
  }
}

/* ---- the roles: what a client does in a session ---- */

const SENSORS = ['thermometer/i2c0-48', 'thermometer/i2c0-49', 'lux-meter/i2c0-44', 'humidity-sensor/i2c0-40', 'barometer/i2c0-60'];

const openTalk = (session) => session.send('clown.talk/-/config/set', {});

async function dashboard(session) {
  openTalk(session);
  await session.request('-/-/config/list', {});
  await Promise.all(SENSORS.map((sensor) => session.request(`${sensor}/history/get`, { seconds: 3600, points: 300 })));
  for (let n = session.random(0, 10); n > 0 && session.open && !over; n -= 1) {
    await session.request(`${pick(session.random, SENSORS)}/get`, {});
    await session.pause(100, 4000);
  }
}

async function configurer(session) {
  openTalk(session);
  for (let n = session.random(1, 20); n > 0 && session.open && !over; n -= 1) {
    const sensor = pick(session.random, SENSORS);
    await session.request(`${sensor}/config/set`, { 'publish-interval': pick(session.random, [0.5, 1, 2, null]), heartbeat: 10 });
    await session.request(`${sensor}/config/get`, {});
    await session.pause(100, 2000);
  }
}

/* Reads what has come now and then, or never again, and goes on asking for much. */
async function slowReader(session) {
  session.moderate = false;
  const never = session.random() < 0.4;
  openTalk(session);
  for (let n = session.random(10, 100); n > 0 && session.open && !over; n -= 1) {
    session.socket.pause();
    session.send(`${pick(session.random, SENSORS)}/history/get`, { seconds: 3600, points: 1000 });
    await session.pause(100, 1000);
    if (!never) {
      session.socket.resume();
      await session.pause(1, 5);
    }
  }
  session.socket.resume();
}

async function flooder(session) {
  session.moderate = false;
  openTalk(session);
  for (let n = session.random(10, 60); n > 0 && session.open && !over; n -= 1) {
    for (let i = 0; i < 100; i += 1) {
      session.send(i % 2 ? '-/-/config/list' : `${pick(session.random, SENSORS)}/get`, {});
    }
    await session.pause(50, 500);
  }
}

/* Is gone before its answers come. */
async function vanisher(session) {
  openTalk(session);
  for (let i = 0; i < 10; i += 1) {
    session.send(`${pick(session.random, SENSORS)}/get`, {});
  }
  await session.pause(0, 100);
}

async function ask(session, relay, request, payload) {
  const sent = now();
  const entry = { relay, request, ...payload, sent };
  const answer = await session.request(`relay/${relay}/${request === 'pulse' ? 'pulse/set' : request}`, payload);
  entry.answered = answer && now();
  entry.result = answer && (answer.error ?? answer.state);
  fs.writeSync(journal, `${JSON.stringify(entry)}\n`);
}

async function switcher(session, relay) {
  openTalk(session);
  while (session.open && !over) {
    const duration = session.random() < 0.15 ? session.random(0.05, 1.5) : 0;
    const request = duration ? ask(session, relay, 'pulse', { duration })
      : ask(session, relay, 'set', { state: session.random() < 0.5 });
    if (session.random() < 0.03) {
      return; /* gone: nobody waits for the answer */
    }
    await request;
    await ask(session, relay, 'get', {});
    await session.pause(0, session.random() < 0.5 ? 1000 * duration + 500 : 300);
  }
}

const ROLES = [[0.6, dashboard], [0.1, slowReader], [0.08, configurer], [0.04, flooder], [0.18, vanisher]];

function roleOf(random) {
  let share = random();
  return ROLES.find(([part]) => { share -= part; return share < 0; })?.[1] ?? dashboard;
}

async function live(i) {
  const random = randomFrom(Number(seed) + i * 7919);
  const role = i < relays.length ? switcher : roleOf(random);
  await wait(random(0, 3000));
  for (let first = true; !over; first = false) {
    const session = new Session(random);
    counts.connections += 1;
    counts.reconnects += first ? 0 : 1;
    if (await session.connect()) {
      await role(session, relays[i]);
    }
    await session.leave();
    await wait(random(50, role === vanisher ? 1000 : 3000));
  }
}

/* ---- */

setInterval(lookForOverdue, 1000);
setTimeout(() => { over = true; }, Number(seconds) * 1000);
await Promise.race([Promise.all([...Array(Number(clients)).keys()].map(live)), wait(Number(seconds) * 1000 + PATIENCE)]);
console.log(JSON.stringify(counts));
process.exit();
