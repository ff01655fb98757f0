/*
 * What the page may cost, measured; not part of the suite, since it measures time:
 *
 *   node budget.js        prints a table, and ends with status 1 where something costs too much
 *
 * - the whole page, compressed: under 100 KB
 * - from navigation to the first value on localhost: under 300 ms (median of 7 fresh visits)
 * - with 60 devices that publish 10 times a second each, and a plot that is opened and closed
 *   meanwhile: no task of the main thread over 50 ms in a trace of 20 s. A task's processor time is
 *   printed too: on a busy machine it says how much of the rest was waiting for others.
 */
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { require } from './modules.js';
import { folder, openTarget } from './target.js';

const { chromium } = require('playwright-core');

const SIZE = 100_000; // bytes
const FIRST_VALUE = 300; // ms
const LONG_TASK = 50; // ms
const TRACE = 20_000; // ms

const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });

function compressedSize() {
  const page = readdirSync(folder).filter((name) => !/^clowntalk\.|^LICENSES/.test(name));
  return page.reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name))).length, 0);
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/* When the first value stands on the page, in ms after the navigation began. */
async function firstValue() {
  const target = await openTarget();
  const browser = await launch();
  const times = [];
  for (let i = 0; i < 7; i += 1) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.addInitScript(() => {
      new MutationObserver((_, observer) => {
        if (document.querySelector('.reading .integer')?.textContent) {
          globalThis.firstValue = performance.now();
          observer.disconnect();
        }
      }).observe(document, { childList: true, subtree: true, characterData: true });
    });
    await page.goto(target.login());
    times.push(await (await page.waitForFunction(() => globalThis.firstValue)).jsonValue());
    await context.close();
  }
  await browser.close();
  await target.close();
  return median(times);
}

const types = ['thermometer', 'humidity-sensor', 'barometer', 'lux-meter', 'co2-sensor', 'relay'];
const devices = Array.from({ length: 60 }, (_, i) =>
  `${types[i % types.length]}/i2c${i / 10 | 0}-${(0x20 + i).toString(16)}`);

/* Tasks of the page's main thread, from a trace: [{ wall, cpu }] in ms, longest first. */
function mainThreadTasks(events) {
  const counts = new Map();
  const key = ({ pid, tid }) => `${pid}/${tid}`;
  const mains = new Set(events.filter(({ name, args: { name: thread } = {} }) =>
    name === 'thread_name' && thread === 'CrRendererMain').map(key));
  const tasks = events.filter((event) => event.name === 'RunTask' && mains.has(key(event)));
  tasks.forEach((task) => counts.set(key(task), (counts.get(key(task)) ?? 0) + 1));
  const [page] = [...counts].sort((a, b) => b[1] - a[1])[0];
  return tasks.filter((task) => key(task) === page)
    .map(({ dur = 0, tdur = 0 }) => ({ wall: dur / 1000, cpu: tdur / 1000 }))
    .sort((a, b) => b.wall - a.wall);
}

async function busyHouse() {
  const target = await openTarget({ mock: {
    nodes: { 'nodes/bridge/0': devices.filter((topic) => !topic.startsWith('relay')).concat(
      devices.filter((topic) => topic.startsWith('relay'))) },
    interval: 0.1, tick: 20,
  } });
  // Relays publish as fast as the rest.
  let state = false;
  const relays = setInterval(() => {
    state = !state;
    devices.filter((topic) => topic.startsWith('relay')).forEach((topic) =>
      target.mock.node().publish(topic, `{"state": ${state}}`));
  }, 100);
  const browser = await launch();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const path = join(tmpdir(), `clowntalk-trace-${process.pid}.json`);
  let messages = 0;
  page.on('websocket', (socket) => socket.on('framereceived', () => { messages += 1; }));
  await browser.startTracing(page, { path, categories: ['devtools.timeline', 'disabled-by-default-devtools.timeline', 'toplevel'] });
  const began = performance.now();
  await page.goto(target.login());
  await page.locator('.card').nth(59).waitFor();
  await page.waitForTimeout(TRACE / 4);
  await page.locator('.open').first().click();
  await page.locator('dialog canvas').waitFor();
  await page.waitForTimeout(TRACE / 4);
  await page.keyboard.press('Escape');
  await page.mouse.wheel(0, 2500);
  await page.waitForTimeout(TRACE / 2);
  const seconds = (performance.now() - began) / 1000;
  const rate = messages / seconds;
  await browser.stopTracing();
  await browser.close();
  clearInterval(relays);
  await target.close();
  const { traceEvents } = JSON.parse(readFileSync(path, 'utf8'));
  rmSync(path);
  const tasks = mainThreadTasks(traceEvents);
  return { longest: tasks[0], busy: tasks.reduce((sum, { cpu }) => sum + cpu, 0) / 1000 / seconds, rate };
}

const size = compressedSize();
const first = await firstValue();
const { longest, busy, rate } = await busyHouse();
const rows = [
  ['the page, compressed', `${(size / 1000).toFixed(1)} KB`, `${SIZE / 1000} KB`, size < SIZE],
  ['first value after navigation', `${first.toFixed(0)} ms`, `${FIRST_VALUE} ms`, first < FIRST_VALUE],
  [`longest task at ${rate.toFixed(0)} messages/s`, `${longest.wall.toFixed(0)} ms (${longest.cpu.toFixed(0)} ms processor)`,
    `${LONG_TASK} ms`, longest.wall < LONG_TASK],
  ['main thread busy meanwhile', `${(100 * busy).toFixed(0)} %`, '', true],
];
for (const [what, is, limit, isGood] of rows) {
  console.log(`${isGood ? 'ok  ' : 'OVER'}  ${what.padEnd(36)} ${is.padEnd(24)} ${limit && `under ${limit}`}`);
}
process.exitCode = rows.every(([, , , isGood]) => isGood) ? 0 : 1;
