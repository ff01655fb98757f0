/* The page in a real browser: sign in, look, switch. Runs against the real server where there is one. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  blankPage, button, card, eventually, newPage, pressed, screenshot, text, tryWebSocket, useBrowser, visit,
} from './browser.js';
import { lacks, openTarget } from './target.js';

const thermometer = 'thermometer/i2c0-48';
const relay = 'relay/i2c0-3b';

let target;

useBrowser();
before(async () => { target = await openTarget(); });
after(() => target.close());

test('without a password there is nothing to see', async () => {
  const { context, page, close } = await newPage();
  const response = await context.request.get(target.url);
  assert.equal(response.status(), 401);
  assert.match(response.headers()['www-authenticate'], /^Basic realm="Clown\.Hub"/);
  await page.goto(target.url).catch(() => {}); // a browser without a password dialog calls it an error
  assert.equal(await page.locator('.card').count(), 0);
  await close();
});

test('without a password the node refuses, with one in its URL it opens', async () => {
  const { page, close } = await blankPage(new URL('blank.html', target.url).href);
  const anonymous = Object.assign(new URL(target.node()), { username: '', password: '' }).href;
  assert.equal(await tryWebSocket(page, anonymous), 'closed 1006');
  assert.equal(await tryWebSocket(page, target.node('clown:wrong')), 'closed 1006');
  assert.equal(await tryWebSocket(page, target.node()), 'open');
  await close();
});

test('name and password in the URL: values appear, and move', async () => {
  const { page, errors, close } = await visit(target);
  const reading = card(page, thermometer).locator('.reading').first();
  await text(reading, /^[\u2212\d]+\.\d\d\s°C$/);
  const first = await reading.textContent();
  await eventually(async () => await reading.textContent() !== first, 'another temperature');
  await text(card(page, thermometer).locator('.age'), /^now$/);
  assert.equal(await page.locator('#connection-text').textContent(), 'Live');
  assert.deepEqual(errors, []);
  await screenshot(page, 'light', { fullPage: true });
  await close();
});

test('a relay that is switched in one page shows in the other', async () => {
  const [one, other] = [await visit(target), await visit(target)];
  await button(one.page, relay, 'Off').click(); // from a state that is known
  await pressed(other.page, relay, 'Off');
  for (const name of ['On', 'Off', 'On', 'Off']) {
    await button(one.page, relay, name).click();
    await pressed(one.page, relay, name);
    await pressed(other.page, relay, name);
    await text(card(one.page, relay).locator('.status'), new RegExp(`^${name} since [\\d:]+, done in \\d+ ms$`));
    await text(card(other.page, relay).locator('.status'), new RegExp(`^${name} since [\\d:]+$`));
  }
  assert.deepEqual([...one.errors, ...other.errors], []);
  await one.close();
  await other.close();
});

test('a page that opens later shows the last known state', async () => {
  const first = await visit(target);
  await button(first.page, relay, 'On').click();
  await pressed(first.page, relay, 'On');
  await first.close();
  const second = await visit(target);
  await pressed(second.page, relay, 'On');
  await text(card(second.page, relay).locator('.status'), 'Last known state');
  await second.close();
});

test('the LED and its patterns', async () => {
  const { page, errors, close } = await visit(target);
  for (const name of ['Two blinks', 'On', 'Off']) {
    await button(page, 'led/-', name).click();
    await pressed(page, 'led/-', name);
  }
  assert.deepEqual(errors, []);
  await close();
});

test('keys alone: from the address bar to a relay that has switched', async () => {
  const { page, close } = await visit(target);
  await page.keyboard.press('Tab');
  await text(page.locator(':focus'), 'Skip to the devices');
  await page.keyboard.press('Enter');
  const focused = () => page.evaluate(() => {
    const element = document.activeElement;
    return `${element.closest('[data-topic]')?.dataset.topic} ${element.getAttribute('aria-label')}`;
  });
  for (const name of ['On', 'Off']) {
    for (let i = 0; i < 40 && await focused() !== `${relay} ${name}`; i += 1) {
      await page.keyboard.press(name === 'On' ? 'Tab' : 'Shift+Tab');
    }
    assert.equal(await focused(), `${relay} ${name}`);
    await page.keyboard.press(name === 'On' ? 'Enter' : 'Space');
    await pressed(page, relay, name);
  }
  await text(page.locator('#announcer'), /^Relay i2c0-3b: Off$/);
  await close();
});

test('the plot of the last hour opens, and follows the keys', async () => {
  const { page, errors, close } = await visit(target);
  await card(page, thermometer).getByRole('button').click();
  const dialog = page.getByRole('dialog', { name: 'Thermometer' });
  await dialog.locator('canvas').waitFor();
  await text(dialog.locator('.readout'), /°C/);
  await text(dialog.locator('dd').nth(1), /^[\u2212\d.]+ °C$/);
  const slider = dialog.getByRole('slider');
  await slider.focus();
  await page.keyboard.press('Home');
  assert.match(await slider.getAttribute('aria-valuetext'), /^\d\d:\d\d:\d\d .*°C/);
  for (const name of ['5 min', '15 min', '1 hour']) {
    await dialog.getByRole('button', { name, exact: true }).click();
    await text(dialog.locator('.readout'), /°C/);
  }
  await screenshot(page, 'plot');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Thermometer');
  assert.deepEqual(errors, []);
  await close();
});

test('the publish interval is shown, and set', async () => {
  const { page, errors, close } = await visit(target);
  await card(page, thermometer).getByRole('button').click();
  const dialog = page.getByRole('dialog');
  const input = dialog.getByLabel('A value every');
  await eventually(async () => await input.inputValue() === '1', 'the interval of 1 s');
  for (const seconds of ['0.5', '1']) {
    await input.fill(seconds);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await text(dialog.getByRole('status'), 'Saved');
    assert.equal(await input.inputValue(), seconds);
  }
  assert.deepEqual(errors, []);
  await close();
});

test('a pulse switches a relay on, and off again by itself', async () => {
  const { page, errors, close } = await visit(target);
  await card(page, 'relay/i2c0-3f').locator('.open').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('On, and off again').fill('0.3');
  await dialog.getByRole('button', { name: 'Pulse' }).click();
  await text(dialog.getByRole('status'), 'On, for as long as that');
  await page.keyboard.press('Escape');
  await pressed(page, 'relay/i2c0-3f', 'Off');
  assert.deepEqual(errors, []);
  await close();
});

test('colours: the system\'s, unless the visitor chose', async () => {
  const { page, close } = await visit(target);
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), 'light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await eventually(async () => await theme() === 'dark', 'the dark theme');
  await screenshot(page, 'dark', { fullPage: true });
  await page.getByRole('button', { name: 'Colours: automatic' }).click();
  assert.equal(await theme(), 'light');
  await page.reload();
  assert.equal(await theme(), 'light');
  await page.getByRole('button', { name: 'Colours: light' }).click();
  await page.emulateMedia({ colorScheme: 'light' });
  assert.equal(await theme(), 'dark');
  await page.getByRole('button', { name: 'Colours: dark' }).click();
  assert.equal(await theme(), 'light');
  await close();
});

test('a phone shows all of it without a scroll bar below', async () => {
  for (const width of [320, 390]) {
    const { page, close } = await visit(target, { context: { viewport: { width, height: 844 } } });
    await text(card(page, thermometer).locator('.reading').first(), /°C/);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    await card(page, thermometer).getByRole('button').click();
    await page.locator('dialog canvas').waitFor();
    const box = await page.locator('dialog').boundingBox();
    assert.deepEqual([box.x, box.width], [0, width]);
    await page.keyboard.press('Escape');
    await screenshot(page, `phone-${width}`, { fullPage: true });
    await close();
  }
});

test('a user who may only look sees disabled switches', { skip: lacks.guest }, async () => {
  const { page, errors, close } = await visit(target, { user: target.guest });
  const sent = [];
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => sent.push(payload)));
  await page.reload();
  await text(page.locator('.notice'), /^You may look, but not switch/);
  for (const name of ['On', 'Off']) {
    await button(page, relay, name).and(page.locator('[aria-disabled=true]')).waitFor();
    await button(page, relay, name).click({ force: true });
  }
  await card(page, thermometer).getByRole('button').click();
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.getByRole('button', { name: 'Save' }).getAttribute('aria-disabled'), 'true');
  await text(dialog.getByRole('status'), 'You may look, but not switch');
  await page.keyboard.press('Escape');
  assert.deepEqual(sent.filter((line) => line.includes('/set') && !line.includes('clown.talk')), []);
  assert.deepEqual(errors, []);
  await screenshot(page, 'read-only');
  await close();
});

test('the page loads nothing from elsewhere and runs no inline script', async () => {
  const { page, errors, close } = await visit(target);
  const policy = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute('content');
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:|data:/);
  assert.equal(await page.locator('script:not([src]), style, [style]:not(.u-wrap *, .choice), [onclick]').count(), 0);
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'globalThis.inlineRan = true';
    document.body.append(script);
    return globalThis.inlineRan === true;
  });
  assert.equal(ran, false);
  assert.match(errors.join(), /Content Security Policy/);
  await close();
});
