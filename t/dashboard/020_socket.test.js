/* The connection that comes back: ReconnectingSocket and wsConnect(). */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { ReconnectingSocket, wsConnect } from '../../src/dashboard/clowntalk.js';
import { FakeClock, Peer, WebSocket, within } from './peer.js';

let peer;
let clock;
let socket;

beforeEach(async () => {
  peer = await new Peer().start();
  clock = new FakeClock();
  socket = null;
});

afterEach(async () => {
  socket?.close();
  await peer.stop();
});

const options = (more = {}) => ({ WebSocket, clock, random: () => 1, ...more });
const event = (target, name) => within(new Promise((done) => { target[name] = done; }), name);

test('it offers the subprotocol and carries text both ways', async () => {
  socket = new ReconnectingSocket(peer.url, options());
  assert.equal(socket.state, 'connecting');
  assert.equal(socket.readyState, 0);
  assert.equal(socket.send('too early'), false);
  const opened = event(socket, 'onopen');
  const connection = await peer.connection();
  await opened;
  assert.equal(socket.readyState, 1);
  assert.equal(connection.socket.protocol, 'clown.talk');
  assert.equal(socket.send('hello'), true);
  assert.equal(await connection.text(), 'hello');
  const message = event(socket, 'onmessage');
  connection.socket.send('and back');
  assert.equal((await message).data, 'and back');
});

test('name and password in the address reach the server', async () => {
  const url = peer.url.replace('127', 'clown:bigclown@127').replace('ws:', 'http:');
  socket = new ReconnectingSocket(url, options());
  const { request } = await peer.connection();
  assert.equal(request.headers.authorization, `Basic ${Buffer.from('clown:bigclown').toString('base64')}`);
});

test('an address may begin with http, and be relative to the page', () => {
  class Recording {
    readyState = 0;
    constructor(url) { this.url = url; }
    close() {}
  }
  const address = (url) => {
    const one = new ReconnectingSocket(url, options({ WebSocket: Recording }));
    one.close();
    return one.url;
  };
  assert.equal(address('https://example.org/a#b'), 'wss://example.org/a');
  assert.equal(address('http://example.org:8080/a?b'), 'ws://example.org:8080/a?b');
  assert.equal(address('wss://n:p@example.org/a'), 'wss://n:p@example.org/a');
  globalThis.location = { host: 'example.org', origin: 'https://example.org', pathname: '/page/index.html' };
  try {
    assert.equal(address('/auth/x'), 'wss://example.org/auth/x');
    assert.equal(address('x'), 'wss://example.org/page/x');
  } finally {
    delete globalThis.location;
  }
});

test('the back-off doubles up to its limit, and says when it ends', async () => {
  const url = peer.url;
  await peer.stop();
  const delays = [];
  socket = new ReconnectingSocket(url, options({ maxDelay: 3000 }));
  for (let i = 0; i < 5; i += 1) {
    await event(socket, 'onclose');
    assert.equal(socket.state, 'waiting');
    delays.push(socket.retryAt - clock.now());
    clock.advance(delays.at(-1));
    assert.equal(socket.state, 'connecting');
  }
  assert.deepEqual(delays, [500, 1000, 2000, 3000, 3000]);
  await peer.start();
});

test('the back-off is jittered between half and all of itself', async () => {
  const url = peer.url;
  await peer.stop();
  for (const [random, delay] of [[0, 250], [0.5, 375], [1, 500]]) {
    const one = new ReconnectingSocket(url, options({ random: () => random }));
    await event(one, 'onclose');
    assert.equal(one.retryAt - clock.now(), delay);
    one.close();
  }
  await peer.start();
});

test('the back-off starts anew only after 5 s of life', async () => {
  socket = new ReconnectingSocket(peer.url, options());
  const lives = [[100, 500], [4999, 1000], [4999, 2000], [5000, 500], [0, 1000]];
  for (const [life, delay] of lives) {
    const opened = event(socket, 'onopen');
    const connection = await peer.connection();
    await opened;
    clock.advance(life);
    const closed = event(socket, 'onclose');
    connection.socket.terminate();
    await closed;
    assert.equal(socket.retryAt - clock.now(), delay, `after ${life} ms`);
    clock.advance(delay);
  }
});

