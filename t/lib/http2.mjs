/*
 * The HTTP/2 half of the tests' client, on Node.js's own http2 module; ClownTalk::HTTP2 starts it and is
 * the other half:
 *
 *   node http2.mjs SOCKET
 *
 * It listens on the UNIX socket SOCKET, says "ready" on standard output, and ends with its standard input. Each connection
 * to the socket begins with a line of JSON, {"do": ...}, which is answered by one:
 *
 *   connect   url, ca, settings            a connection to the server: its number, what the server has announced
 *   request   connection, headers, end     a request on it: its number, status and headers
 *   pause, resume   stream                 reads no more, so that the stream's window is not opened; reads on
 *   reset     stream, code                 RST_STREAM
 *   outcome   stream                       when the stream is closed: how
 *   lose      connection                   resets the TCP connection below
 *   end       connection                   GOAWAY, and when all streams are closed the end
 *   over      connection                   when the connection is closed: what the server's GOAWAY said
 *
 * After the answer to `request` the stream's bytes go both ways; the end of either direction is END_STREAM. What goes wrong
 * is {"error": ...}.
 */
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

const connections = [];
const streams = [];

/* Resolves at the first of these events, with its name and arguments. */
const first = (emitter, ...events) => new Promise((done) => {
  events.forEach((event) => emitter.once(event, (...args) => done([event, ...args])));
});

const actions = {
  async connect({ url, ca, settings }) {
    const { hostname, port, protocol } = new URL(url);
    const to = { host: '127.0.0.1', port: Number(port) };
    const socket = protocol === 'https:'
      ? tls.connect({ ...to, ALPNProtocols: ['h2'], servername: hostname, ca: readFileSync(ca) })
      : net.connect(to);
    const session = http2.connect(url, { createConnection: () => socket, settings });
    const entry = { session, socket, goaway: null, error: null };
    entry.closed = first(session, 'close');
    session.on('goaway', (code, last) => { entry.goaway = { code, last }; });
    session.on('error', (error) => { entry.error = error.message; });
    const [event] = await first(session, 'remoteSettings', 'close');
    if (event === 'close') {
      throw new Error(`no HTTP/2 at ${url}: ${entry.error}`);
    }
    connections.push(entry);
    return {
      connection: connections.length - 1,
      settings: session.remoteSettings,
      alpn: session.alpnProtocol,
    };
  },

  async request({ connection, headers, end }, peer) {
    const stream = connections[connection].session.request(headers, { endStream: Boolean(end) });
    const entry = { stream, ended: false };
    entry.closed = first(stream, 'close');
    stream.on('error', () => {}); // `outcome` tells
    stream.on('end', () => { entry.ended = true; });
    const [event, response] = await first(stream, 'response', 'close');
    if (event === 'close') {
      return { stream: streams.push(entry) - 1, reset: stream.rstCode };
    }
    stream.on('data', (bytes) => {
      if (!peer.write(bytes)) {
        stream.pause();
      }
    });
    peer.on('drain', () => {
      if (!entry.paused) {
        stream.resume();
      }
    });
    stream.on('end', () => peer.end());
    stream.on('close', () => peer.end());
    entry.join = () => {
      peer.on('data', (bytes) => {
        if (!stream.destroyed && !stream.write(bytes)) {
          peer.pause();
        }
      });
      stream.on('drain', () => peer.resume());
      peer.on('end', () => stream.end());
    };
    return { stream: streams.push(entry) - 1, headers: response };
  },

  async pause({ stream }) {
    streams[stream].paused = true;
    streams[stream].stream.pause();
    return {};
  },

  async resume({ stream }) {
    streams[stream].paused = false;
    streams[stream].stream.resume();
    return {};
  },

  async reset({ stream, code }) {
    streams[stream].stream.close(code);
    return {};
  },

  async outcome({ stream }) {
    await streams[stream].closed;
    return { reset: streams[stream].stream.rstCode, ended: streams[stream].ended };
  },

  async lose({ connection }) {
    connections[connection].socket.destroy();
    return {};
  },

  async end({ connection }) {
    connections[connection].session.close();
    await connections[connection].closed;
    return {};
  },

  async over({ connection }) {
    await connections[connection].closed;
    return { goaway: connections[connection].goaway };
  },
};

/* The first line of a connection; what comes behind it waits. */
function readLine(peer) {
  return new Promise((done) => {
    let said = Buffer.alloc(0);
    const more = (bytes) => {
      said = Buffer.concat([said, bytes]);
      const at = said.indexOf('\n');
      if (at >= 0) {
        peer.off('data', more);
        peer.pause();
        if (at + 1 < said.length) {
          peer.unshift(said.subarray(at + 1));
        }
        done(said.subarray(0, at).toString());
      }
    };
    peer.on('data', more);
  });
}

async function serve(peer) {
  peer.on('error', () => {}); // a peer that has gone needs no error
  try {
    const order = JSON.parse(await readLine(peer));
    const answer = await actions[order.do](order, peer);
    peer.write(`${JSON.stringify(answer)}\n`);
    streams[answer.stream]?.join?.();
    if (answer.headers) {
      peer.resume();
    } else {
      peer.end();
    }
  } catch (error) {
    peer.end(`${JSON.stringify({ error: error.message })}\n`);
  }
}

process.stdin.on('end', () => process.exit()).resume();
net.createServer({ allowHalfOpen: true }, serve)
  .listen(process.argv[2], () => process.stdout.write('ready\n'));
