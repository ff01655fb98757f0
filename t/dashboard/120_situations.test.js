/* Situations that only a server under the test's control can bring about: mock.js. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  button, card, eventually, pressed, screenshot, text, useBrowser, visit,
} from './browser.js';
import { openTarget } from './target.js';

const thermometer = 'thermometer/i2c0-48';
const relay = 'relay/i2c0-3b';
const display = 'display-oled/i2c0-3c';

useBrowser();

/* A mock with these options for the length of `run`, and one page at it. */
async function on(options, run, more = {}) {
  const target = await openTarget({ mock: options });
  try {
    const visitor = await visit(target, more);
    await run(visitor.page, target.mock, visitor);
    assert.deepEqual(visitor.errors, []);
    await visitor.close();
  } finally {
    await target.close();
  }
}

const nodesJson = (nodes) => ({ '/nodes.json': JSON.stringify({ nodes }) });

/* ---- asked, done, failed ---- */

test('a switch shows what was asked for until the node says that it is done', () => {
  const hold = [];
  return on({ hold }, async (page) => {
    await text(card(page, relay).locator('.status'), 'Position not known until it is switched once');
    await button(page, relay, 'On').click();
    await text(card(page, relay).locator('.status[data-state=asked]'), 'Asked for on');
    await card(page, relay).locator('[aria-label=On][data-asked]').waitFor();
    assert.equal(await card(page, relay).locator('[aria-pressed=true]').count(), 0);
    await eventually(() => hold.length === 1, 'the request');
    hold.shift()();
    await pressed(page, relay, 'On');
    assert.equal(await card(page, relay).locator('[data-asked]').count(), 0);
    await text(card(page, relay).locator('.status[data-state=done]'), /^On since/);
  });
});

test('of two requests the last one counts', () => {
  const hold = [];
  return on({ hold }, async (page) => {
    await button(page, relay, 'On').click();
    await button(page, relay, 'Off').click();
    await eventually(() => hold.length === 2, 'both requests');
    hold.shift()();
    await pressed(page, relay, 'On');
    await text(card(page, relay).locator('.status[data-state=asked]'), 'Asked for off');
    hold.shift()();
    await text(card(page, relay).locator('.status[data-state=done]'), /^Off since/);
    await pressed(page, relay, 'Off');
  });
});

test('a failure is said in the server\'s words, and the state stays what it was', () =>
  on({}, async (page, mock) => {
    await button(page, relay, 'On').click();
    await pressed(page, relay, 'On');
    mock.options.fault = relay;
    await button(page, relay, 'Off').click();
    await text(card(page, relay).locator('.status[data-state=failed]'),
      'Failed: the relay did not answer: Remote I/O error (EREMOTEIO)');
    await pressed(page, relay, 'On');
    await text(page.locator('#announcer'), /^Relay i2c0-3b: Failed/);
    await screenshot(page, 'failed');
    mock.options.fault = null;
    await button(page, relay, 'Off').click();
    await pressed(page, relay, 'Off');
  }));

test('a connection that is lost in between leaves the outcome open', () =>
  on({ hold: [] }, async (page, mock, visitor) => {
    await button(page, relay, 'On').click();
    await eventually(() => mock.options.hold.length === 1, 'the request');
    mock.options.full = true;
    [...mock.node().clients][0].socket.close(1012);
    await text(card(page, relay).locator('.status[data-state=failed]'), 'Not known whether it was done');
    await text(page.locator('.notice'), /^Connection lost.* The server refuses the connection\.Try now$/);
    mock.options.full = false;
    await page.getByRole('button', { name: 'Try now' }).click();
    await text(card(page, relay).locator('.status'), 'Position not known');
    assert.equal(mock.options.hold.length, 1);
    visitor.errors.length = 0;
  }));

test('with an older server a user who may only look learns it at the first try', () =>
  on({ announceRights: false }, async (page) => {
    await button(page, relay, 'On').click();
    await text(page.locator('.notice'), /^You may look, but not switch/);
    for (const name of ['On', 'Off']) {
      assert.equal(await button(page, relay, name).getAttribute('aria-disabled'), 'true');
    }
    await text(card(page, relay).locator('.status'), /^Failed: /);
  }, { user: 'guest:guest' }));

