/*
 * The server that the browser tests run against: mock.js in this process or, where CLOWNTALK_URL
 * says so, a real one:
 *
 *   CLOWNTALK_URL       the page, https://localhost:8443/, without name and password
 *   CLOWNTALK_USER      who may do everything, clown:bigclown by default
 *   CLOWNTALK_GUEST     who may only look, as NAME:PASSWORD; without it those tests are skipped
 *   CLOWNTALK_CONTROL   a UNIX socket that takes a line with one of the words stop, start, restart and
 *                       kill-hub, and answers "ok" when that is done; without it those tests are skipped
 *   CLOWNTALK_DASHBOARD the folder of the built page, for mock.js
 *
 * t/browser/serve starts a real server and sets all of these. Its node nodes/bridge/0 has at least thermometer/i2c0-48, relay/i2c0-3b, relay/i2c0-3f
 * and led/- (a simulated bus has).
 */
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Mock } from './mock.js';

export const folder = process.env.CLOWNTALK_DASHBOARD
  ?? fileURLToPath(new URL('../../build/dashboard', import.meta.url));

const withPassword = (url, user) => {
  const [name, password] = user.split(':');
  return Object.assign(new URL(url), { username: name, password }).href;
};

class MockTarget {
  user = 'clown:bigclown';
  guest = 'guest:guest';

  constructor(options) {
    this.mock = new Mock({ folder, ...options });
  }

  get url() {
    return this.mock.url;
  }

  open() {
    return this.mock.start();
  }

  close() {
    return this.mock.stop();
  }

  stop() {
    return this.mock.stop();
  }

  start() {
    return this.mock.start();
  }

  async restart() {
    await this.mock.stop({ code: 1012 });
    await this.mock.start();
  }

  async killHub() {
    this.mock.node().killHub();
  }
}

class RealTarget {
  mock = null;
  url = process.env.CLOWNTALK_URL;
  user = process.env.CLOWNTALK_USER ?? 'clown:bigclown';
  guest = process.env.CLOWNTALK_GUEST ?? null;

  async open() {}
  async close() {}

  #control(word) {
    return new Promise((done, failed) => {
      const socket = connect(process.env.CLOWNTALK_CONTROL, () => socket.write(`${word}\n`));
      let answer = '';
      socket.on('data', (data) => { answer += data; });
      socket.on('error', failed);
      socket.on('end', () => (answer === 'ok\n' ? done() : failed(new Error(`${word}: ${answer}`))));
    });
  }

  stop() { return this.#control('stop'); }
  start() { return this.#control('start'); }
  restart() { return this.#control('restart'); }
  killHub() { return this.#control('kill-hub'); }
}

/** The real server where there is one; a test that needs the mock's means asks for that. */
export async function openTarget({ mock = null } = {}) {
  const target = process.env.CLOWNTALK_URL && !mock ? new RealTarget() : new MockTarget(mock ?? {});
  await target.open();
  target.login = (user = target.user, path = '') => withPassword(new URL(path, target.url), user);
  target.node = (user = target.user) => withPassword(
    new URL('auth/clown-talk-server_nodes_bridge_0', new URL('/', target.url)), user).replace('http', 'ws');
  return target;
}

const isReal = Boolean(process.env.CLOWNTALK_URL);

/** Why a test cannot run here, or false. */
export const lacks = {
  control: isReal && !process.env.CLOWNTALK_CONTROL && 'needs CLOWNTALK_CONTROL',
  guest: isReal && !process.env.CLOWNTALK_GUEST && 'needs CLOWNTALK_GUEST',
};
