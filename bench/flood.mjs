/*
 * Clients that send far more than they should; bench/floods starts it:
 *
 *   node flood.mjs URL KIND plain|deflate CLIENTS SECONDS
 *   node flood.mjs --kinds
 *
 * Each client sends one shot of its kind after the other, as fast as the server takes it, and reads and drops what comes. One
 * that is cut off connects again. At the end a line of JSON: {"shots": n, "closes": {"1008": n, ...}}.
 */
import crypto from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import zlib from 'node:zlib';

const FIN = 0x80;
const RSV1 = 0x40;
const [CONTINUATION, TEXT, BINARY, CLOSE, PING] = [0, 1, 2, 8, 9];
const MESSAGE = 16384; /* bytes: ClownTalkMaxMessage */
const PAUSE = 100; /* milliseconds before a client that was cut off connects again */

/* A client's frame, masked with zeros. */
function frame(first, payload) {
  const { length } = payload;
  const head = length < 126 ? Buffer.from([first, 0x80 | length, 0, 0, 0, 0])
    : Buffer.from([first, 0x80 | 126, length >> 8, length & 255, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

/* RFC 7692 section 7.2.1: flushed, and without the last four bytes. */
function compress(payload) {
  return zlib.deflateRawSync(payload, { level: 9, finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

const times = (n, bytes) => Buffer.concat(Array(n).fill(bytes));
const lines = (line, size = MESSAGE) => Buffer.from(`${line}\n`.repeat(Math.floor(size / (line.length + 1))));
const text = (payload, deflate) => frame(FIN | TEXT | (deflate ? RSV1 : 0), deflate ? compress(payload) : payload);
const request = (topic, id) => `["${topic}", {}${id ? `, {"id": "${'x'.repeat(id)}"}` : ''}]`;

/* What one shot is; `deflate` says whether messages are compressed. To add a kind: a line. */
const KINDS = {
  'malformed lines': (deflate) => times(200, text(lines('x'), deflate)),
  'blank lines': (deflate) => times(200, text(lines(''), deflate)),
  'zeros': (deflate) => times(200, text(Buffer.alloc(MESSAGE), deflate)),
  'requests': (deflate) => times(20, text(lines(request('thermometer/i2c0-48/get')), deflate)),
  'histories': (deflate) => times(20, text(lines(request('thermometer/i2c0-48/history/get')), deflate)),
  'openings, long ids': (deflate) => times(20, text(Buffer.from(request('clown.talk/-/config/set', 16000)), deflate)),
  'empty messages': (deflate) => times(10000, text(Buffer.alloc(0), deflate)),
  'pings': () => times(1000, frame(FIN | PING, Buffer.alloc(125))),
  'empty pings': () => times(10000, frame(FIN | PING, Buffer.alloc(0))),
  'fragments': (deflate) => {
    const bytes = deflate ? compress(lines('x')) : lines('x');
    return times(10, Buffer.concat([...bytes].map((byte, i) => frame(
      (i === 0 ? TEXT | (deflate ? RSV1 : 0) : CONTINUATION) | (i === bytes.length - 1 ? FIN : 0), Buffer.from([byte])))));
  },
  'empty fragments': () => Buffer.concat([frame(BINARY, Buffer.alloc(0)),
    times(20000, frame(CONTINUATION, Buffer.alloc(0))), frame(FIN | CONTINUATION, Buffer.alloc(0))]),
};

if (process.argv[2] === '--kinds') {
  console.log(Object.keys(KINDS).join('\n'));
  process.exit();
}

const [, , address, kind, how, clients, seconds] = process.argv;
const url = new URL(address);
const shot = KINDS[kind](how === 'deflate');
const said = { shots: 0, closes: {} };
let over = false;

const count = (code) => { said.closes[code] = (said.closes[code] ?? 0) + 1; };

/* Finds the server's Close among its frames, of which everything else is dropped. */
class Watcher {
  code = 'none';

  rest = Buffer.alloc(0);

  read(data) {
    let bytes = this.rest.length ? Buffer.concat([this.rest, data]) : data;
    for (;;) {
      const short = bytes.length >= 2 ? bytes[1] & 127 : 0;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (bytes.length < head) {
        break;
      }
      const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
      if (bytes.length < head + length) {
        break;
      }
      if ((bytes[0] & 15) === CLOSE && length >= 2) {
        this.code = bytes.readUInt16BE(head);
      }
      bytes = bytes.subarray(head + length);
    }
    this.rest = bytes;
  }
}

function open() {
  const to = { host: url.hostname, port: Number(url.port), rejectUnauthorized: false };
  const socket = url.protocol === 'wss:' ? tls.connect(to) : net.connect(to);
  const watcher = new Watcher();
  let answered = Buffer.alloc(0);
  let established = false;

  const shoot = () => {
    while (!over && socket.writable && watcher.code === 'none') {
      said.shots += 1;
      if (!socket.write(shot)) {
        socket.once('drain', shoot);
        return;
      }
    }
  };
  socket.on('error', () => {});
  socket.once('close', () => {
    if (!over) {
      count(established ? watcher.code : 'refused');
      setTimeout(open, PAUSE);
    }
  });
  socket.on('data', (data) => {
    if (established) {
      watcher.read(data);
      if (watcher.code !== 'none') {
        socket.end();
      }
      return;
    }
    answered = Buffer.concat([answered, data]);
    const end = answered.indexOf('\r\n\r\n');
    if (end >= 0) {
      established = answered.subarray(0, 12).toString() === 'HTTP/1.1 101';
      if (!established) {
        socket.destroy();
        return;
      }
      socket.write(text(Buffer.from(request('clown.talk/-/config/set')), false));
      watcher.read(answered.subarray(end + 4));
      shoot();
    }
  });
  socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${crypto.randomBytes(16).toString('base64')}\r\n`
    + `${how === 'deflate' ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : ''}\r\n`);
}

for (let i = 0; i < Number(clients); i += 1) {
  open();
}
setTimeout(() => {
  over = true;
  console.log(JSON.stringify(said));
  process.exit();
}, Number(seconds) * 1000);
