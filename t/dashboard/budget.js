/*
 * What the page may cost, measured; not part of the suite, since it measures time:
 *
 *   node budget.js [--runs N] [--slow N] [--keep DIR]
 *
 * prints a table, and ends with status 1 where something costs too much:
 * - the whole page, compressed: under 100 KB
 * - from navigation to the first value on localhost: under 300 ms (median of 7 fresh visits)
 * - with 60 devices that publish 10 times a second each, and a plot that is opened and closed
 *   meanwhile: no task of the main thread over 50 ms in a trace of 20 s. A task's processor time is
 *   printed too: on a busy machine it says how much of the rest was waiting for others.
 *
 * --runs repeats the last, each time in a new browser (3 by default). --slow N has the browser slow
 * itself down N times, as 4 does for a Raspberry Pi: for information, no limit applies. --keep DIR
 * keeps the traces, for Chromium's own tools.
 */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { require } from './modules.js';
import { folder, openTarget } from './target.js';

const { chromium } = require('playwright-core');

const SIZE = 100_000; // bytes
const FIRST_VALUE = 300; // ms
const LONG_TASK = 50; // ms
const TRACE = 20_000; // ms
const START = 3000; // ms from the first card on that count as the page's start

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    slow: { type: 'string', default: '1' },
    keep: { type: 'string' },
  },
});
const slow = Number(options.slow);

const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });

async function slowDown(context, page) {
  if (slow > 1) {
    await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: slow });
  }
}

function compressedSize() {
  const page = readdirSync(folder).filter((name) => !/^clowntalk\.|^LICENSES/.test(name));
  return page.reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name))).length, 0);
}

const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];

/* ---- the first value ---- */

/* Stands in the page before anything else: when what happened, in ms after the navigation began. */
function watchStart() {
  const times = {};
  globalThis.times = times;
  globalThis.WebSocket = class extends WebSocket {
    constructor(...parameters) {
      times.socket ??= performance.now();
      super(...parameters);
      this.addEventListener('open', () => { times.open ??= performance.now(); });
      this.addEventListener('message', () => { times.message ??= performance.now(); });
    }
  };
  new MutationObserver((_, observer) => {
    if (document.querySelector('.reading .integer')?.textContent) {
      times.value = performance.now();
      observer.disconnect();
    }
  }).observe(document, { childList: true, subtree: true, characterData: true });
}

/* One visit: when the page began to come, its script ran, its socket opened, its first value stood there. */
async function visit(browser, target) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await slowDown(context, page);
  await page.addInitScript(watchStart);
  await page.goto(target.login());
  await page.waitForFunction(() => globalThis.times.value);
  const times = await page.evaluate(() => ({
    html: performance.getEntriesByType('navigation')[0].responseStart, ...globalThis.times,
  }));
  await context.close();
  return times;
}

async function firstValues() {
  const target = await openTarget();
  const browser = await launch();
  const visits = [];
  for (let i = 0; i < 7; i += 1) {
    visits.push(await visit(browser, target));
  }
  await browser.close();
  await target.close();
  return visits;
}

/* ---- the busy house ---- */

const types = ['thermometer', 'humidity-sensor', 'barometer', 'lux-meter', 'co2-sensor', 'relay'];
const devices = Array.from({ length: 60 }, (_, i) =>
  `${types[i % types.length]}/i2c${i / 10 | 0}-${(0x20 + i).toString(16)}`);
const relays = devices.filter((topic) => topic.startsWith('relay'));
const sensors = devices.filter((topic) => !topic.startsWith('relay'));

/*
 * Tasks of the page's main thread, from a trace: [{ at, wall, cpu, parts }] in ms, longest first. `parts`
 * says what the task consisted of: { name: ms }, without what lies within it.
 */
function mainThreadTasks(events) {
  const key = ({ pid, tid }) => `${pid}/${tid}`;
  const mains = new Set(events.filter(({ name, args: { name: thread } = {} }) =>
    name === 'thread_name' && thread === 'CrRendererMain').map(key));
  const counts = new Map();
  const mine = events.filter((event) => event.ph === 'X' && mains.has(key(event)));
  for (const event of mine.filter(({ name }) => name === 'RunTask')) {
    counts.set(key(event), (counts.get(key(event)) ?? 0) + 1);
  }
  const [page] = [...counts].sort((a, b) => b[1] - a[1])[0];
  const all = mine.filter((event) => key(event) === page).sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  const tasks = [];
  let open = []; // the events around the present one, outermost first
  for (const { name, ts, dur = 0, tdur = 0 } of all) {
    open = open.filter(({ end }) => end > ts);
    if (name === 'RunTask' && open.length === 0) {
      tasks.push({ at: ts, wall: dur / 1000, cpu: tdur / 1000, parts: {} });
    }
    if (tasks.length > 0 && (name === 'RunTask' || open.length > 0)) {
      const { parts } = tasks.at(-1);
      const around = open.at(-1);
      parts[name] = (parts[name] ?? 0) + dur / 1000;
      if (around) {
        parts[around.name] -= dur / 1000;
      }
      open.push({ name, end: ts + dur });
    }
  }
  return tasks.sort((a, b) => b.wall - a.wall);
}