test('rights that were given while the page is open are there with the next connection', () =>
  on({ controllers: ['clown'] }, async (page, mock, visitor) => {
    await text(page.locator('.notice'), /^You may look, but not switch/);
    mock.options.controllers.push('guest');
    await mock.stop({ code: 1012 });
    await mock.start();
    await page.locator('.notice').first().waitFor({ state: 'detached' });
    await button(page, relay, 'On').click();
    await pressed(page, relay, 'On');
    visitor.errors.length = 0;
  }, { user: 'guest:guest' }));

/* ---- devices come and go ---- */

test('a card goes with its device, and comes back with it', () =>
  on({}, async (page, mock) => {
    await card(page, thermometer).waitFor();
    await card(page, thermometer).getByRole('button').click();
    await page.getByRole('dialog').waitFor();
    mock.node().unplug(thermometer);
    await card(page, thermometer).waitFor({ state: 'detached' });
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await text(page.locator('#announcer'), /^Thermometer i2c0-48 was removed$/);
    mock.node().plug(thermometer);
    await text(card(page, thermometer).locator('.reading'), /°C/);
    assert.equal(await page.locator('.card').first().getAttribute('data-topic'), thermometer);
  }));

test('a value that cannot be read is no value', () =>
  on({}, async (page, mock) => {
    await text(card(page, thermometer).locator('.reading'), /°C/);
    const device = mock.node().devices.get(thermometer);
    device.interval = null;
    mock.node().publish(thermometer, device.lost());
    await text(card(page, thermometer).locator('.reading[data-missing]'), /no reading/);
    await screenshot(page, 'no-reading');
  }));

test('a sensor that has not measured yet says so', () =>
  on({}, async (page, mock) => {
    const topic = 'co2-sensor/i2c0-39';
    mock.node().plug(topic);
    const device = mock.node().devices.get(topic);
    device.interval = null;
    device.history = () => ({ seconds: 3600, step: 12, end: Math.round(Date.now() / 1000),
      concentration: { min: [null], mean: [null], max: [null] } });
    await text(card(page, topic).locator('.range'), 'Waiting for the first value');
    await eventually(() => [...mock.node().clients][0].received.some((line) =>
      line.includes(`${topic}/history`)), 'the question for its history');
    assert.equal(await card(page, topic).locator('.age').textContent(), '');
    mock.node().publish(topic, '{"concentration": [700, "ppm"]}');
    await text(card(page, topic).locator('.reading'), /^700\sppm$/);
    await text(card(page, topic).locator('.range'), /^700 to 700 since/);
    await card(page, topic).locator('.line[d^=M]').waitFor({ state: 'attached' });
  }));

test('the last device takes its section along; a node may be empty', () =>
  on({ nodes: { 'nodes/bridge/0': [relay] } }, async (page, mock) => {
    await page.getByRole('heading', { name: 'Switches' }).waitFor();
    mock.node().unplug(relay);
    await text(page.locator('.panel h2'), 'No devices yet');
    await page.getByRole('heading', { name: 'Switches' }).waitFor({ state: 'hidden' });
    await screenshot(page, 'empty');
    mock.node().plug(relay);
    await card(page, relay).waitFor();
    assert.equal(await page.locator('.panel').isHidden(), true);
  }));

