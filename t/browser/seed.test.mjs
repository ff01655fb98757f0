/*
 * The example that the project started from (seed.js, as printed), in Chromium: it connects with name
 * and password in the URL, opens, logs what comes, and switches a relay.
 *
 * t/browser/serve makes the server and says by the environment where it is; NODE_PATH says where
 * playwright-core is.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

const { chromium } = createRequire(import.meta.url)('playwright-core');

const DEADLINE = 10000; // ms

let browser;
let page;
const log = []; // what the page wrote to its console: [rawData, topic, payload]
const waiting = new Set();

/* The transcript, as comments of TAP. */
const tell = (line) => process.stdout.write(`# ${line}\n`);

/* The first logged message that `fits`, of those from the log's entry `from` on. */
function message(fits, from = 0) {
  const find = () => log.slice(from).find(([, topic, payload]) => topic && fits(topic, payload));
  return new Promise((done, failed) => {
    const timer = setTimeout(
      () => failed(new Error(`not in time; logged: ${JSON.stringify(log)}`)), DEADLINE);
    const check = () => {
      const entry = find();
      if (entry) {
        clearTimeout(timer);
        waiting.delete(check);
        done(entry);
      }
    };
    waiting.add(check);
    check();
  });
}

async function onConsole(entry) {
  const values = await Promise.all(entry.args().map((arg) => arg.jsonValue()));
  tell(`console.${entry.type()}: ${JSON.stringify(values)}`);
  log.push(values);
  waiting.forEach((check) => check());
}

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  page.setDefaultTimeout(DEADLINE);
  page.on('console', onConsole);
  page.on('websocket', (socket) => {
    tell(`WebSocket ${socket.url()}`);
    socket.on('framesent', ({ payload }) => tell(`sent ${JSON.stringify(payload)}`));
    socket.on('framereceived', ({ payload }) => tell(`received ${JSON.stringify(payload)}`));
  });
  await page.goto(new URL('browser/seed.html', process.env.CLOWNTALK_URL).href);
});

after(() => browser.close());

test('wsConnect() with name and password in the URL: the opening is answered', async () => {
  await page.evaluate((uri) => globalThis.wsConnect(uri), process.env.CLOWNTALK_NODE);
  const [, , payload] = await message((topic) => topic === 'clown.talk/-/config/ok');
  assert.equal(payload.device, 'bridge');
});

test('onMessage() logs temperatures', async () => {
  const [raw, topic, payload] = await message((name) => name.startsWith('thermometer/'));
  assert.deepEqual(raw, [topic, payload]);
  const [value, unit] = payload.temperature;
  assert.equal(typeof value, 'number');
  assert.equal(unit, '\u2103');
});

test('websocket.send() switches the relay, and its publication comes', async () => {
  for (const state of [true, false]) {
    const from = log.length;
    await page.evaluate(state
      ? () => globalThis.websocket.send("[\"relay/i2c0-3b/set\", {\"state\": true}]")
      : () => globalThis.websocket.send("[\"relay/i2c0-3b/set\", {\"state\": false}]"));
    const [raw] = await message(
      (topic, payload) => topic === 'relay/i2c0-3b' && payload.state === state, from);
    assert.deepEqual(raw, ['relay/i2c0-3b', { state }]);
  }
});

test('close() ends it cleanly', async () => {
  const event = await page.evaluate(() => new Promise((done) => {
    globalThis.websocket.addEventListener('close', ({ code, wasClean }) => done({ code, wasClean }));
    globalThis.websocket.close();
  }));
  assert.deepEqual(event, { code: 1005, wasClean: true });
});

test('nothing went wrong in between', () => {
  assert.deepEqual(log.filter((values) => values.length !== 3), []);
});