async function busyHouse(run, traces) {
  const target = await openTarget({ mock: {
    nodes: { 'nodes/bridge/0': sensors.concat(relays) }, interval: 0.1, tick: 20,
  } });
  let state = false;
  const switching = setInterval(() => { // relays publish as fast as the rest
    state = !state;
    relays.forEach((topic) => target.mock.node().publish(topic, `{"state": ${state}}`));
  }, 100);
  const browser = await launch();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await slowDown(context, page);
  const path = join(traces, `trace-${run}.json`);
  let messages = 0;
  page.on('websocket', (socket) => socket.on('framereceived', () => { messages += 1; }));
  await browser.startTracing(page, {
    path, categories: ['devtools.timeline', 'disabled-by-default-devtools.timeline', 'toplevel', 'v8', 'blink.user_timing'],
  });
  const began = performance.now();
  await page.goto(target.login());
  await page.locator('.card').nth(59).waitFor();
  await page.waitForTimeout(START);
  await page.evaluate(() => performance.mark('started'));
  await page.waitForTimeout(TRACE / 4 - START);
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
  clearInterval(switching);
  await target.close();
  const { traceEvents } = JSON.parse(readFileSync(path, 'utf8'));
  const started = traceEvents.find(({ name }) => name === 'started').ts;
  const tasks = mainThreadTasks(traceEvents);
  return {
    rate,
    start: tasks.filter(({ at }) => at < started),
    later: tasks.filter(({ at }) => at >= started),
    busy: tasks.reduce((sum, { cpu }) => sum + cpu, 0) / 1000 / seconds,
  };
}

/* ---- the table ---- */

let isOver = false;

function row(what, is, limit = '', isGood = true) {
  isOver ||= !isGood;
  console.log(`${isGood ? 'ok  ' : 'OVER'}  ${what.padEnd(34)} ${is.padEnd(30)} ${limit && `under ${limit}`}`);
}

const longest = (tasks, by) => tasks.reduce((most, task) => (task[by] > most[by] ? task : most));
const inWords = ({ wall, cpu }) => `${wall.toFixed(0)} ms (${cpu.toFixed(0)} ms processor)`;

function largest(parts) {
  return Object.entries(parts).sort((a, b) => b[1] - a[1]).slice(0, 5)
    .filter(([, ms]) => ms >= 0.5).map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(', ');
}

const size = compressedSize();
row('the page, compressed', `${(size / 1000).toFixed(1)} KB`, `${SIZE / 1000} KB`, size < SIZE);

const visits = await firstValues();
const first = median(visits.map(({ value }) => value));
row('first value after navigation', `${first.toFixed(0)} ms`, `${FIRST_VALUE} ms`, slow > 1 || first < FIRST_VALUE);
console.log(`        all: ${visits.map(({ value }) => value.toFixed(0)).join(' ')}; median of its steps: ${
  ['html', 'socket', 'open', 'message', 'value'].map((step) =>
    `${step} ${median(visits.map((times) => times[step])).toFixed(0)}`).join(', ')}`);

const traces = options.keep ?? mkdtempSync(join(tmpdir(), 'clowntalk-trace-'));
mkdirSync(traces, { recursive: true });
for (let run = 1; run <= Number(options.runs); run += 1) {
  const { rate, start, later, busy } = await busyHouse(run, traces);
  for (const [phase, tasks] of [['start', start], ['later', later]]) {
    const task = longest(tasks, 'wall');
    row(`longest task, run ${run}, ${phase}`, inWords(task), `${LONG_TASK} ms`, slow > 1 || task.wall < LONG_TASK);
    console.log(`        of it: ${largest(task.parts)}; most processor time: ${inWords(longest(tasks, 'cpu'))}`);
  }
  row('  messages, main thread busy', `${rate.toFixed(0)} a second, ${(100 * busy).toFixed(0)} %`);
}
if (!options.keep) {
  rmSync(traces, { recursive: true });
}
process.exitCode = isOver ? 1 : 0;
