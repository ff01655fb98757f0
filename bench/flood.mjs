/*
 * Clients that send far more than they should (bench/flood_kinds.mjs), and many that do not (bench/flood_loads.mjs);
 * bench/floods starts it:
 *
 *   node flood.mjs URL NAME plain|deflate CLIENTS SECONDS
 *   node flood.mjs --names
 *
 * SECONDS is how long a flood lasts, or a load of clients that read slowly; another load is given up when nothing has been answered
 * for so long.
 *
 * Each client of a flood sends one shot of its kind after the other, as fast as the server takes it, and reads and drops what
 * comes. One that is cut off connects again. At the end a line of JSON: {"closes": {"1008": n, ...}, ...}. The second form prints what
 * there is, a line of JSON each.
 */
import { connect } from './flood_client.mjs';
import { text } from './flood_frames.mjs';
import { KINDS } from './flood_kinds.mjs';
import { LOADS, carry } from './flood_loads.mjs';

const PAUSE = 100; /* milliseconds before a client whose session was ended connects again */
const OPENING = Buffer.from('["clown.talk/-/config/set", {}]');
const IDLE = { ask: () => [] }; /* what bench/floods compares with */

function names() {
  for (const [name, { plain = false, may = false }] of Object.entries(KINDS)) {
    console.log(JSON.stringify({ name, plain, may }));
  }
  for (const [name, { clients, pace }] of Object.entries(LOADS)) {
    console.log(JSON.stringify({ name, load: true, plain: Boolean(pace), clients, slow: Boolean(pace) }));
  }
}

function finish(said) {
  console.log(JSON.stringify(said));
  process.exit();
}

/* Sends shot after shot, and never has more than one of them in memory. */
function shoot(socket, shot) {
  while (socket.writable) {
    if (!socket.write(shot)) {
      socket.once('drain', () => shoot(socket, shot));
      return;
    }
  }
}

function flood(url, kind, deflate, clients, seconds) {
  const closes = {};
  const before = kind.before?.(deflate);
  const shot = kind.shot?.(deflate);

  const open = () => connect(url, {
    extensions: deflate && 'permessage-deflate',
    headers: kind.handshake === 'refused' ? 'Origin: https://elsewhere.example\r\n' : '',
    slow: kind.handshake === 'byte by byte',
    opened: (socket) => {
      if (kind.handshake) {
        socket.end();
        return;
      }
      socket.write(text(OPENING, false));
      if (before) {
        socket.write(before);
      }
      shoot(socket, shot);
    },
    ended: (code) => {
      closes[code] = (closes[code] ?? 0) + 1;
      setTimeout(open, kind.handshake ? 0 : PAUSE);
    },
  });
  for (let i = 0; i < clients; i += 1) {
    open();
  }
  setTimeout(() => finish({ closes }), seconds * 1000);
}

const [, , address, name, form, clients, seconds] = process.argv;
if (address === '--names') {
  names();
} else if (name in KINDS) {
  flood(new URL(address), KINDS[name], form === 'deflate', Number(clients), Number(seconds));
} else {
  carry(new URL(address), form === 'deflate', LOADS[name] ?? IDLE, Number(clients), Number(seconds), finish);
}
