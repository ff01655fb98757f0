/* A WebSocket client for bench/flood.mjs, which can be told to do what no library would. */
import crypto from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';

import { CLOSE, Frames } from './flood_frames.mjs';

const TRICKLE = 20; /* milliseconds between two bytes of a slow handshake */

/* The bytes of an opening handshake. `headers`: lines of it, each with its end. */
function handshake(url, extensions, headers = '') {
  return `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${crypto.randomBytes(16).toString('base64')}\r\n`
    + `${extensions ? `Sec-WebSocket-Extensions: ${extensions}\r\n` : ''}${headers}\r\n`;
}

function trickle(socket, bytes, i = 0) {
  if (i < bytes.length && socket.writable) {
    socket.write(bytes[i]);
    setTimeout(trickle, TRICKLE, socket, bytes, i + 1);
  }
}

/*
 * Connects, and returns the socket. What it is told:
 *
 *   extensions  Sec-WebSocket-Extensions      headers  further ones
 *   slow        true: the handshake is sent byte by byte
 *   pace        milliseconds between two bytes that are read of a session; Infinity: none is
 *   opened      called when there is a session
 *   got         called with the first byte and the payload of each frame
 *   ended       called with the code of the server's Close, 'none' or, where there was no session, 'refused'
 */
export function connect(url, how) {
  let answer = Buffer.alloc(0);
  let session = false;
  let code = 'none';
  const frames = new Frames((first, payload) => {
    if ((first & 15) === CLOSE) {
      code = payload.length >= 2 ? payload.readUInt16BE(0) : 'none';
      socket.end();
    }
    how.got?.(first, payload);
  });

  const take = (data) => {
    if (session) {
      frames.read(data);
      return;
    }
    answer = Buffer.concat([answer, data]);
    const end = answer.indexOf('\r\n\r\n');
    if (end < 0) {
      return;
    }
    session = answer.subarray(0, 12).toString() === 'HTTP/1.1 101';
    if (!session) {
      socket.destroy();
      return;
    }
    how.opened?.(socket);
    frames.read(answer.subarray(end + 4));
  };

  /* With a pace, the kernel is asked for a byte at a time. */
  const paced = () => {
    take(Buffer.from(byte));
    if (session && how.pace !== Infinity) {
      setTimeout(() => socket.resume(), how.pace);
    }
    return !session;
  };
  const byte = Buffer.alloc(1);
  const to = { host: url.hostname, port: Number(url.port), rejectUnauthorized: false,
    ...(how.pace ? { onread: { buffer: byte, callback: paced } } : {}) };
  const socket = url.protocol === 'wss:' ? tls.connect(to) : net.connect(to);

  socket.on('error', () => {});
  socket.once('close', () => how.ended?.(session ? code : 'refused'));
  if (!how.pace) {
    socket.on('data', take);
  }
  const bytes = handshake(url, how.extensions, how.headers);
  if (how.slow) {
    trickle(socket, bytes);
  } else {
    socket.write(bytes);
  }
  return socket;
}
