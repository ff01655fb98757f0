/* A node through the client: opening, values, requests, and what happens when things go wrong. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { ClownTalk } from '../../src/dashboard/clowntalk.js';
import { FakeClock, Peer, WebSocket, once, within } from './peer.js';

const thermometer = 'thermometer/i2c0-48';
const relay = 'relay/i2c0-3b';
const house = {
  sensors: [thermometer], actuators: [relay],
  values: { [thermometer]: { temperature: [21.5, '℃'] }, [relay]: { state: null } },
};

let peer;
let clock;
let talk;

beforeEach(async () => {
  peer = await new Peer().start();
  clock = new FakeClock();
  talk = null;
});

afterEach(async () => {
  talk?.close();
  await peer.stop();
});

function connect(more = {}) {
  talk = new ClownTalk(peer.url, { WebSocket, clock, random: () => 1, ...more });
}

/* A client that is ready and has its list, and the server's end. */
async function ready(node = house) {
  connect();
  const listed = once(talk, 'devices');
  const connection = await peer.connection();
  await connection.open(node);
  await listed;
  return connection;
}

/* ---- opening ---- */

test('it opens first, then asks for the list, and sends nothing before the answer', async () => {
  connect();
  const connection = await peer.connection();
  assert.deepEqual((await connection.expect('clown.talk/-/config/set')).payload, {});
  assert.equal(talk.state, 'opening');
  assert.equal(connection.unread, 0);
  const isReady = talk.ready();
  connection.send('clown.talk/-/config/ok', { device: 'bridge', 'firmware-release': '0.1.0' });
  assert.equal(await within(isReady, 'ready'), talk);
  assert.equal(talk.server['firmware-release'], '0.1.0');
  await connection.expect('-/-/config/list');
});

test('the opening brings the last known values, marked as such', async () => {
  connect();
  const seen = [];
  talk.subscribe('#', (payload, topic, { initial }) => seen.push([topic, initial]));
  const connection = await peer.connection();
  const listed = once(talk, 'devices');
  await connection.open(house);
  assert.deepEqual(await listed,
    { sensors: [thermometer], actuators: [relay], notifications: ['boot'] });
  const live = once(talk, 'message', ({ topic }) => topic === thermometer);
  connection.send(thermometer, { temperature: [21.6, '℃'] });
  await live;
  assert.deepEqual(seen.filter(([topic]) => topic === thermometer),
    [[thermometer, true], [thermometer, false]]);
  assert.deepEqual(talk.value(thermometer), { temperature: [21.6, '℃'] });
  assert.deepEqual(talk.value(relay), { state: null });
  assert.equal(talk.value('thermometer/i2c0-49'), undefined);
});

test('a second value of a device is no last known one, even before the list', async () => {
  connect();
  const seen = [];
  talk.subscribe(relay, ({ state }, topic, { initial }) => seen.push([state, initial]));
  const connection = await peer.connection();
  await connection.expect('clown.talk/-/config/set');
  connection.send('clown.talk/-/config/ok', {});
  connection.send(relay, { state: null });
  const second = once(talk, 'message', ({ payload }) => payload.state === true);
  connection.send(relay, { state: true });
  await second;
  assert.deepEqual(seen, [[null, true], [true, false]]);
});

test('an opening that is refused is said again, until it is answered', async () => {
  connect();
  const connection = await peer.connection();
  await connection.expect('clown.talk/-/config/set');
  const error = once(talk, 'error');
  connection.send('clown.talk/-/config/error', { error: 'unavailable', message: 'restarting' });
  assert.equal((await error).code, 'unavailable');
  assert.equal(talk.state, 'opening');
  clock.advance(500);
  const isReady = talk.ready();
  await connection.open(house);
  await within(isReady, 'ready');
});

test('an opening without an answer ends the connection', async () => {
  connect();
  const connection = await peer.connection();
  await connection.expect('clown.talk/-/config/set');
  const closed = once(talk, 'close');
  clock.advance(10_000);
  assert.match((await closed).reason, /opening/);
  assert.equal(talk.state, 'waiting');
});

/* ---- topics ---- */

test('subscriptions by topic and by pattern, and their ends', async () => {
  const connection = await ready();
  const seen = [];
  const patterns = [relay, 'relay/+', '+/i2c0-3b', 'relay/#', '#', 'relay', '+', 'relay/+/error', 'led/#',
    '+/+/+/#'];
  const ends = patterns.map((pattern) =>
    talk.subscribe(pattern, (payload, topic) => seen.push(`${pattern} ${topic}`)));
  connection.send(relay, { state: true });
  connection.send(`${relay}/error`, { error: 'busy', message: '' });
  await once(talk, 'message', ({ topic }) => topic === `${relay}/error`);
  assert.deepEqual(seen.sort(), [
    `# ${relay}`, `# ${relay}/error`, `+/i2c0-3b ${relay}`, `relay/# ${relay}`, `relay/# ${relay}/error`,
    `relay/+ ${relay}`, `relay/+/error ${relay}/error`, `${relay} ${relay}`, `+/+/+/# ${relay}/error`,
  ].sort());
  ends.forEach((end) => end());
  seen.length = 0;
  connection.send(relay, { state: false });
  await once(talk, 'message');
  assert.deepEqual(seen, []);
});

