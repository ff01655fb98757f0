/* axe-core finds nothing to complain of: in light and dark, at a desk and on a phone, in every state. */
import { after, before, test } from 'node:test';
import { button, card, checkAccessibility, pressed, text, useBrowser, visit } from './browser.js';
import { openTarget } from './target.js';

const thermometer = 'thermometer/i2c0-48';
const relay = 'relay/i2c0-3b';

let target;

useBrowser();
before(async () => {
  target = await openTarget({
    mock: {
      nodes: {
        'nodes/bridge/0': [thermometer, 'barometer/i2c0-60', relay, 'relay/i2c0-3f', 'led/-', 'display-oled/i2c0-3c'],
        'nodes/bridge/1': [],
      },
      files: {
        '/nodes.json': JSON.stringify({ nodes: [{ name: 'nodes/bridge/0' }, { name: 'nodes/bridge/1' },
          { name: 'nodes/bridge/2' }] }),
      },
      fault: 'relay/i2c0-3f',
    },
  });
});
after(() => target.close());

for (const colorScheme of ['light', 'dark']) {
  for (const viewport of [{ width: 1180, height: 820 }, { width: 360, height: 780 }]) {
    test(`${colorScheme}, ${viewport.width} pixels wide`, async () => {
      const { page, close } = await visit(target, { context: { colorScheme, viewport } });
      await button(page, relay, 'On').click();
      await pressed(page, relay, 'On');
      await button(page, 'relay/i2c0-3f', 'On').click();
      await text(card(page, 'relay/i2c0-3f').locator('.status'), /^Failed/);
      await text(card(page, thermometer).locator('.range'), /to/);
      await checkAccessibility(page);
      for (const topic of [thermometer, 'barometer/i2c0-60', relay, 'display-oled/i2c0-3c']) {
        await card(page, topic).locator('.open').click();
        await page.getByRole('dialog').waitFor();
        await checkAccessibility(page);
        await page.keyboard.press('Escape');
      }
      await close();
    });
  }

  test(`${colorScheme}: empty, refused, read-only, connection lost`, async () => {
    const { page, close } = await visit(target, {
      context: { colorScheme }, user: 'guest:guest', hash: '#nodes/bridge/1', ready: false,
    });
    await text(page.locator('.panel h2'), 'No devices yet');
    await checkAccessibility(page);
    await page.evaluate(() => { location.hash = '#nodes/bridge/2'; });
    await text(page.locator('.panel h2'), 'The server has no such node');
    await checkAccessibility(page);
    await page.evaluate(() => { location.hash = '#nodes/bridge/0'; });
    await text(page.locator('.notice'), /^You may look/);
    await checkAccessibility(page);
    await target.stop();
    await text(page.locator('.notice').last(), /^Connection lost/);
    await checkAccessibility(page);
    await close();
    await target.start();
  });
}
