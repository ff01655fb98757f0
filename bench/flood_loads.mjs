/*
 * Loads that are honest: clients that do what they may, only many at once. To add one: a line in LOADS, and one in
 * docs/security.md. Of each:
 *
 *   clients  how many, in each of its rows; those for which a machine has no descriptors are left out
 *   pace     where they read slowly: milliseconds between two bytes; Infinity: they read nothing
 *   ask      what each asks for when it has the list of devices: (devices) => [request without an id ...]
 *
 * A load is over when each client has all its answers, or when nothing has been answered for its time; where they read slowly, when its
 * time is over. How long it takes says nothing: it is all one process, whose TLS handshakes alone take a minute where others are at
 * work. So handshakes come first, some at a time, or the pings of those that are done would not be answered in time; then all ask
 * at once.
 */
import { connect } from './flood_client.mjs';
import { FIN, PING, PONG, RSV1, TEXT, decompress, frame, text } from './flood_frames.mjs';

const OPENING = '["clown.talk/-/config/set", {}, {"id": "opening"}]\n';
const LIST = '["-/-/config/list", {}, {"id": "list"}]\n';
const HANDSHAKES = 100; /* at a time */
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

/*
 * One client, which is to be told when to ask: the function is returned. `said` counts for all. Calls on.opened(), on.moved() with
 * each answer, on.done() with the last one, and on.ended() when its session was ended.
 */
function visit(url, deflate, load, said, on) {
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
    on.moved();
    if (parameters.id === 'list' && payload.sensors) {
      load.ask(payload).forEach((request, i) => ask(socket, i, request));
    }
    if (open.size === 0) {
      on.done();
    }
  };
  said.asked += open.size;
  const socket = connect(url, {
    extensions: deflate && 'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    pace: load.pace,
    opened: on.opened,
    got: (first, payload) => {
      if ((first & 15) === PING) {
        socket.write(frame(FIN | PONG, payload));
      } else if ((first & 15) === TEXT) {
        answered(socket, JSON.parse(first & RSV1 ? decompress(payload) : payload));
      }
    },
    ended: (code) => {
      said.closes[code] = (said.closes[code] ?? 0) + 1;
      on.ended();
    },
  });
  return () => {
    socket.write(text(Buffer.from(OPENING + LIST), deflate));
    if (load.pace) {
      load.ask().forEach((request, i) => ask(socket, i, request));
    }
  };
}

/* Calls over(said) at the end: what was asked, answered, answered with an error, and how sessions were ended before. */
export function carry(url, deflate, load, clients, seconds, over) {
  const said = { asked: 0, answered: 0, errors: 0, messages: {}, closes: {} };
  const end = setTimeout(() => over(said), seconds * 1000);
  const asks = [];
  let begun = 0; /* handshakes */
  let shaken = 0; /* those that are over */
  let left = clients;

  const begin = () => {
    let open = false;
    const shook = () => {
      open = true;
      shaken += 1;
      if (shaken === clients) {
        asks.forEach((ask) => ask());
      } else if (begun < clients) {
        begin();
      }
    };
    begun += 1;
    asks.push(visit(url, deflate, load, said, {
      opened: () => {
        end.refresh();
        shook();
      },
      moved: () => {
        if (!load.pace) {
          end.refresh();
        }
      },
      done: () => {
        left -= 1;
        if (left === 0 && !load.pace) {
          clearTimeout(end);
          over(said);
        }
      },
      ended: () => {
        if (!open) {
          shook();
        }
      },
    }));
  };
  while (begun < Math.min(clients, HANDSHAKES)) {
    begin();
  }
}