test('a device that leaves the list takes its value along; answers are no values', async () => {
  const connection = await ready();
  connection.send('i2c/0', { address: '48', read: 'FF' });
  connection.send(`${thermometer}/history`, { seconds: 1 });
  connection.send('boot', { 'reason-for-reset': 'restart' });
  await once(talk, 'message', ({ topic }) => topic === 'boot');
  assert.deepEqual([...talk.values.keys()].sort(), [relay, thermometer]);
  const listed = once(talk, 'devices');
  connection.send('-/-/config/ok', { sensors: [], actuators: [relay], notifications: ['boot'] });
  await listed;
  assert.deepEqual([...talk.values.keys()], [relay]);
});

test('after a boot of the hardware side the list is asked for again', async () => {
  const connection = await ready();
  connection.send('boot', { 'reason-for-reset': 'crash' });
  await connection.expect('-/-/config/list');
});

test('a message that is none is an error event, and nothing else', async () => {
  const connection = await ready();
  for (const text of ['nonsense', '[]', '["a"]']) {
    const error = once(talk, 'error');
    connection.socket.send(text);
    assert.equal((await error).code, 'malformed');
  }
  assert.equal(talk.state, 'ready');
});

/* ---- requests ---- */

test('set() resolves with what was published, by its id', async () => {
  const connection = await ready();
  const done = talk.set(relay, { state: true });
  const { payload, id } = await connection.expect(`${relay}/set`);
  assert.deepEqual(payload, { state: true });
  connection.send(relay, { state: false }); // another client's
  connection.send(relay, { state: true }, id);
  assert.deepEqual(await within(done, 'reply'), { state: true });
});

test('get(), history() and request() ask for what they say', async () => {
  const connection = await ready();
  const value = talk.get(thermometer);
  const { id } = await connection.expect(`${thermometer}/get`);
  connection.send(thermometer, { temperature: [20, '℃'] }, id);
  assert.deepEqual(await within(value, 'value'), { temperature: [20, '℃'] });

  const history = talk.history(thermometer, 600, 100);
  const asked = await connection.expect(`${thermometer}/history/get`);
  assert.deepEqual(asked.payload, { seconds: 600, points: 100 });
  connection.send(`${thermometer}/history`, { seconds: 600, step: 6 }, asked.id);
  assert.equal((await within(history, 'history')).step, 6);

  const scan = talk.request('i2c/0/config/scan');
  const scanned = await connection.expect('i2c/0/config/scan');
  connection.send('i2c/0/config/ok', { slaves: [] }, scanned.id);
  assert.deepEqual(await within(scan, 'scan'), { topic: 'i2c/0/config/ok', payload: { slaves: [] } });
});

test('an error answer rejects, with the server\'s name and sentence', async () => {
  const connection = await ready();
  const failed = talk.set('relay/i2c0-77', { state: true });
  const { id } = await connection.expect('relay/i2c0-77/set');
  connection.send('relay/i2c0-77/error', { error: 'unknown-device', message: 'no relay at i2c0-77' }, id);
  await assert.rejects(within(failed, 'error'), {
    name: 'ClownTalkError', code: 'unknown-device', message: 'no relay at i2c0-77',
    topic: 'relay/i2c0-77/error',
  });
});

test('answers out of order find their requests', async () => {
  const connection = await ready();
  const both = [talk.get(thermometer), talk.get('thermometer/i2c0-49')];
  const first = await connection.expect(`${thermometer}/get`);
  const second = await connection.expect('thermometer/i2c0-49/get');
  connection.send('thermometer/i2c0-49', { temperature: [2, '℃'] }, second.id);
  connection.send(thermometer, { temperature: [1, '℃'] }, first.id);
  assert.deepEqual((await within(Promise.all(both), 'both')).map((p) => p.temperature[0]), [1, 2]);
});

test('send() gets no answer; its error is an event', async () => {
  const connection = await ready();
  assert.equal(talk.send(`${relay}/set`, { state: 1 }), true);
  assert.equal((await connection.expect(`${relay}/set`)).parameters, undefined);
  const error = once(talk, 'error');
  connection.send(`${relay}/error`, { error: 'bad-payload', message: 'state must be true or false' });
  assert.equal((await error).code, 'bad-payload');
});

