/*
 * Makes the pictures of docs/dashboard.md, from mock.js:
 *
 *   node pictures.js        writes docs/images/dashboard-*.png
 *
 * With pngquant (Debian: pngquant) they become a third as large, and with the font Inter (Debian:
 * fonts-inter) they look as they do on most systems' own fonts.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { require } from './modules.js';
import { openTarget } from './target.js';

const { chromium } = require('playwright-core');

const folder = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const desk = { width: 1240, height: 850 };
const phone = { width: 390, height: 844 };
const topics = {
  living: 'thermometer/i2c0-48', outside: 'thermometer/i2c0-49', boiler: 'relay/i2c0-3b', fan: 'relay/i2c0-3f',
};

const files = {
  '/nodes.json': JSON.stringify({
    nodes: [
      {
        name: 'nodes/bridge/0', title: 'House',
        devices: {
          [topics.living]: 'Living room', [topics.outside]: 'Outside', [topics.boiler]: 'Boiler', [topics.fan]: 'Fan',
        },
      },
      { name: 'nodes/bridge/1', title: 'Greenhouse' },
    ],
  }),
};

const target = await openTarget({ mock: { files } });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--hide-scrollbars'],
});

const button = (page, topic, name) =>
  page.locator(`[data-topic="${topic}"]`).getByRole('button', { name, exact: true });

/* One picture: `act` brings the page into the state that it shows. */
async function picture(name, { viewport, colorScheme = 'light', scale = 1.5 }, act = async () => {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true, viewport, colorScheme, deviceScaleFactor: scale, reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  await page.goto(target.login());
  await button(page, topics.boiler, 'On').click();
  await page.locator('.status[data-state=done]').waitFor();
  await button(page, topics.fan, 'Off').click();
  await page.locator('.status[data-state=done]').nth(1).waitFor();
  await page.locator('.range').filter({ hasText: 'to' }).nth(2).waitFor();
  await page.locator('.age').filter({ hasText: /^now$/ }).nth(1).waitFor();
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  await page.mouse.move(0, 0);
  await act(page);
  await page.waitForTimeout(1500); // every card has been drawn since
  const path = `${folder}dashboard-${name}.png`;
  await page.screenshot({ path });
  await context.close();
  try {
    execFileSync('pngquant', ['--force', '--strip', '--output', path, '--quality', '70-95', path]);
  } catch {
    console.log(`${path} is larger than it need be: there is no pngquant`);
  }
}

mkdirSync(folder, { recursive: true });
await picture('light', { viewport: desk });
await picture('dark', { viewport: desk, colorScheme: 'dark' }, async (page) => {
  await page.getByRole('button', { name: 'Living room' }).click();
  await page.locator('dialog canvas').waitFor();
  const area = await page.locator('.u-over').boundingBox();
  await page.mouse.move(area.x + area.width * 0.62, area.y + area.height / 2);
});
await picture('phone', { viewport: phone, scale: 2 });
await picture('error', { viewport: { ...desk, height: 920 } }, async (page) => {
  target.mock.options.fault = topics.fan;
  await button(page, topics.fan, 'On').click();
  await page.locator('.status[data-state=failed]').waitFor();
  await page.mouse.move(0, 0);
  await target.stop();
  await page.locator('.notice').filter({ hasText: 'cannot be reached' }).waitFor();
});
await browser.close();
