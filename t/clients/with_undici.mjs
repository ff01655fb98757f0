import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { run } from './steps.mjs';

const require = createRequire(process.env.NODE_PATH + '/'); // where npm has put it
const { Agent, WebSocket } = require('undici');
const dispatcher = new Agent({ connect: { ca: readFileSync(process.argv[3]) } });

/* It takes no name and password out of a URL. */
function connect(url) {
  const { username, password, protocol, host, pathname } = new URL(url);
  const authorization = `Basic ${btoa(`${username}:${password}`)}`;
  return new WebSocket(`${protocol}//${host}${pathname}`, { headers: { authorization }, dispatcher });
}

run(require('undici/package.json').version, connect);