test('retry() ends the wait', async () => {
  socket = new ReconnectingSocket(peer.url, options());
  const closed = event(socket, 'onclose');
  (await peer.connection()).socket.close(1012, 'restart');
  assert.equal((await closed).code, 1012);
  const opened = event(socket, 'onopen');
  socket.retry();
  await opened;
  assert.equal(socket.retryAt, null);
});

test('a handshake that hangs is given up', async () => {
  class Hanging {
    readyState = 0;
    close() { this.readyState = 3; }
  }
  socket = new ReconnectingSocket('ws://127.0.0.1/', options({ WebSocket: Hanging }));
  clock.advance(9999);
  assert.equal(socket.state, 'connecting');
  clock.advance(1);
  assert.equal(socket.state, 'waiting');
});

test('close() is for good, leaves no timer, and is one event', async () => {
  socket = new ReconnectingSocket(peer.url, options());
  await event(socket, 'onopen');
  const connection = await peer.connection();
  let closes = 0;
  socket.onclose = () => { closes += 1; };
  socket.close(1000, 'done');
  socket.close();
  assert.equal(await within(connection.closed, 'close'), 1000);
  assert.equal(socket.state, 'closed');
  assert.equal(clock.size, 0);
  assert.equal(closes, 1);
});

test('close() during the handshake and during the wait', async () => {
  const first = new ReconnectingSocket(peer.url, options());
  first.close();
  assert.equal(first.state, 'closed');
  const second = new ReconnectingSocket(peer.url, options());
  const closed = event(second, 'onclose');
  await event(second, 'onopen');
  peer.server.clients.forEach((client) => client.terminate());
  await closed;
  second.close();
  assert.equal(second.state, 'closed');
  assert.equal(clock.size, 0);
});

test('reconnect: false takes the first loss for the last', async () => {
  socket = new ReconnectingSocket(peer.url, options({ reconnect: false }));
  const closed = event(socket, 'onclose');
  (await peer.connection()).socket.terminate();
  await closed;
  assert.equal(socket.state, 'closed');
  assert.equal(clock.size, 0);
});

test('an address that no WebSocket can have is an error at once', () => {
  assert.throws(() => new ReconnectingSocket('nonsense', options()));
  assert.throws(() => new ReconnectingSocket('ftp://127.0.0.1/', options()));
  assert.throws(() => new ReconnectingSocket(peer.url, { WebSocket: null, clock }), /WebSocket/);
  assert.equal(clock.size, 0);
});

test('a listener that throws disturbs no other', async () => {
  const reported = within(new Promise((done) => { globalThis.reportError = done; }), 'report');
  try {
    socket = new ReconnectingSocket(peer.url, options());
    socket.onopen = () => { throw new Error('mine'); };
    const connection = await peer.connection();
    assert.equal((await reported).message, 'mine');
    assert.equal(socket.send('still here'), true);
    assert.equal(await connection.text(), 'still here');
  } finally {
    delete globalThis.reportError;
  }
});

test('wsConnect() calls what it is given', async () => {
  const seen = [];
  const record = (name) => (value) => seen.push([name, value.data ?? value.code ?? value.type]);
  const closed = new Promise((done) => {
    socket = wsConnect(peer.url, {
      onOpen: record('open'), onMessage: record('message'),
      onClose: (value) => { record('close')(value); done(); },
    }, options());
  });
  const connection = await peer.connection();
  connection.socket.send('["boot", {}]\n');
  connection.socket.close(1001);
  await within(closed, 'close');
  assert.deepEqual(seen, [['open', 'open'], ['message', '["boot", {}]\n'], ['close', 1001]]);
});

test('wsConnect() finds global functions by their names', async () => {
  const opened = new Promise((done) => { globalThis.onOpen = done; });
  try {
    socket = wsConnect(peer.url, {}, options());
    await within(opened, 'onOpen');
    assert.equal(socket.send('["clown.talk/-/config/set", {}]\n'), true);
    assert.equal(await (await peer.connection()).text(), '["clown.talk/-/config/set", {}]\n');
  } finally {
    delete globalThis.onOpen;
  }
});
