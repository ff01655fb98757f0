/* The examples of docs/javascript.md run in the browser, as printed there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { newPage, useBrowser, eventually } from './browser.js';
import { openTarget } from './target.js';

const manual = readFileSync(new URL('../../docs/javascript.md', import.meta.url), 'utf8');

/* The code blocks of the section with this heading, in one language. */
function examples(heading, language) {
  const start = manual.indexOf(`\n${heading}\n`);
  assert.ok(start >= 0, heading);
  const section = manual.slice(start + 1).split(/\n##+ /)[0];
  return [...section.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, code]) => code);
}

let target;

useBrowser();
before(async () => { target = await openTarget(); });
after(() => target.close());

const documentedUri = 'wss://clown:bigclown@localhost/auth/clown-talk-server_nodes_bridge_0';

/* A page of the server's own origin that holds `body` and the scripts; lines of its console. */
async function pageWith(files, login = true) {
  const visitor = await newPage({ context: { bypassCSP: true } });
  const lines = [];
  visitor.page.on('console', (message) => lines.push(message.text()));
  if (login) { // as a visitor of the dashboard has done before
    await visitor.page.goto(target.login());
  }
  for (const [name, body] of Object.entries(files)) {
    const contentType = name.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8';
    await visitor.page.route(`**/${name}`, (route) => route.fulfill({ contentType, body }));
  }
  await visitor.page.goto(new URL('example.html', target.url).href);
  return { ...visitor, lines };
}

test('the plain way: opening, temperatures, a relay', async () => {
  const [shim, code, switchOff] = examples('## The plain way', 'javascript');
  assert.equal(shim, 'WebSocket.connect = (uri) => new WebSocket(uri);\n');
  const { page, lines, errors, close } = await pageWith({
    'example.html': '<script src="seed.js"></script>', 'seed.js': shim + code,
  }, false);
  const received = [];
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => received.push(payload)));
  await page.evaluate((uri) => globalThis.wsConnect(uri), target.node());
  await eventually(() => received.some((line) => line.startsWith('["clown.talk/-/config/ok"')), 'the opening');
  await eventually(() => received.some((line) =>
    /^\["thermometer\/i2c0-48", \{"temperature": \[-?\d+\.\d\d, "℃"\]\}\]\n$/.test(line)), 'a temperature');
  await eventually(() => lines.some((line) => line.includes('thermometer/i2c0-48')), 'its line on the console');
  received.length = 0;
  await page.evaluate((statement) => { (0, eval)(statement); }, switchOff);
  await eventually(() => received.some((line) => /^\["relay\/i2c0-3b", \{"state": ?false\}\]\n$/.test(line)),
    'the relay\'s publication');
  assert.deepEqual(errors, []);
  await close();
});

test('the plain way with a connection that comes back: the classic script', async () => {
  const [code] = examples('### The plain way, with a connection that comes back', 'js');
  assert.ok(code.includes(documentedUri));
  const { page, lines, errors, close } = await pageWith({
    'example.html': '<script src="clowntalk.classic.js"></script><script src="mine.js"></script>',
    'mine.js': code.replace(documentedUri, target.node()),
  });
  await eventually(() => lines.some((line) => line.includes('thermometer/i2c0-48')), 'a temperature');
  assert.equal(await page.evaluate(() => globalThis.websocket.readyState), 1);
  assert.deepEqual(errors, []);
  await close();
});

test('a first page: the module', async () => {
  const [code] = examples('## A first page', 'js');
  const [body] = examples('## A first page', 'html');
  const { page, errors, close } = await pageWith({
    'example.html': `<!doctype html><meta charset="utf-8">${body}`,
    'first.js': code.replace('/clowntalk.js', new URL('clowntalk.js', target.url).pathname),
  });
  await page.locator('#temperature').filter({ hasText: /^-?[\d.]+ ℃$/ }).waitFor();
  const published = [];
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => published.push(payload)));
  await page.reload();
  await page.locator('#temperature').filter({ hasText: /℃/ }).waitFor();
  await page.locator('#on').click();
  await eventually(() => published.some((line) => line.startsWith('["relay/i2c0-3b", {"state": true}, {"id":')
    || line.startsWith('["relay/i2c0-3b", {"state":true}, {"id":')), 'the answer');
  assert.deepEqual(errors, []);
  await close();
});