test('a device of a type that the page has never heard of is shown all the same', () =>
  on({}, async (page, mock) => {
    mock.node().devices.set('wind-meter/i2c1-10', {
      topic: 'wind-meter/i2c1-10', quantities: {}, history: () => ({}), payload: '{"speed": [3.25, "m/s"], "gust": [9, "m/s"], "ok": true}',
    });
    mock.node().publish('-/-/config/ok', mock.node().list());
    mock.node().publish('wind-meter/i2c1-10', '{"speed": [3.25, "m/s"], "gust": [9, "m/s"], "ok": true}');
    await text(card(page, 'wind-meter/i2c1-10').locator('.reading').nth(0), /^3\.25\sm\/s$/);
    await text(card(page, 'wind-meter/i2c1-10').locator('.reading').nth(1), /^9\sm\/s$/);
    await card(page, 'wind-meter/i2c1-10').getByRole('button', { name: 'Wind meter' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Gust' }).click();
    await text(page.getByRole('dialog').locator('.readout'), /m\/s/);
  }));

/* ---- a house full of devices ---- */

const many = Array.from({ length: 60 }, (_, i) =>
  `${['thermometer', 'relay', 'lux-meter'][i % 3]}/i2c${i / 10 | 0}-${(0x20 + i).toString(16)}`);

test('sixty devices: a card for each, in their order, with the values of all', () =>
  on({ nodes: { 'nodes/bridge/0': many }, interval: 0.1, tick: 20 }, async (page) => {
    await page.locator('.card').nth(59).waitFor();
    const shown = await page.locator('.card').evaluateAll((cards) => cards.map((element) => element.dataset.topic));
    const order = ['thermometer', 'lux-meter', 'relay'];
    assert.deepEqual(shown, many.slice().sort((a, b) =>
      order.indexOf(a.split('/')[0]) - order.indexOf(b.split('/')[0]) || (a < b ? -1 : 1)));
    await eventually(() => page.locator('.reading .integer').evaluateAll((values) =>
      values.length === 40 && values.every(({ textContent }) => /\d/.test(textContent))), 'forty values');
    await eventually(async () => await page.locator('.spark .line[d^=M]').count() > 10, 'the plots that are seen');
  }));

test('a card out of sight rests, and is up to date when it is seen', () =>
  on({ nodes: { 'nodes/bridge/0': many }, interval: 0.1, tick: 20 }, async (page, mock) => {
    const topic = 'thermometer/i2c5-59'; // the last row of the sensors on top, far below the first screen
    mock.node().devices.get(topic).interval = null;
    await page.setViewportSize({ width: 500, height: 400 });
    await card(page, topic).locator('.integer').filter({ hasText: /\d/ }).waitFor({ state: 'attached' });
    await page.waitForFunction((name) => {
      const { top } = document.querySelector(`[data-topic="${name}"]`).getBoundingClientRect();
      return top > 2 * innerHeight;
    }, topic);
    const value = () => card(page, topic).locator('.integer').textContent();
    const before = await value();
    mock.node().publish(topic, '{"temperature": [-123.00, "℃"]}');
    // When three later values of another device have been drawn, this one has had every opportunity.
    await page.evaluate(() => new Promise((done) => {
      let drawn = 0;
      new MutationObserver((_, observer) => {
        drawn += 1;
        if (drawn === 3) {
          observer.disconnect();
          done();
        }
      }).observe(document.querySelector('.card .reading'), { subtree: true, characterData: true });
    }));
    assert.equal(await value(), before);
    await card(page, topic).scrollIntoViewIfNeeded();
    await text(card(page, topic).locator('.integer'), '\u2212123');
  }));

/* ---- history ---- */

test('a page just opened has the last hour', () =>
  on({}, async (page) => {
    await text(card(page, thermometer).locator('.range'), /^2\d\.\d\d to 2\d\.\d\d in the last hour$/);
    await card(page, thermometer).getByRole('button').click();
    await page.locator('dialog canvas').waitFor();
    const slider = page.getByRole('dialog').getByRole('slider');
    await eventually(async () => Number(await slider.getAttribute('aria-valuemax')) >= 298, '299 steps');
    await page.getByRole('dialog').getByRole('button', { name: '5 min', exact: true }).click();
    await eventually(async () => Number(await slider.getAttribute('aria-valuemax')) >= 298, '299 steps of 1 s');
  }));

test('without history the plot begins when the page was opened', () =>
  on({ history: false }, async (page, mock) => {
    await card(page, thermometer).getByRole('button').click();
    await text(page.locator('.note'), /keeps no history/);
    await text(page.locator('.readout'), /°C/);
    const asked = [...mock.node().clients][0].received.filter((line) => line.includes('history/get'));
    assert.ok(asked.length <= 3, `asked ${asked.length} times`);
  }));

/* ---- displays ---- */

test('a display shows its lines, and takes new ones', () =>
  on({}, async (page, mock) => {
    await text(card(page, display).locator('.screen'), /Good morning/);
    await card(page, display).getByRole('button').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Line 1', { exact: true }).fill('Good evening, everyone in the house');
    await dialog.getByRole('button', { name: 'Show' }).click();
    await text(dialog.getByRole('status'), 'Shown');
    assert.match(mock.node().devices.get(display).payload, /"line-0":"Good evening, everyon"/);
    await page.keyboard.press('Escape');
    await text(card(page, display).locator('.screen'), /Good evening, everyon/);
  }));

test('a display shows a raw image, pixel by pixel', () =>
  on({}, async (page, mock) => {
    const raw = Buffer.alloc(1024);
    raw[0] = 0x01; // the top left pixel
    raw[1023] = 0x80; // the bottom right one
    mock.node().publish(display, JSON.stringify({ raw: raw.toString('base64') }));
    await card(page, display).locator('.screen canvas').waitFor();
    const lit = await card(page, display).locator('.screen canvas').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, 128, 64);
      return [...data.keys()].filter((i) => i % 4 === 3 && data[i] > 0).map((i) => (i - 3) / 4);
    });
    assert.deepEqual(lit, [0, 128 * 64 - 1]);
  }));

