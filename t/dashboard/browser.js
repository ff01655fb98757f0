/*
 * Chromium for the tests: one per test file, a fresh context (no login, no storage) per visit. What
 * the page writes to its console as an error, and what it asks of another server, is a failure.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before } from 'node:test';
import { require } from './modules.js';

const { chromium } = require('playwright-core');
const axe = require('axe-core');

export const DEADLINE = 8000; // ms, for everything that a test waits for

const screenshots = process.env.CLOWNTALK_SCREENSHOTS
  ?? fileURLToPath(new URL('screenshots', import.meta.url));

const options = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    // Pages that a test makes up itself count as public ones, which may not call this machine.
    '--disable-features=LocalNetworkAccessChecks'],
};

let browser;

/** Call once at the top of a test file. */
export function useBrowser() {
  before(async () => { browser = await chromium.launch(options); });
  after(() => browser.close());
}

/** A page of its own, still empty. `errors` collects what should not have happened. */
export async function newPage({ context: more = {}, origin } = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true, viewport: { width: 1180, height: 820 }, reducedMotion: 'reduce', ...more,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE);
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (origin && url.origin !== new URL(origin).origin) {
      errors.push(`a request to ${url.origin}`);
    }
  });
  return { context, page, errors, close: () => context.close() };
}

/** An empty page at `url`, which no server needs to have. */
export async function blankPage(url) {
  const visitor = await newPage();
  await visitor.page.route(url, (route) => route.fulfill({ contentType: 'text/html', body: '<p>' }));
  await visitor.page.goto(url);
  return visitor;
}

/** What becomes of a WebSocket that a page opens: 'open' or 'closed CODE'. */
export function tryWebSocket(page, url) {
  return page.evaluate((address) => new Promise((done) => {
    const socket = new WebSocket(address);
    socket.onopen = () => { done('open'); socket.close(); };
    socket.onclose = ({ code }) => done(`closed ${code}`);
  }), url);
}

/** The dashboard, opened with name and password in the URL, once it shows its first value. */
export async function visit(target, { user, hash = '', ready = true, ...more } = {}) {
  const visitor = await newPage({ origin: target.url, ...more });
  await visitor.page.goto(target.login(user) + hash);
  if (ready) {
    await visitor.page.locator('#connection[data-state=ready]').waitFor();
    await visitor.page.locator('.card').first().waitFor();
  }
  return visitor;
}

export const card = (page, topic) => page.locator(`[data-topic="${topic}"]`);

/** The button `name` of a relay or LED. */
export const button = (page, topic, name) =>
  card(page, topic).getByRole('button', { name, exact: true });

/** Waits until a button's aria-pressed says so. */
export async function pressed(page, topic, name) {
  await card(page, topic)
    .locator(`.choice button[aria-label="${name}"][aria-pressed=true]`).waitFor();
}

/** Waits until an element's text matches. */
export async function text(locator, pattern) {
  await locator.filter({ hasText: pattern }).waitFor();
}

/** Waits until `read()` gives something true, and returns it. */
export async function eventually(read, what) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const value = await read();
    if (value) {
      return value;
    }
    assert.ok(Date.now() < end, `did not come in time: ${what}`);
    await new Promise((done) => { setTimeout(done, 50); });
  }
}

/** axe-core's findings on the page as it is now must be none. */
export async function checkAccessibility(page) {
  await page.evaluate(axe.source);
  const findings = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((n) => `${n.html.slice(0, 160)} ${n.failureSummary}`).join('; ')}`);
  });
  assert.deepEqual(findings, []);
}

export async function screenshot(page, name, more = {}) {
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`), ...more });
}
