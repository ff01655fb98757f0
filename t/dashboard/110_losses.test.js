/* What goes wrong, and is said on the page: lost connections, restarts, other origins. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  blankPage, button, card, eventually, pressed, screenshot, text, tryWebSocket, useBrowser, visit,
} from './browser.js';
import { lacks, openTarget } from './target.js';

const thermometer = 'thermometer/i2c0-48';
const relay = 'relay/i2c0-3b';

let target;

useBrowser();
before(async () => { target = await openTarget(); });
after(() => target.close());

/* Values come again, and a relay can be switched. */
async function works(page) {
  await page.locator('#connection[data-state=ready]').waitFor();
  await text(card(page, thermometer).locator('.age'), /^now$/);
  for (const name of ['On', 'Off']) {
    await eventually(async () => {
      await button(page, relay, name).click();
      return card(page, relay).locator('.status[data-state=done]').filter({ hasText: name })
        .waitFor({ timeout: 1000 }).then(() => true, () => false);
    }, `${name}, done`);
    await pressed(page, relay, name);
  }
}

test('the hub is killed, and comes back by itself', { skip: lacks.control }, async () => {
  const { page, errors, close } = await visit(target);
  await works(page);
  await target.killHub();
  await text(page.locator('.notice'), /^The hardware side was restarted after a crash at/);
  await works(page);
  assert.equal(await page.locator('#connection-text').textContent(), 'Live');
  assert.deepEqual(errors, []);
  await close();
});

test('the server goes away and comes back', { skip: lacks.control }, async () => {
  const { page, close } = await visit(target);
  await works(page);
  await target.stop();
  await text(page.locator('.notice'), /^Connection lost\. What you see is from \d\d:\d\d:\d\d/);
  assert.equal(await button(page, relay, 'On').getAttribute('aria-disabled'), 'true');
  await text(page.locator('#connection-text'), /^(Again in \d+ s|Connecting)$/);
  await screenshot(page, 'connection-lost');
  await target.start();
  await page.getByRole('button', { name: 'Try now' }).click();
  await works(page);
  assert.equal(await page.locator('.notice').filter({ hasText: 'Connection lost' }).count(), 0);
  await close();
});

test('the server is restarted gracefully', { skip: lacks.control }, async () => {
  const { page, close } = await visit(target);
  await target.restart();
  await works(page);
  await close();
});

test('a page that finds no server says so, and goes on by itself', { skip: lacks.control }, async () => {
  const { page, close } = await visit(target);
  await page.evaluate(() => { location.hash = '#nodes/bridge/none'; });
  await target.stop();
  await page.evaluate(() => { location.hash = '#nodes/bridge/0'; });
  await text(page.locator('.panel h2'), 'The server cannot be reached');
  await screenshot(page, 'unreachable');
  await target.start();
  await works(page);
  assert.equal(await page.locator('.panel').isHidden(), true);
  await close();
});

test('offline and back', async () => {
  const { context, page, close } = await visit(target);
  await context.setOffline(true);
  await text(page.locator('#connection-text'), 'Offline');
  await text(page.locator('.notice'), /^Connection lost/);
  await context.setOffline(false);
  await works(page);
  await close();
});

test('a page of another origin is refused, name and password or not', async () => {
  for (const origin of ['https://localhost:4443', new URL(target.url).origin]) {
    const { page, close } = await blankPage(`${origin}/blank.html`);
    const isSame = target.url.startsWith(origin);
    assert.equal(await tryWebSocket(page, target.node()), isSame ? 'open' : 'closed 1006', origin);
    await close();
  }
  if (target.mock) {
    assert.equal(target.mock.refused.filter((status) => status === 403).length, 1);
  }
});