test('a request without an answer fails in its time, and a late answer does no harm', async () => {
  const connection = await ready();
  const failed = talk.request(`${relay}/set`, { state: true }, { timeout: 1000 });
  const { id } = await connection.expect(`${relay}/set`);
  clock.advance(1000);
  await assert.rejects(within(failed, 'failure'), { code: 'no-answer', topic: `${relay}/set` });
  const late = once(talk, 'message', ({ topic }) => topic === relay);
  connection.send(relay, { state: true }, id);
  await late;
});

test('a request before the connection waits for it', async () => {
  connect();
  const value = talk.get(thermometer);
  const connection = await peer.connection();
  await connection.open(house);
  const { id } = await connection.expect(`${thermometer}/get`);
  connection.send(thermometer, { temperature: [1, '℃'] }, id);
  assert.deepEqual(await within(value, 'value'), { temperature: [1, '℃'] });
});

test('a request that found no connection in its time was not sent', async () => {
  connect();
  const connection = await peer.connection();
  await connection.expect('clown.talk/-/config/set');
  const failed = talk.request(`${relay}/set`, { state: true }, { timeout: 100 });
  clock.advance(100);
  await assert.rejects(within(failed, 'failure'), { code: 'not-connected' });
  connection.send('clown.talk/-/config/ok', {});
  await connection.expect('-/-/config/list');
  talk.send('led/-/get');
  await connection.expect('led/-/get');
});

/* ---- losses ---- */

test('a lost connection fails what was sent, and is not followed by a second try of it', async () => {
  const connection = await ready();
  const failed = talk.set(relay, { state: true });
  await connection.expect(`${relay}/set`);
  const closed = once(talk, 'close');
  connection.socket.terminate();
  await assert.rejects(within(failed, 'failure'), { code: 'connection-lost' });
  await closed;
  assert.equal(talk.state, 'waiting');
  assert.equal(talk.retryAt, clock.now() + 500);
  clock.advance(500);
  const again = await peer.connection();
  const listed = once(talk, 'devices');
  await again.open(house);
  await listed;
  assert.equal(again.unread, 0);
  assert.equal(talk.state, 'ready');
});

test('every change of the state is an event', async () => {
  connect();
  const states = [];
  talk.on('state', (state) => states.push(state));
  const connection = await peer.connection();
  await connection.open(house);
  await once(talk, 'devices');
  const closed = once(talk, 'close');
  connection.socket.close(1012);
  await closed;
  const ended = talk.ready();
  talk.close();
  await assert.rejects(ended, { code: 'closed' });
  assert.deepEqual(states, ['opening', 'ready', 'waiting', 'closed']);
});

test('silence is met with a question, and a dead connection is given up', async () => {
  const connection = await ready();
  clock.advance(30_000);
  const { id } = await connection.expect('-/-/config/list');
  const alive = once(talk, 'devices');
  connection.send('-/-/config/ok', { sensors: [], actuators: [] }, id);
  await alive;
  assert.equal(talk.state, 'ready');
  clock.advance(30_000);
  await connection.expect('-/-/config/list');
  clock.advance(4999);
  assert.equal(talk.state, 'ready');
  clock.advance(1);
  assert.equal(talk.state, 'waiting');
});

test('any message is a sign of life', async () => {
  const connection = await ready();
  for (let i = 0; i < 5; i += 1) {
    clock.advance(29_999);
    const heard = once(talk, 'message');
    connection.send(thermometer, { temperature: [i, '℃'] });
    await heard;
  }
  assert.equal(connection.unread, 0);
});

test('close() rejects what waits, and leaves no timer', async () => {
  const connection = await ready();
  const failed = talk.get(thermometer);
  await connection.expect(`${thermometer}/get`);
  talk.close();
  await assert.rejects(within(failed, 'failure'), { code: 'closed' });
  await assert.rejects(talk.get(thermometer), { code: 'closed' });
  await assert.rejects(talk.ready(), { code: 'closed' });
  assert.equal(talk.send('a'), false);
  assert.equal(await within(connection.closed, 'close'), 1000);
  assert.equal(clock.size, 0);
});

test('reconnect: false: the end of the connection is the end of the client', async () => {
  connect({ reconnect: false });
  const connection = await peer.connection();
  await connection.open(house);
  await once(talk, 'devices');
  const closed = once(talk, 'close');
  connection.socket.terminate();
  await closed;
  assert.equal(talk.state, 'closed');
  assert.equal(clock.size, 0);
});

test('events of the network: online ends a wait, offline asks for a sign of life', async () => {
  const listeners = {};
  globalThis.addEventListener = (name, listener) => { (listeners[name] ??= new Set()).add(listener); };
  globalThis.removeEventListener = (name, listener) => listeners[name].delete(listener);
  try {
    const connection = await ready();
    listeners.offline.forEach((listener) => listener());
    await connection.expect('-/-/config/list');
    clock.advance(5000);
    assert.equal(talk.state, 'waiting');
    listeners.online.forEach((listener) => listener());
    assert.equal(talk.state, 'connecting');
    talk.close();
    assert.equal(listeners.online.size + listeners.offline.size, 0);
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});
