/* The parts of the page that need no browser: numbers, times, kinds of devices, series. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatDuration, formatNumber, formatUnit } from '../../src/dashboard/format.js';
import { never, soon } from '../../src/dashboard/frames.js';
import { compareTopics, kindOf, quantitiesIn, quantityOf } from '../../src/dashboard/kinds.js';
import { Series } from '../../src/dashboard/series.js';

/* ---- numbers and times ---- */

test('numbers keep the decimals of the wire', () => {
  const temperature = quantityOf('temperature');
  const cases = [[21.5, '21.50'], [0, '0.00'], [-0.001, '0.00'], [-7.25, '\u22127.25'], [125, '125.00']];
  for (const [value, text] of cases) {
    assert.equal(formatNumber(value, temperature), text);
  }
  assert.equal(formatNumber(101.325, quantityOf('pressure')), '101.325');
  assert.equal(formatNumber(412, quantityOf('concentration')), '412');
});

test('numbers show no more digits than are worth it', () => {
  const lux = quantityOf('illuminance');
  const cases = [[0.01, '0.01'], [9.87, '9.87'], [600.1, '600.1'], [1234.56, '1235'], [83865.6, '83\u202f866']];
  for (const [value, text] of cases) {
    assert.equal(formatNumber(value, lux), text);
  }
});

test('a quantity of no known name is shown as it comes', () => {
  const unknown = quantityOf('wind-speed');
  assert.equal(unknown.title, 'Wind speed');
  const cases = [[3.1, '3.1'], [3, '3'], [0.000123, '0.00012'], [-12345678, '\u221212\u202f345\u202f678']];
  for (const [value, text] of cases) {
    assert.equal(formatNumber(value, unknown), text);
  }
});

test('units, ages, spans of time', () => {
  assert.equal(formatUnit('℃'), '°C');
  assert.equal(formatUnit('ppm'), 'ppm');
  const ages = [[0, 'now'], [2400, 'now'], [2600, '3 s ago'], [59_400, '59 s ago'], [60_000, '1 min ago'],
    [3_599_000, '59 min ago'], [7_200_000, '2 h ago'], [200_000_000, '2 d ago']];
  for (const [milliseconds, text] of ages) {
    assert.equal(formatAge(milliseconds), text);
  }
  for (const [milliseconds, text] of [[0.2, '1 ms'], [28, '28 ms'], [1400, '1.4 s'], [12_300, '12 s']]) {
    assert.equal(formatDuration(milliseconds), text);
  }
});

/* ---- kinds ---- */

test('every device of the protocol has its kind; others get one', () => {
  assert.equal(kindOf('thermometer/i2c0-48').title, 'Thermometer');
  assert.equal(kindOf('relay/i2c0-20-7').group, 'switch');
  assert.equal(kindOf('relay/i2c0-20-7').address, 'i2c0-20-7');
  assert.equal(kindOf('wind-meter/i2c1-10').title, 'Wind meter');
  assert.equal(kindOf('wind-meter/i2c1-10').group, 'sensor');
});

test('devices are ordered by type, then by address; unknown types come last', () => {
  const sorted = ['thermometer/i2c0-48', 'thermometer/i2c0-49', 'barometer/i2c0-60', 'relay/i2c0-3b', 'x/-'];
  assert.deepEqual(sorted.slice().reverse().sort(compareTopics), sorted);
});

test('quantities are distinguished from other members', () => {
  const payload = { pressure: [101.3, 'kPa'], altitude: [null, 'm'], state: true, list: [1, 2], one: [1] };
  assert.deepEqual(quantitiesIn(payload), [['pressure', [101.3, 'kPa']], ['altitude', [null, 'm']]]);
});

/* ---- series ---- */

const start = 1_800_000_000; // a multiple of 12

test('a step has minimum, mean and maximum of its values', () => {
  const series = new Series(60, 12);
  [1, 2, 6].forEach((value, i) => series.add(start + i, value));
  series.add(start + 12, 4);
  assert.deepEqual(series.at(start + 13),
    { times: [start + 6, start + 18], mean: [3, 4], min: [1, 4], max: [6, 4] });
  assert.deepEqual(series.summary(start + 13), { min: 1, mean: 3.5, max: 6 });
});

test('what is older than the span is forgotten, however long the gap', () => {
  const series = new Series(60, 12);
  for (let i = 0; i < 20; i += 1) {
    series.add(start + 12 * i, i);
  }
  assert.deepEqual(series.at(start + 12 * 19).mean, [15, 16, 17, 18, 19]);
  assert.deepEqual(series.at(start + 12 * 21).mean, [17, 18, 19]);
  assert.equal(series.summary(start + 12 * 100), null);
  series.add(start + 86400, 7);
  assert.deepEqual(series.at(start + 86400).mean, [7]);
  series.add(start, 1); // much too late
  assert.deepEqual(series.at(start + 86400).mean, [7]);
});

