/*
 * What every JavaScript client here does once it has connected; with_*.mjs know how that is done.
 *
 *   node with_LIBRARY.mjs wss://USER:PASSWORD@HOST:PORT CA.pem
 */
import assert from 'node:assert';

const NODE = '/clown-talk-server_nodes_bridge_0';
const RELAY = 'relay/i2c0-3b';
const SIZES = [0, 125, 126, 65536, 1048576, 16777216];
const TIMEOUT = 20000; // milliseconds a conversation may take

const text = (size) => 'temperature 21.50, humidity 41.2; '.repeat(size / 34 + 1).slice(0, size);

/* Speaks with a W3C WebSocket: `begin` first, then `message` for each that comes, until that is true. */
function converse(socket, begin, message) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer')), TIMEOUT);
    let done = false;
    socket.addEventListener('open', begin);
    socket.addEventListener('message', ({ data }) => {
      try {
        if (message(data)) {
          done = true;
          socket.close();
        }
      } catch (error) {
        reject(error);
      }
    });
    socket.addEventListener('error', (event) => reject(event.error ?? new Error(event.message)));
    socket.addEventListener('close', ({ code }) => {
      clearTimeout(timer);
      if (done) {
        resolve();
      } else {
        reject(new Error(`closed with ${code}`));
      }
    });
  });
}

async function speakWithNode(socket) {
  await converse(socket, () => socket.send('["clown.talk/-/config/set", {}]'), (data) => {
    for (const line of data.split('\n').filter((each) => each !== '')) {
      const [topic, payload] = JSON.parse(line);
      if (topic === 'clown.talk/-/config/ok') {
        console.log('ok opening');
        socket.send(JSON.stringify([`${RELAY}/set`, { state: true }]));
      } else if (topic === RELAY && payload.state === true) {
        console.log('ok relay');
        return true;
      }
    }
    return false;
  });
}

async function speakWithEcho(socket) {
  let next = 0;
  await converse(socket, () => socket.send(text(SIZES[0])), (data) => {
    const size = SIZES[next];
    assert(data === text(size), `echo ${size}: ${data.length} other characters came back`);
    console.log(`ok echo ${size}`);
    next += 1;
    if (next < SIZES.length) {
      socket.send(text(SIZES[next]));
    }
    return next === SIZES.length;
  });
}

/* connect(url) gives a W3C WebSocket that is connecting. */
export async function run(version, connect) {
  const url = process.argv[2];
  console.log(`version ${version}`);
  try {
    await speakWithNode(connect(url + NODE));
    await speakWithEcho(connect(`${url}/echo`));
    process.exit(0);
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
