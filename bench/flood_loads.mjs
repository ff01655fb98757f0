/*
 * Loads that are honest: clients that do what they may, only many at once. To add one: a line in LOADS, and one in
 * docs/security.md. Of each:
 *
 *   clients  how many, in each of its rows; those for which a machine has no descriptors are left out
 *   pace     where they read slowly: milliseconds between two bytes; Infinity: they read nothing
 *   ask      what each asks for when it has the list of devices: (devices) => [request without an id ...]
 *
 * A load is over when each client has all its answers, or where they read slowly, when its time is over.
 */
import { connect } from './flood_client.mjs';
import { FIN, PING, PONG, RSV1, TEXT, decompress, frame, text } from './flood_frames.mjs';

const OPENING = '["clown.talk/-/config/set", {}, {"id": "opening"}]\n';
const LIST = '["-/-/config/list", {}, {"id": "list"}]\n';
const PIECES = 40; /* requests of a client that does not read what it asks for: within the rate */

const histories = ({ sensors }) => sensors.map((sensor) => [`${sensor}/history/get`, { seconds: 3600, points: 1000 }]);
const most = () => Array(PIECES).fill(['thermometer/i2c0-48/history/get', { seconds: 3600, points: 1000 }]);
const relays = ({ actuators }) => actuators.filter((device) => device.startsWith('relay/')).map((device) => [`${device}/get`, {}]);

export const LOADS = {
  'dashboards': { clients: [100, 500, 1000], ask: histories },
  'clients at once': { clients: [5000], ask: () => [] },
  'clients of 64 relays': { clients: [50], ask: relays },
  'readers of nothing': { clients: [500], pace: Infinity, ask: most },
  'readers of a byte/s': { clients: [500], pace: 1000, ask: most },
};

/* One client; `said` counts for all. */
function visit(url, deflate, load, said, done) {
  const open = new Set(['opening', 'list']); /* requests without an answer */

  const ask = (socket, id, [topic, payload]) => {
    open.add(id);
    said.asked += 1;
    socket.write(text(Buffer.from(`${JSON.stringify([topic, payload, { id }])}\n`), deflate));
  };
  const answered = (socket, [topic, payload, parameters]) => {
    if (topic.endsWith('/error')) {
      said.errors += 1;
      said.messages[payload.error] = (said.messages[payload.error] ?? 0) + 1;
    }
    if (!parameters || !open.delete(parameters.id)) {
      return;
    }
    said.answered += 1;
    if (parameters.id === 'list' && payload.sensors) {
      load.ask(payload).forEach((request, i) => ask(socket, i, request));
    }
    if (open.size === 0) {
      done();
    }
  };
  said.asked += open.size;
  const socket = connect(url, {
    extensions: deflate && 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    pace: load.pace,
    opened: (it) => {
      it.write(text(Buffer.from(OPENING + LIST), deflate));
      if (load.pace) {
        load.ask().forEach((request, i) => ask(it, i, request));
      }
    },
    got: (first, payload) => {
      if ((first & 15) === PING) {
        socket.write(frame(FIN | PONG, payload));
      } else if ((first & 15) === TEXT) {
        answered(socket, JSON.parse(first & RSV1 ? decompress(payload) : payload));
      }
    },
    ended: (code) => { said.closes[code] = (said.closes[code] ?? 0) + 1; },
  });
}

/* Calls over(said) at the end: what was asked, answered, answered with an error, and how sessions were ended before. */
export function carry(url, deflate, load, clients, seconds, over) {
  const said = { asked: 0, answered: 0, errors: 0, messages: {}, closes: {} };
  const end = setTimeout(() => over(said), seconds * 1000);
  let left = clients;
  const done = () => {
    left -= 1;
    if (left === 0 && !load.pace) {
      clearTimeout(end);
      over(said);
    }
  };
  for (let i = 0; i < clients; i += 1) {
    visit(url, deflate, load, said, done);
  }
}