/* ---- several nodes ---- */

const several = {
  nodes: { 'nodes/bridge/0': [thermometer, relay], 'nodes/bridge/1': ['lux-meter/i2c0-44'] },
  files: nodesJson([
    { name: 'nodes/bridge/0', title: 'House', devices: { [thermometer]: 'Living room' } },
    { name: 'nodes/bridge/1', title: 'Greenhouse' },
    { name: 'nodes/bridge/2', title: 'Shed' },
  ]),
};

test('several nodes: one is shown, the others are a click away, and names are as configured', () =>
  on(several, async (page, mock, visitor) => {
    await page.getByRole('heading', { name: 'Living room' }).waitFor();
    assert.equal(await page.title(), 'House \u00b7 Clown.Talk');
    await page.getByRole('link', { name: 'Greenhouse' }).click();
    await text(card(page, 'lux-meter/i2c0-44').locator('.reading'), /lux/);
    assert.equal(await card(page, thermometer).count(), 0);
    assert.equal(await page.locator('nav [aria-current=page]').textContent(), 'Greenhouse');
    await eventually(() => mock.node().clients.size === 0, 'the end of the first connection');
    await page.goBack();
    await card(page, thermometer).waitFor();
    await page.getByRole('link', { name: 'Shed' }).click();
    await text(page.locator('.panel h2'), 'The server has no such node');
    assert.ok(visitor.errors.length > 0 && visitor.errors.every((error) => error.includes('404')));
    visitor.errors.length = 0;
  }));

test('a link leads to a node', () =>
  on(several, async (page) => {
    await text(page.locator('nav [aria-current=page]'), 'Greenhouse');
    await card(page, 'lux-meter/i2c0-44').waitFor();
  }, { hash: '#nodes/bridge/1' }));

test('a nodes.json that is wrong is named as the cause', async () => {
  for (const body of ['{', '{}', '{"nodes": []}', '{"nodes": [{"title": "x"}]}']) {
    await on({ files: { '/nodes.json': body } },
      (page) => text(page.locator('.panel h2'), 'nodes.json cannot be used'), { ready: false });
  }
});

/* ---- refusals ---- */

test('a full server is distinguished from one that is gone', () =>
  on({ full: true }, async (page, mock, visitor) => {
    // The mock refuses the handshake with 503, and answers a plain request with 426.
    await text(page.locator('.panel h2'), 'The server refuses the connection');
    await screenshot(page, 'refused');
    mock.options.full = false;
    await page.getByRole('button', { name: 'Try now' }).click();
    await card(page, thermometer).waitFor();
    visitor.errors.length = 0;
  }, { ready: false }));

test('a hub that is still starting is waited for', () =>
  on({}, async (page, mock) => {
    await card(page, thermometer).waitFor();
    mock.node().hub = false;
    for (const client of mock.node().clients) {
      client.socket.close(1012);
    }
    await text(page.locator('#connection-text'), 'Opening');
    mock.node().hub = true;
    await page.locator('#connection[data-state=ready]').waitFor();
  }));
