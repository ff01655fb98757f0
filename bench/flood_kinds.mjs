/*
 * The kinds of flood. To add one: a line here, and one in docs/security.md. Of each:
 *
 *   shot       what is sent over and over: (deflate) => bytes; `deflate` says whether messages are compressed
 *   before     what is sent once before: the same
 *   plain      true where compression makes no difference
 *   may        true where the client may switch and set (ClownTalkControl)
 *   handshake  in place of shots: 'closed' as soon as there is a session, sent 'byte by byte', or 'refused'
 */
import { BINARY, CONTINUATION, FIN, PING, RSV1, TEXT, compress, frame, text } from './flood_frames.mjs';

const MESSAGE = 16384; /* bytes: ClownTalkMaxMessage */
const DEVICES = ['thermometer/i2c0-48', 'thermometer/i2c0-49', 'lux-meter/i2c0-44', 'lux-meter/i2c0-45', 'humidity-sensor/i2c0-40',
  'humidity-sensor/i2c0-41', 'humidity-sensor/i2c0-5f', 'barometer/i2c0-60', 'co2-sensor/i2c0-38', 'relay/i2c0-3b', 'relay/i2c0-3f',
  'display-oled/i2c0-3c', 'led/-']; /* of the simulated bus */

const times = (n, bytes) => Buffer.concat(Array(n).fill(bytes));
const lines = (...some) => {
  const once = `${some.join('\n')}\n`;
  return Buffer.from(once.repeat(Math.max(1, Math.floor(MESSAGE / once.length))));
};
const request = (topic, payload = '{}', id = '') => `["${topic}", ${payload}${id && `, {"id": "${id}"}`}]`;
const messages = (n, payload) => (deflate) => times(n, text(payload, deflate));
const requests = (...some) => messages(20, lines(...some));

/* A message in fragments of a byte. */
function fragments(deflate) {
  const bytes = deflate ? compress(lines('x')) : lines('x');
  return times(10, Buffer.concat([...bytes].map((byte, i) => frame(
    (i === 0 ? TEXT | (deflate ? RSV1 : 0) : CONTINUATION) | (i === bytes.length - 1 ? FIN : 0), Buffer.from([byte])))));
}

const emptyFragments = times(20000, frame(CONTINUATION, Buffer.alloc(0)));
const members = (n) => `{${Array.from({ length: n }, (_, i) => `"m${i}": ${i}`).join(', ')}}`;

export const KINDS = {
  /* lines */
  'malformed lines': { shot: messages(200, lines('x')) },
  'blank lines': { shot: messages(200, lines('')) },
  'zeros': { shot: messages(200, Buffer.alloc(MESSAGE)) },
  'invalid UTF-8': { shot: messages(200, Buffer.alloc(MESSAGE, '["\xff", {}]\n', 'latin1')) },
  'deep JSON': { shot: messages(200, Buffer.from('['.repeat(MESSAGE / 2) + ']'.repeat(MESSAGE / 2))) },
  'long strings': { shot: messages(20, Buffer.from(request('thermometer/i2c0-48/get', `{"x": "${'x'.repeat(16000)}"}`))) },
  'many members': { shot: messages(20, Buffer.from(request('thermometer/i2c0-48/get', members(1000)))) },

  /* requests */
  'requests': { shot: requests(request('thermometer/i2c0-48/get')) },
  'get of every device': { shot: requests(...DEVICES.map((device) => request(`${device}/get`))) },
  'lists': { shot: requests(request('-/-/config/list')) },
  'histories': { shot: requests(request('thermometer/i2c0-48/history/get', '{"seconds": 3600, "points": 1000}')) },
  'openings, long ids': { shot: messages(20, Buffer.from(request('clown.talk/-/config/set', '{}', 'x'.repeat(16000)))) },
  'config/get': { shot: requests(request('thermometer/i2c0-48/config/get')) },
  'config/set, forbidden': { shot: requests(request('thermometer/i2c0-48/config/set', '{"publish-interval": 1}')) },
  'config/set': {
    may: true,
    shot: requests(...[1, 2].map((offset) => request('thermometer/i2c0-48/config/set', `{"offset": ${offset}}`))),
  },
  'set, forbidden': { shot: requests(request('relay/i2c0-3b/set', '{"state": true}')) },
  'set': { may: true, shot: requests(...['on', 'off'].map((state) => request('led/-/set', `{"state": "${state}"}`))) },
  'unknown devices': { shot: requests(request('relay/i2c0-77/get')) },
  'unknown topics': { shot: requests(request('a/b/c/d')) },

  /* frames */
  'empty messages': { shot: messages(10000, Buffer.alloc(0)) },
  'pings': { plain: true, shot: () => times(1000, frame(FIN | PING, Buffer.alloc(125))) },
  'empty pings': { plain: true, shot: () => times(10000, frame(FIN | PING, Buffer.alloc(0))) },
  'fragments': { shot: fragments },
  'empty fragments': {
    plain: true,
    shot: () => Buffer.concat([frame(BINARY, Buffer.alloc(0)), emptyFragments, frame(FIN | CONTINUATION, Buffer.alloc(0))]),
  },
  'endless messages': { plain: true, before: () => frame(TEXT, Buffer.alloc(MESSAGE - 1)), shot: () => emptyFragments },

  /* connections */
  'connections': { plain: true, handshake: 'closed' },
  'slow handshakes': { plain: true, handshake: 'byte by byte' },
  'refused handshakes': { plain: true, handshake: 'refused' },
};