test('a plot begins with the first value, until its span is full', () => {
  const series = new Series(600, 12);
  const now = start + 600;
  assert.equal(series.begin(now), null);
  assert.deepEqual(series.range(now), [now - 120, now]);
  series.add(now - 30, 1);
  assert.equal(series.begin(now), now - 36);
  assert.deepEqual(series.range(now), [now - 120, now]);
  series.add(now - 290, 1);
  assert.deepEqual(series.range(now + 10), [now - 300, now + 10]);
  assert.deepEqual(series.range(now + 280), [now - 300, now + 280]);
  assert.deepEqual(series.range(now + 304), [now - 36, now + 304]); // the first value is too old by now
});

test('lines break where much more time than usual passed, and only there', () => {
  const series = new Series(600, 12);
  [0, 1, 2, 3, 5, 20, 21].forEach((i) => series.add(start + 12 * i, i)); // 3 to 5 is no gap
  assert.deepEqual(series.at(start + 600 - 12).mean, [0, 1, 2, 3, 5, NaN, 20, 21]);
  const slow = new Series(600, 12);
  [0, 5, 10, 15].forEach((i) => slow.add(start + 12 * i, i));
  assert.deepEqual(slow.at(start + 600 - 12).mean, [0, 5, 10, 15]);
});

test('a history goes below what is already there', () => {
  const series = new Series(60, 12);
  series.add(start + 50, 100);
  series.load({ step: 12, end: start + 60 },
    { min: [0, null, 2, 3, 4], mean: [1, null, 3, 4, 5], max: [2, null, 4, 5, 6] });
  assert.deepEqual(series.at(start + 59), {
    times: [6, 30, 42, 54].map((s) => start + s),
    mean: [1, 3, 4, 100], min: [0, 2, 3, 100], max: [2, 4, 5, 100],
  });
});

test('a history may have longer steps, or shorter ones, and another clock', () => {
  const longer = new Series(60, 6);
  longer.load({ step: 12, end: start + 60 }, { min: [1, 2], mean: [1, 2], max: [1, 2] });
  assert.deepEqual(longer.at(start + 59).mean, [1, 1, 2, 2]);
  const shorter = new Series(60, 12);
  shorter.load({ step: 6, end: start + 60 }, { min: [1, 2, 3], mean: [1, 2, 3], max: [1, 2, 3] });
  assert.deepEqual(shorter.at(start + 59).min, [1, 2]);
  assert.deepEqual(shorter.at(start + 59).max, [1, 3]);
  const ahead = new Series(60, 12);
  ahead.load({ step: 12, end: start + 60 - 7200 }, { min: [1], mean: [1], max: [1] }, 7200);
  assert.deepEqual(ahead.at(start + 59).times, [start + 54]);
});

test('a history that came twice changes nothing', () => {
  const series = new Series(60, 12);
  const history = { min: [1, 2], mean: [2, 3], max: [3, 4] };
  series.load({ step: 12, end: start + 60 }, history);
  const once = series.at(start + 59);
  series.load({ step: 12, end: start + 60 }, history);
  assert.deepEqual(series.at(start + 59), once);
});

/* ---- frames ---- */

/* Frames that come when frame() is called, and a clock that moves when a job says so. */
function screen(t) {
  const asked = [];
  const clock = { now: 0 };
  t.mock.method(performance, 'now', () => clock.now);
  globalThis.requestAnimationFrame = (callback) => asked.push(callback);
  t.after(() => { delete globalThis.requestAnimationFrame; });
  return {
    clock,
    get asked() { return asked.length; },
    frame: () => asked.splice(0).forEach((callback) => callback()),
  };
}

test('jobs wait for the next frame, are done once and in their order, and can be taken back', (t) => {
  const page = screen(t);
  const done = [];
  const [a, b, c] = ['a', 'b', 'c'].map((name) => () => done.push(name));
  [a, b, a, c].forEach(soon);
  never(b);
  assert.deepEqual(done, []);
  assert.equal(page.asked, 1);
  page.frame();
  assert.deepEqual(done, ['a', 'c']);
  assert.equal(page.asked, 0);
  soon(b);
  page.frame();
  assert.deepEqual(done, ['a', 'c', 'b']);
});

test('a frame takes on a few milliseconds of jobs, the next one goes on', (t) => {
  const page = screen(t);
  const done = [];
  for (let i = 0; i < 10; i += 1) {
    soon(() => { done.push(i); page.clock.now += 1.5; });
  }
  page.frame();
  assert.deepEqual(done, [0, 1, 2]); // of 1.5 ms each
  assert.equal(page.asked, 1);
  page.frame();
  page.frame();
  page.frame();
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(page.asked, 0);
});

test('a job that adds another asks for no second frame: there would be two of everything', (t) => {
  const page = screen(t);
  let count = 0;
  const job = () => {
    count += 1;
    page.clock.now += 3;
    if (count < 5) {
      soon(job);
    }
  };
  soon(job);
  page.frame();
  assert.equal(count, 2);
  assert.equal(page.asked, 1);
  page.frame();
  page.frame();
  assert.equal(count, 5);
  assert.equal(page.asked, 0);
});
